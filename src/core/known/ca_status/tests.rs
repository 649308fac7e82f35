//! The watch over CA certificates: when it looks, and what it makes of what it is told.

use super::*;
use crate::core::known::revocation::RevocationReason;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn digest(first: u8) -> Digest {
    Digest(std::array::from_fn(|at| if at == 0 { first } else { 0x55 }))
}

fn ca(first: u8) -> (Digest, ServedCa) {
    let (subject, serial_number) = (Text::new("CN=Issuing CA"), SerialNumber("0A".to_owned()));
    (digest(first), ServedCa { fingerprint: digest(first), subject, serial_number })
}

fn name(text: &str) -> CertName {
    text.parse().unwrap()
}

fn holder(text: &str, generation: u64) -> Holder {
    Holder { name: name(text), generation: Generation(generation), leaf: digest(9) }
}

fn found(cas: &[u8], holders: &[(u8, &str, u64)]) -> Found {
    let holders = holders.iter().map(|(first, name, generation)| (digest(*first), holder(name, *generation)));
    Found { cas: cas.iter().map(|first| ca(*first)).collect(), holders: holders.collect(), unread: BTreeSet::new() }
}

/// A watch whose chains were read, with these CAs.
fn watching(cas: &[u8]) -> (CaWatch, Timestamp) {
    let mut watch = CaWatch::new(Some(DAY), Vec::new(), START);
    let read = START + HOUR / 4;
    assert_eq!(watch.next_due(), Some(read));
    assert_eq!(watch.due(read - MINUTE), None);
    assert_eq!(watch.due(read), Some(Look::Chains { names: None, revoked: BTreeSet::new() }));
    assert_eq!((watch.due(read + DAY), watch.next_due()), (None, None), "one look at a time");
    watch.served(None, found(cas, &[]), read);
    (watch, read)
}

fn revoked(reason: RevocationReason) -> Outcome {
    Outcome::Told(CaStanding::Revoked(Revocation { at: START, reason }))
}

/// A watch over one CA that was found to be revoked.
fn with_revoked(reason: RevocationReason) -> (CaWatch, Timestamp) {
    let (mut watch, read) = watching(&[1]);
    let now = read + HOUR;
    assert_eq!(watch.due(now), Some(Look::Status(digest(1))));
    assert!(watch.note(&digest(1), &revoked(reason), now), "that is news");
    (watch, now)
}

#[test]
fn each_ca_is_asked_after_within_an_hour_and_then_daily() {
    for first in [0, 1, 0x80, 0xff] {
        let (mut watch, read) = watching(&[first]);
        let at = watch.next_due().unwrap();
        assert!(read + HOUR / 2 <= at && at <= read + HOUR, "{first}: {at}");
        assert_eq!(watch.due(at), Some(Look::Status(digest(first))));
        assert!(!watch.note(&digest(first), &Outcome::Told(CaStanding::NotRevoked), at), "no news");
        assert_eq!(watch.next_due(), Some(read + DAY), "the chains come first");
        watch.served(None, found(&[first], &[]), read + DAY);
        assert_eq!(watch.next_due(), Some(at + DAY));
    }
    let (one, other) = (watching(&[1]).0.next_due(), watching(&[0xf0]).0.next_due());
    assert_ne!(one, other, "spread by the fingerprint");
}

#[test]
fn what_cannot_be_learnt_is_asked_again_ever_more_rarely_and_changes_nothing() {
    let (mut watch, _) = with_revoked(RevocationReason::KeyCompromise);
    let now = START + 2 * HOUR;
    for hours in [1, 2, 4, 8, 16, 24, 24] {
        assert!(!watch.note(&digest(1), &Outcome::Unknown(Text::new("no answer")), now));
        assert_eq!(watch.ca(&digest(1)).unwrap().next, now + HOUR * hours);
        assert!(watch.ca(&digest(1)).unwrap().revocation().is_some());
    }
    assert!(!watch.note(&digest(1), &Outcome::NobodyToAsk, now));
    assert_eq!(watch.ca(&digest(1)).unwrap().next, now + DAY);
}

#[test]
fn who_serves_a_revoked_ca_is_read_at_once_and_kept_up_to_date() {
    let (mut watch, now) = with_revoked(RevocationReason::KeyCompromise);
    let wanted = BTreeSet::from([digest(1)]);
    assert_eq!(watch.due(now), Some(Look::Chains { names: None, revoked: wanted.clone() }));
    watch.served(None, found(&[1], &[(1, "a", 1), (1, "b", 1)]), now);
    assert_eq!(watch.ca(&digest(1)).unwrap().holders.len(), 2);

    watch.changed(&name("a"), now);
    assert_eq!(watch.due(now + MINUTE / 2), None, "those that change together are read together");
    watch.changed(&name("c"), now + MINUTE / 2);
    let names = BTreeSet::from([name("a"), name("c")]);
    let look = Look::Chains { names: Some(names.clone()), revoked: wanted };
    assert_eq!(watch.due(now + MINUTE), Some(look));
    watch.served(Some(&names), found(&[1, 2], &[(1, "c", 1)]), now + MINUTE);
    let holders = watch.ca(&digest(1)).unwrap().holders.iter().map(|holder| holder.name.as_str()).collect::<Vec<_>>();
    assert_eq!(holders, ["b", "c"], "a has another CA now");
    assert!(watch.ca(&digest(2)).is_some(), "which is watched, too");

    watch.served(None, found(&[2], &[]), now + DAY);
    assert_eq!(watch.cas().map(|ca| ca.served.fingerprint).collect::<Vec<_>>(), [digest(2)]);
}

