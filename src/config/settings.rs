//! `renewd.toml`, checked and complete.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry_table::EntryTable;
use crate::core::name::HookName;
use crate::core::wanted::hook::Hook;

/// The main configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Main {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The directory of drop-in files.
    pub inventory: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// How many generations of a certificate are kept.
    pub keep_generations: u32,
    /// How often one certificate may be asked for in any 24 hours.
    pub max_submissions_per_day: u32,
    /// How often each CA certificate that is served is checked for revocation; `None`: never.
    pub ca_status_check: Option<Duration>,
    /// The path of the control socket, where the file names one.
    pub control_socket: Option<PathBuf>,
    /// The group (name or number) whose members may read over the control socket.
    pub control_group: Option<String>,
    /// `[api]`.
    pub api: ApiSettings,
    /// `[metrics]`.
    pub metrics: MetricsSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[hook.NAME]`.
    pub hooks: BTreeMap<HookName, Hook>,
    /// The names of all hooks that the file has, those with a problem as well: who uses one is not at fault.
    pub hook_names: BTreeSet<HookName>,
    /// `[defaults]`.
    pub defaults: Defaults,
}

impl Main {
    /// The control socket: the configured one, else in systemd's `$RUNTIME_DIRECTORY`, else below `/run/renewd`.
    #[must_use]
    pub fn control_socket(&self, runtime_directory: Option<&Path>) -> PathBuf {
        let default = || runtime_directory.unwrap_or(Path::new("/run/renewd")).join("control.sock");
        self.control_socket.clone().unwrap_or_else(default)
    }

    /// Files that renewd or its operator keeps for another purpose: no certificate may replace them.
    pub(super) fn own_files(&self) -> impl Iterator<Item = &PathBuf> {
        let Self { file, control_socket, api, metrics, .. } = self;
        let single =
            [&api.client_identity_file, &api.ca_file, &api.proxy_credentials_file, control_socket, &metrics.textfile];
        std::iter::once(file).chain(&api.api_key_files).chain(single.into_iter().flatten())
    }

    /// The folders that hold the configuration: that of `renewd.toml`, unless programs share it, and the inventory.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        let is_own = |folder: &&Path| ![Path::new(""), Path::new("/"), Path::new("/etc")].contains(folder);
        self.file.parent().filter(is_own).into_iter().chain([self.inventory.as_path()])
    }
}

/// What every certificate has unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults(pub(super) EntryTable);

/// How the API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// Scheme, host and port, without a slash at the end.
    pub url: String,
    /// Files that hold API keys, in order of preference; empty: the credential or the default path.
    pub api_key_files: Vec<PathBuf>,
    /// The file with certificate and key for mutual TLS, instead of an API key.
    pub client_identity_file: Option<PathBuf>,
    /// Roots to trust; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Trust the system's roots beside those of `ca_file`.
    pub ca_system: bool,
    /// The proxy's URL.
    pub proxy: Option<String>,
    /// The file with the proxy's user and password.
    pub proxy_credentials_file: Option<PathBuf>,
    /// What is reached without the proxy.
    pub no_proxy: Vec<String>,
    /// The longest that one request may take.
    pub timeout: Duration,
    /// How many requests may run at one time.
    pub max_concurrent_requests: u32,
    /// How many requests may begin in a minute.
    pub requests_per_minute: u32,
    /// How often an installed certificate is checked for revocation; `None`: never.
    pub status_check_interval: Option<Duration>,
}

/// Where metrics are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The address to listen at; `None`: no listener.
    pub listen: Option<SocketAddr>,
    /// The file for node_exporter's textfile collector.
    pub textfile: Option<PathBuf>,
    /// Whether each certificate is shown by itself.
    pub per_certificate: bool,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The format.
    pub format: LogFormat,
    /// A filter in tracing's syntax.
    pub level: String,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Journal priorities under systemd, text on a terminal.
    #[default]
    Auto,
    /// Lines of text.
    Text,
    /// One JSON object a line.
    Json,
}
