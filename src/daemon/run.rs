//! The loop: takes what the workers tell, lets the core decide for the certificate concerned, and hands out work. It
//! sleeps by the wall clock, less than a minute at most, so that a step of the clock is seen soon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use crate::api::Tlm;
use crate::config::{Inventory, Main, Shelf};
use crate::core::admission::Places;
use crate::core::breaker::Breaker;
use crate::core::clock::{ClockCheck, ClockState};
use crate::core::decide::{Action, Surroundings};
use crate::core::event::{self, Event};
use crate::core::name::{Attempt, CertName, ProfileRef};
use crate::core::reading::Reading;
use crate::core::reason::Reason;
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::store::journal::{Content, Folded};
use crate::store::lock::Lock;
use crate::store::pending;

use super::alarm::Alarm;
use super::ca_status::CaStatus;
use super::context::Context;
use super::credentials::Credentials;
use super::fleet::{Fleet, Managed};
use super::hooks::Hooks;
use super::kept::Kept;
use super::lookout::Lookout;
use super::message::Message;
use super::metrics::Metrics;
use super::profiles::Profiles;
use super::report::{self, Facts};
use super::status::{self, Status};
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
    /// The drop-in files as they were read.
    pub(super) shelf: Shelf,
    /// What is in force, kept for the next start.
    pub(super) kept: Option<Kept>,
    pub(super) fleet: Fleet,
    /// How many looks at certificates are under way, whose decisions follow.
    pub(super) looks: usize,
    pub(super) records: BTreeMap<CertName, Record>,
    pub(super) profiles: Profiles,
    pub(super) config_error: Option<Text>,
    /// What else somebody has to look at, by its code.
    pub(super) problems: BTreeMap<String, status::Problem>,
    pub(super) breaker: Breaker,
    pub(super) surroundings: Surroundings,
    pub(super) hooks: Hooks,
    pub(super) metrics: Metrics,
    pub(super) places: Places,
    pub(super) clock: ClockCheck,
    pub(super) trying: bool,
    /// Whether another trial follows the one under way, whatever comes of it: it began before a reload.
    pub(super) try_again: bool,
    pub(super) keeping: Option<tokio::task::JoinHandle<()>>,
    pub(super) keys_tried: usize,
    pub(super) credentials: Credentials,
    /// The CA certificates that are served.
    pub(super) cas: CaStatus,
    /// Who looks after the inventory directory; nobody in a single pass.
    pub(super) lookout: Option<Lookout>,
    hints: Arc<Notify>,
    /// Whether what systemd was told last is out of date, and when it was told.
    pub(super) headline_is_old: bool,
    told_at: Option<Duration>,
    pub(super) textfile_due: Duration,
    last_tick: (Timestamp, Duration),
    pub(super) mode: Mode,
    pub(super) stop_hooks: watch::Sender<bool>,
    _lock: Lock,
}

