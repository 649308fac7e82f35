//! nginx: `ssl_certificate` of its `http`, `stream` and `mail` servers, and the certificates it shows to others.

mod directives;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directives::Directive;

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::{Running, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let started: Vec<PathBuf> = processes(running, &["nginx", "openresty", "angie"])
        .filter_map(|process| started_with(reading, process))
        .collect();
    let usual = PLACES.iter().map(PathBuf::from);
    let files = distinct(reading, started.into_iter().chain(usual).map(|file| (file, ())));
    files.iter().flat_map(|(file, ())| read(reading, file)).collect()
}

/// The file that a process was told to read. nginx rewrites its command line to one word: `nginx: master process nginx -c
/// FILE`.
fn started_with(reading: &mut Reading, process: &Running) -> Option<PathBuf> {
    let title = process.arguments.first()?;
    let process = match title.split_once(": master process ") {
        Some((_, line)) => &Running {
            arguments: line
                .split_whitespace()
                .chain(process.arguments.iter().skip(1).map(String::as_str))
                .map(str::to_owned)
                .collect(),
            ..process.clone()
        },
        None if title.contains(": worker process") => return None,
        None => process,
    };
    let prefix = process.option("-p").map(|prefix| process.path(prefix));
    let Some(file) = process.option("-c") else {
        return prefix.map(|prefix| prefix.join("conf/nginx.conf")).filter(|file| reading.exists(file));
    };
    // Without -p a relative path is below the prefix that was compiled in.
    let prefixes = prefix.into_iter().chain(PREFIXES.iter().map(PathBuf::from));
    let found = prefixes.map(|prefix| below(&prefix, file)).find(|file| reading.exists(file));
    if found.is_none() {
        reading.note_of(Path::new(file), format!("process {} was started with it, and it is not there", process.pid));
    }
    found
}

/// Reads a main file with all it includes.
fn read(reading: &mut Reading, file: &Path) -> Vec<Mention> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let directives = directives::read(reading, file, folder);
    let mut reader = Reader { reading, folder, mentions: Vec::new() };
    for directive in &directives {
        if let ("http" | "stream" | "mail", Some(block)) = (directive.name(), &directive.block) {
            reader.context(directive.name(), block);
        }
    }
    reader.clients(&directives, &BTreeMap::new());
    reader.mentions
}

struct Reader<'a> {
    reading: &'a mut Reading,
    /// Where relative paths begin.
    folder: &'a Path,
    mentions: Vec<Mention>,
}

