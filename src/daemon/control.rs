//! The control socket: one line of JSON in, one line of JSON out. The kernel says who asks: root, the service's user
//! and its group may command, the control group's members may read.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::core::name::CertName;

use super::inspect::Finding;
use super::message::Message;

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
        matches!(self, Self::Status { .. })
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

/// Who may ask what.
#[derive(Clone, Debug)]
pub struct Access {
    /// The service's user.
    pub uid: u32,
    /// The service's group.
    pub gid: u32,
    /// Whose members may read.
    pub control_group: Option<String>,
}

impl Access {
    fn may_command(&self, uid: u32, gid: u32) -> bool {
        uid == 0
            || uid == self.uid
            || gid == self.gid
            || is_member(uid, Group::from_gid(Gid::from_raw(self.gid)).ok().flatten().as_ref())
    }

    fn may_read(&self, uid: u32, gid: u32) -> bool {
        let group = || self.control_group.as_deref().and_then(|name| Group::from_name(name).ok().flatten());
        self.may_command(uid, gid)
            || group().is_some_and(|group| group.gid.as_raw() == gid || is_member(uid, Some(&group)))
    }
}

fn is_member(uid: u32, group: Option<&Group>) -> bool {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    matches!((user, group), (Some(user), Some(group)) if group.mem.contains(&user.name))
}

/// A socket that takes its file away when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A left-over is taken away by the next start.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Opens the socket, in place of one that a dead daemon left behind: the lock says that it is dead.
///
/// # Errors
///
/// When the folder is missing or not writable, or something else than a socket is there.
pub fn open(path: &Path) -> io::Result<Socket> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a socket is there")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(Socket { listener, path: path.to_owned() })
}

/// Answers for ever.
pub async fn serve(socket: Socket, access: Access, loop_: mpsc::UnboundedSender<Message>) {
    let access = Arc::new(access);
    loop {
        let Ok((stream, _)) = socket.listener.accept().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let (access, loop_) = (Arc::clone(&access), loop_.clone());
        tokio::spawn(async move {
            let answered = tokio::time::timeout(PATIENCE, answer(stream, &access, &loop_)).await;
            if let Ok(Err(error)) = answered {
                tracing::debug!("a client of the control socket went away: {error}");
            }
        });
    }
}

async fn answer(stream: UnixStream, access: &Access, loop_: &mpsc::UnboundedSender<Message>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(LONGEST_LINE).read_line(&mut line).await?;
    let reply = match serde_json::from_str::<Request>(&line) {
        Err(error) => Reply::refused(&format!("not understood: {error}")),
        Ok(request) => {
            let allowed = if request.is_read_only() {
                access.may_read(peer.uid(), peer.gid())
            } else {
                access.may_command(peer.uid(), peer.gid())
            };
            if allowed { ask(request, loop_).await } else { Reply::refused(NOT_ALLOWED) }
        }
    };
    stream.write_all(reply.as_bytes()).await?;
    stream.write_all(b"\n").await
}

async fn ask(request: Request, loop_: &mpsc::UnboundedSender<Message>) -> String {
    let (sender, receiver) = oneshot::channel();
    if loop_.send(Message::Asked(request, sender)).is_err() {
        return Reply::refused("renewd is stopping");
    }
    receiver.await.unwrap_or_else(|_| Reply::refused("renewd is stopping"))
}

const NOT_ALLOWED: &str = "this user may not ask that: root, the service's user and the members of its group may, and to read also those of `control_group`";
const LONGEST_LINE: u64 = 1 << 20;
/// Looking over the folders of a thousand certificates takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
