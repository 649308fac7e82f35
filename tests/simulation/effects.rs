//! The effects of an action on the simulated disk and TLM. Which effect follows which is the job's.

use std::sync::Arc;
use std::time::Duration;

use renewd::core::event::{self, Event, Lack, Method};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::standing::{Standing, TlmState};
use renewd::core::name::{Attempt, CertName, Digest, Generation, HookName, ProfileId, RequestId, SerialNumber};
use renewd::core::protocol::{self, Issued, Keyed, Next, Payload, Protocol};
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::wanted::hook::Hook;
use renewd::core::wanted::key::KeyType;
use renewd::engine::breaker::Function;
use renewd::engine::job::Job;
use renewd::engine::{Asker, Input, Step};

use crate::disk::Pending;
use crate::host::Before;
use crate::shell::{Daemon, HOOK_TIMEOUT, TURN_AGAIN, counted_from};
use crate::tlm::{Answer, Certificate, Defect, Endpoint, Order, Pickup, digest, server_auth};
use crate::world::{Task, World};

mod odd;
mod revoke;

/// What the effects of this world hand to each other: a key is its public half, and the gate passes what TLM issued.
#[derive(Clone, Debug)]
pub(crate) struct InHand;

impl Payload for InHand {
    type Key = Digest;
    /// What came, and whether with its chain.
    type Answer = Option<(Arc<Certificate>, bool)>;
    type Set = Arc<Certificate>;
    fn is_empty(answer: &Self::Answer) -> bool {
        answer.is_none()
    }
}

type Effect = protocol::Effect<InHand>;
type Verdict = protocol::Verdict<InHand>;
pub(crate) type Outcome = protocol::Outcome<InHand>;

/// One action on its way.
pub(crate) struct Running {
    pub(crate) job: Job,
    protocol: Protocol<InHand>,
    effect: Effect,
    /// That its request does not leave after all.
    stays: Option<Result<Outcome, Failure>>,
}

impl Running {
    /// `None`: the action has no effects.
    pub(crate) fn new(job: Job) -> Option<Self> {
        let (protocol, effect) = job.start()?;
        Some(Self { job, protocol, effect, stays: None })
    }

    fn name(&self) -> &CertName {
        &self.job.entry.name
    }
}

impl World {
    /// Begins an effect; one that asks the API waits for its turn first.
    pub(crate) fn begin_effect(&mut self, mut running: Box<Running>) {
        if self.crashes() {
            return self.later(Duration::ZERO, Task::Effect(running));
        }
        if running.job.frees_place(&running.effect) {
            self.handle(Input::PlaceReturned);
        }
        let is_intent = matches!(&running.effect, Effect::Record(event) if event.is_intent());
        let (asks, sends) = (self.asks_api(&running), matches!(running.effect, Effect::Send(..)));
        if is_intent || (asks && !sends) {
            let now = self.now();
            let asker = Asker::Certificate(running.name().clone());
            let may_be_right = match self.d().engine.take_turn(&asker, now) {
                Ok(may_be_right) => may_be_right,
                Err(until) => return self.later(until.since(now.wall).min(TURN_AGAIN), Task::Turn(running)),
            };
            let is_put_off = is_intent && !self.d().engine.may(running.name(), Step::Ask, now.wall);
            let failure = running.job.check_clock(may_be_right, &now).err().filter(|_| is_intent);
            running.stays = is_put_off.then_some(Ok(Outcome::NotNow)).or(failure.map(Err));
        }
        let takes = if matches!(running.effect, Effect::AskBefore) {
            self.begin_asking(&mut running)
        } else if asks {
            self.check_call(running.name());
            if let Effect::Send(method, key) = &running.effect {
                self.check_send(running.name(), *key, method);
                self.check_put_off(running.name(), false);
            }
            self.tlm.latency()
        } else {
            Duration::from_millis(if matches!(running.effect, Effect::MakeKey { .. }) { 100 } else { 10 })
        };
        self.later(takes, Task::Effect(running));
    }

