//! Instants as HTTP headers and the API's messages write them. Reads no clock.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::Offset;

use crate::core::failure::RetryHint;
use crate::core::time::Timestamp;

/// The instant of an HTTP date (RFC 9110 section 5.6.7), in its present form or one of the two obsolete ones. The day
/// of the week is not compared with the date.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    IMF_FIXDATE.parse_timestamp(text).ok().map(core_time).or_else(|| obsolete_date(text))
}

/// What a `Retry-After` header says: seconds, or an HTTP date.
pub fn retry_after(text: &str) -> Option<RetryHint> {
    match text.trim().parse() {
        Ok(seconds) => Some(RetryHint::After(Duration::from_secs(seconds))),
        Err(_) => http_date(text).map(RetryHint::At),
    }
}

/// The first instant in a message of the API after `word`, such as `until 2021-12-07T11:56:37Z[UTC]`; without a zone it
/// is in UTC.
pub fn instant_after(message: &str, word: &str) -> Option<Timestamp> {
    let (_, rest) = message.split_once(word)?;
    rest.split_whitespace().find_map(instant)
}

/// The end that a field names: an instant, a day, which lasts until its last second in UTC, or milliseconds or seconds
/// since 1970.
pub fn end(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        let is_millis = number >= EPOCH_MILLIS;
        let at = if is_millis { Timestamp::from_millis(number) } else { Timestamp::from_seconds(number) };
        return (number >= EPOCH_SECONDS).then_some(at);
    }
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() <= DAY_LENGTH);
    day.and_then(|day| utc(day.at(23, 59, 59, 0))).map(core_time).or_else(|| instant(text))
}

/// The instant that a field names: with or without a zone, a day, which begins then in UTC, or milliseconds or seconds
/// since 1970.
pub fn instant_in(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() <= DAY_LENGTH);
    day.and_then(|day| utc(day.at(0, 0, 0, 0))).map(core_time).or_else(|| end(text))
}

fn instant(word: &str) -> Option<Timestamp> {
    let word = word.split('[').next().unwrap_or_default();
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let zoned = word.parse::<jiff::Timestamp>().ok();
    // jiff knows no instant in the last hours of the year 9999.
    zoned.or_else(|| utc(word.parse::<DateTime>().ok()?)).map(core_time).or_else(|| word.parse().ok())
}

fn obsolete_date(text: &str) -> Option<Timestamp> {
    let (_, without_day) = text.split_once(' ')?;
    let rfc_850 = || DateTime::strptime("%d-%b-%y %H:%M:%S GMT", without_day);
    let asctime = || DateTime::strptime("%b %e %H:%M:%S %Y", without_day);
    rfc_850().or_else(|_| asctime()).ok().and_then(utc).map(core_time)
}

fn utc(at: DateTime) -> Option<jiff::Timestamp> {
    Offset::UTC.to_timestamp(at).ok()
}

fn core_time(instant: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(instant.as_millisecond())
}

/// Smaller numbers are no instants of this century: a count, a version.
const EPOCH_SECONDS: i64 = 1_000_000_000;
const EPOCH_MILLIS: i64 = 100_000_000_000;
const DAY_LENGTH: usize = "2027-01-31".len();
const IMF_FIXDATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_has_an_end_that_can_be_read() {
        assert_eq!(end("9999-12-31T23:59:59Z"), Some(Timestamp::NEVER));
    }

    #[test]
    fn http_dates_in_all_three_forms() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(http_date(text).map(|date| date.to_string()).as_deref(), expected, "{text}");
        }
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("1994-11-06T08:49:37Z"));
        check(" Tue, 24 Nov 2026 00:00:00 GMT ", Some("2026-11-24T00:00:00Z"));
        check("Mon, 06 Nov 1994 08:49:37 GMT", Some("1994-11-06T08:49:37Z"));
        check("Tue, 24 Nov 2026 01:00:00 +0100", Some("2026-11-24T00:00:00Z"));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some("1994-11-06T08:49:37Z"));
        check("Sun Nov  6 08:49:37 1994", Some("1994-11-06T08:49:37Z"));
        check("Sun Nov 16 08:49:37 1994", Some("1994-11-16T08:49:37Z"));
        check("Sun, 31 Feb 1994 08:49:37 GMT", None);
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 10 "), Some(RetryHint::After(Duration::from_secs(10))));
        let date = RetryHint::At(Timestamp::from_seconds(784_111_777));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(date));
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn ends_in_every_spelling() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(end(text).map(|at| at.to_string()).as_deref(), expected, "{text}");
        }
        check("2027-01-31", Some("2027-01-31T23:59:59Z"));
        check("2027-01-31T12:00:00Z", Some("2027-01-31T12:00:00Z"));
        check("2027-01-31T13:00:00.000+01:00", Some("2027-01-31T12:00:00Z"));
        check("2027-01-31T12:00:00.834361", Some("2027-01-31T12:00:00Z"));
        check("1801396800", Some("2027-01-31T12:00:00Z"));
        check("1801396800000", Some("2027-01-31T12:00:00Z"));
        for none in ["", "never", "true", "30", "2027-13-01"] {
            check(none, None);
        }
    }

    #[test]
    fn instants_in_messages() {
        #[track_caller]
        fn check(message: &str, expected: Option<&str>) {
            let found = instant_after(message, "until ").map(|date| date.to_string());
            assert_eq!(found.as_deref(), expected, "{message}");
        }
        check("not permitted until 2021-12-07T11:56:37Z[UTC]", Some("2021-12-07T11:56:37Z"));
        check("not permitted until 2021-12-07T11:56:37Z.", Some("2021-12-07T11:56:37Z"));
        check("not permitted until 2021-12-07T12:56:37+01:00[Europe/Paris]", Some("2021-12-07T11:56:37Z"));
        check("not permitted until 2021-12-07T11:56:37.250", Some("2021-12-07T11:56:37Z"));
        check("not permitted until 2021-12-07 (UTC)", Some("2021-12-07T00:00:00Z"));
        check("not permitted until the window opens", None);
        check("2021-12-07T11:56:37Z", None);
    }
}
