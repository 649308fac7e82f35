//! The two profiles of an entry with a fallback: which of them is asked, and what the other one met meanwhile, folded.

use std::ops::DerefMut as _;

use super::{FailureStreak, Open, Record, Stage, Stop};
use crate::core::event::Event;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// Which of the two is asked. Each has its own ladder, which goes on where it stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// Whether it is the fallback.
    pub is_fallback: bool,
    /// When that changed last.
    pub at: Timestamp,
    /// Why the entry's profile could not issue.
    pub why: Text,
    /// Whether TLM kept the request of the other one waiting, which was given up.
    pub was_pending: bool,
    /// What the other one failed with, in a row.
    pub trouble: FailureStreak,
    /// What it refused until something changes.
    pub stopped: Option<Box<Stop>>,
}

impl Record {
    /// Whether the entry's fallback is asked.
    #[must_use]
    pub fn asks_fallback(&self) -> bool {
        self.turn.as_deref().is_some_and(|turn| turn.is_fallback)
    }

    /// Folds that the other one is asked. What is the case already is no news.
    pub(super) fn change_profile(&mut self, event: &Event, at: Timestamp) {
        let why = if let Event::FellBack { why } = event { Some(why) } else { None };
        if self.asks_fallback() != why.is_some() {
            self.turn_over_at(at);
        }
        if let (Some(turn), Some(why)) = (&mut self.turn, why) {
            turn.why = why.clone();
        }
    }

    /// The other one is asked from now on. One request is in flight at a time (promise 3): that of the one that was asked is
    /// given up.
    pub(in crate::core) fn turn_over_at(&mut self, at: Timestamp) {
        let Open { turn, trouble, stopped, request, abandoned, .. } = self.deref_mut();
        let turn = turn.get_or_insert_default();
        (turn.is_fallback, turn.at) = (!turn.is_fallback, at);
        std::mem::swap(&mut turn.trouble, trouble);
        std::mem::swap(&mut turn.stopped, stopped);
        turn.was_pending = request.as_deref().is_some_and(|request| matches!(request.stage, Stage::Pending { .. }));
        if let Some(request) = request.take() {
            abandoned.insert(request.attempt, at);
        }
    }

    /// A new start for both, with the entry's profile first, unless a request is in flight at the fallback.
    pub(super) fn start_anew(&mut self) {
        (self.stopped, self.veto, self.trouble) = (None, None, FailureStreak::default());
        let is_in_flight = self.request.as_deref().is_some_and(|request| request.stage != Stage::Prepared);
        match &mut self.turn {
            Some(turn) if turn.is_fallback && is_in_flight => {
                (turn.trouble, turn.stopped) = (FailureStreak::default(), None);
            }
            turn => *turn = None,
        }
    }

    /// One of them issued. Where that was the fallback, the profile is asked again by its own ladder.
    pub(super) fn end_turns(&mut self) {
        if let Some(turn) = self.turn.take().filter(|turn| turn.is_fallback) {
            (self.trouble, self.stopped) = (turn.trouble, turn.stopped);
        }
    }
}
