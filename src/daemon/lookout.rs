//! The watch over the inventory directory, and when it is looked at. Hints are only hints: what none told of is found by
//! the next look.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::UNSETTLED;
use crate::core::hints::Hints;

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
        Self { watch, hints: Hints::new(steady, is_watched), is_watched }
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
        self.hints.looking();
    }

    /// The directory was looked at, which took so long.
    pub fn looked(&mut self, steady: Duration, took: Duration) {
        self.hints.looked(steady, took, self.is_watched);
    }

    /// A file that changed just now may change once more unseen: looks again soon.
    pub fn look_again(&mut self, steady: Duration) {
        self.hints.look_again(steady, UNSETTLED);
    }
}
