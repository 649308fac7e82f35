//! What a rehearsal says of pace, order, windows and revocations.

use super::*;
use crate::core::event::Event;
use crate::core::example::{START, bare, installed, profile, read, submitting};
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::observed::Installed;
use crate::core::name::{Attempt, Digest, Generation, ProfileRef, RequestId, SerialNumber};
use crate::core::wanted::window::{DeployWindow, Freeze};
use crate::engine::admission::{BURST, Pace};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// So many certificates of one profile, the last of which ends first, five days after they began.
fn cast(count: u64, change: impl Fn(u64, &mut Entry)) -> Cast {
    let now = START + DAY * 5;
    let entry = |number: u64| {
        let mut entry = bare(&format!("c{number:04}"));
        change(number, &mut entry);
        let not_after = START + DAY * 90 - HOUR * u32::try_from(number).unwrap();
        let serial_number = SerialNumber(format!("A{number:04}"));
        let fingerprint = Digest([u8::try_from(number % 251).unwrap(); 32]);
        let installed = Installed { not_after, serial_number, fingerprint, ..installed(DAY * 90) };
        (Arc::new(entry), Observed::Installed(Box::new(installed)))
    };
    let seen: Vec<_> = (0..count).map(entry).collect();
    let reading = read(profile(), now - HOUR * 2);
    let profiles: BTreeMap<ProfileRef, CachedProfile> =
        seen.iter().map(|(entry, _)| (entry.profile.clone(), reading.clone())).collect();
    let inventory =
        Inventory { entries: seen.iter().map(|(entry, _)| Arc::clone(entry)).collect(), ..Inventory::default() };
    let main = Main::new(std::path::Path::new("/etc/renewd/renewd.toml"));
    Cast { main, inventory, seen, records: BTreeMap::new(), profiles: ProfileCache::new(profiles), now }
}

fn names(cast: &Cast) -> BTreeSet<CertName> {
    cast.seen.iter().map(|(entry, _)| entry.name.clone()).collect()
}

fn renewed(cast: Cast) -> Outlook {
    let names = names(&cast);
    rehearse(cast, &Plot::Renew { names, reissue: false })
}

fn takes(outlook: &Outlook) -> Duration {
    outlook.ended().unwrap().since(outlook.began)
}

#[test]
fn it_takes_as_long_as_the_pace_says() {
    let (few, many) = (renewed(cast(10, |_, _| {})), renewed(cast(500, |_, _| {})));
    assert!(takes(&few) <= ANSWER * 5, "in one burst, six at a time: {:?}", takes(&few));
    let least = Pace::new(60).least_time(many.requests as usize);
    assert!(least >= Duration::from_secs(480) && takes(&many) >= least, "{least:?}");
    assert!(takes(&many) <= least + ANSWER * 5, "{:?}, not {least:?}", takes(&many));
    let asked: Vec<Timestamp> = many.acts.iter().filter_map(|act| act.asked_at).collect();
    let in_a_minute = |from: &Timestamp| asked.iter().filter(|at| **at >= *from && **at < *from + HOUR / 60).count();
    assert!(asked.iter().all(|from| in_a_minute(from) <= 60 + BURST as usize));
}

#[test]
fn the_one_that_ends_first_is_first() {
    let outlook = renewed(cast(60, |_, _| {}));
    let order: Vec<&str> = outlook.acts.iter().map(|act| act.name.as_str()).collect();
    let mut expected = order.clone();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(order, expected);
    assert!(outlook.acts.iter().all(|act| act.waits.is_none()), "{:?}", outlook.acts);
}

/// Fewer places, with answers that take a second.
#[test]
fn places_hold_back_where_the_pace_does_not() {
    let slow = |places: u32| {
        let mut cast = cast(120, |_, _| {});
        (cast.main.api.requests_per_minute, cast.main.api.max_concurrent_requests) = (100_000, places);
        takes(&renewed(cast))
    };
    assert!(slow(1) >= ANSWER * 120 && slow(1) <= ANSWER * 124, "{:?}", slow(1));
    assert!(slow(5) >= ANSWER * 40 && slow(5) <= ANSWER * 43, "two of five are kept: {:?}", slow(5));
}

