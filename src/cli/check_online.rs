//! `renewd check --online`: what only TLM, the running daemon and the host can tell. Changes nothing that it does not take
//! back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Me, Tlm};
use crate::config::{Inventory, Main};
use crate::core::clock::{ClockCheck, ClockState};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::credential::{CredentialEnd, Nearness, REMEDY};
use crate::core::known::profile::Profile;
use crate::core::name::ProfileRef;
use crate::core::reason::Reason;
use crate::core::request::{compose, renewal_misfits, unusable};
use crate::core::schedule;
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::core::wanted::entry::{Entry, Validity};
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::control::{ASKS_AGAIN, Inspected, Reply, Request};
use crate::daemon::preflight::{Finding, Subject};
use crate::daemon::profiles::Listing;
use crate::daemon::{preflight, setup};
use crate::pki::{answer, chain, served};
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;

use super::account::Account;
use super::control;
use super::duplicates::{self, Strict};

/// Everything, in the order in which a renewal needs it.
pub(super) async fn findings(main: &Main, inventory: &Inventory, account: Result<Account, Failure>) -> Vec<Finding> {
    let (mut findings, is_taken) = match account {
        Ok(account) => of_account(main, inventory, &account).await,
        Err(failure) => (vec![Finding::of_client(&main.file, &failure)], false),
    };
    findings.extend(of_host(main, inventory).await);
    if is_taken {
        findings.extend(tell_daemon(main).await);
    }
    findings
}

/// An outage or a refused key that is over is news to a daemon, which would find it out by its next trial. It is told last: what
/// it begins then is not in the way of what is looked at here. Whoever may not command it tells it nothing.
async fn tell_daemon(main: &Main) -> Option<Finding> {
    let path = control::path(main);
    let asked = tokio::task::spawn_blocking(move || control::ask(&path, &Request::ApiChecked)).await;
    let answer = Reply::done_in(&asked.ok()?.ok()?).ok()?;
    (answer == ASKS_AGAIN).then(|| Finding::ok("daemon", &main.api.url, answer))
}

/// What TLM says of everything, and whether it takes a credential.
async fn of_account(main: &Main, inventory: &Inventory, account: &Account) -> (Vec<Finding>, bool) {
    let url = &main.api.url;
    let now = SystemClock::default().now();
    let mut findings = match account.client.version().await {
        Ok(version) => vec![Finding::ok("api", url, format!("answers, version {version}"))],
        // Whatever else is asked would fail in the same way. A client certificate that has ended tells why.
        Err(failure) => {
            let credentials = account.client.credentials();
            let ends = credentials.iter().filter_map(|credential| end(credential, now));
            return (std::iter::once(Finding::failure("api", url, &failure)).chain(ends).collect(), false);
        }
    };
    findings.push(clock(account.date(), now));
    let mut is_taken = false;
    for credential in account.client.credentials() {
        let answer = account.client.me_as(&credential.name).await;
        let answer = with_end(account, &credential, answer).await;
        is_taken |= !answer.as_ref().is_err_and(|failure| failure.class == FailureClass::ApiUnauthorised);
        findings.extend(key(credential, answer, now));
    }
    if is_taken {
        let (found, strict) = profiles(inventory, account).await;
        findings.extend(found);
        findings.extend(duplicates::findings(main, strict, account, now).await);
    }
    (findings, is_taken)
}

fn clock(date: Option<Timestamp>, now: Timestamp) -> Finding {
    let mut check = ClockCheck::new(Timestamp::default(), now);
    let subject = "this host";
    let Some(date) = date else {
        let remedy = "nothing; make sure that NTP keeps the host's time";
        return Finding::warning("clock", subject, "the API's responses carry no date to compare with", remedy);
    };
    check.compare(date, now);
    if check.state() == ClockState::Wrong {
        let message = Reason::ClockWrong { offset: check.offset_seconds() }.to_string();
        return Finding::failed("clock", subject, message, "correct the clock, and make sure that NTP keeps it");
    }
    Finding::ok("clock", subject, format!("{} from the API's", Span(now.distance(date))))
}

/// What TLM says of a credential, with the end that its list of keys tells where it does not tell one by itself.
async fn with_end(account: &Account, credential: &CredentialEnd, me: Result<Me, Failure>) -> Result<Me, Failure> {
    let me = me?;
    if me.not_after.is_some() || credential.not_after.is_some() {
        return Ok(me);
    }
    // Whoever may not see the list is no worse off than before.
    let listed = account.client.key_end(&credential.name).await.ok().flatten();
    Ok(Me { not_after: listed, ..me })
}

/// Whether TLM takes a credential, until when, and what it may do.
fn key(credential: CredentialEnd, answer: Result<Me, Failure>, now: Timestamp) -> Vec<Finding> {
    let name = credential.name.clone();
    let me = match answer {
        Ok(me) => me,
        Err(failure) if failure.class == FailureClass::ApiForbidden => {
            let message = format!("accepted, but not allowed to ask about itself: {}", failure.message);
            let remedy = "nothing, as long as the profiles can be read; its expiry and its roles are not known";
            let unknown = Finding::warning("key", &name, message, remedy);
            return vec![end(&credential, now).unwrap_or(unknown)];
        }
        Err(failure) => return vec![Finding::failure("key", &name, &failure)],
    };
    let credential = CredentialEnd { not_after: credential.not_after.or(me.not_after), ..credential };
    let unknown = || Finding::ok("key", &name, "accepted; TLM reports no expiry date");
    vec![end(&credential, now).unwrap_or_else(unknown), roles(&name, &me.roles)]
}

