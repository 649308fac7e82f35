//! What is linked, held to `.cargo/deny.toml`: bans, licences and sources. Asked of cargo where features matter: the
//! lock file alone also names what no feature switches on.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use toml::{Table, Value};

use crate::root;

fn rules() -> Table {
    fs::read_to_string(root().join(".cargo/deny.toml")).unwrap().parse().unwrap()
}

/// A line for each package that is built here, in cargo's format.
fn tree(format: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--no-dedupe", "--edges", "normal,build,dev"])
        .args(["--format", format])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn there_is_one_crypto_provider_and_no_openssl() {
    let packages = tree("{p}");
    let is_built = |name: &str| packages.iter().any(|package| package.split(' ').next() == Some(name));
    assert!(is_built("aws-lc-rs"), "{packages:?}");
    let rules = rules();
    let banned: Vec<&str> =
        rules["bans"]["deny"].as_array().unwrap().iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    assert!(["openssl", "ring", "native-tls"].iter().all(|name| banned.contains(name)), "{banned:?}");
    let found: Vec<&&str> = banned.iter().filter(|name| is_built(name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Whether an SPDX expression (parts joined by AND, each a choice) can be met from the allowed licences.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let part = |part: &str| part.split(" OR ").any(|choice| allowed.contains(&choice.trim_matches(['(', ')', ' '])));
    !expression.is_empty() && expression.replace('/', " OR ").split(" AND ").all(part)
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules();
    let allowed: Vec<&str> =
        rules["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let lines = tree("{l}\t{p}");
    let refused: Vec<&String> =
        lines.iter().filter(|line| !is_allowed(line.split('\t').next().unwrap(), &allowed)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let idle: Vec<&&str> = allowed.iter().filter(|name| !lines.iter().any(|line| line.contains(**name))).collect();
    assert!(idle.is_empty(), "allowed and not needed: {idle:?}");
}

#[test]
fn licences_are_read_as_spdx_means_them() {
    let allowed = |expression: &str| is_allowed(expression, &["MIT", "ISC"]);
    for good in ["MIT", "Apache-2.0 OR MIT", "Apache-2.0/MIT", "(Apache-2.0 OR MIT) AND ISC"] {
        assert!(allowed(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR Apache-2.0) AND MIT", "MITX"] {
        assert!(!allowed(bad), "{bad}");
    }
}

/// What `.ci/advisories` falls back on; whether one of them concerns what is locked is cargo-deny's to say.
#[test]
fn the_list_of_advisories_is_dated_and_names_what_is_locked() {
    let list: Table = fs::read_to_string(root().join(".ci/advisories.toml")).unwrap().parse().unwrap();
    assert!(list["known"].as_str().unwrap().parse::<jiff::civil::Date>().is_ok(), "{}", list["known"]);
    let lock: Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let locked: BTreeSet<&str> =
        lock["package"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    let advisories = list["advisories"].as_array().unwrap();
    assert!(!advisories.is_empty());
    let idle: Vec<&Value> = advisories.iter().filter(|row| !locked.contains(row[1].as_str().unwrap())).collect();
    assert!(idle.is_empty(), "of crates that are not locked: {idle:?}");
}

#[test]
fn everything_comes_from_the_crate_registry() {
    let lock: Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let others = packages.iter().filter(|package| package.get("name").unwrap().as_str() != Some("renewd"));
    let source = |package: &Value| package.get("source").map_or("none", |source| source.as_str().unwrap()).to_owned();
    let sources: BTreeSet<String> = others.map(source).collect();
    assert!(sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
}
