//! Postfix: `smtpd_tls_…` of `main.cf` and of the services of `master.cf`, the map of names, and what it shows as a client.

mod settings;

use std::path::{Path, PathBuf};

use settings::{Service, Settings};

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::{Pem, Reading};
use super::address::{self, Host, Spot};
use super::lines::by_indent;
use super::{Running, Value, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let started = processes(running, &["master"]).filter_map(|process| {
        let is_postfix = process.arguments.first().is_some_and(|program| program.contains("postfix"));
        process.option("-c").filter(|_| is_postfix).map(|folder| process.path(folder))
    });
    let folders: Vec<PathBuf> = started.chain([PathBuf::from(FOLDER)]).collect();
    let mut mains = distinct(reading, folders.iter().map(|folder| (folder.join("main.cf"), ())));
    // Other instances have folders of their own.
    let others: Vec<PathBuf> = mains.iter().flat_map(|(main, ())| instances(reading, main)).collect();
    mains.extend(others.iter().map(|folder| (folder.join("main.cf"), ())));
    let mains = distinct(reading, mains);
    mains.iter().flat_map(|(main, ())| read(reading, main)).collect()
}

fn instances(reading: &mut Reading, main: &Path) -> Vec<PathBuf> {
    let settings = Settings::read(reading, main);
    let folders = settings.value("multi_instance_directories").map(|value| value.text).unwrap_or_default();
    list(&folders).map(PathBuf::from).filter(|folder| folder.is_absolute()).take(MOST).collect()
}

fn read(reading: &mut Reading, main: &Path) -> Vec<Mention> {
    let settings = Settings::read(reading, main);
    let services = settings::services(reading, &main.with_file_name("master.cf"));
    let mut reader = Reader { reading, mentions: Vec::new() };
    reader.servers(&settings, &services);
    reader.clients(&settings);
    for service in &services {
        let own = settings.with(service);
        if matches!(service.command.as_str(), "smtp" | "lmtp") && own.is_own(|name| name.contains("_tls_")) {
            reader.clients(&own);
        }
    }
    reader.mentions
}

struct Reader<'a> {
    reading: &'a mut Reading,
    mentions: Vec<Mention>,
}

