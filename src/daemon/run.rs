//! The loop: takes what the workers tell, lets the core decide for the certificate concerned, and hands out work. It
//! sleeps by the wall clock, half a minute at most, so that a suspend or a step of the clock is seen soon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::api::Tlm;
use crate::config::{Inventory, Main};
use crate::core::admission::Places;
use crate::core::breaker::Breaker;
use crate::core::clock::{ClockCheck, ClockState};
use crate::core::decide::{Action, Surroundings};
use crate::core::entry::Entry;
use crate::core::event::{self, Event};
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{CertName, ProfileRef};
use crate::core::observed::Observed;
use crate::core::reason::{Reason, State};
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::store::journal::Content;
use crate::store::lock::Lock;
use crate::store::{observe, pending, readings};

use super::context::Context;
use super::execute::Bench;
use super::fleet::{Fleet, Managed};
use super::hooks::{self, Hooks};
use super::message::{Function, Message};
use super::profiles::{self, Profiles};
use super::status::{self, Facts, Status};
use super::{notify, reload, setup};

/// How long the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Forever,
    /// One pass, waiting for pending pickups at most so long.
    Once {
        /// `--wait`.
        wait: Duration,
    },
}

/// What comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration anew.
    Reload,
    /// Finish what must be finished, and end.
    Stop,
}

/// The daemon's own state; all of it is touched by the loop alone.
pub struct Daemon<T: Tlm> {
    pub(super) context: Arc<Context<T>>,
    pub(super) main: Main,
    pub(super) inventory: Inventory,
    pub(super) fleet: Fleet,
    pub(super) records: BTreeMap<CertName, Record>,
    pub(super) profiles: Profiles,
    pub(super) config_error: Option<Text>,
    problems: Vec<status::Problem>,
    pub(super) breaker: Breaker,
    pub(super) surroundings: Surroundings,
    hooks: Hooks,
    places: Places,
    clock: ClockCheck,
    trying: bool,
    keeping: Option<tokio::task::JoinHandle<()>>,
    keys_tried: usize,
    last_tick: (Timestamp, Duration),
    mode: Mode,
    stop_hooks: watch::Sender<bool>,
    _lock: Lock,
}

impl<T: Tlm> Daemon<T> {
    /// The daemon before its first look at the certificates.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is a part that the caller opened")]
    pub fn new(
        context: Arc<Context<T>>,
        main: Main,
        inventory: Inventory,
        records: BTreeMap<CertName, Record>,
        profiles: Profiles,
        content: &Content,
        lock: Lock,
        mode: Mode,
    ) -> Self {
        let now = context.clock.now();
        let surroundings = setup::surroundings(&main, mode, content);
        Self {
            last_tick: (now, context.clock.steady()),
            clock: ClockCheck::new(setup::earliest(content), now),
            places: Places::new(main.api.max_concurrent_requests),
            context,
            main,
            inventory,
            fleet: Fleet::default(),
            records,
            profiles,
            config_error: None,
            problems: Vec::new(),
            breaker: Breaker::default(),
            surroundings,
            hooks: Hooks::default(),
            trying: false,
            keeping: None,
            keys_tried: 0,
            mode,
            stop_hooks: watch::Sender::new(false),
            _lock: lock,
        }
    }

    /// Where the loop is told things.
    #[must_use]
    pub fn ears(&self) -> mpsc::UnboundedSender<Message> {
        self.context.loop_.clone()
    }

    /// Notes something that somebody has to look at, for as long as the daemon runs.
    pub fn report(&mut self, problem: status::Problem) {
        tracing::error!(code = %problem.code, "{}; {}", problem.message, problem.remedy);
        self.problems.push(problem);
    }

    /// Lets these certificates be replaced now, as the operator asks.
    pub fn ask_renewal(&mut self, names: &[CertName]) {
        let now = self.context.clock.now();
        for name in names {
            self.note(event::Entry { at: now, name: name.clone(), event: Event::RenewalAsked });
            self.settle(name);
        }
    }

