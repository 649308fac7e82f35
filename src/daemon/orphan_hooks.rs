//! Hooks that an earlier life of the daemon left behind when it was killed: ended before the first hook of this life, so
//! that no two runs of one overlap. Under systemd there are none, the whole unit ends with the daemon.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, geteuid, getpid, kill_process_group};

/// Ends the group of each process of this user that was started as a hook for a certificate below the state directory
/// `state`, or to tell somebody for it, and still leads its group. What a hook started as a service has left that group,
/// and is not touched.
pub fn end(state: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in numbers.filter_map(Pid::from_raw).filter(|pid| is_hook(*pid, state)) {
        match kill_process_group(pid, Signal::KILL) {
            Ok(()) => tracing::warn!(%pid, "killed a hook left behind when renewd was killed; it runs again"),
            Err(error) => tracing::debug!(%pid, "a hook left behind had already exited: {error}"),
        }
    }
}

fn is_hook(pid: Pid, state: &Path) -> bool {
    let folder = Path::new("/proc").join(pid.to_string());
    // Root's hooks may run as another user.
    let is_ours = |uid| geteuid().is_root() || uid == geteuid().as_raw();
    let is_own = fs::metadata(&folder).is_ok_and(|found| is_ours(found.uid())) && pid != getpid();
    is_own && leads_its_group(&folder, pid) && fs::read(folder.join("environ")).is_ok_and(|found| names(&found, state))
}

/// Whether it leads its group, and neither a session, as a service that it became would.
fn leads_its_group(folder: &Path, pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(folder.join("stat")) else { return false };
    // State, parent, group and session follow the name, which may hold anything.
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(2);
    let pid = pid.to_string();
    fields.next() == Some(pid.as_str()) && fields.next() != Some(pid.as_str())
}

/// Whether this environment is a hook's.
fn names(environment: &[u8], state: &Path) -> bool {
    let value = |variable: &'_ [u8], name: &str| {
        variable
            .strip_prefix(name.as_bytes())?
            .strip_prefix(b"=")
            .map(|value| Path::new(OsStr::from_bytes(value)).to_owned())
    };
    environment.split(|byte| *byte == 0).any(|variable| {
        value(variable, "RENEWD_LIVE_DIR").is_some_and(|live| live.starts_with(state.join("certs")))
            || value(variable, STATE).is_some_and(|own| own == state)
    })
}

/// The variable of whoever is told something: for which state directory.
pub const STATE: &str = "RENEWD_STATE_DIR";
