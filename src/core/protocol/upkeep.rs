//! What is done for a set that is installed: put back, given another chain, looked at, switched back, and what it replaced
//! revoked.

use super::{Next, Outcome, Payload, Protocol};
use crate::core::event::{Event, RollbackBy, Withdrawal};
use crate::core::failure::{FailureClass, Scope};
use crate::core::name::{Generation, SerialNumber};

impl<P: Payload> Protocol<P> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, the files are as they should be")]
    pub(super) fn repaired(&mut self, outcome: Outcome<P>) -> Next<P> {
        let event = match outcome {
            Outcome::Adopted { generation, leaf, chain, replaces } => Event::Adopted {
                generation,
                serial_number: leaf.serial_number,
                fingerprint: leaf.fingerprint,
                not_after: leaf.not_after,
                hooks: self.job.entry.hooks.clone(),
                chain_end: chain.end_before(leaf.not_after).cloned().map(Box::new),
                issuer: Some(chain.issuer.subject),
                replaces,
            },
            Outcome::Refreshed { .. } => return self.refreshed(outcome),
            _ => Event::Repaired,
        };
        self.finish(event)
    }

    /// A refresh that came to nothing holds nothing back: the same is not tried again before the profile changes. A disk
    /// that failed says nothing of the chain, and is tried again on its own ladder.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, the chain stays as it is")]
    pub(super) fn refreshed(&mut self, outcome: Outcome<P>) -> Next<P> {
        self.finish(match outcome {
            Outcome::Refreshed { generation, ends_at } => {
                Event::ChainRefreshed { generation, ends_at, hooks: self.job.entry.hooks.clone() }
            }
            Outcome::Failed(failure) if failure.class.scope() == Scope::Disk => Event::Failed { failure },
            _ => Event::ChainKept { profile_version: self.job.profile_version },
        })
    }

    /// A look that failed is no trouble of the certificate.
    pub(super) fn checked(&mut self, outcome: Outcome<P>, serial_number: SerialNumber) -> Next<P> {
        let Outcome::Status(standing) = outcome else { return self.finish(Event::StatusUnread) };
        self.finish(Event::StatusChecked { serial_number, revoked: standing.is_revoked(), standing: Some(standing) })
    }

    pub(super) fn probed(&mut self, outcome: Outcome<P>) -> Next<P> {
        let Outcome::Probed { fingerprint, sights } = outcome else { return self.unexpected("a probe") };
        self.finish(Event::Probed { fingerprint, sights })
    }

    /// A way back that is not there is not looked for again; a disk that failed is tried again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    pub(super) fn back(&mut self, outcome: Outcome<P>, from: Generation) -> Next<P> {
        let hooks = self.job.entry.hooks.clone();
        match outcome {
            Outcome::Switched(to) => self.finish(Event::RolledBack { from, to, by: RollbackBy::Hook, hooks }),
            Outcome::Failed(failure) if failure.class.scope() != Scope::Disk => {
                self.finish(Event::RollbackRefused { from, failure })
            }
            Outcome::Failed(failure) => self.finish(Event::Failed { failure }),
            _ => self.unexpected("a rollback"),
        }
    }

    /// What is revoked already, as after an order whose answer was lost, and what TLM does not know, needs no other order.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    pub(super) fn revoked(&mut self, outcome: Outcome<P>, serial_number: SerialNumber) -> Next<P> {
        let outcome = match outcome {
            Outcome::Done => Withdrawal::Revoked,
            Outcome::Failed(failure) => match failure.class {
                FailureClass::CertificateRevoked => Withdrawal::Already,
                FailureClass::NotFound => Withdrawal::Unknown,
                _ => return self.finish(Event::RevocationFailed { serial_number, failure }),
            },
            _ => return self.unexpected("a revocation"),
        };
        self.finish(Event::SupersededRevoked { serial_number, outcome })
    }
}
