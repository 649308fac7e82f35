//! Who issued a certificate, when the chain to it ends, and the end that counts: the earliest end of leaf and served
//! chain, since a TLS client refuses both alike. And which CA an entry wants on the path.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::name::Digest;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::dn;
use crate::core::wanted::subject::{SubjectAttribute, same_value};

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
    /// Whether anything is known of it: files may hold a leaf that cannot be read.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.subject.as_str().is_empty()
    }

    /// Whether an operator means it by `wanted`: its whole subject, its common name alone, or `sha256:` and the digest of
    /// its public key.
    #[must_use]
    pub fn is_meant_by(&self, wanted: &str) -> bool {
        let wanted = wanted.trim();
        if let Ok(IssuerPin::Spki(digest)) = IssuerPin::parse(wanted) {
            return self.spki == Some(digest);
        }
        let Some(own) = dn::parse_printed(self.subject.as_str()) else { return self.subject.as_str() == wanted };
        let common_name = own.iter().find(|one| one.oid == SubjectAttribute::CommonName.oid());
        common_name.is_some_and(|one| same_value(&one.value, wanted))
            || dn::parse_printed(wanted).is_some_and(|wanted| dn::is_same_name(&wanted, &own))
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
        dn::parse_printed(text).map(|_| Self::Subject(text.to_owned())).ok_or(InvalidPin::Neither)
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
    /// The first end in the chain, where it comes before the leaf's.
    #[must_use]
    pub fn end_before(&self, leaf: Timestamp) -> Option<&ChainEnd> {
        self.end.as_ref().filter(|end| end.at < leaf)
    }

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
            Some(ca) => write!(f, "{} (the expiry of the CA certificate {ca} in its chain)", self.at),
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
        for bad in ["=x", "OID.=x", "XY=Example CA", "CN="] {
            check(bad, Err(InvalidPin::Neither));
        }
        check("é", Err(InvalidPin::Neither));
        check("", Err(InvalidPin::Neither));
    }

    proptest::proptest! {
        #[test]
        fn no_text_causes_a_panic(text in "[a-zA-Z0-9,+=\"\\\\ .:\\PC]{0,80}") {
            let pin = IssuerPin::parse(&text);
            let is_name = dn::parse_printed(&text).is_some_and(|found| found.iter().all(|one| !one.oid.is_empty()));
            proptest::prop_assert!(is_name || !matches!(pin, Ok(IssuerPin::Subject(_))));
        }
    }

    #[track_caller]
    fn check(subject: &str, wanted: &str, expected: bool) {
        let issuer = Issuer { subject: Text::new(subject), spki: Some(Digest([0xab; 32])) };
        assert_eq!(issuer.is_meant_by(wanted), expected, "{subject:?} by {wanted:?}");
    }

    #[test]
    fn an_issuer_is_meant_by_its_subject_its_common_name_or_its_key() {
        let subject = "C=US, O=Example, Inc., CN=Example TLS, RSA 2048 CA, OU=Web";
        let reverse = r"OU=Web,CN=Example TLS\, RSA 2048 CA,O=example\, inc.,C=US";
        for wanted in [subject, reverse, "Example TLS, RSA 2048 CA", &format!("{subject}\n")] {
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
        check("CN=", "", false);
        check("no name", "no name", true);
        check("", "A", false);
        for wanted in [format!("sha256:{}", "ab".repeat(32)), format!("SHA256:{}", ["AB"; 32].join(":"))] {
            check("CN=A", &wanted, true);
        }
        for wanted in ["sha256:", "sha256:ab", &format!("sha256:{}", "cd".repeat(32))] {
            check("CN=A", wanted, false);
        }
    }
}
