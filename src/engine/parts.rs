//! How the parts act on each other: the clock, the API as a whole, profiles, credentials, the CA certificates that are
//! served, and the inventory.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::breaker::{ApiState, Asked, Function, SEVERAL};
use crate::config::{Difference, Main};
use crate::core::clock::ClockState;
use crate::core::event::{self, Event};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::ca_status::{Ca, Found, LiveSet, Look, Outcome as CaOutcome};
use crate::core::known::observed::Installed;
use crate::core::known::profile::Profile;
use crate::core::name::{CertName, Digest, ProfileRef};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;

use super::api_health::{Tried, is_forbidden_option};
use super::io::{Command, CredentialReports, InventoryRead, News, Now};
use super::job::STEP;
use super::managed::Managed;
use super::status::Problem;
use super::{Engine, Mode};

/// The clock.
impl Engine {
    /// A step of the clock, or a suspend, shows as a difference between the wall clock and the steady one.
    pub(super) fn watch_clock(&mut self, now: Now) {
        let last = std::mem::replace(&mut self.last_tick, now);
        let expected = last.expected(&now);
        if now.wall.distance(expected) > STEP {
            self.tell(News::ClockStepped { before: last.wall, after: now.wall });
            self.clock.stepped(now.wall);
            self.api.clock_stepped(expected.since(now.wall), now.wall);
            self.profiles.expire();
            self.fleet.wake_all(now.wall);
        }
        self.clock.tick(now.wall);
        self.judge_clock(now);
    }

    /// Whether anything may be submitted by this clock: before the next decision, not at the next tick.
    fn judge_clock(&mut self, now: Now) {
        let wrong = (self.clock.state() == ClockState::Wrong).then(|| self.clock.offset_seconds());
        let was_wrong = std::mem::replace(&mut self.global.clock_wrong, wrong).is_some();
        if was_wrong != wrong.is_some() {
            self.tell(News::ClockWrong(!was_wrong));
        }
        if was_wrong && wrong.is_none() {
            self.fleet.waiting_for_clock().iter().for_each(|name| self.decide(name, now));
        }
    }

    /// The API answered something.
    pub(super) fn dated(&mut self, date: Option<Timestamp>, now: Now) {
        match date {
            Some(date) => {
                self.clock.compare(date, now.wall);
                self.judge_clock(now);
            }
            None => self.clock.answered_without_date(),
        }
    }
}

/// The API as a whole, profiles and credentials.
impl Engine {
    pub(super) fn answered(
        &mut self,
        users: &[CertName],
        profile: &ProfileRef,
        function: Function,
        failure: Option<&Failure>,
        now: Timestamp,
    ) {
        let Some(failure) = failure else { return self.api_answers(function, Some(profile), now) };
        if is_forbidden_option(function, failure) {
            self.forbid(function, failure);
            return;
        }
        let is_only_profile = !self.fleet.profiles().any(|other| other != profile);
        self.api.failed(&Asked { function, profile, users, is_only_profile }, failure, &self.fleet, now);
        if failure.class == FailureClass::ApiUnauthorised {
            self.next_key(now);
        }
    }

    /// The API key may not use an optional function: it is used no more before a reload.
    fn forbid(&mut self, function: Function, failure: &Failure) {
        let may_use = match function {
            Function::Search => &mut self.global.can_search,
            Function::Details => &mut self.global.can_check,
            // What is revoked waits for its own day.
            Function::Profile | Function::Main | Function::Revoke => return,
        };
        if std::mem::replace(may_use, false) {
            self.tell(News::FunctionForbidden(failure.clone()));
        }
    }

    /// After an outage, everything that waited for the API is looked at again.
    fn api_answers(&mut self, function: Function, profile: Option<&ProfileRef>, now: Timestamp) {
        self.credentials.is_taken();
        if self.api.succeeded(function, profile, now) {
            self.tell(News::ApiAnswers);
            self.profiles.expire();
            self.fleet.wake_all(now);
        }
    }

    /// Fails over to the next API key: each is tried once at once, then one at each trial.
    fn next_key(&mut self, now: Timestamp) {
        let Some((name, at_once)) = self.credentials.fail_over() else { return };
        self.want(Command::UseNextKey);
        if at_once {
            self.tell(News::NextKey(name));
            self.api.probe_now(now);
        }
    }

