//! What somebody has to look at: one problem for each cause, with the certificates that it concerns. What is wrong with
//! the API or with a profile is told once for all that wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Facts, last_trouble, next_action_at, plain_reason, profile_name, remedy};
use crate::config::{Inventory, Main};
use crate::core::clock::ClockState;
use crate::core::code::Code;
use crate::core::failure::{Failure, FailureClass, Scope};
use crate::core::health;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::name::{CertName, ProfileRef};
use crate::core::reason::Reason;
use crate::core::remedy::with_name;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::window::{DeployWindow, Freeze};
use crate::engine::breaker::ApiState;
use crate::engine::managed::Managed;
use crate::engine::profiles::ProfileCache;
use crate::engine::status::{Problem, Severity};
use crate::engine::{calendar, credentials};

/// Every problem. Only these certificates may have one of their own.
pub(super) fn all<'a>(
    facts: &Facts<'_>,
    certificates: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>,
) -> Vec<Problem> {
    let mut api = ApiTrouble::of(facts);
    let mut profiles: Vec<ProfileProblem<'_>> = facts.profiles.iter().filter_map(ProfileProblem::of).collect();
    profiles.retain(|profile| api.is_none() || !is_of_api(&profile.trouble.failure));
    let mut own = Groups::default();
    for (managed, reading) in certificates {
        let found = Found::of(managed, reading, facts.now);
        let is_told = api.as_mut().is_some_and(|api| api.take(managed, found.is_some()))
            || profiles.iter_mut().any(|profile| profile.take(managed))
            || facts.journal_too_new && matches!(managed.decision().reason, Reason::JournalTooNew);
        match found {
            // Of a cause that is told anyway, what is worse than that it fails is told in few words.
            Some(found) if is_told && found.code != Code::CertificateFailing => own.add(Found { is_told, ..found }),
            Some(found) if !is_told => own.add(found),
            Some(_) | None => {}
        }
    }
    let mut problems = facts.problems.clone();
    problems.extend(common(facts));
    problems.extend(api.iter().map(|api| api.problem(facts.now)));
    problems.extend(profiles.iter().map(|profile| profile.problem(facts.now)));
    problems.extend(own.problems(facts.now));
    problems
}

/// The first problem, without passing over all certificates.
pub(super) fn first<'a>(
    facts: &Facts<'_>,
    certificates: impl Iterator<Item = (&'a Managed, &'a CachedProfile)>,
) -> Option<Problem> {
    let (warnings, errors): (Vec<_>, Vec<_>) =
        all(facts, std::iter::empty()).into_iter().partition(|problem| problem.severity == Severity::Warning);
    let found = certificates.filter_map(|(managed, reading)| Found::of(managed, reading, facts.now));
    let (mut own, mut warning) = (found.filter_map(|found| problem_of(&[found], facts.now)), None);
    let mut is_error = |problem: &Problem| {
        let is_error = problem.severity == Severity::Error;
        if !is_error && warning.is_none() {
            warning = Some(problem.clone());
        }
        is_error
    };
    let error = errors.into_iter().next().or_else(|| own.find(&mut is_error));
    error.or_else(|| warnings.into_iter().next()).or(warning)
}

