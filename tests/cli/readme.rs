//! Each block of code in the README is read by what would read it: the shell, the configuration's reader, promtool. Each
//! call of renewd in it is one.

use std::path::Path;
use std::process::Command;

use renewd::config::{parse_inventory_file, parse_main};

use crate::file;
use crate::promtool::promtool;

/// The blocks with their languages.
fn blocks() -> Vec<(String, String)> {
    let readme = file("README.md");
    let fences: Vec<&str> = readme.split("\n```").collect();
    let blocks = fences.iter().skip(1).step_by(2).map(|block| block.split_once('\n').unwrap());
    blocks.map(|(language, text)| (language.to_owned(), format!("{text}\n"))).collect()
}

fn of(language: &str, least: usize) -> Vec<String> {
    let found: Vec<String> = blocks().into_iter().filter(|(own, _)| own == language).map(|(_, text)| text).collect();
    assert!(found.len() >= least, "{} blocks of {language}", found.len());
    found
}

#[test]
fn every_block_is_of_a_language_that_is_tried() {
    for (language, text) in blocks() {
        assert!(["sh", "toml", "yaml"].contains(&language.as_str()), "{language:?}: {text}");
    }
}

#[test]
fn what_is_for_the_shell_is_understood_by_it() {
    for block in of("sh", 8) {
        let checked = Command::new("sh").args(["-n", "-c", &block]).output().unwrap();
        assert!(checked.status.success(), "{block}\n{}", String::from_utf8_lossy(&checked.stderr));
    }
}

/// The words of a line as a shell splits them: quotes hold blanks together, `#` begins a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted && word.is_empty() => break,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The arguments of a call of renewd, by itself or as the last of another command.
fn call(line: &str) -> Option<Vec<String>> {
    let words = words(line);
    let is_own = |at: usize| at == 0 || words[at - 1] == "--init-groups" || words[at - 1] == "&&";
    let begin = (0..words.len()).find(|at| words[*at] == "renewd" && is_own(*at))?;
    let end = words.iter().position(|word| [">", "|", "&&", "||"].contains(&word.as_str())).filter(|end| *end > begin);
    Some(words[begin..end.unwrap_or(words.len())].to_vec())
}

#[test]
fn every_call_of_renewd_is_one() {
    let mut calls = 0;
    for line in of("sh", 8).iter().flat_map(|block| block.lines()) {
        let Some(call) = call(line) else { continue };
        let parsed = renewd::cli::command().try_get_matches_from(&call);
        assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
        calls += 1;
    }
    assert!(calls >= 10, "{calls}");
    for inline in
        file("README.md").split('`').filter(|text| text.starts_with("renewd ") && !text.contains(['[', '…', '|']))
    {
        let words: Vec<&str> = inline.split_whitespace().collect();
        let known = renewd::cli::command().find_subcommand(words[1]).is_some();
        assert!(known, "{inline}");
    }
    assert!(renewd::cli::command().try_get_matches_from(["renewd", "adopt", "x"]).is_err(), "a bad call is seen");
}

#[test]
fn what_is_written_in_toml_is_accepted() {
    let main = parse_main(Path::new("/etc/renewd/renewd.toml"), &file("config/renewd.toml")).unwrap();
    for block in of("toml", 2) {
        let found = parse_inventory_file(&main, "README.md", &block);
        assert!(found.as_ref().is_ok_and(|content| !content.entries.is_empty()), "{block}\n{found:?}");
    }
}

/// The schema that a block names is where the packages put it.
#[test]
fn the_schemas_that_are_named_are_in_the_packages() {
    let (readme, manifest) = (file("README.md"), file("Cargo.toml"));
    let named = readme.split("/usr/share/renewd/schema/").skip(1).map(|rest| rest.split(".json").next().unwrap());
    let named: Vec<&str> = named.filter(|name| !name.contains(char::is_whitespace)).collect();
    assert_eq!(named, ["inventory", "main"]);
    assert!(manifest.contains("[\"target/assets/schema/*\", \"usr/share/renewd/schema/\""), "of the Debian package");
    assert!(manifest.contains("dest = \"/usr/share/renewd/schema/\""), "of the other");
    let assets = file("tests/assets.rs");
    assert!(named.iter().all(|name| assets.contains(&format!("(\"{name}\", config::"))), "made by the example");
}

#[test]
fn what_is_for_prometheus_is_understood_by_it() {
    for block in of("yaml", 1) {
        let rules = "/usr/share/doc/renewd/examples/prometheus/renewd.rules.yml";
        assert!(block.contains(rules), "{block}");
        assert!(file("Cargo.toml").contains("[\"config/prometheus/*\", \"usr/share/doc/renewd/examples/prometheus/\""));
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus/renewd.rules.yml");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, block.replace(rules, here.to_str().unwrap())).unwrap();
        let said = promtool(&["check", "config", path.to_str().unwrap()], "");
        assert!(said.is_none() || said == Some(Ok(())), "{said:?}");
    }
}

/// Links into the repository lead somewhere.
#[test]
fn what_is_linked_is_there() {
    let readme = file("README.md");
    let links = readme.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
    let own: Vec<&str> = links.filter(|link| !link.starts_with("https://")).collect();
    assert!(own.len() > 10, "{own:?}");
    for link in own {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
    }
}
