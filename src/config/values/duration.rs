//! Durations as they are written: numbers with units (`"30d"`, `"90s"`, `"1h 30min"`).

use std::time::Duration;

use crate::config::syntax::from_toml::FromText;
use crate::config::syntax::problem::{Fault, quoted};
use crate::core::time::Span;
use crate::core::wanted::entry::{Validity, ValidityUnit};

impl FromText for Duration {
    fn expected() -> String {
        "a duration with units, such as \"30d\", \"12h\", \"5min\" or \"90s\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        seconds(text).map(Self::from_secs)
    }

    fn pattern() -> Option<String> {
        Some(format!("^{PATTERN}$"))
    }
}

/// A duration on a command line.
///
/// # Errors
///
/// When it is none, with what is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text).map_err(|_| format!("expected {}", Duration::expected()))
}

/// A duration, or "off".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct DurationOrOff(pub(in crate::config) Option<Duration>);

impl FromText for DurationOrOff {
    fn expected() -> String {
        format!("{}, or \"off\"", Duration::expected())
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text == "off" { Ok(Self(None)) } else { Duration::from_text(text).map(|span| Self(Some(span))) }
    }

    fn pattern() -> Option<String> {
        or_pattern("off")
    }
}

/// The pattern of a duration, or this word in its place.
pub(in crate::config) fn or_pattern(word: &str) -> Option<String> {
    Some(format!("^({word}|{PATTERN})$"))
}

impl FromText for Validity {
    fn expected() -> String {
        "a validity in days, hours or minutes, such as \"90d\" or \"12h\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let seconds = seconds(text)?;
        let units = [(ValidityUnit::Days, DAY), (ValidityUnit::Hours, HOUR), (ValidityUnit::Minutes, MINUTE)];
        let unit = units.into_iter().find(|(_, length)| seconds > 0 && seconds % length == 0);
        let Some((unit, length)) = unit else {
            return Err(Fault::new(format!("{} is not a whole number of minutes", quoted(text))));
        };
        let too_long = |_| Fault::new(format!("{} is too long for a validity", quoted(text)));
        Ok(Self { unit, duration: u32::try_from(seconds / length).map_err(too_long)? })
    }

    fn pattern() -> Option<String> {
        Duration::pattern()
    }
}

/// Refuses a duration outside of `least..=most`.
pub(in crate::config) fn within(span: Duration, least: Duration, most: Duration) -> Result<(), Fault> {
    if (least..=most).contains(&span) {
        return Ok(());
    }
    let fault = Fault::new(format!("{} is out of range", Span(span)));
    Err(fault.expected(format!("a duration from {} to {}", Span(least), Span(most))))
}

fn seconds(text: &str) -> Result<u64, Fault> {
    let fault = || Fault::new(format!("{} is not a duration", quoted(text)));
    let mut rest = text.trim_start();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let number: u64 = number.parse().map_err(|_| fault())?;
        let length = unit_length(unit).map_err(|hint| fault().hint(hint))?;
        let sum = number.checked_mul(length).and_then(|part| total.checked_add(part));
        total = sum.filter(|sum| *sum <= LONGEST).ok_or_else(|| fault().hint("the longest one is 100000 days"))?;
        rest = after.trim_start();
    }
    Ok(total)
}

fn unit_length(unit: &str) -> Result<u64, &'static str> {
    match unit {
        "s" | "sec" | "second" | "seconds" => Ok(1),
        "m" | "min" | "minute" | "minutes" => Ok(MINUTE),
        "h" | "hour" | "hours" => Ok(HOUR),
        "d" | "day" | "days" => Ok(DAY),
        "w" | "week" | "weeks" => Ok(7 * DAY),
        "" => Err("a number needs a unit: s, min, h, d or w"),
        "mo" | "month" | "months" | "M" | "y" | "year" | "years" => {
            Err("months and years have no fixed length: write days")
        }
        _ => Err("the units are s, min, h, d and w"),
    }
}

/// Numbers with the units of [`unit_length`].
const PATTERN: &str = r"(\s*[0-9]+\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?))+\s*";
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;
const LONGEST: u64 = 100_000 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        #[track_caller]
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
        check("90s", Some(90));
        check("5m", Some(300));
        check("5min", Some(300));
        check("12h", Some(43_200));
        check("30d", Some(2_592_000));
        check("2w", Some(1_209_600));
        check("1h 30min", Some(5_400));
        check("1h30m", Some(5_400));
        check(" 3 days ", Some(259_200));
        check("0s", Some(0));
        for bad in ["", " ", "30", "d", "-1d", "1.5h", "1d,", "1y", "3 months", "1x", "d30", "99999999999999999999s"] {
            check(bad, None);
        }
        check("100000d", Some(LONGEST));
        check("100001d", None);
    }

    #[test]
    fn a_validity_has_the_largest_whole_unit() {
        #[track_caller]
        fn check(text: &str, expected: Option<(ValidityUnit, u32)>) {
            let read = Validity::from_text(text).ok();
            assert_eq!(read, expected.map(|(unit, duration)| Validity { unit, duration }), "{text}");
        }
        check("90d", Some((ValidityUnit::Days, 90)));
        check("1w", Some((ValidityUnit::Days, 7)));
        check("48h", Some((ValidityUnit::Days, 2)));
        check("36h", Some((ValidityUnit::Hours, 36)));
        check("90min", Some((ValidityUnit::Minutes, 90)));
        check("90s", None);
        check("0d", None);
    }
}
