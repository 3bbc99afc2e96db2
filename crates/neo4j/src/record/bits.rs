//! Streams of bits, the low bit first: over blocks of 64 bits, and over bytes.

/// The `width` bits (1 to 64) from bit `at` on; `None` beyond the end.
pub(super) fn of_blocks(blocks: &[u64], at: usize, width: usize) -> Option<u64> {
    let (block, shift) = (at / 64, at % 64);
    let low = *blocks.get(block)? >> shift;
    let whole = if shift + width > 64 { low | *blocks.get(block + 1)? << (64 - shift) } else { low };
    Some(whole & mask(width))
}

/// The same over bytes.
pub(super) fn of_bytes(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let (first, shift) = (at / 8, at % 8);
    let last = (at + width).div_ceil(8);
    let whole = bytes.get(first..last)?.iter().rev().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    Some((whole >> shift) as u64 & mask(width))
}

fn mask(width: usize) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_lie_across_blocks_and_bytes() {
        let blocks = [0xF000_0000_0000_0000, 0x0000_0000_0000_00AB];
        assert_eq!(of_blocks(&blocks, 60, 8), Some(0xBF));
        assert_eq!(of_blocks(&blocks, 64, 64), Some(0xAB));
        assert_eq!(of_blocks(&blocks, 65, 64), None);
        let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.to_le_bytes()).collect();
        for (at, width) in [(0, 1), (60, 8), (3, 61), (64, 64), (63, 2), (65, 64)] {
            assert_eq!(of_bytes(&bytes, at, width), of_blocks(&blocks, at, width), "{at} {width}");
        }
    }
}
