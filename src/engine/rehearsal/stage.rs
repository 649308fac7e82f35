//! The shell around the engine on which a rehearsal is played: tasks in the order of their instants, and effects that succeed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::HookKey;
use crate::core::backoff::mix;
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::event::{self, Event};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::ca_status::{CaWatch, Found};
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::{Installed, Leaf, Observed};
use crate::core::known::profile::Profile;
use crate::core::known::served::{AddressProbe, ServedLeaf};
use crate::core::known::standing::{Standing, TlmState};
use crate::core::name::{Attempt, CertName, Digest, Generation, ProfileRef, RequestId, SerialNumber};
use crate::core::protocol::{self, Keyed, Next, Payload, Protocol, Verdict};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::key::KeyType;
use crate::core::wanted::usage::Usage;
use crate::engine::breaker::Function;
use crate::engine::hooks::{Ended, PendingHook};
use crate::engine::io::{Arrival, Asker, Command, Input, Now, Step};
use crate::engine::job::Job;
use crate::engine::notices::Notices;
use crate::engine::{Engine, Mode, Start};

use super::{ANSWER, Act, Cast, HOOK, HORIZON, LONGEST, MOST_STEPS, Outlook, Plot, SHORTEST, USUAL_LIFETIME};

/// What the effects hand to each other: whether there is an answer.
#[derive(Clone, Debug)]
struct Prop;

impl Payload for Prop {
    type Key = ();
    type Answer = bool;
    type Set = ();
    fn is_empty(answer: &bool) -> bool {
        !answer
    }
}

type Effect = protocol::Effect<Prop>;
type Outcome = protocol::Outcome<Prop>;

/// An action on its way.
struct Running {
    job: Job,
    protocol: Protocol<Prop>,
    effect: Effect,
}

/// What is next on.
enum Task {
    /// An effect that needs a turn asks for it.
    Turn(Box<Running>),
    /// An effect ends.
    Ends(Box<Running>),
    /// A request for no certificate asks for its turn.
    Call(Call),
    /// It is answered.
    Answer(Call),
    HookEnds(HookKey, Vec<PendingHook>),
    Finished {
        name: CertName,
        had_place: bool,
    },
}

enum Call {
    Profile(ProfileRef),
    Try(Option<ProfileRef>),
    Credentials(Vec<String>),
}

pub(super) struct Stage {
    engine: Engine,
    began: Timestamp,
    now: Timestamp,
    tasks: BTreeMap<(Timestamp, u64), Task>,
    /// How many tasks, keys and certificates there were.
    count: u64,
    live: BTreeMap<CertName, Observed>,
    revoked: BTreeSet<SerialNumber>,
    profiles: BTreeMap<ProfileRef, Profile>,
    acts: BTreeMap<CertName, Act>,
    /// Those that nobody waits for any more.
    open: BTreeSet<CertName>,
    requests: u32,
}

