//! HAProxy: `crt` and `crt-list` of `bind` lines, with its folders, bundles, lists and stores, and `crt` of `server` lines.

mod line;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use line::{Origin, Words};

use super::super::mention::{Listen, Mention, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::lines::numbered;
use super::{Running, below, distinct, processes};

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let mut configurations: Vec<(PathBuf, (Vec<PathBuf>, PathBuf))> = Vec::new();
    for process in processes(running, &["haproxy"]) {
        let folder = process.option("-C").map_or_else(|| process.path(""), |folder| process.path(folder));
        let names = process.options("-f");
        let files: Vec<PathBuf> = names.iter().flat_map(|name| files(reading, &below(&folder, name))).collect();
        configurations.extend(files.first().cloned().map(|first| (first, (files, folder))));
    }
    let mut usual = files(reading, Path::new(FILE));
    usual.extend(files(reading, Path::new(FOLDER)));
    configurations.extend(usual.first().cloned().map(|first| (first, (usual, PathBuf::from("/")))));
    distinct(reading, configurations)
        .into_iter()
        .flat_map(|(_, (files, folder))| Reader::new(reading, folder).all(&files))
        .collect()
}

/// A file, or the files that HAProxy reads of a folder.
fn files(reading: &mut Reading, path: &Path) -> Vec<PathBuf> {
    if !reading.is_folder(path) {
        return reading.identity(path).map(|_| path.to_owned()).into_iter().collect();
    }
    let mut entries = reading.entries(path);
    entries.retain(|entry| entry.extension().is_some_and(|end| end == "cfg") && !reading.is_folder(entry));
    entries
}

struct Reader<'a> {
    reading: &'a mut Reading,
    mentions: Vec<Mention>,
    /// Where the process was started.
    started: PathBuf,
    /// Where relative paths begin that no base is for.
    folder: PathBuf,
    /// Whether that is the folder of each file, or the one above it.
    above: Option<bool>,
    section: String,
    variables: BTreeMap<String, String>,
    /// Of certificates and of keys, from `global`.
    bases: Bases,
    extras: Extras,
    /// The store that is being read.
    store: Option<(String, Bases)>,
    /// What stores hold, by `@store/name`.
    stored: BTreeMap<String, Stored>,
    /// `bind` lines are read when all stores are known.
    binds: Vec<Bind>,
}

#[derive(Clone, Default)]
struct Bases {
    certificates: Option<PathBuf>,
    keys: Option<PathBuf>,
}

/// A statement, and where its relative paths begin.
struct Bind {
    words: Words,
    origin: Origin,
    bases: Bases,
    folder: PathBuf,
}

/// Which files beside a certificate's are looked for.
struct Extras {
    has_keys: bool,
    has_bundles: bool,
    /// `.crt` gives way to `.key`.
    replaces_ending: bool,
}

struct Stored {
    certificate: PathBuf,
    key: Option<PathBuf>,
    origin: Origin,
    is_used: bool,
}

impl<'a> Reader<'a> {
    fn new(reading: &'a mut Reading, started: PathBuf) -> Self {
        Self {
            reading,
            mentions: Vec::new(),
            folder: started.clone(),
            started,
            above: None,
            section: String::new(),
            variables: BTreeMap::new(),
            bases: Bases::default(),
            extras: Extras { has_keys: true, has_bundles: true, replaces_ending: false },
            store: None,
            stored: BTreeMap::new(),
            binds: Vec::new(),
        }
    }

    fn all(mut self, files: &[PathBuf]) -> Vec<Mention> {
        for file in files {
            let Some(text) = self.reading.text(file) else { continue };
            self.enter(file);
            for (number, line) in numbered(&text) {
                let words = line::words(line, &self.variables);
                self.line(words, &Origin { file: file.as_path().into(), line: number });
            }
        }
        for bind in std::mem::take(&mut self.binds) {
            self.folder.clone_from(&bind.folder);
            self.bind(&bind.words, &bind.origin, &bind.bases);
        }
        for stored in self.stored.values().filter(|stored| !stored.is_used) {
            let mut mention = stored.origin.mention(stored.certificate.clone());
            mention.key.clone_from(&stored.key);
            self.mentions.push(mention);
        }
        self.mentions
    }

