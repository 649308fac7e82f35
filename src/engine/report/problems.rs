//! What somebody has to look at: one problem for each cause.

use super::{Facts, last_trouble, remedy};
use crate::config::{Inventory, Main};
use crate::core::clock::ClockState;
use crate::core::code::Code;
use crate::core::failure::FailureClass;
use crate::core::health;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::reason::Reason;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::breaker::ApiState;
use crate::engine::managed::Managed;
use crate::engine::status::{Problem, Severity};
use crate::engine::{calendar, credentials};

pub(super) fn common_problems(facts: &Facts<'_>) -> Vec<Problem> {
    let problem = |code: &str, message: String, remedy: &str| Problem {
        code: code.to_owned(),
        severity: Severity::Error,
        message: Text::new(&message),
        since: None,
        remedy: Text::new(remedy),
    };
    let mut problems = Vec::new();
    if let Some(error) = facts.config_error {
        let message =
            format!("{} is refused; what was loaded before stays in force: {error}", facts.main.file.display());
        problems.push(problem(
            Code::ConfigRefused.as_str(),
            message,
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
        problems.push(problem(Code::InventoryFileRefused.as_str(), message, &remedy));
    }
    problems.extend(inventory_problems(facts.main, facts.inventory, facts.overlooked));
    if facts.clock.state() == ClockState::Wrong {
        let message = Reason::ClockWrong { offset: facts.clock.offset_seconds() }.to_string();
        problems.push(problem(
            Code::ClockWrong.as_str(),
            message,
            "correct the clock, and make sure that NTP keeps it",
        ));
    }
    let windows = facts.inventory.entries.iter().filter_map(|entry| entry.deploy_window.as_deref());
    for why in calendar::unreadable(windows) {
        problems.push(problem(
            Code::TimeZoneUnreadable.as_str(),
            format!("{why}; deploy windows in it stay closed until the emergency stage"),
            "install the package tzdata, fix TZ or /etc/localtime, or name a zone with `deploy_time_zone`",
        ));
    }
    if facts.breaker.state() == ApiState::Unauthorised {
        let why = facts.breaker.last_failure().map(ToString::to_string).unwrap_or_default();
        problems.push(problem(
            FailureClass::ApiUnauthorised.code(),
            why,
            "put a valid API key in place, then run: systemctl restart renewd",
        ));
    }
    problems.extend(credentials::problems(facts.credentials, facts.now));
    problems
}

/// What an operator should know of the inventory directory, and what makes nothing unhealthy.
#[must_use]
pub fn inventory_problems(main: &Main, inventory: &Inventory, overlooked: &[Text]) -> Vec<Problem> {
    let directory = main.inventory.display();
    let warning = |code: Code, message: &str, remedy: &str| Problem {
        code: code.as_str().to_owned(),
        severity: Severity::Warning,
        message: Text::new(message),
        since: None,
        remedy: Text::new(remedy),
    };
    let mut problems = Vec::new();
    if !overlooked.is_empty() {
        let names: Vec<&str> = overlooked.iter().take(MOST_SHOWN).map(Text::as_str).collect();
        let more = overlooked.len().saturating_sub(MOST_SHOWN);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let what = match overlooked {
            [_] => "looks like a drop-in file but is not read",
            _ => "look like drop-in files but are not read",
        };
        problems.push(warning(
            Code::InventoryFileUnread,
            &format!("{}{more} in {directory} {what}", names.join(", ")),
            &format!(
                "rename each so that it begins with no dot and ends in .toml, directly in {directory}, or move it \
                 elsewhere"
            ),
        ));
    }
    if inventory.entries.is_empty() && inventory.held.is_none() && inventory.refused.is_empty() {
        problems.push(warning(
            Code::InventoryEmpty,
            &format!("no certificate is in {directory}: renewd has nothing to do"),
            &format!("run `renewd profiles --entry ID > {directory}/www.toml`, then `renewd check --online`"),
        ));
    }
    problems
}

/// A message has room for so many names of files.
const MOST_SHOWN: usize = 8;

pub(super) fn certificate_problem(managed: &Managed, reading: &CachedProfile, now: Timestamp) -> Option<Problem> {
    let Managed { entry, observed, record, .. } = managed;
    let decision = managed.decision();
    let code = health::problem(entry, observed, record, reading.profile.as_ref(), &decision, now)?;
    let seen = health::not_served(observed, record);
    let unserved = seen.and_then(|seen| Some(format!("not served since {}: {}", seen.since, seen.what.as_ref()?)));
    let why = match unserved {
        Some(unserved) if code == Code::NotServed => unserved,
        Some(unserved) => format!("{}; {unserved}", decision.reason),
        None => decision.reason.to_string(),
    };
    let odd = health::odd_standing(observed, record);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are explained by their reason")]
    let (why, since) = match code {
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
            let told = told.filter(|remark| remark.code == code).map(|remark| remark.message.to_string());
            (told.collect::<Vec<_>>().join("; "), None)
        }
        _ => (why, None),
    };
    let since = since.or_else(|| last_trouble(managed)?.last.as_deref().map(|(_, at)| *at));
    Some(Problem {
        code: code.to_string(),
        severity: if code == Code::CertificateStateOdd { Severity::Warning } else { Severity::Error },
        message: Text::new(&format!("{}: {why}", entry.name)),
        since: since.map(|at| at.to_string()),
        remedy: Text::new(&format!("{} (its entry: {})", remedy(managed, code), entry.source)),
    })
}
