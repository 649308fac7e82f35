//! From a pile of certificates to a chain: from the leaf's issuer upward, by names, key identifiers and verified
//! signatures, to a self-signed root or to an issuer that the profile shows. The pile may be in any order, hold
//! duplicates, strangers, cross-signed CAs, loops, and several certificates of one CA. Of all paths that lead up, the best
//! that a TLS client takes is the chain.

mod climb;
mod served;

pub(super) use climb::is_pinned;
pub use climb::rules_out;
use climb::{Climb, Link, Path, Tier, links};
pub(super) use served::is_issuer_of;
pub use served::served_end;

use super::certificate::{Certificate, CertificateError};
use super::client::{self, Member, Route, Word};
use super::purpose::Purpose;
use crate::core::known::issuer::IssuerPin;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// A verified chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// From the leaf's issuer upward, without leaf and root. Empty where a root signed the leaf.
    pub intermediates: Vec<Certificate>,
    /// The self-signed root, where it is known.
    pub root: Option<Certificate>,
    /// A signature below the root that could not be judged.
    pub unjudged: Option<Unjudged>,
    /// Why some TLS clients may refuse the path.
    pub doubt: Option<Text>,
}

impl Chain {
    /// The CAs of the path from the leaf's issuer upward, root included.
    pub fn cas(&self) -> impl Iterator<Item = &Certificate> {
        self.intermediates.iter().chain(&self.root)
    }
}

/// A signature that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unjudged {
    /// On whose certificate, and its algorithm.
    pub what: Text,
    /// Whether the profile shows the CA that signed, or one below: then its word stands for the signature.
    pub is_vouched: bool,
}

/// What a chain is built for.
#[derive(Clone, Copy, Debug)]
pub struct Aim<'a> {
    /// The certificates of CAs that the profile shows; they are trusted.
    pub anchors: &'a [Certificate],
    /// The instant at which the path must be valid.
    pub at: Timestamp,
    /// What the leaf is for.
    pub purpose: Purpose,
    /// The CA that must be on the path, where there is such a path.
    pub pin: Option<&'a IssuerPin>,
    /// Whether the leaf has no defect of its own, so that a TLS client's library can judge the path.
    pub is_leaf_sound: bool,
}

impl<'a> Aim<'a> {
    /// A server's chain to one of these anchors or to any root.
    #[must_use]
    pub const fn new(anchors: &'a [Certificate], at: Timestamp) -> Self {
        Self { anchors, at, purpose: Purpose::Server, pin: None, is_leaf_sound: true }
    }
}

/// Why no chain could be built: where the climb from the leaf ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Obstacle {
    /// The issuer's certificate is not there.
    #[error("the certificate of {issuer}, which issued {child}, is missing, and the profile does not show it")]
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
    /// A path is there, and TLS clients refuse it.
    #[error("{0}")]
    Refused(Text),
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
    #[error("its key differs from the issuer's")]
    OtherKey,
    /// The serial number is not the one that the child names.
    #[error("its serial number is not the one that the authorityKeyIdentifier names")]
    OtherSerial,
    /// The issuer is not the one that the child names.
    #[error("its issuer is not the one that the authorityKeyIdentifier names")]
    OtherIssuer,
    /// The signature is not by its key.
    #[error("the signature does not verify")]
    Signature,
    /// It is no CA certificate.
    #[error("it is not a CA certificate")]
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
    /// TLS clients do not read it.
    #[error("{0}")]
    Unread(Text),
    /// The path is longer than any that is followed.
    #[error("it is more than {0} certificates away from the leaf")]
    TooDeep(usize),
}

/// Builds the chain of `leaf` from the `pool` of what came and the anchors. Of several paths the best that a TLS client
/// takes is the chain (the rank of the climb says which is better).
///
/// # Errors
///
/// Why a TLS client refuses the best path; where the furthest climbs ended, when none arrived.
pub fn build(leaf: &Certificate, pool: &[Certificate], aim: &Aim<'_>) -> Result<Chain, Vec<Obstacle>> {
    let own = leaf.parsed().map_err(|error| vec![error.into()])?;
    let links = links(leaf, pool, aim.anchors).map_err(|error| vec![error.into()])?;
    let (paths, obstacles) = Climb::new(&links, &own, aim).paths();
    let mut doubtful: Option<(Tier, Chain)> = None;
    let mut refusals = None;
    let lacks_pin = paths.first().is_some_and(|(tier, _)| tier.lacks_pin);
    for (tier, path) in paths.into_iter().take_while(|(tier, _)| tier.lacks_pin == lacks_pin) {
        if let Some((found, _)) = &doubtful
            && *found < tier
        {
            break;
        }
        match word(Member { certificate: leaf, parsed: &own }, &links, &path, aim) {
            Word::Good => return Ok(chain(&links, path, None)),
            Word::Doubt(doubt) if doubtful.is_none() => doubtful = Some((tier, chain(&links, path, Some(doubt)))),
            Word::Doubt(_) => {}
            Word::Refused(why) => refusals = refusals.or(Some(why)),
        }
    }
    match (doubtful, refusals) {
        (Some((_, chain)), _) => Ok(chain),
        (None, Some(why)) => Err(why.into_iter().map(Obstacle::Refused).collect()),
        (None, None) => Err(obstacles),
    }
}

fn word(leaf: Member<'_>, links: &[Link<'_>], path: &Path, aim: &Aim<'_>) -> Word {
    let links = path.links.iter().filter_map(|index| links.get(*index));
    let cas: Vec<_> = links.map(|link| Member { certificate: link.certificate, parsed: &link.parsed }).collect();
    let asks_webpki = aim.is_leaf_sound && path.unjudged.is_none();
    client::judge(&Route { leaf, cas: &cas, at: aim.at, purpose: aim.purpose, asks_webpki })
}

fn chain(links: &[Link<'_>], path: Path, doubt: Option<Text>) -> Chain {
    let (roots, intermediates): (Vec<_>, Vec<_>) =
        path.links.iter().filter_map(|index| links.get(*index)).partition(|link| link.is_root);
    Chain {
        intermediates: intermediates.iter().map(|link| link.certificate.clone()).collect(),
        root: roots.first().map(|link| link.certificate.clone()),
        unjudged: path.unjudged,
        doubt,
    }
}

/// Real chains have two or three CAs.
const DEPTH: usize = 8;

#[cfg(test)]
mod tests;
