//! Subject alternative names of every kind, and how two of them compare.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::dn;
use super::subject::same_value;
use crate::core::compact::boxed_default::{BoxedDefault, ConstDefault};

/// Subject alternative names. DNS names are in lower case and in A-label form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sans {
    /// DNS names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// IP addresses.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub ip_addresses: BoxedDefault<Vec<IpAddr>>,
    /// E-mail addresses.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub emails: BoxedDefault<Vec<String>>,
    /// URIs.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub uris: BoxedDefault<Vec<String>>,
    /// The kinds that few certificates have.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub others: BoxedDefault<OtherSans>,
}

fn is_plain(others: &BoxedDefault<OtherSans>) -> bool {
    **others == *OtherSans::DEFAULT
}

fn sorted<T: Ord + Clone>(names: &[T]) -> Vec<T> {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    names
}

fn is_empty<T: Clone + PartialEq + 'static>(list: &BoxedDefault<Vec<T>>) -> bool {
    list.is_empty()
}

impl Sans {
    /// Whether there is no name at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dns_names.is_empty()
            && self.ip_addresses.is_empty()
            && self.emails.is_empty()
            && self.uris.is_empty()
            && is_plain(&self.others)
    }

    /// The same names, sorted and each once.
    #[must_use]
    pub fn sorted(&self) -> Self {
        Self {
            dns_names: sorted(&self.dns_names),
            ip_addresses: sorted(&self.ip_addresses).into(),
            emails: sorted(&self.emails).into(),
            uris: sorted(&self.uris).into(),
            others: if is_plain(&self.others) { BoxedDefault::new() } else { self.others.sorted().into() },
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
            .chain(if is_plain(&self.others) { Vec::new() } else { self.others.missing_in(&other.others) })
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

/// Subject alternative names of the kinds that few certificates have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherSans {
    /// User principal names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_principal_names: Vec<String>,
    /// Registered object identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registered_ids: Vec<String>,
    /// Distinguished names as text (RFC 4514); an entry has one at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directory_names: Vec<String>,
    /// GUIDs of Microsoft's directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guids: Vec<String>,
    /// Names of any other type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_names: Vec<OtherName>,
}

/// A name whose type an object identifier tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OtherName {
    /// The type.
    pub oid: String,
    /// Its values; of a certificate the one that is text.
    pub values: Vec<OtherValue>,
}

/// A value of an [`OtherName`], as TLM takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OtherValue {
    /// What TLM calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The value.
    pub value: String,
}

impl ConstDefault for OtherSans {
    const DEFAULT: &'static Self = &Self {
        user_principal_names: Vec::new(),
        registered_ids: Vec::new(),
        directory_names: Vec::new(),
        guids: Vec::new(),
        other_names: Vec::new(),
    };
}

impl OtherSans {
    /// The type of a user principal name.
    pub const USER_PRINCIPAL_NAME: &'static str = "1.3.6.1.4.1.311.20.2.3";
    /// The type of a GUID.
    pub const GUID: &'static str = "1.3.6.1.4.1.311.25.1";

    fn sorted(&self) -> Self {
        Self {
            user_principal_names: sorted(&self.user_principal_names),
            registered_ids: sorted(&self.registered_ids),
            directory_names: sorted(&self.directory_names),
            guids: sorted(&self.guids),
            other_names: sorted(&self.other_names),
        }
    }

    /// The same, each name under the kind of its own where there is one.
    fn settled(&self) -> Self {
        let mut settled = Self { other_names: Vec::new(), ..self.clone() };
        for name in &self.other_names {
            match (name.oid.as_str(), name.values.as_slice()) {
                (Self::USER_PRINCIPAL_NAME, [one]) => settled.user_principal_names.push(one.value.clone()),
                (Self::GUID, [one]) => settled.guids.push(one.value.clone()),
                _ => settled.other_names.push(name.clone()),
            }
        }
        settled
    }

    fn missing_in(&self, other: &Self) -> Vec<String> {
        let (one, other) = (self.settled(), other.settled());
        let user = |name: &String| format!("user principal name {name}");
        let registered = |id: &String| format!("registered ID {id}");
        let directory = |name: &String| format!("directory name {name}");
        let guid = |guid: &String| format!("GUID {guid}");
        lacking(&one.user_principal_names, &other.user_principal_names, |a, b| same_value(a, b), user)
            .chain(lacking(&one.registered_ids, &other.registered_ids, String::eq, registered))
            .chain(lacking(&one.directory_names, &other.directory_names, |a, b| dn::same(a, b), directory))
            .chain(lacking(&one.guids, &other.guids, |a, b| same_guid(a, b), guid))
            .chain(lacking(&one.other_names, &other.other_names, same_other, OtherName::to_string))
            .collect()
    }
}

