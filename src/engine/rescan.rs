//! When the inventory directory is looked at: soon after a hint that something changed, and now and then without one,
//! since no watch sees everything.

use std::time::Duration;

/// Hints that have come since the last look, and when the next look is due without one.
#[derive(Clone, Copy, Debug)]
pub struct Rescan {
    first: Option<Duration>,
    last: Duration,
    next_look: Duration,
}

impl Rescan {
    /// Something may have changed just before; times are steady ones, since some fixed instant.
    #[must_use]
    pub fn new(steady: Duration, is_watched: bool) -> Self {
        Self { first: Some(steady), last: steady, next_look: steady + cadence(is_watched, Duration::ZERO) }
    }

    /// Something may have changed.
    pub fn note(&mut self, steady: Duration) {
        self.first.get_or_insert(steady);
        self.last = steady;
    }

    /// When the next look is due: once it was quiet for a moment, or has not been quiet for some seconds.
    #[must_use]
    pub fn due(&self) -> Duration {
        let by_hint = self.first.map(|first| (self.last + QUIET).min(first + PATIENCE));
        by_hint.map_or(self.next_look, |at| at.min(self.next_look))
    }

    /// A look begins: what was hinted at until now is seen by it.
    pub fn looking(&mut self) {
        self.first = None;
    }

    /// A look has ended, which took so long.
    pub fn looked(&mut self, steady: Duration, took: Duration, is_watched: bool) {
        self.next_look = steady + cadence(is_watched, took);
    }

    /// A change may follow that cannot be told from what was seen, for so long.
    pub fn look_again(&mut self, steady: Duration, after: Duration) {
        self.next_look = self.next_look.min(steady + after);
    }
}

/// How long after a look the next one follows without a hint. Without a watch, looks are all there is; beside one, they
/// take a thousandth of the time at most, and one goes out each hour.
fn cadence(is_watched: bool, took: Duration) -> Duration {
    if is_watched { (took * 1000).clamp(CADENCE, LONGEST_CADENCE) } else { CADENCE_UNWATCHED }
}

const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(2);
const CADENCE: Duration = Duration::from_secs(300);
const LONGEST_CADENCE: Duration = Duration::from_secs(3600);
const CADENCE_UNWATCHED: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_follows_once_it_is_quiet_and_soon_even_if_it_never_is() {
        let at = Duration::from_millis;
        let mut hints = Rescan { first: None, last: at(0), next_look: at(300_000) };
        assert_eq!(hints.due(), at(300_000));
        hints.note(at(1000));
        assert_eq!(hints.due(), at(1300));
        hints.note(at(1200));
        assert_eq!(hints.due(), at(1500));
        for more in 0..50 {
            hints.note(at(1200 + more * 100));
        }
        assert_eq!(hints.due(), at(3000));
        hints.looking();
        hints.looked(at(3000), Duration::ZERO, true);
        assert_eq!(hints.due(), at(303_000));
        hints.look_again(at(3000), at(2000));
        assert_eq!(hints.due(), at(5000));
        hints.note(at(4000));
        assert_eq!(hints.due(), at(4300), "a hint that came while it was looked");
    }

    #[test]
    fn looks_that_take_long_are_rarer_where_there_is_a_watch() {
        let at = Duration::from_millis;
        for (took, minutes) in [(0, 5), (300, 5), (750, 12), (3600, 60), (90_000, 60)] {
            assert_eq!(cadence(true, at(took)).as_secs() / 60, minutes, "{took}");
            assert_eq!(cadence(false, at(took)), CADENCE_UNWATCHED);
        }
    }
}
