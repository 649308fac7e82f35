//! The API as a whole: when several certificates see it fail, or it refuses the key, the rest wait for one trial
//! request instead of failing one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::clock::ClockCheck;
use crate::core::failure::{Failure, FailureClass, Scope};
use crate::core::name::{CertName, ProfileRef};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// What is known of the API as a whole. As in the pattern of this name, it is open while requests are blocked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breaker {
    outage: Option<Outage>,
    /// Who saw a transient failure of a function since it last answered, and under which profile.
    failing: BTreeMap<Function, BTreeMap<CertName, ProfileRef>>,
    /// Functions that went on failing for a profile when the API answered again: that is their trouble alone.
    alone: BTreeSet<(Function, ProfileRef)>,
    /// Profiles whose last answer was a 403.
    forbidden: BTreeSet<ProfileRef>,
    /// Profiles whose last answer was none: while there is one, the key is not refused as a whole.
    allowed: BTreeSet<ProfileRef>,
    /// The profile of the last trial.
    tried: Option<ProfileRef>,
    /// The profiles that an operator wants tried before any other.
    asked: BTreeSet<ProfileRef>,
    last_success: Option<Timestamp>,
    recovered_at: Option<Timestamp>,
    last_failure: Option<Failure>,
    /// When the first request failed since the last success.
    failing_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
struct Outage {
    failure: Failure,
    trial_at: Timestamp,
    /// Whether nothing at all may go out, by what is known of the credentials.
    is_barred: bool,
}

/// Functions of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Profiles.
    Profile,
    /// Requests, pickups, renewals.
    Main,
    /// Search; a 403 disables it instead of holding anything back.
    Search,
    /// Details and additional formats; a 403 disables them likewise.
    Details,
    /// Revocations; a 403 says nothing of anything else.
    Revoke,
}

/// Who asked the API for what.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The function.
    pub function: Function,
    /// The profile.
    pub profile: &'a ProfileRef,
    /// The certificates that it was asked for; of many, [`SEVERAL`] are enough.
    pub users: &'a [CertName],
    /// Whether the inventory names no other profile.
    pub is_only_profile: bool,
}

/// So many certificates that see the API fail, of as many profiles where there are several, speak for all.
pub const SEVERAL: usize = 2;

/// The state of the API, as the status names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiState {
    /// Nothing was asked of it yet.
    Unknown,
    /// The last request was answered.
    Ok,
    /// Single failures, or a 429.
    BackingOff,
    /// It refuses the key.
    Unauthorised,
    /// It does not answer.
    Unreachable,
}

