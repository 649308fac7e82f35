//! The renewal window, the instant inside of it, and the emergency stage, at their bounds.

use super::super::example::{DAY, HOUR, SECOND, START, entry, installed, profile};
use super::*;

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
