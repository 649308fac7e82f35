//! When a certificate is unhealthy, and by which code: what makes `status` exit with 1.

use std::time::Duration;

use super::code::Code;
use super::decide::Decision;
use super::failure::FailureClass;
use super::reason::{Cause, Reason, State};
use super::record::Record;
use super::remark::Remark;
use super::schedule;
use super::time::Timestamp;
use crate::core::known::observed::{Installed, Observed};
use crate::core::known::profile::Profile;
use crate::core::known::served::{ProbeRecord, Served};
use crate::core::known::standing::{Standing, TlmState};
use crate::core::wanted::entry::Entry;

/// The code under which a certificate is a problem of the whole, if it is one.
#[must_use]
pub fn problem(
    entry: &Entry,
    observed: &Observed,
    record: &Record,
    profile: Option<&Profile>,
    decision: &Decision,
    now: Timestamp,
) -> Option<Code> {
    if observed.installed().is_some_and(|installed| installed.ends_at() < now) {
        return Some(Code::CertificateExpired);
    }
    match decision.reason.state() {
        State::Failing => return Some(Code::CertificateFailing),
        State::Rejected => return Some(Code::CertificateRejected),
        State::Deploying if is_overdue(record, now) => return Some(Code::HookOverdue),
        State::Deploying if is_unseen(record, now) => return Some(Code::ProbeOverdue),
        State::Held if !matches!(decision.reason, Reason::OnHold(_)) => return Some(Code::CertificateHeld),
        State::Valid | State::Due | State::Pending | State::Staged | State::Deploying | State::Held => {}
    }
    if has_overridden_hold(observed, record, decision, now) {
        return Some(Code::HoldOverridden);
    }
    if record.asks_fallback() || matches!(&decision.reason, Reason::Due(Cause::OfFallback)) {
        return Some(Code::FallbackAsked);
    }
    if matches!(decision.reason, Reason::Held { .. }) {
        return Some(Code::CertificateStaged);
    }
    // A program that says no is meant; one that cannot say anything is broken.
    if matches!(&decision.reason, Reason::Vetoed { failure, .. } if failure.class != FailureClass::HookVetoed) {
        return Some(Code::HookFailing);
    }
    if matches!(decision.reason, Reason::InstalledEarly(_)) {
        return Some(Code::NotYetValid);
    }
    if not_served(observed, record).is_some() {
        return Some(Code::NotServed);
    }
    if record.hooks.values().any(|hook| hook.done_at.is_none() && hook.trouble.count > 0) {
        return Some(Code::HookFailing);
    }
    let is_held = matches!(decision.reason, Reason::OnHold(_));
    match observed.installed() {
        Some(installed) => {
            let is_overdue = is_overdue_by(entry, profile, installed, now);
            let odd = odd_standing(observed, record).map(|standing| match standing.state {
                TlmState::Suspended => Code::CertificateSuspended,
                TlmState::Issued | TlmState::Revoked | TlmState::Expired | TlmState::Other(_) => {
                    Code::CertificateStateOdd
                }
            });
            let refused = is_refused(installed).then_some(Code::PathRefused);
            // What an operator puts off is late by that word.
            let late = (is_overdue && !is_held).then_some(Code::RenewalOverdue);
            late.or(refused).or(odd).or(is_held.then_some(Code::CertificateHeld))
        }
        None if is_held => Some(Code::CertificateHeld),
        None => record
            .request
            .as_ref()
            .is_some_and(|request| decision.reason.state() == State::Pending && request.since + DAY <= now)
            .then_some(Code::FirstIssuanceOverdue),
    }
}

/// Whether a certificate ends, or has ended, sooner than anybody wants: half of its renewal window is over, and no operator
/// puts its replacement off who has time for that.
#[must_use]
pub fn is_expiring(
    entry: &Entry,
    observed: &Observed,
    profile: Option<&Profile>,
    decision: &Decision,
    now: Timestamp,
) -> bool {
    let Some(installed) = observed.installed() else { return false };
    let is_put_off = matches!(&decision.reason, Reason::OnHold(held) if !held.in_emergency);
    installed.ends_at() < now || is_overdue_by(entry, profile, installed, now) && !is_put_off
}

