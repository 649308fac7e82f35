//! The fallback: in the emergency stage another profile is asked, where the entry's own could not issue for reasons that are
//! not the entry's. They take turns, each on its own ladder, until one of them issues; then the entry's own is asked again.
//! One request is in flight at a time all the while (promise 3).

use std::time::Duration;

use super::{AFTER_GATE, Action, Choice, FEW_TRIES, RECHECK, World};
use crate::core::event::Event;
use crate::core::failure::{Failure, FailureClass, Scope};
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::observed::Installed;
use crate::core::name::{ProfileId, ProfileRef};
use crate::core::reason::Reason;
use crate::core::record::Stage;
use crate::core::schedule::Schedule;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// The one of an entry's two profiles whose turn it is not.
#[derive(Clone, Copy, Debug)]
pub struct OtherProfile<'a> {
    /// Which.
    pub profile: &'a ProfileRef,
    /// What is known of it.
    pub reading: &'a CachedProfile,
}

impl<'a> OtherProfile<'a> {
    /// Its id, as far as it is known.
    fn id(&self) -> Option<&'a ProfileId> {
        match (&self.reading.profile, self.profile) {
            (Some(profile), _) => Some(&profile.id),
            (None, ProfileRef::Id(id)) => Some(id),
            (None, ProfileRef::Name(_)) => None,
        }
    }

    /// Whether it keeps each request waiting until somebody looks at it, as far as that is known.
    fn needs_approval(&self) -> bool {
        self.reading.profile.as_ref().is_some_and(|profile| profile.needs_approval)
    }
}