    fn line(&mut self, words: Words, origin: &Origin) {
        let first = words.at(0);
        if SECTIONS.contains(&first) {
            first.clone_into(&mut self.section);
            let store = || (words.at(1).to_owned(), self.bases.clone());
            self.store = (first == "crt-store").then(store);
            return;
        }
        match (self.section.as_str(), first) {
            ("global", "setenv" | "presetenv") => {
                self.variables.insert(words.at(1).to_owned(), words.at(2).to_owned());
            }
            ("global", "default-path") => self.default_path(&words, origin),
            ("global", "crt-base") => self.bases.certificates = self.base(&words, origin),
            ("global", "key-base") => self.bases.keys = self.base(&words, origin),
            ("global", "ssl-load-extra-files") => {
                let has = |kind| (1..words.len()).any(|at| words.at(at) == kind || words.at(at) == "all");
                self.extras.has_keys = has("key");
                self.extras.has_bundles = has("bundle");
            }
            ("global", "ssl-load-extra-del-ext") => self.extras.replaces_ending = true,
            ("crt-store", "crt-base" | "key-base") => {
                let base = self.base(&words, origin);
                match &mut self.store {
                    Some((_, bases)) if first == "crt-base" => bases.certificates = base,
                    Some((_, bases)) => bases.keys = base,
                    None => {}
                }
            }
            ("crt-store", "load") => self.load(&words, origin),
            (_, "bind") => {
                let (bases, folder) = (self.bases.clone(), self.folder.clone());
                self.binds.push(Bind { words, origin: origin.clone(), bases, folder });
            }
            (_, "server" | "default-server" | "server-template") => {
                for name in words.after("crt") {
                    let certificates = self.certificates(&name, origin, &self.bases.clone());
                    self.mentions.extend(certificates.into_iter().map(|one| Mention { side: Side::Client, ..one }));
                }
            }
            (_, ".if") => {
                let what = "a condition is not judged: all its branches are read".to_owned();
                self.reading.note(&origin.file, origin.line, what);
            }
            _ => {}
        }
    }

    /// Where relative paths of a file begin.
    fn enter(&mut self, file: &Path) {
        let folder = below(&self.started, &file.parent().unwrap_or(Path::new("/")).to_string_lossy());
        match self.above {
            Some(true) => self.folder = folder.parent().unwrap_or(&folder).to_owned(),
            Some(false) => self.folder = folder,
            None => {}
        }
    }

    fn default_path(&mut self, words: &Words, origin: &Origin) {
        match words.at(1) {
            "config" => self.above = Some(false),
            "parent" => self.above = Some(true),
            "origin" => self.folder = PathBuf::from(words.at(2)),
            _ => self.folder.clone_from(&self.started),
        }
        self.enter(&origin.file);
    }

    fn base(&mut self, words: &Words, origin: &Origin) -> Option<PathBuf> {
        let folder = self.folder.clone();
        self.path(words.at(1), origin, &folder)
    }

    /// A path below a folder; one with a variable that is not known is noted.
    fn path(&mut self, name: &str, origin: &Origin, folder: &Path) -> Option<PathBuf> {
        if name.contains("${") || name.starts_with('$') || name.is_empty() {
            let what = format!("{name:?} depends on a variable of the server's environment: not followed");
            self.reading.note(&origin.file, origin.line, what);
            return None;
        }
        Some(below(folder, name))
    }

    /// `load crt FILE [key FILE] [alias NAME]` of a store.
    fn load(&mut self, words: &Words, origin: &Origin) {
        let Some((store, bases)) = self.store.clone() else { return };
        let certificate = words.after("crt").pop().unwrap_or_default();
        let folder = bases.certificates.clone().unwrap_or_else(|| self.folder.clone());
        let Some(path) = self.path(&certificate, origin, &folder) else { return };
        let keys = bases.keys.or(bases.certificates).unwrap_or_else(|| self.folder.clone());
        let key = match words.after("key").pop() {
            Some(key) => self.path(&key, origin, &keys),
            None => self.key_beside(&path),
        };
        let alias = words.after("alias").pop().unwrap_or(certificate);
        let stored = Stored { certificate: path, key, origin: origin.clone(), is_used: false };
        self.stored.insert(format!("@{store}/{alias}"), stored);
    }

    /// A `bind` line: what it shows, where.
    fn bind(&mut self, words: &Words, origin: &Origin, bases: &Bases) {
        let is_tls = words.has("ssl");
        let mut listens = Vec::new();
        for address in words.at(1).split(',').filter(|_| is_tls) {
            if let Some(spot) = spot(address) {
                address::add(&mut listens, spot.listens(self.reading, (&origin.file, origin.line), &[], None));
            }
        }
        for name in words.after("crt") {
            for mut mention in self.certificates(&name, origin, bases) {
                mention.listens.clone_from(&listens);
                self.mentions.push(mention);
            }
        }
        for name in words.after("crt-list") {
            let folder = self.folder.clone();
            let Some(list) = self.path(&name, origin, &folder) else { continue };
            self.list(&list, origin, bases, &listens);
        }
    }

