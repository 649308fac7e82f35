//! `renewd plan --calendar`: the renewals and expiries to come as bars by day or week, so that herds are seen. The next
//! renewal of each certificate is shown, and the end of the one that is installed; below a day or week, what begins or ends
//! in it of freezes and holds; at the end, what comes back each week. Days are UTC's.

use std::collections::BTreeMap;

use crate::core::time::Timestamp;
use crate::engine::status::{FreezeStatus, Plan, PlannedCertificate, WindowStatus};

use super::output;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// In columns.
    pub(super) width: usize,
    /// Whether bars are coloured.
    pub(super) colours: bool,
}

/// The chart of a plan with certificates, as seen from `now`.
pub(super) fn chart(plan: &Plan, now: Timestamp, style: Style) -> String {
    let today = day(now);
    let ahead = |days: &[i64]| days.iter().map(|day| day - today).max().unwrap_or_default();
    let days = |at: fn(&PlannedCertificate) -> Option<&str>| -> Vec<i64> {
        plan.certificates.iter().filter_map(|one| Some(day(output::instant(at(one)?).ok()?))).collect()
    };
    // What has no renewal time has no certificate yet: its next step brings one.
    let renewals = days(|one| Some(one.renew_at.as_deref().unwrap_or(&one.at)));
    let expiries = days(|one| one.ends.as_ref().map(|ends| ends.at.as_str()).or(one.not_after.as_deref()));
    let dated = dated(plan);
    let noted: Vec<i64> = dated.iter().map(|(at, _)| day(*at)).collect();
    let unit = if ahead(&noted).max(ahead(&renewals)).max(ahead(&expiries)) < DAYS { Unit::Day } else { Unit::Week };
    let periods = Periods { unit, today, first: unit.of(today) };
    let mut notes: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (at, note) in dated {
        // What began before is noted now.
        notes.entry(periods.row(day(at).max(today))).or_default().push(note);
    }
    let (renewals, expiries) = (periods.counted(&renewals), periods.counted(&expiries));
    let mut text = Chart { periods, renewals, expiries, notes, style }.text();
    for line in lasting(plan) {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

/// What begins or ends at an instant.
fn dated(plan: &Plan) -> Vec<(Timestamp, String)> {
    let instant = |text: &Option<String>| output::instant(text.as_deref()?).ok();
    let mut all = Vec::new();
    for FreezeStatus { from, until, .. } in &plan.freezes {
        let (Some(begin), Some(end)) = (instant(from), instant(until)) else { continue };
        all.push((begin, format!("freeze from {begin} until {end}: nothing is switched in")));
        all.push((end, format!("freeze ends at {end}")));
    }
    let mut holds: BTreeMap<Timestamp, Vec<&str>> = BTreeMap::new();
    for (one, hold) in plan.certificates.iter().filter_map(|one| Some((one, one.hold.as_ref()?))) {
        if let Some(until) = instant(&hold.until) {
            holds.entry(until).or_default().push(&one.name);
        }
    }
    all.extend(holds.into_iter().map(|(until, names)| (until, format!("hold ends at {until}: {}", some(&names)))));
    all.sort();
    all
}

/// What has no end, or comes back each week.
fn lasting(plan: &Plan) -> Vec<String> {
    let held = plan.certificates.iter().filter(|one| one.hold.as_ref().is_some_and(|hold| hold.until.is_none()));
    let held: Vec<&str> = held.map(|one| one.name.as_str()).collect();
    let held = (!held.is_empty()).then(|| format!("on hold until `renewd release`: {}", some(&held)));
    let frozen = plan.freezes.iter().filter_map(|freeze| freeze.hours.as_ref());
    let frozen = frozen.map(|hours| format!("freeze each week: {hours}"));
    let windows = |what: &str, of: fn(&PlannedCertificate) -> Option<&WindowStatus>| -> Vec<String> {
        let mut windows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (one, window) in plan.certificates.iter().filter_map(|one| Some((one, of(one)?))) {
            windows.entry(&window.hours).or_default().push(&one.name);
        }
        windows.into_iter().map(|(hours, names)| format!("{what} only {hours}: {}", some(&names))).collect()
    };
    let requested = windows("requested", |one| one.request_window.as_ref());
    let switched = windows("switched in", |one| one.deploy_window.as_ref());
    held.into_iter().chain(frozen).chain(requested).chain(switched).collect()
}

/// The first of the names, and how many there are more.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Day,
    Week,
}

impl Unit {
    /// The first day of the period that a day is in.
    const fn of(self, day: i64) -> i64 {
        match self {
            Self::Day => day,
            // The epoch was a Thursday.
            Self::Week => day - (day + 3).rem_euclid(7),
        }
    }

    const fn days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
        }
    }
}

