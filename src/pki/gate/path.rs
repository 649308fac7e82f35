//! What the gate says of the path: who issued, whether it is the CA that the entry pins, and when the chain ends.

use super::{ChainEnd, Code, Demand, Issuer, IssuerPin, Remark, Text, Timestamp, Usage};
use crate::core::known::issuer::{CUT_SHORT, ServedChain};
use crate::pki::certificate::Certificate;
use crate::pki::chain::{Chain, Unjudged, is_pinned};
use crate::pki::name;
use crate::pki::purpose::{self, Purpose};
use crate::pki::served::end_of;

/// A CA for whose sake the set ends no later than the installed one: its certificate in the chain does, or it cut the leaf
/// at its own end.
pub(super) fn ends_no_later(
    chain: &Chain,
    served: &ServedChain,
    leaf: Timestamp,
    installed: Option<Timestamp>,
) -> Option<Text> {
    let installed = installed?;
    let ChainEnd { at, subject, .. } = limit(served.end.as_ref(), chain.cas(), leaf, installed)?;
    Some(Text::new(&format!(
        "the CA {subject} itself expires at {at}, so the new certificate serves no longer than the installed one ({installed})"
    )))
}

/// The CA that keeps a set from serving longer than until `installed`: the first to end of what is served, or of all CAs
/// of the path.
pub(super) fn limit<'c>(
    served: Option<&ChainEnd>,
    cas: impl Iterator<Item = &'c Certificate>,
    leaf: Timestamp,
    installed: Timestamp,
) -> Option<ChainEnd> {
    if leaf > installed {
        return served.filter(|end| end.at <= installed).cloned();
    }
    cas.filter_map(end_of).min_by_key(|end| end.at).filter(|end| end.at <= leaf + CUT_SHORT)
}

/// A path without the CA that the entry pins. Names what is there, so that the right one can be copied.
pub(super) fn unpinned(chain: &Chain, pin: Option<&IssuerPin>) -> Option<Text> {
    let pin = pin.filter(|pin| !chain.cas().any(|ca| is_pinned(ca, pin)))?;
    let shown = |ca: &Certificate| format!("{} (sha256:{})", subject(ca), ca.spki());
    let there: Vec<_> = chain.cas().map(shown).collect();
    Some(Text::new(&format!(
        "the entry pins the issuer {pin}, which is not on the path; the path has {}",
        there.join("; ")
    )))
}

fn subject(ca: &Certificate) -> Text {
    ca.parsed().map(|parsed| name::full(parsed.subject())).unwrap_or_default()
}

/// What the CAs of the path withhold of the usages that are wanted.
pub(super) fn withheld<'c>(
    chain: &'c Chain,
    wanted: &'c [Usage],
    purpose: Purpose,
) -> impl Iterator<Item = Remark> + use<'c> {
    let withheld = move |ca: &Certificate| purpose::withheld(&ca.parsed().ok()?, wanted, purpose);
    chain.cas().filter_map(withheld).map(|why| Remark::new(Code::UsageMissing, &why))
}

/// A signature that nobody can judge or vouches for.
pub(super) fn unvouched(chain: &Chain) -> Option<Remark> {
    chain.unjudged.as_ref().filter(|unjudged| !unjudged.is_vouched).map(signature_unjudged)
}

/// A signature that nobody can judge, by a CA that the profile shows.
pub(super) fn vouched(chain: &Chain) -> Option<Remark> {
    chain.unjudged.as_ref().filter(|unjudged| unjudged.is_vouched).map(signature_unjudged)
}

/// Why some TLS clients may refuse the path.
pub(super) fn doubted(chain: &Chain) -> Option<Remark> {
    chain.doubt.as_ref().map(|doubt| Remark::new(Code::PathUnjudged, doubt.as_str()))
}

/// What the path gives reason to tell.
pub(super) fn remarks(chain: &Chain, issuer: &Issuer, demand: &Demand<'_>) -> Vec<Remark> {
    let changed = demand.installed_issuer.filter(|before| !before.is_same(issuer)).map(|before| {
        let message = format!("{} issued it; {} issued the one before", shown(issuer), shown(before));
        Remark::new(Code::IssuerChanged, &message)
    });
    let is_named = |ca: &Certificate| demand.issuers.iter().any(|named| named.spki() == ca.spki());
    let unnamed = (!demand.issuers.is_empty() && !chain.cas().any(is_named)).then(|| {
        let message = format!("{} issued it, and the profile shows no CA of its path", shown(issuer));
        Remark::new(Code::IssuerChanged, &message)
    });
    changed.into_iter().chain(unnamed).chain(vouched(chain)).chain(doubted(chain)).collect()
}

/// Two CAs of one name are told apart by their keys.
fn shown(issuer: &Issuer) -> String {
    issuer.spki.map_or_else(|| issuer.subject.to_string(), |spki| format!("{} (sha256:{spki})", issuer.subject))
}

/// A signature that cannot be judged.
fn signature_unjudged(unjudged: &Unjudged) -> Remark {
    Remark::new(Code::SignatureUnjudged, &format!("{} has an algorithm that renewd cannot judge", unjudged.what))
}

/// A chain that ends before its leaf.
pub(super) fn ends_first(end: &ChainEnd, leaf: Timestamp) -> Option<Remark> {
    let message = || {
        format!("{} of the chain expires at {}, before the certificate, which expires at {leaf}", end.subject, end.at)
    };
    (end.at < leaf).then(|| Remark::new(Code::ChainEndsFirst, &message()))
}
