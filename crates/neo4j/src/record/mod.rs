//! The record stores of format `aligned`: nodes, relationships, groups, properties, labels, tokens, schema.
//!
//! Pure: a record is an array of bytes and becomes a value; which record lies where is [`Geometry`]. Everything is
//! big-endian (`docs/format/record-stores.md`).
//!
//! - Any bytes give a value or an error, never a panic; nothing is allocated by a length that a record claims.
//! - Values are lossless: the type as it is stored, all bits of a float, the zone of a time ([`Value`]).
//! - A record says what it points at. Whether that is there is the business of whoever reads the stores.

#![expect(
    clippy::cast_possible_truncation,
    reason = "fields are cut out of words: the type that they are cast to, or a mask, says how wide they are"
)]

mod array;
mod bits;
mod dynamic;
mod group;
mod inline;
mod labels;
mod layout;
mod node;
mod property;
mod relationship;
mod short_string;
mod temporal;
mod token;
mod value;
mod zone;

pub use array::{decode_array, decode_long_array};
pub use dynamic::{DynamicRecord, dynamic_record_size};
pub use group::{GroupHead, GroupRecord};
pub use inline::{Stored, decode_block};
pub use labels::{LabelField, Labels};
pub use layout::{Geometry, PAGE_SIZE, RecordStore};
pub use node::NodeRecord;
pub use property::{Block, Blocks, PropertyRecord};
pub use relationship::{RelationshipRecord, Side};
pub use token::{SchemaRecord, TokenRecord};
pub use value::{Point, Value, ValueError, Zone};
pub use zone::zone_name;

/// An id in two parts; all bits of the lower part set and none of the upper: none.
fn reference(low: u32, high: u64) -> Option<u64> {
    if low == u32::MAX && high == 0 { None } else { Some(high | u64::from(low)) }
}

fn u16_at<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}
