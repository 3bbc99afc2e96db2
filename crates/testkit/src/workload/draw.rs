//! Random property values: every type that Neo4j stores, every size class of its records.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::value::{Point, Value, Zone};

/// Label combinations of new nodes; the last one needs a label record of its own.
pub(crate) const LABELS: [&[&str]; 7] = [
    &[],
    &["A"],
    &["B"],
    &["A", "B"],
    &["A", "C"],
    &["B", "C", "D"],
    &["A", "C", "D", "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9"],
];
/// Every label that a statement of the workload may have to set.
pub(crate) const ALL_LABELS: [&str; 15] =
    ["Marker", "Hub", "A", "B", "C", "D", "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9"];
/// Labels that come and go.
pub(crate) const LOOSE_LABELS: [&str; 6] = ["A", "B", "C", "D", "W1", "W9"];
/// Types of relationships.
pub(crate) const TYPES: [&str; 4] = ["LINK", "KNOWS", "OWNS", "NEAR"];
/// Property keys of nodes; each key has one type of value.
pub(crate) const NODE_KEYS: [&str; 24] = [
    "i", "big", "f", "b", "s", "t", "word", "ia", "fa", "sa", "ba", "y", "d", "lt", "tm", "ldt", "dt", "dtz",
    "du", "da", "p2", "p3", "g2", "g3",
];
/// Property keys of relationships.
pub(crate) const RELATIONSHIP_KEYS: [&str; 5] = ["w", "s", "t", "dt", "ia"];

const WORDS: [&str; 12] = [
    "amber", "birch", "cobalt", "delta", "ember", "fjord", "garnet", "harbor", "indigo", "juniper", "kelp",
    "lagoon",
];
const TYPICAL_LENGTHS: [usize; 6] = [40, 90, 130, 250, 700, 3000];

/// A value for a property key.
pub(crate) fn value(key: &str, random: &mut impl Rng) -> Value {
    match key {
        "i" => Value::Int(random.random_range(0..500)),
        "big" => Value::Int(random.random()),
        "f" => Value::Float(random.random_range(-1e6..1e6)),
        "w" => Value::Float(f64::from(random.random_range(0..100)) * 0.5),
        "b" => Value::Bool(random.random()),
        "s" => Value::Text(format!("{}{}", word(random), random.random_range(0..50))),
        "t" => {
            let length = *TYPICAL_LENGTHS.choose(random).expect("not empty");
            text(random, length)
        }
        "word" => Value::Text(format!("{} {} w{}", word(random), word(random), random.random_range(0..400))),
        "ia" => many(random, |random| Value::Int(random.random_range(-1000..1000))),
        "fa" => many(random, |random| Value::Float(random.random())),
        "sa" => many(random, |random| Value::Text(format!("{},\\{}", word(random), random.random::<u16>()))),
        "ba" => many(random, |random| Value::Bool(random.random())),
        "da" => many(random, |random| Value::Date(random.random_range(0..30_000))),
        "y" => Value::Bytes((0..random.random_range(1..60)).map(|_| random.random()).collect()),
        "d" => Value::Date(random.random_range(-30_000..60_000)),
        "lt" => Value::LocalTime(nanos_of_day(random)),
        "tm" => Value::Time(nanos_of_day(random), offset(random)),
        "ldt" => Value::LocalDateTime(seconds(random), random.random_range(0..1_000_000_000)),
        "dt" => Value::DateTime(
            seconds(random),
            random.random_range(0..1_000_000_000),
            Zone::Offset(offset(random)),
        ),
        "dtz" => Value::DateTime(seconds(random), random.random_range(0..1_000_000_000), zone(random)),
        "du" => Value::Duration(
            random.random_range(-30..30),
            random.random_range(-400..400),
            random.random_range(0..100_000),
            random.random_range(0..1_000_000_000),
        ),
        "p2" => Value::Point(Point::Cartesian(coordinate(random, 100), coordinate(random, 100))),
        "p3" => {
            let (x, y, z) = (coordinate(random, 100), coordinate(random, 100), coordinate(random, 100));
            Value::Point(Point::Cartesian3D(x, y, z))
        }
        "g2" => Value::Point(Point::Wgs84(coordinate(random, 180), coordinate(random, 90))),
        "g3" => Value::Point(Point::Wgs84Height(coordinate(random, 180), coordinate(random, 90), 12.5)),
        other => unreachable!("no values for key {other}"),
    }
}

/// A text of about this many characters, not all of them ASCII.
pub(crate) fn text(random: &mut impl Rng, length: usize) -> Value {
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(word(random));
        text.push_str(["-", " ", "ß", "→", "0"].choose(random).expect("not empty"));
    }
    Value::Text(text)
}

fn word(random: &mut impl Rng) -> &'static str {
    WORDS.choose(random).expect("not empty")
}

fn many<R: Rng>(random: &mut R, item: impl Fn(&mut R) -> Value) -> Value {
    let length = if random.random_ratio(1, 10) { 80 } else { random.random_range(1..8) };
    Value::List((0..length).map(|_| item(random)).collect())
}

fn nanos_of_day(random: &mut impl Rng) -> u64 {
    random.random_range(0..86_400_000_000_000)
}

fn seconds(random: &mut impl Rng) -> i64 {
    random.random_range(0..2_000_000_000)
}

fn offset(random: &mut impl Rng) -> i32 {
    random.random_range(-12..=12) * 3600
}

fn zone(random: &mut impl Rng) -> Zone {
    let zones = [chrono_tz::Europe::Berlin, chrono_tz::America::New_York, chrono_tz::Asia::Tokyo];
    Zone::Named(*zones.choose(random).expect("not empty"))
}

fn coordinate(random: &mut impl Rng, limit: i32) -> f64 {
    f64::from(random.random_range(-limit * 4..limit * 4)) * 0.25
}
