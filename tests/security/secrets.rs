//! No secret is where somebody else may look: log, status, metrics, arguments, environment, journal, core of Debug.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::host::Host;
use crate::simulator::ConnectProxy;

fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Every place that shows something of a running daemon.
fn places(host: &Host, metrics: &str) -> Vec<(&'static str, String)> {
    let of_process = |what: &str| host.read(&PathBuf::from(format!("/proc/{}/{what}", host.pid())));
    let (status, plan) = (host.says(&["status", "--json"]), host.says(&["plan"]));
    let mut places = vec![
        ("log", host.log()),
        ("status", format!("{}{}{}", status.out, host.says(&["status", "www"]).out, status.err)),
        ("plan", format!("{}{}", plan.out, plan.err)),
        ("metrics", scrape(metrics)),
        ("arguments", of_process("cmdline")),
        ("journal", fs::read_to_string(host.path("state/journal")).unwrap_or_default()),
    ];
    // Another user than root, even its own, may not read it at all.
    let environment = fs::read_to_string(format!("/proc/{}/environ", host.pid()));
    places.extend(environment.ok().map(|environment| ("environment", environment)));
    places
}

#[track_caller]
fn check(places: &[(&str, String)], secrets: &[String]) {
    for (place, text) in places {
        assert!(!text.is_empty(), "{place} shows nothing at all");
        for secret in secrets {
            assert!(secret.len() > 5 && !text.contains(secret.as_str()), "{secret} in the {place}: {text}");
        }
    }
}

/// The lines of a key that are its own.
fn body(pem: &str) -> Vec<String> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----") && line.len() > 20);
    lines.map(str::to_owned).collect()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// At the loudest level, with a proxy's password in use, and an answer that echoes the key.
#[test]
fn keys_and_passwords_are_shown_nowhere() {
    let mut host = Host::with_www();
    let proxy = ConnectProxy::start(Some(("fleet", "s3cret-word")));
    host.write("proxy-credentials", "fleet:s3cret-word\n");
    let (file, metrics) = (host.path("proxy-credentials"), free_address());
    host.configure(
        &format!("[log]\nlevel = \"trace\"\n[metrics]\nlisten = {metrics:?}\n"),
        &format!("proxy = {:?}\nproxy_credentials_file = {file:?}\n", proxy.url()),
    );
    host.start();
    host.wait_state("www", "valid");
    assert!(proxy.tunnels() > 0 && host.log().contains("TRACE"), "the way to the API is not the one to be tried");
    let key = host.read(&host.live("www").join("privkey.pem"));
    let mut secrets = vec![host.simulator.api_key(), "s3cret-word".to_owned(), STANDARD.encode("fleet:s3cret-word")];
    secrets.extend(body(&key));
    check(&places(&host, &metrics), &secrets);
    let known = host.path("state");
    let holds_api_key = |path: &&PathBuf| contains(path, &secrets[0]) || contains(path, &secrets[1]);
    let files = files(&known);
    let with_key: Vec<_> = files.iter().filter(|path| contains(path, &secrets[3])).collect();
    assert_eq!(files.iter().filter(holds_api_key).count(), 0, "a copy of the state would give the credentials away");
    assert_eq!(with_key, [&known.join("certs/www/1/privkey.pem")], "the key is in its own file alone");
    assert_eq!(fs::metadata(with_key[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

/// While a request is pending its key is on the disk, for the service alone.
#[test]
fn the_key_of_a_pending_request_is_for_the_service_alone() {
    let pending = crate::simulator::Issuance::Pending { approve_after: None };
    let host = Host::new(crate::simulator::ProfileSpec { issuance: pending, ..Default::default() });
    host.entry("www", "");
    assert_eq!(host.says(&["once"]).code, 1);
    let keys: Vec<_> =
        files(&host.path("state")).into_iter().filter(|path| contains(path, "PRIVATE KEY-----")).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&keys[0]), mode(&host.path("state/pending"))), (0o600, 0o700));
    let journal = host.read(&host.path("state/journal"));
    assert!(body(&host.read(&keys[0])).iter().all(|line| !journal.contains(line)));
}

/// A client certificate in place of the API key: its private key is not shown either, nor in what a refusal says.
#[test]
fn a_client_key_is_shown_nowhere() {
    let mut host = Host::with_www();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap().self_signed(&key).unwrap();
    host.write("client.pem", &format!("{}{}", key.serialize_pem(), certificate.pem()));
    let (file, metrics) = (host.path("client.pem"), free_address());
    host.configure(
        &format!("[log]\nlevel = \"trace\"\n[metrics]\nlisten = {metrics:?}\n"),
        &format!("client_identity_file = {file:?} # no api_key_file\n"),
    );
    host.start();
    host.until("the API was asked", || host.status()["api"]["error"].is_string().then_some(()));
    check(
        &places(&host, &metrics).into_iter().filter(|(place, _)| *place != "journal").collect::<Vec<_>>(),
        &body(&key.serialize_pem()),
    );
}

fn contains(path: &Path, text: &str) -> bool {
    fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}
