//! The program, its help and the README agree.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use renewd::config::{parse_inventory_file, parse_main};

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
    options(help.split("Options:").nth(1).unwrap()).into_iter().filter(|option| option != "--config").collect()
}

fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 2 && *word != "--help").map(str::to_owned).collect()
}

/// The same from the README's table of commands.
fn commands_of_readme() -> BTreeSet<(String, BTreeSet<String>)> {
    let readme = file("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `renewd "));
    let call = |row: &str| row.split('`').next().unwrap().to_owned();
    rows.map(|row| (call(row).split_whitespace().next().unwrap().to_owned(), options(&call(row)))).collect()
}

#[test]
fn the_readme_and_the_help_show_the_same_commands_and_options() {
    let help = commands_of_help();
    assert!(help.len() >= 6, "{help:?}");
    assert_eq!(commands_of_readme(), help);
}

#[test]
fn what_the_readme_writes_in_toml_is_accepted() {
    let main = parse_main(Path::new("/etc/renewd/renewd.toml"), &file("config/renewd.toml")).unwrap();
    let readme = file("README.md");
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let found = parse_inventory_file(&main, "README.md", block);
        assert!(found.as_ref().is_ok_and(|content| !content.entries.is_empty()), "{block}\n{found:?}");
    }
}

#[test]
fn the_first_screen_of_the_readme_holds_the_two_commands() {
    let readme = file("README.md");
    let first: Vec<&str> = readme.lines().take(25).collect();
    for command in ["cargo run --example demo", "cargo test"] {
        assert!(first.iter().any(|line| line.starts_with(command)), "{command}");
    }
}

#[test]
fn the_version_is_the_crates() {
    let output = renewd(&["--version"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("renewd {}\n", env!("CARGO_PKG_VERSION")));
}
