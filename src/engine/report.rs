//! How the status and the plan are made: from what the loop knows, or from the files alone.

use std::collections::{BTreeMap, BTreeSet};

use super::breaker::Breaker;
use super::calendar;
use crate::config::{FileState, Inventory, Main};
use crate::core::clock::ClockCheck;
use crate::core::code::Code;
use crate::core::decide::{Action, Decision};
use crate::core::health;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::credential::CredentialEnd;
use crate::core::known::issuer::End;
use crate::core::known::observed::Installed;
use crate::core::known::served::Served;
use crate::core::name::{CertName, HookName, ProfileRef};
use crate::core::reason::{Reason, State};
use crate::core::record::{FailureStreak, Hold, Record, Stage};
use crate::core::remark::Remark;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::files::{FileCopy, FixedFiles};
use crate::core::wanted::window::{Deploy, DeployWindow, Freeze};

use super::hooks::Hooks;
use super::managed::Managed;
use super::status::{
    ApiStatus, CertificateStatus, ClockStatus, ConfigStatus, CopyStatus, CredentialStatus, EndStatus, FileStatus,
    FreezeStatus, HoldStatus, HookStatus, LastError, Plan, PlannedCertificate, ProbeStatus, Problem, RefusedFile,
    RemarkStatus, RequestStatus, Row, Severity, Status, WindowStatus,
};

pub mod conditions;
mod problems;
mod superseded;

pub use problems::{ProfileTrouble, inventory_problems};

/// Hooks that run now, each for a certificate.
type Running<'a> = BTreeSet<(&'a CertName, &'a HookName)>;

/// What the status is built from, beside the certificates.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The configuration in force.
    pub main: &'a Main,
    /// Why the configuration on the disk is not in force, if it is not.
    pub config_error: Option<&'a Text>,
    /// The clock.
    pub clock: &'a ClockCheck,
    /// The API.
    pub breaker: &'a Breaker,
    /// Until when a 429 holds everything back.
    pub paused_until: Option<Timestamp>,
    /// The credentials, with their ends where those are known.
    pub credentials: &'a [CredentialEnd],
    /// The drop-in files.
    pub inventory: &'a Inventory,
    /// What looks like a drop-in file and is not read.
    pub overlooked: &'a [Text],
    /// The hooks, for those that run.
    pub hooks: &'a Hooks,
    /// The CA certificates that are served whose status is known, and whether they are revoked.
    pub cas: Vec<(Text, bool)>,
    /// The profiles that cannot be read or used.
    pub profiles: Vec<ProfileTrouble>,
    /// Whether the journal is of a newer version.
    pub journal_too_new: bool,
    /// Problems of other kinds.
    pub problems: Vec<Problem>,
    /// Now.
    pub now: Timestamp,
}

/// Builds the status. Only those of `needing_attention` may be problems.
pub fn status<'a, C>(
    facts: &Facts<'_>,
    needing_attention: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>,
    certificates: Vec<C>,
) -> Status<C> {
    let problems = problems::all(facts, needing_attention);
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: facts.now.to_string(),
        healthy: problems.iter().all(|problem| problem.severity == Severity::Warning),
        problems,
        config: ConfigStatus {
            file: facts.main.file.display().to_string(),
            state: config_state(facts).to_owned(),
            error: facts.config_error.cloned(),
        },
        clock: ClockStatus {
            state: facts.clock.state().as_str().to_owned(),
            offset_seconds: facts.clock.offset_seconds(),
        },
        credentials: facts
            .credentials
            .iter()
            .map(|one| CredentialStatus { name: one.name.clone(), not_after: one.not_after.map(|at| at.to_string()) })
            .collect(),
        inventory: facts.inventory.files().iter().map(file).collect(),
        api: ApiStatus {
            url: facts.main.api.url.clone(),
            state: facts.breaker.state().as_str().to_owned(),
            last_success: facts.breaker.last_success().map(|at| at.to_string()),
            retry_at: facts.breaker.trial_at().or(facts.paused_until).map(|at| at.to_string()),
            error: facts.breaker.last_failure().map(|failure| failure.message.clone()),
        },
        certificates,
    }
}

