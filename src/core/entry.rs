//! The inventory entry: what the operator wants of one certificate, checked and complete.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::KeyType;
use super::name::CertName;
use super::naming::{Naming, PackedNaming};
use super::rare::{Plain, Rare};
use super::subject::Subject;
use super::terms::Terms;

/// One certificate of the inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Unique in the inventory.
    pub name: CertName,
    /// The file and line that the entry comes from, for messages.
    pub source: Source,
    /// Whom the certificate is for.
    pub naming: PackedNaming,
    /// Where the certificate is served.
    pub probes: Rare<Vec<Probe>>,
    /// Copies at fixed paths.
    pub files: Rare<FixedFiles>,
    /// What others are likely to have as well.
    pub terms: Arc<Terms>,
}

/// An entry reads as its terms, which are shared between entries to save memory, and become its own where it changes
/// them.
impl Deref for Entry {
    type Target = Terms;
    fn deref(&self) -> &Terms {
        &self.terms
    }
}

impl DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut Terms {
        Arc::make_mut(&mut self.terms)
    }
}

impl Entry {
    /// The subject alternative names.
    #[must_use]
    pub fn names(&self) -> Sans {
        Naming::from(&self.naming).names
    }

    /// What decides the content of the certificate: two entries that ask for the same need no new one.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let Naming { common_name, names, .. } = Naming::from(&self.naming);
        Asked { common_name, names: names.sorted(), subject: self.subject.clone(), key: self.key }
    }

    /// Whether it asks for what `asked` says, whatever the order of the names.
    #[must_use]
    pub fn asks(&self, asked: &Asked) -> bool {
        if self.key != asked.key || self.subject != asked.subject {
            return false;
        }
        let Naming { common_name, names, .. } = Naming::from(&self.naming);
        common_name == asked.common_name && (names == asked.names || names.sorted() == asked.names)
    }
}

/// Where an entry was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The drop-in file, relative to the configuration's folder (`certs.d/www.toml`).
    pub file: Arc<str>,
    /// The line of the entry, from 1.
    pub line: u32,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

/// The part of an entry that a certificate answers; kept with each request and each generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The common name.
    pub common_name: Option<String>,
    /// The subject alternative names, sorted.
    pub names: Sans,
    /// The other subject attributes.
    pub subject: Subject,
    /// The key type that the entry names.
    pub key: Option<KeyType>,
}

/// Subject alternative names. DNS names are in lower case and in A-label form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sans {
    /// DNS names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// IP addresses.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub ip_addresses: Rare<Vec<IpAddr>>,
    /// E-mail addresses.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub emails: Rare<Vec<String>>,
    /// URIs.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub uris: Rare<Vec<String>>,
}

fn is_empty<T: Clone + PartialEq + 'static>(list: &Rare<Vec<T>>) -> bool {
    list.is_empty()
}

impl Sans {
    /// Whether there is no name at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dns_names.is_empty() && self.ip_addresses.is_empty() && self.emails.is_empty() && self.uris.is_empty()
    }

    /// The same names, sorted and each once.
    #[must_use]
    pub fn sorted(&self) -> Self {
        fn sorted<T: Ord + Clone>(names: &[T]) -> Vec<T> {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        }
        Self {
            dns_names: sorted(&self.dns_names),
            ip_addresses: sorted(&self.ip_addresses).into(),
            emails: sorted(&self.emails).into(),
            uris: sorted(&self.uris).into(),
        }
    }

    /// The names of `self` that `other` lacks, as text.
    #[must_use]
    pub fn missing_in(&self, other: &Self) -> Vec<String> {
        let same_dns = |one: &String, other: &String| one.eq_ignore_ascii_case(other);
        missing(&self.dns_names, &other.dns_names, same_dns)
            .chain(missing(&self.ip_addresses, &other.ip_addresses, IpAddr::eq))
            .chain(missing(&self.emails, &other.emails, |one, other| same_text(one, other, email_domain)))
            .chain(missing(&self.uris, &other.uris, |one, other| same_text(one, other, uri_path)))
            .collect()
    }
}

fn missing<T: fmt::Display>(wanted: &[T], there: &[T], same: impl Fn(&T, &T) -> bool) -> impl Iterator<Item = String> {
    wanted.iter().filter(move |name| !there.iter().any(|other| same(name, other))).map(ToString::to_string)
}

/// Compares two names of which only a part is without regard to case (RFC 5280 sections 7.4 and 7.5).
fn same_text(one: &str, other: &str, split: fn(&str) -> Parts<'_>) -> bool {
    let (one, other) = (split(one), split(other));
    one.folded.eq_ignore_ascii_case(other.folded) && one.exact == other.exact
}

