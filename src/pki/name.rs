//! Distinguished names as text: every string type that certificates use, decoded. Text is cleaned where it is shown.

use std::borrow::Cow;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

use super::extension;
use super::unicode::composed;
use crate::core::text::Text;
use crate::core::wanted::dn::{self, Attribute};
use crate::core::wanted::entry::Sans;
use crate::core::wanted::subject::SubjectAttribute;

/// Whom a certificate is for, for messages: its subject, or where that is empty the first of its names.
pub(super) fn holder(certificate: &X509Certificate<'_>) -> Text {
    let names = || extension::names(certificate).map(|(names, _)| names.missing_in(&Sans::default()));
    match certificate.subject().iter().next() {
        Some(_) => label(certificate.subject()),
        None => Text::new(&format!("{:?}", names().unwrap_or_default().first().map_or("", String::as_str))),
    }
}

/// A name for messages: its common name, else its organization, else the whole of it.
pub(super) fn label(name: &X509Name<'_>) -> Text {
    let first = |wanted| values(name).find_map(|(attribute, value)| (attribute == Some(wanted)).then_some(value));
    let shown = first(SubjectAttribute::CommonName).or_else(|| first(SubjectAttribute::OrganizationName));
    Text::new(&format!("{:?}", shown.unwrap_or_else(|| name.to_string())))
}

/// The whole of a name, in the order in which it is written, as `C=CH, O=Example AG, CN=Example CA`.
pub(super) fn full(name: &X509Name<'_>) -> Text {
    Text::new(&dn::shown(&attributes(name)))
}

/// Whether `text` spells the name, in this order or in RFC 4514's, which begins at the other end.
pub(super) fn is_spelled(name: &X509Name<'_>, text: &str) -> bool {
    dn::parse_printed(text).is_some_and(|wanted| dn::is_same_name(&wanted, &attributes(name)))
}

/// Whether a name lies within the part of the directory below `base`.
pub(super) fn starts_with(name: &X509Name<'_>, base: &X509Name<'_>) -> bool {
    base.iter().count() <= name.iter().count() && name.iter().zip(base.iter()).all(|(one, other)| same_part(one, other))
}

fn attributes(name: &X509Name<'_>) -> Vec<Attribute> {
    let read = |one: &AttributeTypeAndValue<'_>| Attribute {
        oid: one.attr_type().to_id_string(),
        value: text(one.attr_value()),
    };
    name.iter_attributes().map(read).collect()
}

/// The attributes of a name in order, with their values as text; `None` for an attribute that TLM does not know.
pub(super) fn values(name: &X509Name<'_>) -> impl Iterator<Item = (Option<SubjectAttribute>, String)> {
    name.iter_attributes().map(|attribute| (kind(attribute), text(attribute.attr_value())))
}

/// The attributes that TLM does not know, by their object identifiers.
pub(super) fn unknown(name: &X509Name<'_>) -> impl Iterator<Item = (String, String)> {
    let unknown = name.iter_attributes().filter(|attribute| kind(attribute).is_none());
    unknown.map(|attribute| (attribute.attr_type().to_id_string(), text(attribute.attr_value())))
}

/// Whether TLS clients take two names for the same: whatever string types they are written in, without regard to the case
/// of ASCII letters and to white space. They fold nothing else.
pub(super) fn same(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw()
        || (one.iter().count() == other.iter().count()
            && one.iter().zip(other.iter()).all(|(one, other)| same_part(one, other)))
}

/// The attributes of one relative name are a set: their order says nothing.
fn same_part(one: &RelativeDistinguishedName<'_>, other: &RelativeDistinguishedName<'_>) -> bool {
    let is_in = |wanted: &AttributeTypeAndValue<'_>, there: &RelativeDistinguishedName<'_>| {
        let same = |found: &AttributeTypeAndValue<'_>| {
            found.attr_type() == wanted.attr_type() && is_same_value(found.attr_value(), wanted.attr_value())
        };
        there.iter().any(same)
    };
    one.iter().count() == other.iter().count()
        && one.iter().all(|wanted| is_in(wanted, other))
        && other.iter().all(|wanted| is_in(wanted, one))
}

