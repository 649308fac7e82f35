//! `[notify.NAME]` with the real binary: somebody is told of what is wrong and when it is mended, at least once across
//! restarts, by a document that holds no secret; and whatever a notification does holds back nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::Host;
use crate::metrics::{free_address, scrape};
use crate::simulator::{Endpoint, Fault, FaultKind, RetryAfter};

/// A notification that keeps what it reads: one document after the other, each behind a line of its environment.
fn keeping(host: &Host, script: &str) -> String {
    let ran = host.path("told").display().to_string();
    format!("command = [\"/bin/sh\", \"-c\", {:?}]\n", script.replace("TOLD", &ran))
}

const KEEP: &str = "cat >> TOLD";

fn with_ops(host: &Host, script: &str, more: &str) {
    let command = keeping(host, script);
    host.configure(&format!("[notify.ops]\n{command}gather = \"1s\"\n{more}"), "");
}

/// The documents that were told so far.
fn documents(host: &Host) -> Vec<Value> {
    let text = std::fs::read_to_string(host.path("told")).unwrap_or_default();
    serde_json::Deserializer::from_str(&text).into_iter().map_while(Result::ok).collect()
}

/// Every change that was told so far, as `event what name`.
fn told(host: &Host) -> Vec<String> {
    let word = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    let changes = documents(host).into_iter().flat_map(|document| document["changes"].as_array().cloned().unwrap());
    changes.map(|one| format!("{} {} {}", word(&one, "event"), word(&one, "what"), word(&one, "name"))).collect()
}

#[track_caller]
fn wait_told(host: &Host, expected: &[&str]) {
    host.until(&format!("told: {expected:?}"), || (told(host) == expected).then_some(()));
}

/// Waits until so many conditions are on record as told.
fn wait_kept(host: &Host, count: usize) {
    host.until("kept", || {
        let kept = std::fs::read_to_string(host.path("state/notices.json")).unwrap_or_default();
        (kept.matches("\"told_at\":1").count() == count).then_some(())
    });
}

fn refused() -> Fault {
    Fault::new(FaultKind::Status(400, RetryAfter::Absent)).at(Endpoint::Issue)
}

fn problem(host: &Host, code: &str) -> Option<Value> {
    host.status()["problems"].as_array()?.iter().find(|problem| problem["code"] == code).cloned()
}

#[test]
fn somebody_is_told_of_what_fails_and_when_it_is_mended_by_one_document() {
    let mut host = Host::with_www();
    with_ops(
        &host,
        "[ -z \"$HOME\" ] && [ \"$RENEWD_NOTIFY\" = ops ] && cat >> TOLD && echo \"$RENEWD_SUMMARY\" >&2",
        "",
    );
    host.simulator.fault(refused());
    host.start();
    wait_told(&host, &["failing certificate www"]);
    let document = documents(&host).remove(0);
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    assert_eq!(document["version"], 1);
    assert_eq!((document["notify"].as_str(), document["host"].as_str()), (Some("ops"), Some(name.as_str())));
    assert_eq!(document["summary"], format!("renewd on {name}: failing: www"));
    assert_eq!((&document["counts"]["failing"], &document["left_out"]), (&Value::from(1), &Value::from(0)));
    let change = &document["changes"][0];
    let www = host.certificate("www");
    for key in ["name", "state", "serial_number", "not_after", "profile", "reason_code", "generation"] {
        assert_eq!(change["certificate"][key], www[key], "{key}");
    }
    assert_eq!((change["code"].as_str(), change["repeated"].as_bool()), (Some("certificate-failing"), Some(false)));
    assert!(change["message"].as_str().unwrap().contains("request-refused"), "{change:#}");
    assert!(
        change["remedy"].as_str().is_some_and(|remedy| remedy.contains("its entry: certs.d/www.toml")),
        "{change:#}"
    );
    assert!(change["since"].as_str().unwrap() <= document["at"].as_str().unwrap(), "{document:#}");
    host.simulator.clear_faults();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    wait_told(&host, &["failing certificate www", "mended certificate www"]);
    let mended = documents(&host).remove(1)["changes"][0].clone();
    assert_eq!((&mended["was"], &mended["remedy"]), (&Value::from(vec!["failing"]), &Value::Null), "{mended:#}");
    assert_eq!((&mended["since"], &mended["certificate"]["state"]), (&change["since"], &Value::from("valid")));
    let log = host.log();
    assert!(log.contains("notified; it printed: renewd on "), "{log}");
    assert!(!host.read(&host.path("told")).contains(&host.simulator.api_key()));
}

