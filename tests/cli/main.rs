//! The program, its help, the manual and the README agree.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may panic, and write files"
)]

mod adopt;
mod desk;
mod keys;
#[path = "../assets/manual.rs"]
mod manual;
mod monitoring;
mod pages;
#[path = "../monitoring/promtool.rs"]
mod promtool;
mod remedies;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn renewd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_renewd")).args(arguments).output().unwrap()
}

/// The commands with their own options, as `--help` lists them.
fn commands_of_help() -> BTreeSet<(String, BTreeSet<String>)> {
    let help = String::from_utf8(renewd(&["--help"]).stdout).unwrap();
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(|name| (name.to_owned(), options_of_help(name))).collect()
}

fn options_of_help(command: &str) -> BTreeSet<String> {
    let help = String::from_utf8(renewd(&[command, "--help"]).stdout).unwrap();
    let listed = help.split("Options:").nth(1).unwrap().split("Exit codes:").next().unwrap();
    let common = ["--config", "--quiet", "--verbose"];
    options(listed).into_iter().filter(|option| !common.contains(&option.as_str())).collect()
}

fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 2 && *word != "--help").map(str::to_owned).collect()
}

/// The same from the table of commands of renewd(8).
fn commands_of_manual() -> BTreeSet<(String, BTreeSet<String>)> {
    let page = file("src/cli/pages/renewd.8.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `renewd "));
    let call = |row: &str| row.split('`').next().unwrap().to_owned();
    // One word of a row stands for the table of selectors.
    let table = page.split("\n### Selectors\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let selectors =
        options(&table.lines().filter_map(|line| line.strip_prefix("| `")).map(call).collect::<Vec<_>>().join(" "));
    assert_eq!(selectors.len(), 6, "{selectors:?}");
    let all = |call: &str| if call.contains("SELECTOR…") { selectors.clone() } else { BTreeSet::new() };
    let named = |call: String| {
        let name = call.split_whitespace().next().unwrap().to_owned();
        (name, options(&call).into_iter().chain(all(&call)).collect())
    };
    rows.map(|row| named(call(row))).collect()
}

#[test]
fn the_manual_and_the_help_show_the_same_commands_and_options() {
    let help = commands_of_help();
    assert!(help.len() >= 6, "{help:?}");
    assert_eq!(commands_of_manual(), help);
}

/// The codes of a page's table.
fn exit_codes(command: &str) -> BTreeSet<i32> {
    let page = file(&format!("src/cli/pages/renewd-{command}.1.md"));
    let (_, section) = page.split_once("\n## Exit status\n").unwrap();
    let rows = section.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| row.split(' ').next().unwrap().parse().ok()).collect()
}

#[test]
fn each_commands_page_lists_the_exit_code_of_a_missing_configuration() {
    let all: BTreeSet<i32> = file("src/cli/pages/renewd.8.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    for (command, _) in commands_of_help() {
        let listed = exit_codes(&command);
        assert!(listed.contains(&0) && listed.is_subset(&all), "{command}: {listed:?} of {all:?}");
        // What reads no configuration misses none.
        if ["adopt", "completions", "discover", "explain", "schema"].contains(&command.as_str()) {
            continue;
        }
        let mut call = vec!["--config", "/nonexistent/renewd.toml", &command];
        let named = ["renew", "deploy", "hold", "release", "rollback", "revoke", "history", "csr"];
        call.extend(named.contains(&command.as_str()).then_some("www"));
        call.extend(["--reason", "superseded"].iter().filter(|_| command == "revoke"));
        let output = renewd(&call);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(listed.contains(&output.status.code().unwrap()), "{command}: {listed:?}\n{:?} {said}", output.status);
        assert!(said.starts_with("/nonexistent/renewd.toml: the file cannot be read: "), "{command}: {said}");
    }
}

#[test]
fn the_first_screen_of_the_readme_holds_the_two_commands() {
    let readme = file("README.md");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
    let first: Vec<&str> = readme.lines().take(25).collect();
    for command in ["cargo run --example demo", "cargo test"] {
        assert!(first.iter().any(|line| line.starts_with(command)), "{command}");
    }
}

/// And with the feature `fips`, that the module in the program runs in its mode and that TLS keeps to it.
#[test]
fn the_version_is_the_crates() {
    let output = renewd(&["--version"]);
    let is_fips = cfg!(feature = "fips");
    let module = if is_fips { " (FIPS module of AWS-LC)" } else { "" };
    let expected = format!("renewd {}{module}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap()), (Some(0), expected));
    assert_eq!(aws_lc_rs::try_fips_mode().is_ok(), is_fips);
    assert_eq!(rustls::crypto::aws_lc_rs::default_provider().fips(), is_fips);
}

#[track_caller]
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let help = renewd(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let mut text = String::from_utf8(help.stdout).unwrap();
    for (command, _) in commands_of_help() {
        text.push_str(&format!("\n$ renewd {command} --help\n"));
        text.push_str(&String::from_utf8(renewd(&[&command, "--help"]).stdout).unwrap());
    }
    check("help.txt", &text);
}

#[test]
fn bad_usage_says_what_is_wrong_and_how_to_go_on() {
    let calls: [&[&str]; 19] = [
        &[],
        &["frobnicate"],
        &["staus"],
        &["run", "now"],
        &["once", "--wait", "soon"],
        &["plan", "--at", "tomorrow"],
        &["status", "--jsn"],
        &["status", "../etc"],
        &["renew"],
        &["renew", "www", "--all"],
        &["renew", "--issuer", " "],
        &["heal", "--config"],
        &["schema"],
        &["schema", "mian"],
        &["adopt", "--profile", "P"],
        &["adopt", "x.pem"],
        &["history"],
        &["history", "../etc"],
        &["plan", "--calendar", "--json"],
    ];
    let mut text = String::new();
    for call in calls {
        let output = renewd(call);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{call:?}");
        text.push_str(&format!("$ renewd {}\n{}\n", call.join(" "), String::from_utf8(output.stderr).unwrap()));
    }
    assert!(!text.contains('\u{1b}'), "no colours where it is piped");
    check("usage.txt", &text);
}
