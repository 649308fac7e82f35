//! Asking the daemon over its control socket.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::config::Main;
use crate::daemon::control::Request;
pub(super) use crate::daemon::control::path;
use crate::daemon::setup::{self, StartError};
use crate::store::layout::Layout;
use crate::store::lock::{Held, Lock, Purpose};

use super::{exit, output, start, user};

/// Asks, and gives the line that came back.
///
/// # Errors
///
/// When nobody listens there, or this user may not ask.
pub(super) fn ask(path: &Path, request: &Request) -> io::Result<String> {
    ask_within(path, request, PATIENCE)
}

/// The same for what takes longer.
///
/// # Errors
///
/// When nobody listens there, this user may not ask, or no answer comes in time.
pub(super) fn ask_within(path: &Path, request: &Request, patience: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_string(request)?;
    tracing::debug!("asking the daemon at {}: {} bytes", path.display(), line.len());
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    tracing::debug!("the daemon answered: {} bytes", answer.len());
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// The configuration, for who may read it; else the exit code, after telling why.
pub(super) fn configuration(config: &Path) -> Result<Main, u8> {
    user::may_read(config).map_err(|why| {
        output::complain(&why);
        exit::NOT_PERMITTED
    })?;
    let main = crate::config::load_main(config)
        .map_err(|problems| start::told(&StartError::Config(setup::shown(&problems))))?;
    await_start(&main);
    Ok(main)
}

/// Waits while a daemon is just starting: it has the lock, and does not listen yet. What is asked of it right after its start
/// would else be refused for its sake. Says who had the lock when it was last seen that nobody listens.
pub(super) fn await_start(main: &Main) -> Held {
    let (socket, layout) = (path(main), Layout::new(&main.state_dir));
    let mut held = Lock::held(&layout);
    for _ in 0..TRIES {
        let tried = UnixStream::connect(&socket);
        let is_closed =
            tried.is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused));
        if !is_closed || !matches!(held, Held::By(_, Purpose::Daemon)) {
            break;
        }
        std::thread::sleep(BETWEEN);
        held = Lock::held(&layout);
    }
    held
}

const PATIENCE: Duration = Duration::from_secs(10);
/// Five seconds: a start that reads 10,000 certificates takes some two, and one that takes longer may be stuck.
const TRIES: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);