    /// One trial request while the API as a whole is not usable, or the clock counts as wrong.
    pub(super) fn try_api(&mut self, now: Timestamp) {
        if self.global.asks_nobody {
            return;
        }
        if let Some(profile) = self.api.begin_trial(&mut self.clock, self.fleet.profiles(), now) {
            self.want(Command::Try(profile));
        }
    }

    pub(super) fn tried(&mut self, profile: Option<&ProfileRef>, failure: Option<&Failure>, now: Now) {
        let is_asked = self.api.is_asked_trial();
        let tried = self.api.trial_ended(profile, failure, &self.fleet, now.wall);
        match (tried, failure) {
            (Tried::Answered, _) => {
                self.api_answers(Function::Profile, profile, now.wall);
                if is_asked {
                    self.api_passed(now.wall);
                }
            }
            (Tried::Undecided, failure) => failure.into_iter().for_each(|f| self.tell(News::TrialFailed(f.clone()))),
            (Tried::StillDown, failure) => {
                if failure.is_some_and(|failure| failure.class == FailureClass::ApiUnauthorised) {
                    self.next_key(now.wall);
                }
                // Those that were held back while the trial was under way learn what came of it.
                let waiting = self.fleet.waiting_for_trial(now.wall);
                waiting.iter().for_each(|name| self.decide(name, now));
            }
        }
    }

    pub(super) fn profile_read(&mut self, profile: &ProfileRef, result: Result<Profile, Failure>, now: Now) {
        if self.profiles.had_place(profile) {
            self.api.give_place_back();
        }
        let of_profile = self.fleet.iter().filter(|managed| managed.entry.profiles().any(|named| named == profile));
        let (mut users, mut left) = (Vec::new(), None);
        for managed in of_profile {
            users.push(managed.entry.name.clone());
            let own = managed.observed.installed().map(|installed| installed.ends_at().since(now.wall));
            left = left.into_iter().chain(own.filter(|own| !own.is_zero())).min();
        }
        match &result {
            Ok(_) => self.api_answers(Function::Profile, Some(profile), now.wall),
            Err(failure) => {
                self.tell(News::ProfileUnread(profile.clone(), failure.clone()));
                let some = users.get(..users.len().min(SEVERAL)).unwrap_or_default();
                self.answered(some, profile, Function::Profile, Some(failure), now.wall);
            }
        }
        if self.profiles.store(profile, result, left, now.wall) {
            self.want(Command::KeepProfiles(self.profiles.kept()));
        }
        users.iter().for_each(|name| self.decide(name, now));
        self.read_again_in_time(profile, users.first(), now.wall);
    }

    /// A profile that could not be read is read again as its ladder says, also where none of its certificates is due:
    /// what was mended in TLM is no problem for longer.
    fn read_again_in_time(&mut self, profile: &ProfileRef, user: Option<&CertName>, now: Timestamp) {
        let failed = self.profiles.reading(profile).failure.as_ref();
        // The end of a pause wakes whom it concerns by itself.
        let failed = failed.filter(|failed| failed.failure.class != FailureClass::ApiRateLimited);
        let Some(until) = failed.map(|failed| failed.until) else { return };
        let Some(managed) = user.and_then(|name| self.fleet.one(name)) else { return };
        if managed.wake_at.is_some_and(|at| at > until) && until > now {
            let name = managed.entry.name.clone();
            self.fleet.wake(&name, until);
        }
    }

    /// Looks at the ends of the credentials: asks TLM where that is due, tells what is new, and stops what would leave under
    /// one that has ended.
    pub(super) fn watch_credentials(&mut self, now: Now) {
        if !self.credentials.take_look(now) {
            return;
        }
        for (nearness, remark) in self.credentials.news(now.wall) {
            self.status_line.is_old = true;
            self.tell(News::CredentialEnds(nearness, remark));
        }
        // By a wrong clock nothing is submitted anyway, and nothing has ended.
        if self.global.clock_wrong.is_none()
            && let Some(failure) = self.credentials.stop_for_end(now.wall)
        {
            self.api.bar(&failure, now.wall);
            self.next_key(now.wall);
        }
        if self.mode == Mode::Forever && self.credentials.is_due(self.is_idle(), now.wall) {
            self.read_credentials();
        }
    }

