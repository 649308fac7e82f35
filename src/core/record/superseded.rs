//! What was replaced and is to be revoked at TLM, where the entry says so: `revoke_superseded`.

use super::{FailureStreak, Record};
use crate::core::event::Event;
use crate::core::known::replaced::Replaced;
use crate::core::name::Digest;
use crate::core::time::Timestamp;

impl Record {
    /// Folds that another certificate is live.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are folded elsewhere")]
    pub(super) fn went_live(&mut self, at: Timestamp, event: &Event) {
        let (fingerprint, replaces) = match event {
            Event::Installed { generation, hooks, fingerprint, replaces, .. } => {
                self.installed(*generation, hooks, at);
                (fingerprint, replaces)
            }
            Event::Adopted { generation, hooks, fingerprint, replaces, .. } => {
                self.adopted(*generation, hooks, at);
                (fingerprint, replaces)
            }
            _ => return,
        };
        self.replaced(*fingerprint, replaces.as_deref(), at);
    }

    /// Another certificate is live. What ended by then is forgotten: nobody has to revoke it.
    fn replaced(&mut self, live: Digest, replaced: Option<&Replaced>, at: Timestamp) {
        let is_live = |one: &Replaced| one.fingerprint == live;
        let is_same = |one: &Replaced| replaced.is_some_and(|new| one.fingerprint == new.fingerprint);
        self.superseded.retain(|one| one.not_after > at && !is_live(one) && !is_same(one));
        if let Some(new) = replaced.filter(|new| new.not_after > at && !is_live(new)) {
            let surplus = (self.superseded.len() + 1).saturating_sub(MOST_SUPERSEDED);
            self.superseded.drain(..surplus);
            self.superseded.push(new.clone());
        }
        self.superseded.shrink_to_fit();
        self.in_service = None;
        self.forget_settled();
    }

    /// Folds what becomes of certificates that were replaced.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are folded elsewhere")]
    pub(super) fn revoking(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ServiceSeen { fingerprint, in_service } => {
                self.in_service = in_service.then(|| Box::new((*fingerprint, at)));
            }
            Event::SupersededRevoked { serial_number, outcome } => {
                self.superseded.retain(|one| !one.serial_number.same(serial_number));
                self.revocation = FailureStreak::default();
                if outcome.is_revoked() {
                    self.note_revoked(serial_number, true);
                }
                self.forget_settled();
            }
            Event::RevocationFailed { failure, .. } => self.revocation.add(failure.clone(), at),
            _ => {}
        }
    }

    /// Where nothing is to be revoked, nothing is waited for, and no failure matters.
    fn forget_settled(&mut self) {
        if self.superseded.is_empty() {
            (self.in_service, self.revocation) = (None, FailureStreak::default());
        }
    }
}

/// So many wait at a time: an entry that is replaced more often in the meantime leaves the oldest to their end.
const MOST_SUPERSEDED: usize = 8;