    fn asks_api(&self, running: &Running) -> bool {
        match &running.effect {
            Effect::Send(..)
            | Effect::LookUp(_)
            | Effect::SearchHeld
            | Effect::PickUp { .. }
            | Effect::FetchChain { .. }
            | Effect::CheckStatus(_)
            | Effect::Revoke(_) => true,
            Effect::ReadAnswer { attempt, .. } => self
                .disk
                .pending
                .get(&(running.name().clone(), *attempt))
                .is_none_or(|pending| pending.answer.is_none()),
            Effect::CheckRoom
            | Effect::Probe
            | Effect::RollBack(_)
            | Effect::Switch(_)
            | Effect::MakeKey { .. }
            | Effect::ReadKey { .. }
            | Effect::Record(_)
            | Effect::KeepAnswer { .. }
            | Effect::Judge { .. }
            | Effect::AskBefore
            | Effect::Install { .. }
            | Effect::Forget { .. }
            | Effect::Repair { .. }
            | Effect::RefreshChain => false,
        }
    }

    /// The end of an effect, and what follows.
    pub(crate) fn effect_ends(&mut self, mut running: Box<Running>) {
        if self.crashes() {
            return self.later(Duration::ZERO, Task::Effect(running));
        }
        let mark = mark_of(&running.effect);
        let outcome = self.perform_effect(&mut running).unwrap_or_else(Outcome::Failed);
        self.lurk(running.name(), mark);
        if self.crash_after.as_deref() == Some(mark) {
            self.crash_after = None;
            self.dying = true;
            return;
        }
        match running.protocol.step(outcome) {
            Next::Perform(effect) => {
                running.effect = effect;
                self.begin_effect(running);
            }
            Next::End => {
                self.handle(Input::Finished { name: running.name().clone(), had_place: running.job.had_place });
            }
        }
    }

    /// The process ended in the middle of an effect, which took place all the same, or not.
    pub(crate) fn cut_off(&mut self, mut running: Running) {
        if self.random.percent(50) {
            drop(self.perform_effect(&mut running));
        }
    }

    fn perform_effect(&mut self, running: &mut Running) -> Result<Outcome, Failure> {
        let name = running.name().clone();
        let needed = running.job.needs(&running.effect).filter(|_| !matches!(running.effect, Effect::AskBefore));
        if needed.is_some_and(|step| !self.may(&name, step)) {
            return Ok(Outcome::NotNow);
        }
        match running.effect.clone() {
            Effect::CheckRoom => self.disk.write().map(|()| Outcome::Done),
            Effect::MakeKey { attempt, key } => self.make_key(running, attempt, key),
            Effect::ReadKey { attempt } => {
                let Pending { spki, key: kind, .. } = self.read_key(&name, attempt)?;
                Ok(Outcome::Key(Keyed { spki, kind, key: spki }))
            }
            Effect::Record(event) => running.stays.take().unwrap_or_else(|| self.record(&name, event)),
            Effect::Probe => {
                let Some(installed) = &running.job.installed else { return Ok(Outcome::Done) };
                let sights = self.look_at_servers(&running.job.entry);
                Ok(Outcome::Probed { fingerprint: installed.fingerprint, sights })
            }
            Effect::RollBack(from) => {
                let entry = Arc::clone(&running.job.entry);
                self.roll_back(&entry, from, &running.job.revoked).map(Outcome::Switched)
            }
            Effect::Switch(generation) => self.switch(running, generation),
            Effect::Send(method, key) => self.send(running, method, key),
            Effect::LookUp(spki) if self.tlm.odd.is_on => self.odd_look_up(running, spki),
            Effect::LookUp(spki) => self.look_up(running, spki),
            Effect::SearchHeld if self.tlm.odd.is_on => self.odd_search_held(running),
            Effect::SearchHeld => {
                let found = self.part(running, Endpoint::Search).and_then(|()| self.tlm.search(digest(0), self.now));
                self.call(running, Function::Search, found.map(drop))?;
                Ok(Outcome::Holds(Vec::new()))
            }
            Effect::PickUp { id, spki } => self.pick_up(running, &id, spki),
            Effect::KeepAnswer { attempt, answer } => self.keep_answer(running, attempt, answer),
            Effect::ReadAnswer { attempt, serial_number, spki } if self.tlm.odd.is_on => {
                Ok(self.odd_read_answer(running, attempt, &serial_number, spki))
            }
            Effect::ReadAnswer { attempt, serial_number, .. } => self.read_answer(running, attempt, &serial_number),
            Effect::FetchChain { issued, .. } if self.tlm.odd.is_on => Ok(self.odd_fetch_chain(running, issued)),
            Effect::FetchChain { issued: Issued { serial_number, answer, .. }, .. } => {
                let found = self.part(running, Endpoint::Formats).and_then(|()| self.tlm.details(&serial_number));
                self.call(running, Function::Details, found)?;
                Ok(Outcome::Fetched(answer.map(|(certificate, _)| (certificate, true)), None))
            }
            Effect::Judge { attempt, expiring, emergency, spki, answer } => {
                let must_outlive = running.job.must_outlive(attempt, expiring);
                Ok(Outcome::Judged(self.judge(running, spki, answer, must_outlive, emergency)))
            }
            Effect::AskBefore => running.stays.take().unwrap_or_else(|| Ok(self.ask_before(running))),
            Effect::Install { attempt, set, .. } => self.install(running, attempt, &set),
            Effect::Forget { attempt } => {
                self.disk.write()?;
                self.disk.pending.remove(&(name, attempt));
                Ok(Outcome::Done)
            }
            Effect::Repair { .. } => {
                let entry = Arc::clone(&running.job.entry);
                self.repair(&entry)
            }
            // No chain of this world ends before its leaves.
            Effect::RefreshChain => Ok(Outcome::Done),
            Effect::CheckStatus(serial) => {
                let found = self.part(running, Endpoint::Details).and_then(|()| self.tlm.details(&serial));
                let (_, revoked) = self.call(running, Function::Details, found)?;
                let standing = if revoked { Standing::of(TlmState::Revoked) } else { self.tlm.standing(&serial) };
                Ok(Outcome::Status(Box::new(standing)))
            }
            Effect::Revoke(certificate) => self.revoke(running, &certificate),
        }
    }

