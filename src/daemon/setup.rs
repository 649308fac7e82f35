//! Starting: configuration, lock, journal, first look at every certificate. What fails here has an exit code.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::credentials::CredentialFiles;
use crate::api::roots::read as read_roots;
use crate::api::{Client, ClientSettings, FetchSettings, Observer, ProxySettings, RequestSeen, Roots, Tlm as _};
use crate::config::{self, ApiSettings, DropInCache, InForce, Inventory, Main, ServiceUser, permission_problems};
use crate::core::backoff;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::ca_status::CaWatch;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::notices::Notices;
use crate::engine::profiles::ProfileCache;
use crate::engine::{Engine, Mode, Start};
use crate::store::disk::Disk;
use crate::store::journal::{self, Content, Folded, Journal};
use crate::store::layout::Layout;
use crate::store::lock::{Lock, LockError, Purpose};
use crate::store::real_disk::RealDisk;
use crate::store::shared_journal::SharedJournal;
use crate::store::targets::ServiceIdentity;
use crate::store::{chains, notices, profile_cache, replace};

use super::clock::{Clock, SystemClock};
use super::context::{Connect, Context};
use super::message::Message;
use super::run::Daemon;
use crate::daemon::last_good::Kept;
use crate::daemon::{exchange, key_source, preflight};

/// Why the daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// Bad configuration or permissions.
    Config(String),
    /// Somebody else holds the state directory.
    Locked(Text),
    /// The state directory fails.
    State(Failure),
}

impl StartError {
    /// The exit code, from sysexits.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 78,
            Self::Locked(_) => 75,
            Self::State(_) => 70,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(problems) => f.write_str(problems),
            Self::Locked(holder) => {
                write!(f, "another renewd holds the state directory ({holder}); stop it first, or use `renewd status`")
            }
            Self::State(failure) => write!(f, "{failure}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<LockError> for StartError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(holder) => Self::Locked(holder),
            LockError::Disk(failure) => Self::State(failure),
        }
    }
}

/// Reads the main configuration and checks its permissions.
///
/// # Errors
///
/// Every problem, as text with its places.
pub fn main_configuration(path: &Path) -> Result<Main, StartError> {
    config::load_trusted_main(path, service_user).map_err(|problems| StartError::Config(shown(&problems)))
}

/// The user whom the files have to be safe from others for: the owner of the state directory, whom commands become that
/// are started as root.
#[must_use]
pub fn service_user(main: &Main) -> ServiceUser {
    std::fs::metadata(&main.state_dir)
        .map_or_else(|_| ServiceUser::of_process(), |metadata| ServiceUser { uid: metadata.uid(), gid: metadata.gid() })
}

/// How this process reads the credentials: as the service does. Root reads the API key that no other is named for as
/// systemd does, before it becomes the service's user.
#[must_use]
pub fn credential_files(main: &Main) -> CredentialFiles {
    let own = CredentialFiles::of_this_process(&main.file);
    let service = service_user(main);
    if own.user != 0 || service.uid == 0 {
        return own;
    }
    let files = CredentialFiles { user: service.uid, group: service.gid, ..own };
    if !main.api.uses_default_key() || files.systemd.is_some() {
        return files;
    }
    match key_source::of_unit(&preflight::own_unit(&main.file)) {
        Some((source, true)) => CredentialFiles { default_key: source, is_sealed: true, ..files },
        Some((source, false)) => CredentialFiles { default_key: source, ..files }.holding(),
        None => files.holding(),
    }
}

