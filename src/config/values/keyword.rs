//! Values that are words or identifiers of the core: read here, known there.

use crate::config::syntax::from_toml::{FromText, listed, not_a_name, one_of};
use crate::config::syntax::problem::{Fault, quoted};
use crate::core::known::issuer::IssuerPin;
use crate::core::name::{CertName, HookName, InvalidName, ProfileRef};
use crate::core::wanted::entry::{RequestMethod, StartTls, SubjectFrom};
use crate::core::wanted::files::{Format, Pkcs12Encryption};
use crate::core::wanted::key::KeyType;
use crate::core::wanted::usage::Usage;

/// The words of a type, each with its meaning.
macro_rules! words {
    ($($type:ty { $($word:literal => $meaning:expr,)* })*) => {$(
        impl FromText for $type {
            fn expected() -> String {
                listed([$($word,)*])
            }

            fn from_text(text: &str) -> Result<Self, Fault> {
                one_of(text, &[$(($word, $meaning),)*])
            }

            fn words() -> Vec<&'static str> {
                vec![$($word,)*]
            }
        }
    )*};
}

words! {
    RequestMethod { "auto" => Self::Auto, "new" => Self::New, "renew" => Self::Renew, }
    SubjectFrom { "request" => Self::Request, "ca" => Self::Ca, }
    StartTls {
        "smtp" => Self::Smtp,
        "imap" => Self::Imap,
        "pop3" => Self::Pop3,
        "postgres" => Self::Postgres,
        "ldap" => Self::Ldap,
        "mysql" => Self::Mysql,
    }
    Pkcs12Encryption { "aes256" => Self::Aes256, "legacy-3des" => Self::Legacy3des, }
    Format { "bundle" => Self::Bundle, "pkcs12" => Self::Pkcs12, "pkcs7" => Self::Pkcs7, "der" => Self::Der, }
}

impl FromText for KeyType {
    fn expected() -> String {
        listed(Self::ALL.map(Self::as_str))
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        one_of(text, &Self::ALL.map(|key| (key.as_str(), key)))
    }

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).to_vec()
    }
}

impl FromText for Usage {
    fn expected() -> String {
        format!("{}, or an object identifier", Self::known_names().collect::<Vec<_>>().join(", "))
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new(format!("{} is not an extended key usage", quoted(text)));
        Self::parse(text).ok_or_else(|| fault().nearest(text, Self::known_names()))
    }

    fn words() -> Vec<&'static str> {
        Self::known_names().collect()
    }

    fn pattern() -> Option<String> {
        Some(r"^[0-9]+(\.[0-9]+)+$".to_owned())
    }
}

impl FromText for IssuerPin {
    fn expected() -> String {
        "`sha256:` and the 64 hexadecimal digits of the SHA-256 of a CA's public key (SPKI), or the exact subject of a CA \
         such as \"CN=Example Issuing CA, O=Example AG, C=CH\""
            .to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let text = String::from_text(text).map_err(|fault| fault.expected(Self::expected()))?;
        Self::parse(&text).map_err(|why| Fault::new(format!("{} names no CA: {why}", quoted(&text))))
    }

    fn pattern() -> Option<String> {
        Some(r"^\s*([sS][hH][aA]256:[: ]*([0-9a-fA-F][: ]*){64}|[0-9A-Za-z. ]+=.*)$".to_owned())
    }
}

impl FromText for ProfileRef {
    fn expected() -> String {
        "the id of a profile, or its exact name".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let text = String::from_text(text).map_err(|fault| fault.expected(Self::expected()))?;
        Ok(Self::new(&text))
    }

    fn pattern() -> Option<String> {
        String::pattern()
    }
}

impl FromText for CertName {
    fn expected() -> String {
        "a name such as \"www\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|invalid: InvalidName| not_a_name(text, &invalid.to_string()))
    }

    fn pattern() -> Option<String> {
        Some(NAME.to_owned())
    }
}

impl FromText for HookName {
    fn expected() -> String {
        "the name of a hook".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|invalid: InvalidName| not_a_name(text, &invalid.to_string()))
    }

    fn pattern() -> Option<String> {
        Some(NAME.to_owned())
    }
}

/// The rule of [`InvalidName`].
const NAME: &str = "^[a-z0-9][a-z0-9._-]{0,63}$";
