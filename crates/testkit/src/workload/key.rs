//! Keys of entities and markers of transactions.

use rand::Rng;

/// Writer number of the hubs and of the setup.
pub(crate) const SETUP: u8 = 0;
/// Writer number of the schema thread.
pub(crate) const SCHEMA: u8 = 255;

/// One run of a workload: its keys and markers meet those of no other run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    generation: u8,
    nonce: u16,
}

/// The value that a transaction leaves in its writer's marker node: byte 7 is [`Marker::TOP`], bytes 5 and 6
/// the nonce of the run, byte 4 the writer, bytes 0-3 a count. It is too large for an inline value (2^35 and
/// more are not), so a property record holds it, and the log shows it, as eight bytes, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Marker(pub i64);

impl Marker {
    /// The most significant byte of every marker.
    pub const TOP: u8 = 0x47;

    /// Which writer's marker it is.
    pub fn writer(self) -> u8 {
        self.0.to_le_bytes()[4]
    }
}

impl Run {
    /// A new run; `generation` separates its keys from those of other runs in the same database.
    pub fn new(generation: u8) -> Self {
        Self { generation, nonce: rand::rng().random() }
    }

    /// The marker of a writer's transaction number `count`.
    pub fn marker(self, writer: u8, count: u32) -> Marker {
        let [n0, n1] = self.nonce.to_le_bytes();
        let [c0, c1, c2, c3] = count.to_le_bytes();
        Marker(i64::from_le_bytes([c0, c1, c2, c3, writer, n0, n1, Marker::TOP]))
    }

    /// The last three bytes of all markers of this run, as the log shows them.
    pub(crate) fn marker_suffix(self) -> [u8; 3] {
        let [n0, n1] = self.nonce.to_le_bytes();
        [n0, n1, Marker::TOP]
    }

    /// Key of an entity of a writer.
    pub fn key(self, writer: u8, number: u32) -> u64 {
        u64::from(self.generation) << 40 | u64::from(writer) << 32 | u64::from(number)
    }

    /// Key of a writer's marker node.
    pub fn marker_node(self, writer: u8) -> u64 {
        self.key(writer, 0)
    }

    /// Key of a shared dense node.
    pub fn hub(self, number: u32) -> u64 {
        self.key(SETUP, 1 + number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_does_not_fit_an_inline_value_and_names_its_writer() {
        let marker = Run::new(3).marker(7, 9);
        assert!(marker.0 >= 1 << 59);
        assert_eq!(marker.writer(), 7);
    }
}
