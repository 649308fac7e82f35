//! Tomcat: the certificates of `server.xml`'s connectors, in files or in keystores, as each version writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node, ParsingOptions};

use super::super::mention::{Listen, Mention, Secret, Server};
use super::super::reading::Reading;
use super::address::{Host, Spot};
use super::lines::by_backslash;
use super::{Running, below, distinct, processes};

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let mut configurations: Vec<(PathBuf, BTreeMap<String, String>)> = Vec::new();
    for process in processes(running, &["java", "jsvc"]) {
        let options = process.arguments.iter().filter_map(|argument| argument.strip_prefix("-D")?.split_once('='));
        let properties: BTreeMap<String, String> =
            options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Some(base) = properties.get(BASE).or(properties.get(HOME)) {
            configurations.push((process.path(base), properties));
        }
    }
    for pattern in BASES {
        let bases = reading.glob(pattern);
        configurations.extend(bases.into_iter().map(|base| (base, BTreeMap::new())));
    }
    let files = configurations.into_iter().map(|(base, properties)| (base.join("conf/server.xml"), properties));
    let mut found = distinct(reading, files.collect::<Vec<_>>());
    // What was removed may have left its configuration.
    let left = FOLDERS.iter().flat_map(|pattern| reading.glob(pattern)).collect::<Vec<_>>();
    found.extend(left.into_iter().map(|file| (file, BTreeMap::new())));
    distinct(reading, found).into_iter().flat_map(|(file, properties)| read(reading, &file, properties)).collect()
}

fn read(reading: &mut Reading, file: &Path, mut properties: BTreeMap<String, String>) -> Vec<Mention> {
    let Some(text) = reading.text(file) else { return Vec::new() };
    let base = file.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let base = properties.get(BASE).map_or_else(|| base.to_owned(), PathBuf::from);
    if let Some(text) = reading.text(&base.join("conf/catalina.properties")) {
        for line in by_backslash(&text) {
            let line = line.text.trim().to_owned();
            if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', '!'])) {
                properties.entry(name.trim().to_owned()).or_insert_with(|| value.trim().to_owned());
            }
        }
    }
    properties.entry(HOME.to_owned()).or_insert_with(|| base.to_string_lossy().into_owned());
    properties.entry(BASE.to_owned()).or_insert_with(|| base.to_string_lossy().into_owned());
    let text = text.trim_start_matches('\u{feff}');
    // The reader of XML compares each attribute of an element with all others.
    if text.split('<').any(|tag| tag.matches('=').count() > ATTRIBUTES) {
        reading.note_of(file, format!("ignored: an element has more than {ATTRIBUTES} attributes"));
        return Vec::new();
    }
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let options = ParsingOptions { nodes_limit: NODES, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(error) => {
            reading.note(file, error.pos().row as usize, format!("is not XML that is followed: {error}"));
            return Vec::new();
        }
    };
    let mut reader = Reader { reading, file, starts, base, properties, mentions: Vec::new() };
    for connector in document.descendants().filter(|node| node.has_tag_name("Connector")) {
        reader.connector(connector);
    }
    reader.mentions
}

struct Reader<'a> {
    reading: &'a mut Reading,
    file: &'a Path,
    /// Where its lines start.
    starts: Vec<usize>,
    base: PathBuf,
    properties: BTreeMap<String, String>,
    mentions: Vec<Mention>,
}

/// The attributes of a certificate, under the names that its place has for them.
struct Names {
    certificate: &'static str,
    key: &'static str,
    chain: &'static str,
    keystore: &'static str,
    password: &'static str,
    kind: &'static str,
}

