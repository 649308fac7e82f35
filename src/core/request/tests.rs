//! Every misfit of entry and profile, by its own words, before anything is sent.

use super::super::example::{attribute, entry, profile, rename};
use super::super::failure::FailureClass::{EntryMismatch, ProfileUnusable};
use super::*;

#[track_caller]
fn refuses(class: FailureClass, parts: &[&str], change: impl FnOnce(&mut Entry, &mut Profile)) {
    let (mut entry, mut profile) = (entry(), profile());
    change(&mut entry, &mut profile);
    let failure = compose(&entry, &profile).unwrap_err();
    assert_eq!(failure.class, class);
    for part in parts.iter().chain(&["certs.d/www.toml line 1", "\"Web\""]) {
        assert!(failure.message.as_str().contains(part), "{part}: {failure}");
    }
}

#[test]
fn an_unusable_profile_says_why() {
    refuses(ProfileUnusable, &["\"Suspended\", not Active"], |_, profile| profile.status = "Suspended".into());
    refuses(ProfileUnusable, &["\"scep\", not rest_api"], |_, profile| profile.enrollment_method = "scep".into());
    refuses(ProfileUnusable, &["\"csr\", not third_party_app"], |_, profile| {
        profile.authentication_method = "csr".into();
    });
    refuses(ProfileUnusable, &["key escrow"], |_, profile| profile.escrows_keys = true);
}

#[test]
fn an_entry_that_does_not_fit_says_what_to_change() {
    let country = |entry: &mut Entry, values: &[&str]| {
        entry.subject.insert(SubjectAttribute::Country, values.iter().map(|&value| value.to_owned()).collect());
    };
    refuses(EntryMismatch, &["not accept rsa-2048", "ecdsa-p256, ecdsa-p384"], |entry, _| {
        entry.key = Some(KeyType::Rsa2048)
    });
    refuses(EntryMismatch, &["remove `validity`"], |entry, _| {
        entry.validity = Some(Validity { unit: crate::core::wanted::entry::ValidityUnit::Days, duration: 30 });
    });
    refuses(
        EntryMismatch,
        &["does not list subject attribute country", "remove `subject.country`"],
        |entry, profile| {
            country(entry, &["CH"]);
            profile.subject.pop();
        },
    );
    refuses(EntryMismatch, &["one value of country", "names 2"], |entry, _| country(entry, &["CH", "DE"]));
    refuses(EntryMismatch, &["requires subject attribute state", "add `subject.state`"], |_, profile| {
        profile.subject.push(ProfileAttribute { mandatory: true, ..attribute("state") });
    });
    refuses(EntryMismatch, &["add `common_name`"], |entry, profile| {
        rename(entry, |naming| naming.common_name = None);
        profile.subject[0].mandatory = true;
    });
    refuses(EntryMismatch, &["kind dns_names", "remove `dns_names`"], |_, profile| profile.san.clear());
    refuses(EntryMismatch, &["one of dns_names", "names 2"], |entry, profile| {
        rename(entry, |naming| naming.names.dns_names.push("b.example.com".into()));
        profile.san[0].multiple = false;
    });
    refuses(EntryMismatch, &["requires emails: add `emails`"], |_, profile| {
        profile.san.push(ProfileAttribute { mandatory: true, ..attribute("emails") });
    });
}

#[test]
fn custom_values_and_rare_kinds_are_compared_with_the_profile() {
    let value = |key: &str, mandatory| ProfileAttribute { mandatory, ..attribute(key) };
    let give = |entry: &mut Entry, key: &str| drop(entry.custom_values.insert(key.to_owned(), Value::Integer(1)));
    refuses(EntryMismatch, &["requires custom value user_id: add `custom_values.user_id`"], |_, profile| {
        profile.custom_values = vec![value("user_id", true)];
    });
    refuses(EntryMismatch, &["does not list custom value other: remove `custom_values.other`"], |entry, profile| {
        give(entry, "other");
        profile.custom_values = vec![value("user_id", false)];
    });
    refuses(EntryMismatch, &["requires directory_name: add `directory_name`"], |_, profile| {
        profile.san.push(value("directory_name", true));
    });
    refuses(EntryMismatch, &["kind user_principal_names: remove `user_principal_names`"], |entry, _| {
        rename(entry, |naming| naming.names.others.user_principal_names.push("a@b.c".into()));
    });
    refuses(EntryMismatch, &["requires names of kind x400_address, which renewd cannot send"], |_, profile| {
        profile.san.push(value("x400_address", true));
    });
    refuses(EntryMismatch, &["requires subject attribute lei, which renewd cannot send"], |_, profile| {
        profile.subject.push(value("lei", true));
    });
    let mut entry = entry();
    give(&mut entry, "user_id");
    give(&mut entry, "site");
    assert_eq!(
        compose(&entry, &profile()).unwrap().custom_values.len(),
        2,
        "a profile that does not say is not judged"
    );
    let fixed = ProfileAttribute { origin: Origin::Fixed("ZRH".into()), ..value("site", true) };
    let listing = Profile { custom_values: vec![value("user_id", true), fixed], ..profile() };
    assert!(compose(&entry, &listing).unwrap().custom_values.keys().eq(["user_id"]), "what it fixes is not sent");
}

