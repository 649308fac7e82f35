//! The shell around the engine: waits for what happens, tells the engine, and performs what it wants done. It sleeps by
//! the wall clock, less than a minute at most, so that a step of the clock is seen soon.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::api::Tlm;
use crate::config::{DropInCache, LogSettings};
use crate::core::name::CertName;
use crate::engine::hooks::Ended;
use crate::engine::status::Status;
use crate::engine::{Engine, Input, Mode, NoDeploy, SHORTEST_NAP};
use crate::store::lock::Lock;

use super::ca_status::ServedCas;
use super::config_file::Stamp;
use super::context::Context;
use super::listeners::Listeners;
use super::message::Message;
use super::metrics::{Format, Metrics};
use super::steps::Recent;
use super::watch::Watch;
use super::{notify, reload, tell};
use crate::daemon::last_good::Kept;
use crate::daemon::timer::Alarm;

/// What comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration anew.
    Reload,
    /// Finish what must be finished, and end.
    Stop,
}

/// What an operator wants of a single pass.
#[derive(Clone, Debug)]
pub enum Word {
    /// Certificates replaced, whether they are due or not.
    Renew {
        /// Which.
        names: Vec<CertName>,
        /// By new ones.
        reissue: bool,
    },
    /// Hooks and probe of these, and nothing asked of TLM.
    Deploy(Vec<CertName>),
}

/// Changes what is logged, and how.
pub type SetLog = Box<dyn Fn(&LogSettings) -> Result<(), String> + Send>;

/// The engine, and what the loop needs to perform for it; all of it is touched by the loop alone.
pub struct Daemon<T: Tlm> {
    pub(super) context: Arc<Context<T>>,
    pub(super) engine: Engine,
    /// The drop-in files as they were read.
    pub(super) drop_ins: DropInCache,
    /// What is in force, kept for the next start.
    pub(super) kept: Option<Kept>,
    /// The certificates that were in force before the start, and are in no file any more.
    pub(super) gone: Vec<CertName>,
    /// What the operator wants done as soon as everything was looked at.
    asked: Option<Word>,
    pub(super) metrics: Metrics,
    /// For whoever watches.
    pub(super) recent: Recent,
    pub(super) cas: ServedCas,
    /// The watch over the inventory directory; none in a single pass.
    pub(super) watch: Option<Watch>,
    pub(super) hints: Arc<Notify>,
    /// What is listened at; nothing in a single pass.
    pub(super) listeners: Option<Listeners>,
    pub(super) set_log: Option<SetLog>,
    /// `renewd.toml` as the file was when it was read last.
    pub(super) main_stamp: Option<Stamp>,
    /// What is being written for the next start.
    pub(super) keeping: Option<JoinHandle<()>>,
    /// Whether a hook was started by this process.
    pub(super) has_run_hooks: bool,
    pub(super) textfile_due: Duration,
    /// When the credentials' modes and `renewd.toml` are looked at again, by the steady clock.
    pub(super) look_due: Duration,
    pub(super) stop_hooks: watch::Sender<bool>,
    lock: Lock,
}

impl<T: Tlm> Daemon<T> {
    /// The daemon before its first look at the certificates.
    #[must_use]
    pub fn new(context: Arc<Context<T>>, engine: Engine, lock: Lock) -> Self {
        Self {
            context,
            engine,
            drop_ins: DropInCache::default(),
            kept: None,
            gone: Vec::new(),
            asked: None,
            metrics: Metrics::default(),
            recent: Recent::default(),
            cas: ServedCas::default(),
            watch: None,
            hints: Arc::new(Notify::new()),
            listeners: None,
            set_log: None,
            main_stamp: None,
            keeping: None,
            has_run_hooks: false,
            textfile_due: Duration::ZERO,
            look_due: Duration::ZERO,
            stop_hooks: watch::Sender::new(false),
            lock,
        }
    }

    /// Where the loop is told things.
    #[must_use]
    pub fn messages(&self) -> mpsc::UnboundedSender<Message> {
        self.context.messages.clone()
    }

    /// Has the log follow `renewd.toml` at reload, by this.
    pub fn log_by(&mut self, set_log: SetLog) {
        self.set_log = Some(set_log);
    }

    /// Has this done as soon as the certificates were looked at.
    pub fn begin_with(&mut self, word: Word) {
        if matches!(word, Word::Deploy(_)) {
            self.engine.ask_nobody();
        }
        self.asked = Some(word);
    }

    /// Has certificates replaced now.
    pub(super) fn renew(&mut self, names: &[CertName], reissue: bool) -> Result<(usize, Duration), Vec<CertName>> {
        let renewed = self.engine.renew(names, reissue, self.context.now());
        self.perform_all();
        renewed
    }

    /// Has hooks and probe run now for what certificates have installed; how many, or for each that has to wait why.
    pub(super) fn deploy(&mut self, names: &[CertName]) -> Result<usize, Vec<String>> {
        let deployed = self.engine.deploy(names, self.context.now());
        self.perform_all();
        let told = |(name, why): (CertName, NoDeploy)| match why {
            NoDeploy::Unknown => format!("no certificate named \"{name}\""),
            NoDeploy::Busy => format!("renewd is working on {name}; try again in a moment"),
            NoDeploy::Nothing => {
                format!("{name}: no certificate is installed yet; `renewd status {name}` says what it waits for")
            }
        };
        deployed.map_err(|refused| refused.into_iter().map(told).collect())
    }