/// A name, split into the part that is compared without regard to case and the part that is not.
struct Parts<'a> {
    folded: &'a str,
    exact: &'a str,
}

fn email_domain(email: &str) -> Parts<'_> {
    let (exact, folded) = email.rsplit_once('@').unwrap_or((email, ""));
    Parts { folded, exact }
}

/// Scheme and host stand before the path, which starts at the first slash behind them.
fn uri_path(uri: &str) -> Parts<'_> {
    let path_in = |(at, rest): (usize, &str)| rest.find(['/', '?', '#']).map_or(uri.len(), |path| at + 3 + path);
    let host = uri.split_once("://").map(|(scheme, rest)| path_in((scheme.len(), rest)));
    let (folded, exact) = uri.split_at(host.or_else(|| uri.find(':')).unwrap_or(0));
    Parts { folded, exact }
}

/// A validity to ask for, in TLM's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// The unit.
    pub unit: ValidityUnit,
    /// How many of them.
    pub duration: u32,
}

impl Validity {
    /// The validity as a span; months count 30 days and years 365.
    #[must_use]
    pub fn span(self) -> Duration {
        let seconds = match self.unit {
            ValidityUnit::Years => 365 * 86_400,
            ValidityUnit::Months => 30 * 86_400,
            ValidityUnit::Days => 86_400,
            ValidityUnit::Hours => 3600,
            ValidityUnit::Minutes => 60,
        };
        Duration::from_secs(u64::from(self.duration) * seconds)
    }
}

/// TLM's units of validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidityUnit {
    /// Calendar years.
    Years,
    /// Calendar months.
    Months,
    /// Days.
    Days,
    /// Hours.
    Hours,
    /// Minutes.
    Minutes,
}

/// How a renewal is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestMethod {
    /// As the profile allows.
    #[default]
    Auto,
    /// Always a new certificate.
    New,
    /// Always the renewal of the installed one, where there is one.
    Renew,
}

/// Who writes the subject of the certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectFrom {
    /// The request: it is compared.
    #[default]
    Request,
    /// The CA: it is not compared.
    Ca,
}

/// An extended key usage, by its configuration name or, for others, its object identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Usage(Cow<'static, str>);

impl Usage {
    const NAMED: [(&'static str, &'static str); 7] = [
        ("server_auth", "1.3.6.1.5.5.7.3.1"),
        ("client_auth", "1.3.6.1.5.5.7.3.2"),
        ("code_signing", "1.3.6.1.5.5.7.3.3"),
        ("email_protection", "1.3.6.1.5.5.7.3.4"),
        ("time_stamping", "1.3.6.1.5.5.7.3.8"),
        ("ocsp_signing", "1.3.6.1.5.5.7.3.9"),
        ("any", "2.5.29.37.0"),
    ];

    /// From a configuration name or an object identifier; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((name, _)) = Self::NAMED.iter().find(|(name, oid)| *name == text || *oid == text) {
            return Some(Self(Cow::Borrowed(name)));
        }
        let is_oid =
            text.contains('.') && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|c| c.is_ascii_digit()));
        is_oid.then(|| Self(Cow::Owned(text.to_owned())))
    }

    /// The names that configuration knows.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, _)| *name)
    }
}

/// Extended key usages; the usual ones take no memory of their own.
pub type Usages = Cow<'static, [Usage]>;

const USUAL: [&[Usage]; 2] = [
    &[Usage(Cow::Borrowed("server_auth"))],
    &[Usage(Cow::Borrowed("server_auth")), Usage(Cow::Borrowed("client_auth"))],
];

impl Usage {
    /// A list of usages.
    #[must_use]
    pub fn list(usages: Vec<Self>) -> Usages {
        USUAL.into_iter().find(|usual| **usual == *usages).map_or(Cow::Owned(usages), Cow::Borrowed)
    }
}

impl From<String> for Usage {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self(Cow::Owned(text)))
    }
}

impl From<Usage> for String {
    fn from(usage: Usage) -> Self {
        usage.0.into_owned()
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a certificate is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// `host:port`.
    pub address: String,
    /// The name to ask for (SNI); `None`: the first DNS name.
    pub server_name: Option<String>,
    /// The protocol that upgrades to TLS; `None`: TLS at once.
    pub starttls: Option<StartTls>,
}

/// Protocols that upgrade a plain connection to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 3501.
    Imap,
    /// RFC 2595.
    Pop3,
    /// PostgreSQL's SSLRequest.
    Postgres,
    /// RFC 4511.
    Ldap,
}

