//! A certificate profile of TLM, as far as it decides what may be asked for and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::Validity;
use super::issuer::ChainEnd;
use super::key::KeyType;
use super::name::ProfileId;
use super::text::Text;

/// A profile as last read from TLM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Its name.
    pub name: String,
    /// `Active`, or why it cannot be used.
    pub status: String,
    /// `rest_api`, or what it is for instead.
    pub enrollment_method: String,
    /// `third_party_app`, or what it asks for instead.
    pub authentication_method: String,
    /// The renewal window in days: `renewal_window_days` where it is above 0, else `renewal_period_days` where that is.
    pub renewal_window_days: Option<u32>,
    /// Whether a second certificate may be issued while one is valid.
    pub allows_duplicates: bool,
    /// Whether a request may name its own validity.
    pub allows_validity: bool,
    /// The validity that the profile gives.
    pub validity: Option<Validity>,
    /// The key types that the profile takes; empty: it does not say.
    pub keys: Vec<KeyType>,
    /// The key types that it names and renewd cannot make.
    #[serde(default)]
    pub unknown_keys: Vec<Text>,
    /// The names that it allows (`allowed_list`), as it writes them; empty: it does not say.
    #[serde(default)]
    pub allowed_names: Vec<Text>,
    /// The values that its custom extensions take from requests; empty: it does not say.
    #[serde(default)]
    pub custom_values: Vec<ProfileAttribute>,
    /// Whether DigiCert makes and keeps the key.
    pub escrows_keys: bool,
    /// The subject attributes that it lists.
    pub subject: Vec<ProfileAttribute>,
    /// The kinds of subject alternative names that it lists, under their request keys.
    pub san: Vec<ProfileAttribute>,
    /// The issuing CA and its chain as PEM, where the profile shows them.
    pub issuers: Vec<String>,
    /// The same, with the end of each.
    #[serde(default)]
    pub cas: Vec<ChainEnd>,
    /// Whether administrators have to approve each request.
    #[serde(default)]
    pub needs_approval: bool,
}

impl Profile {
    /// The renewal window; 0 days are no window.
    #[must_use]
    pub fn renewal_window(&self) -> Option<Duration> {
        let days = self.renewal_window_days.filter(|days| *days > 0)?;
        Some(Duration::from_secs(u64::from(days) * 86_400))
    }

    /// A number that changes when the profile says something else.
    #[must_use]
    pub fn version(&self) -> u64 {
        super::backoff::mix(&format!("{self:?}"), 0)
    }

    /// A CA certificate that the profile shows and that can take the place of `end` in a chain: of the same CA, and it
    /// ends later.
    #[must_use]
    pub fn successor_of(&self, end: &ChainEnd) -> Option<&ChainEnd> {
        self.cas.iter().filter(|ca| ca.spki == end.spki && ca.subject == end.subject).find(|ca| ca.at > end.at)
    }

    /// The key type for an entry that names none: the first that the profile takes.
    #[must_use]
    pub fn default_key(&self) -> KeyType {
        self.keys.first().copied().unwrap_or(KeyType::EcdsaP256)
    }
}

/// An attribute that a profile lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileAttribute {
    /// TLM's key (`common_name`, `dns_names`, …), in lower case.
    pub key: String,
    /// Whether the request must carry it.
    pub mandatory: bool,
    /// Whether it may have several values.
    pub multiple: bool,
    /// Where its value comes from.
    pub origin: Origin,
}

/// Where the value of a profile's attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The request (`REST Request`, `ENTERED_BY_USER_DURING_ENROLLMENT`, `from_csr`, or not said).
    Request,
    /// A fixed value that TLM adds by itself: never sent.
    Fixed(String),
    /// TLM's own sources (`UPLOADED_BY_ADMIN`, `AD_ATTRIBUTE`, …): may be sent, never required of the request.
    Elsewhere,
}
