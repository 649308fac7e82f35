//! Windows and freezes on the calendar: when one opens or ends next, by the time zone's own rules.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant, ZonedDateTime};

use crate::core::time::Timestamp;
use crate::core::wanted::window::{Deploy, DeployWindow, Freeze};

/// What a window says at `now`.
#[must_use]
pub fn deploy(window: Option<&DeployWindow>, now: Timestamp) -> Deploy {
    match window.map(|window| place(window, now)) {
        None | Some(Some(Place::Within(_))) => Deploy::Open,
        Some(Some(Place::Before(opens))) => Deploy::Closed(opens),
        Some(None) => Deploy::Unplaced,
    }
}

/// What a window and freezes together say of a switch at `now`: what holds it back last is what it waits for.
#[must_use]
pub fn switch(window: Option<&DeployWindow>, freezes: &[Freeze], now: Timestamp) -> Deploy {
    let (mut at, mut found) = (now, Deploy::Open);
    for _ in 0..MOST_TURNS {
        let next = match freezes.iter().map(|freeze| frozen(freeze, at)).find(|found| *found != Deploy::Open) {
            Some(frozen) => frozen,
            None => deploy(window, at),
        };
        match next {
            Deploy::Open => return found,
            Deploy::Unplaced => return Deploy::Unplaced,
            Deploy::Closed(until) | Deploy::Frozen(until) => (at, found) = (until, next),
        }
    }
    found
}

fn frozen(freeze: &Freeze, at: Timestamp) -> Deploy {
    match freeze {
        Freeze::Dates { from, until } if *from <= at && at < *until => Deploy::Frozen(*until),
        Freeze::Dates { .. } => Deploy::Open,
        Freeze::Hours(hours) => match place(hours, at) {
            Some(Place::Within(closes)) => Deploy::Frozen(closes),
            Some(Place::Before(_)) => Deploy::Open,
            None => Deploy::Unplaced,
        },
    }
}

/// Whether hours leave no time in which something may be switched, whatever day it is.
#[must_use]
pub fn never_opens(window: Option<&DeployWindow>, freezes: &[Freeze], now: Timestamp) -> bool {
    let weekly: Vec<Freeze> = freezes.iter().filter(|freeze| matches!(freeze, Freeze::Hours(_))).cloned().collect();
    match switch(window, &weekly, now) {
        Deploy::Open | Deploy::Unplaced => false,
        Deploy::Closed(opens) | Deploy::Frozen(opens) => opens > now + FORTNIGHT,
    }
}

/// Where an instant is by weekly hours.
enum Place {
    /// In them, until this instant.
    Within(Timestamp),
    /// Before them.
    Before(Timestamp),
}

