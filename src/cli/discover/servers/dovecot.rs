//! Dovecot: `ssl_cert` of 2.3 and `ssl_server_cert_file` of 2.4, for all clients, for names, addresses and protocols.

mod blocks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blocks::{Block, Settings};

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::{Running, Value, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let started = processes(running, &["dovecot"]).filter_map(|process| Some(process.path(process.option("-c")?)));
    let files: Vec<(PathBuf, ())> = started.chain(PLACES.iter().map(PathBuf::from)).map(|file| (file, ())).collect();
    let files = distinct(reading, files);
    files.iter().flat_map(|(file, ())| read(reading, file)).collect()
}

fn read(reading: &mut Reading, file: &Path) -> Vec<Mention> {
    let blocks = blocks::read(reading, file);
    let listeners = listeners(reading, &blocks);
    let mut mentions = Vec::new();
    for block in blocks.all() {
        for (certificate, key, side) in PAIRS {
            let Some(value) = block.settings.get(certificate) else { continue };
            let Some(path) = path(reading, value, certificate) else { continue };
            let mut mention = value.mention(Server::Dovecot, path);
            let key = blocks.value(&block.path, key).and_then(|value| self::path(reading, value, key));
            mention.key = key.filter(|key| *key != mention.certificate);
            mention.side = side;
            if side == Side::Server {
                mention.names = block.arguments("local_name").map(str::to_lowercase).collect();
                mention.listens = here(&listeners, block);
            }
            mentions.push(mention);
        }
    }
    mentions
}

/// The file that a setting names: in 2.3 its content is asked for by `<`.
fn path(reading: &mut Reading, value: &Value, name: &str) -> Option<PathBuf> {
    let text = value.text.trim();
    let path = if name.ends_with("_file") { Some(text) } else { text.strip_prefix('<').map(str::trim) };
    let path = path.map(|path| path.trim_start_matches('<').trim());
    match path {
        Some("") => None,
        Some(path) if path.starts_with('/') && !path.contains(['$', '%']) => Some(below(Path::new("/"), path)),
        _ if text.is_empty() => None,
        _ => {
            reading.note(&value.file, value.line, format!("{name} names no file that is known: not followed"));
            None
        }
    }
}

/// Where a protocol is spoken.
struct Listener {
    protocol: String,
    listen: Listen,
}

/// The listeners of one block: of its protocol, and at its address.
fn here(listeners: &[Listener], block: &Block) -> Vec<Listen> {
    let protocols: Vec<&str> = block.arguments("protocol").collect();
    let addresses: Vec<Host> = block.arguments("local").map(Host::parse).collect();
    let mut listens = Vec::new();
    for listener in listeners {
        let is_excluded = protocols.iter().any(|name| name.strip_prefix('!') == Some(&listener.protocol));
        let is_included =
            protocols.iter().all(|name| name.starts_with('!')) || protocols.contains(&&*listener.protocol);
        if is_excluded || !is_included {
            continue;
        }
        if addresses.is_empty() {
            address::add(&mut listens, [listener.listen]);
        }
        for address in &addresses {
            let Host::At(address) = *address else { continue };
            if listener.listen.address.is_none_or(|all| all == address) {
                address::add(&mut listens, [Listen { address: Some(address), ..listener.listen }]);
            }
        }
    }
    listens
}

/// Where TLS is offered, from the services and their defaults.
fn listeners(reading: &mut Reading, blocks: &blocks::Blocks) -> Vec<Listener> {
    let global = |name: &str| blocks.value(&[], name).map(|value| value.text.as_str());
    if global("ssl").is_some_and(|ssl| ssl == "no") {
        return Vec::new();
    }
    let protocols: Vec<&str> = global("protocols").unwrap_or(PROTOCOLS).split_whitespace().collect();
    let everywhere = global("listen").unwrap_or("*");
    let none = Settings::new();
    let mut found = Vec::new();
    for (protocol, starttls, defaults) in SERVICES {
        // In old files `imaps` is a protocol of its own.
        if !protocols.iter().any(|name| name.trim_end_matches('s') == protocol) {
            continue;
        }
        let service = format!("service {protocol}-login");
        let mut listeners: BTreeMap<String, (u16, bool, &Settings)> = BTreeMap::new();
        for (name, port, is_tls) in defaults {
            listeners.insert(format!("inet_listener {name}"), (port, is_tls, &none));
        }
        for block in blocks.all() {
            let [own, listener] = block.path.as_slice() else { continue };
            if *own == service && listener.starts_with("inet_listener") {
                listeners.entry(listener.clone()).or_insert((0, false, &none)).2 = &block.settings;
            }
        }
        for (port, is_tls, settings) in listeners.into_values() {
            let text = |name: &str| settings.get(name).map(|value| value.text.as_str());
            let Some(port) = text("port").map_or(Some(port), address::port).filter(|port| *port != 0) else { continue };
            let is_tls = text("ssl").map_or(is_tls, |ssl| ssl == "yes");
            let starttls = if is_tls { None } else { Some(starttls) };
            let place = settings.values().next().or(blocks.value(&[], "listen"));
            for address in text("address").or(text("listen")).unwrap_or(everywhere).split([' ', ',']) {
                if address.is_empty() {
                    continue;
                }
                let spot = Spot { host: Host::parse(address), ports: vec![port] };
                let place = place.map_or((Path::new(PLACES[0]), 0), |value| (&*value.file, value.line));
                let listens = spot.listens(reading, place, &[], starttls);
                let listeners = listens.into_iter().map(|listen| Listener { protocol: protocol.to_owned(), listen });
                found.extend(listeners.take(MOST.saturating_sub(found.len())));
            }
        }
    }
    found
}

