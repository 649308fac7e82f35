//! Chains from piles in any order, and the message of each way in which a pile is no chain.

use rcgen::{BasicConstraints, IsCa, KeyPair, KeyUsagePurpose};

use super::*;
use crate::core::wanted::key::KeyType;
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::{Ca, NOW, leaf_params, unjudged, valid};

fn leaf_of(ca: &Ca) -> Certificate {
    ca.leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &leaf_params(&["leaf.example"]))
}

fn shown(built: &Result<Chain, Vec<Obstacle>>) -> String {
    let label = |certificate: &Certificate| certificate.label().as_str().trim_matches('"').to_owned();
    match built {
        Ok(chain) => {
            let links: Vec<_> = chain.intermediates.iter().map(label).collect();
            let root = chain.root.as_ref().map_or("no root".to_owned(), label);
            let unjudged = chain.unjudged.as_ref().map(|found| format!(" but for {}", found.what)).unwrap_or_default();
            let doubt = chain.doubt.as_ref().map(|doubt| format!(", but {doubt}")).unwrap_or_default();
            format!("{} < {root}{unjudged}{doubt}", links.join(" < "))
        }
        Err(obstacles) => obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "),
    }
}

#[track_caller]
fn check(leaf: &Certificate, pool: &[&Certificate], anchors: &[&Certificate], expected: &str) {
    let owned = |certificates: &[&Certificate]| certificates.iter().map(|c| (*c).clone()).collect::<Vec<_>>();
    let built = build(leaf, &owned(pool), &Aim::new(&owned(anchors), NOW));
    assert_eq!(shown(&built), expected);
}

#[test]
fn the_order_of_the_pile_does_not_matter() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let upper = root.below("Upper");
    let lower = upper.below("Lower");
    let leaf = leaf_of(&lower);
    let mut pile = [&root.certificate, &leaf, &upper.certificate, &stranger.certificate, &lower.certificate, &leaf];
    for turn in 0..pile.len() {
        pile.rotate_left(1);
        check(&leaf, &pile, &[], "Lower < Upper < Root");
        pile.swap(0, turn);
        check(&leaf, &pile, &[], "Lower < Upper < Root");
    }
    let twice = [pile.as_slice(), pile.as_slice()].concat();
    check(&leaf, &twice, &pile, "Lower < Upper < Root");
}

#[test]
fn a_root_may_issue_the_leaf() {
    let root = Ca::root("Root");
    check(&leaf_of(&root), &[&root.certificate], &[], " < Root");
}

#[test]
fn an_anchor_may_end_the_chain() {
    let root = Ca::root("Root");
    let (issuing, other) = (root.below("Issuing"), root.below("Other"));
    let leaf = leaf_of(&issuing);
    check(&leaf, &[], &[&issuing.certificate], "Issuing < no root");
    check(&leaf, &[&root.certificate], &[&issuing.certificate], "Issuing < Root");
    check(
        &leaf,
        &[&issuing.certificate],
        &[&other.certificate],
        "the certificate of \"Root\", which issued \"Issuing\", is missing, and the profile does not show it",
    );
}

#[test]
fn cross_signs_and_loops_end() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let issuing = new.below("Issuing");
    let leaf = leaf_of(&issuing);
    let (new_by_old, old_by_new) = (old.cross(&new), new.cross(&old));
    let pile = [&new_by_old, &old_by_new, &issuing.certificate];
    check(&leaf, &[&pile[..], &[&old.certificate]].concat(), &[], "Issuing < New < Old");
    check(&leaf, &[&pile[..], &[&old.certificate, &new.certificate]].concat(), &[], "Issuing < New");
    check(&leaf, &[&pile[..], &[&new.certificate]].concat(), &[&old.certificate], "Issuing < New < Old");
    check(
        &leaf,
        &pile,
        &[],
        "the certificate of \"New\", which issued \"Old\", is missing, and the profile does not show it",
    );
}

