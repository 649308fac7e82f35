//! `cargo run --release --example replacement -- SIM DIR --count N`: what the parts of a replacement cost, each alone.
//!
//! SIM is the folder that `tlm-sim --dir` wrote, of a simulator that runs; the work is done in DIR. On one thread, as CPU
//! time of this process for each certificate:
//!
//! - `key`: an ECDSA key on P-256, by rcgen;
//! - `csr`: its signing request for two names, by rcgen;
//! - `request`: a POST over TLS on a kept connection, by reqwest, which the simulator answers with a certificate; what it
//!   answers is read as a plain JSON value;
//! - `gate`: the chain of the answer read and judged, by the crate's own gate;
//! - `room`, `files`, `journal`: the system calls by which renewd changes files for one replacement, as strace shows them,
//!   with contents as long: the three files that show that there is room; the folders, the key, the request and the answer
//!   that are kept, the generation, and the removal of what was kept; and the four appends, each with its sync, which
//!   replacements that run beside each other share. Nothing is looked at or read back.
//!
//! Printed are the medians of several rounds, the least and the most beside them, in microseconds. What was written stays:
//! ext4 steps over the inodes of what was removed in the last minutes, one by one, which would count for what comes next.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the figures are for the terminal and for scripts")]
#![expect(clippy::disallowed_methods, reason = "the yardstick writes its files by itself")]

mod straight;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};
use reqwest::{Certificate, Client, redirect, retry};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use renewd::core::wanted::entry::{Sans, SubjectFrom};
use renewd::core::wanted::subject::Subject;
use renewd::daemon::clock::{Clock as _, SystemClock};
use renewd::pki::certificate::certificates;
use renewd::pki::digest::sha256;
use renewd::pki::gate::{Candidate, Demand, Verdict, judge};

use straight::{Contents, Host};

/// Measures the parts of a replacement.
#[derive(Debug, Parser)]
#[command(name = "replacement")]
struct Arguments {
    /// The folder of a running simulator.
    sim: PathBuf,
    /// Where files are written; it is made, must not be there yet, and is left.
    dir: PathBuf,
    /// How many certificates.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// How often.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

const PARTS: [&str; 7] = ["key", "csr", "request", "gate", "room", "files", "journal"];

fn main() {
    let arguments = Arguments::parse();
    let count = u32::try_from(arguments.count.max(1)).unwrap();
    let api = Api::of(&arguments.sim);
    fs::create_dir(&arguments.dir).unwrap();
    let rounds: Vec<_> =
        (0..arguments.rounds.max(1)).map(|at| round(&api, &arguments.dir.join(at.to_string()), count)).collect();
    println!("part        us_each  (least..most)");
    for (at, part) in PARTS.iter().enumerate() {
        show(part, rounds.iter().map(|round| round[at] / count));
    }
    show("sum", rounds.iter().map(|round| round.iter().sum::<Duration>() / count));
}

fn show(part: &str, values: impl Iterator<Item = Duration>) {
    let mut values: Vec<f64> = values.map(|value| value.as_secs_f64() * 1e6).collect();
    values.sort_by(f64::total_cmp);
    println!("{part:8} {:10.1}  ({:.1}..{:.1})", values[values.len() / 2], values[0], values[values.len() - 1]);
}

/// The parts one after the other, each for all certificates; what each takes in all.
fn round(api: &Api, dir: &Path, count: u32) -> [Duration; PARTS.len()] {
    // The first one of a process waits for the source of its random numbers.
    drop(KeyPair::generate().unwrap());
    let (key_time, keys) = timed(0..count, |_| KeyPair::generate().unwrap());
    let (csr_time, csrs) = timed(keys.iter().enumerate(), |(at, key)| signing_request(at, key));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = api.client();
    // The connection is made before anything is measured.
    drop(api.ask(&runtime, &client, 0, &csrs[0]));
    let asks = csrs.iter().enumerate();
    let (request_time, answers) = timed(asks, |(at, csr)| api.ask(&runtime, &client, at, csr));
    let texts: Vec<Vec<String>> = answers.iter().map(pems).collect();
    let pairs = texts.iter().zip(&keys).enumerate();
    let (gate_time, _) = timed(pairs, |(at, (texts, key))| pass(at, &texts.concat(), key));
    let mut host = Host::new(dir);
    for ((at, key), (csr, texts)) in keys.iter().enumerate().zip(csrs.iter().zip(&texts)) {
        host.replace(&name(at), &Contents::new(key, csr, texts));
    }
    [key_time, csr_time, request_time, gate_time, host.room, host.files, host.journal]
}

fn timed<T, R>(items: impl Iterator<Item = T>, work: impl FnMut(T) -> R) -> (Duration, Vec<R>) {
    let began = cpu_time();
    let made = items.map(work).collect();
    (cpu_time().checked_sub(began).unwrap(), made)
}

fn cpu_time() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).try_into().unwrap()
}