/// The rows: what is over, each day or week from the present one, and what is too far ahead.
#[derive(Clone, Copy)]
struct Periods {
    unit: Unit,
    today: i64,
    first: i64,
}

impl Periods {
    /// How much falls into each row, which a day of it stands for.
    fn counted(self, days: &[i64]) -> BTreeMap<i64, usize> {
        let mut counts = BTreeMap::new();
        for day in days {
            *counts.entry(self.row(*day)).or_default() += 1;
        }
        counts
    }

    fn row(self, day: i64) -> i64 {
        if day < self.today { self.over() } else { self.unit.of(day).min(self.later()) }
    }

    const fn over(self) -> i64 {
        self.first - 1
    }

    const fn later(self) -> i64 {
        self.first + ROWS * self.unit.days()
    }

    fn label(self, row: i64) -> String {
        if row < self.first {
            return "overdue".to_owned();
        }
        if row == self.later() {
            return "later".to_owned();
        }
        let date = date(row);
        match self.unit {
            Unit::Day => {
                let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
                let name = usize::try_from(row.rem_euclid(7)).ok().and_then(|at| names.get(at));
                format!("{date} {}", name.unwrap_or(&""))
            }
            Unit::Week => date,
        }
    }
}

struct Chart {
    periods: Periods,
    renewals: BTreeMap<i64, usize>,
    expiries: BTreeMap<i64, usize>,
    notes: BTreeMap<i64, Vec<String>>,
    style: Style,
}

impl Chart {
    fn text(&self) -> String {
        let most = self.renewals.values().chain(self.expiries.values()).max().copied().unwrap_or(1);
        let digits = most.to_string().len();
        let room = self.style.width.saturating_sub(LABEL + 2 * (digits + 3)) / 2;
        let head = match self.periods.unit {
            Unit::Day => "DAY",
            Unit::Week => "WEEK OF",
        };
        let column = digits + 1 + room;
        let mut lines = vec![format!("{head:<LABEL$}  {:<column$}  EXPIRIES", "RENEWALS")];
        for row in self.rows() {
            let Some(row) = row else {
                lines.push("…".to_owned());
                continue;
            };
            let bar = |counts: &BTreeMap<i64, usize>, colour: &str| {
                let count = counts.get(&row).copied().unwrap_or_default();
                let number = if count == 0 { String::new() } else { count.to_string() };
                let length = if most <= room { count } else { (count * room).div_ceil(most) };
                let bar =
                    if row < self.periods.first { self.painted(length, RED) } else { self.painted(length, colour) };
                (format!("{number:>digits$} {bar}"), room - length.min(room))
            };
            let ((renewals, gap), (expiries, _)) = (bar(&self.renewals, GREEN), bar(&self.expiries, YELLOW));
            let line = format!("{:<LABEL$}  {renewals}{}  {expiries}", self.periods.label(row), " ".repeat(gap));
            lines.push(line.trim_end().to_owned());
            lines.extend(self.notes.get(&row).into_iter().flatten().map(|note| format!("  {note}")));
        }
        lines.push(String::new());
        lines.extend(self.summary(most, room));
        lines.join("\n")
    }

