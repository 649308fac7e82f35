//! A certificate profile of TLM, as far as it decides what may be asked for and when.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::issuer::ChainEnd;
use crate::core::backoff::mix;
use crate::core::name::ProfileId;
use crate::core::text::Text;
use crate::core::wanted::entry::Validity;
use crate::core::wanted::key::KeyType;

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
    /// The renewal window in days: `renewal_window_days` where it is above 0, else `renewal_period_days` where that is;
    /// 0: that is all that it says, and counts as nothing.
    pub renewal_window_days: Option<u32>,
    /// What it says of the renewal window instead, where that is no number of days.
    #[serde(default)]
    pub odd_window: Option<Text>,
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
    /// What nothing is decided by.
    #[serde(skip)]
    pub shown: ShownTerms,
}

/// What a profile says that only people read, in TLM's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownTerms {
    /// How the issuer signs.
    pub signature_algorithm: Option<Text>,
    /// Whether a public or a private CA issues.
    pub trust_type: Option<Text>,
    /// Which attribute of a request names the seat.
    pub seat_id_mapping: Option<Text>,
}

impl Profile {
    /// The renewal window; 0 days are no window.
    #[must_use]
    pub fn renewal_window(&self) -> Option<Duration> {
        let days = self.renewal_window_days.filter(|days| *days > 0)?;
        Some(Duration::from_secs(u64::from(days) * 86_400))
    }

    /// All that it says of the renewal window, where that is none: 0 days, or something odd.
    #[must_use]
    pub fn unusable_window(&self) -> Option<String> {
        let zero = || (self.renewal_window_days == Some(0)).then(|| "0 days".to_owned());
        let odd = self.odd_window.as_ref().map(|said| format!("\"{said}\""));
        odd.filter(|_| self.renewal_window().is_none()).or_else(zero)
    }

    /// A number that changes when the profile says something else, and not with a version of renewd: what newer ones
    /// read as well counts only where it says something.
    #[must_use]
    pub fn version(&self) -> u64 {
        mix(format_args!("{:?}", Said(self)), 0)
    }

    /// A CA certificate that the profile shows and that can take the place of `end` in a chain: of the same CA, and it
    /// ends later.
    #[must_use]
    pub fn successor_of(&self, end: &ChainEnd) -> Option<&ChainEnd> {
        self.cas.iter().filter(|ca| ca.spki == end.spki && ca.subject == end.subject).find(|ca| ca.at > end.at)
    }

    /// The key type for an entry that names none: the first that the profile takes. ML-DSA comes last, since most servers
    /// cannot load such a key.
    #[must_use]
    pub fn default_key(&self) -> KeyType {
        let usual = self.keys.iter().find(|key| !key.is_post_quantum());
        usual.or(self.keys.first()).copied().unwrap_or(KeyType::EcdsaP256)
    }
}

/// What a profile says, without what is read out of the same words twice (`cas`).
struct Said<'a>(&'a Profile);

impl fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Profile {
            id,
            name,
            status,
            enrollment_method,
            authentication_method,
            renewal_window_days,
            odd_window,
            allows_duplicates,
            allows_validity,
            validity,
            keys,
            unknown_keys,
            allowed_names,
            custom_values,
            escrows_keys,
            subject,
            san,
            issuers,
            cas: _,
            needs_approval,
            shown: _,
        } = self.0;
        let mut said = f.debug_struct("Profile");
        said.field("id", id)
            .field("name", name)
            .field("status", status)
            .field("enrollment_method", enrollment_method)
            .field("authentication_method", authentication_method)
            .field("renewal_window_days", renewal_window_days)
            .field("allows_duplicates", allows_duplicates)
            .field("allows_validity", allows_validity)
            .field("validity", validity)
            .field("keys", keys)
            .field("escrows_keys", escrows_keys)
            .field("subject", subject)
            .field("san", san)
            .field("issuers", issuers);
        let lists: [(&str, &dyn fmt::Debug, bool); 3] = [
            ("unknown_keys", unknown_keys, unknown_keys.is_empty()),
            ("allowed_names", allowed_names, allowed_names.is_empty()),
            ("custom_values", custom_values, custom_values.is_empty()),
        ];
        for (name, list, _) in lists.iter().filter(|(.., is_empty)| !is_empty) {
            said.field(name, list);
        }
        if let Some(odd) = odd_window {
            said.field("odd_window", odd);
        }
        if *needs_approval {
            said.field("needs_approval", needs_approval);
        }
        said.finish()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::example;

    /// Every stop notes the version of its profile: with another number for the same words an upgrade would lift them all.
    #[test]
    fn the_version_is_the_same_as_before_where_the_profile_says_nothing_new() {
        let old = "Profile { id: ProfileId(\"p\"), name: \"Web\", status: \"Active\", enrollment_method: \"rest_api\", \
            authentication_method: \"third_party_app\", renewal_window_days: Some(30), allows_duplicates: true, \
            allows_validity: false, validity: None, keys: [EcdsaP256, EcdsaP384], escrows_keys: false, \
            subject: [ProfileAttribute { key: \"common_name\", mandatory: false, multiple: false, origin: Request }, \
            ProfileAttribute { key: \"country\", mandatory: false, multiple: false, origin: Request }], \
            san: [ProfileAttribute { key: \"dns_names\", mandatory: false, multiple: true, origin: Request }], issuers: [] }";
        let profile = example::profile();
        assert_eq!(profile.version(), mix(old, 0));
        let changes: [&dyn Fn(&mut Profile); 7] = [
            &|profile| profile.odd_window = Some(Text::new("-1")),
            &|profile| profile.unknown_keys.push(Text::new("MLDSA-65")),
            &|profile| profile.allowed_names.push(Text::new("example.com")),
            &|profile| profile.custom_values.extend(profile.subject.clone()),
            &|profile| profile.needs_approval = true,
            &|profile| profile.issuers.push("PEM".to_owned()),
            &|profile| profile.renewal_window_days = None,
        ];
        for change in changes {
            let mut changed = profile.clone();
            change(&mut changed);
            assert_ne!(changed.version(), profile.version(), "{changed:?}");
        }
    }
}
