//! From a pile of certificates to a chain: from the leaf's issuer upward, by names, key identifiers and verified
//! signatures, to a self-signed root or to an issuer that the profile shows. The pile may be in any order, hold
//! duplicates, strangers, cross-signed CAs and loops. Judges the CAs, never the leaf.

use x509_parser::certificate::X509Certificate;

use super::certificate::{Certificate, CertificateError};
use super::served::end_of;
use super::signature::{Judgement, judge};
use super::{extension, name};
use crate::core::issuer::ChainEnd;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// A verified chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// From the leaf's issuer upward, without leaf and root. Empty where a root signed the leaf.
    pub intermediates: Vec<Certificate>,
    /// The self-signed root, where it is known.
    pub root: Option<Certificate>,
    /// A signature below the root that could not be judged: on whose certificate, and its algorithm.
    pub unjudged: Option<Text>,
}

/// Why no chain could be built: where the climb from the leaf ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Obstacle {
    /// The issuer's certificate is not there.
    #[error("the certificate of {issuer}, which issued {child}, did not come and the profile does not show it")]
    Missing {
        /// The issuer's name.
        issuer: Text,
        /// The certificate that it issued.
        child: Text,
    },
    /// A certificate of the issuer's name is there, and is no proof.
    #[error("the certificate of {issuer}, which issued {child}, cannot be used: {flaw}")]
    Flawed {
        /// The issuer's name.
        issuer: Text,
        /// The certificate that it issued.
        child: Text,
        /// What is wrong.
        flaw: Flaw,
    },
    /// The leaf signed itself.
    #[error("{0} is self-signed, no CA issued it")]
    SelfSigned(Text),
    /// The pile has more paths than are worth following.
    #[error("the certificates that came form too many chains")]
    TooComplex,
    /// A certificate does not parse.
    #[error(transparent)]
    Malformed(#[from] CertificateError),
}

/// What is wrong with the certificate of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Flaw {
    /// The key identifiers differ.
    #[error("its key is another one than the issuer's")]
    OtherKey,
    /// The signature is not by its key.
    #[error("the signature does not verify")]
    Signature,
    /// It is no CA certificate.
    #[error("it is no CA certificate")]
    NotCa,
    /// Its key usage lacks keyCertSign.
    #[error("its key usage does not allow it to sign certificates")]
    MayNotSign,
    /// Its pathLenConstraint is exceeded.
    #[error("it allows fewer CAs below it")]
    PathTooLong,
    /// Its validity is over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// Its validity lies ahead.
    #[error("it is not valid before {0}")]
    NotYetValid(Timestamp),
    /// An extension does not parse.
    #[error("its extensions are malformed")]
    Malformed,
}

/// Builds the chain of `leaf` from the `pool` of what came and the `anchors`, which the profile shows and which are
/// trusted; `at` is the instant at which the CAs must be valid. Of several chains the best is taken: all signatures
/// judged, through an anchor, up to a root, short.
///
/// # Errors
///
/// Where the furthest climbs ended, when none arrived.
pub fn build(
    leaf: &Certificate,
    pool: &[Certificate],
    anchors: &[Certificate],
    at: Timestamp,
) -> Result<Chain, Vec<Obstacle>> {
    let own = leaf.parsed().map_err(|error| vec![error.into()])?;
    let links = links(leaf, pool, anchors).map_err(|error| vec![error.into()])?;
    let mut climb = Climb { links: &links, at, budget: SIGNATURES, best: None, deepest: 0, obstacles: Vec::new() };
    climb.above(&own, &Path::default());
    match climb.best {
        Some((_, path)) => Ok(chain(&links, &path)),
        None => {
            climb.obstacles.sort();
            climb.obstacles.dedup();
            Err(climb.obstacles)
        }
    }
}

/// The first end among the CA certificates that are served above `leaf`.
#[must_use]
pub fn served_end(_leaf: &Certificate, above: &[Certificate]) -> Option<ChainEnd> {
    let is_root = |ca: &Certificate| ca.parsed().is_ok_and(|parsed| is_root(&parsed));
    above.iter().filter(|ca| !is_root(ca)).filter_map(end_of).min_by_key(|end| end.at)
}