    fn switch(&mut self, running: &Running, generation: Generation) -> Result<Outcome, Failure> {
        let name = running.name();
        if self.disk.live.get(name).is_some_and(|live| live.generation != generation) {
            self.check_put_off(name, true);
        }
        self.make_live(&running.job.entry, generation).map(|()| Outcome::Switched(generation))
    }

    /// Where nothing is to be switched in nobody is asked. How long it takes.
    fn begin_asking(&self, running: &mut Running) -> Duration {
        if running.job.needs(&running.effect).is_some_and(|step| !self.may(running.name(), step)) {
            running.stays = Some(Ok(Outcome::NotNow));
        }
        if running.stays.is_some() {
            return Duration::ZERO;
        }
        let answers = running.job.before.iter().map(|hook| self.answer_of(&hook.name));
        let mut takes = Duration::from_millis(10);
        for answer in answers {
            takes += match answer {
                Before::Agrees => Duration::ZERO,
                Before::Slow => SLOWLY,
                Before::Hangs => return takes + HOOK_TIMEOUT,
                Before::SaysNo | Before::CannotStart => return takes,
            };
        }
        takes
    }

    fn answer_of(&self, hook: &HookName) -> Before {
        self.asked_before.get(hook).copied().unwrap_or(Before::Agrees)
    }

