//! The daemon as a process that may be killed at any time.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::host::Host;

/// `renewd run`; killed when dropped.
pub(crate) struct Process(Child);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_renewd");

/// The command that starts the daemon, by these words.
pub(crate) fn command<S: AsRef<OsStr>>(host: &Host, words: &[S]) -> Command {
    let mut command = Command::new(&words[0]);
    let log = OpenOptions::new().append(true).create(true).open(host.path("log")).unwrap();
    command.args(&words[1..]).arg("--config").arg(host.path("renewd.toml")).arg("run");
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Starts the daemon, and waits until it answers.
    pub(crate) fn start(host: &Host, environment: &[(String, String)]) -> Self {
        let mut command = command(host, &[BINARY]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Self::answering(host, command)
    }

    /// Starts the daemon as this user, who may not be able to reach the binary where it was built.
    pub(crate) fn start_as(host: &Host, user: u32, environment: &[(String, String)]) -> Self {
        let binary = host.path("renewd");
        fs::copy(BINARY, &binary).unwrap();
        let mut command = command(host, &[binary]);
        command.uid(user).gid(user).envs(environment.iter().map(|(name, value)| (name, value)));
        Self::answering(host, command)
    }

    fn answering(host: &Host, command: Command) -> Self {
        let process = Self::spawn(command);
        host.until("the daemon answers", || host.says(&["status"]).err.is_empty().then_some(()));
        process
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Ends the daemon by a signal; its exit code, `None` where it was killed.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.0.wait().unwrap().code()
    }

    /// Waits so long for it to end by itself.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + time;
        loop {
            let ended = self.0.try_wait().unwrap();
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_secs(ticks) / TICKS_PER_SECOND
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// All certificates of the status that are in this state.
pub(crate) fn in_state(status: &Value, state: &str) -> usize {
    let all = status["certificates"].as_array().cloned().unwrap_or_default();
    all.iter().filter(|certificate| certificate["state"] == state).count()
}

/// Of the times in `/proc`, on every Linux.
const TICKS_PER_SECOND: u32 = 100;
