//! The simulated TLM with its profiles, the folder with the configuration, and what its administrators do meanwhile.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use renewd::engine::status::{CertificateStatus, Status};

use super::service::{self, Service};
use super::simulator::{Issuance, Options, ProfileSpec, Simulator};

/// Everything that the daemon meets.
pub(crate) struct Stage {
    simulator: Simulator,
    folder: Folder,
    approved: bool,
    revoked: bool,
}

/// Where the files are.
enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// The certificates, as the inventory names them.
pub(crate) const NAMES: [&str; 4] = ["www", "mail", "edge", "shop"];

impl Stage {
    /// Starts the simulator and writes the files; `keep`: there, to stay.
    pub(crate) fn set(keep: Option<&Path>) -> io::Result<Self> {
        let folder = match keep {
            Some(path) => {
                fs::DirBuilder::new().mode(0o700).create(path)?;
                Folder::Kept(fs::canonicalize(path)?)
            }
            None => Folder::Temporary(tempfile::Builder::new().prefix("renewd-demo-").tempdir()?),
        };
        let simulator = Simulator::start(Options::default());
        let profiles = profiles(&simulator);
        let stage = Self { simulator, folder, approved: false, revoked: false };
        stage.write_files(&profiles)?;
        stage.open_log()?;
        // An earlier installation of this host had a certificate for the shop; its disk is lost, TLM still has it.
        service::once(&stage.path("earlier.toml"));
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration of the daemon.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("renewd.toml")
    }

    /// The folder of the live files of a certificate.
    pub(crate) fn live(&self, name: &str) -> PathBuf {
        self.path("state/certs").join(name).join("live")
    }

    /// The root that every chain leads to.
    pub(crate) fn issuing_root(&self) -> String {
        self.simulator.issuing_root_pem()
    }

    /// How many certificates TLM has issued under this common name.
    pub(crate) fn issued(&self, common_name: &str) -> usize {
        self.simulator.issued().iter().filter(|record| record.common_name == common_name).count()
    }

