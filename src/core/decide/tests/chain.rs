//! A chain that ends before its leaf: renewed for its sake, refused, refreshed.

use super::*;

/// The ordinary certificate, of generation 3, whose chain ends 50 days after the start.
fn limited_by_its_chain() -> Installed {
    Installed { generation: Generation(3), chain: chain_that_ends(START + 50 * DAY), ..installed(90 * DAY) }
}

pub(super) fn chain_that_ends(at: Timestamp) -> Arc<ServedChain> {
    Arc::new(ServedChain {
        issuer: Issuer { subject: Text::new("CN=Issuing CA"), spki: Some(Digest([9; 32])) },
        end: Some(ca(at)),
    })
}

fn ca(at: Timestamp) -> ChainEnd {
    ChainEnd { at, subject: Text::new("CN=Issuing CA"), spki: Digest([9; 32]) }
}

pub(super) fn limited_case(offset: Duration) -> Case {
    let observed = Observed::Installed(Box::new(limited_by_its_chain()));
    let case = Case { observed, ..Case::after(offset) };
    // Generation 3 is the one on record.
    let adopted = Event::Adopted {
        generation: Generation(3),
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: Vec::new(),
        issuer: None,
        chain_end: None,
        replaces: None,
    };
    case.events(&[(START, adopted)])
}

#[test]
fn a_chain_that_ends_first_is_renewed_by_its_own_end() {
    check(&limited_case(20 * DAY - SECOND), "wait", "not due until");
    check(&limited_case(20 * DAY), "submit", "the CA certificate CN=Issuing CA in its chain");
    check(&limited_case(50 * DAY + SECOND), "submit", "expired at");
    let decision = limited_case(45 * DAY).decide();
    assert!(decision.emergency && !limited_case(45 * DAY - SECOND).decide().emergency);
}

#[test]
fn what_ends_no_later_for_the_cas_sake_is_not_asked_for_again_and_again() {
    let refused = |at: Timestamp, ends_no_later| {
        let gate = Event::GateRefused { attempt: Attempt(1), why: vec![Text::new("it ends no later")], ends_no_later };
        vec![(at, submitting(1)), (at, gate)]
    };
    let at = START + 20 * DAY;
    let after = |offset: Duration, ends_no_later: bool, refused_at: Timestamp| {
        let mut case = limited_case(offset);
        refused(refused_at, ends_no_later).iter().for_each(|(at, event)| case.record.apply(*at, event));
        case
    };
    // Until the emergency stage of the chain begins, at 45 days; then until half of what is left is over, at most daily.
    check(&after(22 * DAY, true, at), "wait", "ends-no-later");
    check(&after(45 * DAY - SECOND, true, at), "wait", "ends-no-later");
    check(&after(45 * DAY, true, at), "submit", "");
    check(&after(47 * DAY + 12 * HOUR - SECOND, true, START + 45 * DAY), "wait", "ends-no-later");
    check(&after(47 * DAY + 12 * HOUR, true, START + 45 * DAY), "submit", "");
    check(&after(50 * DAY, true, START + 49 * DAY + HOUR), "wait", "ends-no-later");
    check(&after(51 * DAY, true, START + 50 * DAY + HOUR), "wait", "ends-no-later");
    check(&after(51 * DAY + HOUR, true, START + 50 * DAY + HOUR), "submit", "expired at");
    // Any other refusal is tried again after a day.
    check(&after(21 * DAY - SECOND, false, at), "wait", "gate-refused");
    check(&after(21 * DAY, false, at), "submit", "");
    // The profile says something new.
    let mut changed = after(22 * DAY, true, at);
    changed.reading.profile.as_mut().unwrap().issuers.push("another".to_owned());
    check(&changed, "submit", "");
}

#[test]
fn what_waits_for_tlm_does_not_keep_the_chain_from_its_refresh() {
    let case = |events: &[(Timestamp, Event)]| {
        let mut case = limited_case(21 * DAY);
        case.reading.profile.as_mut().unwrap().cas = vec![ca(START + 3650 * DAY)];
        events.iter().for_each(|(at, event)| case.record.apply(*at, event));
        case
    };
    let polled = |at: Timestamp| {
        let mut events = pending(at);
        events.push((at, Event::Polled { attempt: Attempt(1), dv_details: None }));
        events
    };
    let just_polled = case(&polled(START + 21 * DAY));
    check(&just_polled, "refresh-chain", "CN=Issuing CA");
    check(&case(&polled(START + 20 * DAY)), "pick-up", "pending");
    let mut held = just_polled;
    let (from, to) = (Generation(4), Generation(3));
    held.record.apply(held.now, &Event::RolledBack { from, to, by: RollbackBy::Operator, hooks: Vec::new() });
    check(&held, "wait", "pending");
}

#[test]
fn a_chain_is_refreshed_from_the_profile_without_a_new_certificate() {
    let case = |offset: Duration, shown: &[ChainEnd]| {
        let mut case = limited_case(offset);
        case.reading.profile.as_mut().unwrap().cas = shown.to_vec();
        case
    };
    let (old, new) = (ca(START + 50 * DAY), ca(START + 3650 * DAY));
    for offset in [DAY, 20 * DAY, 46 * DAY, 50 * DAY + SECOND] {
        check(&case(offset, &[old.clone(), new.clone()]), "refresh-chain", "CN=Issuing CA");
    }
    check(&case(DAY, std::slice::from_ref(&old)), "wait", "not due until");
    let stranger = ChainEnd { spki: Digest([8; 32]), ..new.clone() };
    check(&case(DAY, &[stranger]), "wait", "not due until");
    // It is a switch like any other: outside of its window it waits, and nothing waits for it.
    let mut closed = case(DAY, std::slice::from_ref(&new));
    closed.deploy = Deploy::Closed(START + 2 * DAY);
    check(&closed, "wait", "not due until");
    closed.now = START + 46 * DAY;
    check(&closed, "refresh-chain", "");
    // What came to nothing is not tried again before the profile changes, or a day went by.
    let mut kept = case(2 * DAY, std::slice::from_ref(&new));
    let profile_version = kept.reading.profile.as_ref().unwrap().version();
    kept.record.apply(START + DAY, &Event::ChainKept { profile_version });
    check(&kept, "refresh-chain", "");
    kept.now = START + 2 * DAY - SECOND;
    check(&kept, "wait", "not due until");
    kept.reading.profile.as_mut().unwrap().issuers.push("another".to_owned());
    check(&kept, "refresh-chain", "");
    let mut adopted = case(DAY, std::slice::from_ref(&new));
    adopted.observed = Observed::Installed(Box::new(Installed { generation: Generation(0), ..limited_by_its_chain() }));
    check(&adopted, "refresh-chain", "");
    let mut asked = case(DAY, &[new]);
    asked.record.renewal_asked = Some(START);
    check(&asked, "submit", "requested");
}
