//! Property values and their canonical text: the one form in which the oracle, the judge and Bolt are
//! compared.
//!
//! | value | canonical |
//! |---|---|
//! | integer, boolean, string | `i:7`, `b:true`, `s:text` |
//! | float | `f:` + 16 hex digits of its bits |
//! | bytes | `x:` + hex |
//! | date | `d:` days since 1970 |
//! | local time, time | `lt:` nanoseconds of the day; `t:` the same + `,` offset in seconds |
//! | local datetime | `ldt:` seconds since 1970 + `,` nanoseconds |
//! | datetime | `dt:` UTC seconds, nanoseconds, offset in seconds or name of the zone |
//! | duration | `du:` months, days, seconds, nanoseconds |
//! | point | `p:` SRID, bits of each coordinate |
//! | list | `[a,b]`, with `\` before each `\` and `,` inside an element |

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Timelike};
use neo4j::value::time::{Duration, Time, Tz};
use neo4j::value::{ValueReceive, ValueSend, spatial};

/// A property value, as the workload makes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds of the day.
    LocalTime(u64),
    /// Nanoseconds of the day, offset in seconds.
    Time(u64, i32),
    /// Seconds since 1970, nanoseconds.
    LocalDateTime(i64, u32),
    /// UTC seconds since 1970, nanoseconds, zone.
    DateTime(i64, u32, Zone),
    /// Months, days, seconds, nanoseconds.
    Duration(i64, i64, i64, i32),
    Point(Point),
    List(Vec<Value>),
}

/// The zone of a datetime.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Zone {
    /// Seconds east of UTC.
    Offset(i32),
    Named(Tz),
}

/// A point in one of the four coordinate systems.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    Cartesian(f64, f64),
    Cartesian3D(f64, f64, f64),
    Wgs84(f64, f64),
    Wgs84Height(f64, f64, f64),
}

impl Value {
    /// Its canonical text.
    pub fn canonical(&self) -> String {
        match self {
            Self::Int(value) => format!("i:{value}"),
            Self::Float(value) => format!("f:{:016x}", value.to_bits()),
            Self::Bool(value) => format!("b:{value}"),
            Self::Text(value) => format!("s:{value}"),
            Self::Bytes(value) => hex(value),
            Self::Date(days) => format!("d:{days}"),
            Self::LocalTime(nanos) => format!("lt:{nanos}"),
            Self::Time(nanos, offset) => format!("t:{nanos},{offset}"),
            Self::LocalDateTime(seconds, nanos) => format!("ldt:{seconds},{nanos}"),
            Self::DateTime(seconds, nanos, Zone::Offset(offset)) => format!("dt:{seconds},{nanos},{offset}"),
            Self::DateTime(seconds, nanos, Zone::Named(zone)) => {
                format!("dt:{seconds},{nanos},{}", zone.name())
            }
            Self::Duration(months, days, seconds, nanos) => format!("du:{months},{days},{seconds},{nanos}"),
            Self::Point(point) => point.canonical(),
            Self::List(items) => list(items.iter().map(Self::canonical)),
        }
    }

    /// The same value as a parameter of a statement.
    pub fn to_bolt(&self) -> ValueSend {
        match self {
            Self::Int(value) => ValueSend::Integer(*value),
            Self::Float(value) => ValueSend::Float(*value),
            Self::Bool(value) => ValueSend::Boolean(*value),
            Self::Text(value) => ValueSend::String(value.clone()),
            Self::Bytes(value) => ValueSend::Bytes(value.clone()),
            Self::Date(days) => ValueSend::Date(NaiveDate::default() + TimeDelta::days(i64::from(*days))),
            Self::LocalTime(nanos) => ValueSend::LocalTime(time_of_day(*nanos)),
            Self::Time(nanos, offset) => {
                ValueSend::Time(Time { time: time_of_day(*nanos), offset: fixed(*offset) })
            }
            Self::LocalDateTime(seconds, nanos) => {
                ValueSend::LocalDateTime(instant(*seconds, *nanos).naive_utc())
            }
            Self::DateTime(seconds, nanos, Zone::Offset(offset)) => {
                ValueSend::DateTimeFixed(instant(*seconds, *nanos).with_timezone(&fixed(*offset)))
            }
            Self::DateTime(seconds, nanos, Zone::Named(zone)) => {
                ValueSend::DateTime(instant(*seconds, *nanos).with_timezone(zone))
            }
            Self::Duration(months, days, seconds, nanos) => ValueSend::Duration(
                Duration::new(*months, *days, *seconds, *nanos).expect("the workload makes small durations"),
            ),
            Self::Point(point) => point.to_bolt(),
            Self::List(items) => ValueSend::List(items.iter().map(Self::to_bolt).collect()),
        }
    }
}

