//! Executing an action: performs the effects that the protocol names, one after the other, and tells what came of
//! each. No effect is chosen here.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::api::{Answer, IssueRequest, Page, Pickup, RenewRequest, Tlm};
use crate::core::breaker::Function;
use crate::core::code::Code;
use crate::core::entry::{Entry, Usage, Validity};
use crate::core::event::{self, Event, Method};
use crate::core::failure::{Failure, FailureClass};
use crate::core::issuer::ServedChain;
use crate::core::key::KeyType;
use crate::core::name::{Attempt, Digest, Generation, RequestId, SerialNumber};
use crate::core::protocol::{Effect, Outcome, Verdict};
use crate::core::remark::{Remark, Remarks};
use crate::core::request::compose;
use crate::core::subject;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::Input;
use crate::engine::job::Job;
use crate::pki::answer;
use crate::pki::certificate::Certificate;
use crate::pki::csr;
use crate::pki::gate::{self, Candidate, Demand};
use crate::pki::key::PrivateKey;
use crate::store::content::KEY;
use crate::store::generation::NewSet;
use crate::store::refresh::{self, Source};
use crate::store::repair::{Repaired, Terms};
use crate::store::rollback::{self, Wanted};
use crate::store::{fixed, generation, pending, repair};

use super::context::Context;
use super::held;
use super::probe;

mod fetch;

/// Performs one action, and holds what its effects have in hand.
pub struct ActionRunner<T: Tlm> {
    context: Arc<Context<T>>,
    job: Job,
    key: Option<Zeroizing<String>>,
    csr: String,
    spki: Option<Digest>,
    answer: answer::Answer,
    set: Option<Box<gate::Set>>,
}

impl<T: Tlm> ActionRunner<T> {
    /// An action that is about to be performed.
    #[must_use]
    pub fn new(context: Arc<Context<T>>, job: Job) -> Self {
        let spki = job.request.as_ref().map(|request| request.spki);
        Self { context, job, key: None, csr: String::new(), spki, answer: answer::Answer::default(), set: None }
    }

    /// Performs the action to its end.
    pub async fn run(mut self) {
        loop {
            let effect = self.job.effect.clone();
            let outcome = self.perform(effect).await.unwrap_or_else(Outcome::Failed);
            if !self.job.step(outcome) {
                break;
            }
        }
        let (name, had_place) = (self.job.entry.name.clone(), self.job.had_place);
        self.context.tell_engine(Input::Finished { name, had_place });
    }

