//! PostgreSQL: `ssl_cert_file` of each cluster, with its includes and with `postgresql.auto.conf`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::mention::{Listen, Mention, Server};
use super::super::reading::Reading;
use super::address::{self, Host};
use super::lines::numbered;
use super::{Running, Value, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let mut clusters: Vec<(PathBuf, Cluster)> =
        processes(running, &["postgres", "postmaster", "edb-postgres"]).filter_map(started_with).collect();
    for pattern in FILES {
        clusters.extend(reading.glob(pattern).into_iter().map(|file| (file, Cluster::default())));
    }
    distinct(reading, clusters).into_iter().flat_map(|(file, cluster)| read(reading, &file, cluster)).collect()
}

/// What a cluster was started with.
#[derive(Default)]
struct Cluster {
    folder: Option<PathBuf>,
    settings: Vec<(String, String)>,
}

fn started_with(process: &Running) -> Option<(PathBuf, Cluster)> {
    let mut cluster = Cluster { folder: process.option("-D").map(|folder| process.path(folder)), ..Cluster::default() };
    for (letter, name) in [("-p", "port"), ("-h", "listen_addresses")] {
        cluster.settings.extend(process.option(letter).map(|value| (name.to_owned(), value.to_owned())));
    }
    if process.arguments.iter().any(|argument| argument == "-l") {
        cluster.settings.push(("ssl".to_owned(), "on".to_owned()));
    }
    let long = process.arguments.iter().filter_map(|argument| argument.strip_prefix("--"));
    for setting in process.options("-c").into_iter().chain(long) {
        if let Some((name, value)) = setting.split_once('=') {
            cluster.settings.push((name.replace('-', "_").to_lowercase(), value.to_owned()));
        }
    }
    let file = cluster.settings.iter().rfind(|(name, _)| name == "config_file").map(|(_, value)| process.path(value));
    let file = file.or_else(|| Some(cluster.folder.as_ref()?.join("postgresql.conf")))?;
    Some((file, cluster))
}

type Settings = BTreeMap<String, Value>;

fn read(reading: &mut Reading, file: &Path, cluster: Cluster) -> Option<Mention> {
    let mut settings = Settings::new();
    add_file(reading, file, (file, 0), &mut settings);
    let folder = match settings.get("data_directory") {
        Some(value) => below(file.parent().unwrap_or(Path::new("/")), &value.text),
        None => cluster.folder.unwrap_or_else(|| file.parent().unwrap_or(Path::new("/")).to_owned()),
    };
    let automatic = folder.join("postgresql.auto.conf");
    add_file(reading, &automatic, (file, 0), &mut settings);
    for (name, text) in cluster.settings {
        settings.insert(name, Value::new(&text, &file.into(), 0));
    }
    let text = |name: &str| settings.get(name).map(|value| value.text.as_str());
    let ssl = settings.get("ssl");
    let is_on = ssl.is_some_and(|value| is_true(&value.text));
    let certificate = settings.get("ssl_cert_file").filter(|value| !value.text.is_empty());
    let said = certificate.or(ssl.filter(|_| is_on))?;
    let name = certificate.map_or("server.crt", |value| &value.text);
    let mut mention = said.mention(Server::Postgresql, below(&folder, name));
    let key = text("ssl_key_file").filter(|key| !key.is_empty()).unwrap_or("server.key");
    mention.key = Some(below(&folder, key)).filter(|key| *key != mention.certificate);
    if is_on {
        let port = text("port").and_then(|port| port.parse().ok()).unwrap_or(PORT);
        mention.listens = listens(reading, text("listen_addresses").unwrap_or("localhost"), port, said);
    }
    Some(mention)
}

fn listens(reading: &mut Reading, addresses: &str, port: u16, said: &Value) -> Vec<Listen> {
    let mut listens = Vec::new();
    for address in addresses.split(',').map(str::trim).filter(|address| !address.is_empty()) {
        let spot = address::Spot { host: Host::parse(address), ports: vec![port] };
        address::add(&mut listens, spot.listens(reading, (&said.file, said.line), &[], Some(StartTls::Postgres)));
    }
    listens
}

/// The settings of a file and of those it includes; later ones count.
fn add_file(reading: &mut Reading, path: &Path, (from, line): (&Path, usize), settings: &mut Settings) {
    let Some(text) = reading.enter(path, from, line) else { return };
    let file: Arc<Path> = path.into();
    let folder = path.parent().unwrap_or(Path::new("/"));
    for (line, text) in numbered(&text) {
        let Some((name, value)) = setting(text) else { continue };
        match name.as_str() {
            "include" | "include_if_exists" => {
                let included = below(folder, &value);
                if name == "include" && !reading.exists(&included) {
                    reading.note(path, line, format!("includes {value}, which is not there or cannot be seen"));
                }
                add_file(reading, &included, (path, line), settings);
            }
            "include_dir" => {
                let entries = reading.entries(&below(folder, &value));
                for entry in entries.iter().filter(|entry| entry.extension().is_some_and(|end| end == "conf")) {
                    add_file(reading, entry, (path, line), settings);
                }
            }
            _ => {
                settings.insert(name, Value::new(&value, &file, line));
            }
        }
    }
    reading.leave();
}

