//! Whether the host's clock can be trusted: compared with the API's `Date`, the build date and the journal.

use std::time::Duration;

use super::time::Timestamp;

/// What is known of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockCheck {
    /// No time before this one can be right: the build date, and the journal's last entry.
    earliest: Timestamp,
    /// How far the API is ahead of us, in milliseconds, by its last `Date`.
    offset: Option<i64>,
    now: Timestamp,
}

/// The state of the clock, as the status names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// Not compared yet.
    Unknown,
    /// Within ten minutes of the API's.
    Ok,
    /// Evidently wrong: nothing is submitted.
    Wrong,
}

impl ClockState {
    /// The word in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Wrong => "wrong",
        }
    }
}

impl ClockCheck {
    /// Nothing compared yet; `earliest` is the later of build date and the journal's last entry.
    #[must_use]
    pub const fn new(earliest: Timestamp, now: Timestamp) -> Self {
        Self { earliest, offset: None, now }
    }

    /// Notes the `Date` of an answer that came in at `now` by our clock.
    pub fn compare(&mut self, date: Timestamp, now: Timestamp) {
        self.now = now;
        self.offset = Some(date.millis().saturating_sub(now.millis()));
    }

    /// Notes that time passed.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The clock was set: what was compared before says nothing any more.
    pub fn stepped(&mut self, now: Timestamp) {
        self.now = now;
        self.offset = None;
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> ClockState {
        match self.offset {
            Some(offset) if Duration::from_millis(offset.unsigned_abs()) > TOLERANCE => ClockState::Wrong,
            Some(_) => ClockState::Ok,
            None if self.now + DAY < self.earliest => ClockState::Wrong,
            None => ClockState::Unknown,
        }
    }

    /// How far the API is ahead of us, in seconds.
    #[must_use]
    pub fn offset_seconds(&self) -> Option<i64> {
        self.offset.map(|millis| millis / 1000)
    }
}

const TOLERANCE: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_are_tolerated_either_way() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let check = |offset: i64, expected: ClockState| {
            let mut clock = ClockCheck::new(now, now);
            clock.compare(Timestamp::from_seconds(now.seconds() + offset), now);
            assert_eq!(clock.state(), expected, "{offset}");
        };
        check(0, ClockState::Ok);
        check(600, ClockState::Ok);
        check(601, ClockState::Wrong);
        check(-600, ClockState::Ok);
        check(-601, ClockState::Wrong);
    }

    #[test]
    fn a_time_before_the_journal_is_wrong_and_an_unseen_date_is_not() {
        let day = Duration::from_secs(86_400);
        let earliest = Timestamp::from_seconds(1_800_000_000);
        assert_eq!(ClockCheck::new(earliest, earliest - day).state(), ClockState::Unknown);
        assert_eq!(ClockCheck::new(earliest, earliest - day - Duration::from_millis(1)).state(), ClockState::Wrong);
    }

    #[test]
    fn a_step_asks_for_a_new_comparison() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut clock = ClockCheck::new(now, now);
        clock.compare(now, now);
        clock.stepped(now + Duration::from_secs(3600));
        assert_eq!(clock.state(), ClockState::Unknown);
    }
}
