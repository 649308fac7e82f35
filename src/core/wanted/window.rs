//! Windows and freezes: when a certificate may be asked for, and when an issued one may be switched in. When one opens next
//! is told by the daemon, which knows time zones; here is what was asked for, and what follows from it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::time::Timestamp;

/// Weekly hours in a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployWindow {
    /// On which days it opens, Monday first.
    pub days: [bool; 7],
    /// When it opens, in minutes after midnight.
    pub from: u16,
    /// When it closes, in minutes after midnight; not later than `from`: on the next day.
    pub to: u16,
    /// The time zone by its IANA name; `None`: the host's.
    pub zone: Option<String>,
}

/// A time in which nothing is switched in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// Once.
    Dates {
        /// From this instant on.
        from: Timestamp,
        /// Until this one.
        until: Timestamp,
    },
    /// Each week, in these hours.
    Hours(DeployWindow),
}

/// What a window says at one instant, for a switch also the freezes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deploy {
    /// There is none, or it is open.
    #[default]
    Open,
    /// It opens at this instant.
    Closed(Timestamp),
    /// A freeze ends at this instant, and then it is open.
    Frozen(Timestamp),
    /// Its time zone cannot be read, so that nobody knows when it opens.
    Unplaced,
}

impl DeployWindow {
    /// Reads `Sat,Sun 02:00-05:00`, `Mon-Fri 22:00-04:00` or `02:00-05:00`; `None` where it is nothing of the kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (days, hours) =
            text.trim().rsplit_once(' ').map_or((None, text.trim()), |(days, hours)| (Some(days), hours));
        let (from, to) = hours.split_once('-')?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        let days = days.map_or(Some([true; 7]), parse_days)?;
        (from < MINUTES_OF_DAY && from != to).then_some(Self { days, from, to, zone: None })
    }

    /// How long it is open at a time.
    #[must_use]
    pub fn length(&self) -> Duration {
        let minutes = if self.to > self.from { self.to - self.from } else { MINUTES_OF_DAY - self.from + self.to };
        Duration::from_secs(u64::from(minutes) * 60)
    }

    /// The longest that it stays closed.
    #[must_use]
    pub fn longest_closed(&self) -> Duration {
        let days: Vec<usize> = self.days.iter().enumerate().filter(|(_, on)| **on).map(|(day, _)| day).collect();
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return Duration::MAX };
        let within = days.iter().zip(days.iter().skip(1)).map(|(one, next)| next - one).max().unwrap_or(0);
        let gap = within.max(7 - last + first);
        DAY.saturating_mul(u32::try_from(gap).unwrap_or(7)).saturating_sub(self.length())
    }
}

impl fmt::Display for DeployWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = DAYS.iter().zip(self.days).filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{} {}-{}", days.join(","), time(self.from), time(self.to))?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, " {zone}"))
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= MINUTES_OF_DAY).then_some(all)
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim()));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let count = (last + 7 - first) % 7 + 1;
        for step in 0..count {
            *days.get_mut((first + step) % 7)? = true;
        }
    }
    Some(days)
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MINUTES_OF_DAY: u16 = 24 * 60;
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_they_are_written() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(DeployWindow::parse(text).map(|window| window.to_string()).as_deref(), expected, "{text}");
        };
        check("Sat,Sun 02:00-05:00", Some("Sat,Sun 02:00-05:00"));
        check("mon-wed,sun 22:30-04:00", Some("Mon,Tue,Wed,Sun 22:30-04:00"));
        check("Fri-Mon 00:00-24:00", Some("Mon,Fri,Sat,Sun 00:00-24:00"));
        check("02:00-05:00", Some("Mon,Tue,Wed,Thu,Fri,Sat,Sun 02:00-05:00"));
        for bad in ["", "Sat", "02:00", "2:00-5:00", "02:00-02:00", "02:00-25:00", "Foo 02:00-05:00", "24:00-01:00"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_longest_closed_time_spans_the_week() {
        let hours = |text: &str| DeployWindow::parse(text).unwrap().longest_closed().as_secs() / 3600;
        assert_eq!(hours("02:00-05:00"), 21);
        assert_eq!(hours("Sat,Sun 02:00-05:00"), 6 * 24 - 3);
        assert_eq!(hours("Wed 22:00-04:00"), 7 * 24 - 6);
        assert_eq!(hours("Mon,Thu 00:00-24:00"), 3 * 24);
    }
}
