//! A signing request says what was asked for, in the customary order, and is signed by its key.

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;
use x509_parser::asn1_rs::Tag;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::core::wanted::entry::{OtherName, OtherSans};
use crate::core::wanted::key::KeyType;
use crate::pki::pem::{Part, decode, parts};

fn der(pem: &str) -> Vec<u8> {
    let parts = parts(pem).unwrap();
    let [Part::Block(block)] = parts.as_slice() else { panic!("one block") };
    assert_eq!(block.label, "CERTIFICATE REQUEST");
    decode(block.body).unwrap().to_vec()
}

fn subject(values: &[(SubjectAttribute, &str)]) -> Subject {
    let mut subject = Subject::new();
    for (attribute, value) in values {
        subject.entry(*attribute).or_default().push((*value).to_owned());
    }
    subject
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyType::EcdsaP256).unwrap()
}

#[test]
fn the_subject_is_whole_and_in_order() {
    let subject = subject(&[
        (SubjectAttribute::CommonName, "www.example.com"),
        (SubjectAttribute::OrganizationUnits, "Zweite"),
        (SubjectAttribute::OrganizationUnits, "Erste"),
        (SubjectAttribute::OrganizationUnits, "Dritte"),
        (SubjectAttribute::OrganizationName, "Zürcher Apfel AG"),
        (SubjectAttribute::Email, "a@example.com"),
        (SubjectAttribute::Country, "CH"),
        (SubjectAttribute::OrganizationIdentifier, "VATCH-1"),
    ]);
    let pem = make(&key(), &subject, &Sans::default()).unwrap();
    let der = der(&pem);
    let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
    let name = &request.certification_request_info.subject;
    let found: Vec<_> = name
        .iter_attributes()
        .map(|a| {
            (a.attr_type().to_id_string(), a.attr_value().tag(), String::from_utf8(a.as_slice().to_vec()).unwrap())
        })
        .collect();
    let expected = [
        ("2.5.4.6", Tag::PrintableString, "CH"),
        ("2.5.4.10", Tag::Utf8String, "Zürcher Apfel AG"),
        ("2.5.4.97", Tag::Utf8String, "VATCH-1"),
        ("2.5.4.11", Tag::Utf8String, "Zweite"),
        ("2.5.4.11", Tag::Utf8String, "Erste"),
        ("2.5.4.11", Tag::Utf8String, "Dritte"),
        ("2.5.4.3", Tag::Utf8String, "www.example.com"),
        ("1.2.840.113549.1.9.1", Tag::Ia5String, "a@example.com"),
    ];
    assert_eq!(found, expected.map(|(oid, tag, value)| (oid.to_owned(), tag, value.to_owned())));
    assert_eq!(request.certification_request_info.attributes().len(), 0);
    assert!(request.requested_extensions().is_none());
}

#[test]
fn every_attribute_can_be_asked_for() {
    let all: Vec<_> = SubjectAttribute::ALL.iter().map(|attribute| (*attribute, "CH")).collect();
    let der = der(&make(&key(), &subject(&all), &Sans::default()).unwrap());
    let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
    let mut found: Vec<_> = request
        .certification_request_info
        .subject
        .iter_attributes()
        .map(|a| SubjectAttribute::of_oid(&a.attr_type().to_id_string()).unwrap())
        .collect();
    found.sort();
    assert_eq!(found, SubjectAttribute::ALL);
    assert!(SubjectAttribute::ALL.iter().all(|attribute| ORDER.contains(attribute)));
}

