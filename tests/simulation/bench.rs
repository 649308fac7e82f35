//! Performing the protocol's effects on the simulated disk and TLM, as `src/daemon/execute.rs` does on the real ones.

use std::sync::Arc;
use std::time::Duration;

use renewd::core::breaker::Function;
use renewd::core::decide::Action;
use renewd::core::entry::Entry;
use renewd::core::event::{self, Event, Lack, Method};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::key::KeyType;
use renewd::core::name::{Attempt, CertName, Digest, ProfileId, RequestId, SerialNumber};
use renewd::core::observed::Installed;
use renewd::core::profile::Profile;
use renewd::core::protocol::{Effect, Next, Outcome, Protocol, Verdict};
use renewd::core::record::Request;
use renewd::core::standing::{Standing, TlmState};
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::window::Deploy;
use renewd::daemon::fleet::Managed;
use renewd::daemon::zone;

use crate::disk::Pending;
use crate::tlm::{Answer, Certificate, Defect, Endpoint, Order, Pickup, digest, server_auth};
use crate::world::{Task, World};

/// One action on its way.
pub(crate) struct Bench {
    pub(crate) entry: Arc<Entry>,
    pub(crate) effect: Effect,
    protocol: Protocol,
    profile: Option<ProfileId>,
    installed: Option<Installed>,
    /// The certificates that TLM reported as revoked.
    revoked: Vec<SerialNumber>,
    request: Option<Request>,
    had_place: bool,
    is_urgent: bool,
    spki: Option<Digest>,
    /// What TLM answered, and whether with its chain.
    answer: Option<(Arc<Certificate>, bool)>,
    set: Option<Arc<Certificate>>,
    /// How far the wall clock was ahead when it was laid out.
    skew: i64,
    /// Whether its request does not leave after all.
    stays: bool,
}

impl Bench {
    /// `None` for an action that the protocol has no part in.
    pub(crate) fn new(
        managed: &Managed,
        profile: Option<&Profile>,
        action: &Action,
        had_place: bool,
        is_urgent: bool,
        skew: i64,
    ) -> Option<Self> {
        let request = managed.record.request.as_deref().cloned();
        let of_request = request.as_ref().map(|request| (request.profile.clone(), request.profile_version));
        // Only a submission puts the version on record.
        let version = |profile: &Profile| if matches!(action, Action::Submit(_)) { profile.version() } else { 0 };
        let of_profile = profile.map(|profile| (profile.id.clone(), version(profile)));
        let of_action = of_profile.or(of_request).unwrap_or_else(|| (ProfileId("".into()), 0));
        let (protocol, effect) = Protocol::start(&managed.entry, of_action, action)?;
        Some(Self {
            entry: Arc::clone(&managed.entry),
            effect,
            protocol,
            profile: profile.map(|profile| profile.id.clone()),
            installed: managed.observed.installed().cloned(),
            revoked: managed.record.revoked.clone(),
            spki: request.as_ref().map(|request| request.spki),
            request,
            had_place,
            is_urgent,
            answer: None,
            set: None,
            skew,
            stays: false,
        })
    }

    fn name(&self) -> &CertName {
        &self.entry.name
    }
}

impl World {
    /// Begins an effect; one that asks the API waits for its turn first.
    pub(crate) fn begin_effect(&mut self, mut bench: Box<Bench>) {
        if self.crashes() {
            return self.later(Duration::ZERO, Task::Effect(bench));
        }
        let is_intent = matches!(bench.effect, Effect::Record(Event::Submitting { .. }));
        let (asks, sends) = (self.asks_api(&bench), matches!(bench.effect, Effect::Send(_)));
        if is_intent || (asks && !sends) {
            let now = self.wall();
            if let Err(until) = self.d().pace.take(bench.is_urgent, now) {
                return self.later(until.since(now), Task::Turn(bench));
            }
            // As the daemon does it: by another clock than the decision's nothing leaves.
            bench.stays = is_intent && self.skew.abs_diff(bench.skew) > 60_000;
        }
        let takes = if asks {
            self.check_call(bench.name());
            if let Effect::Send(method) = &bench.effect {
                let spki = bench.spki;
                self.check_send(bench.name(), spki, method);
            }
            self.tlm.latency()
        } else {
            Duration::from_millis(if matches!(bench.effect, Effect::MakeKey { .. }) { 100 } else { 10 })
        };
        self.later(takes, Task::Effect(bench));
    }