fn end(credential: &CredentialEnd, now: Timestamp) -> Option<Finding> {
    let (name, at) = (&credential.name, credential.not_after?);
    let remark = credential.remark(now).unwrap_or_default();
    Some(match credential.nearness(now) {
        Nearness::Far => Finding::ok("key", name, format!("expires at {at}, in {}", Span(at.since(now)))),
        Nearness::Month | Nearness::Week => Finding::warning("key", name, remark, REMEDY),
        Nearness::Day | Nearness::Ended => Finding::failed("key", name, remark, REMEDY),
    })
}

fn roles(name: &str, roles: &[String]) -> Finding {
    let told = roles.join(", ");
    let may_issue = |role: &String| {
        let role = role.to_ascii_lowercase();
        role.contains("cert") && role.contains("manager")
    };
    if roles.is_empty() {
        let remedy = format!("make sure in TLM that its user has the role {ROLE}");
        return Finding::warning("roles", name, "TLM does not report its roles", &remedy);
    }
    if roles.iter().any(may_issue) {
        return Finding::ok("roles", name, told);
    }
    let remedy = format!("give its user the role {ROLE} in TLM");
    Finding::failed("roles", name, format!("none of its roles issues certificates: {told}"), &remedy)
}

/// Each profile that an entry uses, and each entry against it; with those whose profile allows no duplicates.
async fn profiles(inventory: &Inventory, account: &Account) -> (Vec<Finding>, Vec<Strict>) {
    let mut users: BTreeMap<&ProfileRef, Vec<&Arc<Entry>>> = BTreeMap::new();
    for entry in &inventory.entries {
        entry.profiles().for_each(|profile| users.entry(profile).or_default().push(entry));
    }
    let names_one = users.keys().any(|reference| matches!(reference, ProfileRef::Name(_)));
    let listing = if names_one { account.profiles().await } else { Ok(Listing::default()) };
    let mut findings: Vec<Finding> = listing.iter().flat_map(|listing| &listing.broken).map(broken).collect();
    let mut strict = Vec::new();
    for (reference, entries) in users {
        let profile = match reference {
            ProfileRef::Id(_) => account.profile(reference).await,
            ProfileRef::Name(name) => listing.clone().and_then(|listing| listing.named(name)),
        };
        match profile {
            Err(failure) => findings.push(Finding::failure("profile", reference, &failure)),
            Ok(profile) => {
                findings.push(usable(&profile));
                if unusable(&profile).is_none() {
                    findings.extend(entries.iter().flat_map(|entry| fit(entry, reference, &profile)));
                }
                if !profile.allows_duplicates {
                    let profile = Arc::new(profile);
                    let own = entries.iter().filter(|entry| entry.profile == *reference);
                    let of = |entry: &&Arc<Entry>| Strict { entry: Arc::clone(entry), profile: Arc::clone(&profile) };
                    strict.extend(own.map(of));
                }
            }
        }
    }
    (findings, strict)
}

/// A profile of the list that cannot be read.
fn broken(what: &Text) -> Finding {
    let remedy = "nothing, unless an entry names this profile; then look it up in TLM";
    Finding::warning("profile", "TLM's list", format!("a profile cannot be read, and was skipped: {what}"), remedy)
}

fn usable(profile: &Profile) -> Finding {
    let name = format!("{:?}", profile.name);
    if let Some(why) = unusable(profile) {
        let failure = Failure::new(FailureClass::ProfileUnusable, why);
        return Finding::failure("profile", name, &failure);
    }
    let Profile { status, enrollment_method, authentication_method, .. } = profile;
    let unusable = profile.unusable_window().map(|said| format!("{said}, which counts as not set"));
    let usable = profile.renewal_window().map(|window| Span(window).to_string());
    let window = usable.or(unusable).unwrap_or_else(|| "not reported".to_owned());
    let duplicates = if profile.allows_duplicates { "allowed" } else { "not allowed" };
    let unknown = match &*profile.unknown_keys {
        [] => String::new(),
        unknown => format!(
            "; keys that renewd cannot make: {}",
            unknown.iter().map(Text::as_str).collect::<Vec<_>>().join(", ")
        ),
    };
    Finding::ok(
        "profile",
        name,
        format!(
            "{status}, {enrollment_method}, {authentication_method}; renewal window {window}, duplicates \
             {duplicates}{unknown}"
        ),
    )
}

