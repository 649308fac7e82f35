//! Who runs on this host, by `/proc`: the program, how it was started, the unit that started it, and the sockets it holds.
//! An ordinary user sees of other users' processes the name and the arguments alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::servers::{PROGRAMS, Running};

/// A process.
pub(super) struct Process {
    pub(super) running: Running,
    /// The systemd unit that it belongs to.
    pub(super) unit: Option<String>,
    /// Whether it has another root than this command: its paths are not those of the host.
    pub(super) is_elsewhere: bool,
}

/// The processes of this host, by their number, and which of them holds which socket.
pub(super) struct Processes {
    pub(super) all: BTreeMap<u32, Process>,
    /// By the socket's inode. Those that share one were forked: the first is their parent.
    holders: BTreeMap<u64, u32>,
}

impl Processes {
    /// Those that `/proc` shows now.
    pub(super) fn read() -> Self {
        let mut found = Self { all: BTreeMap::new(), holders: BTreeMap::new() };
        let mut numbers: Vec<u32> = names(Path::new("/proc")).iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        for pid in numbers.into_iter().take(MOST_PROCESSES) {
            let folder = PathBuf::from(format!("/proc/{pid}"));
            // One that ended meanwhile, or a thread of the kernel.
            let Some(process) = process(pid, &folder) else { continue };
            for inode in sockets(&folder) {
                found.holders.entry(inode).or_insert(pid);
            }
            found.all.insert(pid, process);
        }
        found
    }

    /// Who holds a socket, where that can be seen.
    pub(super) fn holder(&self, inode: u64) -> Option<(u32, &Process)> {
        let pid = self.holders.get(&inode)?;
        self.all.get(pid).map(|process| (*pid, process))
    }

    /// Servers whose configurations lie under another root: the first process of each.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = (u32, &str)> {
        let mut seen = BTreeSet::new();
        let elsewhere = self.all.iter().filter(|(_, process)| process.is_elsewhere);
        let named = elsewhere.map(|(pid, process)| (*pid, process.running.program.as_str()));
        named.filter(move |(_, program)| PROGRAMS.contains(program) && seen.insert(*program))
    }

    /// What the readers of configurations look at: those whose paths are the host's.
    pub(super) fn running(&self) -> Vec<Running> {
        self.all.values().filter(|process| !process.is_elsewhere).map(|process| process.running.clone()).collect()
    }
}

fn process(pid: u32, folder: &Path) -> Option<Process> {
    let line = fs::read(folder.join("cmdline")).ok().filter(|line| !line.is_empty())?;
    let arguments = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let arguments: Vec<String> = arguments.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let program = fs::read_link(folder.join("exe")).ok().as_deref().and_then(Path::file_name).map(text);
    let called = || Some(fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned());
    // Of a program that was replaced since.
    let program = program.or_else(called)?.trim_end_matches(" (deleted)").to_owned();
    let running = Running { pid, program, arguments, directory: fs::read_link(folder.join("cwd")).ok() };
    let unit = fs::read_to_string(folder.join("cgroup")).ok().as_deref().and_then(unit).map(str::to_owned);
    Some(Process { running, unit, is_elsewhere: is_elsewhere(&folder.join("root")) })
}

/// The unit of a service in the lines of `/proc/PID/cgroup`.
fn unit(lines: &str) -> Option<&str> {
    lines.lines().find_map(|line| line.rsplit('/').find(|part| part.ends_with(".service")))
}

/// Whether a root is another one than ours. Whoever may not look takes it for the same.
fn is_elsewhere(root: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    place(root).is_some_and(|found| Some(found) != place(Path::new("/")))
}

fn sockets(folder: &Path) -> Vec<u64> {
    let folder = folder.join("fd");
    let targets = names(&folder).into_iter().filter_map(|name| fs::read_link(folder.join(name)).ok());
    targets.filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    found.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn text(name: &std::ffi::OsStr) -> String {
    String::from_utf8_lossy(&OsString::from(name).into_vec()).into_owned()
}

/// A host with more is looked at in part.
const MOST_PROCESSES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_service() {
        assert_eq!(unit("0::/system.slice/nginx.service\n"), Some("nginx.service"));
        assert_eq!(
            unit("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n"),
            Some("postgresql@15-main.service")
        );
        let old = "12:pids:/\n1:name=systemd:/system.slice/httpd.service\n";
        assert_eq!(unit(old), Some("httpd.service"));
        assert_eq!(unit("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(unit("0::/init.scope\n"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener))).unwrap();
        let inode = inode.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap();
        let found = Processes::read();
        let (pid, process) = found.holder(inode).unwrap();
        assert_eq!(pid, std::process::id());
        assert_eq!(process.running.arguments.first(), std::env::args().next().as_ref());
        assert!(!process.is_elsewhere);
    }
}