/// Everything about these certificates.
pub fn certificates<'a>(
    facts: &Facts<'_>,
    fleet: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>,
) -> Vec<CertificateStatus> {
    let running: BTreeSet<_> = facts.hooks.running().collect();
    fleet.map(|(managed, reading)| certificate(managed, reading, &running, facts.now)).collect()
}

/// A row of the table for each of these certificates.
pub fn rows<'a>(facts: &Facts<'_>, fleet: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>) -> Vec<Row> {
    let row = |(managed, reading): (&'a Managed, &'a CachedProfile)| {
        let reason = &managed.decision().reason;
        Row {
            name: managed.entry.name.to_string(),
            state: reason.state().as_str().to_owned(),
            not_after: managed.observed.installed().map(Installed::ends_at),
            // What is stopped for good waits for an operator.
            next_action_at: Some(next_action_at(managed, facts.now))
                .filter(|_| !matches!(reason, Reason::Stopped { until: None, .. })),
            reason: Text::new(&reason.brief()),
            remarks: remarks(managed, reading),
        }
    };
    fleet.map(row).collect()
}

/// Builds the plan, as far as it is of certificates and files.
pub fn plan<'a>(
    now: Timestamp,
    inventory: &Inventory,
    freezes: &[Freeze],
    fleet: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>,
) -> Plan {
    let planned = |(managed, reading): (&'a Managed, &'a CachedProfile)| {
        let decision = managed.decision();
        // Whether more follows shows when the profile was read.
        let is_unknown = matches!(decision.reason, Reason::ProfileUnknown { .. });
        let action = if is_unknown { READ_PROFILE } else { decision.action.as_str() };
        let at = if is_unknown { now } else { next_action_at(managed, now) };
        PlannedCertificate {
            name: managed.entry.name.to_string(),
            due: is_for_due(&decision.action) && !is_unknown,
            action: action.to_owned(),
            at: at.to_string(),
            reason: Text::new(&planned_reason(managed, reading, now)),
            reason_code: decision.reason.code().to_owned(),
            not_after: managed.observed.installed().map(|installed| installed.not_after.to_string()),
            ends: managed.observed.installed().map(ends),
            renew_at: decision.renew_at.map(|at| at.to_string()),
            remarks: remarks(managed, reading),
            hold: managed.record.hold_at(now).map(hold),
            request_window: managed.entry.request_window.as_deref().map(|hours| window(hours, now)),
            deploy_window: managed.entry.deploy_window.as_deref().map(|hours| window(hours, now)),
        }
    };
    let refused = inventory.refusals().map(|state| refused(inventory, &state)).collect();
    let certificates = fleet.map(planned).collect();
    let freezes = freezes.iter().filter_map(|freeze| freeze_status(freeze, now)).collect();
    Plan { at: now.to_string(), certificates, refused, gone: Vec::new(), problems: Vec::new(), freezes }
}

fn window(hours: &DeployWindow, now: Timestamp) -> WindowStatus {
    let (open, opens_at) = match calendar::deploy(Some(hours), now) {
        Deploy::Open => (true, None),
        Deploy::Closed(opens) | Deploy::Frozen(opens) => (false, Some(opens.to_string())),
        Deploy::Unplaced => (false, None),
    };
    WindowStatus { hours: hours.to_string(), open, opens_at }
}

/// A freeze; `None` where it is over.
fn freeze_status(freeze: &Freeze, now: Timestamp) -> Option<FreezeStatus> {
    match freeze {
        Freeze::Dates { until, .. } if *until <= now => None,
        Freeze::Dates { from, until } => {
            Some(FreezeStatus { from: Some(from.to_string()), until: Some(until.to_string()), hours: None })
        }
        Freeze::Hours(hours) => Some(FreezeStatus { from: None, until: None, hours: Some(hours.to_string()) }),
    }
}

/// Whether it is done for a certificate that is to be replaced. Repairs and looks are done for those that stay.
const fn is_for_due(action: &Action) -> bool {
    matches!(
        action,
        Action::ReadProfile(_) | Action::Submit(_) | Action::LookUp(_) | Action::PickUp { .. } | Action::Install { .. }
    )
}