#[test]
fn what_fails_together_is_told_by_one_call_that_is_bounded() {
    let mut host = Host::with_www();
    with_ops(&host, KEEP, "");
    // The gathering is longer than it takes until all have failed.
    let text = host.read(&host.path("renewd.toml")).replace("gather = \"1s\"", "gather = \"5s\"");
    host.write("renewd.toml", &text);
    std::fs::remove_file(host.path("certs.d/www.toml")).unwrap();
    let profile = host.profile.clone();
    // No profile takes such a key: each is refused without a request.
    let entry = |n: usize| {
        format!(
            "[[certificate]]\nname = \"n{n:03}\"\nprofile = {profile:?}\ncommon_name = \"n{n}.example.com\"\nkey = \"rsa-4096\"\n"
        )
    };
    host.write("certs.d/many.toml", &(0..250).map(entry).collect::<String>());
    host.start();
    let document = host.until("told", || documents(&host).into_iter().next());
    assert_eq!(document["counts"]["failing"], 250, "{}", document["summary"]);
    assert_eq!((document["changes"].as_array().unwrap().len(), &document["left_out"]), (200, &Value::from(50)));
    let summary = document["summary"].as_str().unwrap();
    assert!(summary.ends_with(": failing: n000, n001, n002 and 247 more"), "{summary}");
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert_eq!(documents(&host).len(), 1);
}

#[test]
fn killed_between_the_change_and_the_call_it_is_told_after_the_next_start_and_once() {
    let mut host = Host::with_www();
    with_ops(&host, KEEP, "");
    let slow = host.read(&host.path("renewd.toml")).replace("gather = \"1s\"", "gather = \"1h\"");
    let quick = host.read(&host.path("renewd.toml"));
    host.write("renewd.toml", &slow);
    host.simulator.fault(refused());
    host.start();
    host.wait_state("www", "failing");
    assert_eq!(host.end(Signal::KILL), None);
    assert_eq!(told(&host), [""; 0], "told too early to show anything");
    host.write("renewd.toml", &quick);
    host.start();
    wait_told(&host, &["failing certificate www"]);
    wait_kept(&host, 1);
    // What was told is not told again, and what ended while renewd was down is.
    assert_eq!(host.end(Signal::KILL), None);
    host.simulator.clear_faults();
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(told(&host), ["failing certificate www", "mended certificate www"], "a pass tells before it ends");
    host.start();
    host.wait_state("www", "valid");
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert_eq!(told(&host).len(), 2);
}

/// Killed while the call runs, which outlives the daemon here: nobody knows what it told, so it is told again, and by no
/// second process beside the first.
#[test]
fn killed_in_the_call_it_is_told_again_and_never_by_two_at_once() {
    let mut host = Host::with_www();
    let pid = host.path("pid").display().to_string();
    let alive = format!("grep -qs ') [RSD] ' /proc/$(cat {pid})/stat && echo overlap >> {pid}.twice");
    with_ops(
        &host,
        &format!("if [ -e {pid} ]; then {alive}; cat >> TOLD; else echo $$ > {pid}; exec sleep 321; fi"),
        "",
    );
    host.simulator.fault(refused());
    host.start();
    host.until("the call runs", || host.path("pid").exists().then_some(()));
    assert_eq!(host.end(Signal::KILL), None);
    host.start();
    wait_told(&host, &["failing certificate www"]);
    assert!(!host.path("pid.twice").exists(), "two at once");
    assert!(host.log().contains("killed a hook left behind"), "{}", host.log());
}