/// A CA certificate that a chain may pass through.
struct Link<'c> {
    certificate: &'c Certificate,
    parsed: X509Certificate<'c>,
    is_anchor: bool,
    is_root: bool,
}

impl Link<'_> {
    /// Two certificates of one CA: a chain needs it only once.
    fn is_same_ca(&self, other: &X509Certificate<'_>) -> bool {
        name::same(self.parsed.subject(), other.subject()) && self.parsed.public_key().raw == other.public_key().raw
    }
}

/// A climb that is under way: the links from the leaf's issuer upward.
#[derive(Clone, Default)]
struct Path {
    links: Vec<usize>,
    unjudged: Option<Text>,
}

/// What makes one chain better than another; less is better.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_unjudged: bool,
    lacks_anchor: bool,
    lacks_root: bool,
    length: usize,
}

struct Climb<'l, 'c> {
    links: &'l [Link<'c>],
    at: Timestamp,
    budget: usize,
    best: Option<(Rank, Path)>,
    deepest: usize,
    obstacles: Vec<Obstacle>,
}

impl Climb<'_, '_> {
    /// Tries every issuer of `child`, which ends `path`.
    fn above(&mut self, child: &X509Certificate<'_>, path: &Path) {
        let links = self.links;
        let by_name = |link: &&Link<'_>| name::same(link.parsed.subject(), child.issuer());
        let mut is_missing = true;
        for (index, link) in links.iter().enumerate().filter(|(_, link)| by_name(link)) {
            if link.is_same_ca(child)
                || path.links.iter().any(|used| links.get(*used).is_some_and(|used| used.is_same_ca(&link.parsed)))
            {
                continue;
            }
            is_missing = false;
            match self.issued(link, child, path) {
                Ok(unjudged) => self.step(index, link, path, unjudged),
                Err(obstacle) => self.stopped(path, obstacle),
            }
        }
        if is_missing {
            self.stopped(path, no_issuer(child));
        }
    }

    fn step(&mut self, index: usize, link: &Link<'_>, path: &Path, unjudged: Option<Text>) {
        let mut path = path.clone();
        path.links.push(index);
        path.unjudged = path.unjudged.or(unjudged);
        if link.is_root || link.is_anchor {
            self.arrived(link, &path);
        }
        if !link.is_root && path.links.len() < DEPTH {
            self.above(&link.parsed, &path);
        }
    }

    fn arrived(&mut self, last: &Link<'_>, path: &Path) {
        let is_anchor = |index: &usize| self.links.get(*index).is_some_and(|link| link.is_anchor);
        let rank = Rank {
            is_unjudged: path.unjudged.is_some(),
            lacks_anchor: !path.links.iter().any(is_anchor),
            lacks_root: !last.is_root,
            length: path.links.len(),
        };
        if self.best.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.best = Some((rank, path.clone()));
        }
    }

    fn stopped(&mut self, path: &Path, obstacle: Obstacle) {
        let depth = path.links.len();
        if depth > self.deepest {
            self.obstacles.clear();
            self.deepest = depth;
        }
        if depth == self.deepest {
            self.obstacles.push(obstacle);
        }
    }

    /// Whether `link` issued `child`; gives what could not be judged of the signature.
    fn issued(&mut self, link: &Link<'_>, child: &X509Certificate<'_>, path: &Path) -> Result<Option<Text>, Obstacle> {
        if self.budget == 0 {
            return Err(Obstacle::TooComplex);
        }
        self.budget -= 1;
        let flawed = |flaw| Obstacle::Flawed { issuer: name::label(child.issuer()), child: name::holder(child), flaw };
        if let (Some(named), Some(own)) = (extension::issuer_key_id(child), extension::own_key_id(&link.parsed))
            && named != own
        {
            return Err(flawed(Flaw::OtherKey));
        }
        may_issue(&link.parsed, self.cas_in(path), self.at).map_err(flawed)?;
        match judge(child, link.parsed.public_key()) {
            Judgement::Valid => Ok(None),
            Judgement::Invalid => Err(flawed(Flaw::Signature)),
            Judgement::Unjudged(algorithm) => {
                Ok(Some(Text::new(&format!("the signature on {} ({algorithm})", name::holder(child)))))
            }
        }
    }

    /// How many CAs count for a pathLenConstraint: those that are not self-issued (RFC 5280 section 4.2.1.9).
    fn cas_in(&self, path: &Path) -> usize {
        let counts = |link: &&Link<'_>| !name::same(link.parsed.subject(), link.parsed.issuer());
        path.links.iter().filter_map(|index| self.links.get(*index)).filter(counts).count()
    }
}

