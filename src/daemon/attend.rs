//! The loop's part in one certificate: it is looked at, decided for, queued and given a place, and what came of it is
//! noted. The core decides; here is only who is next.

use std::sync::Arc;

use tracing::Instrument as _;

use crate::api::Tlm;
use crate::core::decide::Action;
use crate::core::entry::Entry;
use crate::core::event::{self, Event};
use crate::core::failure::FailureClass;
use crate::core::issuer::ChainEnd;
use crate::core::name::{Attempt, CertName, ProfileRef};
use crate::core::observed::Observed;
use crate::core::reason::{Reason, State};
use crate::core::record::Record;
use crate::core::schedule;
use crate::core::standing::TlmState;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::parallel;
use crate::store::{observe, pending};

use super::ca_status;
use super::execute::Bench;
use super::fleet::{Blocked, Managed};
use super::message::Message;
use super::profiles;
use super::run::{Daemon, SHORTEST_NAP};

impl<T: Tlm> Daemon<T> {
    /// Takes every entry of the inventory under management.
    pub(super) fn adopt_all(&mut self) {
        let entries = self.inventory.entries.clone();
        let (disk, layout) = (&*self.context.disk, &self.context.layout);
        let with_requests = pending::names(disk, layout);
        let look = |entry: &Arc<Entry>| {
            let has_requests =
                with_requests.binary_search_by(|name| name.as_os_str().cmp(entry.name.as_str().as_ref())).is_ok();
            let attempts = if has_requests { pending::attempts(disk, layout, &entry.name) } else { Vec::new() };
            (observe::observe(disk, layout, entry), attempts)
        };
        let found = parallel::map(&entries, look);
        // What follows stays, and takes its place.
        drop(with_requests);
        let now = self.context.clock.now();
        let mut adopted = Vec::with_capacity(entries.len());
        for (entry, (observed, attempts)) in entries.iter().zip(found) {
            let record = self.record_of(&entry.name, &attempts);
            adopted.push(Managed::new(Arc::clone(entry), observed, record, now));
        }
        self.fleet.fill(adopted);
        entries.iter().for_each(|entry| self.settle(&entry.name));
    }

    /// Takes an entry under management.
    pub(super) fn adopt(&mut self, entry: Arc<Entry>) {
        let (disk, layout) = (&*self.context.disk, &self.context.layout);
        let observed = observe::observe(disk, layout, &entry);
        let attempts = pending::attempts(disk, layout, &entry.name);
        let now = self.context.clock.now();
        let record = self.record_of(&entry.name, &attempts);
        let name = entry.name.clone();
        self.fleet.add(Managed::new(entry, observed, record, now), now);
        self.note_set(&name, None);
        self.settle(&name);
    }

    fn record_of(&mut self, name: &CertName, attempts: &[Attempt]) -> Record {
        let record = self.records.remove(name).unwrap_or_default();
        self.forget_orphans(name, &record, attempts);
        record
    }

    /// Removes the keys of requests that were never submitted: the journal does not know them. One that is too new may
    /// know them in words of its own.
    fn forget_orphans(&self, name: &CertName, record: &Record, attempts: &[Attempt]) {
        if self.surroundings.journal_too_new {
            return;
        }
        let context = &self.context;
        for attempt in attempts.iter().filter(|attempt| !record.knows(**attempt)) {
            if let Err(failure) = pending::forget(&*context.disk, &context.layout, name, *attempt) {
                tracing::warn!(%name, "{failure}");
            }
        }
    }

