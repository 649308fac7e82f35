//! The promises that a single decision can break, as a function: whoever decides can ask whether the decision keeps
//! them. Counts and compares anew, by nothing but the world and the decision.

use std::fmt;
use std::time::Duration;

use super::decide::{Action, Decision, World};
use super::name::Attempt;
use super::reason::{Reason, State};
use super::record::BUDGET_SPAN;
use super::schedule;
use super::time::Timestamp;
use crate::core::known::served::Served;

/// A promise that a decision breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Its number.
    pub promise: u32,
    /// How.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {}: {}", self.promise, self.what)
    }
}

/// Every promise that `decision` breaks in `world`.
#[must_use]
pub fn breaches(world: &World<'_>, decision: &Decision) -> Vec<Breach> {
    let found = [
        one_request(world, &decision.action).map(|what| (3, what)),
        within_budget(world, &decision.action).map(|what| (4, what)),
        due_for_its_own_sake(decision).map(|what| (6, what)),
        valid_means_served(world, decision).map(|what| (7, what)),
        wait_that_ends(decision, world.now).map(|what| (9, what)),
        trusted_clock(world, &decision.action).map(|what| (12, what)),
        wait_within_its_rule(decision, world.now).map(|what| (12, what)),
    ];
    found.into_iter().flatten().map(|(promise, what)| Breach { promise, what }).collect()
}

/// What is done for a request is done for the one in flight; a new one gets a new number.
fn one_request(world: &World<'_>, action: &Action) -> Option<String> {
    let record = world.record;
    let attempt = attempt_of(action)?;
    let in_flight = record.request.as_deref().map(|request| request.attempt);
    let is_new = matches!(action, Action::Submit(submission) if !submission.prepared);
    let expected = if is_new && in_flight.is_none() { Some(record.next_attempt()) } else { in_flight };
    if expected == Some(attempt) && is_new == in_flight.is_none() {
        return None;
    }
    Some(format!("{} of request {attempt} while {in_flight:?} is in flight", action.as_str()))
}

const fn attempt_of(action: &Action) -> Option<Attempt> {
    match action {
        Action::Submit(submission) => Some(submission.attempt),
        Action::LookUp(attempt)
        | Action::PickUp { attempt, .. }
        | Action::Install { attempt, .. }
        | Action::Abandon(attempt) => Some(*attempt),
        Action::Wait
        | Action::ReadProfile(_)
        | Action::Repair { .. }
        | Action::RefreshChain
        | Action::RunHook(_)
        | Action::RepeatHooks(_)
        | Action::Probe
        | Action::RollBack(_)
        | Action::Forward { .. }
        | Action::CheckStatus(_)
        | Action::RevokeSuperseded(_)
        | Action::Recognise(_)
        | Action::ChangeProfile(_)
        | Action::ForgetKeys(_) => None,
    }
}

/// Those of a day are below the limit, or the operator asked and nothing was submitted since.
fn within_budget(world: &World<'_>, action: &Action) -> Option<String> {
    if !matches!(action, Action::Submit(_)) {
        return None;
    }
    let record = world.record;
    let day_ago = world.now - BUDGET_SPAN;
    let used = record.submissions.iter().filter(|at| **at > day_ago && **at < world.now + BUDGET_SPAN).count();
    let asked = record.renewal_asked.is_some_and(|asked| record.submissions.iter().all(|at| *at < asked));
    (!asked && used >= budget_limit(world)).then(|| format!("a submission after {used} of a day"))
}

fn budget_limit(world: &World<'_>) -> usize {
    let needed = world.observed.installed().map_or(0, |installed| {
        let lifetime = installed.not_after.since(installed.not_before);
        let window = schedule::window(world.entry, world.reading.profile.as_ref(), lifetime);
        let interval = lifetime.saturating_sub(window).as_millis().max(1);
        (BUDGET_SPAN.as_millis() * 3).div_ceil(interval)
    });
    usize::try_from(needed).unwrap_or(usize::MAX).max(world.global.submissions_per_day as usize)
}

