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
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn fails(breaker: &mut Breaker, profile: &str, class: FailureClass) {
        fails_for(breaker, profile, profile, Function::Main, class);
    }

    fn fails_for(breaker: &mut Breaker, name: &str, profile: &str, function: Function, class: FailureClass) {
        let (users, profile) = ([name.parse().unwrap()], ProfileRef::new(profile));
        let asked = Asked { function, profile: &profile, users: &users, is_only_profile: false };
        breaker.failed(&asked, &Failure::new(class, "no"), NOW);
    }

    #[test]
    fn several_failing_certificates_wait_for_one_trial_at_a_time() {
        let mut breaker = Breaker::default();
        fails(&mut breaker, "a", FailureClass::ApiUnavailable);
        assert_eq!(breaker.open_until(), None, "one alone says nothing of the API");
        fails(&mut breaker, "b", FailureClass::ApiUnavailable);
        let trial_at = NOW + TRIAL_INTERVAL;
        assert_eq!(breaker.open_until().map(|(_, until)| until), Some(trial_at));
        assert!(!breaker.take_trial(NOW) && breaker.take_trial(trial_at));
        assert!(!breaker.take_trial(trial_at), "it is on its way");
        assert_eq!(breaker.trial_at(), Some(trial_at + TRIAL_INTERVAL), "nobody looks again before it can have ended");
        breaker.succeeded(Function::Main, None, trial_at);
        assert_eq!((breaker.open_until(), breaker.recovered_at()), (None, Some(trial_at)));
    }

    /// Two of one profile are that profile's trouble, unless there is no other.
    #[test]
    fn one_profile_or_one_function_that_fails_holds_back_no_other() {
        use FailureClass::{ApiNoAnswer, ApiUnavailable};
        let mut breaker = Breaker::default();
        for (name, class) in [("a", ApiUnavailable), ("b", ApiNoAnswer), ("c", ApiUnavailable)] {
            fails_for(&mut breaker, name, "p", Function::Main, class);
        }
        fails_for(&mut breaker, "d", "q", Function::Search, ApiUnavailable);
        assert_eq!(breaker.open_until(), None, "neither is everybody's");
        let users = ["a", "b"].map(|name| name.parse().unwrap());
        let profile = ProfileRef::new("p");
        let asked = Asked { function: Function::Main, profile: &profile, users: &users, is_only_profile: true };
        breaker.failed(&asked, &Failure::new(ApiUnavailable, "no"), NOW);
        assert!(breaker.open_until().is_some(), "there is no other profile to tell by");
    }

    /// What goes on failing after a trial was answered does not take everybody with it again.
    #[test]
    fn what_outlasts_an_outage_opens_no_other() {
        let mut breaker = Breaker::default();
        let fail = |breaker: &mut Breaker, name| fails(breaker, name, FailureClass::ApiUnavailable);
        ["a", "b"].iter().for_each(|name| fail(&mut breaker, name));
        assert!(breaker.open_until().is_some());
        breaker.succeeded(Function::Profile, Some(&ProfileRef::new("c")), NOW);
        ["a", "b", "c"].iter().for_each(|name| fail(&mut breaker, name));
        assert_eq!(breaker.open_until(), None, "of three that fail two are known to");
        breaker.succeeded(Function::Main, Some(&ProfileRef::new("a")), NOW);
        ["a", "c"].iter().for_each(|name| fail(&mut breaker, name));
        assert!(breaker.open_until().is_some(), "a was in order meanwhile");
    }

    #[test]
    fn profiles_that_cannot_be_read_open_no_second_outage() {
        let mut breaker = Breaker::default();
        let fail = |breaker: &mut Breaker, name| {
            fails_for(breaker, name, name, Function::Profile, FailureClass::ApiUnavailable);
        };
        ["a", "b"].iter().for_each(|name| fail(&mut breaker, name));
        assert!(breaker.open_until().is_some());
        breaker.succeeded(Function::Profile, Some(&ProfileRef::new("c")), NOW);
        ["a", "b"].iter().for_each(|name| fail(&mut breaker, name));
        assert_eq!(breaker.open_until(), None, "the trial was answered for another profile");
    }

    #[test]
    fn each_trial_asks_for_another_profile() {
        let mut breaker = Breaker::default();
        let profiles = ["a", "b", "c"].map(ProfileRef::new);
        let tried: Vec<_> = (0..4).filter_map(|_| breaker.to_try(profiles.iter().chain(&profiles))).collect();
        assert_eq!(tried, ["a", "b", "c", "a"].map(ProfileRef::new));
    }

    #[test]
    fn an_outage_blocks_nobody_who_is_urgent_and_a_refused_credential_everybody() {
        let mut breaker = Breaker::default();
        ["a", "b"].iter().for_each(|name| fails(&mut breaker, name, FailureClass::ApiUnreachable));
        assert!(breaker.blocks(false).is_some() && breaker.blocks(true).is_none());
        breaker.refused(&Failure::new(FailureClass::ApiUnauthorised, "it has ended"), NOW);
        assert!(breaker.blocks(true).is_some());
    }

    #[test]
    fn refusals_of_profiles_that_left_say_nothing_of_the_others() {
        let mut breaker = Breaker::default();
        fails(&mut breaker, "gone", FailureClass::ApiForbidden);
        breaker.keep_only(|profile| *profile == ProfileRef::new("stays"));
        fails(&mut breaker, "stays", FailureClass::ApiForbidden);
        assert_eq!(breaker.open_until(), None);
    }

    #[test]
    fn profiles_that_are_refused_hold_back_no_other() {
        let mut breaker = Breaker::default();
        let good = ProfileRef::new("good");
        breaker.succeeded(Function::Main, Some(&good), NOW);
        fails(&mut breaker, "a", FailureClass::ApiForbidden);
        fails(&mut breaker, "b", FailureClass::ApiForbidden);
        assert_eq!(breaker.open_until(), None, "another profile may be used");
        fails(&mut breaker, "good", FailureClass::ApiForbidden);
        assert!(breaker.open_until().is_some(), "none may be used");
    }

    #[test]
    fn a_trial_that_only_its_profile_fails_is_followed_by_another_at_once() {
        let mut breaker = Breaker::default();
        fails(&mut breaker, "x", FailureClass::ApiUnavailable);
        fails(&mut breaker, "y", FailureClass::ApiUnavailable);
        let profiles = ["a", "b"].map(ProfileRef::new);
        let first = breaker.to_try(profiles.iter());
        let refusal = Failure::new(FailureClass::ApiForbidden, "no");
        breaker.trial_failed(first.as_ref(), &refusal, NOW);
        let second = breaker.to_try(profiles.iter());
        assert!(breaker.take_trial(NOW) && first != second);
        breaker.trial_failed(second.as_ref(), &refusal, NOW);
        let third = breaker.to_try(profiles.iter());
        breaker.trial_failed(third.as_ref(), &refusal, NOW);
        assert!(!breaker.take_trial(NOW), "every profile was tried");
    }

    /// Whoever was allowed one of several profiles that were all refused is not answered by the refusal of another.
    #[test]
    fn an_operator_has_what_he_names_tried_and_each_of_it_once() {
        let mut breaker = Breaker::default();
        let profiles = ["a", "b", "c"].map(ProfileRef::new);
        ["a", "b", "c"].iter().for_each(|profile| fails(&mut breaker, profile, FailureClass::ApiForbidden));
        let refusal = Failure::new(FailureClass::ApiForbidden, "no");
        let named = ["b", "c"].map(ProfileRef::new);
        breaker.ask_now(named.clone(), NOW);
        for profile in &named {
            assert!(breaker.take_trial(NOW));
            let tried = breaker.to_try(profiles.iter());
            assert_eq!(tried.as_ref(), Some(profile));
            breaker.trial_failed(tried.as_ref(), &refusal, NOW);
        }
        assert!(!breaker.take_trial(NOW), "each was tried once");
        breaker.ask_now(named.clone(), NOW);
        let outage = Failure::new(FailureClass::ApiUnavailable, "no");
        let tried = breaker.to_try(profiles.iter());
        breaker.trial_failed(tried.as_ref(), &outage, NOW);
        assert!(!breaker.take_trial(NOW), "an outage is the same for all");
        breaker.ask_now(named.clone(), NOW);
        breaker.keep_only(|profile| *profile == profiles[2]);
        assert_eq!(breaker.to_try(profiles[..1].iter().chain(&profiles[2..])), Some(profiles[2].clone()));
    }

    #[test]
    fn in_an_outage_the_clock_is_compared_by_the_trial() {
        let (hour, mut breaker) = (Duration::from_secs(3600), Breaker::default());
        let mut clock = ClockCheck::new(NOW, NOW);
        assert_eq!((breaker.probe_at(&clock), breaker.take_probe(&mut clock, NOW)), (None, false));
        clock.compare(NOW + hour, NOW);
        let second = breaker.probe_at(&clock).unwrap();
        assert!(second < NOW + TRIAL_INTERVAL && breaker.take_probe(&mut clock, second));
        fails(&mut breaker, "a", FailureClass::ApiUnavailable);
        fails(&mut breaker, "b", FailureClass::ApiUnavailable);
        let trial_at = NOW + TRIAL_INTERVAL;
        assert_eq!(breaker.probe_at(&clock), Some(trial_at));
        assert!(!breaker.take_probe(&mut clock, trial_at - Duration::from_secs(1)));
        assert!(breaker.take_probe(&mut clock, trial_at));
    }

    /// After several certificates failed so, a trial that fails so.
    fn is_answer(outage: FailureClass, trial: FailureClass) -> bool {
        let mut breaker = Breaker::default();
        for name in ["one", "two"] {
            fails(&mut breaker, name, outage);
        }
        assert!(breaker.open_until().is_some());
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
