//! `renewd check --online`: each thing that a renewal needs, broken one at a time.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::files::Targets;
use crate::host::{Host, Said};
use crate::simulator::{AttributeSpec, Endpoint, Fault, FaultKind, ProfileSpec, RetryAfter};

fn check(host: &Host) -> (i32, Value) {
    let Said { code, out, err } = host.says(&["check", "--online", "--json"]);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

fn failed(report: &Value) -> Vec<Value> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().filter(|finding| finding["state"] == "failed").cloned().collect()
}

/// A host on which every check is made: a hook, a probe that is listened for, an owner, a target.
struct Full {
    host: Host,
    targets: Targets,
    listener: TcpListener,
    entry: String,
}

impl Full {
    fn new() -> Self {
        let (host, targets) =
            (Host::new(ProfileSpec { allows_duplicates: false, ..ProfileSpec::default() }), Targets::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = targets.path("hook");
        fs::write(&hook, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let entry = format!(
            "hooks = [\"tell\"]\nprobe = \"{}\"\ngroup = \"0\"\n[certificate.files]\nprivate_key = {:?}\n\
             [hook.tell]\ncommand = [{:?}]\n",
            listener.local_addr().unwrap(),
            targets.path("www.key"),
            hook
        );
        fs::create_dir(host.path("state")).unwrap();
        let full = Self { host, targets, listener, entry };
        full.write("");
        full
    }

    fn write(&self, more: &str) {
        self.host.entry("www", &format!("{more}{}", self.entry));
    }

    /// Breaks one thing: that check fails, with what to do, and no other.
    #[track_caller]
    fn fails(&self, check_name: &str, message: &str, remedy: &str) {
        let (code, report) = check(&self.host);
        let failed = failed(&report);
        assert_eq!((code, &report["ok"]), (1, &false.into()), "{message}: {report:#}");
        let [finding] = failed.as_slice() else { panic!("{message}: {failed:#?}") };
        assert_eq!(finding["check"], check_name, "{finding:#}");
        assert!(finding["message"].as_str().unwrap().contains(message), "{message}: {finding:#}");
        assert!(finding["remedy"].as_str().unwrap().contains(remedy), "{remedy}: {finding:#}");
        let said = self.host.says(&["check", "--online"]);
        assert_eq!(said.code, 1);
        let lines: Vec<&str> = said.out.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("FAILED")).unwrap();
        assert!(lines[at].contains(message) && lines[at + 1].contains("fix:"), "{}", said.out);
    }
}

#[test]
fn everything_good_is_a_line_each_with_the_daemon_up_and_down() {
    let mut full = Full::new();
    let mut before = Vec::new();
    for is_up in [false, true] {
        if is_up {
            full.host.start();
            full.host.wait_state("www", "deploying");
        }
        let (code, report) = check(&full.host);
        assert_eq!((code, failed(&report).len()), (0, 0), "{report:#}");
        let findings = report["findings"].as_array().unwrap();
        let checks: Vec<String> =
            findings.iter().map(|finding| finding["check"].as_str().unwrap().to_owned()).collect();
        let of_account = ["api", "clock", "key", "roles", "profile", "entry"];
        let of_daemon: &[&str] = if is_up { &["daemon"] } else { &[] };
        let wanted = [&of_account[..], of_daemon, &["owner", "target", "hook", "probe"]].concat();
        assert_eq!(checks, wanted, "{report:#}");
        if !is_up {
            before = fs::read_dir(full.targets.path("")).unwrap().map(|found| found.unwrap().file_name()).collect();
        }
    }
    let after: Vec<_> = fs::read_dir(full.targets.path("")).unwrap().map(|found| found.unwrap().file_name()).collect();
    assert!(before.iter().all(|name| after.contains(name)), "what was tried is taken back: {after:?}");
    assert_eq!(full.host.simulator.count("POST", ""), full.host.submissions(), "check asks for nothing");
}

#[test]
fn what_tlm_would_refuse_is_found_before_it_is_asked_for() {
    let full = Full::new();
    let (host, profile) = (&full.host, full.host.profile.clone());
    host.simulator.change(|state| state.roles = vec!["EM_EPKI_AUDITOR".to_owned()]);
    full.fails("roles", "none of its roles issues certificates: EM_EPKI_AUDITOR", "EM_EPKI_USER_&_CERT_MANAGER");
    host.simulator.change(|state| state.roles = vec!["EM_EPKI_USER_&_CERT_MANAGER".to_owned()]);
    let change = |change: fn(&mut ProfileSpec)| host.simulator.change_profile(&profile, change);
    change(|profile| profile.status = "Suspended".to_owned());
    full.fails("profile", "its status is \"Suspended\", not Active", "change the profile in TLM");
    change(|profile| (profile.status, profile.enrollment_method) = ("Active".to_owned(), "scep".to_owned()));
    full.fails("profile", "its enrollment method is \"scep\"", "change the profile in TLM");
    change(|profile| profile.enrollment_method = "rest_api".to_owned());
    change(|profile| profile.authentication_method = "enrollment_code".to_owned());
    full.fails("profile", "its authentication method is \"enrollment_code\"", "change the profile in TLM");
    change(|profile| profile.authentication_method = "third_party_app".to_owned());
    change(|profile| profile.subject.push(AttributeSpec::mandatory("organization_identifier")));
    full.fails("entry", "requires subject attribute organization_identifier", "change the entry");
    change(|profile| drop(profile.subject.pop()));
    full.write("renew_before = \"31d\"\n");
    full.fails("renewal", "`renew_before` is 31 d, but TLM renews only in the last 30 d, since", "\"30d\"");
    full.write("request_method = \"new\"\n");
    full.fails("renewal", "no second certificate while one is valid", "remove `request_method`");
    full.write("profile = \"Nobody's\"\n");
    full.fails("profile", "is named \"Nobody's\"", "write the profile's id");
    full.write("");
    let key = host.simulator.api_key();
    host.simulator.revoke_key(&key);
    full.fails("key", "did not accept", "put a valid API key");
    host.simulator.restore_key(&key);
    host.simulator.fault(Fault::new(FaultKind::DateShifted(3600)));
    full.fails("clock", "this host's clock is", "correct the clock");
    host.simulator.clear_faults();
    assert_eq!(check(host).0, 0, "all is mended");
}

#[test]
fn an_api_that_does_not_answer_is_one_line() {
    let mut full = Full::new();
    full.host.simulator.stop();
    full.fails("api", "no connection", "check `api.url`");
}

#[test]
fn what_the_host_lacks_is_found_before_it_is_needed() {
    let full = Full::new();
    full.host.entry("www", &full.entry.replace("group = \"0\"", "group = \"no-such-group\""));
    full.fails("owner", "there is no group \"no-such-group\"", "create it, or change certs.d/www.toml line 1");
    full.write("");
    let hook = full.targets.path("hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    full.fails("hook", "has no execute bit", "run: chmod a+rx");
    fs::remove_file(&hook).unwrap();
    full.fails("hook", "cannot stat", "fix the path in `command`");
    fs::create_dir(&hook).unwrap();
    full.fails("hook", "is not a file", "fix the path in `command`");
    fs::remove_dir(&hook).unwrap();
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let target = full.targets.path("www.key").display().to_string();
    full.host.entry("www", &full.entry.replace(&target, "/tmp/www.key"));
    full.fails("target", "everybody may write to /tmp above it", "name another target");
    full.write("");
    let address = full.listener.local_addr().unwrap();
    let Full { host, targets, listener, entry } = full;
    drop(listener);
    let full = Full { host, targets, listener: TcpListener::bind("127.0.0.1:0").unwrap(), entry };
    full.fails("probe", "cannot connect", "start the service");
    assert!(full.host.says(&["check", "--online"]).out.contains(&address.to_string()));
}

#[test]
fn bad_files_are_told_as_ever_and_the_rest_is_still_checked() {
    let full = Full::new();
    full.host.entry("typo", "seet = \"x\"\n");
    let said = full.host.says(&["check", "--online"]);
    assert_eq!(said.code, 78);
    assert!(said.err.contains("certs.d/typo.toml:6:1") && said.err.contains("1 problem"), "{}", said.err);
    assert!(said.out.contains("ok      entry    www:"), "{}", said.out);
    let (code, report) = check(&full.host);
    assert_eq!((code, failed(&report)[0]["check"].as_str()), (78, Some("file")), "{report:#}");
    let offline = full.host.says(&["check", "--json"]);
    let report: Value = serde_json::from_str(&offline.out).unwrap();
    assert_eq!((offline.code, report["findings"].as_array().unwrap().len()), (78, 1), "{report:#}");
}

/// The daemon alone knows what its sandbox lets it do: what it says is shown, and nothing else is tried.
#[test]
fn the_daemon_is_asked_where_one_listens() {
    let full = Full::new();
    let socket = UnixListener::bind(full.host.path("control.sock")).unwrap();
    let answer = json!({"certificates": ["www"], "findings": [{
        "check": "target", "subject": "www", "state": "failed", "message": "told by the daemon", "remedy": "do this",
    }]});
    let asked = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for _ in 0..4 {
            let (stream, _) = socket.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            writeln!(&stream, "{answer}").unwrap();
            lines.push(line);
        }
        lines
    });
    full.fails("target", "told by the daemon", "do this");
    let asked: Vec<Value> = asked.join().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        asked[..2],
        ["inspect", "api-checked"].map(|command| json!({"command": command})),
        "and once more as text"
    );
}

