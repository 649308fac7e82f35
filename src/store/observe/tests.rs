//! Which end counts of what is found, where somebody put another certificate in place of ours, and in files that were there
//! before renewd came.

use crate::core::code::Code;
use crate::core::entry::FixedFiles;
use crate::core::time::Timestamp;
use crate::pki::certificate::Certificate;
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::Ca;
use crate::store::example::{Example, after, pem, unreadable};

/// The old CA certificate ends after 40 days, the newer one outlives every leaf.
#[test]
fn what_somebody_renewed_is_newer_by_the_end_that_counts() {
    #[track_caller]
    fn check(ours: &str, (theirs, days): (&str, i64), expected: bool) {
        let mut host = Example::new();
        let chain = |name: &str| if name == "old" { host.old() } else { host.renewed(3000) };
        host.install(&[chain(ours)], Some(&host.root.certificate), Vec::new());
        let key = PrivateKey::generate(crate::core::key::KeyType::EcdsaP256).unwrap();
        let leaf = host.leaf_for(&key, days);
        host.at(FixedFiles {
            fullchain: host.file("www.crt", pem(&[&leaf, &chain(theirs)])),
            private_key: host.file("www.key", key.to_pem().as_bytes()),
            ..FixedFiles::default()
        });
        assert_eq!(host.observed().renewed_elsewhere, expected, "{ours}, then {days} days under {theirs}");
    }
    check("old", ("new", 80), true);
    check("old", ("new", 30), false);
    check("new", ("old", 100), false);
    check("new", ("new", 100), true);
    check("old", ("old", 100), false);
}

#[test]
fn a_leaf_renewed_on_the_same_key_is_newer_by_the_end_that_counts() {
    #[track_caller]
    fn check(ours: &str, (theirs, days): (&str, i64), expected: i64) {
        let host = Example::new();
        let chain = |name: &str| if name == "old" { host.old() } else { host.renewed(3000) };
        host.install(&[chain(ours)], Some(&host.root.certificate), Vec::new());
        host.put(&[&host.leaf_for(&host.key, days), &chain(theirs)]);
        assert_eq!(host.observed().not_after, after(expected), "{ours}, then {days} days under {theirs}");
    }
    check("old", ("new", 80), 80);
    check("new", ("old", 100), 89);
    check("new", ("new", 100), 100);
}

#[test]
fn a_member_of_a_chain_that_cannot_be_read_hides_no_end() {
    let mut host = Example::new();
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    for other in [unreadable(&host.root.certificate), damaged] {
        let chain = format!("{other}{}", host.old().to_pem());
        host.at(FixedFiles {
            certificate: host.file("www.crt", host.leaf.to_pem()),
            private_key: host.file("www.key", host.key.to_pem().as_bytes()),
            chain: host.file("chain.crt", chain),
            ..FixedFiles::default()
        });
        assert_eq!(host.observed().ends_at(), after(40), "{other}");
    }
    // Of a leaf that cannot be read its issuer is not known.
    let whole = format!("{}{}", unreadable(&host.leaf), host.old().to_pem());
    host.at(FixedFiles {
        fullchain: host.file("www.crt", whole),
        private_key: host.file("www.key", host.key.to_pem().as_bytes()),
        ..FixedFiles::default()
    });
    let found = host.observed();
    assert_eq!((found.ends_at(), found.chain.issuer.is_known()), (after(40), false));
}

/// Wherever the chain stands; and of several the first end counts, since nobody says which of them a server reads.
#[test]
fn each_file_of_an_adopted_set_may_hold_its_chain() {
    let mut host = Example::new();
    let (leaf, old, newer) = (host.leaf.clone(), host.old(), host.renewed(3000));
    let (bare, short, long) = (pem(&[&leaf]), pem(&[&leaf, &old]), pem(&[&leaf, &newer]));
    let key = host.key.to_pem();
    let bundled = |text: &str| format!("{}{text}", key.as_str());
    let mut check = |files: &[(&str, &str)], expected: Timestamp| {
        let file = |name: &str| {
            let content = files.iter().find(|file| file.0 == name)?.1;
            host.file(name, if name == "bundle" { bundled(content) } else { content.to_owned() })
        };
        let adopted = FixedFiles {
            fullchain: file("fullchain"),
            certificate: file("certificate"),
            chain: file("chain"),
            bundle: file("bundle"),
            private_key: host.file("www.key", key.as_bytes()),
            ..FixedFiles::default()
        };
        host.at(adopted);
        assert_eq!(host.observed().ends_at(), expected, "{files:?}");
    };
    check(&[("certificate", &short)], after(40));
    check(&[("certificate", &bare), ("chain", &old.to_pem())], after(40));
    check(&[("certificate", &bare), ("bundle", &short)], after(40));
    check(&[("fullchain", &bare), ("bundle", &short)], after(40));
    check(&[("fullchain", &bare), ("certificate", &short)], after(40));
    check(&[("fullchain", &long), ("bundle", &short)], after(40));
    check(&[("fullchain", &long), ("certificate", &bare)], after(89));
    check(&[("certificate", &bare)], after(89));
}

#[test]
fn files_of_others_that_clients_refuse_are_told() {
    let mut host = Example::new();
    let (leaf, good, root) = (host.leaf.clone(), host.renewed(3000), host.root.certificate.clone());
    let stranger = Ca::root("Stranger").below("Another CA").certificate;
    let namesake = Ca::root("Stranger").below("Issuing").certificate;
    let mut check = |together: &[&Certificate], expected: Option<&str>| {
        host.at(FixedFiles {
            fullchain: host.file("www.crt", pem(together)),
            private_key: host.file("www.key", host.key.to_pem().as_bytes()),
            ..FixedFiles::default()
        });
        let told = host.observed().remarks.list.clone();
        let told = told.iter().find(|remark| remark.code == Code::PathRefused).map(|remark| remark.message.to_string());
        match expected {
            None => assert_eq!(told, None),
            Some(part) => assert!(told.as_ref().is_some_and(|told| told.contains(part)), "{part}: {told:?}"),
        }
    };
    check(&[&leaf, &good], None);
    check(&[&leaf, &good, &root], None);
    check(&[&leaf], None);
    check(&[&leaf, &stranger], Some("no certificate of"));
    check(&[&leaf, &namesake], Some("cannot be used"));
    check(&[&leaf, &namesake, &good], None);
}
