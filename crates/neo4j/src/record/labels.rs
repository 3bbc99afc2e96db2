//! The labels of a node, 40 bits: up to seven ids in place, else where they are.
//! ```text
//! bit 39 set   bits 0-35: a label record, which holds longs: the node's id, then label ids
//! else         bits 36-38: how many; each id has 36 / how many bits, the first one lowest
//! ```
//! Ids ascend.

const COUNT_AT: u32 = 36;
const PAYLOAD: u64 = (1 << COUNT_AT) - 1;
const DYNAMIC: u64 = 1 << 39;

/// As it stands in a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelField(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    Here {
        count: usize,
        ids: [u64; 7],
    },
    /// The label record that holds them.
    At(u64),
}

impl LabelField {
    pub fn decode(self) -> Labels {
        if self.0 & DYNAMIC != 0 {
            return Labels::At(self.0 & PAYLOAD);
        }
        let count = (self.0 >> COUNT_AT & 7) as usize;
        let mut ids = [0; 7];
        let width = (COUNT_AT as usize).checked_div(count).unwrap_or_default();
        for (index, id) in ids.iter_mut().take(count).enumerate() {
            *id = (self.0 & PAYLOAD) >> (index * width) & ((1 << width) - 1);
        }
        Labels::Here { count, ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_share_36_bits() {
        assert_eq!(LabelField(0).decode(), Labels::Here { count: 0, ids: [0; 7] });
        let two = LabelField(2 << 36 | 5 << 18 | 3);
        assert_eq!(two.decode(), Labels::Here { count: 2, ids: [3, 5, 0, 0, 0, 0, 0] });
        let seven = LabelField(7 << 36 | 6 << 30 | 31 << 25 | 1);
        assert_eq!(seven.decode(), Labels::Here { count: 7, ids: [1, 0, 0, 0, 0, 31, 6] });
        assert_eq!(LabelField(1 << 39 | 0x77).decode(), Labels::At(0x77));
    }
}
