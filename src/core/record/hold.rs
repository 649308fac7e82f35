//! Holds: an operator's word that nothing is asked for and nothing switched in for a while. That of `renewd rollback` is
//! part of the return to the older generation; both end by `renewd release`.

use super::Record;
use crate::core::event::RollbackBy;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// The hold of `renewd hold`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// When it was ordered.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    pub why: Option<Text>,
    /// Whether not even an emergency ends it.
    pub even_emergency: bool,
}

impl Record {
    /// The hold that has not ended by itself at `now`.
    #[must_use]
    pub fn hold_at(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_deref().filter(|hold| hold.until.is_none_or(|until| until > now))
    }

    /// Whether an operator keeps an older generation live.
    #[must_use]
    pub fn is_held_by_rollback(&self) -> bool {
        self.rolled_back.as_deref().is_some_and(|back| !back.forward && back.by == RollbackBy::Operator)
    }

    /// Whether there is a hold of either kind to take back at `now`.
    #[must_use]
    pub fn has_hold(&self, now: Timestamp) -> bool {
        self.hold_at(now).is_some() || self.is_held_by_rollback()
    }

    pub(super) fn release(&mut self) {
        self.hold = None;
        if self.is_held_by_rollback() {
            self.rolled_back = None;
        }
    }
}