    /// Whether nothing is due for a certificate.
    fn is_idle(&self) -> bool {
        self.fleet.line_is_empty() && self.api.is_idle() && !self.profiles.is_reading()
    }

    /// Asks TLM for the ends, once it answers at all.
    pub(super) fn read_credentials(&mut self) {
        if self.credentials.may_read() && self.api.breaker().state() == ApiState::Ok && self.api.take_place(false) {
            self.credentials.reading();
            self.want(Command::ReadCredentials(self.credentials.names()));
        }
    }

    pub(super) fn credentials_read(&mut self, reports: CredentialReports, now: Timestamp) {
        self.api.give_place_back();
        for (name, failure) in self.credentials.note(reports, now) {
            self.tell(News::CredentialUnread(name, failure));
        }
    }
}

/// The CA certificates that are served.
impl Engine {
    /// Looks at what is due.
    pub(super) fn watch_cas(&mut self, now: Timestamp) {
        if self.mode != Mode::Forever {
            return;
        }
        self.cas.watch.set_interval(self.main.ca_status_check, now);
        match self.cas.watch.due(now) {
            Some(Look::Chains { names, revoked }) => {
                let is_asked = |name: &CertName| names.as_ref().is_none_or(|names| names.contains(name));
                let asked = self.fleet.iter().filter(|managed| is_asked(&managed.entry.name));
                let sets = asked.filter_map(live_set).collect();
                self.want(Command::ReadChains { names, sets, revoked });
            }
            Some(Look::Status(fingerprint)) => self.want(Command::AskCa(fingerprint)),
            None => {}
        }
    }

    /// Notes which CA certificates are served.
    pub(super) fn chains_read(&mut self, names: Option<&BTreeSet<CertName>>, found: Found, now: Timestamp) {
        self.cas.watch.served(names, found, now);
        self.tell_of_cas();
        self.keep_cas();
    }

    /// Notes what came of asking after a CA certificate.
    pub(super) fn ca_asked(&mut self, fingerprint: &Digest, outcome: CaOutcome, now: Timestamp) {
        let is_news = self.cas.watch.note(fingerprint, &outcome, now);
        if let Some(subject) = self.cas.watch.ca(fingerprint).map(|ca| ca.served.subject.clone()) {
            self.tell(News::CaAsked(subject, outcome));
        }
        if is_news {
            self.tell_of_cas();
        }
        self.keep_cas();
    }

    /// Another set may be live than the one before, which may be served with other CA certificates.
    pub(super) fn note_set(&mut self, name: &CertName, before: Option<(u64, Digest)>, now: Timestamp) {
        let is = self.fleet.one(name).and_then(|managed| super::ca_status::set_of(&managed.observed));
        if is != before {
            self.cas.watch.changed(name, now);
        }
    }

    /// Tells once of each revoked CA certificate that it is.
    fn tell_of_cas(&mut self) {
        let (news, is_change) = self.cas.note_revoked(self.revoked_cas());
        self.status_line.is_old |= is_change;
        news.into_iter().for_each(|problem| self.tell(News::CaRevoked(problem)));
    }

    /// The revoked CA certificates that are served, as problems.
    pub(super) fn revoked_cas(&self) -> Vec<(Digest, Problem)> {
        self.cas.revoked(&|name: &CertName| self.fleet.one(name)?.observed.installed())
    }

    fn keep_cas(&mut self) {
        let cas: Vec<Ca> = self.cas.watch.cas().cloned().collect();
        self.want(Command::KeepCas(cas));
    }
}

fn live_set(managed: &Managed) -> Option<LiveSet> {
    let Installed { generation, fingerprint, .. } = managed.observed.installed()?;
    Some(LiveSet { entry: Arc::clone(&managed.entry), generation: *generation, leaf: *fingerprint })
}

/// The inventory and the rest of the configuration.
impl Engine {
    /// The inventory directory is about to be read: what was hinted at until now is seen by that.
    pub(super) fn looking(&mut self) {
        if let Some(rescan) = &mut self.rescan {
            rescan.looking();
        }
    }

    /// Has the inventory directory read when that is due.
    pub(super) fn watch_inventory(&mut self, now: Now) {
        if self.rescan.as_ref().is_some_and(|rescan| rescan.due() <= now.steady) {
            self.looking();
            self.want(Command::ReadInventory);
        }
    }

