//! Executing an action: performs the effects that the protocol names, one after the other, and tells what came of
//! each. No effect is chosen here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::api::{Answer, IssueRequest, Page, Pickup, RenewRequest, Tlm};
use crate::core::breaker::Function;
use crate::core::code::Code;
use crate::core::decide::Action;
use crate::core::entry::{Entry, Usage, Validity};
use crate::core::event::{self, Event, Method};
use crate::core::failure::{Failure, FailureClass};
use crate::core::issuer::ServedChain;
use crate::core::key::KeyType;
use crate::core::name::{Attempt, Digest, Generation, RequestId, SerialNumber};
use crate::core::observed::Installed;
use crate::core::profile::Profile;
use crate::core::protocol::{Effect, Next, Outcome, Protocol, Verdict};
use crate::core::record::Request;
use crate::core::remark::{Remark, Remarks};
use crate::core::request::compose;
use crate::core::subject;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::window::Deploy;
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
use super::message::Message;
use super::probe;
use super::zone;

mod fetch;

/// One action on the bench: what it is about, and what it has in hand.
pub struct Bench<T: Tlm> {
    context: Arc<Context<T>>,
    entry: Arc<Entry>,
    profile: Option<Arc<Profile>>,
    installed: Option<Installed>,
    request: Option<Request>,
    had_place: bool,
    is_urgent: bool,
    key: Option<Zeroizing<String>>,
    csr: String,
    spki: Option<Digest>,
    answer: answer::Answer,
    set: Option<Box<gate::Set>>,
    revoked: Vec<SerialNumber>,
    /// When it was laid out, by the wall clock and by the steady one.
    began: (Timestamp, Duration),
}

impl<T: Tlm> Bench<T> {
    /// Lays an action out.
    #[must_use]
    pub fn new(
        context: Arc<Context<T>>,
        entry: Arc<Entry>,
        profile: Option<Arc<Profile>>,
        installed: Option<Installed>,
        request: Option<Request>,
        had_place: bool,
    ) -> Self {
        let spki = request.as_ref().map(|request| request.spki);
        Self {
            began: (context.clock.now(), context.clock.steady()),
            context,
            entry,
            profile,
            installed,
            request,
            had_place,
            is_urgent: false,
            key: None,
            csr: String::new(),
            spki,
            answer: answer::Answer::default(),
            set: None,
            revoked: Vec::new(),
        }
    }

    /// Never goes back to one of these certificates: TLM revoked them.
    #[must_use]
    pub fn avoiding(self, revoked: Vec<SerialNumber>) -> Self {
        Self { revoked, ..self }
    }

    /// Whether its requests leave during a pause.
    #[must_use]
    pub fn urgent(self, is_urgent: bool) -> Self {
        Self { is_urgent, ..self }
    }

    /// Performs the action to its end.
    pub async fn run(mut self, action: Action) {
        let of_request = self.request.as_ref().map(|request| (request.profile.clone(), request.profile_version));
        let of_profile = self.profile.as_ref().map(|profile| (profile.id.clone(), profile.version()));
        let profile = of_profile.or(of_request).unwrap_or_else(|| (crate::core::name::ProfileId("".into()), 0));
        if let Some((mut protocol, mut effect)) = Protocol::start(&self.entry, profile, &action) {
            loop {
                let outcome = self.perform(effect).await.unwrap_or_else(Outcome::Failed);
                match protocol.step(outcome) {
                    Next::Perform(next) => effect = next,
                    Next::End => break,
                }
            }
        }
        self.context.tell(Message::Finished { name: self.entry.name.clone(), had_place: self.had_place });
    }

    async fn perform(&mut self, effect: Effect) -> Result<Outcome, Failure> {
        let entry = Arc::clone(&self.entry);
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
            Effect::Install { in_window: true, .. } if self.is_window_closed() => Ok(Outcome::WindowClosed),
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
                let (now, revoked) = (self.context.clock.now(), self.revoked.clone());
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
                let installed = self.installed.as_ref().filter(|installed| installed.serial_number.same(&serial));
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
        self.context.take_turn(self.is_urgent).await;
        self.ask(function, request).await
    }

