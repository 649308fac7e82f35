//! Which of the certificates that came are the path, in whatever order, and with whatever else.

use super::*;

/// A leaf by `issuer`.
fn leaf_of(issuer: &Ca) -> Certificate {
    issuer.leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &leaf_params(&["www.example.com"]))
}

#[track_caller]
fn check(name: &str, root: &Ca, between: &[&Certificate], leaf: &Certificate, says: &str) {
    let between = between.iter().map(|one| (*one).clone()).collect();
    let pile = Pile { root: root.certificate.clone(), between, leaf: leaf.clone(), wanted: "server_auth" };
    assert_eq!(pile.failure(says, None), None, "{name}");
}

#[test]
fn a_pile_in_any_order_with_duplicates_and_strangers_is_one_path() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let upper = root.below("Upper");
    let lower = upper.below("Lower");
    let leaf = leaf_of(&lower);
    let (lower, upper, stranger) = (&lower.certificate, &upper.certificate, &stranger.certificate);
    for pile in [[lower, upper, upper], [upper, lower, stranger], [stranger, upper, lower], [lower, &leaf, upper]] {
        check("a pile", &root, &pile, &leaf, "accepted");
    }
    let missing = "refused: the certificate of \"Upper\", which issued \"Lower\", is missing, and the profile does not show \
                   it";
    check("a gap", &root, &[lower, stranger], &leaf, missing);
    let limited = root.below_with("Upper", KeyPair::generate().unwrap(), |ca| {
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let lower = limited.below("Lower");
    let too_deep = "refused: the certificate of \"Upper\", which issued \"Lower\", cannot be used: it allows fewer CAs below \
                    it";
    check("no room", &root, &[&lower.certificate, &limited.certificate], &leaf_of(&lower), too_deep);
}

#[test]
fn cross_signs_lead_to_the_root_that_is_known() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let issuing = new.below("Issuing");
    let leaf = leaf_of(&issuing);
    let (new_by_old, old_by_new) = (old.cross(&new), new.cross(&old));
    let pile = [&issuing.certificate, &new_by_old, &old_by_new];
    check("to the new root", &new, &pile, &leaf, "accepted");
    check("across to the old root", &old, &pile, &leaf, "accepted");
}

#[test]
fn a_leaf_that_signed_itself_is_refused() {
    let mut params = leaf_params(&["www.example.com"]);
    params.distinguished_name.push(DnType::CommonName, "Self");
    let own = Certificate::from_der(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap();
    let says = "refused: \"Self\" is self-signed, no CA issued it";
    check("alone", &Ca::root("Root"), &[], &own, says);
}

#[test]
fn a_path_that_some_clients_do_not_follow_is_told() {
    let root = Ca::root("CA 0");
    let mut cas = vec![root.below("CA 1")];
    (2..=7).for_each(|number| cas.push(cas[number - 2].below(&format!("CA {number}"))));
    let leaf = leaf_of(&cas[6]);
    let between: Vec<_> = cas.iter().map(|ca| &ca.certificate).collect();
    let told = "accepted, path-unjudged: some TLS clients may refuse the path: it is longer than they follow";
    check("seven CAs", &root, &between, &leaf, told);
    check("six CAs", &root, &between[..6], &leaf_of(&cas[5]), "accepted");
}

#[test]
fn a_root_of_version_1_is_a_root_and_any_other_of_version_1_is_no_ca() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let leaf = leaf_of(&issuing);
    let old = Ca { certificate: first_version(&root.certificate, &root.key), ..root };
    let told = "accepted, path-unjudged: the root \"Root\" is an X.509 certificate of version 1, which does not say that it \
                is a CA";
    check("the root", &old, &[&issuing.certificate], &leaf, told);
    let lower = first_version(&issuing.certificate, &old.key);
    let refused = "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be used: it is not a CA \
                   certificate";
    check("the CA", &old, &[&lower], &leaf, refused);
}

/// The certificate without extensions and version, signed anew.
fn first_version(certificate: &Certificate, by: &KeyPair) -> Certificate {
    let parsed = certificate.parsed().unwrap();
    let parts =
        yasna::parse_der(parsed.tbs_certificate.as_ref(), |tbs| tbs.collect_sequence_of(|part| part.read_der()))
            .unwrap();
    let parts: Vec<_> = parts.iter().filter(|part| !matches!(part.first(), Some(0xa0 | 0xa3))).collect();
    let tbs = yasna::construct_der(|writer| {
        writer.write_sequence(|tbs| parts.iter().for_each(|part| tbs.next().write_der(part)));
    });
    let signature = by.sign(&tbs).unwrap();
    let der = yasna::construct_der(|writer| {
        writer.write_sequence(|whole| {
            whole.next().write_der(&tbs);
            whole.next().write_der(parts[1]);
            whole.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    });
    Certificate::from_der(&der).unwrap()
}
