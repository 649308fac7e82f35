//! Which chains take the place of the installed one, what is told of them, and what a repair makes of them.

use rcgen::CustomExtension;

use super::*;
use crate::core::known::issuer::IssuerPin;
use crate::core::name::Digest;
use crate::core::wanted::files::FixedFiles;
use crate::pki::test_ca::{Ca, unjudged};
use crate::store::content::{CHAIN, FULLCHAIN};
use crate::store::example::{Example, after, pem};
use crate::store::real_disk::RealDisk;
use crate::store::repair::{Repaired, put_back, repair};

fn by_profile(host: &Example, issuers: &[Certificate]) -> Result<(u64, Timestamp), String> {
    let profile = ProfileId("p".into());
    let refreshed =
        refresh(&RealDisk, &host.layout, &host.identity, &host.entry, &host.terms(issuers), Source::Profile(&profile));
    refreshed.map(|(generation, ends_at)| (generation.0, ends_at)).map_err(|failure| failure.message.to_string())
}

fn repaired(host: &Example, issuers: &[Certificate], refreshes: bool) -> Repaired {
    let terms = RepairInputs { refreshes, ..host.terms(issuers) };
    repair(&RealDisk, &host.layout, &host.identity, &host.entry, &terms).unwrap()
}

#[track_caller]
fn refused(refreshed: Result<(u64, Timestamp), String>, why: &str) {
    assert!(refreshed.as_ref().is_err_and(|told| told.contains(why)), "{refreshed:?}");
}

#[test]
fn a_set_that_an_older_version_wrote_is_refreshed_once() {
    let host = Example::new();
    host.install(&[host.old()], None, Vec::new());
    host.change_manifest(|manifest| manifest.served = None);
    let newer = [host.renewed(3000)];
    assert_eq!(by_profile(&host, &newer), Ok((2, after(89))), "a set of its own");
    let live = std::fs::read_to_string(host.live().join(FULLCHAIN)).unwrap();
    assert!(live.starts_with(&pem(&[&host.leaf, &newer[0]])));
    refused(by_profile(&host, &newer), "no chain that verifies ends later");
    assert!(host.observed().is_refreshed);
}

#[test]
fn files_of_others_whose_key_is_of_no_use_stay() {
    let mut host = Example::new();
    let sealed = crate::pki::pem::armour("ENCRYPTED PRIVATE KEY", b"\x30\x04\x30\0\x04\0");
    host.at(FixedFiles {
        fullchain: host.file("www.crt", pem(&[&host.leaf, &host.old()])),
        private_key: host.file("www.key", sealed.as_bytes()),
        ..FixedFiles::default()
    });
    refused(by_profile(&host, &[host.renewed(3000)]), "cannot use the installed key");
}

/// An install that an older version left unfinished is finished, and not done again.
#[test]
fn the_same_chain_is_the_same_set_where_an_older_version_noted_none() {
    let host = Example::new();
    for root in [None, Some(&host.root.certificate)] {
        let first = host.install(&[host.old()], root, Vec::new());
        host.change_manifest(|manifest| manifest.served = None);
        assert_eq!(host.install(&[host.old()], root, Vec::new()), first);
        host.change_manifest(|manifest| manifest.attempt.0 += 1);
    }
    assert!(!host.observed().is_refreshed);
}

#[test]
fn the_pinned_ca_has_to_be_on_the_new_chain() {
    let mut host = Example::new();
    host.install(&[host.old()], Some(&host.root.certificate), Vec::new());
    let newer = [host.renewed(3000)];
    host.entry.issuer = Some(Box::new(IssuerPin::Spki(Digest([7; 32]))));
    refused(by_profile(&host, &newer), "the entry pins the issuer");
    host.entry.issuer = Some(Box::new(IssuerPin::Spki(host.root.certificate.spki())));
    assert_eq!(by_profile(&host, &newer), Ok((2, after(89))));
}

#[test]
fn a_chain_that_cannot_be_judged_replaces_none_that_can() {
    let mut host = Example::new();
    host.install(&[host.old()], None, Vec::new());
    let other = Ca::root("Other");
    let newer = unjudged(&host.crossed(&other, 3000, |_| {}));
    pinned_to(&mut host, &other);
    host.put(&[&host.leaf, &newer, &other.certificate]);
    assert_eq!(repaired(&host, &[], true), Repaired::PutBack, "nobody vouches for it");
    assert_eq!(by_profile(&host, &[newer, other.certificate]), Ok((2, after(89))), "the profile does");
}

