//! A small shell on a simulated machine: the engine and the store that ship, one certificate, and an API that knows only
//! what it accepted. It reads no clock: it jumps to the next turn of the loop.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use renewd::config::{HookKey, Inventory, Main, parse_main};
use renewd::core::decide::Action;
use renewd::core::event::{self, Event, HookStep};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::ca_status::CaWatch;
use renewd::core::known::observed::Observed;
use renewd::core::known::profile::Profile;
use renewd::core::name::{Attempt, Digest, Generation, HookName, RequestId, SerialNumber};
use renewd::core::protocol::{self, Keyed, Next, Payload};
use renewd::core::record::Record;
use renewd::core::remark::RareRemarks;
use renewd::core::text::Text;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::hook::{Hook, HookRun};
use renewd::core::wanted::key::KeyType;
use renewd::engine::hooks::Ended;
use renewd::engine::io::{Arrival, HookStart};
use renewd::engine::job::Job;
use renewd::engine::notices::Notices;
use renewd::engine::profiles::ProfileCache;
use renewd::engine::{Command, Engine, Input, Mode, Now, Start};
use renewd::pki::answer::shown_by_profile;
use renewd::pki::certificate::certificates;
use renewd::pki::key::PrivateKey;
use renewd::pki::{leaf, served};
use renewd::store::disk::Disk;
use renewd::store::generation::{self, NewSet};
use renewd::store::journal::{Content, Journal};
use renewd::store::layout::Layout;
use renewd::store::refresh::{self, Source};
use renewd::store::repair::{self, RepairInputs, Repaired};
use renewd::store::rollback::{self, Wanted};
use renewd::store::targets::ServiceIdentity;
use renewd::store::{observe, pending, replace};

use crate::api;
use crate::disk::Machine;
use crate::material::{self, NOW};

/// Which two steps of the protocol are swapped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Swap {
    /// The request leaves before the intent is in the journal.
    SendBeforeIntent,
    /// The intent is in the journal before the key is on the disk.
    IntentBeforeKey,
    /// TLM's answer is in the journal before it is on the disk.
    IssuedBeforeAnswer,
    /// The end is in the journal before the new set is live.
    InstalledBeforeLive,
    /// The key is removed before the end is in the journal.
    ForgetBeforeInstalled,
}

/// What the effects hand to each other: the keys lie ready, and the gate is another test's.
#[derive(Clone, Debug)]
struct InHand;

impl Payload for InHand {
    type Key = ();
    /// The text of the answer.
    type Answer = String;
    /// The same.
    type Set = String;
    fn is_empty(answer: &String) -> bool {
        answer.is_empty()
    }
}

type Effect = protocol::Effect<InHand>;
type Outcome = protocol::Outcome<InHand>;
type Verdict = protocol::Verdict<InHand>;

/// The daemon, started.
pub struct Daemon {
    machine: Machine,
    entry: Entry,
    swap: Option<Swap>,
    journal: Journal,
    engine: Engine,
    has_begun: bool,
    /// What the engine wants done and nobody did yet.
    wanted: VecDeque<Command>,
    now: Now,
    key: Option<Attempt>,
    /// What was kept too early, or will be too late.
    swapped: Option<Swapped>,
}

/// What a swapped step has to do later.
enum Swapped {
    KeepAnswer(String),
    Install(String),
}

pub fn layout() -> Layout {
    Layout::new(Path::new("/var/lib/renewd"))
}

pub fn identity() -> ServiceIdentity {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    ServiceIdentity { uid, gid, own: vec![PathBuf::from("/var/lib/renewd")] }
}

static MAIN: LazyLock<Main> = LazyLock::new(|| {
    let text = "inventory = '/etc/renewd/certs.d'\nstate_dir = '/var/lib/renewd'\nca_status_check = 'off'\n\
                [api]\nurl = 'https://tlm.test'\napi_key_file = '/etc/renewd/a.key'\nstatus_check_interval = 'off'\n";
    parse_main(Path::new("/etc/renewd/renewd.toml"), text).unwrap()
});

