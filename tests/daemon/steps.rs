//! The steps of a deploy: a test between the switch and the reload, and a program that is asked before a switch.

use std::fs;

use crate::host::Host;

/// A script of a hook, in which DIR is the host's folder.
fn sh(host: &Host, script: &str) -> String {
    let script = script.replace("DIR", host.path("").display().to_string().trim_end_matches('/'));
    format!("[\"/bin/sh\", \"-c\", {script:?}]")
}

/// The hook `tell`, which notes the generation that it ran for, with more keys of which DIR is the host's folder.
fn tell(host: &Host, more: &[(&str, &str)]) -> String {
    let command = sh(host, "echo $RENEWD_GENERATION >> DIR/told");
    let more: String = more.iter().map(|(key, script)| format!("{key} = {}\n", sh(host, script))).collect();
    format!("[hook.tell]\nmin_interval = \"0s\"\ncommand = {command}\n{more}")
}

fn noted(host: &Host, name: &str) -> String {
    fs::read_to_string(host.path(name)).unwrap_or_default().replace('\n', " ").trim().to_owned()
}

#[test]
fn a_test_that_fails_keeps_the_hook_from_running_and_is_told_as_the_test() {
    let host = Host::with_www();
    let hook = tell(&host, &[("test", "echo $RENEWD_NAME in line 7 >&2; test -e DIR/fine")]);
    host.entry("www", &format!("hooks = [\"tell\"]\n{hook}"));
    assert_eq!(host.says(&["once"]).code, 1);
    host.live_serial("www");
    let www = host.certificate("www");
    let reason = www["reason"].as_str().unwrap();
    assert!(reason.contains("the test of hook tell ended with") && reason.contains("www in line 7"), "{www}");
    assert_eq!((www["hooks"][0]["state"].as_str(), noted(&host, "told")), (Some("failing"), String::new()));
    let history = host.says(&["history", "www"]).out;
    assert!(history.contains("the test of hook tell"), "{history}");
    host.write("fine", "");
    assert_eq!(host.says(&["deploy", "www"]).code, 0);
    assert_eq!((noted(&host, "told").as_str(), host.submissions()), ("1", 1));
}

/// Of two hooks one has shown its service the new set, which has to learn of the old one again; the other has not.
#[test]
fn a_test_that_fails_takes_the_switch_back_without_a_reload() {
    let mut host = Host::with_www();
    let other = sh(&host, "echo $RENEWD_GENERATION >> DIR/other");
    let test = "test ! -e DIR/broken";
    let hooks = tell(&host, &[("test", test)]);
    host.entry(
        "www",
        &format!(
            "hooks = [\"other\", \"tell\"]\nrollback = true\n{hooks}[hook.other]\nmin_interval = \"0s\"\ncommand = {other}\n"
        ),
    );
    host.start();
    host.wait_state("www", "valid");
    assert_eq!((noted(&host, "told").as_str(), noted(&host, "other").as_str()), ("1", "1"));
    let first = host.live_serial("www");
    host.write("broken", "");
    host.says(&["renew", "www", "--no-wait"]);
    host.until("the other hook ran for the old set again", || (noted(&host, "other") == "1 2 1").then_some(()));
    host.until("nothing is owed", || {
        let www = host.certificate("www");
        let is_done = www["hooks"].as_array().unwrap().iter().all(|hook| hook["state"] == "done");
        (www["generation"] == 1 && is_done).then_some(())
    });
    assert_eq!((noted(&host, "told").as_str(), host.live_serial("www")), ("1", first));
    fs::remove_file(host.path("broken")).unwrap();
    // The newer set is tried again by itself, or at the operator's word as another one.
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert!(noted(&host, "told").starts_with("1 "), "{}", noted(&host, "told"));
}

const BEFORE: &str =
    "test -e DIR/go || { echo backup under way; exit 5; }; echo $RENEWD_NAME $RENEWD_GENERATION >> DIR/asked";

