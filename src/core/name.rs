//! Names and identifiers, each its own type, valid once made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::Text;

/// The name of a certificate in the inventory: `[a-z0-9][a-z0-9._-]{0,63}`. Safe as a file name. Its text is shared: a
/// name is in several places at once, and passed around at every look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertName(Arc<str>);

/// The name of a hook; the same alphabet as [`CertName`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HookName(Arc<str>);

/// A text is no valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name has 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and starts with a letter or a digit")
    }
}

impl std::error::Error for InvalidName {}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(InvalidName) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(CertName);
name!(HookName);

fn is_name(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let rest = |c: u8| inner(c) || matches!(c, b'.' | b'_' | b'-');
    text.len() <= 64 && text.bytes().next().is_some_and(inner) && text.bytes().all(rest)
}

/// How an entry names its profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileRef {
    /// By its id (a UUID, in lower case).
    Id(ProfileId),
    /// By its exact name.
    Name(String),
}

impl ProfileRef {
    /// A UUID is an id, everything else a name.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if is_uuid(text) { Self::Id(ProfileId(text.to_ascii_lowercase().into())) } else { Self::Name(text.to_owned()) }
    }
}

impl fmt::Display for ProfileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{name:?}"),
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// The id of a profile in TLM. Its text is shared: thousands of certificates may be issued under one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileId(pub Arc<str>);

/// The id that TLM gives to a request that is not issued at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

/// The number by which renewd itself tells its requests for one certificate apart; it names the pending files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u64);

/// The number of an installed set below `certs/NAME/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// A certificate's serial number in TLM's spelling: hexadecimal, upper case, leading zeros kept as the API gave them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SerialNumber(pub String);

impl SerialNumber {
    /// Whether both name the same number: leading zeros and case do not count.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        fn bare(serial: &SerialNumber) -> &str {
            serial.0.trim_start_matches('0')
        }
        bare(self).eq_ignore_ascii_case(bare(other))
    }
}

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

shown!(Attempt, Generation);

/// What TLM wrote is shown as any text from outside.
macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Text::new(&self.0).fmt(f)
            }
        }
    )*};
}

shown_as_text!(ProfileId, RequestId, SerialNumber);

/// A SHA-256 digest: of a certificate's DER (its fingerprint), of its SPKI, or of a file. Shown as upper-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The first eight bytes as a number, for a stable spread.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&hex(byte));
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for Digest {
    type Error = InvalidDigest;
    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        if text.len() != 64 {
            return Err(InvalidDigest);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let value = |half: u8| digit(half).ok_or(InvalidDigest);
            *byte = pair.iter().try_fold(0, |whole, half| Ok(whole << 4 | value(*half)?))?;
        }
        Ok(Self(bytes))
    }
}

/// The two digits of a byte, in upper case.
pub const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(half: u8) -> u8 {
        if half < 10 { b'0' + half } else { b'A' + half - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

/// A text is no SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDigest;

impl fmt::Display for InvalidDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 digest has 64 hexadecimal digits")
    }
}

impl std::error::Error for InvalidDigest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_a_file_name() {
        let long = "a".repeat(64);
        for good in ["www", "0", "a.b_c-d", long.as_str()] {
            assert!(good.parse::<CertName>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", ".", "..", "-a", "A", "a/b", "a b", "ä", too_long.as_str()] {
            assert_eq!(bad.parse::<CertName>(), Err(InvalidName), "{bad}");
        }
    }

    #[test]
    fn what_tlm_names_is_shown_as_text_from_outside() {
        let raw = "a\nMAINPID=1\u{1b}[31m\u{202e}b".to_owned();
        let clean = "a MAINPID=1[31mb";
        assert_eq!(RequestId(raw.clone()).to_string(), clean);
        assert_eq!(SerialNumber(raw.clone()).to_string(), clean);
        assert_eq!(ProfileId(raw.into()).to_string(), clean);
    }

    #[test]
    fn a_uuid_is_a_profile_id() {
        let id = "D6743D9A-fb67-4a64-a33e-8a3229d28cc4";
        assert_eq!(ProfileRef::new(id), ProfileRef::Id(ProfileId(id.to_ascii_lowercase().into())));
        assert_eq!(ProfileRef::new("Web servers"), ProfileRef::Name("Web servers".into()));
    }

    #[test]
    fn serial_numbers_compare_as_numbers() {
        assert!(SerialNumber("0F6F".into()).same(&SerialNumber("f6f".into())));
        assert!(!SerialNumber("F6F".into()).same(&SerialNumber("F6F0".into())));
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest(std::array::from_fn(|at| u8::try_from(at * 7).unwrap_or(0)));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().to_ascii_lowercase().parse(), Ok(digest));
        assert_eq!("zz".repeat(32).parse::<Digest>(), Err(InvalidDigest));
        assert_eq!("0".repeat(63).parse::<Digest>(), Err(InvalidDigest));
        assert_eq!(digest.prefix(), 0x00_07_0e_15_1c_23_2a_31);
    }
}