    /// Observes certificates beside the loop; the decisions follow when that is done. Many at once share a thread; each
    /// that has files outside of the state directory has one of its own, since those may hang.
    pub(super) fn look_at(&mut self, names: &[CertName]) {
        let free = names.iter().filter_map(|name| self.fleet.one(name)).filter(|managed| !managed.is_busy());
        let entries = free.map(|managed| Arc::clone(&managed.entry));
        let (apart, together): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.files.targets().next().is_some());
        let batches = together.chunks(LOOKS_AT_ONCE).chain(apart.chunks(1));
        for batch in batches {
            let (entries, context) = (batch.to_vec(), Arc::clone(&self.context));
            self.looks += 1;
            tokio::task::spawn_blocking(move || {
                let look =
                    |entry: Arc<Entry>| (entry.name.clone(), observe::observe(&*context.disk, &context.layout, &entry));
                context.tell(Message::Observed(entries.into_iter().map(look).collect()));
            });
        }
    }

    /// Observes one certificate beside the loop.
    pub(super) fn look(&mut self, name: &CertName) {
        self.look_at(std::slice::from_ref(name));
    }

    /// Decides for one certificate, and sets in motion what was decided.
    pub(super) fn settle(&mut self, name: &CertName) {
        let now = self.context.clock.now();
        self.fleet.step_out(name);
        self.surroundings.api_recovered_at = self.breaker.recovered_at();
        self.surroundings.clock_is_compared = self.clock.is_compared();
        self.surroundings.api_is_blocked =
            self.breaker.open_until().is_some() || self.context.paused_until(now).is_some();
        let Some(managed) = self.fleet.one(name).filter(|managed| !managed.is_busy()) else { return };
        let entry = Arc::clone(&managed.entry);
        let before = managed.decision().reason.clone();
        self.profiles.know(&entry.profile);
        let reading = self.profiles.reading(&entry.profile);
        let decide = |managed: &mut Managed| {
            let is_first = managed.is_new();
            managed.decide(reading, &self.surroundings, now);
            (managed.decision().action.clone(), managed.decision().wake_at, is_first)
        };
        let Some((action, wake_at, is_first)) = self.fleet.change(name, decide) else { return };
        let wake_at = wake_at.max(now + SHORTEST_NAP).min(schedule::look_again(name, now));
        if self.profiles.is_stale(&entry.profile, now) && self.breaker.open_until().is_none() {
            self.profiles.want(&entry.profile);
        }
        self.fleet.wake(name, wake_at);
        self.owe_hook(name);
        match action {
            Action::Wait | Action::RunHook(_) => {}
            Action::ReadProfile(profile) => self.want_profile(name, &profile),
            // What it needs is here, as a rule: an outage holds no install back.
            Action::Install { .. } => self.fleet.line_up(name),
            Action::Submit(_) | Action::LookUp(_) | Action::PickUp(..) | Action::CheckStatus(_) => self.queue_up(name),
            action @ (Action::Repair { .. }
            | Action::RefreshChain
            | Action::Abandon(_)
            | Action::ForgetKeys(_)
            | Action::RepeatHooks(_)
            | Action::Probe
            | Action::RollBack(_)
            | Action::Forward { .. }
            | Action::Recognise(_)) => self.execute(name, action, false),
        }
        self.log_change(name, &before, is_first);
    }

    fn want_profile(&mut self, name: &CertName, profile: &ProfileRef) {
        match self.blocked(name) {
            Some(reason) => self.hold_back(name, reason),
            None => self.profiles.want(profile),
        }
    }

    /// A due certificate waits for a place; while the API as a whole is not asked, for that.
    fn queue_up(&mut self, name: &CertName) {
        match self.blocked(name) {
            Some(reason) => self.hold_back(name, reason),
            None => self.fleet.line_up(name),
        }
    }

    /// Why a certificate asks nobody now, whatever it waits for itself.
    fn blocked(&self, name: &CertName) -> Option<Blocked> {
        let now = self.context.clock.now();
        let paused_until = self.context.paused_until(now);
        self.fleet.one(name)?.blocked(&self.breaker, paused_until, now)
    }

    fn hold_back(&mut self, name: &CertName, blocked: Blocked) {
        let now = self.context.clock.now();
        let Some(managed) = self.fleet.one(name) else { return };
        let wake_at = managed.held_until(&blocked, self.profiles.reading(&managed.entry.profile), now);
        self.fleet.hold_back(name, blocked.reason, wake_at);
    }

    /// Holds a certificate back whose turn came after the API as a whole went down.
    fn is_held_back(&mut self, name: &CertName, action: &Action) -> bool {
        if matches!(action, Action::Install { .. }) {
            return false;
        }
        let Some(blocked) = self.blocked(name) else { return false };
        self.hold_back(name, blocked);
        true
    }

    /// Gives places to profiles that have to be read, and to those who wait first in line.
    pub(super) fn admit(&mut self) {
        if self.breaker.open_until().is_some() {
            self.profiles.want_none();
        }
        while let Some(profile) = self.profiles.next(|| self.places.take(false)) {
            tokio::spawn(profiles::read(Arc::clone(&self.context), profile));
        }
        while let Some((name, emergency)) = self.fleet.first_in_line() {
            if !self.places.take(emergency) {
                self.mark_queued(&name);
                return;
            }
            self.fleet.leave_line();
            match self.fleet.one(&name).map(|managed| managed.decision().action.clone()) {
                Some(action) if action.needs_api() && !self.is_held_back(&name, &action) => {
                    self.execute(&name, action, true);
                }
                _ => self.places.give_back(),
            }
        }
    }

    fn mark_queued(&mut self, name: &CertName) {
        self.fleet.amend(name, |decision| {
            if let Reason::Due(cause) = &decision.reason {
                decision.reason = Reason::Queued(cause.clone());
            }
        });
    }

    fn execute(&mut self, name: &CertName, action: Action, has_place: bool) {
        let Some(managed) = self.fleet.one(name) else { return };
        let profile = self.profiles.reading(&managed.entry.profile).profile.clone().map(Arc::new);
        let bench = Bench::new(
            Arc::clone(&self.context),
            Arc::clone(&managed.entry),
            profile,
            managed.observed.installed().cloned(),
            managed.record.request.as_deref().cloned(),
            has_place,
        )
        .avoiding(managed.record.revoked.clone())
        .urgent(managed.passes_pause(self.context.clock.now()));
        self.fleet.begin(name);
        tokio::spawn(bench.run(action).instrument(span(name)));
    }

    pub(super) fn observed(&mut self, name: &CertName, observed: Observed) {
        if self.fleet.one(name).is_some_and(|managed| !managed.is_busy()) {
            let before = self.fleet.change(name, |managed| {
                let before = std::mem::replace(&mut managed.observed, observed);
                ca_status::set_of(&before)
            });
            self.note_set(name, before.flatten());
            self.settle(name);
        }
    }

    pub(super) fn happened(&mut self, entry: &event::Entry) {
        log_event(entry);
        self.metrics.happened(&entry.event);
        let apply = |record: &mut Record| record.apply(entry.at, &entry.event);
        if self.fleet.change(&entry.name, |managed| apply(&mut managed.record)).is_none() {
            apply(self.records.entry(entry.name.clone()).or_default());
        }
    }

    pub(super) fn finished(&mut self, name: &CertName, had_place: bool) {
        if had_place {
            self.places.give_back();
        }
        self.fleet.end(name);
        self.look(name);
    }

    /// Records an event of the loop's own: kept for later where the disk does not take it.
    pub(super) fn note(&mut self, entry: event::Entry) {
        self.note_all(vec![entry]);
    }

    /// Records several such events by one write.
    pub(super) fn note_all(&mut self, entries: Vec<event::Entry>) {
        if entries.is_empty() {
            return;
        }
        let journal = &self.context.journal;
        if let Err(failure) = journal.append(&entries) {
            entries.iter().for_each(|entry| journal.keep_for_later(entry));
            tracing::error!("{failure}");
        }
        entries.iter().for_each(|entry| self.happened(entry));
    }

    /// A reason is logged when it changes, not at each look.
    fn log_change(&mut self, name: &CertName, before: &Reason, is_first: bool) {
        let Some(managed) = self.fleet.one(name) else { return };
        let reason = &managed.decision().reason;
        // A new time for the same wait is no news.
        let is_same = std::mem::discriminant(reason) == std::mem::discriminant(before);
        if is_same && reason.failure() == before.failure() && reason.state() == before.state() {
            return;
        }
        self.headline_is_old = true;
        // Of many thousands that a start finds in order, each by itself is no news.
        let is_first = is_first || matches!(before, Reason::ProfileUnknown { .. });
        if is_first && reason.state() == State::Valid && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let _span = span(name).entered();
        let class = reason.failure().map(|failure| failure.class);
        let code = reason.code();
        let remedy = class.map_or("see `renewd status`", FailureClass::remedy);
        match reason.state() {
            State::Valid if is_first => tracing::debug!(state = %reason.state(), code, "{reason}"),
            State::Failing | State::Rejected | State::Held => {
                tracing::warn!(state = %reason.state(), code, remedy, "{reason}")
            }
            State::Valid | State::Due | State::Pending | State::Staged | State::Deploying => {
                tracing::info!(state = %reason.state(), code, "{reason}");
            }
        }
    }
}

