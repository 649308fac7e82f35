//! Who else may write to the configuration (promise 15). Whoever writes a drop-in file holds every key: what others may
//! write to is refused, with the command that mends it. Changes nothing by itself.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::problem::Problem;
use super::settings::Main;

/// The user and the primary group that the service runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceUser {
    /// The user's number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
}

impl ServiceUser {
    /// The user and group that this process runs as.
    #[must_use]
    pub fn of_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// Whether root or the service owns the file.
    pub(super) fn trusts(self, metadata: &Metadata) -> bool {
        metadata.uid() == ROOT || metadata.uid() == self.uid
    }
}

/// What is wrong with who may write to `renewd.toml` and the inventory directory. What does not exist is no problem here.
#[must_use]
pub fn permission_problems(main: &Main, service: ServiceUser) -> Vec<Problem> {
    let file = present(fs::metadata(&main.file)).and_then(|found| file_problem(&main.file, &found));
    let directory = present(fs::metadata(&main.inventory));
    let directory = directory.and_then(|found| directory_problem(&main.inventory, &found, service));
    file.into_iter().chain(directory).collect()
}

fn present(found: io::Result<Metadata>) -> Option<Metadata> {
    found.ok()
}

/// A file that everybody may write to.
pub(super) fn file_problem(path: &Path, metadata: &Metadata) -> Option<Problem> {
    let is_open = metadata.mode() & WORLD_WRITABLE != 0;
    is_open.then(|| refused(path, "everybody may write to this file", "o-w"))
}

/// A directory that others than root and the service may write to.
pub(super) fn directory_problem(path: &Path, metadata: &Metadata, service: ServiceUser) -> Option<Problem> {
    let others = metadata.mode() & WORLD_WRITABLE != 0;
    let group = metadata.mode() & GROUP_WRITABLE != 0 && ![ROOT, service.gid].contains(&metadata.gid());
    let (who, change) = match (others, group) {
        (false, false) => return None,
        (true, false) => ("everybody", "o-w"),
        (false, true) => ("the group of this directory, which is neither root's nor the service's,", "g-w"),
        (true, true) => ("everybody", "go-w"),
    };
    Some(refused(path, &format!("{who} may write to this directory, and so obtain every certificate"), change))
}

fn refused(path: &Path, message: &str, change: &str) -> Problem {
    let path = path.display().to_string();
    Problem::of_file(&path, message).with_hint(&format!("run: chmod {change} {}", shell_word(&path)))
}

/// The path as one word of a shell.
fn shell_word(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

const ROOT: u32 = 0;
const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;
