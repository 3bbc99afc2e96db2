//! The release of a server: `5.26.30`, `2026.08.1`. Later ones are greater.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerRelease {
    numbers: Vec<u32>,
    text: String,
}

/// The text is no release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARelease;

impl ServerRelease {
    /// Releases are numbered by year and month since 2025.01.
    pub(super) fn is_calendar(&self) -> bool {
        self.first() >= 2025
    }

    /// Neo4j 5, and everything that came behind it.
    pub(super) fn is_known(&self) -> bool {
        self.first() == 5 || self.is_calendar()
    }

    fn first(&self) -> u32 {
        self.numbers.first().copied().unwrap_or(0)
    }
}

impl FromStr for ServerRelease {
    type Err = NotARelease;

    /// What follows a number within a part is left out of the order: `5.26.0-drop01`.
    fn from_str(text: &str) -> Result<Self, NotARelease> {
        let number = |part: &str| {
            let digits = part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            digits.parse::<u32>().map_err(|_| NotARelease)
        };
        let numbers = text.split('.').take(3).map(number).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { numbers, text: text.to_owned() })
    }
}

impl fmt::Display for ServerRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_releases_are_greater() {
        let release = |text: &str| text.parse::<ServerRelease>().unwrap();
        let order =
            ["5.0", "5.7", "5.13.0", "5.26.9", "5.26.30", "2025.04", "2025.11.2", "2026.08", "2026.08.1"];
        for pair in order.windows(2) {
            assert!(release(pair[0]) < release(pair[1]), "{pair:?}");
        }
        assert!(release("5.26.0-drop01") < release("5.26.1"));
        assert!(release("5.13").is_known() && release("2026.08.1").is_known());
        assert!(!release("4.4.40").is_known() && !release("6.0").is_known());
        assert!("kernel".parse::<ServerRelease>().is_err() && "".parse::<ServerRelease>().is_err());
    }
}
