//! The lock on the state directory: one writer at a time, named to whoever comes second. A daemon that ends without being
//! stopped leaves its name in it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::core::failure::Failure;
use crate::core::text::Text;

use super::disk_failure;
use super::layout::Layout;
use super::real_disk::{NO_BLOCK, NO_FOLLOW};

/// Holds the lock until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Who the lock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A command that ends by itself.
    Command,
    /// A daemon, which runs until it is stopped.
    Daemon,
}

/// What the lock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nobody has it, and nobody should.
    Not,
    /// Somebody has it: who, and what for.
    By(Text, Purpose),
    /// A daemon had it and ended without being stopped, as by a crash, `kill -9` or a power failure; nobody had it since.
    LeftBehind(Text),
}

/// Why the lock could not be had.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else holds it; who, as far as it says.
    Held(Text),
    /// The file system fails.
    Disk(Failure),
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held(holder) => write!(f, "another renewd holds the state directory: {holder}"),
            Self::Disk(failure) => write!(f, "{failure}"),
        }
    }
}

impl std::error::Error for LockError {}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// When somebody else holds it, or the file cannot be made.
    pub fn take(layout: &Layout, purpose: Purpose) -> Result<Self, LockError> {
        let path = layout.lock();
        let failed = |error: std::io::Error| LockError::Disk(disk_failure("lock", &path, &error));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(NO_FOLLOW)
            .open(&path)
            .map_err(failed)?;
        if let Err(error) = patiently(&file) {
            if !matches!(error, nix::Error::EAGAIN | nix::Error::EACCES) {
                return Err(failed(error.into()));
            }
            return Err(LockError::Held(written(&mut file).map_err(failed)?.0));
        }
        let unit = unit().map_or(String::new(), |unit| format!(", unit {unit}"));
        let kind = if purpose == Purpose::Daemon { DAEMON } else { "" };
        let text = format!("pid {}{unit}\n{kind}", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .map_err(failed)?;
        Ok(Self { file })
    }

    /// Notes that its holder was told to stop, or is done: it ends soon, and is not missed.
    pub fn will_end(&self) {
        // Else it counts as left behind, which is told and harms nothing.
        self.file.set_len(0).unwrap_or_default();
    }

    /// Who holds the lock, or left it behind. Takes nothing and writes nothing.
    #[must_use]
    pub fn held(layout: &Layout) -> Held {
        Self::look(layout).unwrap_or(Held::Not)
    }

    fn look(layout: &Layout) -> Option<Held> {
        // Whoever owns the folder may have put a pipe or a link there, and root asks as well.
        let mut file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW | NO_BLOCK).open(layout.lock()).ok()?;
        let mut found = whole(libc::F_RDLCK);
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut found)).ok()?;
        let (who, purpose) = written(&mut file).ok()?;
        if i32::from(found.l_type) != libc::F_UNLCK {
            return Some(Held::By(who, purpose));
        }
        (purpose == Purpose::Daemon).then_some(Held::LeftBehind(who))
    }
}

/// A process that the last holder was just starting when it ended has the lock until it becomes another program: an
/// instant, which is waited for.
fn patiently(file: &File) -> nix::Result<()> {
    for _ in 1..TRIES {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => std::thread::sleep(BETWEEN),
            taken => return taken.map(drop),
        }
    }
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))).map(drop)
}

/// What the holder says of itself: nothing for the moment between its lock and its writing, and when it stops.
fn written(file: &mut File) -> std::io::Result<(Text, Purpose)> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    let (who, kind) = text.split_once('\n').unwrap_or((&text, ""));
    let who = Text::new(if who.is_empty() { "it is just starting, or stopping" } else { who });
    Ok((who, if kind == DAEMON { Purpose::Daemon } else { Purpose::Command }))
}

/// The whole file. Of an open file description, so that it lasts as long as the holder, and that a reader can ask who
/// holds it: a reader that took it for a moment would keep a daemon from starting.
#[expect(clippy::cast_possible_truncation, reason = "the system's constants, in the system's narrower field")]
const fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// The systemd unit of this process, from its control group.
#[must_use]
pub fn unit() -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let unit = groups.lines().filter_map(|line| line.rsplit('/').next()).find(|name| name.ends_with(".service"))?;
    Some(unit.to_owned())
}

/// More than a holder writes.
const LONGEST: u64 = 1024;
/// What a daemon writes below its name.
const DAEMON: &str = "runs until it is stopped\n";
const TRIES: u32 = 20;
const BETWEEN: std::time::Duration = std::time::Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_keeps_a_writer_out() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert!(Lock::held(&layout) == Held::Not && std::fs::read_dir(folder.path()).unwrap().next().is_none());
        drop(Lock::take(&layout, Purpose::Command).unwrap());
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let ask = || {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                drop(Lock::held(&layout));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(ask);
            scope.spawn(ask);
            let refused = (0..2000).find_map(|_| Lock::take(&layout, Purpose::Daemon).err());
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(refused.is_none(), "nobody else writes: {refused:?}");
        });
    }

    #[test]
    fn the_holder_is_named_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let own = format!("pid {}", std::process::id());
        let names_own = |who: &Text| who.as_str().starts_with(&own) && !who.as_str().contains("until");
        // A process that another test is just starting has the lock until it becomes another program.
        let comes_to = |expected: &dyn Fn(&Held) -> bool| {
            (0..1000).any(|_| {
                expected(&Lock::held(&layout)) || {
                    std::thread::sleep(BETWEEN);
                    false
                }
            })
        };
        for purpose in [Purpose::Command, Purpose::Daemon] {
            let lock = Lock::take(&layout, purpose).unwrap();
            assert!(matches!(Lock::held(&layout), Held::By(who, held_for) if names_own(&who) && held_for == purpose));
            assert!(matches!(Lock::take(&layout, purpose), Err(LockError::Held(who)) if names_own(&who)));
            drop(lock);
        }
        assert!(comes_to(&|held| matches!(held, Held::LeftBehind(who) if names_own(who))));
        let lock = Lock::take(&layout, Purpose::Daemon).unwrap();
        lock.will_end();
        assert!(matches!(Lock::held(&layout), Held::By(..)));
        drop(lock);
        assert!(comes_to(&|held| *held == Held::Not), "it was stopped");
        drop(Lock::take(&layout, Purpose::Daemon).unwrap());
        drop(Lock::take(&layout, Purpose::Command).unwrap());
        assert!(comes_to(&|held| *held == Held::Not), "somebody else had it since");
    }
}
