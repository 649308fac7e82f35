//! Where a CA certificate's standing is told, and by whom.

use rcgen::{CrlDistributionPoint, CustomExtension, KeyPair};
use yasna::models::ObjectIdentifier;

use super::*;
use crate::pki::test_ca::Ca;

/// authorityInfoAccess with these methods (the last arc below 1.3.6.1.5.5.7.48) and places.
fn access_to(places: &[(u64, &str)]) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|all| {
            for (method, uri) in places {
                all.next().write_sequence(|one| {
                    one.next().write_oid(&ObjectIdentifier::from_slice(&[1, 3, 6, 1, 5, 5, 7, 48, *method]));
                    one.next().write_tagged_implicit(yasna::Tag::context(6), |writer| writer.write_ia5_string(uri));
                });
            }
        });
    });
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

fn with(points: &[&[&str]], places: &[(u64, &str)]) -> Sources {
    let root = Ca::root("Root");
    let ca = root.below_with("Issuing", KeyPair::generate().unwrap(), |params| {
        let point = |uris: &&[&str]| CrlDistributionPoint { uris: uris.iter().map(ToString::to_string).collect() };
        params.crl_distribution_points = points.iter().map(point).collect();
        if !places.is_empty() {
            params.custom_extensions.push(access_to(places));
        }
    });
    Sources::of(&ca.certificate)
}

#[test]
fn lists_responders_and_issuers_are_told_apart() {
    let found =
        with(&[&["http://a/1.crl", "ldap://b/c"], &["HTTPS://d/2"]], &[(1, "http://ocsp/"), (2, "http://i/r.cer")]);
    assert_eq!(found.crls, ["http://a/1.crl", "HTTPS://d/2"]);
    assert_eq!((found.responders, found.issuers), (vec!["http://ocsp/".to_owned()], vec!["http://i/r.cer".to_owned()]));
    assert_eq!(with(&[], &[]), Sources::default());
}

#[test]
fn what_cannot_be_fetched_or_is_too_much_is_left_out() {
    let long = format!("http://a/{}", "x".repeat(3000));
    let found =
        with(&[&["file:///etc/passwd", "gopher://a", "http:/a", &long, "http://a", "http://a"]], &[(1, "ftp://b")]);
    assert_eq!((found.crls, found.responders), (vec!["http://a".to_owned()], vec![]));
    let many: Vec<String> = (0..9).map(|number| format!("http://a/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(with(&[&many], &[]).crls, many[..4]);
}

#[test]
fn an_issuer_is_known_by_its_key_whoever_brings_its_certificate() {
    let (root, namesake) = (Ca::root("Root"), Ca::root("Root"));
    let ca = root.below("Issuing");
    let pool = [&namesake.certificate, &ca.certificate, &root.certificate];
    assert_eq!(issuer_of(&ca.certificate, pool), Some(&root.certificate));
    assert_eq!(issuer_of(&ca.certificate, [&namesake.certificate]), None);
    let crossed = Ca::root("Other").cross(&root);
    assert_eq!(issuer_of(&ca.certificate, [&crossed]), Some(&crossed), "of whatever origin");
}

#[test]
fn intermediates_are_neither_roots_nor_leaves() {
    let root = Ca::root("Root");
    let ca = root.below("Issuing");
    let key = crate::pki::key::PrivateKey::generate(crate::core::wanted::key::KeyType::EcdsaP256).unwrap();
    let leaf = ca.leaf(&key, &crate::pki::test_ca::leaf_params(&["www.example.com"]));
    let found = [&root.certificate, &ca.certificate, &leaf].map(is_intermediate);
    assert_eq!(found, [false, true, false]);
    assert!(is_intermediate(&Ca::root("Other").cross(&root)), "a cross-signed root is one");
    let served = served(&ca.certificate).unwrap();
    assert_eq!((served.subject.as_str(), served.fingerprint), ("CN=Issuing", ca.certificate.fingerprint()));
}