impl Reader<'_> {
    /// The servers of a `http`, `stream` or `mail` block.
    fn context(&mut self, kind: &str, block: &[Directive]) {
        let outer = Pairs::of(block, &Pairs::default());
        let servers: Vec<&[Directive]> = named(block, "server").filter_map(|server| server.block.as_deref()).collect();
        let secured = secured(&servers);
        let mut is_outer_said = false;
        let outer_on = is_on(block, "ssl");
        for server in &servers {
            let pairs = Pairs::of(server, &outer);
            let listens = self.listens(kind, server, &secured, outer_on);
            let is_own = named(server, "ssl_certificate").next().is_some();
            // Over QUIC there is TLS, too, and no TCP port to name.
            let is_used = !listens.is_empty() || named(server, "listen").any(|listen| listen.has("quic"));
            if is_own || is_used {
                self.pairs(&pairs, &listens, &names(server));
                is_outer_said |= !is_own;
            }
        }
        // What no server uses is on this host, too.
        if !is_outer_said {
            self.pairs(&outer, &[], &[]);
        }
    }

    fn pairs(&mut self, pairs: &Pairs<'_>, listens: &[Listen], names: &[String]) {
        for (at, directive) in pairs.certificates.iter().enumerate() {
            if self.mentions.len() >= MENTIONS {
                let what = format!("more than {MENTIONS} certificates: ignored");
                return self.reading.note(&directive.file, directive.line, what);
            }
            let Some(mut mention) = self.mention(directive, pairs.keys.get(at).copied()) else { continue };
            mention.listens = listens.to_vec();
            mention.names = names.to_vec();
            self.mentions.push(mention);
        }
    }

    fn mention(&mut self, directive: &Directive, key: Option<&Directive>) -> Option<Mention> {
        let certificate = self.path(directive)?;
        let mut mention = Mention::new(Server::Nginx, &directive.file, directive.line, certificate);
        mention.key = key.and_then(|key| self.path(key)).filter(|key| *key != mention.certificate);
        Some(mention)
    }

    /// The file that a directive names; what is none is noted.
    fn path(&mut self, directive: &Directive) -> Option<PathBuf> {
        let name = directive.words.get(1).filter(|name| !name.is_empty())?;
        let why = if name.contains('$') {
            "has a variable: which files it names is decided for each connection"
        } else if ["data:", "engine:", "store:"].iter().any(|scheme| name.starts_with(scheme)) {
            "names no file"
        } else {
            return Some(below(self.folder, name));
        };
        self.reading.note(&directive.file, directive.line, format!("{} {why}", directive.name()));
        None
    }

    /// Where a server talks TLS.
    fn listens(
        &mut self,
        kind: &str,
        server: &[Directive],
        secured: &BTreeSet<(Host, u16)>,
        outer_on: bool,
    ) -> Vec<Listen> {
        let all_on = if named(server, "ssl").next().is_some() { is_on(server, "ssl") } else { outer_on };
        let starttls =
            named(server, "starttls").last().is_some_and(|starttls| starttls.has("on") || starttls.has("only"));
        let protocol = named(server, "protocol").last().and_then(|protocol| protocol.words.get(1));
        let mut listens = Vec::new();
        for directive in named(server, "listen") {
            let Some(spot) = spot(directive) else { continue };
            let is_tls = all_on || directive.has("ssl") || spots(&spot).any(|spot| secured.contains(&spot));
            for listen in spot.listens(self.reading, (&directive.file, directive.line), &[80], None) {
                let upgrade = if kind == "mail" && starttls { upgrade(protocol, listen.port) } else { None };
                if is_tls || upgrade.is_some() {
                    address::add(&mut listens, [Listen { starttls: if is_tls { None } else { upgrade }, ..listen }]);
                }
            }
        }
        if all_on && named(server, "listen").next().is_none() {
            listens.push(Listen { address: None, port: 80, starttls: None });
        }
        listens
    }

    /// What nginx shows to the servers behind it.
    fn clients(&mut self, block: &[Directive], outer: &BTreeMap<&str, &Directive>) {
        let own = block.iter().filter(|directive| CLIENTS.iter().any(|(_, key)| directive.name() == *key));
        let mut keys = outer.clone();
        keys.extend(own.map(|directive| (directive.name(), directive)));
        for directive in block {
            if let Some((_, key)) = CLIENTS.iter().find(|(name, _)| directive.name() == *name) {
                let key = keys.get(key).copied();
                let mention = self.mention(directive, key);
                self.mentions.extend(mention.map(|mention| Mention { side: Side::Client, ..mention }));
            }
            if let Some(inner) = &directive.block {
                self.clients(inner, &keys);
            }
        }
    }
}

/// Certificates and keys in force in a block: each kind is inherited where the block has none of it.
#[derive(Default)]
struct Pairs<'a> {
    certificates: Vec<&'a Directive>,
    keys: Vec<&'a Directive>,
}

impl<'a> Pairs<'a> {
    fn of(block: &'a [Directive], outer: &Pairs<'a>) -> Self {
        let own = |name, outer: &Vec<&'a Directive>| {
            let own: Vec<_> = named(block, name).take(MOST).collect();
            if own.is_empty() { outer.clone() } else { own }
        };
        Self {
            certificates: own("ssl_certificate", &outer.certificates),
            keys: own("ssl_certificate_key", &outer.keys),
        }
    }
}

/// Where TLS is on: one server that says `ssl` says it for all that listen there.
fn secured(servers: &[&[Directive]]) -> BTreeSet<(Host, u16)> {
    let listens = servers.iter().flat_map(|server| named(server, "listen")).filter(|listen| listen.has("ssl"));
    listens.filter_map(spot).flat_map(|spot| spots(&spot).collect::<Vec<_>>()).collect()
}

fn spots(spot: &Spot) -> impl Iterator<Item = (Host, u16)> {
    let ports = if spot.ports.is_empty() { &[80][..] } else { &spot.ports };
    ports.iter().map(|port| (spot.host.clone(), *port))
}

/// Where a `listen` listens over TCP.
fn spot(listen: &Directive) -> Option<Spot> {
    let address = listen.words.get(1)?;
    let is_tcp = !address.starts_with("unix:") && !listen.has("quic") && !listen.has("udp");
    Spot::parse(address).filter(|_| is_tcp)
}

