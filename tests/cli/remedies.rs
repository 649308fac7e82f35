//! Every remedy that status, check and `explain` give is a command that exists, of this program or of the packaged layout,
//! and the right one for its code.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use renewd::core::failure::FailureClass;
use renewd::core::known::credential::REMEDY;
use renewd::core::remedy::POLKIT_RULE;
use serde_json::Value;

use crate::{file, renewd};

/// What is to be done, by code.
fn pages() -> BTreeMap<String, String> {
    let listed: Value = serde_json::from_slice(&renewd(&["explain", "--json"]).stdout).unwrap();
    let text = |page: &Value, key: &str| page[key].as_str().unwrap().to_owned();
    let what = |page: &Value| text(page, "text").split("What you do\n").nth(1).unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|page| (text(page, "code"), what(page))).collect()
}

/// The string literals of the program, joined as the compiler joins them.
fn literals() -> String {
    let files = Command::new("find").args(["src", "-name", "*.rs"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let files = String::from_utf8(files.unwrap().stdout).unwrap();
    let code: String = files.lines().map(file).collect();
    let without_tests = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
    without_tests.join("\n")
}

/// The commands in a text: lines of their own, what stands in backquotes, and what follows `run: `.
fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("      "));
    let quoted = text.split('`').skip(1).step_by(2);
    let run = text.split("run: ").skip(1).filter_map(|rest| rest.split([';', '"', '\n', ')']).next());
    let all = lines.chain(quoted).chain(run).map(|one| one.split_whitespace().collect::<Vec<_>>().join(" "));
    let begins = ["renewd ", "systemctl "];
    all.filter(|one| begins.iter().any(|begin| one.starts_with(begin))).collect()
}

/// Whether a command can be given as it is written.
fn flaw(command: &str) -> Option<String> {
    // As one would give it: with a name, and what is quoted as one word.
    let parts = command.split(['"', '\'']).enumerate();
    let quoted: String = parts.map(|(at, part)| if at % 2 == 1 { "x" } else { part }).collect();
    let given = quoted.replace("NAME", "www");
    let words: Vec<&str> = given.split_whitespace().take_while(|word| ![">", "|", "&&"].contains(word)).collect();
    match words.as_slice() {
        ["renewd", "--version"] => None,
        ["renewd", ..] => renewd::cli::command().try_get_matches_from(&words).err().map(|error| error.to_string()),
        ["systemctl", verb, unit] => {
            let is_verb = ["restart", "reload", "start", "edit", "status"].contains(verb);
            let unit = unit.trim_end_matches(".service");
            let is_shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("systemd/{unit}.service")).exists();
            (!is_verb || !(is_shipped || unit.starts_with('{'))).then(|| format!("{command}: not of the package"))
        }
        _ => Some(format!("{command}: what is it to do?")),
    }
}

#[test]
fn every_command_of_every_remedy_exists() {
    let mut texts: Vec<String> = FailureClass::ALL.iter().map(|class| class.remedy().to_owned()).collect();
    texts.push(REMEDY.to_owned());
    texts.extend(pages().into_values());
    let found: Vec<String> = texts.iter().flat_map(|text| commands(text)).collect();
    assert!(found.len() > 40, "{found:?}");
    let flaws: Vec<String> = found.iter().filter_map(|command| flaw(command)).collect();
    assert!(flaws.is_empty(), "{flaws:#?}");
    assert!(flaw("renewd mend www").is_some() && flaw("systemctl reload rewend").is_some(), "a wrong one is found");
    // Those that are made where the problem is.
    let code = literals();
    for (at, _) in code.match_indices("run: systemctl ") {
        let rest = code[at..].strip_prefix("run: ").unwrap();
        let command = rest.split(['"', ';', ',', ')']).next().unwrap();
        let command = command.replace("{verb}", "restart").replace("{}", "{unit}");
        assert_eq!(flaw(&command), None);
    }
}

/// systemd makes the service's copy of the key at the start; drop-in files are watched; polkit refuses before a hook runs.
#[test]
fn remedies_know_how_the_package_delivers_what_they_are_about() {
    let pages = pages();
    for code in [
        "api-unauthorised",
        "credentials-unreadable",
        "credential-outdated",
        "credential-expiring",
        "credential-expired",
    ] {
        assert!(pages[code].contains("systemctl restart renewd"), "{code}: {}", pages[code]);
    }
    for text in [FailureClass::ApiUnauthorised.remedy(), REMEDY] {
        assert!(text.contains("systemctl restart renewd"), "{text}");
    }
    for code in
        ["entry-mismatch", "inventory-file-refused", "inventory-file-unread", "inventory-empty", "request-refused"]
    {
        assert!(!pages[code].contains("reload renewd"), "{code} is about files that are watched: {}", pages[code]);
    }
    let reloads = |class: &&FailureClass| class.remedy().contains("reload");
    assert_eq!(FailureClass::ALL.iter().find(reloads), None, "no class is about what a reload alone brings");
    assert!(pages["hook-failed"].contains(POLKIT_RULE));
    let packed = file("Cargo.toml");
    assert!(packed.contains(POLKIT_RULE.trim_start_matches('/').trim_end_matches("60-renewd.rules")), "it is shipped");
    let refused = renewd::core::failure::Failure::new(
        FailureClass::HookFailed,
        "exit status 4: Failed to reload nginx.service: Interactive authentication required.",
    );
    assert!(refused.remedy().contains(POLKIT_RULE), "{}", refused.remedy());
}