    /// The lines of a list: a certificate, options in brackets, and the names it is for.
    fn list(&mut self, list: &Path, origin: &Origin, bases: &Bases, listens: &[Listen]) {
        let Some(text) = self.reading.text(list) else {
            let what = format!("the list {} could not be read", list.display());
            return self.reading.note(&origin.file, origin.line, what);
        };
        for (number, line) in numbered(&text) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (certificate, rest) = line.split_once([' ', '\t', '[']).unwrap_or((line, ""));
            let options_end = if line.contains('[') { rest.find(']').map_or(0, |at| at + 1) } else { 0 };
            let filters = rest.get(options_end..).unwrap_or_default().split_whitespace();
            let names: Vec<String> = filters
                .take_while(|name| !name.starts_with('#'))
                .filter(|name| !name.starts_with('!'))
                .map(str::to_lowercase)
                .collect();
            let origin = Origin { file: list.into(), line: number };
            for mut mention in self.certificates(certificate, &origin, bases) {
                mention.listens = listens.to_vec();
                mention.names.clone_from(&names);
                self.mentions.push(mention);
            }
        }
    }

    /// What a `crt` stands for: a file, a bundle, all of a folder, or what a store has under that name.
    fn certificates(&mut self, name: &str, origin: &Origin, bases: &Bases) -> Vec<Mention> {
        let key = if name.starts_with('@') { name.to_owned() } else { format!("@/{name}") };
        if let Some(stored) = self.stored.get_mut(&key) {
            stored.is_used = true;
            let mut mention = origin.mention(stored.certificate.clone());
            mention.key.clone_from(&stored.key);
            return vec![mention];
        }
        if name.starts_with('@') {
            self.reading.note(&origin.file, origin.line, format!("no crt-store has {name}"));
            return Vec::new();
        }
        let folder = bases.certificates.clone().unwrap_or_else(|| self.folder.clone());
        let Some(path) = self.path(name, origin, &folder) else { return Vec::new() };
        let paths = if self.reading.is_folder(&path) {
            let mut entries = self.reading.entries(&path);
            entries.retain(|entry| !is_extra(entry) && !self.reading.is_folder(entry));
            entries
        } else if self.extras.has_bundles && !self.reading.exists(&path) {
            let parts = BUNDLE.map(|kind| with_ending(&path, kind));
            let parts: Vec<PathBuf> = parts.into_iter().filter(|part| self.reading.exists(part)).collect();
            if parts.is_empty() { vec![path] } else { parts }
        } else {
            vec![path]
        };
        let mention = |path: PathBuf| {
            let key = self.key_beside(&path);
            Mention { key, ..origin.mention(path) }
        };
        paths.into_iter().map(mention).collect()
    }

    /// The key in a file of its own: only where the certificate's has none.
    fn key_beside(&mut self, certificate: &Path) -> Option<PathBuf> {
        if !self.extras.has_keys {
            return None;
        }
        let key = if self.extras.replaces_ending && certificate.extension().is_some_and(|end| end == "crt") {
            certificate.with_extension("key")
        } else {
            with_ending(certificate, ".key")
        };
        if !self.reading.exists(&key) {
            return None;
        }
        let has_own = self.reading.pem(certificate).is_some_and(|pem| pem.has_key);
        (!has_own).then_some(key)
    }
}

/// Where a `bind` address listens over TCP.
fn spot(address: &str) -> Option<Spot> {
    let address = match address.split_once('@') {
        Some(("ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6", address)) => address,
        Some(_) => return None,
        None => address,
    };
    let spot = Spot::parse(address).filter(|_| !address.starts_with('/'))?;
    // An address without a port is none to HAProxy.
    (!spot.ports.is_empty() || !matches!(spot.host, Host::Named(_))).then_some(spot)
}

fn is_extra(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["issuer", "ocsp", "sctl", "key"].iter().any(|extra| end == *extra))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

const FILE: &str = "/etc/haproxy/haproxy.cfg";
const FOLDER: &str = "/etc/haproxy/conf.d";
const BUNDLE: [&str; 3] = [".rsa", ".ecdsa", ".dsa"];
const SECTIONS: [&str; 19] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "mailers",
    "resolvers",
    "cache",
    "program",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "log-profile",
    "crt-store",
    "traces",
    "acme",
];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = r#"
global
    crt-base /etc/haproxy/certs
    setenv SITE "www site" # quoted
    ssl-load-extra-del-ext
crt-store web
    crt-base /store
    key-base "/store/keys"
    load crt one.pem alias "one" key one.key ocsp "one.ocsp"
    load crt two.pem
crt-store
    load crt plain.pem key /k/plain.key
frontend a
    bind *:443,[::1]:8443 ssl crt $SITE.pem crt "${SITE}/x.pem" alpn h2,http/1.1
    bind :444 ssl crt /etc/haproxy/folder crt-list /etc/haproxy/list
    bind /run/a.sock ssl crt bundle.pem
    bind quic4@:443 ssl crt q.pem
    bind :80
    bind 192.0.2.1:445 ssl crt @web/one crt plain.pem crt @web/gone crt a\ b.pem crt "${NOT_SET}.pem"
    bind localhost:8000-8002 ssl crt with.crt # crt no.pem
