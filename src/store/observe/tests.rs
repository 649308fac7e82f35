//! Which end counts of what is found, where somebody put another certificate in place of ours, and in files that were there
//! before renewd came.

use crate::core::code::Code;
use crate::core::time::Timestamp;
use crate::core::wanted::files::FixedFiles;
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
        let key = PrivateKey::generate(crate::core::wanted::key::KeyType::EcdsaP256).unwrap();
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
    check(&[&leaf, &stranger], Some("is not in the file"));
    check(&[&leaf, &namesake], Some("cannot be used"));
    check(&[&leaf, &namesake, &good], None);
}

/// Nobody says which of the files a server reads: what one of them lacks is told, and no reason to ask for a certificate.
#[test]
fn one_usable_pair_among_the_files_is_enough_and_the_others_are_told() {
    let mut host = Example::new();
    let (leaf, good, key) = (host.leaf.clone(), host.renewed(3000), host.key.to_pem());
    let stranger = PrivateKey::generate(crate::core::wanted::key::KeyType::EcdsaP256).unwrap().to_pem();
    let whole = pem(&[&leaf, &good]);
    let soon = host.leaf_for(&host.key, 30);
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = |key: &str, rest: &str| format!("{key}{rest}");
    let mut check = |files: &[(&str, String)], expected: &[(&str, &str)], days: i64| {
        let file = |name: &str| match files.iter().find(|file| file.0 == name)?.1.as_str() {
            "missing" => host.missing(&format!("{name}-missing")),
            content => host.file(name, content),
        };
        let named = FixedFiles {
            fullchain: file("fullchain"),
            certificate: file("certificate"),
            chain: file("chain"),
            bundle: file("bundle"),
            pkcs7: file("pkcs7"),
            der: file("der"),
            private_key: host.file("www.key", key.as_bytes()),
            ..FixedFiles::default()
        };
        host.at(named);
        let found = host.observed();
        let told: Vec<_> = found.remarks.list.iter().map(|one| (one.code.as_str(), one.message.to_string())).collect();
        assert_eq!(told.len(), expected.len(), "{files:?}: {told:#?}");
        for ((code, message), (wanted, part)) in told.iter().zip(expected) {
            assert!(code == wanted && message.contains(part), "{files:?}: {told:#?}");
        }
        assert_eq!(found.ends_at(), after(days), "{files:?}");
    };
    let (certificate, chain) = (("certificate", leaf.to_pem()), ("chain", good.to_pem()));
    let refused = "path-refused";
    let incomplete = "files-incomplete";
    check(&[("fullchain", whole.clone())], &[], 89);
    check(&[certificate.clone(), chain.clone()], &[], 89);
    let missing = ("fullchain", "missing".to_owned());
    check(&[missing, certificate.clone(), chain.clone()], &[(incomplete, "does not exist")], 89);
    let damaged = ("fullchain", junk.to_owned());
    check(&[damaged, certificate.clone(), chain.clone()], &[(refused, "servers cannot use")], 89);
    let strange = ("bundle", bundle(&stranger, &whole));
    check(&[("fullchain", whole.clone()), strange], &[(refused, "does not belong")], 89);
    let empty = ("chain", "nothing".to_owned());
    check(&[certificate.clone(), empty], &[(refused, "holds no certificate")], 89);
    check(&[certificate.clone(), ("chain", "missing".to_owned())], &[(incomplete, "does not exist")], 89);
    check(std::slice::from_ref(&certificate), &[(incomplete, "holds only the leaf")], 89);
    check(&[("fullchain", leaf.to_pem())], &[(incomplete, "holds only the leaf")], 89);
    let older = ("bundle", bundle(&key, &pem(&[&soon, &good])));
    check(&[("fullchain", whole.clone()), older], &[(incomplete, "holds another certificate")], 30);
    check(&[("der", leaf.to_pem())], &[], 89);
    let pkcs7 = crate::pki::pkcs7::certificates_only([&leaf, &good]);
    check(&[("pkcs7", pkcs7)], &[], 89);
}

