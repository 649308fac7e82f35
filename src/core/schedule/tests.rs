//! The renewal window, the instant inside of it, and the emergency stage, at their bounds.

use std::sync::Arc;

use super::super::example::{DAY, HOUR, SECOND, START, entry, installed, profile};
use super::super::text::Text;
use super::*;
use crate::core::known::issuer::{ChainEnd, Issuer, ServedChain};

#[test]
fn the_window_is_the_entrys_then_the_profiles_then_a_third() {
    #[track_caller]
    fn check(renew_before: Option<Duration>, of_profile: Option<u32>, lifetime: Duration, expected: Duration) {
        let mut entry = entry();
        entry.renew_before = renew_before;
        let profile = Profile { renewal_window_days: of_profile, ..profile() };
        assert_eq!(window(&entry, Some(&profile), lifetime), expected);
    }
    let life = 90 * DAY;
    check(Some(20 * DAY), Some(30), life, 20 * DAY);
    check(None, Some(30), life, 30 * DAY);
    check(None, None, life, 30 * DAY);
    check(None, Some(0), life, 30 * DAY);
    check(None, None, 3650 * DAY, 3650 * DAY / 3);
    // Two thirds of the lifetime are allowed; a millisecond more is not.
    check(Some(60 * DAY), None, life, 60 * DAY);
    check(Some(60 * DAY + Duration::from_millis(1)), None, life, 30 * DAY);
    check(None, Some(30), 40 * DAY, 40 * DAY / 3);
    check(None, Some(30), HOUR, HOUR / 3);
    assert_eq!(window(&entry(), None, life), 30 * DAY);
}

#[test]
fn without_duplicates_the_window_is_no_wider_than_the_profiles() {
    let mut entry = entry();
    entry.renew_before = Some(50 * DAY);
    let mut profile = profile();
    assert_eq!(window(&entry, Some(&profile), 90 * DAY), 50 * DAY);
    profile.allows_duplicates = false;
    assert_eq!(window(&entry, Some(&profile), 90 * DAY), 30 * DAY);
}

#[test]
fn the_instant_lies_in_the_first_tenth_of_the_window_by_the_fingerprint() {
    #[track_caller]
    fn check(first_byte: u8, least: Duration, most: Duration) {
        let mut installed = installed(90 * DAY);
        installed.fingerprint.0[0] = first_byte;
        let schedule = Schedule::of(&entry(), Some(&profile()), &installed);
        let from_start = schedule.renew_at.since(START + 60 * DAY);
        assert!((least..=most).contains(&from_start), "{first_byte}: {from_start:?}");
        assert_eq!(schedule, Schedule::of(&entry(), Some(&profile()), &installed), "the same after a restart");
    }
    check(0, Duration::ZERO, Duration::ZERO);
    check(0x80, 36 * HOUR, 36 * HOUR);
    check(0xff, 71 * HOUR, 72 * HOUR);
}

#[test]
fn the_emergency_stage_is_the_last_tenth_of_the_validity() {
    for (lifetime, tenth) in [(90 * DAY, 9 * DAY), (HOUR, HOUR / 10), (3650 * DAY, 365 * DAY)] {
        let schedule = Schedule::of(&entry(), Some(&profile()), &installed(lifetime));
        assert_eq!(schedule.emergency_at, START + lifetime - tenth);
    }
}

#[test]
fn looks_without_a_reason_are_spread_and_share_instants() {
    for now in [START, START + SECOND, START + SECOND * 599] {
        let names = (0..1000).map(|number| format!("c{number}").parse::<CertName>().unwrap());
        let looks: Vec<Timestamp> = names.map(|name| look_again(&name, now)).collect();
        assert!(looks.iter().all(|at| at.seconds() % 600 == 0 && *at > now + 3 * HOUR && *at <= now + 6 * HOUR));
        let of_slot = |slot: &Timestamp| looks.iter().filter(|at| *at == slot).count();
        let slots: std::collections::BTreeSet<_> = looks.iter().copied().collect();
        assert_eq!(slots.len(), 18);
        assert!(slots.iter().all(|slot| of_slot(slot) < 2 * 1000 / 18), "none has twice its share");
    }
}

/// The ordinary certificate, whose chain ends so long after the start.
fn with_chain(chain: Duration) -> Installed {
    let end = ChainEnd { at: START + chain, subject: Text::new("CN=Issuing CA"), spki: Digest([9; 32]) };
    let issuer = Issuer { subject: Text::new("CN=Issuing CA"), spki: Some(Digest([9; 32])) };
    Installed { chain: Arc::new(ServedChain { issuer, end: Some(end) }), ..installed(90 * DAY) }
}

