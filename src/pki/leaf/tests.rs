//! What is read of a leaf is what its issuer wrote, and no bytes cause a panic.

use std::sync::LazyLock;

use proptest::prelude::*;
use rcgen::string::{BmpString, TeletexString};
use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, SanType};

use super::*;
use crate::core::wanted::entry::Sans;
use crate::core::wanted::key::KeyType;
use crate::core::wanted::usage::Usage;
use crate::pki::chain;
use crate::pki::gate::{Candidate, Demand, Verdict, judge};
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::{Ca, NOW, leaf_params};

fn rich() -> CertificateParams {
    let mut params = leaf_params(&["WWW.example.com", "192.0.2.1", "2001:db8::1"]);
    params.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()));
    params.subject_alt_names.push(SanType::URI("https://example.com/".try_into().unwrap()));
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "www.example.com");
    name.push(DnType::OrganizationalUnitName, DnValue::BmpString(BmpString::try_from("Zürich").unwrap()));
    name.push(DnType::CustomDnType(vec![2, 5, 4, 11]), "Zweite");
    name.push(DnType::OrganizationName, DnValue::TeletexString(TeletexString::try_from("Example AG").unwrap()));
    name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "unknown to TLM");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 2]),
    ];
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x0f, 0x6f, 0xa0]));
    params
}

fn made(kind: KeyType, params: &CertificateParams) -> (Certificate, PrivateKey) {
    let key = PrivateKey::generate(kind).unwrap();
    (Ca::root("Root").leaf(&key, params), key)
}

#[test]
fn every_fact_is_read() {
    let (certificate, key) = made(KeyType::EcdsaP384, &rich());
    let leaf = read(&certificate).unwrap();
    let expected = Leaf {
        serial_number: SerialNumber("0F6FA0".into()),
        fingerprint: certificate.fingerprint(),
        spki: key.spki(),
        not_before: Timestamp::from_seconds(NOW.seconds() - 86_400),
        not_after: Timestamp::from_seconds(NOW.seconds() + 89 * 86_400),
        key: Some(KeyType::EcdsaP384),
        common_name: Some("www.example.com".into()),
        subject: Subject::from([
            (SubjectAttribute::OrganizationName, vec!["Example AG".into()]),
            (SubjectAttribute::OrganizationUnits, vec!["Zürich".into(), "Zweite".into()]),
        ]),
        names: Sans {
            dns_names: vec!["www.example.com".into()],
            ip_addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()].into(),
            emails: vec!["a@example.com".into()].into(),
            uris: vec!["https://example.com/".into()].into(),
            ..Sans::default()
        },
        usages: ["client_auth", "1.3.6.1.4.1.311.20.2.2"].map(|usage| Usage::parse(usage).unwrap()).into(),
    };
    assert_eq!(leaf, expected);
}

#[test]
fn the_key_type_is_that_of_the_key() {
    for kind in KeyType::ALL {
        assert_eq!(read(&made(kind, &leaf_params(&["a"])).0).unwrap().key, Some(kind));
    }
}

#[test]
fn serial_numbers_are_spelt_as_tlm_does() {
    let check = |der: &[u8], expected: &str| assert_eq!(serial_number(der).0, expected);
    check(&[0], "00");
    check(&[0x0f, 0x6f], "0F6F");
    check(&[0, 0x80, 1], "8001");
    check(&[0x7f], "7F");
    check(&[], "");
    // Negative ones as OpenSSL shows them.
    check(&[0xff], "-01");
    check(&[0x80], "-80");
    check(&[0xff, 0x7f], "-81");
    check(&[0xf5, 0xe5], "-0A1B");
    check(&[0xff, 0], "-0100");
}

