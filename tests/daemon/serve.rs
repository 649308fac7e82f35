//! Promise 7 with the real binary and a real TLS server: valid means served; and the way back to an older generation.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection};

use crate::host::Host;
use crate::simulator::ProfileSpec;

/// What a server says before TLS.
type Greeting = fn(&mut TcpStream);

/// A server that serves what it was loaded with, until it is told to load anew.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    live: PathBuf,
    loaded: Arc<Mutex<Option<Arc<ServerConfig>>>>,
}

impl Server {
    /// Speaks TLS at once, or first the words of a protocol.
    fn start(live: PathBuf, greeting: Option<Greeting>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), live, loaded: Arc::default() };
        let own = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (own, mut stream) = (own.clone(), stream.unwrap());
                thread::spawn(move || {
                    if let Some(greeting) = greeting {
                        greeting(&mut stream);
                    }
                    let Some(config) = own.loaded.lock().unwrap().clone() else { return };
                    let mut connection = ServerConnection::new(config).unwrap();
                    // A client that only looks may go at any time.
                    while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
                });
            }
        });
        server
    }

    /// Loads as soon as another certificate than this is live.
    fn load_once_live(&self, host: &Host, old: &str) {
        host.until("another one is live", || (host.live_serial("www") != old).then_some(()));
        self.load();
    }

    /// As a reload does it.
    fn load(&self) {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(self.live.join("fullchain.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.live.join("privkey.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        *self.loaded.lock().unwrap() = Some(Arc::new(config));
    }
}

fn probed(host: &Host, server: &Server, more: &str) {
    host.entry("www", &format!("probe = \"{}\"\n{more}", server.address));
}

#[test]
fn deploying_until_the_new_leaf_is_seen_and_loud_while_another_is() {
    let mut host = Host::with_www();
    let server = Server::start(host.live("www"), None);
    probed(&host, &server, "");
    host.start();
    let www = host.wait_state("www", "deploying");
    assert_eq!(www["served"], "unknown", "{www}");
    host.until("the probe saw nothing", || {
        host.certificate("www")["reason"].as_str()?.contains("presents no certificate").then_some(())
    });
    server.load();
    host.wait_state("www", "valid");
    assert_eq!(host.certificate("www")["served"], "yes");
    assert_eq!(host.status()["healthy"], true);
    let old = host.live_serial("www");
    let mut renew = host.begin(&["renew", "www"]);
    let www = host.until("the old leaf is seen", || {
        let www = host.certificate("www");
        let is_said = www["reason"].as_str()?.contains("still serves");
        (www["served"] == "no" && www["state"] == "deploying" && is_said).then_some(www)
    });
    let reason = www["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("{} still serves serial number {old}, valid until ", server.address)), "{reason}");
    let status = host.status();
    assert_eq!(
        (status["healthy"].as_bool(), status["problems"][0]["code"].as_str()),
        (Some(false), Some("not-served"))
    );
    assert_eq!(host.says(&["status"]).code, 1);
    server.load();
    host.wait_state("www", "valid");
    assert_ne!(host.live_serial("www"), old);
    assert_eq!(renew.wait().unwrap().code(), Some(0), "it waited until the new one was served");
}

/// The probe asks for the new key's kind first, as a server may hold two certificates. One that has only another kind is seen.
#[test]
fn a_service_that_still_presents_a_certificate_of_another_kind_of_key_is_not_served() {
    let key_sizes = ["2048", "256", "MLDSA-65"].map(str::to_owned).to_vec();
    let mut host = Host::new(ProfileSpec { key_sizes, ..ProfileSpec::default() });
    let server = Server::start(host.live("www"), None);
    probed(&host, &server, "key = \"rsa-2048\"");
    host.start();
    host.until("the first is there", || host.live("www").exists().then_some(()));
    server.load();
    host.wait_state("www", "valid");
    for key in ["ecdsa-p256", "ml-dsa-65"] {
        let old = host.live_serial("www");
        probed(&host, &server, &format!("key = {key:?}"));
        host.signal(Signal::HUP);
        host.until("the old leaf is seen", || {
            let www = host.certificate("www");
            let still = format!("still serves serial number {old}");
            (www["served"] == "no" && www["reason"].as_str()?.contains(&still)).then_some(())
        });
        assert_eq!(host.says(&["status"]).code, 1);
        server.load();
        host.wait_state("www", "valid");
    }
}

/// A reload takes a moment: what is still shown then is no news.
#[test]
fn a_service_that_takes_a_second_to_reload_is_never_called_not_served() {
    let mut host = Host::with_www();
    let server = Server::start(host.live("www"), None);
    probed(&host, &server, "");
    host.start();
    host.until("the first is there", || host.live("www").exists().then_some(()));
    server.load();
    host.wait_state("www", "valid");
    let old = host.live_serial("www");
    let mut renew = host.begin(&["renew", "www"]);
    host.until("another one is live", || (host.live_serial("www") != old).then_some(()));
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert_ne!(host.certificate("www")["served"], "no", "{}", host.status());
    }
    server.load();
    assert_eq!(renew.wait().unwrap().code(), Some(0));
    assert_eq!(host.certificate("www")["served"], "yes");
    assert!(!host.log().contains("still serves"), "{}", host.log());
}

#[test]
fn what_is_not_served_gets_its_hook_again() {
    let mut host = Host::with_www();
    let server = Server::start(host.live("www"), None);
    let ran = host.path("ran");
    let script = format!("echo run >> {}", ran.display());
    probed(
        &host,
        &server,
        &format!(
            "hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\nmin_interval = \"0s\"\n"
        ),
    );
    assert_eq!(host.says(&["once"]).code, 1, "not served");
    server.load();
    assert_eq!(host.says(&["once"]).code, 0);
    host.start();
    host.wait_state("www", "valid");
    let runs = || host.read(&ran).lines().count();
    let before = runs();
    let mut renew = host.begin(&["renew", "www"]);
    host.until("the hook ran for the new one, and once more", || (runs() >= before + 2).then_some(()));
    server.load();
    host.wait_state("www", "valid");
    assert_eq!(renew.wait().unwrap().code(), Some(0), "it waited until the new one was served");
    assert_eq!(host.submissions(), 2, "a hook never costs a certificate");
}

#[test]
fn every_address_has_to_serve_it_and_each_that_does_not_is_named() {
    let mut host = Host::with_www();
    let servers = [(); 3].map(|()| Server::start(host.live("www"), None));
    let addresses: Vec<String> = servers.iter().map(|server| format!("\"{}\"", server.address)).collect();
    host.entry("www", &format!("probe = [{}]\n", addresses.join(", ")));
    assert_eq!(host.says(&["once"]).code, 1);
    servers.iter().for_each(Server::load);
    host.start();
    host.wait_state("www", "valid");
    let old = host.live_serial("www");
    let mut renew = host.begin(&["renew", "www"]);
    servers[0].load_once_live(&host, &old);
    *servers[2].loaded.lock().unwrap() = None;
    let [first, second, third] = [0, 1, 2].map(|at: usize| servers[at].address.to_string());
    // A look that came between the switch and the first one's reload names that one as well; the next does not.
    let www = host.until("the others are seen, and they alone", || {
        let www = host.certificate("www");
        let found = www["probe"]["found"].as_str()?.to_owned();
        let is_seen = found.contains("presents no certificate") && !found.contains(&first);
        (www["served"] == "no" && is_seen).then_some(www)
    });
    let found = www["probe"]["found"].as_str().unwrap();
    assert!(found.contains(&format!("{second} still serves serial number {old}")), "{found}");
    assert!(found.contains(&format!("{third} presents no certificate")), "{found}");
    servers.iter().for_each(Server::load);
    host.wait_state("www", "valid");
    assert_eq!(renew.wait().unwrap().code(), Some(0), "it waited until each served it");
}

/// What each protocol says before TLS; a client that says something else gets none.
fn speak(stream: &mut TcpStream, dialogue: &[(&str, &str)]) {
    for (answer, question) in dialogue {
        stream.write_all(answer.as_bytes()).unwrap();
        let mut heard = vec![0; question.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), *question);
    }
}

