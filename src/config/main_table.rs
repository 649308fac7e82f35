//! `renewd.toml` as it is written, and its way to [`Main`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use toml::Spanned;

use super::entry_table::{EntryTable, OWN_KEYS};
use super::freeze::{FreezeTable, freezes};
use super::hook::{HookTable, bounded, hook_names, hooks};
use super::notify::{NotifyTable, notifies};
use super::settings::{ApiSettings, Defaults, LogFormat, LogSettings, Main, MetricsSettings};
use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromText, Named, Number, OneOrMany, bare, listed, one_of};
use crate::config::syntax::problem::{Fault, quoted};
use crate::config::syntax::table::{Table, table};
use crate::config::values::duration::{DurationOrOff, within};
use crate::config::values::endpoint::{ApiUrl, NoProxy, ProxyUrl};
use crate::config::values::path::{AbsolutePath, Account, SecretPath};

table! {
    /// The whole file.
    MainTable, "renewd.toml", "[api]" => ApiTable, "[metrics]" => MetricsTable, "[log]" => LogTable,
    "[defaults]" => EntryTable, "[[freeze]]" => FreezeTable;
    /// The directory of drop-in files, one or more certificates each. It is watched. Write access here equals access
    /// to every key.
    inventory: AbsolutePath = "\"/etc/renewd/certs.d\"",
    /// Where generations, the journal, and the keys of requests in flight are.
    state_dir: AbsolutePath = "\"/var/lib/renewd\"",
    /// The newest generations of a certificate that are kept: at least 2 to be able to roll back.
    keep_generations: Number<1, 1000> = "3",
    /// How many requests renewd sends for one certificate in any 24 hours. `renewd renew` is not limited by it.
    max_submissions_per_day: Number<1, 1000> = "6",
    /// How often each CA certificate that is served is checked for revocation, by the list or OCSP responder that it names:
    /// from 1min to 365d, or never.
    ca_status_check: DurationOrOff = "\"24h\"",
    /// The socket of the command line. Without this key `control.sock` in $RUNTIME_DIRECTORY, else in /run/renewd.
    control_socket: AbsolutePath => "\"/run/renewd/control.sock\"",
    /// The group whose members may read the status over the socket (and nothing else); the service need not be in it.
    control_group: Account => "\"adm\"",
    /// How the API is reached.
    api: ApiTable,
    /// Where metrics are shown.
    metrics: MetricsTable,
    /// What is logged.
    log: LogTable,
    /// What every certificate has unless it says otherwise: any key of a certificate but its name, its common name and its
    /// other names. Tables are joined key by key.
    defaults: EntryTable,
    /// Times in which nothing is switched in: [[freeze]] begins one. Certificates are issued early, and switched in after it.
    /// The emergency stage, a revocation and a first certificate do not wait for it.
    freeze: Vec<Spanned<FreezeTable>>,
    /// Hooks, which run after an install, by name: [hook.NAME] begins one. Each runs once for all certificates that are
    /// installed together.
    hook: Named<HookTable>,
    /// Who is notified when something is wrong, and when it is fixed, by name: [notify.NAME] begins one.
    notify: Named<NotifyTable>,
}

table! {
    /// `[api]`.
    ApiTable, "`[api]`", where api_rules();
    /// The API. https only; plain http only for loopback addresses.
    url: ApiUrl = "\"https://one.digicert.com\"",
    /// The file of the API key, or a list of files: the next one is tried after a 401. Without this key the systemd
    /// credential `api-key`, else /etc/renewd/api-key. Readable only by the service.
    api_key_file: OneOrMany<SecretPath> => "\"/etc/renewd/api-key\"",
    /// Certificate and key for mutual TLS, in place of an API key; `url` is then the `clientauth.` host.
    client_identity_file: SecretPath => "\"/etc/renewd/client.pem\"",
    /// Roots to trust in place of the system's.
    ca_file: AbsolutePath => "\"/etc/renewd/root.pem\"",
    /// Trust the system's roots beside those of `ca_file`.
    ca_system: bool = "false",
    /// An HTTP proxy. The environment's proxy variables are ignored.
    proxy: ProxyUrl => "\"http://proxy.example:3128\"",
    /// A file with one line, user:password, for the proxy.
    proxy_credentials_file: SecretPath => "\"/etc/renewd/proxy-credentials\"",
    /// What is reached without the proxy.
    no_proxy: Vec<Spanned<NoProxy>> => "[\"intranet.example\", \"10.0.0.0/8\"]",
    /// The longest that one request may take: from 1s to 10min.
    timeout: Duration = "\"30s\"",
    /// How many requests may run at one time. Two are kept for certificates in their emergency stage.
    max_concurrent_requests: Number<1, 1000> = "8",
    /// How many requests may begin in a minute, for all certificates together; bursts of up to 20.
    requests_per_minute: Number<1, 100_000> = "60",
    /// How often an installed certificate is checked for revocation: from 1min to 365d, or never.
    status_check_interval: DurationOrOff = "\"24h\"",
}

