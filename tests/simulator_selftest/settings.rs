//! Every variant has a name, for flags and for tables of tests.

use std::collections::BTreeSet;

use crate::simulator::Variants;
use crate::simulator::settings::{REFUSALS, SWITCHES, VALUES};

/// The fields of the variants (and of the refusals) whose value this name changes.
fn changed(name: &str) -> BTreeSet<String> {
    let mut variants = Variants::default();
    variants.set(name).unwrap();
    let (before, after) = (fields(&Variants::default()), fields(&variants));
    before.into_iter().zip(after).filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0).collect()
}

/// Each field with its value as text; those of the nested structures on their own.
fn fields(variants: &Variants) -> Vec<(String, String)> {
    let shown = format!("{variants:#?}\n{:#?}\n{:#?}", variants.refusals, variants.profile_spelling);
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in shown.lines() {
        let name = line.strip_prefix("    ").filter(|rest| rest.starts_with(char::is_alphabetic));
        match (name.and_then(|rest| rest.split_once(':')), fields.last_mut()) {
            (Some((name, value)), _) => fields.push((name.to_owned(), value.to_owned())),
            (None, Some((_, value))) => value.push_str(line),
            (None, None) => {}
        }
    }
    fields
}

#[test]
fn every_field_has_a_name_and_every_name_changes_something() {
    let refusals = REFUSALS.iter().map(|(what, _)| format!("refuse-{what}=499"));
    let examples = VALUES.iter().map(|(_, example)| (*example).to_owned());
    let switches = SWITCHES.iter().map(|(name, _)| (*name).to_owned());
    let mut all = BTreeSet::new();
    for name in switches.chain(examples).chain(refusals) {
        let changed = changed(&name);
        assert!(!changed.is_empty(), "{name} changes nothing");
        all.extend(changed);
    }
    let fields: BTreeSet<String> = fields(&Variants::default()).into_iter().map(|(name, _)| name).collect();
    assert!(fields.len() > 40, "{fields:?}");
    assert_eq!(fields.difference(&all).collect::<Vec<_>>(), Vec::<&String>::new(), "no flag reaches these");
}

#[test]
fn a_wrong_name_is_explained() {
    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(Variants::default().set(name), Err(expected.to_owned()));
    }
    check("nonsense", "no variant \"nonsense\"; `--list` shows them all");
    check("refuse-x=400", "no variant \"refuse-x=400\"; `--list` shows them all");
    check("rate-limit=5", "\"rate-limit=5\" should be rate-limit=COUNT/SECONDS, such as rate-limit=100/60");
    check("profile-limit=x", "\"profile-limit=x\" should be profile-limit=COUNT, such as profile-limit=50");
    let form = "should be refuse-revoked=STATUS[+CODE], such as refuse-revoked=409+conflict";
    check("refuse-revoked=200", &format!("\"refuse-revoked=200\" {form}"));
}
