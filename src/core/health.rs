//! When a certificate is unhealthy, and by which code: what makes `status` exit with 1.

use std::time::Duration;

use super::decide::Decision;
use super::entry::Entry;
use super::observed::Observed;
use super::profile::Profile;
use super::reason::{Reason, State};
use super::record::Record;
use super::schedule;
use super::time::Timestamp;

/// The code under which a certificate is a problem of the whole, if it is one.
#[must_use]
pub fn problem(
    entry: &Entry,
    observed: &Observed,
    record: &Record,
    profile: Option<&Profile>,
    decision: &Decision,
    now: Timestamp,
) -> Option<&'static str> {
    if observed.installed().is_some_and(|installed| installed.not_after < now) {
        return Some("certificate-expired");
    }
    match decision.reason.state() {
        State::Failing => return Some("certificate-failing"),
        State::Rejected => return Some("certificate-rejected"),
        State::Deploying if is_overdue(record, now) => return Some("hook-overdue"),
        State::Valid | State::Due | State::Pending | State::Staged | State::Deploying => {}
    }
    if matches!(decision.reason, Reason::Held { .. }) {
        return Some("certificate-staged");
    }
    if record.hooks.values().any(|hook| hook.done_at.is_none() && hook.trouble.count > 0) {
        return Some("hook-failing");
    }
    match observed.installed() {
        Some(installed) => {
            let window = schedule::window(entry, profile, installed.lifetime());
            (installed.not_after - window / 2 <= now).then_some("renewal-overdue")
        }
        None => record
            .request
            .as_ref()
            .is_some_and(|request| decision.reason.state() == State::Pending && request.since + DAY <= now)
            .then_some("first-issuance-overdue"),
    }
}

/// Whether a hook is owed for over an hour.
fn is_overdue(record: &Record, now: Timestamp) -> bool {
    record.hooks.values().any(|hook| hook.done_at.is_none() && hook.owed_at + HOUR <= now)
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