/// A file that cannot be read says nothing of what is there, whatever is wrong with the others.
#[test]
fn what_cannot_be_read_outweighs_what_is_missing_or_damaged() {
    let mut host = Example::new();
    let folder = host.missing("www.pem").unwrap();
    std::fs::create_dir(&folder).unwrap();
    let damaged = host.file("www.crt", "nothing");
    host.at(FixedFiles {
        fullchain: damaged,
        bundle: Some(folder),
        private_key: host.file("www.key", host.key.to_pem().as_bytes()),
        ..FixedFiles::default()
    });
    let observed = super::observe(&crate::store::real_disk::RealDisk, &host.layout, &host.entry);
    assert!(matches!(observed, super::Observed::Unreadable(_)), "{observed:?}");
}

#[test]
fn a_key_store_alone_is_a_set_and_one_that_does_not_open_is_kept() {
    let mut host = Example::new();
    let (leaf, chain) = (host.leaf.clone(), [host.old()]);
    let store = crate::pki::pkcs12::KeyStore { name: "www", key: &host.key, leaf: &leaf, chain: &chain };
    let bytes = store.to_der("secret", crate::core::wanted::files::Pkcs12Encryption::Aes256).unwrap();
    let mut check = |content: &[u8], password: &str, expected: &str| {
        host.at(FixedFiles {
            pkcs12: host.file("www.p12", content),
            pkcs12_password_file: host.file("password", password),
            ..FixedFiles::default()
        });
        let mut terms = crate::core::compact::settings::EntrySettings::clone(&host.entry.terms);
        terms.formats = vec![crate::core::wanted::files::Format::Pkcs12];
        host.entry.terms = std::sync::Arc::new(terms);
        let observed = super::observe(&crate::store::real_disk::RealDisk, &host.layout, &host.entry);
        let told = match &observed {
            super::Observed::Installed(found) => {
                assert_eq!(found.ends_at(), after(40), "the CA's end counts");
                found.remarks.list.iter().map(|remark| remark.message.to_string()).collect()
            }
            super::Observed::Unreadable(what) => format!("unreadable: {what}"),
            super::Observed::Damaged(what) => format!("damaged: {what}"),
            super::Observed::Absent => "absent".to_owned(),
        };
        assert!(told.contains(expected), "{told}");
    };
    check(&bytes, "secret\n", "cannot tell whose it is");
    check(&bytes, "other\n", "unreadable: ");
    check(b"nothing", "secret\n", "damaged: ");
}

#[test]
fn a_pin_that_the_installed_certificate_contradicts_is_told() {
    use crate::core::known::issuer::IssuerPin;
    use crate::core::name::Digest;
    let mut host = Example::new();
    let root = host.root.certificate.clone();
    let told = |host: &Example| {
        let found = host.observed();
        let told = found.remarks.list.iter().filter(|remark| remark.code == Code::IssuerChanged);
        told.map(|remark| remark.message.to_string()).collect::<String>()
    };
    let check = |host: &mut Example, root_is_known: bool| {
        for (pin, is_told) in [
            (IssuerPin::Spki(host.old().spki()), false),
            (IssuerPin::Subject("CN=Issuing".to_owned()), false),
            (IssuerPin::Spki(root.spki()), false),
            (IssuerPin::Subject("CN=Root".to_owned()), false),
            (IssuerPin::Subject("CN=Other".to_owned()), true),
            // What stands above the files is not known.
            (IssuerPin::Spki(Digest([7; 32])), root_is_known),
        ] {
            host.entry.issuer = Some(Box::new(pin.clone()));
            assert_eq!(told(host).contains("which did not issue"), is_told, "{pin}: {}", told(host));
        }
    };
    host.at(FixedFiles {
        certificate: host.file("www.crt", host.leaf.to_pem()),
        chain: host.file("chain.crt", host.old().to_pem()),
        private_key: host.file("www.key", host.key.to_pem().as_bytes()),
        ..FixedFiles::default()
    });
    check(&mut host, false);
    host.at(FixedFiles::default());
    host.install(&[host.old()], Some(&root), Vec::new());
    check(&mut host, true);
}
