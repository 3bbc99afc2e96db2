//! Arrays that have records of their own.
//! ```text
//! numbers, booleans   u8 type, u8 bits used of the last byte, u8 bits an item, items (the low bit first)
//! texts               9, u32 count, count x (u32 length, UTF-8)
//! points              13, u8 kind, u8 dimension, u8 table, u16 code, then the coordinates as an array of doubles
//! times               14, u8 kind, then one to four longs an item as an array of longs
//! ```

use super::bits::of_bytes;
use super::inline::{BOOL, BYTE, CHAR, DOUBLE, FLOAT, INT, LONG, POINT, SHORT, STRING, TEMPORAL, boolean};
use super::temporal;
use super::value::{Point, Value, ValueError};
use crate::bytes::{slice, u8_at};

pub(super) const GEOMETRY_POINT: u8 = 1;

/// Decode the bytes of an array.
pub fn decode_array(bytes: &[u8]) -> Result<Value<'_>, ValueError> {
    match u8_at(bytes, 0).ok_or(ValueError::TooShort)? {
        STRING => texts(bytes).map(Value::List),
        POINT => points(bytes).map(Value::List),
        TEMPORAL => times(bytes).map(Value::List),
        BYTE => raw_bytes(bytes).map(Value::Bytes),
        _ => {
            let numbers = Numbers::parse(bytes)?;
            numbers.iter().map(|bits| item(numbers.kind, bits)).collect::<Result<_, _>>().map(Value::List)
        }
    }
}

/// Decode an array that holds longs: what a label record holds.
pub fn decode_long_array(bytes: &[u8]) -> Result<Vec<u64>, ValueError> {
    let numbers = Numbers::parse(bytes)?;
    if numbers.kind != LONG {
        return Err(ValueError::UnknownItemType(numbers.kind));
    }
    Ok(numbers.iter().collect())
}

/// An item of an array of numbers or booleans. Items are stored without their leading zeros.
pub(super) fn item(kind: u8, bits: u64) -> Result<Value<'static>, ValueError> {
    Ok(match kind {
        BOOL => boolean(bits)?,
        BYTE => Value::Byte((bits as u8).cast_signed()),
        SHORT => Value::Short((bits as u16).cast_signed()),
        CHAR => Value::Char(bits as u16),
        INT => Value::Int((bits as u32).cast_signed()),
        LONG => Value::Long(bits.cast_signed()),
        FLOAT => Value::Float(f32::from_bits(bits as u32)),
        DOUBLE => Value::Double(f64::from_bits(bits)),
        other => return Err(ValueError::UnknownItemType(other)),
    })
}

/// Items of equal width.
struct Numbers<'a> {
    kind: u8,
    width: usize,
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Numbers<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let (&[kind, used, width], items) = bytes.split_first_chunk().ok_or(ValueError::TooShort)?;
        let impossible = |what, value: u8| ValueError::OutOfRange { what, value: i64::from(value) };
        if width > 64 || (width == 0 && !items.is_empty()) {
            return Err(impossible("number of bits of an item", width));
        }
        if used > 8 || (used == 0 && !items.is_empty()) {
            return Err(impossible("number of bits in the last byte", used));
        }
        let bits = (items.len() * 8).saturating_sub(8 - usize::from(used.max(1)));
        let count = if items.is_empty() { 0 } else { bits / usize::from(width) };
        // Refuses what no items have, even where there are none.
        item(kind, 0)?;
        Ok(Self { kind, width: usize::from(width), count, bytes: items })
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        (0..self.count).map_while(|index| of_bytes(self.bytes, index * self.width, self.width))
    }
}

fn raw_bytes(bytes: &[u8]) -> Result<&[u8], ValueError> {
    bytes.get(3..).ok_or(ValueError::TooShort)
}

fn texts(bytes: &[u8]) -> Result<Vec<Value<'_>>, ValueError> {
    let count = length(bytes, 1)?;
    let mut at = 5;
    let mut texts = Vec::new();
    for _ in 0..count {
        let length = length(bytes, at)?;
        let text = slice(bytes, at + 4, length).ok_or(ValueError::TooShort)?;
        texts.push(Value::Text(str::from_utf8(text).map_err(|_| ValueError::NotUtf8)?));
        at += 4 + length;
    }
    if at == bytes.len() {
        return Ok(texts);
    }
    Err(ValueError::OutOfRange { what: "number of texts", value: i64::try_from(count).unwrap_or(i64::MAX) })
}

fn length(bytes: &[u8], at: usize) -> Result<usize, ValueError> {
    let four: [u8; 4] =
        slice(bytes, at, 4).and_then(|four| four.try_into().ok()).ok_or(ValueError::TooShort)?;
    usize::try_from(u32::from_be_bytes(four)).map_err(|_| ValueError::TooShort)
}

fn points(bytes: &[u8]) -> Result<Vec<Value<'_>>, ValueError> {
    let (&[_, kind, dimension, table, high, low], coordinates) =
        bytes.split_first_chunk().ok_or(ValueError::TooShort)?;
    if kind != GEOMETRY_POINT {
        return Err(ValueError::OutOfRange { what: "kind of geometry", value: i64::from(kind) });
    }
    if !(2..=3).contains(&dimension) {
        return Err(ValueError::Dimensions(dimension));
    }
    let numbers = Numbers::parse(coordinates)?;
    let all: Vec<f64> = numbers.iter().map(f64::from_bits).collect();
    if numbers.kind != DOUBLE || !all.len().is_multiple_of(usize::from(dimension)) {
        return Err(ValueError::UnknownItemType(numbers.kind));
    }
    let code = u16::from_be_bytes([high, low]);
    all.chunks(usize::from(dimension)).map(|one| Point::new(table, code, one).map(Value::Point)).collect()
}

fn times(bytes: &[u8]) -> Result<Vec<Value<'_>>, ValueError> {
    let (&[_, kind], longs) = bytes.split_first_chunk().ok_or(ValueError::TooShort)?;
    let width = temporal::longs_of(kind)?;
    let numbers = Numbers::parse(longs)?;
    let all: Vec<i64> = numbers.iter().map(u64::cast_signed).collect();
    if numbers.kind != LONG || !all.len().is_multiple_of(width) {
        return Err(ValueError::UnknownItemType(numbers.kind));
    }
    all.chunks(width).map(|one| temporal::item(kind, one)).collect()
}
