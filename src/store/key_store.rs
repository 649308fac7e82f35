//! The PKCS#12 files of a generation: made with the passwords of the operator's files, and made anew when one changes.
//! Two encodings of one set are never alike, so that a file is judged by the manifest and not by its bytes.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::core::failure::{Failure, FailureClass};
use crate::core::wanted::entry::Entry;
use crate::core::wanted::files::{FixedFiles, Format, Pkcs12Encryption};
use crate::pki::key::PrivateKey;
use crate::pki::pkcs12::{self, NotEncrypted};

use super::content::{Content, FileName, KEYSTORE, Parts};
use super::disk::{Disk, Kind, Stat};
use super::disk_failure;
use super::manifest::{KeyStoreRecord, Manifest};
use super::observe::FILE_LIMIT;
use crate::pki::digest::sha256;
use crate::store::targets::ServiceIdentity;

/// A PKCS#12 file that an entry wants in each generation: one for each password and encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'e> {
    /// Its name there.
    pub name: FileName,
    password_file: &'e Path,
    encryption: Pkcs12Encryption,
}

/// The PKCS#12 files that an entry wants, that of `files` or of `formats` first.
#[must_use]
pub fn wanted(entry: &Entry) -> Vec<Wanted<'_>> {
    let mut all: Vec<Wanted<'_>> = Vec::new();
    if !entry.formats.contains(&Format::Pkcs12) {
        return all;
    }
    for placement in entry.placements().filter(|placement| placement.number == 0 || placement.files.pkcs12.is_some()) {
        let Some((password_file, encryption)) = made_by(placement.files) else { continue };
        if !all.iter().any(|one| (one.password_file, one.encryption) == (password_file, encryption)) {
            let name = match all.len() {
                0 => FileName::Borrowed(KEYSTORE),
                earlier => FileName::Owned(format!("keystore-{}.p12", earlier + 1)),
            };
            all.push(Wanted { name, password_file, encryption });
        }
    }
    all
}

/// The name of the PKCS#12 file that goes where `files` want one.
#[must_use]
pub fn name_for(entry: &Entry, files: &FixedFiles) -> Option<FileName> {
    let made_by = made_by(files)?;
    wanted(entry).into_iter().find(|one| (one.password_file, one.encryption) == made_by).map(|one| one.name)
}

fn made_by(files: &FixedFiles) -> Option<(&Path, Pkcs12Encryption)> {
    Some((files.pkcs12_password_file.as_deref()?, files.pkcs12_encryption))
}

/// A PKCS#12 file, and what the manifest says of it.
pub struct KeyStore {
    /// The file.
    pub file: Content,
    /// How it was made.
    pub record: KeyStoreRecord,
}

impl KeyStore {
    fn new(wanted: &Wanted<'_>, bytes: Zeroizing<Vec<u8>>, record: KeyStoreRecord) -> Self {
        Self { file: Content { name: wanted.name.clone(), holds_key: true, bytes }, record }
    }
}

/// The files that the entry wants: those of the generation that are as recorded and as wanted, the others made anew.
///
/// # Errors
///
/// When a password may not be used, or the crypto library fails.
pub fn all(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    entry: &Entry,
    parts: &Parts<'_>,
    generation: Option<(&Path, &Manifest)>,
) -> Result<Vec<KeyStore>, Failure> {
    let one = |wanted: Wanted<'_>| {
        let kept = generation.and_then(|(folder, manifest)| kept(disk, folder, entry, &wanted, manifest));
        kept.map_or_else(|| make(disk, identity, entry, &wanted, parts), Ok)
    };
    wanted(entry).into_iter().map(one).collect()
}

fn make(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    entry: &Entry,
    wanted: &Wanted<'_>,
    parts: &Parts<'_>,
) -> Result<KeyStore, Failure> {
    let password = read_password(disk, identity, wanted.password_file)?;
    let internal = |error: &dyn std::fmt::Display| {
        Failure::new(FailureClass::Internal, format!("cannot make the PKCS#12 file: {error}"))
    };
    let key = PrivateKey::from_pem(parts.key.as_bytes()).map_err(|error| internal(&error))?;
    let chain: Vec<_> = parts.above(entry).cloned().collect();
    let store = pkcs12::KeyStore { name: entry.name.as_str(), key: &key, leaf: parts.leaf, chain: &chain };
    let encryption = wanted.encryption;
    let made = || -> Result<KeyStore, NotEncrypted> {
        let bytes = Zeroizing::new(store.to_der(&password, encryption)?);
        let salt = pkcs12::salt()?;
        let mark = pkcs12::password_mark(&password, &salt);
        Ok(KeyStore::new(wanted, bytes, KeyStoreRecord { encryption, salt, mark }))
    };
    made().map_err(|error| internal(&error))
}

