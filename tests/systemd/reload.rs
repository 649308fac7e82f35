//! Reload: by `systemctl reload`, and by files alone; good ones and bad ones.

use crate::host::{Host, RENEWD};
use crate::machine;

/// Reloads, and waits until systemd heard that it is over.
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
