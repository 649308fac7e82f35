//! How a certificate stands at TLM, in TLM's own words.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::core::text::Text;
use crate::core::time::Timestamp;

/// The state of a certificate at TLM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlmState {
    /// In force.
    Issued,
    /// Withdrawn for good.
    Revoked,
    /// On hold: clients refuse it, and TLM can take that back.
    Suspended,
    /// Past its validity.
    Expired,
    /// A word that renewd does not know; empty where none came.
    Other(Text),
}

impl TlmState {
    /// Reads a state, in whatever case and spelling.
    #[must_use]
    pub fn read(word: &str) -> Self {
        let letters: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
        match letters.to_ascii_lowercase().as_str() {
            "issued" | "active" | "valid" => Self::Issued,
            "revoked" => Self::Revoked,
            "suspended" | "onhold" | "hold" | "certificatehold" | "certificatehold6" => Self::Suspended,
            "expired" => Self::Expired,
            _ => Self::Other(Text::new(word)),
        }
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Issued => "issued",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Other(word) => word.as_str(),
        }
    }
}

impl fmt::Display for TlmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(word) if word.as_str().is_empty() => f.write_str("in a state that TLM does not name"),
            Self::Other(word) => write!(f, "in the state \"{word}\" (unknown to renewd)"),
            Self::Issued | Self::Revoked | Self::Suspended | Self::Expired => f.write_str(self.as_str()),
        }
    }
}

impl Serialize for TlmState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TlmState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::read(&word))
    }
}

/// How a certificate stands at TLM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its state.
    pub state: TlmState,
    /// Why it is revoked or suspended, where TLM says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// Since when, where TLM says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Standing {
    /// This state, with no more known of it.
    #[must_use]
    pub const fn of(state: TlmState) -> Self {
        Self { state, reason: None, since: None }
    }

    /// What TLM says: a certificate that was revoked in order to hold it, reason 6 of RFC 5280, is suspended.
    #[must_use]
    pub fn read(word: &str, reason: Option<Text>, since: Option<Timestamp>) -> Self {
        let means_hold = |reason: &str| reason.trim() == "6" || TlmState::read(reason) == TlmState::Suspended;
        let is_hold = reason.as_ref().is_some_and(|reason| means_hold(reason.as_str()));
        let state = TlmState::read(word);
        let is_held = is_hold && state == TlmState::Revoked;
        Self { state: if is_held { TlmState::Suspended } else { state }, reason, since }
    }

    /// Whether it is revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.state == TlmState::Revoked
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        self.since.map_or(Ok(()), |since| write!(f, " since {since}"))?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_in_every_spelling() {
        for (word, expected) in [
            ("issued", TlmState::Issued),
            (" ISSUED ", TlmState::Issued),
            ("Active", TlmState::Issued),
            ("REVOKED", TlmState::Revoked),
            ("Suspended", TlmState::Suspended),
            ("ON_HOLD", TlmState::Suspended),
            ("certificate-hold", TlmState::Suspended),
            ("certificateHold (6)", TlmState::Suspended),
            ("expired", TlmState::Expired),
            ("replaced_external", TlmState::Other(Text::new("replaced_external"))),
            ("", TlmState::Other(Text::new(""))),
        ] {
            assert_eq!(TlmState::read(word), expected, "{word:?}");
        }
    }

    #[test]
    fn a_standing_says_since_when_and_why() {
        let at = Some(Timestamp::from_seconds(1_764_000_000));
        let shown = |word: &str, reason: Option<&str>| Standing::read(word, reason.map(Text::from), at).to_string();
        assert_eq!(shown("revoked", Some("superseded")), "revoked since 2025-11-24T16:00:00Z (superseded)");
        assert_eq!(shown("suspended", None), "suspended since 2025-11-24T16:00:00Z");
        assert_eq!(
            shown("revoked", Some("CERTIFICATE_HOLD")),
            "suspended since 2025-11-24T16:00:00Z (CERTIFICATE_HOLD)"
        );
        assert_eq!(shown("revoked", Some("6")), "suspended since 2025-11-24T16:00:00Z (6)");
        assert_eq!(shown("revoked", Some("1")), "revoked since 2025-11-24T16:00:00Z (1)");
        let odd = Standing::of(TlmState::read("locked"));
        assert_eq!(odd.to_string(), "in the state \"locked\" (unknown to renewd)");
        let kept = serde_json::to_string(&odd).unwrap();
        assert_eq!((kept.as_str(), serde_json::from_str(&kept).ok()), (r#"{"state":"locked"}"#, Some(odd)));
    }
}
