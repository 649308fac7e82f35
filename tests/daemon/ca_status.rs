//! The status of the CA certificates that are served: a revoked one is a problem that `renew --issuer` ends; what cannot be
//! learnt is nobody's trouble.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::files::Targets;
use crate::host::Host;
use crate::simulator::ProfileSpec;

/// What a path is answered with.
#[derive(Clone)]
enum Answer {
    Body(Vec<u8>),
    Redirect,
    /// After more time than anybody waits.
    Late,
}

type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;

/// A web server of a CA; it ends with the tests.
struct Web {
    port: u16,
    answers: Answers,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, seen) = (Answers::default(), Arc::default());
        let web = Self { port, answers: Arc::clone(&answers), seen: Arc::clone(&seen) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                thread::spawn(move || answer(stream, &answers, &seen));
            }
        });
        web
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    fn set(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(format!("/{path}"), answer);
    }
}

/// Answers one request. A client that hangs up is no fault.
fn answer(mut stream: TcpStream, answers: &Answers, seen: &Mutex<Vec<String>>) {
    let mut head = vec![0; 8192];
    let length = stream.read(&mut head).unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(head);
    let found = answers.lock().unwrap().get(&path).cloned();
    let (status, body) = match found {
        None => ("404 Not Found", Vec::new()),
        Some(Answer::Body(body)) => ("200 OK", body),
        Some(Answer::Redirect) => ("302 Found\r\nLocation: http://127.0.0.1:1/", Vec::new()),
        Some(Answer::Late) => {
            thread::sleep(Duration::from_secs(30));
            return;
        }
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A root that names an intermediate in its lists, and the intermediate, which names the lists.
struct Cas {
    root: Issuer,
    issuing: Issuer,
    serial: Vec<u8>,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

/// authorityInfoAccess: where the issuer's certificate is.
fn issuer_at(url: &str) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|all| {
            all.next().write_sequence(|one| {
                let oid = [1, 3, 6, 1, 5, 5, 7, 48, 2];
                one.next().write_oid(&yasna::models::ObjectIdentifier::from_slice(&oid));
                one.next().write_tagged_implicit(yasna::Tag::context(6), |writer| writer.write_ia5_string(url));
            });
        });
    });
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

impl Cas {
    fn new(web: &Web, lists: &[String]) -> Self {
        let root = Issuer::self_signed(ca_params("Test Root CA"), KeyPair::generate().unwrap()).unwrap();
        web.set("root.cer", Answer::Body(root.der().to_vec()));
        let mut params = ca_params(NAME);
        if !lists.is_empty() {
            params.crl_distribution_points = vec![CrlDistributionPoint { uris: lists.to_vec() }];
        }
        params.custom_extensions = vec![issuer_at(&web.url("root.cer"))];
        let serial = vec![0x2a; 16];
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let issuing = Issuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
        Self { root, issuing, serial }
    }

    /// A list by this root until `year`, with the intermediate or without it.
    fn list(&self, year: i32, is_revoked: bool) -> Vec<u8> {
        let entry = RevokedCertParams {
            serial_number: SerialNumber::from_slice(&self.serial),
            revocation_time: date_time_ymd(2026, 11, 20),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: is_revoked.then_some(entry).into_iter().collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.root).unwrap().der().to_vec()
    }

    /// Puts a certificate of `name` to fixed paths, as another program would have; the entry's keys.
    fn install(&self, targets: &Targets, name: &str) -> String {
        let names = vec![format!("{name}.example.com"), format!("alt.{name}.example.com")];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("{name}.example.com"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        params.not_before = date_time_ymd(1970, 1, 1) + now - Duration::from_secs(86_400);
        params.not_after = params.not_before + Duration::from_secs(90 * 86_400);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuing).unwrap();
        let [key_path, chain_path] = ["key", "fullchain"].map(|what| targets.path(&format!("{name}-{what}.pem")));
        fs::write(&key_path, key.serialize_pem()).unwrap();
        fs::write(&chain_path, format!("{}{}", leaf.pem(), self.issuing.pem())).unwrap();
        let (key, chain) = (key_path.display().to_string(), chain_path.display().to_string());
        format!("[certificate.files]\nprivate_key = {key:?}\nfullchain = {chain:?}\n")
    }
}