impl<T: Tlm> Daemon<T> {
    /// The daemon before its first look at the certificates.
    #[must_use]
    pub fn new(
        context: Arc<Context<T>>,
        main: Main,
        inventory: Inventory,
        content: Content<Folded>,
        profiles: Profiles,
        lock: Lock,
        mode: Mode,
    ) -> Self {
        let now = context.clock.now();
        let surroundings = setup::surroundings(&main, mode, &content);
        let earliest = setup::earliest(&content);
        let mut records = content.entries.records;
        // By both clocks: neither of them alone may free what a wrong one counts as spent.
        records.values_mut().for_each(|record| {
            record.forget_submissions(earliest.min(now));
            record.cut_off_hooks();
        });
        Self {
            last_tick: (now, context.clock.steady()),
            clock: ClockCheck::new(earliest, now),
            places: Places::new(main.api.max_concurrent_requests),
            context,
            main,
            inventory,
            shelf: Shelf::default(),
            kept: None,
            fleet: Fleet::default(),
            looks: 0,
            records,
            profiles,
            config_error: None,
            problems: BTreeMap::new(),
            breaker: Breaker::default(),
            surroundings,
            hooks: Hooks::default(),
            metrics: Metrics::default(),
            textfile_due: Duration::ZERO,
            trying: false,
            try_again: false,
            keeping: None,
            keys_tried: 0,
            credentials: Credentials::default(),
            cas: CaStatus::default(),
            lookout: None,
            hints: Arc::new(Notify::new()),
            headline_is_old: true,
            told_at: None,
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

    /// Notes something that somebody has to look at, until it is mended.
    pub fn report(&mut self, problem: status::Problem) {
        let before = self.problems.insert(problem.code.clone(), problem.clone());
        if before.is_none_or(|before| before.message != problem.message) {
            tracing::error!(code = %problem.code, "{}; {}", problem.message, problem.remedy);
        }
        self.headline_is_old = true;
    }

    /// Takes a problem back.
    pub(super) fn mended(&mut self, code: &str) {
        if self.problems.remove(code).is_some() {
            tracing::info!(code, "mended");
            self.headline_is_old = true;
        }
    }

    /// Lets these certificates be replaced now, as the operator asks.
    pub fn ask_renewal(&mut self, names: &[CertName], reissue: bool) {
        let at = self.context.clock.now();
        let names: BTreeSet<&CertName> = names.iter().collect();
        // The same word again, before anything came of it, is no news for the journal.
        let is_news =
            |name: &&&CertName| self.fleet.one(name).is_none_or(|managed| !managed.record.is_asked_for(reissue));
        let asked =
            |name: &&CertName| event::Entry { at, name: (*name).clone(), event: Event::RenewalAsked { reissue } };
        self.note_all(names.iter().filter(is_news).map(asked).collect());
        // The operator may have put right in TLM what was refused: it is asked, and not remembered.
        let profiles: BTreeSet<ProfileRef> =
            names.iter().filter_map(|name| Some(self.fleet.one(name)?.entry.profile.clone())).collect();
        profiles.iter().for_each(|profile| self.profiles.expire_one(profile));
        self.breaker.probe_now(at);
        names.iter().for_each(|name| self.settle(name));
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
        let hints = Arc::clone(&self.hints);
        let alarm = Alarm::new()
            .inspect_err(|error| {
                tracing::warn!(
                    "the kernel gives no timer ({error}): the loop sleeps by its own, which wakes it more often"
                )
            })
            .ok();
        self.begin();
        let mut healing = true;
        loop {
            // Before anything is asked of the API, so that nobody waits for that.
            if healing && !self.fleet.is_healing() {
                healing = false;
                notify::ready();
                tracing::info!("ready: {}", self.headline());
            }
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
                () = hints.notified() => self.hinted(),
                () = rest(alarm.as_ref(), self.nap()) => {}
            }
        }
        self.finish(&mut messages).await;
        self.status()
    }

    /// The first look at every certificate, and the first plan.
    pub(super) fn begin(&mut self) {
        tracing::info!(certificates = self.inventory.entries.len(), "looking at the certificates");
        for state in self.inventory.refusals() {
            for problem in state.problems {
                tracing::error!(file = %state.label, "refused: {}", problem.summary());
            }
        }
        self.credentials.forget(self.context.clock.now());
        self.adopt_all();
        if self.mode == Mode::Forever {
            let hints = Arc::clone(&self.hints);
            self.lookout = Some(Lookout::new(&self.main.inventory, hints, self.context.clock.steady()));
        }
        self.forget_keys_of_the_gone();
    }

    /// Something may have changed in the inventory directory.
    fn hinted(&mut self) {
        let steady = self.context.clock.steady();
        if let Some(lookout) = &mut self.lookout {
            lookout.hint(steady);
        }
    }

    /// Removes the keys of requests whose entry left the inventory so long ago that TLM has forgotten them, too.
    fn forget_keys_of_the_gone(&mut self) {
        let now = self.context.clock.now();
        let of_record = |(name, record): (&CertName, &Record)| {
            record.expired_keys(now).map(|attempt| (name.clone(), attempt)).collect::<Vec<_>>()
        };
        let over: Vec<(CertName, Attempt)> = self.records.iter().flat_map(of_record).collect();
        for (name, attempt) in over {
            match pending::forget(&*self.context.disk, &self.context.layout, &name, attempt) {
                Ok(()) => self.note(event::Entry { at: now, name, event: Event::KeyForgotten { attempt } }),
                Err(failure) => tracing::warn!(%name, "{failure}"),
            }
        }
    }

    /// What the passing of time brings: certificates that are due to be looked at, trials, hooks, places.
    pub(super) fn tick(&mut self) {
        let now = self.context.clock.now();
        self.watch_clock(now);
        notify::alive(self.context.clock.steady());
        self.watch_inventory();
        self.watch_credentials(now);
        self.watch_cas(now);
        let due: Vec<CertName> = std::iter::from_fn(|| self.fleet.pop_due(now)).collect();
        self.look_at(&due);
        let late = self.profiles.take_late(now);
        late.iter()
            .filter(|late| self.fleet.profiles().any(|used| used == *late))
            .for_each(|late| self.profiles.want(late));
        self.try_api(now);
        self.start_hooks(now);
        self.admit();
        self.tell_systemd();
        self.write_textfile();
    }

    fn watch_inventory(&mut self) {
        let steady = self.context.clock.steady();
        if self.lookout.as_ref().is_some_and(|lookout| lookout.is_due(steady)) {
            reload::look(self);
        }
    }

    /// A step of the clock, or a suspend, shows as a difference between the wall clock and the steady one.
    pub(super) fn watch_clock(&mut self, now: Timestamp) {
        let steady = self.context.clock.steady();
        let (before, steady_before) = self.last_tick;
        self.last_tick = (now, steady);
        let expected = before + steady.saturating_sub(steady_before);
        if now.distance(expected) > STEP {
            tracing::warn!("the clock was set, or the machine slept: {before} is followed by {now}");
            self.clock.stepped(now);
            self.context.set_back(expected.since(now));
            self.profiles.expire();
            self.breaker.probe_now(now);
            self.fleet.wake_all(now);
        }
        self.clock.tick(now);
        self.judge_clock();
    }

    /// Whether anything may be submitted by this clock: before the next decision, not at the next tick.
    pub(super) fn judge_clock(&mut self) {
        let wrong = (self.clock.state() == ClockState::Wrong).then(|| self.clock.offset_seconds());
        let was_wrong = std::mem::replace(&mut self.surroundings.clock_wrong, wrong).is_some();
        match (was_wrong, wrong.is_some()) {
            (false, true) => {
                tracing::error!("the host's clock is wrong: nothing is submitted until it is set right");
            }
            (true, false) => {
                tracing::info!("the host's clock does not count as wrong any more");
                self.fleet.waiting_for_clock().iter().for_each(|name| self.settle(name));
            }
            _ => {}
        }
    }

    fn nap(&self) -> Duration {
        let (now, steady) = (self.context.clock.now(), self.context.clock.steady());
        let cas_due = self.cas.watch.next_due().filter(|_| self.mode == Mode::Forever);
        let late = self.profiles.late_until();
        let next = [self.fleet.next_wake(), self.errand_at(), self.next_hook(now), cas_due, late];
        let next = next.into_iter().flatten().min();
        let until_look = self.lookout.as_ref().map(|lookout| lookout.due().saturating_sub(steady));
        let told_at = self.told_at.filter(|_| self.headline_is_old);
        let until_told = told_at.map(|at| (at + TELL_INTERVAL).saturating_sub(steady));
        [next.map(|at| at.since(now)), until_look, until_told]
            .into_iter()
            .flatten()
            .fold(notify::longest_nap(), Duration::min)
            .max(SHORTEST_NAP)
    }

    pub(super) fn take(&mut self, message: Message) {
        let now = self.context.clock.now();
        match message {
            Message::Observed(found) => {
                self.looks = self.looks.saturating_sub(1);
                found.into_iter().for_each(|(name, observed)| self.observed(&name, observed));
            }
            Message::Happened(entry) => self.happened(&entry),
            Message::Answered { name, profile, function, failure } => {
                self.answered(std::slice::from_ref(&name), &profile, function, failure.as_ref(), now);
            }
            Message::Finished { name, had_place } => self.finished(&name, had_place),
            Message::ProfileRead(profile, result) => self.profile_read(&profile, *result, now),
            Message::ChainsRead(names, chains) => self.chains_read(names.as_ref(), *chains, now),
            Message::CaAsked(fingerprint, outcome) => self.ca_asked(&fingerprint, &outcome, now),
            Message::CredentialsRead(told) => self.credentials_read(told, now),
            Message::Tried(profile, failure) => self.tried(profile.as_ref(), failure.as_ref(), now),
            Message::Seen(seen) => {
                self.metrics.seen(&seen);
                match (seen.date, seen.status) {
                    (Some(date), _) => {
                        self.clock.compare(date, now);
                        self.judge_clock();
                    }
                    (None, Some(_)) => self.clock.answered_without_date(),
                    (None, None) => {}
                }
            }
            Message::HookEnded { hook, served, ended } => self.hook_ended(&hook, served, &ended, now),
            Message::Trouble(_, Some(problem)) => self.report(problem),
            Message::Trouble(code, None) => self.mended(code),
            Message::Measured(answer) => {
                // Whoever asked may have gone.
                drop(answer.send(self.measured()));
            }
            Message::Asked(request, answer) => super::answer::answer(self, &request, answer),
        }
    }

    /// The end of a pass: nothing runs, nothing is due, and nothing is worth waiting for.
    pub(super) fn is_over(&mut self, give_up: Timestamp) -> bool {
        let now = self.context.clock.now();
        // A pause that outlasts the pass is not sat through.
        let is_paused = self.context.paused_until(now).is_some_and(|until| until > give_up);
        let asks = self.fleet.is_busy() || !self.fleet.line_is_empty() || self.profiles.is_reading() || self.trying;
        if (asks && !is_paused) || self.looks > 0 || self.hooks.is_running() {
            return false;
        }
        let wait = if let Mode::Once { wait } = self.mode { wait } else { Duration::ZERO };
        let patience = Patience { give_up, remedies: give_up.max(give_up - wait + FOLLOWED) };
        if self.fleet.iter().any(|managed| is_worth_waiting(managed, patience, now)) {
            return false;
        }
        // Last of all, so that it holds nothing back. Its answer is a second opinion where the clock counts as wrong.
        if !self.credentials.was_read() {
            self.read_credentials();
        }
        !self.credentials.is_reading()
    }

    /// Ends: installs that run are finished, hooks are ended and stay owed, everything else is in the journal.
    pub(super) async fn finish(&mut self, messages: &mut mpsc::UnboundedReceiver<Message>) {
        notify::stopping();
        self.stop_hooks.send_replace(true);
        let until = self.context.clock.steady() + STOP_PATIENCE;
        let installs =
            |fleet: &Fleet| fleet.iter().any(|managed| managed.is_busy() && is_local(&managed.decision().action));
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
            let left = until.saturating_sub(self.context.clock.steady());
            drop(tokio::time::timeout(left, keeping).await);
        }
        tracing::info!("stopped");
    }

