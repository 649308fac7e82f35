//! When the chain in files ends: of a leaf and whatever certificates stand beside it.

use x509_parser::certificate::X509Certificate;

use super::climb::not_after;
use super::{Certificate, DEPTH};
use crate::core::known::issuer::ChainEnd;
use crate::core::time::Timestamp;
use crate::pki::extension::Hint;
use crate::pki::signature::{Judgement, judge};
use crate::pki::{extension, name};

/// The CA that ends first on the best path from `leaf` through `others`: the path whose earliest end is latest, without
/// roots, which clients have themselves. `None`: no CA among the others issued it.
///
/// Cheap where key identifiers say who issued what; a signature is verified only where they are silent.
#[must_use]
pub fn served_end(leaf: &Certificate, others: &[Certificate]) -> Option<ChainEnd> {
    let own = leaf.parsed().ok()?;
    let others = others.iter().filter(|other| *other != leaf);
    let others: Vec<_> = others.filter_map(|other| Some((other, other.parsed().ok()?))).collect();
    let mut search = Search { others: &others, steps: STEPS };
    let (at, first) = search.above(&own, &mut Vec::new())?;
    let (certificate, parsed) = others.get(first)?;
    Some(ChainEnd { at, subject: name::full(parsed.subject()), spki: certificate.spki() })
}

struct Search<'o> {
    others: &'o [(&'o Certificate, X509Certificate<'o>)],
    steps: usize,
}

impl Search<'_> {
    /// The latest of the earliest ends above `child`, and whose it is; `None`: no end, or none that is known.
    fn above(&mut self, child: &X509Certificate<'_>, path: &mut Vec<usize>) -> Option<(Timestamp, usize)> {
        let mut best: Option<Option<(Timestamp, usize)>> = None;
        for (index, (_, ca)) in self.others.iter().enumerate() {
            if path.len() >= DEPTH || self.steps == 0 || !self.may_follow(path, ca) || !is_issuer(ca, child) {
                continue;
            }
            self.steps -= 1;
            let end = if is_issuer(ca, ca) {
                None
            } else {
                path.push(index);
                let above = self.above(ca, path);
                path.pop();
                Some(earlier((not_after(ca), index), above))
            };
            best = Some(best.map_or(end, |best| later(best, end)));
        }
        best.flatten()
    }

    /// Each CA stands on a path once.
    fn may_follow(&self, path: &[usize], ca: &X509Certificate<'_>) -> bool {
        let used = path.iter().filter_map(|used| self.others.get(*used));
        let is_same = |one: &X509Certificate<'_>| {
            one.public_key().raw == ca.public_key().raw && name::same(one.subject(), ca.subject())
        };
        !used.map(|(_, one)| one).any(is_same)
    }
}

fn earlier(own: (Timestamp, usize), above: Option<(Timestamp, usize)>) -> (Timestamp, usize) {
    above.filter(|above| above.0 < own.0).unwrap_or(own)
}

/// A path without an end of its own, as directly below a root, is the latest.
fn later(one: Option<(Timestamp, usize)>, other: Option<(Timestamp, usize)>) -> Option<(Timestamp, usize)> {
    let (one, other) = (one?, other?);
    Some(if other.0 > one.0 { other } else { one })
}

/// Whether `ca` issued `child`, as far as names, key identifiers and, where those are silent, the signature tell.
pub(in crate::pki) fn is_issuer_of(ca: &Certificate, child: &Certificate) -> bool {
    match (ca.parsed(), child.parsed()) {
        (Ok(ca), Ok(child)) => is_issuer(&ca, &child),
        (_, _) => false,
    }
}

fn is_issuer(ca: &X509Certificate<'_>, child: &X509Certificate<'_>) -> bool {
    if !name::same(ca.subject(), child.issuer()) {
        return false;
    }
    match extension::hint(child, ca) {
        Hint::Same => true,
        Hint::OtherKey | Hint::OtherSerial | Hint::OtherIssuer => false,
        Hint::Silent => judge(child, ca.public_key()) != Judgement::Invalid,
    }
}

/// The most certificates that are looked at.
const STEPS: usize = 200;
