//! The credentials that the client holds, and how they are read: a file that others can read is refused, with the
//! command that mends it. What was read is overwritten when dropped, and never shown.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind::NotFound;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::header::HeaderValue;
use rustix::fs::{OFlags, StatVfsMountFlags};
use zeroize::{Zeroize, Zeroizing};

use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::certificate::certificates_in_file;
use crate::pki::leaf;

/// An API key.
#[derive(Clone)]
pub struct Credential {
    name: String,
    key: Zeroizing<String>,
}

impl Credential {
    /// The API key `key`, called `name` in status and messages.
    ///
    /// # Errors
    ///
    /// When the key is empty or holds anything but visible ASCII characters.
    pub fn new(name: impl Into<String>, key: Zeroizing<String>) -> Result<Self, CredentialRefused> {
        let name = name.into();
        one_word(&key).map_err(|why| CredentialRefused::new(&name, why))?;
        Ok(Self { name, key })
    }

    /// Its name in status and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&self.key).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Private key and certificates that the client shows in the TLS handshake.
#[derive(Clone)]
pub struct ClientIdentity {
    name: String,
    not_after: Option<Timestamp>,
    pem: Zeroizing<Vec<u8>>,
}

impl ClientIdentity {
    /// The identity in `pem`: one private key and its certificates, the leaf first.
    #[must_use]
    pub fn new(name: impl Into<String>, pem: Zeroizing<Vec<u8>>) -> Self {
        Self { name: name.into(), not_after: end(&pem), pem }
    }