/// The reason, with why it is due where only the profile is read first, and where the renewal window is a guess, that: the
/// profile may have a wider one. What is to be revoked is said beside it.
fn planned_reason(managed: &Managed, reading: &CachedProfile, now: Timestamp) -> String {
    let reason = &managed.decision().reason;
    if let Reason::ReadingProfile { cause, .. } = reason {
        return format!("due: {cause}; {reason}");
    }
    let is_guess = reading.profile.is_none() && managed.entry.renew_before.is_none();
    let guess = "; cannot tell whether sooner: profile never read";
    let is_not_due = matches!(reason, Reason::NotDue { .. });
    let revokes = superseded::planned(managed, now).filter(|_| is_not_due).unwrap_or_default();
    format!("{reason}{}{revokes}", if is_guess && is_not_due { guess } else { "" })
}

/// A refused file with what is planned of it all the same.
fn refused(inventory: &Inventory, state: &FileState<'_>) -> RefusedFile {
    let kept = inventory.in_force.get(state.label).map_or(&[][..], |content| &content.entries);
    RefusedFile {
        file: state.label.to_owned(),
        error: state.problems.first().map_or_else(Text::default, |problem| Text::new(&problem.summary())),
        certificates: kept.iter().map(|entry| entry.name.to_string()).collect(),
    }
}

const READ_PROFILE: &str = "read-profile";

fn ends(installed: &Installed) -> EndStatus {
    let End { at, ca } = installed.end();
    EndStatus { at: at.to_string(), of: if ca.is_some() { "chain" } else { "leaf" }.to_owned(), subject: ca }
}

fn remarks(managed: &Managed, reading: &CachedProfile) -> Vec<RemarkStatus> {
    let since = managed.observed.installed().and_then(|installed| installed.remarks.since);
    let since = since.map(|at| at.to_string());
    // The window is judged by entry and profile as they are now, and not by what was installed.
    let since = |code: Code| since.clone().filter(|_| code != Code::WindowShort);
    let remark = |Remark { code, message }| RemarkStatus { code: code.to_string(), message, since: since(code) };
    let of_set = health::remarks(&managed.entry, &managed.observed, reading.profile.as_ref());
    let of_set = of_set.into_iter().chain(managed.asked_of_fallback()).map(remark);
    of_set.chain(superseded::remark(managed)).collect()
}

fn certificate(managed: &Managed, reading: &CachedProfile, running: &Running<'_>, now: Timestamp) -> CertificateStatus {
    let Managed { entry, observed, record, .. } = managed;
    let decision = managed.decision();
    let installed = observed.installed();
    let trouble = last_trouble(managed);
    let failure = decision.reason.failure().or_else(|| Some(&trouble?.last.as_deref()?.0));
    let failed_at = trouble.and_then(|trouble| trouble.last.as_deref()).map_or(now, |(_, at)| *at);
    CertificateStatus {
        name: entry.name.to_string(),
        state: decision.reason.state().as_str().to_owned(),
        reason: Text::new(&plain_reason(managed, reading)),
        reason_code: decision.reason.code().to_owned(),
        profile: Text::new(match &entry.profile {
            ProfileRef::Id(id) => &id.0,
            ProfileRef::Name(name) => name,
        }),
        profile_name: profile_name(managed, reading).map(Text::new),
        profile_id: profile_id(managed, reading).map(Text::new),
        inventory_file: entry.source.file.to_string(),
        serial_number: installed.map(|installed| installed.serial_number.to_string()),
        fingerprint: installed.map(|installed| installed.fingerprint.to_string()),
        not_before: installed.map(|installed| installed.not_before.to_string()),
        not_after: installed.map(|installed| installed.not_after.to_string()),
        ends: installed.map(ends),
        key_since: installed.map(|installed| installed.key_since().to_string()),
        issuer: installed.map(|installed| &installed.chain.issuer).filter(|issuer| issuer.is_known()).cloned(),
        remarks: remarks(managed, reading),
        renew_at: decision.renew_at.map(|at| at.to_string()),
        next_action_at: Some(next_action_at(managed, now).to_string()),
        request_id: request_id(record),
        request: request(record),
        failures: trouble.map_or(0, |trouble| trouble.count),
        last_error: failure.map(|failure| LastError {
            code: failure.class.code().to_owned(),
            message: failure.message.clone(),
            at: failed_at.to_string(),
        }),
        hold: record.hold_at(now).map(hold),
        superseded: superseded::waiting(managed, now),
        remedy: decision.reason.failure().map(|failure| Text::new(&failure.remedy_of(&entry.name))),
        generation: installed.map(|installed| installed.generation.0),
        files: paths(&entry.files),
        copies: entry.copies.iter().map(copy).collect(),
        hooks: hooks(managed, running),
        served: managed.seen().unwrap_or(Served::Unknown).as_str().to_owned(),
        probe: managed.last_look().map(|seen| ProbeStatus {
            at: seen.at.to_string(),
            since: seen.since.to_string(),
            found: seen.what.clone(),
        }),
    }
}

