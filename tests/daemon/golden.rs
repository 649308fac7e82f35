//! What the commands print, word for word: times, spans, ids and paths are replaced by their kind. After a change that
//! is meant, `UPDATE_GOLDEN=1 cargo test --test daemon golden` writes the files anew, to be read in the diff.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{Issuance, ProfileSpec};

const UNITS: [&str; 4] = ["d", "h", "min", "s"];

fn core(word: &str) -> &str {
    let word = word.trim_matches(|c: char| "()[]{}\",;:".contains(c));
    word.strip_prefix("sha256:").unwrap_or(word)
}

/// The kind of a word that differs from run to run.
fn kind(word: &str) -> Option<&'static str> {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if word.parse::<jiff::Timestamp>().is_ok() {
        return Some("TIME");
    }
    match (word.len(), is_hex(word)) {
        (36, true) if word.matches('-').count() == 4 => Some("ID"),
        (32, true) => Some("SERIAL"),
        (64, true) => Some("DIGEST"),
        _ => None,
    }
}

/// Blanks are counted at the beginning of a line only: the columns are as wide as what they hold.
fn normal(text: &str, host: &Host) -> String {
    let folder = host.path("");
    let text = text.replace(folder.display().to_string().trim_end_matches('/'), "DIR");
    let text = text
        .replace(&host.simulator.url(), "https://HOST")
        .replace(host.simulator.url().trim_start_matches("https://"), "HOST");
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut shown: Vec<String> = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let is_span = |at: usize| {
                words.get(at).is_some_and(|word| core(word).parse::<u64>().is_ok())
                    && words.get(at + 1).is_some_and(|unit| UNITS.contains(&core(unit)))
            };
            let word = words[at];
            if is_span(at) {
                let before = &word[..word.len() - word.trim_start_matches('(').len()];
                while is_span(at + 2) {
                    at += 2;
                }
                shown.push(format!("{before}{}", words[at + 1].replace(core(words[at + 1]), "SPAN")));
                at += 2;
                continue;
            }
            shown.push(kind(core(word)).map_or(word.to_owned(), |kind| word.replace(core(word), kind)));
            at += 1;
        }
        if shown.first().is_some_and(|word| word == "\"offset_seconds\":") && shown[1] != "null" {
            shown[1] = "NUMBER".to_owned();
        }
        lines.push(format!("{}{}", " ".repeat(indent), shown.join(" ")));
    }
    lines.join("\n") + "\n"
}

#[track_caller]
pub(crate) fn check(name: &str, host: &Host, code: i32, arguments: &[&str]) {
    let said = host.says(arguments);
    let found = format!("{}exit code {}\n", normal(&format!("{}{}", said.err, said.out), host), said.code);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{name}");
    assert_eq!(said.code, code, "{name}");
}

/// One of each: installed with a hook, pending, an entry that does not fit its profile, and a file that is refused.
fn one_of_each() -> Host {
    let named = |name: &str| ProfileSpec { name: name.to_owned(), ..ProfileSpec::default() };
    let host = Host::new(named("Web servers"));
    let slow = ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..named("With approval") };
    let slow = host.simulator.add_profile(slow);
    host.entry("www", "hooks = [\"note\"]\n[hook.note]\ncommand = [\"/bin/true\"]\n");
    host.entry("mail", &format!("profile = {slow:?}\n"));
    host.entry("odd", "key = \"rsa-4096\"\n");
    host.entry("typo", "seet = \"x\"\n");
    host
}

#[test]
fn the_commands_say_what_they_said_with_the_daemon_up_and_down() {
    let mut host = one_of_each();
    check("plan-first.txt", &host, 0, &["plan"]);
    check("status-first.txt", &host, 1, &["status"]);
    host.start();
    host.wait_state("mail", "pending");
    host.wait_state("odd", "failing");
    host.wait_state("www", "valid");
    check("status-up.txt", &host, 1, &["status"]);
    check("status-up.json", &host, 1, &["status", "--json"]);
    check("status-www.txt", &host, 1, &["status", "www"]);
    check("renew-unknown.txt", &host, 1, &["renew", "nobody"]);
    assert_eq!(host.end(Signal::TERM), Some(0));
    check("status-down.txt", &host, 1, &["status"]);
    check("status-down.json", &host, 1, &["status", "--json"]);
    check("status-mail.txt", &host, 1, &["status", "mail"]);
    check("status-odd.txt", &host, 1, &["status", "odd"]);
    check("status-unknown.txt", &host, 3, &["status", "nobody"]);
    check("plan.txt", &host, 0, &["plan"]);
    check("plan.json", &host, 0, &["plan", "--json"]);
    check("renew-unknown-down.txt", &host, 1, &["renew", "nobody"]);
}
