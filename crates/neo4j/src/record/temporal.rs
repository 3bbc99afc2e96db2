//! Dates, times, durations: in blocks, and as items of arrays.

use super::value::{Value, ValueError, Zone};
use super::zone::zone_name;

const DATE: u8 = 1;
const LOCAL_TIME: u8 = 2;
const LOCAL_DATE_TIME: u8 = 3;
const TIME: u8 = 4;
const DATE_TIME: u8 = 5;
const DURATION: u8 = 6;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;
const OFFSET_MAX: i64 = 18 * 3600;

fn kind_of(first: u64) -> u8 {
    (first >> 28 & 0xF) as u8
}

fn has_flag(first: u64) -> bool {
    first >> 32 & 1 != 0
}

pub(super) fn blocks_of(first: u64) -> Result<usize, ValueError> {
    Ok(match kind_of(first) {
        DATE | LOCAL_TIME => 1 + usize::from(!has_flag(first)),
        LOCAL_DATE_TIME | TIME => 2,
        DATE_TIME => 3,
        DURATION => 4,
        other => return Err(ValueError::UnknownTimeKind(other)),
    })
}

pub(super) fn decode(blocks: &[u64]) -> Result<Value<'static>, ValueError> {
    let block = |index: usize| blocks.get(index).copied().ok_or(ValueError::TooShort);
    let long = |index: usize| block(index).map(u64::cast_signed);
    let first = block(0)?;
    // A small one stands in the first block.
    let small = || if has_flag(first) { Ok((first >> 33).cast_signed()) } else { long(1) };
    match kind_of(first) {
        DATE => Ok(Value::Date(small()?)),
        LOCAL_TIME => local_time(small()?),
        LOCAL_DATE_TIME => local_date_time(long(1)?, (first >> 32).cast_signed()),
        TIME => {
            let offset = offset(i64::from(((first >> 32) as u32).cast_signed()))?;
            // UTC, counted from the begin of the local day's date: it may be below zero, or beyond a day.
            let local = long(1)?.checked_add(i64::from(offset) * NANOS_PER_SECOND);
            Ok(Value::Time { nanos: in_day(local.unwrap_or(i64::MAX))?, offset })
        }
        DATE_TIME => {
            let zone = if has_flag(first) { Zone::Offset(offset(long(2)?)?) } else { named(block(2)?)? };
            date_time(long(1)?, (first >> 33).cast_signed(), zone)
        }
        DURATION => duration(long(1)?, long(2)?, long(3)?, (first >> 32).cast_signed()),
        other => Err(ValueError::UnknownTimeKind(other)),
    }
}

/// How many longs an item of an array has.
pub(super) fn longs_of(kind: u8) -> Result<usize, ValueError> {
    Ok(match kind {
        DATE | LOCAL_TIME => 1,
        LOCAL_DATE_TIME | TIME => 2,
        DATE_TIME => 3,
        DURATION => 4,
        other => return Err(ValueError::UnknownTimeKind(other)),
    })
}

/// An item of an array, of as many longs as [`longs_of`] says.
pub(super) fn item(kind: u8, longs: &[i64]) -> Result<Value<'static>, ValueError> {
    match (kind, longs) {
        (DATE, &[days]) => Ok(Value::Date(days)),
        (LOCAL_TIME, &[nanos]) => local_time(nanos),
        (LOCAL_DATE_TIME, &[seconds, nanos]) => local_date_time(seconds, nanos),
        (TIME, &[nanos, seconds]) => Ok(Value::Time { nanos: in_day(nanos)?, offset: offset(seconds)? }),
        (DATE_TIME, &[seconds, nanos, zone]) => {
            let is_offset = zone & 1 != 0;
            let zone = if is_offset {
                Zone::Offset(offset(zone >> 1)?)
            } else {
                named((zone >> 1).cast_unsigned())?
            };
            date_time(seconds, nanos, zone)
        }
        (DURATION, &[months, days, seconds, nanos]) => duration(months, days, seconds, nanos),
        _ => Err(ValueError::UnknownTimeKind(kind)),
    }
}

fn local_time(nanos: i64) -> Result<Value<'static>, ValueError> {
    in_day(nanos).map(Value::LocalTime)
}

fn local_date_time(seconds: i64, nanos: i64) -> Result<Value<'static>, ValueError> {
    Ok(Value::LocalDateTime { seconds, nanos: in_second(nanos)? })
}

fn date_time(seconds: i64, nanos: i64, zone: Zone) -> Result<Value<'static>, ValueError> {
    Ok(Value::DateTime { seconds, nanos: in_second(nanos)?, zone })
}

fn duration(months: i64, days: i64, seconds: i64, nanos: i64) -> Result<Value<'static>, ValueError> {
    Ok(Value::Duration { months, days, seconds, nanos: in_second(nanos)? })
}

fn in_second(nanos: i64) -> Result<i32, ValueError> {
    let in_second = (0..NANOS_PER_SECOND).contains(&nanos);
    let nanos_i32 = i32::try_from(nanos).ok().filter(|_| in_second);
    nanos_i32.ok_or(ValueError::OutOfRange { what: "nanosecond", value: nanos })
}

fn in_day(nanos: i64) -> Result<i64, ValueError> {
    let in_day = (0..NANOS_PER_DAY).contains(&nanos);
    in_day.then_some(nanos).ok_or(ValueError::OutOfRange { what: "nanosecond of the day", value: nanos })
}

fn offset(seconds: i64) -> Result<i32, ValueError> {
    let possible = (-OFFSET_MAX..=OFFSET_MAX).contains(&seconds);
    let offset = i32::try_from(seconds).ok().filter(|_| possible);
    offset.ok_or(ValueError::OutOfRange { what: "offset from UTC", value: seconds })
}

fn named(number: u64) -> Result<Zone, ValueError> {
    zone_name(number).map(Zone::Named).ok_or(ValueError::UnknownZone(number))
}