#[test]
fn many_cross_signs_end_soon() {
    let cas: Vec<Ca> = (0..12).map(|number| Ca::root(&format!("CA {number}"))).collect();
    let pairs = cas.iter().flat_map(|by| cas.iter().map(move |of| (by, of)));
    let crossed: Vec<_> =
        pairs.filter(|(by, of)| by.certificate != of.certificate).map(|(by, of)| by.cross(of)).collect();
    let leaf = leaf_of(&cas[0]);
    let Err(obstacles) = build(&leaf, &crossed, &Aim::new(&[], NOW)) else { panic!("there is no root") };
    assert!(!obstacles.is_empty());
    assert_eq!(shown(&build(&leaf, &crossed, &Aim::new(&[cas[0].certificate.clone()], NOW))), " < CA 0");
}

#[test]
fn the_ca_of_one_name_is_told_from_the_other() {
    let root = Ca::root("Root");
    let (right, wrong) = (root.below("Issuing"), root.below("Issuing"));
    let leaf = leaf_of(&right);
    check(&leaf, &[&wrong.certificate, &right.certificate, &root.certificate], &[], "Issuing < Root");
    check(&leaf, &[&wrong.certificate, &root.certificate], &[], &flawed("its key differs from the issuer's"));
    let without_id = |ca: &Ca| {
        let mut params = leaf_params(&["leaf.example"]);
        params.use_authority_key_identifier_extension = false;
        ca.leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &params)
    };
    let leaf = without_id(&right);
    check(&leaf, &[&wrong.certificate, &right.certificate, &root.certificate], &[], "Issuing < Root");
    check(&leaf, &[&wrong.certificate, &root.certificate], &[], &flawed("the signature does not verify"));
}

fn flawed(flaw: &str) -> String {
    format!("the certificate of \"Issuing\", which issued \"leaf.example\", cannot be used: {flaw}")
}

#[test]
fn only_a_valid_ca_may_issue() {
    #[track_caller]
    fn check_ca(change: impl FnOnce(&mut rcgen::CertificateParams), expected: &str) {
        let root = Ca::root("Root");
        let issuing = root.below_with("Issuing", KeyPair::generate().unwrap(), change);
        check(&leaf_of(&issuing), &[&issuing.certificate, &root.certificate], &[], expected);
    }
    check_ca(|_| {}, "Issuing < Root");
    check_ca(|ca| ca.is_ca = IsCa::NoCa, &flawed("it is not a CA certificate"));
    check_ca(|ca| ca.is_ca = IsCa::ExplicitNoCa, &flawed("it is not a CA certificate"));
    check_ca(|ca| ca.key_usages = vec![], "Issuing < Root");
    check_ca(
        |ca| ca.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        &flawed("its key usage does not allow it to sign certificates"),
    );
    check_ca(|ca| valid(ca, -10, 0), "Issuing < Root");
    check_ca(|ca| valid(ca, -10, -1), &flawed("it expired at 2026-11-23T23:59:59Z"));
    check_ca(|ca| valid(ca, 1, 10), &flawed("it is not valid before 2026-11-24T00:00:01Z"));
    check_ca(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), "Issuing < Root");
}

#[test]
fn a_limit_on_cas_below_counts() {
    let limited = |limit| {
        Ca::root_with("Root", KeyPair::generate().unwrap(), |ca| {
            ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit))
        })
    };
    for (limit, expected) in [
        (1, "Issuing < Root"),
        (0, "the certificate of \"Root\", which issued \"Issuing\", cannot be used: it allows fewer CAs below it"),
    ] {
        let root = limited(limit);
        let issuing = root.below("Issuing");
        check(&leaf_of(&issuing), &[&issuing.certificate, &root.certificate], &[], expected);
    }
}

#[test]
fn every_algorithm_of_the_cas_is_judged() {
    let rsa = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let keys = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ECDSA_P521_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_RSA_SHA384,
        &rcgen::PKCS_RSA_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_ML_DSA_65,
    ];
    for algorithm in keys {
        let root = Ca::root_with("Root", rsa(algorithm), |_| {});
        let issuing = root.below_with("Issuing", rsa(algorithm), |_| {});
        check(&leaf_of(&issuing), &[&issuing.certificate, &root.certificate], &[], "Issuing < Root");
    }
}

