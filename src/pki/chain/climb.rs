//! The climb: every path from the leaf up to a root or an anchor, the best first.

use std::cmp::Reverse;

use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Version;

use super::{Aim, Certificate, CertificateError, DEPTH, Flaw, Obstacle, Unjudged};
use crate::core::known::issuer::IssuerPin;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::extension::Hint;
use crate::pki::signature::{Judgement, judge};
use crate::pki::{extension, name, strict};

/// A CA certificate that a chain may pass through.
pub(super) struct Link<'c> {
    pub(super) certificate: &'c Certificate,
    pub(super) parsed: X509Certificate<'c>,
    pub(super) is_anchor: bool,
    pub(super) is_root: bool,
}

impl Link<'_> {
    /// Two certificates of one CA: a chain needs it only once, and each of them is tried.
    fn is_same_ca(&self, other: &X509Certificate<'_>) -> bool {
        name::same(self.parsed.subject(), other.subject()) && self.parsed.public_key().raw == other.public_key().raw
    }

    /// Whether it is of the same CA as `anchor` and by the same issuer, as after a renewal on the same key: then it is as
    /// good. One that another CA signed across is not, its own root may be nobody's.
    fn stands_for(&self, anchor: &X509Certificate<'_>) -> bool {
        self.is_same_ca(anchor)
            && name::same(self.parsed.issuer(), anchor.issuer())
            && extension::is_issuer_key_same(&self.parsed, anchor)
    }
}

/// Whether a CA is the one that an entry wants.
pub(in crate::pki) fn is_pinned(ca: &Certificate, pin: &IssuerPin) -> bool {
    match pin {
        IssuerPin::Spki(digest) => ca.spki() == *digest,
        IssuerPin::Subject(subject) => ca.parsed().is_ok_and(|parsed| name::is_spelled(parsed.subject(), subject)),
    }
}

/// Whether none of these CAs, nor any above them that is not shown, can be the one that an entry wants.
#[must_use]
pub fn rules_out(cas: &[Certificate], pin: &IssuerPin) -> bool {
    let is_shown = |ca: &Certificate| cas.iter().any(|issuer| issuer.is_named_as_issuer_of(ca));
    let may_be_above = |ca: &Certificate| match pin {
        IssuerPin::Spki(_) => !is_shown(ca),
        IssuerPin::Subject(subject) => {
            !is_shown(ca) && ca.parsed().is_ok_and(|parsed| name::is_spelled(parsed.issuer(), subject))
        }
    };
    !cas.is_empty() && !cas.iter().any(|ca| is_pinned(ca, pin) || may_be_above(ca))
}

/// A climb that is under way: the links from the leaf's issuer upward.
#[derive(Clone, Default)]
pub(super) struct Path {
    pub(super) links: Vec<usize>,
    pub(super) unjudged: Option<Unjudged>,
}

/// What makes one chain better than another, less is better, the first difference counts: the pinned CA; no signature that
/// nobody vouches for; the profile's own issuers, which clients trust, before any root that only came along; up to a root,
/// so that nothing is left out that clients need; all signatures judged. Only among paths that are as good in these the
/// earliest end of what is served counts, then the length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    tier: Tier,
    is_unjudged: bool,
    is_endless: Reverse<bool>,
    end: Reverse<Option<Timestamp>>,
    length: usize,
}

/// How far a path can be trusted. A path of a better tier is never given up for one of a worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tier {
    pub(super) lacks_pin: bool,
    is_doubted: bool,
    lacks_anchor: bool,
    lacks_root: bool,
}

pub(super) struct Climb<'l, 'c> {
    links: &'l [Link<'c>],
    leaf: &'l X509Certificate<'l>,
    aim: &'l Aim<'l>,
    judged: Vec<Option<Judgement>>,
    signatures: usize,
    steps: usize,
    arrived: Vec<(Rank, Path)>,
    deepest: usize,
    obstacles: Vec<Obstacle>,
}

