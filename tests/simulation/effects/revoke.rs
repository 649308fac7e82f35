//! Revoking what was replaced, as the daemon does it, and what may never be revoked.

use renewd::core::failure::Failure;
use renewd::core::known::replaced::Replaced;
use renewd::core::wanted::entry::Entry;
use renewd::engine::Step;
use renewd::engine::breaker::Function;

use super::{Outcome, Running};
use crate::tlm::Endpoint;
use crate::world::World;

impl World {
    pub(super) fn revoke(&mut self, running: &Running, certificate: &Replaced) -> Result<Outcome, Failure> {
        let (name, wall) = (running.name(), self.wall());
        let may = self.daemon.as_ref().is_none_or(|daemon| daemon.engine.may(name, Step::Revoke, wall));
        let live = self.disk.live.get(name).filter(|live| !live.damaged && !self.disk.unreadable);
        if !may || live.is_none_or(|live| live.certificate.serial == certificate.serial_number) {
            return Ok(Outcome::NotNow);
        }
        self.check_revocation(&running.job.entry, certificate);
        let told = self.part(running, Endpoint::Revoke).and_then(|()| self.tlm.revoke(&certificate.serial_number));
        self.call(running, Function::Revoke, told)?;
        Ok(Outcome::Done)
    }

    /// Promise 20: what is revoked is live nowhere, nobody holds anything, and what took its place did so long enough ago.
    fn check_revocation(&mut self, entry: &Entry, certificate: &Replaced) {
        let (name, serial) = (&entry.name, &certificate.serial_number);
        let user = self.disk.live.iter().find(|(_, live)| live.certificate.serial == *serial);
        if let Some((user, _)) = user {
            return self.breaks(20, format!("{name}: revokes {serial}, which {user} presents"));
        }
        if self.is_held(name) {
            return self.breaks(20, format!("{name}: revokes {serial} while it is held"));
        }
        let Some(span) = entry.revoke_superseded else {
            return self.breaks(20, format!("{name}: revokes {serial}, and its entry wants nothing revoked"));
        };
        let live_for = self.ledger.live_since(name).map(|since| self.now.since(since));
        if self.is_time_told() && live_for.is_some_and(|live_for| live_for + TOLERANCE * 2 < span) {
            self.breaks(20, format!("{name}: revokes {serial} after {live_for:?} of {span:?}"));
        }
    }

    /// Whether TLM tells the time, and that is right.
    fn is_time_told(&self) -> bool {
        self.tlm.dates && self.tlm.odd.clock == 0 && self.tlm.odd_date == 0
    }
}

/// So far the clock may be off unnoticed.
const TOLERANCE: std::time::Duration = std::time::Duration::from_secs(660);