    /// The first hook whose program does not agree.
    fn says_no<'r>(&self, running: &'r Running) -> Option<(&'r Hook, Before)> {
        let answers = running.job.before.iter().map(|hook| (hook, self.answer_of(&hook.name)));
        answers.into_iter().find(|(_, answer)| !answer.agrees())
    }

    fn ask_before(&self, running: &Running) -> Outcome {
        let Some((hook, answer)) = self.says_no(running) else { return Outcome::Done };
        let (class, what) = match answer {
            Before::Agrees | Before::Slow | Before::SaysNo => (FailureClass::HookVetoed, "ended with 1"),
            Before::Hangs => (FailureClass::HookFailed, "did not end within 60 s and was killed"),
            Before::CannotStart => (FailureClass::HookFailed, "could not be started: no such file"),
        };
        let failure = Failure::new(class, format!("`before` of hook {} {what}", hook.name));
        let may = |daemon: &Daemon| daemon.engine.may(running.name(), Step::Overrule, self.wall());
        Outcome::Vetoed { hook: hook.name.clone(), failure, overruled: self.daemon.as_ref().is_some_and(may) }
    }

    /// What the process does not live to ask is as it was decided.
    fn may(&self, name: &CertName, step: Step) -> bool {
        self.daemon.as_ref().is_none_or(|daemon| daemon.engine.may(name, step, self.wall()))
    }

    fn keep_answer(
        &mut self,
        running: &Running,
        attempt: Attempt,
        answer: Option<(Arc<Certificate>, bool)>,
    ) -> Result<Outcome, Failure> {
        self.disk.write()?;
        if let Some(pending) = self.disk.pending.get_mut(&(running.name().clone(), attempt)) {
            pending.answer = answer;
        }
        Ok(Outcome::Done)
    }

    fn make_key(&mut self, running: &Running, attempt: Attempt, kind: KeyType) -> Result<Outcome, Failure> {
        self.disk.write()?;
        let spki = match &running.job.installed {
            Some(installed) if running.job.entry.reuse_key => installed.spki,
            _ => digest(self.random.next()),
        };
        self.disk.pending.insert((running.name().clone(), attempt), Pending { spki, key: kind, answer: None });
        Ok(Outcome::Key(Keyed { spki, kind, key: spki }))
    }

    /// What a part of TLM says that fails alone.
    fn part(&self, running: &Running, endpoint: Endpoint) -> Result<(), Failure> {
        let of_request = running.job.request.as_ref().map(|request| &request.profile);
        let profile = of_request.or(running.job.profile.as_ref().map(|profile| &profile.id));
        profile.map_or(Ok(()), |profile| self.tlm.part(endpoint, profile, running.name()))
    }

    /// Tells the loop how a call went.
    fn call<R>(&mut self, running: &Running, function: Function, result: Result<R, Failure>) -> Result<R, Failure> {
        let result = counted_from(self.see_date(), result);
        let (name, profile) = (running.name().clone(), running.job.entry.profile.clone());
        self.handle(Input::Answered { name, profile, function, failure: result.as_ref().err().cloned() });
        result
    }

    /// Only the intent to submit must be durable before anything follows.
    fn record(&mut self, name: &CertName, event: Event) -> Result<Outcome, Failure> {
        let entry = event::Entry { at: self.wall(), name: name.clone(), event };
        if entry.event.is_durable() {
            let must = entry.event.is_intent();
            let daemon = self.daemon.as_mut().expect("the daemon runs");
            if let Err(failure) = self.disk.append(&mut daemon.backlog, &entry) {
                if !must {
                    daemon.backlog.push(entry.clone());
                    self.handle(Input::Happened(entry));
                }
                return Err(failure);
            }
        }
        self.handle(Input::Happened(entry));
        Ok(Outcome::Done)
    }

    fn send_order(&mut self, running: &Running, method: Method, spki: Digest) -> Result<Answer, Failure> {
        let order = Order {
            name: running.name().clone(),
            spki,
            asked: running.job.entry.asked(),
            profile: running.job.profile.as_ref().map_or(ProfileId("".into()), |profile| profile.id.clone()),
            method,
        };
        self.tlm.create(&order, self.now)
    }

    fn send(&mut self, running: &Running, method: Method, key: Digest) -> Result<Outcome, Failure> {
        let sent = self.send_order(running, method, key);
        self.check_sent(running.name(), sent.as_ref().err());
        Ok(match self.call(running, Function::Main, sent)? {
            Answer::Issued(certificate) => self.take(certificate, key),
            Answer::Pending(id) => Outcome::Pending(Some(id), None),
        })
    }

    fn look_up(&mut self, running: &Running, wanted: Digest) -> Result<Outcome, Failure> {
        let found = self.part(running, Endpoint::Search).and_then(|()| self.tlm.search(wanted, self.now));
        self.ledger.looked(running.name(), found.is_err());
        let found = self.call(running, Function::Search, found)?;
        Ok(found.map_or(Outcome::NotFound, |found| self.take(found, wanted)))
    }

    fn pick_up(&mut self, running: &Running, id: &RequestId, wanted: Digest) -> Result<Outcome, Failure> {
        let part = self.part(running, Endpoint::PickUp);
        let answer = part.and_then(|()| self.tlm.pick_up(id, self.now));
        if let Ok(Pickup::Says(saying, serial)) = &answer {
            return self.odd_pickup(running, *saying, serial.as_ref());
        }
        Ok(match self.call(running, Function::Main, answer)? {
            Pickup::Issued(certificate) => self.take(certificate, wanted),
            Pickup::Pending | Pickup::Says(..) => Outcome::Pending(None, None),
            Pickup::Rejected => Outcome::Rejected(Text::new("not on my watch")),
        })
    }

    fn read_key(&self, name: &CertName, attempt: Attempt) -> Result<Pending, Failure> {
        let lost = || Failure::new(FailureClass::KeyLost, format!("the key of request {attempt} is gone"));
        self.disk.pending.get(&(name.clone(), attempt)).cloned().ok_or_else(lost)
    }

    fn read_answer(&mut self, running: &Running, attempt: Attempt, serial: &SerialNumber) -> Result<Outcome, Failure> {
        let kept = self.disk.pending.get(&(running.name().clone(), attempt)).and_then(|pending| pending.answer.clone());
        let answer = match kept {
            Some(answer) => Some(answer),
            None => {
                let found = self.part(running, Endpoint::Details).and_then(|()| self.tlm.details(serial));
                let (certificate, _) = self.call(running, Function::Details, found)?;
                Some((certificate, false))
            }
        };
        Ok(Outcome::Fetched(answer, None))
    }

    fn judge(
        &self,
        running: &Running,
        spki: Digest,
        answer: Option<(Arc<Certificate>, bool)>,
        must_outlive: Option<Timestamp>,
        emergency: bool,
    ) -> Verdict {
        let refused = |why: &str| Verdict::Refused(vec![Text::new(why)]);
        let Some((found, chain)) = answer else { return refused("nothing came") };
        let now = self.wall();
        if found.defect == Some(Defect::Html) {
            return refused("what TLM sent is no certificate");
        }
        if found.spki != spki {
            return refused("its public key is not ours");
        }
        if !running.job.entry.names().missing_in(&found.asked.names).is_empty() {
            return refused("it lacks a name");
        }
        if !chain {
            return refused("its chain is missing");
        }
        if found.not_after < now || found.not_before > now + TOLERANCE {
            return refused("its validity does not contain now");
        }
        if must_outlive.is_some_and(|end| found.not_after <= end) {
            return refused("it ends no later than the installed one");
        }
        if found.not_before > now {
            return Verdict::NotYetValid(found.not_before);
        }
        let wanted = running.job.entry.usages.clone().unwrap_or_else(server_auth);
        if !emergency && wanted.iter().any(|usage| !found.leaf().usages.contains(usage)) {
            return Verdict::Held(Text::new("it lacks server_auth"), Lack::Usage);
        }
        Verdict::Accepted(found)
    }

    fn install(&mut self, running: &Running, attempt: Attempt, set: &Arc<Certificate>) -> Result<Outcome, Failure> {
        self.read_key(running.name(), attempt)?;
        self.disk.write()?;
        self.check_window(&running.job.entry, attempt);
        self.check_put_off(running.name(), true);
        self.check_own(running.name(), attempt, set);
        let generation = self.disk.install(running.name(), attempt, set, &running.job.entry);
        self.went_live(&running.job.entry.clone(), generation);
        let replaces = self.disk.replaced(running.name());
        Ok(Outcome::Installed { generation, leaf: Box::new(set.leaf()), chain: Arc::default(), replaces })
    }
}

