//! The inventory entry: what the operator wants of one certificate, checked and complete.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::{FixedFiles, Placement, Target};
use super::key::KeyType;
pub use super::sans::{OtherName, OtherSans, OtherValue, Sans};
use super::subject::{Subject, same_value};
use crate::core::backoff::mix;
use crate::core::compact::boxed_default::{BoxedDefault, ConstDefault};
use crate::core::compact::packed_names::{Naming, PackedNaming};
use crate::core::compact::settings::EntrySettings;
use crate::core::name::{CertName, ProfileRef};

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
    pub probes: BoxedDefault<Vec<Probe>>,
    /// Copies at fixed paths.
    pub files: BoxedDefault<FixedFiles>,
    /// What others are likely to have as well.
    pub terms: Arc<EntrySettings>,
}

/// An entry reads as its terms, which are shared between entries to save memory, and become its own where it changes
/// them.
impl Deref for Entry {
    type Target = EntrySettings;
    fn deref(&self) -> &EntrySettings {
        &self.terms
    }
}

impl DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut EntrySettings {
        Arc::make_mut(&mut self.terms)
    }
}

impl Entry {
    /// The profiles that may issue it: its own, and the fallback.
    pub fn profiles(&self) -> impl Iterator<Item = &ProfileRef> {
        std::iter::once(&self.profile).chain(self.fallback.as_deref())
    }

    /// Every place where its files are to be at fixed paths: `files` first, then the copies.
    pub fn placements(&self) -> impl Iterator<Item = Placement<'_>> {
        let own = Placement { number: 0, files: &self.files, access: &self.access };
        let copies = (1..).zip(self.copies.iter());
        let copies = copies.map(|(number, copy)| Placement { number, files: &copy.files, access: &copy.access });
        std::iter::once(own).chain(copies)
    }

    /// Every file at a fixed path, place by place, keys first.
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        self.placements()
            .flat_map(|placement| placement.files.targets().map(move |(key, path)| Target { placement, key, path }))
    }

    /// The subject alternative names.
    #[must_use]
    pub fn names(&self) -> Sans {
        Naming::from(&self.naming).names
    }

    /// What decides the content of the certificate: two entries that ask for the same need no new one.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let Naming { common_name, names, .. } = Naming::from(&self.naming);
        let extras = Extras {
            custom_values: self.custom_values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect(),
            cert_owner_ids: self.cert_owner_ids.to_vec(),
            seat_email: self.seat_email.clone(),
        };
        let names = names.sorted();
        Asked { common_name, names, subject: self.subject.clone(), key: self.key, extras: extras.into() }
    }

    /// Whether it asks for what `asked` says, whatever the order of the names.
    #[must_use]
    pub fn asks(&self, asked: &Asked) -> bool {
        self.asks_certificate(asked)
            && *self.cert_owner_ids == asked.extras.cert_owner_ids
            && self.seat_email == asked.extras.seat_email
    }

    /// Whether a certificate for `asked` is one for this entry: what TLM keeps beside it does not count.
    #[must_use]
    pub fn asks_certificate(&self, asked: &Asked) -> bool {
        if self.key != asked.key || !same_subject(&self.subject, &asked.subject) {
            return false;
        }
        let is_same_name = match (self.naming.common_name(), asked.common_name.as_deref()) {
            (Some(one), Some(other)) => same_value(one, other),
            (one, other) => one == other,
        };
        let same_item = |((one, value), (other, text)): ((&String, &Value), (&String, &String))| {
            one == other && value.to_string() == *text
        };
        is_same_name
            && (self.naming.names_are(&asked.names) || self.names().sorted() == asked.names)
            && self.custom_values.len() == asked.extras.custom_values.len()
            && self.custom_values.iter().zip(&asked.extras.custom_values).all(same_item)
    }

    /// Whether it asks for something else than `before`, of another profile, or otherwise: what met the one says nothing of
    /// the other.
    #[must_use]
    pub fn is_another_request(&self, before: &Self) -> bool {
        self.profile != before.profile || self.demands() != before.demands() || !self.asks(&before.asked())
    }

    /// A number that changes when the entry says something else of how to ask, and of what to take of what comes: beside
    /// what it asks for, that can lift a refusal.
    #[must_use]
    pub fn demands(&self) -> u32 {
        let how = (self.request_method, self.validity, self.reuse_key, Naming::from(&self.naming).own_seat);
        let more = (&*self.tags, &*self.custom_attributes, &*self.ca_attributes);
        let of_answer = (&self.usages, self.exact_names, &self.issuer, self.subject_from);
        let [a, b, c, d, ..] = mix(format_args!("{how:?}{more:?}{of_answer:?}"), 0).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// Whether both are one subject: values are compared as RFC 5280 says, in their order.
fn same_subject(one: &Subject, other: &Subject) -> bool {
    let same_values = |one: &[String], other: &[String]| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
    };
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same_values(one.1, other.1))
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
    /// What few entries say.
    #[serde(default, skip_serializing_if = "Extras::is_plain")]
    pub extras: BoxedDefault<Extras>,
}

