//! The API as a whole: when several certificates see it fail, or it refuses the key, the rest wait for one trial
//! request instead of failing one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::clock::ClockCheck;
use super::failure::{Failure, FailureClass, Scope};
use super::name::{CertName, ProfileRef};
use super::text::Text;
use super::time::Timestamp;

/// What is known of the API as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breaker {
    outage: Option<Outage>,
    /// Certificates that saw a transient failure since the last answer.
    failing: BTreeSet<CertName>,
    /// Profiles whose last answer was a 403.
    forbidden: BTreeSet<ProfileRef>,
    /// Profiles whose last answer was none: while there is one, the key is not refused as a whole.
    allowed: BTreeSet<ProfileRef>,
    last_success: Option<Timestamp>,
    recovered_at: Option<Timestamp>,
    last_failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq)]
struct Outage {
    failure: Failure,
    trial_at: Timestamp,
}

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
    /// Notes an answer, for a profile, that shows the API and the key to be in order.
    pub fn succeeded(&mut self, profile: Option<&ProfileRef>, now: Timestamp) {
        if self.outage.take().is_some() {
            self.recovered_at = Some(now);
        }
        self.failing.clear();
        if let Some(profile) = profile {
            self.forbidden.remove(profile);
            self.allowed.insert(profile.clone());
        }
        self.last_failure = None;
        self.last_success = Some(now);
    }

    /// Notes a failed request made for a certificate.
    pub fn failed(&mut self, name: &CertName, profile: &ProfileRef, failure: &Failure, now: Timestamp) {
        let opens = match failure.class.scope() {
            Scope::Key => failure.class == FailureClass::ApiUnauthorised,
            Scope::Outage => {
                self.failing.insert(name.clone());
                self.failing.len() > 1
            }
            Scope::Profile => {
                if failure.class == FailureClass::ApiForbidden {
                    self.forbidden.insert(profile.clone());
                    self.allowed.remove(profile);
                }
                self.forbidden.len() > 1 && self.allowed.is_empty()
            }
            // The API answered: it is there.
            Scope::Certificate => {
                self.succeeded(Some(profile), now);
                return;
            }
            Scope::Disk => return,
        };
        self.last_failure = Some(failure.clone());
        if opens {
            let outage = Outage { failure: failure.clone(), trial_at: now + TRIAL_INTERVAL };
            self.outage.get_or_insert(outage);
        }
    }

    /// Notes that nothing may go out, by what is known before anything was sent; a trial is due now.
    pub fn refused(&mut self, failure: &Failure, now: Timestamp) {
        self.last_failure = Some(failure.clone());
        self.outage = Some(Outage { failure: failure.clone(), trial_at: now });
    }

    /// Notes a failed trial: the next one waits as long again, unless only this profile was refused, and another one
    /// can be tried.
    pub fn trial_failed(&mut self, profile: Option<&ProfileRef>, failure: &Failure, now: Timestamp) {
        self.last_failure = Some(failure.clone());
        let refused = profile.filter(|_| failure.class == FailureClass::ApiForbidden);
        let is_news = refused.is_some_and(|profile| {
            self.allowed.remove(profile);
            self.forbidden.insert(profile.clone())
        });
        let trial_at = if is_news { now } else { now + TRIAL_INTERVAL };
        self.outage = Some(Outage { failure: failure.clone(), trial_at });
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
    pub fn try_now(&mut self, now: Timestamp) {
        if let Some(outage) = &mut self.outage {
            outage.trial_at = now;
        }
    }

    /// Why no request may go out, and until when, if that is so.
    #[must_use]
    pub fn closed(&self) -> Option<(Text, Timestamp)> {
        self.outage.as_ref().map(|outage| (Text::new(&outage.failure.to_string()), outage.trial_at))
    }

    /// The profile to try: one that was not refused, if there is one, so that those who may not use theirs hold back
    /// nobody else.
    #[must_use]
    pub fn to_try<'a>(&self, profiles: impl Iterator<Item = &'a ProfileRef> + Clone) -> Option<&'a ProfileRef> {
        profiles.clone().find(|profile| !self.forbidden.contains(*profile)).or_else(|| profiles.clone().next())
    }

    /// Takes the trial that is due, if one is; the next one is not due before this one can have ended.
    pub fn take_trial(&mut self, now: Timestamp) -> bool {
        let due = self.outage.as_mut().filter(|outage| outage.trial_at <= now);
        due.map(|outage| outage.trial_at = now + TRIAL_INTERVAL).is_some()
    }

    /// Takes the request that is due though it is made for no certificate, if one is: a trial in an outage, else the
    /// comparison of a clock that counts as wrong with the time of the answer.
    pub fn take_errand(&mut self, clock: &mut ClockCheck, now: Timestamp) -> bool {
        if self.outage.is_some() { self.take_trial(now) } else { clock.take_comparison(now) }
    }

    /// When the next such request goes out.
    #[must_use]
    pub fn errand_at(&self, clock: &ClockCheck) -> Option<Timestamp> {
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

    /// The last failure since the last success.
    #[must_use]
    pub const fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }
}