/// How a mail server's connection comes to TLS; its protocol follows from the port where it is not said.
fn upgrade(protocol: Option<&String>, port: u16) -> Option<StartTls> {
    match (protocol.map(String::as_str), port) {
        (Some("smtp"), _) | (None, 25 | 587) => Some(StartTls::Smtp),
        (Some("imap"), _) | (None, 143) => Some(StartTls::Imap),
        (Some("pop3"), _) | (None, 110) => Some(StartTls::Pop3),
        _ => None,
    }
}

/// The names of a server, but for those that are no name of anything.
fn names(server: &[Directive]) -> Vec<String> {
    let words = named(server, "server_name").flat_map(|directive| directive.words.iter().skip(1));
    words.filter(|name| !name.is_empty() && *name != "_").map(|name| name.to_lowercase()).collect()
}

fn named<'a>(block: &'a [Directive], name: &'static str) -> impl Iterator<Item = &'a Directive> {
    block.iter().filter(move |directive| directive.name() == name)
}

fn is_on(block: &[Directive], name: &'static str) -> bool {
    named(block, name).last().is_some_and(|directive| directive.has("on"))
}

/// All that a reader looks at beside blocks: nothing else is kept.
fn is_wanted(name: &str) -> bool {
    let own = ["listen", "server_name", "ssl", "ssl_certificate", "ssl_certificate_key", "protocol", "starttls"];
    own.contains(&name) || CLIENTS.iter().any(|pair| [pair.0, pair.1].contains(&name))
}

type File = Arc<Path>;

/// So many certificates of one server, and of all servers, are read.
const MOST: usize = 100;
const MENTIONS: usize = 20_000;

