//! Starting, issuing, the status line, stopping, and a second daemon.

use std::time::{Duration, Instant};

use crate::host::{Host, RENEWD};
use crate::machine;

#[test]
fn the_service_starts_issues_and_tells_how_things_stand() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.until("systemd shows the count", |_| (host.status_text() == "1 valid").then_some(()));
    let shown = host.run(&["systemctl", "status", "--no-pager", "renewd"]).out;
    assert!(shown.contains("Status: \"1 valid\""), "{shown}");
    assert_eq!(host.property(RENEWD, "WatchdogUSec"), "2min");
    let files = host.sh("cd /var/lib/renewd/certs/www/live && stat -Lc '%n %U:%G %a' * | grep pem");
    assert_eq!(
        files,
        "cert.pem renewd:renewd 644\nchain.pem renewd:renewd 644\nfullchain.pem renewd:renewd 644\n\
         privkey.pem renewd:renewd 600\n"
    );
}

/// The key's file is root's alone: what the service used can only be systemd's copy.
#[test]
fn the_api_key_comes_as_a_credential() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    assert_eq!(host.sh("stat -c '%U:%G %a' /etc/renewd/api-key"), "root:root 600\n");
    assert_ne!(host.as_renewd(&["cat", "/etc/renewd/api-key"]).code, 0);
    let key = host.sh("cat /etc/renewd/api-key");
    let pid = host.main_pid();
    let environment = host.sh(&format!("tr '\\0' '\\n' < /proc/{pid}/environ"));
    assert!(environment.contains("CREDENTIALS_DIRECTORY=/run/credentials/renewd.service"), "{environment}");
    let everywhere = format!("{environment}{}{}", host.sh(&format!("cat /proc/{pid}/cmdline")), host.journal());
    assert!(!everywhere.contains(key.trim()), "the key is shown");
}

/// The start and `check` name the file that the operator writes, and never systemd's copy.
#[test]
fn with_a_bad_key_the_start_fails_and_check_says_the_same() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.entry("www", "");
    for (script, why) in [
        ("rm /etc/renewd/api-key", "does not exist"),
        ("install -m 0600 /dev/null /etc/renewd/api-key", "is empty; it must hold the API key"),
        ("printf 'a\\nb\\n' > /etc/renewd/api-key", "has several lines"),
        (
            "install -m 0644 /srv/sim/api-key /etc/renewd/api-key && chmod 0755 /etc/renewd",
            "may be opened by everybody (mode 0644); run: chmod 0600 /etc/renewd/api-key",
        ),
    ] {
        host.sh(script);
        assert_ne!(host.run(&["systemctl", "start", "renewd"]).code, 0, "{why}");
        let (log, expected) = (host.log(RENEWD), format!("/etc/renewd/api-key: {why}"));
        assert!(log.contains(&expected), "{expected}: {log}");
        assert_eq!(host.property(RENEWD, "ExecMainStatus"), "78");
        for command in ["check", "once"] {
            let said = host.run(&["renewd", command]);
            assert_eq!(said.code, 78, "{command}: {said:?}");
            assert!(said.err.contains(&expected), "{command}: {expected}: {said:?}");
        }
        assert!(host.run(&["renewd", "status"]).out.contains("/etc/renewd/api-key"), "{why}");
    }
    // What it says to do helps, and what the service is handed root's commands read as well.
    host.sh("chmod 0600 /etc/renewd/api-key && renewd check && renewd once && renewd renew www");
    assert_eq!(host.sh("stat -Lc %U /var/lib/renewd/certs/www/live/privkey.pem"), "renewd\n");
    host.start();
    host.wait_state("www", "valid");
}

/// A drop-in may have the key elsewhere.
#[test]
fn check_reads_the_file_that_the_unit_names() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh("mv /etc/renewd/api-key /srv/key");
    assert_eq!(host.run(&["renewd", "check"]).code, 78);
    host.drop_in("LoadCredential=api-key:/srv/key");
    let said = host.run(&["renewd", "check"]);
    assert_eq!(said.code, 0, "{said:?}");
    host.sh("systemctl restart renewd");
}

/// Green is only what renews: an enabled service that is stopped or failed is missed, one that nobody enabled is not.
#[test]
fn status_misses_the_service_that_should_run_and_does_not() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh("systemctl enable renewd");
    let says = |code: i32, parts: &[&str]| {
        let said = host.run(&["renewd", "status"]);
        assert_eq!(said.code, code, "{said:?}");
        let shown = format!("{}{}", said.err, said.out);
        parts.iter().for_each(|part| assert!(shown.contains(part), "{part}: {shown}"));
    };
    says(0, &["No problems."]);
    let missed = "renewd is NOT running, and should be: nothing is renewed";
    host.sh("systemctl stop renewd");
    says(3, &[missed, "PROBLEM daemon-down: renewd.service is enabled, but stopped", "run: systemctl start renewd"]);
    host.sh("systemctl disable renewd");
    says(0, &["renewd is not running; showing state from disk:"]);
    host.sh("systemctl enable renewd; install -m 0600 /dev/null /etc/renewd/api-key; systemctl start renewd || true");
    says(3, &[missed, "renewd.service is enabled, but failed (exit status 78)", "fix: run `renewd check`"]);
    host.sh("install -m 0600 /srv/sim/api-key /etc/renewd/api-key; systemctl start renewd");
    host.until("it runs again", |host| (host.run(&["renewd", "status"]).code == 0).then_some(()));
}

