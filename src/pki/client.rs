//! A path as a TLS client judges it: by rules of our own, which name the culprit, and last by webpki, whose refusal is put
//! into words. What only webpki cannot judge is a doubt, never a refusal: OpenSSL is the arbiter.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Version;

use super::certificate::Certificate;
use super::constraint::{Constraints, Violation};
use super::purpose::{self, Purpose};
use super::signature::ALGORITHMS;
use super::{extension, name};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// One certificate of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'p> {
    pub(super) certificate: &'p Certificate,
    pub(super) parsed: &'p X509Certificate<'p>,
}

/// A path whose names, signatures, dates and basic constraints are good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'p> {
    pub(super) leaf: Member<'p>,
    /// From the leaf's issuer upward; the last is the root, or an issuer that the profile shows.
    pub(super) cas: &'p [Member<'p>],
    pub(super) at: Timestamp,
    pub(super) purpose: Purpose,
    /// Whether webpki is asked: not where the leaf is refused anyhow, or a signature cannot be judged.
    pub(super) asks_webpki: bool,
}

/// What a TLS client would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It takes the path.
    Good,
    /// Some clients may not; why.
    Doubt(Text),
    /// It refuses the path; why.
    Refused(Vec<Text>),
}

/// Judges a path.
pub(super) fn judge(route: &Route<'_>) -> Word {
    let flaws = flaws(route);
    if !flaws.is_empty() {
        return Word::Refused(flaws.iter().map(|flaw| Text::new(flaw)).collect());
    }
    let old_root = route.cas.last().filter(|ca| ca.parsed.version() == X509Version::V1);
    let asked = if route.asks_webpki { ask(route) } else { Ok(()) };
    match (asked, old_root) {
        (Err(PathError::Refused(why)), _) => Word::Refused(vec![Text::new(&why)]),
        (Err(PathError::Unjudged(why)), _) => Word::Doubt(Text::new(&why)),
        (Ok(()), Some(root)) => Word::Doubt(Text::new(&format!(
            "the root {} is an X.509 certificate of version 1, which does not say that it is a CA",
            name::holder(root.parsed)
        ))),
        (Ok(()), None) => Word::Good,
    }
}

fn flaws(route: &Route<'_>) -> Vec<String> {
    let all = || std::iter::once(&route.leaf).chain(route.cas);
    let mut flaws: Vec<String> = all().filter_map(|member| purpose::unknown_extensions(member.parsed)).collect();
    flaws.extend(purpose::leaf_flaw(route.leaf.parsed, route.purpose));
    flaws.extend(route.cas.iter().filter_map(|ca| purpose::ca_flaw(ca.parsed, route.purpose)));
    for (below, ca) in route.cas.iter().enumerate() {
        flaws.extend(constraint_flaw(ca.parsed, route, below));
    }
    flaws
}

/// The first name on the path below a CA that it may not speak for. A CA that issued itself, as for a new key, is exempt.
fn constraint_flaw(ca: &X509Certificate<'_>, route: &Route<'_>, below: usize) -> Option<String> {
    let constraints = match Constraints::of(ca) {
        Ok(constraints) => constraints?,
        Err(error) => return Some(purpose::of(ca, &error)),
    };
    let is_self_issued = |member: &&Member<'_>| name::same(member.parsed.subject(), member.parsed.issuer());
    let cas = route.cas.iter().take(below).filter(|member| !is_self_issued(member)).map(|member| (member, false));
    let mut all = std::iter::once((&route.leaf, true)).chain(cas);
    all.find_map(|(member, is_leaf)| {
        let violation = constraints.check(member.parsed, is_leaf).err()?;
        let whose = if is_leaf { String::new() } else { format!(" in {}", name::holder(member.parsed)) };
        Some(match violation {
            Violation::Outside(what) => {
                format!("the name constraints of {} do not allow {what}{whose}", name::holder(ca))
            }
            Violation::Incomparable(what) => format!(
                "the name constraints of {} are about {what}{whose}, which TLS clients cannot compare",
                name::holder(ca)
            ),
        })
    })
}

/// What webpki says against a path.
enum PathError {
    Refused(String),
    Unjudged(String),
}

