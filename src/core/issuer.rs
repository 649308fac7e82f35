//! Who issued a certificate, when the chain to it ends, and the end that counts: the earliest end of leaf and served
//! chain, since a TLS client refuses both alike. And which CA an entry wants on the path.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::Digest;
use super::text::Text;
use super::time::Timestamp;

/// The CA that signed a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Its distinguished name, as the leaf spells it.
    pub subject: Text,
    /// SHA-256 of its public key (SPKI), where its certificate is known.
    #[serde(default)]
    pub spki: Option<Digest>,
}

impl Issuer {
    /// Whether an operator means it by `wanted`: its whole subject, its common name alone, or `sha256:` and the digest of
    /// its public key.
    #[must_use]
    pub fn is_meant_by(&self, wanted: &str) -> bool {
        let wanted = wanted.trim();
        if let Ok(IssuerPin::Spki(digest)) = IssuerPin::parse(wanted) {
            return self.spki == Some(digest);
        }
        let own = attributes(self.subject.as_str()).unwrap_or_default();
        let common_name = own.iter().find(|(kind, _)| kind == "CN").map(|(_, value)| value.as_str());
        common_name == Some(wanted) || attributes(wanted).is_some_and(|wanted| wanted == own)
    }

    /// Whether both are one CA: by their keys where both are known, else by name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.spki, &other.spki) {
            (Some(one), Some(other)) => one == other,
            _ => self.subject == other.subject,
        }
    }
}

/// The CA that an entry wants on the path of its certificate (key `issuer`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerPin {
    /// By SHA-256 of its public key (SPKI).
    Spki(Digest),
    /// By its exact subject.
    Subject(String),
}

impl IssuerPin {
    /// Reads `sha256:` with 64 hexadecimal digits, in which colons and blanks do not count, or a subject such as
    /// `CN=Example CA, O=Example AG`.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidPin> {
        let text = text.trim();
        if let Some(digits) = after_prefix(text) {
            let digits: String = digits.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
            return digits.parse().map(Self::Spki).map_err(|_| InvalidPin::Digits);
        }
        attributes(text).map(|_| Self::Subject(text.to_owned())).ok_or(InvalidPin::Neither)
    }
}

fn after_prefix(text: &str) -> Option<&str> {
    let (prefix, rest) = text.split_at_checked("sha256:".len())?;
    prefix.eq_ignore_ascii_case("sha256:").then_some(rest)
}

impl fmt::Display for IssuerPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spki(digest) => write!(f, "sha256:{digest}"),
            Self::Subject(subject) => f.write_str(Text::new(subject).as_str()),
        }
    }
}

/// A text that names no CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPin {
    /// The digits after `sha256:`.
    Digits,
    /// Neither a digest nor a subject.
    Neither,
}

impl fmt::Display for InvalidPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits => "a SHA-256 digest has 64 hexadecimal digits",
            Self::Neither => "it is neither `sha256:` with a digest nor a subject",
        })
    }
}

impl std::error::Error for InvalidPin {}

/// The attributes of a distinguished name as it is commonly written, with RFC 4514's escapes or in quotes: types in
/// capitals, and values. A comma that no attribute follows belongs to the value. `None`: it is no such name.
#[must_use]
pub fn attributes(name: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (separator, segment) in segments(name) {
        match segment.split_once('=').filter(|(kind, _)| is_kind(kind)) {
            Some((kind, value)) => found.push((canonical(kind), value.to_owned())),
            None => {
                let (_, value) = found.last_mut()?;
                value.push(separator);
                value.push_str(&segment);
            }
        }
    }
    found.iter_mut().for_each(|(_, value)| *value = unescaped(value.trim()));
    (!found.is_empty()).then_some(found)
}

/// The parts between commas and pluses that are neither escaped nor in quotes, each with what stood before it.
fn segments(name: &str) -> Vec<(char, String)> {
    let mut segments = vec![(',', String::new())];
    let (mut is_escaped, mut is_quoted) = (false, false);
    for c in name.chars() {
        let is_separator = matches!(c, ',' | '+') && !is_escaped && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        match segments.last_mut() {
            Some((_, segment)) if !is_separator => segment.push(c),
            Some(_) | None => segments.push((c, String::new())),
        }
    }
    segments
}

fn is_kind(kind: &str) -> bool {
    let kind = kind.trim();
    !kind.is_empty() && kind.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.')
}

/// One spelling for each type that programs write in several ways.
fn canonical(kind: &str) -> String {
    let kind = kind.trim().to_ascii_uppercase();
    let kind = kind.strip_prefix("OID.").unwrap_or(&kind);
    let known = match kind {
        "S" => "ST",
        "E" | "EMAIL" => "EMAILADDRESS",
        "GIVENNAME" => "GN",
        "SURNAME" => "SN",
        "STREETADDRESS" => "STREET",
        _ => kind,
    };
    known.to_owned()
}

