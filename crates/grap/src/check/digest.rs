//! The digest of a graph: the sum, modulo 2^128, of the XXH3-128 of each node and each relationship, in the encoding of
//! `docs/format/digest.md`. No order matters but that of labels and properties within an entity: by name.
//!
//! What Cypher does not tell apart has one encoding: integers of all sizes, both kinds of floats, a text and a single
//! character.

use grap_neo4j::record::{Value, Zone};
use twox_hash::XxHash3_128;

use super::tokens::Token;

const NODE: u8 = b'N';
const RELATIONSHIP: u8 = b'R';

/// Encodes one entity after another, in buffers that are used again.
#[derive(Default)]
pub(super) struct Encoder {
    /// The entity from its beginning; at the end, all of it.
    whole: Vec<u8>,
    /// Its properties, in the order in which they came.
    properties: Vec<u8>,
    places: Vec<Place>,
}

/// Where a property is encoded.
#[derive(Clone, Copy)]
struct Place {
    rank: u32,
    begin: usize,
    end: usize,
}

/// An entity, done.
pub(super) struct Encoded {
    pub(super) hash: u128,
    pub(super) properties: u64,
    /// A property stands there twice.
    pub(super) has_twins: bool,
}

impl Encoder {
    /// `labels` in order of their names.
    pub(super) fn node<'a>(&mut self, id: u64, labels: impl ExactSizeIterator<Item = &'a str>) {
        self.begin(NODE);
        self.whole.extend(id.to_le_bytes());
        count(&mut self.whole, labels.len());
        for label in labels {
            text(&mut self.whole, label);
        }
    }

    pub(super) fn relationship(&mut self, id: u64, start: u64, end: u64, kind: &str) {
        self.begin(RELATIONSHIP);
        for number in [id, start, end] {
            self.whole.extend(number.to_le_bytes());
        }
        text(&mut self.whole, kind);
    }

    fn begin(&mut self, tag: u8) {
        self.whole.clear();
        self.properties.clear();
        self.places.clear();
        self.whole.push(tag);
    }

    pub(super) fn property(&mut self, key: &Token, property: &Value<'_>) {
        let begin = self.properties.len();
        text(&mut self.properties, &key.name);
        value(&mut self.properties, property);
        self.places.push(Place { rank: key.rank, begin, end: self.properties.len() });
    }

    pub(super) fn finish(&mut self) -> Encoded {
        self.places.sort_by_key(|place| place.rank);
        let has_twins = self.places.windows(2).any(|pair| pair[0].rank == pair[1].rank);
        count(&mut self.whole, self.places.len());
        for place in &self.places {
            self.whole.extend_from_slice(&self.properties[place.begin..place.end]);
        }
        let hash = XxHash3_128::oneshot(&self.whole);
        Encoded { hash, properties: self.places.len() as u64, has_twins }
    }
}

fn value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Bool(truth) => out.extend([1, u8::from(*truth)]),
        Value::Byte(number) => integer(out, i64::from(*number)),
        Value::Short(number) => integer(out, i64::from(*number)),
        Value::Int(number) => integer(out, i64::from(*number)),
        Value::Long(number) => integer(out, *number),
        Value::Float(number) => float(out, f64::from(*number)),
        Value::Double(number) => float(out, *number),
        Value::Char(unit) => {
            let character = char::from_u32(u32::from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
            tagged(out, 4, |out| text(out, character.encode_utf8(&mut [0; 4])));
        }
        Value::Text(characters) => tagged(out, 4, |out| text(out, characters)),
        Value::Bytes(bytes) => tagged(out, 5, |out| sized(out, bytes)),
        Value::Date(days) => tagged(out, 6, |out| out.extend(days.to_le_bytes())),
        Value::LocalTime(nanos) => tagged(out, 7, |out| out.extend(nanos.to_le_bytes())),
        Value::Time { nanos, offset } => tagged(out, 8, |out| {
            out.extend(nanos.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }),
        Value::LocalDateTime { seconds, nanos } => tagged(out, 9, |out| instant(out, *seconds, *nanos)),
        Value::DateTime { seconds, nanos, zone: Zone::Offset(offset) } => tagged(out, 10, |out| {
            instant(out, *seconds, *nanos);
            out.extend(offset.to_le_bytes());
        }),
        Value::DateTime { seconds, nanos, zone: Zone::Named(name) } => tagged(out, 11, |out| {
            instant(out, *seconds, *nanos);
            text(out, name);
        }),
        Value::Duration { months, days, seconds, nanos } => tagged(out, 12, |out| {
            for part in [months, days, seconds] {
                out.extend(part.to_le_bytes());
            }
            out.extend(nanos.to_le_bytes());
        }),
        Value::Point(point) => tagged(out, 13, |out| {
            out.extend(point.code.to_le_bytes());
            out.push(point.dimension);
            for coordinate in point.coordinates() {
                out.extend(bits(*coordinate).to_le_bytes());
            }
        }),
        Value::List(items) => tagged(out, 14, |out| {
            count(out, items.len());
            for item in items {
                self::value(out, item);
            }
        }),
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, rest: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    rest(out);
}

fn integer(out: &mut Vec<u8>, number: i64) {
    tagged(out, 2, |out| out.extend(number.to_le_bytes()));
}

fn float(out: &mut Vec<u8>, number: f64) {
    tagged(out, 3, |out| out.extend(bits(number).to_le_bytes()));
}

/// There are many NaN, and drivers do not keep them apart.
fn bits(number: f64) -> u64 {
    if number.is_nan() { 0x7FF8_0000_0000_0000 } else { number.to_bits() }
}

fn instant(out: &mut Vec<u8>, seconds: i64, nanos: i32) {
    out.extend(seconds.to_le_bytes());
    out.extend(nanos.to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    sized(out, text.as_bytes());
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Nothing in a store is as long as 2^32.
fn count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}
