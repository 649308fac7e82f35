//! Certificates: how they come and go, what is decided for one, and who is next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::decide::Action;
use crate::core::event::{self, Event};
use crate::core::known::observed::Observed;
use crate::core::known::replaced::Replaced;
use crate::core::name::{Attempt, CertName, ProfileRef};
use crate::core::reason::{Reason, State};
use crate::core::record::Record;
use crate::core::schedule;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;

use super::io::{Arrival, Command, News, Now};
use super::job::Job;
use super::managed::{Blocked, Managed};
use super::rescan::Rescan;
use super::{Engine, SHORTEST_NAP, ca_status};

impl Engine {
    pub(super) fn begin(&mut self, arrivals: Vec<Arrival>, gone: &[CertName], is_watched: Option<bool>, now: Now) {
        self.rescan = is_watched.map(|is_watched| Rescan::new(now.steady, is_watched));
        gone.iter().for_each(|name| self.remove(name, now.wall));
        let mut managed = Vec::with_capacity(arrivals.len());
        for Arrival { entry, observed, attempts } in arrivals {
            let record = self.record_of(&entry.name, &attempts);
            managed.push(Managed::new(entry, observed, record, now.wall));
        }
        let names: Vec<CertName> = managed.iter().map(|managed| managed.entry.name.clone()).collect();
        self.fleet.fill(managed);
        names.iter().for_each(|name| self.decide(name, now));
        self.forget_keys_of_the_removed(now.wall);
    }

    /// Takes an entry under management.
    pub(super) fn adopt(&mut self, arrival: Arrival, now: Now) {
        let Arrival { entry, observed, attempts } = arrival;
        let record = self.record_of(&entry.name, &attempts);
        let name = entry.name.clone();
        self.looks.seen_now(&name);
        self.fleet.add(Managed::new(entry, observed, record, now.wall), now.wall);
        self.note_set(&name, None, now.wall);
        self.decide(&name, now);
    }

    /// What is known of a certificate. The keys of requests that were never submitted are removed: the journal does not
    /// know them. One that is too new may know them in words of its own.
    fn record_of(&mut self, name: &CertName, attempts: &[Attempt]) -> Record {
        let record = self.records.remove(name).unwrap_or_default();
        let too_new = self.global.journal_too_new;
        let orphans = attempts.iter().filter(|attempt| !too_new && !record.knows(**attempt));
        for attempt in orphans {
            self.commands.push_back(Command::RemoveKey { name: name.clone(), attempt: *attempt, is_on_record: false });
        }
        record
    }

    /// Removes the keys of requests whose entry left the inventory so long ago that TLM has forgotten them, too.
    fn forget_keys_of_the_removed(&mut self, now: Timestamp) {
        let of_record = |(name, record): (&CertName, &Record)| {
            record.expired_keys(now).map(|attempt| (name.clone(), attempt)).collect::<Vec<_>>()
        };
        let over: Vec<(CertName, Attempt)> = self.records.iter().flat_map(of_record).collect();
        for (name, attempt) in over {
            self.want(Command::RemoveKey { name, attempt, is_on_record: true });
        }
    }

    /// Lets a certificate go that the inventory no longer names.
    pub(super) fn remove(&mut self, name: &CertName, now: Timestamp) {
        self.tell(News::Removed(name.clone()));
        self.note(vec![event::Entry { at: now, name: name.clone(), event: Event::LeftInventory }]);
        if let Some(managed) = self.fleet.remove(name) {
            self.records.insert(name.clone(), managed.record);
        }
    }

    /// Has certificates looked at, of which nobody is working on.
    pub(super) fn look_at(&mut self, names: &[CertName]) {
        let free = names.iter().filter_map(|name| self.fleet.one(name)).filter(|managed| !managed.is_busy());
        let entries: Vec<Arc<Entry>> = free.map(|managed| Arc::clone(&managed.entry)).collect();
        if !entries.is_empty() {
            let look = self.looks.begin(entries.iter().map(|entry| &entry.name));
            self.want(Command::Observe { look, entries });
        }
    }

    pub(super) fn observed(&mut self, look: u64, found: Vec<(CertName, Observed)>, now: Now) {
        for (name, observed) in found {
            if !self.looks.end(look, &name) || self.fleet.one(&name).is_none_or(Managed::is_busy) {
                continue;
            }
            let replace = |managed: &mut Managed| {
                let before = std::mem::replace(&mut managed.observed, observed);
                ca_status::set_of(&before)
            };
            let before = self.fleet.change(&name, replace).flatten();
            self.note_set(&name, before, now.wall);
            self.decide(&name, now);
        }
    }