    async fn perform(&mut self, effect: Effect) -> Result<Outcome, Failure> {
        let entry = Arc::clone(&self.job.entry);
        match effect {
            Effect::CheckRoom => {
                self.context.blocking(move |c| fixed::check_room(&*c.disk, &c.layout, &c.ground, &entry)).await?;
                Ok(Outcome::Done)
            }
            Effect::MakeKey { attempt, key } => self.make_key(attempt, key).await,
            Effect::ReadKey { attempt } => self.read_key(attempt).await,
            Effect::Record(event) => self.record(event).await,
            Effect::Send(method) => self.send(method).await,
            Effect::LookUp => self.look_up().await,
            Effect::SearchHeld => self.search_held().await,
            Effect::PickUp(id) => self.pick_up(id).await,
            Effect::KeepAnswer { attempt } => self.keep_answer(attempt).await,
            Effect::ReadAnswer { attempt, serial_number } => self.read_answer(attempt, serial_number).await,
            Effect::FetchChain(serial) => self.fetch_chain(serial).await,
            Effect::Judge { attempt, expiring, emergency } => self.judge(attempt, expiring, emergency).await,
            Effect::Install { in_window: true, .. } if self.job.is_window_closed(self.context.clock.now()) => {
                Ok(Outcome::WindowClosed)
            }
            Effect::Install { attempt, .. } => self.install(attempt).await,
            Effect::Forget { attempt } => {
                let name = entry.name.clone();
                self.context.blocking(move |c| pending::forget(&*c.disk, &c.layout, &name, attempt)).await?;
                Ok(Outcome::Done)
            }
            Effect::Repair { refreshes } => self.repair(refreshes).await,
            Effect::RefreshChain => self.refresh_chain().await,
            Effect::Probe => Ok(self.probe().await),
            Effect::RollBack(from) => {
                let (now, revoked) = (self.context.clock.now(), self.job.revoked.clone());
                let wanted = Wanted { from, revoked, force: false };
                let switched = self
                    .context
                    .blocking(move |c| rollback::roll_back(&*c.disk, &c.layout, &c.ground, &entry, &wanted, now));
                Ok(Outcome::Switched(switched.await?))
            }
            Effect::Switch(generation) => {
                self.context
                    .blocking(move |c| rollback::make_live(&*c.disk, &c.layout, &c.ground, &entry, generation))
                    .await?;
                Ok(Outcome::Switched(generation))
            }
            Effect::CheckStatus(serial) => {
                let installed = self.job.installed.as_ref().filter(|installed| installed.serial_number.same(&serial));
                let thumbprint = installed.map(|installed| installed.fingerprint.to_string());
                let api = self.context.api();
                let details = self.call(Function::Details, api.details(&serial, thumbprint.as_deref())).await?;
                Ok(Outcome::Status(Box::new(details.standing)))
            }
        }
    }

    /// Asks the API: waits for its turn first, and tells the loop how it went.
    async fn call<R>(
        &self,
        function: Function,
        request: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        self.context.take_turn(self.job.is_urgent).await;
        self.ask(function, request).await
    }

    /// Asks the API at once, and tells the loop how it went.
    async fn ask<R>(
        &self,
        function: Function,
        request: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        let result = request.await;
        let failure = result.as_ref().err().cloned();
        let (name, profile) = (self.job.entry.name.clone(), self.job.entry.profile.clone());
        self.context.tell_engine(Input::Answered { name, profile, function, failure });
        result
    }

    /// Makes key and CSR, or takes the installed key where the entry keeps it, and puts both on the disk.
    async fn make_key(&mut self, attempt: Attempt, kind: KeyType) -> Result<Outcome, Failure> {
        let entry = Arc::clone(&self.job.entry);
        let profile = self.job.profile.clone();
        let live = self.job.installed.as_ref().map(|installed| installed.generation).filter(|_| entry.reuse_key);
        let (key, csr, spki, kind) = self
            .context
            .blocking(move |c| {
                let key = match live {
                    Some(live) => installed_key(c, &entry, live, kind)?,
                    None => generate(kind)?,
                };
                let wish = profile.map(|profile| compose(&entry, &profile)).transpose()?;
                let subject = wish.map_or_else(|| entry.subject.clone(), |wish| wish.subject);
                let csr = csr::make(&key, &subject, &entry.names()).map_err(|error| {
                    Failure::new(FailureClass::EntryMismatch, format!("no signing request: {error}"))
                })?;
                let text = key.to_pem();
                pending::keep_key(&*c.disk, &c.layout, &entry.name, attempt, &text, &csr)?;
                Ok((text, csr, key.spki(), kind))
            })
            .await?;
        (self.key, self.csr, self.spki) = (Some(key), csr, Some(spki));
        Ok(Outcome::Key { spki, key: kind })
    }

    async fn read_key(&mut self, attempt: Attempt) -> Result<Outcome, Failure> {
        let name = self.job.entry.name.clone();
        let (text, csr) =
            self.context.blocking(move |c| pending::read_key(&*c.disk, &c.layout, &name, attempt)).await?;
        let lost = |why: String| {
            Failure::new(FailureClass::KeyLost, format!("the key of request {attempt} is unusable: {why}"))
        };
        let key = PrivateKey::from_pem(text.as_bytes()).map_err(|error| lost(error.to_string()))?;
        let kind = key.key_type().ok_or_else(|| lost("its type is none that renewd makes".to_owned()))?;
        let spki = key.spki();
        (self.key, self.csr, self.spki) = (Some(text), csr, Some(spki));
        Ok(Outcome::Key { spki, key: kind })
    }

