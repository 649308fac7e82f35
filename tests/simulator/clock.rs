//! The simulator's time, in whole seconds since 1970, and the ways in which the API writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::variants::DateStyle;

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// The year of now.
pub fn year() -> i32 {
    format("%Y", now()).parse().unwrap()
}

/// `2026-11-24T10:00:00Z`
pub fn zulu(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().to_string()
}

/// `2026-11-24`
pub fn day(seconds: i64) -> String {
    format("%Y-%m-%d", seconds)
}

/// `Tue, 24 Nov 2026 10:00:00 GMT`
pub fn http_date(seconds: i64) -> String {
    format("%a, %d %b %Y %H:%M:%S GMT", seconds)
}

pub fn styled(style: DateStyle, seconds: i64) -> Value {
    match style {
        DateStyle::Zulu => json!(zulu(seconds)),
        DateStyle::Offset => json!(format("%Y-%m-%dT%H:%M:%S.000+00:00", seconds)),
        DateStyle::NoZone => json!(format("%Y-%m-%dT%H:%M:%S.000000", seconds)),
        DateStyle::DateOnly => json!(day(seconds)),
        DateStyle::EpochMillis => json!(seconds * 1000),
    }
}

fn format(pattern: &str, seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().strftime(pattern).to_string()
}
