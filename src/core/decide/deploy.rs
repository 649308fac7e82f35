//! What follows an install: hooks, the look at what is served, and the way back to an older generation; and the window
//! in which a new one may be switched in.

use std::time::Duration;

use super::super::event::{Event, RollbackBy};
use super::super::failure::{Failure, FailureClass};
use super::super::name::{Generation, HookName};
use super::super::reason::{Reason, State};
use super::super::record::RolledBack;
use super::super::schedule::Schedule;
use super::super::text::Text;
use super::super::time::Timestamp;
use super::{Action, Choice, World, backoff};
use crate::core::known::observed::Installed;
use crate::core::known::served::{ProbeRecord, Served};
use crate::core::wanted::window::Deploy;

impl World<'_> {
    /// What can be done for the installed set while its replacement waits: put drifted files back, run owed hooks, look
    /// at what is served.
    pub(super) fn upkeep(&self, waiting: Choice) -> Choice {
        let Some(installed) = self.observed.installed() else { return waiting };
        let drift = installed.drift.first();
        if let Some(what) = drift.filter(|_| !matches!(waiting.1, Reason::DiskTrouble { .. })) {
            return self.repair(what);
        }
        let own = self.way_back().or_else(|| self.failing_hook(installed)).or_else(|| self.hook());
        let Some(own) = own.or_else(|| self.probe(installed)) else { return waiting };
        let is_news = waiting.1.state() == State::Valid && own.1.state() != State::Valid;
        let (_, waiting, until) = *waiting;
        let reason = |own| if is_news { own } else { waiting };
        match *own {
            // A hook or a probe that waits for its ladder keeps nothing else waiting.
            (Action::Wait, own, next) => self.wait(reason(own), until.min(next)),
            (Action::Probe, own, _) => self.act(Action::Probe, reason(own)),
            own => Box::new(own),
        }
    }

    /// Puts files back. A newer certificate of the CA among them is switched in only when any other set would be.
    pub(super) fn repair(&self, what: &Text) -> Choice {
        let schedule = self.schedule();
        let schedule = schedule.as_ref();
        let refreshes = self.kept_back(schedule).is_none() && self.closed_window(schedule).is_none();
        self.act(Action::Repair { refreshes }, Reason::Drifted(what.clone()))
    }

    /// Whatever is done meanwhile: a certificate whose hook or probe is owed is not called valid (promise 7).
    pub(super) fn not_yet_served(&self, mut choice: Choice) -> Choice {
        if choice.0 != Action::Wait
            && choice.1.state() == State::Valid
            && let Some(installed) = self.observed.installed()
            && let Some(owed) = self.hook().or_else(|| self.probe(installed))
            && owed.1.state() != State::Valid
        {
            choice.1 = owed.1;
        }
        choice
    }

    /// A hook that failed on a new generation, where the entry wants the one before back.
    fn way_back(&self) -> Option<Choice> {
        let generation = self.record.generation.filter(|_| self.goes_back_by_hook())?;
        Some(self.act(Action::RollBack(generation), Reason::RollingBack))
    }

    fn goes_back_by_hook(&self) -> bool {
        let failed = self.record.hooks.values().any(|hook| hook.done_at.is_none() && hook.trouble.count > 0);
        let is_settled = self.record.rolled_back.as_deref().is_some_and(|back| !back.forward || back.stays);
        let is_refused =
            self.record.rollback_refused.is_some() && self.record.rollback_refused == self.record.generation;
        self.entry.rollback && failed && !is_settled && !is_refused
    }

    /// Where another generation is live than the journal has: the process died between the switch and the journal, the
    /// journal is gone, or somebody set the link by hand. It goes on record, and owes its hooks. What is older than the
    /// one installed last was put back on purpose, and is held, whatever was asked for before; not where the operator asks
    /// for a replacement at this very instant, which a rollback on record would take back.
    pub(super) fn unrecorded(&self) -> Option<Choice> {
        let installed = self.observed.installed()?;
        let live = installed.generation;
        let by_request =
            self.record.request.as_deref().is_some_and(|request| Some(request.attempt) == installed.attempt);
        if live == Generation(0) || self.record.generation == Some(live) || by_request {
            return None;
        }
        let hooks = self.entry.hooks.clone();
        let set_aside = self.record.rolled_back.as_deref().filter(|rolled_back| !rolled_back.forward);
        let action = match (self.record.generation, set_aside) {
            (Some(_), Some(set_aside)) if set_aside.from == live && set_aside.by == RollbackBy::Hook => {
                Action::Forward { generation: live, stays: false }
            }
            (Some(from), _) if live < from && self.goes_back_by_hook() => Action::RollBack(from),
            (Some(from), _) if live < from && self.record.renewal_asked.is_none_or(|asked| asked < self.now) => {
                Action::Recognise(Box::new(Event::RolledBack { from, to: live, by: RollbackBy::Operator, hooks }))
            }
            (Some(_), _) if installed.is_refreshed => {
                let ends_at = installed.ends_at();
                Action::Recognise(Box::new(Event::ChainRefreshed { generation: live, ends_at, hooks }))
            }
            _ => Action::Recognise(Box::new(Event::Adopted {
                generation: live,
                serial_number: installed.serial_number.clone(),
                fingerprint: installed.fingerprint,
                not_after: installed.not_after,
                hooks,
                issuer: Some(installed.chain.issuer.subject.clone()),
                chain_end: installed.chain_end().cloned().map(Box::new),
                replaces: None,
            })),
        };
        Some(self.act(action, Reason::Unrecorded(live)))
    }

    /// Where an older generation is live: by the operator's word it is held, after a failed hook the newer one is tried
    /// again on a ladder. Neither asks TLM for anything before the emergency stage.
    pub(super) fn kept_back(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        if let Some(choice) = self.on_hold(schedule) {
            return Some(choice);
        }
        let rolled_back = self.record.rolled_back.as_deref().filter(|rolled_back| !rolled_back.forward)?;
        let installed = self.observed.installed()?;
        let emergency_at = schedule.map(|schedule| schedule.emergency_at);
        let in_emergency = emergency_at.is_none_or(|at| at <= self.now);
        if self.is_asked_for_instead(rolled_back.by) || self.is_revoked(installed) {
            return None;
        }
        match rolled_back.by {
            RollbackBy::Operator if in_emergency => None,
            RollbackBy::Operator => {
                let reason = Reason::HeldBack { generation: rolled_back.to, until: emergency_at };
                let until = emergency_at.unwrap_or(self.now + super::LONGEST_WAIT);
                Some(self.wait(reason, self.or_next_look(until)))
            }
            RollbackBy::Hook => Some(self.forward(rolled_back, installed.ends_at(), schedule, in_emergency)),
        }
    }

    /// Whether an operator wants a replacement rather than the newer generation. Where TLM refuses it since that one is
    /// there, only that one is left to try.
    fn is_asked_for_instead(&self, by: RollbackBy) -> bool {
        let stopped = self.record.stopped.as_ref().map(|stop| stop.failure.class);
        let failed = self.record.trouble.last.as_deref().map(|(failure, _)| failure.class);
        let is_duplicate =
            |class: FailureClass| matches!(class, FailureClass::DuplicateRefused | FailureClass::AlreadyRenewed);
        let is_refused = by == RollbackBy::Hook && stopped.or(failed).is_some_and(is_duplicate);
        self.record.renewal_asked.is_some() && !is_refused
    }

    /// The newer one is tried again on the ladder, and as the emergency stage begins. In that stage no step is longer than
    /// a tenth of what is left, but the ladder holds: a hook that goes on failing must not send the files back and forth
    /// without a pause. The end of the old one ends the wait.
    fn forward(
        &self,
        rolled_back: &RolledBack,
        ends_at: Timestamp,
        schedule: Option<&Schedule>,
        in_emergency: bool,
    ) -> Choice {
        let RolledBack { from, to, at, tries, .. } = rolled_back;
        let due = self.after(*at, backoff::wait(&self.entry.name, *tries, self.left_at(*at)));
        let next = match self.deploy {
            Deploy::Closed(opens) | Deploy::Frozen(opens) if !in_emergency => due.max(opens),
            Deploy::Unplaced if !in_emergency => due.max(self.now + ZONE_RECHECK),
            Deploy::Closed(_) | Deploy::Frozen(_) | Deploy::Unplaced | Deploy::Open => due,
        };
        let next = self.bounded(*at, next).min(ends_at);
        let reason = Reason::RolledBack { from: *from, to: *to, next };
        if next > self.now {
            return self.wait(reason, next);
        }
        if let Some(choice) = self.vetoed(schedule) {
            return choice;
        }
        self.act(Action::Forward { generation: *from, stays: in_emergency }, reason)
    }

    fn hook(&self) -> Option<Choice> {
        let (at, hook, failure) = self.owed_hook()?;
        let reason = Reason::HookOwed { hook: hook.clone(), failure, at };
        Some(if at > self.now { self.wait(reason, at) } else { self.act(Action::RunHook(hook), reason) })
    }

    /// While a failed hook waits for its ladder, what is served instead is looked at.
    fn failing_hook(&self, installed: &Installed) -> Option<Choice> {
        let (at, hook, failure) = self.owed_hook().filter(|(at, _, failure)| *at > self.now && failure.is_some())?;
        let reason = Reason::HookOwed { hook, failure, at };
        let look = self.probe(installed).map(|look| *look);
        Some(match look {
            Some((Action::Probe | Action::RepeatHooks(_), ..)) => self.act(Action::Probe, reason),
            Some((_, _, next)) => self.wait(reason, at.min(next)),
            None => self.wait(reason, at),
        })
    }

    /// The first hook that the installed generation owes: due a few seconds after the install, so that certificates
    /// installed together cause one run, and after a failure on its own ladder.
    pub(super) fn owed_hook(&self) -> Option<(Timestamp, HookName, Option<Failure>)> {
        let owed = |name: &&HookName| self.record.hooks.get(*name).is_some_and(|hook| hook.done_at.is_none());
        let due = |name: &HookName| {
            let hook = self.record.hooks.get(name)?;
            let at = match hook.trouble.last.as_deref() {
                Some((_, at)) => self.after(*at, backoff::wait(&self.entry.name, hook.trouble.count, None)),
                None => self.after(hook.owed_at, GATHER_INSTALLS),
            };
            Some((at, name.clone(), hook.trouble.last.as_deref().map(|(failure, _)| failure.clone())))
        };
        self.entry.hooks.iter().filter(owed).filter_map(due).min_by_key(|(at, ..)| *at)
    }

    /// Whether the installed certificate is served: looked at after the hooks, again soon while it is not, and now and
    /// then for ever.
    fn probe(&self, installed: &Installed) -> Option<Choice> {
        if self.entry.probes.is_empty() {
            return None;
        }
        let seen = self.record.probe.as_deref().filter(|seen| seen.fingerprint == installed.fingerprint);
        let Some(seen) = seen else { return Some(self.act(Action::Probe, Reason::Probing)) };
        // An instant that lies ahead is from before the clock was set back, and over.
        let done = self.record.hooks.values().filter_map(|hook| hook.done_at).chain(self.record.deploy_asked);
        let hooks_done_at = done.filter(|at| *at <= self.now + super::SMALL_STEP).max();
        let since_then = hooks_done_at.filter(|at| *at > seen.at);
        let next = match since_then {
            // A server takes a moment to put a new certificate to use.
            Some(done_at) => self.after(done_at, SETTLE),
            None => self.after(seen.at, self.until_next_look(seen)),
        };
        if seen.served == Served::Yes {
            // Another look at what was seen to be served is no news.
            let quiet = Reason::CheckingStatus;
            if next > self.now {
                return Some(self.wait(quiet, next));
            }
            return Some(self.act(Action::Probe, if since_then.is_some() { Reason::Probing } else { quiet }));
        }
        let again = self.may_run_hooks_again(seen);
        let what = seen.what.clone().unwrap_or_default();
        let reason = Reason::NotServed { what, since: seen.since, next, hooks_again: again.is_some() };
        if next > self.now {
            return Some(self.wait(reason, next));
        }
        let action = again.filter(|_| since_then.is_none()).unwrap_or(Action::Probe);
        Some(self.act(action, reason))
    }

    fn until_next_look(&self, seen: &ProbeRecord) -> Duration {
        match (seen.served, seen.failures) {
            (Served::Yes, _) => PROBE_INTERVAL,
            (Served::No | Served::Unknown, 0 | 1) => SECOND_LOOK,
            (Served::No | Served::Unknown, 2) => THIRD_LOOK,
            (Served::No | Served::Unknown, failures) => {
                backoff::wait(&self.entry.name, failures - 2, None).min(PROBE_INTERVAL)
            }
        }
    }

    /// Whether the hooks run again before the next look: where something else is served, three times at the most for one
    /// generation, and inside the deploy window alone.
    fn may_run_hooks_again(&self, seen: &ProbeRecord) -> Option<Action> {
        let generation = self.record.generation?;
        let has_hooks = self.entry.hooks.iter().any(|name| self.record.hooks.contains_key(name));
        let may = seen.served == Served::No
            && seen.failures > 1
            && has_hooks
            && self.record.hook_repeats < MOST_REPEATS
            && self.deploy == Deploy::Open;
        may.then_some(Action::RepeatHooks(generation))
    }

    /// Whether a new set may be switched in only while the deploy window is open.
    pub(super) fn keeps_to_window(&self, schedule: Option<&Schedule>) -> bool {
        self.observed.installed().is_some_and(|installed| !self.is_revoked(installed))
            && schedule.is_some_and(|schedule| schedule.emergency_at > self.now)
    }

    /// The wait after a program of a hook said no: on the hooks' ladder, and not once it is urgent.
    pub(super) fn vetoed(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        let veto = self.record.veto.as_deref().filter(|veto| self.entry.hooks.contains(&veto.hook))?;
        let emergency_at = schedule.filter(|_| self.keeps_to_window(schedule))?.emergency_at;
        let (failure, at) = veto.trouble.last.as_deref()?;
        let next = self.after(*at, backoff::wait(&self.entry.name, veto.trouble.count, None));
        let next = self.bounded(*at, next);
        let (hook, failure) = (veto.hook.clone(), failure.clone());
        let reason = Reason::Vetoed { hook, failure, next, emergency_at };
        (next > self.now).then(|| self.wait(reason, self.or_next_look(next)))
    }

    /// Why what was issued is not installed now: its window is closed or a freeze is in force, and nothing is urgent.
    pub(super) fn closed_window(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        let emergency_at = schedule.filter(|_| self.keeps_to_window(schedule))?.emergency_at;
        let (reason, look_at) = match self.deploy {
            Deploy::Open => return None,
            Deploy::Frozen(until) => (Reason::Frozen { until, emergency_at }, until),
            Deploy::Closed(opens) => {
                (Reason::ClosedWindow { opens: Some(opens), emergency_at: Some(emergency_at) }, opens)
            }
            Deploy::Unplaced => {
                (Reason::ClosedWindow { opens: None, emergency_at: Some(emergency_at) }, self.now + ZONE_RECHECK)
            }
        };
        Some(self.wait(reason, self.or_next_look(look_at.min(emergency_at))))
    }
}

/// How soon a time zone is looked for again that could not be read.
pub(super) const ZONE_RECHECK: Duration = Duration::from_secs(300);
const GATHER_INSTALLS: Duration = Duration::from_secs(3);
const SETTLE: Duration = Duration::from_secs(1);
const SECOND_LOOK: Duration = Duration::from_secs(5);
const THIRD_LOOK: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_secs(3600);
const MOST_REPEATS: u32 = 3;

#[cfg(test)]
mod tests;