    /// The status as it is now.
    pub(super) fn status(&self) -> Status {
        self.status_with(report::certificates(&self.facts(), self.with_readings(self.fleet.iter())))
    }

    /// The status as it is now, with this of the certificates.
    pub(super) fn status_with<C>(&self, certificates: Vec<C>) -> Status<C> {
        report::status(&self.facts(), self.with_readings(self.fleet.notable()), certificates)
    }

    /// One line: counts, and the nearest trouble.
    fn headline(&self) -> Text {
        report::headline(&self.facts(), self.fleet.states(), self.with_readings(self.fleet.notable()))
    }

    pub(super) fn with_readings<'d>(
        &'d self,
        certificates: impl Iterator<Item = &'d Managed>,
    ) -> impl Iterator<Item = (&'d Managed, &'d Reading)> {
        certificates.map(|managed| (managed, self.profiles.reading(&managed.entry.profile)))
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        let now = self.context.clock.now();
        let revoked = self.revoked_cas();
        Facts {
            main: &self.main,
            config_error: self.config_error.as_ref(),
            clock: &self.clock,
            breaker: &self.breaker,
            paused_until: self.context.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner).paused_until(now),
            credentials: self.credentials.ends(),
            inventory: &self.inventory,
            overlooked: self.shelf.overlooked(),
            hooks: &self.hooks,
            cas: self.cas.watch.judged(|ca| revoked.iter().any(|(revoked, _)| *revoked == ca)),
            problems: self.problems.values().cloned().chain(revoked.into_iter().map(|(_, problem)| problem)).collect(),
            now,
        }
    }

    /// Keeps the line of `systemctl status` up to date: at once, and then so often at most.
    fn tell_systemd(&mut self) {
        let steady = self.context.clock.steady();
        if self.headline_is_old && self.told_at.is_none_or(|at| steady >= at + TELL_INTERVAL) {
            self.told_at = Some(steady);
            self.headline_is_old = false;
            notify::status(&self.headline());
        }
    }
}

/// Waits until the end of a nap.
async fn rest(alarm: Option<&Alarm>, nap: Duration) {
    let rang = match alarm {
        Some(alarm) => alarm.ring(nap).await,
        None => Err(std::io::ErrorKind::Unsupported.into()),
    };
    if rang.is_err() {
        tokio::time::sleep(nap).await;
    }
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

/// Whether an action, once begun, is worth finishing before the end: what it needs is here.
fn is_local(action: &Action) -> bool {
    matches!(
        action,
        Action::Install { .. }
            | Action::Repair { .. }
            | Action::Abandon(_)
            | Action::ForgetKeys(_)
            | Action::RollBack(_)
            | Action::Forward { .. }
            | Action::Recognise(_)
    )
}

/// No nap is shorter: a loop that finds nothing to do must not spin.
pub(super) const SHORTEST_NAP: Duration = Duration::from_millis(20);
const TELL_INTERVAL: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_secs(60);
/// So long after its begin a pass follows a refusal that names an instant, whatever it waits for else.
const FOLLOWED: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(4);
