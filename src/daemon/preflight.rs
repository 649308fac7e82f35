//! Looking over what a renewal will need of this host: owners, folders, hooks, probes. Whoever runs it sees what its own
//! user and sandbox let it see, so the daemon is asked where it runs. What is tried is taken back; nothing is decided here.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Access;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::config::{Inventory, Main};
use crate::core::failure::{Failure, FailureClass};
use crate::core::remedy::{POLKIT_RULE, is_refusal};
use crate::core::text::Text;
use crate::core::wanted::entry::{Entry, Probe};
use crate::core::wanted::files::Access as FileAccess;
use crate::core::wanted::hook::{Hook, HookRun};
use crate::core::wanted::notify::Notify;
use crate::store::access::{self, Ids};
use crate::store::disk::Disk;
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;
use crate::store::targets::ServiceIdentity;
use crate::store::{lock, targets};

use super::{children, exchange, hook_user, program, sandbox};

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `target`, `hook`, …
    pub check: String,
    /// Of which certificate, hook, notification, profile or address.
    pub subject: Text,
    /// How it is.
    pub state: Verdict,
    /// What was found.
    pub message: Text,
    /// What to do, where something is to be done.
    pub remedy: Option<Text>,
    /// The failure class, where it is one.
    #[serde(default)]
    pub code: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// To be looked at, or not known.
    Warning,
    /// A renewal would fail.
    Failed,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn ok(check: &str, subject: impl ToString, message: impl AsRef<str>) -> Self {
        Self::new(check, subject, Verdict::Ok, message)
    }

    /// Something that the operator should know.
    #[must_use]
    pub fn warning(check: &str, subject: impl ToString, message: impl AsRef<str>, remedy: &str) -> Self {
        Self { remedy: Some(Text::new(remedy)), ..Self::new(check, subject, Verdict::Warning, message) }
    }

    /// Something that keeps renewd from its work.
    #[must_use]
    pub fn failed(check: &str, subject: impl ToString, message: impl AsRef<str>, remedy: &str) -> Self {
        Self { remedy: Some(Text::new(remedy)), ..Self::new(check, subject, Verdict::Failed, message) }
    }

    /// A failure that a renewal would meet.
    #[must_use]
    pub fn failure(check: &str, subject: impl ToString, failure: &Failure) -> Self {
        let code = Some(failure.class.code().to_owned());
        Self { code, ..Self::failed(check, subject, failure.message.as_str(), failure.remedy()) }
    }

    /// What keeps the client from being made by this file, under the name of what it is about.
    #[must_use]
    pub fn of_client(file: &Path, failure: &Failure) -> Self {
        let known = [(FailureClass::Proxy, "proxy"), (FailureClass::ApiTls, "tls")];
        let about = known.iter().find(|(class, _)| *class == failure.class).map_or("key", |(_, about)| about);
        Self::failure(about, file.display(), failure)
    }

    fn new(check: &str, subject: impl ToString, state: Verdict, message: impl AsRef<str>) -> Self {
        let (subject, message) = (Text::new(&subject.to_string()), Text::new(message.as_ref()));
        Self { check: check.to_owned(), subject, state, message, remedy: None, code: None }
    }
}

/// What is looked over.
#[derive(Clone)]
pub struct Subject {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The state directory.
    pub layout: Layout,
    /// Who the service is.
    pub identity: ServiceIdentity,
    /// The certificates and their hooks.
    pub inventory: Inventory,
    /// Whoever is told.
    pub notifies: Vec<Notify>,
    /// Whether folders are tried.
    pub with_files: bool,
    /// The unit that renewd runs in.
    pub unit: String,
}

