//! The world around one daemon: time, the disk, TLM, the hooks, the operator. Time jumps to whatever happens next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use renewd::config::HookKey;
use renewd::core::failure::Failure;
use renewd::core::known::observed::Observed;
use renewd::core::known::profile::Profile;
use renewd::core::name::{CertName, HookName, ProfileRef};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::notify::Notify;
use renewd::core::wanted::window::Freeze;
use renewd::engine::Input;
use renewd::engine::hooks::PendingHook;

use crate::disk::Disk;
use crate::effects::Running;
use crate::faults::{Act, Fault};
use crate::host::{Before, HookMood};
use crate::promises::Ledger;
use crate::put_off::Held;
use crate::random::Random;
use crate::scenario::with_days;
use crate::shell::{Call, Daemon};
use crate::tlm::{Certificate, Endpoint, Tlm};

/// Something that happens at an instant.
pub(crate) enum Task {
    /// An effect of an action is over.
    Effect(Box<Running>),
    /// An action waits for its turn to ask the API.
    Turn(Box<Running>),
    /// A request that is made for no certificate waits for its turn.
    Call(Call),
    /// It is answered.
    Answer(Call),
    /// Files were looked at, as they were a moment ago.
    Observed(u64, Vec<(CertName, Observed)>),
    HookEnds(HookKey, Vec<PendingHook>),
    NotifyEnds(HookName),
    /// The daemon wakes from a nap though nothing is due.
    Tick,
    /// The daemon starts again.
    Start,
    Fault(Fault),
    /// The promises that need a regular look.
    Audit,
}

impl Task {
    /// Whether it ends with the daemon's process.
    const fn is_of_daemon(&self) -> bool {
        !matches!(self, Self::Start | Self::Fault(_) | Self::Audit)
    }
}

pub(crate) struct World {
    /// The true time.
    pub(crate) now: Timestamp,
    /// How far the host's clock is ahead, in milliseconds.
    pub(crate) skew: i64,
    /// Until when the machine sleeps.
    pub(crate) asleep_until: Timestamp,
    /// How long it slept in all: its steady clock stood still.
    pub(crate) slept: Duration,
    pub(crate) random: Random,
    pub(crate) tlm: Tlm,
    pub(crate) disk: Disk,
    pub(crate) hook_moods: BTreeMap<HookName, HookMood>,
    /// The hooks that are asked before a switch, and what they answer.
    pub(crate) asked_before: BTreeMap<HookName, Before>,
    /// What the server of each certificate shows.
    pub(crate) served: BTreeMap<CertName, Arc<Certificate>>,
    /// How long the next look at files hangs.
    pub(crate) look_hangs: Option<Duration>,
    /// Until when the last one does that hung.
    pub(crate) hung_until: Timestamp,
    /// Whether no server answers.
    pub(crate) silent: bool,
    /// What the operator wrote.
    pub(crate) inventory: BTreeMap<CertName, Entry>,
    pub(crate) submissions_per_day: u32,
    /// What the operator put off.
    pub(crate) holds: BTreeMap<CertName, Held>,
    pub(crate) freezes: Vec<Freeze>,
    /// Whom the operator has told.
    pub(crate) notifies: BTreeMap<HookName, Notify>,
    pub(crate) daemon: Option<Daemon>,
    /// The daemon dies at the so-manyth boundary between or within effects.
    pub(crate) crash_in: Option<(u32, Duration)>,
    /// The process dies as soon as the loop comes round.
    pub(crate) dying: bool,
    /// What the operator does as soon as this part of an effect is over, for whatever certificate it is.
    pub(crate) lurking: Vec<(&'static str, Act)>,
    /// Scripts: the daemon dies as soon as this part of an effect is over.
    pub(crate) crash_after: Option<String>,
    pub(crate) ledger: Ledger,
    /// The last things that happened.
    pub(crate) events: VecDeque<String>,
    /// Whether events are kept at all: a seed is run again for that, and goes the same way.
    pub(crate) is_told: bool,
    /// Scripts show events; seeds keep the last ones.
    pub(crate) keep_all: bool,
    /// The first promise that was broken.
    pub(crate) broken: Option<String>,
    pub(crate) lives: u64,
    pub(crate) weather_count: u64,
    tasks: BTreeMap<(Timestamp, u64), Task>,
    count: u64,
}

impl World {
    pub(crate) fn new(seed: u64, start: Timestamp) -> Self {
        let mut random = Random::new(seed);
        let tlm = Tlm::new(Random::new(random.next()));
        Self {
            now: start,
            skew: 0,
            asleep_until: start,
            slept: Duration::ZERO,
            random,
            tlm,
            disk: Disk::default(),
            hook_moods: BTreeMap::new(),
            asked_before: BTreeMap::new(),
            served: BTreeMap::new(),
            look_hangs: None,
            hung_until: start,
            silent: false,
            inventory: BTreeMap::new(),
            submissions_per_day: 6,
            holds: BTreeMap::new(),
            freezes: Vec::new(),
            notifies: BTreeMap::new(),
            daemon: None,
            crash_in: None,
            dying: false,
            lurking: Vec::new(),
            crash_after: None,
            ledger: Ledger::default(),
            events: VecDeque::new(),
            is_told: false,
            keep_all: false,
            broken: None,
            lives: 0,
            weather_count: 0,
            tasks: BTreeMap::new(),
            count: 0,
        }
    }

