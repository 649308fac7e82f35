//! SIGHUP: each file is taken or refused whole; what is refused stays as it was; what is removed is let go.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::Host;
use crate::simulator::{Options, ProfileSpec, Simulator};

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn scrape(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn outdated(host: &Host) -> Option<Value> {
    host.status()["problems"].as_array()?.iter().find(|problem| problem["code"] == "config-outdated").cloned()
}

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

/// Another API with its own key and root, another address for the metrics, another level, and another socket.
#[test]
fn a_reload_takes_what_says_how_the_daemon_asks_listens_and_logs() {
    let mut host = Host::with_www();
    let (first, second) = (free_address(), free_address());
    host.configure(&format!("[metrics]\nlisten = \"{first}\"\n"), "");
    host.start();
    host.wait_state("www", "valid");
    host.until("the metrics are at the first address", || scrape(first));
    assert!(!host.log().contains("DEBUG"));
    let other = Simulator::start(Options::default());
    let profile = other.add_profile(ProfileSpec::default());
    let folder = host.path("").display().to_string();
    host.write("other.pem", &other.ca_pem());
    host.write("other-key", &other.api_key());
    host.write(
        "renewd.toml",
        &format!(
            "inventory = \"{folder}certs.d\"\nstate_dir = \"{folder}state\"\ncontrol_socket = \"{folder}other.sock\"\n\
             keep_generations = 2\n\
             [api]\nurl = \"{}\"\nca_file = \"{folder}other.pem\"\napi_key_file = \"{folder}other-key\"\n\
             [metrics]\nlisten = \"{second}\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n",
            other.url()
        ),
    );
    host.signal(Signal::HUP);
    host.until("the daemon answers at the new socket", || (host.status()["api"]["url"] == other.url()).then_some(()));
    assert!(!host.path("control.sock").exists(), "and not at the old one");
    host.until("the metrics are at the second address", || scrape(second));
    host.until("and not at the first", || scrape(first).is_none().then_some(()));
    host.until("it logs more, and otherwise", || host.log().contains("{\"timestamp\"").then_some(()));
    host.until("down to the level that is wanted", || host.log().contains("\"level\":\"DEBUG\"").then_some(()));
    let status = host.status();
    assert_eq!((&status["config"]["state"], outdated(&host)), (&"loaded".into(), None), "{status:#}");
    host.entry("mail", &format!("profile = {profile:?}\n"));
    host.until("the new API issued", || (host.certificate("mail")["state"] == "valid").then_some(()));
    assert_eq!((host.submissions(), other.issued().len()), (1, 1), "each was asked once");
    let said = host.says(&["check", "--online"]);
    assert!(said.out.contains(&format!("{}: the daemon (pid {}) asks it with ", other.url(), host.pid())), "{said:?}");
    // Nothing is shown where nothing is wanted.
    let text = host.read(&host.path("renewd.toml")).replace(&format!("[metrics]\nlisten = \"{second}\"\n"), "");
    host.write("renewd.toml", &text);
    host.signal(Signal::HUP);
    host.until("the metrics are nowhere", || scrape(second).is_none().then_some(()));
}

#[test]
fn what_needs_a_restart_is_told_with_both_values() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    let good = host.read(&host.path("renewd.toml"));
    host.write("renewd.toml", &good.replace("/state\"", "/moved\""));
    host.signal(Signal::HUP);
    let told = host.until("it is told", || outdated(&host));
    let message = told["message"].as_str().unwrap();
    for part in ["`state_dir`", "/state\" is in force", "/moved\" is in the file"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(told["remedy"].as_str().unwrap().contains("systemctl restart renewd"), "{told:#}");
    assert_eq!(host.status()["config"]["state"], "outdated");
    let said = host.says(&["check", "--online"]);
    assert!(said.out.contains("warning daemon") && said.out.contains("`state_dir`"), "{said:?}");
    host.write("renewd.toml", &good);
    host.signal(Signal::HUP);
    host.until("all is in force", || (host.status()["config"]["state"] == "loaded").then_some(()));
}

/// The old socket's file and the new one's are one name: who closes the old one leaves the new one.
#[test]
fn a_socket_under_another_spelling_of_its_path_stays() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    std::os::unix::fs::symlink(host.path(""), host.path("here")).unwrap();
    let (old, new) = (host.path("control.sock"), host.path("here/control.sock"));
    let inode = || std::fs::symlink_metadata(&old).ok().map(|found| found.ino());
    let before = inode();
    let text = host.read(&host.path("renewd.toml"));
    host.write("renewd.toml", &text.replace(old.to_str().unwrap(), new.to_str().unwrap()));
    host.signal(Signal::HUP);
    host.until("there is another socket", || inode().filter(|_| inode() != before));
    host.until("it answers", || host.says(&["status"]).err.is_empty().then_some(()));
    host.signal(Signal::HUP);
    host.until("it hears", || (host.log().matches("reloading").count() > 1).then_some(()));
    assert!(inode().is_some() && host.says(&["status"]).err.is_empty(), "{}", host.log());
}

/// What is written is not in force before a reload, and the status does not say that it is.
#[test]
fn a_file_that_was_written_and_not_loaded_is_not_called_loaded() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    let good = host.read(&host.path("renewd.toml"));
    host.write("renewd.toml", &good.replace("[api]\n", "[api]\ntimeout = \"7s\"\n"));
    let told = outdated(&host).unwrap();
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("`api.timeout`: 30 s is in force, 7 s is in the file"), "{message}");
    assert!(told["remedy"].as_str().unwrap().contains("systemctl reload renewd"), "{told:#}");
    host.write("renewd.toml", "nonsense = 1\n");
    let told = outdated_by_file(&host);
    assert!(told.contains("would be refused") && told.contains("nonsense"), "{told}");
    host.write("renewd.toml", &good.replace("[api]\n", "[api]\ntimeout = \"7s\"\n"));
    host.signal(Signal::HUP);
    host.until("it is in force", || (host.status()["config"]["state"] == "loaded").then_some(()));
}

/// What the daemon says where the commands cannot read the configuration: they ask where it listens by default.
fn outdated_by_file(host: &Host) -> String {
    let mut stream = std::os::unix::net::UnixStream::connect(host.path("control.sock")).unwrap();
    stream.write_all(b"{\"command\": \"status\"}\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status: Value = serde_json::from_str(&text).unwrap();
    let problems = status["problems"].as_array().unwrap();
    problems.iter().find(|problem| problem["code"] == "config-outdated").unwrap()["message"].to_string()
}

#[test]
fn an_api_whose_key_cannot_be_read_changes_nothing_and_is_told_key_by_key() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    let nowhere = host.path("nowhere");
    host.configure("", &format!("api_key_file = {nowhere:?}\n"));
    host.signal(Signal::HUP);
    let told = host.until("it is told", || outdated(&host));
    assert!(told["message"].as_str().unwrap().contains("`api.api_key_file`"), "{told:#}");
    let status = host.status();
    let codes: Vec<&str> =
        status["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"credentials-unreadable"), "{codes:?}");
    host.entry("mail", "");
    host.wait_state("mail", "valid");
    host.configure("", "");
    host.signal(Signal::HUP);
    host.until("all is well", || (host.status()["healthy"] == true).then_some(()));
    assert_eq!(host.status()["config"]["state"], "loaded");
}
