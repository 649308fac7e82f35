//! When it opens, for whom, and what closes it.

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