/// What root may do says nothing of what the service may.
#[test]
fn root_checks_as_the_services_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    let mut full = Full::new();
    let hook = full.host.path("hook");
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let old_hook = full.targets.path("hook").display().to_string();
    full.entry = full.entry.replace(&old_hook, &hook.display().to_string()).replace("group = \"0\"\n", "");
    full.write("");
    fs::set_permissions(full.host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let own = |full: &Full| {
        for name in ["state", "renewd.toml", "certs.d", "certs.d/www.toml", "api-key", "root.pem"] {
            chown(full.host.path(name), Some(65534), Some(65534)).unwrap();
        }
    };
    own(&full);
    let folder = full.targets.path("").display().to_string();
    full.fails(
        "target",
        "cannot write a file in",
        &format!("run: setfacl -m u:65534:rwx {}", folder.trim_end_matches('/')),
    );
    full.entry = full.entry.replace(&full.targets.path("www.key").display().to_string(), "/srv/www.key");
    full.entry = full.entry.replace("[certificate.files]\nprivate_key = \"/srv/www.key\"\n", "");
    full.write("");
    own(&full);
    assert_eq!(check(&full.host).0, 0, "{:#}", check(&full.host).1);
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
    full.fails("hook", "may not be run by user 65534", "run: chmod a+rx");
}

/// A key's end is found in the account's list, among the ends of others, where the key is not told its own.
#[test]
fn the_end_of_a_key_is_looked_up_where_tlm_does_not_tell_the_key() {
    let host = Host::with_www();
    host.entry("www", "");
    host.simulator.change_variants(|variants| variants.me_hides_end = true);
    host.simulator.add_key();
    let in_days = |days: i64| jiff::Timestamp::now().as_second() + days * 86_400;
    host.simulator.change(|state| {
        state.keys[0].not_after = Some(in_days(5));
        state.keys[1].not_after = Some(in_days(400));
    });
    let of_key = |report: &Value| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["check"] == "key").unwrap().clone()
    };
    let (_, report) = check(&host);
    let key = of_key(&report);
    assert_eq!(key["state"], "warning", "{key}");
    assert!(key["message"].as_str().unwrap().contains(" expires at "), "{key}");

    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Tokens));
    let (_, report) = check(&host);
    assert_eq!(of_key(&report)["message"], "accepted; TLM reports no expiry date", "{report}");
}
