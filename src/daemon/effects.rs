//! Executing an action: performs the effects that the protocol names, one after the other, and tells what came of
//! each. No effect is chosen here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::api::{self, IssueRequest, Page, Pickup, RenewRequest, Tlm};
use crate::core::code::Code;
use crate::core::event::{self, Event, Method};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::issuer::ServedChain;
use crate::core::known::served::AddressProbe;
use crate::core::name::{Attempt, Digest, RequestId, SerialNumber};
use crate::core::protocol::{self, Issued, Next, Payload};
use crate::core::remark::{Remark, Remarks};
use crate::core::request::compose;
use crate::engine::breaker::Function;
use crate::engine::job::Job;
use crate::engine::{Asker, Input, Step};
use crate::pki::answer::{Answer, shown_by_profile};
use crate::pki::certificate::Certificate;
use crate::pki::gate;
use crate::store::generation::NewSet;
use crate::store::refresh::{self, Source};
use crate::store::repair::{RepairInputs, Repaired};
use crate::store::rollback::{self, Wanted};
use crate::store::{generation, pending, repair, targets};

use super::context::Context;
use super::{held, probe};

mod ask;
mod fetch;
mod judge;
mod keys;
mod revoke;

/// What the effects of the daemon hand to each other.
#[derive(Clone, Debug)]
struct InHand;

impl Payload for InHand {
    type Key = Arc<RequestKey>;
    type Answer = Answer;
    type Set = Box<gate::Set>;
    fn is_empty(answer: &Answer) -> bool {
        answer.certificates.is_empty()
    }
}

type Effect = protocol::Effect<InHand>;
type Outcome = protocol::Outcome<InHand>;

/// The key of a request, with what is sent of it.
struct RequestKey {
    pem: Zeroizing<String>,
    csr: String,
    spki: Digest,
}

/// Without the key itself (promise 10).
impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestKey").field(&self.spki).finish()
    }
}

/// Performs the effects of one action.
pub struct ActionRunner<T: Tlm> {
    context: Arc<Context<T>>,
    job: Job,
    /// Says when hooks have to end.
    stop: watch::Receiver<bool>,
}

impl<T: Tlm> ActionRunner<T> {
    /// An action that is about to be performed.
    #[must_use]
    pub const fn new(context: Arc<Context<T>>, job: Job, stop: watch::Receiver<bool>) -> Self {
        Self { context, job, stop }
    }

    /// Performs the action to its end.
    pub async fn run(mut self) {
        if let Some((mut protocol, mut effect)) = self.job.start::<InHand>() {
            loop {
                if self.job.frees_place(&effect) {
                    self.context.tell_engine(Input::PlaceReturned);
                }
                let outcome = self.perform(effect).await.unwrap_or_else(Outcome::Failed);
                match protocol.step(outcome) {
                    Next::Perform(next) => effect = next,
                    Next::End => break,
                }
            }
        }
        let (name, had_place) = (self.job.entry.name.clone(), self.job.had_place);
        self.context.tell_engine(Input::Finished { name, had_place });
    }

    async fn perform(&self, effect: Effect) -> Result<Outcome, Failure> {
        let entry = Arc::clone(&self.job.entry);
        if let Some(step) = self.job.needs(&effect)
            && !self.context.may(&entry.name, step).await
        {
            return Ok(Outcome::NotNow);
        }
        match effect {
            Effect::CheckRoom => {
                self.context
                    .install(&entry, |c, entry| targets::check_room(&*c.disk, &c.layout, &c.identity, entry))
                    .await?;
                Ok(Outcome::Done)
            }
            Effect::MakeKey { attempt, key } => self.make_key(attempt, key).await,
            Effect::ReadKey { attempt } => self.read_key(attempt).await,
            Effect::Record(event) => self.record(event).await,
            Effect::Send(method, key) => self.send(method, &key).await,
            Effect::LookUp(spki) => self.look_up(spki).await,
            Effect::SearchHeld => self.search_held().await,
            Effect::PickUp { id, spki } => self.pick_up(id, spki).await,
            Effect::KeepAnswer { attempt, answer } => self.keep_answer(attempt, &answer).await,
            Effect::ReadAnswer { attempt, serial_number, spki } => self.read_answer(attempt, serial_number, spki).await,
            Effect::FetchChain { issued, is_good } => Ok(self.fetch_chain(issued, is_good).await),
            Effect::Judge { attempt, expiring, emergency, spki, answer } => {
                let must_outlive = self.job.must_outlive(attempt, expiring);
                Ok(Outcome::Judged(self.judge(&answer, spki, must_outlive, emergency)))
            }
            Effect::AskBefore => Ok(self.ask_before().await),
            Effect::Install { attempt, set, key } => self.install(attempt, set, key).await,
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
                let switched = self.context.install(&entry, move |c, entry| {
                    rollback::roll_back(&*c.disk, &c.layout, &c.identity, entry, &wanted, now)
                });
                Ok(Outcome::Switched(switched.await?))
            }
            Effect::Switch(generation) => {
                self.context
                    .install(&entry, move |c, entry| {
                        rollback::make_live(&*c.disk, &c.layout, &c.identity, entry, generation)
                    })
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
            Effect::Revoke(certificate) => self.revoke(*certificate).await,
        }
    }

