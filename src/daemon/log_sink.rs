//! The way out of the log: a bounded queue and a thread that writes it to standard error, or to the journal's own socket, so
//! that a pipe that nobody reads holds nobody back. A line that cannot be written, or finds no room, is lost and counted; nothing else comes of it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Starts the thread. Where the system gives none, lines are written by whoever has them.
pub fn open() {
    match Queue::start(deliver) {
        Ok(queue) => {
            // Opened before: that queue stays.
            drop(QUEUE.set(queue));
            flush_at_panic();
        }
        Err(error) => write(
            format!("the log has no thread of its own ({error}): log lines are written synchronously\n").into_bytes(),
        ),
    }
}

/// Writes a line to standard error, its end included: by the thread, where there is one.
pub fn write(line: Vec<u8>) {
    send(Line::Text, line);
}

fn send(kind: Line, line: Vec<u8>) {
    match QUEUE.get() {
        Some(queue) => queue.push((kind, line)),
        None => deliver(kind, &line),
    }
}

fn deliver(kind: Line, line: &[u8]) {
    match kind {
        Line::Text => put(&mut Stderr, line),
        Line::Entry => put(&mut Journal, line),
    }
}

/// Whether there is a journal that takes entries of many fields.
#[must_use]
pub fn has_journal() -> bool {
    std::fs::symlink_metadata(JOURNAL).is_ok_and(|found| found.file_type().is_socket())
}

/// Waits until everything is written, but no longer than this.
pub fn flush(patience: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(patience);
    }
}

/// How many lines were lost since the start.
#[must_use]
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// A writer for one event of the log, which never fails.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// For standard error.
    Text,
    /// For the journal, as systemd.journal-fields(7) and its native protocol have it.
    Entry,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(*self, bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was logged before a panic is written before the process aborts.
fn flush_at_panic() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        flush(LAST_MOMENT);
        told(panic);
    }));
}

/// The descriptor, without the lock of the standard library: a thread that waits in a write holds it.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stderr(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The journal's socket, which takes an entry a datagram. It is named each time: a journal that was away is found again.
struct Journal;

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        UnixDatagram::unbound()?.send_to(bytes, JOURNAL)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that wait for the thread.
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Line, Vec<u8>)>,
    bytes: usize,
    is_writing: bool,
}

impl Queue {
    fn start(mut deliver: impl FnMut(Line, &[u8]) + Send + 'static) -> io::Result<Arc<Self>> {
        let queue =
            Arc::new(Self { waiting: Mutex::new(Waiting::default()), filled: Condvar::new(), written: Condvar::new() });
        let own = Arc::clone(&queue);
        thread::Builder::new().name("log".to_owned()).stack_size(STACK).spawn(move || {
            loop {
                let (kind, line) = own.next();
                deliver(kind, &line);
            }
        })?;
        Ok(queue)
    }

    fn push(&self, line: (Line, Vec<u8>)) {
        let (mut waiting, length) = (self.waiting(), line.1.len());
        if waiting.bytes + length > MOST_BYTES {
            LOST.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes += length;
        waiting.lines.push_back(line);
        drop(waiting);
        self.filled.notify_one();
    }

    /// The next line, when there is one. Whoever asks has written the one before.
    fn next(&self) -> (Line, Vec<u8>) {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.1.len();
                waiting.is_writing = true;
                return line;
            }
            waiting.is_writing = false;
            self.written.notify_all();
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn flush(&self, patience: Duration) {
        let is_open = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        // Whether it was long enough makes no difference.
        drop(self.written.wait_timeout_while(self.waiting(), patience, is_open));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line whole, or counts it as lost. A descriptor that somebody made non-blocking is full now and then.
fn put(sink: &mut impl Write, mut line: &[u8]) {
    let mut naps = 0;
    while !line.is_empty() {
        match sink.write(line) {
            Ok(0) => break,
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && naps < MOST_NAPS => {
                naps += 1;
                thread::sleep(NAP);
            }
            Err(_) => break,
        }
    }
    if !line.is_empty() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

const JOURNAL: &str = "/run/systemd/journal/socket";
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);
/// Some five thousand lines.
const MOST_BYTES: usize = 1 << 20;
const STACK: usize = 64 << 10;
const NAP: Duration = Duration::from_millis(20);
const MOST_NAPS: u32 = 100;
const LAST_MOMENT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a line each time that it is let, and then says which.
    struct Gate(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| ErrorKind::BrokenPipe)?;
            self.1.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_finds_no_room_is_lost_and_the_rest_comes_in_order() {
        let ((open, opened), (sender, written)) = (mpsc::channel(), mpsc::channel());
        let mut gate = Gate(opened, sender);
        let queue = Queue::start(move |_, line| put(&mut gate, line)).unwrap();
        let text = |bytes: &[u8]| (Line::Text, bytes.to_vec());
        queue.push(text(b"first"));
        queue.flush(Duration::from_millis(50));
        let (before, large) = (lost(), vec![b'x'; MOST_BYTES / 4]);
        (0..9).for_each(|_| queue.push(text(&large)));
        assert!(queue.waiting().bytes <= MOST_BYTES);
        assert!(lost() >= before + 5, "{}", lost());
        (0..5).for_each(|_| open.send(()).unwrap());
        queue.flush(Duration::from_secs(30));
        assert_eq!(
            written.try_iter().map(|line| line.len()).collect::<Vec<_>>(),
            [5, 262_144, 262_144, 262_144, 262_144]
        );
        drop(open);
        queue.push(text(b"nobody takes it"));
        queue.flush(Duration::from_secs(30));
        assert!(lost() >= before + 6, "{}", lost());
    }

    #[test]
    fn a_line_is_written_whole_whatever_the_sink_takes_at_once() {
        struct Slow(Vec<u8>, u32);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 % 3 {
                    0 => Err(ErrorKind::Interrupted.into()),
                    1 => Err(ErrorKind::WouldBlock.into()),
                    _ => self.0.write(bytes.get(..2).unwrap_or(bytes)),
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut slow = Slow(Vec::new(), 0);
        put(&mut slow, b"a line\n");
        assert_eq!(slow.0, b"a line\n");
    }
}
