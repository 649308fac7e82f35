//! The other shell around the engine: simulated time, disk, TLM and hooks in place of the real ones. It tells the engine
//! what happens and performs what it wants done, and decides nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use renewd::config::{Difference, HookKey, Inventory, Main, parse_main};
use renewd::core::event::{self, HookStep};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::ca_status::{CaWatch, Found};
use renewd::core::known::credential::CredentialEnd;
use renewd::core::name::{CertName, HookName, ProfileRef};
use renewd::core::record::Record;
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::hook::{Hook, HookRun};
use renewd::engine::hooks::{Ended, PendingHook};
use renewd::engine::io::{Arrival, InventoryRead};
use renewd::engine::notices::Notices;
use renewd::engine::profiles::ProfileCache;
use renewd::engine::{Asker, Command, Engine, Input, Mode, News, Now, Start};

use crate::effects::Running;
use crate::host::HookMood;
use crate::world::{START, Task, World};

/// One life of the process.
pub(crate) struct Daemon {
    pub(crate) engine: Engine,
    /// Events that the journal could not take.
    pub(crate) backlog: Vec<event::Entry>,
}

/// A request that is made for no certificate.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    ReadProfile(ProfileRef),
    Try(Option<ProfileRef>),
    ReadCredentials(Vec<String>),
}

impl Call {
    fn shown(&self) -> String {
        match self {
            Self::ReadProfile(profile) => format!("profile {profile}"),
            Self::Try(_) => "trial".to_owned(),
            Self::ReadCredentials(_) => "the ends of the keys".to_owned(),
        }
    }
}

static MAIN: LazyLock<Main> = LazyLock::new(|| {
    let text = "inventory = '/etc/renewd/certs.d'\nstate_dir = '/var/lib/renewd'\nca_status_check = 'off'\n\
                [api]\nurl = 'https://tlm.test'\napi_key_file = ['/etc/renewd/a.key', '/etc/renewd/b.key']\n";
    parse_main(Path::new("/etc/renewd/renewd.toml"), text).expect("a good configuration")
});

