//! Values that are more than text.

use std::time::Duration;

use grap_core::schedule::time_zone;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

/// Bytes, or bytes a second: `1048576`, `100KiB`, `1.5MB`.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| "it is not a number with a unit, as 100KiB".to_owned())?;
    let factor: f64 = match unit.trim().trim_end_matches("/s") {
        "" | "B" => 1.0,
        "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1024.0 * 1024.0,
        "G" | "GiB" => 1024.0 * 1024.0 * 1024.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        unit => return Err(format!("`{unit}` is no unit: B, KiB, MiB, GiB, kB, MB, GB")),
    };
    let bytes = number * factor;
    if !(1.0..=1e15).contains(&bytes) {
        return Err("it must be at least one byte".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e15")]
    Ok(bytes as u64)
}

/// `UID` or `UID:GID`; without a group the group has the user's number.
pub(crate) fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    let why = || "it is not UID or UID:GID, in numbers".to_owned();
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    Ok((user.parse().map_err(|_| why())?, group.parse().map_err(|_| why())?))
}

/// Memory as the JVM and Neo4j write it: `512m`, `2g`.
pub(crate) fn parse_memory(text: &str) -> Result<String, String> {
    let size = text.trim().to_ascii_lowercase();
    let digits = size.strip_suffix(['m', 'g']).unwrap_or_default();
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
    match number {
        Some(number) if number > 0 => Ok(size),
        _ => Err("it is not a number with m or g behind it, as 512m".to_owned()),
    }
}

/// A span of time: `90s`, `30m`, `1h 30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let why = || "it is no span of time, as 90s, 30m or 2h".to_owned();
    let span: SignedDuration = text.trim().parse().map_err(|_| why())?;
    Duration::try_from(span).ok().filter(|span| !span.is_zero()).ok_or_else(why)
}

/// A whole number within bounds.
pub(crate) fn parse_between(text: &str, least: i32, most: i32) -> Result<i32, String> {
    let number: i32 = text.trim().parse().map_err(|_| "it is not a whole number".to_owned())?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("it is not between {least} and {most}"))
    }
}

/// A name of the IANA database.
pub(crate) fn parse_time_zone(text: &str) -> Result<TimeZone, String> {
    time_zone(text).map_err(|error| error.to_string())
}

/// The zone that the system is set to (`$TZ`, `/etc/localtime`); UTC where it is set to none.
pub(crate) fn system_time_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        for (text, bytes) in [
            ("100", 100),
            ("100KiB", 102_400),
            ("1.5MiB", 1_572_864),
            ("2MB/s", 2_000_000),
            ("1 GiB", 1 << 30),
        ] {
            assert_eq!(parse_rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "1XB", "fast", "1e30"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_and_spans_have_units() {
        assert_eq!(parse_memory(" 512M ").as_deref(), Ok("512m"));
        assert_eq!(parse_memory("2g").as_deref(), Ok("2g"));
        for text in ["", "m", "0m", "512", "-1m", "1.5g", "512m -XX:x", "9999999999g"] {
            assert!(parse_memory(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_mins(90)));
        for text in ["", "0s", "-5m", "soon", "30", "1 month"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn owners_are_numbers() {
        assert_eq!(parse_owner("7474"), Ok((7474, 7474)));
        assert_eq!(parse_owner("7474:0"), Ok((7474, 0)));
        assert!(parse_owner("neo4j").is_err());
    }
}
