//! Exim: `tls_certificate` of the server and of its transports, with macros and conditions. What is computed for each
//! connection is noted.

mod statements;

use std::path::{Path, PathBuf};

use statements::Statements;

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::{Running, Value, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let mut ports = None;
    let mut files: Vec<PathBuf> = Vec::new();
    for process in processes(running, &["exim4", "exim"]) {
        ports = process.option("-oX").map(str::to_owned).or(ports);
        files.extend(process.option("-C").map(|file| process.path(file)));
    }
    // Of Debian's two the first counts.
    let debian = DEBIAN.iter().find(|file| reading.exists(Path::new(file)));
    files.extend(debian.into_iter().chain(&FILES).map(PathBuf::from));
    let files = distinct(reading, files.into_iter().map(|file| (file, ())).collect::<Vec<_>>());
    files.iter().flat_map(|(file, ())| read(reading, file, ports.as_deref())).collect()
}

fn read(reading: &mut Reading, file: &Path, ports: Option<&str>) -> Vec<Mention> {
    let statements = statements::read(reading, file);
    let mut mentions = pairs(reading, statements.main.get("tls_certificate"), statements.main.get("tls_privatekey"));
    if !mentions.is_empty() {
        let listens = listens(reading, &statements, ports, file);
        mentions.iter_mut().for_each(|mention| mention.listens.clone_from(&listens));
    }
    for transport in statements.transports.values() {
        let found = pairs(reading, transport.get("tls_certificate"), transport.get("tls_privatekey"));
        mentions.extend(found.into_iter().map(|mention| Mention { side: Side::Client, ..mention }));
    }
    mentions
}

/// Certificates with their keys, in two lists of one order.
fn pairs(reading: &mut Reading, certificates: Option<&Value>, keys: Option<&Value>) -> Vec<Mention> {
    let Some(certificates) = certificates.filter(|certificates| !certificates.text.is_empty()) else {
        return Vec::new();
    };
    let paths = paths(reading, certificates);
    let keys = keys.filter(|keys| !keys.text.is_empty()).map(|keys| self::paths(reading, keys)).unwrap_or_default();
    let mut mentions = Vec::new();
    for (at, path) in paths.into_iter().enumerate() {
        let mut mention = certificates.mention(Server::Exim, path);
        mention.key = keys.get(at).filter(|key| **key != mention.certificate).cloned();
        mentions.push(mention);
    }
    mentions
}

fn paths(reading: &mut Reading, value: &Value) -> Vec<PathBuf> {
    if value.text.contains('$') {
        value.note(reading, "is computed for each connection");
        return Vec::new();
    }
    let mut paths = Vec::new();
    for name in list(&value.text) {
        if name.starts_with('/') {
            paths.push(below(Path::new("/"), name));
        } else {
            value.note(reading, "names no absolute path");
        }
    }
    paths
}

