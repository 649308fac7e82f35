//! Which certificates the configurations of this host's servers name: a reader for each server, and what readers share.
//! What a reader cannot follow it notes; it neither guesses nor keeps silent.

mod address;
mod apache;
mod dovecot;
mod exim;
mod haproxy;
mod ini;
mod lighttpd;
mod lines;
mod mysql;
mod nginx;
mod openldap;
mod postfix;
mod postgresql;
mod redis;
mod stunnel;
mod tomcat;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mention::{Mention, Server};
use super::reading::Reading;

/// A running process, as far as readers care.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::discover) struct Running {
    pub(in crate::cli::discover) pid: u32,
    /// The name of the program, e.g. `nginx`, `apache2`, `java`.
    pub(in crate::cli::discover) program: String,
    pub(in crate::cli::discover) arguments: Vec<String>,
    pub(in crate::cli::discover) directory: Option<PathBuf>,
}

impl Running {
    /// The value of an option of one letter or word: `-f FILE` or `-fFILE`, `--file=FILE` or `--file FILE`. The last one
    /// counts.
    fn option(&self, name: &str) -> Option<&str> {
        self.options(name).pop()
    }

    fn options(&self, name: &str) -> Vec<&str> {
        let is_long = name.starts_with("--");
        let mut found = Vec::new();
        let mut rest = self.arguments.iter().skip(1).map(String::as_str);
        while let Some(argument) = rest.next() {
            match argument.strip_prefix(name) {
                Some("") => found.extend(rest.next()),
                Some(value) if is_long => found.extend(value.strip_prefix('=')),
                Some(value) => found.push(value),
                None => {}
            }
        }
        found
    }

    /// A path that the process was started with; a relative one is below its working directory, else below systemd's.
    fn path(&self, name: &str) -> PathBuf {
        below(self.directory.as_deref().unwrap_or(Path::new("/")), name)
    }
}

/// Every certificate that the configurations of this host's servers name: those where Debian and the RHEL family lay them
/// out, and those that running servers were started with. Each configuration counts once.
pub(in crate::cli::discover) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let readers = [
        nginx::find,
        apache::find,
        haproxy::find,
        postfix::find,
        dovecot::find,
        postgresql::find,
        mysql::find,
        tomcat::find,
        lighttpd::find,
        stunnel::find,
        openldap::find,
        exim::find,
        redis::find,
    ];
    readers.iter().flat_map(|find| find(reading, running)).collect()
}

/// What a configuration says, and where.
#[derive(Debug, Clone)]
struct Value {
    text: String,
    file: Arc<Path>,
    line: usize,
}

impl Value {
    fn new(text: &str, file: &Arc<Path>, line: usize) -> Self {
        Self { text: text.to_owned(), file: file.clone(), line }
    }

    fn mention(&self, server: Server, certificate: PathBuf) -> Mention {
        Mention::new(server, &self.file, self.line, certificate)
    }

    /// A note of what is not followed here.
    fn note(&self, reading: &mut Reading, why: &str) {
        let end = self.text.char_indices().nth(SHOWN).map(|(at, _)| at);
        let shown =
            end.and_then(|end| Some(format!("{}…", self.text.get(..end)?))).unwrap_or_else(|| self.text.clone());
        reading.note(&self.file, self.line, format!("{shown} {why}: not followed"));
    }
}

/// The path that a configuration calls `name` where relative ones are below `folder`.
fn below(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).components().collect()
}

/// The configurations that are there, each once, by whatever path; the first path that was given counts.
fn distinct<T>(reading: &mut Reading, candidates: impl IntoIterator<Item = (PathBuf, T)>) -> Vec<(PathBuf, T)> {
    let mut seen = Vec::new();
    let mut is_new = |path: &Path| {
        let identity = reading.identity(path);
        let is_new = identity.is_some_and(|identity| !seen.contains(&identity));
        seen.extend(identity);
        is_new
    };
    candidates.into_iter().filter(|(path, _)| is_new(path)).collect()
}

/// The running processes of programs with one of these names.
fn processes<'a>(running: &'a [Running], names: &'a [&str]) -> impl Iterator<Item = &'a Running> {
    debug_assert!(names.iter().all(|name| PROGRAMS.contains(name)), "{names:?}");
    running.iter().filter(move |process| names.contains(&process.program.as_str()))
}

/// The programs whose configurations are read.
pub(super) const PROGRAMS: [&str; 28] = [
    "angie",
    "apache2",
    "dovecot",
    "edb-postgres",
    "exim",
    "exim4",
    "haproxy",
    "httpd",
    "httpd.worker",
    "java",
    "jsvc",
    "lighttpd",
    "lighttpd-angel",
    "mariadbd",
    "master",
    "mysqld",
    "nginx",
    "openresty",
    "postgres",
    "postmaster",
    "redis-sentinel",
    "redis-server",
    "slapd",
    "stunnel",
    "stunnel4",
    "stunnel5",
    "valkey-sentinel",
    "valkey-server",
];

/// So much of a value is shown in a note.
const SHOWN: usize = 80;