#[test]
fn starttls_in_every_protocol() {
    let greetings: [(&str, Greeting); 6] = [
        ("smtp", |stream| {
            speak(
                stream,
                &[
                    ("220-mail\r\n220 ready\r\n", "EHLO renewd.invalid\r\n"),
                    ("250-mail\r\n250-SIZE 10\r\n250 STARTTLS\r\n", "STARTTLS\r\n"),
                    ("220 go on\r\n", ""),
                ],
            );
        }),
        ("imap", |stream| {
            speak(stream, &[("* OK ready\r\n", "a STARTTLS\r\n"), ("* BYE not yet\r\na OK go on\r\n", "")]);
        }),
        ("pop3", |stream| speak(stream, &[("+OK ready\r\n", "STLS\r\n"), ("+OK go on\r\n", "")])),
        ("postgres", |stream| {
            let mut heard = [0; 8];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard, [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]);
            stream.write_all(b"S").unwrap();
        }),
        ("ldap", |stream| {
            let mut heard = [0; 31];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(&heard[9..], b"1.3.6.1.4.1.1466.20037");
            stream.write_all(&[0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0]).unwrap();
        }),
        ("mysql", |stream| {
            let mut greeting = b"\x0a10.11.6-MariaDB\0\x07\0\0\0abcdefgh\0".to_vec();
            greeting.extend([0xfe, 0xff, 45, 2, 0, 0xff, 0x81, 21]);
            stream.write_all(&[u8::try_from(greeting.len()).unwrap(), 0, 0, 0]).unwrap();
            stream.write_all(&greeting).unwrap();
            let mut heard = [0; 36];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard[..4], [32, 0, 0, 1]);
            assert_eq!(u32::from_le_bytes(heard[4..8].try_into().unwrap()) & 0x0a00, 0x0a00, "CLIENT_SSL, PROTOCOL_41");
        }),
    ];
    for (protocol, greeting) in greetings {
        let host = Host::with_www();
        let server = Server::start(host.live("www"), Some(greeting));
        host.entry("www", &format!("probe = {{ address = \"{}\", starttls = \"{protocol}\" }}\n", server.address));
        assert_eq!(host.says(&["once"]).code, 1, "{protocol}");
        server.load();
        let said = host.says(&["once"]);
        assert_eq!((said.code, said.err.contains("ERROR")), (0, false), "{protocol}: {}", said.err);
    }
}