/// Looks everything over.
pub async fn inspect(subject: Subject) -> Vec<Finding> {
    let Subject { disk, layout, identity, inventory, notifies, with_files, unit } = subject;
    let mut findings = Vec::new();
    for entry in &inventory.entries {
        let (disk, layout, identity, entry) = (Arc::clone(&disk), layout.clone(), identity.clone(), entry.clone());
        let folders_of_entry = targets::folders(&entry);
        // Users and folders may both be on another host, which hangs.
        let look = move || {
            let owner = owner(&entry);
            let is_known = owner.as_ref().is_none_or(|finding| finding.state == Verdict::Ok);
            let folders = (with_files && is_known).then(|| folders(&*disk, &layout, &identity, &entry));
            owner.into_iter().chain(folders).collect::<Vec<_>>()
        };
        findings
            .extend(tokio::task::spawn_blocking(|| sandbox::within(folders_of_entry, look)).await.unwrap_or_default());
    }
    for hook in used_hooks(&inventory) {
        findings.extend(look_at_hook(hook, &unit).await);
        findings.extend(look_at_programs(hook).await);
    }
    for Notify { run, .. } in &notifies {
        findings.extend(look_at_hook(run, &unit).await.map(of_notify));
        findings.extend(look_at_programs(run).await.into_iter().map(of_notify));
    }
    let probes = inventory.entries.iter().flat_map(|entry| entry.probes.iter().map(|probe| (entry.clone(), probe)));
    let looks: Vec<_> = probes.map(|(entry, probe)| tokio::spawn(reach(entry, probe.clone()))).collect();
    for look in looks {
        findings.extend(look.await);
    }
    findings
}

/// Whether the users that an entry names exist, where it names any.
fn owner(entry: &Entry) -> Option<Finding> {
    let of_place = |access: &'_ FileAccess| {
        let named = [("owner", &access.owner), ("group", &access.group)];
        named.into_iter().filter_map(|(key, name)| Some(format!("{key} {}", name.as_ref()?))).collect::<Vec<_>>()
    };
    let mut named: Vec<String> = Vec::new();
    for one in entry.placements().flat_map(|placement| of_place(placement.access)) {
        if !named.contains(&one) {
            named.push(one);
        }
    }
    if named.is_empty() {
        return None;
    }
    Some(match entry.placements().try_for_each(|placement| Ids::of(placement.access).map(drop)) {
        Ok(()) => Finding::ok("owner", &entry.name, format!("{} known on this host", named.join(" and "))),
        Err(failure) => {
            let remedy = format!("create it, or change {}", entry.source);
            let code = Some(failure.class.code().to_owned());
            Finding { code, ..Finding::failed("owner", &entry.name, failure.message.as_str(), &remedy) }
        }
    })
}

/// Each folder that an install writes to.
fn folders(disk: &dyn Disk, layout: &Layout, identity: &ServiceIdentity, entry: &Entry) -> Finding {
    let targets = entry.targets().count();
    let more = if targets == 0 { String::new() } else { format!(", and for its {targets} targets") };
    match targets::check_room(disk, layout, identity, entry) {
        Ok(()) => {
            let folder = layout.certificate(&entry.name);
            Finding::ok("target", &entry.name, format!("test write succeeded in {}{more}", folder.display()))
        }
        Err(failure) => refused(entry, identity, &failure),
    }
}

/// A folder that does not take a file, with the command that lets it.
fn refused(entry: &Entry, identity: &ServiceIdentity, failure: &Failure) -> Finding {
    let finding = Finding::failure("target", &entry.name, failure);
    let uid = identity.uid;
    let closed = |folder: &&Path| rustix::fs::access(*folder, Access::WRITE_OK | Access::EXEC_OK).is_err();
    let folder = entry.targets().filter_map(|target| target.path.parent()).find(closed);
    match (failure.class, folder) {
        (FailureClass::DiskPermission, Some(folder)) => {
            let folder = folder.display();
            let remedy = format!("run: setfacl -m u:{uid}:rwx {folder}");
            Finding { remedy: Some(Text::new(&remedy)), ..finding }
        }
        (FailureClass::DiskReadOnly, Some(folder)) => {
            let remedy = format!(
                "name {} by ReadWritePaths= in the unit (systemctl edit renewd), and restart",
                folder.display()
            );
            Finding { remedy: Some(Text::new(&remedy)), ..finding }
        }
        _ => finding,
    }
}

/// Targets that the rules refuse, or in whose folders the service may not write. A sandbox may forbid more: that is found
/// by the daemon, before anything is asked for.
#[must_use]
pub fn places(main: &Main, inventory: &Inventory, identity: &ServiceIdentity, is_service: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(textfile) = &main.metrics.textfile
        && let Err(failure) = targets::check_target(&RealDisk, identity, textfile)
    {
        found.push(Finding::failure("target", format!("{}: [metrics] `textfile`", main.file.display()), &failure));
    }
    for entry in &inventory.entries {
        for target in entry.targets() {
            let folder = target.path.parent().unwrap_or(target.path);
            let place = format!("{}: certificate `{}`: {}", entry.source, entry.name, target.label());
            if let Err(failure) = targets::check_target(&RealDisk, identity, target.path) {
                found.push(Finding::failure("target", place, &failure));
            } else if is_service && rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
                let (uid, folder) = (identity.uid, folder.display());
                let message = format!("the service's user {uid} may not write to {folder}");
                let remedy = format!(
                    "run: setfacl -m u:{uid}:rwx {folder}, and where the unit's sandbox forbids it, name it by \
                     ReadWritePaths="
                );
                found.push(Finding::failed("target", place, message, &remedy));
            }
        }
    }
    found
}

