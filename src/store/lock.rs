//! The lock on the state directory: one writer at a time, named to whoever comes second.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::core::failure::Failure;
use crate::core::text::Text;

use super::disk_failure;
use super::layout::Layout;

/// Holds the lock until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
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
    pub fn take(layout: &Layout) -> Result<Self, LockError> {
        let path = layout.lock();
        let failed = |error: std::io::Error| LockError::Disk(disk_failure("lock", &path, &error));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        if let Err(error) = patiently(&file) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(failed)?;
            return Err(LockError::Held(Text::new(&holder)));
        }
        let text =
            format!("pid {}{}\n", std::process::id(), unit().map_or(String::new(), |unit| format!(", unit {unit}")));
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Who holds the lock, if somebody does. Takes nothing and writes nothing.
    #[must_use]
    pub fn holder(layout: &Layout) -> Option<Text> {
        let mut file = File::open(layout.lock()).ok()?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            return None;
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).ok()?;
        Some(Text::new(&holder))
    }
}

/// A reader that looks who holds the lock has it for a moment: that is no reason not to start.
fn patiently(file: &File) -> rustix::io::Result<()> {
    for _ in 0..TRIES {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN),
            other => return other,
        }
    }
    Err(rustix::io::Errno::WOULDBLOCK)
}

/// The systemd unit of this process, from its control group.
fn unit() -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let unit = groups.lines().filter_map(|line| line.rsplit('/').next()).find(|name| name.ends_with(".service"))?;
    Some(unit.to_owned())
}

const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_does_not_keep_the_daemon_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        drop(Lock::take(&layout).unwrap());
        let reader = File::open(layout.lock()).unwrap();
        rustix::fs::flock(&reader, FlockOperation::NonBlockingLockShared).unwrap();
        assert!(matches!(Lock::take(&layout), Err(LockError::Held(_))), "one that stays is waited for in vain");
        let taken = std::thread::scope(|scope| {
            let taking = scope.spawn(|| Lock::take(&layout));
            std::thread::yield_now();
            drop(reader);
            taking.join().unwrap()
        });
        assert!(Lock::holder(&layout).is_some_and(|holder| holder.as_str().starts_with("pid ")));
        drop(taken.unwrap());
        assert_eq!(Lock::holder(&layout), None);
    }
}
