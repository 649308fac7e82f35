//! Distinguished names as text (RFC 4514), such as `CN=host,O=Example AG`, and as the many programs write them that print
//! one.

use super::subject::{SubjectAttribute, same_value};

/// An attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its object identifier.
    pub oid: String,
    /// Its value.
    pub value: String,
}

/// The attributes of a name in the order of the text; `None`: it is none.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<Attribute>> {
    split(text).iter().map(|(_, part)| attribute(part)).collect()
}

/// The same of a name as some program printed it: a separator that no attribute follows belongs to the value, as in
/// `O=Example, Inc., CN=host`.
#[must_use]
pub fn parse_printed(text: &str) -> Option<Vec<Attribute>> {
    let mut parts: Vec<String> = Vec::new();
    for (separator, part) in split(text) {
        let is_kind = |kind: &str| !kind.is_empty() && kind.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.');
        let begins = part.split_once('=').is_some_and(|(kind, _)| is_kind(kind.trim()));
        match parts.last_mut().filter(|_| !begins) {
            Some(last) => *last = format!("{last}{separator}{part}"),
            None => parts.push(part),
        }
    }
    parts.iter().map(|part| attribute(part)).collect()
}

/// A name as text, in the order given.
#[must_use]
pub fn written(attributes: &[Attribute]) -> String {
    listed(attributes).join(",")
}

/// A name as text for people, in the order given.
#[must_use]
pub fn shown(attributes: &[Attribute]) -> String {
    listed(attributes).join(", ")
}

fn listed(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().map(|Attribute { oid, value }| format!("{}={}", short_name(oid), escaped(value))).collect()
}

/// Whether two names have the same attributes in the same order or, since tools write it either way round, in the
/// reverse one.
#[must_use]
pub fn is_same_name(one: &[Attribute], other: &[Attribute]) -> bool {
    let same = |(one, other): (&Attribute, &Attribute)| one.oid == other.oid && same_value(&one.value, &other.value);
    one.len() == other.len() && (one.iter().zip(other).all(same) || one.iter().zip(other.iter().rev()).all(same))
}

/// Whether two texts are the same name, whatever the order. What is no name is compared as it is.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    let (Some(one), Some(mut rest)) = (parse(one), parse(other)) else { return one == other };
    let found = |wanted: &Attribute, rest: &[Attribute]| {
        rest.iter().position(|there| there.oid == wanted.oid && same_value(&there.value, &wanted.value))
    };
    let all = one.iter().all(|wanted| found(wanted, &rest).map(|at| rest.remove(at)).is_some());
    all && rest.is_empty()
}

/// The parts between commas, semicolons and plus signs that stand neither behind a backslash nor in quotes, each with the
/// separator before it.
fn split(text: &str) -> Vec<(char, String)> {
    let mut parts = vec![(',', String::new())];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in text.chars() {
        if matches!(c, ',' | ';' | '+') && !is_quoted && !is_escaped {
            parts.push((c, String::new()));
            continue;
        }
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        parts.last_mut().into_iter().for_each(|(_, part)| part.push(c));
    }
    parts
}

fn attribute(part: &str) -> Option<Attribute> {
    let (kind, value) = part.split_once('=')?;
    let value = unescaped(value.trim_start_matches(' '))?;
    (!value.is_empty()).then_some(Attribute { oid: oid(kind.trim())?, value })
}

fn oid(kind: &str) -> Option<String> {
    if let Some((_, attribute)) = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(kind)) {
        return Some(attribute.oid().to_owned());
    }
    if let Some(attribute) = SubjectAttribute::of_key(kind) {
        return Some(attribute.oid().to_owned());
    }
    let prefix = kind.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case("OID."));
    let dotted = prefix.and_then(|_| kind.get(4..)).unwrap_or(kind);
    is_oid(dotted).then(|| dotted.to_owned())
}