    /// Appends to the journal. Only the intent to submit must be durable before anything follows; what has happened
    /// has happened, and is written as soon as the disk takes it.
    async fn record(&mut self, event: Event) -> Result<Outcome, Failure> {
        if event.is_intent() {
            // A submission counts from its intent on: what waits for its turn, waits before.
            self.context.take_turn(self.job.is_urgent).await;
            self.job.check_clock(&self.context.now())?;
        }
        let entry = event::Entry { at: self.context.clock.now(), name: self.job.entry.name.clone(), event };
        if entry.event.is_durable() {
            let must = entry.event.is_intent();
            let written = entry.clone();
            let append = self
                .context
                .blocking(move |c| {
                    let journal = &c.journal;
                    journal.append(std::slice::from_ref(&written)).inspect_err(|_| {
                        if !must {
                            journal.keep_for_later(&written);
                        }
                    })
                })
                .await;
            if let Err(failure) = append {
                if !must {
                    self.context.tell_engine(Input::Happened(entry));
                }
                return Err(failure);
            }
        }
        self.context.tell_engine(Input::Happened(entry));
        Ok(Outcome::Done)
    }

    async fn send(&mut self, method: Method) -> Result<Outcome, Failure> {
        let api = self.context.api();
        let answer = match method {
            Method::New => {
                let request = self.issue_request()?;
                self.ask(Function::Main, api.issue(&request)).await?
            }
            Method::Renew { serial_number, fingerprint } => {
                let request = RenewRequest {
                    serial_number,
                    thumbprint: Some(fingerprint.to_string()),
                    csr: self.csr.clone(),
                    validity: self.job.entry.validity,
                };
                self.ask(Function::Main, api.renew(&request)).await?
            }
        };
        match answer {
            Answer::Issued(issued) => Ok(self.take(issued)),
            Answer::Pending(id, dv_details) => Ok(Outcome::Pending(Some(id), dv_details.map(Box::new))),
        }
    }

    fn issue_request(&self) -> Result<IssueRequest, Failure> {
        let Some(profile) = &self.job.profile else {
            return Err(Failure::new(FailureClass::Internal, "a request without a profile"));
        };
        let wish = compose(&self.job.entry, profile)?;
        Ok(IssueRequest {
            profile: profile.id.clone(),
            seat: self.job.entry.naming.seat().into_owned(),
            seat_email: self.job.entry.seat_email.clone(),
            csr: self.csr.clone(),
            subject: wish.subject,
            names: self.job.entry.names(),
            validity: wish.validity,
            custom_values: wish.custom_values,
            cert_owner_ids: self.job.entry.cert_owner_ids.to_vec(),
            tags: self.job.entry.tags.to_vec(),
            custom_attributes: self.job.entry.custom_attributes.to_vec(),
            ca_attributes: BTreeMap::clone(&self.job.entry.ca_attributes),
        })
    }

    /// Searches for what TLM holds of the same seat and name. What came without its content is fetched, of the first few.
    async fn search_held(&self) -> Result<Outcome, Failure> {
        let api = self.context.api();
        let mut items =
            self.call(Function::Search, api.search(&held::query(&self.job.entry), Page::FIRST)).await?.items;
        for item in items.iter_mut().filter(|item| item.certificate.is_none()).take(MOST_FETCHED) {
            let details = api.details(&item.serial_number, item.thumbprint.as_deref());
            if let Ok(details) = self.call(Function::Details, details).await {
                item.certificate = details.certificate;
            }
        }
        let profile = self.job.profile.as_ref().map(|profile| &profile.id);
        let installed = self.job.installed.as_ref().map(|installed| &installed.serial_number);
        Ok(Outcome::Holds(held::valid(&items, profile, installed, self.context.clock.now())))
    }