fn common(facts: &Facts<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(error) = facts.config_error {
        let message =
            format!("{} is refused; what was loaded before stays in force: {error}", facts.main.file.display());
        problems.push(Problem::error(
            Code::ConfigRefused.as_str(),
            &message,
            "run `renewd check`, fix the file, then: systemctl reload renewd",
        ));
    }
    for state in facts.inventory.refusals() {
        let first = state.problems.first().map(crate::config::Problem::summary).unwrap_or_default();
        let message = format!("refused: {first}");
        // No reload: it would confirm the removal of files that went missing.
        let own = state.problems.first().filter(|problem| problem.place.is_none()).and_then(|first| first.hint.clone());
        let own = own.map(|hint| format!("{hint}; renewd reads it again"));
        let remedy = own.unwrap_or_else(|| "run `renewd check`, and fix the file; renewd reads it again".to_owned());
        problems.push(Problem::error(Code::InventoryFileRefused.as_str(), &message, &remedy));
    }
    problems.extend(inventory_problems(facts.main, facts.inventory, facts.overlooked));
    if facts.journal_too_new {
        problems.push(Problem::error(
            Code::JournalTooNew.as_str(),
            &Reason::JournalTooNew.to_string(),
            "install the newer version again",
        ));
    }
    if facts.clock.state() == ClockState::Wrong {
        let message = Reason::ClockWrong { offset: facts.clock.offset_seconds() }.to_string();
        problems.push(Problem::error(
            Code::ClockWrong.as_str(),
            &message,
            "correct the clock, and make sure that NTP keeps it",
        ));
    }
    for why in calendar::unreadable(hours(facts)) {
        problems.push(Problem::error(
            Code::TimeZoneUnreadable.as_str(),
            &format!("{why}; windows in it stay closed, and freezes last, until the emergency stage"),
            "install the package tzdata, fix TZ or /etc/localtime, or name a zone beside the hours",
        ));
    }
    problems.extend(credentials::problems(facts.credentials, facts.now));
    problems
}

/// All weekly hours that something waits for.
fn hours<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = &'f DeployWindow> {
    let of_entries = facts.inventory.entries.iter().flat_map(|entry| [&entry.deploy_window, &entry.request_window]);
    let of_freezes = facts.main.freezes.iter().filter_map(|freeze| match freeze {
        Freeze::Hours(hours) => Some(hours),
        Freeze::Dates { .. } => None,
    });
    of_entries.filter_map(|window| window.as_deref()).chain(of_freezes)
}

/// What an operator should know of the inventory directory, and what makes nothing unhealthy.
#[must_use]
pub fn inventory_problems(main: &Main, inventory: &Inventory, overlooked: &[Text]) -> Vec<Problem> {
    let directory = main.inventory.display();
    let mut problems = Vec::new();
    if !overlooked.is_empty() {
        let names = listed(overlooked.iter().map(Text::as_str));
        let what = match overlooked {
            [_] => "looks like a drop-in file but is not read",
            _ => "look like drop-in files but are not read",
        };
        problems.push(Problem::warning(
            Code::InventoryFileUnread.as_str(),
            &format!("{names} in {directory} {what}"),
            &format!(
                "rename each so that it begins with no dot and ends in .toml, directly in {directory}, or move it \
                 elsewhere"
            ),
        ));
    }
    if inventory.entries.is_empty() && inventory.held.is_none() && inventory.refused.is_empty() {
        problems.push(Problem::warning(
            Code::InventoryEmpty.as_str(),
            &format!("no certificate is in {directory}: renewd has nothing to do"),
            &format!("run `renewd profiles --entry ID > {directory}/www.toml`, then `renewd check --online`"),
        ));
    }
    problems
}

/// Names in a row; of many, the first.
pub(super) fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = names.len().saturating_sub(MOST_SHOWN);
    let shown: Vec<&str> = names.take(MOST_SHOWN).collect();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Whether a failure is one of the API as a whole, where that is in trouble.
fn is_of_api(failure: &Failure) -> bool {
    failure.class.scope() == Scope::Outage || failure.class == FailureClass::ApiUnauthorised
}

/// After so long somebody has to act, though nothing is due yet.
fn is_lasting(since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_some_and(|since| since + DAY <= now)
}

/// The API does not answer, or refuses the credential.
struct ApiTrouble<'f> {
    failure: &'f Failure,
    is_unauthorised: bool,
    since: Option<Timestamp>,
    waiting: Vec<CertName>,
    is_error: bool,
}

