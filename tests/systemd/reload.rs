//! Reload: by `systemctl reload`, and by files alone; good ones and bad ones.

use crate::host::{Host, RENEWD};
use crate::machine;

fn reload(host: &Host) {
    host.sh("systemctl reload renewd");
}

#[test]
fn systemctl_reload_brings_a_certificate_and_a_bad_file_harms_nobody() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    let pid = host.main_pid();
    host.write("/etc/renewd/certs.d/broken.toml", 0o644, "[[certificate]]\nname = \"broken\"\nprofil = \"Example\"\n");
    host.entry("mail", "");
    reload(&host);
    host.wait_state("mail", "valid");
    assert_eq!(host.certificate("www")["state"], "valid");
    host.until("systemd shows the trouble", |_| host.status_text().contains("broken.toml").then_some(()));
    let said = host.run(&["renewd", "status"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(host.log(RENEWD).contains("broken.toml"), "{}", host.log(RENEWD));
    host.sh("rm /etc/renewd/certs.d/broken.toml");
    reload(&host);
    host.until("the trouble is over", |_| (host.status_text() == "2 valid").then_some(()));
    assert_eq!(host.main_pid(), pid, "it is the same process");
    assert_eq!(host.submissions(), 2);
}

#[test]
fn a_bad_main_file_changes_nothing_and_is_shown() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.configure("nonsense = 1\n");
    reload(&host);
    host.until("systemd shows the trouble", |_| host.status_text().contains("nonsense").then_some(()));
    assert_eq!(host.certificate("www")["state"], "valid");
    host.configure("");
    reload(&host);
    host.until("the trouble is over", |_| (host.status_text() == "1 valid").then_some(()));
}

/// systemd's own record of what it was told.
#[test]
fn systemd_is_told_when_a_reload_begins_and_when_it_is_over() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh("systemctl log-level debug");
    reload(&host);
    let told = host.until("the reload is over", |host| {
        let journal = host.journal();
        let begin = journal.find("RELOADING=1")?;
        journal[begin..].contains("READY=1").then(|| journal[begin..].to_owned())
    });
    assert!(told.lines().next().unwrap().contains("MONOTONIC_USEC="), "{told}");
    host.until("it is active again", |host| (host.property(RENEWD, "ActiveState") == "active").then_some(()));
}

/// Nothing but the file: the directory is watched from inside the sandbox.
#[test]
fn a_file_that_is_dropped_takes_effect_by_itself_good_or_bad() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.entry("mail", "");
    host.wait_state("mail", "valid");
    host.write("/etc/renewd/certs.d/mail.toml", 0o644, "[[certificate]\n");
    host.until("systemd shows the trouble", |_| host.status_text().contains("mail.toml").then_some(()));
    assert_eq!(host.certificate("mail")["state"], "valid", "what the file said before stays in force");
    host.sh("rm /etc/renewd/certs.d/mail.toml");
    host.until("the entry is let go", |_| (host.status_text() == "1 valid").then_some(()));
    host.sh("test -e /var/lib/renewd/certs/mail/live/privkey.pem");
}

/// systemd made its copy at the start: only a restart brings the new key.
#[test]
fn a_changed_credential_needs_a_restart_and_reload_says_so() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh("cp -p /etc/renewd/api-key /srv/good && echo other-key > /etc/renewd/api-key");
    reload(&host);
    host.until("systemd shows the trouble", |_| host.status_text().contains("api-key").then_some(()));
    assert!(host.run(&["renewd", "status"]).out.contains("systemctl restart renewd"));
    host.entry("mail", "");
    host.wait_state("mail", "valid");
    host.sh("cp -p /srv/good /etc/renewd/api-key && systemctl restart renewd");
    host.until("the trouble is over", |_| (host.status_text() == "2 valid").then_some(()));
}