    fn asks_api(&self, bench: &Bench) -> bool {
        match &bench.effect {
            Effect::Send(_)
            | Effect::LookUp
            | Effect::SearchHeld
            | Effect::PickUp(_)
            | Effect::FetchChain(_)
            | Effect::CheckStatus(_) => true,
            Effect::ReadAnswer { attempt, .. } => {
                self.disk.pending.get(&(bench.name().clone(), *attempt)).is_none_or(|pending| pending.answer.is_none())
            }
            Effect::CheckRoom
            | Effect::Probe
            | Effect::RollBack(_)
            | Effect::Switch(_)
            | Effect::MakeKey { .. }
            | Effect::ReadKey { .. }
            | Effect::Record(_)
            | Effect::KeepAnswer { .. }
            | Effect::Judge { .. }
            | Effect::Install { .. }
            | Effect::Forget { .. }
            | Effect::Repair { .. }
            | Effect::RefreshChain => false,
        }
    }

    /// The end of an effect, and what follows.
    pub(crate) fn effect_ends(&mut self, mut bench: Box<Bench>) {
        if self.crashes() {
            return self.later(Duration::ZERO, Task::Effect(bench));
        }
        let effect = bench.effect.clone();
        let outcome = self.perform(&mut bench).unwrap_or_else(Outcome::Failed);
        if self.crash_after.as_deref().is_some_and(|mark| mark == mark_of(&effect)) {
            self.crash_after = None;
            self.dying = true;
            return;
        }
        match bench.protocol.step(outcome) {
            Next::Perform(effect) => {
                bench.effect = effect;
                self.begin_effect(bench);
            }
            Next::End => self.finished(&bench.entry.name.clone(), bench.had_place),
        }
    }

    /// The process ended in the middle of an effect, which took place all the same, or not.
    pub(crate) fn cut_off(&mut self, mut bench: Bench) {
        if self.random.percent(50) {
            drop(self.perform(&mut bench));
        }
    }

    fn perform(&mut self, bench: &mut Bench) -> Result<Outcome, Failure> {
        let name = bench.name().clone();
        match bench.effect.clone() {
            Effect::CheckRoom => self.disk.write().map(|()| Outcome::Done),
            Effect::MakeKey { attempt, key } => self.make_key(bench, attempt, key),
            Effect::ReadKey { attempt } => {
                let pending = self.read_key(&name, attempt)?;
                bench.spki = Some(pending.spki);
                Ok(Outcome::Key { spki: pending.spki, key: pending.key })
            }
            Effect::Record(_) if bench.stays => {
                Err(Failure::new(FailureClass::ClockSet, "nothing was sent: the clock was set"))
            }
            Effect::Record(event) => self.record(&name, event),
            Effect::Probe => {
                let Some(installed) = &bench.installed else { return Ok(Outcome::Done) };
                let sights = self.look_at_servers(&bench.entry);
                Ok(Outcome::Probed { fingerprint: installed.fingerprint, sights })
            }
            Effect::RollBack(from) => {
                let entry = Arc::clone(&bench.entry);
                self.roll_back(&entry, from, &bench.revoked).map(Outcome::Switched)
            }
            Effect::Switch(generation) => {
                let entry = Arc::clone(&bench.entry);
                self.make_live(&entry, generation).map(|()| Outcome::Switched(generation))
            }
            Effect::Send(method) => self.send(bench, method),
            Effect::LookUp => self.look_up(bench),
            Effect::SearchHeld => {
                let found = self.part(bench, Endpoint::Search).and_then(|()| self.tlm.search(digest(0), self.now));
                self.call(bench, Function::Search, found.map(drop))?;
                Ok(Outcome::Holds(Vec::new()))
            }
            Effect::PickUp(id) => self.pick_up(bench, &id),
            Effect::KeepAnswer { attempt } => self.keep_answer(bench, attempt),
            Effect::ReadAnswer { attempt, serial_number } => self.read_answer(bench, attempt, &serial_number),
            Effect::FetchChain(serial) => {
                let found = self.part(bench, Endpoint::Formats).and_then(|()| self.tlm.details(&serial));
                self.call(bench, Function::Details, found)?;
                if let Some((_, chain)) = &mut bench.answer {
                    *chain = true;
                }
                Ok(Outcome::Done)
            }
            Effect::Judge { attempt, expiring, emergency } => {
                let of_record = bench.request.as_ref().is_some_and(|request| request.expiring);
                let renewed = bench.installed.as_ref().filter(|_| expiring.unwrap_or(of_record));
                let must_outlive = renewed.and_then(|installed| installed.to_outlive(attempt));
                Ok(Outcome::Judged(self.judge(bench, must_outlive, emergency)))
            }
            Effect::Install { in_window: true, .. } if self.is_window_closed(&bench.entry) => Ok(Outcome::WindowClosed),
            Effect::Install { attempt, .. } => self.install(bench, attempt),
            Effect::Forget { attempt } => {
                self.disk.write()?;
                self.disk.pending.remove(&(name, attempt));
                Ok(Outcome::Done)
            }
            Effect::Repair { .. } => {
                let entry = Arc::clone(&bench.entry);
                self.repair(&entry)
            }
            // No chain of this world ends before its leaves.
            Effect::RefreshChain => Ok(Outcome::Done),
            Effect::CheckStatus(serial) => {
                let found = self.part(bench, Endpoint::Details).and_then(|()| self.tlm.details(&serial));
                let (_, revoked) = self.call(bench, Function::Details, found)?;
                let state = if revoked { TlmState::Revoked } else { TlmState::Issued };
                Ok(Outcome::Status(Box::new(Standing::of(state))))
            }
        }
    }

