//! The rules of the house: who may use whom, a word of purpose in every file, one crypto provider.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod claims;
mod supply;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, each with those that it may use.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("core", &[]),
    ("pki", &["core"]),
    ("config", &["core", "pki"]),
    ("api", &["core", "pki"]),
    ("store", &["core", "pki"]),
    ("daemon", &["core", "pki", "config", "api", "store"]),
    ("cli", &["core", "pki", "config", "api", "store", "daemon"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names that follow `mark` in the code, groups in braces included: `crate::{api, store::disk}` names both.
fn named_after(text: &str, mark: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
    let first = |part: &str| part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(mark) {
        let rest = code.get(at + mark.len()..).unwrap();
        match rest.strip_prefix('{') {
            Some(group) => names.extend(parts(group).iter().map(|part| first(part))),
            None => drop(names.insert(first(rest))),
        }
    }
    names
}

/// The parts of a group up to its closing brace, split at the commas of its own level.
fn parts(group: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned()
}

#[test]
fn the_arrows_point_one_way() {
    let rooms: Vec<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let room = room_of(&path);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else { continue };
        for used in named_after(&fs::read_to_string(&path).unwrap(), "crate::") {
            if rooms.contains(&used.as_str()) && used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} must not use {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_a_room() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let rooms: BTreeSet<String> = MAY_USE.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(folders, rooms);
}

/// The core is std and serde: nothing that knows the time, the network, the disk, chance or an unordered map.
#[test]
fn the_core_is_pure() {
    let banned = [
        "tokio::",
        "reqwest::",
        "tracing::",
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "std::env",
        "std::process",
        "std::thread",
        "parallel::",
        "Mutex",
        "RwLock",
        "Condvar",
        "OnceLock",
        "LazyLock",
        "mpsc",
        "atomic",
        "SystemTime",
        "Instant::",
        "HashMap",
        "HashSet",
        "rustix::",
        "nix::",
        "jiff::",
        "rand",
    ];
    let mut wrong = Vec::new();
    for path in sources(&root().join("src/core")) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (number, line) in code {
            let is_word = |word: &&&str| {
                line.match_indices(**word).any(|(at, _)| {
                    !line.get(..at).unwrap().ends_with(|c: char| c.is_alphanumeric() || c == '_')
                        && (word.ends_with("::")
                            || !line.get(at + word.len()..).unwrap().starts_with(|c: char| c.is_alphanumeric()))
                })
            };
            wrong
                .extend(banned.iter().filter(is_word).map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let folders = ["src", "tests"].map(|folder| root().join(folder));
    let silent: Vec<String> = folders
        .iter()
        .flat_map(|folder| sources(folder))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of {}", silent.join(", "));
}

#[test]
fn every_dependency_says_why() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut in_dependencies = false;
    let mut explained = false;
    let mut silent = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        }
        if line.is_empty() {
            explained = false;
        }
        explained |= line.starts_with('#');
        if in_dependencies && line.contains(" = ") && !explained {
            silent.push(line.to_owned());
        }
    }
    assert!(silent.is_empty(), "no comment above: {silent:?}");
}

#[test]
fn the_top_level_holds_what_it_should() {
    let allowed = ["Cargo.toml", "Cargo.lock", "README.md", "src", "config", "systemd", "tests", "target"];
    let strange: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !allowed.contains(&name.as_str()))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn imports_in_groups_are_seen() {
    let text = "use crate::{api, store::{disk, journal}, core::time};\n// crate::cli\nlet x = crate::pki::gate();\n";
    let names: Vec<String> = named_after(text, "crate::").into_iter().collect();
    assert_eq!(names, ["api", "core", "pki", "store"]);
}
