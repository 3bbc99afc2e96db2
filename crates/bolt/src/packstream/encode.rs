//! Owned values to bytes, each in its shortest form.

use super::decode::DEPTH_MAX;
use super::value::{Map, Structure, Value};
use crate::error::{Error, Result};

/// Appends a value. After an error `out` holds a part of it.
pub fn encode(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    at_depth(value, out, 0)
}

fn at_depth(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Int(value) => encode_integer(*value, out),
        Value::Float(value) => {
            out.push(0xc1);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Uuid(value) => {
            out.push(0xe0);
            out.extend_from_slice(value);
        }
        Value::Bytes(value) => {
            length(value.len(), None, 0xcc, out)?;
            out.extend_from_slice(value);
        }
        Value::Text(value) => encode_text(value, out)?,
        Value::List(items) => {
            encode_list_length(items.len(), out)?;
            inside(items, out, depth)?;
        }
        Value::Map(map) => map_at_depth(map, out, depth)?,
        Value::Structure(Structure { tag, fields }) => {
            encode_structure_head(*tag, fields.len(), out)?;
            inside(fields, out, depth)?;
        }
    }
    Ok(())
}

fn inside(values: &[Value], out: &mut Vec<u8>, depth: usize) -> Result<()> {
    shallow(depth, values.is_empty(), out)?;
    values.iter().try_for_each(|value| at_depth(value, out, depth + 1))
}

/// Appends a map.
pub(crate) fn encode_map(map: &Map, out: &mut Vec<u8>) -> Result<()> {
    map_at_depth(map, out, 0)
}

fn map_at_depth(map: &Map, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    length(map.len(), Some(0xa0), 0xd8, out)?;
    shallow(depth, map.is_empty(), out)?;
    map.0.iter().try_for_each(|(key, value)| {
        encode_text(key, out)?;
        at_depth(value, out, depth + 1)
    })
}

/// The decoder's limit, so that nothing is sent that could not be read.
fn shallow(depth: usize, empty: bool, out: &[u8]) -> Result<()> {
    if depth >= DEPTH_MAX && !empty {
        return Err(Error::TooDeep { at: out.len(), limit: DEPTH_MAX });
    }
    Ok(())
}

pub(crate) fn encode_integer(value: i64, out: &mut Vec<u8>) {
    if let Ok(byte @ -16..) = i8::try_from(value) {
        out.push(byte.cast_unsigned());
    } else if let Ok(byte) = i8::try_from(value) {
        out.extend_from_slice(&[0xc8, byte.cast_unsigned()]);
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xc9);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xca);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn encode_text(value: &str, out: &mut Vec<u8>) -> Result<()> {
    length(value.len(), Some(0x80), 0xd0, out)?;
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

pub(crate) fn encode_list_length(items: usize, out: &mut Vec<u8>) -> Result<()> {
    length(items, Some(0x90), 0xd4, out)
}

pub(crate) fn encode_structure_head(tag: u8, fields: usize, out: &mut Vec<u8>) -> Result<()> {
    match u8::try_from(fields) {
        Ok(fields @ 0..=15) => out.extend_from_slice(&[0xb0 | fields, tag]),
        _ => return Err(Error::NotEncodable { what: "a structure has at most 15 fields" }),
    }
    Ok(())
}

/// A length: within the marker `tiny` where there is one and it fits, else behind `wide` (and the two markers
/// that follow it).
fn length(length: usize, tiny: Option<u8>, wide: u8, out: &mut Vec<u8>) -> Result<()> {
    if let (Some(tiny), Ok(length @ 0..=15)) = (tiny, u8::try_from(length)) {
        out.push(tiny | length);
    } else if let Ok(length) = u8::try_from(length) {
        out.extend_from_slice(&[wide, length]);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(wide + 1);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        let length = u32::try_from(length)
            .map_err(|_| Error::NotEncodable { what: "a length has at most 32 bits" })?;
        out.push(wide + 2);
        out.extend_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