fn lacking<T>(
    wanted: &[T],
    there: &[T],
    same: impl Fn(&T, &T) -> bool,
    shown: impl Fn(&T) -> String,
) -> impl Iterator<Item = String> {
    wanted.iter().filter(move |name| !there.iter().any(|other| same(name, other))).map(shown)
}

/// A certificate holds a GUID as sixteen bytes, of which Microsoft writes the first three parts the other way round; not
/// every CA does.
fn same_guid(one: &str, other: &str) -> bool {
    let digits = |guid: &str| guid.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    let (one, other) = (digits(one), digits(other));
    one == other || swapped(&one) == other
}

fn swapped(digits: &str) -> String {
    let bytes: Vec<&str> = (0..digits.len() / 2).filter_map(|at| digits.get(at * 2..at * 2 + 2)).collect();
    let order = [3, 2, 1, 0, 5, 4, 7, 6];
    let place = |at: usize| order.get(at).copied().unwrap_or(at);
    (0..bytes.len()).filter_map(|at| bytes.get(place(at)).copied()).collect()
}

/// Its type decides how TLM encodes a value, which need not be text: values are compared where both sides have one.
fn same_other(one: &OtherName, other: &OtherName) -> bool {
    let is_same = match (one.values.as_slice(), other.values.as_slice()) {
        ([one], [other]) => same_value(&one.value, &other.value),
        _ => true,
    };
    one.oid == other.oid && is_same
}

impl fmt::Display for OtherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(|value| value.value.as_str()).collect();
        write!(f, "other name {} {}", self.oid, values.join(", "))?;
        Ok(())
    }
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

    #[test]
    fn names_of_rare_kinds_compare_by_what_they_mean() {
        let upn = |name: &str| OtherSans { user_principal_names: vec![name.to_owned()], ..OtherSans::default() };
        let guid = |guid: &str| OtherSans { guids: vec![guid.to_owned()], ..OtherSans::default() };
        let directory = |name: &str| OtherSans { directory_names: vec![name.to_owned()], ..OtherSans::default() };
        let registered = |id: &str| OtherSans { registered_ids: vec![id.to_owned()], ..OtherSans::default() };
        let other = |oid: &str, values: &[&str]| {
            let values = values.iter().map(|value| OtherValue { label: String::new(), value: (*value).to_owned() });
            OtherSans {
                other_names: vec![OtherName { oid: oid.to_owned(), values: values.collect() }],
                ..OtherSans::default()
            }
        };
        let check = |wanted: &OtherSans, there: &OtherSans, missing: &[&str]| {
            let sans = |others: &OtherSans| Sans { others: others.clone().into(), ..Sans::default() };
            assert_eq!(sans(wanted).missing_in(&sans(there)), missing, "{wanted:?} {there:?}");
        };
        check(&upn("Host@corp.example"), &upn("host@CORP.example"), &[]);
        check(&upn("a@corp.example"), &upn("b@corp.example"), &["user principal name a@corp.example"]);
        check(&other(OtherSans::USER_PRINCIPAL_NAME, &["a@b.c"]), &upn("a@b.c"), &[]);
        check(&registered("1.2.3"), &registered("1.2.3"), &[]);
        check(&registered("1.2.3"), &registered("1.2.4"), &["registered ID 1.2.3"]);
        check(&directory("CN=a,O=B"), &directory("O=b,CN=A"), &[]);
        check(&directory("CN=a"), &OtherSans::default(), &["directory name CN=a"]);
        check(&guid("{00112233-4455-6677-8899-AABBCCDDEEFF}"), &guid("00112233-4455-6677-8899-aabbccddeeff"), &[]);
        check(&guid("00112233-4455-6677-8899-aabbccddeeff"), &guid("33221100-5544-7766-8899-aabbccddeeff"), &[]);
        check(
            &guid("00112233-4455-6677-8899-aabbccddeeff"),
            &guid("1"),
            &["GUID 00112233-4455-6677-8899-aabbccddeeff"],
        );
        check(&other("1.2.3", &["a"]), &other("1.2.3", &["b"]), &["other name 1.2.3 a"]);
        check(&other("1.2.3", &["5"]), &other("1.2.3", &[]), &[]);
        check(&other("1.2.3", &["a"]), &other("1.2.4", &["a"]), &["other name 1.2.3 a"]);
    }

    #[test]
    fn what_an_older_version_wrote_is_read_and_ordinary_names_are_written_as_before() {
        let old = r#"{"dns_names":["a.example.com"],"emails":["a@example.com"]}"#;
        let sans: Sans = serde_json::from_str(old).unwrap();
        assert!(sans.others == BoxedDefault::new());
        assert_eq!(serde_json::to_string(&sans).unwrap(), old);
    }
}