impl World<'_> {
    /// What takes the place of a wait, where the other profile's turn has come.
    pub(super) fn take_turns(&self, main: Choice, schedule: Option<&Schedule>) -> Choice {
        let Some(other) = &self.other else {
            let is_left = self.record.asks_fallback() && self.record.request.is_none();
            return if is_left { self.act(Action::ChangeProfile(Box::new(Event::FallbackLeft)), main.1) } else { main };
        };
        if main.0 != Action::Wait || self.global.asks_nobody {
            return main;
        }
        if self.record.asks_fallback() {
            self.leave_fallback(main, schedule, other)
        } else {
            self.fall_back(main, schedule, other)
        }
    }

    fn fall_back(&self, main: Choice, schedule: Option<&Schedule>, other: &OtherProfile<'_>) -> Choice {
        let needs_it = self.observed.installed().is_none() || self.is_emergency(schedule);
        // Both are asked of the same API; and what is issued already is fetched, or done without after some tries.
        let request = self.record.request.as_deref();
        let is_issued =
            request.is_some_and(|request| matches!(request.stage, Stage::Issued { .. } | Stage::Held { .. }));
        if !needs_it || is_issued || self.global.api_is_blocked {
            return main;
        }
        let Some(why) = self.could_not_issue(&main.1) else { return main };
        if let Some(from) = self.outlives_from(other).filter(|from| *from > self.now) {
            return self.wait(main.1, main.2.min(from));
        }
        let pending = pending_since(&main.1);
        // Once: two that both keep their requests waiting would give up each other's for ever.
        if pending.is_some() && (self.record.turn.is_some() || other.needs_approval()) {
            return main;
        }
        let at = self.turns_at(other, pending);
        if at > self.now {
            return self.wait(main.1, main.2.min(at));
        }
        let event = Event::FellBack { why: why.clone() };
        let reason = Reason::FallingBack { profile: other.profile.clone(), why };
        self.act(Action::ChangeProfile(Box::new(event)), reason)
    }

    /// From when on what another profile issues ends later than the installed one, as far as the profile tells.
    fn outlives_from(&self, other: &OtherProfile<'_>) -> Option<Timestamp> {
        let installed = self.observed.installed().filter(|installed| !self.is_revoked(installed))?;
        let profile = other.reading.profile.as_ref()?;
        let asked = self.entry.validity.filter(|_| profile.allows_validity).or(profile.validity)?;
        Some(installed.ends_at() - asked.span())
    }

    fn leave_fallback(&self, main: Choice, schedule: Option<&Schedule>, other: &OtherProfile<'_>) -> Choice {
        let is_free = self.record.request.as_deref().is_none_or(|request| request.stage == Stage::Prepared);
        let at = match pending_since(&main.1) {
            Some(since) if !other.needs_approval() => self.turns_at(other, Some(since)),
            _ if !is_free => return main,
            _ if self.cause(schedule).is_none() => self.now,
            _ => {
                // Whoever kept a request waiting is not asked again at the first failure of the other.
                let gave_up = self.record.turn.as_deref().filter(|turn| turn.was_pending).map(|turn| turn.at);
                self.turns_at(other, gave_up)
            }
        };
        if at > self.now {
            return self.wait(main.1, main.2.min(at));
        }
        self.act(Action::ChangeProfile(Box::new(Event::FallbackLeft)), main.1)
    }

    /// When the other profile's turn comes: once it would be asked at once, and patience with what TLM keeps waiting since
    /// `pending` is over.
    fn turns_at(&self, other: &OtherProfile<'_>, pending: Option<Timestamp>) -> Timestamp {
        let patience_ends = pending.map_or(self.now, |since| self.after(since, self.patience()));
        if patience_ends > self.now {
            return patience_ends;
        }
        let (action, _, wake_at) = *self.choice_of(other);
        let is_asked = matches!(action, Action::Submit(_) | Action::ReadProfile(_));
        if is_asked { self.now } else { wake_at.max(self.now + RECHECK) }
    }

    /// What there would be to do if it were the other profile's turn.
    fn choice_of(&self, other: &OtherProfile<'_>) -> Choice {
        let mut entry = self.entry.clone();
        entry.profile = other.profile.clone();
        let mut record = self.record.clone();
        record.turn_over_at(self.now);
        let own = OtherProfile { profile: &self.entry.profile, reading: self.reading };
        let world = World { entry: &entry, reading: other.reading, record: &record, other: Some(own), ..*self };
        world.main(world.schedule().as_ref())
    }

    /// Why the profile could not issue, where that is for reasons that are not the entry's, and that another profile may not
    /// have.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few of many waits are for such a reason")]
    fn could_not_issue(&self, reason: &Reason) -> Option<Text> {
        let trouble = &self.record.trouble;
        let (failure, count) = match reason {
            Reason::ProfileUnread { failure, .. } => {
                (failure, self.reading.failure.as_ref().map_or(0, |failed| failed.count))
            }
            Reason::BackOff { failure, failures, .. } => (failure, *failures),
            Reason::Stopped { failure, .. } | Reason::Unfit { failure, .. } => (failure, trouble.count),
            Reason::TooEarly { .. } => (&trouble.last.as_deref()?.0, trouble.count),
            Reason::Pending { request_id, since, .. } => {
                return Some(Text::new(&format!("request {request_id} has been pending since {since}")));
            }
            _ => return None,
        };
        is_of_the_profile(failure, count).then(|| Text::new(&failure.to_string()))
    }

    /// So long a request may wait for an approval before another profile is asked in its place.
    fn patience(&self) -> Duration {
        self.observed.installed().map_or(AFTER_GATE, |installed| AFTER_GATE.min(installed.lifetime() / 10))
    }

    /// Whether the fallback issued what is installed, and the entry's own profile is asked.
    pub(super) fn is_of_fallback(&self, installed: &Installed) -> bool {
        !self.record.asks_fallback() && self.is_of_the_other(installed)
    }

    /// Whether the profile whose turn it is not issued what is installed.
    pub(super) fn is_of_the_other(&self, installed: &Installed) -> bool {
        let id = self.other.as_ref().and_then(OtherProfile::id);
        id.is_some() && installed.profile.as_ref() == id
    }
}

/// Since when TLM keeps the request waiting, where it does.
fn pending_since(reason: &Reason) -> Option<Timestamp> {
    if let Reason::Pending { since, .. } = reason { Some(*since) } else { None }
}

/// Whether a failure, the `count`-th in a row, is the profile's own doing, or that of what stands behind it.
fn is_of_the_profile(failure: &Failure, count: u32) -> bool {
    match failure.class.scope() {
        Scope::Outage => count >= FEW_TRIES,
        Scope::Profile => true,
        Scope::Certificate => matches!(
            failure.class,
            FailureClass::GateRefused
                | FailureClass::EndsNoLater
                | FailureClass::AlreadyRenewed
                | FailureClass::DuplicateRefused
                | FailureClass::RenewalTooEarly
        ),
        Scope::Key | Scope::Disk => false,
    }
}