    pub(super) fn inventory_read(&mut self, read: InventoryRead, now: Now) {
        let InventoryRead { difference, overlooked, took, is_watched, is_unsettled } = read;
        self.overlooked = overlooked;
        if let Some(rescan) = &mut self.rescan {
            rescan.looked(now.steady, took, is_watched);
            if is_unsettled {
                rescan.look_again(now.steady, crate::config::UNSETTLED);
            }
        }
        if let Some(difference) = difference {
            self.apply(difference, now);
        }
    }

    /// Acts upon what is different in the inventory.
    fn apply(&mut self, difference: Difference, now: Now) {
        let Difference { gone, wanted, .. } = difference;
        gone.iter().for_each(|name| self.remove(name, now.wall));
        let (mut added, mut changed) = (Vec::new(), 0);
        for entry in wanted {
            if self.fleet.one(&entry.name).is_none() {
                added.push(entry);
            } else {
                changed += usize::from(self.change(entry, now.wall));
            }
        }
        if added.len() + changed + gone.len() > 0 {
            self.tell(News::InventoryChanged { added: added.len(), changed, removed: gone.len() });
            let named: BTreeSet<&ProfileRef> =
                self.fleet.named_profiles().chain(added.iter().flat_map(|entry| entry.profiles())).collect();
            self.api.keep_only(|profile| named.contains(profile));
        }
        if !added.is_empty() {
            self.want(Command::Adopt(added));
        }
        self.status_line.is_old = true;
    }

    /// Changes an entry, to be decided for anew; whether it says anything else. What is the same is left alone.
    ///
    /// What it earned ends with it, and stays ended when it is changed back: it is a new start each time.
    fn change(&mut self, entry: Arc<Entry>, now: Timestamp) -> bool {
        let name = entry.name.clone();
        let replace = |managed: &mut Managed| {
            let is_change = *managed.entry != *entry;
            let starts_anew =
                is_change && managed.record.waits_for_its_entry() && entry.is_another_request(&managed.entry);
            // Where it is the same, one copy is enough.
            managed.entry = entry;
            if is_change {
                managed.record.forget_veto();
            }
            (is_change, starts_anew)
        };
        let (is_change, starts_anew) = self.fleet.change(&name, replace).unwrap_or_default();
        if starts_anew {
            self.note(vec![event::Entry { at: now, name: name.clone(), event: Event::EntryChanged }]);
        }
        if is_change {
            self.looks.outdate(&name);
            self.fleet.wake(&name, now);
        }
        is_change
    }

    pub(super) fn main_read(&mut self, read: Result<Box<Main>, Text>) {
        match read {
            Ok(main) => {
                self.global.submissions_per_day = main.max_submissions_per_day;
                self.global.status_check_interval = main.api.status_check_interval;
                self.global.freezes = main.freezes.as_slice().into();
                self.api.follow(&main.api);
                self.main = *main;
                self.config_error = None;
            }
            Err(why) => self.config_error = Some(why),
        }
    }

    /// Everything was read anew at the operator's word: what was refused, or known, may be otherwise now.
    pub(super) fn reloaded(&mut self, now: Timestamp) {
        self.profiles.expire();
        let is_vetoed = |managed: &&Managed| managed.record.veto.is_some();
        let vetoed: Vec<CertName> =
            self.fleet.iter().filter(is_vetoed).map(|managed| managed.entry.name.clone()).collect();
        for name in vetoed {
            self.fleet.change(&name, |managed| managed.record.forget_veto());
        }
        self.fleet.wake_all(now);
        self.global.can_search = true;
        self.global.can_check = true;
        self.status_line.is_old = true;
    }

    /// Notes something that somebody has to look at, until it is mended.
    pub(super) fn report(&mut self, problem: Problem) {
        let before = self.problems.insert(problem.code.clone(), problem.clone());
        if before.is_none_or(|before| before.message != problem.message) {
            self.tell(News::Problem(problem));
        }
        self.status_line.is_old = true;
    }

    /// Takes a problem back.
    pub(super) fn mended(&mut self, code: &str) {
        if self.problems.remove(code).is_some() {
            self.tell(News::Mended(code.to_owned()));
            self.status_line.is_old = true;
        }
    }
}
