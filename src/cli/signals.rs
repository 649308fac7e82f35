//! Signals that mean nothing to renewd and would end it by default. They are caught and not ignored: what is ignored stays
//! so in every hook and whatever that starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use nix::libc::{SIGRTMAX, SIGRTMIN};
use signal_hook::consts::{SIGALRM, SIGHUP, SIGIO, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ};
use signal_hook::flag;

/// Outlives what somebody sends who takes renewd for another program, and a file that grows beyond its limit: that is an
/// error of the writing then, as a full disk is.
pub(super) fn outlive() {
    let named = [SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGXFSZ, STACK_FAULT, POWER];
    for signal in named.into_iter().chain(SIGRTMIN()..=SIGRTMAX()) {
        // Where the system refuses that, the signal does what it does by default.
        drop(flag::register(signal, Arc::default()));
    }
}

/// From now on a SIGHUP, which reloads, ends nothing that has just begun.
pub(super) fn note_hangup() {
    drop(flag::register(SIGHUP, Arc::clone(hangup())));
}

/// Whether there was one.
pub(super) fn hung_up() -> bool {
    hangup().load(Ordering::Relaxed)
}

fn hangup() -> &'static Arc<AtomicBool> {
    static HANGUP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    HANGUP.get_or_init(Arc::default)
}

/// SIGSTKFLT and SIGPWR, as Linux numbers them on what it is built for here.
const STACK_FAULT: i32 = 16;
const POWER: i32 = 30;
