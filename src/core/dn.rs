//! Distinguished names as text (RFC 4514), such as `CN=host,O=Example AG`: read and compared without regard to the order,
//! since tools write it either way round.

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
    split(text).iter().map(|part| attribute(part)).collect()
}

/// A name as text, in the order given.
#[must_use]
pub fn written(attributes: &[Attribute]) -> String {
    let part = |Attribute { oid, value }: &Attribute| format!("{}={}", short_name(oid), escaped(value));
    attributes.iter().map(part).collect::<Vec<_>>().join(",")
}

/// Whether two texts are the same name. What is no name is compared as it is.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    let (Some(one), Some(mut rest)) = (parse(one), parse(other)) else { return one == other };
    let found = |wanted: &Attribute, rest: &[Attribute]| {
        rest.iter().position(|there| there.oid == wanted.oid && same_value(&there.value, &wanted.value))
    };
    let all = one.iter().all(|wanted| found(wanted, &rest).map(|at| rest.remove(at)).is_some());
    all && rest.is_empty()
}

/// The parts between commas, semicolons and plus signs that stand neither behind a backslash nor in quotes.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in text.chars() {
        if matches!(c, ',' | ';' | '+') && !is_quoted && !is_escaped {
            parts.push(String::new());
            continue;
        }
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        parts.last_mut().into_iter().for_each(|part| part.push(c));
    }
    parts
}

fn attribute(part: &str) -> Option<Attribute> {
    let (kind, value) = part.split_once('=')?;
    let value = unescaped(value.trim_start_matches(' '))?;
    (!value.is_empty()).then_some(Attribute { oid: oid(kind.trim())?, value })
}

fn oid(kind: &str) -> Option<String> {
    let upper = kind.to_ascii_uppercase();
    if let Some((_, attribute)) = SHORT.iter().find(|(short, _)| *short == upper) {
        return Some(attribute.oid().to_owned());
    }
    if let Some(attribute) = SubjectAttribute::of_key(kind) {
        return Some(attribute.oid().to_owned());
    }
    let dotted = upper.strip_prefix("OID.").unwrap_or(&upper);
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
const SHORT: [(&str, SubjectAttribute); 18] = [
    ("CN", SubjectAttribute::CommonName),
    ("O", SubjectAttribute::OrganizationName),
    ("OU", SubjectAttribute::OrganizationUnits),
    ("L", SubjectAttribute::Locality),
    ("ST", SubjectAttribute::State),
    ("S", SubjectAttribute::State),
    ("C", SubjectAttribute::Country),
    ("DC", SubjectAttribute::DomainComponent),
    ("UID", SubjectAttribute::UserIdentifier),
    ("STREET", SubjectAttribute::StreetAddress),
    ("SERIALNUMBER", SubjectAttribute::SerialNumber),
    ("EMAILADDRESS", SubjectAttribute::Email),
    ("E", SubjectAttribute::Email),
    ("T", SubjectAttribute::Title),
    ("GN", SubjectAttribute::GivenName),
    ("GIVENNAME", SubjectAttribute::GivenName),
    ("SN", SubjectAttribute::Surname),
    ("POSTALCODE", SubjectAttribute::PostalCode),
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