impl<'f> ApiTrouble<'f> {
    /// By the last answers; where nothing was asked yet, by the last readings of the profiles.
    fn of(facts: &'f Facts<'_>) -> Option<Self> {
        let (breaker, state) = (facts.breaker, facts.breaker.state());
        let readings = || facts.profiles.iter().filter(|one| is_of_api(&one.failure));
        let failure = match state {
            ApiState::Ok => None,
            ApiState::Unauthorised | ApiState::Unreachable => breaker.last_failure(),
            ApiState::BackingOff => breaker.last_failure().filter(|failure| is_of_api(failure)),
            ApiState::Unknown => readings().next().map(|one| &one.failure),
        }?;
        let since = breaker.failing_since().into_iter().chain(readings().filter_map(|one| one.since)).min();
        let is_unauthorised = state == ApiState::Unauthorised || failure.class == FailureClass::ApiUnauthorised;
        Some(Self { failure, is_unauthorised, since, waiting: Vec::new(), is_error: is_unauthorised })
    }

    /// Whether a certificate waits for it; if so, it is one of the names.
    fn take(&mut self, managed: &Managed, is_problem: bool) -> bool {
        let reason = &managed.decision().reason;
        let is_down = matches!(reason, Reason::ApiDown { .. });
        let is_forbidden = |failure: &Failure| self.is_unauthorised && failure.class == FailureClass::ApiForbidden;
        let is_meant = |failure: &Failure| is_of_api(failure) || is_forbidden(failure);
        let waits = is_down || reason.failure().is_some_and(is_meant);
        if waits {
            // What is due stays so: the breaker holds it back in place of letting it fail.
            self.is_error |= is_problem || is_down;
            self.waiting.push(managed.entry.name.clone());
        }
        waits
    }

    fn problem(&self, now: Timestamp) -> Problem {
        let is_error = self.is_error || is_lasting(self.since, now);
        let problem = if is_error { Problem::error } else { Problem::warning };
        let class = if self.is_unauthorised { FailureClass::ApiUnauthorised } else { self.failure.class };
        let code = class.code();
        let why = if class == self.failure.class { self.failure.message.to_string() } else { self.failure.to_string() };
        let message = match self.waiting.len() {
            0 => format!("{why}; no renewal is due yet"),
            _ => format!("{}: {why}", listed(self.waiting.iter().map(CertName::as_str))),
        };
        let since = self.since.map(|at| at.to_string());
        Problem { since, certificates: self.waiting.clone(), ..problem(code, &message, class.remedy()) }
    }
}

/// A profile that cannot be read, or cannot be used.
#[derive(Clone, Debug)]
pub struct ProfileTrouble {
    profile: ProfileRef,
    /// Its name, where it was ever read.
    name: Option<String>,
    failure: Failure,
    since: Option<Timestamp>,
    certificates: Vec<CertName>,
    /// The entry of the first of them.
    source: String,
    /// When the first of them is renewed.
    needed_at: Option<Timestamp>,
}

impl ProfileTrouble {
    /// All of them, each with the certificates that need it.
    pub fn all<'m>(profiles: &ProfileCache, certificates: impl Iterator<Item = &'m Managed>) -> Vec<Self> {
        let new = |(profile, reading, failure): (&ProfileRef, &CachedProfile, Failure)| Self {
            profile: profile.clone(),
            name: reading.profile.as_ref().map(|profile| profile.name.clone()),
            failure,
            since: reading.failing_since,
            certificates: Vec::new(),
            source: String::new(),
            needed_at: None,
        };
        let mut troubles: Vec<Self> = profiles.in_trouble().map(new).collect();
        if troubles.is_empty() {
            return troubles;
        }
        for managed in certificates {
            let needs = |trouble: &&mut Self| managed.entry.profiles().any(|profile| *profile == trouble.profile);
            for trouble in troubles.iter_mut().filter(needs) {
                if trouble.certificates.is_empty() {
                    trouble.source = managed.entry.source.to_string();
                }
                trouble.certificates.push(managed.entry.name.clone());
                trouble.needed_at = trouble.needed_at.into_iter().chain(managed.decision().renew_at).min();
            }
        }
        troubles
    }
}

struct ProfileProblem<'f> {
    trouble: &'f ProfileTrouble,
    is_error: bool,
}