#[test]
fn a_key_type_that_renewd_cannot_make_is_named() {
    refuses(ProfileUnusable, &["only keys that renewd cannot make (MLDSA-65, Ed25519)"], |_, profile| {
        profile.keys.clear();
        profile.unknown_keys = vec!["MLDSA-65".into(), "Ed25519".into()];
    });
    refuses(EntryMismatch, &["not accept ecdsa-p256 (it accepts rsa-2048, MLDSA-65)"], |entry, profile| {
        entry.key = Some(KeyType::EcdsaP256);
        profile.keys = vec![KeyType::Rsa2048];
        profile.unknown_keys = vec!["MLDSA-65".into()];
    });
    let mixed = Profile { keys: vec![KeyType::Rsa3072], unknown_keys: vec!["MLDSA-65".into()], ..profile() };
    assert_eq!(compose(&entry(), &mixed).unwrap().key, KeyType::Rsa3072, "the known one alone counts");
}

#[test]
fn names_outside_of_the_allowed_list_are_named_with_the_list() {
    let list = |items: &[&str]| items.iter().map(|item| Text::new(item)).collect::<Vec<_>>();
    refuses(
        EntryMismatch,
        &["allowed_list does not have www.example.com (it lists *.digicert.com, 10.0.0.0/8)"],
        |_, profile| {
            profile.allowed_names = list(&["*.digicert.com", "10.0.0.0/8"]);
        },
    );
    refuses(EntryMismatch, &["does not have 192.0.2.7 (it lists"], |entry, profile| {
        rename(entry, |naming| naming.names.ip_addresses.push("192.0.2.7".parse().unwrap()));
        profile.san.push(attribute("ip_addresses"));
        profile.allowed_names = list(&["*.example.com", "10.0.0.0/8"]);
    });
    refuses(EntryMismatch, &["does not have other.example.org (it lists"], |entry, profile| {
        rename(entry, |naming| naming.common_name = Some("other.example.org".into()));
        profile.allowed_names = list(&["*.example.com"]);
    });
    refuses(
        EntryMismatch,
        &["(it lists a0.example, a1.example, a2.example, a3.example, a4.example, a5.example and 2 more)"],
        |_, profile| {
            profile.allowed_names = (0..8).map(|number| Text::new(&format!("a{number}.example"))).collect();
        },
    );
    for allowed in [list(&["*.example.com"]), list(&["*.digicert.com", "regex: .*"]), list(&[])] {
        let profile = Profile { allowed_names: allowed, ..profile() };
        assert!(compose(&entry(), &profile).is_ok(), "{:?}", profile.allowed_names);
    }
}

#[test]
fn all_misfits_are_told_at_once() {
    refuses(EntryMismatch, &["not accept rsa-4096", "remove `dns_names`"], |entry, profile| {
        entry.key = Some(KeyType::Rsa4096);
        profile.san.clear();
    });
}

#[test]
fn what_the_profile_fixes_is_never_sent_nor_required() {
    let mut profile = profile();
    let origin = Origin::Fixed("Example AG".to_owned());
    profile.subject.push(ProfileAttribute { mandatory: true, origin, ..attribute("organization_name") });
    let mut entry = entry();
    entry.subject.insert(SubjectAttribute::OrganizationName, vec!["Other".to_owned()]);
    let wish = compose(&entry, &profile).unwrap();
    assert_eq!(wish.subject.keys().map(|attribute| attribute.key()).collect::<Vec<_>>(), ["common_name"]);
    assert_eq!(wish.key, KeyType::EcdsaP256, "the first that the profile takes");
}
