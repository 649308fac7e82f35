//! The subject attributes of the API: their keys, limits and object identifiers.

use super::der;

/// A subject as pairs of key and value, in the order in which they are encoded.
pub type Subject = Vec<(String, String)>;

/// One subject attribute that the API knows.
pub struct Attribute {
    pub key: &'static str,
    pub oid: &'static [u64],
    pub max: usize,
    pub many: bool,
}

const fn one(key: &'static str, oid: &'static [u64], max: usize) -> Attribute {
    Attribute { key, oid, max, many: false }
}

const fn many(key: &'static str, oid: &'static [u64], max: usize) -> Attribute {
    Attribute { key, oid, max, many: true }
}

/// Every subject attribute with its greatest length; where the API gives none, 255.
pub static ATTRIBUTES: [Attribute; 22] = [
    one("country", &[2, 5, 4, 6], 2),
    one("state", &[2, 5, 4, 8], 128),
    one("locality", &[2, 5, 4, 7], 128),
    many("street_address", &[2, 5, 4, 9], 255),
    one("postal_code", &[2, 5, 4, 17], 16),
    one("organization_name", &[2, 5, 4, 10], 64),
    one("organization_identifier", &[2, 5, 4, 97], 64),
    many("organization_units", &[2, 5, 4, 11], 64),
    many("domain_component", &[0, 9, 2342, 19_200_300, 100, 1, 25], 255),
    one("user_identifier", &[0, 9, 2342, 19_200_300, 100, 1, 1], 128),
    one("unique_identifier", &[2, 5, 4, 45], 64),
    one("dn_qualifier", &[2, 5, 4, 46], 255),
    one("pseudonym", &[2, 5, 4, 65], 128),
    many("title", &[2, 5, 4, 12], 64),
    many("given_name", &[2, 5, 4, 42], 16),
    many("surname", &[2, 5, 4, 4], 40),
    many("description", &[2, 5, 4, 13], 255),
    many("unstructured_name", &[1, 2, 840, 113_549, 1, 9, 2], 255),
    many("unstructured_address", &[1, 2, 840, 113_549, 1, 9, 8], 180),
    one("serial_number", &[2, 5, 4, 5], 64),
    one("email", &[1, 2, 840, 113_549, 1, 9, 1], 255),
    one("common_name", &[2, 5, 4, 3], 64),
];

pub fn attribute(key: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.key == key)
}

/// The key of an object identifier written with dots; the identifier itself where the API has no key.
pub fn key_of(dotted: &str) -> String {
    let spelt = |oid: &[u64]| oid.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
    let known = ATTRIBUTES.iter().find(|attribute| spelt(attribute.oid) == dotted);
    known.map_or_else(|| dotted.to_owned(), |attribute| attribute.key.to_owned())
}

/// The values of one attribute.
pub fn values<'a>(subject: &'a Subject, key: &'a str) -> impl Iterator<Item = &'a str> {
    subject.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// The first value of one attribute; empty where there is none.
pub fn first(subject: &Subject, key: &str) -> String {
    values(subject, key).next().unwrap_or_default().to_owned()
}

/// Two subjects with the same attributes, whatever their order.
pub fn same(one: &Subject, other: &Subject) -> bool {
    let sorted = |subject: &Subject| {
        let mut pairs = subject.clone();
        pairs.sort();
        pairs
    };
    sorted(one) == sorted(other)
}

/// The Name in DER, attributes in the table's order.
pub fn encode(subject: &Subject) -> Vec<u8> {
    let mut rdns = Vec::new();
    for attribute in &ATTRIBUTES {
        rdns.extend(values(subject, attribute.key).map(|value| rdn(attribute, value)));
    }
    der::sequence(&rdns)
}

fn rdn(attribute: &Attribute, value: &str) -> Vec<u8> {
    let text = match attribute.key {
        "country" | "serial_number" | "dn_qualifier" => der::printable(value),
        "email" | "domain_component" => der::ia5(value),
        _ => der::utf8(value),
    };
    der::set(&[der::sequence(&[der::oid(attribute.oid), text])])
}
