//! What systemd is told: ready, reloading, status, watchdog, stopping. Without systemd, nothing.

use sd_notify::NotifyState;

use crate::core::text::Text;

/// Healed and planned.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A line for `systemctl status`.
pub fn status(text: &Text) {
    notify(&[NotifyState::Status(text.as_str())]);
}

/// The loop is alive.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
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
