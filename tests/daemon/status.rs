//! What `status` says where nothing is renewed: never that all is well. And that it says each thing once.

use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Host, Said};
use crate::simulator::{Endpoint, Fault, FaultKind, Issuance, ProfileSpec, RetryAfter};

/// The problem of this code.
fn problem(host: &Host, code: &str) -> Option<Value> {
    host.status()["problems"].as_array()?.iter().find(|problem| problem["code"] == code).cloned()
}

fn named(name: &str) -> ProfileSpec {
    ProfileSpec { name: name.to_owned(), ..ProfileSpec::default() }
}

/// A host whose certificates are installed and not due, with the daemon running.
fn in_order(profile: ProfileSpec, names: &[&str]) -> Host {
    let mut host = Host::new(profile);
    names.iter().for_each(|name| host.entry(name, ""));
    host.start();
    for name in names {
        host.wait_state(name, "valid");
    }
    host
}

/// The daemon is missed: exit code 3, the first line says so, and the files are shown all the same.
#[track_caller]
fn is_missed(host: &Host, code: &str, first: &str, parts: &[&str]) {
    let Said { code: exit, out, err } = host.says(&["status"]);
    assert_eq!(exit, 3, "{out}{err}");
    assert!(err.starts_with(first) && err.lines().count() == 1 && err.contains("; showing state from disk:"), "{err}");
    assert!(out.contains("www") && out.contains(&format!("PROBLEM {code}: ")), "{out}");
    parts.iter().for_each(|part| assert!(out.contains(part), "{part}: {out}"));
}

#[test]
fn a_daemon_that_ended_without_being_stopped_is_missed_until_somebody_sees_to_it() {
    let mut host = in_order(ProfileSpec::default(), &["www"]);
    let pid = host.pid();
    host.end(Signal::KILL);
    let ended = format!("ended without being stopped (pid {pid}");
    is_missed(
        &host,
        "daemon-down",
        "renewd is NOT running, and should be: nothing is renewed",
        &[&ended, "fix: start it"],
    );
    assert_eq!((host.says(&["status", "www"]).code, host.status()["healthy"].as_bool()), (3, Some(false)));
    host.start();
    assert_eq!(host.says(&["status"]).code, 0, "it runs again");
    host.end(Signal::TERM);
    let stopped = host.says(&["status"]);
    assert_eq!((stopped.code, stopped.err.as_str()), (0, "renewd is not running; showing state from disk:\n"));
    host.start();
    host.end(Signal::KILL);
    assert_eq!(host.says(&["status"]).code, 3);
    assert_eq!(host.says(&["heal"]).code, 0);
    assert_eq!(host.says(&["status"]).code, 0, "no daemon is meant to run");
}

#[test]
fn a_daemon_that_is_stuck_is_told_from_one_that_runs() {
    let host = in_order(ProfileSpec::default(), &["www"]);
    host.signal(Signal::STOP);
    is_missed(&host, "daemon-silent", "renewd is running (pid ", &["no answer in time", "fix: restart it"]);
    host.signal(Signal::CONT);
    host.until("it answers again", || (host.says(&["status"]).code == 0).then_some(()));
}

#[test]
fn a_daemon_whose_socket_is_gone_cannot_be_asked() {
    let host = in_order(ProfileSpec::default(), &["www"]);
    std::fs::remove_file(host.path("control.sock")).unwrap();
    is_missed(&host, "daemon-silent", "renewd is running (pid ", &["does not listen at", "control.sock"]);
}

/// Between its lock and its socket a daemon is neither silent nor in the way of an order: whoever asks waits.
#[test]
fn who_asks_while_the_daemon_is_starting_waits_for_it() {
    let mut host = in_order(ProfileSpec::default(), &["www"]);
    let (socket, aside) = (host.path("control.sock"), host.path("aside.sock"));
    std::fs::rename(&socket, &aside).unwrap();
    for arguments in [&["status"][..], &["renew", "www"]] {
        let mut asks = host.begin(arguments);
        let sleeps = format!("/proc/{}/wchan", asks.id());
        host.until("it waits", || std::fs::read_to_string(&sleeps).ok()?.contains("nanosleep").then_some(()));
        assert_eq!(asks.try_wait().unwrap(), None, "{arguments:?}");
        std::fs::rename(&aside, &socket).unwrap();
        assert_eq!(asks.wait().unwrap().code(), Some(0), "{arguments:?}");
        std::fs::rename(&socket, &aside).unwrap();
    }
    host.end(Signal::TERM);
}