/// Without quotes around it and escapes in it.
fn unescaped(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let mut bytes = Vec::new();
    let mut rest = inner.as_bytes();
    while let [first, after @ ..] = rest {
        (bytes, rest) = match (first, after) {
            (b'\\', [high, low, after @ ..]) if byte(*high, *low).is_some() => {
                bytes.extend(byte(*high, *low));
                (bytes, after)
            }
            (b'\\', [escaped, after @ ..]) => {
                bytes.push(*escaped);
                (bytes, after)
            }
            (other, after) => {
                bytes.push(*other);
                (bytes, after)
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |half: u8| char::from(half).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The CA certificate of a served chain that ends first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// When it ends.
    pub at: Timestamp,
    /// Its subject.
    pub subject: Text,
    /// SHA-256 of its public key (SPKI): a certificate of the same CA that ends later can take its place.
    pub spki: Digest,
}

/// What stands above a leaf in the files that are served; by default nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedChain {
    /// Who signed the leaf.
    pub issuer: Issuer,
    /// The first end in the chain; `None` where the leaf is served alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ChainEnd>,
}

impl ServedChain {
    /// When clients begin to refuse a leaf that ends at `leaf` and is served with this chain.
    #[must_use]
    pub fn ends_at(&self, leaf: Timestamp) -> Timestamp {
        self.end.as_ref().map_or(leaf, |end| end.at.min(leaf))
    }
}

/// So long before its own end a CA may let what it issues end, where it cuts the validity.
pub const CUT_SHORT: Duration = Duration::from_secs(2 * 86_400);

/// The end that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// The CA certificate of the chain that ends then; `None`: the leaf does.
    pub ca: Option<Text>,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ca {
            None => write!(f, "{}", self.at),
            Some(ca) => write!(f, "{} (the end of the CA certificate {ca} in its chain)", self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_digest_or_a_subject() {
        let check = |text: &str, expected: Result<&str, InvalidPin>| {
            let shown = IssuerPin::parse(text).map(|pin| pin.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{text}");
        };
        let capitals = "0A".repeat(32);
        let colons = format!("SHA256:{}0a", "0A:".repeat(31));
        let expected = format!("sha256:{}", Digest([10; 32]));
        check(&format!("sha256:{capitals}"), Ok(&expected));
        check(&format!(" sha256: {} ", capitals.to_ascii_lowercase()), Ok(&expected));
        check(&colons, Ok(&expected));
        check(&format!("sha256:{}", "0A".repeat(31)), Err(InvalidPin::Digits));
        check(&format!("sha256:{}", "0G".repeat(32)), Err(InvalidPin::Digits));
        check("sha256:", Err(InvalidPin::Digits));
        check(&capitals, Err(InvalidPin::Neither));
        check("CN=Example CA, O=Example AG", Ok("CN=Example CA, O=Example AG"));
        check("Example CA", Err(InvalidPin::Neither));
        check("=x", Err(InvalidPin::Neither));
        check("é", Err(InvalidPin::Neither));
        check("", Err(InvalidPin::Neither));
    }

    proptest::proptest! {
        #[test]
        fn no_text_causes_a_panic(text in "[a-zA-Z0-9,+=\"\\\\ .:\\PC]{0,80}") {
            let pin = IssuerPin::parse(&text);
            let is_name = attributes(&text).is_some_and(|found| found.iter().all(|(kind, _)| !kind.is_empty()));
            proptest::prop_assert!(is_name || !matches!(pin, Ok(IssuerPin::Subject(_))));
        }
    }

    #[test]
    fn a_distinguished_name_is_read_as_programs_write_it() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected.iter().map(|(kind, value)| ((*kind).into(), (*value).into())).collect();
            assert_eq!(attributes(text), Some(expected), "{text}");
        };
        check("C = CH, O = Example AG, CN = R1", &[("C", "CH"), ("O", "Example AG"), ("CN", "R1")]);
        check("CN=R1,O=Example AG,C=CH", &[("CN", "R1"), ("O", "Example AG"), ("C", "CH")]);
        check("O=\"Example, Inc.\"+ou=a\\+b", &[("O", "Example, Inc."), ("OU", "a+b")]);
        check("O=Example, Inc., cn=A+B", &[("O", "Example, Inc."), ("CN", "A+B")]);
        check(
            "E=a@b.example,S=Bern,OID.2.5.4.3=x=y",
            &[("EMAILADDRESS", "a@b.example"), ("ST", "Bern"), ("2.5.4.3", "x=y")],
        );
        check("CN=Z\\C3\\BCrich\\", &[("CN", "Zürich\\")]);
        assert_eq!(attributes(", CN=x"), None);
    }

    #[track_caller]
    fn check(subject: &str, wanted: &str, expected: bool) {
        let issuer = Issuer { subject: Text::new(subject), spki: Some(Digest([0xab; 32])) };
        assert_eq!(issuer.is_meant_by(wanted), expected, "{subject:?} by {wanted:?}");
    }

    #[test]
    fn an_issuer_is_meant_by_its_subject_its_common_name_or_its_key() {
        let subject = "C=US, O=Example, Inc., CN=Example TLS, RSA 2048 CA, OU=Web";
        for wanted in [subject, "Example TLS, RSA 2048 CA", &format!("{subject}\n")] {
            check(subject, wanted, true);
        }
        for wanted in ["", "Example TLS", "Example TLS, RSA 2048 CA, OU=Web", "Example, Inc.", "C=US", "CN=Example TLS"]
        {
            check(subject, wanted, false);
        }
        check("CN=A, 2.5.4.97=B", "A", true);
        check("CN=A", "A", true);
        check("CN=A", "CN=A", true);
        check("O=A", "A", false);
        check("CN=", "", true);
        check("", "A", false);
        for wanted in [format!("sha256:{}", "ab".repeat(32)), format!("SHA256:{}", ["AB"; 32].join(":"))] {
            check("CN=A", &wanted, true);
        }
        for wanted in ["sha256:", "sha256:ab", &format!("sha256:{}", "cd".repeat(32))] {
            check("CN=A", wanted, false);
        }
    }
}
