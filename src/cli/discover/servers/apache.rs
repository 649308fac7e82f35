//! Apache httpd: `SSLCertificateFile` of its virtual hosts and of the server itself, and the certificates of its proxy.
//! `<IfModule>` and `<IfDefine>` count as true: which modules are loaded is not looked at.

mod directives;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use directives::Directive;

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Host, Spot};
use super::{Running, below, distinct, processes};

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let started = processes(running, &["apache2", "httpd", "httpd.worker"]).filter_map(started_with);
    let usual = PLACES.iter().map(|(file, root)| (PathBuf::from(file), PathBuf::from(root)));
    let files = distinct(reading, started.chain(usual).collect::<Vec<_>>());
    files.iter().flat_map(|(file, root)| read(reading, file, root)).collect()
}

/// The file and the root that a process was told to read, where it was told.
fn started_with(process: &Running) -> Option<(PathBuf, PathBuf)> {
    let root = process.option("-d").map(|root| process.path(root));
    let usual = PLACES.iter().find(|(file, _)| file.contains(&process.program)).or(PLACES.first())?;
    let folder = root.clone().unwrap_or_else(|| PathBuf::from(usual.1));
    match process.option("-f") {
        Some(file) => Some((below(&folder, file), folder)),
        None => root.map(|root| (root.join(Path::new(usual.0).strip_prefix(usual.1).unwrap_or(Path::new(""))), root)),
    }
}

fn read(reading: &mut Reading, file: &Path, root: &Path) -> Vec<Mention> {
    let variables = environment(reading, file);
    let (directives, root) = directives::read(reading, file, root, variables);
    let mut reader = Reader { reading, root, mentions: Vec::new() };
    let mut listen: Vec<Listen> = Vec::new();
    for directive in every(&directives, "listen") {
        address::add(&mut listen, reader.listen(directive));
    }
    let mut hosts: BTreeMap<Option<usize>, Place<'_>> = BTreeMap::new();
    for directive in &directives {
        let host = hosts.entry(directive.host).or_default();
        host.directives.entry(&directive.name).or_default().push(directive);
    }
    let global = hosts.remove(&None).unwrap_or_default();
    let hosts: Vec<Place<'_>> = hosts.into_values().collect();
    for host in &hosts {
        reader.host(host, &global, &listen);
    }
    reader.global(&global, &hosts, &listen);
    for directive in every(&directives, "sslproxymachinecertificatefile") {
        let mention = reader.mention(directive);
        reader.mentions.extend(mention.map(|mention| Mention { side: Side::Client, ..mention }));
    }
    for directive in &directives {
        if let Some((_, what)) = NOT_FOLLOWED.iter().find(|(name, _)| directive.name == *name) {
            let subject = directive.words.join(" ");
            reader.reading.note(&directive.file, directive.line, format!("{what} ({subject}): not followed"));
        }
    }
    reader.mentions
}

/// What Debian's scripts export to the server: its configuration uses it.
fn environment(reading: &mut Reading, file: &Path) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let text = file.parent().and_then(|folder| reading.text(&folder.join("envvars")));
    for line in text.iter().flat_map(|text| text.lines()) {
        if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            // The suffix is that of a second instance: the first has none.
            let value = value.trim_matches(['"', '\'']).replace("$SUFFIX", "");
            variables.insert(name.to_owned(), value);
        }
    }
    variables
}

struct Reader<'a> {
    reading: &'a mut Reading,
    root: PathBuf,
    mentions: Vec<Mention>,
}

/// A virtual host, or what is outside of all.
#[derive(Default)]
struct Place<'a> {
    /// By their names.
    directives: BTreeMap<&'a str, Vec<&'a Directive>>,
}

impl<'a> Place<'a> {
    fn all(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &'a Directive> {
        self.directives.get(name).into_iter().flatten().copied()
    }