    /// From the present to the last row that holds something; the row of what is over, only where there is something.
    /// `None` stands for several empty ones.
    fn rows(&self) -> Vec<Option<i64>> {
        let is_used = |row: i64| {
            self.renewals.contains_key(&row) || self.expiries.contains_key(&row) || self.notes.contains_key(&row)
        };
        let over = self.periods.over();
        let mut rows: Vec<Option<i64>> = is_used(over).then_some(over).into_iter().map(Some).collect();
        let mut empty = Vec::new();
        for row in (0..=ROWS).map(|at| self.periods.first + at * self.periods.unit.days()) {
            if !is_used(row) {
                empty.push(Some(row));
                continue;
            }
            if empty.len() > MOST_EMPTY {
                empty = vec![None];
            }
            rows.append(&mut empty);
            rows.push(Some(row));
        }
        rows
    }

    fn painted(&self, length: usize, colour: &str) -> String {
        let bar = "█".repeat(length);
        if self.style.colours && length > 0 { format!("\u{1b}[{colour}m{bar}\u{1b}[0m") } else { bar }
    }

    fn summary(&self, most: usize, room: usize) -> Vec<String> {
        let period = match self.periods.unit {
            Unit::Day => "day",
            Unit::Week => "week",
        };
        let of = |[one, many]: [&str; 2], counts: &BTreeMap<i64, usize>| {
            let (row, count) = counts.iter().max_by_key(|(row, count)| (**count, -**row))?;
            let (all, label): (usize, _) = (counts.values().sum(), self.periods.label(*row));
            let what = if all == 1 { one } else { many };
            Some(format!("{all} {what}; the most in one {period}: {count} ({label})"))
        };
        let scale = (most > room).then(|| format!("a full bar: {most}"));
        let renewals = of(["renewal", "renewals"], &self.renewals);
        renewals.into_iter().chain(of(["expiry", "expiries"], &self.expiries)).chain(scale).collect()
    }
}

fn day(at: Timestamp) -> i64 {
    at.seconds().div_euclid(86_400)
}

fn date(day: i64) -> String {
    Timestamp::from_seconds(day.saturating_mul(86_400)).to_string().chars().take(10).collect()
}

