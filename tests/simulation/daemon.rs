//! The daemon's loop, as `src/daemon/run.rs` has it, on simulated time: the fleet, the profiles, the hooks' debts and
//! all of the core are the real ones. What is here decides nothing that `run.rs` does not decide in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::Duration;

use renewd::config::HookKey;
use renewd::core::admission::{Pace, Places};
use renewd::core::breaker::{Asked, Breaker, Function, SEVERAL};
use renewd::core::clock::{ClockCheck, ClockState};
use renewd::core::decide::{Action, Surroundings};
use renewd::core::entry::Entry;
use renewd::core::event::{self, Event};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::name::{CertName, Generation, HookName, ProfileRef};
use renewd::core::profile::Profile;
use renewd::core::reason::Reason;
use renewd::core::record::Record;
use renewd::core::schedule;
use renewd::core::time::Timestamp;
use renewd::daemon::fleet::{Blocked, Fleet, Managed};
use renewd::daemon::hooks::Hooks;
use renewd::daemon::profiles::Profiles;

use crate::bench::Bench;
use crate::host::HookMood;
use crate::world::{START, Task, World};

/// One life of the process.
pub(crate) struct Daemon {
    pub(crate) fleet: Fleet,
    pub(crate) records: BTreeMap<CertName, Record>,
    pub(crate) profiles: Profiles,
    pub(crate) breaker: Breaker,
    pub(crate) surroundings: Surroundings,
    pub(crate) hooks: Hooks,
    pub(crate) places: Places,
    pub(crate) pace: Pace,
    pub(crate) clock: ClockCheck,
    /// Events that the journal could not take.
    pub(crate) backlog: Vec<event::Entry>,
    trying: bool,
    last_tick: (Timestamp, Duration),
}

