//! The processes that renewd starts, and those that they leave to it: whoever loses its parent below renewd becomes its
//! child, also where renewd is no container's first process. So a hook is ended with all that it started, whatever session
//! that is in, and nothing that ended stays behind.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, waitpid,
};
use tokio::process::{Child, Command};

use super::sandbox;

/// Has the kernel leave the orphans of its children to this process.
pub fn adopt() {
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::debug!("the kernel does not leave orphans to renewd: {error}");
    }
}

/// Starts a program whose end this process waits for, as long as the other value is kept.
///
/// # Errors
///
/// Those of the system.
pub fn spawn(mut command: Command) -> io::Result<(Child, Own)> {
    start(move || command.spawn(), Child::id)
}

/// The same for any way to start one.
///
/// # Errors
///
/// Those of the system.
pub fn start<C: Send + 'static>(
    start: impl FnOnce() -> io::Result<C> + Send + 'static,
    id: impl FnOnce(&C) -> Option<u32>,
) -> io::Result<(C, Own)> {
    // Nobody is reaped before it is known whose this one is.
    let mut own = own();
    let child = sandbox::start_process(start)?;
    let pid = id(&child).and_then(|id| Pid::from_raw(id.cast_signed()));
    (*own).extend(pid);
    Ok((child, Own(pid)))
}

/// Says that the end of a child is waited for by whoever holds this.
#[derive(Debug)]
pub struct Own(Option<Pid>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            own().retain(|other| *other != pid);
        }
    }
}

/// Takes note of the end of those that nobody waits for.
pub fn reap() {
    let own = own();
    for pid in children().into_iter().filter(|pid| !own.contains(pid)) {
        // One that still runs is none of those.
        if let Err(error) = waitpid(Some(pid), WaitOptions::NOHANG) {
            tracing::debug!(%pid, "an orphan's end was not noted: {error}");
        }
    }
}

/// Ends a hook, its group, and what left the group and was left to this process, round after round: whoever is ended
/// leaves its own children. They are known by `mark`, a variable of the hook's environment.
pub async fn end(child: &mut Child, mark: &str) {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(Err(error)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
        tracing::debug!("the hook's group had ended: {error}");
    }
    drop(child.wait().await);
    let mut quiet = 0;
    for _ in 0..MOST_ROUNDS {
        let mark = mark.to_owned();
        // Another process's memory is read, which that one may hold up.
        let found = tokio::task::spawn_blocking(|| sandbox::apart(move || end_left(&mark))).await.unwrap_or(0);
        quiet = if found == 0 { quiet + 1 } else { 0 };
        if quiet > 1 {
            return;
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// Ends the adopted children with this variable; how many there were.
fn end_left(mark: &str) -> usize {
    // Nobody is reaped meanwhile, so that each number means who it meant.
    let own = own();
    let is_marked = |pid: &Pid| {
        let environment = std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
        environment.is_ok_and(|found| found.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()))
    };
    let left: Vec<Pid> = children().into_iter().filter(|pid| !own.contains(pid)).filter(is_marked).collect();
    for pid in &left {
        if let Err(error) = kill_process(*pid, Signal::KILL) {
            tracing::debug!(%pid, "what a hook left behind was not ended: {error}");
        }
    }
    left.len()
}

/// Every child of this process, those that ended and were not waited for as well.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let read = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let numbers = |text: String| text.split_whitespace().filter_map(|one| one.parse().ok()).collect::<Vec<i32>>();
    threads.flatten().flat_map(|thread| numbers(read(thread))).filter_map(Pid::from_raw).collect()
}

fn own() -> MutexGuard<'static, Vec<Pid>> {
    static OWN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deeper than any tree of processes that somebody means.
const MOST_ROUNDS: u32 = 100;
const ROUND: Duration = Duration::from_millis(10);
