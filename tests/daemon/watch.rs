//! The watched directory: files that are dropped, changed and removed take effect without a signal; hints may be lost.

use std::fs;

use rustix::process::Signal;

use crate::host::Host;

#[test]
fn a_file_that_is_dropped_changed_or_renamed_over_takes_effect_by_itself() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    host.entry("mail", "");
    host.wait_state("mail", "valid");
    // As editors and configuration management do it: a new file is renamed over the old one.
    let text = host.read(&host.path("certs.d/mail.toml")).replace("mail.example.com", "post.example.com");
    host.write("mail.new", &text);
    fs::rename(host.path("mail.new"), host.path("certs.d/mail.toml")).unwrap();
    host.until("mail has its new name", || {
        let cert = host.read(&host.live("mail").join("cert.pem"));
        let leaf = pem::parse(cert).unwrap();
        leaf.contents().windows(16).any(|part| part == b"post.example.com").then_some(())
    });
    fs::remove_file(host.path("certs.d/mail.toml")).unwrap();
    host.until("mail is let go", || host.certificate("mail").is_null().then_some(()));
    assert!(host.live("mail").join("cert.pem").exists(), "its files stay");
    assert_eq!(host.submissions(), 3);
}

#[test]
fn a_bad_file_harms_nobody_and_its_mending_is_seen() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    host.write("certs.d/bad.toml", "[[certificate]]\nname = \"bad\"\nprofile = \"p\"\ncommon_nmae = \"a.b\"\n");
    let refused = host.until("the bad file is refused", || {
        let status = host.status();
        status["inventory"].as_array()?.iter().find(|file| file["state"] == "refused").cloned()
    });
    assert_eq!(refused["file"], "certs.d/bad.toml");
    assert!(refused["error"].as_str().unwrap().contains("common_nmae"), "{refused}");
    assert_eq!(host.certificate("www")["state"], "valid");
    host.entry("mail", "");
    host.wait_state("mail", "valid");
    fs::remove_file(host.path("certs.d/bad.toml")).unwrap();
    host.until("all is well", || (host.status()["healthy"] == true).then_some(()));
}

#[test]
fn a_directory_that_is_replaced_missing_or_a_symlink_is_followed() {
    let mut host = Host::with_www();
    fs::rename(host.path("certs.d"), host.path("first")).unwrap();
    std::os::unix::fs::symlink(host.path("first"), host.path("certs.d")).unwrap();
    host.start();
    host.wait_state("www", "valid");
    // The symlink is switched to another directory, as a deployment does it.
    fs::create_dir(host.path("second")).unwrap();
    fs::copy(host.path("first/www.toml"), host.path("second/www.toml")).unwrap();
    std::os::unix::fs::symlink(host.path("second"), host.path("link.new")).unwrap();
    fs::rename(host.path("link.new"), host.path("certs.d")).unwrap();
    host.entry("mail", "");
    host.wait_state("mail", "valid");
    // The directory goes away and comes back.
    fs::remove_file(host.path("certs.d")).unwrap();
    host.until("the loss is told", || host.log().contains("cannot be read").then_some(()));
    assert_eq!(host.certificate("mail")["state"], "valid", "a missing directory lets go of nothing");
    fs::rename(host.path("second"), host.path("certs.d")).unwrap();
    host.entry("web", "");
    host.wait_state("web", "valid");
    assert_eq!(host.submissions(), 3);
}

#[test]
fn many_changes_at_once_are_read_together() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    for number in 0..40 {
        host.entry(&format!("site-{number}"), "");
    }
    host.until("all are known", || (host.status()["certificates"].as_array().map_or(0, Vec::len) == 41).then_some(()));
    let read = host.log().matches("the inventory changed").count();
    assert!((1..=6).contains(&read), "{read} readings for 40 files");
    assert_eq!(host.end(Signal::TERM), Some(0));
}

/// A directory that loses its last file is more often a mistake than a wish: SIGHUP confirms it.
#[test]
fn the_watch_alone_does_not_let_the_last_certificate_go() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    fs::remove_file(host.path("certs.d/www.toml")).unwrap();
    let status =
        host.until("the loss is a problem", || Some(host.status()).filter(|status| status["healthy"] == false));
    assert!(status["problems"][0]["message"].as_str().unwrap().contains("systemctl reload"), "{status}");
    assert_eq!(host.certificate("www")["state"], "valid");
    host.signal(Signal::HUP);
    host.until("it is let go", || host.certificate("www").is_null().then_some(()));
    host.until("all is well", || (host.status()["healthy"] == true).then_some(()));
}