/// What the entry pins leads to a path that no better one stands beside.
fn pinned_to(host: &mut Example, ca: &Ca) {
    host.entry.issuer = Some(Box::new(IssuerPin::Spki(ca.certificate.spki())));
}

#[test]
fn a_chain_that_some_clients_refuse_replaces_only_its_like() {
    let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 4, 0x30, 2, 6, 0]);
    policies.set_criticality(true);
    let doubted = Remark::new(Code::PathUnjudged, "the one before");
    for (before, expected) in [(Vec::new(), None), (vec![doubted], Some(after(89)))] {
        let (mut host, other) = (Example::new(), Ca::root("Other"));
        host.install(&[host.old()], Some(&host.root.certificate), before);
        pinned_to(&mut host, &other);
        let newer = host.crossed(&other, 3000, |params| params.custom_extensions.push(policies.clone()));
        let refreshed = by_profile(&host, &[newer, other.certificate]);
        assert_eq!(refreshed.as_ref().ok().map(|refreshed| refreshed.1), expected, "{refreshed:?}");
        let told = host.remarks();
        assert_eq!(told.len(), usize::from(expected.is_some()), "{told:?}");
        assert!(told.iter().all(|told| told.contains("path-unjudged") && !told.contains("before")), "{told:?}");
    }
}

#[test]
fn what_is_told_of_the_path_is_of_the_new_one() {
    let (mut host, other) = (Example::new(), Ca::root("Other"));
    let before = |code, message| Remark::new(code, message);
    let before = vec![
        before(Code::ValidityShortened, "of the leaf"),
        before(Code::ChainEndsFirst, "of the old path"),
        before(Code::PathUnjudged, "of the old path"),
        before(Code::RootUnknown, "of the old path"),
    ];
    host.install(&[host.old()], None, before);
    pinned_to(&mut host, &other);
    let newer = [unjudged(&host.crossed(&other, 60, |_| {})), other.certificate];
    assert_eq!(by_profile(&host, &newer), Ok((2, after(60))));
    let told = host.remarks().join("\n");
    assert!(told.contains("of the leaf") && !told.contains("of the old path"), "{told}");
    assert!(told.contains("signature-unjudged") && told.contains(&after(60).to_string()), "{told}");
}

/// Everything that waits for a window, or for the operator, waits in a repair as well.
#[test]
fn a_repair_takes_no_chain_of_the_profile() {
    let host = Example::new();
    host.install(&[host.old()], Some(&host.root.certificate), Vec::new());
    let newer = [host.renewed(3000)];
    host.put(&[&host.leaf]);
    assert_eq!(repaired(&host, &newer, true), Repaired::PutBack);
    assert_eq!(host.observed().generation.0, 1);
    assert_eq!(host.observed().drift.len(), 0);
    assert!(by_profile(&host, &newer).is_ok(), "which it could have");
}

#[test]
fn a_repair_keeps_a_newer_chain_that_it_finds_when_it_may() {
    let host = Example::new();
    host.install(&[host.old()], Some(&host.root.certificate), Vec::new());
    let newer = host.renewed(3000);
    for issuers in [vec![], vec![host.old()], vec![newer.clone()], vec![host.renewed(3600)]] {
        host.put(&[&host.leaf, &newer]);
        assert_eq!(repaired(&host, &issuers, false), Repaired::PutBack, "{issuers:?}");
        assert_eq!(host.observed().ends_at(), after(40));
    }
    host.put(&[&host.leaf, &newer]);
    let Repaired::Refreshed { generation, ends_at } = repaired(&host, &[host.renewed(3600)], true) else { panic!() };
    assert_eq!((generation.0, ends_at), (2, after(89)));
    let chain = std::fs::read_to_string(host.live().join(CHAIN)).unwrap();
    assert!(chain.starts_with(&newer.to_pem()), "that of the files, not that of the profile");
}

#[test]
fn a_strangers_chain_is_put_back() {
    let host = Example::new();
    host.install(&[host.old()], Some(&host.root.certificate), Vec::new());
    let stranger = Ca::root("Root").below("Issuing").certificate;
    host.put(&[&host.leaf, &stranger]);
    assert_eq!(repaired(&host, &[], true), Repaired::PutBack);
    put_back(&RealDisk, &host.layout, &host.identity, &host.entry).unwrap();
    assert_eq!(host.observed().drift.len(), 0);
}
