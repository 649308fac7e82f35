//! `renewd.toml`, checked and complete.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry_table::EntryTable;
use crate::core::name::HookName;
use crate::core::time::Span;
use crate::core::wanted::hook::Hook;
use crate::core::wanted::notify::Notify;
use crate::core::wanted::window::Freeze;

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
    /// `[[freeze]]`.
    pub freezes: Vec<Freeze>,
    /// `[hook.NAME]`.
    pub hooks: BTreeMap<HookName, Hook>,
    /// `[notify.NAME]`.
    pub notifies: BTreeMap<HookName, Notify>,
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

/// A key of `renewd.toml`, as it is in force and as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name, with its table.
    pub key: &'static str,
    /// The value in force.
    pub in_force: String,
    /// The value in the file.
    pub in_file: String,
}

impl Main {
    /// The keys that `file` has otherwise.
    #[must_use]
    pub fn changes(&self, file: &Self) -> Vec<Change> {
        let values = self
            .values()
            .into_iter()
            .zip(file.values())
            .map(|((key, in_force), (_, in_file))| (key, in_force, in_file));
        let change = |(key, in_force, in_file)| Change { key, in_force, in_file };
        let mut found: Vec<Change> = values.filter(|(_, one, other)| one != other).map(change).collect();
        let tables = [
            ("[defaults]", self.defaults != file.defaults),
            ("[hook]", self.hooks != file.hooks),
            ("[notify]", self.notifies != file.notifies),
        ];
        let other = |(key, _)| (key, "as they were loaded".to_owned(), "changed".to_owned());
        found.extend(tables.into_iter().filter(|(_, is_other)| *is_other).map(other).map(change));
        found
    }

    /// Every key but those of hooks, notifications and defaults.
    fn values(&self) -> Vec<(&'static str, String)> {
        let ApiSettings {
            url,
            api_key_files,
            client_identity_file,
            ca_file,
            ca_system,
            proxy,
            proxy_credentials_file,
            no_proxy,
            timeout,
            max_concurrent_requests,
            requests_per_minute,
            status_check_interval,
        } = &self.api;
        let path = |path: &Option<PathBuf>| path.as_ref().map_or_else(absent, |path| format!("{path:?}"));
        let span = |span: &Option<Duration>| span.map_or_else(|| "\"off\"".to_owned(), |span| Span(span).to_string());
        let text = |text: &Option<String>| text.as_ref().map_or_else(absent, |text| format!("{text:?}"));
        vec![
            ("inventory", format!("{:?}", self.inventory)),
            ("state_dir", format!("{:?}", self.state_dir)),
            ("keep_generations", self.keep_generations.to_string()),
            ("max_submissions_per_day", self.max_submissions_per_day.to_string()),
            ("ca_status_check", span(&self.ca_status_check)),
            ("control_socket", path(&self.control_socket)),
            ("control_group", text(&self.control_group)),
            ("api.url", format!("{url:?}")),
            ("api.api_key_file", format!("{api_key_files:?}")),
            ("api.client_identity_file", path(client_identity_file)),
            ("api.ca_file", path(ca_file)),
            ("api.ca_system", ca_system.to_string()),
            ("api.proxy", text(proxy)),
            ("api.proxy_credentials_file", path(proxy_credentials_file)),
            ("api.no_proxy", format!("{no_proxy:?}")),
            ("api.timeout", Span(*timeout).to_string()),
            ("api.max_concurrent_requests", max_concurrent_requests.to_string()),
            ("api.requests_per_minute", requests_per_minute.to_string()),
            ("api.status_check_interval", span(status_check_interval)),
            ("metrics.listen", self.metrics.listen.map_or_else(absent, |address| format!("\"{address}\""))),
            ("metrics.textfile", path(&self.metrics.textfile)),
            ("metrics.per_certificate", self.metrics.per_certificate.to_string()),
            ("log.format", format!("{:?}", self.log.format).to_lowercase()),
            ("log.level", format!("{:?}", self.log.level)),
        ]
    }
}

fn absent() -> String {
    "absent".to_owned()
}

impl ApiSettings {
    /// Whether the API key is the one that no path is named for: systemd's credential, or the usual file.
    #[must_use]
    pub fn uses_default_key(&self) -> bool {
        self.api_key_files.is_empty() && self.client_identity_file.is_none()
    }

    /// The files that credentials are read from, as far as they are named.
    #[must_use]
    pub fn credential_files(&self) -> Vec<&Path> {
        let more = [&self.client_identity_file, &self.proxy_credentials_file].into_iter().flatten();
        self.api_key_files.iter().chain(more).map(PathBuf::as_path).collect()
    }
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
