//! The same work for many things, on as many cores as there are.

use std::io;
use std::num::NonZero;
use std::thread;

/// Applies `work` to each of `items`, in their order; where there are many, on several threads.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len() / FEW);
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let size = items.len().div_ceil(threads);
    let work = &work;
    thread::scope(|scope| {
        let mut parts = items.chunks(size);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| {
                let all = move || part.iter().map(work).collect::<Vec<R>>();
                thread::Builder::new().spawn_scoped(scope, all).map_err(|_| part)
            })
            .collect();
        let mut done: Vec<R> = first.iter().map(work).collect();
        for other in others {
            match other.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(part)) => done.extend(part),
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // The system gave no thread for it.
                Err(part) => done.extend(part.iter().map(work)),
            }
        }
        done
    })
}

/// Tries whether the system gives a thread: libraries that start one tell by a panic that it gives none.
///
/// # Errors
///
/// Those of the system.
pub fn try_thread() -> io::Result<()> {
    // It does nothing that could panic.
    drop(thread::Builder::new().spawn(|| ())?.join());
    Ok(())
}

/// Fewer than this many for each thread are done sooner than a thread is started.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_in_order() {
        for count in [0, 1, 15, 16, 31, 32, 33, 1000, 1001] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(map(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
