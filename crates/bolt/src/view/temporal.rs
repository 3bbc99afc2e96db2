//! Dates, times, durations, as numbers: a calendar is not needed to keep them.

use super::structure;
use crate::packstream::Value;

const DATE: u8 = b'D';
const TIME: u8 = b'T';
const LOCAL_TIME: u8 = b't';
/// Seconds in UTC. (The older `F` counts the seconds of the local clock; no server sends it to us.)
const DATE_TIME: u8 = b'I';
/// The same with a zone; the older one is `f`.
const DATE_TIME_ZONE: u8 = b'i';
const LOCAL_DATE_TIME: u8 = b'd';
const DURATION: u8 = b'E';

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub days: i64,
}

/// Nanoseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    pub nanoseconds: i64,
}

/// Nanoseconds since midnight of the local clock, and how many seconds it goes before UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub nanoseconds: i64,
    pub offset_seconds: i64,
}

/// Since 1970-01-01T00:00:00 of an unknown clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDateTime {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// Since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime<'a> {
    pub seconds: i64,
    pub nanoseconds: i64,
    pub zone: Zone<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone<'a> {
    /// Seconds before UTC.
    Offset(i64),
    Named(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    pub months: i64,
    pub days: i64,
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// The fields of a structure where all are integers and there are so many.
fn integers<const N: usize>(value: &Value, tag: u8) -> Option<[i64; N]> {
    let fields: &[Value; N] = value.fields_of(tag)?.try_into().ok()?;
    let mut integers = [0; N];
    for (place, field) in integers.iter_mut().zip(fields) {
        *place = field.as_int()?;
    }
    Some(integers)
}

impl Date {
    pub fn of(value: &Value) -> Option<Self> {
        integers(value, DATE).map(|[days]| Self { days })
    }
}

impl LocalTime {
    pub fn of(value: &Value) -> Option<Self> {
        integers(value, LOCAL_TIME).map(|[nanoseconds]| Self { nanoseconds })
    }
}

impl Time {
    pub fn of(value: &Value) -> Option<Self> {
        integers(value, TIME).map(|[nanoseconds, offset_seconds]| Self { nanoseconds, offset_seconds })
    }
}

impl LocalDateTime {
    pub fn of(value: &Value) -> Option<Self> {
        integers(value, LOCAL_DATE_TIME).map(|[seconds, nanoseconds]| Self { seconds, nanoseconds })
    }
}

impl<'a> DateTime<'a> {
    pub fn of(value: &'a Value) -> Option<Self> {
        if let Some([seconds, nanoseconds, offset]) = integers(value, DATE_TIME) {
            return Some(Self { seconds, nanoseconds, zone: Zone::Offset(offset) });
        }
        let [Value::Int(seconds), Value::Int(nanoseconds), Value::Text(zone)] =
            value.fields_of(DATE_TIME_ZONE)?
        else {
            return None;
        };
        Some(Self { seconds: *seconds, nanoseconds: *nanoseconds, zone: Zone::Named(zone) })
    }
}

impl Duration {
    pub fn of(value: &Value) -> Option<Self> {
        integers(value, DURATION).map(|[months, days, seconds, nanoseconds]| Self {
            months,
            days,
            seconds,
            nanoseconds,
        })
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Self {
        structure(DATE, [date.days.into()])
    }
}

impl From<LocalTime> for Value {
    fn from(time: LocalTime) -> Self {
        structure(LOCAL_TIME, [time.nanoseconds.into()])
    }
}

impl From<Time> for Value {
    fn from(time: Time) -> Self {
        structure(TIME, [time.nanoseconds.into(), time.offset_seconds.into()])
    }
}

impl From<LocalDateTime> for Value {
    fn from(at: LocalDateTime) -> Self {
        structure(LOCAL_DATE_TIME, [at.seconds.into(), at.nanoseconds.into()])
    }
}

impl From<DateTime<'_>> for Value {
    fn from(at: DateTime<'_>) -> Self {
        match at.zone {
            Zone::Offset(offset) => {
                structure(DATE_TIME, [at.seconds.into(), at.nanoseconds.into(), offset.into()])
            }
            Zone::Named(zone) => {
                structure(DATE_TIME_ZONE, [at.seconds.into(), at.nanoseconds.into(), zone.into()])
            }
        }
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        let Duration { months, days, seconds, nanoseconds } = duration;
        structure(DURATION, [months.into(), days.into(), seconds.into(), nanoseconds.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_other_fields_is_not_looked_at() {
        assert_eq!(Date::of(&structure(DATE, [1.into(), 2.into()])), None);
        assert_eq!(Date::of(&structure(DATE, ["1".into()])), None);
        assert_eq!(Date::of(&1.into()), None);
        assert_eq!(DateTime::of(&structure(b'F', [1.into(), 2.into(), 3.into()])), None);
    }
}
