//! The API key as the packaged unit delivers it: a file that root alone reads, and a copy that systemd makes at the start.
//! What the service will refuse, `check` finds before, and both name the file that the operator edits.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Host, Said};

/// A host whose configuration names no key, with the key beside it in a folder that everybody may search.
fn host() -> Host {
    let host = Host::with_www();
    host.configure("", "# no api_key_file\n");
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    host
}

/// Puts the key's file there, and systemd's copy of it.
fn deliver(host: &Host, content: Option<&str>, mode: u32) -> PathBuf {
    drop(fs::remove_file(host.path("api-key")));
    if let Some(content) = content {
        host.write("api-key", content);
        fs::set_permissions(host.path("api-key"), fs::Permissions::from_mode(mode)).unwrap();
    }
    drop(fs::create_dir(host.path("copies")));
    host.write("copies/api-key", content.unwrap_or("\n"));
    host.path("copies")
}

fn starts(host: &Host, copies: &PathBuf) -> Said {
    let output = host.command().arg("run").env("CREDENTIALS_DIRECTORY", copies).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

fn problem(host: &Host, code: &str) -> Option<Value> {
    host.status()["problems"].as_array()?.iter().find(|problem| problem["code"] == code).cloned()
}

#[test]
fn what_the_start_refuses_check_refuses_by_the_file_that_the_operator_edits() {
    let host = host();
    let file = host.path("api-key").display().to_string();
    for (content, mode, why) in [
        (None, 0o600, "does not exist"),
        (Some(""), 0o600, "is empty"),
        (Some("one\ntwo\n"), 0o600, "has several lines"),
        (Some("one"), 0o644, "may be opened by everybody (mode 0644); run: chmod 0600"),
    ] {
        let copies = deliver(&host, content, mode);
        // Without one beside renewd.toml it is the usual one that is missed.
        let file = content.map_or("/etc/renewd/api-key", |_| &file);
        let expected = format!("{file}: {why}");
        let start = starts(&host, &copies);
        assert_eq!(start.code, 78, "{start:?}");
        assert!(start.err.contains(&expected) && !start.err.contains("copies"), "{expected}: {}", start.err);
        for arguments in [&["check"][..], &["check", "--online"]] {
            let said = host.says(arguments);
            assert_eq!(said.code, 78, "{said:?}");
            assert!(said.err.contains(&expected) || said.out.contains(&expected), "{expected}: {said:?}");
        }
    }
    deliver(&host, Some(&host.simulator.api_key()), 0o600);
    assert_eq!(host.says(&["check"]).code, 0);
}

/// A mode changes without a reload.
#[test]
fn a_key_that_others_can_read_is_a_problem_while_the_daemon_runs() {
    let mut host = host();
    let copies = deliver(&host, Some(&host.simulator.api_key()), 0o600);
    host.environment.push(("CREDENTIALS_DIRECTORY".to_owned(), copies.display().to_string()));
    host.start();
    host.wait_state("www", "valid");
    let key = host.path("api-key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = problem(&host, "credential-exposed").unwrap();
    assert!(told["message"].as_str().unwrap().contains("may be opened by everybody"), "{told:#}");
    assert!(told["remedy"].as_str().unwrap().starts_with(&format!("run: chmod 0600 {}", key.display())), "{told:#}");
    assert_eq!(host.says(&["status"]).code, 1);
    host.signal(Signal::HUP);
    host.until("the reload is over", || host.log().contains("reloading").then_some(()));
    assert_eq!(host.certificate("www")["state"], "valid", "the key in use goes on");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    host.until("it is well again", || problem(&host, "credential-exposed").is_none().then_some(()));
    host.signal(Signal::HUP);
    host.until("nothing is left of it", || (host.status()["healthy"] == true).then_some(()));
    // The same of a file that the configuration names.
    host.configure("", "");
    host.signal(Signal::HUP);
    host.until("the file is used", || (host.status()["credentials"][0]["name"] != "api-key").then_some(()));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(problem(&host, "credential-exposed").is_some());
    host.end(Signal::TERM);
    assert!(problem(&host, "credential-exposed").is_some(), "also where the files alone tell");
}

/// As the package lays it out: the key is root's, and everything else the service's to read.
#[test]
fn root_reads_the_key_for_the_service_before_it_becomes_its_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can hand files to another user");
        return;
    }
    let host = host();
    deliver(&host, Some(&host.simulator.api_key()), 0o600);
    fs::create_dir(host.path("state")).unwrap();
    for name in ["state", "certs.d", "certs.d/www.toml", "renewd.toml", "root.pem"] {
        chown(host.path(name), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    let said = host.says(&["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(host.certificate("www")["generation"], 2);
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(fs::metadata(host.live("www").join("privkey.pem")).unwrap().uid(), SERVICE, "it wrote as the service");
    fs::set_permissions(host.path("api-key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = host.says(&["once"]);
    assert_eq!(said.code, 78, "{said:?}");
    assert!(said.err.contains("chmod 0600"), "{said:?}");
    assert!(problem(&host, "credential-exposed").is_some());
}

/// What root could read, the daemon cannot.
#[test]
fn a_plan_that_root_asks_for_is_the_one_that_the_service_would_make() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can hand files to another user");
        return;
    }
    let host = host();
    host.entry("mail", "");
    fs::create_dir(host.path("state")).unwrap();
    for name in ["state", "certs.d", "certs.d/www.toml", "renewd.toml"] {
        chown(host.path(name), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    let said = host.says(&["plan"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("www") && said.out.contains("refused: certs.d/mail.toml"), "{}", said.out);
    assert!(said.out.contains("cannot be read: Permission denied"), "{}", said.out);
}

/// Nobody, by number.
const SERVICE: u32 = 65534;
