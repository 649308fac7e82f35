//! MySQL and MariaDB: `ssl-cert` of servers and of clients in the option files, and what MySQL makes where none is named.

use crate::core::wanted::entry::StartTls;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::mention::{Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::ini::{self, Values};
use super::{Running, Value, below, processes};

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let mut is_usual_read = false;
    for process in processes(running, &["mysqld", "mariadbd"]) {
        let own = process.option("--defaults-file").map(|file| process.path(file));
        let extra = process.option("--defaults-extra-file").map(|file| process.path(file));
        let is_bare = process.arguments.iter().any(|argument| argument == "--no-defaults");
        let files: Vec<PathBuf> = match own {
            Some(file) => vec![file],
            None if is_bare => Vec::new(),
            None => FILES.iter().map(PathBuf::from).chain(extra).collect(),
        };
        is_usual_read |= files.first().is_some_and(|file| *file == Path::new(FILES[0]));
        mentions.extend(read(reading, &files, Some(process)));
    }
    if !is_usual_read {
        mentions.extend(read(reading, &FILES.map(PathBuf::from), None));
    }
    let mut distinct: Vec<Mention> = Vec::new();
    for mention in mentions {
        if !distinct.contains(&mention) {
            distinct.push(mention);
        }
    }
    distinct
}

#[derive(Default)]
struct Options {
    server: BTreeMap<String, Value>,
    client: BTreeMap<String, Value>,
}

/// Option files are one configuration: later ones count, and what the process was started with counts last.
fn read(reading: &mut Reading, files: &[PathBuf], process: Option<&Running>) -> Vec<Mention> {
    let mut options = Options::default();
    for file in files {
        add_file(reading, file, (file, 0), &mut options);
    }
    let main = files.iter().rev().find(|file| reading.exists(file));
    let main: Arc<Path> = main.map_or(Path::new(FILES[0]), PathBuf::as_path).into();
    for argument in process.iter().flat_map(|process| process.arguments.iter().skip(1)) {
        if let Some((name, value)) =
            argument.strip_prefix("--").map(|option| option.split_once('=').unwrap_or((option, "")))
        {
            options.server.insert(plain(name), Value::new(value, &main, 0));
        }
    }
    let is_mariadb = process.is_some_and(|process| process.program.starts_with("mariadb"));
    let mut mentions: Vec<Mention> = server(reading, &options.server, &main, is_mariadb).into_iter().collect();
    let client = certificate(reading, &options.client, "ssl", Path::new("/"));
    mentions.extend(client.map(|mention| Mention { side: Side::Client, ..mention }));
    mentions
}

fn server(reading: &mut Reading, options: &BTreeMap<String, Value>, main: &Path, is_mariadb: bool) -> Option<Mention> {
    let folder = options.get("datadir").map_or(FOLDER, |value| value.text.as_str());
    let folder = below(Path::new("/"), folder);
    let is_off = ["skip_ssl", "disable_ssl"].iter().any(|name| options.contains_key(*name))
        || options.get("ssl").is_some_and(|value| ["0", "off", "false"].contains(&value.text.to_lowercase().as_str()));
    let mut mention = match certificate(reading, options, "ssl", &folder) {
        Some(mention) => mention,
        // MySQL makes these, and takes them where they are.
        None => {
            let made = folder.join("server-cert.pem");
            if is_off || is_mariadb || options.contains_key("ssl_cert") || !reading.exists(&made) {
                return None;
            }
            Mention { key: Some(folder.join("server-key.pem")), ..Mention::new(Server::Mysql, main, 0, made) }
        }
    };
    if is_off || options.contains_key("skip_networking") {
        return Some(mention);
    }
    let port = options.get("port").and_then(|value| value.text.parse().ok()).unwrap_or(PORT);
    let bound = options.get("bind_address");
    for address in bound.map_or("*", |value| value.text.as_str()).split(',') {
        let spot = Spot { host: Host::parse(address.trim()), ports: vec![port] };
        let place = bound.map_or((main, 0), |value| (&*value.file, value.line));
        address::add(&mut mention.listens, spot.listens(reading, place, &[], Some(StartTls::Mysql)));
    }
    Some(mention)
}