fn paths(files: &FixedFiles) -> BTreeMap<String, String> {
    files.targets().map(|(key, path)| (key.to_owned(), path.display().to_string())).collect()
}

fn copy(copy: &FileCopy) -> CopyStatus {
    let FileCopy { files, access } = copy;
    let mode = |mode: u32| format!("{mode:04o}");
    CopyStatus {
        files: paths(files),
        owner: access.owner.clone(),
        group: access.group.clone(),
        key_mode: mode(access.key_mode),
        mode: mode(access.mode),
    }
}

/// The trouble behind the reason, else the latest.
fn last_trouble(managed: &Managed) -> Option<&FailureStreak> {
    let record = &managed.record;
    let hooks = record.hooks.values().filter(|hook| hook.done_at.is_none()).map(|hook| &hook.trouble);
    let veto = record.veto.as_deref().map(|veto| &veto.trouble);
    let troubles = || [&record.trouble, &record.disk].into_iter().chain(veto).chain(hooks.clone());
    let decision = managed.decision();
    let failure = decision.reason.failure();
    let is_behind = |trouble: &&FailureStreak| trouble.last.as_deref().map(|(last, _)| last) == failure;
    let latest = || {
        troubles()
            .filter(|trouble| trouble.last.is_some())
            .max_by_key(|trouble| trouble.last.as_deref().map(|(_, at)| *at))
    };
    failure.and_then(|_| troubles().find(is_behind)).or_else(latest)
}

/// What to do about a certificate's problem.
fn remedy(managed: &Managed, code: Code) -> &'static str {
    let reason = &managed.decision().reason;
    if let Some(failure) = reason.failure() {
        return failure.remedy();
    }
    if let Reason::Held { lack, .. } = reason
        && lack.is_signature()
    {
        return "let the profile show the issuing CA, or choose another signature algorithm in it; then `renewd renew NAME`";
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "what has no sentence of its own has its reason's")]
    match code {
        Code::CertificateStaged => "accept it by the entry's `usages`, or change the profile",
        Code::NotServed => "reload or restart the service that the probe names, or fix its hook",
        Code::ProbeOverdue => "make the probe's address reachable from this host, or fix `probe`",
        Code::CertificateHeld => {
            "`renewd release NAME` ends the hold; `renewd renew NAME` also replaces the certificate"
        }
        Code::HoldOverridden => "nothing, if it may be replaced; else `renewd hold NAME --even-emergency`",
        Code::FallbackAsked => {
            "fix what keeps the certificate's own profile from issuing; renewd asks it again by itself"
        }
        Code::CertificateSuspended => "resume the certificate in TLM, or revoke it: renewd replaces a revoked one",
        Code::NotYetValid => "compare the host's clock with the certificate's start, or `renewd renew NAME`",
        Code::PathRefused => "put the CA certificates that belong to it in place, or `renewd renew NAME`",
        Code::CertificateStateOdd => "look up the certificate in TLM by its serial number",
        Code::FirstIssuanceOverdue => "approve or reject the request in TLM",
        _ => "see `renewd status NAME` for what it waits for",
    }
}

/// The reason, with the profile's name in place of its id where both are known.
fn plain_reason(managed: &Managed, reading: &CachedProfile) -> String {
    let reason = managed.decision().reason.to_string();
    match profile_name(managed, reading) {
        Some(name) => {
            let (id, name) = (managed.entry.profile.to_string(), format!("{name:?}"));
            reason
                .replace(&format!("profile {id}"), &format!("profile {name}"))
                .replace(&format!(": {id}"), &format!(": {name}"))
        }
        None => reason,
    }
}

