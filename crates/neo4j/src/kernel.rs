//! The kernel version byte that begins every log entry, and the layouts that follow from it.
//!
//! Table and layouts: `docs/format/transaction-log.md`, sections 1, 3 and 5. A [`KernelVersion`] always holds
//! a byte of that table, so whoever has one need not ask again whether it is known.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kernel version of a log entry; always one that Grap knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct KernelVersion(u8);

/// The kernel byte is not in the table: written by a newer (or a much older) Neo4j than this Grap knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kernel version byte {0} is unknown")]
pub struct UnknownKernel(pub u8);

/// First release that writes each byte, from [`FIRST`] on.
const NAMES: [&str; 28] = [
    "5.0", "5.7", "5.8", "5.9", "5.10", "5.11", "5.12", "5.13", "5.14", "5.15", "5.18", "5.19", "5.20",
    "5.22", "5.23", "5.25", "2025.04", "2025.05", "2025.07", "2025.08", "2025.09", "2025.10", "2025.11",
    "2026.01", "2026.02", "2026.06", "2026.07", "2026.08",
];
const FIRST: u8 = 5;

impl KernelVersion {
    /// The byte as a version, if it is a known one.
    pub fn known(byte: u8) -> Option<KernelVersion> {
        let index = byte.checked_sub(FIRST)?;
        (usize::from(index) < NAMES.len()).then_some(KernelVersion(byte))
    }

    /// All known versions, oldest first.
    pub fn all() -> impl Iterator<Item = KernelVersion> {
        (0..=u8::MAX).filter_map(KernelVersion::known)
    }

    pub fn byte(self) -> u8 {
        self.0
    }

    /// The first Neo4j release that writes it: a server must be at least this new to read the log.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0 - FIRST)).expect("`known` is the only constructor")
    }

    pub(crate) fn start_layout(self) -> StartLayout {
        match self.0 {
            ..=16 => StartLayout::A,
            17..=21 => StartLayout::B,
            22..=29 => StartLayout::C,
            30.. => StartLayout::D,
        }
    }

    pub(crate) fn checkpoint_layout(self) -> CheckpointLayout {
        match self.0 {
            ..=5 => CheckpointLayout::V5_0,
            6..=16 => CheckpointLayout::V5_7,
            17 => CheckpointLayout::V5_20,
            18..=31 => CheckpointLayout::V5_22,
            32.. => CheckpointLayout::V2026_08,
        }
    }
}

/// Which fields a START entry has; see `txlog::entry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartLayout {
    A,
    B,
    C,
    D,
}

/// Which fields a checkpoint record has, by the release that introduced them; see `checkpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckpointLayout {
    V5_0,
    V5_7,
    V5_20,
    V5_22,
    V2026_08,
}

impl TryFrom<u8> for KernelVersion {
    type Error = UnknownKernel;

    fn try_from(byte: u8) -> Result<KernelVersion, UnknownKernel> {
        KernelVersion::known(byte).ok_or(UnknownKernel(byte))
    }
}

impl From<KernelVersion> for u8 {
    fn from(kernel: KernelVersion) -> u8 {
        kernel.0
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (kernel byte {})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bytes_are_5_to_32() {
        let bytes: Vec<u8> = KernelVersion::all().map(KernelVersion::byte).collect();
        assert_eq!(bytes, (5..=32).collect::<Vec<u8>>());
        for unknown in [0, 4, 33, 127, 254, 255] {
            assert_eq!(KernelVersion::known(unknown), None);
        }
    }

    #[test]
    fn names_are_the_releases_that_introduced_them() {
        let name = |byte| KernelVersion::known(byte).unwrap().name();
        let seen = [5, 6, 12, 16, 17, 18, 20, 21, 22, 29, 30, 32].map(name);
        assert_eq!(
            seen,
            [
                "5.0", "5.7", "5.13", "5.19", "5.20", "5.22", "5.25", "2025.04", "2025.05", "2026.02",
                "2026.06", "2026.08"
            ]
        );
    }

    /// The first and last byte of every row of the table in `docs/format/transaction-log.md`, section 1.
    #[test]
    fn layouts_change_where_the_table_says() {
        use CheckpointLayout::{V5_0, V5_7, V5_20, V5_22, V2026_08};
        use StartLayout::{A, B, C, D};
        for (byte, start, checkpoint) in [
            (5, A, V5_0),
            (6, A, V5_7),
            (16, A, V5_7),
            (17, B, V5_20),
            (18, B, V5_22),
            (21, B, V5_22),
            (22, C, V5_22),
            (29, C, V5_22),
            (30, D, V5_22),
            (31, D, V5_22),
            (32, D, V2026_08),
        ] {
            let kernel = KernelVersion::known(byte).unwrap();
            assert_eq!((kernel.start_layout(), kernel.checkpoint_layout()), (start, checkpoint), "{byte}");
        }
    }

    #[test]
    fn an_unknown_byte_does_not_deserialise() {
        assert!(serde_json::from_str::<KernelVersion>("20").is_ok());
        assert!(serde_json::from_str::<KernelVersion>("33").is_err());
    }
}