/// Whether a certificate comes with its chain.
fn has_chain(certificate: &Certificate) -> bool {
    certificate.defect != Some(Defect::NoChain)
}

/// What a script calls the end of an effect.
fn mark_of(effect: &Effect) -> &'static str {
    match effect {
        Effect::CheckRoom => "room",
        Effect::MakeKey { .. } | Effect::ReadKey { .. } => "key",
        Effect::Record(Event::Submitting { .. }) => "intent",
        Effect::Record(Event::Issued { .. }) => "issued",
        Effect::Record(Event::Installed { .. }) => "installed",
        Effect::Record(_) => "record",
        Effect::Send(..) => "send",
        Effect::LookUp(_) | Effect::SearchHeld => "search",
        Effect::PickUp { .. } => "pickup",
        Effect::KeepAnswer { .. } => "answer",
        Effect::ReadAnswer { .. } => "reading",
        Effect::FetchChain { .. } => "chain",
        Effect::Judge { .. } => "gate",
        Effect::AskBefore => "before",
        Effect::Install { .. } => "rename",
        Effect::Forget { .. } => "forget",
        Effect::Repair { .. } => "repair",
        Effect::RefreshChain => "refresh",
        Effect::Probe => "probe",
        Effect::RollBack(_) | Effect::Switch(_) => "switch",
        Effect::CheckStatus(_) => "status",
        Effect::Revoke(_) => "revoke",
    }
}

/// So long a program takes that takes its time.
const SLOWLY: Duration = Duration::from_secs(50);
const TOLERANCE: Duration = Duration::from_secs(600);