    async fn pick_up(&mut self, id: RequestId) -> Result<Outcome, Failure> {
        let profile = self.job.request.as_ref().map(|request| request.profile.clone());
        let Some(profile) = profile else {
            return Err(Failure::new(FailureClass::Internal, "a pickup without a request"));
        };
        let api = self.context.api();
        Ok(match self.call(Function::Main, api.pick_up(&id, &profile)).await? {
            Pickup::Issued(issued) => self.take(issued),
            Pickup::Pending(dv_details) => Outcome::Pending(None, dv_details.map(Box::new)),
            Pickup::Rejected(why) => Outcome::Rejected(why),
            Pickup::Unknown(what) => {
                let message = format!("TLM answers the pickup with {what}");
                return Err(Failure::new(FailureClass::RequestRefused, message));
            }
        })
    }

    async fn keep_answer(&mut self, attempt: Attempt) -> Result<Outcome, Failure> {
        let text = self.answer.kept();
        let name = self.job.entry.name.clone();
        self.context.blocking(move |c| pending::keep_answer(&*c.disk, &c.layout, &name, attempt, &text)).await?;
        Ok(Outcome::Done)
    }

    async fn read_answer(&mut self, attempt: Attempt, serial: SerialNumber) -> Result<Outcome, Failure> {
        let name = self.job.entry.name.clone();
        let kept = self.context.blocking(move |c| pending::read_answer(&*c.disk, &c.layout, &name, attempt)).await?;
        match kept {
            Some(text) => self.answer = answer::Answer::of_kept(&text),
            // What the details do not show, the additional formats may.
            None => match self.fetch_leaf(&serial).await {
                Err(failure) if !fetch::is_about_this_alone(&failure) => return Err(failure),
                Err(_) | Ok(()) => {}
            },
        }
        Ok(Outcome::Done)
    }

    async fn judge(&mut self, attempt: Attempt, expiring: Option<bool>, emergency: bool) -> Result<Outcome, Failure> {
        let Some(key) = self.spki else { return Err(Failure::new(FailureClass::Internal, "nothing to judge by")) };
        let must_outlive = self.job.must_outlive(attempt, expiring);
        let verdict = self.verdict(&self.answer.certificates, key, must_outlive, self.context.clock.now());
        Ok(Outcome::Judged(match verdict {
            gate::Verdict::Accepted(set) => self.accept(set),
            gate::Verdict::Held { why, set, .. } if emergency => {
                tracing::warn!("installed all the same, nothing better is there: {why}");
                self.accept(set)
            }
            gate::Verdict::Held { why, lack, .. } => Verdict::Held(why, lack),
            gate::Verdict::NotYetValid { until, .. } => Verdict::NotYetValid(until),
            gate::Verdict::Refused(why) => {
                let is_end = must_outlive.is_some_and(|installed| self.is_only_a_cas_end(key, installed));
                let why = why.into_iter().chain(self.unreadable()).collect();
                if is_end { Verdict::EndsNoLater(why) } else { Verdict::Refused(why) }
            }
        }))
    }

    /// Whether nothing is wrong with what was refused but that a CA keeps it from serving longer than what is installed.
    fn is_only_a_cas_end(&self, key: Digest, installed: Timestamp) -> bool {
        match self.verdict(&self.answer.certificates, key, None, self.context.clock.now()) {
            gate::Verdict::Refused(_) => false,
            gate::Verdict::Accepted(set) | gate::Verdict::Held { set, .. } | gate::Verdict::NotYetValid { set, .. } => {
                set.is_limited_by_ca(installed)
            }
        }
    }