fn fit(entry: &Entry, reference: &ProfileRef, profile: &Profile) -> Vec<Finding> {
    let mut findings = vec![match compose(entry, profile) {
        Ok(wish) => Finding::ok(
            "entry",
            &entry.name,
            format!(
                "fits profile {:?}: {}, every mandatory attribute, seat {}",
                profile.name,
                wish.key,
                entry.naming.seat()
            ),
        ),
        Err(failure) => Finding::failure("entry", &entry.name, &failure),
    }];
    findings.extend(ends(entry, profile));
    findings.extend(unpinned(entry, profile));
    // Of a fallback new certificates alone are asked, and only where time is short.
    if *reference != entry.profile {
        return findings;
    }
    let misfits = renewal_misfits(entry, profile).into_iter();
    findings
        .extend(misfits.map(|(why, remedy)| {
            Finding::failed("renewal", &entry.name, why, &format!("{remedy} ({})", entry.source))
        }));
    findings
}

/// Whether the gate will refuse what the profile's CAs issue.
fn unpinned(entry: &Entry, profile: &Profile) -> Option<Finding> {
    let pin = entry.issuer.as_deref()?;
    let cas = answer::shown_by_profile(&profile.issuers);
    let shown: Vec<_> =
        cas.iter().filter_map(served::end_of).map(|ca| format!("{} (sha256:{})", ca.subject, ca.spki)).collect();
    let message = format!("the entry pins the issuer {pin}; the profile issues from {}", shown.join("; "));
    let remedy =
        format!("correct `issuer` ({}), or name another profile: renewd refuses what these CAs issue", entry.source);
    chain::rules_out(&cas, pin).then(|| Finding::failed("issuer", &entry.name, message, &remedy))
}

/// What cuts the time of a certificate that is issued now: a renewal window that leaves little of it, a CA that expires first.
fn ends(entry: &Entry, profile: &Profile) -> Vec<Finding> {
    let validity = entry.validity.filter(|_| profile.allows_validity).or(profile.validity);
    let Some(lifetime) = validity.map(Validity::span) else { return Vec::new() };
    let now = SystemClock::default().now();
    let window = schedule::doubt(entry, Some(profile), lifetime).map(|doubt| {
        let remedy = format!("{} ({})", doubt.remedy, entry.source);
        Finding::warning("window", &entry.name, &doubt.message, &remedy)
    });
    let first = profile.cas.iter().filter(|ca| ca.at < now + lifetime).min_by_key(|ca| ca.at);
    // A newer certificate of the same CA takes its place.
    let first = first.filter(|ca| profile.successor_of(ca).is_none()).map(|ca| {
        let told = format!("the CA {} expires at {}, before a certificate that is issued now", ca.subject, ca.at);
        let remedy = "ask whoever runs the CA to renew it, or to let the profile issue from another one";
        Finding::warning("issuer", &entry.name, told, remedy)
    });
    window.into_iter().chain(first).collect()
}

/// Asked of the daemon, which alone knows its sandbox; what it does not have in force yet, and everything where none
/// runs, is tried here as the service's user.
async fn of_host(main: &Main, inventory: &Inventory) -> Vec<Finding> {
    let path = control::path(main);
    let asked = ask(&path).await;
    let Ok(Inspected { certificates, mut findings }) = asked else { return alone(main, inventory.clone()).await };
    let mut rest = inventory.clone();
    rest.entries.retain(|entry| !certificates.contains(&entry.name));
    let names: Vec<&str> = rest.entries.iter().map(|entry| entry.name.as_str()).collect();
    if !names.is_empty() {
        findings.push(Finding::warning(
            "host",
            "the daemon",
            format!(
                "did not check {}: not in force yet, or in progress; checked without its sandbox",
                names.join(", ")
            ),
            "try again in a minute",
        ));
        findings.extend(alone(main, rest).await);
    }
    findings
}

async fn ask(path: &Path) -> Result<Inspected, String> {
    let path = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || control::ask_within(&path, &Request::Inspect, PATIENCE)).await;
    let line = asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    serde_json::from_str(&line).map_err(|error| error.to_string())
}

async fn alone(main: &Main, inventory: Inventory) -> Vec<Finding> {
    let layout = Layout::new(&main.state_dir);
    let identity = setup::identity(main);
    let state = main.state_dir.display();
    let service = setup::service_user(main).uid;
    let why = if !main.state_dir.exists() {
        Some((format!("{state} does not exist: no test write in its folders"), "start renewd once, which creates it"))
    } else if service != identity.uid {
        Some((format!("no test write: this user is not user {service}, who owns {state}"), "run this as root"))
    } else {
        None
    };
    let with_files = why.is_none();
    let mut findings: Vec<Finding> =
        why.into_iter().map(|(why, remedy)| Finding::warning("target", "all", why, remedy)).collect();
    if !with_files {
        findings.extend(preflight::places(main, &inventory, &identity, service == identity.uid));
    }
    let unit = preflight::own_unit(&main.file);
    let notifies = main.notifies.values().cloned().collect();
    let disk = Arc::new(RealDisk);
    findings
        .extend(preflight::inspect(Subject { disk, layout, identity, inventory, notifies, with_files, unit }).await);
    findings
}

const ROLE: &str = "\"User and certificate manager\" (EM_EPKI_USER_&_CERT_MANAGER)";
/// Folders are written to and synced, one certificate after the other.
const PATIENCE: Duration = Duration::from_secs(60);