fn certificate(
    reading: &mut Reading,
    options: &BTreeMap<String, Value>,
    prefix: &str,
    folder: &Path,
) -> Option<Mention> {
    let certificate = options.get(&format!("{prefix}_cert")).filter(|value| !value.text.is_empty())?;
    let path = below(folder, &certificate.text);
    if !path.is_absolute() {
        certificate.note(reading, "is below a folder that is not known");
        return None;
    }
    let mut mention = certificate.mention(Server::Mysql, path);
    let key = options.get(&format!("{prefix}_key")).filter(|value| !value.text.is_empty());
    mention.key = key.map(|key| below(folder, &key.text)).filter(|key| *key != mention.certificate);
    Some(mention)
}

fn add_file(reading: &mut Reading, path: &Path, (from, line): (&Path, usize), options: &mut Options) {
    let Some(text) = reading.enter(path, from, line) else { return };
    let file: Arc<Path> = path.into();
    for entry in ini::entries(&text, Values::Quoted) {
        let place = (path, entry.line);
        if let Some(included) = entry.name.strip_prefix("!includedir") {
            for file in reading.entries(Path::new(included.trim())) {
                if file.extension().is_some_and(|end| end == "cnf") {
                    add_file(reading, &file, place, options);
                }
            }
        } else if let Some(included) = entry.name.strip_prefix("!include") {
            add_file(reading, Path::new(included.trim()), place, options);
        } else if let Some(section) = entry.section {
            let value = Value::new(&entry.value, &file, entry.line);
            let name = plain(&entry.name);
            let is_both = section == "client-server";
            if is_both
                || SERVERS.contains(&section.as_str())
                || section.starts_with("mysqld-")
                || section.starts_with("mariadb-")
            {
                options.server.insert(name.clone(), value.clone());
            }
            if is_both || CLIENTS.contains(&section.as_str()) {
                options.client.insert(name, value);
            }
        }
    }
    reading.leave();
}

/// An option's name in one spelling.
fn plain(name: &str) -> String {
    let name = name.replace('-', "_").to_lowercase();
    name.strip_prefix("loose_").map(str::to_owned).unwrap_or(name)
}

const FILES: [&str; 2] = ["/etc/my.cnf", "/etc/mysql/my.cnf"];
const FOLDER: &str = "/var/lib/mysql";
const PORT: u16 = 3306;
const SERVERS: [&str; 5] = ["mysqld", "server", "mariadb", "mariadbd", "galera"];
const CLIENTS: [&str; 3] = ["client", "client-mariadb", "mysql"];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
[client-server]
port = 3307
!includedir /etc/mysql/conf.d/
[mysqld]
bind-address            = 127.0.0.1 # a comment
ssl-ca = /etc/mysql/cacert.pem
loose-ssl_cert = \"server.pem\"
ssl-key=/etc/mysql/server.key
[client]
ssl-cert = /etc/mysql/client.pem
";

    #[test]
    fn servers_and_clients_are_told_apart() {
        let file = "/etc/mysql/my.cnf";
        check(
            &[
                (file, SAMPLE),
                ("/etc/mysql/conf.d/a.cnf", "[mariadb-10.11]\ndatadir = /data\n!include /etc/mysql/my.cnf\n"),
            ],
            &[],
            &[
                &format!("{file}:7 /data/server.pem key=/etc/mysql/server.key at 127.0.0.1:3307/mysql"),
                &format!("{file}:10 /etc/mysql/client.pem client"),
            ],
            &["/etc/mysql/conf.d/a.cnf:3: includes /etc/mysql/my.cnf, which is being read: ignored"],
        );
    }

    #[test]
    fn what_mysql_makes_is_found() {
        let made = ("/var/lib/mysql/server-cert.pem", "");
        let expected = "/etc/my.cnf:0 /var/lib/mysql/server-cert.pem key=/var/lib/mysql/server-key.pem at *:3306/mysql";
        check(&[("/etc/my.cnf", "[mysqld]\n"), made], &[], &[expected], &[]);
        check(&[("/etc/my.cnf", "[mysqld]\nskip-ssl\n"), made], &[], &[], &[]);
        check(&[made], &[running("mariadbd", "/usr/sbin/mariadbd")], &[], &[]);
        let command = "/usr/sbin/mysqld --defaults-file=/srv/my.cnf --ssl-cert=/x.pem --port=3310";
        check(
            &[("/srv/my.cnf", "[mysqld]\nssl_key=/x.key\nbind_address=192.0.2.1,::1\n"), made],
            &[running("mysqld", command)],
            &["/srv/my.cnf:0 /x.pem key=/x.key at 192.0.2.1:3310/mysql,::1:3310/mysql", expected],
            &[],
        );
    }
}