    /// Decides for one certificate, and sets in motion what was decided.
    pub(super) fn decide(&mut self, name: &CertName, now: Now) {
        self.fleet.step_out(name);
        self.global.api_recovered_at = self.api.breaker().recovered_at();
        self.global.clock_is_compared = self.clock.is_compared();
        self.global.api_is_blocked = self.api.is_down() || self.api.paused_until(now.wall).is_some();
        if self.looks.is_awaited(name) {
            return;
        }
        let Some(managed) = self.fleet.one(name).filter(|managed| !managed.is_busy()) else { return };
        let entry = Arc::clone(&managed.entry);
        let before = managed.decision().reason.clone();
        entry.profiles().for_each(|profile| self.profiles.know(profile));
        let decide = |managed: &mut Managed| {
            let is_first = managed.is_new();
            managed.decide(&self.profiles, &self.global, now.wall);
            (managed.decision().action.clone(), managed.decision().wake_at, is_first)
        };
        let Some((action, wake_at, is_first)) = self.fleet.change(name, decide) else { return };
        let wake_at = wake_at.max(now.wall + SHORTEST_NAP).min(schedule::look_again(name, now.wall));
        let may_read = !self.global.asks_nobody && !self.api.is_down() && self.may_ask_now(name, now.wall);
        for profile in entry.profiles().filter(|_| may_read) {
            if self.profiles.is_stale(profile, now.wall) {
                self.profiles.request(profile);
            }
        }
        self.fleet.wake(name, wake_at);
        self.queue_hook(name);
        match action {
            Action::Wait | Action::RunHook(_) => {}
            Action::ReadProfile(profile) => {
                if !self.hold_back(name, now.wall) {
                    self.profiles.request(&profile);
                }
            }
            // What it needs is here, as a rule: an outage holds no install back.
            Action::Install { .. } => self.fleet.line_up(name),
            // A due certificate waits for a place; while the API as a whole is not asked, for that.
            Action::Submit(_) | Action::LookUp(_) | Action::PickUp { .. } | Action::CheckStatus(_) => {
                if !self.hold_back(name, now.wall) {
                    self.fleet.line_up(name);
                }
            }
            Action::RevokeSuperseded(certificate) => self.line_up_to_revoke(name, &certificate, now.wall),
            action @ (Action::Repair { .. }
            | Action::RefreshChain
            | Action::Abandon(_)
            | Action::ChangeProfile(_)
            | Action::ForgetKeys(_)
            | Action::RepeatHooks(_)
            | Action::Probe
            | Action::RollBack(_)
            | Action::Forward { .. }
            | Action::Recognise(_)) => self.execute(name, &action, false, now),
        }
        self.tell_decision(name, &before, is_first);
    }

    /// What another entry presents is not revoked: it may be the same files under another name.
    fn line_up_to_revoke(&mut self, name: &CertName, certificate: &Replaced, now: Timestamp) {
        let presents = |managed: &&Managed| {
            let installed = managed.observed.installed();
            installed.is_some_and(|installed| certificate.is(&installed.serial_number, installed.fingerprint))
        };
        let by = self.fleet.iter().find(presents).map(|managed| managed.entry.name.clone());
        if let Some(by) = by {
            let serial_number = certificate.serial_number.clone();
            self.fleet.hold_back(name, Reason::SupersededInUse { serial_number, by }, now + IN_USE_RECHECK);
        } else if !self.hold_back(name, now) {
            self.fleet.line_up(name);
        }
    }

    /// Holds a certificate back that may ask nobody now, whatever it waits for itself; whether it does.
    fn hold_back(&mut self, name: &CertName, now: Timestamp) -> bool {
        let Some(managed) = self.fleet.one(name) else { return false };
        let Some(blocked) = self.api.blocks(managed, now) else { return false };
        let wake_at = managed.held_until(&blocked, self.profiles.reading(managed.profile()), now);
        let Blocked { reason, .. } = blocked;
        self.fleet.hold_back(name, reason, wake_at);
        true
    }

    /// Whether no pause keeps it from asking.
    fn may_ask_now(&self, name: &CertName, now: Timestamp) -> bool {
        self.api.paused_until(now).is_none() || self.fleet.one(name).is_some_and(|managed| managed.is_urgent(now))
    }