impl World {
    /// What `renewd run` does first.
    pub(crate) fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        self.lives += 1;
        let now = self.now();
        let mut records: BTreeMap<CertName, Record> = BTreeMap::new();
        for entry in &self.disk.journal {
            records.entry(entry.name.clone()).or_default().apply(entry.at, &entry.event);
        }
        let engine = Engine::new(Start {
            mode: Mode::Forever,
            main: Main {
                max_submissions_per_day: self.submissions_per_day,
                freezes: self.freezes.clone(),
                notifies: self.notifies.clone(),
                ..MAIN.clone()
            },
            inventory: self.inventory_of_files(),
            overlooked: Vec::new(),
            records,
            journal_too_new: false,
            earliest: self.disk.journal.last().map_or(START, |entry| entry.at),
            profiles: ProfileCache::at_start(self.disk.kept_readings(), Some(now.wall + Duration::from_secs(300))),
            cas: CaWatch::default(),
            notices: Notices::new("host".into(), self.disk.told.clone()),
            credentials: credentials(),
            now,
        });
        self.daemon = Some(Daemon { engine: engine.telling_all(true), backlog: Vec::new() });
        self.tell(|| "renewd starts".to_owned());
        let entries = self.d().engine.inventory().entries.clone();
        let arrivals = entries.iter().map(|entry| self.arrival(entry)).collect();
        self.handle(Input::Began { arrivals, gone: Vec::new(), is_watched: None });
        self.handle(Input::Tick);
    }

    /// The daemon that runs; callers have made sure that it does.
    pub(crate) fn d(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the daemon runs")
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.wall(), steady: self.steady() }
    }

    fn arrival(&self, entry: &Arc<Entry>) -> Arrival {
        let attempts = self.disk.pending.keys().filter(|(name, _)| *name == entry.name).map(|(_, attempt)| *attempt);
        Arrival { entry: Arc::clone(entry), observed: self.disk.observe(entry), attempts: attempts.collect() }
    }

    /// The inventory as the operator wrote it.
    fn inventory_of_files(&self) -> Inventory {
        let command = || vec!["/bin/true".to_owned()];
        let hook = |name: HookName| {
            let before = self.asked_before.contains_key(&name).then(command);
            let (run, timeout, min_interval) = (HookRun::Command(command()), HOOK_TIMEOUT, Duration::from_secs(10));
            Hook { name, run, timeout, min_interval, user: None, test: Some(command()), before }
        };
        let hooks = self.hooks().into_iter().map(|name| (HookKey { file: None, name: name.clone() }, hook(name)));
        let entries = self.inventory.values().cloned().map(Arc::new).collect();
        Inventory { entries, hooks: hooks.collect(), ..Inventory::default() }
    }

    /// Tells the engine, and performs what it wants done.
    pub(crate) fn handle(&mut self, input: Input) {
        if let Input::Happened(entry) = &input {
            self.witness(entry);
        }
        let now = self.now();
        self.d().engine.handle(input, now);
        self.perform_all();
    }

    fn perform_all(&mut self) {
        while let Some(command) = self.d().engine.next_command() {
            self.perform(command);
        }
    }

    /// The loop comes round.
    pub(crate) fn tick(&mut self) {
        if self.daemon.is_some() && self.asleep_until <= self.now {
            self.handle(Input::Tick);
        }
    }

    /// When the loop turns next, by the true clock. The naps of less than a minute in between see nothing.
    pub(crate) fn next_turn(&self) -> Option<Timestamp> {
        let wake = self.daemon.as_ref()?.engine.next_wake(self.now())?;
        Some(self.now + wake.after)
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Observe { look, entries } => {
                let found = entries.iter().map(|entry| (entry.name.clone(), self.disk.observe(entry))).collect();
                match self.disk_latency() {
                    Some(takes) => self.later(takes, Task::Observed(look, found)),
                    None => self.handle(Input::Observed { look, found }),
                }
            }
            Command::Adopt(entries) => {
                let arrivals = entries.iter().map(|entry| self.arrival(entry)).collect();
                self.handle(Input::Adopted(arrivals));
            }
            Command::Run(job) => {
                let (name, had_place) = (job.entry.name.clone(), job.had_place);
                match Running::new(*job) {
                    Some(running) => self.begin_effect(Box::new(running)),
                    None => self.handle(Input::Finished { name, had_place }),
                }
            }
            Command::ReadProfile(profile) => self.call_in_turn(Call::ReadProfile(profile)),
            Command::Try(profile) => self.call_in_turn(Call::Try(profile)),
            Command::ReadCredentials(names) => self.call_in_turn(Call::ReadCredentials(names)),
            Command::UseNextKey => self.tlm.key += 1,
            Command::StartHook(start) => {
                let hangs = self.hook_moods.get(&start.key.name) == Some(&HookMood::Hangs);
                let takes = if hangs { HOOK_TIMEOUT } else { SECOND };
                self.later(takes, Task::HookEnds(start.key, start.covers));
            }
            Command::Journal(entries) => self.journal(&entries),
            Command::RemoveKey { name, attempt, is_on_record } => {
                if self.disk.fault.is_none() {
                    self.disk.pending.remove(&(name.clone(), attempt));
                    if is_on_record {
                        self.handle(Input::KeyRemoved { name, attempt });
                    }
                }
            }
            Command::KeepProfiles(kept) => {
                if self.disk.fault.is_none() {
                    let good = kept.into_iter().filter_map(|(id, reading)| Some((id, reading.profile?)));
                    self.disk.readings = good.collect();
                }
            }
            Command::ReadChains { names, .. } => self.handle(Input::ChainsRead(names, Found::default())),
            Command::Tell(News::Decided { name, reason, is_change, .. }) => {
                self.check_decision(&name);
                if is_change {
                    self.tell(|| format!("{name}: {reason}"));
                }
            }
            // Nobody is asked of CAs here, nobody reads the log, and the operator's word alone has files read.
            Command::AskCa(_) | Command::KeepCas(_) | Command::ReadInventory | Command::StatusLine(_) => {}
            Command::Notify(telling) => self.begin_telling(&telling),
            Command::KeepNotices(told) => {
                if self.disk.fault.is_none() {
                    self.disk.told = told;
                }
            }
            Command::Tell(_) => {}
        }
    }

    fn journal(&mut self, entries: &[event::Entry]) {
        for entry in entries {
            self.append(entry);
            self.witness(entry);
        }
    }

    /// Puts an event on record; where the disk does not take it, with the next that it takes.
    pub(crate) fn append(&mut self, entry: &event::Entry) {
        let daemon = self.daemon.as_mut().expect("the daemon runs");
        if self.disk.append(&mut daemon.backlog, entry).is_err() {
            daemon.backlog.push(entry.clone());
        }
    }

    /// How long a look takes, if it takes any time; files on another host may hang for a while.
    fn disk_latency(&mut self) -> Option<Duration> {
        if let Some(hangs) = self.look_hangs.take() {
            self.hung_until = self.now + hangs;
            return Some(hangs);
        }
        let longest = [90_000, 20].into_iter().zip([1, 20]).find(|(_, percent)| self.random.percent(*percent))?.0;
        Some(Duration::from_millis(1 + self.random.below(longest)))
    }

    /// Asks once there is a turn for it.
    pub(crate) fn call_in_turn(&mut self, call: Call) {
        let now = self.now();
        let asker = match &call {
            Call::ReadProfile(profile) => Asker::Profile(profile.clone()),
            Call::Try(_) | Call::ReadCredentials(_) => Asker::Nobody,
        };
        match self.d().engine.take_turn(&asker, now) {
            Ok(_) => {
                let latency = self.tlm.latency();
                self.later(latency, Task::Answer(call));
            }
            Err(until) => self.later(until.since(now.wall).min(TURN_AGAIN), Task::Call(call)),
        }
    }

    pub(crate) fn answer(&mut self, call: Call) {
        self.check_errand(call.shown());
        match call {
            Call::ReadProfile(profile) => {
                let result = self.profile_of(&profile);
                let date = self.see_date();
                self.handle(Input::ProfileRead(profile, Box::new(counted_from(date, result))));
            }
            Call::Try(profile) => {
                let result = profile.as_ref().map_or_else(|| self.tlm.list(), |id| self.profile_of(id).map(drop));
                let date = self.see_date();
                self.handle(Input::Tried(profile, counted_from(date, result).err()));
            }
            Call::ReadCredentials(names) => {
                let number = |name: &String| KEYS.iter().position(|key| key == name).expect("one of ours");
                let report = |name: String| (name.clone(), self.tlm.me_as(number(&name)));
                let reports = names.into_iter().map(report).collect();
                self.see_date();
                self.handle(Input::CredentialsRead(reports));
            }
        }
    }

    /// What the engine learns of the clock by an answer, whose date that is.
    pub(crate) fn see_date(&mut self) -> Option<Timestamp> {
        if !self.tlm.answers() {
            return None;
        }
        if self.tlm.dates {
            self.tlm.odd.told_at.get_or_insert(self.now);
        }
        // By a clock that is wrong itself the odd answer might show it to be right.
        let date = self.tlm.dates.then(|| {
            let odd = std::mem::take(&mut self.tlm.odd_date) * i64::from(self.skew == 0);
            Timestamp::from_millis(self.tlm.clock(self.now).millis() + odd)
        });
        self.handle(Input::Dated(date));
        date
    }

    pub(crate) fn hook_ends(&mut self, key: HookKey, covers: Vec<PendingHook>) {
        let mood = self.hook_moods.get(&key.name).copied().unwrap_or(HookMood::Fine);
        let failure = |why: &str| Failure::new(FailureClass::HookFailed, format!("hook {} {why}", key.name));
        let ended = match mood {
            HookMood::Fine | HookMood::Lies => Ended::Done(None),
            HookMood::Fails => Ended::Failed(failure("ended with 1"), HookStep::Run),
            HookMood::Untested => Ended::Failed(failure("ended its test with 1"), HookStep::Test),
            HookMood::Hangs => Ended::TimedOut(failure("did not end within 60 s and was killed"), HookStep::Run),
        };
        if mood == HookMood::Fine {
            self.servers_read(&key.name);
        }
        self.handle(Input::HookEnded { key, covers, ended });
    }

    /// `renewd renew NAME`.
    pub(crate) fn ask_renewal(&mut self, name: &CertName) {
        self.holds.remove(name);
        let now = self.now();
        self.d().engine.renew(std::slice::from_ref(name), false, now).expect("it is in the inventory");
        self.perform_all();
        // The loop turns after each thing that it is told.
        self.handle(Input::Tick);
    }

    /// SIGHUP, with the inventory as it is now.
    pub(crate) fn reload(&mut self) {
        self.tlm.key = 0;
        self.handle(Input::CredentialsReplaced(credentials()));
        self.handle(Input::Reloading);
        self.read_inventory();
        self.handle(Input::Reloaded);
    }

    /// What the watch over the inventory directory leads to.
    pub(crate) fn read_inventory(&mut self) {
        let read = self.inventory_of_files();
        let inventory = self.d().engine.inventory_mut();
        let difference = Some(Difference::between(inventory, &read));
        *inventory = read;
        self.handle(Input::InventoryRead(InventoryRead { difference, ..InventoryRead::default() }));
    }
}

/// What the client makes of an answer: the instants that it names are counted from its date.
pub(crate) fn counted_from<R>(date: Option<Timestamp>, result: Result<R, Failure>) -> Result<R, Failure> {
    result.map_err(|failure| Failure { retry: failure.retry.map(|hint| hint.counted_from(date)), ..failure })
}

/// Two API keys.
fn credentials() -> Vec<CredentialEnd> {
    KEYS.map(|name| CredentialEnd { name: name.to_owned(), not_after: None }).to_vec()
}

const KEYS: [&str; 2] = ["a", "b"];
const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOOK_TIMEOUT: Duration = Duration::from_secs(60);
/// Who waits for a turn asks again after that at the latest, as in the daemon.
pub(crate) const TURN_AGAIN: Duration = Duration::from_secs(30);