impl World {
    /// `setup::prepare` and `Daemon::begin`.
    pub(crate) fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        self.lives += 1;
        let now = self.wall();
        let mut records: BTreeMap<CertName, Record> = BTreeMap::new();
        for entry in &self.disk.journal {
            records.entry(entry.name.clone()).or_default().apply(entry.at, &entry.event);
        }
        records.values_mut().for_each(Record::cut_off_hooks);
        let profiles = Profiles::at_start(self.disk.kept_readings(), Some(now + Duration::from_secs(300)));
        let earliest = self.disk.journal.last().map_or(START, |entry| entry.at);
        self.daemon = Some(Daemon {
            fleet: Fleet::default(),
            records,
            profiles,
            breaker: Breaker::default(),
            surroundings: Surroundings {
                submissions_per_day: self.submissions_per_day,
                status_check_interval: Some(Duration::from_secs(86_400)),
                first_poll: Duration::from_secs(30),
                clock_wrong: None,
                journal_too_new: false,
                can_search: true,
                can_check: true,
                clock_is_compared: false,
                api_is_blocked: false,
                api_recovered_at: None,
            },
            hooks: Hooks::default(),
            places: Places::new(8),
            pace: Pace::new(60),
            clock: ClockCheck::new(earliest, now),
            backlog: Vec::new(),
            trying: false,
            last_tick: (now, self.steady()),
        });
        self.tell(|| "renewd starts".to_owned());
        for entry in self.inventory.values().cloned().collect::<Vec<_>>() {
            self.adopt(Arc::new(entry));
        }
        self.tick();
    }

    /// The daemon that runs; callers have made sure that it does.
    pub(crate) fn d(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the daemon runs")
    }

    pub(crate) fn adopt(&mut self, entry: Arc<Entry>) {
        let now = self.wall();
        let record = self.d().records.remove(&entry.name).unwrap_or_default();
        if self.disk.fault.is_none() {
            self.disk.pending.retain(|(name, attempt), _| *name != entry.name || record.knows(*attempt));
        }
        let observed = self.disk.observe(&entry);
        let name = entry.name.clone();
        self.d().fleet.add(Managed::new(entry, observed, record, now), now);
        self.settle(&name);
    }

    pub(crate) fn tick(&mut self) {
        if self.daemon.is_none() || self.asleep_until > self.now {
            return;
        }
        let now = self.wall();
        self.watch_clock(now);
        while let Some(name) = self.d().fleet.pop_due(now) {
            self.look(&name);
        }
        for late in self.d().profiles.take_late(now) {
            if self.d().fleet.profiles().any(|used| *used == late) {
                self.d().profiles.want(&late);
            }
        }
        self.try_api(now);
        self.start_hooks(now);
        self.admit();
    }

    fn watch_clock(&mut self, now: Timestamp) {
        let steady = self.steady();
        let daemon = self.d();
        let (before, steady_before) = daemon.last_tick;
        daemon.last_tick = (now, steady);
        let expected = before + steady.saturating_sub(steady_before);
        if now.distance(expected) > STEP {
            daemon.clock.stepped(now);
            daemon.pace.set_back(expected.since(now));
            daemon.profiles.expire();
            daemon.breaker.probe_now(now);
            daemon.fleet.wake_all(now);
        }
        daemon.clock.tick(now);
        self.judge_clock();
    }

    fn judge_clock(&mut self) {
        let daemon = self.d();
        let wrong = (daemon.clock.state() == ClockState::Wrong).then(|| daemon.clock.offset_seconds());
        let was_wrong = std::mem::replace(&mut daemon.surroundings.clock_wrong, wrong).is_some();
        if was_wrong && wrong.is_none() {
            daemon.fleet.waiting_for_clock().iter().for_each(|name| self.settle(name));
        }
    }

    /// When the loop's nap ends, by the true clock. The naps of half a minute in between see nothing.
    pub(crate) fn nap_end(&self) -> Option<Timestamp> {
        let daemon = self.daemon.as_ref()?;
        let now = self.wall();
        let next_hook = daemon.hooks.next(now, |_| HOOK_INTERVAL);
        let errand_at = daemon.breaker.errand_at(&daemon.clock).filter(|_| !daemon.trying);
        let late = daemon.profiles.late_until();
        let next = [daemon.fleet.next_wake(), errand_at, next_hook, late].into_iter().flatten().min()?;
        Some(self.now + next.since(now).max(SHORTEST_NAP))
    }

    pub(crate) fn look(&mut self, name: &CertName) {
        let Some(managed) = self.d().fleet.one(name).filter(|managed| !managed.is_busy()) else { return };
        let entry = Arc::clone(&managed.entry);
        let observed = self.disk.observe(&entry);
        self.d().fleet.change(name, |managed| managed.observed = observed);
        self.settle(name);
    }

    pub(crate) fn settle(&mut self, name: &CertName) {
        let now = self.wall();
        let daemon = self.d();
        daemon.fleet.step_out(name);
        daemon.surroundings.api_recovered_at = daemon.breaker.recovered_at();
        daemon.surroundings.clock_is_compared = daemon.clock.is_compared();
        daemon.surroundings.api_is_blocked =
            daemon.breaker.open_until().is_some() || daemon.pace.paused_until(now).is_some();
        let Some(managed) = daemon.fleet.one(name).filter(|managed| !managed.is_busy()) else { return };
        let entry = Arc::clone(&managed.entry);
        let before = std::mem::discriminant(&managed.decision().reason);
        let reading = daemon.profiles.reading(&entry.profile);
        let surroundings = &daemon.surroundings;
        let decide = |managed: &mut Managed| {
            managed.decide(reading, surroundings, now);
            (managed.decision().action.clone(), managed.decision().wake_at)
        };
        let Some((action, wake_at)) = daemon.fleet.change(name, decide) else { return };
        let wake_at = wake_at.max(now + SHORTEST_NAP).min(schedule::look_again(name, now));
        if daemon.profiles.is_stale(&entry.profile, now) && daemon.breaker.open_until().is_none() {
            self.d().profiles.want(&entry.profile);
        }
        self.d().fleet.wake(name, wake_at);
        self.check_decision(name);
        self.owe_hook(name);
        match action {
            Action::Wait | Action::RunHook(_) => {}
            Action::ReadProfile(profile) => self.want_profile(name, &profile),
            Action::Install { .. } => self.d().fleet.line_up(name),
            Action::Submit(_) | Action::LookUp(_) | Action::PickUp(..) | Action::CheckStatus(_) => self.queue_up(name),
            action @ (Action::Repair { .. }
            | Action::RefreshChain
            | Action::Abandon(_)
            | Action::ForgetKeys(_)
            | Action::RepeatHooks(_)
            | Action::Probe
            | Action::RollBack(_)
            | Action::Forward { .. }
            | Action::Recognise(_)) => self.execute(name, &action, false),
        }
        self.log_change(name, before);
    }

    /// A reason is logged when it changes, not at each look.
    fn log_change(&mut self, name: &CertName, before: Discriminant<Reason>) {
        let is_told = self.is_told;
        let Some(managed) = self.d().fleet.one(name) else { return };
        if !is_told || std::mem::discriminant(&managed.decision().reason) == before {
            return;
        }
        let line = format!("{name} {}: {}", managed.decision().action.as_str(), managed.decision().reason);
        self.tell(|| line);
    }

    fn want_profile(&mut self, name: &CertName, profile: &ProfileRef) {
        match self.blocked(name) {
            Some(blocked) => self.hold_back(name, blocked),
            None => self.d().profiles.want(profile),
        }
    }

    fn queue_up(&mut self, name: &CertName) {
        match self.blocked(name) {
            Some(blocked) => self.hold_back(name, blocked),
            None => self.d().fleet.line_up(name),
        }
    }

    fn blocked(&mut self, name: &CertName) -> Option<Blocked> {
        let now = self.wall();
        let daemon = self.d();
        daemon.fleet.one(name)?.blocked(&daemon.breaker, daemon.pace.paused_until(now), now)
    }

    fn hold_back(&mut self, name: &CertName, blocked: Blocked) {
        let now = self.wall();
        let daemon = self.d();
        let Some(managed) = daemon.fleet.one(name) else { return };
        let wake_at = managed.held_until(&blocked, daemon.profiles.reading(&managed.entry.profile), now);
        daemon.fleet.hold_back(name, blocked.reason, wake_at);
    }

    fn admit(&mut self) {
        if self.d().breaker.open_until().is_some() {
            self.d().profiles.want_none();
        }
        loop {
            let Daemon { profiles, places, .. } = self.d();
            let Some(profile) = profiles.next(|| places.take(false)) else { break };
            let wait = self.turn_and_latency();
            self.later(wait, Task::ReadProfile(profile));
        }
        while let Some((name, emergency)) = self.d().fleet.first_in_line() {
            if !self.d().places.take(emergency) {
                self.d().fleet.amend(&name, |decision| {
                    if let Reason::Due(cause) = &decision.reason {
                        decision.reason = Reason::Queued(cause.clone());
                    }
                });
                return;
            }
            self.d().fleet.leave_line();
            match self.d().fleet.one(&name).map(|managed| managed.decision().action.clone()) {
                Some(action) if action.needs_api() && !self.is_held_back(&name, &action) => {
                    self.execute(&name, &action, true);
                }
                _ => self.d().places.give_back(),
            }
        }
    }

    fn is_held_back(&mut self, name: &CertName, action: &Action) -> bool {
        if matches!(action, Action::Install { .. }) {
            return false;
        }
        let Some(blocked) = self.blocked(name) else { return false };
        self.hold_back(name, blocked);
        true
    }

    fn execute(&mut self, name: &CertName, action: &Action, has_place: bool) {
        let (skew, now) = (self.skew, self.wall());
        let daemon = self.d();
        let Some(managed) = daemon.fleet.one(name) else { return };
        let profile = daemon.profiles.reading(&managed.entry.profile).profile.as_ref();
        let bench = Bench::new(managed, profile, action, has_place, managed.passes_pause(now), skew);
        daemon.fleet.begin(name);
        match bench {
            Some(bench) => self.begin_effect(Box::new(bench)),
            None => self.finished(name, has_place),
        }
    }

    pub(crate) fn happened(&mut self, entry: &event::Entry) {
        self.witness(entry);
        let daemon = self.d();
        let apply = |record: &mut Record| record.apply(entry.at, &entry.event);
        if daemon.fleet.change(&entry.name, |managed| apply(&mut managed.record)).is_none() {
            apply(daemon.records.entry(entry.name.clone()).or_default());
        }
    }

    /// What came of a call for a certificate: for the API as a whole, and for the clock.
    pub(crate) fn answered(
        &mut self,
        users: &[CertName],
        profile: &ProfileRef,
        function: Function,
        failure: Option<&Failure>,
    ) {
        self.see_date();
        let now = self.wall();
        let Some(failure) = failure else { return self.api_answers(function, profile, now) };
        let daemon = self.d();
        if failure.class == FailureClass::ApiForbidden && matches!(function, Function::Search | Function::Details) {
            match function {
                Function::Search => daemon.surroundings.can_search = false,
                Function::Details => daemon.surroundings.can_check = false,
                Function::Profile | Function::Main => {}
            }
            return;
        }
        let is_only_profile = !daemon.fleet.profiles().any(|other| other != profile);
        daemon.breaker.failed(&Asked { function, profile, users, is_only_profile }, failure, now);
        self.pause_after(failure, now);
    }

    fn pause_after(&mut self, failure: &Failure, now: Timestamp) {
        let daemon = self.d();
        if let Some(until) = Pace::asked_by(failure, daemon.fleet.least_left(now), now) {
            daemon.pace.pause(until);
        }
    }

    fn see_date(&mut self) {
        if self.tlm.answers() && !self.tlm.dates {
            self.d().clock.answered_without_date();
        }
        if self.tlm.answers() && self.tlm.dates {
            let now = self.wall();
            // By a clock that is wrong itself the odd answer might show it to be right.
            let odd = std::mem::take(&mut self.tlm.odd_date) * i64::from(self.skew == 0);
            let date = Timestamp::from_millis(self.now.millis() + odd);
            self.d().clock.compare(date, now);
            self.judge_clock();
        }
    }

    fn api_answers(&mut self, function: Function, profile: &ProfileRef, now: Timestamp) {
        let daemon = self.d();
        let was_down = daemon.breaker.open_until().is_some();
        daemon.breaker.succeeded(function, Some(profile), now);
        if was_down {
            daemon.profiles.expire();
            daemon.fleet.wake_all(now);
        }
    }

    fn try_api(&mut self, now: Timestamp) {
        let daemon = self.d();
        if daemon.trying || !daemon.breaker.take_errand(&mut daemon.clock, now) {
            return;
        }
        daemon.trying = true;
        let profile = daemon.breaker.to_try(daemon.fleet.profiles());
        let Some(profile) = profile else { return };
        let wait = self.turn_and_latency();
        self.later(wait, Task::Trial(profile));
    }

    pub(crate) fn ask_trial(&mut self, reference: &ProfileRef) {
        let result = self.profile_of(reference);
        self.see_date();
        self.d().trying = false;
        let now = self.wall();
        match result.err() {
            None => self.api_answers(Function::Profile, reference, now),
            Some(_) if self.d().breaker.open_until().is_none() => {}
            Some(failure) if self.d().breaker.is_answer(&failure) => {
                self.api_answers(Function::Profile, reference, now)
            }
            Some(failure) => {
                self.d().breaker.trial_failed(Some(reference), &failure, now);
                self.pause_after(&failure, now);
                let waiting = self.d().fleet.waiting_for_trial(now);
                waiting.iter().for_each(|name| self.settle(name));
            }
        }
    }

    pub(crate) fn finished(&mut self, name: &CertName, had_place: bool) {
        if had_place {
            self.d().places.give_back();
        }
        self.d().fleet.end(name);
        self.look(name);
    }

    pub(crate) fn ask_profile(&mut self, reference: &ProfileRef) {
        let result = self.profile_of(reference);
        self.see_date();
        self.profile_read(reference, result);
    }

    fn profile_read(&mut self, profile: &ProfileRef, result: Result<Profile, Failure>) {
        let now = self.wall();
        self.d().places.give_back();
        let users: Vec<CertName> = self
            .d()
            .fleet
            .iter()
            .filter(|managed| managed.entry.profile == *profile)
            .map(|managed| managed.entry.name.clone())
            .collect();
        match &result {
            Ok(_) => self.api_answers(Function::Profile, profile, now),
            Err(failure) => {
                let some = &users[..users.len().min(SEVERAL)];
                self.answered(some, profile, Function::Profile, Some(failure));
            }
        }
        if self.d().profiles.note(profile, result, now) && self.disk.fault.is_none() {
            let kept = self.d().profiles.kept();
            self.disk.readings = kept.into_iter().filter_map(|(id, reading)| Some((id, reading.profile?))).collect();
        }
        users.iter().for_each(|name| self.settle(name));
    }

    fn owe_hook(&mut self, name: &CertName) {
        let daemon = self.d();
        let Some(managed) = daemon.fleet.one(name) else { return };
        let Some(generation) = managed.record.generation else { return };
        let Some((hook, due)) = managed.decision().hook.clone() else { return daemon.hooks.forget(name) };
        let key = HookKey { file: None, name: hook.clone() };
        daemon.hooks.owe(key, (name.clone(), hook, generation), due);
    }

    fn start_hooks(&mut self, now: Timestamp) {
        for run in self.d().hooks.take_runnable(now, |_| HOOK_INTERVAL) {
            for (name, hook, generation) in run.serves.clone() {
                self.note(event::Entry { at: now, name, event: Event::HookBegun { hook, generation } });
            }
            let takes =
                if self.hook_moods.get(&run.key.name) == Some(&HookMood::Hangs) { HOOK_TIMEOUT } else { SECOND };
            self.later(takes, Task::HookEnds(run.key, run.serves));
        }
    }

    pub(crate) fn hook_ends(&mut self, key: &HookKey, served: Vec<(CertName, HookName, Generation)>) {
        let mood = self.hook_moods.get(&key.name).copied().unwrap_or(HookMood::Fine);
        let why = match mood {
            HookMood::Fine | HookMood::Lies => None,
            HookMood::Fails => Some("ended with 1"),
            HookMood::Hangs => Some("did not end within 60 s and was killed"),
        };
        let failure = why.map(|why| Failure::new(FailureClass::HookFailed, format!("hook {} {why}", key.name)));
        if mood == HookMood::Fine {
            self.servers_read(&key.name);
        }
        self.d().hooks.ended(key);
        let at = self.wall();
        for (name, hook, generation) in served {
            let event = match &failure {
                None => Event::HookDone { hook, generation, output: None },
                Some(failure) => Event::HookFailed { hook, generation, failure: failure.clone() },
            };
            self.note(event::Entry { at, name: name.clone(), event });
            self.look(&name);
        }
    }

    /// Records an event of the loop's own: kept for later where the disk does not take it.
    pub(crate) fn note(&mut self, entry: event::Entry) {
        let daemon = self.daemon.as_mut().expect("the daemon runs");
        if self.disk.append(&mut daemon.backlog, &entry).is_err() {
            daemon.backlog.push(entry.clone());
        }
        self.happened(&entry);
    }

    /// `Daemon::ask_renewal`.
    pub(crate) fn ask_renewal(&mut self, name: &CertName) {
        let at = self.wall();
        self.note(event::Entry { at, name: name.clone(), event: Event::RenewalAsked { reissue: false } });
        let daemon = self.d();
        if let Some(profile) = daemon.fleet.one(name).map(|managed| managed.entry.profile.clone()) {
            daemon.profiles.expire_one(&profile);
        }
        daemon.breaker.probe_now(at);
        self.settle(name);
        // The loop turns after each thing that it is told.
        self.admit();
    }

    /// `reload::reload`, with the inventory as it is now.
    pub(crate) fn reload(&mut self) {
        let now = self.wall();
        let mut gone: Vec<CertName> = self.d().fleet.names().cloned().collect();
        gone.retain(|name| !self.inventory.contains_key(name));
        self.d().breaker.probe_now(now);
        for name in gone {
            self.note(event::Entry { at: now, name: name.clone(), event: Event::LetGo });
            if let Some(managed) = self.d().fleet.remove(&name) {
                self.d().records.insert(name, managed.record);
            }
        }
        let named: BTreeSet<ProfileRef> = self.inventory.values().map(|entry| entry.profile.clone()).collect();
        self.d().breaker.keep_only(|profile| named.contains(profile));
        self.d().pace.resume();
        for entry in self.inventory.values().cloned().collect::<Vec<_>>() {
            let entry = Arc::new(entry);
            let change = |managed: &mut Managed| managed.entry = Arc::clone(&entry);
            if self.d().fleet.change(&entry.name, change).is_none() {
                self.adopt(entry);
            }
        }
        let daemon = self.d();
        daemon.profiles.expire();
        daemon.fleet.wake_all(now);
        daemon.surroundings.can_search = true;
        daemon.surroundings.can_check = true;
    }

    /// The wait for a turn, and then for the answer.
    fn turn_and_latency(&mut self) -> Duration {
        let now = self.wall();
        let latency = self.tlm.latency();
        match self.d().pace.take(false, now) {
            Ok(()) => latency,
            Err(until) => until.since(now) + latency,
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const SHORTEST_NAP: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_secs(60);
const HOOK_INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const HOOK_TIMEOUT: Duration = Duration::from_secs(60);