    /// Gives places to profiles that have to be read, and to those who wait first in line. In a pause nobody needs one: what
    /// may leave is paced, and an install, which needs nothing of the API as a rule, waits for nobody who sits through it.
    pub(super) fn admit(&mut self, now: Now) {
        if self.api.is_down() {
            let cancelled = self.profiles.cancel_queued();
            self.wait_for_trial(&cancelled, now);
        }
        let is_paused = self.api.paused_until(now.wall).is_some();
        while let Some(profile) = self.profiles.next(is_paused, || self.api.take_place(false)) {
            self.want(Command::ReadProfile(profile));
        }
        while let Some((name, emergency)) = self.fleet.first_in_line() {
            if !is_paused && !self.api.take_place(emergency) {
                self.mark_queued(&name);
                return;
            }
            self.fleet.leave_line();
            // The API as a whole may have gone down since it lined up, which holds no install back.
            let action = self.fleet.one(&name).map(|managed| managed.decision().action.clone());
            let action = action.filter(Action::needs_api);
            match action {
                Some(action) if matches!(action, Action::Install { .. }) || !self.hold_back(&name, now.wall) => {
                    self.execute(&name, &action, !is_paused, now);
                }
                _ if is_paused => {}
                _ => self.api.give_place_back(),
            }
        }
    }

    /// Those whose profile is not read after all say what they wait for instead.
    fn wait_for_trial(&mut self, unread: &BTreeSet<ProfileRef>, now: Now) {
        if unread.is_empty() {
            return;
        }
        let waits = |managed: &&Managed| unread.contains(managed.profile()) && !managed.is_urgent(now.wall);
        let names: Vec<CertName> = self.fleet.iter().filter(waits).map(|managed| managed.entry.name.clone()).collect();
        names.iter().for_each(|name| self.decide(name, now));
    }

    fn mark_queued(&mut self, name: &CertName) {
        self.fleet.amend(name, |decision| {
            if let Reason::Due(cause) = &decision.reason {
                decision.reason = Reason::Queued(cause.clone());
            }
        });
    }

    fn execute(&mut self, name: &CertName, action: &Action, has_place: bool, now: Now) {
        let Some(managed) = self.fleet.one(name) else { return };
        let profile = self.profiles.reading(managed.profile()).profile.as_ref();
        let job = Job::new(managed, profile, action, has_place, now).asking(self.hooks_to_ask(&managed.entry));
        self.fleet.begin(name);
        self.want(Command::Run(Box::new(job)));
    }

    pub(super) fn happened(&mut self, entry: &event::Entry) {
        let apply = |record: &mut Record| record.apply(entry.at, &entry.event);
        if self.fleet.change(&entry.name, |managed| apply(&mut managed.record)).is_none() {
            apply(self.records.entry(entry.name.clone()).or_default());
        }
    }

    pub(super) fn finished(&mut self, name: &CertName, had_place: bool, now: Timestamp) {
        if had_place {
            self.api.give_place_back();
        }
        self.fleet.end(name);
        self.ask_once_more(name, now);
        self.look_at(std::slice::from_ref(name));
        self.looks.await_last(name);
    }

    /// Records events of the engine's own.
    pub(super) fn note(&mut self, entries: Vec<event::Entry>) {
        if !entries.is_empty() {
            entries.iter().for_each(|entry| self.happened(entry));
            self.want(Command::Journal(entries));
        }
    }

    /// What was decided is told when it changes, not at each look.
    fn tell_decision(&mut self, name: &CertName, before: &Reason, is_first: bool) {
        let Some(managed) = self.fleet.one(name) else { return };
        let reason = &managed.decision().reason;
        // A new time for the same wait is no news.
        let is_same = std::mem::discriminant(reason) == std::mem::discriminant(before)
            && reason.failure() == before.failure()
            && reason.state() == before.state();
        // Of many thousands that a start finds in order, each by itself is no news.
        let is_first = is_first || matches!(before, Reason::ProfileUnknown { .. });
        let is_steady = is_first && reason.state() == State::Valid;
        self.status_line.is_old |= !is_same;
        if self.tells_all || (!is_same && !is_steady) {
            let (name, reason) = (name.clone(), reason.clone());
            self.tell(News::Decided { name, reason, is_first, is_change: !is_same });
        }
    }
}

/// How soon it is looked again whether another entry presents what is to be revoked.
const IN_USE_RECHECK: Duration = Duration::from_secs(3600);
