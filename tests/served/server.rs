//! A server as a child process: found or missed, started in a group of its own, and ended with it whatever happens.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Whether a test can run here; where not, that is said, or fails where everything has to run.
pub(crate) fn is_there(what: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var_os("RENEWD_REQUIRE_SERVERS").is_none(), "{what} is needed, and is not there");
        println!("skipped: {what} is not there");
    }
    there
}

/// Whether this program is installed, and whether root may start it.
pub(crate) fn is_installed(program: &str) -> bool {
    is_there(program, Path::new(program).exists()) && is_there("root", rustix::process::geteuid().is_root())
}

/// An address that was free a moment ago: of a port that no outgoing connection is given, and that no other test asks
/// for at the same time.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 97).unwrap() * 100;
    let addresses = std::iter::repeat_with(|| {
        let port = PORTS.start + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    addresses.take(usize::from(PORTS.end - PORTS.start)).find(is_free).unwrap()
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    stop: Signal,
}

impl Server {
    /// Starts it; `stop` is the signal by which it ends at once and in order. What it says goes to `log`.
    pub(crate) fn start(command: &mut Command, stop: Signal, log: &Path) -> Self {
        let log = File::create(log).unwrap();
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, stop }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, self.stop).unwrap_or_default();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        // What is left of its group, and itself where it did not heed the signal.
        kill_process_group(pid, Signal::KILL).unwrap_or_default();
        drop(self.child.wait());
    }
}

const PATIENCE: Duration = Duration::from_secs(2);
const PORTS: Range<u16> = 20_000..32_000;