backend b
    server s1 192.0.2.2:443 ssl verify required ca-file /ca.pem crt client.pem
"#;

    #[test]
    fn binds_show_files_folders_bundles_lists_and_stores() {
        let key = "-----BEGIN PRIVATE KEY-----\n";
        let list = "# a list\ncerts/list.pem [alpn h2 ssl-min-ver TLSv1.2] A.example.com !b.example.com *.c.example.com # d\n\
                    plain.pem\n/etc/x.pem e.example.com\n";
        let file = "/etc/haproxy/haproxy.cfg";
        check(
            &[
                (file, SAMPLE),
                ("/etc/haproxy/list", list),
                ("/etc/haproxy/folder/b.pem", ""),
                ("/etc/haproxy/folder/b.pem.key", ""),
                ("/etc/haproxy/folder/a.pem", key),
                ("/etc/haproxy/folder/a.pem.key", key),
                ("/etc/haproxy/folder/a.pem.ocsp", ""),
                ("/etc/haproxy/folder/.hidden", ""),
                ("/etc/haproxy/certs/bundle.pem.rsa", ""),
                ("/etc/haproxy/certs/bundle.pem.ecdsa", ""),
                ("/etc/haproxy/certs/with.key", ""),
            ],
            &[],
            &[
                &format!("{file}:22 /etc/haproxy/certs/client.pem client"),
                &format!("{file}:14 /etc/haproxy/certs/www site.pem at *:443,::1:8443"),
                &format!("{file}:14 /etc/haproxy/certs/www site/x.pem at *:443,::1:8443"),
                &format!("{file}:15 /etc/haproxy/folder/a.pem at *:444"),
                &format!("{file}:15 /etc/haproxy/folder/b.pem key=/etc/haproxy/folder/b.pem.key at *:444"),
                "/etc/haproxy/list:2 /etc/haproxy/certs/certs/list.pem at *:444 for a.example.com,*.c.example.com",
                "/etc/haproxy/list:3 /etc/haproxy/certs/plain.pem key=/k/plain.key at *:444",
                "/etc/haproxy/list:4 /etc/x.pem at *:444 for e.example.com",
                &format!("{file}:16 /etc/haproxy/certs/bundle.pem.rsa"),
                &format!("{file}:16 /etc/haproxy/certs/bundle.pem.ecdsa"),
                &format!("{file}:17 /etc/haproxy/certs/q.pem"),
                &format!("{file}:19 /store/one.pem key=/store/keys/one.key at 192.0.2.1:445"),
                &format!("{file}:19 /etc/haproxy/certs/plain.pem key=/k/plain.key at 192.0.2.1:445"),
                &format!("{file}:19 /etc/haproxy/certs/a b.pem at 192.0.2.1:445"),
                &format!(
                    "{file}:20 /etc/haproxy/certs/with.crt key=/etc/haproxy/certs/with.key at 127.0.0.1:8000,127.0.0.1:8001,127.0.0.1:8002"
                ),
                &format!("{file}:10 /store/two.pem"),
            ],
            &[
                "/etc/haproxy/haproxy.cfg:19: no crt-store has @web/gone",
                "/etc/haproxy/haproxy.cfg:19: \"${NOT_SET}.pem\" depends on a variable of the server's environment: not followed",
            ],
        );
    }

    #[test]
    fn a_running_server_says_which_files_it_reads() {
        let bind = "frontend x\n bind :1 ssl crt x.pem\n";
        let command = "/usr/sbin/haproxy -Ws -f /srv/a.cfg -f /srv/conf.d -p /run/haproxy.pid";
        check(
            &[
                ("/srv/a.cfg", "global\n crt-base /base\n .if defined(X)\n"),
                ("/srv/conf.d/2.cfg", bind),
                ("/srv/conf.d/1.cfg", "listen y\n bind :2 ssl crt /y.pem\n"),
                ("/srv/conf.d/no.txt", bind),
                ("/etc/haproxy/haproxy.cfg", "global\n default-path config\n"),
                ("/etc/haproxy/conf.d/z.cfg", bind),
            ],
            &[running("haproxy", command)],
            &[
                "/srv/conf.d/1.cfg:2 /y.pem at *:2",
                "/srv/conf.d/2.cfg:2 /base/x.pem at *:1",
                "/etc/haproxy/conf.d/z.cfg:2 /etc/haproxy/conf.d/x.pem at *:1",
            ],
            &["/srv/a.cfg:3: a condition is not judged: all its branches are read"],
        );
    }
}
