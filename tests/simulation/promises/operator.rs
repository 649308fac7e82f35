//! What an operator and the programs of hooks put off, and for how long: judged by what the operator said and by what the
//! programs answered, not by what renewd made of it.

use std::time::Duration;

use renewd::core::event::{self, Event, HookStep};
use renewd::core::name::{CertName, Generation, HookName};
use renewd::core::time::Timestamp;
use renewd::core::wanted::window::Freeze;

use crate::disk::Live;
use crate::put_off::Held;
use crate::world::World;

use super::{DAY, MINUTE, SECOND};

/// A generation whose hook failed its test, and since when it is to be taken back.
pub(super) type Untested = Option<(Generation, Timestamp)>;

impl World {
    /// Promise 8: what an operator holds is neither asked for nor switched in, and what is frozen is not switched in, unless
    /// it is urgent or somebody asked for it since.
    pub(crate) fn check_put_off(&mut self, name: &CertName, switches: bool) {
        let is_frozen = switches && self.freezes.iter().any(|freeze| covers(freeze, self.wall()));
        let is_urgent = self.is_urgent(name);
        let is_there = self.disk.live.contains_key(name);
        // What was set in the same moment is not by the clock that was asked; what left the inventory is only finished.
        if self.ledger.clock_set_at.is_some_and(|at| at + MINUTE > self.now) || !self.inventory.contains_key(name) {
            return;
        }
        let breach = match self.hold_of(name) {
            // Between the intent and the request nobody is asked.
            Some(held) if !switches && held.since + SECOND > self.now => return,
            Some(held) if held.is_certain && (held.even_emergency || !is_there || !is_urgent) => "although it is held",
            _ if is_frozen && !is_urgent => "in a freeze",
            _ => return,
        };
        let what = if switches { "switched in" } else { "asked for" };
        self.breaks(8, format!("{name}: {what} {breach}"));
    }

    /// Whether there is no time left to wait, or nothing to keep.
    fn is_urgent(&self, name: &CertName) -> bool {
        self.is_overdue(name)
            || self.disk.live.get(name).is_some_and(|live| self.tlm.revoked.contains(&live.certificate.serial))
    }

    /// The same, where no look at TLM is needed to know it.
    fn is_overdue(&self, name: &CertName) -> bool {
        let wall = self.wall();
        self.disk.live.get(name).is_none_or(|live| live.damaged || emergency_at(live) <= wall)
    }

    /// Whether something that is put off may still wait, as far as anybody knows: what is damaged is seen by the next look.
    fn has_time(&self, name: &CertName) -> bool {
        let wall = self.wall();
        self.disk.live.get(name).is_none_or(|live| live.damaged || emergency_at(live) > wall)
    }

    /// The hold that has not ended by itself.
    fn hold_of(&self, name: &CertName) -> Option<Held> {
        let wall = self.wall();
        self.holds.get(name).copied().filter(|held| held.until.is_none_or(|until| wall < until))
    }

    /// Whether the operator's hold is to be obeyed now.
    pub(crate) fn is_held(&self, name: &CertName) -> bool {
        self.hold_of(name).is_some_and(|held| held.even_emergency || self.has_time(name))
    }

    /// Whether the program of a hook may still keep the switch of a certificate waiting.
    pub(super) fn is_vetoed(&self, name: &CertName, hook: &HookName) -> bool {
        let is_asked = self.inventory.get(name).is_some_and(|entry| entry.hooks.contains(hook));
        let agrees = self.asked_before.get(hook).is_none_or(|answer| answer.agrees());
        is_asked && !agrees && self.has_time(name)
    }

    /// Whether a freeze lasts until then, and nothing breaks it.
    pub(super) fn is_frozen_until(&self, name: &CertName, until: Timestamp) -> bool {
        let last = until - Duration::from_millis(1);
        self.freezes.iter().any(|freeze| covers(freeze, last)) && self.has_time(name)
    }

    /// In the emergency stage nothing keeps a certificate waiting but a hold that is to.
    pub(super) fn is_past_waiting(&self, name: &CertName) -> bool {
        self.disk.live.get(name).is_some_and(|live| emergency_at(live) + HALF_AN_HOUR <= self.now)
    }