/// What OpenSSL loads is known by serial number, validity and key, whatever else it says.
#[test]
fn a_leaf_in_service_is_read_as_far_as_it_can_be() {
    let mut params = leaf_params(&["www.example.com"]);
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x0f, 0x6f, 0xa0]));
    let good = made(KeyType::EcdsaP256, &params).0;
    let read = in_service(good.der()).unwrap();
    assert_eq!((read.leaf, read.doubt), (self::read(&good).unwrap(), None));
    #[track_caller]
    fn check(good: &Certificate, from: &[u8], to: &[u8], serial: &str, doubt: Option<&str>) {
        let mut der = good.der().to_vec();
        let at = der.windows(from.len()).position(|window| window == from).unwrap();
        der[at..at + from.len()].copy_from_slice(to);
        let read = in_service(&der).unwrap();
        let whole = self::read(good).unwrap();
        assert_eq!(read.doubt.map(|why| why.to_string()).as_deref(), doubt);
        assert_eq!((read.leaf.not_after, read.leaf.spki), (whole.not_after, whole.spki));
        assert_eq!((read.leaf.serial_number.0.as_str(), read.leaf.names == whole.names), (serial, doubt.is_none()));
    }
    check(&good, &[2, 3, 0x0f, 0x6f, 0xa0], &[2, 3, 0xf0, 0x90, 0x60], "-0F6FA0", None);
    check(&good, &[2, 3, 0x0f, 0x6f, 0xa0], &[2, 3, 0, 0, 0], "0000", None);
    let names = Some("the subjectAltName of the certificate is malformed");
    check(&good, b"\x30\x11\x82\x0fwww", b"\x30\x12\x82\x0fwww", "0F6FA0", names);
    let frame = Some("what came does not parse as an X.509 certificate");
    check(&good, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 4, 1, 2], "0F6FA0", frame);
    assert_eq!(in_service(&good.der()[..100]), Err(CertificateError::NotACertificate));
}

#[test]
fn the_validity_may_end_with_the_calendar() {
    let mut params = leaf_params(&["a"]);
    params.not_before = rcgen::date_time_ymd(2049, 12, 31);
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let leaf = read(&made(KeyType::EcdsaP256, &params).0).unwrap();
    assert_eq!(leaf.not_before.to_string(), "2049-12-31T00:00:00Z");
    assert_eq!(leaf.not_after.to_string(), "9999-12-31T00:00:00Z");
}

#[test]
fn a_broken_extension_is_no_absence() {
    #[track_caller]
    fn check(oid: &[u64], content: &[u8], expected: &'static str) {
        let mut params = leaf_params(&[]);
        params.custom_extensions = vec![CustomExtension::from_oid_content(oid, content.to_vec())];
        let (certificate, key) = made(KeyType::EcdsaP256, &params);
        assert_eq!(read(&certificate).err(), Some(CertificateError::Malformed(expected)));
        let names = Sans::default();
        let subject = Subject::new();
        let demand = Demand {
            common_name: None,
            names: &names,
            subject: &subject,
            subject_from: crate::core::wanted::entry::SubjectFrom::Ca,
            exact_names: false,
            usages: &[],
            issuers: &[],
            pin: None,
            installed_issuer: None,
            validity_asked: None,
            must_outlive: None,
            now: NOW,
        };
        let verdict = judge(&Candidate { certificates: &[certificate], key: key.spki() }, &demand);
        let Verdict::Refused(defects) = verdict else { panic!("{verdict:?}") };
        assert_eq!(defects[0].as_str(), format!("the {expected} of the certificate is malformed"));
    }
    check(&[2, 5, 29, 37], &[0x30, 0x00], "extendedKeyUsage");
    check(&[2, 5, 29, 37], &[0x04, 0x00], "extendedKeyUsage");
    check(&[2, 5, 29, 17], &[0x04, 0x00], "subjectAltName");
}

static SOURCE: LazyLock<Vec<u8>> = LazyLock::new(|| made(KeyType::Rsa2048, &rich()).0.der().to_vec());

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_causes_a_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut der = SOURCE.clone();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if let Ok(certificate) = Certificate::from_der(&der) {
            let pool = [certificate.clone()];
            prop_assert!(read(&certificate).is_err() || !certificate.label().as_str().is_empty());
            prop_assert!(chain::build(&certificate, &pool, &chain::Aim::new(&pool, NOW)).is_err());
        }
    }
}