impl Reader<'_> {
    /// What clients are shown: the certificates of all services with the places of those that have none of their own, and
    /// then those that services have of their own.
    fn servers(&mut self, settings: &Settings<'_>, services: &[Service]) {
        let (mut own, mut set_at, mut names_at) = (Vec::new(), Vec::new(), Vec::new());
        let at = |mention, listens: &[Listen]| Mention { listens: listens.to_vec(), ..mention };
        for service in services.iter().filter(|service| service.is_smtp_server()) {
            let with = settings.with(service);
            let listens = self.listens(&with, service);
            if with.is_own(|name| CERTIFICATES.contains(&name)) {
                own.extend(self.set(&with, "smtpd", Side::Server).into_iter().map(|mention| at(mention, &listens)));
            } else {
                address::add(&mut set_at, listens.iter().copied());
            }
            if with.is_own(|name| name == SNI_MAPS) {
                own.extend(self.names(&with).into_iter().map(|mention| at(mention, &listens)));
            } else {
                address::add(&mut names_at, listens);
            }
        }
        let set = self.set(settings, "smtpd", Side::Server);
        self.mentions.extend(set.into_iter().map(|mention| at(mention, &set_at)));
        let names = self.names(settings);
        self.mentions.extend(names.into_iter().map(|mention| at(mention, &names_at)));
        self.mentions.extend(own);
    }

    fn clients(&mut self, settings: &Settings<'_>) {
        for prefix in ["smtp", "lmtp"] {
            for mention in self.set(settings, prefix, Side::Client) {
                if !self.mentions.contains(&mention) {
                    self.mentions.push(mention);
                }
            }
        }
    }

    /// The certificates of `smtpd_tls_…`, or of another prefix: a list of files takes the place of all others.
    fn set(&mut self, settings: &Settings<'_>, prefix: &str, side: Side) -> Vec<Mention> {
        if let Some(files) = settings.value(&format!("{prefix}_tls_chain_files")).filter(|files| !files.text.is_empty())
        {
            let Some(text) = self.plain(&files) else { return Vec::new() };
            let names: Vec<&str> = list(&text).collect();
            let mentions = self.pairs(&names, settings, (&files.file, files.line));
            return mentions.into_iter().map(|mention| Mention { side, ..mention }).collect();
        }
        let mut found = Vec::new();
        for kind in ["", "ec", "d"] {
            let Some(certificate) = settings.value(&format!("{prefix}_tls_{kind}cert_file")) else { continue };
            let Some(path) = self.path(&certificate, settings) else { continue };
            let mut mention = certificate.mention(Server::Postfix, path);
            let key = settings.value(&format!("{prefix}_tls_{kind}key_file"));
            let key = key.and_then(|key| self.path(&key, settings));
            mention.key = key.filter(|key| *key != mention.certificate);
            mention.side = side;
            found.push(mention);
        }
        found
    }

    /// Files that hold keys, each before its certificates: in one file, or in two. A file that cannot be read is a key
    /// where certificates without one follow, and is in doubt where what follows cannot be read either.
    fn pairs(&mut self, names: &[&str], settings: &Settings<'_>, (file, line): (&Path, usize)) -> Vec<Mention> {
        let files: Vec<(PathBuf, Option<Pem>)> = names
            .iter()
            .take(MOST)
            .map(|name| below(&settings.folder(), name))
            .map(|path| (path.clone(), self.reading.pem(&path)))
            .collect();
        let mut found = Vec::new();
        let mut key: Option<PathBuf> = None;
        for (at, (path, pem)) in files.iter().enumerate() {
            let next = files.get(at + 1).map(|(_, next)| *next);
            let is_key = match (pem, next) {
                (Some(pem), _) => pem.has_key && !pem.has_certificate,
                (None, Some(Some(next))) => !next.has_key,
                (None, Some(None)) if key.is_none() => {
                    let what = format!("{} cannot be read: whether it is a key is not known", path.display());
                    self.reading.note(file, line, what);
                    return found;
                }
                (None, _) => false,
            };
            if is_key {
                key = Some(path.clone());
            } else {
                let mention = Mention::new(Server::Postfix, file, line, path.clone());
                found.push(Mention { key: key.take(), ..mention });
            }
        }
        found
    }

    /// The certificates of the map by name.
    fn names(&mut self, settings: &Settings<'_>) -> Vec<Mention> {
        let Some(maps) = settings.value(SNI_MAPS) else { return Vec::new() };
        let Some(text) = self.plain(&maps) else { return Vec::new() };
        let mut found = Vec::new();
        for map in list(&text) {
            let (kind, path) = map.split_once(':').unwrap_or(("hash", map));
            let path = below(Path::new("/"), path);
            let is_text = ["hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "regexp", "pcre"].contains(&kind);
            let source = if is_text { self.reading.text(&path) } else { None };
            let Some(source) = source else {
                let what = format!("the map {map} has no text beside it: not followed");
                self.reading.note(&maps.file, maps.line, what);
                continue;
            };
            for line in by_indent(&source) {
                let mut words = line.text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
                let name = words.next().unwrap_or_default().to_lowercase();
                let files: Vec<&str> = words.collect();
                let pairs = self.pairs(&files, settings, (&path, line.number));
                found.extend(pairs.into_iter().map(|mention| Mention { names: vec![name.clone()], ..mention }));
            }
        }
        found
    }

    /// A value that is known to its end; what is not is noted.
    fn plain(&mut self, value: &Value) -> Option<String> {
        if value.text.contains('$') {
            value.note(self.reading, "is not known");
            return None;
        }
        Some(value.text.clone())
    }

    fn path(&mut self, value: &Value, settings: &Settings<'_>) -> Option<PathBuf> {
        let name = self.plain(value)?;
        (!name.is_empty() && !name.eq_ignore_ascii_case("none")).then(|| below(&settings.folder(), &name))
    }

    /// Where a service speaks TLS, and how.
    fn listens(&mut self, settings: &Settings<'_>, service: &Service) -> Vec<Listen> {
        let text = |name: &str| settings.value(name).map(|value| value.text).unwrap_or_default();
        let is_yes = |name: &str| text(name).eq_ignore_ascii_case("yes");
        let is_wrapped = is_yes("smtpd_tls_wrappermode");
        let level = match (service.command.as_str(), text("postscreen_tls_security_level")) {
            ("postscreen", level) if !level.is_empty() => level,
            _ => text("smtpd_tls_security_level"),
        };
        let is_offered = match level.as_str() {
            "" => is_yes("smtpd_use_tls") || is_yes("smtpd_enforce_tls"),
            level => !level.eq_ignore_ascii_case("none"),
        };
        if !is_offered && !is_wrapped {
            return Vec::new();
        }
        let Some(spot) = Spot::parse(&settings.expanded(&service.name)) else { return Vec::new() };
        let starttls = (!is_wrapped).then_some(StartTls::Smtp);
        let (file, line) = (&service.file, service.line);
        let named = matches!(&spot.host, Host::Named(name) if spot.ports.is_empty() && !name.contains('.'));
        if named {
            let what = format!("the port of the service {} is not known", service.name);
            self.reading.note(file, line, what);
            return Vec::new();
        }
        if spot.host != Host::All {
            return spot.listens(self.reading, (file, line), &[], starttls);
        }
        let mut listens = Vec::new();
        let interfaces = settings.value("inet_interfaces").map_or("all".to_owned(), |value| value.text);
        for interface in list(&interfaces) {
            let hosts: &[&str] = match interface {
                "all" => &["*"],
                "loopback-only" => &["127.0.0.1", "::1"],
                // The host's own name: what it resolves to is not looked at.
                name if name.contains('$') => &["*"],
                name => &[name],
            };
            for host in hosts {
                let spot = Spot { host: Host::parse(host), ports: spot.ports.clone() };
                address::add(&mut listens, spot.listens(self.reading, (file, line), &[], starttls));
            }
        }
        listens
    }
}

/// The words of a list, which commas and spaces separate.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|word| !word.is_empty())
}

const FOLDER: &str = "/etc/postfix";
const SNI_MAPS: &str = "tls_server_sni_maps";
const CERTIFICATES: [&str; 7] = [
    "smtpd_tls_chain_files",
    "smtpd_tls_cert_file",
    "smtpd_tls_key_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_eckey_file",
    "smtpd_tls_dcert_file",
    "smtpd_tls_dkey_file",
];
/// So many files of one list are read.
const MOST: usize = 100;

#[cfg(test)]
pub(super) mod tests;
