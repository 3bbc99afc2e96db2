//! Time zones are stored as numbers: places in a table to which Neo4j only ever adds. `zones.txt` has a name for each
//! number, as 2026.08.1 shows it; 5.13 shows the same for those that it knows. A number beyond is an error, never a guess.

use std::sync::LazyLock;

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("zones.txt").lines().collect());

/// The name of a zone number.
pub fn zone_name(number: u64) -> Option<&'static str> {
    NAMES.get(usize::try_from(number).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert_eq!(zone_name(0), Some("Asia/Aden"));
        assert_eq!(zone_name(606), Some("America/Coyhaique"));
        assert_eq!(zone_name(607), None);
        assert_eq!(zone_name(65_000), None);
    }
}