impl ApiState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Ok, Self::BackingOff, Self::Unauthorised, Self::Unreachable];

    /// The word in status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::BackingOff => "backing-off",
            Self::Unauthorised => "unauthorised",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Breaker {
    /// Notes an answer that shows the API and the key to be in order. Where it ends an outage, what failed otherwise meanwhile
    /// is on its own from now on.
    pub fn succeeded(&mut self, function: Function, profile: Option<&ProfileRef>, now: Timestamp) {
        if self.outage.take().is_some() {
            self.recovered_at = Some(now);
            self.asked.clear();
            let failing = std::mem::take(&mut self.failing).into_iter();
            let alone =
                failing.flat_map(|(function, users)| users.into_values().map(move |profile| (function, profile)));
            self.alone.extend(alone);
        }
        self.failing.remove(&function);
        if let Some(profile) = profile {
            self.alone.remove(&(function, profile.clone()));
            self.forbidden.remove(profile);
            self.allowed.insert(profile.clone());
        }
        (self.last_failure, self.failing_since) = (None, None);
        self.last_success = Some(now);
    }

    /// Notes a request that failed.
    pub fn failed(&mut self, asked: &Asked<'_>, failure: &Failure, now: Timestamp) {
        let Asked { function, profile, users, is_only_profile } = *asked;
        let opens = match failure.class.scope() {
            Scope::Key => failure.class == FailureClass::ApiUnauthorised,
            Scope::Outage => {
                let failing = self.failing.entry(function).or_default();
                failing.extend(users.iter().map(|name| (name.clone(), profile.clone())));
                let counts = |profile: &&ProfileRef| !self.alone.contains(&(function, (*profile).clone()));
                let counted: Vec<_> = failing.values().filter(counts).collect();
                let profiles: BTreeSet<_> = counted.iter().collect();
                counted.len() >= SEVERAL && (is_only_profile || profiles.len() >= SEVERAL)
            }
            Scope::Profile => {
                if failure.class == FailureClass::ApiForbidden {
                    self.forbidden.insert(profile.clone());
                    self.allowed.remove(profile);
                }
                self.forbidden.len() >= SEVERAL && self.allowed.is_empty()
            }
            // The API answered: it is there.
            Scope::Certificate => {
                self.succeeded(function, Some(profile), now);
                return;
            }
            Scope::Disk => return,
        };
        self.note(failure, now);
        if opens {
            let outage = Outage { failure: failure.clone(), trial_at: now + TRIAL_INTERVAL, is_barred: false };
            self.outage.get_or_insert(outage);
        }
    }

    fn note(&mut self, failure: &Failure, now: Timestamp) {
        self.last_failure = Some(failure.clone());
        self.failing_since.get_or_insert(now);
    }

    /// Forgets profiles that the inventory no longer names: their refusals say nothing of those that stay.
    pub fn keep_only(&mut self, is_named: impl Fn(&ProfileRef) -> bool) {
        self.forbidden.retain(&is_named);
        self.allowed.retain(&is_named);
        self.alone.retain(|(_, profile)| is_named(profile));
        self.asked.retain(&is_named);
        self.failing.values_mut().for_each(|users| users.retain(|_, profile| is_named(profile)));
    }

    /// Notes that nothing may go out, by what is known before anything was sent; a trial is due now.
    pub fn refused(&mut self, failure: &Failure, now: Timestamp) {
        self.note(failure, now);
        self.outage = Some(Outage { failure: failure.clone(), trial_at: now, is_barred: true });
    }

    /// Notes a failed trial: the next one waits as long again, unless only this profile was refused, and another one
    /// can be tried, or is what an operator asked for.
    pub fn trial_failed(&mut self, profile: Option<&ProfileRef>, failure: &Failure, now: Timestamp) {
        self.note(failure, now);
        let refused = profile.filter(|_| failure.class == FailureClass::ApiForbidden);
        let is_news = refused.is_some_and(|profile| {
            self.allowed.remove(profile);
            self.forbidden.insert(profile.clone()) || !self.asked.is_empty()
        });
        if refused.is_none() {
            self.asked.clear();
        }
        let trial_at = if is_news { now } else { now + TRIAL_INTERVAL };
        self.outage = Some(Outage { failure: failure.clone(), trial_at, is_barred: false });
    }

    /// Whether a trial that failed so shows all the same that the API answers and takes the key: what it says is about
    /// one certificate or one profile, and that was not what stopped everything.
    #[must_use]
    pub fn is_answer(&self, failure: &Failure) -> bool {
        let cause = self.outage.as_ref().map(|outage| outage.failure.class);
        match failure.class.scope() {
            Scope::Certificate => true,
            Scope::Profile => failure.class != FailureClass::ApiForbidden || cause != Some(FailureClass::ApiForbidden),
            Scope::Key | Scope::Outage | Scope::Disk => false,
        }
    }

    /// Makes the next trial due now: there is another key, or the operator changed something.
    pub fn probe_now(&mut self, now: Timestamp) {
        if let Some(outage) = &mut self.outage {
            outage.trial_at = now;
        }
    }

    /// Makes the next trial due now at an operator's word, for one of these profiles: what was refused for them may have been
    /// allowed, and of the others nobody said so.
    pub fn ask_now(&mut self, profiles: impl IntoIterator<Item = ProfileRef>, now: Timestamp) {
        if self.outage.is_some() {
            self.asked.extend(profiles);
            self.probe_now(now);
        }
    }

    /// Why a request may not go out, and until when, if that is so. One that is urgent is its own trial.
    #[must_use]
    pub fn blocks(&self, is_urgent: bool) -> Option<(Text, Timestamp)> {
        if is_urgent && self.outage.as_ref().is_some_and(|outage| !outage.is_barred) {
            return None;
        }
        self.open_until()
    }

    /// Why requests are blocked, and until when, if they are.
    #[must_use]
    pub fn open_until(&self) -> Option<(Text, Timestamp)> {
        self.outage.as_ref().map(|outage| (Text::new(&outage.failure.to_string()), outage.trial_at))
    }

    /// The profile to try: one that an operator asked for, else each in its turn, but for those that were refused where there
    /// is another, so that nobody's own trouble holds back everybody else.
    pub fn to_try<'a>(&mut self, profiles: impl Iterator<Item = &'a ProfileRef>) -> Option<ProfileRef> {
        let all: BTreeSet<&ProfileRef> = profiles.collect();
        let allowed: BTreeSet<&ProfileRef> = all.iter().copied().filter(|one| !self.forbidden.contains(*one)).collect();
        let from = if allowed.is_empty() { all } else { allowed };
        let after = |one: &&&ProfileRef| self.tried.as_ref().is_none_or(|tried| **one > tried);
        let next = from.iter().find(after).or(from.first()).map(|one| (**one).clone());
        let next = self.asked.pop_first().or(next);
        self.tried.clone_from(&next);
        next
    }

    /// Takes the trial that is due, if one is; the next one is not due before this one can have ended.
    pub fn take_trial(&mut self, now: Timestamp) -> bool {
        let due = self.outage.as_mut().filter(|outage| outage.trial_at <= now);
        due.map(|outage| outage.trial_at = now + TRIAL_INTERVAL).is_some()
    }

    /// Takes the request that is due though it is made for no certificate, if one is: a trial in an outage, else the
    /// comparison of a clock that counts as wrong with the time of the answer.
    pub fn take_probe(&mut self, clock: &mut ClockCheck, now: Timestamp) -> bool {
        if self.outage.is_some() { self.take_trial(now) } else { clock.take_comparison(now) }
    }

    /// When the next such request goes out.
    #[must_use]
    pub fn probe_at(&self, clock: &ClockCheck) -> Option<Timestamp> {
        self.trial_at().or_else(|| clock.comparison_at())
    }

    /// When the next trial goes out.
    #[must_use]
    pub fn trial_at(&self) -> Option<Timestamp> {
        self.outage.as_ref().map(|outage| outage.trial_at)
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> ApiState {
        match (&self.outage, &self.last_failure, self.last_success) {
            (Some(outage), ..) => match outage.failure.class.scope() {
                Scope::Key | Scope::Profile => ApiState::Unauthorised,
                Scope::Outage | Scope::Certificate | Scope::Disk => ApiState::Unreachable,
            },
            (None, Some(_), _) => ApiState::BackingOff,
            (None, None, Some(_)) => ApiState::Ok,
            (None, None, None) => ApiState::Unknown,
        }
    }

    /// When the API last answered.
    #[must_use]
    pub const fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// When the last outage ended.
    #[must_use]
    pub const fn recovered_at(&self) -> Option<Timestamp> {
        self.recovered_at
    }

    /// Since when no request succeeds.
    #[must_use]
    pub const fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// The last failure since the last success.
    #[must_use]
    pub const fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }
}

const TRIAL_INTERVAL: Duration = Duration::from_secs(30 * 60);

#[cfg(test)]
mod tests;
