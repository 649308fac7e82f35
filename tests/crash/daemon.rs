//! A small daemon on a simulated machine: the real start, decision, protocol and store, one certificate, and an API that
//! knows only what it accepted. It reads no clock: it jumps to the next wake-up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use renewd::core::decide::{Action, Surroundings, World, decide};
use renewd::core::entry::Entry;
use renewd::core::event::{self, Event};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::key::KeyType;
use renewd::core::name::{Attempt, Generation, HookName, ProfileId, RequestId, SerialNumber};
use renewd::core::observed::Observed;
use renewd::core::profile::Profile;
use renewd::core::protocol::{Effect, Next, Outcome, Protocol, Verdict};
use renewd::core::reading::Reading;
use renewd::core::record::Record;
use renewd::core::remark::RareRemarks;
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::window::Deploy;
use renewd::pki::answer::shown_by_profile;
use renewd::pki::certificate::certificates;
use renewd::pki::key::PrivateKey;
use renewd::pki::{leaf, served};
use renewd::store::disk::Disk;
use renewd::store::fixed::Ground;
use renewd::store::generation::{self, NewSet};
use renewd::store::journal::{Content, Journal};
use renewd::store::layout::Layout;
use renewd::store::refresh::{self, Source};
use renewd::store::repair::{self, Repaired, Terms};
use renewd::store::rollback::{self, Wanted};
use renewd::store::{observe, pending, replace};

use crate::api::Mode;
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

/// The daemon, started.
pub struct Daemon {
    machine: Machine,
    entry: Entry,
    swap: Option<Swap>,
    journal: Journal,
    pub record: Record,
    now: Timestamp,
    key: Option<Attempt>,
    answer: Option<String>,
}

pub fn layout() -> Layout {
    Layout::new(Path::new("/var/lib/renewd"))
}

pub fn ground() -> Ground {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    Ground { uid, gid, own: vec![PathBuf::from("/var/lib/renewd")] }
}

impl Daemon {
    /// Starts as the real one does: folder, journal, fold, keys that nobody knows.
    pub fn start(machine: &Machine, entry: &Entry, swap: Option<Swap>) -> Result<(Self, Content), Failure> {
        let layout = layout();
        replace::ensure_dir(machine, layout.root(), 0o755)
            .map_err(|error| renewd::store::disk_failure("make", layout.root(), &error))?;
        let disk: Arc<dyn Disk> = Arc::new(machine.clone());
        let (journal, content) = Journal::open::<Vec<_>>(disk, &layout, NOW)?;
        let mut record = Record::default();
        content.entries.iter().for_each(|entry| record.apply(entry.at, &entry.event));
        let attempts = pending::attempts(machine, &layout, &entry.name);
        for attempt in attempts.into_iter().filter(|attempt| !record.knows(*attempt)) {
            pending::forget(machine, &layout, &entry.name, attempt)?;
        }
        let now = content.entries.last().map_or(NOW, |last| last.at.max(NOW));
        let (machine, entry) = (machine.clone(), entry.clone());
        Ok((Self { machine, entry, swap, journal, record, now, key: None, answer: None }, content))
    }

    /// The operator asks for a replacement.
    pub fn ask_renewal(&mut self) {
        self.write(Event::RenewalAsked { reissue: false }).unwrap();
    }

    pub fn observed(&self) -> Observed {
        observe::observe(&self.machine, &layout(), &self.entry)
    }

    /// Acts until nothing is left to do.
    pub fn run(&mut self) -> Result<(), String> {
        for _ in 0..40 {
            let observed = self.observed();
            let profile = self.profile();
            let reading = Reading { profile: Some(profile.clone()), read_at: Some(self.now), failure: None };
            let surroundings = surroundings();
            let world = World {
                entry: &self.entry,
                observed: &observed,
                reading: &reading,
                record: &self.record,
                surroundings: &surroundings,
                deploy: Deploy::Open,
                now: self.now,
            };
            let decision = decide(&world);
            match decision.action {
                Action::Wait if self.record.request.is_none() && decision.hook.is_none() => return Ok(()),
                Action::RunHook(hook) => self.run_hook(hook),
                Action::Wait => self.now = decision.wake_at.max(self.now + Duration::from_secs(1)),
                action => self.act(&action, (profile.id.clone(), profile.version())),
            }
        }
        Err(format!("does not come to rest: {:?}", self.record))
    }

    fn profile(&self) -> Profile {
        if self.machine.api_now().shows_newer { material::profile_with_newer() } else { material::profile() }
    }