impl Point {
    fn canonical(self) -> String {
        let (srid, coordinates) = match self {
            Self::Cartesian(x, y) => (7203, vec![x, y]),
            Self::Cartesian3D(x, y, z) => (9157, vec![x, y, z]),
            Self::Wgs84(x, y) => (4326, vec![x, y]),
            Self::Wgs84Height(x, y, z) => (4979, vec![x, y, z]),
        };
        let bits: String =
            coordinates.iter().fold(String::new(), |text, c| format!("{text},{:016x}", c.to_bits()));
        format!("p:{srid}{bits}")
    }

    fn to_bolt(self) -> ValueSend {
        match self {
            Self::Cartesian(x, y) => ValueSend::Cartesian2D(spatial::Cartesian2D::new(x, y)),
            Self::Cartesian3D(x, y, z) => ValueSend::Cartesian3D(spatial::Cartesian3D::new(x, y, z)),
            Self::Wgs84(x, y) => ValueSend::WGS84_2D(spatial::WGS84_2D::new(x, y)),
            Self::Wgs84Height(x, y, z) => ValueSend::WGS84_3D(spatial::WGS84_3D::new(x, y, z)),
        }
    }
}

/// Canonical text of a value that a server sent; what is no property value is shown as it is.
pub fn canonical_received(value: &ValueReceive) -> String {
    let own = match value {
        ValueReceive::Boolean(value) => Value::Bool(*value),
        ValueReceive::Integer(value) => Value::Int(*value),
        ValueReceive::Float(value) => Value::Float(*value),
        ValueReceive::String(value) => Value::Text(value.clone()),
        ValueReceive::Bytes(value) => Value::Bytes(value.clone()),
        ValueReceive::List(items) => return list(items.iter().map(canonical_received)),
        ValueReceive::Date(date) => {
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            return format!("d:{days}");
        }
        ValueReceive::LocalTime(time) => Value::LocalTime(nanos_of_day(*time)),
        ValueReceive::Time(time) => Value::Time(nanos_of_day(time.time), time.offset.local_minus_utc()),
        ValueReceive::LocalDateTime(at) => {
            Value::LocalDateTime(at.and_utc().timestamp(), at.and_utc().timestamp_subsec_nanos())
        }
        ValueReceive::DateTime(at) => {
            Value::DateTime(at.timestamp(), at.timestamp_subsec_nanos(), Zone::Named(at.timezone()))
        }
        ValueReceive::DateTimeFixed(at) => Value::DateTime(
            at.timestamp(),
            at.timestamp_subsec_nanos(),
            Zone::Offset(at.offset().local_minus_utc()),
        ),
        ValueReceive::Duration(duration) => {
            Value::Duration(duration.months(), duration.days(), duration.seconds(), duration.nanoseconds())
        }
        ValueReceive::Cartesian2D(p) => Value::Point(Point::Cartesian(p.x(), p.y())),
        ValueReceive::Cartesian3D(p) => Value::Point(Point::Cartesian3D(p.x(), p.y(), p.z())),
        ValueReceive::WGS84_2D(p) => Value::Point(Point::Wgs84(p.longitude(), p.latitude())),
        ValueReceive::WGS84_3D(p) => {
            Value::Point(Point::Wgs84Height(p.longitude(), p.latitude(), p.altitude()))
        }
        other => return format!("{other:?}"),
    };
    own.canonical()
}

fn list(items: impl Iterator<Item = String>) -> String {
    let escaped: Vec<String> = items.map(|item| item.replace('\\', "\\\\").replace(',', "\\,")).collect();
    format!("[{}]", escaped.join(","))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("x:"), |text, byte| format!("{text}{byte:02x}"))
}

fn time_of_day(nanos: u64) -> NaiveTime {
    let seconds = u32::try_from(nanos / 1_000_000_000).expect("less than a day");
    let rest = u32::try_from(nanos % 1_000_000_000).expect("less than a second");
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest).expect("less than a day")
}

fn nanos_of_day(time: NaiveTime) -> u64 {
    u64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + u64::from(time.nanosecond())
}

fn fixed(offset: i32) -> FixedOffset {
    FixedOffset::east_opt(offset).expect("offsets are below a day")
}

fn instant(seconds: i64, nanos: u32) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp(seconds, nanos).expect("the workload stays near the present")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_escape_their_separator() {
        let list = Value::List(vec![Value::Text("a,b".into()), Value::Text("c\\".into())]);
        assert_eq!(list.canonical(), "[s:a\\,b,s:c\\\\]");
    }

    #[test]
    fn floats_compare_by_their_bits() {
        assert_ne!(Value::Float(0.0).canonical(), Value::Float(-0.0).canonical());
    }
}
