//! Each defect by a certificate that is otherwise good; the good one has none.

use rcgen::{CertificateParams, CustomExtension, DnType};

use super::*;
use crate::core::wanted::key::KeyType;
use crate::pki::certificate::Certificate;
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::{Ca, leaf_params};

fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = leaf_params(&["www.example.com"]);
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    change(&mut params);
    Ca::root("Root").leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &params).der().to_vec()
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

/// The part of the signed content with this number in place of its own; nobody looks at the signature.
fn with(part: usize, replacement: &[u8]) -> Vec<u8> {
    let der = made(|_| {});
    let whole: Vec<_> = Der(&der).sequence().unwrap().collect();
    let parts = whole[0].inside().enumerate();
    let signed: Vec<u8> = parts
        .flat_map(|(at, element)| if at == part { replacement.to_vec() } else { element.whole.to_vec() })
        .collect();
    element(SEQUENCE, &[element(SEQUENCE, &signed), whole[1].whole.to_vec(), whole[2].whole.to_vec()].concat())
}

#[track_caller]
fn check(der: &[u8], expected: Option<&str>) {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
    assert_eq!(defect(&parsed).as_deref(), expected);
}

fn name(tag: u8, value: &[u8]) -> Vec<u8> {
    let attribute = [&[6, 3, 85, 4, 3], &element(tag, value)[..]].concat();
    element(SEQUENCE, &element(0x31, &element(SEQUENCE, &attribute)))
}

#[test]
fn a_good_certificate_has_no_defect() {
    check(&made(|_| {}), None);
    let root = Ca::root("Root").certificate;
    assert_eq!(defect(&Certificate::from_der(root.der()).unwrap().parsed().unwrap()), None);
    for (tag, value) in [(12, "Z\u{fc}rich".as_bytes()), (19, b"Example"), (20, b"Z\xfcrich"), (30, b"\0A\0B")] {
        check(&with(5, &name(tag, value)), None);
    }
    check(&with(1, &[2, 2, 0, 0x80]), None);
    check(&with(1, &[2, 2, 0xff, 0x7f]), None);
}

#[test]
fn a_serial_number_has_one_encoding() {
    let expected = Some("its serial number is not encoded as DER demands");
    for serial in [&[2, 2, 0, 1][..], &[2, 2, 0xff, 0x80]] {
        check(&with(1, serial), expected);
    }
}

#[test]
fn an_extension_stands_once_and_parses() {
    let extension = |oid: &[u64]| CustomExtension::from_oid_content(oid, vec![0x30, 0x05, 0x01]);
    let one = |oid: &'static [u64]| made(move |params| params.custom_extensions.push(extension(oid)));
    check(&one(&[2, 5, 29, 14]), Some("its extension subjectKeyIdentifier does not parse"));
    check(&one(&[2, 5, 29, 31]), Some("its extension cRLDistributionPoints does not parse"));
    check(&one(&[1, 2, 3, 4]), None);
    let twice = made(|params| params.custom_extensions.extend([extension(&[1, 2, 3, 4]), extension(&[1, 2, 3, 4])]));
    check(&twice, Some("it has the extension 1.2.3.4 twice"));
}

#[test]
fn a_name_has_texts_of_their_types() {
    let expected = Some("its subject has a value that is not text of its type");
    for (tag, value) in [(12, &b"Z\xfcrich"[..]), (30, b"\0A\0"), (28, b"\0\0A"), (2, b"\x01"), (26, b"Example")] {
        check(&with(5, &name(tag, value)), expected);
    }
    check(&with(3, &name(12, b"\xff")), Some("its issuer has a value that is not text of its type"));
}

#[test]
fn a_validity_has_seconds_and_ends_in_z() {
    let validity = |end: &[u8]| {
        let begin = element(0x17, b"260101000000Z");
        with(4, &element(SEQUENCE, &[begin, end.to_vec()].concat()))
    };
    check(&validity(&element(0x17, b"270101000000Z")), None);
    check(&validity(&element(0x18, b"20510101000000Z")), None);
    let expected = Some("its validity is not written as RFC 5280 demands");
    for end in [element(0x17, b"2701010000Z"), element(0x17, b"270101000000+0100")] {
        check(&validity(&end), expected);
    }
}