/// A hook that hangs is ended within the time, and owed afterwards.
#[test]
fn it_stops_within_five_seconds_and_a_running_hook_stays_owed() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.configure("[hook.slow]\ncommand = [\"/usr/bin/sleep\", \"600\"]\ntimeout = \"10min\"\n");
    host.entry("www", "hooks = [\"slow\"]");
    host.start();
    let hook = || host.run(&["pgrep", "--full", "sleep 600"]).out;
    host.until("the hook runs", |_| (!hook().is_empty()).then_some(()));
    let begun = Instant::now();
    host.sh("systemctl stop renewd");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(hook(), "");
    assert_eq!(host.property(RENEWD, "Result"), "success");
    assert_eq!(host.certificate("www")["state"], "deploying");
    host.start();
    host.until("the hook runs again", |_| (!hook().is_empty()).then_some(()));
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_second_daemon_is_refused_by_the_name_of_the_first() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh("install -o renewd -m 0600 /etc/renewd/api-key /srv/api-key");
    let second = host.as_renewd(&["env", "CREDENTIALS_DIRECTORY=/srv", "renewd", "run"]);
    assert_eq!(second.code, 75, "{second:?}");
    let first = format!("pid {}, unit renewd.service", host.main_pid());
    assert!(second.err.contains(&first), "{second:?}");
}

/// Bad configuration: no restart can mend it.
#[test]
fn bad_configuration_at_the_start_is_not_tried_again() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.configure("nonsense = 1\n");
    assert_ne!(host.run(&["systemctl", "start", "renewd"]).code, 0);
    let shown = ["ActiveState", "ExecMainStatus", "NRestarts"].map(|property| host.property(RENEWD, property));
    assert_eq!(shown, ["failed", "78", "0"]);
    assert!(host.log(RENEWD).contains("unknown key"), "{}", host.log(RENEWD));
}

/// Somebody of the group that `control_group` names, which the service is no member of, and who cannot read its
/// configuration.
#[test]
fn a_member_of_the_control_group_reads_the_status() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.write("/usr/lib/sysusers.d/ann.conf", 0o644, "g ops -\nu ann -\nm ann ops\nu bob -\n");
    host.sh("systemd-sysusers");
    let text = host.sh("cat /etc/renewd/renewd.toml");
    host.write("/etc/renewd/renewd.toml", 0o640, &format!("control_group = \"ops\"\n{text}"));
    host.sh("chgrp renewd /etc/renewd/renewd.toml");
    host.entry("www", "");
    host.start();
    host.wait_state("www", "valid");
    let asked =
        |user: &str| host.run(&["setpriv", "--reuid", user, "--regid", user, "--init-groups", "renewd", "status"]);
    let told = host.until("ann may ask", |_| Some(asked("ann")).filter(|said| said.code == 0));
    assert!(told.out.contains("www"), "{told:?}");
    assert_ne!(asked("bob").code, 0);
    let renewed = host.run(&["setpriv", "--reuid", "ann", "--regid", "ann", "--init-groups", "renewd", "renew", "www"]);
    assert_ne!(renewed.code, 0, "{renewed:?}");
    assert_eq!(host.submissions(), 1);
}

/// What an event names is a field of the journal, beside the text as it was.
#[test]
fn the_journal_finds_the_entries_of_a_certificate() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.entry("mail", "hooks = [\"bad\"]\n[hook.bad]\ncommand = [\"/bin/false\"]\n");
    host.wait_state("mail", "failing");
    let found = |matches: &[&str]| {
        let mut words = vec!["journalctl", "--no-pager", "--output=cat", "_SYSTEMD_UNIT=renewd.service"];
        words.extend(matches);
        host.run(&words).out
    };
    let www =
        host.until("it is written", |_| Some(found(&["CERTIFICATE=www"])).filter(|text| text.contains("installed")));
    assert!(www.lines().all(|line| line.starts_with("certificate{name=www}: ")), "{www}");
    let failed = host.until("the failure is", |_| Some(found(&["CODE=hook-failed"])).filter(|text| !text.is_empty()));
    assert!(failed.lines().all(|line| line.contains("name=mail") && line.contains("code=\"hook-failed\"")), "{failed}");
    assert_eq!(found(&["CODE=hook-failed", "PRIORITY=6"]), "");
    assert!(found(&["STATE=failing", "PRIORITY=4"]).contains("mail"));
    assert!(host.log(RENEWD).contains("ready: "), "what names no certificate is there, too");
}