/// `name = value`, `name value`, `name = 'it''s'`, with a comment behind it.
fn setting(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '$'))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    if name.is_empty() {
        return None;
    }
    let Some(quoted) = rest.strip_prefix('\'') else {
        let value = rest.split(|c: char| c.is_whitespace() || c == '#').next().unwrap_or_default();
        return Some((name.to_lowercase(), value.to_owned()));
    };
    let mut value = String::new();
    let mut rest = quoted.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if rest.next_if_eq(&'\'').is_some() => value.push('\''),
            '\'' => break,
            '\\' => value.extend(rest.next()),
            c => value.push(c),
        }
    }
    Some((name.to_lowercase(), value))
}

/// As PostgreSQL reads truth: by any beginning that is not also another's.
fn is_true(text: &str) -> bool {
    let text = text.to_lowercase();
    text == "on"
        || text == "1"
        || [("true", 1), ("yes", 1)].iter().any(|(word, least)| text.len() >= *least && word.starts_with(&text))
}

const PORT: u16 = 5432;
const FILES: [&str; 3] = [
    "/etc/postgresql/*/*/postgresql.conf",
    "/var/lib/pgsql/data/postgresql.conf",
    "/var/lib/pgsql/*/data/postgresql.conf",
];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
data_directory = '/var/lib/postgresql/15/main'\t\t# use data in another directory
#port = 5431
port=5433
ssl = on
SSL_Cert_File = '/etc/ssl/certs/it''s \\'it.pem'
ssl_key_file '/etc/ssl/private/snakeoil.key'#x
listen_addresses = 'localhost, 192.0.2.1'
include_dir = 'conf.d'
include_if_exists 'gone.conf'
include = 'gone too.conf'
include postgresql.conf
";

    #[test]
    fn clusters_are_read_with_all_that_is_included() {
        let file = "/etc/postgresql/15/main/postgresql.conf";
        check(
            &[
                (file, SAMPLE),
                ("/etc/postgresql/15/main/conf.d/a.conf", "ssl_key_file = 'a.key'"),
                ("/etc/postgresql/15/main/conf.d/b.con", "ssl = off"),
                ("/var/lib/postgresql/15/main/postgresql.auto.conf", "port = '5434'\n"),
                ("/var/lib/pgsql/data/postgresql.conf", "ssl = 'yes'\n"),
                ("/var/lib/pgsql/16/data/postgresql.conf", "ssl = off\nssl_cert_file = 'x.crt'\n"),
                ("/var/lib/pgsql/17/data/postgresql.conf", "#ssl = on\n"),
            ],
            &[],
            &[
                &format!(
                    "{file}:5 /etc/ssl/certs/it's 'it.pem key=/var/lib/postgresql/15/main/a.key at 127.0.0.1:5434/postgres,192.0.2.1:5434/postgres"
                ),
                "/var/lib/pgsql/data/postgresql.conf:1 /var/lib/pgsql/data/server.crt key=/var/lib/pgsql/data/server.key at 127.0.0.1:5432/postgres",
                "/var/lib/pgsql/16/data/postgresql.conf:2 /var/lib/pgsql/16/data/x.crt key=/var/lib/pgsql/16/data/server.key",
            ],
            &[
                "/etc/postgresql/15/main/postgresql.conf:10: includes gone too.conf, which is not there or cannot be seen",
                "/etc/postgresql/15/main/postgresql.conf:11: includes /etc/postgresql/15/main/postgresql.conf, which is being read: ignored",
            ],
        );
    }

    #[test]
    fn what_a_cluster_was_started_with_counts() {
        let command = "/usr/lib/postgresql/15/bin/postgres -D /data -c config_file=/etc/postgresql/15/main/postgresql.conf -p 6000 --ssl-cert-file=/c.pem";
        check(
            &[
                ("/etc/postgresql/15/main/postgresql.conf", "ssl=on\nlisten_addresses='*'\n"),
                ("/data/postgresql.auto.conf", "ssl_key_file = k.pem"),
            ],
            &[running("postgres", command), running("postgres", "postgres: checkpointer ")],
            &["/etc/postgresql/15/main/postgresql.conf:0 /c.pem key=/data/k.pem at *:6000/postgres"],
            &[],
        );
    }
}
