//! What systemd is told: ready, reloading, status, watchdog, stopping. Without systemd, nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::core::text::Text;

/// Healed and planned; or done with reloading.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Reading the configuration anew; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// A line for `systemctl status`.
pub fn status(text: &Text) {
    notify(&[NotifyState::Status(text.as_str())]);
}

/// The loop is alive, at `steady` by its steady clock. A busy loop says so once in a while, not at each turn.
pub fn alive(steady: Duration) {
    static SAID: AtomicU64 = AtomicU64::new(0);
    let seconds = steady.as_secs();
    if sd_notify::watchdog_enabled().is_some() && seconds >= SAID.load(Ordering::Relaxed) {
        SAID.store(seconds + PING_INTERVAL, Ordering::Relaxed);
        notify(&[NotifyState::Watchdog]);
    }
}

/// How long the loop may sleep at a time: three quarters of a minute, or half of what the watchdog leaves.
#[must_use]
pub fn longest_nap() -> Duration {
    sd_notify::watchdog_enabled().map_or(LONGEST_NAP, |limit| LONGEST_NAP.min(limit / 2))
}

/// Stopping.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be told: {error}");
    }
}

const LONGEST_NAP: Duration = Duration::from_secs(45);
const PING_INTERVAL: u64 = 2;