fn api_rules() -> serde_json::Value {
    json!({
        "not": {"required": ["api_key_file", "client_identity_file"]},
        "dependencies": {"proxy_credentials_file": ["proxy"], "no_proxy": ["proxy"]},
    })
}

table! {
    /// `[metrics]`.
    MetricsTable, "`[metrics]`";
    /// Where OpenMetrics are served, at /metrics. Without this key nowhere.
    listen: SocketAddr => "\"127.0.0.1:9465\"",
    /// A file that is written each minute, for node_exporter's textfile collector, in a folder that nobody but root and the
    /// service may write to. Without this key none.
    textfile: AbsolutePath => "\"/var/lib/node_exporter/renewd.prom\"",
    /// Show each certificate by itself. Where there are thousands, false leaves the numbers of each state, and the next
    /// expiry.
    per_certificate: bool = "true",
}

table! {
    /// `[log]`.
    LogTable, "`[log]`";
    /// auto is journal priorities under systemd, and text on a terminal.
    format: LogFormat = "\"auto\"",
    /// What is logged. The variable RUST_LOG overrides it.
    level: LogLevel = "\"info\"" => "\"info,renewd::api=debug\"",
}

/// Every key of `renewd.toml` but those of `[defaults]`, by table.
pub(super) fn main_keys() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("", MainTable::KEYS),
        ("api", ApiTable::KEYS),
        ("metrics", MetricsTable::KEYS),
        ("log", LogTable::KEYS),
        ("freeze", FreezeTable::KEYS),
        ("hook.NAME", HookTable::KEYS),
        ("notify.NAME", NotifyTable::KEYS),
    ]
}

/// The settings that `table` and the defaults make.
pub(super) fn complete(table: MainTable, file: &Path, diagnostics: &mut Diagnostics<'_>) -> Main {
    let inventory = path_or(table.inventory.as_ref(), "/etc/renewd/certs.d");
    let state_dir = path_or(table.state_dir.as_ref(), "/var/lib/renewd");
    let places = [&table.inventory, &table.state_dir].into_iter().flatten().next();
    if let Some(place) = places.filter(|_| inventory.starts_with(&state_dir) || state_dir.starts_with(&inventory)) {
        let fault = Fault::new("`inventory` and `state_dir` contain each other");
        diagnostics.refuse(place.span(), fault.expected("two separate directories"));
    }
    let api = api(inner(table.api), diagnostics);
    let ca_status_check = status_check_interval(table.ca_status_check, diagnostics);
    let defaults = defaults(inner(table.defaults), diagnostics);
    let hook_names = hook_names(table.hook.as_ref());
    let hooks = hooks(table.hook, diagnostics);
    let freezes = freezes(table.freeze, diagnostics);
    let notifies = notifies(table.notify, diagnostics);
    let metrics = inner(table.metrics);
    let log = inner(table.log);
    let main = Main {
        file: file.to_owned(),
        inventory,
        state_dir,
        keep_generations: table.keep_generations.map_or(3, |number| number.into_inner().0),
        max_submissions_per_day: table.max_submissions_per_day.map_or(6, |number| number.into_inner().0),
        ca_status_check,
        control_socket: table.control_socket.map(|path| path.into_inner().0),
        control_group: table.control_group.map(|group| group.into_inner().0),
        api,
        metrics: MetricsSettings {
            listen: metrics.listen.map(Spanned::into_inner),
            textfile: metrics.textfile.map(|path| path.into_inner().0),
            per_certificate: metrics.per_certificate.is_none_or(Spanned::into_inner),
        },
        log: LogSettings {
            format: log.format.map(Spanned::into_inner).unwrap_or_default(),
            level: log.level.map_or_else(|| "info".to_owned(), |level| level.into_inner().0),
        },
        freezes,
        hooks,
        notifies,
        hook_names,
        defaults: Defaults(defaults),
    };
    main.defaults.0.check_targets(&main, diagnostics);
    main
}

fn inner<T: Default>(table: Option<Spanned<T>>) -> T {
    table.map(Spanned::into_inner).unwrap_or_default()
}