/// The file of a generation, where it is as recorded and as the entry wants it.
fn kept(disk: &dyn Disk, folder: &Path, entry: &Entry, wanted: &Wanted<'_>, manifest: &Manifest) -> Option<KeyStore> {
    let (record, file) = (manifest.key_store(&wanted.name)?, manifest.files.get(&*wanted.name)?);
    if manifest.is_root_misplaced(entry) || change(disk, wanted, &record).is_some() {
        return None;
    }
    let bytes = Zeroizing::new(disk.read(&folder.join(&*wanted.name), FILE_LIMIT).ok()?);
    (sha256(&bytes) == file.sha256).then(|| KeyStore::new(wanted, bytes, record))
}

/// How the entry, or its password file, asks for another file than the recorded one. A password that cannot be read
/// says nothing.
#[must_use]
pub fn change(disk: &dyn Disk, wanted: &Wanted<'_>, record: &KeyStoreRecord) -> Option<String> {
    let path = wanted.password_file;
    if record.encryption != wanted.encryption {
        return Some("its encryption is no longer the one that `pkcs12_encryption` asks for".to_owned());
    }
    let content = Zeroizing::new(disk.read(path, PASSWORD_LIMIT).ok()?);
    let password = one_line(&content).ok()?;
    let is_same = pkcs12::password_mark(password, &record.salt) == record.mark;
    (!is_same).then(|| format!("the password in {} changed", path.display()))
}

/// What a PKCS#12 file that others made holds; `None` where the file with its password cannot be read.
pub(super) fn open(
    disk: &dyn Disk,
    files: &FixedFiles,
    file: &[u8],
) -> Option<Result<pkcs12::Contents, pkcs12::ReadError>> {
    let content = Zeroizing::new(disk.read(made_by(files)?.0, PASSWORD_LIMIT).ok()?);
    Some(pkcs12::read(file, one_line(&content).ok()?))
}

/// Proves that the passwords that the entry needs can be used.
///
/// # Errors
///
/// When it cannot.
pub fn check_passwords(disk: &dyn Disk, identity: &ServiceIdentity, entry: &Entry) -> Result<(), Failure> {
    wanted(entry).iter().try_for_each(|wanted| read_password(disk, identity, wanted.password_file).map(drop))
}

fn read_password(disk: &dyn Disk, identity: &ServiceIdentity, path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refused =
        |why: &str| Failure::new(FailureClass::PasswordRefused, format!("the password file {} {why}", path.display()));
    let stat = disk.stat(path).map_err(|error| unreadable(path, &error))?;
    if stat.kind != Kind::File {
        return Err(refused("is not a regular file; name the file itself"));
    }
    if let Some(why) = open_to_others(identity, path, &stat) {
        return Err(refused(&why));
    }
    let content = Zeroizing::new(disk.read(path, PASSWORD_LIMIT).map_err(|error| unreadable(path, &error))?);
    one_line(&content).map(|password| Zeroizing::new(password.to_owned())).map_err(refused)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        let message = format!("the password file {} does not exist; write the password into it", path.display());
        return Failure::new(FailureClass::PasswordRefused, message);
    }
    disk_failure("read the password in", path, error)
}

/// The rules of all secrets: nobody but the owner, root, and the service's own group.
fn open_to_others(identity: &ServiceIdentity, path: &Path, stat: &Stat) -> Option<String> {
    let own_group = identity.uid != 0 && stat.gid == identity.gid;
    // The group bits of a credential of systemd's are the mask of an access list that names the service alone.
    let of_systemd = path.starts_with("/run/credentials") && stat.uid == 0 && stat.mode & 0o030 == 0;
    let who = match stat.mode {
        mode if mode & 0o007 != 0 => "everybody",
        mode if mode & 0o070 != 0 && !own_group && !of_systemd => "a group that is not the service's own",
        _ => return None,
    };
    let path = path.display();
    let fix = match stat {
        stat if stat.uid == identity.uid => format!("chmod 0600 {path}"),
        stat if stat.gid == identity.gid => format!("chmod 0640 {path}"),
        _ => format!("chgrp {} {path} && chmod 0640 {path}", identity.gid),
    };
    Some(format!("may be opened by {who} (mode {:04o}); run: {fix}", stat.mode))
}

/// The one line of the file, in characters that every reader takes for the same password.
fn one_line(content: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "is not text")?.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("is empty; write the password into it");
    }
    let is_printable = |c: u8| c.is_ascii_graphic() || c == b' ';
    text.bytes().all(is_printable).then_some(text).ok_or("must hold one line of printable ASCII: Java reads no other")
}

const PASSWORD_LIMIT: u64 = 4096;