#[test]
fn the_operator_goes_back_and_the_certificate_is_held_there() {
    let mut host = Host::with_www();
    let ran = host.path("ran");
    let script = format!("readlink $RENEWD_LIVE_DIR >> {}", ran.display());
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"));
    assert_eq!(host.says(&["once"]).code, 0);
    let said = host.says(&["rollback", "www"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no older generation"), "{}", said.err);
    let old = host.live_serial("www");
    host.start();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.until("it is replaced", || {
        (host.certificate("www")["generation"] == 2 && host.certificate("www")["state"] == "valid").then_some(())
    });
    let said = host.says(&["rollback", "www"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("generation 1 is live again instead of 2"), "{}", said.out);
    let www = host.wait_state("www", "held");
    assert!(www["reason"].as_str().unwrap().contains("held at generation 1"), "{www}");
    assert_eq!(host.live_serial("www"), old);
    host.until("the hook ran for the old one", || host.read(&ran).ends_with("2\n1\n").then_some(()));
    host.until("it counts as held", || (host.status()["problems"][0]["code"] == "certificate-held").then_some(()));
    assert_eq!(host.end(Signal::TERM), Some(0));
    host.start();
    host.wait_state("www", "held");
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.wait_state("www", "valid");
    assert_eq!(host.certificate("www")["generation"], 3);
    assert_eq!(host.end(Signal::TERM), Some(0));
    let said = host.says(&["rollback", "www"]);
    assert_eq!(said.code, 0, "without the daemon: {}", said.err);
    assert!(said.out.contains("generation 2 is live again instead of 3"), "{}", said.out);
    assert_eq!(host.submissions(), 3);
}

#[test]
fn a_hook_that_fails_brings_the_old_certificate_back_by_itself() {
    let host = Host::with_www();
    let script = "[ $(basename $(readlink $RENEWD_LIVE_DIR)) = 1 ]";
    host.entry(
        "www",
        &format!(
            "rollback = true\nhooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\nmin_interval = \"0s\"\n"
        ),
    );
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    let www = host.certificate("www");
    assert_eq!((www["state"].as_str(), www["generation"].as_u64()), (Some("failing"), Some(1)), "{www}");
    assert!(www["reason"].as_str().unwrap().contains("generation 1 is live; next attempt with 2 at"), "{www}");
    assert_eq!(host.live_serial("www"), old);
    assert_eq!(host.says(&["once"]).code, 1);
    assert_eq!(host.submissions(), 2, "nothing is asked for anew");
}

#[test]
fn nobody_goes_back_to_a_revoked_certificate_unless_forced() {
    let mut host = Host::with_www();
    host.configure("", "status_check_interval = \"off\"\n");
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    assert!(host.simulator.revoke(&old));
    // The first look comes within an interval of `not_before`, which lies a minute back.
    host.configure("", "status_check_interval = \"60s\"\n");
    host.start();
    host.until("the revoked one is replaced", || (host.certificate("www")["generation"] == 2).then_some(()));
    assert_eq!(host.end(Signal::TERM), Some(0));
    let new = host.live_serial("www");
    let said = host.says(&["rollback", "www"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("generation 1 is revoked"), "{}", said.err);
    assert_eq!(host.live_serial("www"), new);
    assert_eq!(host.says(&["rollback", "www", "--force"]).code, 0);
    assert_eq!(host.live_serial("www"), old);
}

#[test]
fn nobody_goes_back_to_a_certificate_that_ended() {
    let host = Host::new(ProfileSpec { lifetime: Duration::from_secs(6), ..ProfileSpec::default() });
    host.entry("www", "");
    assert_eq!(host.says(&["once"]).code, 0);
    let ends = host.certificate("www")["not_after"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    host.simulator.change_profile(&host.profile, |profile| profile.lifetime = Duration::from_secs(86_400));
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.until("the old one ended", || (jiff::Timestamp::now() > ends).then_some(()));
    let said = host.says(&["rollback", "www"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("generation 1 expired at "), "{}", said.err);
    assert_eq!(host.certificate("www")["generation"], 2);
}