/// The items of a list: separated by colons, or by what follows a `<` at its beginning.
fn list(text: &str) -> Vec<&str> {
    let text = text.trim();
    let mut rest = text.chars();
    let (separator, items) = match (rest.next(), rest.next()) {
        (Some('<'), Some(separator)) if separator.is_ascii_punctuation() => (separator, rest.as_str()),
        _ => (':', text),
    };
    items.split(separator).map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// Where it listens: with TLS at once at some ports, and with STARTTLS at the others.
fn listens(reading: &mut Reading, statements: &Statements, ports: Option<&str>, file: &Path) -> Vec<Listen> {
    let text = |name: &str| statements.main.get(name).map(|value| value.text.as_str());
    let numbers = |text: &str| -> Vec<u16> { list(text).into_iter().filter_map(address::port).collect() };
    let ports = ports.or(text("daemon_smtp_ports")).or(text("daemon_smtp_port")).map_or(vec![PORT], numbers);
    let at_once = text("tls_on_connect_ports").map(numbers).unwrap_or_default();
    let is_offered = text("tls_advertise_hosts").is_none_or(|hosts| !hosts.is_empty());
    let interfaces = text("local_interfaces").map_or(vec!["*"], list);
    let place = statements.main.get("local_interfaces").map_or((file, 0), |value| (&*value.file, value.line));
    let mut listens = Vec::new();
    for interface in interfaces {
        // `192.0.2.1.25` has a port, too.
        let dotted = interface.rsplit_once('.').filter(|_| interface.matches('.').count() == 4);
        let spot = match dotted.and_then(|(host, port)| Some((Host::parse(host), port.parse().ok()?))) {
            Some((host, port)) => Some(Spot { host, ports: vec![port] }),
            None if interface.starts_with('[') => Spot::parse(interface),
            None => Some(Spot { host: Host::parse(interface), ports: Vec::new() }),
        };
        let Some(spot) = spot else { continue };
        let found = spot.listens(reading, place, &ports, None).into_iter();
        let found = found.filter(|listen| is_offered || at_once.contains(&listen.port));
        address::add(
            &mut listens,
            found.map(|listen| Listen {
                starttls: (!at_once.contains(&listen.port)).then_some(StartTls::Smtp),
                ..listen
            }),
        );
    }
    listens
}

const PORT: u16 = 25;
const DEBIAN: [&str; 2] = ["/etc/exim4/exim4.conf", "/var/lib/exim4/config.autogenerated"];
const FILES: [&str; 2] = ["/etc/exim/exim.conf", "/usr/exim/configure"];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
# a comment
CONFDIR = /etc/exim4
MAIN_TLS_ENABLE = yes
.ifdef MAIN_TLS_ENABLE
.ifndef MAIN_TLS_CERTIFICATE
MAIN_TLS_CERTIFICATE = CONFDIR/exim.crt
.endif
tls_certificate = MAIN_TLS_CERTIFICATE : \\
    # within
    /etc/ec.crt
.else
tls_certificate = /no.crt
.endif
.ifdef NOT_DEFINED
.ifdef CONFDIR
tls_privatekey = /no.key
.endif
.elifdef CONFDIR
hide tls_privatekey = <; CONFDIR/exim.key ; /etc/ec.key
.endif
.include_if_exists CONFDIR/local
.include /gone
begin transports
remote_smtp:
  driver = smtp
  tls_certificate = /client.pem
other:
  driver = smtp
  tls_certificate = ${if eq{a}{b}{/x}{/y}}
begin acl
  tls_certificate = /not-there
";

    #[test]
    fn macros_and_conditions_are_followed() {
        let file = "/etc/exim4/exim4.conf";
        let local = "daemon_smtp_ports = 25 : 465 : 587\ntls_on_connect_ports = 465\nlocal_interfaces = <; 192.0.2.1 ; [::1]:26 ; 127.0.0.1.27\n.include /etc/exim4/exim4.conf\n";
        let at = "at 192.0.2.1:25/smtp,192.0.2.1:465,192.0.2.1:587/smtp,::1:26/smtp,127.0.0.1:27/smtp";
        check(
            &[
                (file, SAMPLE),
                ("/etc/exim4/local", local),
                ("/var/lib/exim4/config.autogenerated", "tls_certificate = /no.pem\n"),
                ("/etc/exim/exim.conf", "tls_certificate = /r.pem\ntls_advertise_hosts =\n"),
            ],
            &[],
            &[
                &format!("{file}:8 /etc/exim4/exim.crt key=/etc/exim4/exim.key {at}"),
                &format!("{file}:8 /etc/ec.crt key=/etc/ec.key {at}"),
                &format!("{file}:26 /client.pem client"),
                "/etc/exim/exim.conf:1 /r.pem",
            ],
            &[
                "/etc/exim4/local:4: includes /etc/exim4/exim4.conf, which is being read: ignored",
                "/etc/exim4/exim4.conf:22: includes /gone, which is not there",
                "/etc/exim4/exim4.conf:29: ${if eq{a}{b}{/x}{/y}} is computed for each connection: not followed",
            ],
        );
    }

    #[test]
    fn ports_of_the_command_line_count() {
        check(
            &[("/srv/e.conf", "A = B\nB = A\nX == A/x\ntls_certificate = \"/a\"\ntls_privatekey = A\n")],
            &[running("exim4", "/usr/sbin/exim4 -bd -oX 587:465 -C /srv/e.conf")],
            &["/srv/e.conf:4 /a at *:587/smtp,*:465/smtp"],
            &["/srv/e.conf:5: A names no absolute path: not followed"],
        );
    }
}