impl<'f> ProfileProblem<'f> {
    /// One that certificates need, and of which is said more than to come back later.
    fn of(trouble: &'f ProfileTrouble) -> Option<Self> {
        let is_meant = !trouble.certificates.is_empty() && trouble.failure.class != FailureClass::ApiRateLimited;
        is_meant.then_some(Self { trouble, is_error: false })
    }

    /// Whether a certificate that is due fails by it.
    fn take(&mut self, managed: &Managed) -> bool {
        let reason = &managed.decision().reason;
        let is_its = *managed.profile() == self.trouble.profile
            && reason.failure().is_some_and(|failure| failure.class == self.trouble.failure.class);
        self.is_error |= is_its;
        is_its
    }

    fn problem(&self, now: Timestamp) -> Problem {
        let ProfileTrouble { profile, name, failure, since, certificates, source, needed_at } = self.trouble;
        let is_error = self.is_error || is_lasting(*since, now);
        let problem = if is_error { Problem::error } else { Problem::warning };
        let called = name.as_ref().map_or_else(|| profile.to_string(), |name| format!("{name:?}"));
        // One that cannot be used is named by its message.
        let what = if failure.class == FailureClass::ProfileUnusable {
            failure.message.to_string()
        } else {
            format!("profile {called} cannot be read: {}", failure.message)
        };
        let when = match needed_at.filter(|at| *at > now && !is_error) {
            Some(at) => format!("; first needed at {at}"),
            None => String::new(),
        };
        let message = format!("{}: {what}{when}", listed(certificates.iter().map(CertName::as_str)));
        // What the profile is called comes last: it may hold any word.
        let profile = format!("profile {called}");
        let remedy = match certificates.as_slice() {
            [name] => format!("{} (its entry: {source})", failure.remedy_of(name).replace("this profile", &profile)),
            _ => failure.remedy().replace("this profile", &profile),
        };
        Problem {
            since: since.map(|at| at.to_string()),
            certificates: certificates.clone(),
            ..problem(failure.class.code(), &message, &remedy)
        }
    }
}

/// The problem of one certificate.
struct Found<'a> {
    managed: &'a Managed,
    reading: &'a CachedProfile,
    code: Code,
    /// Whether what it waits for is told elsewhere.
    is_told: bool,
}

impl<'a> Found<'a> {
    fn of(managed: &'a Managed, reading: &'a CachedProfile, now: Timestamp) -> Option<Self> {
        let Managed { entry, observed, record, .. } = managed;
        let code = health::problem(entry, observed, record, reading.profile.as_ref(), &managed.decision(), now)?;
        Some(Self { managed, reading, code, is_told: false })
    }

    /// What it is, and since when.
    fn why(&self) -> (String, Option<Timestamp>) {
        let Managed { observed, record, .. } = self.managed;
        let reason = if self.is_told {
            self.managed.decision().reason.brief()
        } else {
            plain_reason(self.managed, self.reading)
        };
        let seen = health::not_served(observed, record);
        let unserved = seen.and_then(|seen| Some(format!("not served since {}: {}", seen.since, seen.what.as_ref()?)));
        let why = match unserved {
            Some(unserved) if self.code == Code::NotServed => unserved,
            Some(unserved) => format!("{reason}; {unserved}"),
            None => reason,
        };
        let odd = health::odd_standing(observed, record);
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are explained by their reason")]
        match self.code {
            Code::CertificateExpired => {
                let end = observed.installed().map(|installed| installed.end().to_string()).unwrap_or_default();
                (format!("expired at {end}; {why}"), None)
            }
            Code::CertificateSuspended | Code::CertificateStateOdd => {
                let standing = odd.map(ToString::to_string).unwrap_or_default();
                (format!("TLM reports it as {standing}"), odd.and_then(|standing| standing.since))
            }
            Code::PathRefused => {
                let told = observed.installed().into_iter().flat_map(|installed| &installed.remarks.list);
                let told = told.filter(|remark| remark.code == self.code).map(|remark| remark.message.to_string());
                (told.collect::<Vec<_>>().join("; "), None)
            }
            _ => (why, None),
        }
    }

