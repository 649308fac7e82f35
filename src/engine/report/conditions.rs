//! What is wrong, thing by thing: the problems of the status as conditions that somebody can be told of. Each error of the
//! status is one, and of the warnings those that have an occasion of their own.

use std::collections::BTreeMap;

use super::problems::{self, listed};
use super::{Facts, plain_reason};
use crate::config;
use crate::core::code::Code;
use crate::core::health;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::credential::REMEDY;
use crate::core::name::CertName;
use crate::core::remedy::with_name;
use crate::core::text::Text;
use crate::core::wanted::notify::Occasion;
use crate::engine::credentials;
use crate::engine::managed::Managed;
use crate::engine::notices::{Condition, Key, Subject, What};
use crate::engine::status::{Problem, Severity};

/// Everything that is wrong. Only these certificates may be.
pub fn conditions(facts: &Facts<'_>, certificates: &[(&Managed, &CachedProfile)]) -> BTreeMap<Key, Condition> {
    let mut found = BTreeMap::new();
    for problem in problems::all(facts, certificates.iter().copied()) {
        let Some(occasion) = occasion(&problem) else { continue };
        found.extend(of_problem(facts, &problem).map(|(subject, condition)| ((subject, occasion), condition)));
    }
    for (managed, reading) in certificates {
        let Managed { entry, observed, .. } = managed;
        let profile = reading.profile.as_ref();
        if health::is_expiring(entry, observed, profile, &managed.decision(), facts.now) {
            let subject = Subject::new(What::Certificate, entry.name.as_str());
            found.entry((subject, Occasion::Expiring)).or_insert_with(|| expiring(managed, reading));
        }
    }
    found.extend(files(facts).map(|(subject, condition)| ((subject, Occasion::FileRefused), condition)));
    for end in facts.credentials {
        let nearness = end.nearness(facts.now);
        if let Some(remark) = end.remark(facts.now) {
            let key = (Subject::new(What::Credential, &end.name), Occasion::CredentialExpiring);
            found.insert(key, condition(credentials::code(nearness), &remark, REMEDY));
        }
    }
    found
}

/// What a problem counts as; `None`: somebody has time for it, and the status tells it.
fn occasion(problem: &Problem) -> Option<Occasion> {
    let own = OWN.iter().find(|(code, _)| code.as_str() == problem.code).map(|(_, occasion)| *occasion);
    own.or((problem.severity == Severity::Error).then_some(Occasion::Failing))
}

/// The things that a problem is about. Those that have a name of their own beside certificates are found by that.
fn of_problem(facts: &Facts<'_>, problem: &Problem) -> impl Iterator<Item = (Subject, Condition)> {
    let Problem { code, message, remedy, certificates, .. } = problem;
    let told = |remedy: Text, message: Text| Condition { code: code.clone(), message, remedy };
    let names = format!("{}: ", listed(certificates.iter().map(CertName::as_str)));
    let why = Text::new(message.as_str().strip_prefix(names.as_str()).unwrap_or(message.as_str()));
    let of_certificate = |name: &CertName| {
        let remedy = Text::new(&with_name(remedy.as_str(), name));
        (Subject::new(What::Certificate, name.as_str()), told(remedy, why.clone()))
    };
    let mut found: Vec<(Subject, Condition)> = certificates.iter().map(of_certificate).collect();
    let has_name = BY_NAME.iter().any(|one| one.as_str() == code);
    if certificates.is_empty() && !has_name {
        let subject = match code == Code::ConfigRefused.as_str() {
            true => Subject::new(What::File, &facts.main.file.display().to_string()),
            false => Subject::new(What::Host, code),
        };
        found.push((subject, told(remedy.clone(), message.clone())));
    }
    found.into_iter()
}

fn expiring(managed: &Managed, reading: &CachedProfile) -> Condition {
    let end = managed.observed.installed().map(|installed| installed.ends_at().to_string()).unwrap_or_default();
    let message =
        format!("expires at {end}, and half of its renewal window is over: {}", plain_reason(managed, reading));
    let remedy = with_name("see `renewd status NAME` for what it waits for", &managed.entry.name);
    condition(Code::RenewalOverdue, &message, &remedy)
}

/// Drop-in files that are refused, or look like such and are not read.
fn files(facts: &Facts<'_>) -> impl Iterator<Item = (Subject, Condition)> {
    let refused = facts.inventory.refusals().map(|state| {
        let message = state.problems.first().map(config::Problem::summary).unwrap_or_default();
        let remedy = "run `renewd check`, and fix the file; renewd reads it again";
        (Subject::new(What::File, state.label), condition(Code::InventoryFileRefused, &message, remedy))
    });
    let unread = facts.overlooked.iter().map(|name| {
        let message = format!("looks like a drop-in file in {} but is not read", facts.main.inventory.display());
        let remedy = "rename it so that it begins with no dot and ends in .toml, or move it elsewhere";
        (Subject::new(What::File, name.as_str()), condition(Code::InventoryFileUnread, &message, remedy))
    });
    refused.chain(unread)
}

fn condition(code: Code, message: &str, remedy: &str) -> Condition {
    Condition { code: code.to_string(), message: Text::new(message), remedy: Text::new(remedy) }
}

/// What is more than failing; all else that makes the status unhealthy is that.
const OWN: [(Code, Occasion); 7] = [
    (Code::CertificateExpired, Occasion::Expiring),
    (Code::RenewalOverdue, Occasion::Expiring),
    (Code::CertificateRejected, Occasion::Rejected),
    (Code::NotServed, Occasion::NotServed),
    (Code::CertificateHeld, Occasion::Held),
    (Code::HoldOverridden, Occasion::Held),
    (Code::ConfigRefused, Occasion::FileRefused),
];
/// Problems of things that have names, which are told by those.
const BY_NAME: [Code; 5] = [
    Code::InventoryFileRefused,
    Code::InventoryFileUnread,
    Code::CredentialExpiring,
    Code::CredentialExpired,
    Code::NotifyFailing,
];
