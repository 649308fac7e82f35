//! What TLM holds for the seat and the common name of an entry, as a search shows it.

use crate::api::{Details, SearchQuery};
use crate::core::known::holding::Holding;
use crate::core::known::observed::Leaf;
use crate::core::known::standing::TlmState;
use crate::core::name::{ProfileId, SerialNumber};
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::pki::certificate::certificates;
use crate::pki::leaf;

/// Whose certificates may stand in the way of one for this entry.
#[must_use]
pub fn query(entry: &Entry) -> SearchQuery {
    SearchQuery {
        seat: Some(entry.naming.seat().into_owned()),
        common_name: entry.naming.common_name().map(str::to_owned),
        ..SearchQuery::default()
    }
}

/// What of it is valid at `now`: what is not installed here first, then what is of the same profile, then the newest.
#[must_use]
pub fn valid(
    items: &[Details],
    profile: Option<&ProfileId>,
    installed: Option<&SerialNumber>,
    now: Timestamp,
) -> Vec<Holding> {
    let is_issued = |item: &&Details| !matches!(item.standing.state, TlmState::Revoked | TlmState::Expired);
    let holding = |item: &Details| {
        let leaf = leaf_of(item);
        let holding = Holding {
            serial_number: item.serial_number.clone(),
            issued_at: leaf.as_ref().map(|leaf| leaf.not_before),
            not_after: leaf.as_ref().map(|leaf| leaf.not_after),
            is_installed: installed.is_some_and(|installed| installed.same(&item.serial_number)),
        };
        (item.profile.as_ref() != profile, holding)
    };
    let mut found: Vec<_> = items.iter().filter(is_issued).map(holding).collect();
    found.retain(|(_, holding)| holding.not_after.is_none_or(|end| end > now));
    found
        .sort_by_key(|(is_foreign, holding)| (holding.is_installed, *is_foreign, std::cmp::Reverse(holding.issued_at)));
    found.into_iter().map(|(_, holding)| holding).collect()
}

/// The certificate itself, where it came along and is one.
#[must_use]
pub fn leaf_of(item: &Details) -> Option<Leaf> {
    certificates(item.certificate.as_deref()?).ok()?.iter().find_map(|found| leaf::read(found).ok())
}