impl Daemon {
    /// Starts as the real one does: folder, journal, fold.
    pub fn start(machine: &Machine, entry: &Entry, swap: Option<Swap>) -> Result<(Self, Content), Failure> {
        let layout = layout();
        replace::ensure_dir(machine, layout.root(), 0o755)
            .map_err(|error| renewd::store::disk_failure("make", layout.root(), &error))?;
        let disk: Arc<dyn Disk> = Arc::new(machine.clone());
        let (journal, content) = Journal::open::<Vec<_>>(disk, &layout, NOW)?;
        let mut record = Record::default();
        content.entries.iter().for_each(|entry| record.apply(entry.at, &entry.event));
        let earliest = content.entries.last().map_or(NOW, |last| last.at.max(NOW));
        let now = Now { wall: earliest, steady: Duration::ZERO };
        let hook = |name: &HookName| Hook {
            name: name.clone(),
            run: HookRun::Command(vec!["/bin/true".to_owned()]),
            timeout: Duration::from_secs(60),
            min_interval: Duration::ZERO,
            user: None,
            test: None,
            before: entry.rollback.then(|| vec!["/bin/true".to_owned()]),
        };
        let hooks = entry.hooks.iter().map(|name| (HookKey { file: None, name: name.clone() }, hook(name)));
        let engine = Engine::new(Start {
            mode: Mode::Forever,
            main: MAIN.clone(),
            inventory: Inventory {
                entries: vec![Arc::new(entry.clone())],
                hooks: hooks.collect(),
                ..Inventory::default()
            },
            overlooked: Vec::new(),
            records: [(entry.name.clone(), record)].into(),
            journal_too_new: false,
            earliest,
            profiles: ProfileCache::default(),
            cas: CaWatch::default(),
            notices: Notices::default(),
            credentials: Vec::new(),
            now,
        });
        let (machine, entry, wanted) = (machine.clone(), entry.clone(), VecDeque::new());
        let daemon =
            Self { machine, entry, swap, journal, engine, has_begun: false, wanted, now, key: None, swapped: None };
        Ok((daemon, content))
    }

