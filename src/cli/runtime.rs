//! The runtime: one thread for the loop, and a pool beside it that has a thread from the start and keeps those that it once
//! had. A pool that has none and gets none panics.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::parallel;

/// A runtime whose pool has a thread.
///
/// # Errors
///
/// When the system gives no descriptor or no thread.
pub(super) fn new() -> io::Result<Runtime> {
    // The runtime tells by a panic that it gets no pair of sockets for its signals.
    let spare: Vec<OwnedFd> = (0..SPARE).map(|_| io::stdin().as_fd().try_clone_to_owned()).collect::<Result<_, _>>()?;
    drop(spare);
    let runtime = Builder::new_current_thread().enable_all().thread_keep_alive(FOR_EVER).build()?;
    parallel::try_thread()?;
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// What the runtime opens, and the first few files and connections.
const SPARE: usize = 16;
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
