//! Instants and spans as the core uses them: wall-clock milliseconds, always passed in, never read here.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant on the wall clock: milliseconds since 1970-01-01T00:00:00Z.
///
/// `Display` writes RFC 3339 in UTC, cut to the second. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that lies this many seconds after (before, if negative) the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The instant that lies this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// 9999-12-31T23:59:59Z, by which a certificate says that it has no end (RFC 5280 section 4.1.2.5).
    pub const NEVER: Self = Self::from_seconds(253_402_300_799);

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` until this instant; zero when `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How far apart the two instants are, whichever comes first.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

/// Reads what [`Display`](fmt::Display) writes, to the last second of the year 9999.
impl FromStr for Timestamp {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let shape = b"0000-00-00T00:00:00Z";
        let fits = |(c, shape): (u8, &u8)| if *shape == b'0' { c.is_ascii_digit() } else { c == *shape };
        if text.len() != shape.len() || !text.bytes().zip(shape).all(fits) {
            return Err(());
        }
        let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i64>().ok()).ok_or(());
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let of_day = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        let at = Self::from_seconds(days(year, month, day) * DAY + of_day);
        // A day that no month has, or an hour that no day has, would read as another.
        if at.to_string() == text { Ok(at) } else { Err(()) }
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let of_day = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        if !(0..=9999).contains(&year) {
            return write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        }
        // A status of many certificates is mostly instants.
        let mut text = *b"0000-00-00T00:00:00Z";
        let parts = [(0, year / 100), (2, year % 100), (5, month), (8, day), (11, hour), (14, minute), (17, second)];
        for (at, value) in parts {
            let digits = [value / 10, value % 10].map(|digit| b'0' + u8::try_from(digit).unwrap_or(0));
            if let Some(place) = text.get_mut(at..at + 2) {
                place.copy_from_slice(&digits);
            }
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// A span written as an operator would say it: its two largest units, such as `3 h 40 min` or `47 d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units =
            [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
        let Some(first) = units.iter().position(|(count, _)| *count > 0) else { return f.write_str("0 s") };
        for (at, (count, unit)) in units.iter().skip(first).take(2).filter(|(count, _)| *count > 0).enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{count} {unit}")?;
        }
        Ok(())
    }
}

/// Year, month and day of a count of days since the epoch in the proleptic Gregorian calendar.
///
/// Counts from 1 March of year 0, so that the leap day ends a year; a cycle of 400 years has 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march = days + 719_468;
    let cycle = from_march.div_euclid(146_097);
    let of_cycle = from_march.rem_euclid(146_097);
    let year_of_cycle = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month, day)
}

/// The days since the epoch: [`civil`] the other way round.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_cycle = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - 719_468
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_rfc_3339() {
        let check = |seconds: i64, expected: &str| assert_eq!(Timestamp::from_seconds(seconds).to_string(), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(-1, "1969-12-31T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(4_107_542_399, "2100-02-28T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
        check(1_795_478_399, "2026-11-23T23:59:59Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in [0, -1, 951_782_400, 4_107_542_399, 1_795_478_399, Timestamp::NEVER.seconds(), -62_167_219_200] {
            let at = Timestamp::from_seconds(seconds);
            assert_eq!(at.to_string().parse(), Ok(at), "{at}");
        }
        for bad in [
            "",
            "2027-01-15",
            "2027-02-29T00:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-00-15T00:00:00Z",
            "2027-01-15T00:00:00+",
        ] {
            assert_eq!(bad.parse::<Timestamp>(), Err(()), "{bad}");
        }
        assert_eq!(Timestamp::NEVER.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        let check = |seconds: u64, expected: &str| assert_eq!(Span(Duration::from_secs(seconds)).to_string(), expected);
        check(0, "0 s");
        check(59, "59 s");
        check(13_200, "3 h 40 min");
        check(86_400, "1 d");
        check(90_061, "1 d 1 h");
        check(3_601, "1 h");
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::default().since(end), Duration::ZERO);
    }
}
