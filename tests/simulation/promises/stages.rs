//! Promise 8: nobody is held back by what is not his. Every stage has an exit, and an edited entry is a new start.

use std::time::Duration;

use renewd::core::event::{self, Event, RollbackBy};
use renewd::core::failure::FailureClass;
use renewd::core::known::observed::Installed;
use renewd::core::name::{Attempt, CertName, ProfileRef};
use renewd::core::reason::{Reason, State};
use renewd::core::record::Stage;
use renewd::core::time::Timestamp;
use renewd::engine::managed::Managed;

use crate::host::HookMood;
use crate::tlm::Fate;
use crate::world::{AUDIT_EVERY, World};

/// Where a certificate stands that waits for something: its request, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waits {
    attempt: Option<Attempt>,
    what: &'static str,
}

/// How long it stood there in fair weather.
#[derive(Debug, Default)]
pub(super) struct Stay {
    at: Option<Waits>,
    fair: Duration,
}

/// An entry was edited in fair weather.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    at: Timestamp,
    tried_at: Option<Timestamp>,
}

impl Edit {
    /// The first intent after it is what it asked for.
    pub(super) fn follow(&mut self, entry: &event::Entry, now: Timestamp) {
        if matches!(entry.event, Event::Submitting { .. }) {
            self.tried_at.get_or_insert(now);
        }
    }
}

impl World {
    /// The operator changed an entry: from here on its first try is waited for, if nothing is in its way.
    pub(crate) fn edited(&mut self, name: &CertName) {
        // A look that hangs is waited for, whatever the entry says.
        let is_fair = self.is_fair(name) && self.clocks_agree() && self.api_is_open() && self.hung_until <= self.now;
        let edit = is_fair.then_some(Edit { at: self.now, tried_at: None });
        let now = self.now;
        let account = self.ledger.account(name);
        (account.edit, account.edited_at) = (edit, Some(now));
    }

