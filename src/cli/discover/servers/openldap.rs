//! OpenLDAP: the certificate of `slapd.conf`, or of `slapd.d`, and those that replication shows to other servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::mention::{Listen, Mention, Server, Side};
use super::super::reading::Reading;
use super::address::{self, Spot};
use super::lines::{Line, by_indent, numbered};
use super::words::{LDAP, words};
use super::{Running, Value, below, distinct, processes};
use crate::core::wanted::entry::StartTls;

pub(super) fn find(reading: &mut Reading, running: &[Running]) -> Vec<Mention> {
    let mut configurations: Vec<(PathBuf, Option<String>)> = Vec::new();
    let mut urls = None;
    for process in processes(running, &["slapd"]) {
        let own = process.option("-h").map(str::to_owned);
        let folder = process.option("-F").map(|folder| process.path(folder).join(CONFIG));
        let file = process.option("-f").map(|file| process.path(file));
        configurations.extend(folder.or(file).map(|path| (path, own.clone())));
        urls = own.or(urls);
    }
    for (folder, file) in PLACES {
        // A folder takes the place of the file.
        let folder = Path::new(folder).join(CONFIG);
        let path = if reading.exists(&folder) { folder } else { PathBuf::from(file) };
        configurations.push((path, urls.clone()));
    }
    distinct(reading, configurations)
        .into_iter()
        .flat_map(|(path, urls)| read(reading, &path, urls.as_deref()))
        .collect()
}

fn read(reading: &mut Reading, path: &Path, urls: Option<&str>) -> Vec<Mention> {
    let mut found = Found::default();
    if path.ends_with(CONFIG) {
        let databases = path.with_file_name("cn=config");
        let databases = glob::Pattern::escape(&databases.to_string_lossy());
        found.ldif(reading, path);
        for file in reading.glob(&format!("{databases}/olcDatabase=*.ldif")) {
            found.ldif(reading, &file);
        }
    } else {
        found.file(reading, path, (path, 0));
    }
    let urls = match urls {
        Some(urls) => urls.to_owned(),
        None => services(reading),
    };
    let mut mentions = Vec::new();
    if let Some(mut mention) =
        found.certificate.as_ref().and_then(|certificate| mention(reading, certificate, found.key.as_ref()))
    {
        mention.listens = listens(reading, &urls, &mention);
        mentions.push(mention);
    }
    for replica in &found.replicas {
        let word = |name: &str| {
            let mut words = words(&replica.text, LDAP).into_iter();
            words.find_map(|word| word.strip_prefix(name).map(|text| Value::new(text, &replica.file, replica.line)))
        };
        let Some(certificate) = word("tls_cert=") else { continue };
        let mention = mention(reading, &certificate, word("tls_key=").as_ref());
        mentions.extend(mention.map(|mention| Mention { side: Side::Client, ..mention }));
    }
    mentions
}

fn mention(reading: &mut Reading, certificate: &Value, key: Option<&Value>) -> Option<Mention> {
    if !certificate.text.starts_with('/') {
        certificate.note(reading, "is not an absolute path, perhaps a name in a database");
        return None;
    }
    let mut mention = certificate.mention(Server::Openldap, below(Path::new("/"), &certificate.text));
    mention.key = key.map(|key| below(Path::new("/"), &key.text)).filter(|key| *key != mention.certificate);
    Some(mention)
}

/// The addresses that the service's settings hand to slapd; slapd itself listens for plain LDAP.
fn services(reading: &mut Reading) -> String {
    for (file, name) in [("/etc/default/slapd", "SLAPD_SERVICES="), ("/etc/sysconfig/slapd", "SLAPD_URLS=")] {
        let text = reading.text(Path::new(file));
        let lines = text.iter().flat_map(|text| text.lines());
        let value = lines.filter_map(|line| line.trim().strip_prefix(name)).next_back();
        if let Some(value) = value {
            return value.trim_matches(['"', '\'']).to_owned();
        }
    }
    "ldap:///".to_owned()
}

fn listens(reading: &mut Reading, urls: &str, mention: &Mention) -> Vec<Listen> {
    let mut listens = Vec::new();
    for url in urls.split_whitespace() {
        let (port, starttls, rest) = match url.split_once("://") {
            Some(("ldap", rest)) => (389, Some(StartTls::Ldap), rest),
            Some(("ldaps", rest)) => (636, None, rest),
            _ => continue,
        };
        let host = rest.split('/').next().unwrap_or_default();
        if let Some(spot) = Spot::parse(host) {
            address::add(&mut listens, spot.listens(reading, (&mention.file, mention.line), &[port], starttls));
        }
    }
    listens
}

#[derive(Default)]
struct Found {
    certificate: Option<Value>,
    key: Option<Value>,
    /// Of `syncrepl`, and of those that say the like.
    replicas: Vec<Value>,
}

