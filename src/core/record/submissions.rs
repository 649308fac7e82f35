//! The submissions that count against a day's budget (promise 4): those that TLM may have accepted.

use std::time::Duration;

use super::Record;
use crate::core::time::Timestamp;

/// How long submissions count.
pub const BUDGET_SPAN: Duration = Duration::from_secs(86_400);

impl Record {
    /// Forgets submissions that are too old to count at `now`. One from far ahead may be told by a clock that is behind.
    pub fn forget_submissions(&mut self, now: Timestamp) {
        self.submissions.retain(|at| *at + BUDGET_SPAN > now);
        self.submissions.shrink();
    }

    /// How many submissions count at `now`.
    #[must_use]
    pub fn submissions_in_a_day(&self, now: Timestamp) -> usize {
        self.submissions_at(now).count()
    }

    /// The submissions that count at `now`.
    pub fn submissions_at(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.submissions.iter().copied().filter(move |at| counts(*at, now))
    }

    pub(super) fn count_submission(&mut self, at: Timestamp) {
        self.submissions.retain(|earlier| counts(*earlier, at));
        self.submissions.reserve_exact(1);
        self.submissions.push(at);
    }

    /// TLM did not accept the last one after all.
    pub(super) fn take_submission_back(&mut self) {
        self.submissions.pop();
        self.submissions.shrink();
    }
}

/// Whether a submission counts at `now`. One from far ahead, as a clock that was set back leaves it, does not.
fn counts(at: Timestamp, now: Timestamp) -> bool {
    at + BUDGET_SPAN > now && at < now + BUDGET_SPAN
}