    fn verdict(
        &self,
        pool: &[Certificate],
        key: Digest,
        must_outlive: Option<Timestamp>,
        now: Timestamp,
    ) -> gate::Verdict {
        let issuers = self.issuers();
        let wish = self.job.profile.as_ref().and_then(|profile| compose(&self.job.entry, profile).ok());
        let validity = wish.as_ref().map_or(self.job.entry.validity, |wish| wish.validity);
        let mut subject = wish.map_or_else(|| self.job.entry.subject.clone(), |wish| wish.subject);
        subject.remove(&subject::SubjectAttribute::CommonName);
        let usages = self.job.entry.usages.clone().unwrap_or_else(|| {
            self.job.installed.as_ref().map_or_else(Vec::new, |installed| Usage::of_installed(&installed.usages))
        });
        let demand = Demand {
            common_name: self.job.entry.naming.common_name(),
            names: &self.job.entry.names(),
            subject: &subject,
            subject_from: self.job.entry.subject_from,
            exact_names: self.job.entry.exact_names,
            usages: &usages,
            issuers: &issuers,
            pin: self.job.entry.issuer.as_deref(),
            installed_issuer: self.job.installed.as_ref().map(|installed| &installed.chain.issuer),
            validity_asked: validity.map(Validity::span),
            must_outlive,
            now,
        };
        gate::judge(&Candidate { certificates: pool, key }, &demand)
    }

    /// What could not be read of all that TLM sent, in words for log, status and refusal.
    fn unreadable(&self) -> Vec<Text> {
        let told = |note: &Text| Text::new(&format!("part of what TLM sent could not be read: {note}"));
        self.answer.unreadable.iter().map(told).collect()
    }

    fn accept(&mut self, mut set: Box<gate::Set>) -> Verdict {
        let unreadable = self.unreadable();
        set.remarks.extend(unreadable.iter().map(|what| Remark::new(Code::AnswerUnreadable, what.as_str())));
        let lacks_root = self.job.entry.include_root && set.root.is_none();
        self.set = Some(set);
        if lacks_root { Verdict::Rootless } else { Verdict::Accepted }
    }

    async fn repair(&self, refreshes: bool) -> Result<Outcome, Failure> {
        let (entry, issuers, now) = (Arc::clone(&self.job.entry), self.issuers(), self.context.clock.now());
        let repaired = self
            .context
            .blocking(move |c| {
                let terms = Terms { issuers: &issuers, keep: c.keep_generations, refreshes, now };
                repair::repair(&*c.disk, &c.layout, &c.ground, &entry, &terms)
            })
            .await?;
        Ok(match repaired {
            Repaired::PutBack => Outcome::Done,
            Repaired::Adopted { generation, leaf, chain } => Outcome::Adopted { generation, leaf, chain },
            Repaired::Refreshed { generation, ends_at } => Outcome::Refreshed { generation, ends_at },
        })
    }

    async fn refresh_chain(&self) -> Result<Outcome, Failure> {
        let (entry, issuers, now) = (Arc::clone(&self.job.entry), self.issuers(), self.context.clock.now());
        let profile = self.job.profile.as_ref().map(|profile| profile.id.clone());
        let profile = profile.ok_or_else(|| Failure::new(FailureClass::Internal, "a chain without a profile"))?;
        let refreshed = self
            .context
            .blocking(move |c| {
                let terms = Terms { issuers: &issuers, keep: c.keep_generations, refreshes: true, now };
                refresh::refresh(&*c.disk, &c.layout, &c.ground, &entry, &terms, Source::Profile(&profile))
            })
            .await;
        let (generation, ends_at) =
            refreshed.inspect_err(|failure| tracing::warn!(code = failure.class.code(), "{}", failure.message))?;
        Ok(Outcome::Refreshed { generation, ends_at })
    }

    /// The CA certificates that the profile shows.
    fn issuers(&self) -> Vec<Certificate> {
        answer::shown_by_profile(self.job.profile.iter().flat_map(|profile| &profile.issuers))
    }