fn ask(route: &Route<'_>) -> Result<(), PathError> {
    let Some((last, between)) = route.cas.split_last() else { return Ok(()) };
    let der = |member: &Member<'_>| CertificateDer::from(member.certificate.der().to_vec());
    let (leaf, anchor) = (der(&route.leaf), der(last));
    let intermediates: Vec<_> = between.iter().map(der).collect();
    let anchors = [anchor_from_trusted_cert(&anchor).map_err(|error| unread(&error, last))?];
    for (member, der) in between.iter().zip(&intermediates) {
        EndEntityCert::try_from(der).map_err(|error| unread(&error, member))?;
    }
    let leaf = EndEntityCert::try_from(&leaf).map_err(|error| unread(&error, &route.leaf))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(route.at.seconds()).unwrap_or(0)));
    let verified = leaf.verify_for_usage(ALGORITHMS, &anchors, &intermediates, at, Wanted(usage(route)), None, None);
    verified.map(drop).map_err(|error| refused(&error, route))
}

/// The usage that webpki looks for. Where the leaf lacks it, the gate holds it for that alone; where the purpose is none of
/// TLS, no TLS client will ever be asked.
fn usage(route: &Route<'_>) -> Option<KeyUsage> {
    let own = extension::usages(route.leaf.parsed).unwrap_or_default();
    let usage = match route.purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Client => KeyUsage::client_auth(),
        Purpose::Other => return None,
    };
    route.purpose.is_among(&own).then_some(usage)
}

/// A usage that each certificate must allow, or none.
struct Wanted(Option<KeyUsage>);

impl ExtendedKeyUsageValidator for Wanted {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        self.0.map_or(Ok(()), |wanted| wanted.validate(usages))
    }
}

/// A certificate that webpki does not read, though OpenSSL and our own parser do.
fn unread(error: &Error, member: &Member<'_>) -> PathError {
    let holder = name::holder(member.parsed);
    PathError::Unjudged(match (error, purpose::rare_extensions(member.parsed)) {
        (Error::UnsupportedCriticalExtension, Some(rare)) => {
            format!("an extension marked critical ({rare}) is unknown to some TLS clients in {holder}")
        }
        (Error::UnsupportedCertVersion, _) => format!("{holder} is not an X.509 certificate of version 3"),
        _ => format!("some TLS clients cannot read {holder}: its encoding is unusual"),
    })
}

/// A path that webpki does not take, though it passed every rule of our own.
#[expect(clippy::wildcard_enum_match_arm, reason = "webpki's list of errors is open")]
fn refused(error: &Error, route: &Route<'_>) -> PathError {
    let unjudged = |why: &str| PathError::Unjudged(format!("some TLS clients may refuse the path: {why}"));
    match error {
        Error::NameConstraintViolation => match of_rare_kinds(route) {
            Some(ca) => unjudged(&format!("the name constraints of {ca} are not only about DNS names and addresses")),
            None => {
                PathError::Refused("the name constraints of the path do not allow a name of the certificate".to_owned())
            }
        },
        Error::UnknownIssuer => unjudged("a certificate spells its issuer's name in another way than the issuer does"),
        Error::PathLenConstraintViolated => unjudged("they count the CAs that issued themselves"),
        Error::MaximumPathDepthExceeded => unjudged("it is longer than they follow"),
        Error::InvalidNetworkMaskConstraint => unjudged("a mask in the name constraints is not contiguous"),
        Error::MalformedNameConstraint | Error::MalformedDnsIdentifier => {
            unjudged("a DNS name in it is not spelled as one")
        }
        Error::RequiredEkuNotFoundContext(_) if has_outdated_usage(route) => {
            unjudged("it names its extended key usage in an outdated way")
        }
        Error::RequiredEkuNotFoundContext(_) => {
            PathError::Refused("a CA of the path may not issue for this usage".to_owned())
        }
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) | Error::MalformedExtensions => {
            unjudged("its encoding is unusual")
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::MaximumNameConstraintComparisonsExceeded => unjudged("it exceeds their limits"),
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity => {
            PathError::Refused("a certificate of the path is not valid at this time".to_owned())
        }
        _ => PathError::Refused("TLS clients refuse the path".to_owned()),
    }
}

fn has_outdated_usage(route: &Route<'_>) -> bool {
    let mut all = std::iter::once(&route.leaf).chain(route.cas);
    all.any(|member| extension::usages(member.parsed).is_ok_and(|usages| purpose::has_outdated(&usages)))
}

fn of_rare_kinds(route: &Route<'_>) -> Option<Text> {
    let is_rare = |ca: &&Member<'_>| {
        Constraints::of(ca.parsed).ok().flatten().is_some_and(|constraints| !constraints.are_of_hosts())
    };
    route.cas.iter().find(is_rare).map(|ca| name::holder(ca.parsed))
}