impl Reader<'_> {
    fn connector(&mut self, connector: Node<'_, '_>) {
        if !self.attribute(connector, "SSLEnabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return;
        }
        let listens = self.listens(connector);
        let before = self.mentions.len();
        let notes_before = self.has_noted(connector, &OLD);
        self.certificate(connector, &OLD, &listens, None);
        let mut is_said = notes_before;
        for host in connector.children().filter(|node| node.has_tag_name("SSLHostConfig")) {
            let name = self.attribute(host, "hostName").filter(|name| name != "_default_");
            is_said |= self.has_noted(host, &NEW);
            self.certificate(host, &NEW, &listens, name.as_deref());
            for certificate in host.children().filter(|node| node.has_tag_name("Certificate")) {
                is_said |= self.has_noted(certificate, &NEW);
                self.certificate(certificate, &NEW, &listens, name.as_deref());
            }
        }
        if self.mentions.len() == before && !is_said {
            self.note(
                connector,
                "no certificate is named: it is the keystore of the user that runs Tomcat (~/.keystore)",
            );
        }
    }

    /// Whether an element names a certificate, even one that is not followed.
    fn has_noted(&self, node: Node<'_, '_>, names: &Names) -> bool {
        [names.certificate, names.keystore].iter().any(|name| attribute(node, name).is_some())
    }

    fn certificate(&mut self, node: Node<'_, '_>, names: &Names, listens: &[Listen], name: Option<&str>) {
        let is_file = attribute(node, names.certificate).is_some();
        let named = if is_file { names.certificate } else { names.keystore };
        let is_token = self.attribute(node, names.kind).is_some_and(|kind| kind.eq_ignore_ascii_case("PKCS11"));
        if is_token && !is_file {
            return self.note(node, "the certificate is in a token (PKCS11): not followed");
        }
        let Some(path) = self.path(node, named) else { return };
        let mut mention = Mention::new(Server::Tomcat, self.file, self.line(node), path);
        if is_file {
            mention.key = self.path(node, names.key).filter(|key| *key != mention.certificate);
            mention.chain = self.path(node, names.chain);
        } else {
            mention.password = self.password(node, names);
        }
        mention.listens = listens.to_vec();
        mention.names = name.map(str::to_lowercase).into_iter().collect();
        self.mentions.push(mention);
    }

    /// A keystore's password: where none is said, Tomcat takes a word that everybody knows.
    fn password(&mut self, node: Node<'_, '_>, names: &Names) -> Option<Secret> {
        if let Some(path) = self.path(node, "certificateKeystorePasswordFile") {
            let text = self.reading.text(&path)?;
            return text.lines().next().map(|line| Secret::new(line.trim()));
        }
        match attribute(node, names.password) {
            Some(_) => self.attribute(node, names.password).map(|word| Secret::new(&word)),
            None => Some(Secret::new("changeit")),
        }
    }

    /// A file that an attribute names; what is none is noted.
    fn path(&mut self, node: Node<'_, '_>, name: &'static str) -> Option<PathBuf> {
        let text = self.attribute(node, name).filter(|text| !text.is_empty())?;
        let text = text.strip_prefix("file:").map_or(text.as_str(), |path| path.strip_prefix("//").unwrap_or(path));
        if text.contains("${") || text.contains("://") || text.starts_with("classpath:") {
            self.note(node, &format!("{name} names no file that is known: not followed"));
            return None;
        }
        Some(below(&self.base, text))
    }

    /// An attribute's value, with its properties in place.
    fn attribute(&self, node: Node<'_, '_>, name: &str) -> Option<String> {
        let value = attribute(node, name)?;
        let (mut done, mut rest) = (String::new(), value);
        while let Some((before, after)) = rest.split_once("${") {
            let Some((inner, after)) = after.split_once('}') else { break };
            done.push_str(before);
            let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, value)| (name, Some(value)));
            match self.properties.get(name).map(String::as_str).or(default) {
                Some(value) if done.len() + value.len() < LONGEST => done.push_str(value),
                _ => done.push_str(&format!("${{{inner}}}")),
            }
            rest = after;
        }
        Some(done + rest)
    }

    fn listens(&mut self, connector: Node<'_, '_>) -> Vec<Listen> {
        let port = self.attribute(connector, "port").and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        let Some(port) = port else {
            self.note(connector, "the connector's port is not known");
            return Vec::new();
        };
        let address = self.attribute(connector, "address").unwrap_or_default();
        let spot = Spot { host: Host::parse(&address), ports: vec![port] };
        spot.listens(self.reading, (self.file, self.line(connector)), &[], None)
    }

    fn line(&self, node: Node<'_, '_>) -> usize {
        self.starts.partition_point(|start| *start <= node.range().start)
    }

    fn note(&mut self, node: Node<'_, '_>, what: &str) {
        self.reading.note(self.file, self.line(node), what.to_owned());
    }
}

/// Tomcat takes `SSLCertificateFile` and `sSLCertificateFile` for one.
fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|attribute| attribute.name().eq_ignore_ascii_case(name)).map(|attribute| attribute.value())
}