    /// Runs until it is told to stop, or the pass is over. What is left undone is in the journal.
    pub async fn run(
        &mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> Status {
        let give_up = match self.engine.mode() {
            Mode::Forever => None,
            Mode::Once { wait } => Some(self.context.clock.now() + wait),
        };
        let hints = Arc::clone(&self.hints);
        let alarm = Alarm::new()
            .inspect_err(|error| {
                tracing::warn!("the kernel gives no timer ({error}): the loop uses its own, which wakes it more often")
            })
            .ok();
        self.begin();
        let mut healing = true;
        loop {
            // Before anything is asked of the API, so that nobody waits for that.
            if healing && !self.engine.fleet().is_healing() {
                healing = false;
                notify::ready();
                tracing::info!("ready: {}", self.engine.status_line(self.context.clock.now()));
            }
            self.turn();
            if let Some(give_up) = give_up {
                let is_over = self.engine.is_over(give_up, self.context.now());
                self.perform_all();
                if is_over {
                    break;
                }
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
                () = hints.notified() => self.handle(Input::Hinted),
                () = rest(alarm.as_ref(), self.nap()) => {}
            }
        }
        self.finish(&mut messages).await;
        self.engine.status(self.context.clock.now())
    }

    /// The first look at every certificate, and the first plan.
    fn begin(&mut self) {
        let inventory = self.engine.inventory();
        tracing::info!(certificates = inventory.entries.len(), "checking the certificates");
        for state in inventory.refusals() {
            for problem in state.problems {
                tracing::error!(file = %state.label, "refused: {}", problem.summary());
            }
        }
        let gone = std::mem::take(&mut self.gone);
        let arrivals = self.all_arrivals();
        if self.engine.mode() == Mode::Forever {
            self.watch = Some(Watch::new(&self.engine.main().inventory, Arc::clone(&self.hints)));
        }
        // The watch begins after the first reading: the first look compares.
        let is_watched = self.watch.as_mut().map(Watch::arm);
        self.handle(Input::Began { arrivals, gone, is_watched });
        match self.asked.take() {
            Some(Word::Renew { names, reissue }) => {
                let renewed = self.renew(&names, reissue);
                renewed.err().into_iter().flatten().for_each(|name| tracing::error!("no certificate named \"{name}\""));
            }
            Some(Word::Deploy(names)) => {
                let deployed = self.deploy(&names);
                deployed.err().into_iter().flatten().for_each(|why| tracing::error!("{why}"));
            }
            None => {}
        }
    }

    /// What the passing of time brings.
    fn turn(&mut self) {
        self.handle(Input::Tick);
        notify::alive(self.context.clock.steady());
        self.write_textfile();
        if self.context.clock.steady() >= self.look_due {
            self.look_around();
        }
    }

    fn nap(&self) -> Duration {
        let next = self.engine.next_wake(self.context.now());
        next.map_or(notify::longest_nap(), |wake| wake.after.min(notify::longest_nap())).max(SHORTEST_NAP)
    }

    /// Tells the engine, and performs what it wants done about it.
    pub(super) fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.context.now());
        self.perform_all();
    }

    pub(super) fn perform_all(&mut self) {
        while let Some(command) = self.engine.next_command() {
            self.perform(command);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Engine(input) => {
                self.count(&input);
                self.handle(input);
            }
            Message::TurnWanted { asker, answer } => {
                // Who does not wait any more has no use for it.
                answer.send(self.engine.take_turn(&asker, self.context.now())).unwrap_or_default();
            }
            Message::StepWanted { name, step, answer } => {
                answer.send(self.engine.may(&name, step, self.context.clock.now())).unwrap_or_default();
            }
            Message::RequestSeen(seen) => {
                self.metrics.seen(&seen);
                if seen.date.is_some() || seen.status.is_some() {
                    self.handle(Input::Dated(seen.date));
                }
            }
            Message::ChainsRead(names, chains) => self.chains_read(names, *chains),
            Message::Measured(answer) => {
                // Whoever asked may have gone.
                drop(answer.send(self.measured(Format::OpenMetrics)));
            }
            Message::Asked(request, answer) => super::answer::answer(self, &request, answer),
        }
    }

    /// Logs and counts what the engine is told.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are neither logged nor counted")]
    fn count(&mut self, input: &Input) {
        match input {
            Input::Happened(entry) => {
                tell::event(entry);
                self.metrics.happened(&entry.event);
                self.recent.note(entry);
            }
            Input::HookEnded { key, covers, ended } => {
                self.metrics.hook_ended(&key.name, ended);
                if matches!(ended, Ended::Stopped) {
                    for (name, hook, _) in covers {
                        tracing::info!(%name, %hook, "renewd stopped the hook because it is stopping itself; the hook runs again after the next start");
                    }
                }
            }
            Input::NotifyEnded { name, ended } => {
                self.metrics.notify_ended(name, ended);
                tell::notify_ended(name, ended);
            }
            _ => {}
        }
    }

    /// Ends: installs that run are finished, hooks are ended and stay owed, everything else is in the journal.
    async fn finish(&mut self, messages: &mut mpsc::UnboundedReceiver<Message>) {
        notify::stopping();
        self.stop_hooks.send_replace(true);
        let until = self.context.clock.steady() + STOP_PATIENCE;
        while self.engine.has_to_finish() {
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
        self.lock.will_end();
        tracing::info!("stopped");
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

const STOP_PATIENCE: Duration = Duration::from_secs(4);