#[test]
fn a_call_that_hangs_is_killed_is_a_problem_and_holds_back_nothing() {
    let mut host = Host::with_www();
    let address = free_address();
    let leaf = host.path("leaf").display().to_string();
    let metrics = format!("timeout = \"2s\"\n[metrics]\nlisten = \"{address}\"\n");
    with_ops(&host, &format!("echo working on it; sh -c 'echo $$ > {leaf}; exec sleep 321' & wait"), &metrics);
    let other = keeping(&host, KEEP);
    let text = host
        .read(&host.path("renewd.toml"))
        .replace("[metrics]", &format!("[notify.pager]\n{other}gather = \"1s\"\n[metrics]"));
    host.write("renewd.toml", &text);
    host.write("certs.d/bad.toml", "[[certificate]]\nnaem = 1\n");
    host.start();
    host.wait_state("www", "valid");
    let problem = host.until("a problem", || problem(&host, "notify-failing"));
    let message = problem["message"].as_str().unwrap();
    assert!(
        message.starts_with("notification ops did not end within 2 s and was killed; it printed: working on it"),
        "{message}"
    );
    assert!(message.ends_with("1 change is not reported yet"), "{message}");
    assert_eq!(host.says(&["status"]).code, 1);
    assert_eq!(host.says(&["explain", "notify-failing"]).code, 0);
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", host.read(&host.path("leaf")).trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    wait_told(&host, &["file-refused file certs.d/bad.toml", "failing notify ops"]);
    let shown = scrape(address).unwrap();
    for line in [
        "renewd_notify_runs_total{notify=\"ops\",result=\"timeout\"} 1",
        "renewd_notify_runs_total{notify=\"pager\",result=\"ok\"} 2",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(host.says(&["renew", "www"]).code, 0, "it holds back nothing");
    // Mended by a reload, which changes the command: it is told at once, long before its ladder would come to it.
    let mended = keeping(&host, "cat >> TOLD.ops");
    host.write(
        "renewd.toml",
        &format!(
            "{}\n",
            host.read(&host.path("renewd.toml")).replacen(&line_of(&host, "command"), mended.trim_end(), 1)
        ),
    );
    host.signal(Signal::HUP);
    host.until("it is told", || {
        std::fs::read_to_string(host.path("told.ops")).ok().filter(|text| text.contains("certs.d/bad.toml"))
    });
    host.until("the problem is over", || self::problem(&host, "notify-failing").is_none().then_some(()));
    wait_told(&host, &["file-refused file certs.d/bad.toml", "failing notify ops", "mended notify ops"]);
}

/// The first line of `renewd.toml` that begins so.
fn line_of(host: &Host, start: &str) -> String {
    host.read(&host.path("renewd.toml")).lines().find(|line| line.starts_with(start)).unwrap().to_owned()
}

#[test]
fn only_what_is_named_is_told_and_renewals_where_they_are() {
    let mut host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    with_ops(&host, KEEP, "on = [\"renewed\", \"file-refused\"]\n");
    host.start();
    host.wait_state("www", "valid");
    host.until("what is live is known", || host.path("state/notices.json").exists().then_some(()));
    host.simulator.fault(refused());
    host.entry("mail", "");
    host.wait_state("mail", "failing");
    host.write("certs.d/bad.toml", "naem = 1\n");
    wait_told(&host, &["file-refused file certs.d/bad.toml"]);
    host.simulator.clear_faults();
    wait_kept(&host, 1);
    assert_eq!(host.end(Signal::KILL), None);
    assert_eq!(host.says(&["renew", "www", "mail"]).code, 0);
    let renewed = ["renewed certificate mail", "renewed certificate www"];
    assert_eq!(told(&host)[1..], renewed, "first issuance and renewal, told by the pass");
    let last = documents(&host).pop().unwrap();
    assert_eq!(last["changes"][1]["certificate"]["serial_number"], Value::from(host.live_serial("www")), "{last:#}");
    host.start();
    host.wait_state("www", "valid");
    std::fs::remove_file(host.path("certs.d/bad.toml")).unwrap();
    host.write("certs.d/worse.toml", "naem = 1\n");
    wait_told(
        &host,
        &["file-refused file certs.d/bad.toml", renewed[0], renewed[1], "file-refused file certs.d/worse.toml"],
    );
}

#[test]
fn what_no_longer_is_in_the_inventory_is_told_to_be_over() {
    let mut host = Host::with_www();
    with_ops(&host, KEEP, "");
    host.entry("mail", "");
    host.simulator.fault(refused());
    host.start();
    wait_told(&host, &["failing certificate mail", "failing certificate www"]);
    std::fs::remove_file(host.path("certs.d/mail.toml")).unwrap();
    wait_told(&host, &["failing certificate mail", "failing certificate www", "mended certificate mail"]);
    let change = documents(&host).pop().unwrap()["changes"][0].clone();
    assert_eq!((&change["message"], change.get("certificate")), (&Value::from("no longer in the inventory"), None));
}

#[test]
fn a_hold_is_told_with_its_reason() {
    let mut host = Host::with_www();
    with_ops(&host, KEEP, "");
    host.start();
    host.wait_state("www", "valid");
    assert_eq!(host.says(&["hold", "www", "--reason", "a migration"]).code, 0);
    wait_told(&host, &["held certificate www"]);
    let change = documents(&host).pop().unwrap()["changes"][0].clone();
    assert!(change["message"].as_str().unwrap().contains("a migration"), "{change:#}");
    assert_eq!(change["certificate"]["hold"]["reason"], "a migration");
    assert_eq!(host.says(&["release", "www"]).code, 0);
    wait_told(&host, &["held certificate www", "mended certificate www"]);
}

#[test]
fn a_pass_tells_before_it_ends_and_waits_no_longer_than_the_timeout() {
    let host = Host::with_www();
    with_ops(&host, "sleep 321", "timeout = \"1s\"\n");
    host.simulator.fault(refused());
    let begun = std::time::Instant::now();
    let said = host.says(&["once"]);
    assert!(said.code == 1 && begun.elapsed() < Duration::from_secs(20), "{said:?}");
    assert!(said.err.contains("notification ops did not end within 1 s and was killed"), "{}", said.err);
    with_ops(&host, KEEP, "");
    for _ in 0..2 {
        assert_eq!(host.says(&["once"]).code, 1);
        assert_eq!(told(&host), ["failing certificate www"], "the next pass tells what the one before could not, once");
    }
}

/// Nobody reads it, and it is longer than a pipe holds.
#[test]
fn a_command_that_reads_nothing_holds_up_nobody() {
    let mut host = Host::with_www();
    with_ops(&host, "exec 0<&-; echo done >> TOLD", "");
    host.entry("www", &format!("seat = \"{}\"\n", "s".repeat(60)));
    host.simulator.fault(refused());
    host.start();
    host.until("it ran", || (std::fs::read_to_string(host.path("told")).ok()? == "done\n").then_some(()));
    host.until("it counts as told", || host.log().contains("notified").then_some(()));
    assert_eq!(problem(&host, "notify-failing"), None);
}

#[test]
fn check_looks_at_what_a_notification_runs() {
    let host = Host::with_www();
    host.configure("[notify.ops]\ncommand = [\"/nowhere/tell\"]\n", "");
    let said = host.says(&["check"]);
    assert!(said.code == 1 && said.err.contains("/nowhere/tell"), "{said:?}");
    let said = host.says(&["check", "--online"]);
    assert!(said.code == 1 && said.out.contains("notify") && said.out.contains("/nowhere/tell"), "{said:?}");
    for (verb, refused) in [("restart", true), ("stop", true), ("reload", false)] {
        host.configure(&format!("[notify.ops]\nunit = \"renewd.service\"\nverb = {verb:?}\n"), "");
        let said = host.says(&["check"]);
        assert_eq!((said.code, said.err.contains("stops renewd itself")), (i32::from(refused), refused), "{said:?}");
    }
    host.configure("[notify.ops]\ncommand = [\"/bin/true\"]\n", "");
    let said = host.says(&["check", "--online"]);
    assert!(said.code == 0 && said.out.contains("/bin/true exists and can be run"), "{said:?}");
}

/// Runs a script that ships, with a stand-in in place of each program that it tells: what the stand-in was called with, one
/// argument on each line, and what it read.
fn shipped(script: &str, arguments: &[&str], summary: &str, fails: bool) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let seen = path("seen").display().to_string();
    for program in ["sendmail", "curl", "logger"] {
        let end = i32::from(fails);
        let stand_in =
            format!("#!/bin/sh\nfor one; do echo \"[$one]\"; done > {seen}\ncat > {seen}.input\nexit {end}\n");
        std::fs::write(path(program), stand_in).unwrap();
        std::fs::set_permissions(path(program), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::write(path("document"), DOCUMENT).unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/notify").join(script);
    let status = std::process::Command::new(script)
        .args(arguments)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("RENEWD_SUMMARY", summary)
        .stdin(std::fs::File::open(path("document")).unwrap())
        .current_dir(folder.path())
        .status()
        .unwrap();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let found = (status.success(), read(&seen), read(&format!("{seen}.input")));
    // Nothing of the text was run.
    assert!(!path("pwned").exists());
    found
}

const DOCUMENT: &str = "{\n  \"summary\": \"$(touch pwned) `touch pwned`; touch pwned\"\n}\n";
const HOSTILE: &str = "-x $(touch pwned) `touch pwned` '; touch pwned;' \" \u{fc} \r\nBcc: all@example.com";

#[test]
fn the_scripts_that_ship_pass_hostile_text_on_as_text() {
    let (is_done, called, message) = shipped("mail", &["ops@example.com"], HOSTILE, false);
    assert!(is_done && called == "[-oi]\n[--]\n[ops@example.com]\n", "{called}");
    let (head, body) = message.split_once("\n\n").unwrap();
    assert_eq!(body, DOCUMENT);
    let subject = "Subject: -x $(touch pwned) `touch pwned` '; touch pwned;' \" ?? ??Bcc: all@example.com";
    assert!(head.lines().any(|line| line == subject), "{head}");
    assert!(head.lines().all(|line| line.contains(": ") && !line.starts_with("Bcc")), "{head}");
    let (is_done, called, message) = shipped("mail", &["ops@example.com", "smtp://mail.example.com"], HOSTILE, false);
    assert!(is_done && called.ends_with("[--url]\n[smtp://mail.example.com]\n"), "{called}");
    assert!(called.contains("[--mail-rcpt]\n[ops@example.com]\n") && message.ends_with(DOCUMENT), "{called}");
    let (is_done, called, posted) = shipped("webhook", &["/etc/renewd/webhook.curl"], HOSTILE, false);
    assert!(is_done && called.ends_with("[--config]\n[/etc/renewd/webhook.curl]\n"), "{called}");
    assert_eq!(posted, DOCUMENT);
    let (is_done, called, _) = shipped("syslog", &[], HOSTILE, false);
    assert!(
        is_done && called.contains("[--tag]\n[renewd]\n") && called.ends_with(&format!("[--]\n[{HOSTILE}]\n")),
        "{called}"
    );
    let (is_done, _, line) = shipped("syslog", &["all"], HOSTILE, false);
    assert!(is_done && line == DOCUMENT.replace('\n', ""), "{line}");
}

/// So that it is told again.
#[test]
fn the_scripts_that_ship_fail_where_nobody_was_told() {
    let calls: [(&str, &[&str]); 5] = [
        ("mail", &["ops@example.com"]),
        ("mail", &["ops@example.com", "smtp://mail.example.com"]),
        ("webhook", &["/etc/renewd/webhook.curl"]),
        ("syslog", &[]),
        ("syslog", &["all"]),
    ];
    for (script, arguments) in calls {
        assert!(!shipped(script, arguments, "x", true).0, "{script} {arguments:?}");
    }
}
