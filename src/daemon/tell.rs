//! What the log shows: the events of the journal, and what the engine tells beside them.

use crate::core::code::Code;
use crate::core::event::{self, Event};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::ca_status::Outcome;
use crate::core::known::credential::REMEDY;
use crate::core::known::issuer::ChainEnd;
use crate::core::known::standing::TlmState;
use crate::core::name::{CertName, HookName};
use crate::core::reason::{Reason, State};
use crate::core::remedy::with_name;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::hooks::Ended;
use crate::engine::{News, credentials};

/// Logs what the engine tells.
pub(super) fn news(news: &News) {
    match news {
        News::Decided { name, reason, is_first, is_change } => {
            if *is_change {
                decided(name, reason, *is_first);
            }
        }
        News::ClockStepped { before, after } => {
            tracing::warn!("the clock was set, or the machine slept: {before} is followed by {after}");
        }
        News::ClockWrong(true) => {
            tracing::error!("this host's clock is wrong: renewd submits nothing until it is corrected");
        }
        News::ClockWrong(false) => tracing::info!("this host's clock is right again"),
        News::ApiAnswers => tracing::info!("the API answers again"),
        News::TrialFailed(failure) => tracing::debug!("a trial failed: {failure}"),
        News::FunctionForbidden(failure) => {
            tracing::warn!(
                "the API key may not use this function; renewd does not use it again before a reload: {failure}"
            );
        }
        News::NextKey(name) => tracing::warn!("trying the next API key: {name}"),
        News::ProfileUnread(profile, failure) => tracing::warn!(%profile, "the profile could not be read: {failure}"),
        News::CredentialEnds(nearness, remark) => {
            let code = credentials::code(*nearness);
            if nearness.is_unhealthy() {
                tracing::error!(code = code.as_str(), remedy = REMEDY, "{remark}");
            } else {
                tracing::warn!(code = code.as_str(), remedy = REMEDY, "{remark}");
            }
        }
        News::CredentialUnread(name, failure) if failure.class == FailureClass::ApiForbidden => {
            tracing::warn!(code = failure.class.code(), "cannot find out when {name} expires: {failure}");
        }
        News::CredentialUnread(name, failure) if failure.class == FailureClass::ApiUnauthorised => {
            tracing::warn!(code = failure.class.code(), "TLM does not accept {name}: {failure}");
        }
        News::CredentialUnread(name, failure) => tracing::debug!("could not read when {name} expires: {failure}"),
        News::Removed(name) => tracing::warn!(%name, "no longer in the inventory; its files stay"),
        News::InventoryChanged { added, changed, removed } => {
            tracing::info!(added, changed, removed, "the inventory changed");
        }
        News::Problem(problem) => tracing::error!(code = %problem.code, "{}; {}", problem.message, problem.remedy),
        News::Mended(code) => tracing::info!(code, "mended"),
        News::CaRevoked(problem) => tracing::error!(code = %problem.code, "{}; {}", problem.message, problem.remedy),
        News::CaAsked(subject, Outcome::Told(standing)) => {
            tracing::debug!("the CA certificate {subject}: {standing:?}");
        }
        News::CaAsked(subject, Outcome::NobodyToAsk) => {
            tracing::debug!("the CA certificate {subject} names no CRL and no responder");
        }
        News::CaAsked(subject, Outcome::Unknown(why)) => {
            tracing::debug!("cannot find out the status of the CA certificate {subject}: {why}");
        }
    }
}