/// Whether half of the renewal window is over.
fn is_overdue_by(entry: &Entry, profile: Option<&Profile>, installed: &Installed, now: Timestamp) -> bool {
    installed.ends_at() - schedule::window(entry, profile, installed.lifetime()) / 2 <= now
}

/// What is worth knowing of the installed set: what was noted when it was installed, and what follows from entry and
/// profile as they are now.
#[must_use]
pub fn remarks(entry: &Entry, observed: &Observed, profile: Option<&Profile>) -> Vec<Remark> {
    let Some(installed) = observed.installed() else { return Vec::new() };
    let noted = installed.remarks.list.iter().filter(|remark| remark.code != Code::ChainEndsFirst).cloned();
    let chain = installed.chain_end().map(|ca| {
        let message = format!(
            "the CA certificate {} in the chain expires at {}, before the leaf ({})",
            ca.subject, ca.at, installed.not_after
        );
        Remark::new(Code::ChainEndsFirst, &message)
    });
    // Any window is short of a tenth of what lives for ever.
    let has_end = installed.ends_at() < Timestamp::NEVER;
    let window = schedule::doubt(entry, profile, installed.lifetime()).filter(|_| has_end);
    let window = window.map(|doubt| doubt.remark());
    noted.chain(chain).chain(window).collect()
}

/// Whether TLS clients refuse the files in service.
fn is_refused(installed: &Installed) -> bool {
    installed.remarks.list.iter().any(|remark| remark.code == Code::PathRefused)
}

/// Whether a certificate cannot be a problem ([`problem`]) before its next decision: it waits for its renewal time, and
/// nothing of its past is open.
#[must_use]
pub fn is_steady(reason: &Reason, observed: &Observed, record: &Record) -> bool {
    // A hold that an emergency broke is one where nothing is due yet as well: TLM may renew later than that.
    matches!(reason, Reason::NotDue { .. })
        && !record.asks_fallback()
        && record.hold.is_none()
        && !observed.installed().is_some_and(is_refused)
        && record.checked.as_deref().is_none_or(|checked| checked.standing.is_none())
        && record.hooks.values().all(|hook| hook.done_at.is_some() || hook.trouble.count == 0)
        && record.probe.as_deref().is_none_or(|seen| seen.served == Served::Yes)
}

/// How the installed certificate stands at TLM, where that is neither in force nor revoked (which has it replaced).
#[must_use]
pub fn odd_standing<'a>(observed: &Observed, record: &'a Record) -> Option<&'a Standing> {
    let checked = record.checked.as_deref().filter(|checked| !checked.revoked)?;
    let is_its = observed.installed()?.serial_number.same(&checked.serial_number);
    checked.standing.as_deref().filter(|standing| is_its && standing.state != TlmState::Issued)
}

/// What TLS clients are shown instead of the installed certificate, as far as a probe saw it.
#[must_use]
pub fn not_served<'a>(observed: &Observed, record: &'a Record) -> Option<&'a ProbeRecord> {
    let fingerprint = observed.installed()?.fingerprint;
    record.probe.as_deref().filter(|seen| seen.fingerprint == fingerprint && seen.served == Served::No)
}

/// Whether a probe has shown nothing for over an hour.
fn is_unseen(record: &Record, now: Timestamp) -> bool {
    record.probe.as_deref().is_some_and(|seen| seen.served == Served::Unknown && seen.since + HOUR <= now)
}

/// Whether an operator's hold gave way to an emergency, which is not over yet.
fn has_overridden_hold(observed: &Observed, record: &Record, decision: &Decision, now: Timestamp) -> bool {
    let is_revoked = observed.installed().is_some_and(|installed| record.has_revoked(&installed.serial_number));
    let is_emergency = is_revoked || decision.emergency && *observed != Observed::Absent;
    is_emergency && record.hold_at(now).is_some_and(|hold| !hold.even_emergency)
}

/// Whether a problem is one that somebody wants so, and that has time: an operator's hold before it is urgent.
#[must_use]
pub fn is_intended(code: Code, reason: &Reason) -> bool {
    code == Code::CertificateHeld && matches!(reason, Reason::OnHold(held) if !held.in_emergency)
}

/// Whether a hook is owed for over an hour.
fn is_overdue(record: &Record, now: Timestamp) -> bool {
    record.hooks.values().any(|hook| hook.done_at.is_none() && hook.owed_at + HOUR <= now)
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