const CLIENTS: [(&str, &str); 3] = [
    ("proxy_ssl_certificate", "proxy_ssl_certificate_key"),
    ("grpc_ssl_certificate", "grpc_ssl_certificate_key"),
    ("uwsgi_ssl_certificate", "uwsgi_ssl_certificate_key"),
];
const PLACES: [&str; 5] = [
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
    "/etc/openresty/nginx.conf",
    "/etc/angie/angie.conf",
];
const PREFIXES: [&str; 4] = ["/usr/share/nginx", "/usr/local/nginx", "/etc/nginx", "/usr/local/openresty/nginx"];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = r#"
user www-data; # a comment with ; and {
http {
    log_format main '$remote_addr "$request" {';
    map $http_upgrade $connection { default upgrade; '' close; }
    ssl_certificate outer.crt;
    ssl_certificate_key /keys/outer.key;
    include conf.d/*.conf;
    server { listen 80 default_server; server_name _; return 301 https://$host$request_uri; }
    server {
        listen 443 ssl http2; listen [::]:443 ssl; listen 443 quic; listen unix:/run/x ssl;
        server_name WWW.example.com "example.com"
            *.example.net;
        ssl_certificate "rsa.crt"; ssl_certificate_key 'rsa.key';
        ssl_certificate /c/ec.pem;  ssl_certificate_key /c/ec.pem;
        ssl_trusted_certificate /c/ca.crt;
        location ~ "^/a\.b{2}/;\"x" {
            proxy_pass https://up; proxy_ssl_certificate /c/client.crt; proxy_ssl_certificate_key /c/client.key;
            rewrite_by_lua_block { local a = "}" -- }
                b = [[ } ]] }
        }
    }
    server { listen 127.0.0.1:443; server_name plain.example.com; }
    server { listen 443; server_name same.example.com; ssl_certificate ${ssl_server_name}.crt; }
}
stream { server { listen 853 ssl; ssl_certificate /c/dns.pem; ssl_certificate_key engine:pkcs11:dns; } }
mail {
    ssl_certificate /c/mail.pem; ssl_certificate_key /c/mail.key;
    server { listen 143; protocol imap; starttls on; }
    server { listen 993 ssl; protocol imap; }
    server { listen 25; }
}
"#;

    #[test]
    fn servers_inherit_listen_and_are_named() {
        let files = [
            ("/etc/nginx/nginx.conf", SAMPLE),
            ("/etc/nginx/conf.d/a.conf", "server { listen 8443 ssl; server_name a; }"),
            ("/etc/nginx/conf.d/.b.conf", "server { listen 1 ssl; }"),
            ("/etc/nginx/conf.d/c.conf", "server { ssl on; server_name c; ssl_certificate_key data:x; }"),
        ];
        let file = "/etc/nginx/nginx.conf";
        check(
            &files,
            &[],
            &[
                &format!("{file}:6 /etc/nginx/outer.crt key=/keys/outer.key at *:8443 for a"),
                &format!("{file}:6 /etc/nginx/outer.crt at *:80 for c"),
                &format!(
                    "{file}:14 /etc/nginx/rsa.crt key=/etc/nginx/rsa.key at *:443 for www.example.com,example.com,*.example.net"
                ),
                &format!("{file}:15 /c/ec.pem at *:443 for www.example.com,example.com,*.example.net"),
                &format!("{file}:26 /c/dns.pem at *:853"),
                &format!("{file}:28 /c/mail.pem key=/c/mail.key at *:143/imap"),
                &format!("{file}:28 /c/mail.pem key=/c/mail.key at *:993"),
                &format!("{file}:18 /c/client.crt key=/c/client.key client"),
            ],
            &[
                "/etc/nginx/conf.d/c.conf:1: ssl_certificate_key names no file",
                "/etc/nginx/nginx.conf:24: ssl_certificate has a variable: which files it names is decided for each connection",
                "/etc/nginx/nginx.conf:26: ssl_certificate_key names no file",
            ],
        );
    }

    #[test]
    fn a_running_server_says_which_file_it_reads() {
        let server = |path| format!("http {{ server {{ listen 443 ssl; ssl_certificate {path}; }} }}");
        let (one, other) = (server("one.pem"), server("/other.pem"));
        let files = [("/srv/n/conf/nginx.conf", one.as_str()), ("/srv/x.conf", &other)];
        let started = [
            running("nginx", "nginx: master process /usr/sbin/nginx -p /srv/n/"),
            running("nginx", "nginx: worker process"),
            running("nginx", "/usr/sbin/nginx -g daemon_off; -c /srv/x.conf"),
            running("nginx", "nginx -c /gone.conf"),
        ];
        check(
            &files,
            &started,
            &["/srv/n/conf/nginx.conf:1 /srv/n/conf/one.pem at *:443", "/srv/x.conf:1 /other.pem at *:443"],
            &["/gone.conf: process 7 was started with it, and it is not there"],
        );
    }

    #[test]
    fn a_certificate_that_no_server_uses_is_said_too() {
        let text = "http { ssl_certificate /a.pem; server { listen 80; } }\nstream { ssl_certificate /s.pem; server { listen 1; } }";
        let expected = ["/etc/nginx/nginx.conf:1 /a.pem", "/etc/nginx/nginx.conf:2 /s.pem"];
        check(&[("/etc/nginx/nginx.conf", text)], &[], &expected, &[]);
        let text = "http { ssl_certificate /a.pem; server { listen 443 quic; server_name q; } }";
        check(&[("/etc/nginx/nginx.conf", text)], &[], &["/etc/nginx/nginx.conf:1 /a.pem for q"], &[]);
        let text = "http { ssl_certificate /a.pem; server { listen 80; ssl_certificate /b.pem; } }";
        let expected = ["/etc/nginx/nginx.conf:1 /b.pem", "/etc/nginx/nginx.conf:1 /a.pem"];
        check(&[("/etc/nginx/nginx.conf", text)], &[], &expected, &[]);
    }

    #[test]
    fn what_is_included_ends() {
        let text = "http { include nginx.conf; include gone.conf; server { ssl_certificate /a.pem; }";
        check(
            &[("/etc/nginx/nginx.conf", text), ("/etc/angie/angie.conf", "}")],
            &[],
            &["/etc/nginx/nginx.conf:1 /a.pem"],
            &[
                "/etc/nginx/nginx.conf:1: includes /etc/nginx/nginx.conf, which is being read: ignored",
                "/etc/nginx/nginx.conf:1: includes gone.conf, which is not there",
                "/etc/nginx/nginx.conf:1: a block is not closed",
                "/etc/angie/angie.conf:1: a } closes nothing",
            ],
        );
        let deep = "a{".repeat(100_000);
        check(
            &[("/etc/nginx/nginx.conf", &deep)],
            &[],
            &[],
            &["/etc/nginx/nginx.conf:1: blocks are nested too deeply: the rest of the file is ignored"],
        );
    }
}
