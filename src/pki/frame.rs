//! A certificate as the outline that its DER gives: what is left to read where the parser refuses the whole, as OpenSSL
//! goes on where a name, an extension or a signature is odd.

use super::der::{Der, Element, INTEGER, SEQUENCE};
use crate::core::time::Timestamp;

/// Parts of a certificate.
pub(super) struct Frame<'a> {
    /// The content of the serial number.
    pub(super) serial: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// The public key's DER.
    pub(super) spki: &'a [u8],
}

/// The one certificate that `bytes` begins with, and what follows it. Whether its dates are any is not looked at.
pub(super) fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let mut all = Der(bytes);
    let whole = all.next().filter(|element| element.tag == SEQUENCE)?;
    outline(whole.content)?;
    Some((whole, all.0))
}

impl<'a> Frame<'a> {
    /// The outline of a certificate; `None` where it has none, or the dates cannot be read.
    pub(super) fn of(der: &'a [u8]) -> Option<Self> {
        let (serial, validity, spki) = outline(Der(der).expect(SEQUENCE)?)?;
        let mut validity = Der(validity.content);
        Some(Self { serial, not_before: instant(validity.next()?)?, not_after: instant(validity.next()?)?, spki })
    }
}

/// Serial number, validity and public key, where all that must be there is, in its order, and nothing behind it.
fn outline(certificate: &[u8]) -> Option<(&[u8], Element<'_>, &[u8])> {
    let mut parts = Der(certificate);
    let mut signed = parts.sequence()?;
    parts.sequence()?;
    parts.expect(super::der::BIT_STRING)?;
    signed.next_if(VERSION);
    let serial = signed.expect(INTEGER)?;
    let (_algorithm, _issuer) = (signed.sequence()?, signed.sequence()?);
    let validity = signed.next_if(SEQUENCE)?;
    let _subject = signed.sequence()?;
    let spki = signed.next_if(SEQUENCE)?.whole;
    while signed.next().is_some_and(|more| more.tag & 0xc0 == CONTEXT) {}
    (signed.0.is_empty() && parts.0.is_empty()).then_some((serial, validity, spki))
}

/// An instant in either form, with or without seconds and fractions, in UTC or with an offset.
fn instant(time: Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(time.content).ok()?;
    let (year, rest) = match time.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => text.split_at_checked(4).and_then(|(year, rest)| Some((number(year)?, rest)))?,
        _ => return None,
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fields, zone) = rest.split_at_checked(digits)?;
    let field = |at: usize| fields.get(at..at + 2).and_then(number);
    let (month, day, hour, minute) = (field(0)?, field(2)?, field(4)?, field(6)?);
    let second = if fields.len() > 8 { field(8)? } else { 0 };
    let is_one = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let days = is_one.then(|| days(year, month, day))?;
    let of_day = hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_seconds(days * 86_400 + of_day - offset(zone)?))
}

/// The seconds that a zone lies ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let fraction = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let zone = zone.trim_start_matches(fraction);
    if matches!(zone, "Z" | "") {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_at_checked(2)?;
    let ahead = number(hours)? * 3600 + number(minutes)? * 60;
    match sign {
        "+" => Some(ahead),
        "-" => Some(-ahead),
        _ => None,
    }
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Days since the epoch, counted from 1 March so that a leap day ends a year.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

const VERSION: u8 = 0xa0;
const CONTEXT: u8 = 0x80;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_instant_is_read() {
        #[track_caller]
        fn check(tag: u8, text: &str, expected: Option<&str>) {
            let found = instant(Element { tag, content: text.as_bytes(), whole: &[] });
            assert_eq!(found.map(|at| at.to_string()).as_deref(), expected, "{text}");
        }
        check(UTC_TIME, "261124010203Z", Some("2026-11-24T01:02:03Z"));
        check(UTC_TIME, "2611240102Z", Some("2026-11-24T01:02:00Z"));
        check(UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z"));
        check(UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z"));
        check(UTC_TIME, "261124010203+0130", Some("2026-11-23T23:32:03Z"));
        check(GENERALIZED_TIME, "20261124010203Z", Some("2026-11-24T01:02:03Z"));
        check(GENERALIZED_TIME, "20240229000000.5Z", Some("2024-02-29T00:00:00Z"));
        check(GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z"));
        check(GENERALIZED_TIME, "19691231235959-0001", Some("1970-01-01T00:00:59Z"));
        check(GENERALIZED_TIME, "00000101000000Z", Some("0000-01-01T00:00:00Z"));
        check(UTC_TIME, "261324010203Z", None);
        check(UTC_TIME, "26112401Z", None);
        check(UTC_TIME, "2x1124010203Z", None);
        check(UTC_TIME, "261124010203X", None);
        check(4, "261124010203Z", None);
        check(UTC_TIME, "", None);
    }
}
