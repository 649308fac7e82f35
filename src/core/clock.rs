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
    /// Whether an answer came since the clock was last set, and told no time.
    is_untold: bool,
    now: Timestamp,
    /// Since when it has counted as wrong without a break.
    wrong_since: Option<Timestamp>,
    /// When the API's time is asked for next, while the clock counts as wrong.
    compare_at: Timestamp,
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
        Self { earliest, offset: None, is_untold: false, now, wrong_since: None, compare_at: now }
    }

    /// Notes the `Date` of an answer that came in at `now` by our clock.
    pub fn compare(&mut self, date: Timestamp, now: Timestamp) {
        self.now = now;
        self.offset = Some(date.millis().saturating_sub(now.millis()));
        if self.state() == ClockState::Wrong {
            self.compare_later(now);
        } else {
            self.wrong_since = None;
        }
    }

    /// Notes an answer without a `Date`.
    pub const fn answered_without_date(&mut self) {
        self.is_untold = true;
    }

    /// Whether the API was asked for the time since the clock was last set, as far as it tells it.
    #[must_use]
    pub const fn is_compared(&self) -> bool {
        self.offset.is_some() || self.is_untold
    }

    /// Puts the next comparison off: by ten seconds at first, since one server of many may be off and not this host,
    /// and by as long as the clock has been wrong after that, up to half an hour.
    fn compare_later(&mut self, now: Timestamp) {
        let since = *self.wrong_since.get_or_insert(now);
        self.compare_at = now + now.since(since).clamp(SECOND_OPINION, LONGEST_DOUBT);
    }

    /// Notes that time passed.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The clock was set: what was compared before says nothing any more.
    pub fn stepped(&mut self, now: Timestamp) {
        self.now = now;
        (self.offset, self.is_untold) = (None, false);
        self.wrong_since = None;
        self.compare_at = now;
    }

    /// When the API's time is to be asked for, because the clock counts as wrong and nothing else is asked meanwhile.
    #[must_use]
    pub fn comparison_at(&self) -> Option<Timestamp> {
        (self.state() == ClockState::Wrong).then_some(self.compare_at)
    }

    /// Takes the comparison that is due, if one is; the next one is due later, whatever comes of this one.
    pub fn take_comparison(&mut self, now: Timestamp) -> bool {
        let is_due = self.comparison_at().is_some_and(|at| at <= now);
        if is_due {
            self.compare_later(now);
        }
        is_due
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
const SECOND_OPINION: Duration = Duration::from_secs(10);
const LONGEST_DOUBT: Duration = Duration::from_secs(30 * 60);
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
    fn a_clock_that_was_set_is_compared_anew() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut clock = ClockCheck::new(now, now);
        assert!(!clock.is_compared());
        clock.answered_without_date();
        assert!(clock.is_compared(), "more is not to be had");
        clock.stepped(now);
        assert!(!clock.is_compared());
        clock.compare(now, now);
        assert!(clock.is_compared());
    }

    #[test]
    fn a_time_before_the_journal_is_wrong_and_an_unseen_date_is_not() {
        let day = Duration::from_secs(86_400);
        let earliest = Timestamp::from_seconds(1_800_000_000);
        assert_eq!(ClockCheck::new(earliest, earliest - day).state(), ClockState::Unknown);
        assert_eq!(ClockCheck::new(earliest, earliest - day - Duration::from_millis(1)).state(), ClockState::Wrong);
    }

    #[test]
    fn a_wrong_clock_is_compared_again_soon_and_then_ever_more_rarely() {
        let start = Timestamp::from_seconds(1_800_000_000);
        let mut clock = ClockCheck::new(start, start);
        assert!(!clock.take_comparison(start), "unknown is not wrong");
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..12 {
            clock.compare(now + 2 * TOLERANCE, now);
            let next = clock.comparison_at().unwrap();
            assert!(!clock.take_comparison(next - Duration::from_millis(1)) && clock.take_comparison(next));
            assert!(!clock.take_comparison(next), "it is on its way");
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [10, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]);
        clock.compare(now, now);
        assert_eq!((clock.state(), clock.comparison_at()), (ClockState::Ok, None));
        clock.compare(now + 2 * TOLERANCE, now);
        assert_eq!(clock.comparison_at(), Some(now + SECOND_OPINION));
    }

    #[test]
    fn a_clock_that_the_journal_shows_to_be_wrong_is_compared_at_once() {
        let earliest = Timestamp::from_seconds(1_800_000_000);
        let now = earliest - 2 * DAY;
        let mut clock = ClockCheck::new(earliest, now);
        assert!(clock.take_comparison(now));
        assert_eq!(clock.comparison_at(), Some(now + SECOND_OPINION), "nobody answered");
        clock.compare(now, now);
        assert_eq!(clock.state(), ClockState::Ok);
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