/// The part of [`Asked`] that few entries have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// The values for the profile's custom extensions, as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_values: BTreeMap<String, String>,
    /// The owners that TLM notes; no part of the certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cert_owner_ids: Vec<String>,
    /// The e-mail address of the seat; no part of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_email: Option<String>,
}

impl ConstDefault for Extras {
    const DEFAULT: &'static Self =
        &Self { custom_values: BTreeMap::new(), cert_owner_ids: Vec::new(), seat_email: None };
}

impl Extras {
    fn is_plain(extras: &BoxedDefault<Self>) -> bool {
        **extras == *Self::DEFAULT
    }
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
    /// SSLRequest of MySQL's and MariaDB's protocol.
    Mysql,
}

impl StartTls {
    /// Its word in a probe.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Postgres => "postgres",
            Self::Ldap => "ldap",
            Self::Mysql => "mysql",
        }
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

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::String(value) => f.write_str(value),
            Self::Array(values) => f.debug_list().entries(values.iter().map(ToString::to_string)).finish(),
            Self::Table(values) => {
                f.debug_map().entries(values.iter().map(|(key, value)| (key, value.to_string()))).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::SubjectAttribute;
    use super::*;
    use crate::core::example::{entry, rename};

    #[test]
    fn each_change_of_what_is_asked_for_is_one() {
        let before = entry().asked();
        let check = |change: &dyn Fn(&mut Entry), is_of_certificate: bool| {
            let mut entry = entry();
            change(&mut entry);
            assert!(!entry.asks(&before), "it is a change of the entry");
            assert_eq!(entry.asks_certificate(&before), !is_of_certificate, "{:?}", entry.asked());
            assert!(entry.asks(&entry.asked()) && !crate::core::example::entry().asks(&entry.asked()));
        };
        let names = |change: &'static dyn Fn(&mut OtherSans)| {
            move |entry: &mut Entry| rename(entry, |naming| change(&mut naming.names.others))
        };
        check(&names(&|others| others.user_principal_names.push("a@b.c".into())), true);
        check(&names(&|others| others.registered_ids.push("1.2.3".into())), true);
        check(&names(&|others| others.directory_names.push("CN=a".into())), true);
        check(&names(&|others| others.guids.push("1".into())), true);
        check(&names(&|others| others.other_names.push(OtherName::default())), true);
        check(&|entry| drop(entry.custom_values.insert("a".into(), Value::Integer(1))), true);
        check(&|entry| entry.cert_owner_ids.push("o".into()), false);
        check(&|entry| entry.seat_email = Some("a@b.c".into()), false);
    }

    #[test]
    fn case_and_blanks_are_no_change() {
        let before = entry().asked();
        let mut other = entry();
        rename(&mut other, |naming| naming.common_name = naming.common_name.as_ref().map(|name| name.to_uppercase()));
        assert!(other.asks(&before) && other.asked().common_name != before.common_name);
        let organization = |value: &str| {
            let mut entry = entry();
            entry.subject.insert(SubjectAttribute::OrganizationName, vec![value.to_owned()]);
            entry
        };
        assert!(organization("EXAMPLE  ag").asks(&organization("Example AG").asked()));
        assert!(!organization("Example").asks(&organization("Example AG").asked()));
    }

    #[test]
    fn what_an_older_version_kept_is_read_and_written_as_before() {
        let old =
            r#"{"common_name":"www.example.com","names":{"dns_names":["www.example.com"]},"subject":{},"key":null}"#;
        let asked: Asked = serde_json::from_str(old).unwrap();
        assert!(entry().asks(&asked));
        assert_eq!(serde_json::to_string(&asked).unwrap(), old);
    }
}