    fn last(&self, name: &'static str) -> Option<&'a Directive> {
        self.all(name).next_back()
    }

    /// Whether TLS is spoken here; nothing where it is not said.
    fn is_secured(&self) -> Option<bool> {
        let engine = self.last("sslengine")?;
        Some(engine.words.first().is_some_and(|word| !word.eq_ignore_ascii_case("off")))
    }

    fn names(&self) -> Vec<String> {
        let words = self.all("servername").take(1).chain(self.all("serveralias")).flat_map(|names| &names.words);
        words.map(|name| plain_name(name)).filter(|name| !name.is_empty()).collect()
    }
}

impl Reader<'_> {
    /// A virtual host, with what it inherits.
    fn host(&mut self, host: &Place<'_>, global: &Place<'_>, listen: &[Listen]) {
        let is_secured = host.is_secured().or(global.is_secured()) == Some(true);
        let has_own = host.last("sslcertificatefile").is_some();
        if !is_secured && !has_own {
            return;
        }
        let mut listens = Vec::new();
        for start in host.all("virtualhost").filter(|_| is_secured) {
            for address in &start.words {
                address::add(&mut listens, self.address(address, start, listen));
            }
        }
        let certificates = merged(host, global, "sslcertificatefile");
        let keys = merged(host, global, "sslcertificatekeyfile");
        let chain = host.last("sslcertificatechainfile").or(global.last("sslcertificatechainfile"));
        self.pairs(&certificates, &keys, chain, &listens, &host.names());
        if certificates.is_empty() {
            self.managed(host, global, &listens);
        }
    }

    /// The certificates of the server itself, where it speaks TLS outside of virtual hosts, or where none inherits them.
    fn global(&mut self, global: &Place<'_>, hosts: &[Place<'_>], listen: &[Listen]) {
        let certificates: Vec<_> = global.all("sslcertificatefile").take(MOST).collect();
        let is_secured = global.is_secured() == Some(true);
        let Some(first) = certificates.first() else { return };
        let is_said = self.mentions.iter().any(|mention| mention.file == *first.file && mention.line == first.line);
        if is_said && !(is_secured && hosts.is_empty()) {
            return;
        }
        let listens = if is_secured && hosts.is_empty() { listen } else { &[] };
        let keys: Vec<_> = global.all("sslcertificatekeyfile").collect();
        self.pairs(&certificates, &keys, global.last("sslcertificatechainfile"), listens, &global.names());
    }

    fn pairs(
        &mut self,
        certificates: &[&Directive],
        keys: &[&Directive],
        chain: Option<&Directive>,
        listens: &[Listen],
        names: &[String],
    ) {
        for (at, directive) in certificates.iter().enumerate() {
            if self.mentions.len() >= MENTIONS {
                return self.reading.note(
                    &directive.file,
                    directive.line,
                    format!("more than {MENTIONS} certificates: ignored"),
                );
            }
            let Some(mut mention) = self.mention(directive) else { continue };
            mention.key = keys.get(at).and_then(|key| self.path(key)).filter(|key| *key != mention.certificate);
            mention.chain = chain.and_then(|chain| self.path(chain));
            mention.listens = listens.to_vec();
            mention.names = names.to_vec();
            self.mentions.push(mention);
        }
    }

    /// What mod_md keeps for a virtual host that names no certificate.
    fn managed(&mut self, host: &Place<'_>, global: &Place<'_>, listens: &[Listen]) {
        let names = host.names();
        let domains: Vec<_> = global.all("mdomain").chain(host.all("mdomain")).collect();
        let domain = domains.iter().find(|domain| domain.words.iter().any(|word| names.contains(&word.to_lowercase())));
        let Some((domain, name)) = domain.and_then(|domain| Some((*domain, domain.words.first()?))) else { return };
        let store = global.last("mdstoredir").and_then(|store| store.words.first()).map_or("md", String::as_str);
        let folder = below(&self.root, store).join("domains").join(name);
        let certificate = folder.join("pubcert.pem");
        if !self.reading.exists(&certificate) {
            let what = format!("mod_md keeps the certificate of {name}, and not in {}: not followed", folder.display());
            self.reading.note(&domain.file, domain.line, what);
            return;
        }
        let mut mention = Mention::new(Server::Apache, &domain.file, domain.line, certificate);
        mention.key = Some(folder.join("privkey.pem"));
        mention.listens = listens.to_vec();
        mention.names = names;
        self.mentions.push(mention);
    }

    fn mention(&mut self, directive: &Directive) -> Option<Mention> {
        let path = self.path(directive)?;
        Some(Mention::new(Server::Apache, &directive.file, directive.line, path))
    }

    /// The file that a directive names; what is none is noted.
    fn path(&mut self, directive: &Directive) -> Option<PathBuf> {
        let name = directive.words.first()?;
        let why = if name.contains("${") {
            "has a variable that is not defined"
        } else if name.contains("pkcs11:") {
            "names no file"
        } else {
            return Some(below(&self.root, name));
        };
        self.reading.note(&directive.file, directive.line, format!("{name} {why}: not followed"));
        None
    }

    fn listen(&mut self, directive: &Directive) -> Vec<Listen> {
        let Some(spot) = directive.words.first().and_then(|word| Spot::parse(word)) else { return Vec::new() };
        spot.listens(self.reading, (&directive.file, directive.line), &[], None)
    }

    /// Where an address of a virtual host is: without a port it is at all of the server's.
    fn address(&mut self, address: &str, start: &Directive, listen: &[Listen]) -> Vec<Listen> {
        let (address, is_any) = address.strip_suffix(":*").map_or((address, false), |address| (address, true));
        let Some(spot) = Spot::parse(address) else { return Vec::new() };
        if is_any || spot.ports.is_empty() {
            let is_here = |listen: &&Listen| match spot.host {
                Host::At(here) => listen.address.is_none_or(|address| address == here),
                Host::All | Host::Named(_) => true,
            };
            let address = if let Host::At(here) = spot.host { Some(here) } else { None };
            return listen
                .iter()
                .filter(is_here)
                .map(|one| Listen { address: address.or(one.address), ..*one })
                .collect();
        }
        spot.listens(self.reading, (&start.file, start.line), &[], None)
    }
}

