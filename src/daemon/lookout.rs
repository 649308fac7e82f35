//! When the inventory directory is looked at: soon after a hint, once it is quiet, and now and then without one. Hints
//! are only hints: what none told of is found by the next look.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::UNSETTLED;

use super::watch::Watch;

/// Looks after the inventory directory. Instants are those of the steady clock, so that no step of the wall clock
/// matters.
#[derive(Debug)]
pub struct Lookout {
    watch: Watch,
    hints: Hints,
    is_watched: bool,
}

impl Lookout {
    /// Looks after `directory`; the watch notifies `hints`.
    #[must_use]
    pub fn new(directory: &Path, hints: Arc<Notify>, steady: Duration) -> Self {
        let mut watch = Watch::new(directory, hints);
        let is_watched = watch.arm();
        // The watch began after the first reading: the first look compares.
        let next_look = steady + cadence(is_watched, Duration::ZERO);
        let hints = Hints { first: Some(steady), last: steady, next_look };
        Self { watch, hints, is_watched }
    }

    /// Something may have changed.
    pub fn hint(&mut self, steady: Duration) {
        self.hints.note(steady);
    }

    /// When the next look is due.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.hints.due()
    }

    /// Whether a look is due.
    #[must_use]
    pub fn is_due(&self, steady: Duration) -> bool {
        self.due() <= steady
    }

    /// The directory is about to be looked at: renews the watch where it was replaced.
    pub fn looking(&mut self) {
        self.is_watched = self.watch.arm();
        self.hints.first = None;
    }

    /// The directory was looked at, which took so long.
    pub fn looked(&mut self, steady: Duration, took: Duration) {
        self.hints.next_look = steady + cadence(self.is_watched, took);
    }

    /// A file that changed just now may change once more unseen: looks again soon.
    pub fn look_again(&mut self, steady: Duration) {
        self.hints.next_look = self.hints.next_look.min(steady + UNSETTLED);
    }
}

/// Hints that have come since the last look, and when the next look is due without one.
#[derive(Clone, Copy, Debug)]
struct Hints {
    first: Option<Duration>,
    last: Duration,
    next_look: Duration,
}

impl Hints {
    fn note(&mut self, steady: Duration) {
        self.first.get_or_insert(steady);
        self.last = steady;
    }

    /// Once it was quiet for a moment, or has not been quiet for some seconds.
    fn due(&self) -> Duration {
        let by_hint = self.first.map(|first| (self.last + QUIET).min(first + PATIENCE));
        by_hint.map_or(self.next_look, |at| at.min(self.next_look))
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
        let mut hints = Hints { first: None, last: at(0), next_look: at(300_000) };
        assert_eq!(hints.due(), at(300_000));
        hints.note(at(1000));
        assert_eq!(hints.due(), at(1300));
        hints.note(at(1200));
        assert_eq!(hints.due(), at(1500));
        for more in 0..50 {
            hints.note(at(1200 + more * 100));
        }
        assert_eq!(hints.due(), at(3000));
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
