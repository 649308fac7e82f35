//! The files of requests in flight: the key, the CSR, and what TLM answered, below `pending/NAME/ATTEMPT/`.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{Attempt, CertName};

use super::content::{ANSWER, CSR, KEY};
use super::disk::{Disk, Perms};
use super::layout::Layout;
use super::{disk_failure, observe, replace};

/// Puts key and CSR on the disk, durably: before this returns, nothing may be submitted.
///
/// # Errors
///
/// When a file operation fails.
pub fn keep_key(
    disk: &dyn Disk,
    layout: &Layout,
    name: &CertName,
    attempt: Attempt,
    key: &str,
    csr: &str,
) -> Result<(), Failure> {
    let folder = layout.attempt(name, attempt);
    let written = (|| {
        // A left-over of a try that was never submitted: the journal does not know it.
        replace::remove_tree(disk, &folder)?;
        for parent in [layout.pending(), layout.pending_of(name), folder.clone()] {
            replace::ensure_dir(disk, &parent, 0o700)?;
        }
        for (name, text) in [(KEY, key), (CSR, csr)] {
            replace::stage(disk, &folder.join(name), text.as_bytes(), Perms::PRIVATE)?.switch(disk)?;
        }
        disk.sync_dir(&folder)
    })();
    written.map_err(|error: io::Error| disk_failure("keep the key in", &folder, &error))
}

/// Reads key and CSR of a request.
///
/// # Errors
///
/// When they are gone, which needs an operator where TLM does not take a second request, or cannot be read.
pub fn read_key(
    disk: &dyn Disk,
    layout: &Layout,
    name: &CertName,
    attempt: Attempt,
) -> Result<(Zeroizing<String>, String), Failure> {
    let folder = layout.attempt(name, attempt);
    let key = Zeroizing::new(String::from_utf8_lossy(&Zeroizing::new(read(disk, &folder.join(KEY))?)).into_owned());
    let csr = String::from_utf8_lossy(&read(disk, &folder.join(CSR))?).into_owned();
    Ok((key, csr))
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Failure> {
    disk.read(path, observe::FILE_LIMIT).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("{} is gone: nothing can use what TLM issues for it", path.display());
            return Failure::new(FailureClass::KeyLost, message);
        }
        disk_failure("read", path, &error)
    })
}

/// Keeps what TLM answered beside the key, durably.
///
/// # Errors
///
/// When a file operation fails.
pub fn keep_answer(
    disk: &dyn Disk,
    layout: &Layout,
    name: &CertName,
    attempt: Attempt,
    answer: &str,
) -> Result<(), Failure> {
    let path = layout.attempt(name, attempt).join(ANSWER);
    replace::replace(disk, &path, answer.as_bytes(), Perms::PRIVATE)
        .map_err(|error| disk_failure("keep the answer in", &path, &error))
}

/// Reads the kept answer; `None` where there is none.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn read_answer(
    disk: &dyn Disk,
    layout: &Layout,
    name: &CertName,
    attempt: Attempt,
) -> Result<Option<String>, Failure> {
    let path = layout.attempt(name, attempt).join(ANSWER);
    match disk.read(&path, 8 << 20) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk_failure("read", &path, &error)),
    }
}

/// Removes the files of a request that ended; the key is overwritten first.
///
/// # Errors
///
/// When a file operation fails; what is not there counts as removed.
pub fn forget(disk: &dyn Disk, layout: &Layout, name: &CertName, attempt: Attempt) -> Result<(), Failure> {
    let folder = layout.attempt(name, attempt);
    if let Ok(csr) = disk.read(&folder.join(CSR), observe::FILE_LIMIT) {
        keep_csr(disk, &layout.csr(name), attempt, &csr);
    }
    replace::remove_tree(disk, &folder).map_err(|error| disk_failure("remove", &folder, &error))
}

/// The signing request stays, for whoever asks what was sent. Nothing depends on it: a disk that does not take it holds
/// nothing back.
fn keep_csr(disk: &dyn Disk, path: &Path, attempt: Attempt, csr: &[u8]) {
    let is_newer = || kept_csr(disk, path).is_ok_and(|kept| kept.is_some_and(|kept| kept.attempt > attempt));
    if disk.stat(replace::folder(path)).is_err() || is_newer() {
        return;
    }
    let text = [format!("{ATTEMPT}{attempt}\n").as_bytes(), csr].concat();
    drop(replace::replace_unsynced(disk, path, &text, PUBLIC));
}

/// A signing request, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCsr {
    /// The request.
    pub attempt: Attempt,
    /// Whether its files are there still, so that TLM may yet issue for it.
    pub is_under_way: bool,
    /// PEM.
    pub pem: String,
}

/// The signing request that was made last for a certificate; `None`: none is left.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn last_csr(disk: &dyn Disk, layout: &Layout, name: &CertName) -> Result<Option<KeptCsr>, Failure> {
    let path = layout.csr(name);
    let kept = kept_csr(disk, &path).map_err(|error| disk_failure("read", &path, &error))?;
    let folder = layout.pending_of(name);
    let latest = listed(disk, &folder).map_err(|error| disk_failure("list", &folder, &error))?.into_iter().max();
    let Some(attempt) = latest.filter(|latest| kept.as_ref().is_none_or(|kept| kept.attempt < *latest)) else {
        return Ok(kept);
    };
    let path = layout.attempt(name, attempt).join(CSR);
    match disk.read(&path, observe::FILE_LIMIT) {
        Ok(bytes) => {
            let pem = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Some(KeptCsr { attempt, is_under_way: true, pem }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(kept),
        Err(error) => Err(disk_failure("read", &path, &error)),
    }
}

fn kept_csr(disk: &dyn Disk, path: &Path) -> io::Result<Option<KeptCsr>> {
    let text = match disk.read(path, observe::FILE_LIMIT) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (first, pem) = text.split_once('\n').unwrap_or_default();
    let attempt = first.strip_prefix(ATTEMPT).and_then(|number| number.parse().ok()).map(Attempt);
    Ok(attempt.map(|attempt| KeptCsr { attempt, is_under_way: false, pem: pem.to_owned() }))
}

/// Before the PEM, where readers of PEM pass it over.
const ATTEMPT: &str = "renewd request ";
const PUBLIC: Perms = Perms { mode: 0o644, ..Perms::PRIVATE };

/// The certificates for which there may be requests, by their names, sorted.
#[must_use]
pub fn names(disk: &dyn Disk, layout: &Layout) -> Vec<OsString> {
    let mut names = disk.list(&layout.pending()).unwrap_or_default();
    names.sort_unstable();
    names
}

/// The requests of a certificate that have files. Those that its record does not know were never submitted.
#[must_use]
pub fn attempts(disk: &dyn Disk, layout: &Layout, name: &CertName) -> Vec<Attempt> {
    listed(disk, &layout.pending_of(name)).unwrap_or_default()
}

fn listed(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<Attempt>> {
    match disk.list(folder) {
        Ok(names) => Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok().map(Attempt)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