    fn keep_answer(&mut self, bench: &Bench, attempt: Attempt) -> Result<Outcome, Failure> {
        self.disk.write()?;
        if let Some(pending) = self.disk.pending.get_mut(&(bench.name().clone(), attempt)) {
            pending.answer.clone_from(&bench.answer);
        }
        Ok(Outcome::Done)
    }

    fn make_key(&mut self, bench: &mut Bench, attempt: Attempt, key: KeyType) -> Result<Outcome, Failure> {
        self.disk.write()?;
        let spki = match &bench.installed {
            Some(installed) if bench.entry.reuse_key => installed.spki,
            _ => digest(self.random.next()),
        };
        self.disk.pending.insert((bench.name().clone(), attempt), Pending { spki, key, answer: None });
        bench.spki = Some(spki);
        Ok(Outcome::Key { spki, key })
    }

    /// What a part of TLM says that fails alone.
    fn part(&self, bench: &Bench, endpoint: Endpoint) -> Result<(), Failure> {
        let of_request = bench.request.as_ref().map(|request| &request.profile);
        let profile = of_request.or(bench.profile.as_ref());
        profile.map_or(Ok(()), |profile| self.tlm.part(endpoint, profile, bench.name()))
    }

    /// Tells the loop how a call went.
    fn call<R>(&mut self, bench: &Bench, function: Function, result: Result<R, Failure>) -> Result<R, Failure> {
        let users = std::slice::from_ref(&bench.entry.name);
        self.answered(users, &bench.entry.profile, function, result.as_ref().err());
        result
    }

    /// Only the intent to submit must be durable before anything follows.
    fn record(&mut self, name: &CertName, event: Event) -> Result<Outcome, Failure> {
        let entry = event::Entry { at: self.wall(), name: name.clone(), event };
        if entry.event.is_durable() {
            let must = matches!(entry.event, Event::Submitting { .. });
            let daemon = self.daemon.as_mut().expect("the daemon runs");
            if let Err(failure) = self.disk.append(&mut daemon.backlog, &entry) {
                if !must {
                    daemon.backlog.push(entry.clone());
                    self.happened(&entry);
                }
                return Err(failure);
            }
        }
        self.happened(&entry);
        Ok(Outcome::Done)
    }

    fn send_order(&mut self, bench: &Bench, method: Method) -> Result<Answer, Failure> {
        let order = Order {
            name: bench.name().clone(),
            spki: bench.spki.unwrap_or(Digest([0; 32])),
            asked: bench.entry.asked(),
            profile: bench.profile.clone().unwrap_or(ProfileId("".into())),
            method,
        };
        self.tlm.create(&order, self.now)
    }

    fn send(&mut self, bench: &mut Bench, method: Method) -> Result<Outcome, Failure> {
        let sent = self.send_order(bench, method);
        self.check_sent(bench.name(), sent.as_ref().err());
        Ok(match self.call(bench, Function::Main, sent)? {
            Answer::Issued(certificate) => take(bench, certificate),
            Answer::Pending(id) => Outcome::Pending(Some(id), None),
        })
    }

    fn look_up(&mut self, bench: &mut Bench) -> Result<Outcome, Failure> {
        let Some(wanted) = bench.spki else { return Ok(Outcome::NotFound) };
        let found = self.part(bench, Endpoint::Search).and_then(|()| self.tlm.search(wanted, self.now));
        self.ledger.looked(bench.name(), found.is_err());
        let found = self.call(bench, Function::Search, found)?;
        Ok(found.map_or(Outcome::NotFound, |certificate| take(bench, certificate)))
    }