    /// The host's clock.
    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.now.millis() + self.skew)
    }

    pub(crate) fn steady(&self) -> Duration {
        Duration::from_millis(self.now.millis().unsigned_abs()).saturating_sub(self.slept)
    }

    pub(crate) fn later(&mut self, wait: Duration, task: Task) {
        self.count += 1;
        self.tasks.insert((self.now + wait, self.count), task);
    }

    /// Runs until `end`, or until a promise is broken.
    pub(crate) fn run_until(&mut self, end: Timestamp) {
        while self.broken.is_none() && self.step(end) {}
        if self.broken.is_none() {
            self.now = self.now.max(end);
        }
    }

    /// When whatever happens next does.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        let task = self.tasks.first_key_value().map(|((at, _), _)| *at);
        let nap = self.next_turn().map(|at| at.max(self.asleep_until));
        task.into_iter().chain(nap).min()
    }

    /// Jumps to whatever happens next, if that is before `end`.
    pub(crate) fn step(&mut self, end: Timestamp) -> bool {
        let Some(next) = self.next_event().filter(|next| *next < end) else { return false };
        self.now = self.now.max(next);
        if let Some(task) = self.tasks.first_entry().filter(|task| task.key().0 <= next) {
            let task = task.remove();
            self.happen(task);
        }
        if !self.dying {
            self.tick();
        }
        if self.dying {
            self.crash(None);
        }
        true
    }

    fn happen(&mut self, task: Task) {
        if task.is_of_daemon() && self.asleep_until > self.now {
            let wait = self.asleep_until.since(self.now);
            return self.later(wait, task);
        }
        match task {
            Task::Effect(running) => self.effect_ends(running),
            Task::Turn(running) => self.begin_effect(running),
            Task::Call(call) => self.call_in_turn(call),
            Task::Answer(call) => self.answer(call),
            Task::Observed(look, found) => self.handle(Input::Observed { look, found }),
            Task::HookEnds(key, covers) => self.hook_ends(key, covers),
            Task::NotifyEnds(name) => self.notify_ends(name),
            Task::Tick => {}
            Task::Start => self.start(),
            Task::Fault(fault) => self.apply(fault),
            Task::Audit => {
                self.later(AUDIT_EVERY, Task::Audit);
                self.audit();
            }
        }
    }

    /// What is in the air and will end: crashes decide for each whether it still took place.
    pub(crate) fn take_running(&mut self) -> Vec<Running> {
        let keys: Vec<_> = self.tasks.iter().filter(|(_, task)| task.is_of_daemon()).map(|(key, _)| *key).collect();
        let taken = keys.into_iter().filter_map(|key| self.tasks.remove(&key));
        taken
            .filter_map(|task| match task {
                Task::Effect(running) => Some(*running),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<CertName> {
        self.inventory.keys().cloned().collect()
    }

    pub(crate) fn profile_of(&self, reference: &ProfileRef) -> Result<Profile, Failure> {
        match reference {
            ProfileRef::Id(id) => {
                // A profile is read for nobody in particular.
                let nobody = "nobody".parse().expect("a name");
                self.tlm.part(Endpoint::Profile, id, &nobody).and_then(|()| self.tlm.profile(id))
            }
            ProfileRef::Name(name) => {
                let id = self.tlm.profiles.iter().find(|(_, state)| state.profile.name == *name).map(|(id, _)| id);
                self.tlm.profile(id.unwrap_or(&renewd::core::name::ProfileId("".into())))
            }
        }
    }

    /// Notes something that happened.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if !self.is_told {
            return;
        }
        let what = if self.keep_all { with_days(&what()) } else { what() };
        let line = format!("{} {what}", self.stamp());
        self.events.push_back(line);
        if !self.keep_all && self.events.len() > KEPT_EVENTS {
            self.events.pop_front();
        }
    }

    /// Day and time since the start, by the true clock.
    pub(crate) fn stamp(&self) -> String {
        let seconds = self.now.seconds() - START.seconds();
        let (day, of_day) = (seconds / 86_400, seconds % 86_400);
        format!("day {day:>3} {:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
    }

    /// A promise is broken: the first one counts.
    pub(crate) fn breaks(&mut self, promise: u32, what: String) {
        let line = format!("{} promise {promise} is broken: {what}", self.stamp());
        self.broken.get_or_insert(line);
    }

    /// The last events of the certificate whose promise was broken, and those of the world.
    pub(crate) fn events_of_the_broken(&self) -> Vec<&str> {
        let broken = self.broken.as_deref().unwrap_or_default();
        let all = std::env::var_os("RENEWD_SIM_ALL").is_some();
        let name = self.inventory.keys().filter(|_| !all).find(|name| broken.contains(&format!(" {name}:")));
        let concerns = |line: &&str| {
            let what = line.get(17..).unwrap_or_default();
            what.starts_with('*')
                || what.starts_with("renewd")
                || name.is_none_or(|name| what.starts_with(name.as_str()))
        };
        let mut lines: Vec<&str> = self.events.iter().map(String::as_str).filter(concerns).collect();
        let shown = if all { KEPT_EVENTS } else { SHOWN_EVENTS };
        lines.drain(..lines.len().saturating_sub(shown));
        lines
    }

    /// The distinct hooks of the inventory.
    pub(crate) fn hooks(&self) -> BTreeSet<HookName> {
        self.inventory.values().flat_map(|entry| entry.hooks.iter().cloned()).collect()
    }
}

/// Where simulated time begins.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(crate) const AUDIT_EVERY: Duration = Duration::from_secs(3600);
const KEPT_EVENTS: usize = 1500;
const SHOWN_EVENTS: usize = 40;