/// A virtual host's directives take the places of the server's, one by one: so mod_ssl merges them.
fn merged<'a>(host: &Place<'a>, global: &Place<'a>, name: &'static str) -> Vec<&'a Directive> {
    let own: Vec<_> = host.all(name).collect();
    let count = own.len();
    own.into_iter().chain(global.all(name).skip(count)).take(MOST).collect()
}

/// A name without the scheme and the port that `ServerName` may have.
fn plain_name(name: &str) -> String {
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    let name = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(name, |(name, _)| name);
    name.to_lowercase()
}

fn every<'a>(directives: &'a [Directive], name: &'static str) -> impl Iterator<Item = &'a Directive> {
    directives.iter().filter(move |directive| directive.name == name)
}

/// So many certificates of one host, and of all hosts, are read.
const MOST: usize = 100;
const MENTIONS: usize = 20_000;

/// All that a reader looks at: nothing else is kept.
fn is_wanted(name: &str) -> bool {
    WANTED.contains(&name) || NOT_FOLLOWED.iter().any(|(other, _)| *other == name)
}

const WANTED: [&str; 10] = [
    "listen",
    "mdomain",
    "mdstoredir",
    "serveralias",
    "servername",
    "sslcertificatechainfile",
    "sslcertificatefile",
    "sslcertificatekeyfile",
    "sslengine",
    "sslproxymachinecertificatefile",
];
const NOT_FOLLOWED: [(&str, &str); 4] = [
    ("mdcertificatefile", "mod_md is given a certificate"),
    ("sslproxymachinecertificatepath", "the proxy's certificates are a folder"),
    ("gnutlscertificatefile", "mod_gnutls is given a certificate"),
    ("nsscertificatedatabase", "mod_nss keeps certificates in a database"),
];
/// The main file, and the root that was compiled in.
const PLACES: [(&str, &str); 3] = [
    ("/etc/apache2/apache2.conf", "/etc/apache2"),
    ("/etc/httpd/conf/httpd.conf", "/etc/httpd"),
    ("/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2"),
];

#[cfg(test)]
pub(super) mod tests;
