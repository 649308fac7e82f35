//! The control socket: one line of JSON in, one line of JSON out. The kernel says who asks: root, the service's user
//! and its group may command, the control group's members may read.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::config::Main;
use crate::core::code::Code;
use crate::core::name::{CertName, HookName};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::Input;
use crate::engine::status::Problem;
use crate::store::replace;

use super::door::{Door, SocketFile};
use super::message::Message;
use super::sandbox;
use super::seats::{Heard, Seats};
use crate::daemon::preflight::Finding;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// The status.
    Status {
        /// How much of it.
        #[serde(default)]
        view: View,
    },
    /// Look over what a renewal will need of this host.
    Inspect,
    /// Replace these certificates now; all, where none is named.
    Renew {
        /// Which.
        names: Vec<CertName>,
        /// By new certificates, whatever their entries' request method is.
        #[serde(default)]
        reissue: bool,
    },
    /// Run hooks and probe for what these have installed.
    Deploy {
        /// Which.
        names: Vec<CertName>,
    },
    /// Call notifications with a document that says that it is a test.
    Notify {
        /// Which; all, where none is named.
        names: Vec<HookName>,
    },
    /// What happened of late.
    Steps {
        /// To these.
        names: Vec<CertName>,
        /// After this one; `None`: nothing yet, but its number.
        after: Option<u64>,
    },
    /// The API was found in order: what waits for it to be is tried now.
    ApiChecked,
    /// Ask for nothing, and switch nothing in.
    Hold {
        /// For these; all, where none is named.
        names: Vec<CertName>,
        /// When that ends by itself.
        #[serde(default)]
        until: Option<Timestamp>,
        /// Why.
        #[serde(default)]
        why: Option<Text>,
        /// Whether not even an emergency ends it.
        #[serde(default)]
        even_emergency: bool,
    },
    /// Take holds back.
    Release {
        /// Of these; of all, where none is named.
        names: Vec<CertName>,
    },
    /// Make the generation before live again.
    Rollback {
        /// Which certificate.
        name: CertName,
        /// Even to one that ended or was revoked.
        force: bool,
    },
}

impl Request {
    /// Whether it only reads.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Steps { .. })
    }

    /// How long the loop may take for it.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        if matches!(self, Self::Notify { .. }) { LONGEST_CALL } else { PATIENCE }
    }
}

/// How much of the certificates a status tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Everything about each.
    #[default]
    All,
    /// What the table of all shows.
    Table,
    /// Everything about one.
    One(CertName),
}

/// What was found of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspected {
    /// Which certificates were looked at: those in force.
    pub certificates: Vec<CertName>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// An answer that is no status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
    /// Why nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Reply {
    /// As a line.
    #[must_use]
    pub fn refused(why: &str) -> String {
        serde_json::to_string(&Self { done: None, error: Some(why.to_owned()) }).unwrap_or_default()
    }

    /// What a line says that was done.
    ///
    /// # Errors
    ///
    /// Why nothing was done, or that the line is none of this version's.
    pub fn done_in(line: &str) -> Result<String, String> {
        match serde_json::from_str(line) {
            Ok(Self { done: Some(done), .. }) => Ok(done),
            Ok(Self { error: Some(why), .. }) => Err(why),
            Ok(Self { .. }) | Err(_) => {
                Err("the daemon's answer was not understood: is it of another version? restart it".to_owned())
            }
        }
    }

    /// As a line.
    #[must_use]
    pub fn done(what: &str) -> String {
        serde_json::to_string(&Self { done: Some(what.to_owned()), error: None }).unwrap_or_default()
    }
}

/// A socket that takes its file away when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: Arc<SocketFile>,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let (file, path) = (Arc::clone(&self.file), std::mem::take(&mut self.path));
        sandbox::within(folder_of(&path), move || {
            // After a reload another one may listen there, by another spelling of the path.
            if file.is_at(&path) {
                // A left-over is taken away by the next start.
                drop(std::fs::remove_file(&path));
            }
        });
    }
}

