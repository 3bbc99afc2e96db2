//! Fixed-offset fields of a byte slice. Every getter answers `None` beyond the end: no input can make a
//! decoder panic.

/// Two letters name the byte order: `le_` for log bodies, `be_` for file headers, store ids and `neostore`.
macro_rules! getter {
    ($name:ident, $number:ty, $from:ident) => {
        pub(crate) fn $name(bytes: &[u8], at: usize) -> Option<$number> {
            array(bytes, at).map(<$number>::$from)
        }
    };
}

getter!(le_u32, u32, from_le_bytes);
getter!(le_i16, i16, from_le_bytes);
getter!(le_i32, i32, from_le_bytes);
getter!(le_i64, i64, from_le_bytes);
getter!(be_u64, u64, from_be_bytes);
getter!(be_i64, i64, from_be_bytes);

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The `length` bytes from `at`, if all of them are there.
pub(crate) fn slice(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    slice(bytes, at, N)?.try_into().ok()
}

/// Where the first byte other than zero is. Blocks are OR-ed together first, which the compiler vectorises:
/// zero tails of preallocated files are up to 256 MiB long.
pub(crate) fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 1024;
    let block = bytes.chunks(BLOCK).position(|block| !is_zero(block))?;
    let begin = block * BLOCK;
    bytes.get(begin..)?.iter().position(|&byte| byte != 0).map(|at| begin + at)
}

/// The offset right behind the last byte other than zero; `None` when all are zero.
pub(crate) fn nonzero_end(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 1024;
    let block = bytes.rchunks(BLOCK).position(|block| !is_zero(block))?;
    let end = bytes.len() - block * BLOCK;
    bytes.get(..end)?.iter().rposition(|&byte| byte != 0).map(|at| at + 1)
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, &byte| all | byte) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_beyond_the_end_are_absent() {
        assert_eq!(le_i64(&[0; 8], 1), None);
        assert_eq!(le_i64(&[0; 8], usize::MAX), None);
        assert_eq!(be_u64(&[0, 0, 0, 0, 0, 0, 1, 2], 0), Some(258));
    }

    #[test]
    fn nonzero_bytes_are_found_across_blocks() {
        let mut bytes = vec![0; 5000];
        assert_eq!((first_nonzero(&bytes), nonzero_end(&bytes)), (None, None));
        for at in [0, 1, 1023, 1024, 2047, 4999] {
            bytes[at] = 1;
            assert_eq!((first_nonzero(&bytes), nonzero_end(&bytes)), (Some(at), Some(at + 1)));
            bytes[at] = 0;
        }
        bytes[1500] = 1;
        bytes[1600] = 1;
        assert_eq!((first_nonzero(&bytes), nonzero_end(&bytes)), (Some(1500), Some(1601)));
    }
}
