//! Asking the daemon over its control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Main;
use crate::daemon::control::Request;

/// Where the daemon of this configuration listens: below systemd's runtime directory where the file names no path.
pub(super) fn path(main: &Main) -> PathBuf {
    let runtime = std::env::var("RUNTIME_DIRECTORY").ok();
    let first = runtime.as_deref().and_then(|paths| paths.split(':').next()).filter(|path| !path.is_empty());
    main.control_socket(first.map(Path::new))
}

/// Asks, and gives the line that came back.
///
/// # Errors
///
/// When nobody listens there, or this user may not ask.
pub(super) fn ask(path: &Path, request: &Request) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

const PATIENCE: Duration = Duration::from_secs(10);
