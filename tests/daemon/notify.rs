//! What systemd is told, as it would hear it: READY after healing, RELOADING and READY again, STATUS, the watchdog from
//! the loop, STOPPING.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::files::Targets;
use crate::host::{BOUND, Host};

/// The other end of the daemon's notifications.
struct Systemd(UnixDatagram);

impl Systemd {
    fn of(host: &mut Host) -> Self {
        let path = host.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        host.environment.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
        Self(socket)
    }

    /// A supervisor that reads nothing: what it can hold is full already.
    fn deaf(host: &mut Host) -> Self {
        let systemd = Self::of(host);
        let own = UnixDatagram::unbound().unwrap();
        own.set_nonblocking(true).unwrap();
        while own.send_to(b"X=1", host.path("notify")).is_ok() {}
        systemd
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// What is told until a message that begins so, which is the last.
    fn until(&self, start: &str) -> Vec<String> {
        let mut told = Vec::new();
        while told.last().is_none_or(|last: &String| !last.starts_with(start)) {
            told.push(self.next());
        }
        told
    }
}

#[test]
fn ready_reloading_status_and_stopping() {
    let mut host = Host::with_www();
    let systemd = Systemd::of(&mut host);
    host.start();
    systemd.until("READY=1");
    host.wait_state("www", "valid");
    let told = systemd.until("STATUS=1 valid");
    assert_eq!(told.last().map(|last| last.trim_end()), Some("STATUS=1 valid"));
    host.write("certs.d/bad.toml", "nonsense");
    let told = systemd.until("STATUS=1 valid; ");
    assert!(told.last().unwrap().contains("certs.d/bad.toml"), "{told:?}");
    host.signal(Signal::HUP);
    let told = systemd.until("RELOADING=1");
    assert!(told.last().unwrap().contains("\nMONOTONIC_USEC="), "{told:?}");
    systemd.until("READY=1");
    host.signal(Signal::TERM);
    systemd.until("STOPPING=1");
}

#[test]
fn ready_follows_the_healing_of_a_half_done_install() {
    let (mut host, targets) = (Host::with_www(), Targets::new());
    let target = targets.path("www.crt");
    host.entry("www", &format!("[certificate.files]\ncertificate = {:?}\n", target.display().to_string()));
    assert_eq!(host.says(&["once"]).code, 0);
    let whole = host.read(&target);
    // As a crash between the switch and the copies leaves it.
    std::fs::write(&target, "of the generation before").unwrap();
    let systemd = Systemd::of(&mut host);
    host.start_unanswered();
    systemd.until("READY=1");
    assert_eq!(host.read(&target), whole, "healed before READY");
    host.until("the daemon answers", || host.says(&["status", "--json"]).err.is_empty().then_some(()));
}

#[test]
fn the_watchdog_hears_from_the_loop_within_its_time() {
    let mut host = Host::with_www();
    let systemd = Systemd::of(&mut host);
    host.environment.push(("WATCHDOG_USEC".to_owned(), "6000000".to_owned()));
    host.start();
    systemd.until("READY=1");
    systemd.0.set_read_timeout(Some(Duration::from_secs(6))).unwrap();
    for _ in 0..2 {
        systemd.until("WATCHDOG=1");
    }
    host.signal(Signal::STOP);
    let mut buffer = [0; 4096];
    systemd.0.set_nonblocking(true).unwrap();
    while systemd.0.recv(&mut buffer).is_ok() {}
    systemd.0.set_nonblocking(false).unwrap();
    assert!(systemd.0.recv(&mut buffer).is_err(), "a stopped loop says nothing: systemd kills it");
    host.signal(Signal::CONT);
    systemd.until("WATCHDOG=1");
}

#[test]
fn a_supervisor_that_reads_nothing_blocks_nothing_and_hears_the_last_word_later() {
    let mut host = Host::with_www();
    let systemd = Systemd::deaf(&mut host);
    host.environment.push(("WATCHDOG_USEC".to_owned(), "6000000".to_owned()));
    host.start();
    host.wait_state("www", "valid");
    for name in ["two", "three"] {
        host.entry(name, "");
        host.signal(Signal::HUP);
        host.wait_state(name, "valid");
    }
    // It reads again: what it missed is told once, in the order in which it counts.
    let told = systemd.until("STATUS=3 valid");
    let place = |start: &str| told.iter().position(|one| one.starts_with(start));
    let (reloading, ready) = (place("RELOADING=1").unwrap(), place("READY=1").unwrap());
    assert!(reloading < ready, "{told:?}");
    assert_eq!(told.iter().filter(|one| one.starts_with("READY=1")).count(), 1, "{told:?}");
    host.signal(Signal::HUP);
    systemd.until("READY=1");
    let own = UnixDatagram::unbound().unwrap();
    own.set_nonblocking(true).unwrap();
    while own.send_to(b"X=1", host.path("notify")).is_ok() {}
    let begun = Instant::now();
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