    /// What it is where several have it.
    fn shared(&self) -> String {
        if let (Code::CertificateHeld, Reason::OnHold(held)) = (self.code, &self.managed.decision().reason) {
            return held.told();
        }
        self.failure().unwrap_or_else(|| self.why().0)
    }

    /// The failure that makes it a problem: the same one makes it one problem for all who have it.
    fn failure(&self) -> Option<String> {
        let is_its = matches!(self.code, Code::CertificateFailing | Code::CertificateRejected);
        self.managed.decision().reason.failure().filter(|_| is_its).map(ToString::to_string)
    }

    /// What to do about it; where it is this certificate's alone, with its name.
    fn remedy(&self, is_alone: bool) -> String {
        let remedy = remedy(self.managed, self.code);
        let remedy = if is_alone { with_name(remedy, &self.managed.entry.name) } else { remedy.to_owned() };
        // What the profile is called comes last: it may hold any word.
        match profile_name(self.managed, self.reading) {
            Some(called) => remedy.replace("this profile", &format!("profile {called:?}")),
            None => remedy,
        }
    }
}

/// Certificates of one cause, in order of the first of each.
#[derive(Default)]
struct Groups<'a> {
    all: Vec<Vec<Found<'a>>>,
    places: BTreeMap<(Code, String), usize>,
}

impl<'a> Groups<'a> {
    fn add(&mut self, found: Found<'a>) {
        let cause = found.shared();
        let place = *self.places.entry((found.code, cause)).or_insert(self.all.len());
        match self.all.get_mut(place) {
            Some(group) => group.push(found),
            None => self.all.push(vec![found]),
        }
    }

    fn problems(&self, now: Timestamp) -> impl Iterator<Item = Problem> {
        self.all.iter().filter_map(move |group| problem_of(group, now))
    }
}

/// The problem of those who have the same.
fn problem_of(group: &[Found<'_>], now: Timestamp) -> Option<Problem> {
    let first = group.first()?;
    let certificates: Vec<CertName> = group.iter().map(|found| found.managed.entry.name.clone()).collect();
    let (mut why, odd_since) = first.why();
    let is_alone = group.len() == 1;
    let mut remedy = first.remedy(is_alone);
    if is_alone {
        remedy = format!("{remedy} (its entry: {})", first.managed.entry.source);
    } else if let Some(failure) = first.failure() {
        let next = group.iter().map(|found| next_action_at(found.managed, now)).min();
        why = told_of_many(&first.managed.decision().reason, &failure, next);
    } else {
        why = first.shared();
    }
    let since = |found: &Found<'_>| last_trouble(found.managed)?.last.as_deref().map(|(_, at)| *at);
    let held_since = first.managed.record.hold_at(now).filter(|_| first.code == Code::CertificateHeld);
    let since = odd_since.or(held_since.map(|hold| hold.since)).or_else(|| group.iter().filter_map(since).min());
    let message = format!("{}: {why}", listed(certificates.iter().map(CertName::as_str)));
    let is_intended = health::is_intended(first.code, &first.managed.decision().reason);
    let is_warning = is_intended || first.code == Code::CertificateStateOdd;
    let problem = if is_warning { Problem::warning } else { Problem::error };
    Some(Problem {
        since: since.map(|at| at.to_string()),
        certificates,
        ..problem(first.code.as_str(), &message, &remedy)
    })
}

/// Why several wait: what they have in common, and when the first of them goes on.
fn told_of_many(reason: &Reason, failure: &str, next: Option<Timestamp>) -> String {
    let next = next.map_or_else(String::new, |at| format!("; next attempt at {at}"));
    #[expect(clippy::wildcard_enum_match_arm, reason = "the failure says it all")]
    match reason {
        Reason::HookOwed { hook, .. } => format!("installed, but hook {hook} failed: {failure}{next}"),
        Reason::Stopped { .. } => {
            format!("{failure}; stopped until the entry or the profile changes or you run `renewd renew`")
        }
        _ => format!("{failure}{next}"),
    }
}

const DAY: Duration = Duration::from_secs(86_400);
/// A message has room for so many names.
const MOST_SHOWN: usize = 8;