    /// What a newcomer reads first.
    pub(crate) fn introduction(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "A simulated Trust Lifecycle Manager listens at {}; the daemon keeps four certificates renewed in\n{folder}\n\n\
             \x20 www    is issued at once\n\
             \x20 mail   waits for an administrator's approval\n\
             \x20 edge   lives for {} s, and is renewed again and again\n\
             \x20 shop   is refused at first: TLM still holds a certificate that this host has lost\n\n\
             While it runs, look at it from another terminal:\n\
             \x20 cargo run -- --config {folder}/renewd.toml status\n\
             \x20 tail -f {folder}/renewd.log\n\x20 {}\n",
            self.simulator.url(),
            SHORT.as_secs(),
            self.verify_command(),
        )
    }

    /// Where the files are, at the end.
    pub(crate) fn farewell(&self) -> String {
        let path = self.folder.path().display();
        match &self.folder {
            Folder::Temporary(_) => "The files are removed; --keep DIR leaves them to look at.".to_owned(),
            Folder::Kept(_) => format!("The files are in {path}; look at one with\n  {}", self.verify_command()),
        }
    }

    /// For whoever trusts OpenSSL more.
    fn verify_command(&self) -> String {
        let path = self.folder.path().display();
        let live = format!("{path}/state/certs/www/live");
        format!("openssl verify -CAfile {path}/issuing-root.pem -untrusted {live}/chain.pem {live}/cert.pem")
    }

    /// What administrators do by now; told in a sentence.
    pub(crate) fn play(&mut self, service: &Service, status: &Status, elapsed: Duration) -> Option<String> {
        if !self.approved && elapsed >= APPROVAL && state(status, "mail") == "pending" {
            self.approved = self.simulator.pending().iter().any(|id| self.simulator.approve(id));
            return Some("an administrator approves the request for mail; the next pickup finds it".to_owned());
        }
        if !self.revoked && elapsed >= REVOCATION && state(status, "shop") == "rejected" {
            let issued = self.simulator.issued();
            let old = issued.iter().find(|record| record.common_name == "shop.example.com")?;
            self.revoked = self.simulator.revoke(&old.serial);
            service.renew("shop");
            return Some(
                "an administrator revokes the lost certificate; the operator says `renewd renew shop`".to_owned(),
            );
        }
        None
    }

    fn write_files(&self, profiles: &[String; 4]) -> io::Result<()> {
        for folder in ["certs.d", "earlier.d", "state", "earlier"] {
            fs::DirBuilder::new().mode(0o755).create(self.path(folder))?;
        }
        self.write("root.pem", &self.simulator.ca_pem(), 0o644)?;
        self.write("issuing-root.pem", &self.simulator.issuing_root_pem(), 0o644)?;
        self.write("api-key", &self.simulator.api_key(), 0o600)?;
        self.write("renewd.toml", &self.main_file("certs.d", "state"), 0o640)?;
        self.write("earlier.toml", &self.main_file("earlier.d", "earlier"), 0o640)?;
        let entries: Vec<String> = NAMES.iter().zip(profiles).map(|(name, profile)| entry(name, profile)).collect();
        self.write("certs.d/demo.toml", &entries.concat(), 0o640)?;
        self.write("earlier.d/shop.toml", entries.last().unwrap(), 0o640)
    }

    fn main_file(&self, inventory: &str, state: &str) -> String {
        let (folder, url) = (self.folder.path().display(), self.simulator.url());
        format!(
            "inventory = \"{folder}/{inventory}\"\nstate_dir = \"{folder}/{state}\"\n\
             control_socket = \"{folder}/control.sock\"\n\n[api]\nurl = \"{url}\"\nca_file = \"{folder}/root.pem\"\n\
             api_key_file = \"{folder}/api-key\"\n"
        )
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(self.path(name))?;
        file.write_all(text.as_bytes())
    }

    /// The daemon's log goes to a file beside the rest.
    fn open_log(&self) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.path("renewd.log"))?;
        tracing_subscriber::fmt().with_ansi(false).with_target(false).with_writer(Mutex::new(file)).init();
        Ok(())
    }
}

/// Whether all is installed, and the short one was renewed twice.
pub(crate) fn is_complete(status: &Status) -> bool {
    NAMES.iter().all(|name| of(status, name).is_some_and(|certificate| certificate.generation.is_some()))
        && renewals(status) >= 2
}

/// How often the short one was renewed.
pub(crate) fn renewals(status: &Status) -> u64 {
    of(status, "edge")
        .and_then(|certificate| certificate.generation)
        .map_or(0, |generation| generation.saturating_sub(1))
}

/// One certificate of the status.
pub(crate) fn of<'a>(status: &'a Status, name: &str) -> Option<&'a CertificateStatus> {
    status.certificates.iter().find(|certificate| certificate.name == name)
}

fn state<'a>(status: &'a Status, name: &str) -> &'a str {
    of(status, name).map_or("", |certificate| &certificate.state)
}

fn profiles(simulator: &Simulator) -> [String; 4] {
    let named = |name: &str| ProfileSpec { name: name.to_owned(), ..ProfileSpec::default() };
    [
        named("Web servers"),
        ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..named("With approval") },
        ProfileSpec { lifetime: SHORT, renewal_window_days: None, renewal_period_days: None, ..named("Short-lived") },
        ProfileSpec { allows_duplicates: false, ..named("No duplicates") },
    ]
    .map(|profile| simulator.add_profile(profile))
}

fn entry(name: &str, profile: &str) -> String {
    format!(
        "[[certificate]]\nname = \"{name}\"\nprofile = \"{profile}\"\ncommon_name = \"{name}.example.com\"\n\
         dns_names = [\"{name}.example.com\"]\n\n"
    )
}

const SHORT: Duration = Duration::from_secs(36);
const APPROVAL: Duration = Duration::from_secs(8);
const REVOCATION: Duration = Duration::from_secs(15);
