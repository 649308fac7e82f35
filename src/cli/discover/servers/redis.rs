//! Redis and Valkey: `tls-cert-file`, and the certificate they show to one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::mention::{Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::lines::numbered;
use super::words::{APACHE, words};
use super::{Running, Value, below, distinct, processes};

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let programs = ["redis-server", "redis-sentinel", "valkey-server", "valkey-sentinel"];
    let started: Vec<_> = processes(running, &programs).map(|process| (started_with(process), Some(process))).collect();
    let mut mentions = Vec::new();
    for (_, process) in started.iter().filter(|(file, _)| file.is_none()) {
        mentions.extend(read(reading, None, *process));
    }
    let usual = FILES.iter().flat_map(|pattern| reading.glob(pattern)).map(|file| (file, None)).collect::<Vec<_>>();
    let named = started.into_iter().filter_map(|(file, process)| Some((file?, process)));
    for (file, process) in distinct(reading, named.chain(usual)) {
        mentions.extend(read(reading, Some(&file), process));
    }
    mentions
}

/// The file that a process was told to read. A title in the place of a command line names none.
fn started_with(process: &Running) -> Option<PathBuf> {
    let first = process.arguments.get(1)?;
    let is_file = !first.starts_with('-') && (first.contains('/') || first.ends_with(".conf"));
    is_file.then(|| process.path(first))
}

type Options = BTreeMap<String, (Value, Vec<String>)>;

fn read(reading: &mut Reading, file: Option<&Path>, process: Option<&Running>) -> Vec<Mention> {
    let mut options = Options::new();
    let start = process.map_or_else(|| PathBuf::from("/"), |process| process.path(""));
    if let Some(file) = file {
        add_file(reading, file, (file, 0), &start, &mut options);
    }
    let main: Arc<Path> = file.unwrap_or(Path::new("/etc/redis/redis.conf")).into();
    let mut arguments = process.iter().flat_map(|process| process.arguments.iter().skip(1)).peekable();
    while let Some(argument) = arguments.next() {
        if let Some(name) = argument.strip_prefix("--") {
            let mut values = Vec::new();
            while let Some(value) = arguments.next_if(|next| !next.starts_with("--")) {
                values.push(value.clone());
            }
            insert(&mut options, name, values, &main, 0);
        }
    }
    // It changes to this folder before it reads certificates.
    let folder = options.get("dir").map_or(start.clone(), |(value, _)| below(&start, &value.text));
    let mut mentions = Vec::new();
    for (prefix, side) in [("tls", Side::Server), ("tls-client", Side::Client)] {
        let option = |name: &str| options.get(&format!("{prefix}-{name}")).filter(|(value, _)| !value.text.is_empty());
        let Some((certificate, _)) = option("cert-file") else { continue };
        let mut mention = certificate.mention(Server::Redis, below(&folder, &certificate.text));
        let key = option("key-file").map(|(key, _)| below(&folder, &key.text));
        mention.key = key.filter(|key| *key != mention.certificate);
        mention.side = side;
        let port = options.get("tls-port").and_then(|(port, _)| port.text.parse().ok()).unwrap_or(0);
        if side == Side::Server && port != 0 {
            let all = ["*".to_owned()];
            let addresses = options.get("bind").map_or(&all[..], |(_, words)| words);
            for address in addresses.iter().map(|address| address.trim_start_matches('-')) {
                let spot = Spot { host: Host::parse(address), ports: vec![port] };
                let listens = spot.listens(reading, (&certificate.file, certificate.line), &[], None);
                address::add(&mut mention.listens, listens);
            }
        }
        mentions.push(mention);
    }
    mentions
}

fn insert(options: &mut Options, name: &str, values: Vec<String>, file: &Arc<Path>, line: usize) {
    let value = Value::new(values.first().map_or("", String::as_str), file, line);
    options.insert(name.to_lowercase(), (value, values));
}

fn add_file(reading: &mut Reading, path: &Path, (from, line): (&Path, usize), start: &Path, options: &mut Options) {
    let Some(text) = reading.enter(path, from, line) else { return };
    let file: Arc<Path> = path.into();
    for (line, text) in numbered(&text).filter(|(_, text)| !text.trim_start().starts_with('#')) {
        let mut words = words(text, APACHE);
        if words.is_empty() {
            continue;
        }
        let name = words.remove(0).to_lowercase();
        match (name.as_str(), words.first()) {
            ("include", Some(pattern)) => {
                for included in reading.glob(&below(start, pattern).to_string_lossy()) {
                    add_file(reading, &included, (path, line), start, options);
                }
            }
            (name, _) if name == "bind" || name == "dir" || name.starts_with("tls-") => {
                insert(options, name, words, &file, line);
            }
            _ => {}
        }
    }
    reading.leave();
}

const FILES: [&str; 6] = [
    "/etc/redis/*.conf",
    "/etc/redis.conf",
    "/etc/redis-sentinel.conf",
    "/etc/valkey/*.conf",
    "/etc/valkey.conf",
    "/etc/redis/*/*.conf",
];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
# tls-cert-file no.crt
bind 127.0.0.1 -::1
port 0
tls-port 6379
tls-cert-file redis.crt
tls-key-file \"/etc/redis/redis key.pem\"
tls-client-cert-file /etc/redis/client.crt
dir /var/lib/redis
include /etc/redis/more/*
";

    #[test]
    fn certificates_are_below_the_folder_that_is_changed_to() {
        let file = "/etc/redis/redis.conf";
        check(
            &[
                (file, SAMPLE),
                ("/etc/redis/more/a", "tls-client-key-file client.key\ninclude /etc/redis/redis.conf\n"),
                ("/etc/valkey/valkey.conf", "tls-cert-file /v.crt\nport 6379\n"),
            ],
            &[running("redis-server", "/usr/bin/redis-server 127.0.0.1:6379")],
            &[
                &format!("{file}:5 /var/lib/redis/redis.crt key=/etc/redis/redis key.pem at 127.0.0.1:6379,::1:6379"),
                &format!("{file}:7 /etc/redis/client.crt key=/var/lib/redis/client.key client"),
                "/etc/valkey/valkey.conf:1 /v.crt",
            ],
            &["/etc/redis/more/a:2: includes /etc/redis/redis.conf, which is being read: ignored"],
        );
        check(
            &[("/srv/r.conf", "")],
            &[running(
                "redis-server",
                "redis-server /srv/r.conf --tls-port 6380 --tls-cert-file /x --bind 192.0.2.1 ::1",
            )],
            &["/srv/r.conf:0 /x at 192.0.2.1:6380,::1:6380"],
            &[],
        );
    }
}