    /// Whether the daemon asks the API, so that nobody waits for its trial or for the end of a pause.
    fn api_is_open(&self) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| {
            let engine = &daemon.engine;
            let is_paused = engine.api().paused_until(self.wall()).is_some();
            !engine.api().is_down() && !is_paused && engine.global_state().clock_wrong.is_none()
        })
    }

    /// The first try of an edited entry comes within minutes.
    pub(super) fn audit_edit(&mut self, name: &CertName) {
        let account = self.ledger.account(name);
        let Some(edit) = account.edit.filter(|edit| edit.at + SOON < self.now) else { return };
        self.ledger.account(name).edit = None;
        let is_late = edit.tried_at.is_none_or(|tried| tried > edit.at + SOON);
        // Whatever happened since may be what it waits for.
        let is_undisturbed = self.ledger.disturbed_at == Some(edit.at) && self.hung_until <= edit.at;
        let is_asked_for = edit.tried_at.is_some() || self.due_at(name) == Some(Timestamp::default());
        if is_late && is_undisturbed && is_asked_for && self.is_fair(name) && !self.waits_otherwise(name) {
            let reason = self.reason(name);
            self.breaks(8, format!("{name}: edited, and not tried for {}: {reason}", Minutes(SOON)));
        }
    }

    /// What an edit does not end: the day's budget, the disk's own ladder, the word by which an older generation is live,
    /// and the ladder of a profile that others use as well.
    fn waits_otherwise(&self, name: &CertName) -> bool {
        let Some(managed) = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name)) else {
            return true;
        };
        let is_back = managed.record.rolled_back.as_deref().is_some_and(|rolled_back| !rolled_back.forward);
        is_back
            || matches!(
                managed.decision().reason,
                Reason::BudgetSpent { .. }
                    | Reason::DiskTrouble { .. }
                    | Reason::Unreadable(_)
                    | Reason::ProfileUnread { .. }
                    | Reason::RequestWindowClosed { .. }
                    | Reason::OnHold(_)
            )
    }

    /// Every stage has an exit: nobody stands in one for two weeks of fair weather.
    pub(super) fn audit_stay(&mut self, name: &CertName) {
        let managed = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name));
        let Some(at) = managed.and_then(stage) else {
            self.ledger.account(name).stay = Stay::default();
            return;
        };
        let is_fair = self.is_fine(name) && !self.is_known_to_wait(name);
        let account = self.ledger.account(name);
        if account.stay.at.as_ref() != Some(&at) {
            account.stay = Stay { at: Some(at), fair: Duration::ZERO };
        } else if is_fair {
            account.stay.fair += AUDIT_EVERY;
            if account.stay.fair > TWO_WEEKS {
                let reason = self.reason(name);
                self.breaks(8, format!("{name}: at one stage for two weeks of fair weather: {reason}"));
            }
        }
    }

    /// What only somebody's word ends, or TLM, or the end of what is installed: it is said so, and true.
    fn is_known_to_wait(&self, name: &CertName) -> bool {
        let Some(managed) = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name)) else {
            return true;
        };
        let is_held = |by| managed.record.rolled_back.as_deref().is_some_and(|back| !back.forward && back.by == by);
        let hook_fails = || managed.entry.hooks.iter().any(|hook| self.hook_moods.get(hook) != Some(&HookMood::Fine));
        let ProfileRef::Id(profile) = &managed.entry.profile else { return true };
        // What somebody else put there lives longer than what the profile issues.
        let ends_too_soon = || {
            let installed = managed.observed.installed().map(Installed::ends_at);
            let lifetime = self.tlm.profiles.get(profile).map(|state| state.lifetime);
            installed.zip(lifetime).is_some_and(|(end, lifetime)| self.wall() + lifetime < end)
        };
        match &managed.decision().reason {
            _ if is_held(RollbackBy::Operator) => true,
            _ if is_held(RollbackBy::Hook) => hook_fails(),
            Reason::HookOwed { .. } => hook_fails(),
            // So often the hooks ran that only whoever runs the server can help; each look says so.
            Reason::NotServed { hooks_again: false, .. } => true,
            Reason::NotServed { .. } => self.silent || hook_fails(),
            Reason::OnHold(_) => self.is_held(name),
            Reason::Frozen { until, .. } => self.is_frozen_until(name, *until),
            Reason::ClosedWindow { .. } if !self.freezes.is_empty() => !self.is_past_waiting(name),
            Reason::Vetoed { hook, .. } => self.is_vetoed(name, hook),
            // Asked when the window opens next, or just now.
            Reason::ClosedWindow { .. } | Reason::Installing => {
                managed.entry.hooks.iter().any(|hook| self.is_vetoed(name, hook))
            }
            // An administrator said no.
            Reason::Stopped { failure, .. } if failure.class == FailureClass::RequestRejected => true,
            Reason::Stopped { failure, .. } if failure.class == FailureClass::GateRefused && ends_too_soon() => true,
            Reason::Stopped { failure, .. } | Reason::BackOff { failure, .. }
                if matches!(failure.class, FailureClass::AlreadyRenewed | FailureClass::DuplicateRefused) =>
            {
                self.tlm.stands_in_the_way(name, profile, self.now)
            }
            // It is installed in the emergency stage, unless the entry accepts it before.
            Reason::Held { until, .. } => until.is_some_and(|until| until > self.wall()),
            _ => false,
        }
    }

    fn is_before_emergency(&self, name: &CertName) -> bool {
        self.schedule(name).is_some_and(|(schedule, _)| self.now < schedule.emergency_at + HALF_AN_HOUR)
    }

    /// Whether a request is one that TLM still works on, by its own word.
    pub(super) fn is_worked_on(&self, name: &CertName, fate: Fate, is_issued: bool) -> bool {
        match fate {
            Fate::Waits => true,
            Fate::Issues(at) => !is_issued && at + HALF_AN_HOUR > self.now,
            // What says nothing is waited for until the emergency stage.
            Fate::Says(saying) => saying.goes_on() || saying.is_mute() && self.is_before_emergency(name),
            Fate::Rejected | Fate::Forgotten => false,
        }
    }
}

/// The stage of a certificate that waits for something.
fn stage(managed: &Managed) -> Option<Waits> {
    let request = managed.record.request.as_deref();
    let of_request = request.map(|request| match &request.stage {
        Stage::Prepared => "prepared",
        Stage::Submitted { .. } => "submitted",
        Stage::Pending { .. } => "pending",
        Stage::Issued { .. } => "issued",
        Stage::Held { .. } => "held",
    });
    let reason = &managed.decision().reason;
    // A prepared request that nothing asks for any more waits for the next renewal time.
    if reason.state() == State::Valid {
        return None;
    }
    Some(Waits { attempt: request.map(|request| request.attempt), what: of_request.unwrap_or(reason.code()) })
}

/// A span in minutes.
struct Minutes(Duration);

impl std::fmt::Display for Minutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} minutes", self.0.as_secs() / 60)
    }
}

/// So soon what an edited entry asks for is tried.
const SOON: Duration = Duration::from_secs(10 * 60);
const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);
const TWO_WEEKS: Duration = Duration::from_secs(14 * 86_400);