/// The name of a profile that the entry has the id of, where it was ever read.
fn profile_name<'r>(managed: &Managed, reading: &'r CachedProfile) -> Option<&'r str> {
    let profile = reading.profile.as_ref()?;
    matches!(managed.entry.profile, ProfileRef::Id(_)).then_some(profile.name.as_str())
}

/// The id of a profile that the entry names otherwise, where it was ever read.
fn profile_id<'r>(managed: &Managed, reading: &'r CachedProfile) -> Option<&'r str> {
    let profile = reading.profile.as_ref()?;
    matches!(managed.entry.profile, ProfileRef::Name(_)).then_some(&*profile.id.0)
}

/// When something is done: for what is not due that is the renewal, not the next look at the files.
fn next_action_at(managed: &Managed, now: Timestamp) -> Timestamp {
    let decision = managed.decision();
    let Decision { action, reason, wake_at, .. } = &*decision;
    if *action != Action::Wait {
        return now;
    }
    if let Reason::NotDue { renew_at, .. } = reason { *renew_at } else { *wake_at }
}

fn request_id(record: &Record) -> Option<Text> {
    match &record.request.as_deref()?.stage {
        Stage::Pending { request_id, .. } => Some(Text::new(&request_id.0)),
        Stage::Prepared | Stage::Submitted { .. } | Stage::Issued { .. } | Stage::Held { .. } => None,
    }
}

/// The request in flight, once TLM may know of it.
fn request(record: &Record) -> Option<RequestStatus> {
    let request = record.request.as_deref().filter(|request| request.may_be_accepted())?;
    Some(RequestStatus {
        id: request_id(record),
        since: request.since.to_string(),
        method: request.method.as_str().to_owned(),
        dv_details: request.validation().cloned(),
    })
}

fn hold(hold: &Hold) -> HoldStatus {
    HoldStatus {
        since: hold.since.to_string(),
        until: hold.until.map(|until| until.to_string()),
        reason: hold.why.clone(),
        even_emergency: hold.even_emergency,
    }
}

fn hooks(managed: &Managed, running: &Running<'_>) -> Vec<HookStatus> {
    let status = |name: &HookName| {
        let hook = managed.record.hooks.get(name)?;
        let failed = hook.trouble.last.as_deref();
        let (state, at) = match (hook.done_at, failed) {
            (Some(at), _) => ("done", at),
            (None, _) if running.contains(&(&managed.entry.name, name)) => ("running", hook.owed_at),
            (None, Some((_, at))) => ("failing", *at),
            (None, None) => ("owed", hook.owed_at),
        };
        Some(HookStatus {
            name: name.to_string(),
            state: state.to_owned(),
            at: Some(at.to_string()),
            error: failed.filter(|_| hook.done_at.is_none()).map(|(failure, _)| failure.message.clone()),
        })
    };
    managed.entry.hooks.iter().filter_map(status).collect()
}

fn file(state: &FileState<'_>) -> FileStatus {
    FileStatus {
        file: state.label.to_owned(),
        state: loaded_or_refused(state.problems.is_empty()),
        certificates: state.certificates,
        error: state.problems.first().map(|problem| Text::new(&problem.summary())),
    }
}

/// Loaded is what is in force as it stands in the file.
fn config_state(facts: &Facts<'_>) -> &'static str {
    let is_outdated = || facts.problems.iter().any(|problem| problem.code == Code::ConfigOutdated.as_str());
    match facts.config_error {
        Some(_) => "refused",
        None if is_outdated() => "outdated",
        None => "loaded",
    }
}

fn loaded_or_refused(loaded: bool) -> String {
    if loaded { "loaded" } else { "refused" }.to_owned()
}

/// One line for `systemctl status`: counts, and the nearest trouble.
#[must_use]
pub fn status_line<'a>(
    facts: &Facts<'_>,
    states: impl Iterator<Item = (State, usize)>,
    needing_attention: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>,
) -> Text {
    let counts: Vec<String> = states.map(|(state, count)| format!("{count} {state}")).collect();
    let counts = if counts.is_empty() { "no certificates".to_owned() } else { counts.join(", ") };
    let trouble = problems::first(facts, needing_attention);
    let trouble = trouble.map_or(String::new(), |problem| format!("; {}", problem.message));
    Text::new(&format!("{counts}{trouble}"))
}