const BASE: &str = "catalina.base";
const HOME: &str = "catalina.home";
const OLD: Names = Names {
    certificate: "SSLCertificateFile",
    key: "SSLCertificateKeyFile",
    chain: "SSLCertificateChainFile",
    keystore: "keystoreFile",
    password: "keystorePass",
    kind: "keystoreType",
};
const NEW: Names = Names {
    certificate: "certificateFile",
    key: "certificateKeyFile",
    chain: "certificateChainFile",
    keystore: "certificateKeystoreFile",
    password: "certificateKeystorePassword",
    kind: "certificateKeystoreType",
};
const BASES: [&str; 6] = [
    "/var/lib/tomcat*",
    "/var/lib/tomcats/*",
    "/usr/share/tomcat*",
    "/opt/tomcat*",
    "/opt/apache-tomcat*",
    "/usr/local/tomcat*",
];
const FOLDERS: [&str; 1] = ["/etc/tomcat*/server.xml"];
const LONGEST: usize = 65_536;
const ATTRIBUTES: usize = 1000;
/// So many elements and texts may one file have.
const NODES: u32 = 20_000;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Server port="8005" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <!-- <Connector port="1" SSLEnabled="true"><SSLHostConfig><Certificate certificateFile="/no.pem"/></SSLHostConfig></Connector> -->
    <Connector port="8080" protocol="HTTP/1.1" redirectPort="8443" />
    <Connector port="${https.port:-8443}" SSLEnabled="true" address="127.0.0.1">
      <SSLHostConfig>
        <Certificate certificateFile="conf/a&amp;b.pem" certificateKeyFile="${catalina.base}/conf/a.key"
                     certificateChainFile="conf/chain.pem" type="RSA" />
        <Certificate certificateKeystoreFile="${catalina.home}/ec.p12" certificateKeystorePassword="${ks.word}" type="EC" />
      </SSLHostConfig>
      <SSLHostConfig hostName="WWW.example.com" certificateKeystoreFile="file:///k/www.jks" />
      <SSLHostConfig hostName="t"><Certificate certificateKeystoreType="PKCS11" certificateKeystoreFile="NONE"/></SSLHostConfig>
    </Connector>
    <Connector port="8444" SSLEnabled="true" keystoreFile="old.jks" keystorePass="secret" />
    <Connector port="8445" SSLEnabled="true" SSLCertificateFile="/a/apr.pem" SSLCertificateKeyFile="${unknown}" />
    <Connector port="8446" SSLEnabled="true" />
  </Service>
</Server>
"#;

    #[test]
    fn connectors_of_all_ages_are_read() {
        let file = "/var/lib/tomcat10/conf/server.xml";
        check(
            &[
                ("/etc/tomcat10/server.xml", SAMPLE),
                ("/etc/tomcat10/catalina.properties", "# no\nks.word = \\\n  word\n"),
                ("/var/lib/tomcat10/conf", "->../../../etc/tomcat10"),
            ],
            &[],
            &[
                &format!(
                    "{file}:8 /var/lib/tomcat10/conf/a&b.pem key=/var/lib/tomcat10/conf/a.key chain=/var/lib/tomcat10/conf/chain.pem at 127.0.0.1:8443"
                ),
                &format!("{file}:10 /var/lib/tomcat10/ec.p12 password=word at 127.0.0.1:8443"),
                &format!("{file}:12 /k/www.jks password=changeit at 127.0.0.1:8443 for www.example.com"),
                &format!("{file}:15 /var/lib/tomcat10/old.jks password=secret at *:8444"),
                &format!("{file}:16 /a/apr.pem at *:8445"),
            ],
            &[
                &format!("{file}:13: the certificate is in a token (PKCS11): not followed"),
                &format!("{file}:16: SSLCertificateKeyFile names no file that is known: not followed"),
                &format!(
                    "{file}:17: no certificate is named: it is the keystore of the user that runs Tomcat (~/.keystore)"
                ),
            ],
        );
    }

    #[test]
    fn a_running_server_says_where_its_base_is() {
        let text = "<Server><Connector SSLEnabled='TRUE' port='${p}' keystoreFile='${catalina.home}/k' /></Server>";
        let command = "java -Dcatalina.base=/srv/base -Dcatalina.home=/usr/share/tomcat -Dp=444 org.apache.catalina.startup.Bootstrap";
        check(
            &[("/srv/base/conf/server.xml", text), ("/etc/tomcat/server.xml", "<Server>")],
            &[running("java", command), running("java", "java -jar x.jar")],
            &["/srv/base/conf/server.xml:1 /usr/share/tomcat/k password=changeit at *:444"],
            &["/etc/tomcat/server.xml:1: is not XML that is followed: the root node was opened but never closed"],
        );
        let deep = "<a>".repeat(100_000);
        check(
            &[("/etc/tomcat/server.xml", &deep)],
            &[],
            &[],
            &["/etc/tomcat/server.xml:1: is not XML that is followed: nodes limit reached"],
        );
    }
}