/// The state of another configuration's daemon says nothing of this one.
#[test]
fn the_daemon_of_another_configuration_is_none_of_this_one() {
    let mut host = in_order(ProfileSpec::default(), &["www"]);
    let other = host.path("other.toml");
    let text = host.read(&host.path("renewd.toml")).replace("/state\"", "/state-of-other\"");
    host.write("other.toml", &text);
    let output = host.command().args(["status", "--config"]).arg(&other).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(3), "{out}{err}");
    assert!(err.starts_with("another daemon answers; showing state from disk:"), "{err}");
    let told = format!("runs with {}, and none with {}", host.path("renewd.toml").display(), other.display());
    assert!(out.contains(&told) && out.contains("www          due "), "{out}");
    assert_eq!(host.says(&["status"]).code, 0);
    host.end(Signal::TERM);
}

/// What will not be renewed when its time comes is told before that, by name, while there is time to act.
#[test]
fn a_profile_that_cannot_be_used_is_told_before_a_certificate_is_due() {
    let host = in_order(named("Web servers"), &["mail", "www"]);
    host.simulator.change_profile(&host.profile, |profile| profile.status = "Suspended".to_owned());
    host.signal(Signal::HUP);
    let told = host.until("the profile is told", || problem(&host, "profile-unusable"));
    assert_eq!((&told["severity"], &told["certificates"]), (&"warning".into(), &serde_json::json!(["mail", "www"])));
    let message = told["message"].as_str().unwrap();
    for part in ["mail, www: profile \"Web servers\" cannot be used", "\"Suspended\", not Active", "first needed at "] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(told["remedy"].as_str().unwrap().starts_with("change the profile in TLM"), "{told}");
    let said = host.says(&["status"]);
    assert!(said.code == 0 && said.out.contains("WARNING profile-unusable: mail, www: "), "{}", said.out);
    let www = host.says(&["status", "www"]).out;
    assert!(www.contains("problem        ") && www.contains("(profile-unusable)"), "{www}");
    host.simulator.change_profile(&host.profile, |profile| profile.status = "Active".to_owned());
    host.signal(Signal::HUP);
    host.until("all is well", || host.status()["problems"].as_array()?.is_empty().then_some(()));
}

#[test]
fn a_profile_that_was_renamed_is_told_before_a_certificate_is_due_also_without_the_daemon() {
    let mut host = Host::new(named("Web servers"));
    host.entry("www", "profile = \"Web servers\"\n");
    host.start();
    host.wait_state("www", "valid");
    host.simulator.change_profile(&host.profile, |profile| profile.name = "Web servers 2027".to_owned());
    host.signal(Signal::HUP);
    let told = host.until("the profile is told", || problem(&host, "profile-not-found"));
    assert_eq!(host.certificate("www")["state"], "valid");
    for (key, part) in
        [("message", "www: profile \"Web servers\" cannot be read: "), ("remedy", "write the profile's id")]
    {
        assert!(told[key].as_str().unwrap().contains(part), "{told}");
    }
    assert_eq!(host.end(Signal::TERM), Some(0));
    let down = problem(&host, "profile-not-found").unwrap();
    assert_eq!((&down["message"], &down["since"]), (&told["message"], &told["since"]));
}

/// Nothing is due, and nothing would be renewed: a warning, which an answer takes back. Without the daemon as well.
#[test]
fn an_api_that_does_not_answer_is_told_before_a_certificate_is_due() {
    for names in [&["www"][..], &["mail", "www"]] {
        let mut host = in_order(ProfileSpec::default(), names);
        host.simulator.stop();
        host.signal(Signal::HUP);
        let told = host.until("it is told", || problem(&host, "api-unreachable"));
        assert_eq!(told["severity"], "warning", "{told}");
        assert!(told["message"].as_str().unwrap().ends_with("; no renewal is due yet"), "{told}");
        let said = host.says(&["status"]);
        assert!(said.code == 0 && said.out.matches("Connection refused").count() == 1, "{}", said.out);
        assert_eq!(host.end(Signal::TERM), Some(0));
        let down = problem(&host, "api-unreachable").unwrap();
        assert_eq!(down["message"], told["message"]);
        host.simulator.restart();
        host.start();
        host.signal(Signal::HUP);
        host.until("all is well", || host.status()["problems"].as_array()?.is_empty().then_some(()));
    }
}