/// Whether a text is an object identifier: two numbers or more, each of at most 128 bits.
#[must_use]
pub fn is_oid(text: &str) -> bool {
    let is_arc = |arc: &str| {
        arc.bytes().all(|c| c.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0')) && arc.parse::<u128>().is_ok()
    };
    let mut arcs = text.split('.');
    let (first, second) = (arcs.next().unwrap_or_default(), arcs.next().unwrap_or_default());
    let is_root = match first {
        "0" | "1" => second.parse::<u8>().is_ok_and(|second| second < 40),
        "2" => second.parse::<u128>().is_ok_and(|second| second < u128::MAX - 80),
        _ => false,
    };
    is_root && is_arc(second) && arcs.all(is_arc)
}

fn unescaped(value: &str) -> Option<String> {
    let quoted = value.trim_end_matches(' ').strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let mut bytes = Vec::new();
    let mut rest = quoted.unwrap_or(value);
    // Blanks at the end say nothing, but for one behind a backslash.
    let mut kept = 0;
    while let Some(c) = rest.chars().next() {
        rest = rest.strip_prefix(c).unwrap_or_default();
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            kept = if c == ' ' && quoted.is_none() { kept } else { bytes.len() };
            continue;
        }
        if let Some(byte) = rest.get(..2).and_then(hex_byte) {
            bytes.push(byte);
            rest = rest.get(2..).unwrap_or_default();
        } else {
            let c = rest.chars().next()?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = rest.strip_prefix(c).unwrap_or_default();
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).ok()
}

/// Two hexadecimal digits, and nothing else: `from_str_radix` takes a sign as well.
fn hex_byte(text: &str) -> Option<u8> {
    text.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u8::from_str_radix(text, 16).ok())?
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let at_end = at == 0 || at + c.len_utf8() == value.len();
        if matches!(c, ',' | ';' | '+' | '"' | '\\' | '<' | '>') || (at_end && matches!(c, ' ' | '#')) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn short_name(oid: &str) -> &str {
    let known = SHORT.iter().find(|(_, attribute)| attribute.oid() == oid).map(|(short, _)| *short);
    known.or_else(|| SubjectAttribute::of_oid(oid).map(SubjectAttribute::key)).unwrap_or(oid)
}

/// The first name of each attribute is the one that is written.
const SHORT: [(&str, SubjectAttribute); 25] = [
    ("CN", SubjectAttribute::CommonName),
    ("O", SubjectAttribute::OrganizationName),
    ("OU", SubjectAttribute::OrganizationUnits),
    ("L", SubjectAttribute::Locality),
    ("ST", SubjectAttribute::State),
    ("S", SubjectAttribute::State),
    ("C", SubjectAttribute::Country),
    ("DC", SubjectAttribute::DomainComponent),
    ("UID", SubjectAttribute::UserIdentifier),
    ("street", SubjectAttribute::StreetAddress),
    ("streetAddress", SubjectAttribute::StreetAddress),
    ("serialNumber", SubjectAttribute::SerialNumber),
    ("emailAddress", SubjectAttribute::Email),
    ("E", SubjectAttribute::Email),
    ("title", SubjectAttribute::Title),
    ("T", SubjectAttribute::Title),
    ("GN", SubjectAttribute::GivenName),
    ("givenName", SubjectAttribute::GivenName),
    ("SN", SubjectAttribute::Surname),
    ("postalCode", SubjectAttribute::PostalCode),
    ("dnQualifier", SubjectAttribute::DnQualifier),
    ("x500UniqueIdentifier", SubjectAttribute::UniqueIdentifier),
    ("unstructuredName", SubjectAttribute::UnstructuredName),
    ("unstructuredAddress", SubjectAttribute::UnstructuredAddress),
    ("organizationIdentifier", SubjectAttribute::OrganizationIdentifier),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_written_again() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(parse(text).map(|name| written(&name)).as_deref(), expected, "{text}");
        }
        check("CN=host,O=Example AG", Some("CN=host,O=Example AG"));
        check(" cn = host , o=Example AG ", Some("CN=host,O=Example AG"));
        check(r"O=Example\, Inc.,C=CH", Some(r"O=Example\, Inc.,C=CH"));
        check(r#"O="Example, Inc.";C=CH"#, Some(r"O=Example\, Inc.,C=CH"));
        check(r"CN=Z\C3\BCrich", Some("CN=Zürich"));
        check(r"CN=a\ ", Some(r"CN=a\ "));
        check(r"CN=a\+DC", Some(r"CN=a\+DC"));
        check("common_name=host,2.5.4.10=Example,OID.1.2.3=x", Some("CN=host,O=Example,1.2.3=x"));
        for bad in ["", "host", "CN=", "CN=a,", "XY=a", r"CN=a\", r"CN=\FF", "=a", "1=a"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_name_is_read_as_programs_print_it() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(parse_printed(text).map(|name| shown(&name)).as_deref(), expected, "{text}");
        }
        check("C = CH, O = Example AG, CN = R1", Some("C=CH, O=Example AG, CN=R1"));
        check("CN=R1,O=Example AG,C=CH", Some("CN=R1, O=Example AG, C=CH"));
        check(r#"O="Example, Inc."+ou=a\+b"#, Some(r"O=Example\, Inc., OU=a\+b"));
        check("O=Example, Inc., cn=A+B", Some(r"O=Example\, Inc., CN=A\+B"));
        check(
            "E=a@b.example,S=Bern,OID.2.5.4.3=x=y,2.5.4.97=V",
            Some("emailAddress=a@b.example, ST=Bern, CN=x=y, organizationIdentifier=V"),
        );
        check("CN=a, b, oid.1.2.3=c", Some(r"CN=a\, b, 1.2.3=c"));
        for bad in ["", "host", ", CN=x", "OID.=x", "=x", "oid.a=x", "XY=a", "CN=a, XY=b"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_name_and_its_reverse_are_the_same() {
        let read = |text: &str| parse_printed(text).unwrap();
        let same = |one: &str, other: &str| is_same_name(&read(one), &read(other));
        assert!(same("CN=Host,O=Example  AG,C=CH", "c=ch, o=example ag, cn=host"));
        assert!(same("CN=a,OU=b", "CN=A,OU=B"));
        assert!(!same("CN=a,OU=b,C=c", "OU=b,CN=a,C=c"));
        assert!(!same("CN=a", "CN=a,C=c") && !same("CN=a,C=c", "CN=a"));
        assert!(!same("CN=a", "O=a") && !same("CN=a", "CN=b"));
    }

    #[test]
    fn names_compare_whatever_their_order() {
        assert!(same("CN=host,O=Example AG", "O=EXAMPLE  ag, CN=Host"));
        assert!(!same("CN=host,O=Example AG", "CN=host"));
        assert!(!same("OU=a,OU=a", "OU=a,OU=b"));
        assert!(!same("CN=host", "O=host"));
        assert!(same("no name", "no name") && !same("no name", "CN=a"));
    }

    #[test]
    fn object_identifiers_have_two_numbers_or_more() {
        for good in
            ["1.2", "2.5.29.17", "1.3.6.1.4.1.311.20.2.3", "2.999", "2.25.340282366920938463463374607431768211455"]
        {
            assert!(is_oid(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.",
            ".1",
            "3.1",
            "1.40",
            "1.2.03",
            "1.2.x",
            "1.2.-1",
            "1..2",
            "2.25.340282366920938463463374607431768211456",
        ] {
            assert!(!is_oid(bad), "{bad}");
        }
    }
}