#[test]
fn a_veto_postpones_the_switch_until_the_program_agrees_and_costs_no_certificate() {
    let mut host = Host::with_www();
    let hook = tell(&host, &[("before", BEFORE)]);
    host.entry("www", &format!("hooks = [\"tell\"]\n{hook}"));
    host.start();
    host.wait_state("www", "valid");
    let first = host.live_serial("www");
    let history = host.says(&["history", "www"]).out;
    assert!(history.contains("switched in anyway"), "a first certificate does not wait: {history}");
    host.says(&["renew", "www", "--no-wait"]);
    let www = host.wait_state("www", "staged");
    let reason = www["reason"].as_str().unwrap();
    assert!(reason.contains("hook tell postpones the switch") && reason.contains("backup under way"), "{www}");
    assert_eq!((www["reason_code"].as_str(), host.live_serial("www")), (Some("hook-vetoed"), first));
    assert_eq!(host.says(&["status"]).code, 0, "who says no is meant to");
    // It waits on its ladder also after a restart.
    host.end(rustix::process::Signal::TERM);
    host.start();
    host.wait_state("www", "staged");
    host.write("go", "");
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!((host.certificate("www")["generation"].as_u64(), host.submissions()), (Some(2), 2));
    assert_eq!((noted(&host, "asked").as_str(), noted(&host, "told").as_str()), ("www 1", "1 2"));
    // The operator's way back asks as well, with and without a daemon; and `--force` does not.
    fs::remove_file(host.path("go")).unwrap();
    for is_up in [true, false] {
        if !is_up {
            host.end(rustix::process::Signal::TERM);
        }
        let said = host.says(&["rollback", "www"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("backup under way") && said.err.contains("rollback www --force"), "{said:?}");
        assert_eq!(host.certificate("www")["generation"], 2);
    }
    assert_eq!(host.says(&["rollback", "www", "--force"]).code, 0);
    assert_eq!(host.certificate("www")["generation"], 1);
}

/// One that is not there says nothing: that is told as what it is, and by `check --online` before it is needed.
#[test]
fn a_program_that_cannot_run_is_a_failing_hook_and_found_beforehand() {
    let mut host = Host::with_www();
    host.entry("www", &format!("hooks = [\"tell\"]\n{}", tell(&host, &[])));
    host.start();
    host.wait_state("www", "valid");
    let (test, before) = ("[\"/nonexistent/test\"]", "[\"/nonexistent/before\", \"-x\"]");
    let hook = format!("{}test = {test}\nbefore = {before}\n", tell(&host, &[]));
    host.entry("www", &format!("hooks = [\"tell\"]\n{hook}"));
    // The daemon looks, once it has the file as it is now.
    host.until("both programs are told to be missing", || {
        let said = host.says(&["check", "--online"]);
        let shown = said.out + &said.err;
        let is_told = shown.contains("/nonexistent/test") && shown.contains("/nonexistent/before");
        (said.code != 0 && is_told).then_some(())
    });
    host.says(&["renew", "www", "--no-wait"]);
    let www = host.wait_state("www", "staged");
    assert_eq!(www["reason_code"], "hook-failed", "{www}");
    assert!(www["reason"].as_str().unwrap().contains("could not be started"), "{www}");
    assert_eq!(host.says(&["status"]).code, 1);
}

/// A program that never ends has neither a place among the requests nor the turn of another program.
#[test]
fn a_program_that_hangs_holds_back_nobody_who_does_not_ask_it() {
    let mut host = Host::with_www();
    let hangs = ["a", "b", "c", "d"];
    host.configure("", &format!("max_concurrent_requests = {}\n", hangs.len()));
    let slow = sh(&host, "test ! -e DIR/slow || { echo $RENEWD_NAME >> DIR/asked; exec sleep 600; }");
    let hook = format!("[hook.slow]\ntimeout = \"1h\"\ncommand = [\"/bin/true\"]\nbefore = {slow}\n");
    for name in hangs {
        host.entry(name, &format!("hooks = [\"slow\"]\n{hook}"));
    }
    let hook = tell(&host, &[("before", "true")]);
    host.entry("www", &format!("hooks = [\"tell\"]\n{hook}"));
    host.start();
    for name in hangs.iter().chain(&["www"]) {
        host.wait_state(name, "valid");
    }
    host.write("slow", "");
    hangs.iter().for_each(|name| drop(host.says(&["renew", name, "--no-wait"])));
    host.until("each of them asks", || (noted(&host, "asked").split(' ').count() == hangs.len()).then_some(()));
    let old = host.live_serial("www");
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_ne!(host.live_serial("www"), old);
    assert_eq!(noted(&host, "asked").split(' ').count(), hangs.len(), "and they ask still");
}