/// Those that wait for the API count as its problem, also after the circuit breaker holds them back.
#[test]
fn five_certificates_that_wait_for_the_api_are_one_problem() {
    let mut host = Host::new(named("Web servers"));
    let names = ["api", "intern", "mail", "shop", "www"];
    names.iter().for_each(|name| host.entry(name, ""));
    host.simulator.stop();
    host.start();
    let told = host.until("all wait", || {
        problem(&host, "api-unreachable")
            .filter(|problem| problem["certificates"].as_array().is_some_and(|all| all.len() == 5))
    });
    assert_eq!(
        (&told["severity"], told["certificates"] == serde_json::json!(names)),
        (&"error".into(), true),
        "{told}"
    );
    let said = host.says(&["status"]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert_eq!(said.out.matches("Connection refused").count(), 1, "{}", said.out);
    assert_eq!(said.out.matches("PROBLEM ").count(), 1, "{}", said.out);
    assert!(!said.out.contains(&host.profile), "no id is needed: {}", said.out);
    assert!(said.out.lines().all(|line| line.starts_with("PROBLEM") || line.len() <= 100), "{}", said.out);
    let www = host.says(&["status", "www"]).out;
    assert!(www.contains("Connection refused") && www.contains("check `api.url`"), "{www}");
}

/// One cause, one problem: also where the API answers.
#[test]
fn certificates_that_fail_alike_are_one_problem() {
    let mut host = Host::new(named("Web servers"));
    ["mail", "www"].iter().for_each(|name| host.entry(name, ""));
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Issue));
    host.start();
    let told = host.until("both fail", || {
        let problems = host.status()["problems"].as_array().cloned()?;
        problems.into_iter().find(|problem| problem["certificates"] == serde_json::json!(["mail", "www"]))
    });
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("mail, www: ") && message.matches(": 403 no_access").count() == 1, "{message}");
    assert!(told["remedy"].as_str().unwrap().contains("use profile \"Web servers\" in TLM"), "{told}");
}

/// A remedy of one certificate names it, and leaves what its profile is called as it is.
#[test]
fn a_remedy_never_renames_a_profile() {
    let mut host = Host::new(named("NAME servers"));
    host.entry("www", "");
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Issue));
    host.start();
    let told = host.until("it fails", || problem(&host, "certificate-failing"));
    assert!(told["remedy"].as_str().unwrap().contains("use profile \"NAME servers\" in TLM"), "{told}");
}

/// A journal that this version may not write to keeps everything from being renewed, also what is not due yet.
#[test]
fn a_journal_of_a_newer_version_is_a_problem_while_nothing_is_due() {
    let mut host = in_order(ProfileSpec::default(), &["www"]);
    host.end(Signal::TERM);
    let journal = host.read(&host.path("state/journal"));
    let (first, rest) = journal.split_once('\n').unwrap();
    host.write("state/journal", &format!("{}\n{rest}", first.replace('1', "9")));
    let is_told = || {
        let told = problem(&host, "journal-too-new").unwrap_or_default();
        assert!(told["message"].as_str().is_some_and(|message| message.starts_with("a newer renewd wrote")), "{told}");
        assert_eq!(host.says(&["status"]).code, 1);
    };
    is_told();
}