    /// Its name in status and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The end of the certificate, where it can be read.
    #[must_use]
    pub const fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Key and certificates as PEM. Holds the private key: for reading the certificate's validity, never for showing.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }
}

/// The end of the first certificate.
fn end(pem: &[u8]) -> Option<Timestamp> {
    let certificates = certificates_in_file(std::str::from_utf8(pem).ok()?).ok()?;
    certificates.first().and_then(|leaf| leaf::read(leaf).ok()).map(|leaf| leaf.not_after)
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// User and password for the proxy.
#[derive(Clone)]
pub struct ProxyCredentials {
    user: String,
    password: Zeroizing<String>,
}

impl ProxyCredentials {
    /// User and password.
    #[must_use]
    pub fn new(user: impl Into<String>, password: Zeroizing<String>) -> Self {
        Self { user: user.into(), password }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyCredentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A credential may not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRefused(Text);

impl CredentialRefused {
    fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(Text::new(&format!("{what}: {why}")))
    }

    /// Which one, why, and where a command mends it, the command.
    #[must_use]
    pub const fn message(&self) -> &Text {
        &self.0
    }
}

impl fmt::Display for CredentialRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for CredentialRefused {}

/// Reads credentials from files, on behalf of one user.
#[derive(Clone, Debug)]
pub struct CredentialFiles {
    /// The user that the service runs as.
    pub user: u32,
    /// The primary group of that user.
    pub group: u32,
    /// The folder of systemd's credentials.
    pub systemd: Option<PathBuf>,
    /// The API key's file where no other is named.
    pub default_key: PathBuf,
    /// What root read there for the service's user, before it became that user.
    pub held: Option<Result<Held, CredentialRefused>>,
    /// Whether what is there is encrypted for the service's unit alone.
    pub is_sealed: bool,
}

/// The API key as root read it for the service, as systemd does, and when its file was written.
#[derive(Clone, Debug)]
pub struct Held {
    key: Credential,
    written: Option<SystemTime>,
}

impl CredentialFiles {
    /// For this process: its effective user and group, and the folder that `$CREDENTIALS_DIRECTORY` names. The key's
    /// file is the one beside `renewd.toml`, which the packaged units hand over, or, for a configuration that lies
    /// elsewhere and has none beside it, the usual one.
    #[must_use]
    pub fn of_this_process(config: &Path) -> Self {
        let beside = config.with_file_name("api-key");
        let is_there = config.starts_with("/etc/renewd") || beside.exists();
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            systemd: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            default_key: if is_there { beside } else { PathBuf::from("/etc/renewd/api-key") },
            held: None,
            is_sealed: false,
        }
    }

    /// Reads the key that no other is named for, as systemd does for the service: while this process is root, before it
    /// becomes the service's user.
    #[must_use]
    pub fn holding(self) -> Self {
        let read = |source: &Path| {
            let (mut open, metadata) = open(source)?;
            self.check_source(source, &metadata)?;
            let key = Self::word(source, &read_whole(source, &mut open, LINE_LIMIT)?)?;
            Ok(Held { key: Credential { name: API_KEY.to_owned(), key }, written: metadata.modified().ok() })
        };
        let held = Some(read(&self.default_key));
        Self { held, ..self }
    }

    /// The API keys: from `files` where any are named, else systemd's credential `api-key`, else the default file.
    ///
    /// # Errors
    ///
    /// When a file is missing, cannot be read, can be read by others, or holds no key.
    pub fn api_keys(&self, files: &[PathBuf]) -> Result<Vec<Credential>, CredentialRefused> {
        if !files.is_empty() {
            return files.iter().map(|file| self.api_key(file, file.display().to_string())).collect();
        }
        if let Some(held) = &self.held {
            return held.clone().map(|held| vec![held.key]);
        }
        if self.is_sealed {
            let why = "is encrypted only for the service's unit; start that, or name a file by `api_key_file`";
            return Err(refused(&self.default_key, why));
        }
        let Some(copy) = self.copy() else { return Ok(vec![self.api_key(&self.default_key, API_KEY.to_owned())?]) };
        // A source that the service may not even look at is not open to others.
        if let Ok(metadata) = std::fs::metadata(&self.default_key) {
            self.check_source(&self.default_key, &metadata)?;
        }
        let content = self.content(&copy, LINE_LIMIT)?;
        let is_missing = std::fs::metadata(&self.default_key).is_err_and(|error| error.kind() == NotFound);
        // The operator edits the source, and not the copy. Where it is not there the copy is the empty one that stands for
        // that, or has another source.
        let source = match (is_missing, content.trim_ascii().is_empty()) {
            (true, true) => return Err(refused(&self.default_key, "does not exist; it must hold the API key")),
            (true, false) => &copy,
            (false, _) => &self.default_key,
        };
        Ok(vec![Credential { name: API_KEY.to_owned(), key: Self::word(source, &content)? }])
    }

    /// systemd's copy of the key, where the unit has one.
    fn copy(&self) -> Option<PathBuf> {
        self.systemd.as_ref().map(|folder| folder.join(API_KEY)).filter(|file| file.exists())
    }

    /// Why the key in use may be an old one: it is a copy, made at the start by systemd or by root, and the file that it is
    /// a copy of was written since. `None` where another file is used, which is read anew at each reload.
    #[must_use]
    pub fn outdated_copy(&self, files: &[PathBuf]) -> Option<Text> {
        let source = Some(&self.default_key).filter(|_| files.is_empty())?;
        let written = |file: &Path| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
        let (is_newer, by) = match &self.held {
            Some(held) => (written(source) != held.as_ref().ok().and_then(|held| held.written), "renewd"),
            None => {
                let copy = self.systemd.as_ref()?.join(API_KEY);
                // A source that the service may not read counts as changed.
                let is_same = || matches!((self.line(source), self.line(&copy)), (Ok(one), Ok(other)) if one == other);
                (written(source)? > written(&copy)? && !is_same(), "systemd")
            }
        };
        let message = format!(
            "{} was written after renewd was started; the API key in use is the copy that {by} made then",
            source.display()
        );
        is_newer.then(|| Text::new(&message))
    }

    /// Which of the files that credentials come from others can read by now: `named` by `[api]`, and the API key's where
    /// that is the usual one. What cannot be looked at is no matter of this.
    #[must_use]
    pub fn exposed(&self, named: &[&Path], uses_default: bool) -> Option<CredentialRefused> {
        let open_to_others = |file: &Path, check: &dyn Fn(&Metadata) -> Result<(), CredentialRefused>| {
            std::fs::metadata(file).ok().filter(Metadata::is_file).and_then(|metadata| check(&metadata).err())
        };
        let own = named.iter().find_map(|file| open_to_others(file, &|metadata| self.check_access(file, metadata)));
        let (source, is_copied) = (&self.default_key, self.held.is_some() || self.copy().is_some());
        let of_default = || match is_copied {
            true => open_to_others(source, &|metadata| self.check_source(source, metadata)),
            false => open_to_others(source, &|metadata| self.check_access(source, metadata)),
        };
        own.or_else(|| uses_default.then(of_default).flatten())
    }

    fn api_key(&self, file: &Path, name: String) -> Result<Credential, CredentialRefused> {
        let key = Self::word(file, &self.content(file, LINE_LIMIT)?)?;
        Ok(Credential { name: Text::new(&name).to_string(), key })
    }

    /// The key in the content of a file.
    fn word(file: &Path, content: &[u8]) -> Result<Zeroizing<String>, CredentialRefused> {
        let key = Self::only_line(file, content)?;
        one_word(&key).map_err(|why| refused(file, why))?;
        Ok(key)
    }

    /// The client identity in `file`: one private key and its certificates as PEM.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, can be read by others, or holds no private key and certificate.
    pub fn client_identity(&self, file: &Path) -> Result<ClientIdentity, CredentialRefused> {
        let pem = self.content(file, IDENTITY_LIMIT)?;
        let holds = |label: &[u8]| pem.windows(label.len()).any(|part| part == label);
        if !holds(b"PRIVATE KEY-----") || !holds(b"-----BEGIN CERTIFICATE-----") {
            return Err(refused(file, "needs a private key and its certificates, as PEM"));
        }
        Ok(ClientIdentity::new(Text::new(&file.display().to_string()).to_string(), pem))
    }

    /// User and password for the proxy, from a file of one line `user:password`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, can be read by others, or holds something else.
    pub fn proxy_credentials(&self, file: &Path) -> Result<ProxyCredentials, CredentialRefused> {
        let line = self.line(file)?;
        match line.split_once(':') {
            Some((user, password)) if !user.is_empty() && !line.contains(char::is_control) => {
                Ok(ProxyCredentials::new(user, Zeroizing::new(password.to_owned())))
            }
            _ => Err(refused(file, "needs one line `user:password`")),
        }
    }

    /// The one line of a small file, without its line end.
    fn line(&self, file: &Path) -> Result<Zeroizing<String>, CredentialRefused> {
        Self::only_line(file, &self.content(file, LINE_LIMIT)?)
    }

    fn only_line(file: &Path, content: &[u8]) -> Result<Zeroizing<String>, CredentialRefused> {
        let text = std::str::from_utf8(content).map_err(|_| refused(file, "is not text"))?;
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn content(&self, file: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, CredentialRefused> {
        let (mut open, metadata) = open(file)?;
        self.check_access(file, &metadata)?;
        read_whole(file, &mut open, limit)
    }

    /// Refuses a file that root or systemd reads for the service, where others can get at it: by its mode, and those of the
    /// folders above it.
    fn check_source(&self, file: &Path, metadata: &Metadata) -> Result<(), CredentialRefused> {
        let mode = metadata.permissions().mode();
        let (group, own) = (metadata.gid(), self.user != 0 && metadata.gid() == self.group);
        let others = mode & 0o007 != 0 && lets_through(file, None);
        let foreign_group = mode & 0o070 != 0 && !own && lets_through(file, Some(group));
        if others || foreign_group {
            let who = if others { "everybody" } else { "a group that is not the service's own" };
            let mode = mode & 0o777;
            let name = file.display();
            return Err(refused(
                file,
                format_args!("may be opened by {who} (mode {mode:04o}); run: chmod 0600 {name}"),
            ));
        }
        Ok(())
    }

    /// Refuses a file that more than the owner, root and the service's own group can open.
    fn check_access(&self, file: &Path, metadata: &Metadata) -> Result<(), CredentialRefused> {
        let mode = metadata.permissions().mode() & 0o777;
        let foreign_group = mode & 0o070 != 0 && !self.trusts_group(file, metadata);
        if mode & 0o007 == 0 && !foreign_group {
            return Ok(());
        }
        let who = if mode & 0o007 != 0 { "everybody" } else { "a group that is not the service's own" };
        let mend = self.mend(file, metadata);
        Err(refused(file, format_args!("may be opened by {who} (mode {mode:04o}); {mend}")))
    }

    /// Whether group permission is harmless: the service's own group, or a credential as systemd makes them, whose
    /// group bits are the mask of an access list that names the service alone. A supplementary group is not, nor the
    /// fsGroup of a Secret: nothing here tells who else is in it, the user database knows only those whom it lists, and a
    /// read-only file system in memory is what a host's own secrets lie on as well, seen from a unit's sandbox.
    fn trusts_group(&self, file: &Path, metadata: &Metadata) -> bool {
        let own = self.user != 0 && metadata.gid() == self.group;
        let of_systemd = self.systemd.as_ref().is_some_and(|folder| file.starts_with(folder));
        own || (of_systemd && metadata.uid() == 0 && metadata.permissions().mode() & 0o030 == 0)
    }

    /// How to close the file to others and leave it to the service: by a command, and where the file is mounted read-only,
    /// as a container has it, by what makes the mount.
    fn mend(&self, file: &Path, metadata: &Metadata) -> String {
        let (shown, gid) = (file.display(), metadata.gid());
        let chmod = format!("chmod 0640 {shown}");
        let command = match metadata {
            found if found.uid() == self.user => format!("run: chmod 0600 {shown}"),
            found if found.gid() == self.group => format!("run: {chmod}"),
            _ => format!("run: chgrp {} {shown} && {chmod}", self.group),
        };
        if !is_read_only(file) {
            return command;
        }
        // What an fsGroup is set for may be read by that group, whatever the mode asked for.
        let group = match (metadata.mode() & 0o070 != 0, self.user) {
            (false, _) => String::new(),
            (true, 0) => " and no fsGroup".to_owned(),
            (true, _) => format!(" and, with an fsGroup, runAsGroup: {gid}"),
        };
        format!("{command}; it is mounted read-only here: of a Kubernetes Secret set defaultMode: 0400{group}")
    }
}

fn refused(file: &Path, why: impl fmt::Display) -> CredentialRefused {
    CredentialRefused::new(file.display(), why)
}

fn unreadable(file: &Path, error: &io::Error) -> CredentialRefused {
    if error.kind() == NotFound {
        return refused(file, "does not exist");
    }
    refused(file, format_args!("cannot be read: {error}"))
}

/// Whether the file is mounted so that nobody changes it here.
fn is_read_only(file: &Path) -> bool {
    rustix::fs::statvfs(file).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Opens a regular file.
fn open(file: &Path) -> Result<(File, Metadata), CredentialRefused> {
    // Without blocking, so that a pipe in place of the file does not hold the service up.
    let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(no_wait).open(file);
    let open = opened.map_err(|error| unreadable(file, &error))?;
    let metadata = open.metadata().map_err(|error| unreadable(file, &error))?;
    if metadata.is_file() { Ok((open, metadata)) } else { Err(refused(file, "is not a regular file")) }
}

fn read_whole(file: &Path, open: &mut File, limit: usize) -> Result<Zeroizing<Vec<u8>>, CredentialRefused> {
    read_bounded(open, limit)
        .map_err(|error| unreadable(file, &error))?
        .ok_or_else(|| refused(file, format_args!("is larger than {limit} bytes: that is not a credential")))
}

/// Whether the folders above a file let everybody, or the members of a group, get to it.
fn lets_through(file: &Path, group: Option<u32>) -> bool {
    let real = file.canonicalize();
    let folders = real.as_deref().unwrap_or(file).ancestors().skip(1).filter(|folder| *folder != Path::new(""));
    folders.into_iter().all(|folder| {
        // One that cannot be looked at is not known to be shut.
        std::fs::metadata(folder).map_or(true, |metadata| {
            let mode = metadata.permissions().mode();
            mode & 0o001 != 0 || (mode & 0o010 != 0 && Some(metadata.gid()) == group)
        })
    })
}

/// At most `limit` bytes; `None` when there are more. The buffer never grows, so that no copy is left behind.
fn read_bounded(file: &mut File, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut content = Zeroizing::new(vec![0; limit + 1]);
    let mut length = 0;
    while let Some(rest) = content.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if length > limit {
        content.zeroize();
        return Ok(None);
    }
    content.truncate(length);
    Ok(Some(content))
}

/// A key is one run of visible ASCII characters, as a header can carry it.
fn one_word(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("is empty; it must hold the API key");
    }
    if key.contains(['\n', '\r']) {
        return Err("has several lines; it must hold only the API key");
    }
    if !key.bytes().all(|c| c.is_ascii_graphic()) {
        return Err("holds blanks or characters that are not ASCII; it must hold only the API key");
    }
    Ok(())
}

/// What systemd's credential is called, and the key in status and messages.
const API_KEY: &str = "api-key";
/// API keys have about a hundred characters.
const LINE_LIMIT: usize = 4096;
const IDENTITY_LIMIT: usize = 256 << 10;
