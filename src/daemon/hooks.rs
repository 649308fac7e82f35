//! Running hooks, their tests, and what they ask before a switch: a clean environment, a process group of its own, a
//! time-out that ends all that they started.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::core::event::HookStep;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::validation::DomainValidation;
use crate::core::text::Text;
use crate::core::wanted::hook::{Hook, HookRun};
use crate::engine::hooks::Ended;
use crate::engine::io::HookSubject;

use super::{children, hook_user, program};

/// What is run, beside its hook.
pub struct Errand {
    /// What messages call it.
    pub kind: &'static str,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// What it reads on its standard input, if anything.
    pub input: Option<Vec<u8>>,
}

impl Errand {
    /// A hook after an install.
    #[must_use]
    pub const fn hook(environment: Vec<(String, String)>) -> Self {
        Self { kind: "hook", environment, input: None }
    }
}

/// Runs a hook to its end, its test first, or until `stop` says so; then it is ended with all that it started and the hook
/// stays owed. A failure holds the end of what was printed, as `shown` shows it in so many bytes.
pub async fn run(
    hook: &Hook,
    errand: Errand,
    stop: watch::Receiver<bool>,
    shown: impl Fn(&str, usize) -> Text,
) -> Ended {
    if let Some(argv) = &hook.test {
        let step = Step { what: "the test of hook", step: HookStep::Test, class: FailureClass::HookFailed };
        let test = hook.around(argv);
        let test_errand = Errand::hook(errand.environment.clone());
        match run_step(&test, step, test_errand, stop.clone(), &shown).await {
            Ended::Done(_) => {}
            ended @ (Ended::Failed(..) | Ended::TimedOut(..) | Ended::Stopped) => return ended,
        }
    }
    let step = Step { what: errand.kind, step: HookStep::Run, class: FailureClass::HookFailed };
    run_step(hook, step, errand, stop, &shown).await
}

/// Asks the program that a hook names in `before`, by the same rules, of a certificate with this link to its live set.
pub async fn ask_before(
    hook: &Hook,
    subject: &HookSubject,
    live: &Path,
    stop: watch::Receiver<bool>,
    shown: impl Fn(&str, usize) -> Text,
) -> Ended {
    let Some(argv) = &hook.before else { return Ended::Done(None) };
    let environment = environment(std::slice::from_ref(subject), Some(live), None);
    let step = Step { what: "`before` of hook", step: HookStep::Run, class: FailureClass::HookVetoed };
    run_step(&hook.around(argv), step, Errand::hook(environment), stop, &shown).await
}

/// One of the programs of a hook.
#[derive(Clone, Copy)]
struct Step {
    /// What messages call it, before the hook's name.
    what: &'static str,
    step: HookStep,
    /// What it means when it exits with another status than 0.
    class: FailureClass,
}

async fn run_step(
    hook: &Hook,
    step: Step,
    errand: Errand,
    mut stop: watch::Receiver<bool>,
    shown: impl Fn(&str, usize) -> Text,
) -> Ended {
    let Errand { environment, input, .. } = errand;
    let told = |class, what: &str| Failure::new(class, format!("{} {} {what}", step.what, hook.name));
    let failed = |what: &str| Ended::Failed(told(FailureClass::HookFailed, what), step.step);
    if let Some(why) = refused(hook).await {
        return failed(&format!("was not started: {why}"));
    }
    let run = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let mut command = command(hook, environment);
    command.env(RUN, &run);
    match input.map(|input| readable(&input)).transpose() {
        Ok(input) => drop(input.map(|input| command.stdin(input))),
        Err(error) => return failed(&format!("was not started: nothing can be passed to it: {error}")),
    }
    let (mut child, own) = match children::spawn(command) {
        Ok(started) => started,
        Err(error) => return failed(&format!("could not be started: {}", unstarted(hook, &error).await)),
    };
    let mark = format!("{RUN}={run}");
    let mut output = Output::of(&mut child, shown);
    let ended = tokio::select! {
        status = output.until_exit(&mut child) => match status {
            Ok(status) if status.success() => Ended::Done(output.tail()),
            Ok(status) => {
                let unfound = unfound(hook, status).await;
                // What could not even be found said nothing.
                let class = if unfound.is_empty() { step.class } else { FailureClass::HookFailed };
                Ended::Failed(told(class, &format!("ended with {status}{}{unfound}", output.told())), step.step)
            }
            Err(error) => failed(&format!("was lost: {error}")),
        },
        () = tokio::time::sleep(hook.timeout) => {
            children::end(&mut child, &mark).await;
            let what = format!("did not end within {} s and was killed{}", hook.timeout.as_secs(), output.told());
            Ended::TimedOut(told(FailureClass::HookFailed, &what), step.step)
        }
        () = stopped(&mut stop) => {
            children::end(&mut child, &mark).await;
            Ended::Stopped
        }
    };
    drop(own);
    ended
}

