//! stunnel: `cert` of each service, with what the file says before the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::Reading;
use super::address::Spot;
use super::ini::{self, Values};
use super::{Running, Value, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let started: Vec<(PathBuf, PathBuf)> = processes(running, &["stunnel", "stunnel4", "stunnel5"])
        .filter_map(|process| {
            let file = process.arguments.get(1).filter(|file| !file.starts_with('-'))?;
            Some((process.path(file), process.path("")))
        })
        .collect();
    let usual = reading.glob("/etc/stunnel/*.conf").into_iter().map(|file| (file, PathBuf::from("/")));
    let files = distinct(reading, started.into_iter().chain(usual));
    files.iter().flat_map(|(file, folder)| read(reading, file, folder)).collect()
}

type Options = BTreeMap<String, Value>;

/// What is before the first service, and the services in their order.
#[derive(Default)]
struct Sections {
    global: Options,
    services: Vec<(String, Options)>,
}

fn read(reading: &mut Reading, file: &Path, folder: &Path) -> Vec<Mention> {
    let mut sections = Sections::default();
    add_file(reading, file, (file, 0), &mut sections);
    let Sections { global, services } = sections;
    let mut mentions = Vec::new();
    let by_name: BTreeMap<String, Options> = services.iter().cloned().collect();
    // Without services the file is one itself: stunnel runs for inetd.
    let alone = [("".to_owned(), Options::new())];
    for (_, own) in if services.is_empty() { &alone[..] } else { &services } {
        let option = |name: &str| own.get(name).or_else(|| global.get(name));
        let Some(certificate) = option("cert") else { continue };
        let is_client = option("client").is_some_and(|client| client.text.eq_ignore_ascii_case("yes"));
        let Some(path) = path(reading, certificate, folder) else { continue };
        let mut mention = certificate.mention(Server::Stunnel, path);
        let key = option("key").and_then(|key| self::path(reading, key, folder));
        mention.key = key.filter(|key| *key != mention.certificate);
        if is_client {
            mention.side = Side::Client;
        } else {
            // A service for a name of another's has that one's address.
            let (master, name) = match own.get("sni").and_then(|sni| sni.text.split_once(':')) {
                Some((master, name)) => (by_name.get(&master.to_lowercase()), Some(name)),
                None => (None, None),
            };
            mention.names.extend(name.map(str::to_lowercase));
            let accept = own.get("accept").or_else(|| master?.get("accept"));
            let protocol = own.get("protocol").or_else(|| global.get("protocol"));
            mention.listens = listens(reading, accept, protocol.map(|protocol| protocol.text.as_str()));
        }
        mentions.push(mention);
    }
    mentions
}

fn listens(reading: &mut Reading, accept: Option<&Value>, protocol: Option<&str>) -> Vec<Listen> {
    let Some(accept) = accept.filter(|accept| !accept.text.starts_with('/')) else { return Vec::new() };
    let starttls = match protocol {
        None => None,
        Some("smtp") => Some(StartTls::Smtp),
        Some("imap") => Some(StartTls::Imap),
        Some("pop3") => Some(StartTls::Pop3),
        Some("pgsql") => Some(StartTls::Postgres),
        Some(_) => return Vec::new(),
    };
    let Some(spot) = Spot::parse(&accept.text) else { return Vec::new() };
    spot.listens(reading, (&accept.file, accept.line), &[], starttls)
}

fn path(reading: &mut Reading, value: &Value, folder: &Path) -> Option<PathBuf> {
    if value.text.starts_with("pkcs11:") {
        value.note(reading, "names no file");
        return None;
    }
    (!value.text.is_empty()).then(|| below(folder, &value.text))
}

fn add_file(reading: &mut Reading, path: &Path, (from, line): (&Path, usize), sections: &mut Sections) {
    let Some(text) = reading.enter(path, from, line) else { return };
    let file: Arc<Path> = path.into();
    let mut current: Option<String> = None;
    for entry in ini::entries(&text, Values::Plain) {
        let name = entry.name.to_lowercase();
        let value = Value::new(&entry.value, &file, entry.line);
        if name == "include" {
            for file in reading.entries(Path::new(&entry.value)) {
                add_file(reading, &file, (path, entry.line), sections);
            }
            continue;
        }
        if entry.section != current {
            sections.services.extend(entry.section.clone().map(|section| (section, Options::new())));
            current = entry.section;
        }
        let options = match (&current, sections.services.last_mut()) {
            (Some(_), Some((_, options))) => options,
            _ => &mut sections.global,
        };
        options.insert(name, value);
    }
    reading.leave();
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
; a comment
cert = /etc/stunnel/stunnel.pem
include = /etc/stunnel/conf.d
[HTTPS]
accept  = 443
connect = 80
[mail]
accept = ::1:25
protocol = smtp
cert = mail.pem
key = /etc/stunnel/mail.key
[virtual]
sni = https:*.Example.com
cert = pkcs11:token=x
[upstream]
client = yes
accept = 127.0.0.1:8080
";

    #[test]
    fn services_have_what_the_file_says_before_them() {
        let file = "/etc/stunnel/a.conf";
        let extra = "[extra]\naccept = localhost:444\nsni = HTTPS:one.example.com\n";
        check(
            &[(file, SAMPLE), ("/etc/stunnel/conf.d/x", extra), ("/srv/s.conf", "cert = x.pem\n")],
            &[running("stunnel4", "/usr/bin/stunnel4 /srv/s.conf"), running("stunnel", "stunnel -fd 0")],
            &[
                "/srv/s.conf:1 /x.pem",
                &format!("{file}:2 /etc/stunnel/stunnel.pem at 127.0.0.1:444 for one.example.com"),
                &format!("{file}:2 /etc/stunnel/stunnel.pem at *:443"),
                &format!("{file}:10 /mail.pem key=/etc/stunnel/mail.key at ::1:25/smtp"),
                &format!("{file}:2 /etc/stunnel/stunnel.pem client"),
            ],
            &["/etc/stunnel/a.conf:14: pkcs11:token=x names no file: not followed"],
        );
    }
}
