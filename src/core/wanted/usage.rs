//! What a certificate may be used for.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An extended key usage, by its configuration name or, for others, its object identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Usage(Cow<'static, str>);

impl Usage {
    const NAMED: [(&'static str, &'static str); 7] = [
        ("server_auth", "1.3.6.1.5.5.7.3.1"),
        ("client_auth", "1.3.6.1.5.5.7.3.2"),
        ("code_signing", "1.3.6.1.5.5.7.3.3"),
        ("email_protection", "1.3.6.1.5.5.7.3.4"),
        ("time_stamping", "1.3.6.1.5.5.7.3.8"),
        ("ocsp_signing", "1.3.6.1.5.5.7.3.9"),
        ("any", "2.5.29.37.0"),
    ];

    /// From a configuration name or an object identifier; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((name, _)) = Self::NAMED.iter().find(|(name, oid)| *name == text || *oid == text) {
            return Some(Self(Cow::Borrowed(name)));
        }
        let is_oid =
            text.contains('.') && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|c| c.is_ascii_digit()));
        is_oid.then(|| Self(Cow::Owned(text.to_owned())))
    }

    /// The names that configuration knows.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, _)| *name)
    }
}

/// Extended key usages; the usual ones take no memory of their own.
pub type Usages = Cow<'static, [Usage]>;

const USUAL: [&[Usage]; 2] = [
    &[Usage(Cow::Borrowed("server_auth"))],
    &[Usage(Cow::Borrowed("server_auth")), Usage(Cow::Borrowed("client_auth"))],
];

impl Usage {
    /// A list of usages.
    #[must_use]
    pub fn list(usages: Vec<Self>) -> Usages {
        USUAL.into_iter().find(|usual| **usual == *usages).map_or(Cow::Owned(usages), Cow::Borrowed)
    }

    /// What the next certificate is for where the entry does not say: the usages of the installed one. One without an
    /// extended key usage serves a server.
    #[must_use]
    pub fn of_installed(usages: &[Self]) -> Vec<Self> {
        if usages.is_empty() { vec![Self(Cow::Borrowed("server_auth"))] } else { usages.to_vec() }
    }
}

impl From<String> for Usage {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self(Cow::Owned(text)))
    }
}

impl From<Usage> for String {
    fn from(usage: Usage) -> Self {
        usage.0.into_owned()
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