fn no_issuer(child: &X509Certificate<'_>) -> Obstacle {
    let (issuer, label) = (name::label(child.issuer()), name::holder(child));
    if name::same(child.issuer(), child.subject()) {
        return Obstacle::SelfSigned(label);
    }
    Obstacle::Missing { issuer, child: label }
}

/// Whether a certificate may issue others, with `below` CAs between it and the leaf.
fn may_issue(ca: &X509Certificate<'_>, below: usize, at: Timestamp) -> Result<(), Flaw> {
    let constraints = extension::basic_constraints(ca).map_err(|_| Flaw::Malformed)?;
    let Some(constraints) = constraints.filter(|constraints| constraints.ca) else { return Err(Flaw::NotCa) };
    let usage = extension::key_usage(ca).map_err(|_| Flaw::Malformed)?;
    if usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Flaw::MayNotSign);
    }
    let limit = constraints.path_len_constraint.and_then(|limit| usize::try_from(limit).ok());
    if limit.is_some_and(|limit| below > limit) {
        return Err(Flaw::PathTooLong);
    }
    let not_before = Timestamp::from_seconds(ca.validity().not_before.timestamp());
    let not_after = Timestamp::from_seconds(ca.validity().not_after.timestamp());
    if at.seconds() > not_after.seconds() {
        return Err(Flaw::Expired(not_after));
    }
    if at < not_before { Err(Flaw::NotYetValid(not_before)) } else { Ok(()) }
}

/// The pile without the leaf and without duplicates, anchors marked.
fn links<'c>(
    leaf: &Certificate,
    pool: &'c [Certificate],
    anchors: &'c [Certificate],
) -> Result<Vec<Link<'c>>, CertificateError> {
    let mut links: Vec<Link<'c>> = Vec::new();
    for certificate in anchors.iter().chain(pool) {
        if certificate == leaf || links.iter().any(|link| link.certificate == certificate) {
            continue;
        }
        let parsed = certificate.parsed()?;
        let is_root = is_root(&parsed);
        links.push(Link { certificate, parsed, is_anchor: anchors.contains(certificate), is_root });
    }
    Ok(links)
}

/// A root's signature on itself proves nothing, so that one which cannot be judged (SHA-1 on old roots) does not count
/// against it; one that is evidently wrong does.
fn is_root(certificate: &X509Certificate<'_>) -> bool {
    name::same(certificate.subject(), certificate.issuer())
        && judge(certificate, certificate.public_key()) != Judgement::Invalid
}

fn chain(links: &[Link<'_>], path: &Path) -> Chain {
    let (roots, intermediates): (Vec<_>, Vec<_>) =
        path.links.iter().filter_map(|index| links.get(*index)).partition(|link| link.is_root);
    Chain {
        intermediates: intermediates.iter().map(|link| link.certificate.clone()).collect(),
        root: roots.first().map(|link| link.certificate.clone()),
        unjudged: path.unjudged.clone(),
    }
}

/// Real chains have two or three CAs.
const DEPTH: usize = 8;
/// The most signatures that are judged for one chain.
const SIGNATURES: usize = 100;

#[cfg(test)]
mod tests;