/// The certificate, signed anew by RSASSA-PSS.
fn pss(certificate: &Certificate, by: &Ca) -> Certificate {
    use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};
    let id = |writer: yasna::DERWriter<'_>| {
        writer.write_sequence(|id| id.next().write_der(rustls_pki_types::alg_id::RSA_PSS_SHA256.as_ref()));
    };
    let parsed = certificate.parsed().unwrap();
    let parts =
        yasna::parse_der(parsed.tbs_certificate.as_ref(), |tbs| tbs.collect_sequence_of(|part| part.read_der()));
    let signed = yasna::construct_der(|writer| {
        writer.write_sequence(|tbs| {
            for (at, part) in parts.unwrap().iter().enumerate() {
                if at == 2 { id(tbs.next()) } else { tbs.next().write_der(part) }
            }
        });
    });
    let key = RsaKeyPair::from_pkcs8(&by.key.serialize_der()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA256, &aws_lc_rs::rand::SystemRandom::new(), &signed, &mut signature).unwrap();
    let der = yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_der(&signed);
            id(parts.next());
            parts.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    });
    Certificate::from_der(&der).unwrap()
}

#[test]
fn rsassa_pss_is_judged() {
    let rsa = || KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let root = Ca::root_with("Root", rsa(), |_| {});
    let (issuing, other) = (root.below_with("Issuing", rsa(), |_| {}), root.below_with("Issuing", rsa(), |_| {}));
    let leaf = pss(&leaf_of(&issuing), &issuing);
    check(&leaf, &[&pss(&issuing.certificate, &root), &root.certificate], &[], "Issuing < Root");
    let forged = pss(&leaf_of(&issuing), &other);
    check(&forged, &[&issuing.certificate, &root.certificate], &[], &flawed("the signature does not verify"));
}

#[test]
fn a_name_in_another_string_type_is_the_same_name() {
    let root = Ca::root("Root  CA");
    let named = |name: &str| {
        let mut params = root.params.clone();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = rcgen::DnValue::PrintableString(name.try_into().unwrap());
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::from_pem(&root.key.serialize_pem()).unwrap();
        leaf_of(&Ca { params, key, certificate: root.certificate.clone() })
    };
    check(
        &named("root ca"),
        &[&root.certificate],
        &[],
        " < Root CA, but some TLS clients may refuse the path: a certificate spells its issuer's name in another way than \
         the issuer does",
    );
    check(
        &named("Root CB"),
        &[&root.certificate],
        &[],
        "the certificate of \"Root CB\", which issued \"leaf.example\", is missing, and the profile does not show it",
    );
}

#[test]
fn what_cannot_be_judged_is_told_and_avoided() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let leaf = leaf_of(&issuing);
    let old = unjudged(&issuing.certificate);
    let told = "Issuing < Root but for the signature on \"Issuing\" (ecdsa-with-SHA224)";
    check(&leaf, &[&old, &root.certificate], &[], told);
    check(&leaf, &[&old, &issuing.certificate, &root.certificate], &[], "Issuing < Root");
    check(&leaf, &[&old], &[&root.certificate], told);
    check(&leaf, &[&issuing.certificate, &unjudged(&root.certificate)], &[], "Issuing < Root");
}

#[test]
fn a_leaf_that_signed_itself_has_no_chain() {
    let mut params = leaf_params(&["self.example"]);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Self");
    let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let leaf = Certificate::from_der(own.der()).unwrap();
    check(&leaf, &[&leaf], &[], "\"Self\" is self-signed, no CA issued it");
}

/// A CA, and another certificate of its name and key by the same issuer, for so many seconds from now on.
fn renewed(root: &Ca, ca: &Ca, until: i64) -> Certificate {
    let key = KeyPair::from_pem(&ca.key.serialize_pem()).unwrap();
    root.below_with(&ca.certificate.label().as_str().replace('"', ""), key, |params| valid(params, -86_400, until))
        .certificate
}

fn end_of(certificate: &Certificate) -> i64 {
    certificate.parsed().unwrap().validity().not_after.timestamp() - NOW.seconds()
}

const DAY: i64 = 86_400;

