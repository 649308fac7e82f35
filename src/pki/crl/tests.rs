//! Revocation lists: what each says of a CA certificate, and which say nothing.

use rcgen::{CrlDistributionPoint, KeyPair, KeyUsagePurpose};

use super::*;
use crate::pki::test_ca::{Ca, NOW};
use crate::pki::test_crl::{Extension, List, NEVER, REASON};

struct Case {
    root: Ca,
    ca: Ca,
}

impl Case {
    fn new() -> Self {
        let root = Ca::root("Root");
        let point = CrlDistributionPoint { uris: vec![POINT.to_owned()] };
        let ca = root.below_with("Issuing", KeyPair::generate().unwrap(), |params| {
            params.crl_distribution_points = vec![point];
        });
        Self { root, ca }
    }

    fn read(&self, bytes: &[u8]) -> Result<CaStanding, Doubt> {
        read(bytes, &self.ca.certificate, &self.root.certificate, NOW)
    }

    fn revoking(&self, reason: Option<u8>) -> List {
        List::revoking(&self.ca.certificate, reason)
    }

    #[track_caller]
    fn check(&self, list: &List, expected: &Result<CaStanding, Doubt>) {
        assert_eq!(self.read(&list.by(&self.root)), *expected);
    }
}

fn revoked(reason: RevocationReason) -> Result<CaStanding, Doubt> {
    Ok(CaStanding::Revoked(Revocation { at: Timestamp::from_seconds(NOW.seconds() - 60), reason }))
}

fn scope(value: &[u8]) -> Extension {
    (SCOPE, true, value.to_vec())
}

#[test]
fn an_entry_revokes_with_its_date_and_reason() {
    let case = Case::new();
    case.check(&List::default(), &Ok(CaStanding::NotRevoked));
    case.check(&case.revoking(None), &revoked(RevocationReason::Unspecified));
    case.check(&case.revoking(Some(1)), &revoked(RevocationReason::KeyCompromise));
    case.check(&case.revoking(Some(2)), &revoked(RevocationReason::CaCompromise));
    case.check(&case.revoking(Some(5)), &revoked(RevocationReason::CessationOfOperation));
    case.check(&case.revoking(Some(6)), &revoked(RevocationReason::CertificateHold));
    case.check(&case.revoking(Some(8)), &Ok(CaStanding::NotRevoked));
    case.check(&case.revoking(Some(99)), &revoked(RevocationReason::Unspecified));
    // Of version 1, without extensions.
    case.check(
        &List { version: None, extensions: vec![], ..case.revoking(None) },
        &revoked(RevocationReason::Unspecified),
    );
    case.check(&List { version: None, extensions: vec![], ..List::default() }, &Ok(CaStanding::NotRevoked));
}

#[test]
fn pem_is_read_as_der_is() {
    let case = Case::new();
    let der = case.revoking(Some(1)).by(&case.root);
    let pem = crate::pki::pem::armour("X509 CRL", &der);
    assert_eq!(case.read(pem.as_bytes()), revoked(RevocationReason::KeyCompromise));
}

#[test]
fn a_serial_number_is_a_number() {
    let case = Case::new();
    let mut list = case.revoking(None);
    let bare = list.revoked[1].0.clone();
    list.revoked[1].0.insert(0, 0);
    case.check(&list, &revoked(RevocationReason::Unspecified));
    list.revoked[1].0 = [&[1], &*bare].concat();
    case.check(&list, &Ok(CaStanding::NotRevoked));
}

#[test]
fn a_list_that_is_not_the_issuers_says_nothing() {
    let case = Case::new();
    let stranger = Ca::root("Stranger");
    let namesake = Ca::root("Root");
    let list = case.revoking(None);
    assert_eq!(case.read(&list.by(&stranger)), Err(Doubt::OtherIssuer(Text::new("CN=Stranger"))));
    assert_eq!(case.read(&list.by(&namesake)), Err(Doubt::Forged));
    assert_eq!(case.read(&list.by_key_of(&case.root, &stranger)), Err(Doubt::Forged));
    assert_eq!(case.read(&List::default().by_key_of(&case.root, &stranger)), Err(Doubt::Forged));
    // The CA itself cannot speak for its issuer.
    assert!(matches!(case.read(&list.by(&case.ca)), Err(Doubt::OtherIssuer(_))));
    let mut changed = list.by(&case.root);
    let at = changed.len() / 2;
    changed[at] ^= 1;
    assert!(case.read(&changed).is_err());
}

