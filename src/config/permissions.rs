//! Who else may write to the configuration (promise 15). Whoever writes a drop-in file holds every key: what others may
//! write to is refused, with the command that mends it. Changes nothing by itself.

use std::fs::{self, File, Metadata};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags};

use super::settings::Main;
use crate::config::syntax::problem::Problem;
use crate::core::wanted::access_list::{self, Writer};

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
}

/// A file that is open, so that what is judged is what is read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) metadata: Metadata,
}

impl Opened {
    /// The file at a path, to be judged and not read.
    fn unread(path: &Path) -> Option<Self> {
        let file = File::from(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?);
        file.metadata().ok().map(|metadata| Self { file, metadata })
    }

    /// A path that leads to this file, whatever is at the one that it was opened by.
    fn by_number(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.file.as_raw_fd().to_string())
    }
}

/// What is wrong with who may write to `renewd.toml` and the inventory directory. What does not exist is no problem here.
#[must_use]
pub fn permission_problems(main: &Main, service: ServiceUser) -> Vec<Problem> {
    let file = Opened::unread(&main.file).and_then(|found| file_problem(&main.file, &found, service));
    file.into_iter().chain(directory_problems(main, service)).collect()
}

/// What is wrong with who may write to the inventory directory.
pub(super) fn directory_problems(main: &Main, service: ServiceUser) -> Option<Problem> {
    let found = fs::metadata(&main.inventory).ok()?;
    directory_problem(&main.inventory, &found, service)
}

/// A file that others than root and the service may write to.
pub(super) fn file_problem(path: &Path, opened: &Opened, service: ServiceUser) -> Option<Problem> {
    let open_to_others = || open_to_others(path, &opened.by_number(), ("file", ""), &opened.metadata, service);
    foreign_owner(path, "file", &opened.metadata, service).or_else(open_to_others)
}

/// A file that everybody may write to, before it is known who the service is.
pub(super) fn world_problem(path: &Path, opened: &Opened) -> Option<Problem> {
    let owner = ServiceUser { uid: opened.metadata.uid(), gid: opened.metadata.gid() };
    open_to_others(path, &opened.by_number(), ("file", ""), &opened.metadata, owner)
}

/// A directory that others than root and the service may write to.
pub(super) fn directory_problem(path: &Path, metadata: &Metadata, service: ServiceUser) -> Option<Problem> {
    let power = ", and so obtain every certificate";
    let owner = foreign_owner(path, "directory", metadata, service);
    owner.or_else(|| open_to_others(path, path, ("directory", power), metadata, service))
}

fn foreign_owner(path: &Path, kind: &str, metadata: &Metadata, service: ServiceUser) -> Option<Problem> {
    let owner = metadata.uid();
    let message = format!("this {kind} belongs to user {owner}, who is neither root nor the service's");
    (![ROOT, service.uid].contains(&owner))
        .then(|| refused(path, &message, &format!("if you trust what is in it, run: chown {ROOT}")))
}

/// What is called `path` in words is found at `place`.
fn open_to_others(
    path: &Path,
    place: &Path,
    (kind, power): (&str, &str),
    metadata: &Metadata,
    service: ServiceUser,
) -> Option<Problem> {
    if is_read_only(place) {
        return None;
    }
    let others = metadata.mode() & WORLD_WRITABLE != 0;
    let group = if metadata.mode() & GROUP_WRITABLE == 0 { None } else { other_writer(place, metadata, service) };
    let everybody = "everybody".to_owned();
    let (who, command) = match (others, group) {
        (false, None) => return None,
        (true, None) => (everybody, "chmod o-w".to_owned()),
        (false, Some((who, command))) => (who, command),
        (true, Some((_, command))) if command == CLOSE_GROUP => (everybody, "chmod go-w".to_owned()),
        (true, Some(_)) => (everybody, "chmod o-w".to_owned()),
    };
    Some(refused(path, &format!("{who} may write to this {kind}{power}"), &format!("run: {command}")))
}

/// Whether it is mounted so that nobody writes to it here, whatever its mode says: a ConfigMap's folder has mode 0777.
fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Who may write beside root and the service where the group's bit is set, and the command against it. With an access
/// list that bit only bounds what the list gives to each.
fn other_writer(path: &Path, metadata: &Metadata, service: ServiceUser) -> Option<(String, String)> {
    let owning = || ![ROOT, service.gid].contains(&metadata.gid());
    let of_group = |gid: u32| format!("group {gid}, which is neither root's nor the service's,");
    let Some(writers) = listed_writers(path) else {
        return owning().then(|| (of_group(metadata.gid()), CLOSE_GROUP.to_owned()));
    };
    let writer = writers.into_iter().find(|writer| writer.is_stranger(metadata.gid(), (service.uid, service.gid)))?;
    let who = match writer {
        Writer::User(uid) => format!("user {uid}, by the access list,"),
        Writer::Group(gid) => format!("group {gid}, by the access list,"),
        Writer::OwningGroup => of_group(metadata.gid()),
    };
    Some((who, writer.command()))
}

/// Whom the access list of a file lets write; `None`: it has none, or none that can be read.
fn listed_writers(path: &Path) -> Option<Vec<Writer>> {
    let mut list = vec![0; LONGEST_LIST];
    let length = rustix::fs::getxattr(path, access_list::ATTRIBUTE, &mut list).ok()?;
    access_list::writers(list.get(..length)?)
}

fn refused(path: &Path, message: &str, command: &str) -> Problem {
    let path = path.display().to_string();
    Problem::of_file(&path, message).with_hint(&format!("{command} {}", shell_word(&path)))
}

/// The command that lets the service read what is at `path`, as far as that can be told.
pub(super) fn let_read(path: &Path, service: ServiceUser) -> String {
    let Ok(metadata) = fs::metadata(path) else {
        return format!(
            "let the service (user {}, group {}) search every directory above it",
            service.uid, service.gid
        );
    };
    let rights = if metadata.is_dir() { "rx" } else { "r" };
    let word = shell_word(&path.display().to_string());
    if metadata.uid() == service.uid {
        return format!("run: chmod u+{rights} {word}");
    }
    if metadata.gid() == service.gid {
        return format!("run: chmod g+{rights} {word}");
    }
    format!("run: chgrp {} {word} && chmod g+{rights} {word}", service.gid)
}

/// The path as one word of a shell.
pub(super) fn shell_word(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

const CLOSE_GROUP: &str = "chmod g-w";
const LONGEST_LIST: usize = 64 << 10;
const ROOT: u32 = 0;
const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;
