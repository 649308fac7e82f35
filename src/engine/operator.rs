//! What an operator asks for and what is shown; and when a single pass is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::admission::Pace;
use crate::core::decide::Action;
use crate::core::event::{self, Event};
use crate::core::failure::Scope;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::served::{ProbeRecord, Served};
use crate::core::name::{CertName, Generation, HookName, ProfileRef};
use crate::core::reason::{Cause, Reason, State};
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;

use super::io::{Asker, Command, Now};
use super::managed::Managed;
use super::report::{self, Facts, ProfileTrouble};
use super::status::Status;
use super::{Engine, Mode};

/// Why hooks and probe cannot run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDeploy {
    /// The inventory names no such certificate.
    Unknown,
    /// Another set is being put in place.
    Busy,
    /// No set is installed.
    Nothing,
}

/// Why there is no way back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRollback {
    /// The inventory names no such certificate.
    Unknown,
    /// Something is being done for it.
    Busy,
}

impl Engine {
    /// Has certificates replaced now, or all if none is named: how many, and how long their requests take at least.
    ///
    /// # Errors
    ///
    /// The names that the inventory does not have; then nothing is asked for.
    pub fn renew(&mut self, names: &[CertName], reissue: bool, now: Now) -> Result<(usize, Duration), Vec<CertName>> {
        let unknown: Vec<CertName> = names.iter().filter(|name| self.fleet.one(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let all = || self.fleet.names().cloned().collect();
        let names: BTreeSet<CertName> = if names.is_empty() { all() } else { names.iter().cloned().collect() };
        // The same word again, before anything came of it, is no news for the journal.
        let is_news =
            |name: &&CertName| self.fleet.one(name).is_none_or(|managed| !managed.record.is_asked_for(reissue));
        let asked =
            |name: &CertName| event::Entry { at: now.wall, name: name.clone(), event: Event::RenewalAsked { reissue } };
        self.note(names.iter().filter(is_news).map(asked).collect());
        let certificates = names.iter().filter_map(|name| self.fleet.one(name));
        let profiles: BTreeSet<ProfileRef> =
            certificates.flat_map(|managed| managed.entry.profiles().cloned()).collect();
        profiles.iter().for_each(|profile| self.profiles.expire_one(profile));
        self.ask_now(profiles, now);
        for name in &names {
            self.fleet.change(name, |managed| managed.record.asked_after = Some(now.wall));
            self.decide(name, now);
            self.await_the_rest(name);
        }
        Ok((names.len(), Pace::new(self.main.api.requests_per_minute).least_time(names.len())))
    }

    /// What is being done for a certificate, or looked at, began before the word: its answer is not the last one.
    fn await_the_rest(&mut self, name: &CertName) {
        let is_busy = self.fleet.one(name).is_some_and(Managed::is_busy);
        if is_busy {
            self.asked_while_busy.insert(name.clone());
        }
        let is_settled = |managed: &Managed| {
            matches!(managed.decision().reason.state(), State::Failing | State::Rejected | State::Valid)
        };
        if (is_busy || self.looks.is_awaited(name)) && self.fleet.one(name).is_some_and(is_settled) {
            self.fleet.amend(name, |decision| decision.reason = Reason::Due(Cause::Asked));
        }
    }

    /// The operator may have put right whatever was refused: it is asked, and not remembered. For everybody together that is
    /// one trial; a pause that TLM asked for stays.
    fn ask_now(&mut self, profiles: BTreeSet<ProfileRef>, now: Now) {
        self.global.can_search = true;
        self.global.can_check = true;
        self.credentials.ask_now();
        self.api.ask_now(profiles, now.wall);
    }

    /// An operator found the API in order: where anything failed for its sake, it is tried at once, and what waits for it
    /// follows when it answers. Whether anything did.
    pub fn api_is_checked(&mut self, now: Now) -> bool {
        let is_by_api = |managed: &Managed| {
            let last = managed.record.trouble.last.as_deref();
            last.is_some_and(|(failure, _)| {
                matches!(failure.class.scope(), Scope::Profile | Scope::Key | Scope::Outage)
            })
        };
        let has_failed = self.api.breaker().last_failure().is_some()
            || self.profiles.failed().next().is_some()
            || self.fleet.needing_attention().any(is_by_api);
        if has_failed {
            let named: BTreeSet<ProfileRef> = self.fleet.named_profiles().cloned().collect();
            let failed = self.profiles.failed().filter(|profile| named.contains(*profile)).cloned().collect();
            self.ask_now(failed, now);
            // It would wait until the end of a pause, and hold back every other one.
            if self.api.paused_until(now.wall).is_none() {
                self.api.try_now();
            }
        }
        has_failed
    }

    /// The API answered an operator's trial: what it refused before is asked for again.
    pub(super) fn api_passed(&mut self, now: Timestamp) {
        self.global.api_checked_at = Some(now);
        let named: BTreeSet<ProfileRef> = self.fleet.named_profiles().cloned().collect();
        let failed: Vec<ProfileRef> = self.profiles.failed().cloned().collect();
        for profile in failed.iter().filter(|profile| named.contains(*profile)) {
            self.profiles.expire_one(profile);
            self.profiles.request(profile);
        }
        let names: Vec<CertName> = self.fleet.needing_attention().map(|managed| managed.entry.name.clone()).collect();
        names.iter().for_each(|name| self.fleet.wake(name, now));
    }

    /// What left before an operator asked, and failed, is asked for once more.
    pub(super) fn ask_once_more(&mut self, name: &CertName, now: Timestamp) {
        if !self.asked_while_busy.remove(name) {
            return;
        }
        let Some(record) = self.fleet.one(name).map(|managed| &managed.record) else { return };
        let reissue = record.reissue;
        if record.renewal_asked.is_some() && !record.is_asked_for(reissue) {
            self.note(vec![event::Entry { at: now, name: name.clone(), event: Event::RenewalAsked { reissue } }]);
        }
    }

    /// Has hooks and probe run now for what these certificates have installed: nothing is requested for that. How many they are.
    ///
    /// # Errors
    ///
    /// Those for which it cannot be done, each with the cause; then it is done for none.
    pub fn deploy(&mut self, names: &[CertName], now: Now) -> Result<usize, Vec<(CertName, NoDeploy)>> {
        let names: BTreeSet<&CertName> = names.iter().collect();
        let (mut wanted, mut refused) = (Vec::new(), Vec::new());
        for name in names {
            match self.fleet.one(name).map_or(Err(NoDeploy::Unknown), deployable) {
                Ok(event) => wanted.push(event::Entry { at: now.wall, name: name.clone(), event }),
                Err(why) => refused.push((name.clone(), why)),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let names: Vec<CertName> = wanted.iter().map(|entry| entry.name.clone()).collect();
        self.note(wanted);
        names.iter().for_each(|name| self.decide(name, now));
        Ok(names.len())
    }

    /// Asks TLM nothing from now on: for a pass that is about what is installed alone.
    pub fn ask_nobody(&mut self) {
        self.global.asks_nobody = true;
    }

    /// Begins a rollback at the operator's word, which ends with [`super::Input::Finished`]: nothing else is done for the
    /// certificate meanwhile, and whatever it waited for is decided anew afterwards.
    ///
    /// # Errors
    ///
    /// When the certificate is not there, or is being worked on.
    pub fn begin_rollback(&mut self, name: &CertName) -> Result<(Arc<Entry>, Record), NoRollback> {
        let managed = self.fleet.one(name).ok_or(NoRollback::Unknown)?;
        if managed.is_busy() {
            return Err(NoRollback::Busy);
        }
        let begun = (Arc::clone(&managed.entry), managed.record.clone());
        self.fleet.step_out(name);
        self.fleet.begin(name);
        Ok(begun)
    }

    /// Takes the right to one request. Whether it leaves during a pause is judged each time: the operator may have asked
    /// for it, or an emergency stage may have begun, since it began to wait. Comes with whether the clock may be right:
    /// what was just looked up may have shown that it is not.
    ///
    /// # Errors
    ///
    /// The instant to ask again, at the latest, if there is none now.
    pub fn take_turn(&mut self, asker: &Asker, now: Now) -> Result<bool, Timestamp> {
        // Who learns that nothing leaves any more needs no turn for that.
        if self.is_put_off(asker, now.wall) {
            return Ok(true);
        }
        let is_urgent = self.api.paused_until(now.wall).is_some() && self.may_leave_in_pause(asker, now.wall);
        self.api.take_turn(is_urgent, now.wall).map(|()| self.global.clock_wrong.is_none())
    }

    fn may_leave_in_pause(&self, asker: &Asker, now: Timestamp) -> bool {
        let is_urgent = |managed: &Managed| managed.may_leave_in_pause(self.profiles.reading(managed.profile()), now);
        match asker {
            Asker::Certificate(name) => self.fleet.one(name).is_some_and(is_urgent),
            Asker::Profile(profile) => self.fleet.iter().filter(|managed| managed.profile() == profile).any(is_urgent),
            Asker::Nobody => false,
        }
    }

    /// The end of a pass: nothing runs, nothing is due, nothing is worth waiting for, and what is left is told.
    pub fn is_over(&mut self, give_up: Timestamp, now: Now) -> bool {
        self.is_done(give_up, now) && self.is_all_told(now)
    }

    fn is_done(&mut self, give_up: Timestamp, now: Now) -> bool {
        if self.global.asks_nobody {
            let is_idle = !self.fleet.is_busy() && self.looks.is_empty() && !self.hooks.is_running();
            return is_idle && !self.fleet.iter().any(is_worth_finishing);
        }
        // A pause that outlasts the pass is not sat through.
        let is_paused = self.api.paused_until(now.wall).is_some_and(|until| until > give_up);
        let asks =
            self.fleet.is_busy() || !self.fleet.line_is_empty() || self.profiles.is_reading() || self.api.is_trying();
        if (asks && !is_paused) || !self.looks.is_empty() || self.hooks.is_running() {
            return false;
        }
        let wait = if let Mode::Once { wait } = self.mode { wait } else { Duration::ZERO };
        let patience = Patience { give_up, remedies: give_up.max(give_up - wait + FOLLOWED) };
        if self.fleet.iter().any(|managed| is_worth_waiting(managed, patience, now.wall)) {
            return false;
        }
        // Last of all, so that it holds nothing back. Its answer is a second opinion where the clock counts as wrong.
        if !self.credentials.was_read() {
            self.read_credentials();
        }
        !self.credentials.is_reading()
    }

    /// Whether something runs that is worth finishing before the end: what it needs is here.
    #[must_use]
    pub fn has_to_finish(&self) -> bool {
        let is_local = |managed: &Managed| managed.is_busy() && managed.decision().action.is_local();
        self.hooks.is_running() || self.notices.is_running() || self.fleet.iter().any(is_local)
    }

    /// The certificates whose folders nobody writes to now.
    pub fn at_rest(&self) -> impl Iterator<Item = &Managed> {
        self.fleet.iter().filter(|managed| !managed.is_busy() || !managed.decision().action.writes())
    }

    /// The status as it is now.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        self.status_with(report::certificates(&self.facts(now), self.with_readings(self.fleet.iter())), now)
    }

    /// The status as it is now, with this of the certificates.
    #[must_use]
    pub fn status_with<C>(&self, certificates: Vec<C>, now: Timestamp) -> Status<C> {
        report::status(&self.facts(now), self.with_readings(self.fleet.needing_attention()), certificates)
    }

    /// One line: counts, and the nearest trouble.
    #[must_use]
    pub fn status_line(&self, now: Timestamp) -> Text {
        report::status_line(&self.facts(now), self.fleet.states(), self.with_readings(self.fleet.needing_attention()))
    }

    /// Certificates, each with the reading of its profile.
    pub fn with_readings<'e>(
        &'e self,
        certificates: impl Iterator<Item = &'e Managed>,
    ) -> impl Iterator<Item = (&'e Managed, &'e CachedProfile)> {
        certificates.map(|managed| (managed, self.profiles.reading(&managed.entry.profile)))
    }

    /// What the status is made of.
    #[must_use]
    pub fn facts(&self, now: Timestamp) -> Facts<'_> {
        let revoked = self.revoked_cas();
        let failing = self.notices.failing().map(|(_, problem)| problem);
        Facts {
            main: &self.main,
            config_error: self.config_error.as_ref(),
            clock: &self.clock,
            breaker: self.api.breaker(),
            paused_until: self.api.paused_until(now),
            credentials: self.credentials.ends(),
            inventory: &self.inventory,
            overlooked: &self.overlooked,
            hooks: &self.hooks,
            profiles: ProfileTrouble::all(&self.profiles, self.fleet.iter()),
            journal_too_new: self.global.journal_too_new,
            cas: self.cas.watch.judged(|ca| revoked.iter().any(|(revoked, _)| *revoked == ca)),
            problems: self
                .problems
                .values()
                .cloned()
                .chain(revoked.into_iter().map(|(_, problem)| problem))
                .chain(failing)
                .collect(),
            now,
        }
    }

    /// Keeps the line of `systemctl status` up to date: at once, and then so often at most. Whether it was not.
    pub(super) fn tell_status_line(&mut self, now: Now) -> bool {
        let is_due = self.status_line.is_old && self.status_line_at().is_none_or(|at| now.steady >= at);
        if is_due {
            self.status_line = super::StatusLine { is_old: false, told_at: Some(now.steady) };
            let status_line = self.status_line(now.wall);
            self.want(Command::StatusLine(status_line));
        }
        is_due
    }

    /// When the line may be told again, by the steady clock.
    pub(super) fn status_line_at(&self) -> Option<Duration> {
        self.status_line.told_at.map(|at| at + STATUS_LINE_INTERVAL)
    }
}

/// What `renewd deploy` records for a certificate.
fn deployable(managed: &Managed) -> Result<Event, NoDeploy> {
    let Some(installed) = managed.observed.installed() else { return Err(NoDeploy::Nothing) };
    let generation = installed.generation;
    if generation == Generation(0) {
        return Err(NoDeploy::Nothing);
    }
    let is_changing = managed.is_busy() && managed.decision().action.is_local();
    if is_changing || managed.record.generation != Some(generation) {
        return Err(NoDeploy::Busy);
    }
    Ok(Event::DeployAsked { generation, hooks: managed.entry.hooks.clone() })
}

/// Whether something that needs nobody else is about to be done for a certificate.
fn is_worth_finishing(managed: &Managed) -> bool {
    let decision = managed.decision();
    let is_fresh = |(hook, _): &(HookName, Timestamp)| {
        managed.record.hooks.get(hook).is_some_and(|record| record.trouble.last.is_none())
    };
    // A server takes a moment to put a new certificate to use: it is looked at three times.
    let looks = |seen: &ProbeRecord| seen.served != Served::Yes && seen.failures <= SOON_LOOKS;
    decision.hook.as_ref().is_some_and(is_fresh)
        || decision.action.is_local()
        || decision.action == Action::Probe
        || !managed.entry.probes.is_empty()
            && managed.observed.installed().is_some()
            && (managed.record.deploy_asked.is_some() || managed.last_look().is_none_or(looks))
}

/// How long one pass waits.
#[derive(Clone, Copy)]
struct Patience {
    /// For what TLM issues.
    give_up: Timestamp,
    /// For the instant that a refusal names.
    remedies: Timestamp,
}

/// Whether something happens for a certificate at once, or soon enough for one pass.
fn is_worth_waiting(managed: &Managed, patience: Patience, now: Timestamp) -> bool {
    let reason = &managed.decision().reason;
    if let Reason::TooEarly { until, .. } = reason {
        return *until <= patience.remedies;
    }
    if let Reason::Pending { next, .. } | Reason::AnswerLost { next, .. } | Reason::NotYetValid(next) = reason {
        return *next <= patience.give_up;
    }
    let at_once = matches!(
        reason,
        Reason::HookOwed { failure: None, .. }
            | Reason::Due(_)
            | Reason::Installing
            | Reason::Unrecorded(_)
            | Reason::ReadingProfile { .. }
    );
    at_once || managed.decision().action != Action::Wait || managed.decision().wake_at <= now
}

const SOON_LOOKS: u32 = 2;
const STATUS_LINE_INTERVAL: Duration = Duration::from_secs(2);
/// So long after its begin a pass follows a refusal that names an instant, whatever it waits for else.
const FOLLOWED: Duration = Duration::from_secs(60);
