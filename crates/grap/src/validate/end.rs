//! Is the newest transaction of an opened database the promised one?
//!
//! A server replays a log with a hole, or one that is cut short, and says nothing; this is where it would show.

use grap_neo4j::{KernelVersion, TxId};

use crate::server::ServerRelease;

/// How what was found stands to what was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    AsPromised,
    /// A later server has upgraded the store: so many transactions of its own are behind the promised one.
    Upgraded(u64),
    Other,
}

/// `written_by`: the oldest release that reads the database. `release` has opened it.
pub fn look_at_end(promised: TxId, found: u64, written_by: &str, release: &ServerRelease) -> End {
    let promised = promised.0;
    if found == promised {
        End::AsPromised
    } else if found > promised && upgrades(written_by, release) {
        End::Upgraded(found - promised)
    } else {
        End::Other
    }
}

/// Whether a server of this release writes a later kernel version than the database was written with.
fn upgrades(written_by: &str, release: &ServerRelease) -> bool {
    let parsed = |text: &str| text.parse::<ServerRelease>().ok();
    let Some(written_by) = parsed(written_by) else { return false };
    KernelVersion::all()
        .filter_map(|kernel| parsed(kernel.name()))
        .any(|kernel| kernel > written_by && kernel <= *release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_of_a_later_kernel_upgrades_a_store() {
        let upgrades = |written_by, release: &str| upgrades(written_by, &release.parse().unwrap());
        assert!(!upgrades("5.25", "5.26.30"));
        assert!(upgrades("5.13", "5.26.30"));
        assert!(upgrades("5.25", "2026.08.1"));
        assert!(!upgrades("2026.08", "2026.08.1"));
    }

    #[test]
    fn an_end_that_lies_before_the_promised_one_is_never_right() {
        let release = "5.26.30".parse().unwrap();
        let end = |found, written_by| look_at_end(TxId(10), found, written_by, &release);
        assert_eq!(end(10, "5.26"), End::AsPromised);
        assert_eq!(end(11, "5.13"), End::Upgraded(1));
        assert_eq!(end(11, "5.26"), End::Other);
        assert_eq!(end(9, "5.13"), End::Other);
    }
}
