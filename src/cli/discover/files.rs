//! The files that were looked into: each once, under every path that leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::Access;

use crate::cli::adopt::file::{self, Found};

/// Files with certificates or keys, by where they really lie.
#[derive(Default)]
pub(super) struct Files {
    found: BTreeMap<PathBuf, File>,
    /// What was looked into already and holds nothing.
    others: BTreeMap<PathBuf, Lack>,
    /// What this user may not read.
    pub(super) unread: BTreeMap<PathBuf, String>,
    looked_at: usize,
}

/// A file, and every path by which somebody called it.
pub(super) struct File {
    pub(super) found: Found,
    pub(super) paths: BTreeSet<PathBuf>,
}

/// Why there is nothing to say about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// It is not there, or a link that leads nowhere.
    Missing,
    /// This user may not read it.
    Unread,
    /// It holds no certificate and no key that can be read.
    Other(String),
}

impl Files {
    /// Looks into a file that somebody names.
    ///
    /// # Errors
    ///
    /// Why there is nothing to say about it.
    pub(super) fn named(&mut self, path: &Path, password: Option<&str>) -> Result<PathBuf, Lack> {
        let path = &tidied(path);
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return Err(self.lack(path, &error)),
        };
        if let Some(known) = self.found.get_mut(&real) {
            known.paths.insert(path.to_owned());
            return Ok(real);
        }
        if let Some(lack) = self.others.get(&real).filter(|_| password.is_none()) {
            return Err(lack.clone());
        }
        self.looked_at += 1;
        let may = rustix::fs::access(&real, Access::READ_OK).map_err(|error| self.lack(path, &error.into()));
        let found = may.and_then(|()| file::read(path, password).map_err(Lack::Other));
        match found {
            Ok(found) => {
                self.others.remove(&real);
                self.found.insert(real.clone(), File { found, paths: BTreeSet::from([path.to_owned()]) });
                Ok(real)
            }
            Err(lack) => {
                self.others.insert(real, lack.clone());
                Err(lack)
            }
        }
    }

    fn lack(&mut self, path: &Path, error: &io::Error) -> Lack {
        if error.kind() == io::ErrorKind::NotFound {
            return Lack::Missing;
        }
        self.unread.insert(path.to_owned(), told(error));
        Lack::Unread
    }

    pub(super) fn get(&self, real: &Path) -> Option<&File> {
        self.found.get(real)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&PathBuf, &File)> {
        self.found.iter()
    }

    /// Looks into what lies in the usual folders.
    pub(super) fn look_around(&mut self) {
        for folder in FOLDERS {
            self.walk(Path::new(folder), DEPTH);
        }
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let is_there = !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                if is_there {
                    self.unread.insert(folder.to_owned(), told(&error));
                }
                return;
            }
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if self.looked_at >= MOST_FILES {
                return;
            }
            // Links to folders lead out of what was asked for, or in circles.
            let Ok(kind) = fs::symlink_metadata(&path).map(|found| found.file_type()) else { continue };
            if kind.is_dir() {
                let is_store = path.file_name().is_some_and(|name| STORES.iter().any(|store| name == *store));
                if depth > 0 && !is_store {
                    self.walk(&path, depth - 1);
                }
            } else if is_likely(&path)
                && fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= LARGEST)
            {
                // Whatever it is, nobody said that it is a certificate.
                drop(self.named(&path, None));
            }
        }
    }

    /// Whether there was more than is looked into.
    pub(super) const fn is_cut(&self) -> bool {
        self.looked_at >= MOST_FILES
    }
}

/// What the system says, without its number.
fn told(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A path without `.` and `..`, as an entry may have it; the last part stays the link that it may be.
pub(super) fn tidied(path: &Path) -> PathBuf {
    let is_plain = !path.components().any(|part| part == Component::ParentDir);
    let folder = path.parent().filter(|_| !is_plain).and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        // Whatever else is odd about it has no effect on where it leads.
        _ => path.components().collect(),
    }
}

/// Whether a file is called as those with certificates and keys are.
fn is_likely(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_none_or(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Where certificates are kept on hosts of Debian and of the RHEL family.
const FOLDERS: [&str; 26] = [
    "/etc/ssl",
    "/etc/pki/tls",
    "/etc/pki/nginx",
    "/etc/letsencrypt/live",
    "/etc/certs",
    "/etc/certificates",
    "/etc/nginx",
    "/etc/apache2",
    "/etc/httpd",
    "/etc/haproxy",
    "/etc/postfix",
    "/etc/dovecot",
    "/etc/exim4",
    "/etc/exim",
    "/etc/ldap",
    "/etc/openldap",
    "/etc/mysql",
    "/etc/postgresql",
    "/etc/redis",
    "/etc/stunnel",
    "/etc/lighttpd",
    "/etc/tomcat9",
    "/etc/tomcat10",
    "/etc/tomcat",
    "/usr/local/etc/ssl",
    "/opt/ssl",
];
/// Folders in them that hold CAs that come with the system, or what a manager keeps of before.
const STORES: [&str; 4] = ["archive", "ca-certificates", "ca-trust", "java"];
const ENDINGS: [&str; 12] =
    ["pem", "crt", "cer", "cert", "der", "key", "chain", "fullchain", "bundle", "p12", "pfx", "p7b"];
const DEPTH: usize = 4;
const MOST_FILES: usize = 20_000;
/// No certificate with its chain is as large; bundles of CAs are.
const LARGEST: u64 = 128 * 1024;