    /// Runs until it is told to stop, or the pass is over. What is left undone is in the journal.
    pub async fn run(
        &mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> Status {
        let give_up = match self.mode {
            Mode::Forever => None,
            Mode::Once { wait } => Some(self.context.clock.now() + wait),
        };
        self.begin();
        loop {
            self.tick();
            if let Some(give_up) = give_up
                && self.is_over(give_up)
            {
                break;
            }
            tokio::select! {
                biased;
                Some(order) = orders.recv() => match order {
                    Order::Stop => break,
                    Order::Reload => reload::reload(self),
                },
                Some(message) = messages.recv() => {
                    self.take(message);
                    while let Ok(more) = messages.try_recv() {
                        self.take(more);
                    }
                }
                () = tokio::time::sleep(self.nap()) => {}
            }
        }
        self.finish(&mut messages).await;
        self.status()
    }

    /// The first look at every certificate, and the first plan.
    fn begin(&mut self) {
        tracing::info!(certificates = self.inventory.entries.len(), "looking at the certificates");
        for state in self.inventory.files.iter().filter(|state| !state.problems.is_empty()) {
            for problem in &state.problems {
                tracing::error!(file = %state.label, "refused: {}", problem.summary());
            }
        }
        let entries = self.inventory.entries.clone();
        for entry in entries {
            self.adopt(Arc::new(entry));
        }
        notify::ready();
        self.tell_systemd();
        tracing::info!("ready: {}", status::line(&self.status()));
    }

    /// Takes an entry under management.
    pub(super) fn adopt(&mut self, entry: Arc<Entry>) {
        let now = self.context.clock.now();
        let record = self.records.remove(&entry.name).unwrap_or_default();
        self.forget_orphans(&entry.name, &record);
        if !entry.probes.is_empty() {
            tracing::warn!(name = %entry.name, "this version does not look at `probe`: see for yourself what is served");
        }
        let observed = observe::observe(&*self.context.disk, &self.context.layout, &entry);
        let name = entry.name.clone();
        self.fleet.add(Managed::new(entry, observed, record, now), now);
        self.settle(&name);
    }

    /// Removes the keys of requests that were never submitted: the journal does not know them.
    fn forget_orphans(&self, name: &CertName, record: &Record) {
        let known = |attempt| {
            record.request.as_ref().is_some_and(|request| request.attempt == attempt)
                || record.abandoned.contains_key(&attempt)
        };
        let context = &self.context;
        for attempt in pending::attempts(&*context.disk, &context.layout, name) {
            if !known(attempt)
                && let Err(failure) = pending::forget(&*context.disk, &context.layout, name, attempt)
            {
                tracing::warn!(%name, "{failure}");
            }
        }
    }

    /// What the passing of time brings: certificates that are due to be looked at, trials, hooks, places.
    fn tick(&mut self) {
        let now = self.context.clock.now();
        self.watch_clock(now);
        notify::alive();
        while let Some(name) = self.fleet.pop_due(now) {
            self.look(&name);
        }
        self.try_api(now);
        self.start_hooks(now);
        self.admit();
    }

    /// A step of the clock, or a suspend, shows as a difference between the wall clock and the steady one.
    fn watch_clock(&mut self, now: Timestamp) {
        let steady = self.context.clock.steady();
        let (before, steady_before) = self.last_tick;
        self.last_tick = (now, steady);
        let expected = before + steady.saturating_sub(steady_before);
        if now.distance(expected) > STEP {
            tracing::warn!("the clock was set, or the machine slept: {before} is followed by {now}");
            self.clock.stepped(now);
            self.profiles.expire();
            self.breaker.try_now(now);
            let names: Vec<CertName> = self.fleet.names().cloned().collect();
            names.iter().for_each(|name| self.fleet.wake(name, now));
        }
        self.clock.tick(now);
        self.judge_clock();
    }

    /// Whether anything may be submitted by this clock: before the next decision, not at the next tick.
    fn judge_clock(&mut self) {
        let wrong = (self.clock.state() == ClockState::Wrong).then(|| self.clock.offset_seconds());
        if wrong.is_some() && self.surroundings.clock_wrong.is_none() {
            tracing::error!("the host's clock is wrong: nothing is submitted until it is set right");
        }
        self.surroundings.clock_wrong = wrong;
    }

    fn nap(&self) -> Duration {
        let now = self.context.clock.now();
        let next = [self.fleet.next_wake(), self.breaker.trial_at()].into_iter().flatten().min();
        let nap = next.map_or(LONGEST_NAP, |at| at.since(now)).min(LONGEST_NAP);
        let owed = self.hooks.is_owed() && !self.hooks.is_running();
        if owed { nap.min(Duration::from_secs(1)) } else { nap }.max(SHORTEST_NAP)
    }

    /// Observes a certificate beside the loop; the decision follows when that is done.
    fn look(&mut self, name: &CertName) {
        let Some(managed) = self.fleet.one(name).filter(|managed| !managed.busy) else { return };
        let (entry, context) = (Arc::clone(&managed.entry), Arc::clone(&self.context));
        tokio::task::spawn_blocking(move || {
            let observed = observe::observe(&*context.disk, &context.layout, &entry);
            context.tell(Message::Observed(entry.name.clone(), observed));
        });
    }

    /// Decides for one certificate, and sets in motion what was decided.
    pub(super) fn settle(&mut self, name: &CertName) {
        let now = self.context.clock.now();
        self.fleet.step_out(name);
        self.surroundings.api_recovered_at = self.breaker.recovered_at();
        let Some(managed) = self.fleet.one_mut(name).filter(|managed| !managed.busy) else { return };
        let reading = self.profiles.reading(&managed.entry.profile);
        let before = managed.decision.reason.clone();
        managed.decide(reading, &self.surroundings, now);
        let action = managed.decision.action.clone();
        let entry = Arc::clone(&managed.entry);
        let wake_at = managed.decision.wake_at.max(now + SHORTEST_NAP).min(now + LOOK_AGAIN);
        if self.profiles.is_stale(&entry.profile, now) && self.breaker.closed().is_none() {
            self.read_profile(&entry.profile);
        }
        self.fleet.wake(name, wake_at);
        match action {
            Action::Wait => {}
            Action::ReadProfile(profile) => self.want_profile(name, &profile),
            Action::RunHook(hook) => self.owe_hook(&entry, &hook),
            Action::Submit(_)
            | Action::LookUp(_)
            | Action::PickUp(..)
            | Action::Install { .. }
            | Action::CheckStatus(_) => self.queue_up(name),
            action @ (Action::Repair | Action::Abandon(_) | Action::ForgetKey(_)) => self.execute(name, action, false),
        }
        self.log_change(name, &before);
    }

    fn want_profile(&mut self, name: &CertName, profile: &ProfileRef) {
        if let Some((why, until)) = self.breaker.closed() {
            return self.hold_back(name, why, until);
        }
        self.read_profile(profile);
    }

    fn read_profile(&mut self, profile: &ProfileRef) {
        if self.profiles.begin(profile) {
            tokio::spawn(profiles::read(Arc::clone(&self.context), profile.clone()));
        }
    }

    /// A due certificate waits for a place; while the API as a whole is down, for that.
    fn queue_up(&mut self, name: &CertName) {
        if let Some((why, until)) = self.breaker.closed() {
            return self.hold_back(name, why, until);
        }
        self.fleet.line_up(name);
    }

    fn hold_back(&mut self, name: &CertName, why: Text, until: Timestamp) {
        let Some(managed) = self.fleet.one_mut(name) else { return };
        // A pending request keeps its own reason: it is no less pending.
        if managed.decision.reason.state() != State::Pending {
            managed.decision.reason = Reason::ApiDown { why, until };
        }
        managed.decision.action = Action::Wait;
        managed.decision.wake_at = until;
        self.fleet.wake(name, until.max(self.context.clock.now() + SHORTEST_NAP));
    }

    /// Gives places to those who wait first in line.
    fn admit(&mut self) {
        while let Some((name, emergency)) = self.fleet.first_in_line() {
            if !self.places.take(emergency) {
                self.mark_queued(&name);
                return;
            }
            self.fleet.leave_line();
            match self.fleet.one(&name).map(|managed| managed.decision.action.clone()) {
                Some(action) if action.needs_api() => self.execute(&name, action, true),
                _ => self.places.give_back(),
            }
        }
    }

    fn mark_queued(&mut self, name: &CertName) {
        if let Some(managed) = self.fleet.one_mut(name)
            && let Reason::Due(cause) = &managed.decision.reason
        {
            managed.decision.reason = Reason::Queued(cause.clone());
        }
    }

    fn execute(&mut self, name: &CertName, action: Action, has_place: bool) {
        let Some(managed) = self.fleet.one_mut(name) else { return };
        managed.busy = true;
        let profile = self.profiles.reading(&managed.entry.profile).profile.clone().map(Arc::new);
        let bench = Bench::new(
            Arc::clone(&self.context),
            Arc::clone(&managed.entry),
            profile,
            managed.observed.installed().cloned(),
            managed.record.request.clone(),
            has_place,
        );
        tokio::spawn(bench.run(action));
    }

    fn take(&mut self, message: Message) {
        let now = self.context.clock.now();
        match message {
            Message::Observed(name, observed) => self.observed(&name, observed),
            Message::Happened(entry) => self.happened(&entry),
            Message::Answered { name, profile, function, failure } => {
                self.answered(&name, &profile, function, failure.as_ref(), now);
            }
            Message::Finished { name, had_place } => self.finished(&name, had_place),
            Message::ProfileRead(profile, result) => self.profile_read(&profile, *result, now),
            Message::Tried(profile, failure) => self.tried(profile.as_ref(), failure.as_ref(), now),
            Message::Seen(seen) => {
                if let Some(date) = seen.date {
                    self.clock.compare(date, now);
                    self.judge_clock();
                }
            }
            Message::HookEnded { hook, served, failure } => self.hook_ended(&hook, served, failure, now),
            Message::Asked(request, answer) => {
                // Whoever asked may have gone.
                drop(answer.send(super::answer::answer(self, &request)));
            }
        }
    }

    fn observed(&mut self, name: &CertName, observed: Observed) {
        if let Some(managed) = self.fleet.one_mut(name).filter(|managed| !managed.busy) {
            managed.observed = observed;
            self.settle(name);
        }
    }

    fn happened(&mut self, entry: &event::Entry) {
        log_event(entry);
        match self.fleet.one_mut(&entry.name) {
            Some(managed) => managed.record.apply(entry.at, &entry.event),
            None => self.records.entry(entry.name.clone()).or_default().apply(entry.at, &entry.event),
        }
    }

    fn answered(
        &mut self,
        name: &CertName,
        profile: &ProfileRef,
        function: Function,
        failure: Option<&Failure>,
        now: Timestamp,
    ) {
        let Some(failure) = failure else { return self.api_answers(Some(profile), now) };
        if failure.class == FailureClass::ApiForbidden && function != Function::Main {
            self.disable(function, failure);
            return;
        }
        self.breaker.failed(name, profile, failure, now);
        if failure.class == FailureClass::ApiUnauthorised {
            self.next_key(now);
        }
    }

    fn disable(&mut self, function: Function, failure: &Failure) {
        let switch = match function {
            Function::Search => &mut self.surroundings.can_search,
            Function::Details => &mut self.surroundings.can_check,
            Function::Main => return,
        };
        if std::mem::replace(switch, false) {
            tracing::warn!("the API key may not use this function; it is not used again before a reload: {failure}");
        }
    }

    /// After an outage, everything that waited for the API is looked at again.
    fn api_answers(&mut self, profile: Option<&ProfileRef>, now: Timestamp) {
        let was_down = self.breaker.closed().is_some();
        self.breaker.succeeded(profile, now);
        self.keys_tried = 0;
        if was_down {
            tracing::info!("the API answers again");
            self.profiles.expire();
            let names: Vec<CertName> = self.fleet.names().cloned().collect();
            names.iter().for_each(|name| self.fleet.wake(name, now));
        }
    }

    /// Fails over to the next API key: each is tried once at once, then one at each trial.
    fn next_key(&mut self, now: Timestamp) {
        self.keys_tried += 1;
        if self.context.api().use_next_key() && self.keys_tried < MOST_KEYS {
            tracing::warn!("trying the next API key: {}", self.context.api().credential());
            self.breaker.try_now(now);
        }
    }

    /// One trial request while the API as a whole is not usable.
    fn try_api(&mut self, now: Timestamp) {
        if self.trying || !self.breaker.take_trial(now) {
            return;
        }
        self.trying = true;
        let context = Arc::clone(&self.context);
        let profile = self.breaker.to_try(self.fleet.profiles()).cloned();
        tokio::spawn(async move {
            context.take_turn().await;
            let api = context.api();
            let result = match &profile {
                Some(ProfileRef::Id(id)) => api.profile(id).await.map(drop),
                _ => api.profiles(crate::api::Page::FIRST).await.map(drop),
            };
            context.tell(Message::Tried(profile, result.err()));
        });
    }

    fn tried(&mut self, profile: Option<&ProfileRef>, failure: Option<&Failure>, now: Timestamp) {
        self.trying = false;
        match failure {
            None => self.api_answers(profile, now),
            // A profile that is not there is an answer, too.
            Some(failure) if failure.class.scope() == crate::core::failure::Scope::Certificate => {
                self.api_answers(profile, now);
            }
            Some(failure) => {
                self.breaker.trial_failed(profile, failure, now);
                if failure.class == FailureClass::ApiUnauthorised {
                    self.next_key(now);
                }
            }
        }
    }

    fn finished(&mut self, name: &CertName, had_place: bool) {
        if had_place {
            self.places.give_back();
        }
        if let Some(managed) = self.fleet.one_mut(name) {
            managed.busy = false;
        }
        self.look(name);
    }

    fn profile_read(
        &mut self,
        profile: &ProfileRef,
        result: Result<crate::core::profile::Profile, Failure>,
        now: Timestamp,
    ) {
        let users: Vec<CertName> = self
            .fleet
            .iter()
            .filter(|managed| managed.entry.profile == *profile)
            .map(|managed| managed.entry.name.clone())
            .collect();
        match &result {
            Ok(_) => self.api_answers(Some(profile), now),
            Err(failure) => {
                tracing::warn!(%profile, "the profile could not be read: {failure}");
                for name in users.iter().take(2) {
                    self.answered(name, profile, Function::Main, Some(failure), now);
                }
            }
        }
        if self.profiles.note(profile, result, now) {
            self.keep_readings();
        }
        users.iter().for_each(|name| self.settle(name));
    }

    /// Writes the readings beside the loop, one time after the other.
    fn keep_readings(&mut self) {
        let context = Arc::clone(&self.context);
        let kept = self.profiles.kept();
        let before = self.keeping.take();
        self.keeping = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // A writing that panicked has said so.
                drop(before.await);
            }
            let written = context.blocking(move |c| readings::write(&*c.disk, &c.layout, &kept)).await;
            if let Err(failure) = written {
                tracing::warn!("{failure}");
            }
        }));
    }

    fn owe_hook(&mut self, entry: &Entry, hook: &crate::core::name::HookName) {
        let Some(generation) = self.fleet.one(&entry.name).and_then(|managed| managed.record.generation) else {
            return;
        };
        let Some((key, _)) = self.inventory.hook(entry, hook) else { return };
        let key = (key.file.clone(), key.name.clone());
        self.hooks.owe(key, entry.name.clone(), hook.clone(), generation);
    }

    fn start_hooks(&mut self, now: Timestamp) {
        let hooks = &self.inventory.hooks;
        let find = |key: &hooks::Key| {
            hooks.iter().find(|(other, _)| other.file == key.0 && other.name == key.1).map(|(_, hook)| hook)
        };
        let runs = self.hooks.take_runnable(now, |key| find(key).map_or(Duration::ZERO, |hook| hook.min_interval));
        for run in runs {
            let Some(hook) = find(&run.key).cloned() else { continue };
            let lives: Vec<_> =
                run.serves.iter().map(|(name, ..)| (name.clone(), self.context.layout.live(name))).collect();
            let (context, stop) = (Arc::clone(&self.context), self.stop_hooks.subscribe());
            tracing::info!(hook = %hook.name, certificates = run.serves.len(), "running the hook");
            tokio::spawn(async move {
                let failure = hooks::run(&hook, hooks::environment(&lives), stop).await.err();
                context.tell(Message::HookEnded { hook: run.key, served: run.serves, failure });
            });
        }
    }

    fn hook_ended(
        &mut self,
        key: &hooks::Key,
        served: Vec<(CertName, crate::core::name::HookName, crate::core::name::Generation)>,
        failure: Option<Failure>,
        now: Timestamp,
    ) {
        self.hooks.ended(key);
        for (name, hook, generation) in served {
            let event = match &failure {
                None => Event::HookDone { hook, generation },
                Some(failure) => Event::HookFailed { hook, generation, failure: failure.clone() },
            };
            self.note(event::Entry { at: now, name: name.clone(), event });
            self.look(&name);
        }
    }

    /// Records an event of the loop's own: kept for later where the disk does not take it.
    pub(super) fn note(&mut self, entry: event::Entry) {
        {
            let mut journal = self.context.journal();
            if let Err(failure) = journal.append(std::slice::from_ref(&entry)) {
                journal.keep_for_later(&entry);
                tracing::error!("{failure}");
            }
        }
        self.happened(&entry);
    }

    /// The end of a pass: nothing runs, nothing is due, and nothing is worth waiting for.
    fn is_over(&mut self, give_up: Timestamp) -> bool {
        let busy = self.fleet.iter().any(|managed| managed.busy);
        if busy || !self.fleet.line_is_empty() || self.profiles.is_reading() || self.hooks.is_running() || self.trying {
            return false;
        }
        let now = self.context.clock.now();
        !self.fleet.iter().any(|managed| is_worth_waiting(managed, give_up, now))
    }

    /// Ends: installs that run are finished, hooks are ended and stay owed, everything else is in the journal.
    async fn finish(&mut self, messages: &mut mpsc::UnboundedReceiver<Message>) {
        notify::stopping();
        self.stop_hooks.send_replace(true);
        let until = self.context.clock.steady() + STOP_PATIENCE;
        let installs = |fleet: &Fleet| fleet.iter().any(|managed| managed.busy && is_local(&managed.decision.action));
        while installs(&self.fleet) || self.hooks.is_running() {
            let left = until.saturating_sub(self.context.clock.steady());
            match tokio::time::timeout(left, messages.recv()).await {
                Ok(Some(message)) => self.take(message),
                Ok(None) | Err(_) => break,
            }
        }
        while let Ok(message) = messages.try_recv() {
            self.take(message);
        }
        if let Some(keeping) = self.keeping.take() {
            drop(tokio::time::timeout(STOP_PATIENCE, keeping).await);
        }
        tracing::info!("stopped");
    }

    /// The status as it is now.
    pub(super) fn status(&self) -> Status {
        let now = self.context.clock.now();
        let facts = Facts {
            main: &self.main,
            config_error: self.config_error.as_ref(),
            clock: &self.clock,
            breaker: &self.breaker,
            paused_until: self.context.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner).paused_until(now),
            credentials: vec![self.context.api().credential()],
            files: &self.inventory.files,
            problems: self.problems.clone(),
            now,
        };
        status::status(
            &facts,
            self.fleet.iter().map(|managed| (managed, self.profiles.reading(&managed.entry.profile))),
        )
    }

    pub(super) fn tell_systemd(&self) {
        notify::status(&status::line(&self.status()));
    }

    /// A reason is logged when it changes, not at each look.
    fn log_change(&self, name: &CertName, before: &Reason) {
        let Some(managed) = self.fleet.one(name) else { return };
        let reason = &managed.decision.reason;
        // A new time for the same wait is no news.
        let is_same = std::mem::discriminant(reason) == std::mem::discriminant(before);
        if is_same && reason.failure() == before.failure() && reason.state() == before.state() {
            return;
        }
        let code = reason.failure().map_or("", |failure| failure.class.code());
        match reason.state() {
            State::Failing | State::Rejected => tracing::warn!(%name, state = %reason.state(), code, "{reason}"),
            State::Valid | State::Due | State::Pending | State::Staged | State::Deploying => {
                tracing::info!(%name, state = %reason.state(), "{reason}");
            }
        }
        self.tell_systemd();
    }
}