impl Stage {
    pub(super) fn set(cast: Cast, plot: &Plot) -> Self {
        let Cast { main, inventory, seen, records, mut profiles, now } = cast;
        profiles.forget_failures();
        let known =
            |entry: &Arc<Entry>| Some((entry.profile.clone(), profiles.reading(&entry.profile).profile.clone()?));
        let known: BTreeMap<_, _> = seen.iter().filter_map(|(entry, _)| known(entry)).collect();
        let names = plot.names();
        // Nobody knows how long somebody takes to approve what was asked for before, and what a profile takes that was never read.
        let is_known = |entry: &Entry| {
            known.contains_key(&entry.profile) && records.get(&entry.name).is_none_or(|record| record.request.is_none())
        };
        let open = seen.iter().filter(|(entry, _)| names.contains(&entry.name) && is_known(entry));
        let open = open.map(|(entry, _)| entry.name.clone()).collect();
        let live: BTreeMap<_, _> = seen.iter().map(|(entry, found)| (entry.name.clone(), found.clone())).collect();
        let revoked = match plot {
            Plot::Revoked(names) => {
                let serial = |name: &CertName| Some(live.get(name)?.installed()?.serial_number.clone());
                names.iter().filter_map(serial).collect()
            }
            Plot::Renew { .. } => BTreeSet::new(),
        };
        let act = |name: &CertName| {
            let ends_at = live.get(name).and_then(Observed::installed).map(Installed::ends_at);
            (name.clone(), Act { name: name.clone(), asked_at: None, live_at: None, ends_at, waits: None })
        };
        let engine = Engine::new(Start {
            mode: Mode::Forever,
            main,
            inventory,
            overlooked: Vec::new(),
            records,
            journal_too_new: false,
            earliest: Timestamp::default(),
            profiles,
            cas: CaWatch::default(),
            notices: Notices::default(),
            credentials: Vec::new(),
            now: Now { wall: now, steady: Duration::ZERO },
        });
        let acts = names.iter().map(act).collect();
        let mut stage = Self {
            engine,
            began: now,
            now,
            tasks: BTreeMap::new(),
            count: 0,
            live,
            revoked,
            profiles: known,
            acts,
            open,
            requests: 0,
        };
        let arrival = |(entry, observed)| Arrival { entry, observed, attempts: Vec::new() };
        let arrivals = seen.into_iter().map(arrival).collect();
        stage.handle(Input::Began { arrivals, gone: Vec::new(), is_watched: None });
        if let Plot::Renew { names, reissue } = plot {
            let names: Vec<CertName> = names.iter().cloned().collect();
            // Names that are not there are nobody's act.
            drop(stage.engine.renew(&names, *reissue, stage.present()));
        }
        stage.handle(Input::Tick);
        stage
    }

    fn present(&self) -> Now {
        Now { wall: self.now, steady: self.now.since(self.began) }
    }

    pub(super) fn run(&mut self) {
        let end = self.began + HORIZON;
        while !self.open.is_empty() && self.count < MOST_STEPS {
            let wake = self.engine.next_wake(self.present()).map(|wake| self.now + wake.after);
            let task = self.tasks.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = wake.into_iter().chain(task).min().filter(|next| *next <= end) else { return };
            self.now = self.now.max(next);
            self.count += 1;
            while let Some(first) = self.tasks.first_entry().filter(|first| first.key().0 <= self.now) {
                let task = first.remove();
                self.perform_task(task);
            }
            self.handle(Input::Tick);
        }
    }

    pub(super) fn outlook(self, plot: &Plot) -> Outlook {
        let waits = |name: &CertName| {
            let managed = self.engine.fleet().one(name)?;
            Some(Text::new(&managed.decision().reason.to_string()))
        };
        let told = |act: &Act| match act.live_at {
            Some(_) => act.clone(),
            None => Act { waits: waits(&act.name), ..act.clone() },
        };
        let mut acts: Vec<Act> = plot.names().iter().filter_map(|name| self.acts.get(name)).map(told).collect();
        acts.sort_by_key(|act| (act.live_at.is_none(), act.live_at, act.ends_at));
        Outlook { began: self.began, acts, requests: self.requests }
    }