/// Files that a generation holds beside the four of every generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Key and fullchain in one file.
    Bundle,
    /// PKCS#12.
    Pkcs12,
    /// PKCS#7.
    Pkcs7,
    /// DER.
    Der,
}

/// Owner, group and modes of the installed files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The owner, by name or number; `None`: the service's user.
    pub owner: Option<String>,
    /// The group, by name or number; `None`: the service's group.
    pub group: Option<String>,
    /// The mode of files that hold the key.
    pub key_mode: u32,
    /// The mode of the others.
    pub mode: u32,
}

impl Plain for Access {
    const PLAIN: &'static Self = &Self { owner: None, group: None, key_mode: 0o600, mode: 0o644 };
}

impl Default for Access {
    fn default() -> Self {
        Self::PLAIN.clone()
    }
}

/// Copies at fixed paths, for programs that cannot follow symlinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedFiles {
    /// The private key.
    pub private_key: Option<PathBuf>,
    /// The leaf alone.
    pub certificate: Option<PathBuf>,
    /// The intermediates.
    pub chain: Option<PathBuf>,
    /// Leaf and intermediates.
    pub fullchain: Option<PathBuf>,
    /// Key and fullchain.
    pub bundle: Option<PathBuf>,
    /// PKCS#12.
    pub pkcs12: Option<PathBuf>,
    /// PKCS#7.
    #[serde(default)]
    pub pkcs7: Option<PathBuf>,
    /// The leaf as DER.
    #[serde(default)]
    pub der: Option<PathBuf>,
    /// The file that holds the password of the PKCS#12 file.
    pub pkcs12_password_file: Option<PathBuf>,
    /// How the PKCS#12 file is encrypted.
    #[serde(default)]
    pub pkcs12_encryption: Pkcs12Encryption,
}

/// How a PKCS#12 file is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pkcs12Encryption {
    /// AES-256 and SHA-256.
    #[default]
    Aes256,
    /// Triple DES and SHA-1, for readers that know nothing newer.
    #[serde(rename = "legacy-3des")]
    Legacy3des,
}

impl Plain for FixedFiles {
    const PLAIN: &'static Self = &Self {
        private_key: None,
        certificate: None,
        chain: None,
        fullchain: None,
        bundle: None,
        pkcs12: None,
        pkcs7: None,
        der: None,
        pkcs12_password_file: None,
        pkcs12_encryption: Pkcs12Encryption::Aes256,
    };
}

impl FixedFiles {
    /// The targets with their key in the configuration, keys first.
    pub fn targets(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        [
            ("private_key", &self.private_key),
            ("bundle", &self.bundle),
            ("pkcs12", &self.pkcs12),
            ("fullchain", &self.fullchain),
            ("certificate", &self.certificate),
            ("chain", &self.chain),
            ("pkcs7", &self.pkcs7),
            ("der", &self.der),
        ]
        .into_iter()
        .filter_map(|(key, path)| path.as_ref().map(|path| (key, path)))
    }
}

/// A value that is handed through to TLM unread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// A table.
    Table(BTreeMap<String, Value>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_rfc_5280_says() {
        let missing = |kind: fn(&mut Sans) -> &mut Vec<String>, wanted: &str, there: &str| {
            let (mut one, mut other) = (Sans::default(), Sans::default());
            kind(&mut one).push(wanted.to_owned());
            kind(&mut other).push(there.to_owned());
            !one.missing_in(&other).is_empty()
        };
        for (wanted, there, is_missing) in [
            ("a@example.com", "a@EXAMPLE.com", false),
            ("a@example.com", "A@example.com", true),
            ("a@b@example.com", "a@B@example.com", true),
        ] {
            assert_eq!(missing(|sans| &mut sans.emails, wanted, there), is_missing, "{wanted} {there}");
        }
        for (wanted, there, is_missing) in [
            ("https://example.com/a", "HTTPS://Example.com/a", false),
            ("https://example.com/a", "https://example.com/A", true),
            ("https://example.com?a", "https://example.com?A", true),
            ("urn:uuid:1", "URN:uuid:1", false),
            ("urn:uuid:1", "urn:UUID:1", true),
        ] {
            assert_eq!(missing(|sans| &mut sans.uris, wanted, there), is_missing, "{wanted} {there}");
        }
        assert!(!missing(|sans| &mut sans.dns_names, "a.example.com", "A.Example.com"));
    }
}
