//! Deploy windows on the calendar: when one opens next, by the time zone's own rules.

use std::collections::BTreeSet;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant, ZonedDateTime};

use crate::core::time::Timestamp;
use crate::core::wanted::window::{Deploy, DeployWindow};

/// What a window says at `now`.
#[must_use]
pub fn deploy(window: Option<&DeployWindow>, now: Timestamp) -> Deploy {
    let Some(window) = window else { return Deploy::Open };
    place(window, now).unwrap_or(Deploy::Unplaced)
}

fn place(window: &DeployWindow, now: Timestamp) -> Option<Deploy> {
    let zone = zone(window.zone.as_deref())?;
    let now = Instant::from_millisecond(now.millis()).ok()?.to_zoned_datetime(zone);
    // A window that opened yesterday may reach into today; the next one opens within a week.
    let mut next = None;
    for day in -1..=7 {
        let date = now.date().checked_add(Span::new().days(day)).ok()?;
        if !window.days.get(weekday(date.weekday())).copied().unwrap_or_default() {
            continue;
        }
        let (opens, closes) = (at(&now, date, window.from)?, at(&now, date, end_of(window))?);
        if opens <= now && now < closes {
            return Some(Deploy::Open);
        }
        if opens > now && next.as_ref().is_none_or(|next| opens < *next) {
            next = Some(opens);
        }
    }
    Some(Deploy::Closed(Timestamp::from_millis(next?.timestamp().as_millisecond())))
}

/// The end in minutes after the midnight before it opened.
const fn end_of(window: &DeployWindow) -> u16 {
    if window.to > window.from { window.to } else { window.to + 24 * 60 }
}

fn at(now: &ZonedDateTime, date: jiff::civil::Date, minutes: u16) -> Option<ZonedDateTime> {
    let date = date.checked_add(Span::new().days(i64::from(minutes / (24 * 60)))).ok()?;
    let minutes = minutes % (24 * 60);
    let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
    date.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()
}

const fn weekday(day: Weekday) -> usize {
    day.to_monday_zero_offset() as usize
}

fn zone(name: Option<&str>) -> Option<TimeZone> {
    read(name).ok()
}

fn read(name: Option<&str>) -> Result<TimeZone, jiff::Error> {
    name.map_or_else(TimeZone::try_system, TimeZone::get)
}

/// What keeps windows shut for want of their time zone: each zone of `windows` that cannot be read, with the reason.
pub fn unreadable<'w>(windows: impl Iterator<Item = &'w DeployWindow>) -> Vec<String> {
    let zones: BTreeSet<Option<&str>> = windows.map(|window| window.zone.as_deref()).collect();
    let told = |zone: Option<&str>| {
        let error = read(zone).err()?;
        Some(format!("cannot read {}: {error}", zone.map_or_else(hosts, |name| format!("the time zone {name}"))))
    };
    zones.into_iter().filter_map(told).collect()
}

fn hosts() -> String {
    let place = std::env::var_os("TZ").map_or("/etc/localtime".to_owned(), |zone| format!("TZ={}", zone.display()));
    format!("the host's time zone ({place})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(window: &str, zone: &str, now: &str, expected: &str) {
        let window = DeployWindow { zone: Some(zone.to_owned()), ..DeployWindow::parse(window).unwrap() };
        let now: Instant = now.parse().unwrap();
        let found = match deploy(Some(&window), Timestamp::from_millis(now.as_millisecond())) {
            Deploy::Open => "open".to_owned(),
            Deploy::Closed(opens) => opens.to_string(),
            Deploy::Unplaced => "nobody knows".to_owned(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_window_opens_and_closes_by_its_own_clock() {
        // 2026-11-28 is a Saturday; Zurich is an hour ahead of UTC in winter.
        check("Sat,Sun 02:00-05:00", "Europe/Zurich", "2026-11-28T00:59:59Z", "2026-11-28T01:00:00Z");
        check("Sat,Sun 02:00-05:00", "Europe/Zurich", "2026-11-28T01:00:00Z", "open");
        check("Sat,Sun 02:00-05:00", "Europe/Zurich", "2026-11-28T03:59:59Z", "open");
        check("Sat,Sun 02:00-05:00", "Europe/Zurich", "2026-11-28T04:00:00Z", "2026-11-29T01:00:00Z");
        check("Sat,Sun 02:00-05:00", "Europe/Zurich", "2026-11-29T04:00:00Z", "2026-12-05T01:00:00Z");
    }

    #[test]
    fn a_window_may_cross_midnight_and_the_end_of_the_day_is_one() {
        check("Fri 22:00-04:00", "UTC", "2026-11-28T03:59:59Z", "open");
        check("Fri 22:00-04:00", "UTC", "2026-11-28T04:00:00Z", "2026-12-04T22:00:00Z");
        check("Sat 20:00-24:00", "UTC", "2026-11-28T23:59:59Z", "open");
        check("Sat 20:00-24:00", "UTC", "2026-11-29T00:00:00Z", "2026-12-05T20:00:00Z");
    }

    #[test]
    fn a_window_whose_zone_is_not_to_be_read_is_open_at_no_time() {
        check("00:00-24:00", "Nowhere/Atall", "2026-11-28T03:00:00Z", "nobody knows");
        let window =
            |zone: &str| DeployWindow { zone: Some(zone.to_owned()), ..DeployWindow::parse("02:00-05:00").unwrap() };
        let windows = ["Nowhere/Atall", "UTC", "Nowhere/Atall"].map(window);
        let [told] = &unreadable(windows.iter())[..] else { panic!("one zone cannot be read") };
        assert!(told.starts_with("cannot read the time zone Nowhere/Atall: "), "{told}");
    }

    #[test]
    fn summer_time_moves_the_window_with_the_wall_clock() {
        // On 2027-03-28 clocks in Zurich go from 02:00 to 03:00: a window that begins in the gap opens right after it.
        check("Sun 02:30-05:00", "Europe/Zurich", "2027-03-28T00:59:00Z", "2027-03-28T01:30:00Z");
        check("02:00-03:00", "Europe/Zurich", "2027-07-01T00:30:00Z", "open");
    }
}
