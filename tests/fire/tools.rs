//! What a test needs of the machine beside the binary: programs, rights, and a clock that can be set for one process.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::Host;

/// Whether a test can run here; where not, that is said, or fails where everything has to run.
pub(crate) fn is_there(what: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var_os("RENEWD_REQUIRE_FAULTS").is_none(), "{what} is needed, and is not there");
        println!("left out: {what} is not there");
    }
    there
}

/// Whether strace can follow renewd here: nobody but root reaches into a process that is not dumpable.
pub(crate) fn has_strace() -> bool {
    let mut probe = Command::new("strace");
    let probe = probe.args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let may_trace = rustix::process::geteuid().is_root() && probe.is_ok_and(|status| status.success());
    is_there("strace, as root", may_trace)
}

pub(crate) fn is_root() -> bool {
    is_there("root", rustix::process::geteuid().is_root())
}

pub(crate) fn run(program: &str, arguments: &[&OsStr]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// The library that shows a process another time.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let places = folders.chain([PathBuf::from("/usr/lib")]);
    let mut found = places.map(|folder| folder.join("faketime/libfaketime.so.1")).filter(|path| path.exists());
    let found = found.next();
    is_there("libfaketime (the package faketime)", found.is_some());
    found
}

/// The wall clock of one process, which the test sets; the steady one goes on as it did, as in a suspend.
pub(crate) struct WallClock {
    file: PathBuf,
    library: PathBuf,
}

impl WallClock {
    /// `None` where the machine lacks the library.
    pub(crate) fn new(host: &Host) -> Option<Self> {
        let clock = Self { file: host.path("clock"), library: faketime()? };
        clock.set(0);
        Some(clock)
    }

    /// Sets it to so many seconds after the right time.
    pub(crate) fn set(&self, seconds: i64) {
        let staged = self.file.with_extension("new");
        fs::write(&staged, format!("{seconds:+}\n")).unwrap();
        fs::rename(staged, &self.file).unwrap();
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// A file system in memory of its own size, which ends with the test.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    pub(crate) fn mount(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        run(
            "mount",
            &["-t", "tmpfs", "-o", options, "tmpfs"]
                .map(OsStr::new)
                .into_iter()
                .chain([at.as_os_str()])
                .collect::<Vec<_>>(),
        );
        Self(at.to_owned())
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        run("mount", &[OsStr::new("-o"), OsStr::new(&options), self.0.as_os_str()]);
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a daemon that a failed test leaves may still hold it.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// A tracer at a running process, which makes system calls fail until it is taken away.
pub(crate) struct Tracer(Child);

impl Tracer {
    pub(crate) fn attach(host: &Host, pid: u32, arguments: &[&str]) -> Self {
        let said = host.path("strace");
        let mut command = Command::new("strace");
        command.arg("-f").arg("-o").arg("/dev/null").args(arguments).arg("-p").arg(pid.to_string());
        let child = command.stderr(fs::File::create(&said).unwrap()).spawn().unwrap();
        host.until("strace is attached", || host.read(&said).contains("attached").then_some(()));
        Self(child)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // By this signal it lets the process go on.
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap_or_default();
        drop(self.0.wait());
    }
}