/// Every hook that an entry uses, each once.
fn used_hooks(inventory: &Inventory) -> impl Iterator<Item = &Hook> {
    let hooks =
        |entry: &'_ Entry| entry.hooks.iter().filter_map(|name| inventory.hook(entry, name)).collect::<Vec<_>>();
    let used = inventory.entries.iter().flat_map(|entry| hooks(entry));
    let used: std::collections::BTreeSet<_> = used.map(|(key, _)| key).collect();
    used.into_iter().filter_map(|key| inventory.hooks.get(key))
}

/// What was found of what a notification runs.
fn of_notify(finding: Finding) -> Finding {
    Finding { check: "notify".to_owned(), ..finding }
}

async fn look_at_hook(hook: &Hook, own: &str) -> Option<Finding> {
    match &hook.run {
        // With its other programs.
        HookRun::Command(_) => None,
        HookRun::Unit { unit, verb } => match ends_itself(hook, own) {
            Some(finding) => Some(finding),
            None => Some(look_at_unit(hook, unit, verb).await),
        },
    }
}

/// Each program that a hook runs.
async fn look_at_programs(hook: &Hook) -> Vec<Finding> {
    let hook = hook.clone();
    let look = move || hook.commands().map(|(_, argv)| look_at_program(&hook, argv)).collect();
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// Whether a program of a hook can be run by this user.
fn look_at_program(hook: &Hook, argv: &[String]) -> Finding {
    let program = Path::new(argv.first().map_or("", String::as_str));
    let flaw = hook.user.as_ref().map_or_else(|| program::flaw(program), |user| hook_user::flaw(user, program));
    match (flaw, exchangeable(hook, program)) {
        (Some(flaw), _) => Finding::failed("hook", &hook.name, flaw.what, &flaw.remedy),
        (None, Some(why)) => {
            let who = hook.user.as_deref().unwrap_or("the service");
            let message = format!("others may replace {}, which runs as {who}: {why}", program.display());
            Finding::warning("hook", &hook.name, message, "keep it where only root and that user may write")
        }
        (None, None) => Finding::ok("hook", &hook.name, format!("{} exists and can be run", program.display())),
    }
}

/// Who beside root and its user may put another program in its place.
fn exchangeable(hook: &Hook, program: &Path) -> Option<String> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let uid = hook.user.as_deref().map_or(Some(uid), |user| access::user(user, "user").ok())?;
    let identity = ServiceIdentity { uid, gid, own: Vec::new() };
    exchange::by_others(&RealDisk, &identity, program).ok().flatten()
}

/// What is wrong with hooks and notifications as far as files show it, where renewd itself runs in this unit. Whether a
/// program may be run only the service's user can tell.
#[must_use]
pub fn hook_flaws(main: &Main, inventory: &Inventory, own: &str, is_service: bool) -> Vec<Finding> {
    let flaws = |hook: &Hook| {
        let programs = hook.commands().filter(|_| is_service).map(|(_, argv)| look_at_program(hook, argv));
        ends_itself(hook, own).into_iter().chain(programs).collect::<Vec<_>>()
    };
    let of_notifies = main.notifies.values().flat_map(|notify| flaws(&notify.run)).map(of_notify);
    let found = used_hooks(inventory).flat_map(flaws).chain(of_notifies);
    found.filter(|finding| finding.state == Verdict::Failed).collect()
}

/// The unit that runs the daemon of this configuration: this process's own, else as the package lays them out.
#[must_use]
pub fn own_unit(config: &Path) -> String {
    let instance = || config.strip_prefix("/etc/renewd").ok()?.parent().filter(|path| *path != Path::new(""));
    let packaged = || match instance() {
        Some(instance) => format!("renewd@{}.service", instance.display()),
        None => "renewd.service".to_owned(),
    };
    lock::unit().filter(|unit| unit.starts_with("renewd")).unwrap_or_else(packaged)
}

