//! What stands above a leaf in the files that are served: who issued it, and which end of the chain comes first.

use super::certificate::Certificate;
use super::chain::{self, Aim, Chain, Obstacle};
use super::purpose::{self, Purpose};
use super::{name, strict};
use crate::core::known::issuer::{ChainEnd, Issuer, ServedChain};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// What `above` says of the chain of `leaf`, in whatever order it comes.
#[must_use]
pub fn served(leaf: &Certificate, above: &[Certificate]) -> ServedChain {
    ServedChain { issuer: issuer(leaf, above), end: chain::served_end(leaf, above) }
}

/// The same of a chain that was verified: who issued whom is not asked once more, which may cost a signature each.
#[must_use]
pub fn of_chain(leaf: &Certificate, chain: &Chain) -> ServedChain {
    let spki = chain.cas().next().map(Certificate::spki);
    let end = chain.intermediates.iter().filter_map(end_of).min_by_key(|end| end.at);
    ServedChain { issuer: Issuer { subject: issuer_name(leaf), spki }, end }
}

/// The same of files whose leaf, as DER, may be one that renewd cannot read: then who issued it is not known, and what
/// stands next in the files is taken for its issuer.
#[must_use]
pub fn in_files(leaf: &[u8], above: &[Certificate]) -> ServedChain {
    match (Certificate::from_der(leaf), above) {
        (Ok(leaf), _) => served(&leaf, above),
        (Err(_), [next, rest @ ..]) if !chain::is_issuer_of(next, next) => {
            let end = end_of(next).into_iter().chain(chain::served_end(next, rest)).min_by_key(|end| end.at);
            ServedChain { end, ..ServedChain::default() }
        }
        (Err(_), _) => ServedChain::default(),
    }
}

/// What TLS clients find wrong with `leaf` where it is served with `above`, whatever roots they trust: a path must lead to
/// the last CA that is served. Its time is not judged. Of a leaf that is served alone, or signed itself, clients
/// may know enough.
#[must_use]
pub fn refusal(leaf: &Certificate, above: &[Certificate], purpose: Purpose) -> Option<Text> {
    if above.is_empty() {
        let parsed = leaf.parsed().ok()?;
        let unknown = purpose::unknown_extensions(&parsed);
        return unknown.or_else(|| strict::defect(&parsed)).map(|why| Text::new(&why));
    }
    let begins = |one: &Certificate| one.parsed().ok().map(|parsed| parsed.validity().not_before.timestamp());
    let at = std::iter::once(leaf).chain(above).filter_map(begins).max()?;
    if chain::is_issuer_of(leaf, leaf) {
        return None;
    }
    let aim = Aim { purpose, ..Aim::new(above, Timestamp::from_seconds(at)) };
    let obstacles = chain::build(leaf, above, &aim).err()?;
    let told = |obstacle: &Obstacle| {
        if let Obstacle::Missing { issuer, child } = obstacle {
            return format!("the certificate of {issuer}, which issued {child}, is not in the file");
        }
        obstacle.to_string()
    };
    obstacles.first().map(|obstacle| Text::new(&told(obstacle)))
}

fn issuer_name(leaf: &Certificate) -> Text {
    leaf.parsed().map(|parsed| name::full(parsed.issuer())).unwrap_or_default()
}

/// Who signed `leaf`: by name, with the key where the certificate of that CA is among `above`. A CA that changed its key
/// has several of one name.
fn issuer(leaf: &Certificate, above: &[Certificate]) -> Issuer {
    let subject = issuer_name(leaf);
    let spki = above.iter().find(|ca| chain::is_issuer_of(ca, leaf)).map(Certificate::spki);
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

#[cfg(test)]
mod tests;
