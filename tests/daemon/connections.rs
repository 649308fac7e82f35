//! Whoever connects and says nothing, or asks for the same without end, holds nobody up and takes nothing that counts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::host::Host;
use crate::metrics::{free_address, scrape};
use crate::simulator::{Issuance, ProfileSpec};

/// Lets the daemon open so few files that connections could use them up.
fn limit_files(host: &Host, most: u64) {
    let pid = Pid::from_raw(i32::try_from(host.pid()).unwrap());
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
}

fn resident(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn idle_control_connections_cost_no_descriptor_that_is_needed() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    limit_files(&host, 128);
    let idle: Vec<UnixStream> = (0..400).map(|_| UnixStream::connect(host.path("control.sock")).unwrap()).collect();
    host.entry("two", "");
    host.wait_state("two", "valid");
    let said = host.says(&["status"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "the daemon answers");
    assert!(host.status()["problems"].as_array().unwrap().is_empty());
    // The last of them, too, is not waited for without end; half a line is nothing said.
    let mut last = idle.last().unwrap();
    last.write_all(b"{\"command\":").unwrap();
    last.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    assert_eq!(last.read(&mut [0; 16]).unwrap(), 0, "the connection ends");
}

#[test]
fn half_sent_requests_do_not_hold_the_metrics() {
    let (mut host, address) = (Host::with_www(), free_address());
    host.configure(&format!("[metrics]\nlisten = \"{address}\"\n"), "");
    host.start();
    host.until("a scrape", || scrape(address));
    let half = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..100).map(half).collect();
    let begun = Instant::now();
    assert!(scrape(address).is_some());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let mut last = held.last().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    assert!(last.read(&mut [0; 512]).is_ok(), "a half-sent request ends");
}

#[test]
fn the_same_renewal_asked_for_without_end_is_one() {
    let mut host =
        Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..ProfileSpec::default() });
    host.entry("www", "");
    host.start();
    host.wait_state("www", "pending");
    let ask = |names: &[&str]| {
        let mut stream = UnixStream::connect(host.path("control.sock")).unwrap();
        let request = serde_json::json!({"command": "renew", "names": names});
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.contains("replacing 1 certificate now"), "{answer}");
    };
    ask(&["www"]);
    let before = resident(&host);
    ask(&vec!["www"; 100_000]);
    (0..1000).for_each(|_| ask(&["www"]));
    let grown = resident(&host).saturating_sub(before);
    let journal = host.read(&host.path("state/journal"));
    assert_eq!(journal.matches("renewal-asked").count(), 1);
    assert!(grown < 16 << 10, "{grown} KiB more");
}