#[test]
fn windows_freezes_and_requests_of_before_count() {
    let window = DeployWindow { zone: Some("UTC".to_owned()), ..DeployWindow::parse("02:00-03:00").unwrap() };
    let windowed = |number: u64, entry: &mut Entry| entry.deploy_window = (number == 0).then(|| window.clone().into());
    let outlook = renewed(cast(2, windowed));
    let [early, late] = &outlook.acts[..] else { panic!("{outlook:?}") };
    assert_eq!((early.name.as_str(), late.name.as_str()), ("c0001", "c0000"));
    let hour = late.live_at.unwrap().seconds() % 86_400 / 3600;
    assert!(hour == 2 && late.asked_at.unwrap() < early.live_at.unwrap() + HOUR, "{outlook:?}");
    assert_eq!(outlook.late(outlook.began + HOUR).count(), 1);

    let mut frozen = cast(2, |_, _| {});
    let until = frozen.now + DAY * 3;
    frozen.main.freezes = vec![Freeze::Dates { from: frozen.now, until }];
    assert!(renewed(frozen).acts.iter().all(|act| act.live_at >= Some(until)));

    let mut pending = cast(2, |_, _| {});
    let mut record = Record::default();
    let mut sent = submitting(1);
    if let Event::Submitting { asked, .. } = &mut sent {
        *asked = pending.seen[0].0.asked();
    }
    let waits = Event::Pending { attempt: Attempt(1), request_id: RequestId("r1".to_owned()), dv_details: None };
    [sent, waits].iter().for_each(|event| record.apply(pending.now - HOUR, event));
    pending.records.insert("c0000".parse().unwrap(), record);
    let outlook = renewed(pending);
    let last = outlook.acts.last().unwrap();
    assert!(last.live_at.is_none() && last.waits.as_ref().unwrap().as_str().contains("pending"), "{last:?}");
    assert!(takes(&outlook) < ANSWER * 5, "nobody waits for that one");
}

#[test]
fn a_revocation_is_found_by_the_checks_and_replaced() {
    let mut cast = cast(40, |_, _| {});
    cast.main.api.status_check_interval = Some(DAY);
    for (number, (entry, found)) in (0..).zip(&cast.seen) {
        let serial_number = found.installed().unwrap().serial_number.clone();
        let checked = Event::StatusChecked { serial_number, revoked: false, standing: None };
        let record = cast.records.entry(entry.name.clone()).or_default();
        record.apply(cast.now - DAY + DAY * number / 40, &checked);
    }
    let names: BTreeSet<CertName> = names(&cast).into_iter().take(30).collect();
    let outlook = rehearse(cast, &Plot::Revoked(names));
    assert_eq!(outlook.acts.len(), 30);
    assert!(outlook.acts.iter().all(|act| act.live_at.is_some()), "{outlook:?}");
    let (first, last) = (outlook.acts[0].live_at.unwrap(), outlook.ended().unwrap());
    assert!(last.since(outlook.began) <= DAY + HOUR, "within one interval: {:?}", last.since(outlook.began));
    assert!(last.since(first) >= HOUR * 12, "the checks are spread");
}

#[test]
fn a_profile_that_was_never_read_is_nobodys_guess() {
    let mut cast = cast(3, |_, _| {});
    cast.profiles = ProfileCache::new(BTreeMap::new());
    let outlook = renewed(cast);
    assert!(outlook.acts.iter().all(|act| act.live_at.is_none() && act.waits.is_some()), "{outlook:?}");
}

/// Each of these would be done again and again by a shell that does it in no time and without effect.
#[test]
fn what_is_put_right_beside_the_plot_ends() {
    let mut cast = cast(3, |_, _| {});
    let edits: [fn(&mut Installed); 2] = [
        |installed| installed.drift = vec![Text::new("privkey.pem is gone")].into(),
        |installed| {
            (installed.drift, installed.renewed_elsewhere) = (vec![Text::new("www.crt is newer")].into(), true);
        },
    ];
    for (edit, (_, found)) in edits.iter().zip(&mut cast.seen) {
        if let Observed::Installed(installed) = found {
            edit(installed);
        }
    }
    let mut back = Record::default();
    let (from, to) = (Generation(1), Generation(0));
    let by = crate::core::event::RollbackBy::Hook;
    back.apply(START, &Event::RolledBack { from, to, by, hooks: Vec::new() });
    cast.records.insert("c0002".parse().unwrap(), back);
    let outlook = renewed(cast);
    assert!(outlook.acts.iter().all(|act| act.live_at.is_some()), "{outlook:?}");
    assert!(takes(&outlook) < ANSWER * 5, "{outlook:?}");
}