    /// The hook of an entry that goes back fails on every generation but the first.
    fn run_hook(&mut self, hook: HookName) {
        let generation = self.record.generation.unwrap();
        let event = if self.entry.rollback && generation > Generation(1) {
            let failure = Failure::new(FailureClass::HookFailed, "exit code 1");
            Event::HookFailed { hook, generation, failure }
        } else {
            Event::HookDone { hook, generation, output: None }
        };
        self.write(event).unwrap();
    }

    fn act(&mut self, action: &Action, profile: (ProfileId, u64)) {
        let Some((mut protocol, mut effect)) = Protocol::start(&Arc::new(self.entry.clone()), profile, action) else {
            return;
        };
        self.key = self.record.request.as_ref().map(|request| request.attempt);
        loop {
            let outcome = self.perform(effect).unwrap_or_else(Outcome::Failed);
            match protocol.step(outcome) {
                Next::Perform(next) => effect = next,
                Next::End => return,
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Result<Outcome, Failure> {
        let (layout, name) = (layout(), self.entry.name.clone());
        match effect {
            Effect::CheckRoom | Effect::CheckStatus(_) => Ok(Outcome::Done),
            Effect::MakeKey { attempt, .. } => {
                self.key = Some(attempt);
                if self.swap != Some(Swap::IntentBeforeKey) {
                    self.keep_key(attempt)?;
                }
                Ok(Outcome::Key { spki: material::set(attempt).spki, key: KeyType::EcdsaP256 })
            }
            Effect::ReadKey { attempt } => {
                let (text, csr) = pending::read_key(&self.machine, &layout, &name, attempt)?;
                let lost = |_| Failure::new(FailureClass::KeyLost, "unusable");
                let spki = PrivateKey::from_pem(text.as_bytes()).map_err(lost)?.spki();
                if csr != CSR {
                    return Err(Failure::new(FailureClass::RequestRefused, "the signing request is damaged"));
                }
                Ok(Outcome::Key { spki, key: KeyType::EcdsaP256 })
            }
            Effect::Record(event) => self.record_in_order(event),
            Effect::Send(_) if self.swap == Some(Swap::SendBeforeIntent) => Ok(self.answered()),
            Effect::Send(_) => {
                self.send();
                Ok(self.answered())
            }
            Effect::LookUp => Ok(self.found()),
            Effect::PickUp(_) => Ok(self.picked_up()),
            Effect::KeepAnswer { .. } if self.swap == Some(Swap::IssuedBeforeAnswer) => Ok(Outcome::Done),
            Effect::KeepAnswer { attempt } => self.keep_answer(attempt),
            Effect::ReadAnswer { attempt, .. } => {
                self.answer = pending::read_answer(&self.machine, &layout, &name, attempt)?;
                // Once the answer was kept, nobody needs to ask the API for it: it may not allow that.
                self.answer.as_ref().map(|_| Outcome::Done).ok_or_else(forbidden)
            }
            Effect::FetchChain(_) | Effect::SearchHeld => Err(forbidden()),
            Effect::Judge { .. } => Ok(Outcome::Judged(self.judge())),
            Effect::Install { .. } if self.swap == Some(Swap::InstalledBeforeLive) => {
                let attempt = self.attempt();
                let leaf = material::set(attempt).facts.clone();
                Ok(Outcome::Installed {
                    generation: Generation(attempt.0),
                    leaf: Box::new(leaf),
                    chain: Arc::default(),
                })
            }
            Effect::Install { .. } => self.install(),
            Effect::RollBack(from) => {
                let wanted = Wanted { from, revoked: Vec::new(), force: false };
                let to = rollback::roll_back(&self.machine, &layout, &ground(), &self.entry, &wanted, self.now)?;
                Ok(Outcome::Switched(to))
            }
            Effect::Probe | Effect::Switch(_) => Err(forbidden()),
            Effect::RefreshChain => self.refresh_chain(),
            Effect::Forget { attempt } => {
                pending::forget(&self.machine, &layout, &name, attempt)?;
                Ok(Outcome::Done)
            }
            Effect::Repair { refreshes } => {
                let terms = Terms { refreshes, ..terms() };
                match repair::repair(&self.machine, &layout, &ground(), &self.entry, &terms)? {
                    Repaired::PutBack => Ok(Outcome::Done),
                    Repaired::Adopted { generation, leaf, chain } => Ok(Outcome::Adopted { generation, leaf, chain }),
                    Repaired::Refreshed { generation, ends_at } => Ok(Outcome::Refreshed { generation, ends_at }),
                }
            }
        }
    }

    fn refresh_chain(&self) -> Result<Outcome, Failure> {
        let profile = self.profile();
        let issuers = shown_by_profile(&profile.issuers);
        let terms = Terms { issuers: &issuers, ..terms() };
        let (machine, layout, ground) = (&self.machine, layout(), ground());
        let (generation, ends_at) =
            refresh::refresh(machine, &layout, &ground, &self.entry, &terms, Source::Profile(&profile.id))?;
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
        match self.swap {
            Some(Swap::IntentBeforeKey) if is_intent => self.keep_key(self.attempt())?,
            Some(Swap::IssuedBeforeAnswer) if is_issued => drop(self.keep_answer(self.attempt())?),
            Some(Swap::InstalledBeforeLive) if is_installed => drop(self.install()?),
            Some(_) | None => {}
        }
        Ok(Outcome::Done)
    }

    fn write(&mut self, event: Event) -> Result<(), Failure> {
        let is_pending = matches!(event, Event::Pending { .. });
        let entry = event::Entry { at: self.now, name: self.entry.name.clone(), event };
        if entry.event.is_durable() {
            self.journal.append(std::slice::from_ref(&entry))?;
            self.machine.note(|api| {
                api.events += 1;
                api.is_id_kept |= is_pending;
            });
        }
        self.record.apply(entry.at, &entry.event);
        Ok(())
    }

    fn attempt(&self) -> Attempt {
        self.key.unwrap()
    }

    fn keep_key(&self, attempt: Attempt) -> Result<(), Failure> {
        let set = material::set(attempt);
        pending::keep_key(&self.machine, &layout(), &self.entry.name, attempt, &set.key, CSR)
    }

    fn keep_answer(&self, attempt: Attempt) -> Result<Outcome, Failure> {
        let text = self.answer.clone().unwrap();
        pending::keep_answer(&self.machine, &layout(), &self.entry.name, attempt, &text)?;
        Ok(Outcome::Done)
    }

    fn send(&self) {
        let spki = material::set(self.attempt()).spki;
        self.machine.api("the request is accepted", |api| api.submit(spki));
    }

    fn answered(&mut self) -> Outcome {
        match self.found() {
            Outcome::NotFound => Outcome::Pending(Some(RequestId("id".to_owned())), None),
            found => found,
        }
    }

    fn found(&mut self) -> Outcome {
        let set = material::set(self.attempt());
        if !self.machine.api_now().issued.contains(&set.spki) {
            return Outcome::NotFound;
        }
        self.answer = Some(set.answer());
        Outcome::Issued(SerialNumber("01".to_owned()))
    }

    fn picked_up(&mut self) -> Outcome {
        let spki = material::set(self.attempt()).spki;
        let mode = self.machine.api_now().mode;
        self.machine.note(|api| {
            if mode == Mode::Later {
                api.issued.push(spki);
            }
        });
        if mode == Mode::Rejects { Outcome::Rejected(Text::new("no")) } else { self.found() }
    }

    fn judge(&self) -> Verdict {
        let spki = material::set(self.attempt()).spki;
        let found = self.answer.as_ref().and_then(|text| certificates(text).ok()).unwrap_or_default();
        match found.first().filter(|leaf| leaf.spki() == spki) {
            Some(_) => Verdict::Accepted,
            None => Verdict::Refused(vec![Text::new("what was kept is no certificate of ours")]),
        }
    }

    fn install(&self) -> Result<Outcome, Failure> {
        let (layout, attempt) = (layout(), self.attempt());
        let (key, _) = pending::read_key(&self.machine, &layout, &self.entry.name, attempt)?;
        let found = certificates(self.answer.as_deref().unwrap_or_default()).unwrap_or_default();
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
            &ground(),
            &self.entry,
            &set,
            if self.entry.rollback { 2 } else { 1 },
        )?;
        Ok(Outcome::Installed { generation, leaf: Box::new(facts), chain: Arc::new(served) })
    }
}

fn forbidden() -> Failure {
    Failure::new(FailureClass::ApiForbidden, "this account may not")
}

pub fn terms() -> Terms<'static> {
    Terms { issuers: &[], keep: 1, refreshes: true, now: NOW }
}

fn surroundings() -> Surroundings {
    Surroundings {
        submissions_per_day: 6,
        status_check_interval: None,
        first_poll: Duration::from_secs(30),
        clock_wrong: None,
        journal_too_new: false,
        can_search: true,
        can_check: true,
        clock_is_compared: false,
        api_is_blocked: false,
        api_recovered_at: None,
    }
}

const CSR: &str = "a signing request";