/// Where the daemon of this configuration listens: below systemd's runtime directory where the file names no path.
#[must_use]
pub fn path(main: &Main) -> PathBuf {
    let runtime = std::env::var("RUNTIME_DIRECTORY").ok();
    let first = runtime.as_deref().and_then(|paths| paths.split(':').next()).filter(|path| !path.is_empty());
    main.control_socket(first.map(Path::new))
}

/// Opens the socket, in place of one that a dead daemon left behind: the lock says that it is dead.
///
/// # Errors
///
/// When the folder is missing or not writable, or it is not a socket.
pub fn open(path: &Path) -> io::Result<Socket> {
    let own = path.to_owned();
    sandbox::within(folder_of(path), move || open_within(&own))
}

fn folder_of(path: &Path) -> Vec<PathBuf> {
    vec![replace::folder(path).to_owned()]
}

fn open_within(path: &Path) -> io::Result<Socket> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a socket")),
        Err(_) => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Nobody connects before it is shut, whatever the umask is.
    let file = SocketFile::open(path)?;
    file.shut()?;
    Ok(Socket { listener: socket.listen(BACKLOG)?, file: Arc::new(file), path: path.to_owned() })
}

/// Answers for ever; the members of the group that is named last may read.
pub async fn serve(
    socket: Socket,
    mut control_group: watch::Receiver<Option<String>>,
    engine: mpsc::UnboundedSender<Message>,
) {
    let door = Arc::new(Door::new(Arc::clone(&socket.file)));
    control_group.mark_changed();
    let lookups = Arc::new(Semaphore::new(MOST_LOOKUPS));
    let mut seats = Seats::new(MOST_CONNECTIONS, MOST_OF_ONE_USER);
    loop {
        let accepted = tokio::select! {
            Ok(()) = control_group.changed() => {
                control_group.mark_unchanged();
                admit(Arc::clone(&door), control_group.clone(), engine.clone());
                continue;
            }
            accepted = socket.listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let Ok(peer) = stream.peer_cred() else { continue };
        let is_preferred = [0, door.uid].contains(&peer.uid());
        if !seats.make_room(&peer.uid(), is_preferred).await {
            // A socket on which nothing was sent yet takes a line at once; whoever asked may have gone.
            drop(stream.try_write(format!("{}\n", Reply::refused(TOO_MANY)).as_bytes()));
            continue;
        }
        let heard = Heard::default();
        let client = Client {
            uid: peer.uid(),
            gid: peer.gid(),
            heard: heard.clone(),
            door: Arc::clone(&door),
            lookups: Arc::clone(&lookups),
        };
        let engine = engine.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = client.answer(stream, &engine).await {
                tracing::debug!("a client of the control socket went away: {error}");
            }
        });
        seats.take(peer.uid(), heard, task.abort_handle());
    }
}

/// Lets the members of the control group in, beside the loop: whoever knows its number may be on another host.
fn admit(door: Arc<Door>, wanted: watch::Receiver<Option<String>>, engine: mpsc::UnboundedSender<Message>) {
    drop(tokio::task::spawn_blocking(move || {
        let group = wanted.borrow().clone();
        // A reload may name another one before this one is known.
        let admitted = door.admit(group.as_deref(), || *wanted.borrow() == group);
        if let (Err(why), Some(group)) = (admitted, group) {
            let message = format!("the members of `control_group` {group} cannot ask for the status: {why}");
            let problem = Problem::error(Code::ControlSocketFailed.as_str(), &message, NOT_ADMITTED);
            // A daemon that stops has nobody to tell.
            drop(
                engine.send(Message::Engine(Input::ProblemChanged(Code::ControlSocketFailed.as_str(), Some(problem)))),
            );
        }
    }));
}