    fn later(&mut self, takes: Duration, task: Task) {
        self.count += 1;
        self.tasks.insert((self.now + takes, self.count), task);
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.present());
        while let Some(command) = self.engine.next_command() {
            self.perform(command);
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Observe { look, entries } => {
                let seen = |entry: &Arc<Entry>| Some((entry.name.clone(), self.live.get(&entry.name)?.clone()));
                let found = entries.iter().filter_map(seen).collect();
                self.handle(Input::Observed { look, found });
            }
            Command::Run(job) => {
                let (name, had_place) = (job.entry.name.clone(), job.had_place);
                match job.start() {
                    Some((protocol, effect)) => self.begin(Box::new(Running { job: *job, protocol, effect })),
                    None => self.handle(Input::Finished { name, had_place }),
                }
            }
            Command::ReadProfile(profile) => self.later(Duration::ZERO, Task::Call(Call::Profile(profile))),
            Command::Try(profile) => self.later(Duration::ZERO, Task::Call(Call::Try(profile))),
            Command::ReadCredentials(names) => self.later(Duration::ZERO, Task::Call(Call::Credentials(names))),
            Command::StartHook(start) => self.later(HOOK, Task::HookEnds(start.key, start.covers)),
            Command::ReadChains { names, .. } => self.handle(Input::ChainsRead(names, Found::default())),
            // Nothing is written, told or read anew here.
            Command::Adopt(_)
            | Command::UseNextKey
            | Command::Journal(_)
            | Command::RemoveKey { .. }
            | Command::KeepProfiles(_)
            | Command::AskCa(_)
            | Command::KeepCas(_)
            | Command::ReadInventory
            | Command::StatusLine(_)
            | Command::Notify(_)
            | Command::KeepNotices(_)
            | Command::Tell(_) => {}
        }
    }

    fn perform_task(&mut self, task: Task) {
        match task {
            Task::Turn(running) => self.begin(running),
            Task::Ends(running) => self.end(running),
            Task::Call(call) => {
                let asker = match &call {
                    Call::Profile(profile) => Asker::Profile(profile.clone()),
                    Call::Try(_) | Call::Credentials(_) => Asker::Nobody,
                };
                match self.turn(&asker) {
                    Ok(()) => self.later(ANSWER, Task::Answer(call)),
                    Err(wait) => self.later(wait, Task::Call(call)),
                }
            }
            Task::Answer(call) => {
                self.handle(Input::Dated(Some(self.now)));
                self.handle(match call {
                    Call::Profile(reference) => {
                        let known = self.profiles.get(&reference).cloned().ok_or_else(|| unread(&reference));
                        Input::ProfileRead(reference, Box::new(known))
                    }
                    Call::Try(profile) => Input::Tried(profile, None),
                    Call::Credentials(names) => {
                        Input::CredentialsRead(names.into_iter().map(|name| (name, Ok(None))).collect())
                    }
                });
            }
            Task::Finished { name, had_place } => self.handle(Input::Finished { name, had_place }),
            Task::HookEnds(key, covers) => self.handle(Input::HookEnded { key, covers, ended: Ended::Done(None) }),
        }
    }

    /// The right to one request, or how long there is none.
    fn turn(&mut self, asker: &Asker) -> Result<(), Duration> {
        let taken = self.engine.take_turn(asker, self.present());
        self.requests += u32::from(taken.is_ok());
        taken.map(drop).map_err(|until| until.since(self.now).clamp(SHORTEST, LONGEST))
    }

    /// Begins an effect, once it has its turn: that of a request comes before its intent is on record.
    fn begin(&mut self, running: Box<Running>) {
        let is_intent = matches!(&running.effect, Effect::Record(event) if event.is_intent());
        let asks = asks(&running.effect);
        if (is_intent || asks.is_some_and(|function| function != Function::Main || is_pickup(&running.effect)))
            && let Err(wait) = self.turn(&Asker::Certificate(running.job.entry.name.clone()))
        {
            return self.later(wait, Task::Turn(running));
        }
        match asks {
            Some(_) => self.later(ANSWER, Task::Ends(running)),
            None => self.end(running),
        }
    }

    fn end(&mut self, mut running: Box<Running>) {
        let name = running.job.entry.name.clone();
        if let Some(function) = asks(&running.effect) {
            self.handle(Input::Dated(Some(self.now)));
            let profile = running.job.entry.profile.clone();
            self.handle(Input::Answered { name: name.clone(), profile, function, failure: None });
        }
        let outcome = self.outcome(&running);
        match running.protocol.step(outcome) {
            Next::Perform(effect) => {
                running.effect = effect;
                self.begin(running);
            }
            // Not at once: what is decided next may be as short.
            Next::End => self.later(SHORTEST, Task::Finished { name, had_place: running.job.had_place }),
        }
    }

    fn outcome(&mut self, running: &Running) -> Outcome {
        let job = &running.job;
        let name = &job.entry.name;
        if job.needs(&running.effect).is_some_and(|step| !self.engine.may(name, step, self.now)) {
            return Outcome::NotNow;
        }
        match &running.effect {
            Effect::CheckRoom
            | Effect::AskBefore
            | Effect::KeepAnswer { .. }
            | Effect::Forget { .. }
            | Effect::Revoke(_)
            | Effect::RefreshChain => Outcome::Done,
            Effect::Repair { .. } => self.repair(name),
            Effect::MakeKey { key, .. } => {
                let kept = job.installed.as_ref().filter(|_| job.entry.reuse_key).map(|installed| installed.spki);
                let spki = kept.unwrap_or_else(|| self.digest());
                Outcome::Key(Keyed { spki, kind: *key, key: () })
            }
            Effect::ReadKey { .. } => {
                let request = job.request.as_ref();
                let spki = request.map_or_else(|| self.digest(), |request| request.spki);
                let kind = job.profile.as_ref().map_or(KeyType::EcdsaP256, |profile| profile.default_key());
                Outcome::Key(Keyed { spki, kind, key: () })
            }
            Effect::Record(event) if event.is_intent() && !self.engine.may(name, Step::Ask, self.now) => {
                Outcome::NotNow
            }
            Effect::Record(event) => self.record(name, event.clone()),
            Effect::Send(..) if job.profile.as_ref().is_some_and(|profile| profile.needs_approval) => {
                Outcome::Pending(Some(RequestId(name.to_string())), None)
            }
            // What was asked for before this began waits for somebody else.
            Effect::PickUp { id, .. } if id.0 != name.as_str() => Outcome::Pending(None, None),
            Effect::Send(..) | Effect::PickUp { .. } => Outcome::Issued(self.serial(), true),
            Effect::LookUp(_) => Outcome::NotFound,
            Effect::SearchHeld => Outcome::Holds(Vec::new()),
            Effect::ReadAnswer { .. } | Effect::FetchChain { .. } => Outcome::Fetched(true, None),
            Effect::Judge { .. } => Outcome::Judged(Verdict::Accepted(())),
            Effect::Install { attempt, .. } => self.install(job, *attempt),
            Effect::Probe => self.probe(job),
            // What a hook did not bear is nobody's plan.
            Effect::RollBack(_) | Effect::Switch(_) => {
                Outcome::Failed(Failure::new(FailureClass::Internal, "no way back is rehearsed"))
            }
            Effect::CheckStatus(serial) => {
                let is_revoked = self.revoked.iter().any(|revoked| revoked.same(serial));
                let state = if is_revoked { TlmState::Revoked } else { TlmState::Issued };
                Outcome::Status(Box::new(Standing::of(state)))
            }
        }
    }

    fn record(&mut self, name: &CertName, event: Event) -> Outcome {
        if let (Event::Submitting { .. }, Some(act)) = (&event, self.acts.get_mut(name)) {
            act.asked_at = act.asked_at.or(Some(self.now));
        }
        self.handle(Input::Happened(event::Entry { at: self.now, name: name.clone(), event }));
        Outcome::Done
    }

    fn install(&mut self, job: &Job, attempt: Attempt) -> Outcome {
        let entry = &job.entry;
        let before = job.installed.as_ref();
        let request =
            self.engine.fleet().one(&entry.name).and_then(|managed| managed.record.request.as_deref().cloned());
        let spki = request.map_or_else(|| self.digest(), |request| request.spki);
        let profile = self.profiles.get(&entry.profile);
        let validity = entry.validity.or_else(|| profile?.validity).map(|validity| validity.span());
        let lifetime = before.map(Installed::lifetime).or(validity).unwrap_or(USUAL_LIFETIME);
        let generation = before.map_or(Generation(0), |installed| installed.generation);
        // A chain that ended first is replaced by one that does not, as TLM would give it.
        let issuer = before.map(|installed| installed.chain.issuer.clone());
        let chain = Arc::new(ServedChain { issuer: issuer.unwrap_or_default(), end: None });
        let installed = Installed {
            generation: Generation(generation.0 + 1),
            attempt: Some(attempt),
            serial_number: self.serial(),
            fingerprint: self.digest(),
            spki,
            not_before: self.now,
            not_after: self.now + lifetime,
            chain: Arc::clone(&chain),
            key: before.and_then(|installed| installed.key),
            usages: before.map_or_else(|| Usage::list(Vec::new()), |installed| installed.usages.clone()),
            profile: self.profiles.get(&entry.profile).map(|profile| profile.id.clone()),
            differs: None,
            drift: BoxedDefault::new(),
            renewed_elsewhere: false,
            is_refreshed: false,
            remarks: BoxedDefault::new(),
        };
        let leaf = Leaf {
            serial_number: installed.serial_number.clone(),
            fingerprint: installed.fingerprint,
            spki,
            not_before: installed.not_before,
            not_after: installed.not_after,
            key: installed.key,
            common_name: entry.naming.common_name().map(str::to_owned),
            subject: entry.subject.clone(),
            names: entry.names(),
            usages: Vec::new(),
        };
        let generation = installed.generation;
        self.live.insert(entry.name.clone(), Observed::Installed(Box::new(installed)));
        if let Some(act) = self.acts.get_mut(&entry.name) {
            act.live_at = act.live_at.or(Some(self.now));
            self.open.remove(&entry.name);
        }
        Outcome::Installed { generation, leaf: Box::new(leaf), chain, replaces: None }
    }

    /// Everything is as it should be then.
    fn repair(&mut self, name: &CertName) -> Outcome {
        if let Some(Observed::Installed(installed)) = self.live.get_mut(name) {
            (installed.drift, installed.renewed_elsewhere) = (BoxedDefault::new(), false);
        }
        Outcome::Done
    }

    /// Every server shows what is installed.
    fn probe(&self, job: &Job) -> Outcome {
        let Some(installed) = &job.installed else { return Outcome::Done };
        let fingerprint = installed.fingerprint;
        let leaf = Ok(ServedLeaf { fingerprint, what: Text::default() });
        let sight = |address: &str| AddressProbe { address: Text::new(address), leaf: leaf.clone() };
        Outcome::Probed { fingerprint, sights: job.entry.probes.iter().map(|probe| sight(&probe.address)).collect() }
    }

    fn serial(&mut self) -> SerialNumber {
        self.count += 1;
        SerialNumber(format!("EE{:014X}", self.count))
    }

    /// Another one each time, spread as real ones are.
    fn digest(&mut self) -> Digest {
        self.count += 1;
        let words = [0, 1, 2, 3].map(|word| mix(self.count, word).to_be_bytes());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(words.iter().flatten()).for_each(|(byte, word)| *byte = *word);
        Digest(bytes)
    }
}

