//! `renewd check --online`: what TLM holds in the way of a request, for entries whose profile allows no duplicates. One
//! search an entry is too much for thousands, so that only some are searched for, and the rest is said.

use std::sync::Arc;

use crate::api::{Details, Page, Tlm};
use crate::config::Main;
use crate::core::failure::Failure;
use crate::core::known::holding::Holding;
use crate::core::known::observed::{Installed, Observed};
use crate::core::known::profile::Profile;
use crate::core::name::{Digest, SerialNumber};
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::daemon::held;
use crate::daemon::preflight::Finding;
use crate::parallel;
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;
use crate::store::{generation, observe};

use super::account::Account;

/// An entry under a profile that allows no duplicates.
#[derive(Clone, Debug)]
pub(super) struct Strict {
    pub(super) entry: Arc<Entry>,
    pub(super) profile: Arc<Profile>,
}

/// One of them with what this host has of it.
struct Own {
    strict: Strict,
    observed: Observed,
    /// Every generation's, as TLM writes them.
    thumbprints: Vec<String>,
}

/// A warning for each certificate that TLM holds and this host does not have; then what was not searched for. Whoever
/// has nothing yet comes first, then by expiry.
pub(super) async fn findings(main: &Main, strict: Vec<Strict>, account: &Account, now: Timestamp) -> Vec<Finding> {
    let layout = Layout::new(&main.state_dir);
    let mut all = parallel::map(&strict, |strict| own(&layout, strict.clone()));
    all.sort_by_key(|own| own.observed.installed().map(Installed::ends_at));
    let (readable, mut rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|own| !matches!(own.observed, Observed::Unreadable(_)));
    let mut findings: Vec<_> = readable.iter().filter_map(Own::renewable_too_late).collect();
    let mut failed = None;
    for (count, own) in readable.into_iter().enumerate() {
        if count >= MOST_SEARCHES || failed.is_some() {
            rest.push(own);
            continue;
        }
        match account.client.search(&held::query(&own.strict.entry), Page::FIRST).await {
            Ok(page) => findings.extend(own.in_the_way(&page.items, now)),
            Err(failure) => {
                failed = Some(failure);
                rest.push(own);
            }
        }
    }
    findings.extend(not_searched(&rest, failed.as_ref()));
    findings
}

fn own(layout: &Layout, strict: Strict) -> Own {
    let entry = &strict.entry;
    let observed = observe::observe(&RealDisk, layout, entry);
    let kept = generation::fingerprints(&RealDisk, layout, &entry.name);
    let fingerprints = observed.installed().map(|installed| installed.fingerprint).into_iter().chain(kept);
    Own { thumbprints: fingerprints.map(|own: Digest| own.to_string()).collect(), observed, strict }
}

impl Own {
    /// Where TLM lets the leaf be renewed only after its chain has ended.
    fn renewable_too_late(&self) -> Option<Finding> {
        let Strict { entry, profile } = &self.strict;
        let installed = self.observed.installed()?;
        let end = installed.chain_end().filter(|end| profile.successor_of(end).is_none())?;
        let opens = installed.not_after - profile.renewal_window()?;
        let message = format!(
            "the CA certificate {} in its chain expires at {}; the profile allows no duplicates, and a renewal only from {opens}",
            end.subject, end.at
        );
        let remedy = "let the profile allow duplicates before then, or ask whoever runs the CA to renew it";
        (opens >= end.at).then(|| Finding::failed("renewal", &entry.name, message, remedy))
    }

    fn in_the_way(&self, items: &[Details], now: Timestamp) -> Option<Finding> {
        let foreign: Vec<Details> = items.iter().filter(|item| !self.has(item)).cloned().collect();
        let held = held::valid(&foreign, Some(&self.strict.profile.id), self.serial_number(), now);
        let (first, more) = held.split_first()?;
        Some(self.warning(first, more.len()))
    }

    /// Whether this host has it: as a generation, or as what is installed.
    fn has(&self, item: &Details) -> bool {
        let leaf = held::leaf_of(item);
        let shown = leaf.as_ref().map(|leaf| leaf.fingerprint.to_string()).or_else(|| item.thumbprint.clone());
        let is_own = |shown: &str| self.thumbprints.iter().any(|own| own.eq_ignore_ascii_case(shown));
        // One with other names stands in nobody's way where no common name makes it the same.
        let entry = &self.strict.entry;
        let is_other = entry.naming.common_name().is_none()
            && leaf.as_ref().is_some_and(|leaf| leaf.names.sorted() != entry.names().sorted());
        let is_installed = shown.is_none() && self.serial_number().is_some_and(|own| own.same(&item.serial_number));
        is_other || is_installed || shown.as_deref().is_some_and(is_own)
    }

    fn serial_number(&self) -> Option<&SerialNumber> {
        self.observed.installed().map(|installed| &installed.serial_number)
    }

    fn warning(&self, held: &Holding, more: usize) -> Finding {
        let entry = &self.strict.entry;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        let here = match self.observed {
            Observed::Installed(_) => "this host has another one installed",
            Observed::Absent | Observed::Damaged(_) | Observed::Unreadable(_) => {
                "nothing usable is installed here, and TLM may refuse the first request"
            }
        };
        let message = format!(
            "TLM holds {}{more} under a profile that allows no duplicates; {here}",
            held.shown(&entry.naming.seat())
        );
        Finding::warning(CHECK, &entry.name, message, REMEDY)
    }
}

/// What was not looked at, so that nobody takes silence for an answer.
fn not_searched(rest: &[Own], failed: Option<&Failure>) -> Option<Finding> {
    let names: Vec<&str> = rest.iter().map(|own| own.strict.entry.name.as_str()).collect();
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(MOST_NAMES) {
        _ if names.is_empty() => return None,
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let is_unreadable = rest.iter().all(|own| matches!(own.observed, Observed::Unreadable(_)));
    let (why, remedy) = match failed {
        Some(failure) => (format!("the search failed: {}", failure.message), "let the API key search certificates"),
        None if is_unreadable => ("this user cannot read their files".to_owned(), "run this as root"),
        None => (format!("one run makes {MOST_SEARCHES} searches at most"), "look for their seats in TLM"),
    };
    let message = format!("no search whether TLM holds another valid certificate for {shown}{more}: {why}");
    Some(Finding::warning(CHECK, "not searched", message, remedy))
}

const CHECK: &str = "duplicate";
const REMEDY: &str = "find out who serves it; let the profile allow duplicates, or give this host a `seat` of its own; \
                      revoke it only as a last resort: another host may serve it";
const MOST_SEARCHES: usize = 20;
const MOST_NAMES: usize = 5;