/// Nothing that fits a screen of 100 columns is folded, and what does not is folded between words.
#[test]
fn what_fits_a_hundred_columns_is_not_folded() {
    let mut host = Host::new(named("Web servers"));
    host.entry("www", "hooks = [\"nginx\"]\n[hook.nginx]\ncommand = [\"/bin/sh\", \"-c\", \"echo configuration file /etc/nginx/nginx.conf: test failed >&2; exit 1\"]\n");
    host.entry("mail", "");
    host.start();
    host.wait_state("www", "failing");
    host.wait_state("mail", "valid");
    let output = host.command().arg("status").env("COLUMNS", "100").output().unwrap();
    let screen = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines.iter().all(|line| line.len() <= 100), "{screen}");
    assert!(lines[1].starts_with("mail ") && lines[2].starts_with("www ") && lines[3].is_empty(), "{screen}");
    let at = lines.iter().position(|line| line.starts_with("PROBLEM certificate-failing: www: ")).unwrap();
    assert!(
        lines[at + 1].starts_with("    ") && lines[at].len() + lines[at + 1].trim().find(' ').unwrap() >= 100,
        "{screen}"
    );
    let whole = host.says(&["status"]).out;
    assert_eq!(whole.lines().filter(|line| line.starts_with("    ")).count(), 0, "{whole}");
}

#[test]
fn what_tlm_says_of_a_certificate_is_shown_beside_what_is_here() {
    let mut host = Host::with_www();
    host.entry("www", "");
    host.start();
    host.wait_state("www", "valid");
    let serial = host.live_serial("www");
    let note = "ask Ann\u{1b}[31m before it goes";
    host.simulator.change(|state| state.certificate_mut(&serial).unwrap().notes = Some(note.to_owned()));

    let said = host.says(&["status", "www", "--online"]);
    assert_eq!(said.code, 0, "{said:?}");
    let there = said.out.split_once("\nat TLM\n").unwrap().1;
    for line in
        ["  status       issued\n", "  seat         www.example.com\n", "  order        1234567890\n", "before it goes"]
    {
        assert!(there.contains(line), "{line}: {there}");
    }
    assert!(!there.contains('\u{1b}') && !there.contains("DIFFERS"), "{there}");
    assert_eq!(host.says(&["status", "--online"]).code, 2, "of all that would be a storm");

    let standing = |change: &dyn Fn(&mut crate::simulator::IssuedRecord)| {
        host.simulator.change(|state| change(state.certificate_mut(&serial).unwrap()));
        let said = host.says(&["status", "www", "--online", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        (said.code, status["certificates"][0]["tlm"].clone())
    };
    let (code, tlm) = standing(&|record| record.not_after += 60);
    assert_eq!(code, 1);
    assert!(tlm["differences"][0].as_str().unwrap().starts_with("at TLM it ends at "), "{tlm}");
    let (code, tlm) = standing(&|record| record.status = crate::simulator::CertificateStatus::Suspended);
    assert_eq!((code, tlm["status"].as_str()), (1, Some("suspended")), "{tlm}");
    assert_eq!(tlm["differences"][0], "it is suspended at TLM, and installed here", "{tlm}");

    // TLM tells nothing: the rest is shown all the same.
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Details));
    let said = host.says(&["status", "www", "--online"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains(&serial) && !said.out.contains("at TLM"), "{said:?}");
    assert!(said.err.contains("403") && said.err.contains("fix: "), "{said:?}");
}

/// What was sent last, while it is under way and when it has ended.
#[test]
fn the_signing_request_that_was_sent_last_is_printed() {
    let mut host =
        Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..ProfileSpec::default() });
    host.entry("www", "");
    let said = host.says(&["csr", "www"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    host.start();
    host.wait_state("www", "pending");
    let (out, folder) = (host.says(&["csr", "www"]), host.path("state/pending/www/1"));
    assert!(out.err.contains("request 1, which is under way") && folder.exists(), "{out:?}");
    let first = out.out;
    assert!(first.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{first}");
    let id = host.certificate("www")["request_id"].as_str().unwrap().to_owned();
    assert!(host.simulator.approve(&id));
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert_eq!(host.says(&["once", "--wait", "60s"]).code, 0);
    let out = host.says(&["csr", "www"]);
    assert_eq!(out.out, first);
    assert!(out.err.contains("request 1, which has ended"), "{out:?}");
    assert!(!folder.exists());
    let json: serde_json::Value = serde_json::from_str(&host.says(&["csr", "www", "--json"]).out).unwrap();
    assert_eq!((json["attempt"].as_u64(), json["under_way"].as_bool()), (Some(1), Some(false)));
    assert_eq!(json["csr"].as_str().unwrap().trim_end(), first.trim_end());
}