impl<'l, 'c> Climb<'l, 'c> {
    pub(super) fn new(links: &'l [Link<'c>], leaf: &'l X509Certificate<'l>, aim: &'l Aim<'l>) -> Self {
        let judged = vec![None; links.len() * (links.len() + 1)];
        let (arrived, obstacles) = (Vec::new(), Vec::new());
        Self { links, leaf, aim, judged, signatures: SIGNATURES, steps: STEPS, arrived, deepest: 0, obstacles }
    }

    /// The paths that arrived, the best first, and where the furthest of the others ended.
    pub(super) fn paths(mut self) -> (Vec<(Tier, Path)>, Vec<Obstacle>) {
        self.above(None, &Path::default());
        self.arrived.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.arrived.truncate(JUDGED);
        self.obstacles.sort();
        self.obstacles.dedup();
        (self.arrived.into_iter().map(|(rank, path)| (rank.tier, path)).collect(), self.obstacles)
    }

    /// Tries every issuer of what ends `path`: the leaf, or a link.
    fn above(&mut self, child: Option<usize>, path: &Path) {
        let links = self.links;
        let parsed = child.and_then(|index| links.get(index)).map_or(self.leaf, |link| &link.parsed);
        let by_name = |link: &&Link<'_>| name::same(link.parsed.subject(), parsed.issuer());
        let mut is_missing = true;
        for (index, link) in links.iter().enumerate().filter(|(_, link)| by_name(link)) {
            if link.is_same_ca(parsed)
                || path.links.iter().any(|used| links.get(*used).is_some_and(|used| used.is_same_ca(&link.parsed)))
            {
                continue;
            }
            is_missing = false;
            match self.issued((index, link), (child, parsed), path) {
                Ok(unjudged) => self.step(index, link, path, unjudged),
                Err(obstacle) => self.stopped(path, obstacle),
            }
        }
        if is_missing {
            self.stopped(path, no_issuer(parsed));
        }
    }

    fn step(&mut self, index: usize, link: &Link<'_>, path: &Path, unjudged: Option<Text>) {
        let mut path = path.clone();
        path.links.push(index);
        if let Some(what) = unjudged {
            let is_vouched = self.is_anchored(&path);
            if path.unjudged.as_ref().is_none_or(|known| known.is_vouched) {
                path.unjudged = Some(Unjudged { what, is_vouched });
            }
        }
        if link.is_root || link.is_anchor {
            self.arrived(link, &path);
        }
        if link.is_root {
            return;
        }
        if path.links.len() < DEPTH {
            self.above(Some(index), &path);
        } else {
            let (issuer, child) = (name::label(link.parsed.issuer()), name::holder(&link.parsed));
            self.stopped(&path, Obstacle::Flawed { issuer, child, flaw: Flaw::TooDeep(DEPTH) });
        }
    }

    fn is_anchored(&self, path: &Path) -> bool {
        path.links.iter().any(|index| self.links.get(*index).is_some_and(|link| link.is_anchor))
    }

    fn arrived(&mut self, last: &Link<'_>, path: &Path) {
        let links = || path.links.iter().filter_map(|index| self.links.get(*index));
        let end = links().filter(|link| !link.is_root).map(|link| not_after(&link.parsed)).min();
        let tier = Tier {
            lacks_pin: self.aim.pin.is_some_and(|pin| !links().any(|link| is_pinned(link.certificate, pin))),
            is_doubted: path.unjudged.as_ref().is_some_and(|unjudged| !unjudged.is_vouched),
            lacks_anchor: !self.is_anchored(path),
            lacks_root: !last.is_root,
        };
        let (is_unjudged, is_endless) = (path.unjudged.is_some(), Reverse(end.is_none()));
        let rank = Rank { tier, is_unjudged, is_endless, end: Reverse(end), length: path.links.len() };
        self.arrived.push((rank, path.clone()));
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
    fn issued(
        &mut self,
        (index, link): (usize, &Link<'_>),
        (child_index, child): (Option<usize>, &X509Certificate<'_>),
        path: &Path,
    ) -> Result<Option<Text>, Obstacle> {
        self.steps = self.steps.checked_sub(1).ok_or(Obstacle::TooComplex)?;
        let flawed = |flaw| Obstacle::Flawed { issuer: name::label(child.issuer()), child: name::holder(child), flaw };
        match extension::hint(child, &link.parsed) {
            Hint::OtherKey => return Err(flawed(Flaw::OtherKey)),
            Hint::OtherSerial => return Err(flawed(Flaw::OtherSerial)),
            Hint::OtherIssuer => return Err(flawed(Flaw::OtherIssuer)),
            Hint::Same | Hint::Silent => {}
        }
        may_issue(link, self.cas_in(path), self.aim.at).map_err(flawed)?;
        match self.judgement(index, child_index, child)? {
            Judgement::Valid => Ok(None),
            Judgement::Invalid => Err(flawed(Flaw::Signature)),
            Judgement::Unjudged(algorithm) => {
                Ok(Some(Text::new(&format!("the signature on {} ({algorithm})", name::holder(child)))))
            }
        }
    }

    /// Each signature is judged once, on however many paths it is.
    fn judgement(
        &mut self,
        issuer: usize,
        child: Option<usize>,
        signed: &X509Certificate<'_>,
    ) -> Result<Judgement, Obstacle> {
        let place = child.map_or(0, |child| child + 1) * self.links.len() + issuer;
        if let Some(Some(known)) = self.judged.get(place) {
            return Ok(known.clone());
        }
        self.signatures = self.signatures.checked_sub(1).ok_or(Obstacle::TooComplex)?;
        let Some(link) = self.links.get(issuer) else { return Ok(Judgement::Invalid) };
        let judgement = judge(signed, link.parsed.public_key());
        if let Some(known) = self.judged.get_mut(place) {
            *known = Some(judgement.clone());
        }
        Ok(judgement)
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
fn may_issue(link: &Link<'_>, below: usize, at: Timestamp) -> Result<(), Flaw> {
    let ca = &link.parsed;
    if let Some(defect) = strict::defect(ca) {
        return Err(Flaw::Unread(Text::new(&defect)));
    }
    let constraints = extension::basic_constraints(ca).map_err(|_| Flaw::Malformed)?;
    // Version 1 has no extensions: TLS clients take such a root, and nothing else.
    let is_old_root = link.is_root && ca.version() == X509Version::V1;
    let constraints = constraints.filter(|constraints| constraints.ca);
    if constraints.is_none() && !is_old_root {
        return Err(Flaw::NotCa);
    }
    let usage = extension::key_usage(ca).map_err(|_| Flaw::Malformed)?;
    if usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Flaw::MayNotSign);
    }
    let limit = constraints.and_then(|constraints| constraints.path_len_constraint);
    if limit.and_then(|limit| usize::try_from(limit).ok()).is_some_and(|limit| below > limit) {
        return Err(Flaw::PathTooLong);
    }
    let not_before = Timestamp::from_seconds(ca.validity().not_before.timestamp());
    if at.seconds() > not_after(ca).seconds() {
        return Err(Flaw::Expired(not_after(ca)));
    }
    if at < not_before { Err(Flaw::NotYetValid(not_before)) } else { Ok(()) }
}

pub(super) fn not_after(certificate: &X509Certificate<'_>) -> Timestamp {
    Timestamp::from_seconds(certificate.validity().not_after.timestamp())
}

/// The pile without the leaf and without duplicates, anchors and what stands for them marked.
pub(super) fn links<'c>(
    leaf: &Certificate,
    pool: &'c [Certificate],
    anchors: &'c [Certificate],
) -> Result<Vec<Link<'c>>, CertificateError> {
    let mut links: Vec<Link<'c>> = Vec::new();
    for (position, certificate) in anchors.iter().chain(pool).enumerate() {
        if certificate == leaf || links.iter().any(|link| link.certificate == certificate) {
            continue;
        }
        let parsed = certificate.parsed()?;
        let mut link = Link { certificate, is_root: is_root(&parsed), parsed, is_anchor: position < anchors.len() };
        link.is_anchor |= links.iter().any(|known| known.is_anchor && link.stands_for(&known.parsed));
        links.push(link);
    }
    Ok(links)
}

/// A root's signature on itself proves nothing, so that one which cannot be judged (SHA-1 on old roots) does not count
/// against it; one that is evidently wrong does.
fn is_root(certificate: &X509Certificate<'_>) -> bool {
    name::same(certificate.subject(), certificate.issuer())
        && judge(certificate, certificate.public_key()) != Judgement::Invalid
}

/// The most signatures that are judged for one chain.
const SIGNATURES: usize = 100;
/// The most steps of one climb.
const STEPS: usize = 1000;
/// So many of the best paths are judged as a client does.
const JUDGED: usize = 16;
