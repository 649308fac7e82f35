//! What the operator's commands print, word for word, and how they behave on a terminal: profiles, explain, renew.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::golden::check;
use crate::host::Host;
use crate::simulator::{AttributeSpec, Endpoint, Fault, FaultKind, Issuance, ProfileSpec, RetryAfter};

fn named(name: &str) -> ProfileSpec {
    ProfileSpec { name: name.to_owned(), ..ProfileSpec::default() }
}

#[test]
fn profiles_are_listed_and_an_entry_of_one_works_at_once() {
    let host = Host::new(named("Web servers"));
    host.simulator.add_profile(ProfileSpec { status: "Suspended".to_owned(), ..named("Retired") });
    let mut strict = named("Strict");
    strict.subject = ["common_name", "organization_name", "organization_units", "country", "email", "given_name"]
        .map(AttributeSpec::mandatory)
        .to_vec();
    strict.san = vec![AttributeSpec::mandatory("dns_names"), AttributeSpec::mandatory("emails")];
    let strict = host.simulator.add_profile(ProfileSpec { allows_duplicates: false, ..strict });
    check("profiles.txt", &host, 0, &["profiles"]);
    check("profiles.json", &host, 0, &["profiles", "--json"]);
    check("profiles-entry.txt", &host, 0, &["profiles", "--entry", &strict]);
    check("profiles-suspended.txt", &host, 1, &["profiles", "--entry", "Retired"]);
    check("profiles-unknown.txt", &host, 1, &["profiles", "--entry", "Nobody's"]);
    let json: Value = serde_json::from_str(&host.says(&["profiles", "--entry", "Strict", "--json"]).out).unwrap();
    assert_eq!(json["entry"].as_str().unwrap(), host.says(&["profiles", "--entry", &strict]).out.trim_end());
    host.configure("[hook.tell]\ncommand = [\"/bin/true\"]\n", "");
    check("profiles-entry-given.txt", &host, 0, &GIVEN);
    check("profiles-entry-hook.txt", &host, 1, &["profiles", "--entry", "Web servers", "--hooks", "ngnix"]);
    // Placeholders and all: it parses, fits its profile, and TLM issues it.
    let entry = host.says(&["profiles", "--entry", &strict]).out;
    host.write("certs.d/www.toml", &entry);
    let said = host.says(&["check", "--online"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.simulator.issued().len(), 1);
    host.simulator.revoke_key(&host.simulator.api_key());
    check("profiles-refused.txt", &host, 1, &["profiles"]);
}

/// With names, hook and probe, an entry has nothing to replace.
const GIVEN: [&str; 9] = [
    "profiles",
    "--entry",
    "Web servers",
    "--dns",
    "*.example.com,example.com",
    "--hooks",
    "tell",
    "--probe",
    "127.0.0.1:443",
];

#[test]
fn an_entry_with_names_is_finished() {
    let host = Host::new(named("Web servers"));
    let call = ["profiles", "--entry", "Web servers", "--name", "web", "--dns", "www.example.com,example.com"];
    let entry = host.says(&call).out;
    assert!(!entry.contains("Replace") && entry.contains("name = \"web\""), "{entry}");
    host.write("certs.d/web.toml", &entry);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.simulator.issued().len(), 1);
    let one =
        host.simulator.add_profile(ProfileSpec { san: vec![AttributeSpec::mandatory("dns_names")], ..named("One") });
    let said = host.says(&["profiles", "--entry", &one, "--dns", "a.example.com,b.example.com"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    assert!(said.err.contains("profile \"One\" accepts only one DNS name"), "{}", said.err);
    let said = host.says(&["profiles", "--entry", &one, "--dns", "a..example.com"]);
    assert!(said.code == 1 && said.out.is_empty() && said.err.contains("a..example.com"), "{}", said.err);
}

/// As the script of fish asks: the words so far, and the one that is being typed.
fn proposed(host: &Host, line: &[&str]) -> Vec<String> {
    let config = host.path("renewd.toml").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
    command.args(["--", "renewd", "--config", &config]).args(line).env("RENEWD_COMPLETE", "fish");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn completion_knows_names_codes_and_profiles() {
    let mut host = Host::with_www();
    host.entry("web", "");
    host.entry("mail", "");
    assert_eq!(proposed(&host, &["status", "w"]), ["web", "www"], "from the files");
    assert_eq!(proposed(&host, &["renew", "mail", "we"]), ["web"]);
    assert_eq!(proposed(&host, &["profiles", "--entry", ""]), [""; 0], "nothing was read yet");
    host.start();
    host.wait_state("www", "valid");
    assert_eq!(proposed(&host, &["rollback", "w"]), ["web", "www"], "from the daemon");
    assert_eq!(proposed(&host, &["profiles", "--entry", ""]), [host.profile.clone()]);
    let of_hooks = ["hook-failed", "hook-vetoed", "hook-overdue", "hook-failing", "hook-owed"];
    assert_eq!(proposed(&host, &["explain", "hook-"]), of_hooks);
    host.configure("[notify.ops]\ncommand = [\"/bin/true\"]\n[notify.pager]\ncommand = [\"/bin/true\"]\n", "");
    assert_eq!(proposed(&host, &["notify", "o"]), ["ops"]);
    assert_eq!(proposed(&host, &["explain", "deploy"]), ["deploying"]);
}

#[test]
fn more_profiles_than_a_page_are_all_listed() {
    let host = Host::new(named("first"));
    for number in 0..230 {
        host.simulator.add_profile(named(&format!("p{number}")));
    }
    let listed: Value = serde_json::from_str(&host.says(&["profiles", "--json"]).out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 231);
}

#[test]
fn check_online_says_what_it_said() {
    let host = Host::new(named("Web servers"));
    host.entry("www", "");
    check("check-online.txt", &host, 0, &["check", "--online"]);
    check("check-online.json", &host, 0, &["check", "--online", "--json"]);
    check("check.json", &host, 0, &["check", "--json"]);
    host.simulator.change(|state| state.roles.clear());
    host.entry("www", "key = \"rsa-4096\"\n");
    host.entry("typo", "seet = \"x\"\n");
    check("check-online-bad.txt", &host, 78, &["check", "--online"]);
    check("check-bad.json", &host, 78, &["check", "--json"]);
    host.simulator.revoke_key(&host.simulator.api_key());
    std::fs::remove_file(host.path("certs.d/typo.toml")).unwrap();
    check("check-online-refused.txt", &host, 1, &["check", "--online"]);
}

/// Two that are replaced, one that needs an approval, and one that TLM refuses.
fn fleet() -> Host {
    let mut host = Host::new(named("Web servers"));
    let slow = ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..named("With approval") };
    let slow = host.simulator.add_profile(slow);
    for name in ["a", "b"] {
        host.entry(name, "");
    }
    host.entry("mail", &format!("profile = {slow:?}\n"));
    host.entry("odd", "key = \"rsa-4096\"\n");
    host.start();
    for name in ["a", "b"] {
        host.wait_state(name, "valid");
    }
    host.wait_state("odd", "failing");
    host.wait_state("mail", "pending");
    host
}

#[test]
fn renew_tells_each_as_it_is_settled_and_fails_where_one_failed() {
    let mut host = fleet();
    check("renew-one.txt", &host, 0, &["renew", "a"]);
    assert_eq!(host.certificate("a")["generation"], 2, "it returns when that is done");
    check("renew-pending.txt", &host, 0, &["renew", "mail"]);
    check("renew-failing.txt", &host, 1, &["renew", "odd"]);
    check("renew-failing.json", &host, 1, &["renew", "odd", "--json"]);
    check("renew-one.json", &host, 0, &["renew", "b", "--json"]);
    let said = host.says(&["renew", "--all"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.out.lines().count(), 5, "{}", said.out);
    assert_eq!(said.out.lines().last(), Some("2 replaced, 1 waiting, 1 failed"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}') && said.err.is_empty(), "nothing of a terminal where it is piped: {said:?}");
    assert_eq!(host.certificate("a")["generation"], 3);
    let down = Fault::new(FaultKind::Status(401, RetryAfter::Absent));
    host.simulator.fault(down);
    let said = host.says(&["renew", "a", "b"]);
    assert_eq!(said.code, 1, "{said:?}");
    host.simulator.clear_faults();
    host.end(Signal::TERM);
    let said = host.says(&["renew", "odd", "--json"]);
    assert_eq!(said.code, 1, "{said:?}");
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["certificates"][0]["outcome"], "failed", "{json:#}");
}

/// Runs a command of the host on a terminal.
fn on_terminal(host: &Host, arguments: &str, environment: &[(&str, &str)]) -> String {
    let command =
        format!("{} --config {} {arguments}", env!("CARGO_BIN_EXE_renewd"), host.path("renewd.toml").display());
    let output = Command::new("script")
        .args(["-qefc", &command, "/dev/null"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_terminal_shows_a_bar_with_an_estimate_and_colours_unless_told_not_to() {
    let host = fleet();
    host.simulator.fault(Fault::new(FaultKind::LateReply(Duration::from_millis(600))).at(Endpoint::Issue));
    let shown = on_terminal(&host, "renew a b", &[]);
    for part in ["[", "0/2", "1/2", " elapsed", "ETA ", "a: \u{1b}[32mreplaced\u{1b}[0m", "2 replaced"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let plain = on_terminal(&host, "renew a", &[("NO_COLOR", "1")]);
    assert!(plain.contains("0/1") && plain.contains("a: replaced"), "{plain}");
    for (command, word) in [("status", "PROBLEM"), ("check --online", "FAILED ")] {
        let coloured = format!("\u{1b}[1;31m{word}\u{1b}[0m");
        assert!(on_terminal(&host, command, &[]).contains(&coloured), "{command}");
        let plain = on_terminal(&host, command, &[("NO_COLOR", "1")]);
        assert!(plain.contains(word) && !plain.contains("\u{1b}["), "{command}: {plain}");
        assert!(!host.says(&command.split(' ').collect::<Vec<_>>()).out.contains('\u{1b}'), "{command}");
    }
}

#[test]
fn ctrl_c_leaves_the_work_to_the_daemon() {
    let host = fleet();
    host.simulator.fault(Fault::new(FaultKind::LateReply(Duration::from_secs(3))).at(Endpoint::Issue));
    let mut renew = host.begin(&["renew", "a"]);
    host.until("the request is under way", || (host.certificate("a")["state"] == "due").then_some(()));
    kill_process(Pid::from_raw(i32::try_from(renew.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    assert_eq!(renew.wait().unwrap().code(), Some(130));
    let mut said = String::new();
    renew.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("1 of 1 left to the daemon, which continues"), "{said}");
    host.until("the daemon did it", || (host.certificate("a")["generation"] == 2).then_some(()));
}

#[test]
fn a_daemon_that_ends_while_it_is_watched_is_said() {
    let mut host = fleet();
    host.simulator.fault(Fault::new(FaultKind::LateReply(Duration::from_secs(20))).at(Endpoint::Issue));
    let renew = host.begin(&["renew", "a"]);
    host.until("the request is under way", || (host.certificate("a")["state"] == "due").then_some(()));
    host.end(Signal::KILL);
    let output = renew.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped answering") && said.contains("continues at its next start"), "{said}");
}

/// What status says, `explain` knows: each code of a host in trouble.
#[test]
fn every_code_that_status_names_is_explained() {
    let host = fleet();
    let status = host.status();
    let mut codes: Vec<String> = Vec::new();
    let of = |values: &Value, key: &str| -> Vec<String> {
        values.as_array().unwrap().iter().filter_map(|one| Some(one[key].as_str()?.to_owned())).collect()
    };
    codes.extend(of(&status["problems"], "code"));
    codes.extend(of(&status["certificates"], "reason_code"));
    let errors: Vec<Value> =
        status["certificates"].as_array().unwrap().iter().map(|one| one["last_error"].clone()).collect();
    codes.extend(of(&Value::Array(errors), "code"));
    for code in ["certificate-failing", "pending", "not-due", "entry-mismatch"] {
        assert!(codes.iter().any(|found| found == code), "{code}: {codes:?}");
    }
    // The log names them as `code`.
    let named = |line: &str| Some(line.split("code=\"").nth(1)?.split('"').next()?.to_owned());
    codes.extend(host.log().lines().filter_map(named));
    for code in codes {
        assert_eq!(host.says(&["explain", &code]).code, 0, "{code}");
    }
}