fn place(window: &DeployWindow, now: Timestamp) -> Option<Place> {
    let zone = zone(window.zone.as_deref())?;
    let now = Instant::from_millisecond(now.millis()).ok()?.to_zoned_datetime(zone);
    let instant = |at: &ZonedDateTime| Timestamp::from_millis(at.timestamp().as_millisecond());
    // A window that opened yesterday may reach into today; the next one opens within a week.
    let mut next = None;
    for day in -1..=7 {
        let date = now.date().checked_add(Span::new().days(day)).ok()?;
        if !window.days.get(weekday(date.weekday())).copied().unwrap_or_default() {
            continue;
        }
        let (opens, closes) = (at(&now, date, window.from)?, at(&now, date, end_of(window))?);
        if opens <= now && now < closes {
            return Some(Place::Within(instant(&closes)));
        }
        if opens > now && next.as_ref().is_none_or(|next| opens < *next) {
            next = Some(opens);
        }
    }
    Some(Place::Before(instant(&next?)))
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

/// Hours that follow each other without a gap, or wait for each other, take a few turns; more say nothing new.
const MOST_TURNS: usize = 40;
const FORTNIGHT: Duration = Duration::from_secs(14 * 86_400);

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
            Deploy::Closed(opens) | Deploy::Frozen(opens) => opens.to_string(),
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

    fn hours(text: &str) -> DeployWindow {
        DeployWindow { zone: Some("UTC".to_owned()), ..DeployWindow::parse(text).unwrap() }
    }

    #[track_caller]
    fn check_switch(window: Option<&str>, freezes: &[Freeze], now: &str, expected: &str) {
        let at = |text: &str| Timestamp::from_millis(text.parse::<Instant>().unwrap().as_millisecond());
        let found = match switch(window.map(hours).as_ref(), freezes, at(now)) {
            Deploy::Open => "open".to_owned(),
            Deploy::Closed(opens) => format!("closed until {opens}"),
            Deploy::Frozen(until) => format!("frozen until {until}"),
            Deploy::Unplaced => "nobody knows".to_owned(),
        };
        assert_eq!(found, expected);
    }

    fn dates(from: &str, until: &str) -> Freeze {
        let at = |text: &str| Timestamp::from_millis(text.parse::<Instant>().unwrap().as_millisecond());
        Freeze::Dates { from: at(from), until: at(until) }
    }

    /// 2026-12-19 is a Saturday.
    #[test]
    fn a_freeze_lasts_from_its_first_instant_up_to_its_last() {
        let dated = [dates("2026-12-20T00:00:00+01:00", "2027-01-04T06:00:00+01:00")];
        check_switch(None, &dated, "2026-12-19T22:59:59Z", "open");
        check_switch(None, &dated, "2026-12-19T23:00:00Z", "frozen until 2027-01-04T05:00:00Z");
        check_switch(None, &dated, "2027-01-04T04:59:59Z", "frozen until 2027-01-04T05:00:00Z");
        check_switch(None, &dated, "2027-01-04T05:00:00Z", "open");
        let weekly = [Freeze::Hours(hours("Fri 16:00-24:00"))];
        check_switch(None, &weekly, "2026-12-18T15:59:59Z", "open");
        check_switch(None, &weekly, "2026-12-18T16:00:00Z", "frozen until 2026-12-19T00:00:00Z");
        check_switch(None, &weekly, "2026-12-19T00:00:00Z", "open");
        let unknown =
            Freeze::Hours(DeployWindow { zone: Some("Nowhere/Atall".to_owned()), ..hours("Fri 16:00-24:00") });
        check_switch(None, &[unknown], "2026-12-19T12:00:00Z", "nobody knows");
    }

    /// What comes after what: one freeze after another, and a window that opens into a freeze.
    #[test]
    fn a_switch_waits_until_nothing_holds_it_back() {
        let row = [Freeze::Hours(hours("Fri 16:00-24:00")), Freeze::Hours(hours("Sat,Sun 00:00-24:00"))];
        check_switch(None, &row, "2026-12-18T16:00:00Z", "frozen until 2026-12-21T00:00:00Z");
        check_switch(Some("02:00-05:00"), &row, "2026-12-18T12:00:00Z", "closed until 2026-12-21T02:00:00Z");
        check_switch(Some("02:00-05:00"), &row, "2026-12-18T02:00:00Z", "open");
        let night = [dates("2026-12-19T01:00:00Z", "2026-12-19T03:00:00Z")];
        check_switch(Some("02:00-05:00"), &night, "2026-12-19T00:00:00Z", "frozen until 2026-12-19T03:00:00Z");
        let long = [dates("2026-12-19T01:00:00Z", "2026-12-19T05:00:00Z")];
        check_switch(Some("02:00-05:00"), &long, "2026-12-19T04:00:00Z", "closed until 2026-12-20T02:00:00Z");
    }

    #[test]
    fn hours_that_leave_no_time_are_seen() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let never = |window: Option<&str>, freezes: &[&str]| {
            let freezes: Vec<Freeze> = freezes.iter().map(|text| Freeze::Hours(hours(text))).collect();
            never_opens(window.map(hours).as_ref(), &freezes, now)
        };
        assert!(never(None, &["Mon-Fri 00:00-24:00", "Sat,Sun 00:00-24:00"]));
        assert!(never(Some("Sat 02:00-05:00"), &["Sat 00:00-06:00"]));
        assert!(!never(Some("Sat 02:00-05:01"), &["Sat 00:00-05:00"]));
        assert!(!never(None, &["Mon-Fri 00:00-24:00", "Sat,Sun 00:00-23:00"]));
        let for_long = [Freeze::Dates { from: now, until: now + FORTNIGHT * 30 }];
        assert!(!never_opens(None, &for_long, now), "what ends by itself is no mistake");
    }

    #[test]
    fn summer_time_moves_the_window_with_the_wall_clock() {
        // On 2027-03-28 clocks in Zurich go from 02:00 to 03:00: a window that begins in the gap opens right after it.
        check("Sun 02:30-05:00", "Europe/Zurich", "2027-03-28T00:59:00Z", "2027-03-28T01:30:00Z");
        check("02:00-03:00", "Europe/Zurich", "2027-07-01T00:30:00Z", "open");
    }
}
