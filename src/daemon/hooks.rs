//! Running hooks: one run of one hook at a time, for every certificate that owes it when it starts. When a hook is due
//! is the core's; here is the process: a clean environment, a group of its own, a time-out that ends the whole group.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::core::failure::{Failure, FailureClass};
use crate::core::hook::{Hook, HookRun};
use crate::core::name::{CertName, Generation, HookName};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// A hook among those of all files: its file (`None`: `renewd.toml`) and its name there.
pub type Key = (Option<String>, HookName);

/// The hooks that are owed and running.
#[derive(Debug, Default)]
pub struct Hooks {
    owed: BTreeMap<Key, BTreeSet<Debt>>,
    running: BTreeSet<Key>,
    started: BTreeMap<Key, Timestamp>,
}

/// A certificate that owes a hook, under the name that its entry uses.
type Debt = (CertName, HookName, Generation);

/// A run that may start now.
#[derive(Debug)]
pub struct Run {
    /// Which hook.
    pub key: Key,
    /// For whom.
    pub serves: Vec<Debt>,
}

impl Hooks {
    /// Notes that a certificate owes a hook now.
    pub fn owe(&mut self, key: Key, name: CertName, hook: HookName, generation: Generation) {
        self.owed.entry(key).or_default().insert((name, hook, generation));
    }

    /// Forgets what a certificate owes: its entry changed, or a newer generation is there.
    pub fn drop_debts_of(&mut self, name: &CertName) {
        self.owed.values_mut().for_each(|debts| debts.retain(|(debtor, ..)| debtor != name));
        self.owed.retain(|_, debts| !debts.is_empty());
    }

    /// Takes the runs that may start: not running already, and not within the hook's minimal interval.
    pub fn take_runnable(&mut self, now: Timestamp, interval: impl Fn(&Key) -> Duration) -> Vec<Run> {
        let may_start = |key: &&Key| {
            let rested = self.started.get(*key).is_none_or(|at| *at + interval(key) <= now || *at > now);
            rested && !self.running.contains(*key)
        };
        let keys: Vec<Key> = self.owed.keys().filter(may_start).cloned().collect();
        let mut runs = Vec::new();
        for key in keys {
            let Some(debts) = self.owed.remove(&key) else { continue };
            self.running.insert(key.clone());
            self.started.insert(key.clone(), now);
            runs.push(Run { key, serves: debts.into_iter().collect() });
        }
        runs
    }

    /// Notes that a run ended.
    pub fn ended(&mut self, key: &Key) {
        self.running.remove(key);
    }

    /// Whether a hook is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether a certificate's hook is owed here or running, so that it need not be asked for again.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.owed.contains_key(key) || self.running.contains(key)
    }

    /// Whether anything is owed that could not start yet.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }
}

/// Runs a hook to its end, or until `stop` says so; then its group is ended and the hook stays owed.
///
/// # Errors
///
/// When it cannot be started, does not exit with 0, or not in time; with the end of what it printed.
pub async fn run(
    hook: &Hook,
    environment: Vec<(String, String)>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut child =
        command(hook, environment).spawn().map_err(|error| failed(hook, &format!("could not be started: {error}")))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut output = Output::of(&mut child);
    tokio::select! {
        status = output.until_exit(&mut child) => match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(hook, &format!("ended with {status}{}", output.tail()))),
            Err(error) => Err(failed(hook, &format!("was lost: {error}"))),
        },
        () = tokio::time::sleep(hook.timeout) => {
            end_group(group, &mut child).await;
            Err(failed(hook, &format!("did not end within {} s and was killed{}", hook.timeout.as_secs(), output.tail())))
        }
        () = stopped(&mut stop) => {
            end_group(group, &mut child).await;
            Err(failed(hook, "was ended because renewd stops; it runs again at the next start"))
        }
    }
}

/// Waits until the daemon stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and with it the daemon.
    drop(stop.wait_for(|stop| *stop).await);
}

fn command(hook: &Hook, environment: Vec<(String, String)>) -> Command {
    let argv: Vec<String> = match &hook.run {
        HookRun::Unit { unit, verb } => {
            ["/usr/bin/systemctl", "--no-ask-password", verb, unit].map(str::to_owned).to_vec()
        }
        HookRun::Command(argv) => argv.clone(),
    };
    let mut command = Command::new(argv.first().map_or("", String::as_str));
    command
        .args(argv.iter().skip(1))
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Ends the hook and everything that it started.
async fn end_group(group: Option<Pid>, child: &mut Child) {
    if let Some(Err(error)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
        tracing::debug!("the hook's group had ended: {error}");
    }
    drop(child.wait().await);
}

/// The environment of a run: what the hook may want to know, and nothing secret.
#[must_use]
pub fn environment(serves: &[(CertName, PathBuf)]) -> Vec<(String, String)> {
    let names: Vec<&str> = serves.iter().map(|(name, _)| name.as_str()).collect();
    let mut environment = vec![("RENEWD_NAMES".to_owned(), names.join(" "))];
    if let Some((name, live)) = serves.first() {
        environment.push(("RENEWD_NAME".to_owned(), name.to_string()));
        environment.push(("RENEWD_LIVE_DIR".to_owned(), live.display().to_string()));
    }
    environment
}

fn failed(hook: &Hook, what: &str) -> Failure {
    Failure::new(FailureClass::HookFailed, format!("hook {} {what}", hook.name))
}

/// The end of what a hook prints; the rest is read and thrown away, so that it never blocks on a full pipe.
struct Output {
    stdout: Option<tokio::process::ChildStdout>,
    stderr: Option<tokio::process::ChildStderr>,
    end: Vec<u8>,
}

impl Output {
    fn of(child: &mut Child) -> Self {
        Self { stdout: child.stdout.take(), stderr: child.stderr.take(), end: Vec::new() }
    }

    /// Reads until the hook exits. What a left-over process still prints is not waited for.
    async fn until_exit(&mut self, child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
        let (mut out, mut err) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                biased;
                Some(count) = read(self.stdout.as_mut(), &mut out) => self.keep(out.get(..count), true),
                Some(count) = read(self.stderr.as_mut(), &mut err) => self.keep(err.get(..count), false),
                status = child.wait() => return status,
            }
        }
    }

    fn keep(&mut self, bytes: Option<&[u8]>, is_stdout: bool) {
        let bytes = bytes.unwrap_or_default();
        if bytes.is_empty() {
            if is_stdout { self.stdout = None } else { self.stderr = None }
        }
        self.end.extend(bytes);
        let surplus = self.end.len().saturating_sub(KEPT_OUTPUT);
        self.end.drain(..surplus);
    }

    fn tail(&self) -> String {
        let text = Text::new(&String::from_utf8_lossy(&self.end));
        if text.as_str().is_empty() { String::new() } else { format!("; it printed: {text}") }
    }
}

async fn read<R: AsyncReadExt + Unpin>(source: Option<&mut R>, buffer: &mut [u8]) -> Option<usize> {
    match source {
        Some(source) => Some(source.read(buffer).await.unwrap_or(0)),
        None => None,
    }
}

const KEPT_OUTPUT: usize = 400;