    /// Whether the emergency stage began just now.
    pub(super) fn is_just_urgent(&self, name: &CertName) -> bool {
        let begins = self.disk.live.get(name).map(emergency_at);
        begins.is_some_and(|at| at <= self.now && self.now < at + HALF_AN_HOUR)
    }

    /// Promise 8: a program that says no is overruled where there is no time left, or nothing to keep, and only there.
    pub(super) fn check_veto(&mut self, entry: &event::Entry) {
        let Event::SwitchVetoed { hook, overruled, .. } = &entry.event else { return };
        let name = &entry.name;
        if !self.inventory.contains_key(name) || self.disk.unreadable {
            return;
        }
        if *overruled && !self.is_urgent(name) {
            self.breaks(8, format!("{name}: hook {hook} is overruled before the emergency stage"));
        }
        if !overruled && self.is_overdue(name) {
            self.breaks(8, format!("{name}: hook {hook} says no in the emergency stage, and is heeded"));
        }
    }

    /// Follows a set whose hook fails its test: the one before is to come back, where the entry wants that.
    pub(super) fn follow_test(&mut self, entry: &event::Entry) {
        let now = self.now;
        let goes_back = self.inventory.get(&entry.name).is_some_and(|wanted| wanted.rollback);
        let account = self.ledger.account(&entry.name);
        match &entry.event {
            Event::HookFailed { step: HookStep::Test, generation, .. } if goes_back => {
                let known = account.untested.filter(|(of, _)| of == generation);
                account.untested = (account.stays != Some(*generation)).then(|| known.unwrap_or((*generation, now)));
            }
            // In the emergency stage it stays, whatever its hooks say.
            Event::Forward { generation, stays, .. } => account.stays = stays.then_some(*generation),
            Event::RolledBack { to: generation, .. }
            | Event::RollbackRefused { from: generation, .. }
            | Event::DeployAsked { generation, .. } => (account.untested, account.stays) = (None, Some(*generation)),
            Event::HookDone { .. } | Event::Installed { .. } | Event::Adopted { .. } => account.untested = None,
            _ => {}
        }
    }

    /// Promise 6: a set that failed its test is live no longer than it takes to put the one before back.
    pub(super) fn audit_test(&mut self, name: &CertName) {
        let Some(account) = self.ledger.accounts.get(name) else { return };
        let Some((generation, since)) = account.untested else { return };
        let quiet_since = self.ledger.disturbed_at.map_or(since, |at| at.max(since));
        let is_live = self.disk.live.get(name).is_some_and(|live| live.generation == generation && !live.damaged);
        let wants = self.inventory.get(name).is_some_and(|entry| entry.rollback);
        let can = self.is_awake() && self.disk.fault.is_none() && !self.disk.unreadable;
        // What a full disk kept from it is tried again on its ladder.
        if is_live && wants && can && quiet_since + DAY / 2 <= self.now {
            let reason = self.reason(name);
            self.breaks(6, format!("{name}: generation {generation} failed its test, and is live: {reason}"));
        }
    }
}

/// The start of the last tenth of the validity.
fn emergency_at(live: &Live) -> Timestamp {
    live.certificate.not_after - live.certificate.lifetime() / 10
}

/// Whether a freeze is on at an instant: reckoned anew, for hours by UTC.
fn covers(freeze: &Freeze, at: Timestamp) -> bool {
    let hours = match freeze {
        Freeze::Dates { from, until } => return *from <= at && at < *until,
        Freeze::Hours(hours) => hours,
    };
    let (day, minute) = (at.seconds().div_euclid(86_400), at.seconds().rem_euclid(86_400) / 60);
    // The first of January 1970 was a Thursday.
    let is_on = |day: i64| hours.days[(day + 3).rem_euclid(7) as usize];
    let (from, to) = (i64::from(hours.from), i64::from(hours.to));
    if from < to {
        return is_on(day) && (from..to).contains(&minute);
    }
    (is_on(day) && minute >= from) || (is_on(day - 1) && minute < to)
}

const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);