/// A host with two certificates of another CA, and one of the simulator's.
fn host_with(cas: &Cas, targets: &Targets, top: &str, api: &str) -> Host {
    let host = Host::new(ProfileSpec::default());
    for name in ["mail", "www"] {
        host.entry(name, &cas.install(targets, name));
    }
    host.entry("other", "");
    host.configure(&format!("ca_status_check = \"1min\"\n{top}"), api);
    host
}

fn revoked(host: &Host) -> Option<Value> {
    let problems = host.status()["problems"].as_array().cloned().unwrap_or_default();
    problems.into_iter().find(|problem| problem["code"] == "ca-revoked")
}

fn metric(targets: &Targets) -> Option<String> {
    let text = fs::read_to_string(targets.path("metrics.prom")).ok()?;
    let line = text.lines().find(|line| line.starts_with("renewd_ca_revoked{"))?;
    Some(line.to_owned())
}

#[test]
fn a_revoked_ca_is_a_problem_until_its_certificates_are_replaced() {
    let (web, targets) = (Web::start(), Targets::new());
    let cas = Cas::new(&web, &[web.url("root.crl")]);
    web.set("root.crl", Answer::Body(cas.list(2090, false)));
    let textfile = format!("[metrics]\ntextfile = {:?}\n", targets.path("metrics.prom").display().to_string());
    let mut host = host_with(&cas, &targets, "", "");
    host.configure(&format!("ca_status_check = \"1min\"\n{textfile}"), "");
    host.start();
    host.wait_state("other", "valid");
    host.until("the list is fetched", || {
        fs::read_to_string(host.path("state/ca-status.json")).ok()?.contains("not-revoked").then_some(())
    });
    assert_eq!((revoked(&host), host.says(&["status"]).code), (None, 0));
    assert_eq!(host.end(Signal::TERM), Some(0));

    // Asked anew at once, not in a minute.
    fs::remove_file(host.path("state/ca-status.json")).unwrap();
    web.set("root.crl", Answer::Body(cas.list(2090, true)));
    host.start();
    let problem = host.until("the revocation is a problem", || revoked(&host));
    let message = problem["message"].as_str().unwrap();
    for part in [
        "2 certificates (mail, www) are",
        r"CN=Test Issuing CA\, 1",
        &"2A".repeat(16),
        "2026-11-20T00:00:00Z (key compromise)",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(problem["since"], "2026-11-20T00:00:00Z");
    let remedy = problem["remedy"].as_str().unwrap();
    assert!(remedy.ends_with("renewd renew --issuer 'CN=Test Issuing CA\\, 1'"), "{remedy}");
    assert_eq!(host.status()["healthy"], false);
    let said = host.says(&["status"]);
    assert!(said.code == 1 && said.out.contains("PROBLEM ca-revoked: 2 certificates"), "{}", said.out);
    assert!(host.log().contains("ca-revoked"), "{}", host.log());

    // Not forgotten without the daemon, nor at its next start, before anybody was asked again.
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert!(revoked(&host).is_some());
    web.set("root.crl", Answer::Late);
    host.start();
    assert!(revoked(&host).is_some());

    let said = host.says(&["renew", "--issuer", "Nobody"]);
    assert_eq!(said.code, 1);
    for part in ["no certificate matches --issuer Nobody", r"CN=Test Issuing CA\, 1", "CN=Simulated Issuing CA"] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    let before = host.submissions();
    let said = host.says(&["renew", "--issuer", NAME]);
    assert_eq!((said.code, host.submissions()), (0, before + 2), "{}", said.err);
    assert_eq!((revoked(&host), host.status()["healthy"].as_bool()), (None, Some(true)));
    host.live_serial("www");
    let request = web.seen.lock().unwrap().join("\n").to_ascii_lowercase();
    assert!(!request.contains("api-key") && !request.contains(&host.simulator.api_key()), "{request}");
    assert_eq!(host.says(&["renew", "--issuer", NAME]).code, 1, "none is left");
}

#[test]
fn the_metric_tells_which_ca_is_revoked() {
    let (web, targets) = (Web::start(), Targets::new());
    let cas = Cas::new(&web, &[web.url("root.crl")]);
    web.set("root.crl", Answer::Body(cas.list(2090, true)));
    let mut host = host_with(&cas, &targets, "", "");
    let textfile = targets.path("metrics.prom").display().to_string();
    host.configure(&format!("ca_status_check = \"1min\"\n[metrics]\ntextfile = {textfile:?}\n"), "");
    host.start();
    host.until("the revocation is a problem", || revoked(&host));
    host.end(Signal::TERM);
    // It is written at the start.
    fs::remove_file(targets.path("metrics.prom")).unwrap();
    host.start();
    let line = host.until("the metric is written", || metric(&targets));
    assert_eq!(line, "renewd_ca_revoked{issuer=\"CN=Test Issuing CA\\\\, 1\"} 1");
}

/// By itself, without a daemon.
#[test]
fn renew_by_issuer_works_without_a_daemon_and_never_means_all() {
    let (web, targets) = (Web::start(), Targets::new());
    let cas = Cas::new(&web, &[]);
    let host = host_with(&cas, &targets, "", "");
    let said = host.says(&["renew", "--issuer", "Nobody"]);
    assert!(said.code == 1 && said.err.contains(r"CN=Test Issuing CA\, 1"), "{}", said.err);
    assert_eq!(host.submissions(), 0);
    let said = host.says(&["renew", "--issuer", r"CN=Test Issuing CA\, 1"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.certificate("www")["generation"], 1);
    for with in ["www", "--all"] {
        assert_eq!(host.says(&["renew", "--issuer", "Simulated Issuing CA", with]).code, 2, "{with}");
    }
}

#[test]
fn what_cannot_be_learnt_is_a_line_at_debug_and_no_problem() {
    check_nothing(&[
        ("missing", None, "it answers 404"),
        ("redirect", Some(|_| Answer::Redirect), "it redirects to 127.0.0.1, which renewd does not follow"),
        ("garbage", Some(|_| Answer::Body(b"<html>".to_vec())), "it does not parse as a certificate revocation list"),
        ("huge", Some(|_| Answer::Body(vec![0; (4 << 20) + 1])), "it is larger than 4096 KiB"),
    ]);
    check_nothing(&[
        ("late", Some(|_| Answer::Late), "timed out"),
        ("old", Some(|cas| Answer::Body(cas.list(2025, false))), "it is from 2024-01-01T00:00:00Z and held only until"),
        ("stranger", Some(|_| Answer::Body(stranger().list(2090, true))), "does not verify with the issuer's key"),
        ("cut", Some(|cas| Answer::Body(cas.list(2090, true)[..99].to_vec())), "it does not parse as"),
    ]);
}

/// CAs of the same names, with other keys.
fn stranger() -> Cas {
    Cas::new(&Web::start(), &[])
}

type Make = fn(&Cas) -> Answer;

#[track_caller]
fn check_nothing(lists: &[(&str, Option<Make>, &str)]) {
    let (web, targets) = (Web::start(), Targets::new());
    let urls: Vec<String> = lists.iter().map(|(path, ..)| web.url(path)).collect();
    let cas = Cas::new(&web, &urls);
    for (path, make, _) in lists {
        make.iter().for_each(|make| web.set(path, make(&cas)));
    }
    let mut host = host_with(&cas, &targets, "", "timeout = \"2s\"\n");
    host.environment.push(("RUST_LOG".to_owned(), "info,renewd::daemon=debug".to_owned()));
    host.start();
    let line = host.until("the attempt is told", || {
        let log = host.log();
        log.lines().find(|line| line.contains("the status of the CA certificate")).map(str::to_owned)
    });
    for (path, _, why) in lists {
        assert!(line.contains(why) && line.contains(&web.url(path)), "{why}: {line}");
    }
    assert!(line.contains("DEBUG"), "{line}");
    host.wait_state("other", "valid");
    assert_eq!((revoked(&host), host.status()["healthy"].as_bool()), (None, Some(true)));
    let written = fs::read_to_string(host.path("state/ca-status.json")).unwrap();
    assert!(written.contains("\"standing\":null"), "{written}");
}

/// With a comma, as real ones have.
const NAME: &str = "Test Issuing CA, 1";