#[test]
fn of_two_certificates_of_a_ca_the_one_that_ends_later_is_written() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let (old, new) = (renewed(&root, &issuing, 3 * DAY), renewed(&root, &issuing, 3_285 * DAY));
    let leaf = leaf_of(&issuing);
    let all = [&root.certificate, &old, &new];
    let places: [(&[&Certificate], &[&Certificate]); 8] = [
        (&all, &[]),
        (&[&new, &old, &root.certificate], &[]),
        (&[&old], &[&root.certificate, &new]),
        (&[&new], &[&root.certificate, &old]),
        (&[&root.certificate, &new], &[&old]),
        (&[&root.certificate, &old], &[&new]),
        (&[&new], &[&old]),
        (&[&old], &[&new]),
    ];
    for (pool, anchors) in places {
        let owned = |list: &[&Certificate]| list.iter().map(|one| (*one).clone()).collect::<Vec<_>>();
        let built = build(&leaf, &owned(pool), &Aim::new(&owned(anchors), NOW)).unwrap();
        assert_eq!(built.intermediates.iter().map(end_of).collect::<Vec<_>>(), [3_285 * DAY], "{pool:?} {anchors:?}");
    }
}

#[test]
fn a_ca_certificate_that_is_over_or_not_yet_valid_is_passed_over() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let leaf = leaf_of(&issuing);
    let key = || KeyPair::from_pem(&issuing.key.serialize_pem()).unwrap();
    let made = |from, until| root.below_with("Issuing", key(), |params| valid(params, from, until)).certificate;
    let (over, current, ahead) = (made(-10 * DAY, -1), made(-10 * DAY, DAY), made(DAY, 900 * DAY));
    let pile = [over, ahead, current.clone(), root.certificate.clone()];
    let built = build(&leaf, &pile, &Aim::new(&[], NOW)).unwrap();
    assert_eq!(built.intermediates, [current]);
}

#[test]
fn trust_goes_before_a_late_end() {
    let (own, foreign) = (Ca::root("Own"), Ca::root("Foreign"));
    let issuing = own.below_with("Issuing", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, 100 * DAY));
    let leaf = leaf_of(&issuing);
    let mut params = issuing.params.clone();
    valid(&mut params, -DAY, 3_000 * DAY);
    let key = KeyPair::from_pem(&issuing.key.serialize_pem()).unwrap();
    let cross = foreign.cross(&Ca { params, key, certificate: issuing.certificate.clone() });
    let pile = [&cross, &foreign.certificate, &issuing.certificate, &own.certificate];
    check(&leaf, &pile, &[], "Issuing < Foreign");
    check(&leaf, &pile, &[&own.certificate], "Issuing < Own");
    check(&leaf, &pile, &[&issuing.certificate], "Issuing < Own");
    check(&leaf, &[&cross, &foreign.certificate], &[&issuing.certificate], "Issuing < no root");
}

#[test]
fn nothing_that_clients_need_is_left_out_for_a_later_end() {
    let root = Ca::root("Root");
    let upper = root.below_with("Upper", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, 100 * DAY));
    let issuing = upper.below("Issuing");
    let leaf = leaf_of(&issuing);
    check(&leaf, &[&root.certificate, &upper.certificate], &[&issuing.certificate], "Issuing < Upper < Root");
    let old = unjudged(&upper.certificate);
    let told = "Issuing < Upper < Root but for the signature on \"Upper\" (ecdsa-with-SHA224)";
    check(&leaf, &[&root.certificate, &old], &[&issuing.certificate], told);
}