/// The span of a certificate: everything that is logged in it names the certificate, at every level.
fn span(name: &CertName) -> tracing::Span {
    tracing::error_span!("certificate", %name)
}

/// Logs what became live.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others speak of no set")]
fn log_set(event: &Event) {
    match event {
        Event::Installed { generation, serial_number, not_after, issuer, chain_end, .. } => {
            let issuer = issuer.as_ref().map_or("", Text::as_str);
            let until = valid_until(*not_after, chain_end.as_deref());
            if chain_end.is_some() {
                tracing::warn!(%generation, %serial_number, issuer, "installed; valid until {until}");
            } else {
                tracing::info!(%generation, %serial_number, issuer, "installed; valid until {until}");
            }
        }
        Event::Adopted { generation, serial_number, not_after, issuer, chain_end, .. } => {
            let issuer = issuer.as_ref().map_or("", Text::as_str);
            let until = valid_until(*not_after, chain_end.as_deref());
            tracing::warn!(%generation, %serial_number, issuer, "taken over as found, no request on record; valid until {until}");
        }
        Event::ChainRefreshed { generation, ends_at, .. } => {
            tracing::info!(%generation, "installed the same certificate with a newer chain; valid until {ends_at}");
        }
        _ => {}
    }
}

/// The end that counts, and whose it is where that is not the leaf's.
pub(super) fn valid_until(leaf: Timestamp, chain_end: Option<&ChainEnd>) -> String {
    chain_end.map_or_else(
        || leaf.to_string(),
        |ca| format!("{}, when the CA certificate {} in its chain expires (the leaf: {leaf})", ca.at, ca.subject),
    )
}

