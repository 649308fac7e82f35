//! What systemd is told: ready, reloading, status, watchdog, stopping. Without systemd, nothing. No word waits for a
//! supervisor that does not read: it is kept, the last of its kind, and told again later.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::core::text::Text;

/// Healed and planned; or done with reloading.
pub fn ready() {
    notify(Kind::Ready, &[NotifyState::Ready]);
}

/// Reading the configuration anew; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(Kind::Reloading, &[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// A line for `systemctl status`.
pub fn status(text: &Text) {
    notify(Kind::Status, &[NotifyState::Status(text.as_str())]);
}

/// The loop is alive, at `steady` by its steady clock. A busy loop says so once in a while, not at each turn. What a
/// supervisor did not take before is told again.
pub fn alive(steady: Duration) {
    pending().send();
    static SAID: AtomicU64 = AtomicU64::new(0);
    let seconds = steady.as_secs();
    if sd_notify::watchdog_enabled().is_some() && seconds >= SAID.load(Ordering::Relaxed) {
        SAID.store(seconds + PING_INTERVAL, Ordering::Relaxed);
        notify(Kind::Watchdog, &[NotifyState::Watchdog]);
    }
}

/// How long the loop may sleep at a time: three quarters of a minute, or half of what the watchdog leaves; less while
/// something is to be told again.
#[must_use]
pub fn longest_nap() -> Duration {
    let nap = if pending().words.is_empty() { LONGEST_NAP } else { AGAIN };
    sd_notify::watchdog_enabled().map_or(nap, |limit| nap.min(limit / 2))
}

/// Stopping.
pub fn stopping() {
    notify(Kind::Stopping, &[NotifyState::Stopping]);
}

fn notify(kind: Kind, states: &[NotifyState<'_>]) {
    if std::env::var_os(SOCKET).is_none() {
        return;
    }
    let mut pending = pending();
    pending.words.retain(|(other, _)| *other != kind);
    pending.words.push((kind, states.iter().map(|state| format!("{state}\n")).collect()));
    pending.send();
    // A sign of life that comes late is none.
    pending.words.retain(|(kind, _)| *kind != Kind::Watchdog);
}

/// What a word is about: a later one takes the place of an earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ready,
    Reloading,
    Status,
    Watchdog,
    Stopping,
}

/// What is still to be told, in its order.
struct Pending {
    words: Vec<(Kind, String)>,
}

impl Pending {
    /// Tells as much as is taken at once.
    fn send(&mut self) {
        while let Some((_, word)) = self.words.first() {
            match send(word) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => tracing::debug!("could not notify systemd: {error}"),
                Ok(()) => {}
            }
            self.words.remove(0);
        }
    }
}

fn pending() -> MutexGuard<'static, Pending> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one datagram, or fails where it had to wait.
fn send(word: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os(SOCKET) else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(word.as_bytes(), &address(&path)?).map(drop)
}

/// The supervisor's socket: a path, or behind an `@` a name without a file.
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

static PENDING: Mutex<Pending> = Mutex::new(Pending { words: Vec::new() });
const SOCKET: &str = "NOTIFY_SOCKET";
const LONGEST_NAP: Duration = Duration::from_secs(45);
const AGAIN: Duration = Duration::from_secs(1);
const PING_INTERVAL: u64 = 2;
