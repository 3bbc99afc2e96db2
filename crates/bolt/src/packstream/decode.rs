//! Bytes to owned values.
//!
//! The recursion ends at [`DEPTH_MAX`]; a list takes memory for what is there, never for what its head announces.

use super::token::{Reader, Token};
use super::value::{Map, Structure, Value};
use crate::error::{Error, Result};

/// Lists, maps and structures within each other. Cypher's own values stay far below it.
pub const DEPTH_MAX: usize = 128;

/// The value at the beginning of `bytes`, and its length there.
pub fn decode(bytes: &[u8]) -> Result<(Value, usize)> {
    let mut reader = Reader::new(bytes);
    let value = value(&mut reader, 0)?;
    Ok((value, reader.at()))
}

/// The one value that `bytes` hold.
pub fn decode_whole(bytes: &[u8]) -> Result<Value> {
    match decode(bytes)? {
        (value, length) if length == bytes.len() => Ok(value),
        _ => Err(Error::NotAMessage { what: "bytes follow the value" }),
    }
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Value> {
    let at = reader.at();
    let token = reader.token()?;
    if depth >= DEPTH_MAX && token.children() > 0 {
        return Err(Error::TooDeep { at, limit: DEPTH_MAX });
    }
    Ok(match token {
        Token::Null => Value::Null,
        Token::Bool(value) => Value::Bool(value),
        Token::Int(value) => Value::Int(value),
        Token::Float(value) => Value::Float(value),
        Token::Uuid(value) => Value::Uuid(value),
        Token::Bytes(value) => Value::Bytes(value.to_vec()),
        Token::Text(value) => Value::Text(value.to_owned()),
        Token::List(length) => Value::List(values(reader, length, depth + 1)?),
        Token::Map(length) => Value::Map(map(reader, length, depth + 1)?),
        Token::Structure { tag, fields } => {
            Value::Structure(Structure { tag, fields: values(reader, u32::from(fields), depth + 1)? })
        }
    })
}

fn values(reader: &mut Reader<'_>, length: u32, depth: usize) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(room::<Value>(length, reader.rest().len()));
    for _ in 0..length {
        values.push(value(reader, depth)?);
    }
    Ok(values)
}

fn map(reader: &mut Reader<'_>, length: u32, depth: usize) -> Result<Map> {
    let mut pairs = Vec::with_capacity(room::<(String, Value)>(length, reader.rest().len()));
    for _ in 0..length {
        let at = reader.at();
        let Token::Text(key) = reader.token()? else {
            return Err(Error::KeyNotText { at });
        };
        pairs.push((key.to_owned(), value(reader, depth)?));
    }
    Ok(Map(pairs))
}

/// For how many elements memory is taken at once: no more bytes than are there.
fn room<T>(announced: u32, bytes_there: usize) -> usize {
    usize::try_from(announced).unwrap_or(usize::MAX).min(bytes_there / size_of::<T>() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_takes_no_memory() {
        assert_eq!(room::<Value>(u32::MAX, 0), 1);
        assert!(room::<Value>(u32::MAX, 1000) * size_of::<Value>() <= 1000 + size_of::<Value>());
        let bytes = [&[0xd6, 0xff, 0xff, 0xff, 0xff][..], &[0xc0; 20]].concat();
        assert!(matches!(decode(&bytes), Err(Error::NeedMore { at: 25 })));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0x90]].concat();
        assert!(decode_whole(&nested(DEPTH_MAX)).is_ok());
        assert!(matches!(decode_whole(&nested(DEPTH_MAX + 1)), Err(Error::TooDeep { at: DEPTH_MAX, .. })));
        assert!(matches!(decode_whole(&nested(10_000_000)), Err(Error::TooDeep { .. })));
    }
}