    /// The first look, and what is decided then; only what is to be written is done at once.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let arrival = Arrival {
                entry: Arc::new(self.entry.clone()),
                observed: self.observed(),
                attempts: pending::attempts(&self.machine, &layout(), &self.entry.name),
            };
            self.tell(Input::Began { arrivals: vec![arrival], gone: Vec::new(), is_watched: None });
        }
    }

    /// The operator asks for a replacement.
    pub fn ask_renewal(&mut self) {
        self.begin();
        self.engine.renew(std::slice::from_ref(&self.entry.name), false, self.now).unwrap();
        self.collect();
    }

    /// What the files show. The same files show the same, and most crashes leave one of few sets.
    pub fn observed(&self) -> Observed {
        static SEEN: Mutex<BTreeMap<(String, u64), Observed>> = Mutex::new(BTreeMap::new());
        let key = (format!("{:?}", self.entry), self.machine.digest());
        if let Some(seen) = SEEN.lock().unwrap().get(&key) {
            return seen.clone();
        }
        let observed = observe::observe(&self.machine, &layout(), &self.entry);
        SEEN.lock().unwrap().insert(key, observed.clone());
        observed
    }

    /// What is known of the certificate.
    pub fn record(&self) -> &Record {
        &self.engine.fleet().one(&self.entry.name).unwrap().record
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle(input, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(command) = self.engine.next_command() {
            match command {
                Command::Journal(entries) => entries.iter().for_each(|entry| self.append(entry).unwrap()),
                command => self.wanted.push_back(command),
            }
        }
    }

    /// Acts until nothing is left to do.
    pub fn run(&mut self) -> Result<(), String> {
        self.begin();
        for _ in 0..TURNS {
            self.tell(Input::Tick);
            for count in 0.. {
                let Some(command) = self.wanted.pop_front() else { break };
                self.obey(command)?;
                if count == AT_ONCE {
                    return Err(format!(
                        "it spins: {:?}",
                        self.engine.fleet().one(&self.entry.name).unwrap().decision()
                    ));
                }
            }
            if self.is_at_rest() {
                return Ok(());
            }
            let nap = self.engine.next_wake(self.now).map_or(Duration::from_secs(1), |wake| wake.after);
            self.now = Now { wall: self.now.wall + nap, steady: self.now.steady + nap };
        }
        Err(format!("does not come to rest: {:?}", self.record()))
    }

    fn is_at_rest(&self) -> bool {
        let managed = self.engine.fleet().one(&self.entry.name).unwrap();
        let decision = managed.decision();
        let waits = decision.action == Action::Wait && decision.hook.is_none() && !managed.is_busy();
        let is_settled = managed.record.request.is_none() && managed.record.superseded.is_empty();
        waits && is_settled && !self.engine.profiles().is_reading()
    }

    fn obey(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Observe { look, .. } => {
                let found = vec![(self.entry.name.clone(), self.observed())];
                self.tell(Input::Observed { look, found });
            }
            Command::Run(job) => self.act(&job),
            Command::ReadProfile(profile) => {
                self.tell(Input::Dated(Some(self.now.wall)));
                self.tell(Input::ProfileRead(profile, Box::new(Ok(self.profile()))));
            }
            Command::ReadCredentials(_) => self.tell(Input::CredentialsRead(Vec::new())),
            Command::StartHook(start) => self.run_hook(*start),
            Command::RemoveKey { name, attempt, .. } => {
                pending::forget(&self.machine, &layout(), &name, attempt).map_err(|failure| failure.to_string())?;
            }
            Command::KeepProfiles(_) | Command::StatusLine(_) | Command::Tell(_) => {}
            other => return Err(format!("nobody expects {other:?} here")),
        }
        Ok(())
    }

    fn profile(&self) -> Profile {
        if self.machine.api_now().shows_newer { material::profile_with_newer() } else { material::profile() }
    }

    /// The hook of an entry that goes back fails on every generation but the first.
    fn run_hook(&mut self, start: HookStart) {
        let is_first = start.covers.iter().all(|(.., generation)| *generation == Generation(1));
        let ended = if self.entry.rollback && !is_first {
            Ended::Failed(Failure::new(FailureClass::HookFailed, "exit code 1"), HookStep::Run)
        } else {
            Ended::Done(None)
        };
        self.tell(Input::HookEnded { key: start.key, covers: start.covers, ended });
    }

    fn act(&mut self, job: &Job) {
        self.key = job.request.as_ref().map(|request| request.attempt);
        if let Some((mut protocol, mut effect)) = job.start() {
            loop {
                let outcome = self.perform(effect).unwrap_or_else(Outcome::Failed);
                match protocol.step(outcome) {
                    Next::Perform(next) => effect = next,
                    Next::End => break,
                }
            }
        }
        self.tell(Input::Finished { name: self.entry.name.clone(), had_place: job.had_place });
    }

    fn perform(&mut self, effect: Effect) -> Result<Outcome, Failure> {
        let (layout, name) = (layout(), self.entry.name.clone());
        match effect {
            Effect::CheckRoom | Effect::CheckStatus(_) | Effect::AskBefore => Ok(Outcome::Done),
            Effect::MakeKey { attempt, .. } => {
                self.key = Some(attempt);
                if self.swap != Some(Swap::IntentBeforeKey) {
                    self.keep_key(attempt)?;
                }
                Ok(keyed(material::set(attempt).spki))
            }
            Effect::ReadKey { attempt } => self.read_key(attempt),
            Effect::Record(event) => self.record_in_order(event),
            Effect::Send(..) if self.swap == Some(Swap::SendBeforeIntent) => Ok(self.answered()),
            Effect::Send(..) => {
                self.send();
                Ok(self.answered())
            }
            Effect::LookUp(_) => Ok(self.found()),
            Effect::PickUp { .. } => Ok(self.picked_up()),
            Effect::KeepAnswer { answer, .. } if self.swap == Some(Swap::IssuedBeforeAnswer) => {
                self.swapped = Some(Swapped::KeepAnswer(answer));
                Ok(Outcome::Done)
            }
            Effect::KeepAnswer { attempt, answer } => self.keep_answer(attempt, &answer),
            Effect::ReadAnswer { attempt, .. } => {
                let kept = pending::read_answer(&self.machine, &layout, &name, attempt)?;
                // Once the answer was kept, nobody needs to ask the API for it: it may not allow that.
                kept.map(|answer| Outcome::Fetched(answer, None)).ok_or_else(forbidden)
            }
            Effect::FetchChain { .. } | Effect::SearchHeld => Err(forbidden()),
            Effect::Judge { answer, .. } => Ok(Outcome::Judged(self.judge(answer))),
            Effect::Install { set, .. } if self.swap == Some(Swap::InstalledBeforeLive) => {
                self.swapped = Some(Swapped::Install(set));
                let attempt = self.attempt();
                let leaf = material::set(attempt).facts.clone();
                Ok(Outcome::Installed {
                    generation: Generation(attempt.0),
                    leaf: Box::new(leaf),
                    chain: Arc::default(),
                    replaces: None,
                })
            }
            Effect::Install { set, .. } => self.install(&set),
            Effect::RollBack(from) => {
                let wanted = Wanted { from, revoked: Vec::new(), force: false };
                let to = rollback::roll_back(&self.machine, &layout, &identity(), &self.entry, &wanted, self.now.wall)?;
                Ok(Outcome::Switched(to))
            }
            Effect::Switch(generation) => {
                rollback::make_live(&self.machine, &layout, &identity(), &self.entry, generation)?;
                Ok(Outcome::Switched(generation))
            }
            Effect::Revoke(certificate) => self.revoke(&certificate.serial_number),
            Effect::Probe => Err(forbidden()),
            Effect::RefreshChain => self.refresh_chain(),
            Effect::Forget { attempt } => {
                pending::forget(&self.machine, &layout, &name, attempt)?;
                Ok(Outcome::Done)
            }
            Effect::Repair { refreshes } => {
                let terms = RepairInputs { refreshes, ..terms() };
                match repair::repair(&self.machine, &layout, &identity(), &self.entry, &terms)? {
                    Repaired::PutBack => Ok(Outcome::Done),
                    Repaired::Adopted { generation, leaf, chain, replaces } => {
                        Ok(Outcome::Adopted { generation, leaf, chain, replaces })
                    }
                    Repaired::Refreshed { generation, ends_at } => Ok(Outcome::Refreshed { generation, ends_at }),
                }
            }
        }
    }

    fn revoke(&self, serial: &SerialNumber) -> Result<Outcome, Failure> {
        let mut is_new = false;
        self.machine.api("the certificate is revoked", |api| is_new = api.revoke(serial));
        let already = || Failure::new(FailureClass::CertificateRevoked, "it was revoked before");
        is_new.then_some(Outcome::Done).ok_or_else(already)
    }

    fn refresh_chain(&self) -> Result<Outcome, Failure> {
        let profile = self.profile();
        let issuers = shown_by_profile(&profile.issuers);
        let terms = RepairInputs { issuers: &issuers, ..terms() };
        let (machine, layout, identity) = (&self.machine, layout(), identity());
        let (generation, ends_at) =
            refresh::refresh(machine, &layout, &identity, &self.entry, &terms, Source::Profile(&profile.id))?;
        Ok(Outcome::Refreshed { generation, ends_at })
    }

    /// Records an event; where the order is to be wrong, what belongs before it comes after it, or the other way round.
    fn record_in_order(&mut self, event: Event) -> Result<Outcome, Failure> {
        let (is_intent, is_issued) = (matches!(event, Event::Submitting { .. }), matches!(event, Event::Issued { .. }));
        let is_installed = matches!(event, Event::Installed { .. });
        match self.swap {
            Some(Swap::SendBeforeIntent) if is_intent => self.send(),
            Some(Swap::ForgetBeforeInstalled) if is_installed => {
                pending::forget(&self.machine, &layout(), &self.entry.name, self.attempt())?;
            }
            Some(_) | None => {}
        }
        self.write(event)?;
        if self.swap == Some(Swap::IntentBeforeKey) && is_intent {
            self.keep_key(self.attempt())?;
        }
        match self.swapped.take() {
            Some(Swapped::KeepAnswer(answer)) if is_issued => drop(self.keep_answer(self.attempt(), &answer)?),
            Some(Swapped::Install(set)) if is_installed => drop(self.install(&set)?),
            other => self.swapped = other,
        }
        Ok(Outcome::Done)
    }

    fn write(&mut self, event: Event) -> Result<(), Failure> {
        let entry = event::Entry { at: self.now.wall, name: self.entry.name.clone(), event };
        self.append(&entry)?;
        self.tell(Input::Happened(entry));
        Ok(())
    }

    fn append(&mut self, entry: &event::Entry) -> Result<(), Failure> {
        if entry.event.is_durable() {
            self.journal.append(std::slice::from_ref(entry))?;
            let is_pending = matches!(entry.event, Event::Pending { .. });
            self.machine.note(|api| {
                api.events += 1;
                api.is_id_kept |= is_pending;
            });
        }
        Ok(())
    }

    fn attempt(&self) -> Attempt {
        self.key.unwrap()
    }

    fn keep_key(&self, attempt: Attempt) -> Result<(), Failure> {
        let set = material::set(attempt);
        pending::keep_key(&self.machine, &layout(), &self.entry.name, attempt, &set.key, CSR)
    }

    fn read_key(&self, attempt: Attempt) -> Result<Outcome, Failure> {
        let (text, csr) = pending::read_key(&self.machine, &layout(), &self.entry.name, attempt)?;
        let lost = |_| Failure::new(FailureClass::KeyLost, "unusable");
        let spki = PrivateKey::from_pem(text.as_bytes()).map_err(lost)?.spki();
        if csr != CSR {
            return Err(Failure::new(FailureClass::RequestRefused, "the signing request is damaged"));
        }
        Ok(keyed(spki))
    }

    fn keep_answer(&self, attempt: Attempt, text: &str) -> Result<Outcome, Failure> {
        pending::keep_answer(&self.machine, &layout(), &self.entry.name, attempt, text)?;
        Ok(Outcome::Done)
    }

    fn send(&self) {
        let spki = material::set(self.attempt()).spki;
        self.machine.api("the request is accepted", |api| api.submit(spki));
    }

    fn answered(&self) -> Outcome {
        match self.found() {
            Outcome::NotFound => Outcome::Pending(Some(RequestId("id".to_owned())), None),
            found => found,
        }
    }

    fn found(&self) -> Outcome {
        let set = material::set(self.attempt());
        if !self.machine.api_now().issued.contains(&set.spki) {
            return Outcome::NotFound;
        }
        Outcome::Issued(SerialNumber("01".to_owned()), set.answer())
    }

    fn picked_up(&self) -> Outcome {
        let spki = material::set(self.attempt()).spki;
        let mode = self.machine.api_now().mode;
        self.machine.note(|api| {
            if mode == api::Mode::Later {
                api.issued.push(spki);
            }
        });
        if mode == api::Mode::Rejects { Outcome::Rejected(Text::new("no")) } else { self.found() }
    }

    fn judge(&self, answer: String) -> Verdict {
        let spki = material::set(self.attempt()).spki;
        let found = certificates(&answer).unwrap_or_default();
        match found.first().filter(|leaf| leaf.spki() == spki) {
            Some(_) => Verdict::Accepted(answer),
            None => Verdict::Refused(vec![Text::new("what was kept is no certificate of ours")]),
        }
    }

    fn install(&self, set: &str) -> Result<Outcome, Failure> {
        let (layout, attempt) = (layout(), self.attempt());
        let (key, _) = pending::read_key(&self.machine, &layout, &self.entry.name, attempt)?;
        let found = certificates(set).unwrap_or_default();
        let Some((first, chain)) = found.split_first() else { return Err(forbidden()) };
        let facts = leaf::read(first).map_err(|error| Failure::new(FailureClass::Internal, error.to_string()))?;
        let profile = material::profile().id;
        let served = served::served(first, chain);
        let set = NewSet {
            leaf: first,
            facts: &facts,
            chain,
            root: None,
            key: &key,
            attempt,
            profile: &profile,
            served: &served,
            refreshes: None,
            remarks: &RareRemarks::new(),
        };
        let generation = generation::install(
            &self.machine,
            &layout,
            &identity(),
            &self.entry,
            &set,
            if self.entry.rollback { 2 } else { 1 },
        )?;
        let replaces = generation::replaced(&self.machine, &layout, &self.entry, generation);
        Ok(Outcome::Installed { generation, leaf: Box::new(facts), chain: Arc::new(served), replaces })
    }
}

fn keyed(spki: Digest) -> Outcome {
    Outcome::Key(Keyed { spki, kind: KeyType::EcdsaP256, key: () })
}

fn forbidden() -> Failure {
    Failure::new(FailureClass::ApiForbidden, "this account may not")
}

pub fn terms() -> RepairInputs<'static> {
    RepairInputs { issuers: &[], keep: 1, refreshes: true, now: NOW }
}

/// More than anything needs to be done before time passes.
const AT_ONCE: usize = 100;
/// More turns of the loop than anything takes here.
const TURNS: usize = 50;
const CSR: &str = "a signing request";