/// Which function of TLM an effect asks; that of a request that leaves has its turn already.
const fn asks(effect: &Effect) -> Option<Function> {
    match effect {
        Effect::Send(..) | Effect::PickUp { .. } => Some(Function::Main),
        Effect::LookUp(_) | Effect::SearchHeld => Some(Function::Search),
        Effect::FetchChain { .. } | Effect::CheckStatus(_) => Some(Function::Details),
        Effect::Revoke(_) => Some(Function::Revoke),
        Effect::CheckRoom
        | Effect::AskBefore
        | Effect::MakeKey { .. }
        | Effect::ReadKey { .. }
        | Effect::Record(_)
        | Effect::KeepAnswer { .. }
        | Effect::ReadAnswer { .. }
        | Effect::Judge { .. }
        | Effect::Install { .. }
        | Effect::Forget { .. }
        | Effect::Repair { .. }
        | Effect::RefreshChain
        | Effect::Probe
        | Effect::RollBack(_)
        | Effect::Switch(_) => None,
    }
}

const fn is_pickup(effect: &Effect) -> bool {
    matches!(effect, Effect::PickUp { .. })
}

/// What a profile says that was never read: nobody knows what it takes.
fn unread(reference: &ProfileRef) -> Failure {
    Failure::new(FailureClass::ProfileUnusable, format!("profile {reference} was never read; run `renewd once` first"))
}
