//! What TLS clients are shown: the leaf at each probed address, compared with the installed one.

use serde::{Deserialize, Serialize};

use crate::core::name::Digest;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// What one address showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressProbe {
    /// The address.
    pub address: Text,
    /// The leaf, or why none was seen.
    pub leaf: Result<ServedLeaf, Text>,
}

/// A leaf that an address showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedLeaf {
    /// SHA-256 of its DER.
    pub fingerprint: Digest,
    /// What it is, for the operator: serial number and end, where it parses.
    pub what: Text,
}

/// Whether a certificate is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Served {
    /// At every address.
    Yes,
    /// At one address at least, something else is.
    No,
    /// Some address showed nothing.
    Unknown,
}

impl Served {
    /// The word in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// The last look at what is served in place of, or as, one installed certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// The installed certificate's.
    pub fingerprint: Digest,
    /// When.
    pub at: Timestamp,
    /// Since when it is so, as far as this process saw it.
    pub since: Timestamp,
    /// What was seen.
    pub served: Served,
    /// What is wrong, where something is.
    pub what: Option<Text>,
    /// How often in a row it was not served.
    pub failures: u32,
}

impl ProbeRecord {
    /// The record after another look.
    #[must_use]
    pub fn after(before: Option<&Self>, fingerprint: Digest, sights: &[AddressProbe], at: Timestamp) -> Self {
        let (served, what) = judge(fingerprint, sights);
        let before = before.filter(|before| before.fingerprint == fingerprint);
        let same = before.filter(|before| before.served == served);
        Self {
            fingerprint,
            at,
            since: same.map_or(at, |same| same.since),
            served,
            what,
            failures: if served == Served::Yes { 0 } else { before.map_or(0, |before| before.failures) + 1 },
        }
    }
}

/// A foreign leaf at one address outweighs whatever others show.
fn judge(fingerprint: Digest, sights: &[AddressProbe]) -> (Served, Option<Text>) {
    let foreign = |sight: &AddressProbe| {
        let leaf = sight.leaf.as_ref().ok().filter(|leaf| leaf.fingerprint != fingerprint)?;
        Some(format!("{} still serves {}", sight.address, leaf.what))
    };
    let unseen = |sight: &AddressProbe| {
        let why = sight.leaf.as_ref().err()?;
        Some(format!("{} presents no certificate: {why}", sight.address))
    };
    let foreign: Vec<String> = sights.iter().filter_map(foreign).collect();
    let unseen: Vec<String> = sights.iter().filter_map(unseen).collect();
    let served = match (foreign.is_empty(), unseen.is_empty()) {
        (false, _) => Served::No,
        (true, false) => Served::Unknown,
        (true, true) => return (Served::Yes, None),
    };
    (served, Some(Text::new(&[foreign, unseen].concat().join("; "))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OURS: Digest = Digest([1; 32]);

    fn sight(leaf: Result<u8, &str>) -> AddressProbe {
        let leaf = leaf
            .map(|byte| ServedLeaf { fingerprint: Digest([byte; 32]), what: Text::new("serial number 0A") })
            .map_err(Text::new);
        AddressProbe { address: Text::new("h:443"), leaf }
    }

    #[test]
    fn one_foreign_leaf_outweighs_all_and_one_silent_address_leaves_it_open() {
        let check = |sights: &[AddressProbe], served, what: &str| {
            let (found, text) = judge(OURS, sights);
            assert_eq!((found, text.map_or(String::new(), |text| text.to_string()).as_str()), (served, what));
        };
        check(&[sight(Ok(1)), sight(Ok(1))], Served::Yes, "");
        let both = "h:443 still serves serial number 0A; h:443 presents no certificate: refused";
        check(&[sight(Err("refused")), sight(Ok(2))], Served::No, both);
        check(&[sight(Ok(1)), sight(Err("refused"))], Served::Unknown, "h:443 presents no certificate: refused");
    }

    #[test]
    fn looks_count_in_a_row_and_for_one_certificate() {
        let at = |seconds| Timestamp::from_seconds(1_000) + Duration::from_secs(seconds);
        let first = ProbeRecord::after(None, OURS, &[sight(Ok(2))], at(0));
        let second = ProbeRecord::after(Some(&first), OURS, &[sight(Ok(2))], at(60));
        assert_eq!((second.failures, second.since, second.at), (2, at(0), at(60)));
        let other = ProbeRecord::after(Some(&second), Digest([2; 32]), &[sight(Ok(2))], at(90));
        assert_eq!((other.served, other.failures, other.since), (Served::Yes, 0, at(90)));
    }
}
