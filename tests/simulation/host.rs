//! What the certificates are for: a server each, which serves what it read when its hook last ran; and what people do
//! to installed sets beside renewd.

use std::sync::Arc;
use std::time::Duration;

use renewd::core::event::{self, Event, RollbackBy};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::served::{AddressProbe, ServedLeaf};
use renewd::core::name::{Attempt, CertName, Generation, HookName, SerialNumber};
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::engine::Input;

use crate::disk::Live;
use crate::effects::Outcome;
use crate::tlm::{Certificate, digest};
use crate::world::World;

/// How the operator's hooks behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookMood {
    Fine,
    Fails,
    /// Its test fails, so that it does not run.
    Untested,
    Hangs,
    /// It ends well, and its server reads nothing anew.
    Lies,
}

/// What the program answers that a hook runs before a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Agrees,
    /// It agrees after most of a minute.
    Slow,
    SaysNo,
    Hangs,
    CannotStart,
}

impl Before {
    /// Whether the switch takes place, sooner or later.
    pub(crate) const fn agrees(self) -> bool {
        matches!(self, Self::Agrees | Self::Slow)
    }
}

impl World {
    /// A hook did what it is for: its servers read what is installed.
    pub(crate) fn servers_read(&mut self, hook: &HookName) {
        if self.disk.unreadable {
            return;
        }
        let users = self.inventory.values().filter(|entry| entry.hooks.contains(hook));
        let live = users.filter_map(|entry| Some((entry.name.clone(), self.disk.live.get(&entry.name)?)));
        let read = live.filter(|(_, live)| !live.damaged).map(|(name, live)| (name, Arc::clone(&live.certificate)));
        self.served.extend(read);
    }

    /// What each address of the probe shows.
    pub(crate) fn look_at_servers(&self, entry: &Entry) -> Vec<AddressProbe> {
        let leaf = match self.served.get(&entry.name) {
            _ if self.silent => Err(Text::new("connection refused")),
            None => Err(Text::new("no certificate")),
            Some(served) => Ok(ServedLeaf { fingerprint: served.fingerprint, what: Text::new(&served.serial.0) }),
        };
        entry
            .probes
            .iter()
            .map(|probe| AddressProbe { address: Text::new(&probe.address), leaf: leaf.clone() })
            .collect()
    }

    /// Whether the server of a certificate shows what is installed.
    pub(crate) fn is_served(&self, name: &CertName) -> bool {
        let installed = self.disk.live.get(name).map(|live| live.certificate.fingerprint);
        installed.is_some() && self.served.get(name).map(|served| served.fingerprint) == installed
    }

    /// Somebody starts a server with the files of last year.
    pub(crate) fn serve_old(&mut self, name: &CertName) {
        let old = self.disk.others.get(name).and_then(|others| others.first());
        if let Some(old) = old {
            self.served.insert(name.clone(), Arc::clone(&old.certificate));
        }
    }

    /// Somebody renews a certificate with tools of his own, and puts it in the place of ours; some are no good.
    pub(crate) fn renew_elsewhere(&mut self, name: &CertName) {
        let Some(live) = self.disk.live.get(name) else { return };
        let ours = Arc::clone(&live.certificate);
        let lifetime = ours.lifetime();
        let is_late = self.random.percent(30);
        let not_before = self.now - Duration::from_secs(300);
        let mut asked = ours.asked.clone();
        if self.random.percent(20) {
            asked.names.dns_names.pop();
        }
        let theirs = Arc::new(Certificate {
            name: name.clone(),
            serial: SerialNumber(format!("F{:X}", self.random.below(1 << 40))),
            fingerprint: digest(self.random.next()),
            spki: digest(self.random.next()),
            asked,
            profile: ours.profile.clone(),
            not_before,
            not_after: if is_late { ours.not_after } else { not_before + lifetime },
            visible_at: Timestamp::from_seconds(i64::from(u32::MAX)),
            defect: None,
        });
        // TLM issued it all the same: for the same account, by another client.
        self.tlm.certificates.push(Arc::clone(&theirs));
        if let Some(live) = self.disk.live.get_mut(name) {
            live.foreign = Some(theirs);
        }
    }

    /// `store::repair`: what is newer and passes the gate is taken over, all else is put back.
    pub(crate) fn repair(&mut self, entry: &Entry) -> Result<Outcome, Failure> {
        self.disk.write()?;
        let now = self.wall();
        let Some(live) = self.disk.live.get_mut(&entry.name) else { return Ok(Outcome::Done) };
        live.drifted = false;
        let Some(theirs) = live.foreign.take() else { return Ok(Outcome::Done) };
        let ours = &live.certificate;
        let passes = theirs.not_after > ours.not_after
            && theirs.not_before <= now
            && theirs.not_after > now
            && entry.names().missing_in(&theirs.asked.names).is_empty();
        if !passes {
            return Ok(Outcome::Done);
        }
        let generation = self.disk.install(&entry.name, Attempt(0), &theirs, entry);
        self.went_live(entry, generation);
        let replaces = self.disk.replaced(&entry.name);
        Ok(Outcome::Adopted { generation, leaf: Box::new(theirs.leaf()), chain: Box::default(), replaces })
    }

    /// `store::rollback`: the newest older generation that is valid and not revoked.
    pub(crate) fn roll_back(
        &mut self,
        entry: &Entry,
        from: Generation,
        revoked: &[SerialNumber],
    ) -> Result<Generation, Failure> {
        let now = self.wall();
        let usable = |live: &&Live| {
            let certificate = &live.certificate;
            live.generation < from && certificate.not_after > now && !revoked.contains(&certificate.serial)
        };
        let there = self.disk.live.get(&entry.name).into_iter();
        let all = there.chain(self.disk.others.get(&entry.name).into_iter().flatten());
        let to = all.filter(usable).map(|live| live.generation).max();
        let none = || Failure::new(FailureClass::NoWayBack, "there is no older generation");
        let to = to.ok_or_else(none)?;
        self.make_live(entry, to)?;
        Ok(to)
    }

    pub(crate) fn make_live(&mut self, entry: &Entry, generation: Generation) -> Result<(), Failure> {
        self.disk.write()?;
        if !self.disk.switch(&entry.name, generation) {
            return Err(Failure::new(FailureClass::Disk, format!("generation {generation} is gone")));
        }
        self.went_live(entry, generation);
        Ok(())
    }

    /// `daemon::rollback`: at the operator's word. The process may die before the journal has it.
    pub(crate) fn operator_rolls_back(&mut self, name: &CertName) {
        let Some(daemon) = &mut self.daemon else { return };
        let Ok((entry, record)) = daemon.engine.begin_rollback(name) else { return };
        self.go_back(&entry, &record.revoked);
        if self.daemon.is_some() {
            self.handle(Input::Finished { name: name.clone(), had_place: false });
        }
    }

    fn go_back(&mut self, entry: &Entry, revoked: &[SerialNumber]) {
        let name = &entry.name;
        let Some(from) = self.disk.live.get(name).map(|live| live.generation) else { return };
        let Ok(to) = self.roll_back(entry, from, revoked) else { return };
        if self.random.percent(20) {
            return self.crash(Some(Duration::from_secs(60)));
        }
        let event = Event::RolledBack { from, to, by: RollbackBy::Operator, hooks: entry.hooks.clone() };
        let done = event::Entry { at: self.wall(), name: name.clone(), event };
        self.append(&done);
        self.handle(Input::Happened(done));
    }
}
