//! Disks that fail: full, read-only, closed to the service, broken. It is found before a submission is spent, the status
//! says it with what to do, what is installed stays whole, and all is well by itself when the cause goes.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::host::{Host, safe_folder};
use crate::process::Process;
use crate::tools::{self, Tmpfs, Tracer, WallClock};

/// A host with one certificate, valid, and a clock by which waits need no waiting; `None` where it cannot be had.
struct Site {
    host: Host,
    fixed: TempDir,
    clock: WallClock,
}

impl Site {
    fn new() -> Option<Self> {
        let host = Host::with_www();
        let clock = WallClock::new(&host)?;
        Some(Self { host, fixed: safe_folder(), clock })
    }

    fn start(&self) -> Process {
        let process = Process::start(&self.host, &self.clock.environment());
        self.host.wait_state("www", "valid");
        process
    }

    fn fixed(&self) -> PathBuf {
        self.fixed.path().join("files")
    }

    /// Asks for a second certificate, with copies at fixed paths, while the disk is broken.
    fn ask(&self, process: &Process) {
        let [key, bundle] = ["key.pem", "bundle.pem"].map(|name| self.fixed().join(name));
        self.host.entry(
            "api",
            &format!("formats = [\"bundle\"]\n[certificate.files]\nprivate_key = {key:?}\nbundle = {bundle:?}\n"),
        );
        process.signal(Signal::HUP);
    }

    /// What is broken is said under this code, with what to do, and nothing was asked for.
    fn is_found(&self, code: &str, remedy: &str) {
        // What failed is known before the files were looked at again and the state was decided.
        self.host.until(&format!("{code} is said"), || {
            let found = self.host.certificate("api");
            (found["last_error"]["code"] == code && found["state"] == "failing").then_some(())
        });
        let said = self.host.says(&["status", "api"]);
        assert_eq!(said.code, 1);
        assert!(said.out.contains(remedy), "{code}: {}", said.out);
        assert_eq!(self.host.submissions(), 1, "{code}: that of www alone");
        self.host.live_serial("www");
        assert_eq!(self.host.certificate("www")["state"], "valid");
    }

    /// The cause is gone: after its wait the daemon goes on by itself, and one request was enough.
    fn heals(&self, process: Process) {
        let later = 150;
        self.clock.set(later);
        // Only to be woken.
        process.signal(Signal::HUP);
        self.host.wait_state("api", "valid");
        assert_eq!((self.host.submissions(), self.host.simulator.issued().len()), (2, 2));
        self.host.live_serial("api");
        let live = self.host.read(&self.host.live("api").join("bundle.pem"));
        assert_eq!(self.host.read(&self.fixed().join("bundle.pem")), live);
        assert_eq!(process.end(Signal::TERM), Some(0));
    }
}

/// Takes all the room that there is; the files, to be removed.
fn fill(folder: &Path, with_bytes: bool) -> Vec<PathBuf> {
    let mut ballast = Vec::new();
    loop {
        let path = folder.join(format!("ballast-{}", ballast.len()));
        let Ok(mut file) = File::create(&path) else { return ballast };
        ballast.push(path);
        if with_bytes {
            while file.write_all(&[0; 4096]).is_ok() {}
            // What was left is less than a block.
            return ballast;
        }
    }
}

#[test]
fn a_full_disk_is_found_before_a_submission_is_spent() {
    if !tools::is_root() {
        return;
    }
    for (options, with_bytes) in [("size=1m", true), ("size=4m,nr_inodes=64", false)] {
        for is_target in [false, true] {
            let Some(site) = Site::new() else { return };
            fs::create_dir(site.fixed()).unwrap();
            let folder = if is_target { site.fixed() } else { site.host.path("state") };
            let _small = Tmpfs::mount(&folder, &format!("{options},mode=755"));
            let process = site.start();
            let ballast = fill(&folder, with_bytes);
            site.ask(&process);
            site.is_found("disk-full", "free space or inodes");
            ballast.iter().for_each(|path| fs::remove_file(path).unwrap());
            site.heals(process);
        }
    }
}

#[test]
fn a_read_only_file_system_is_found_before_a_submission_is_spent() {
    if !tools::is_root() {
        return;
    }
    let Some(site) = Site::new() else { return };
    let mount = Tmpfs::mount(&site.fixed(), "size=4m,mode=755");
    let process = site.start();
    mount.remount("ro");
    site.ask(&process);
    site.is_found("disk-read-only", "mount it writable");
    mount.remount("rw");
    site.heals(process);
}

#[test]
fn a_read_only_state_directory_is_said_at_the_start() {
    if !tools::is_root() {
        return;
    }
    let host = Host::with_www();
    let state = Tmpfs::mount(&host.path("state"), "size=4m,mode=755");
    assert_eq!(host.says(&["once"]).code, 0);
    let before = host.submissions();
    state.remount("ro");
    let said = host.says(&["run"]);
    assert_eq!(said.code, 70, "{}", said.err);
    assert!(said.err.contains("mount it writable"), "{}", said.err);
    assert_eq!(host.says(&["status"]).err.matches("cannot").count(), 0, "it can be read");
    assert_eq!(host.submissions(), before);
    state.remount("rw");
    let process = Process::start(&host, &[]);
    host.wait_state("www", "valid");
    assert_eq!((process.end(Signal::TERM), host.submissions()), (Some(0), 1));
}