    fn pick_up(&mut self, bench: &mut Bench, id: &RequestId) -> Result<Outcome, Failure> {
        let part = self.part(bench, Endpoint::PickUp);
        let answer = part.and_then(|()| self.tlm.pick_up(id, self.now));
        Ok(match self.call(bench, Function::Main, answer)? {
            Pickup::Issued(certificate) => take(bench, certificate),
            Pickup::Pending => Outcome::Pending(None, None),
            Pickup::Rejected => Outcome::Rejected(Text::new("not on my watch")),
        })
    }

    fn read_key(&self, name: &CertName, attempt: Attempt) -> Result<Pending, Failure> {
        let lost = || Failure::new(FailureClass::KeyLost, format!("the key of request {attempt} is gone"));
        self.disk.pending.get(&(name.clone(), attempt)).cloned().ok_or_else(lost)
    }

    fn read_answer(&mut self, bench: &mut Bench, attempt: Attempt, serial: &SerialNumber) -> Result<Outcome, Failure> {
        let kept = self.disk.pending.get(&(bench.name().clone(), attempt)).and_then(|pending| pending.answer.clone());
        bench.answer = match kept {
            Some(answer) => Some(answer),
            None => {
                let found = self.part(bench, Endpoint::Details).and_then(|()| self.tlm.details(serial));
                let (certificate, _) = self.call(bench, Function::Details, found)?;
                Some((certificate, false))
            }
        };
        Ok(Outcome::Done)
    }

    fn judge(&self, bench: &mut Bench, must_outlive: Option<Timestamp>, emergency: bool) -> Verdict {
        let refused = |why: &str| Verdict::Refused(vec![Text::new(why)]);
        let (Some((found, chain)), Some(spki)) = (&bench.answer, bench.spki) else { return refused("nothing came") };
        let now = self.wall();
        if found.defect == Some(Defect::Html) {
            return refused("what TLM sent is no certificate");
        }
        if found.spki != spki {
            return refused("its public key is not ours");
        }
        if !bench.entry.names().missing_in(&found.asked.names).is_empty() {
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
        let wanted = bench.entry.usages.clone().unwrap_or_else(server_auth);
        if !emergency && wanted.iter().any(|usage| !found.leaf().usages.contains(usage)) {
            return Verdict::Held(Text::new("it lacks server_auth"), Lack::Usage);
        }
        bench.set = Some(Arc::clone(found));
        Verdict::Accepted
    }

    fn is_window_closed(&self, entry: &Entry) -> bool {
        zone::deploy(entry.deploy_window.as_deref(), self.wall()) != Deploy::Open
    }

    fn install(&mut self, bench: &mut Bench, attempt: Attempt) -> Result<Outcome, Failure> {
        let Some(set) = bench.set.take() else {
            return Err(Failure::new(FailureClass::Internal, "nothing to install"));
        };
        self.read_key(bench.name(), attempt)?;
        self.disk.write()?;
        self.check_window(&bench.entry, attempt);
        let generation = self.disk.install(bench.name(), attempt, &set, &bench.entry);
        self.went_live(&bench.entry.clone(), generation);
        Ok(Outcome::Installed { generation, leaf: Box::new(set.leaf()), chain: Arc::default() })
    }
}

fn take(bench: &mut Bench, certificate: Arc<Certificate>) -> Outcome {
    let serial = certificate.serial.clone();
    let chain = certificate.defect != Some(Defect::NoChain);
    bench.answer = Some((certificate, chain));
    Outcome::Issued(serial)
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
        Effect::Send(_) => "send",
        Effect::LookUp | Effect::SearchHeld => "search",
        Effect::PickUp(_) => "pickup",
        Effect::KeepAnswer { .. } => "answer",
        Effect::ReadAnswer { .. } => "reading",
        Effect::FetchChain(_) => "chain",
        Effect::Judge { .. } => "gate",
        Effect::Install { .. } => "rename",
        Effect::Forget { .. } => "forget",
        Effect::Repair { .. } => "repair",
        Effect::RefreshChain => "refresh",
        Effect::Probe => "probe",
        Effect::RollBack(_) | Effect::Switch(_) => "switch",
        Effect::CheckStatus(_) => "status",
    }
}

const TOLERANCE: Duration = Duration::from_secs(600);
