//! What stands above a leaf in the files that are served: who issued it, and which end of the chain comes first.

use super::certificate::Certificate;
use super::{chain, name};
use crate::core::issuer::{ChainEnd, Issuer, ServedChain};
use crate::core::time::Timestamp;

/// What `above` says of the chain of `leaf`, in whatever order it comes.
#[must_use]
pub fn served(leaf: &Certificate, above: &[Certificate]) -> ServedChain {
    ServedChain { issuer: issuer(leaf, above), end: chain::served_end(leaf, above) }
}

/// Who signed `leaf`: by name, with the key where one of `above` has that name.
#[must_use]
pub fn issuer(leaf: &Certificate, above: &[Certificate]) -> Issuer {
    let subject = leaf.parsed().map(|parsed| name::full(parsed.issuer())).unwrap_or_default();
    let spki = above.iter().find(|ca| ca.is_named_as_issuer_of(leaf)).map(Certificate::spki);
    Issuer { subject, spki }
}

/// A CA certificate as an end that a chain may have.
#[must_use]
pub fn end_of(ca: &Certificate) -> Option<ChainEnd> {
    let parsed = ca.parsed().ok()?;
    Some(ChainEnd {
        at: Timestamp::from_seconds(parsed.validity().not_after.timestamp()),
        subject: name::full(parsed.subject()),
        spki: ca.spki(),
    })
}