    /// Asks the API: waits for its turn first, and tells the loop how it went.
    async fn call<R>(
        &self,
        function: Function,
        request: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        self.context.take_turn(Asker::Certificate(self.job.entry.name.clone())).await;
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

    /// Appends to the journal. Only the intent to submit must be durable before anything follows; what has happened
    /// has happened, and is written as soon as the disk takes it.
    async fn record(&self, event: Event) -> Result<Outcome, Failure> {
        if event.is_intent() {
            // A submission counts from its intent on: what waits for its turn, waits before.
            let name = &self.job.entry.name;
            let may_be_right = self.context.take_turn(Asker::Certificate(name.clone())).await;
            if !self.context.may(name, Step::Ask).await {
                return Ok(Outcome::NotNow);
            }
            self.job.check_clock(may_be_right, &self.context.now())?;
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

    async fn send(&self, method: Method, key: &RequestKey) -> Result<Outcome, Failure> {
        let api = self.context.api();
        let answer = match method {
            Method::New => {
                let request = self.issue_request(&key.csr)?;
                self.ask(Function::Main, api.issue(&request)).await?
            }
            Method::Renew { serial_number, fingerprint } => {
                let request = RenewRequest {
                    serial_number,
                    thumbprint: Some(fingerprint.to_string()),
                    csr: key.csr.clone(),
                    validity: self.job.entry.validity,
                };
                self.ask(Function::Main, api.renew(&request)).await?
            }
        };
        match answer {
            api::Answer::Issued(issued) => Ok(self.take(&issued, key.spki)),
            api::Answer::Pending(id, dv_details) => Ok(Outcome::Pending(Some(id), dv_details.map(Box::new))),
        }
    }

    fn issue_request(&self, csr: &str) -> Result<IssueRequest, Failure> {
        let Some(profile) = &self.job.profile else {
            return Err(Failure::new(FailureClass::Internal, "a request without a profile"));
        };
        let wish = compose(&self.job.entry, profile)?;
        Ok(IssueRequest {
            profile: profile.id.clone(),
            seat: self.job.entry.naming.seat().into_owned(),
            seat_email: self.job.entry.seat_email.clone(),
            csr: csr.to_owned(),
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

    async fn pick_up(&self, id: RequestId, spki: Digest) -> Result<Outcome, Failure> {
        let profile = self.job.request.as_ref().map(|request| request.profile.clone());
        let Some(profile) = profile else {
            return Err(Failure::new(FailureClass::Internal, "a pickup without a request"));
        };
        let api = self.context.api();
        Ok(match self.call(Function::Main, api.pick_up(&id, &profile)).await? {
            Pickup::Issued(issued) => self.take(&issued, spki),
            Pickup::Pending(dv_details) => Outcome::Pending(None, dv_details.map(Box::new)),
            Pickup::Rejected(why) => Outcome::Rejected(why),
            Pickup::Unknown(what) => {
                let message = format!("TLM answers the pickup with {what}");
                return Err(Failure::new(FailureClass::RequestRefused, message));
            }
        })
    }

    async fn keep_answer(&self, attempt: Attempt, answer: &Answer) -> Result<Outcome, Failure> {
        let text = answer.kept();
        let name = self.job.entry.name.clone();
        self.context.blocking(move |c| pending::keep_answer(&*c.disk, &c.layout, &name, attempt, &text)).await?;
        Ok(Outcome::Done)
    }

    async fn read_answer(&self, attempt: Attempt, serial: SerialNumber, spki: Digest) -> Result<Outcome, Failure> {
        let name = self.job.entry.name.clone();
        let kept = self.context.blocking(move |c| pending::read_answer(&*c.disk, &c.layout, &name, attempt)).await?;
        if let Some(text) = kept {
            return Ok(Outcome::Fetched(Answer::of_kept(&text), None));
        }
        let mut answer = Answer::default();
        // What the details do not show, the additional formats may.
        let failure = self.fetch_leaf(&serial, spki, &mut answer).await.err();
        Ok(Outcome::Fetched(answer, failure.filter(|failure| !fetch::is_about_this_alone(failure))))
    }

    async fn repair(&self, refreshes: bool) -> Result<Outcome, Failure> {
        let (entry, issuers, now) = (Arc::clone(&self.job.entry), self.issuers(), self.context.clock.now());
        let repaired = self
            .context
            .install(&entry, move |c, entry| {
                let terms = RepairInputs { issuers: &issuers, keep: c.keep_generations(), refreshes, now };
                repair::repair(&*c.disk, &c.layout, &c.identity, entry, &terms)
            })
            .await?;
        Ok(match repaired {
            Repaired::PutBack => Outcome::Done,
            Repaired::Adopted { generation, leaf, chain, replaces } => {
                Outcome::Adopted { generation, leaf, chain, replaces }
            }
            Repaired::Refreshed { generation, ends_at } => Outcome::Refreshed { generation, ends_at },
        })
    }

    async fn refresh_chain(&self) -> Result<Outcome, Failure> {
        let (entry, issuers, now) = (Arc::clone(&self.job.entry), self.issuers(), self.context.clock.now());
        let profile = self.job.profile.as_ref().map(|profile| profile.id.clone());
        let profile = profile.ok_or_else(|| Failure::new(FailureClass::Internal, "a chain without a profile"))?;
        let refreshed = self
            .context
            .install(&entry, move |c, entry| {
                let terms = RepairInputs { issuers: &issuers, keep: c.keep_generations(), refreshes: true, now };
                refresh::refresh(&*c.disk, &c.layout, &c.identity, entry, &terms, Source::Profile(&profile))
            })
            .await;
        let (generation, ends_at) =
            refreshed.inspect_err(|failure| tracing::warn!(code = failure.class.code(), "{}", failure.message))?;
        Ok(Outcome::Refreshed { generation, ends_at })
    }

    /// The CA certificates that the profile shows.
    fn issuers(&self) -> Vec<Certificate> {
        shown_by_profile(self.job.profile.iter().flat_map(|profile| &profile.issuers))
    }

    async fn install(
        &self,
        attempt: Attempt,
        set: Box<gate::Set>,
        key: Option<Arc<RequestKey>>,
    ) -> Result<Outcome, Failure> {
        let profile = match (&self.job.request, &self.job.profile) {
            (Some(request), _) => request.profile.clone(),
            (None, Some(profile)) => profile.id.clone(),
            (None, None) => return Err(Failure::new(FailureClass::Internal, "a set without a profile")),
        };
        let mut remarks = set.remarks.clone();
        remarks.extend(self.job.of_fallback.clone());
        if self.job.entry.include_root && set.root.is_none() {
            let message = "neither TLM nor the profile shows the root: renewd writes the chains without it";
            remarks.push(Remark::new(Code::RootUnknown, message));
        }
        for remark in &remarks {
            tracing::warn!(code = remark.code.as_str(), "{}", remark.message);
        }
        let entry = Arc::clone(&self.job.entry);
        let facts = Box::new(set.facts.clone());
        let chain = Arc::new(ServedChain { issuer: set.issuer.clone(), end: set.chain_end.clone() });
        let remarks = Remarks::at(self.context.clock.now(), remarks).into();
        let installed = Arc::clone(&chain);
        let (generation, replaces) = self
            .context
            .install(&entry, move |c, entry| {
                let read;
                let key = if let Some(key) = &key {
                    &key.pem
                } else {
                    read = pending::read_key(&*c.disk, &c.layout, &entry.name, attempt)?.0;
                    &read
                };
                let set = NewSet {
                    leaf: &set.leaf,
                    facts: &set.facts,
                    chain: &set.chain,
                    root: set.root.as_ref(),
                    key,
                    attempt,
                    profile: &profile,
                    served: &installed,
                    refreshes: None,
                    remarks: &remarks,
                };
                let keep = c.keep_generations();
                let generation = generation::install(&*c.disk, &c.layout, &c.identity, entry, &set, keep)?;
                Ok((generation, generation::replaced(&*c.disk, &c.layout, entry, generation)))
            })
            .await?;
        Ok(Outcome::Installed { generation, leaf: facts, chain, replaces })
    }
}

impl<T: Tlm> ActionRunner<T> {
    async fn probe(&self) -> Outcome {
        let Some(installed) = &self.job.installed else { return Outcome::Done };
        let clock = &self.context.clock;
        // A service that was told to reload does so in its own time: the old leaf is no news before that.
        let until = clock.steady() + if self.job.is_first_look { SETTLING } else { Duration::ZERO };
        let is_served =
            |sight: &AddressProbe| sight.leaf.as_ref().is_ok_and(|leaf| leaf.fingerprint == installed.fingerprint);
        let sights = loop {
            let sights = probe::look(&self.job.entry, installed.key).await;
            if sights.iter().all(is_served) || clock.steady() >= until {
                break sights;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        };
        Outcome::Probed { fingerprint: installed.fingerprint, sights }
    }
}

const MOST_FETCHED: usize = 3;

/// So long a service may take until it shows what its hook told it to.
const SETTLING: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