fn name(at: usize) -> String {
    format!("host{at:06}")
}

fn dns_names(at: usize) -> Vec<String> {
    ["", "www."].map(|label| format!("{label}{}.example.test", name(at))).into()
}

fn signing_request(at: usize, key: &KeyPair) -> String {
    let names = dns_names(at);
    let common_name = names[0].clone();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serialize_request(key).unwrap().pem().unwrap()
}

/// As the simulator answers: the leaf, its issuer and the root in one text.
fn pems(answer: &Value) -> Vec<String> {
    let text = answer["certificate"].as_str().unwrap();
    text.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
}

fn pass(at: usize, answer: &str, key: &KeyPair) {
    let names = Sans { dns_names: dns_names(at), ..Sans::default() };
    let candidate =
        Candidate { certificates: &certificates(answer).unwrap(), key: sha256(&key.subject_public_key_info()) };
    let demand = Demand {
        common_name: names.dns_names.first().map(String::as_str),
        names: &names,
        subject: &Subject::new(),
        subject_from: SubjectFrom::Request,
        exact_names: false,
        usages: &[],
        issuers: &[],
        pin: None,
        installed_issuer: None,
        validity_asked: None,
        must_outlive: None,
        now: SystemClock::default().now(),
    };
    let verdict = judge(&candidate, &demand);
    assert!(matches!(verdict, Verdict::Accepted(_)), "{verdict:?}");
}

/// The simulator.
struct Api {
    url: String,
    profile: String,
    root: Vec<u8>,
    key: String,
}

impl Api {
    fn of(sim: &Path) -> Self {
        let main: toml::Table = fs::read_to_string(sim.join("renewd.toml")).unwrap().parse().unwrap();
        let inventory: toml::Table = fs::read_to_string(sim.join("certs.d/example.toml")).unwrap().parse().unwrap();
        Self {
            url: format!("{}/mpki/api/v1/certificate", main["api"]["url"].as_str().unwrap()),
            profile: inventory["certificate"][0]["profile"].as_str().unwrap().to_owned(),
            root: fs::read(sim.join("root.pem")).unwrap(),
            key: fs::read_to_string(sim.join("api-key")).unwrap().trim().to_owned(),
        }
    }

    /// Set up as renewd's own.
    fn client(&self) -> Client {
        Client::builder()
            .user_agent("replacement")
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(3))
            .tls_certs_only(Certificate::from_pem_bundle(&self.root).unwrap())
            .build()
            .unwrap()
    }

    fn ask(&self, runtime: &Runtime, client: &Client, at: usize, csr: &str) -> Value {
        let names = dns_names(at);
        let body = json!({
            "profile": {"id": self.profile},
            "seat": {"seat_id": names[0]},
            "csr": csr,
            "delivery_format": "x509",
            "include_ca_chain": true,
            "attributes": {"subject": {"common_name": names[0]}, "extensions": {"san": {"dns_names": names}}},
        });
        let request = client
            .post(&self.url)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("x-api-key", &self.key)
            .body(serde_json::to_vec(&body).unwrap());
        let answer = runtime.block_on(async { request.send().await?.bytes().await }).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["serial_number"].is_string(), "{answer}");
        answer
    }
}
