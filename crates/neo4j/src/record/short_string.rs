//! Texts that fit into the blocks of a property: packed with 4 to 7 bits a character where all of them are in one of
//! eleven tables, else as Latin-1 or UTF-8.

use super::ValueError;
use super::bits::of_blocks;

const UTF_8: u8 = 0;
const LATIN_1: u8 = 10;
const SPECIAL_DATE: &[u8] = b"0123456789 -:/+,";
const ALPHANUM_FIRST: &[u8] = b" ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Where the characters begin.
pub(super) const TEXT_AT: usize = 39;

/// Bits of a character in an encoding.
pub(super) fn character_bits(encoding: u8) -> Result<usize, ValueError> {
    match encoding {
        UTF_8 | LATIN_1 => Ok(8),
        1 | 2 | 11 | 12 => Ok(4),
        3..=5 => Ok(5),
        6..=8 => Ok(6),
        9 => Ok(7),
        other => Err(ValueError::UnknownEncoding(other)),
    }
}

/// Encoding and number of characters (of bytes, for UTF-8) of a short text.
pub(super) fn head(first: u64) -> (u8, usize) {
    ((first >> 28 & 0x1F) as u8, (first >> 33 & 0x3F) as usize)
}

/// Decode into `scratch`, and give the text.
pub(super) fn decode<'a>(blocks: &[u64], scratch: &'a mut Vec<u8>) -> Result<&'a str, ValueError> {
    let (encoding, length) = head(*blocks.first().ok_or(ValueError::TooShort)?);
    let width = character_bits(encoding)?;
    scratch.clear();
    for at in (0..length).map(|index| TEXT_AT + index * width) {
        let code = of_blocks(blocks, at, width).ok_or(ValueError::TooShort)? as u8;
        if encoding == UTF_8 {
            scratch.push(code);
            continue;
        }
        match character(encoding, code)? {
            ascii @ 0..0x80 => scratch.push(ascii),
            latin => scratch.extend([0xC0 | latin >> 6, 0x80 | latin & 0x3F]),
        }
    }
    str::from_utf8(scratch).map_err(|_| ValueError::NotUtf8)
}

/// The Latin-1 character of a code.
fn character(encoding: u8, code: u8) -> Result<u8, ValueError> {
    if encoding == LATIN_1 {
        return Ok(code);
    }
    let table: &[u8] = match encoding {
        1 => b"0123456789 .-+,'",
        2 => SPECIAL_DATE,
        3 => b" ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/",
        4 => b" abcdefghijklmnopqrstuvwxyz_.-:/",
        5 => b",abcdefghijklmnopqrstuvwxyz_.-+@",
        6 => b" abcdefghijklmnopqrstuvwxyz+,-./0123456789_.-:/+,'@|;*?&%#()$<>=",
        7 => b" ABCDEFGHIJKLMNOPQRSTUVWXYZ01234_abcdefghijklmnopqrstuvwxyz56789",
        8 => b" ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/;abcdefghijklmnopqrstuvwxyz+,'@|",
        9 => return Ok(european(code)),
        11 => b"0123456789abcdef",
        12 => b"0123456789ABCDEF",
        other => return Err(ValueError::UnknownEncoding(other)),
    };
    // Every table has as many characters as its codes.
    Ok(table[usize::from(code) % table.len()])
}

/// C0 to FF without the two signs of arithmetic, in whose places `.` and `-` stand; then the letters of table 7.
fn european(code: u8) -> u8 {
    match code {
        0x17 => b'.',
        0x37 => b'-',
        0..0x40 => 0xC0 + code,
        0x40..0x5B => ALPHANUM_FIRST[usize::from(code - 0x40)],
        0x5B..0x60 => b'0' + (code - 0x5B),
        0x60 => b'_',
        0x61..0x7B => b'a' + (code - 0x61),
        _ => b'5' + (code.min(0x7F) - 0x7B),
    }
}