    async fn install(&mut self, attempt: Attempt) -> Result<Outcome, Failure> {
        let Some(set) = self.set.take() else { return Err(Failure::new(FailureClass::Internal, "nothing to install")) };
        let profile = match (&self.job.request, &self.job.profile) {
            (Some(request), _) => request.profile.clone(),
            (None, Some(profile)) => profile.id.clone(),
            (None, None) => return Err(Failure::new(FailureClass::Internal, "a set without a profile")),
        };
        let mut remarks = set.remarks.clone();
        if self.job.entry.include_root && set.root.is_none() {
            let message = "neither TLM nor the profile shows the root: the chains are written without it";
            remarks.push(Remark::new(Code::RootUnknown, message));
        }
        for remark in &remarks {
            tracing::warn!(code = remark.code.as_str(), "{}", remark.message);
        }
        let entry = Arc::clone(&self.job.entry);
        let held = self.key.take();
        let facts = Box::new(set.facts.clone());
        let chain = Arc::new(ServedChain { issuer: set.issuer.clone(), end: set.chain_end.clone() });
        let remarks = Remarks::at(self.context.clock.now(), remarks).into();
        let installed = Arc::clone(&chain);
        let generation = self
            .context
            .blocking(move |c| {
                let key = match held {
                    Some(key) => key,
                    None => pending::read_key(&*c.disk, &c.layout, &entry.name, attempt)?.0,
                };
                let set = NewSet {
                    leaf: &set.leaf,
                    facts: &set.facts,
                    chain: &set.chain,
                    root: set.root.as_ref(),
                    key: &key,
                    attempt,
                    profile: &profile,
                    served: &installed,
                    refreshes: None,
                    remarks: &remarks,
                };
                generation::install(&*c.disk, &c.layout, &c.ground, &entry, &set, c.keep_generations)
            })
            .await?;
        Ok(Outcome::Installed { generation, leaf: facts, chain })
    }
}

impl<T: Tlm> ActionRunner<T> {
    async fn probe(&self) -> Outcome {
        let Some(installed) = &self.job.installed else { return Outcome::Done };
        let sights = probe::look(&self.job.entry, installed.key).await;
        Outcome::Probed { fingerprint: installed.fingerprint, sights }
    }
}

fn generate(kind: KeyType) -> Result<PrivateKey, Failure> {
    PrivateKey::generate(kind)
        .map_err(|error| Failure::new(FailureClass::Internal, format!("cannot make a key: {error}")))
}

/// The installed key, for an entry that keeps it; a new one where the type has to change, or renewd cannot use the
/// installed one.
fn installed_key<T: Tlm>(
    context: &Context<T>,
    entry: &Entry,
    live: Generation,
    kind: KeyType,
) -> Result<PrivateKey, Failure> {
    let path = match entry.files.private_key.as_ref().or(entry.files.bundle.as_ref()) {
        Some(path) if live == Generation(0) => path.clone(),
        _ => context.layout.generation(&entry.name, live).join(KEY),
    };
    let bytes = context.disk.read(&path, crate::store::observe::FILE_LIMIT);
    let bytes =
        Zeroizing::new(bytes.map_err(|error| crate::store::disk_failure("read the key to keep,", &path, &error))?);
    let why = match PrivateKey::from_pem(&bytes) {
        Ok(key) if key.key_type() == Some(kind) => return Ok(key),
        Ok(key) => key.key_type().map_or_else(|| "is of another type".to_owned(), |other| format!("is {other}")),
        Err(error) => format!("cannot be used: {error}"),
    };
    let (name, path) = (&entry.name, path.display());
    tracing::warn!(%name, "reuse_key: the key in {path} {}; the next certificate gets a new key, {kind}", Text::new(&why));
    generate(kind)
}

const MOST_FETCHED: usize = 3;
