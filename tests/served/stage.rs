//! The stage of each server: a host with one certificate whose hook reloads the server, fails, or does nothing and says
//! that all is well, and the play that is the same for all servers.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::host::Host;
use crate::server::{self, Server, free_address};
use crate::simulator::{Fault, FaultKind};
use crate::tools::WallClock;

/// What the hook does.
#[derive(Clone, Copy)]
pub(crate) enum Hook {
    /// Reloads the server.
    Works,
    /// Exits with 7.
    Fails,
    /// Exits with 0, and does nothing.
    Lies,
}

/// A host, the address where its certificate is served, and its clock.
pub(crate) struct Stage {
    pub(crate) host: Host,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    starttls: Option<&'static str>,
    clock: WallClock,
    /// How far the clock is ahead of the right time, in seconds.
    ahead: Cell<i64>,
}

impl Stage {
    /// `None` where the machine lacks what every stage needs. `entry` is more of the certificate's entry.
    pub(crate) fn new(starttls: Option<&'static str>, entry: &str) -> Option<Self> {
        let mut host = Host::with_www();
        let clock = WallClock::new(&host);
        server::is_there("libfaketime (the package faketime)", clock.is_some());
        let clock = clock?;
        host.environment = clock.environment();
        // Servers drop to users of their own.
        fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let (address, metrics) = (free_address(), free_address());
        let upgrade = starttls.map_or(String::new(), |protocol| format!(", starttls = {protocol:?}"));
        let hook = format!("command = [\"/bin/sh\", {:?}]\nmin_interval = \"0s\"\n", host.path("hook"));
        host.configure(&format!("[metrics]\nlisten = \"{metrics}\"\n[hook.reload]\n{hook}"), "");
        host.entry("www", &format!("hooks = [\"reload\"]\nprobe = {{ address = \"{address}\"{upgrade} }}\n{entry}"));
        Some(Self { host, address, metrics, starttls, clock, ahead: Cell::new(0) })
    }

    /// A folder of the server's own.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.host.path("server");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A file of the live generation.
    pub(crate) fn live(&self, file: &str) -> String {
        self.host.live("www").join(file).display().to_string()
    }

    /// Writes the hook; `reload` is a command of the shell.
    pub(crate) fn hook(&self, hook: Hook, reload: &str) {
        let script = match hook {
            Hook::Works => format!("exec {reload}\n"),
            Hook::Fails => "echo the server is missing >&2\nexit 7\n".to_owned(),
            Hook::Lies => "exit 0\n".to_owned(),
        };
        fs::write(self.host.path("hook.new"), script).unwrap();
        fs::rename(self.host.path("hook.new"), self.host.path("hook")).unwrap();
    }