/// Whether something happens for a certificate at once, or soon enough for one pass.
fn is_worth_waiting(managed: &Managed, give_up: Timestamp, now: Timestamp) -> bool {
    let reason = &managed.decision.reason;
    if let Reason::Pending { next, .. } | Reason::AnswerLost { next, .. } | Reason::NotYetValid(next) = reason {
        return *next <= give_up;
    }
    let at_once = matches!(
        reason,
        Reason::HookOwed { failure: None, .. } | Reason::Due(_) | Reason::Installing | Reason::ReadingProfile(_)
    );
    at_once || managed.decision.action != Action::Wait || managed.decision.wake_at <= now
}

/// Whether an action, once begun, is worth finishing before the end: what it needs is here.
fn is_local(action: &Action) -> bool {
    matches!(action, Action::Install { .. } | Action::Repair | Action::Abandon(_) | Action::ForgetKey(_))
}

fn log_event(entry: &event::Entry) {
    let name = &entry.name;
    match &entry.event {
        Event::Installed { generation, serial_number, not_after, .. } => {
            tracing::info!(%name, %generation, %serial_number, "installed; valid until {not_after}");
        }
        Event::Pending { request_id, .. } => tracing::info!(%name, %request_id, "TLM will issue later"),
        Event::GateRefused { why, .. } => {
            why.iter().for_each(
                |why| tracing::error!(%name, code = "gate-refused", "what TLM issued is not installed: {why}"),
            );
        }
        Event::Rejected { why, .. } => {
            tracing::error!(%name, code = "request-rejected", "rejected by an administrator: {why}")
        }
        Event::Repaired => tracing::info!(%name, "files put back as they should be"),
        Event::StatusChecked { revoked: true, .. } => {
            tracing::error!(%name, "TLM says that the certificate is revoked")
        }
        Event::HookDone { hook, .. } => tracing::info!(%name, %hook, "the hook ran"),
        Event::HookFailed { hook, failure, .. } => {
            tracing::error!(%name, %hook, code = failure.class.code(), "{failure}")
        }
        Event::Submitting { .. }
        | Event::NotAccepted { .. }
        | Event::AnswerLost { .. }
        | Event::LookedUp { .. }
        | Event::Polled { .. }
        | Event::PickupUnknown { .. }
        | Event::Issued { .. }
        | Event::Held { .. }
        | Event::Waits { .. }
        | Event::Abandoned { .. }
        | Event::KeyForgotten { .. }
        | Event::Failed { .. }
        | Event::StatusChecked { .. }
        | Event::StatusUnread
        | Event::RenewalAsked
        | Event::LetGo
        | Event::Unknown => tracing::debug!(%name, "{:?}", entry.event),
    }
}

const LONGEST_NAP: Duration = Duration::from_secs(30);
const SHORTEST_NAP: Duration = Duration::from_millis(20);
const LOOK_AGAIN: Duration = Duration::from_secs(6 * 3600);
const STEP: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(4);
const MOST_KEYS: usize = 8;
