//! lighttpd: `ssl.pemfile` of the server, of its sockets and of its hosts.

mod contexts;

use std::path::{Path, PathBuf};

use contexts::Contexts;

use super::super::mention::{Listen, Mention, Server};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::{Running, below, distinct, processes};

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let started = processes(running, &["lighttpd", "lighttpd-angel"])
        .filter_map(|process| Some(process.path(process.option("-f")?)));
    let files: Vec<(PathBuf, ())> = started.chain([PathBuf::from(FILE)]).map(|file| (file, ())).collect();
    let files = distinct(reading, files);
    files.iter().flat_map(|(file, ())| read(reading, file)).collect()
}

fn read(reading: &mut Reading, file: &Path) -> Vec<Mention> {
    let contexts = contexts::read(reading, file);
    let folder = file.parent().unwrap_or(Path::new("/"));
    let sockets = sockets(reading, &contexts);
    let mut mentions = Vec::new();
    for (at, context) in contexts.0.iter().enumerate() {
        let Some(pem) = context.settings.get("ssl.pemfile") else { continue };
        let path = |name: &str| Some(below(folder, &context.settings.get(name)?.text));
        let mut mention = pem.mention(Server::Lighttpd, below(folder, &pem.text));
        mention.key = path("ssl.privkey").filter(|key| *key != mention.certificate);
        mention.chain = path("ssl.ca-file").filter(|chain| *chain != mention.certificate);
        mention.names = contexts.chain(at).flat_map(|context| context.hosts.clone()).collect();
        // A socket's own certificate takes the place of the server's; a host's is for all sockets it is not within one of.
        let within: Vec<usize> = contexts.indices(at).filter(|at| contexts.is_socket(*at)).collect();
        for (socket, listens) in &sockets {
            let is_here = match within.first() {
                Some(own) => own == socket,
                None => {
                    let has_own =
                        contexts.0.get(*socket).is_some_and(|socket| socket.settings.contains_key("ssl.pemfile"));
                    !mention.names.is_empty() || *socket == at || !has_own
                }
            };
            if is_here {
                address::add(&mut mention.listens, listens.iter().copied());
            }
        }
        mentions.push(mention);
    }
    mentions
}

/// The sockets that speak TLS, by their contexts.
fn sockets(reading: &mut Reading, contexts: &Contexts) -> Vec<(usize, Vec<Listen>)> {
    let mut found = Vec::new();
    for (at, context) in contexts.0.iter().enumerate() {
        let engine = contexts.chain(at).find_map(|context| context.settings.get("ssl.engine"));
        let Some(engine) = engine.filter(|engine| engine.text.eq_ignore_ascii_case("enable")) else { continue };
        if found.len() >= MOST {
            reading.note(&engine.file, engine.line, format!("more than {MOST} sockets: ignored"));
            break;
        }
        let spot = match &context.socket {
            Some(socket) => Spot::parse(socket).filter(|_| !socket.starts_with('/')),
            None if at == 0 => {
                let text = |name: &str| context.settings.get(name).map_or("", |value| value.text.as_str());
                let port = text("server.port").parse().unwrap_or(PORT);
                Some(Spot { host: Host::parse(text("server.bind")), ports: vec![port] })
                    .filter(|_| !text("server.bind").starts_with('/'))
            }
            None => None,
        };
        if let Some(spot) = spot {
            found.push((at, spot.listens(reading, (&engine.file, engine.line), &[PORT], None)));
        }
    }
    found
}

const FILE: &str = "/etc/lighttpd/lighttpd.conf";
const PORT: u16 = 80;
/// So many sockets are read.
const MOST: usize = 1000;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = r#"
server.modules = (
    "mod_access", # a ) comment
    "mod_openssl" )
var.certs = "/etc/" + "certs"
server.port = 80
ssl.pemfile = certs + "/all.pem"
include "/etc/lighttpd/conf-enabled/*.conf"
include_shell "/usr/share/lighttpd/use-ipv6.pl " + server.port
include_shell "make conf"
$SERVER["socket"] == ":443" {
    ssl.engine = "enable"
    $HTTP["host"] =~ "(^|\.)Example\.com$" {
        ssl.pemfile = "/a.pem"
        ssl.privkey = "a.key"
        ssl.ca-file = "/chain.pem"
    }
}
$SERVER["socket"] == "[::1]:8443" { ssl.engine = "enable" ssl.pemfile = env.HOME + "/b.pem" }
$HTTP["host"] == "one.example.com" {
    ssl.pemfile = "/one.pem"
} else $HTTP["host"] == "two.example.com" {
    ssl.pemfile = "/two.pem"
}
"#;

    #[test]
    fn sockets_and_hosts_have_their_own() {
        let file = "/etc/lighttpd/lighttpd.conf";
        let sockets = "at *:443,::1:8443,192.0.2.1:444";
        check(
            &[
                (file, SAMPLE),
                (
                    "/etc/lighttpd/conf-enabled/x.conf",
                    "$SERVER[\"socket\"] == \"192.0.2.1:444\" {\n ssl.engine = \"enable\"\n ssl.pemfile = \"x.pem\"\n}\n",
                ),
            ],
            &[],
            &[
                &format!("{file}:7 /etc/certs/all.pem at *:443,::1:8443"),
                "/etc/lighttpd/conf-enabled/x.conf:3 /etc/lighttpd/x.pem at 192.0.2.1:444",
                &format!(
                    "{file}:14 /a.pem key=/etc/lighttpd/a.key chain=/chain.pem at *:443 for (^|\\.)example\\.com$"
                ),
                &format!("{file}:21 /one.pem {sockets} for one.example.com")
                    .replace(sockets, "at 192.0.2.1:444,*:443,::1:8443"),
                &format!("{file}:23 /two.pem {sockets} for two.example.com")
                    .replace(sockets, "at 192.0.2.1:444,*:443,::1:8443"),
            ],
            &[
                "/etc/lighttpd/lighttpd.conf:10: includes what \"make conf\" prints: not followed",
                "/etc/lighttpd/lighttpd.conf:19: ssl.pemfile has a value that is not known: not followed",
            ],
        );
    }

    #[test]
    fn debians_scripts_are_known() {
        let text = "include_shell \"/usr/share/lighttpd/include-conf-enabled.pl\"\nserver.bind = \"127.0.0.1\"\nssl.engine = \"enable\"\n}\n";
        check(
            &[
                ("/srv/l.conf", text),
                ("/etc/lighttpd/conf-enabled/10-ssl.conf", "ssl.pemfile = \"/etc/lighttpd/server.pem\""),
            ],
            &[running("lighttpd", "/usr/sbin/lighttpd -D -f /srv/l.conf")],
            &["/etc/lighttpd/conf-enabled/10-ssl.conf:1 /etc/lighttpd/server.pem at 127.0.0.1:80"],
            &["/srv/l.conf:4: a } closes nothing"],
        );
    }
}