#[test]
fn names_of_all_kinds_are_asked_for() {
    let names = Sans {
        dns_names: vec!["www.example.com".into(), "*.example.com".into()],
        ip_addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()].into(),
        emails: vec!["a@example.com".into()].into(),
        uris: vec!["spiffe://example.com/a".into()].into(),
        others: OtherSans {
            user_principal_names: vec!["jürg@corp.example".into()],
            registered_ids: vec!["1.3.6.1.4.1.99999.1".into(), "2.25.329800735698586629295641978511506172918".into()],
            directory_names: vec!["CN=Zürich,O=Example AG,C=CH".into()],
            guids: vec!["1b671a64-40d5-491e-99b0-da01ff1f3341".into()],
            other_names: vec![OtherName { oid: "1.2.3".into(), values: Vec::new() }],
        }
        .into(),
    };
    for (subject, is_critical) in [(Subject::new(), true), (subject(&[(SubjectAttribute::CommonName, "x")]), false)] {
        let der = der(&make(&key(), &subject, &names).unwrap());
        let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert!(rest.is_empty());
        let asked: Vec<_> = request.requested_extensions().unwrap().collect();
        let [ParsedExtension::SubjectAlternativeName(found)] = asked.as_slice() else { panic!("{asked:?}") };
        let shown: Vec<_> = found.general_names.iter().map(ToString::to_string).collect();
        let expected = [
            "RFC822Name(a@example.com)",
            "DNSName(www.example.com)",
            "DNSName(*.example.com)",
            "URI(spiffe://example.com/a)",
            "IPAddress(c0:00:02:01)",
            "IPAddress(20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:01)",
            "OtherName(1.3.6.1.4.1.311.20.2.3, [...])",
            "RegisteredID(1.3.6.1.4.1.99999.1)",
        ];
        assert_eq!(shown[..8], expected);
        assert!(
            shown[8].starts_with("RegisteredID(") && shown[9] == "DirectoryName(C=CH, O=Example AG, CN=Zürich)",
            "{shown:?}"
        );
        assert_eq!(shown.len(), 10, "GUIDs and names of other types are TLM's to encode");
        let critical = der.windows(8).any(|w| w == [0x06, 0x03, 0x55, 0x1d, 0x11, 0x01, 0x01, 0xff]);
        assert_eq!(critical, is_critical);
    }
}

#[test]
fn the_request_is_signed_by_its_key() {
    let cases: [(KeyType, &dyn SignatureVerificationAlgorithm); 6] = [
        (KeyType::Rsa2048, algorithms::RSA_PKCS1_2048_8192_SHA256),
        (KeyType::Rsa3072, algorithms::RSA_PKCS1_2048_8192_SHA256),
        (KeyType::Rsa4096, algorithms::RSA_PKCS1_2048_8192_SHA256),
        (KeyType::EcdsaP256, algorithms::ECDSA_P256_SHA256),
        (KeyType::EcdsaP384, algorithms::ECDSA_P384_SHA384),
        (KeyType::EcdsaP521, algorithms::ECDSA_P521_SHA512),
    ];
    for (kind, algorithm) in cases {
        let key = PrivateKey::generate(kind).unwrap();
        let der = der(&make(&key, &subject(&[(SubjectAttribute::CommonName, "x")]), &Sans::default()).unwrap());
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        let info = &request.certification_request_info;
        assert_eq!(crate::pki::spki::digest(&info.subject_pki), key.spki(), "{kind}");
        let named = crate::pki::spki::algorithm(&request.signature_algorithm).unwrap();
        assert_eq!(named, algorithm.signature_alg_id().as_ref(), "{kind}");
        let public = &info.subject_pki.subject_public_key.data;
        assert!(algorithm.verify_signature(public, info.raw, &request.signature_value.data).is_ok(), "{kind}");
    }
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    #[track_caller]
    fn check(subject: &Subject, names: &Sans, expected: &str) {
        assert_eq!(make(&key(), subject, names).unwrap_err().to_string(), expected);
    }
    let none = Sans::default();
    let cannot = |what: &str| format!("{what} has characters that this attribute cannot hold");
    check(&subject(&[(SubjectAttribute::Country, "C*")]), &none, &cannot("country \"C*\""));
    check(&subject(&[(SubjectAttribute::SerialNumber, "ä")]), &none, &cannot("serial_number \"ä\""));
    check(&subject(&[(SubjectAttribute::Email, "ä@b")]), &none, &cannot("email \"ä@b\""));
    let umlaut = Sans { dns_names: vec!["bücher.example".into()], ..Sans::default() };
    check(
        &Subject::new(),
        &umlaut,
        "the name \"bücher.example\" has characters other than ASCII; write it in its A-label or percent-encoded form",
    );
}