/// As long as everything is within so many days, each has a row.
const DAYS: i64 = 31;
/// The rows ahead: a year of weeks.
const ROWS: i64 = 53;
/// So many empty rows in a row are shown.
const MOST_EMPTY: usize = 3;
/// So many names of a group are shown.
const MOST_NAMES: usize = 5;
/// The width of a date and a weekday.
const LABEL: usize = 14;
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::text::Text;
    use crate::engine::status::{EndStatus, HoldStatus};

    const NOW: i64 = 1_795_600_000; // 2026-11-25T09:46:40Z, a Wednesday

    /// Certificates that are renewed and end so many days from now, so many of each.
    fn plan(herds: &[(i64, i64, usize)]) -> Plan {
        let at = |days: i64| Timestamp::from_seconds(NOW + days * 86_400).to_string();
        let one = |renewal: i64, end: i64| PlannedCertificate {
            name: "x".to_owned(),
            due: false,
            action: "renew".to_owned(),
            at: at(renewal),
            reason_code: String::new(),
            reason: Text::new(""),
            not_after: Some(at(end + 1000)),
            ends: Some(EndStatus { at: at(end), of: "chain".to_owned(), subject: Some(Text::new("CN=CA")) }),
            renew_at: Some(at(renewal)),
            remarks: Vec::new(),
            hold: None,
            request_window: None,
            deploy_window: None,
        };
        let certificates =
            herds.iter().flat_map(|(renewal, end, count)| (0..*count).map(|_| one(*renewal, *end))).collect();
        Plan {
            at: at(0),
            certificates,
            refused: Vec::new(),
            gone: Vec::new(),
            problems: Vec::new(),
            freezes: Vec::new(),
        }
    }

    #[test]
    fn freezes_holds_and_windows_stand_where_they_begin_and_end() {
        let at = |days: i64| Some(Timestamp::from_seconds(NOW + days * 86_400).to_string());
        let mut plan = plan(&[(1, 3, 3)]);
        let freeze = FreezeStatus { from: at(-1), until: at(2), hours: None };
        let weekly = FreezeStatus { from: None, until: None, hours: Some("Fri 16:00-24:00".to_owned()) };
        plan.freezes = vec![freeze, weekly];
        let hold = |until| HoldStatus { since: at(-1).unwrap(), until, reason: None, even_emergency: false };
        let window = WindowStatus { hours: "Sat,Sun 02:00-05:00 UTC".to_owned(), open: false, opens_at: at(3) };
        for (one, name) in plan.certificates.iter_mut().zip(["a", "b", "c"]) {
            one.name = name.to_owned();
        }
        plan.certificates[0].hold = Some(hold(at(4)));
        plan.certificates[1].hold = Some(hold(None));
        plan.certificates[1].request_window = Some(window.clone());
        plan.certificates[2].deploy_window = Some(window);
        let text = chart(&plan, Timestamp::from_seconds(NOW), Style { width: 60, colours: false });
        assert_eq!(
            text,
            "\
DAY             RENEWALS               EXPIRIES
2026-11-25 Wed
  freeze from 2026-11-24T09:46:40Z until 2026-11-27T09:46:40Z: nothing is switched in
2026-11-26 Thu  3 ███
2026-11-27 Fri
  freeze ends at 2026-11-27T09:46:40Z
2026-11-28 Sat                         3 ███
2026-11-29 Sun
  hold ends at 2026-11-29T09:46:40Z: a

3 renewals; the most in one day: 3 (2026-11-26 Thu)
3 expiries; the most in one day: 3 (2026-11-28 Sat)
on hold until `renewd release`: b
freeze each week: Fri 16:00-24:00
requested only Sat,Sun 02:00-05:00 UTC: b
switched in only Sat,Sun 02:00-05:00 UTC: c",
            "\n{text}"
        );
    }

    #[track_caller]
    fn check(herds: &[(i64, i64, usize)], width: usize, expected: &str) {
        let style = Style { width, colours: false };
        let text = chart(&plan(herds), Timestamp::from_seconds(NOW), style);
        assert_eq!(text, expected, "\n{text}");
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= width, "{longest}");
    }

    #[test]
    fn what_is_near_has_a_row_for_each_day() {
        check(
            &[(0, 3, 1), (2, 4, 5), (-1, 1, 1)],
            60,
            "\
DAY             RENEWALS               EXPIRIES
overdue         1 █
2026-11-25 Wed  1 █
2026-11-26 Thu                         1 █
2026-11-27 Fri  5 █████
2026-11-28 Sat                         1 █
2026-11-29 Sun                         5 █████

7 renewals; the most in one day: 5 (2026-11-27 Fri)
7 expiries; the most in one day: 5 (2026-11-29 Sun)",
        );
    }

    #[test]
    fn what_is_far_has_a_row_for_each_week_and_herds_stand_out() {
        check(
            &[(3, 33, 40), (10, 40, 400), (-40, -2, 3), (4000, 5000, 1)],
            80,
            "\
WEEK OF         RENEWALS                         EXPIRIES
overdue           3 █                              3 █
2026-11-23       40 ███
2026-11-30      400 ███████████████████████████
2026-12-07
2026-12-14
2026-12-21
2026-12-28                                        40 ███
2027-01-04                                       400 ███████████████████████████
…
later             1 █                              1 █

444 renewals; the most in one week: 400 (2026-11-30)
444 expiries; the most in one week: 400 (2027-01-04)
a full bar: 400",
        );
    }

    #[test]
    fn bars_are_coloured_where_that_is_wanted() {
        let text = |colours| {
            let style = Style { width: 80, colours };
            chart(&plan(&[(1, 2, 1), (-3, -1, 1)]), Timestamp::from_seconds(NOW), style)
        };
        assert!(!text(false).contains('\u{1b}'));
        for colour in [RED, GREEN, YELLOW] {
            assert!(text(true).contains(&format!("\u{1b}[{colour}m█\u{1b}[0m")), "{colour}");
        }
    }
}
