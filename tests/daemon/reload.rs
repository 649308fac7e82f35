//! SIGHUP: each file is taken or refused whole; what is refused stays as it was; what is removed is let go.

use rustix::process::Signal;

use crate::host::Host;

#[test]
fn added_removed_and_broken_files_at_reload() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    host.entry("mail", "");
    host.signal(Signal::HUP);
    host.wait_state("mail", "valid");
    host.write("certs.d/www.toml", "nonsense");
    host.signal(Signal::HUP);
    host.until("the file is refused", || (host.status()["healthy"] == false).then_some(()));
    assert_eq!(host.certificate("www")["state"], "valid", "its last good content stays in force");
    std::fs::remove_file(host.path("certs.d/mail.toml")).unwrap();
    host.signal(Signal::HUP);
    host.until("mail is let go", || host.certificate("mail").is_null().then_some(()));
    host.live_serial("mail");
    host.entry("www", "");
    host.signal(Signal::HUP);
    host.until("all is well", || (host.status()["healthy"] == true).then_some(()));
    assert_eq!(host.submissions(), 2);
}

#[test]
fn a_bad_main_file_at_reload_changes_nothing_and_is_a_problem() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    host.configure("nonsense = 1\n", "");
    host.signal(Signal::HUP);
    host.until("the problem shows", || host.log().contains("unknown key").then_some(()));
    host.configure("", "");
    let status = host
        .until("it is in the status", || Some(host.status()).filter(|status| status["config"]["state"] == "refused"));
    assert_eq!(status["problems"][0]["code"], "config-refused");
    host.signal(Signal::HUP);
    host.until("it is mended", || (host.status()["config"]["state"] == "loaded").then_some(()));
}