#[test]
fn a_folder_that_is_closed_to_the_service_is_found_before_a_submission_is_spent() {
    let Some(site) = Site::new() else { return };
    fs::create_dir(site.fixed()).unwrap();
    let (host, closed) = (&site.host, Permissions::from_mode(0o500));
    // Root may write everywhere.
    let process = if rustix::process::geteuid().is_root() {
        fs::create_dir(host.path("state")).unwrap();
        for folder in [&host.path(""), &site.fixed(), site.fixed.path()] {
            tools::run("chown", &[OsStr::new("-R"), OsStr::new("65534:65534"), folder.as_os_str()]);
        }
        fs::set_permissions(site.fixed.path(), Permissions::from_mode(0o755)).unwrap();
        Process::start_as(host, 65534, &site.clock.environment())
    } else {
        site.start()
    };
    host.wait_state("www", "valid");
    fs::set_permissions(site.fixed(), closed).unwrap();
    site.ask(&process);
    chown(host.path("certs.d/api.toml"), Some(65534), Some(65534)).ok();
    process.signal(Signal::HUP);
    site.is_found("disk-permission", "permission");
    fs::set_permissions(site.fixed(), Permissions::from_mode(0o755)).unwrap();
    site.heals(process);
}

/// Owner and mode of a target change where the service may not write any more.
#[test]
fn drift_that_cannot_be_mended_is_said_and_mended_when_it_can_be() {
    if !tools::is_root() {
        return;
    }
    let Some(site) = Site::new() else { return };
    fs::create_dir(site.fixed()).unwrap();
    let (host, target) = (&site.host, site.fixed().join("www.pem"));
    host.entry("www", &format!("[certificate.files]\nfullchain = {target:?}\n"));
    fs::create_dir(host.path("state")).unwrap();
    for folder in [&host.path(""), &site.fixed(), site.fixed.path()] {
        tools::run("chown", &[OsStr::new("-R"), OsStr::new("65534:65534"), folder.as_os_str()]);
    }
    fs::set_permissions(site.fixed.path(), Permissions::from_mode(0o755)).unwrap();
    let process = Process::start_as(host, 65534, &site.clock.environment());
    host.wait_state("www", "valid");
    let spoilt: [(&dyn Fn(), &str); 2] = [
        (&|| fs::set_permissions(&target, Permissions::from_mode(0o666)).unwrap(), "mode"),
        (&|| chown(&target, Some(0), Some(0)).unwrap(), "owner"),
    ];
    for (round, (spoil, what)) in spoilt.into_iter().enumerate() {
        fs::set_permissions(site.fixed(), Permissions::from_mode(0o500)).unwrap();
        spoil();
        process.signal(Signal::HUP);
        let www = host.until(what, || Some(host.certificate("www")).filter(|www| www["state"] == "failing"));
        let reason = www["reason"].as_str().unwrap();
        assert!(reason.contains("disk-permission") && reason.contains(target.to_str().unwrap()), "{reason}");
        assert!(reason.contains("next attempt at"), "{reason}");
        assert_eq!(host.says(&["status"]).code, 1);
        fs::set_permissions(site.fixed(), Permissions::from_mode(0o755)).unwrap();
        site.clock.set(i64::try_from(round + 1).unwrap() * 150);
        process.signal(Signal::HUP);
        host.until(what, || {
            let found = fs::metadata(&target).unwrap();
            ((found.uid(), found.permissions().mode() & 0o777) == (65534, 0o644)).then_some(())
        });
        host.wait_state("www", "valid");
    }
    assert_eq!(host.submissions(), 1);
    assert_eq!(process.end(Signal::TERM), Some(0));
}

#[test]
fn a_disk_that_fails_to_sync_is_found_before_a_submission_is_spent() {
    if !tools::has_strace() {
        return;
    }
    // The folders; the journal alone, in which the intent cannot be noted; what is written to it.
    for (calls, of_journal) in [("fsync,fdatasync", false), ("fsync,fdatasync", true), ("write,pwrite64", true)] {
        let Some(site) = Site::new() else { return };
        fs::create_dir(site.fixed()).unwrap();
        let process = site.start();
        let (inject, journal) = (format!("inject={calls}:error=EIO"), site.host.path("state/journal"));
        let mut arguments = vec!["-e", inject.as_str()];
        if of_journal {
            arguments.extend(["-P", journal.to_str().unwrap()]);
        }
        let tracer = Tracer::attach(&site.host, process.pid(), &arguments);
        site.ask(&process);
        site.is_found("disk", "see the system's log for the device");
        drop(tracer);
        site.heals(process);
    }
}