/// Something else was decided for a certificate.
fn decided(name: &CertName, reason: &Reason, is_first: bool) {
    let _span = span(name).entered();
    let class = reason.failure().map(|failure| failure.class);
    let code = reason.code();
    let remedy = class.map_or_else(|| "see `renewd status`".to_owned(), |class| with_name(class.remedy(), name));
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

/// What came of telling somebody.
pub(super) fn notify_ended(notify: &HookName, ended: &Ended) {
    match ended {
        Ended::Done(None) => tracing::info!(%notify, "notified"),
        Ended::Done(Some(output)) => tracing::info!(%notify, "notified; it printed: {output}"),
        Ended::Failed(failure, _) | Ended::TimedOut(failure, _) => {
            tracing::error!(%notify, code = Code::NotifyFailing.as_str(), "{failure}; it runs again");
        }
        Ended::Stopped => {
            tracing::info!(%notify, "renewd stopped the notification because it is stopping itself; it runs again after the next start");
        }
    }
}

/// The span of a certificate: everything that is logged in it names the certificate, at every level.
pub(super) fn span(name: &CertName) -> tracing::Span {
    tracing::error_span!("certificate", %name)
}

/// Logs what became live.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others speak of no set")]
fn set(event: &Event) {
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
            tracing::warn!(%generation, %serial_number, issuer, "adopted as found, without a request on record; valid until {until}");
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

pub(super) fn event(entry: &event::Entry) {
    let _span = span(&entry.name).entered();
    match &entry.event {
        Event::Installed { .. } | Event::Adopted { .. } | Event::ChainRefreshed { .. } => set(&entry.event),
        Event::Pending { request_id, dv_details: Some(details), .. } => {
            tracing::warn!(%request_id, "TLM will issue later: {details}");
        }
        Event::Pending { request_id, .. } => tracing::info!(%request_id, "TLM will issue later"),
        Event::GateRefused { why, ends_no_later, .. } => {
            let class = if *ends_no_later { FailureClass::EndsNoLater } else { FailureClass::GateRefused };
            why.iter()
                .for_each(|why| tracing::error!(code = class.code(), "the certificate from TLM is refused: {why}"));
        }
        Event::Rejected { why, .. } => {
            tracing::error!(code = FailureClass::RequestRejected.code(), "rejected by an administrator: {why}")
        }
        Event::Repaired => tracing::info!("files put back"),
        Event::StatusChecked { revoked: true, .. } => {
            tracing::error!("TLM reports the certificate as revoked")
        }
        Event::StatusChecked { standing: Some(standing), .. } if standing.state != TlmState::Issued => {
            tracing::warn!("TLM reports the certificate as {standing}");
        }
        Event::HooksAgain { .. } => tracing::warn!("not served although the hooks ran: running them again"),
        Event::RolledBack { from, to, .. } => {
            tracing::warn!("generation {to} is live again instead of generation {from}");
        }
        Event::RollbackRefused { failure, .. } => {
            tracing::error!(code = failure.class.code(), "cannot switch back: {failure}");
        }
        Event::Forward { generation, .. } => tracing::info!(%generation, "live again; running its hooks again"),
        Event::HookDone { hook, output, .. } => ran(hook, output.as_ref()),
        Event::HookFailed { hook, failure, .. } => {
            tracing::error!(%hook, code = failure.class.code(), "{failure}")
        }
        Event::SwitchVetoed { hook, failure, overruled } => veto(hook, failure, *overruled),
        Event::AnswerLost { failure, .. } => {
            let (code, remedy) = (failure.class.code(), failure.remedy_of(&entry.name));
            tracing::warn!(code, remedy, "renewd does not know whether TLM issued a certificate: {}", failure.message);
        }
        Event::HoldBegun { until, why, even_emergency } => {
            let until = until.map(|until| until.to_string()).unwrap_or_default();
            let why = why.as_ref().map_or("", Text::as_str);
            tracing::warn!(until, why, even_emergency, "an operator put the certificate on hold");
        }
        Event::FellBack { .. } | Event::FallbackLeft | Event::HoldReleased => goes_on(&entry.event),
        Event::SupersededRevoked { .. } | Event::RevocationFailed { .. } => superseded(&entry.event),
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
        | Event::ServiceSeen { .. }
        | Event::ChainKept { .. }
        | Event::Probed { .. }
        | Event::RenewalAsked { .. }
        | Event::DeployAsked { .. }
        | Event::EntryChanged
        | Event::LeftInventory
        | Event::Unknown => tracing::debug!("{:?}", entry.event),
    }
}

/// Logs which of two profiles is asked from now on, or that a hold is over.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others have words of their own")]
fn goes_on(event: &Event) {
    match event {
        Event::FellBack { why } => tracing::warn!("asking the fallback profile: its own could not issue: {why}"),
        Event::FallbackLeft => tracing::info!("asking its own profile again, no longer the fallback"),
        _ => tracing::info!("an operator released the hold"),
    }
}

/// Logs what became of a certificate that was replaced.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others speak of none")]
fn superseded(event: &Event) {
    match event {
        Event::SupersededRevoked { serial_number, outcome } => {
            if outcome.is_revoked() {
                tracing::info!(%serial_number, "the certificate that it replaced is revoked");
            } else {
                tracing::warn!(%serial_number, "TLM does not know the certificate that it replaced: nothing to revoke");
            }
        }
        Event::RevocationFailed { serial_number, failure } => {
            tracing::warn!(%serial_number, code = failure.class.code(), "could not revoke the certificate that it replaced: {failure}");
        }
        _ => {}
    }
}

fn ran(hook: &HookName, output: Option<&Text>) {
    match output {
        None => tracing::info!(%hook, "the hook ran"),
        Some(output) => tracing::info!(%hook, "the hook ran; it printed: {output}"),
    }
}

/// A program of a hook said no.
fn veto(hook: &HookName, failure: &Failure, overruled: bool) {
    let code = failure.class.code();
    if overruled {
        tracing::error!(%hook, code, "the new set is switched in anyway, since there is no time left: {failure}");
    } else {
        tracing::warn!(%hook, code, "the new set is not switched in: {failure}");
    }
}
