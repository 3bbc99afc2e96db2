//! What a server answers. To each request one SUCCESS, FAILURE or IGNORED; before it, to PULL, any number of RECORDs.

use super::{Failure, Head, tag};
use crate::error::{Error, Result};
use crate::packstream::{Map, Raw, Value, encode, encode_list_length, encode_map, encode_structure_head};

#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    Success(Map),
    Failure(Failure),
    /// Something before it had failed.
    Ignored,
    Record(Vec<Value>),
}

impl Response {
    /// Appends the message, without chunks.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Success(map) => {
                encode_structure_head(tag::SUCCESS, 1, out)?;
                encode_map(map, out)
            }
            Self::Failure(Failure(map)) => {
                encode_structure_head(tag::FAILURE, 1, out)?;
                encode_map(map, out)
            }
            Self::Ignored => encode_structure_head(tag::IGNORED, 0, out),
            Self::Record(values) => {
                encode_structure_head(tag::RECORD, 1, out)?;
                encode_list_length(values.len(), out)?;
                values.iter().try_for_each(|value| encode(value, out))
            }
        }
    }

    /// Of a whole message.
    pub fn decode(message: &[u8]) -> Result<Self> {
        let head = Head::of(message)?;
        let values: Vec<Value> = head.fields().map(Raw::to_value).collect::<Result<_>>()?;
        match (head.tag, <[Value; 1]>::try_from(values)) {
            (tag::SUCCESS, Ok([Value::Map(map)])) => Ok(Self::Success(map)),
            (tag::FAILURE, Ok([Value::Map(map)])) => Ok(Self::Failure(Failure(map))),
            (tag::RECORD, Ok([Value::List(values)])) => Ok(Self::Record(values)),
            // Old servers put an empty map into it.
            (tag::IGNORED, _) => Ok(Self::Ignored),
            (tag::SUCCESS | tag::FAILURE | tag::RECORD, _) => {
                Err(Error::NotAMessage { what: "the answer has other fields than it should" })
            }
            _ => Err(Error::NotAMessage { what: "no answer has this tag" }),
        }
    }
}