/// Who is connected.
struct Client {
    uid: u32,
    gid: u32,
    heard: Heard,
    door: Arc<Door>,
    lookups: Arc<Semaphore>,
}

impl Client {
    async fn answer(self, stream: UnixStream, engine: &mpsc::UnboundedSender<Message>) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        // Whoever may command may name every certificate of a large host; whoever may only read names none.
        let longest = if self.door.is_known(self.uid, self.gid) { LONGEST_ORDER } else { LONGEST_LINE };
        let mut limited = (&mut stream).take(longest);
        let read = limited.read_line(&mut line);
        tokio::time::timeout(SILENCE, read).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.heard.note();
        let reply = match serde_json::from_str::<Request>(&line) {
            Err(error) => Reply::refused(&format!("not understood: {error}")),
            Ok(request) => match self.may(request.is_read_only()).await {
                Ok(true) => {
                    let patience = request.patience();
                    let answer = tokio::time::timeout(patience, ask(request, engine)).await;
                    answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                }
                Ok(false) => Reply::refused(NOT_ALLOWED),
                Err(why) => Reply::refused(why),
            },
        };
        let told = async {
            stream.write_all(reply.as_bytes()).await?;
            stream.write_all(b"\n").await
        };
        tokio::time::timeout(PATIENCE, told).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Whether it may read, or command. Members of a group are looked up beside the loop, a few at a time: the system's
    /// user database may be on another host, which hangs.
    async fn may(&self, read: bool) -> Result<bool, &'static str> {
        if self.door.is_known(self.uid, self.gid) || read && self.door.is_shut() {
            return Ok(true);
        }
        let (door, uid, gid) = (Arc::clone(&self.door), self.uid, self.gid);
        let place = Arc::clone(&self.lookups).try_acquire_owned().map_err(|_| NO_USERS)?;
        let looked_up = tokio::task::spawn_blocking(move || {
            let may = if read { door.may_read(uid, gid) } else { door.may_command(uid, gid) };
            drop(place);
            may
        });
        match tokio::time::timeout(SILENCE, looked_up).await {
            Ok(Ok(may)) => Ok(may),
            Ok(Err(_)) | Err(_) => Err(NO_USERS),
        }
    }
}

async fn ask(request: Request, engine: &mpsc::UnboundedSender<Message>) -> String {
    let (sender, receiver) = oneshot::channel();
    if engine.send(Message::Asked(request, sender)).is_err() {
        return Reply::refused("renewd is stopping");
    }
    receiver.await.unwrap_or_else(|_| Reply::refused("renewd is stopping"))
}

/// What is answered where the API is tried once more.
pub const ASKS_AGAIN: &str = "asks TLM again now, as the key is accepted here";
const NOT_ADMITTED: &str =
    "name a group of this host in `control_group`, or put the socket on a file system with access lists, and restart";
const NOT_ALLOWED: &str = "this user may not ask that: root, the service's user and the members of its group may, and to read also those of `control_group`";
const TOO_MANY: &str = "too many connections of this user to the control socket; try again in a moment";
const NO_USERS: &str =
    "the system's user database does not answer, so renewd cannot tell whether this user may ask; ask as root";
/// Of those whom the loop has not yet taken; the system may bound it further.
const BACKLOG: u32 = 1024;
const LONGEST_LINE: u64 = 1 << 20;
/// Of root and the service's user and group: a hundred thousand of the longest names.
const LONGEST_ORDER: u64 = 8 << 20;
/// Beside those of root and the service's user.
const MOST_CONNECTIONS: usize = 64;
const MOST_OF_ONE_USER: usize = 16;
/// So many threads may hang in the user database.
const MOST_LOOKUPS: usize = 4;
/// Who connects has something to say.
const SILENCE: Duration = Duration::from_secs(5);
/// Looking over the folders of a thousand certificates takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
/// A notification may take an hour, and is ended then.
const LONGEST_CALL: Duration = Duration::from_secs(3600 + 60);