    /// The decision to submit was made by the clock as it was then: a request that waited for its turn does not leave by
    /// another one (promise 12).
    fn check_clock(&self) -> Result<(), Failure> {
        let (wall, steady) = self.began;
        let expected = wall + self.context.clock.steady().saturating_sub(steady);
        let now = self.context.clock.now();
        if now.distance(expected) <= STEP {
            return Ok(());
        }
        let message = format!("nothing was sent: the clock was set, or the machine slept; {expected} became {now}");
        Err(Failure::new(FailureClass::ClockSet, message))
    }

    /// What came before the switch may have taken longer than the deploy window.
    fn is_window_closed(&self) -> bool {
        zone::deploy(self.entry.deploy_window.as_deref(), self.context.clock.now()) != Deploy::Open
    }

    /// Asks the API at once, and tells the loop how it went.
    async fn ask<R>(
        &self,
        function: Function,
        request: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        let result = request.await;
        let failure = result.as_ref().err().cloned();
        let (name, profile) = (self.entry.name.clone(), self.entry.profile.clone());
        self.context.tell(Message::Answered { name, profile, function, failure });
        result
    }

    /// Makes key and CSR, or takes the installed key where the entry keeps it, and puts both on the disk.
    async fn make_key(&mut self, attempt: Attempt, kind: KeyType) -> Result<Outcome, Failure> {
        let entry = Arc::clone(&self.entry);
        let profile = self.profile.clone();
        let live = self.installed.as_ref().map(|installed| installed.generation).filter(|_| entry.reuse_key);
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
        let name = self.entry.name.clone();
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
        if matches!(event, Event::Submitting { .. }) {
            // A submission counts from its intent on: what waits for its turn, waits before.
            self.context.take_turn(self.is_urgent).await;
            self.check_clock()?;
        }
        let entry = event::Entry { at: self.context.clock.now(), name: self.entry.name.clone(), event };
        if entry.event.is_durable() {
            let must = matches!(entry.event, Event::Submitting { .. });
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
                    self.context.tell(Message::Happened(entry));
                }
                return Err(failure);
            }
        }
        self.context.tell(Message::Happened(entry));
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
                    validity: self.entry.validity,
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
        let Some(profile) = &self.profile else {
            return Err(Failure::new(FailureClass::Internal, "a request without a profile"));
        };
        let wish = compose(&self.entry, profile)?;
        Ok(IssueRequest {
            profile: profile.id.clone(),
            seat: self.entry.naming.seat().into_owned(),
            seat_email: self.entry.seat_email.clone(),
            csr: self.csr.clone(),
            subject: wish.subject,
            names: self.entry.names(),
            validity: wish.validity,
            custom_values: wish.custom_values,
            cert_owner_ids: self.entry.cert_owner_ids.to_vec(),
            tags: self.entry.tags.to_vec(),
            custom_attributes: self.entry.custom_attributes.to_vec(),
            ca_attributes: BTreeMap::clone(&self.entry.ca_attributes),
        })
    }

    /// Searches for what TLM holds of the same seat and name. What came without its content is fetched, of the first few.
    async fn search_held(&self) -> Result<Outcome, Failure> {
        let api = self.context.api();
        let mut items = self.call(Function::Search, api.search(&held::query(&self.entry), Page::FIRST)).await?.items;
        for item in items.iter_mut().filter(|item| item.certificate.is_none()).take(MOST_FETCHED) {
            let details = api.details(&item.serial_number, item.thumbprint.as_deref());
            if let Ok(details) = self.call(Function::Details, details).await {
                item.certificate = details.certificate;
            }
        }
        let profile = self.profile.as_ref().map(|profile| &profile.id);
        let installed = self.installed.as_ref().map(|installed| &installed.serial_number);
        Ok(Outcome::Holds(held::valid(&items, profile, installed, self.context.clock.now())))
    }

    async fn pick_up(&mut self, id: RequestId) -> Result<Outcome, Failure> {
        let profile = self.request.as_ref().map(|request| request.profile.clone());
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
        let name = self.entry.name.clone();
        self.context.blocking(move |c| pending::keep_answer(&*c.disk, &c.layout, &name, attempt, &text)).await?;
        Ok(Outcome::Done)
    }

    async fn read_answer(&mut self, attempt: Attempt, serial: SerialNumber) -> Result<Outcome, Failure> {
        let name = self.entry.name.clone();
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
        let of_record = self.request.as_ref().is_some_and(|request| request.expiring);
        let renewed = self.installed.as_ref().filter(|_| expiring.unwrap_or(of_record));
        let must_outlive = renewed.and_then(|installed| installed.to_outlive(attempt));
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
        let wish = self.profile.as_ref().and_then(|profile| compose(&self.entry, profile).ok());
        let validity = wish.as_ref().map_or(self.entry.validity, |wish| wish.validity);
        let mut subject = wish.map_or_else(|| self.entry.subject.clone(), |wish| wish.subject);
        subject.remove(&subject::SubjectAttribute::CommonName);
        let usages = self.entry.usages.clone().unwrap_or_else(|| {
            self.installed.as_ref().map_or_else(Vec::new, |installed| Usage::of_installed(&installed.usages))
        });
        let demand = Demand {
            common_name: self.entry.naming.common_name(),
            names: &self.entry.names(),
            subject: &subject,
            subject_from: self.entry.subject_from,
            exact_names: self.entry.exact_names,
            usages: &usages,
            issuers: &issuers,
            pin: self.entry.issuer.as_deref(),
            installed_issuer: self.installed.as_ref().map(|installed| &installed.chain.issuer),
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
        let lacks_root = self.entry.include_root && set.root.is_none();
        self.set = Some(set);
        if lacks_root { Verdict::Rootless } else { Verdict::Accepted }
    }

    async fn repair(&self, refreshes: bool) -> Result<Outcome, Failure> {
        let (entry, issuers, now) = (Arc::clone(&self.entry), self.issuers(), self.context.clock.now());
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
        let (entry, issuers, now) = (Arc::clone(&self.entry), self.issuers(), self.context.clock.now());
        let profile = self.profile.as_ref().map(|profile| profile.id.clone());
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
        answer::shown_by_profile(self.profile.iter().flat_map(|profile| &profile.issuers))
    }

    async fn install(&mut self, attempt: Attempt) -> Result<Outcome, Failure> {
        let Some(set) = self.set.take() else { return Err(Failure::new(FailureClass::Internal, "nothing to install")) };
        let profile = match (&self.request, &self.profile) {
            (Some(request), _) => request.profile.clone(),
            (None, Some(profile)) => profile.id.clone(),
            (None, None) => return Err(Failure::new(FailureClass::Internal, "a set without a profile")),
        };
        let mut remarks = set.remarks.clone();
        if self.entry.include_root && set.root.is_none() {
            let message = "neither TLM nor the profile shows the root: the chains are written without it";
            remarks.push(Remark::new(Code::RootUnknown, message));
        }
        for remark in &remarks {
            tracing::warn!(code = remark.code.as_str(), "{}", remark.message);
        }
        let entry = Arc::clone(&self.entry);
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

impl<T: Tlm> Bench<T> {
    async fn probe(&self) -> Outcome {
        let Some(installed) = &self.installed else { return Outcome::Done };
        let sights = probe::look(&self.entry, installed.key).await;
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

/// So far the clocks may differ without anybody having set one.
const STEP: Duration = Duration::from_secs(60);
const MOST_FETCHED: usize = 3;