#[test]
fn a_path_that_clients_refuse_gives_way_to_one_that_they_take() {
    let (strict, open) = (Ca::root("Strict"), Ca::root("Open"));
    let limited = strict.below_with("Issuing", KeyPair::generate().unwrap(), |ca| {
        ca.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let mut params = limited.params.clone();
    params.extended_key_usages.clear();
    let key = KeyPair::from_pem(&limited.key.serialize_pem()).unwrap();
    let cross = open.cross(&Ca { params, key, certificate: limited.certificate.clone() });
    let leaf = leaf_of(&limited);
    let pile = [&limited.certificate, &strict.certificate, &cross, &open.certificate];
    check(&leaf, &pile, &[], "Issuing < Open");
    check(&leaf, &pile, &[&strict.certificate], "Issuing < Open");
    check(
        &leaf,
        &pile[..2],
        &[],
        "CA \"Issuing\" may not issue for server authentication: its extended key usages are client_auth",
    );
}

/// The end of the chain in a file, in seconds from now, with its CA.
fn end_in_file(leaf: &Certificate, others: &[&Certificate]) -> Option<(i64, String)> {
    let others: Vec<_> = others.iter().map(|one| (*one).clone()).collect();
    let end = served_end(leaf, &others)?;
    assert!(others.iter().any(|ca| ca.spki() == end.spki));
    Some((end.at.seconds() - NOW.seconds(), end.subject.to_string()))
}

#[test]
fn the_chain_in_a_file_ends_with_the_first_ca_of_its_best_path() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let upper = root.below_with("Upper", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, 50 * DAY));
    let issuing = upper.below_with("Issuing", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, 400 * DAY));
    let old = renewed(&upper, &issuing, 3 * DAY);
    let short = stranger.below_with("Short", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, DAY));
    let namesake = root.below_with("Issuing", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, DAY));
    let leaf = leaf_of(&issuing);
    let check = |others: &[&Certificate], expected: Option<(i64, &str)>| {
        let expected = expected.map(|(days, whose)| (days * DAY, whose.to_owned()));
        assert_eq!(end_in_file(&leaf, others), expected);
        let backwards: Vec<_> = others.iter().rev().copied().collect();
        assert_eq!(end_in_file(&leaf, &backwards), expected);
    };
    check(&[], None);
    check(&[&root.certificate, &leaf], None);
    check(&[&issuing.certificate], Some((400, "CN=Issuing")));
    check(&[&issuing.certificate, &upper.certificate], Some((50, "CN=Upper")));
    check(&[&issuing.certificate, &upper.certificate, &root.certificate], Some((50, "CN=Upper")));
    check(&[&old], Some((3, "CN=Issuing")));
    check(&[&old, &issuing.certificate], Some((400, "CN=Issuing")));
    check(&[&old, &issuing.certificate, &upper.certificate], Some((50, "CN=Upper")));
    check(&[&issuing.certificate, &short.certificate, &namesake.certificate], Some((400, "CN=Issuing")));
    check(&[&short.certificate, &stranger.certificate], None);
}

#[test]
fn a_ca_that_issued_itself_for_a_new_key_is_no_root() {
    let old = Ca::root("Root");
    let new = old.below_with("Root", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, 7 * DAY));
    let leaf = leaf_of(&new);
    check(&leaf, &[&new.certificate, &old.certificate], &[], "Root < Root");
    let end = Some((7 * DAY, "CN=Root".to_owned()));
    assert_eq!(end_in_file(&leaf, &[&new.certificate, &old.certificate]), end);
    assert_eq!(end_in_file(&leaf, &[&new.certificate]), end);
}

#[test]
fn where_key_identifiers_are_silent_the_signature_says_who_issued() {
    let root = Ca::root("Root");
    let silent = |until| {
        root.below_with("Issuing", KeyPair::generate().unwrap(), |ca| {
            ca.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![]);
            valid(ca, -DAY, until);
        })
    };
    let (right, wrong) = (silent(10 * DAY), silent(900 * DAY));
    let mut params = leaf_params(&["leaf.example"]);
    params.use_authority_key_identifier_extension = false;
    let leaf = right.leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &params);
    let found = end_in_file(&leaf, &[&wrong.certificate, &right.certificate]);
    assert_eq!(found, Some((10 * DAY, "CN=Issuing".to_owned())));
    assert_eq!(end_in_file(&leaf, &[&wrong.certificate]), None);
}

#[test]
fn many_certificates_in_a_file_end_soon() {
    let cas: Vec<Ca> = (0..9).map(|number| Ca::root(&format!("CA {number}"))).collect();
    let pairs = cas.iter().flat_map(|by| cas.iter().map(move |of| (by, of)));
    let crossed: Vec<_> =
        pairs.filter(|(by, of)| by.certificate != of.certificate).map(|(by, of)| by.cross(of)).collect();
    assert!(served_end(&leaf_of(&cas[0]), &crossed).is_some());
}