fn log_event(entry: &event::Entry) {
    let _span = span(&entry.name).entered();
    match &entry.event {
        Event::Installed { .. } | Event::Adopted { .. } | Event::ChainRefreshed { .. } => log_set(&entry.event),
        Event::Pending { request_id, dv_details: Some(details), .. } => {
            tracing::warn!(%request_id, "TLM will issue later: {details}");
        }
        Event::Pending { request_id, .. } => tracing::info!(%request_id, "TLM will issue later"),
        Event::GateRefused { why, ends_no_later, .. } => {
            let class = if *ends_no_later { FailureClass::EndsNoLater } else { FailureClass::GateRefused };
            why.iter().for_each(|why| tracing::error!(code = class.code(), "what TLM issued is not installed: {why}"));
        }
        Event::Rejected { why, .. } => {
            tracing::error!(code = FailureClass::RequestRejected.code(), "rejected by an administrator: {why}")
        }
        Event::Repaired => tracing::info!("files put back as they should be"),
        Event::StatusChecked { revoked: true, .. } => {
            tracing::error!("TLM says that the certificate is revoked")
        }
        Event::StatusChecked { standing: Some(standing), .. } if standing.state != TlmState::Issued => {
            tracing::warn!("TLM says that the certificate is {standing}");
        }
        Event::HooksAgain { .. } => tracing::warn!("not served although the hooks ran: they run once more"),
        Event::RolledBack { from, to, .. } => {
            tracing::warn!("generation {to} is live again instead of generation {from}");
        }
        Event::RollbackRefused { failure, .. } => {
            tracing::error!(code = failure.class.code(), "no way back: {failure}");
        }
        Event::Forward { generation, .. } => tracing::info!(%generation, "live again, its hooks are tried once more"),
        Event::HookDone { hook, output: None, .. } => tracing::info!(%hook, "the hook ran"),
        Event::HookDone { hook, output: Some(output), .. } => {
            tracing::info!(%hook, "the hook ran; it printed: {output}")
        }
        Event::HookFailed { hook, failure, .. } => {
            tracing::error!(%hook, code = failure.class.code(), "{failure}")
        }
        Event::AnswerLost { failure, .. } => {
            let (code, remedy) = (failure.class.code(), failure.class.remedy());
            tracing::warn!(code, remedy, "whether TLM issued a certificate is not known: {}", failure.message);
        }
        Event::HookBegun { .. }
        | Event::Submitting { .. }
        | Event::NotAccepted { .. }
        | Event::RefusalUnclear { .. }
        | Event::LookedUp { .. }
        | Event::Polled { .. }
        | Event::PickupUnknown { .. }
        | Event::Issued { .. }
        | Event::Held { .. }
        | Event::Waits { .. }
        | Event::Abandoned { .. }
        | Event::KeyForgotten { .. }
        | Event::Failed { .. }
        | Event::StatusChecked { .. }
        | Event::StatusUnread
        | Event::ChainKept { .. }
        | Event::Probed { .. }
        | Event::RenewalAsked { .. }
        | Event::LetGo
        | Event::Unknown => tracing::debug!("{:?}", entry.event),
    }
}

/// So many certificates are looked at one after the other before the loop is told.
const LOOKS_AT_ONCE: usize = 64;
