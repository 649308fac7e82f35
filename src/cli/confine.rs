//! What renewd gives up at its start, beside what a unit of systemd's takes from it. None of it may keep it from starting:
//! what the kernel refuses is said once, at debug level.

use std::path::Path;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

use crate::store::lock;

/// Warns where the daemon has root's rights and nothing takes them from it.
pub(super) fn warn_of_root(state_dir: &Path) {
    if rustix::process::geteuid().is_root() && lock::unit().is_none() {
        tracing::warn!(
            "renewd runs as root outside its systemd unit, so it handles what the network sends with root's rights; \
             start renewd.service instead, or run: useradd --system --home-dir {state} --shell /usr/sbin/nologin renewd \
             && chown -R renewd: {state}; renewd then becomes that user when it starts",
            state = state_dir.display()
        );
    }
}

/// Before the first thread, which would keep what its own start had.
pub(super) fn confine() {
    // A hook that runs as the same user can neither trace renewd nor read its memory, and no core dump holds a key.
    note("to be out of reach of other processes of its user", set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if rustix::process::geteuid().is_root() {
        // Whatever root's hooks run gains nothing. Another user's may need it: sudo is how they reload a service.
        note("to let no program gain rights", set_no_new_privs(true));
    }
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now > MOST_DESCRIPTORS) {
        // Hooks inherit the soft limit, and may raise it again.
        note(
            "to bound its descriptors",
            setrlimit(Resource::Nofile, Rlimit { current: Some(MOST_DESCRIPTORS), ..limit }),
        );
    }
}

fn note(what: &str, given_up: rustix::io::Result<()>) {
    if let Err(error) = given_up {
        tracing::debug!("the kernel does not allow renewd {what}: {error}");
    }
}

/// Ten times what a daemon with every connection and every request that it takes has open.
const MOST_DESCRIPTORS: u64 = 4096;
