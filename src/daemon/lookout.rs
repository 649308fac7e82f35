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
}

impl Lookout {
    /// Looks after `directory`; the watch notifies `hints`.
    #[must_use]
    pub fn new(directory: &Path, hints: Arc<Notify>, steady: Duration) -> Self {
        let mut watch = Watch::new(directory, hints);
        let watched = watch.arm();
        // The watch began after the first reading: the first look compares.
        let hints = Hints { first: Some(steady), last: steady, next_look: steady + cadence(watched) };
        Self { watch, hints }
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

    /// The directory is being looked at: renews the watch where it was replaced.
    pub fn looking(&mut self, steady: Duration) {
        let watched = self.watch.arm();
        self.hints.looked(steady, cadence(watched));
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

    fn looked(&mut self, steady: Duration, cadence: Duration) {
        self.first = None;
        self.next_look = steady + cadence;
    }
}

/// Without a watch, looks are all there is.
const fn cadence(watched: bool) -> Duration {
    if watched { CADENCE } else { CADENCE_UNWATCHED }
}

const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(2);
const CADENCE: Duration = Duration::from_secs(300);
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
        hints.looked(at(3000), at(300_000));
        assert_eq!(hints.due(), at(303_000));
    }
}