#[test]
fn a_hold_that_is_lifted_is_over() {
    let (mut watch, now) = with_revoked(RevocationReason::CertificateHold);
    watch.served(None, found(&[1], &[(1, "a", 1)]), now);
    assert!(watch.note(&digest(1), &Outcome::Told(CaStanding::NotRevoked), now + DAY));
    let ca = watch.ca(&digest(1)).unwrap();
    assert_eq!((ca.revocation(), ca.holders.len(), ca.remark(&[&name("a")])), (None, 0, None));
}

#[test]
fn a_restart_forgets_no_revocation_and_asks_no_sooner() {
    let (mut watch, now) = with_revoked(RevocationReason::Superseded);
    watch.served(None, found(&[1], &[(1, "a", 1)]), now);
    let kept = serde_json::to_string(&watch.cas().collect::<Vec<_>>()).unwrap();
    let kept: Vec<Ca> = serde_json::from_str(&kept).unwrap();
    let after = CaWatch::new(Some(DAY), kept.clone(), now + MINUTE);
    assert!(after.cas().eq(watch.cas()), "{kept:?}");
    // Even where its time came meanwhile it waits for the chains, which have to be read first.
    let mut late = CaWatch::new(Some(DAY), kept.clone(), now + 2 * DAY);
    assert!(matches!(late.due(now + 2 * DAY + HOUR / 4), Some(Look::Chains { names: None, .. })));
    assert_eq!(CaWatch::new(None, kept, now).cas().count(), 0, "off is off");
}

#[test]
fn no_step_of_the_clock_puts_a_look_off() {
    let (mut watch, _) = watching(&[1]);
    let long_ago = START - 400 * DAY;
    assert!(matches!(watch.due(long_ago), Some(Look::Chains { names: None, .. })));
    watch.served(None, found(&[1], &[]), long_ago);
    assert_eq!(watch.due(long_ago), Some(Look::Status(digest(1))));
    watch.note(&digest(1), &Outcome::NobodyToAsk, long_ago);
    assert_eq!((watch.due(long_ago), watch.due(long_ago + DAY - MINUTE)), (None, None));
}

#[test]
fn off_asks_nothing_and_what_was_known_is_forgotten() {
    let (mut watch, now) = with_revoked(RevocationReason::KeyCompromise);
    watch.set_interval(None, now);
    watch.changed(&name("a"), now);
    assert_eq!((watch.cas().count(), watch.due(now + DAY), watch.next_due()), (0, None, None));
    watch.set_interval(Some(MINUTE), now);
    assert!(watch.due(now + MINUTE / 96).is_some());
}

#[test]
fn many_changes_are_one_look_at_all() {
    let (mut watch, now) = watching(&[1]);
    (0..=MOST_CHANGED).for_each(|number| watch.changed(&name(&format!("n{number}")), now));
    assert!(matches!(watch.due(now + MINUTE), Some(Look::Chains { names: None, .. })));
    watch.served(None, Found::default(), now + MINUTE);
    assert_eq!(watch.due(now + HOUR), None, "none is left over");
}

#[test]
fn a_remark_names_the_certificates_the_ca_and_the_reason() {
    let (watch, _) = with_revoked(RevocationReason::KeyCompromise);
    let names = ["a", "b", "c", "d", "e"].map(name);
    let check = |count: usize, expected: Option<&str>| {
        let names: Vec<&CertName> = names.iter().take(count).collect();
        let remark = watch.ca(&digest(1)).unwrap().remark(&names);
        assert_eq!(remark.as_deref(), expected);
    };
    check(0, None);
    let rest = "served with a revoked CA certificate, revoked at 2027-01-15T08:00:00Z (key compromise): \
                CN=Issuing CA, serial number 0A; TLS clients that check revocation reject";
    check(1, Some(&format!("1 certificate (a) is {rest} it")));
    check(3, Some(&format!("3 certificates (a, b, c) are {rest} them")));
    check(5, Some(&format!("5 certificates (a, b, c and 2 more) are {rest} them")));
    let (watch, _) = with_revoked(RevocationReason::CertificateHold);
    let remark = watch.ca(&digest(1)).unwrap().remark(&[&name("a")]).unwrap();
    assert!(remark.contains("with a suspended CA certificate, on hold since 2027"), "{remark}");
}

#[test]
fn what_cannot_be_read_counts_as_it_was() {
    let (mut watch, now) = with_revoked(RevocationReason::KeyCompromise);
    watch.served(None, found(&[1], &[(1, "a", 1), (1, "b", 1)]), now);
    let unread = Found { unread: BTreeSet::from([name("a")]), ..Found::default() };
    watch.served(None, unread, now + DAY);
    let holders = watch.ca(&digest(1)).unwrap().holders.iter().map(|holder| holder.name.as_str()).collect::<Vec<_>>();
    assert_eq!(holders, ["a"]);
}