/// Problems as text, a blank line between two.
#[must_use]
pub fn shown(problems: &[config::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// Why there is no state directory to work in. A link is not followed: the paths that targets and mounts are judged by
/// are those that the files have.
fn no_state_dir(disk: &dyn Disk, root: &Path, error: &std::io::Error) -> Failure {
    let Ok(real) = disk.read_link(root).and_then(|_| std::fs::canonicalize(root)) else {
        return crate::store::disk_failure("make the folder", root, error);
    };
    let message = format!(
        "the state directory {} is a symlink; set `state_dir = \"{}\"` in renewd.toml, which is what it points at",
        root.display(),
        real.display()
    );
    Failure::new(FailureClass::Disk, message)
}

/// Lets root work in no state directory that others may exchange.
///
/// # Errors
///
/// When they may, with what to do.
pub(super) fn check_place(disk: &dyn Disk, main: &Main) -> Result<(), StartError> {
    let identity = identity(main);
    if identity.uid != 0 || !is_hosts_root() {
        return Ok(());
    }
    match exchange::by_others(disk, &identity, &main.state_dir).map_err(StartError::State)? {
        None => Ok(()),
        Some(why) => Err(StartError::Config(format!(
            "root does not use the state directory {}: {why}",
            main.state_dir.display()
        ))),
    }
}

/// Makes the state directory, where it is not there yet.
///
/// # Errors
///
/// When there can be none, or it is not to be trusted.
pub fn make_place(disk: &dyn Disk, main: &Main, layout: &Layout) -> Result<(), StartError> {
    check_place(disk, main)?;
    replace::ensure_dir(disk, layout.root(), 0o755)
        .map_err(|error| StartError::State(no_state_dir(disk, layout.root(), &error)))
}

/// Whether root here is root of the host. One of a user namespace has only its own files to lose, and sees what is the
/// host's as nobody's.
fn is_hosts_root() -> bool {
    let whole = ["0", "0", "4294967295"];
    std::fs::read_to_string("/proc/self/uid_map").map_or(true, |map| map.split_whitespace().eq(whole))
}

/// Makes the daemon: everything but the first look at the certificates.
///
/// # Errors
///
/// When the configuration is bad, the state directory is held by somebody else or fails.
pub fn prepare(
    main: Main,
    credentials: CredentialFiles,
    mode: Mode,
) -> Result<(Daemon<Client>, mpsc::UnboundedReceiver<Message>), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let layout = Layout::new(&main.state_dir);
    make_place(&*disk, &main, &layout)?;
    let lock = Lock::take(&layout, if mode == Mode::Forever { Purpose::Daemon } else { Purpose::Command })?;
    let now = clock.now();
    let (journal, content) = Journal::open::<Folded>(Arc::clone(&disk), &layout, now).map_err(StartError::State)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let connect = connector(credentials.clone(), &sender);
    let api = connect(&main.api).map_err(|failure| StartError::Config(failure.message.to_string()))?;
    let first = (mode == Mode::Forever).then(|| now + backoff::share(&host(), SPREAD));
    let profiles = ProfileCache::at_start(profile_cache::read(&*disk, &layout), first);
    let ends = api.credentials();
    let context = Arc::new(Context {
        api: RwLock::new(Arc::new(api)),
        connect,
        credentials,
        identity: identity(&main),
        keep_generations: main.keep_generations.into(),
        journal: SharedJournal::new(journal),
        config: main.file.clone(),
        disk,
        layout,
        clock,
        messages: sender,
    });
    let (kept, before) = Kept::open(Arc::clone(&context.disk), &context.layout, now);
    let mut drop_ins = DropInCache::default();
    let inventory = read_inventory(&main, &mut drop_ins, now, &before)?;
    let (gone, changed) = (inventory.gone_since(&before), inventory.changed_since(&before));
    drop(before);
    drop_ins.share(&inventory.in_force);
    let cas = match main.ca_status_check {
        Some(_) => chains::kept(&*context.disk, &context.layout),
        None => Vec::new(),
    };
    let remark = journal::remark(&content);
    let engine = Engine::new(Start {
        mode,
        cas: CaWatch::new(main.ca_status_check, cas, now),
        main,
        inventory,
        overlooked: drop_ins.overlooked().to_vec(),
        journal_too_new: content.too_new,
        earliest: earliest(&content),
        records: content.entries.records,
        profiles,
        notices: Notices::new(Text::new(&host_name()), notices::read(&*context.disk, &context.layout)),
        credentials: ends,
        now: context.now(),
    });
    let mut daemon = Daemon::new(context, engine.telling_all(tracing::enabled!(tracing::Level::DEBUG)), lock);
    (daemon.kept, daemon.drop_ins, daemon.gone) = (Some(kept), drop_ins, gone.into_iter().collect());
    daemon.keep_in_force(&changed);
    if let Some(remark) = remark {
        tracing::error!("{remark}");
    }
    Ok((daemon, receiver))
}

/// What this host is called.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "this host".to_owned(), |name| name.trim().to_owned())
}