/// Only a cause of the certificate's own leads to a submission: never a hook, never a file that can be put back.
fn due_for_its_own_sake(decision: &Decision) -> Option<String> {
    let submits = matches!(decision.action, Action::Submit(_));
    (submits && !matches!(decision.reason, Reason::Due(_))).then(|| format!("submits because {}", decision.reason))
}

/// What has a probe is valid once the probe saw it.
fn valid_means_served(world: &World<'_>, decision: &Decision) -> Option<String> {
    let installed = world.observed.installed().filter(|_| !world.entry.probes.is_empty())?;
    let seen = world.record.probe.as_deref().filter(|seen| seen.fingerprint == installed.fingerprint);
    let is_served = seen.is_some_and(|seen| seen.served == Served::Yes);
    let is_valid = decision.reason.state() == State::Valid;
    (is_valid && !is_served).then(|| format!("called valid, and not seen served: {}", decision.reason))
}

/// A wait ends in the future.
fn wait_that_ends(decision: &Decision, now: Timestamp) -> Option<String> {
    let is_over = decision.action == Action::Wait && decision.wake_at <= now;
    is_over.then(|| format!("waits for {}, which is over: {}", decision.wake_at, decision.reason))
}

fn trusted_clock(world: &World<'_>, action: &Action) -> Option<String> {
    let submits = matches!(action, Action::Submit(_));
    (submits && world.global.clock_wrong.is_some()).then(|| "submits by a wrong clock".to_owned())
}

/// No wait outlasts the longest that its reason allows, wherever the clock went meanwhile.
fn wait_within_its_rule(decision: &Decision, now: Timestamp) -> Option<String> {
    let longest = match &decision.reason {
        Reason::BackOff { .. } | Reason::DiskTrouble { .. } | Reason::HookOwed { .. } => LONGEST_BACK_OFF,
        Reason::Vetoed { .. } => LONGEST_BACK_OFF,
        Reason::Pending { .. } | Reason::AnswerLost { .. } => LONGEST_BACK_OFF,
        Reason::BudgetSpent { .. } => BUDGET_SPAN,
        Reason::ClockWrong { .. } | Reason::Unreadable(_) => MINUTE,
        Reason::NotServed { .. } => LONGEST_BACK_OFF,
        Reason::NotDue { .. }
        | Reason::NotYetValid(_)
        | Reason::InstalledEarly(_)
        | Reason::Drifted(_)
        | Reason::Probing
        | Reason::ClosedWindow { .. }
        | Reason::Frozen { .. }
        | Reason::RequestWindowClosed { .. }
        | Reason::OnHold(_)
        | Reason::RollingBack
        | Reason::RolledBack { .. }
        | Reason::HeldBack { .. }
        | Reason::Due(_)
        | Reason::Queued(_)
        | Reason::ApiDown { .. }
        | Reason::RateLimited { .. }
        | Reason::ReadingProfile { .. }
        | Reason::ProfileUnknown { .. }
        | Reason::ProfileUnread { .. }
        | Reason::Unfit { .. }
        | Reason::TooEarly { .. }
        | Reason::JournalTooNew
        | Reason::Installing
        | Reason::RefreshingChain(_)
        | Reason::Unrecorded(_)
        | Reason::Held { .. }
        | Reason::Abandoning
        | Reason::FallingBack { .. }
        | Reason::Forgetting
        | Reason::Stopped { .. }
        | Reason::RevokingSuperseded(_)
        | Reason::SupersededInUse { .. }
        | Reason::CheckingStatus => return None,
    };
    let wait = decision.wake_at.since(now);
    (wait > longest + MINUTE).then(|| format!("waits {wait:?}: {}", decision.reason))
}

/// Six hours and a fifth: the ladder's last step, spread.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(6 * 3600 * 6 / 5);
const MINUTE: Duration = Duration::from_secs(60);
