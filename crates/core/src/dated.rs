//! Names that are made of the UTC second in which something began: `<kind>-YYYYMMDD-HHMMSS`; a second one in the same
//! second gets `-2`. They sort by time as text, up to nine in one second. Some name a directory, too: so nothing else is
//! read as one.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The names of this second, in the order in which they are taken.
pub(crate) fn names(kind: &str, now: Timestamp) -> impl Iterator<Item = String> {
    let stem = format!("{kind}-{}", now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S"));
    let further = stem.clone();
    std::iter::once(stem).chain((2..).map(move |number: u32| format!("{further}-{number}")))
}

pub(crate) fn is_name(kind: &str, text: &str) -> bool {
    let digits =
        |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let further =
        |number: &str| number.parse::<u32>().is_ok_and(|parsed| parsed >= 2 && parsed.to_string() == number);
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [first, date, time] => *first == kind && digits(date, 8) && digits(time, 6),
        [first, date, time, number] => {
            *first == kind && digits(date, 8) && digits(time, 6) && further(number)
        }
        _ => false,
    }
}