    /// Waits until there is something, while the clock runs faster than the right one: each look at the status lets
    /// the daemon look at its clock, too.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, found: impl Fn(&Value) -> Option<T>) -> T {
        self.host.until(what, || {
            let there = found(&self.host.certificate("www"));
            if there.is_none() {
                self.hurry(1);
            }
            there
        })
    }

    /// Sets the clocks of daemon and API forward.
    fn hurry(&self, seconds: i64) {
        self.ahead.set(self.ahead.get() + seconds);
        self.host.simulator.clear_faults();
        self.host.simulator.fault(Fault::new(FaultKind::DateShifted(self.ahead.get())));
        self.clock.set(self.ahead.get());
    }

    /// Replaces the certificate; the serial number of the one before.
    pub(crate) fn renew(&self) -> String {
        let before = self.host.live_serial("www");
        // The command waits until it is served, too, or was not.
        let mut command = self.host.begin(&["renew", "www"]);
        self.until("another certificate is installed", |_| (self.host.live_serial("www") != before).then_some(()));
        command.kill().unwrap();
        command.wait().unwrap();
        before
    }

    /// Waits until the certificate is valid and served, and looks for itself.
    #[track_caller]
    pub(crate) fn is_served(&self) {
        self.until("it is valid and served", |www| {
            let is_so = www["state"] == "valid" && www["served"] == "yes" && www["hooks"][0]["state"] == "done";
            (is_so && www["serial_number"] == self.host.live_serial("www")).then_some(())
        });
        // A worker of before may take another connection or two.
        self.until("a client sees it", |_| (self.served() == self.host.live_serial("www")).then_some(()));
        assert_eq!(self.host.says(&["status"]).code, 0, "{}", self.host.status());
        self.measures(&["renewd_certificate_served{name=\"www\"} 1", STATE_VALID]);
    }

    /// The serial number of what OpenSSL is served.
    fn served(&self) -> String {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-servername", "www.example.com", "-connect", &self.address.to_string()]);
        client.args(self.starttls.iter().flat_map(|protocol| ["-starttls", protocol]));
        let shown = client.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
        let mut reader = Command::new("openssl");
        reader.args(["x509", "-noout", "-serial"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut reader = reader.spawn().unwrap();
        reader.stdin.take().unwrap().write_all(&shown.stdout).unwrap();
        let told = String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap();
        told.trim().trim_start_matches("serial=").to_owned()
    }

    /// Whether the metrics say this.
    #[track_caller]
    fn measures(&self, lines: &[&str]) {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).unwrap();
        for line in lines {
            assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} is not in {metrics}");
        }
    }

    /// The whole play. `reload` is a command of the shell, in which `PID` stands for the server's process.
    pub(crate) fn play(mut self, reload: &str, server: impl FnOnce(&Self) -> Server) {
        let (_server, reload) = self.begin(reload, server);
        self.is_discovered();
        self.hook(Hook::Works, &reload);
        self.renew();
        self.is_served();
        self.breaks_loudly();
        self.hook(Hook::Works, &reload);
        self.is_served();
        self.lies_in_vain();
        self.hook(Hook::Works, &reload);
        self.is_served();
        assert_eq!(self.host.submissions(), 4, "no hook ever costs a certificate");
    }

    /// The first certificate, which the server starts with; then the daemon.
    pub(crate) fn begin(&mut self, reload: &str, server: impl FnOnce(&Self) -> Server) -> (Server, String) {
        self.hook(Hook::Lies, "");
        assert_eq!(self.host.says(&["once"]).code, 1, "nobody serves it");
        let server = server(self);
        let reload = reload.replace("PID", &server.pid().to_string());
        let listens = || TcpStream::connect(self.address).ok();
        let log = self.folder().join("log");
        self.host.until("the server listens", || {
            listens().or_else(|| {
                let said = fs::read_to_string(&log).unwrap_or_default();
                assert!(!said.contains("fatal"), "{said}");
                None
            })
        });
        self.host.start();
        self.is_served();
        (server, reload)
    }

    /// What `discover` says of this server: the certificate that it presents, and what is wrong with that.
    fn discovered(&self) -> (Value, Vec<Value>) {
        let said = self.host.says(&["discover", "--json"]);
        let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        let address = self.address.to_string();
        let is_here = |row: &&Value| row["served_by"].as_array().unwrap().iter().any(|by| by["address"] == *address);
        let row = report["certificates"].as_array().unwrap().iter().find(is_here);
        let row = row.unwrap_or_else(|| panic!("nobody at {address} in {report}")).clone();
        let problems = report["problems"].as_array().unwrap().iter();
        let own = problems.filter(|problem| problem["message"].as_str().unwrap().contains(&address)).cloned().collect();
        assert!(said.code == if report["healthy"] == true { 0 } else { 1 }, "{said:?}");
        (row, own)
    }

    /// A server's certificate is found with its files, its configuration, whoever presents it, and whoever renews it.
    fn is_discovered(&self) {
        let (row, problems) = self.discovered();
        assert_eq!(problems, Vec::<Value>::new(), "{row}");
        assert_eq!(row["serial_number"], self.host.live_serial("www"), "{row}");
        assert_eq!(row["managed_by"], serde_json::json!({"program": "renewd", "name": "www"}), "{row}");
        let by =
            row["served_by"].as_array().unwrap().iter().find(|by| by["address"] == self.address.to_string()).unwrap();
        assert_eq!(by["starttls"], serde_json::json!(self.starttls), "{row}");
        assert!(by["chain"].as_u64().unwrap() > 0, "{row}");
        let configured = row["configured_in"].as_array().unwrap();
        let is_named = |mention: &&Value| {
            let file = mention["file"].as_str().unwrap();
            file.starts_with(&self.folder().display().to_string()) && mention["line"].as_u64().unwrap() > 0
        };
        let mention = configured.iter().find(is_named).unwrap_or_else(|| panic!("no configuration names it: {row}"));
        assert_eq!(mention["ports"], serde_json::json!([self.address.port()]), "{row}");
        let keys = row["files"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|file| file["holds"].as_array().unwrap().iter().any(|what| what == "private_key"));
        assert!(keys.count() >= 1, "{row}");
    }

    /// A server that was not reloaded is found by anybody who looks.
    fn is_discovered_as_outdated(&self, old: &str) {
        let (row, problems) = self.discovered();
        assert_eq!(row["serial_number"], old, "{row}");
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem["code"], "not-loaded", "{problem}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(&format!("still presents serial number {old}")), "{message}");
        assert!(message.contains(&self.host.live("www").display().to_string()), "{message}");
    }

    /// The hook fails: loud as a failing renewal, and what is served instead is known.
    fn breaks_loudly(&self) {
        self.hook(Hook::Fails, "");
        let old = self.renew();
        let www = self.until("the hook failed, and the old one is seen", |www| {
            (www["state"] == "failing" && www["served"] == "no").then(|| www.clone())
        });
        assert_eq!(www["hooks"][0]["state"], "failing", "{www}");
        assert_eq!(www["last_error"]["code"], "hook-failed", "{www}");
        assert!(www["reason"].as_str().unwrap().contains("the server is missing"), "{www}");
        self.tells(&www, "certificate-failing", &old);
        self.is_discovered_as_outdated(&old);
        self.measures(&[
            "renewd_certificate_served{name=\"www\"} 0",
            "renewd_certificate_state{name=\"www\",state=\"failing\"} 1",
            "renewd_hook_runs_total{hook=\"reload\",result=\"failed\"} ",
        ]);
    }

    /// The hook says that all is well: the probe knows better.
    fn lies_in_vain(&self) {
        self.hook(Hook::Lies, "");
        let old = self.renew();
        let www = self.until("the old one is seen", |www| {
            (www["state"] == "deploying" && www["served"] == "no").then(|| www.clone())
        });
        assert_eq!(www["hooks"][0]["state"], "done", "{www}");
        self.tells(&www, "not-served", &old);
        self.measures(&[
            "renewd_certificate_served{name=\"www\"} 0",
            "renewd_certificate_state{name=\"www\",state=\"deploying\"} 1",
        ]);
    }

    /// What is served instead, since when, and that somebody has to do something.
    #[track_caller]
    fn tells(&self, www: &Value, code: &str, old: &str) {
        let found = format!("{} still serves serial number {old}, valid until ", self.address);
        assert!(www["probe"]["found"].as_str().unwrap().starts_with(&found), "{www}");
        assert!(www["probe"]["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{www}");
        let status = self.host.status();
        assert_eq!(status["healthy"], false, "{status}");
        assert_eq!(status["problems"][0]["code"], code, "{status}");
        let message = status["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(&found) && message.contains("since "), "{message}");
        assert_eq!(self.host.says(&["status"]).code, 1);
        assert_eq!(self.served(), old);
    }
}

const STATE_VALID: &str = "renewd_certificate_state{name=\"www\",state=\"valid\"} 1";
