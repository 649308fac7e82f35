//! Promise 6 with the real binary: hooks run once per install, are repeated until they succeed, and never cost a
//! certificate.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::host::Host;

/// A hook of `renewd.toml`, named `tell`.
fn with_shared_hook(host: &Host, script: &str) {
    host.configure(&format!("[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\ntimeout = \"60s\"\n"), "");
}

fn with_hook(host: &Host, script: &str) {
    let file = host.path("ran");
    let script = script.replace("RAN", &file.display().to_string());
    host.entry(
        "www",
        &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\ntimeout = \"2s\"\n"),
    );
}

#[test]
fn a_hook_runs_once_per_install_and_knows_for_which() {
    let host = Host::with_www();
    with_hook(&host, "echo $RENEWD_NAME $RENEWD_LIVE_DIR $RENEWD_GENERATION $RENEWD_SERIAL_NUMBER ${HOME-none} >> RAN");
    let mut expected = String::new();
    for generation in 1..=2 {
        let said = host.says(&["renew", "www"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(host.says(&["once"]).code, 0);
        let (live, serial) = (host.live("www").display().to_string(), host.live_serial("www"));
        expected.push_str(&format!("www {live} {generation} {serial} none\n"));
        assert_eq!(host.read(&host.path("ran")), expected);
    }
    assert_eq!(host.certificate("www")["hooks"][0]["state"], "done");
}

#[test]
fn a_failing_hook_is_loud_and_costs_no_certificate() {
    let host = Host::with_www();
    with_hook(&host, "echo the server is missing >&2; exit 7");
    assert_eq!(host.says(&["once"]).code, 1);
    host.live_serial("www");
    let www = host.certificate("www");
    assert_eq!((www["state"].as_str(), www["hooks"][0]["state"].as_str()), (Some("failing"), Some("failing")));
    assert!(www["reason"].as_str().unwrap().contains("the server is missing"), "{www}");
    assert_eq!(host.says(&["status"]).code, 1);
    host.says(&["once"]);
    assert_eq!(host.submissions(), 1);
}

/// A child in the hook's group, one in a session of its own, one whose parent has left it, and one that such a one started.
#[test]
fn a_hook_that_hangs_is_ended_with_all_that_it_started() {
    let host = Host::with_www();
    let [ran, leaf, twig] = ["ran", "leaf", "twig"].map(|name| host.path(name).display().to_string());
    host.write("leaf", &format!("echo $$ >> {ran}\nexec sleep 321\n"));
    host.write("twig", &format!("setsid sh {leaf} &\nexec sh {leaf}\n"));
    let script = format!("sh {leaf} & setsid sh {leaf} & (setsid sh {leaf} &); (setsid sh {twig} &); wait");
    host.entry(
        "www",
        &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\ntimeout = \"5s\"\n"),
    );
    assert_eq!(host.says(&["once"]).code, 1);
    let pids = host.read(&host.path("ran"));
    assert_eq!(pids.lines().count(), 5, "{pids}");
    for pid in pids.lines() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
    assert!(host.certificate("www")["reason"].as_str().unwrap().contains("did not end within 5 s"));
}

/// What a hook leaves behind in peace goes on, and nothing that ended stays behind.
#[test]
fn what_a_hook_starts_for_good_goes_on_and_is_reaped_when_it_ends() {
    let mut host = Host::with_www();
    let ran = host.path("ran").display().to_string();
    with_hook(
        &host,
        "for n in 1 2 3; do (setsid sh -c 'echo $$ >> RAN; until [ -e RAN.end ]; do sleep 0.02; done' &); done",
    );
    host.start();
    host.wait_state("www", "valid");
    let pids = host.until("they run", || {
        Some(std::fs::read_to_string(&ran).unwrap_or_default()).filter(|text| text.lines().count() == 3)
    });
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    for pid in pids.lines() {
        let parent = stat(pid).rsplit(')').next().unwrap().split_whitespace().nth(1).map(str::to_owned);
        assert_eq!(parent, Some(host.pid().to_string()), "whoever has lost its parent is renewd's");
    }
    host.write("ran.end", "");
    host.until("none of them is left, not even dead", || pids.lines().all(|pid| stat(pid).is_empty()).then_some(()));
}

#[test]
fn a_hook_that_is_ended_by_the_stop_stays_owed_and_runs_at_the_next_start() {
    let mut host = Host::with_www();
    let ran = host.path("ran").display().to_string();
    with_shared_hook(&host, &format!("echo run >> {ran}; [ $(wc -l < {ran}) -gt 1 ] || sleep 321"));
    host.entry("www", "hooks = [\"tell\"]\n");
    host.start();
    host.until("the hook runs", || host.path("ran").exists().then_some(()));
    assert_eq!(host.certificate("www")["hooks"][0]["state"], "running");
    let begun = Instant::now();
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let www = host.certificate("www");
    assert_eq!((www["state"].as_str(), www["hooks"][0]["state"].as_str()), (Some("deploying"), Some("owed")));
    host.start();
    host.wait_state("www", "valid");
    assert_eq!(host.read(&host.path("ran")), "run\nrun\n");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn certificates_that_are_installed_together_share_one_run() {
    let mut host = Host::with_www();
    with_shared_hook(&host, &format!("echo $RENEWD_NAMES >> {}", host.path("ran").display()));
    for name in ["www", "mail", "web"] {
        host.entry(name, "hooks = [\"tell\"]\n");
    }
    host.start();
    for name in ["www", "mail", "web"] {
        host.wait_state(name, "valid");
    }
    assert_eq!(host.read(&host.path("ran")), "mail web www\n");
}

#[test]
fn the_names_are_in_a_file_as_long_as_the_hook_runs() {
    let mut host = Host::with_www();
    let (seen, folder) = (host.path("seen").display().to_string(), host.path("state/hooks"));
    with_shared_hook(&host, &format!("stat -c %a%u $RENEWD_NAMES_FILE > {seen}; cat $RENEWD_NAMES_FILE >> {seen}"));
    for name in ["www", "mail"] {
        host.entry(name, "hooks = [\"tell\"]\n");
    }
    host.start();
    for name in ["www", "mail"] {
        host.wait_state(name, "valid");
    }
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(host.read(&host.path("seen")), format!("600{uid}\nmail\nwww\n"));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "it is gone with the run");
}

/// A program of these bytes and this mode, as a hook's command.
fn with_program(host: &Host, content: &str, mode: u32) -> String {
    let program = host.path("hook");
    host.write("hook", content);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
    let shown = program.display().to_string();
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [{shown:?}]\n"));
    shown
}

#[test]
fn a_script_that_cannot_run_is_told_as_what_it_is_before_and_after() {
    for (content, mode, what, remedy) in [
        ("#!/bin/sh\r\necho hi\r\n", 0o755, "has Windows line endings (CRLF)", "run: sed -i 's/\\r$//' @"),
        ("#!/usr/bin/env sh\r\n", 0o755, "has Windows line endings (CRLF)", "run: sed -i 's/\\r$//' @"),
        ("#!/usr/bin/python2.9\n", 0o755, "names the interpreter /usr/bin/python2.9: No such file", "first line"),
        ("#!/usr/bin/env python2.9\n", 0o755, "names the interpreter python2.9, which is in no folder", "first line"),
        ("\u{feff}#!/bin/sh\n", 0o755, "begins with a byte order mark", "run: sed -i '1s/"),
        ("echo hi\n", 0o755, "begins with no `#!`", "write `#!/bin/sh` as its first line"),
        ("#!/bin/sh\n", 0o644, "has no execute bit", "run: chmod a+rx @"),
    ] {
        let host = Host::with_www();
        let program = with_program(&host, content, mode);
        let remedy = remedy.replace('@', &program);
        let said = host.says(&["check"]);
        let is_told = |text: &str| text.contains(&format!("{program} {what}")) && text.contains(&remedy);
        assert!(said.code == 1 && is_told(&said.err), "{said:?}");
        assert_eq!(host.says(&["once"]).code, 1);
        let www = host.certificate("www");
        assert!(is_told(www["reason"].as_str().unwrap()), "{content:?}: {}", www["reason"]);
    }
    let host = Host::with_www();
    with_program(&host, "#!/bin/sh -e\nexit 0\n", 0o755);
    assert_eq!(host.says(&["check"]).code, 0);
    assert_eq!(host.says(&["once"]).code, 0);
}

#[test]
fn check_refuses_a_hook_that_ends_renewd() {
    for (unit, verb, refused) in [
        ("renewd.service", "restart", true),
        ("renewd.service", "stop", true),
        ("renewd.service", "try-restart", true),
        ("renewd.service", "reload", false),
        ("renewd@other.service", "restart", false),
        ("nginx.service", "restart", false),
    ] {
        let host = Host::with_www();
        host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\nunit = {unit:?}\nverb = {verb:?}\n"));
        let said = host.says(&["check"]);
        assert_eq!(said.code, i32::from(refused), "{unit} {verb}: {}", said.err);
        let told = ["stops renewd itself", "write verb = \"reload\""].iter().all(|part| said.err.contains(part));
        assert_eq!(told, refused, "{unit} {verb}: {}", said.err);
    }
}

/// Killed as soon as the set is live, as soon as the journal knows, and while the hook waits for others to share its run.
#[test]
fn killed_between_install_and_hook_the_hook_still_runs_and_once() {
    for moment in ["live", "installed", "owed"] {
        let mut host = Host::with_www();
        let ran = host.path("ran");
        with_shared_hook(&host, &format!("echo run >> {}", ran.display()));
        host.entry("www", "hooks = [\"tell\"]\n");
        host.start_unanswered();
        host.until(moment, || {
            let is_there = match moment {
                "live" => host.live("www").exists(),
                "installed" => {
                    std::fs::read_to_string(host.path("state/journal")).unwrap_or_default().contains("\"installed\"")
                }
                _ => host.certificate("www")["hooks"][0]["state"] == "owed",
            };
            is_there.then_some(())
        });
        assert_eq!(host.end(Signal::KILL), None);
        assert!(!ran.exists(), "{moment}: killed too late to show anything");
        for life in 1..=2 {
            host.start();
            host.wait_state("www", "valid");
            assert_eq!(host.read(&ran), "run\n", "{moment}, life {life}");
            assert_eq!(host.certificate("www")["hooks"][0]["state"], "done");
            assert_eq!(host.end(Signal::KILL), None);
        }
        assert_eq!(host.submissions(), 1, "{moment}");
    }
}

/// The hook outlives the daemon here, as it would not under systemd.
#[test]
fn killed_while_the_hook_runs_it_runs_again_and_never_twice_at_once() {
    let mut host = Host::with_www();
    let ran = host.path("ran").display().to_string();
    let first = "grep -qs ') [RSD] ' /proc/$(head -n 1 \"$0\")/stat && echo overlap >> \"$0\"";
    host.write(
        "hook",
        &format!("[ -s {ran} ] && {first}\necho $$ >> {ran}\n[ $(wc -l < {ran}) -gt 1 ] || sleep 321\n")
            .replace("\"$0\"", &ran),
    );
    host.configure(&format!("[hook.tell]\ncommand = [\"/bin/sh\", {:?}]\n", host.path("hook")), "");
    host.entry("www", "hooks = [\"tell\"]\n");
    host.start();
    host.until("the hook runs", || host.path("ran").exists().then_some(()));
    assert_eq!(host.end(Signal::KILL), None);
    let first = host.read(&host.path("ran"));
    assert!(std::path::Path::new("/proc").join(first.trim()).exists(), "the hook outlives the daemon");
    host.start();
    host.wait_state("www", "valid");
    let runs = host.read(&host.path("ran"));
    assert!(!runs.contains("overlap") && runs.lines().count() == 2, "{runs}");
    assert_eq!(host.submissions(), 1);
    assert!(host.log().contains("killed a hook left behind"), "{}", host.log());
}

#[test]
fn what_a_hook_prints_is_kept_bounded_and_clean() {
    let host = Host::with_www();
    with_hook(&host, "printf 'a\\033[31m\\n'; yes long | head -c 100000; echo the end >&2; [ -e RAN ]");
    assert_eq!(host.says(&["once"]).code, 1);
    host.write("ran", "");
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let journal = host.read(&host.path("state/journal"));
    for kind in ["hook-failed", "hook-done"] {
        let line = journal.lines().find(|line| line.contains(&format!("\"event\":\"{kind}\""))).unwrap();
        assert!(line.contains("\"hook\":\"tell\"") && line.contains("the end\""), "{kind}: {line}");
        assert!(line.contains("long long") && line.len() < 1000 && !line.contains("u001b"), "{kind}: {line}");
    }
    assert!(said.err.contains("the hook ran; it printed: "), "{}", said.err);
}
