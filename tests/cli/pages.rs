//! Each block of code in the README and in the manual is read by what would read it: the shell, the configuration's
//! reader, promtool. Each call of renewd in them is one, and each page of the manual is found from renewd(8).

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use renewd::config::{parse_inventory_file, parse_main};

use crate::promtool::promtool;
use crate::{file, manual};

/// The README and every page, one after the other.
fn texts() -> String {
    [file("README.md")].into_iter().chain(manual::sources().into_values()).collect::<Vec<_>>().join("\n")
}

/// The blocks with their languages.
fn blocks() -> Vec<(String, String)> {
    let texts = texts();
    let fences: Vec<&str> = texts.split("\n```").collect();
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
        // The console's is held to `renewd status` beside it.
        assert!(
            ["sh", "toml", "yaml", "json", "nginx", "console"].contains(&language.as_str()),
            "{language:?}: {text}"
        );
    }
}

#[test]
fn documents_are_json() {
    for block in of("json", 1) {
        serde_json::from_str::<serde_json::Value>(&block).unwrap_or_else(|error| panic!("{block}\n{error}"));
    }
}

#[test]
fn what_is_for_the_shell_is_understood_by_it() {
    for block in of("sh", 20) {
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
    for line in of("sh", 20).iter().flat_map(|block| block.lines()) {
        let Some(call) = call(line) else { continue };
        let parsed = renewd::cli::command().try_get_matches_from(&call);
        assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
        calls += 1;
    }
    assert!(calls >= 35, "{calls}");
    for inline in texts().split('`').filter(|text| text.starts_with("renewd ") && !text.contains(['[', '…', '|', '\n']))
    {
        let words: Vec<&str> = inline.split_whitespace().collect();
        let known = words[1] == "--version" || renewd::cli::command().find_subcommand(words[1]).is_some();
        assert!(known, "{inline}");
    }
    assert!(renewd::cli::command().try_get_matches_from(["renewd", "adopt", "x"]).is_err(), "a bad call is seen");
}

#[test]
fn what_is_written_in_toml_is_accepted() {
    let main = parse_main(Path::new("/etc/renewd/renewd.toml"), &file("config/renewd.toml")).unwrap();
    for block in of("toml", 4) {
        let found = parse_inventory_file(&main, "a page", &block);
        assert!(found.as_ref().is_ok_and(|content| !content.entries.is_empty()), "{block}\n{found:?}");
    }
}

/// The schema that a block names is where the packages put it.
#[test]
fn the_schemas_that_are_named_are_in_the_packages() {
    let (page, manifest) = (file("src/cli/pages/renewd.toml.5.md"), file("Cargo.toml"));
    let named = page.split("/usr/share/renewd/schema/").skip(1).map(|rest| rest.split(".json").next().unwrap());
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

/// The two lines of the README are those that nginx is tried with.
#[test]
fn what_is_for_nginx_is_the_recipe() {
    let operations = file("src/cli/pages/renewd-operations.7.md");
    let recipe = operations.lines().find(|line| line.starts_with("| nginx |")).unwrap();
    for line in of("nginx", 1).iter().flat_map(|block| block.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let line = words.join(" ").replace("/var/lib/renewd/certs/www/live", "LIVE");
        assert!(recipe.contains(&format!("`{line}`")), "{line}");
    }
}

#[test]
fn every_page_of_the_manual_is_found_from_renewd_8() {
    let sources = manual::sources();
    let leads_to = |name: &str| -> BTreeSet<String> {
        let text = sources.get(name).unwrap();
        let marks = text.match_indices("**(").map(|(at, _)| {
            let section = &text[at + 3..];
            let name = text[..at].rsplit("**").next().unwrap();
            format!("{name}.{}", &section[..section.find(')').unwrap()])
        });
        marks.filter(|name| name.starts_with("renewd")).collect()
    };
    let (mut found, mut next) = (BTreeSet::new(), vec!["renewd.8".to_owned()]);
    while let Some(name) = next.pop() {
        assert!(sources.contains_key(&name), "there is no {name}");
        if found.insert(name.clone()) {
            next.extend(leads_to(&name));
        }
    }
    let lost: Vec<&String> = sources.keys().filter(|name| !found.contains(*name)).collect();
    assert!(lost.is_empty(), "nothing leads to {lost:?}");
    let first = sources.get("renewd.8").unwrap().rsplit_once("## See also").unwrap().1;
    let named = |name: &String| {
        let (page, section) = name.rsplit_once('.').unwrap();
        first.contains(&format!("**{page}**({section})")) || name == "renewd.8"
    };
    assert!(sources.keys().all(named), "renewd(8) itself names every page");
    let commands = renewd::cli::command();
    for command in commands.get_subcommands().map(clap::Command::get_name) {
        let page = sources.get(&format!("renewd-{command}.1")).unwrap_or_else(|| panic!("{command} has no page"));
        for heading in ["Description", "Exit status", "Files", "Examples", "See also"] {
            let is_there = page.contains(&format!("\n## {heading}\n"));
            assert!(is_there || (heading, command) == ("Files", "explain"), "{command} has no {heading}");
        }
    }
}

/// The packages hold each section, and the heading of each page is its name.
#[test]
fn every_page_of_the_manual_is_packed_under_its_name() {
    let manifest = file("Cargo.toml");
    for (name, text) in manual::sources() {
        let (page, section) = name.rsplit_once('.').unwrap();
        assert!(text.starts_with(&format!("# {page}({section})\n")), "{name}");
        let folder = format!("target/assets/man{section}/*");
        assert!(manifest.contains(&format!("[\"{folder}\", \"usr/share/man/man{section}/\"")), "{name} of the one");
        assert!(manifest.contains(&format!("dest = \"/usr/share/man/man{section}/\"")), "{name} of the other package");
    }
}

/// Where there is a groff or mandoc; without one there is nothing to ask.
#[test]
fn the_manual_is_good_roff() {
    for (name, page) in manual::pages() {
        assert!(page.is_ascii(), "{name}");
        assert!(
            page.contains(".SH NAME\n") && !page.contains("**") && !page.contains("\n| "),
            "{name}: Markdown is left"
        );
        for tool in [["groff", "-man", "-Tutf8", "-ww"], ["mandoc", "-T", "lint", "-Werror"]] {
            let child = Command::new(tool[0])
                .args(&tool[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else {
                println!("skipped: there is no {}", tool[0]);
                continue;
            };
            child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{name}: {}: {said}", tool[0]);
        }
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
