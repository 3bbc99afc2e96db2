//! Vectors (Bolt 6.0), and what a server holds and cannot send in the version that was agreed on.

use super::structure;
use crate::packstream::{Map, Value};

const VECTOR: u8 = b'V';
const UNSUPPORTED: u8 = b'?';

/// Elements of one type, big-endian, one behind the other. The type goes as the marker that PackStream has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vector<'a> {
    pub element: Element,
    pub bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
}

impl Element {
    const ALL: [Self; 6] = [Self::Int8, Self::Int16, Self::Int32, Self::Int64, Self::Float32, Self::Float64];

    fn marker(self) -> u8 {
        match self {
            Self::Int8 => 0xc8,
            Self::Int16 => 0xc9,
            Self::Int32 => 0xca,
            Self::Int64 => 0xcb,
            Self::Float32 => 0xc6,
            Self::Float64 => 0xc1,
        }
    }

    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Float32 => 4,
            Self::Int64 | Self::Float64 => 8,
        }
    }
}

impl<'a> Vector<'a> {
    pub fn of(value: &'a Value) -> Option<Self> {
        let [Value::Bytes(marker), Value::Bytes(bytes)] = value.fields_of(VECTOR)? else { return None };
        let element = Element::ALL.into_iter().find(|element| [element.marker()] == marker[..])?;
        bytes.len().is_multiple_of(element.size()).then_some(Self { element, bytes })
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl From<Vector<'_>> for Value {
    fn from(vector: Vector<'_>) -> Self {
        structure(VECTOR, [vec![vector.element.marker()].into(), vector.bytes.to_vec().into()])
    }
}

/// In the place of a value whose type came with a later version of Bolt. (Servers send a vector to a client of 5.8 as
/// a plain map instead: `{originalType, reason: 'UNKNOWN_TYPE'}`.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unsupported<'a> {
    pub name: &'a str,
    /// The version of Bolt that has it.
    pub since: (i64, i64),
    pub extra: &'a Map,
}

impl<'a> Unsupported<'a> {
    pub fn of(value: &'a Value) -> Option<Self> {
        let [Value::Text(name), Value::Int(major), Value::Int(minor), Value::Map(extra)] =
            value.fields_of(UNSUPPORTED)?
        else {
            return None;
        };
        Some(Self { name, since: (*major, *minor), extra })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_whole_elements() {
        let value = Value::from(Vector { element: Element::Float32, bytes: &[0x3f, 0x80, 0, 0] });
        assert_eq!(Vector::of(&value).map(|vector| vector.len()), Some(1));
        let cut = structure(VECTOR, [vec![0xc6_u8].into(), vec![1_u8, 2, 3].into()]);
        assert_eq!(Vector::of(&cut), None);
    }
}