const TRIAL_INTERVAL: Duration = Duration::from_secs(30 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn fails(breaker: &mut Breaker, profile: &str, class: FailureClass) {
        let (name, profile) = (profile.parse().unwrap(), ProfileRef::new(profile));
        breaker.failed(&name, &profile, &Failure::new(class, "no"), NOW);
    }

    #[test]
    fn several_failing_certificates_wait_for_one_trial_at_a_time() {
        let mut breaker = Breaker::default();
        fails(&mut breaker, "a", FailureClass::ApiUnavailable);
        assert_eq!(breaker.closed(), None, "one alone says nothing of the API");
        fails(&mut breaker, "b", FailureClass::ApiUnavailable);
        let trial_at = NOW + TRIAL_INTERVAL;
        assert_eq!(breaker.closed().map(|(_, until)| until), Some(trial_at));
        assert!(!breaker.take_trial(NOW) && breaker.take_trial(trial_at));
        assert!(!breaker.take_trial(trial_at), "it is on its way");
        assert_eq!(breaker.trial_at(), Some(trial_at + TRIAL_INTERVAL), "nobody looks again before it can have ended");
        breaker.succeeded(None, trial_at);
        assert_eq!((breaker.closed(), breaker.recovered_at()), (None, Some(trial_at)));
    }

    #[test]
    fn profiles_that_are_refused_hold_back_no_other() {
        let mut breaker = Breaker::default();
        let good = ProfileRef::new("good");
        breaker.succeeded(Some(&good), NOW);
        fails(&mut breaker, "a", FailureClass::ApiForbidden);
        fails(&mut breaker, "b", FailureClass::ApiForbidden);
        assert_eq!(breaker.closed(), None, "another profile may be used");
        fails(&mut breaker, "good", FailureClass::ApiForbidden);
        assert!(breaker.closed().is_some(), "none may be used");
    }

    #[test]
    fn a_trial_that_only_its_profile_fails_is_followed_by_another_at_once() {
        let mut breaker = Breaker::default();
        fails(&mut breaker, "x", FailureClass::ApiUnavailable);
        fails(&mut breaker, "y", FailureClass::ApiUnavailable);
        let profiles = ["a", "b"].map(ProfileRef::new);
        let first = breaker.to_try(profiles.iter()).cloned();
        let refusal = Failure::new(FailureClass::ApiForbidden, "no");
        breaker.trial_failed(first.as_ref(), &refusal, NOW);
        let second = breaker.to_try(profiles.iter()).cloned();
        assert!(breaker.take_trial(NOW) && first != second);
        breaker.trial_failed(second.as_ref(), &refusal, NOW);
        breaker.trial_failed(breaker.to_try(profiles.iter()).cloned().as_ref(), &refusal, NOW);
        assert!(!breaker.take_trial(NOW), "every profile was tried");
    }

    #[test]
    fn in_an_outage_the_clock_is_compared_by_the_trial() {
        let (hour, mut breaker) = (Duration::from_secs(3600), Breaker::default());
        let mut clock = ClockCheck::new(NOW, NOW);
        assert_eq!((breaker.errand_at(&clock), breaker.take_errand(&mut clock, NOW)), (None, false));
        clock.compare(NOW + hour, NOW);
        let second = breaker.errand_at(&clock).unwrap();
        assert!(second < NOW + TRIAL_INTERVAL && breaker.take_errand(&mut clock, second));
        fails(&mut breaker, "a", FailureClass::ApiUnavailable);
        fails(&mut breaker, "b", FailureClass::ApiUnavailable);
        let trial_at = NOW + TRIAL_INTERVAL;
        assert_eq!(breaker.errand_at(&clock), Some(trial_at));
        assert!(!breaker.take_errand(&mut clock, trial_at - Duration::from_secs(1)));
        assert!(breaker.take_errand(&mut clock, trial_at));
    }

    /// After several certificates failed so, a trial that fails so.
    fn is_answer(outage: FailureClass, trial: FailureClass) -> bool {
        let mut breaker = Breaker::default();
        for name in ["one", "two"] {
            breaker.failed(&name.parse().unwrap(), &ProfileRef::new(name), &Failure::new(outage, "no"), NOW);
        }
        assert!(breaker.closed().is_some());
        breaker.is_answer(&Failure::new(trial, "no"))
    }

    #[test]
    fn a_trial_that_is_refused_for_its_own_profile_ends_an_outage() {
        use FailureClass::{ApiForbidden, ApiUnauthorised, ApiUnreachable, ProfileNotFound, ProfileUnusable};
        for outage in [ApiUnreachable, ApiUnauthorised] {
            for trial in [ApiForbidden, ProfileNotFound, ProfileUnusable, FailureClass::RequestRefused] {
                assert!(is_answer(outage, trial), "{outage}: {trial}");
            }
            assert!(!is_answer(outage, outage));
        }
        assert!(!is_answer(ApiForbidden, ApiForbidden), "several profiles are forbidden, and this one still is");
        assert!(is_answer(ApiForbidden, ProfileNotFound));
    }
}