fn path_or(path: Option<&Spanned<AbsolutePath>>, default: &str) -> PathBuf {
    path.map_or_else(|| PathBuf::from(default), |path| path.get_ref().0.clone())
}

fn api(table: ApiTable, diagnostics: &mut Diagnostics<'_>) -> ApiSettings {
    if let Some(identity) = table.client_identity_file.as_ref().filter(|_| table.has("api_key_file")) {
        let fault = Fault::new("`api_key_file` and `client_identity_file` are both given");
        diagnostics.refuse(identity.span(), fault.expected("one of them: the client certificate replaces the key"));
    }
    let credentials = table.proxy_credentials_file.as_ref().map(Spanned::span);
    let exceptions = table.no_proxy.as_ref().map(Spanned::span);
    for (key, span) in [("proxy_credentials_file", credentials), ("no_proxy", exceptions)] {
        if let Some(span) = span.filter(|_| !table.has("proxy")) {
            let fault = Fault::new(format!("`{key}` is given without a proxy"));
            diagnostics.refuse(span, fault.expected("`proxy` beside it"));
        }
    }
    let timeout = bounded(table.timeout, TIMEOUT, Duration::from_secs(1), Duration::from_secs(600), diagnostics);
    let status_check_interval = status_check_interval(table.status_check_interval, diagnostics);
    let api_key_files = table.api_key_file.map(|files| bare(files.into_inner().0)).unwrap_or_default();
    ApiSettings {
        url: table.url.map_or_else(|| "https://one.digicert.com".to_owned(), |url| url.into_inner().0),
        api_key_files: api_key_files.into_iter().map(|file| file.0).collect(),
        client_identity_file: table.client_identity_file.map(|file| file.into_inner().0),
        ca_file: table.ca_file.map(|file| file.into_inner().0),
        ca_system: table.ca_system.is_some_and(Spanned::into_inner),
        proxy: table.proxy.map(|url| url.into_inner().0),
        proxy_credentials_file: table.proxy_credentials_file.map(|file| file.into_inner().0),
        no_proxy: bare(inner(table.no_proxy)).into_iter().map(|host| host.0).collect(),
        timeout,
        max_concurrent_requests: table.max_concurrent_requests.map_or(8, |number| number.into_inner().0),
        requests_per_minute: table.requests_per_minute.map_or(60, |number| number.into_inner().0),
        status_check_interval,
    }
}

fn status_check_interval(
    written: Option<Spanned<DurationOrOff>>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Duration> {
    let Some(written) = written else { return Some(STATUS_CHECK_INTERVAL) };
    let interval = written.get_ref().0?;
    if let Err(fault) = within(interval, Duration::from_secs(60), Duration::from_secs(365 * 86_400)) {
        diagnostics.refuse(written.span(), fault);
    }
    Some(interval)
}

/// `[defaults]` without the keys that are each certificate's own, which are problems.
fn defaults(table: EntryTable, diagnostics: &mut Diagnostics<'_>) -> EntryTable {
    for (key, span) in table.own_keys() {
        let fault = Fault::new(format!("`{key}` is each certificate's own and has no default"));
        diagnostics.refuse(span, fault.expected(format!("any key of a certificate but {}", OWN_KEYS.join(", "))));
    }
    table
}

impl FromText for LogFormat {
    fn expected() -> String {
        listed(LOG_FORMATS.map(|(word, _)| word))
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        one_of(text, &LOG_FORMATS)
    }

    fn words() -> Vec<&'static str> {
        LOG_FORMATS.map(|(word, _)| word).to_vec()
    }
}

/// A filter in tracing's syntax.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogLevel(String);

impl FromText for LogLevel {
    fn expected() -> String {
        "a level (error, warn, info, debug or trace) or a filter such as \"info,renewd::api=debug\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        match tracing_subscriber::EnvFilter::builder().parse(text) {
            Ok(_) if !is_misspelt(text) => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => {
                Err(Fault::new(format!("{} is not a filter for the log", quoted(text))).nearest(text, LEVELS))
            }
        }
    }
}

/// A single word that is no level would be taken for the name of a module: silence in place of a log.
fn is_misspelt(text: &str) -> bool {
    let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
    !is_level && text.bytes().all(|c| c.is_ascii_alphabetic())
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
const LOG_FORMATS: [(&str, LogFormat); 3] =
    [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
const TIMEOUT: Duration = Duration::from_secs(30);
const STATUS_CHECK_INTERVAL: Duration = Duration::from_secs(86_400);