const PLACES: [&str; 2] = ["/etc/dovecot/dovecot.conf", "/usr/local/etc/dovecot/dovecot.conf"];
/// So many listeners are read.
const MOST: usize = 200;
const PROTOCOLS: &str = "imap pop3";
/// A protocol, how its connections come to TLS, and its listeners: name, port, and whether they speak TLS at once.
type Service = (&'static str, StartTls, [(&'static str, u16, bool); 2]);
const SERVICES: [Service; 3] = [
    ("imap", StartTls::Imap, [("imap", 143, false), ("imaps", 993, true)]),
    ("pop3", StartTls::Pop3, [("pop3", 110, false), ("pop3s", 995, true)]),
    ("submission", StartTls::Smtp, [("submission", 587, false), ("submissions", 465, true)]),
];
/// The settings of a certificate and of its key.
const PAIRS: [(&str, &str, Side); 6] = [
    ("ssl_cert", "ssl_key", Side::Server),
    ("ssl_alt_cert", "ssl_alt_key", Side::Server),
    ("ssl_server_cert_file", "ssl_server_key_file", Side::Server),
    ("ssl_server_alt_cert_file", "ssl_server_alt_key_file", Side::Server),
    ("ssl_client_cert", "ssl_client_key", Side::Client),
    ("ssl_client_cert_file", "ssl_client_key_file", Side::Client),
];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
!include_try /usr/share/dovecot/protocols.d/*.protocol
ssl = required
ssl_cert = </etc/dovecot/a.pem # a comment
ssl_key = <  /etc/dovecot/a.key
!include conf.d/{b,c}.conf
local_name \"Mail.example.com www.example.com\" {
  ssl_cert = \\
     < /etc/dovecot/b.pem
}
local 192.0.2.1 {
  protocol imap {
    ssl_alt_cert = </etc/dovecot/c.pem
    ssl_alt_key = <$key
  }
}
protocol !imap {
  ssl_cert = '-----BEGIN CERTIFICATE-----'
}
ssl_client_cert = </etc/dovecot/client.pem
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener odd {
    address = ::1
    port = 1993
    ssl = yes
  }
}
";

    #[test]
    fn names_addresses_and_protocols_have_their_own() {
        let file = "/etc/dovecot/dovecot.conf";
        let all = "at *:993,::1:1993,*:110/pop3,*:995";
        check(
            &[
                (file, SAMPLE),
                ("/usr/share/dovecot/protocols.d/imapd.protocol", "protocols = $protocols imap\n"),
                ("/usr/share/dovecot/protocols.d/pop3d.protocol", "protocols = $protocols pop3\n"),
                ("/etc/dovecot/conf.d/b.conf", "listen = *, ::\n}\n"),
                ("/etc/dovecot/conf.d/c.conf", "!include c.conf\n!include gone.conf\nx {\n"),
            ],
            &[],
            &[
                &format!("{file}:3 /etc/dovecot/a.pem key=/etc/dovecot/a.key {all}"),
                &format!("{file}:19 /etc/dovecot/client.pem client"),
                &format!("{file}:12 /etc/dovecot/c.pem at 192.0.2.1:993"),
                &format!(
                    "{file}:7 /etc/dovecot/b.pem key=/etc/dovecot/a.key {all} for mail.example.com,www.example.com"
                ),
            ],
            &[
                "/etc/dovecot/conf.d/b.conf:2: a } closes nothing",
                "/etc/dovecot/conf.d/c.conf:1: includes /etc/dovecot/conf.d/c.conf, which is being read: ignored",
                "/etc/dovecot/conf.d/c.conf:2: includes gone.conf, which is not there",
                "/etc/dovecot/conf.d/c.conf:3: a block is not closed",
                "/etc/dovecot/dovecot.conf:13: ssl_alt_key names no file that is known: not followed",
                "/etc/dovecot/dovecot.conf:17: ssl_cert names no file that is known: not followed",
            ],
        );
    }

    #[test]
    fn the_settings_of_2_4_are_known() {
        let text = "dovecot_config_version = 2.4.0\nprotocols {\n  imap = yes\n  pop3 = no\n}\nssl_server {\n  cert_file = /a.pem\n  key_file = /a.key\n}\n\
                    local_name x {\n  ssl_server_cert_file = /x.pem\n  ssl_server_key_file = /a.key\n}\n";
        check(
            &[("/srv/d.conf", text), ("/etc/dovecot/dovecot.conf", "ssl = no\nssl_cert = </n.pem\n")],
            &[running("dovecot", "/usr/sbin/dovecot -F -c /srv/d.conf")],
            &[
                "/srv/d.conf:7 /a.pem key=/a.key at *:143/imap,*:993",
                "/srv/d.conf:11 /x.pem key=/a.key at *:143/imap,*:993 for x",
                "/etc/dovecot/dovecot.conf:2 /n.pem",
            ],
            &[],
        );
    }
}