#[test]
fn an_issuer_that_may_not_sign_lists_says_nothing() {
    let root = Ca::root_with("Root", KeyPair::generate().unwrap(), |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let case = Case { ca: root.below("Issuing"), root };
    case.check(&case.revoking(None), &Err(Doubt::MayNotSign));
}

#[test]
fn a_list_holds_in_its_time_and_a_revocation_for_ever() {
    let case = Case::new();
    let at = |list: List, from, until| List { from, until, ..list };
    let instant = |seconds| Timestamp::from_seconds(NOW.seconds() + seconds);
    let outdated = Err(Doubt::Outdated { from: instant(-90), until: instant(-1) });
    case.check(&at(List::default(), -90, Some(0)), &Ok(CaStanding::NotRevoked));
    case.check(&at(List::default(), -90, Some(-1)), &outdated);
    case.check(&at(List::default(), -90, None), &Ok(CaStanding::NotRevoked));
    case.check(&at(List::default(), 600, Some(9000)), &Ok(CaStanding::NotRevoked));
    case.check(&at(List::default(), 601, Some(9000)), &Err(Doubt::FromFuture(instant(601))));
    case.check(&at(case.revoking(Some(4)), -90, Some(-1)), &revoked(RevocationReason::Superseded));
    case.check(&at(case.revoking(Some(6)), -90, Some(-1)), &outdated);
}

#[test]
fn a_list_about_others_says_nothing() {
    let case = Case::new();
    let not = |why| Err(Doubt::NotCovered(why));
    let with = |list: List, value: &[u8]| list.with(scope(value));
    case.check(&with(case.revoking(None), &[0x30, 3, 0x82, 1, 0xff]), &revoked(RevocationReason::Unspecified));
    case.check(&with(List::default(), &[0x30, 3, 0x82, 1, 0xff]), &Ok(CaStanding::NotRevoked));
    case.check(&with(case.revoking(None), &[0x30, 3, 0x81, 1, 0xff]), &not("it lists no CA certificates"));
    case.check(&with(case.revoking(None), &[0x30, 3, 0x85, 1, 0xff]), &not("it lists no CA certificates"));
    case.check(&with(case.revoking(None), &[0x30, 3, 0x84, 1, 0xff]), &not("it is an indirect list"));
    // One for some reasons only can revoke, and clears nobody.
    let some = [0x30, 4, 0x83, 2, 1, 0x40];
    case.check(&with(case.revoking(None), &some), &revoked(RevocationReason::Unspecified));
    case.check(&with(List::default(), &some), &not("it lists some reasons only"));
    case.check(&with(List::default(), &[0x30, 9]), &Err(Doubt::Unreadable("a certificate revocation list")));
    let named = |uri: &str| {
        let length = u8::try_from(uri.len()).unwrap();
        [&[0x30, length + 6, 0xa0, length + 4, 0xa0, length + 2, 0x86, length], uri.as_bytes()].concat()
    };
    case.check(&with(List::default(), &named(POINT)), &Ok(CaStanding::NotRevoked));
    case.check(&with(List::default(), &named("http://crl.example/2")), &not("it is for other distribution points"));
}

#[test]
fn what_is_critical_and_unknown_is_not_judged() {
    let case = Case::new();
    let delta: Extension = (&[2, 5, 29, 27], true, vec![2, 1, 6]);
    case.check(&case.revoking(None).with(delta), &Err(Doubt::Critical(Text::new("2.5.29.27"))));
    let unknown: Extension = (&[1, 2, 3, 4], true, vec![5, 0]);
    case.check(&case.revoking(None).with(unknown.clone()), &Err(Doubt::Critical(Text::new("1.2.3.4"))));
    case.check(&List::default().with((&[1, 2, 3, 4], false, vec![5, 0])), &Ok(CaStanding::NotRevoked));
    // Even in the entry of another certificate.
    let mut list = case.revoking(None);
    list.revoked[0].2 = vec![unknown];
    case.check(&list, &Err(Doubt::Critical(Text::new("1.2.3.4"))));
    list.revoked[0].2 = vec![(REASON, true, vec![10, 1, 1])];
    case.check(&list, &revoked(RevocationReason::Unspecified));
}

#[test]
fn what_is_no_list_says_nothing() {
    let case = Case::new();
    let whole = case.revoking(None).by(&case.root);
    for bytes in [&[][..], b"<html>", case.ca.certificate.der(), &whole[..whole.len() - 1], &[&*whole, &[0]].concat()] {
        assert!(matches!(case.read(bytes), Err(Doubt::Unreadable(_))), "{bytes:?}");
    }
    // A damaged entry does not make the list an empty one.
    let list = List { revoked: vec![(vec![3], NEVER, vec![])], ..List::default() };
    case.check(&list, &Err(Doubt::Unreadable("a certificate revocation list")));
}

#[test]
fn lists_of_another_library_are_read() {
    let case = Case::new();
    let serial = case.ca.certificate.parsed().unwrap().raw_serial().to_vec();
    let date = rcgen::date_time_ymd(2026, 11, 20);
    let params = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 11, 23),
        next_update: rcgen::date_time_ymd(2026, 12, 23),
        crl_number: rcgen::SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: vec![rcgen::RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: date,
            reason_code: Some(rcgen::RevocationReason::CaCompromise),
            invalidity_date: Some(date),
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let issuer = rcgen::Issuer::from_params(&case.root.params, &case.root.key);
    let at = Timestamp::from_seconds(date.unix_timestamp());
    let reason = RevocationReason::CaCompromise;
    let expected = Ok(CaStanding::Revoked(Revocation { at, reason }));
    assert_eq!(case.read(params.signed_by(&issuer).unwrap().der()), expected);
}

const POINT: &str = "http://crl.example/1";
const SCOPE: &[u64] = &[2, 5, 29, 28];