fn is_same_value(one: &Any<'_>, other: &Any<'_>) -> bool {
    fn words(text: &str) -> impl Iterator<Item = String> + '_ {
        text.split_ascii_whitespace().map(str::to_ascii_lowercase)
    }
    let is_text = |value: &Any<'_>| FOLDED.contains(&value.tag());
    if is_text(one) && is_text(other) {
        words(&as_written(one)).eq(words(&as_written(other)))
    } else {
        one.tag() == other.tag() && one.data == other.data
    }
}

/// The string types that clients compare with each other.
const FOLDED: [Tag; 7] = [
    Tag::Utf8String,
    Tag::PrintableString,
    Tag::Ia5String,
    Tag::T61String,
    Tag::VisibleString,
    Tag::BmpString,
    Tag::UniversalString,
];

fn kind(attribute: &AttributeTypeAndValue<'_>) -> Option<SubjectAttribute> {
    SubjectAttribute::of_oid(&attribute.attr_type().to_id_string())
}

/// The text of a value of a string type; `None`: it is of another.
pub(super) fn text_of(value: &Any<'_>) -> Option<String> {
    let is_text = [
        Tag::Utf8String,
        Tag::PrintableString,
        Tag::Ia5String,
        Tag::T61String,
        Tag::VisibleString,
        Tag::NumericString,
        Tag::BmpString,
        Tag::UniversalString,
    ];
    is_text.contains(&value.tag()).then(|| text(value))
}

/// The text of a value, whatever its type.
pub(super) fn text(value: &Any<'_>) -> String {
    match composed(&as_written(value)) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

fn as_written(value: &Any<'_>) -> String {
    let bytes = value.data;
    match value.tag() {
        Tag::BmpString => utf16(bytes),
        Tag::UniversalString => utf32(bytes),
        Tag::BitString => utf8_or_latin1(bytes.get(1..).unwrap_or_default()),
        _ => utf8_or_latin1(bytes),
    }
}

/// T.61 is in practice written as Latin-1; all other types of one byte a character are part of UTF-8.
fn utf8_or_latin1(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn utf32(bytes: &[u8]) -> String {
    let scalars = bytes.chunks_exact(4).map(|four| four.iter().fold(0, |scalar, byte| scalar << 8 | u32::from(*byte)));
    scalars.map(|scalar| char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelled_as_it_is_shown_or_from_the_other_end() {
        let mut params = crate::pki::test_ca::leaf_params(&[]);
        params.distinguished_name.push(rcgen::DnType::CountryName, "CH");
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example, \"AG\"");
        params.distinguished_name.push(rcgen::DnType::CommonName, "R1");
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(made.der()).unwrap();
        let shown = full(parsed.subject());
        assert_eq!(shown.as_str(), r#"C=CH, O=Example\, \"AG\", CN=R1"#);
        let check = |text: &str, expected: bool| assert_eq!(is_spelled(parsed.subject(), text), expected, "{text}");
        check(shown.as_str(), true);
        check(r#"cn=r1,O=Example\, \"AG\",c=ch"#, true);
        check(r#"C=CH, CN=R1, O=Example\, \"AG\""#, false);
        check("CN=R1", false);
        check("R1", false);
    }

    #[test]
    fn every_string_type_is_decoded() {
        let check =
            |tag: Tag, bytes: &[u8], expected: &str| assert_eq!(text(&Any::from_tag_and_data(tag, bytes)), expected);
        check(Tag::Utf8String, "Zürich".as_bytes(), "Zürich");
        check(Tag::Utf8String, "Zu\u{308}rich".as_bytes(), "Zürich");
        check(Tag::PrintableString, b"CH", "CH");
        check(Tag::Ia5String, b"a@b.example", "a@b.example");
        check(Tag::T61String, b"Z\xfcrich", "Zürich");
        check(Tag::BmpString, b"\0Z\0\xfc", "Zü");
        check(Tag::BmpString, b"\xd8\0\0Z\x01", "\u{fffd}Z");
        check(Tag::UniversalString, b"\0\0\0Z\0\x01\xf6\0\xff\xff\xff\xff", "Z\u{1f600}\u{fffd}");
        check(Tag::BitString, b"\0id", "id");
        check(Tag::BitString, b"", "");
    }
}
