//! A machine with renewd laid out as its package does it, and a simulated TLM on the loopback address.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::machine::{Machine, Said};

/// The service under test.
pub(crate) const RENEWD: &str = "renewd.service";
/// Every unit that ships.
pub(crate) const UNITS: [&str; 7] = [
    "renewd.service",
    "renewd-heal.service",
    "renewd@.service",
    "renewd-hook@.service",
    "renewd-status.service",
    "renewd-status.timer",
    "renewd-alert@.service",
];

/// The machine; the service is installed, configured and not started.
pub(crate) struct Host(Machine);

impl Deref for Host {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

impl Host {
    /// A host without certificates.
    pub(crate) fn new() -> Self {
        let files = ["sysusers.d/renewd.conf", "tmpfiles.d/renewd.conf"];
        let mut binds: Vec<(PathBuf, String)> =
            files.into_iter().map(|file| (shipped(file), format!("/usr/lib/{file}"))).collect();
        binds.extend(UNITS.map(|unit| (shipped(unit), format!("/usr/lib/systemd/system/{unit}"))));
        binds.push((PathBuf::from(env!("CARGO_BIN_EXE_renewd")), "/usr/bin/renewd".to_owned()));
        let host = Self::without_renewd(binds);
        host.sh("systemd-sysusers && systemd-tmpfiles --create renewd.conf");
        host.sh("install -m 0644 /srv/sim/root.pem /etc/renewd/ && install -m 0600 /srv/sim/api-key /etc/renewd/");
        host.configure("");
        host
    }

    /// A host with the simulator alone, and these files.
    pub(crate) fn without_renewd(mut binds: Vec<(PathBuf, String)>) -> Self {
        binds.push((simulator().to_owned(), "/usr/bin/tlm-sim".to_owned()));
        let binds: Vec<(&Path, &str)> = binds.iter().map(|(file, inside)| (file.as_path(), inside.as_str())).collect();
        let host = Self(Machine::boot(&binds));
        host.write("/etc/hosts", 0o644, "127.0.0.1 localhost\n");
        host.sh("systemd-run --quiet --unit=tlm-sim /usr/bin/tlm-sim --port 8443 --dir /srv/sim");
        // The last file that it writes, and it listens before.
        let written = |host: &Machine| host.run(&["test", "-s", "/srv/sim/certs.d/example.toml"]).code == 0;
        host.until("the simulator listens", |host| written(host).then_some(()));
        host
    }

    /// A host with one certificate, started and valid.
    pub(crate) fn with_www(more: &str) -> Self {
        let host = Self::new();
        host.entry("www", more);
        host.start();
        host.wait_state("www", "valid");
        host
    }

    /// Writes `renewd.toml`, with more at the end.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!("[api]\nurl = \"https://localhost:8443\"\nca_file = \"/etc/renewd/root.pem\"\n{more}");
        self.write("/etc/renewd/renewd.toml", 0o644, &text);
        self.sh("systemd-tmpfiles --create renewd.conf");
    }

    /// Writes a drop-in file with one certificate, with more keys.
    pub(crate) fn entry(&self, name: &str, more: &str) {
        self.write(&format!("/etc/renewd/certs.d/{name}.toml"), 0o644, &entry(name, more));
    }

    /// Starts the service, and wants systemd to call it started.
    #[track_caller]
    pub(crate) fn start(&self) {
        self.sh("systemctl start renewd");
        assert_eq!(self.property(RENEWD, "ActiveState"), "active");
    }

    pub(crate) fn main_pid(&self) -> u32 {
        self.property(RENEWD, "MainPID").parse().unwrap()
    }

    pub(crate) fn status_text(&self) -> String {
        self.property(RENEWD, "StatusText")
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.run(&["renewd", "status", "--json"]).out).unwrap_or_default()
    }

    /// One certificate of the status.
    pub(crate) fn certificate(&self, name: &str) -> Value {
        let all = self.status()["certificates"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|certificate| certificate["name"] == name).unwrap_or_default()
    }

    /// Waits until a certificate is in this state; the certificate.
    #[track_caller]
    pub(crate) fn wait_state(&self, name: &str, state: &str) -> Value {
        self.until(&format!("{name} is {state}"), |_| {
            Some(self.certificate(name)).filter(|found| found["state"] == state)
        })
    }

    /// Runs a program as the service's user, without its sandbox.
    pub(crate) fn as_renewd(&self, argv: &[&str]) -> Said {
        self.run(&[&["setpriv", "--reuid", "renewd", "--regid", "renewd", "--clear-groups"], argv].concat())
    }

    /// How many certificates the simulator was asked for.
    pub(crate) fn submissions(&self) -> usize {
        self.log("tlm-sim").lines().filter(|line| line.contains("POST /mpki/api/v1/certificate")).count()
    }

    /// A drop-in for the service.
    pub(crate) fn drop_in(&self, text: &str) {
        self.write("/etc/systemd/system/renewd.service.d/test.conf", 0o644, &format!("[Service]\n{text}\n"));
        self.sh("systemctl daemon-reload");
    }
}

/// A drop-in file with one certificate.
pub(crate) fn entry(name: &str, more: &str) -> String {
    format!("[[certificate]]\nname = \"{name}\"\nprofile = \"Example\"\ncommon_name = \"{name}.example.com\"\n{more}\n")
}

/// A file of `systemd/`.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// The simulator's program, built as the tests are.
fn simulator() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let release: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--offline", "--example", "tlm-sim"])
            .args(release)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(built.success());
        Path::new(env!("CARGO_BIN_EXE_renewd")).with_file_name("examples").join("tlm-sim")
    })
}
