//! What stands in the blocks of a property: a value, or where it is stored.

use super::bits::of_blocks;
use super::value::{Point, Value, ValueError};
use super::{array, short_string, temporal};

/// A decoded property: a value, or the first record of a text or an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored<'a> {
    Here(Value<'a>),
    String { record: u64 },
    Array { record: u64 },
}

pub(super) const BOOL: u8 = 1;
pub(super) const BYTE: u8 = 2;
pub(super) const SHORT: u8 = 3;
pub(super) const CHAR: u8 = 4;
pub(super) const INT: u8 = 5;
pub(super) const LONG: u8 = 6;
pub(super) const FLOAT: u8 = 7;
pub(super) const DOUBLE: u8 = 8;
pub(super) const STRING: u8 = 9;
const ARRAY: u8 = 10;
const SHORT_STRING: u8 = 11;
const SHORT_ARRAY: u8 = 12;
pub(super) const POINT: u8 = 13;
pub(super) const TEMPORAL: u8 = 14;

/// Where the items of a short array begin.
const ITEMS_AT: usize = 44;

fn type_of(first: u64) -> u8 {
    (first >> 24 & 0xF) as u8
}

/// How many blocks the property that begins with this one has.
pub(super) fn blocks_of(first: u64) -> Result<usize, ValueError> {
    Ok(match type_of(first) {
        BOOL | BYTE | SHORT | CHAR | INT | FLOAT | STRING | ARRAY => 1,
        LONG => 1 + usize::from(first >> 28 & 1 == 0),
        DOUBLE => 2,
        SHORT_STRING => {
            let (encoding, length) = short_string::head(first);
            (short_string::TEXT_AT + short_string::character_bits(encoding)? * length).div_ceil(64)
        }
        SHORT_ARRAY => {
            let (_, items, width) = short_array(first);
            (ITEMS_AT + items * width).div_ceil(64)
        }
        POINT => 1 + (first >> 32 & 0xF) as usize,
        TEMPORAL => temporal::blocks_of(first)?,
        other => return Err(ValueError::UnknownType(other)),
    })
}

/// Decode a property. Texts are put into `scratch`.
pub fn decode_block<'a>(blocks: &[u64], scratch: &'a mut Vec<u8>) -> Result<Stored<'a>, ValueError> {
    let first = *blocks.first().ok_or(ValueError::TooShort)?;
    let payload = first >> 28;
    let second = || blocks.get(1).copied().ok_or(ValueError::TooShort);
    let value = match type_of(first) {
        BOOL => boolean(payload & 0xFF)?,
        BYTE => Value::Byte((payload as u8).cast_signed()),
        SHORT => Value::Short((payload as u16).cast_signed()),
        CHAR => Value::Char(payload as u16),
        INT => Value::Int((payload as u32).cast_signed()),
        LONG if payload & 1 != 0 => Value::Long((first >> 29).cast_signed()),
        LONG => Value::Long(second()?.cast_signed()),
        FLOAT => Value::Float(f32::from_bits(payload as u32)),
        DOUBLE => Value::Double(f64::from_bits(second()?)),
        STRING => return Ok(Stored::String { record: payload }),
        ARRAY => return Ok(Stored::Array { record: payload }),
        SHORT_STRING => Value::Text(short_string::decode(blocks, scratch)?),
        SHORT_ARRAY => items_of_short_array(blocks, first, scratch)?,
        POINT => point(blocks, first)?,
        TEMPORAL => temporal::decode(blocks)?,
        other => return Err(ValueError::UnknownType(other)),
    };
    Ok(Stored::Here(value))
}

pub(super) fn boolean(bits: u64) -> Result<Value<'static>, ValueError> {
    match bits {
        0 => Ok(Value::Bool(false)),
        1 => Ok(Value::Bool(true)),
        other => Err(ValueError::OutOfRange { what: "truth value", value: other.cast_signed() }),
    }
}

/// Type, number and bits of the items.
fn short_array(first: u64) -> (u8, usize, usize) {
    let width = (first >> 38 & 0x3F) as usize;
    ((first >> 28 & 0xF) as u8, (first >> 32 & 0x3F) as usize, if width == 0 { 64 } else { width })
}

fn items_of_short_array<'a>(
    blocks: &[u64],
    first: u64,
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, ValueError> {
    let (kind, count, width) = short_array(first);
    let bits = |index: usize| of_blocks(blocks, ITEMS_AT + index * width, width).ok_or(ValueError::TooShort);
    if kind == BYTE {
        scratch.clear();
        for index in 0..count {
            scratch.push(bits(index)? as u8);
        }
        return Ok(Value::Bytes(scratch));
    }
    // Refuses what no items have, even where there are none.
    array::item(kind, 0)?;
    (0..count).map(|index| array::item(kind, bits(index)?)).collect::<Result<_, _>>().map(Value::List)
}

fn point(blocks: &[u64], first: u64) -> Result<Value<'static>, ValueError> {
    let dimension = (first >> 32 & 0xF) as u8;
    let kind = (first >> 28 & 0xF) as u8;
    if kind != array::GEOMETRY_POINT {
        return Err(ValueError::OutOfRange { what: "kind of geometry", value: i64::from(kind) });
    }
    let coordinates = blocks.get(1..=usize::from(dimension)).ok_or(ValueError::TooShort)?;
    let coordinates: Vec<f64> = coordinates.iter().map(|bits| f64::from_bits(*bits)).collect();
    Point::new((first >> 36 & 0xF) as u8, (first >> 40) as u16, &coordinates).map(Value::Point)
}
