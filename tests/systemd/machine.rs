//! A throw-away Debian with a booted systemd: a root file system that is made once and kept pristine, and machines
//! that lie over it and vanish when dropped. Needs root, systemd-nspawn and mmdebstrap, and a mirror of the host's own.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

/// The longest that anything is waited for that is not given a bound of its own.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
const PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,polkitd,nginx-light,openssl";
/// As where the tests put a unit of that name: what is not started by a test stays down.
const NO_NGINX: &str = "--customize-hook=rm \"$1\"/etc/systemd/system/multi-user.target.wants/nginx.service";

/// A booted machine.
pub(crate) struct Machine {
    nspawn: Child,
    leader: u32,
    groups: Vec<PathBuf>,
    /// Shared with the machine as /mnt/host, to pass files in.
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Why these tests cannot run here; `None` when they can. With `RENEWD_REQUIRE_SYSTEMD=1` they have to.
pub(crate) fn skipped() -> bool {
    let Some(reason) = obstacle() else { return false };
    assert!(std::env::var_os("RENEWD_REQUIRE_SYSTEMD").is_none(), "RENEWD_REQUIRE_SYSTEMD is set, but {reason}");
    println!("skipped: {reason}");
    true
}

fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a machine of one's own needs root".to_owned());
    }
    let is_there =
        |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    let missing = ["systemd-nspawn", "mmdebstrap", "nsenter", "apt-get"].into_iter().find(|tool| !is_there(tool))?;
    Some(format!("{missing} is missing (apt-get install systemd-container mmdebstrap)"))
}

impl Machine {
    /// Boots, with these files of the host's seen inside, read-only.
    pub(crate) fn boot(binds: &[(&Path, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("renewd-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let groups = control_groups(&name);
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let console = fs::File::create(folder.path().join("console")).unwrap();
        let mut command = Command::new("sh");
        // Its own control groups, since without a registered scope it would share those of the tests.
        command.args(["-c", "for group in $GROUPS_OF_MACHINE; do echo $$ > $group/cgroup.procs || exit 1; done; exec systemd-nspawn \"$@\"", "sh"]);
        command
            .env("GROUPS_OF_MACHINE", groups.iter().map(|group| group.to_str().unwrap()).collect::<Vec<_>>().join(" "));
        command.args(["--boot", "--quiet", "--register=no", "--keep-unit", "--private-network", "--volatile=overlay"]);
        command.args(["--console=pipe", &format!("--machine={name}"), "-D"]).arg(root_file_system());
        command.arg(format!("--bind-ro={}:/mnt/host", folder.path().display()));
        for (file, inside) in binds {
            command.arg(format!("--bind-ro={}:{inside}", file.display()));
        }
        let nspawn = command.stdin(Stdio::null()).stdout(console.try_clone().unwrap()).stderr(console).spawn().unwrap();
        let mut machine = Self { nspawn, leader: 0, groups, folder };
        machine.leader = machine.until("its first process is there", Self::leader);
        machine.until("it has booted", |machine| {
            let state = machine.run(&["systemctl", "is-system-running"]).out;
            ["running\n", "degraded\n"].contains(&state.as_str()).then_some(())
        });
        machine
    }

    fn leader(&self) -> Option<u32> {
        let pid = self.nspawn.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let is_systemd = |child: &&str| {
            fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim_end() == "systemd")
        };
        children.split_whitespace().find(is_systemd).map(|child| child.parse().unwrap())
    }

    /// Runs a program inside, as root.
    pub(crate) fn run(&self, argv: &[&str]) -> Said {
        let leader = self.leader.to_string();
        let output = Command::new("nsenter")
            .args(["--target", &leader, "--all", "--"])
            .args(argv)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("SYSTEMD_PAGER", "")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said::of(&output)
    }

    /// Runs a script inside, as root, and wants it to succeed; what it printed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        let said = self.run(&["sh", "-ec", script]);
        assert_eq!(said.code, 0, "{script}\n{}{}\n{}", said.out, said.err, self.journal());
        said.out
    }

    /// Writes a file inside, whole: staged beside it and renamed over, as configuration management does.
    pub(crate) fn write(&self, path: &str, mode: u32, text: &str) {
        let mut staged = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        staged.write_all(text.as_bytes()).unwrap();
        let name = staged.path().file_name().unwrap().to_str().unwrap();
        self.sh(&format!(
            "mkdir -p $(dirname {path}); cp /mnt/host/{name} {path}.new; chmod {mode:o} {path}.new; mv {path}.new {path}"
        ));
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", property, unit]).out.trim_end().to_owned()
    }

    /// All of the journal.
    pub(crate) fn journal(&self) -> String {
        self.run(&["journalctl", "--no-pager", "--output=short-precise"]).out
    }

    /// What a unit logged, the messages alone.
    pub(crate) fn log(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "--output=cat", "--unit", unit]).out
    }

    /// Waits until there is something, and fails with the journal when there is not in time.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, found: impl Fn(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            let console = || fs::read_to_string(self.folder.path().join("console")).unwrap_or_default();
            assert!(begun.elapsed() < BOUND, "waited in vain until {what}\n{}{}", console(), self.journal());
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let first = if self.leader == 0 { self.nspawn.id() } else { self.leader };
        // Whoever is gone already has left nothing to end.
        drop(Command::new("kill").args(["-KILL", &first.to_string()]).status());
        drop(self.nspawn.wait());
        for group in &self.groups {
            drop(Command::new("find").arg(group).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]).status());
        }
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A group for the machine in each hierarchy that systemd uses: one of them, or two on a host that mixes versions.
fn control_groups(name: &str) -> Vec<PathBuf> {
    let mixed = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].map(Path::new);
    let tops: Vec<&Path> = mixed.into_iter().filter(|path| path.exists()).collect();
    let tops = if tops.is_empty() { vec![Path::new("/sys/fs/cgroup")] } else { tops };
    let groups: Vec<PathBuf> = tops.into_iter().map(|top| top.join(name)).collect();
    groups.iter().for_each(|group| fs::create_dir(group).unwrap());
    groups
}

/// The root file system, made at the first use: of the host's own release, since what was built here runs there.
fn root_file_system() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let release = release();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{release}-{}", PACKAGES.replace(',', "-")));
        if !kept.exists() {
            let unfinished = kept.with_extension("unfinished");
            let folder = unfinished.to_str().unwrap();
            assert!(Command::new("rm").args(["-rf", folder]).status().unwrap().success());
            let include = format!("--include={PACKAGES}");
            let made = Command::new("mmdebstrap")
                .args(["--quiet", "--variant=essential", &include, NO_NGINX, &release, folder, &mirror(&release)])
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", Said::of(&made).err);
            Command::new("mv").arg(&unfinished).arg(&kept).status().unwrap();
        }
        kept
    })
}

fn release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap();
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("a release of Debian's");
    name.trim_matches('"').to_owned()
}

/// Where the host's own apt gets this release from.
fn mirror(release: &str) -> String {
    let format = ["--format", "$(RELEASE) $(COMPONENT) $(SITE)", "Created-By: Packages"];
    let output = Command::new("apt-get").arg("indextargets").args(format).output().unwrap();
    let targets = Said::of(&output).out;
    let wanted = format!("{release} main ");
    let site = targets.lines().find_map(|line| line.strip_prefix(&wanted));
    site.unwrap_or_else(|| panic!("apt knows no mirror of {release}:\n{targets}")).to_owned()
}