#[test]
fn the_earliest_end_of_leaf_and_chain_counts() {
    #[track_caller]
    fn check(chain: Duration, lives: Duration, renewed_after: Duration, ca: Option<&str>) {
        let installed = with_chain(chain);
        let schedule = Schedule::of(&entry(), Some(&profile()), &installed);
        assert_eq!(installed.lifetime(), lives);
        assert_eq!(schedule.renew_at, START + renewed_after);
        assert_eq!(schedule.emergency_at, START + lives - lives / 10);
        assert_eq!(installed.end().ca.as_ref().map(Text::as_str), ca);
    }
    check(3650 * DAY, 90 * DAY, 60 * DAY, None);
    check(90 * DAY, 90 * DAY, 60 * DAY, None);
    check(90 * DAY - SECOND, 90 * DAY - SECOND, 60 * DAY - SECOND, Some("CN=Issuing CA"));
    check(50 * DAY, 50 * DAY, 20 * DAY, Some("CN=Issuing CA"));
    // The profile's 30 days are more than two thirds of what is left.
    check(3 * DAY, 3 * DAY, 2 * DAY, Some("CN=Issuing CA"));
}

#[test]
fn a_window_that_begins_after_the_emergency_stage_begins_with_it() {
    #[track_caller]
    fn check(renew_before: Option<Duration>, of_profile: Option<u32>, duplicates: bool, expected: Duration) {
        let mut entry = entry();
        entry.renew_before = renew_before;
        let profile = Profile { renewal_window_days: of_profile, allows_duplicates: duplicates, ..profile() };
        assert_eq!(window(&entry, Some(&profile), 90 * DAY), expected);
    }
    check(Some(SECOND * 60), Some(30), true, 9 * DAY);
    check(Some(9 * DAY - SECOND), None, true, 9 * DAY);
    check(Some(9 * DAY + SECOND), None, true, 9 * DAY + SECOND);
    check(None, Some(1), true, 9 * DAY);
    // TLM renews no earlier where there are no duplicates.
    check(None, Some(1), false, DAY);
    check(Some(SECOND * 60), Some(30), false, 9 * DAY);
    check(Some(SECOND * 60), Some(1), false, DAY);
    check(Some(SECOND * 60), None, false, 9 * DAY);
}

#[test]
fn a_window_that_leaves_little_time_is_told() {
    #[track_caller]
    fn check(renew_before: Option<Duration>, profile: Profile, expected: Option<&str>) {
        let mut entry = entry();
        entry.renew_before = renew_before;
        let remark = doubt(&entry, Some(&profile), 90 * DAY).map(|doubt| doubt.remark());
        let message = remark.as_ref().map(|remark| remark.message.as_str());
        match expected {
            None => assert_eq!(message, None),
            Some(part) => assert!(message.is_some_and(|message| message.contains(part)), "{message:?}"),
        }
    }
    let one_day = |allows_duplicates| Profile { renewal_window_days: Some(1), allows_duplicates, ..profile() };
    let approval = |days| Profile { renewal_window_days: Some(days), needs_approval: true, ..profile() };
    check(None, profile(), None);
    check(Some(9 * DAY), profile(), None);
    let (of_entry, of_profile) =
        ("; raise `renew_before` of the entry", "; raise the renewal window of the profile in TLM");
    check(Some(SECOND * 60), profile(), Some("`renew_before` is 1 min"));
    check(Some(SECOND * 60), profile(), Some(of_entry));
    check(None, one_day(true), Some("the profile's renewal window is 1 d"));
    check(None, one_day(true), Some(of_profile));
    check(None, one_day(false), Some("allows no duplicates"));
    check(Some(SECOND * 60), one_day(false), Some(of_profile));
    check(Some(DAY), approval(30), Some(of_entry));
    let none = || Profile { renewal_window_days: Some(0), ..profile() };
    check(None, none(), Some("is 0 days, which counts as not set; renewal starts 30 d before the expiry"));
    check(Some(20 * DAY), none(), None);
    let odd = |days| Profile { renewal_window_days: days, odd_window: Some("-1".into()), ..profile() };
    check(None, odd(None), Some("is \"-1\", which counts as not set; renewal starts 30 d before the expiry"));
    check(None, odd(Some(0)), Some("is \"-1\", which"));
    check(None, odd(Some(30)), None);
    check(None, approval(30), None);
    let mut week = approval(6);
    week.validity = None;
    let mut entry = entry();
    entry.renew_before = Some(6 * DAY);
    assert!(doubt(&entry, Some(&week), 30 * DAY).is_some_and(|doubt| doubt.message.contains("approval")));
    assert_eq!(doubt(&entry, Some(&profile()), 30 * DAY), None);
}
