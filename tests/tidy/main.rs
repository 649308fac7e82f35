//! The rules of the house: who may use whom, a word of purpose in every file, one crypto provider.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod claims;
mod paths;
mod supply;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, each with those that it may use.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("core", &[]),
    ("pki", &["core"]),
    ("config", &["core", "pki"]),
    ("api", &["core", "pki"]),
    ("store", &["core", "pki"]),
    ("engine", &["core", "config"]),
    ("daemon", &["core", "pki", "config", "api", "store", "engine"]),
    ("cli", &["core", "pki", "config", "api", "store", "engine", "daemon"]),
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

/// What nothing pure names: what knows the time, the network, the disk, chance, other threads, or an unordered map.
const IMPURE: [&str; 25] = [
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
    "rand",
];

/// Where the code of a file names one of these words.
fn naming(path: &Path, words: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for (number, line) in code {
        let is_named = |word: &&&str| {
            line.match_indices(**word).any(|(at, _)| {
                !line.get(..at).unwrap().ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    && (word.ends_with("::")
                        || !line.get(at + word.len()..).unwrap().starts_with(|c: char| c.is_alphanumeric()))
            })
        };
        found.extend(words.iter().filter(is_named).map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
    }
    found
}

/// The core is std and serde; the engine beside them only asks the calendar, whose rules are a library's.
#[test]
fn core_and_engine_are_pure() {
    let of_core = sources(&root().join("src/core"));
    let of_engine = sources(&root().join("src/engine"));
    let with_calendar = |path: &&PathBuf| !path.ends_with("engine/calendar.rs");
    let mut wrong: Vec<String> = of_core
        .iter()
        .chain(&of_engine)
        .filter(with_calendar)
        .flat_map(|path| naming(path, &IMPURE).into_iter().chain(naming(path, &["jiff::"])))
        .collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a second loop would need to decide by itself. Shells give the engine what happened and perform what it wants.
#[test]
fn no_test_decides_in_place_of_the_engine() {
    let parts =
        ["decide::decide", "Protocol::start", "Breaker", "RequestSlots", "Pace", "ClockCheck", "Fleet::", "Hooks::"];
    // What one decision costs is measured by itself.
    let is_shell = |path: &PathBuf| !path.ends_with("bench/work.rs");
    let shells = ["tests/simulation", "tests/crash", "tests/bench"].map(|folder| sources(&root().join(folder)));
    let shells = shells.map(|paths| paths.into_iter().filter(is_shell).collect::<Vec<_>>());
    let found: Vec<String> = shells.iter().flatten().flat_map(|path| naming(path, &parts)).collect();
    assert!(found.is_empty(), "a second loop: {}", found.join("\n"));
    let imported = |path: &PathBuf| named_after(&fs::read_to_string(path).unwrap(), "core::decide::");
    let decides = |path: &&PathBuf| imported(path).contains("decide");
    let found: Vec<_> = shells.iter().flatten().filter(decides).collect();
    assert!(found.is_empty(), "a second loop: {found:?}");
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

/// Who looks for what changed, or for whom to tell of a hole, finds it where repositories keep it.
#[test]
fn changes_and_security_have_their_pages() {
    let changes = fs::read_to_string(root().join(".github/CHANGELOG.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(changes.lines().any(|line| line.starts_with("## ") && line.contains(version)), "no heading for {version}");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for page in [".github/CHANGELOG.md", ".github/SECURITY.md"] {
        assert!(root().join(page).exists() && readme.contains(&format!("({page})")), "the README leads to {page}");
    }
}