/// Whether the file of a unit is there, be it that of a template.
#[must_use]
pub fn is_installed(unit: &str) -> bool {
    let template = unit.split_once('@').map(|(name, _)| format!("{name}@.service"));
    let file = template.as_deref().unwrap_or(unit);
    UNIT_FOLDERS.iter().any(|folder| Path::new(folder).join(file).exists())
}

/// A hook that stops renewd never ends, and runs again at each start.
fn ends_itself(hook: &Hook, own: &str) -> Option<Finding> {
    let HookRun::Unit { unit, verb } = &hook.run else { return None };
    let ends = unit == own && ["restart", "stop", "try-restart"].contains(&verb.as_str());
    ends.then(|| {
        Finding::failed(
            "hook",
            &hook.name,
            format!("{verb} of {unit} stops renewd itself before it is done, so it would run again at each start"),
            "write verb = \"reload\", which makes renewd read its configuration and credential files again",
        )
    })
}

/// Asks systemd for the unit. Where no systemd runs there is nobody to ask, and nobody who would run it.
async fn look_at_unit(hook: &Hook, unit: &str, verb: &str) -> Finding {
    let mut command = Command::new(SYSTEMCTL);
    command.args(["show", "--property=LoadState", "--value", unit]).kill_on_drop(true);
    let unknown = |why: String| {
        Finding::warning(
            "hook",
            &hook.name,
            format!("cannot find out whether the unit {unit} exists: {why}"),
            "nothing on a host where systemd runs; elsewhere use a `command`",
        )
    };
    let answer = match tokio::time::timeout(PATIENCE, output(command)).await {
        Ok(Ok(output)) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(Ok(output)) => return unknown(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Ok(Err(error)) => return unknown(format!("cannot run {SYSTEMCTL}: {error}")),
        Err(_) => return unknown(format!("systemctl did not answer within {} s", PATIENCE.as_secs())),
    };
    match answer.as_str() {
        "loaded" => may_run(hook, unit, verb).await,
        state => Finding::failed(
            "hook",
            &hook.name,
            format!("systemd does not know unit {unit} ({})", state.replace('-', " ")),
            &format!("install or unmask the unit, or fix `unit` of {}", hook.name),
        ),
    }
}

/// What a program prints, which is told nothing.
async fn output(mut command: Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (child, own) = children::spawn(command)?;
    let output = child.wait_with_output().await;
    drop(own);
    output
}

/// Whether this user may run the verb, asked of systemd without running it. A job mode that does not go with the verb is
/// refused as such only after polkit was asked.
async fn may_run(hook: &Hook, unit: &str, verb: &str) -> Finding {
    let odd_mode = if verb == "stop" { "--job-mode=isolate" } else { "--job-mode=triggering" };
    let mut command = Command::new(SYSTEMCTL);
    command.args(["--no-ask-password", odd_mode, verb, unit]).env("LC_ALL", "C").kill_on_drop(true);
    let said = match tokio::time::timeout(PATIENCE, output(command)).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("systemctl did not answer within {} s", PATIENCE.as_secs()),
    };
    if said.contains("only valid for") {
        return Finding::ok("hook", &hook.name, format!("{unit} is known to systemd, which lets this user {verb} it"));
    }
    if is_refusal(&said) {
        let user = rustix::process::geteuid().as_raw();
        let remedy = format!("write \"{unit}\": [\"{verb}\"] into RENEWD_UNITS of {POLKIT_RULE}");
        let message = format!("polkit does not let the service (user {user}) {verb} {unit}: {said}");
        return Finding::failed("hook", &hook.name, message, &remedy);
    }
    let message = format!("{unit} is known to systemd; whether this user may {verb} it is not known: {said}");
    Finding::warning("hook", &hook.name, message, "try it as the service's user")
}

/// Whether something listens where the certificate is to be seen.
async fn reach(entry: Arc<Entry>, probe: Probe) -> Finding {
    let why = match tokio::time::timeout(PATIENCE, TcpStream::connect(&probe.address)).await {
        Ok(Ok(_)) => {
            let subject = format!("{} at {}", entry.name, probe.address);
            return Finding::ok("probe", subject, "something listens there");
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {} s", PATIENCE.as_secs()),
    };
    Finding::failed(
        "probe",
        format!("{} at {}", entry.name, probe.address),
        format!("cannot connect: {why}"),
        &format!("start the service, open the way to it, or fix `probe` in {}", entry.source),
    )
}

const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const PATIENCE: Duration = Duration::from_secs(5);