/// A file in memory that holds the input: whoever does not read it holds nobody up.
fn readable(input: &[u8]) -> io::Result<Stdio> {
    let mut file = File::from(rustix::fs::memfd_create("renewd-input", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(input)?;
    file.rewind()?;
    Ok(file.into())
}

/// Why a hook may not run as the user that it names, where it names one.
async fn refused(hook: &Hook) -> Option<String> {
    let user = hook.user.clone()?;
    // Users may be on another host, which hangs.
    let obstacle = tokio::task::spawn_blocking(move || hook_user::obstacle(&user)).await.ok().flatten();
    obstacle.map(|flaw| flaw.to_string())
}

/// Why a hook did not start: what its file shows, where it shows anything.
async fn unstarted(hook: &Hook, error: &std::io::Error) -> String {
    let flaw = flaw(hook).await;
    let is_foreign = error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    let foreign = "it is not a program for this machine, nor a script that begins with `#!`";
    flaw.unwrap_or_else(|| if is_foreign { foreign.to_owned() } else { error.to_string() })
}

/// What is wrong with a script whose `env` or shell did not find a program.
async fn unfound(hook: &Hook, status: std::process::ExitStatus) -> String {
    let flaw = if matches!(status.code(), Some(126 | 127)) { flaw(hook).await } else { None };
    flaw.map_or_else(String::new, |flaw| format!("; {flaw}"))
}

/// What is wrong with a hook's program; its file is read beside the loop.
async fn flaw(hook: &Hook) -> Option<String> {
    let program = match &hook.run {
        HookRun::Command(argv) => PathBuf::from(argv.first()?),
        HookRun::Unit { .. } => return None,
    };
    let user = hook.user.clone();
    let look = move || user.map_or_else(|| program::flaw(&program), |user| hook_user::flaw(&user, &program));
    let flaw = tokio::task::spawn_blocking(look).await.ok().flatten();
    flaw.map(|flaw| flaw.to_string())
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
        HookRun::Command(argv) => hook.user.as_ref().map_or_else(|| argv.clone(), |user| hook_user::argv(user, argv)),
    };
    let mut command = Command::new(argv.first().map_or("", String::as_str));
    command
        .args(argv.iter().skip(1))
        .env_clear()
        .env("PATH", program::PATH)
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

/// The environment of a run: what the hook may want to know, and nothing secret. Of several certificates the first is
/// told whole, and all by name: in a file, and as many as a variable may hold.
#[must_use]
pub fn environment(subjects: &[HookSubject], live: Option<&Path>, names_file: Option<&Path>) -> Vec<(String, String)> {
    let (names, left_out) = names(subjects);
    let mut environment = vec![("RENEWD_NAMES", names)];
    environment.extend(names_file.map(|file| ("RENEWD_NAMES_FILE", file.display().to_string())));
    if left_out > 0 {
        environment.push(("RENEWD_NAMES_CUT", left_out.to_string()));
    }
    if let Some(HookSubject { name, installed, validation }) = subjects.first() {
        environment.push(("RENEWD_NAME", name.to_string()));
        environment.extend(live.map(|live| ("RENEWD_LIVE_DIR", live.display().to_string())));
        if let Some(installed) = installed {
            environment.push(("RENEWD_GENERATION", installed.generation.to_string()));
            environment.push(("RENEWD_SERIAL_NUMBER", installed.serial_number.to_string()));
            environment.push(("RENEWD_FINGERPRINT", installed.fingerprint.to_string()));
            environment.push(("RENEWD_NOT_AFTER", installed.not_after.to_string()));
            environment.push(("RENEWD_ENDS_AT", installed.ends_at().to_string()));
        }
        if let Some(DomainValidation { method, random_value }) = validation {
            environment.extend(method.iter().map(|method| ("RENEWD_DV_METHOD", method.to_string())));
            environment.extend(random_value.iter().map(|value| ("RENEWD_DV_RANDOM_VALUE", value.to_string())));
        }
    }
    environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Whether a variable holds all names.
#[must_use]
pub fn fits(subjects: &[HookSubject]) -> bool {
    names(subjects).1 == 0
}

/// The names with blanks between, and how many are left out because a variable may not be that long.
fn names(subjects: &[HookSubject]) -> (String, usize) {
    let mut names = String::new();
    for (subject, left) in subjects.iter().zip((0..subjects.len()).rev()) {
        if names.len() + subject.name.as_str().len() >= LONGEST_NAMES {
            return (names, left + 1);
        }
        if !names.is_empty() {
            names.push(' ');
        }
        names.push_str(subject.name.as_str());
    }
    (names, 0)
}

/// A run that cannot be told what it runs for.
#[must_use]
pub fn untold(hook: &Hook, why: &Failure) -> Ended {
    let name = &hook.name;
    let message = format!("hook {name} was not started, since renewd cannot pass it the certificates' names: {why}");
    Ended::Failed(Failure::new(FailureClass::HookFailed, message), HookStep::Run)
}

/// The end of what a hook prints; the rest is read and thrown away, so that it never blocks on a full pipe.
struct Output<S> {
    shown: S,
    stdout: Option<tokio::process::ChildStdout>,
    stderr: Option<tokio::process::ChildStderr>,
    end: Vec<u8>,
}

impl<S: Fn(&str, usize) -> Text> Output<S> {
    fn of(child: &mut Child, shown: S) -> Self {
        Self { shown, stdout: child.stdout.take(), stderr: child.stderr.take(), end: Vec::new() }
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

    fn tail(&self) -> Option<Text> {
        Some((self.shown)(&String::from_utf8_lossy(&self.end), SHOWN_OUTPUT)).filter(|text| !text.as_str().is_empty())
    }

    fn told(&self) -> String {
        self.tail().map_or_else(String::new, |text| format!("; it printed: {text}"))
    }
}

async fn read<R: AsyncReadExt + Unpin>(source: Option<&mut R>, buffer: &mut [u8]) -> Option<usize> {
    match source {
        Some(source) => Some(source.read(buffer).await.unwrap_or(0)),
        None => None,
    }
}

static RUNS: AtomicU64 = AtomicU64::new(0);
/// The variable that all processes of one run have, by which they are found when it is ended.
const RUN: &str = "RENEWD_RUN";
/// The kernel takes 128 KiB for one variable, and all of them have to fit with the arguments.
const LONGEST_NAMES: usize = 64 << 10;
/// More than is shown, so that a secret at its beginning is whole when it is masked.
const KEPT_OUTPUT: usize = 8192;
const SHOWN_OUTPUT: usize = 400;

#[cfg(test)]
mod tests;