/// What tells this host from others. Machines that were cloned may share the first, and not the second.
fn host() -> String {
    let files = ["/etc/machine-id", "/proc/sys/kernel/hostname"];
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

/// Over so long the hosts of a fleet that start together read profiles that are known.
const SPREAD: Duration = Duration::from_secs(600);

/// Reads the drop-in files and settles which are in force. A directory that is missing or cannot be read lets go of
/// nothing.
///
/// # Errors
///
/// When the directory is not to be trusted.
pub fn inventory(main: &Main, in_force: &InForce) -> Result<Inventory, StartError> {
    read_inventory(main, &mut DropInCache::default(), Timestamp::default(), in_force)
}

fn read_inventory(
    main: &Main,
    drop_ins: &mut DropInCache,
    now: Timestamp,
    in_force: &InForce,
) -> Result<Inventory, StartError> {
    let service = ServiceUser::of_process();
    match drop_ins.look(main, service, in_force, now) {
        Ok(_) => Ok(config::resolve(drop_ins.files(), &main.hooks, in_force)),
        Err(problem) if permission_problems(main, service).is_empty() => Ok(config::hold(main, problem, in_force)),
        Err(problem) => Err(StartError::Config(problem.to_string())),
    }
}

/// No time before this one can be right: the journal's last entry.
#[must_use]
pub fn earliest(content: &Content<Folded>) -> Timestamp {
    content.entries.last.map_or(BUILT, |last| last.max(BUILT))
}

/// Where targets may not lie, and who the service is.
#[must_use]
pub fn identity(main: &Main) -> ServiceIdentity {
    let own = [&main.state_dir, &main.inventory, &main.file];
    // Where one is reached through a symlink, the place that it leads to is meant as well.
    let own = own.into_iter().flat_map(|path| [Some(path.clone()), path.canonicalize().ok()]).flatten().collect();
    ServiceIdentity { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw(), own }
}

/// Makes clients by the settings, and from the credentials as they are, at each call.
fn connector(files: CredentialFiles, messages: &mpsc::UnboundedSender<Message>) -> Connect<Client> {
    let messages = messages.clone();
    Box::new(move |settings| {
        let messages = messages.clone();
        let observer: Observer = Arc::new(move |seen| drop(messages.send(Message::RequestSeen(seen))));
        client(settings, &files, Some(observer))
    })
}

/// A client whose credentials are read on behalf of somebody.
///
/// # Errors
///
/// When a credential or a root is missing or refused.
pub fn client(settings: &ApiSettings, files: &CredentialFiles, observer: Option<Observer>) -> Result<Client, Failure> {
    let client_identity = match &settings.client_identity_file {
        Some(file) => Some(files.client_identity(file).map_err(|error| refused(&error))?),
        None => None,
    };
    let credentials = if client_identity.is_some() {
        Vec::new()
    } else {
        files.api_keys(&settings.api_key_files).map_err(|error| refused(&error))?
    };
    let proxy = proxy(settings, files)?;
    let observer: Observer = Arc::new(move |seen: RequestSeen| {
        let status = seen.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let took = u64::try_from(seen.took.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(endpoint = %seen.endpoint, "asked TLM: {status} after {took} ms");
        if let Some(observer) = &observer {
            observer(seen);
        }
    });
    Client::new(ClientSettings {
        url: settings.url.clone(),
        credentials,
        client_identity,
        roots: roots(settings)?,
        proxy,
        timeout: settings.timeout,
        observer: Some(observer),
    })
}

/// What keeps a client from being made: of the credentials, where they are to be looked at, of the proxy, and of the roots.
#[must_use]
pub fn client_flaws(settings: &ApiSettings, files: &CredentialFiles, has_credentials: bool) -> Vec<Failure> {
    let of_host = [proxy(settings, files).err(), roots(settings).err()].into_iter().flatten();
    // The client names the first alone, and the credentials come first.
    let of_client = if has_credentials { client(settings, files, None).err() } else { None };
    let mut found: Vec<Failure> = of_client.into_iter().chain(of_host).collect();
    found.dedup();
    found
}

fn refused(error: &dyn fmt::Display) -> Failure {
    Failure::new(FailureClass::ApiUnauthorised, error.to_string())
}

fn proxy(settings: &ApiSettings, files: &CredentialFiles) -> Result<Option<ProxySettings>, Failure> {
    let Some(url) = &settings.proxy else { return Ok(None) };
    let credentials = settings.proxy_credentials_file.as_ref();
    let credentials = credentials
        .map(|file| files.proxy_credentials(file))
        .transpose()
        .map_err(|error| Failure::new(FailureClass::Proxy, format!("proxy_credentials_file: {error}")))?;
    Ok(Some(ProxySettings { url: url.clone(), credentials, no_proxy: settings.no_proxy.clone() }))
}

/// How what certificates point to is fetched: as the API is reached, without its credentials. The system's roots count for
/// hosts of CAs in any case.
pub(super) fn fetch_settings(settings: &ApiSettings, files: &CredentialFiles) -> Result<FetchSettings, Failure> {
    let roots = match roots(settings)? {
        Roots::System => Roots::System,
        Roots::Only(pem) | Roots::WithSystem(pem) => Roots::WithSystem(pem),
    };
    let proxy = proxy(settings, files)?;
    Ok(FetchSettings { api: settings.url.clone(), roots, proxy, timeout: settings.timeout })
}

fn roots(settings: &ApiSettings) -> Result<Roots, Failure> {
    let Some(file) = &settings.ca_file else { return Ok(Roots::System) };
    let pem = RealDisk.read(file, 4 << 20).map_err(|error| {
        Failure::new(FailureClass::ApiTls, format!("ca_file {} cannot be read: {error}", file.display()))
    })?;
    let found = read_roots(&pem).map_err(|why| {
        Failure::new(FailureClass::ApiTls, format!("ca_file {} cannot be used: {why}", file.display()))
    })?;
    for odd in found.passed_over {
        tracing::warn!("ca_file {}: {}; renewd skips it", file.display(), Text::new(&odd));
    }
    Ok(if settings.ca_system { Roots::WithSystem(pem) } else { Roots::Only(pem) })
}

/// The day of this release: no clock before it can be right.
const BUILT: Timestamp = Timestamp::from_seconds(1_795_478_400);