impl Found {
    fn file(&mut self, reading: &mut Reading, path: &Path, (from, line): (&Path, usize)) {
        let Some(text) = reading.enter(path, from, line) else { return };
        let file: Arc<Path> = path.into();
        for line in by_indent(&text) {
            let words = words(&line.text, LDAP);
            let (Some(name), Some(value)) = (words.first(), words.get(1)) else { continue };
            if name.eq_ignore_ascii_case("include") {
                self.file(reading, Path::new(value), (path, line.number));
            } else {
                let rest = line.text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
                self.take(name, value, rest, (&file, line.number));
            }
        }
        reading.leave();
    }

    fn ldif(&mut self, reading: &mut Reading, path: &Path) {
        let Some(text) = reading.text(path) else { return };
        let file: Arc<Path> = path.into();
        for line in unfolded(&text) {
            let Some((name, value)) = line.text.split_once(':') else { continue };
            let value = match value.strip_prefix(':') {
                Some(encoded) => {
                    let bytes = STANDARD.decode(encoded.trim()).unwrap_or_default();
                    String::from_utf8_lossy(&bytes).into_owned()
                }
                None => value.trim().to_owned(),
            };
            let name = name.get(3..).filter(|_| name.to_ascii_lowercase().starts_with("olc")).unwrap_or(name);
            self.take(name, &value, &value, (&file, line.number));
        }
    }

    fn take(&mut self, name: &str, value: &str, rest: &str, (file, line): (&Arc<Path>, usize)) {
        let value = || Value::new(value, file, line);
        match name.to_ascii_lowercase().as_str() {
            "tlscertificatefile" => self.certificate = Some(value()),
            "tlscertificatekeyfile" => self.key = Some(value()),
            "syncrepl" | "dbstartls" | "dbidassertbind" | "idassert-bind" | "tls" => {
                self.replicas.push(Value::new(rest, file, line));
            }
            _ => {}
        }
    }
}

/// The lines of LDIF: one that begins with a space belongs to the one before, without a space between them.
fn unfolded(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, line) in numbered(text) {
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(rest), Some(last)) => last.text.push_str(rest),
            _ => lines.push(Line { number, text: line.to_owned() }),
        }
    }
    lines
}

const CONFIG: &str = "cn=config.ldif";
const PLACES: [(&str, &str); 2] =
    [("/etc/ldap/slapd.d", "/etc/ldap/slapd.conf"), ("/etc/openldap/slapd.d", "/etc/openldap/slapd.conf")];

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{check, running};

    pub(in super::super) const SAMPLE: &str = "\
include /etc/ldap/tls.conf
TLSCertificateKeyFile \"/etc/ldap/my key.pem\"
database mdb
syncrepl rid=1 provider=ldaps://a
  tls_cert=/etc/ldap/replica.pem
  tls_key=/etc/ldap/replica.key
syncrepl rid=2
";

    #[test]
    fn the_file_is_read_with_what_it_includes() {
        let file = "/etc/ldap/slapd.conf";
        check(
            &[
                (file, SAMPLE),
                ("/etc/ldap/tls.conf", "tlscertificatefile /etc/ldap/server.pem\ninclude /etc/ldap/slapd.conf\n"),
                ("/etc/default/slapd", "SLAPD_SERVICES=\"ldap://127.0.0.1:3890/ ldaps:/// ldapi:///\"\n"),
                ("/etc/openldap/slapd.conf", "TLSCertificateFile Server-Cert\n"),
            ],
            &[],
            &[
                "/etc/ldap/tls.conf:1 /etc/ldap/server.pem key=/etc/ldap/my key.pem at 127.0.0.1:3890/ldap,*:636",
                &format!("{file}:4 /etc/ldap/replica.pem key=/etc/ldap/replica.key client"),
            ],
            &[
                "/etc/ldap/tls.conf:2: includes /etc/ldap/slapd.conf, which is being read: ignored",
                "/etc/openldap/slapd.conf:1: Server-Cert is not an absolute path, perhaps a name in a database: not followed",
            ],
        );
    }

    #[test]
    fn the_folder_takes_the_place_of_the_file() {
        let ldif = "dn: cn=config\nolcTLSCertificateFile:: L2V0Yy9sZGFwL8O8LnBlbQ==\nolcTLSCertificateKeyFile: /etc/ld\n ap/x.key\n";
        let database = "olcSyncrepl: {0}rid=001 tls_cert=\"/r.pem\" tls_reqcert=demand\n";
        let folder = "/etc/ldap/slapd.d/cn=config";
        check(
            &[
                (&format!("{folder}.ldif"), ldif),
                (&format!("{folder}/olcDatabase={{1}}mdb.ldif"), database),
                ("/etc/ldap/slapd.conf", "TLSCertificateFile /no.pem\n"),
            ],
            &[running("slapd", "/usr/sbin/slapd -h ldap:///_ldaps:/// -u openldap -F /etc/ldap/slapd.d")],
            &[
                &format!("{folder}.ldif:2 /etc/ldap/ü.pem key=/etc/ldap/x.key at *:389/ldap"),
                &format!("{folder}/olcDatabase={{1}}mdb.ldif:1 /r.pem client"),
            ],
            &[],
        );
    }
}
