//! A host of its own for each test: a folder with the configuration, a simulator, and the real binary.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::simulator::{Fault, FaultKind, Options, ProfileSpec, Simulator};

/// The longest that anything here is waited for.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
pub(crate) const ISSUE: &str = "/mpki/api/v1/certificate";

/// Folder, simulator and daemon; all of it ends when dropped.
pub(crate) struct Host {
    folder: TempDir,
    pub(crate) simulator: Simulator,
    /// The profile that the test began with.
    pub(crate) profile: String,
    /// Variables that the daemon is started with.
    pub(crate) environment: Vec<(String, String)>,
    daemon: Option<Child>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Host {
    /// A host with one profile and no certificate.
    pub(crate) fn new(profile: ProfileSpec) -> Self {
        let simulator = Simulator::start(Options::default());
        let profile = simulator.add_profile(profile);
        let host =
            Self { folder: tempfile::tempdir().unwrap(), simulator, profile, environment: Vec::new(), daemon: None };
        fs::create_dir(host.path("certs.d")).unwrap();
        host.write("root.pem", &host.simulator.ca_pem());
        host.write("api-key", &host.simulator.api_key());
        host.configure("", "");
        host
    }

    /// A host with one certificate of the usual profile.
    pub(crate) fn with_www() -> Self {
        let host = Self::new(ProfileSpec::default());
        host.entry("www", "");
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that the service alone may read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        if path.exists() {
            fs::remove_file(&path).unwrap();
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Writes `renewd.toml`, with more keys at the top and in `[api]`.
    pub(crate) fn configure(&self, top: &str, api: &str) {
        let (folder, url) = (self.folder.path().display(), self.simulator.url());
        let key =
            if api.contains("api_key_file") { String::new() } else { format!("api_key_file = \"{folder}/api-key\"\n") };
        self.write(
            "renewd.toml",
            &format!(
                "inventory = \"{folder}/certs.d\"\nstate_dir = \"{folder}/state\"\n\
                 control_socket = \"{folder}/control.sock\"\n{top}\n[api]\nurl = \"{url}\"\n\
                 ca_file = \"{folder}/root.pem\"\n{key}{api}\n"
            ),
        );
    }

    /// Writes a drop-in file with one certificate, with more keys.
    pub(crate) fn entry(&self, name: &str, more: &str) {
        let profile =
            if more.contains("profile =") { String::new() } else { format!("profile = {:?}\n", self.profile) };
        let names =
            if more.contains("dns_names") { "" } else { "dns_names = [\"@.example.com\", \"alt.@.example.com\"]\n" };
        let text = format!("[[certificate]]\nname = \"@\"\n{profile}common_name = \"@.example.com\"\n{names}{more}\n");
        self.write(&format!("certs.d/{name}.toml"), &text.replace('@', name));
    }

    /// The program with this host's configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
        command
            .arg("--config")
            .arg(self.path("renewd.toml"))
            .env_remove("RUST_LOG")
            .env("https_proxy", "http://127.0.0.1:9");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn says(&self, arguments: &[&str]) -> Said {
        let output = self.command().args(arguments).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Begins a command.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        self.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts the daemon, and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_unanswered();
        // Who reads the files instead says so; as JSON it would not.
        self.until("the daemon answers", || self.says(&["status"]).err.is_empty().then_some(()));
    }

    /// Starts the daemon.
    pub(crate) fn start_unanswered(&mut self) {
        let log = OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        self.start_logging_to(log.into());
    }

    /// Starts the daemon with this as its standard error.
    pub(crate) fn start_logging_to(&mut self, log: Stdio) {
        let mut command = self.command();
        command.arg("run").envs(self.environment.clone()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Ends the daemon by a signal; its exit code, `None` where it was killed.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.daemon.take().unwrap().wait().unwrap().code()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.says(&["status", "--json"]).out).unwrap_or_default()
    }

    /// One certificate of the status.
    pub(crate) fn certificate(&self, name: &str) -> Value {
        let status = self.status();
        let all = status["certificates"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|certificate| certificate["name"] == name).unwrap_or_default()
    }

    /// Waits until a certificate is in this state; the certificate.
    pub(crate) fn wait_state(&self, name: &str, state: &str) -> Value {
        self.until(&format!("{name} is {state}"), || {
            Some(self.certificate(name)).filter(|found| found["state"] == state)
        })
    }

    /// Waits until there is something, and fails with what is known when there is not in time.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            let known = || format!("{:#}\n{}", self.status(), self.log());
            assert!(begun.elapsed() < BOUND, "waited in vain until {what}\n{}", known());
            thread::sleep(LOOK);
        }
    }

    /// How many certificates were asked for.
    pub(crate) fn submissions(&self) -> usize {
        let requests = self.simulator.requests();
        let submits = |path: &str| path == ISSUE || path.ends_with("/renew");
        requests.iter().filter(|request| request.method == "POST" && submits(&request.path)).count()
    }

    /// Orders a misbehaviour for the next time alone.
    pub(crate) fn fault_once(&self, kind: FaultKind) {
        self.simulator.fault(Fault::new(kind).once());
    }

    pub(crate) fn live(&self, name: &str) -> PathBuf {
        self.path("state/certs").join(name).join("live")
    }

    pub(crate) fn read(&self, path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}\n{}", path.display(), self.log()))
    }

    /// The serial number of the live leaf, after checking that key and chain go with it.
    #[track_caller]
    pub(crate) fn live_serial(&self, name: &str) -> String {
        let live = self.live(name);
        let [key, cert, chain, fullchain] =
            ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"].map(|file| self.read(&live.join(file)));
        assert_eq!(fullchain, format!("{cert}{chain}"));
        let leaf = pem::parse(&cert).unwrap();
        let issued = self.simulator.issued();
        let record = issued.iter().find(|record| record.der == leaf.contents()).unwrap();
        let key = rcgen::KeyPair::from_pem(&key).unwrap();
        assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&key), record.spki, "key and certificate of {name}");
        assert_eq!(chain, self.simulator.issuing_intermediate_pem(), "the chain is the issuer alone");
        record.serial.clone()
    }
}

/// A folder for targets: only root and this user may write to it and to what is above it, as targets need it. The usual
/// temporary folder is none such, nor is a clone in it.
pub(crate) fn safe_folder() -> TempDir {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let others = ["/var/lib", "/var/cache", "/opt", "/srv"].map(PathBuf::from);
    let mut places = std::iter::once(own).chain(others).chain(home).filter(|place| place.ancestors().all(is_safe));
    let made = places.find_map(|place| tempfile::Builder::new().prefix("renewd-").tempdir_in(place).ok());
    made.unwrap_or_else(|| panic!("there is no folder whose ancestors only root and this user may write to"))
}

fn is_safe(folder: &Path) -> bool {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    fs::symlink_metadata(folder).is_ok_and(|metadata| {
        let is_own = [0, user].contains(&metadata.uid());
        let of_group = metadata.mode() & 0o020 == 0 || [0, group].contains(&metadata.gid());
        metadata.is_dir() && is_own && of_group && metadata.mode() & 0o002 == 0
    })
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        if thread::panicking() {
            let shown = self.log();
            drop(writeln!(File::options().append(true).open("/dev/stderr").unwrap(), "{shown}"));
        }
    }
}

const LOOK: Duration = Duration::from_millis(50);
