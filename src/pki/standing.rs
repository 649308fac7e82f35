//! The standing of a CA certificate at its issuer: where it is told, who the issuer is, and why it may not be known.
//! Fetches nothing.

use std::time::Duration;

use x509_parser::asn1_rs::Oid;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_PKIX_AUTHORITY_INFO_ACCESS, OID_X509_EXT_CRL_DISTRIBUTION_POINTS};

use super::certificate::{Certificate, CertificateError};
use super::signature::{Judgement, judge};
use super::{extension, leaf, name};
use crate::core::known::ca_status::ServedCa;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// Why nothing is known of a certificate's standing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// What came is nothing of the kind.
    #[error("it does not parse as {0}")]
    Unreadable(&'static str),
    /// It speaks for another CA.
    #[error("it is by {0}, not by the certificate's issuer")]
    OtherIssuer(Text),
    /// Its signature is not the issuer's.
    #[error("its signature does not verify with the issuer's key")]
    Forged,
    /// The algorithm of its signature is not known.
    #[error("its signature ({0}) cannot be judged")]
    Unjudged(Text),
    /// The issuer's certificate does not let it sign such a thing.
    #[error("the signer's certificate does not allow it to sign that")]
    MayNotSign,
    /// It is of another time.
    #[error("it is from {from} and held only until {until}")]
    Outdated {
        /// When it was made.
        from: Timestamp,
        /// Until when it holds.
        until: Timestamp,
    },
    /// It is of a time to come.
    #[error("it is from {0}, which is still to come")]
    FromFuture(Timestamp),
    /// It does not speak of this certificate.
    #[error("it does not cover this certificate: {0}")]
    NotCovered(&'static str),
    /// It has something critical that is not known.
    #[error("it has the critical extension {0}, which renewd does not know")]
    Critical(Text),
    /// A responder does not say.
    #[error("the responder answers \"{0}\"")]
    NotTold(&'static str),
}

/// Where the standing of a certificate is told, as it says itself; `http` and `https` only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Certificate revocation lists.
    pub crls: Vec<String>,
    /// OCSP responders.
    pub responders: Vec<String>,
    /// Certificates of its issuer.
    pub issuers: Vec<String>,
}

impl Sources {
    /// Those of `certificate`.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        let access = |method: &str| bounded(access(certificate, method).unwrap_or_default());
        Self {
            crls: bounded(points(certificate).unwrap_or_default()),
            responders: access(OCSP),
            issuers: access(CA_ISSUERS),
        }
    }
}

/// What a CA certificate is called.
///
/// # Errors
///
/// When an extension that is needed is there twice or does not parse.
pub fn served(ca: &Certificate) -> Result<ServedCa, CertificateError> {
    let parsed = ca.parsed()?;
    let serial_number = leaf::serial_number(parsed.raw_serial());
    Ok(ServedCa { fingerprint: ca.fingerprint(), subject: name::full(parsed.subject()), serial_number })
}

/// Whether a certificate is a CA's that another CA issued: not a root, whose own word on itself says nothing.
#[must_use]
pub fn is_intermediate(certificate: &Certificate) -> bool {
    let is_root = certificate.parsed().is_ok_and(|parsed| {
        name::same(parsed.subject(), parsed.issuer()) && judge(&parsed, parsed.public_key()) != Judgement::Invalid
    });
    certificate.is_ca() && !is_root
}

/// Who issued `ca`: of whatever origin, a certificate of the issuer's name whose key verifies the signature holds the
/// issuer's key.
pub fn issuer_of<'p>(ca: &Certificate, pool: impl IntoIterator<Item = &'p Certificate>) -> Option<&'p Certificate> {
    let child = ca.parsed().ok()?;
    pool.into_iter().filter(|one| one.is_named_as_issuer_of(ca)).find(|one| {
        let parsed = one.parsed();
        parsed.is_ok_and(|parsed| judge(&child, parsed.public_key()) == Judgement::Valid)
    })
}

/// Whether what was made at `from` and holds until `until` holds at `at`.
pub(super) fn check_time(from: Timestamp, until: Option<Timestamp>, at: Timestamp) -> Result<(), Doubt> {
    if from > at + CLOCK_TOLERANCE {
        return Err(Doubt::FromFuture(from));
    }
    match until {
        Some(until) if until < at => Err(Doubt::Outdated { from, until }),
        Some(_) | None => Ok(()),
    }
}

/// The names of the distribution points that speak for the issuer itself.
pub(super) fn points(certificate: &Certificate) -> Option<Vec<String>> {
    let parsed = certificate.parsed().ok()?;
    let found = extension::parsed(&parsed, &OID_X509_EXT_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints").ok()??;
    let ParsedExtension::CRLDistributionPoints(points) = found else { return None };
    let own = points.iter().filter(|point| point.crl_issuer.is_none());
    let names = own.filter_map(|point| point.distribution_point.as_ref());
    Some(names.flat_map(full_names).map(str::to_owned).collect())
}

/// The URIs of a distribution point's name.
pub(super) fn full_names<'n>(name: &'n DistributionPointName<'_>) -> impl Iterator<Item = &'n str> {
    let names = match name {
        DistributionPointName::FullName(names) => names.as_slice(),
        DistributionPointName::NameRelativeToCRLIssuer(_) => &[],
    };
    names.iter().filter_map(uri)
}

fn access(certificate: &Certificate, method: &str) -> Option<Vec<String>> {
    let parsed = certificate.parsed().ok()?;
    let found = extension::parsed(&parsed, &OID_PKIX_AUTHORITY_INFO_ACCESS, "authorityInfoAccess").ok()??;
    let ParsedExtension::AuthorityInfoAccess(access) = found else { return None };
    let of_method = |oid: &Oid<'_>| oid.to_id_string() == method;
    let asked = access.accessdescs.iter().filter(|one| of_method(&one.access_method));
    Some(asked.filter_map(|one| uri(&one.access_location)).map(str::to_owned).collect())
}

fn uri<'n>(name: &'n GeneralName<'_>) -> Option<&'n str> {
    if let GeneralName::URI(uri) = name { Some(uri) } else { None }
}

/// Those that can be fetched, each once, and no more than are of use.
fn bounded(uris: Vec<String>) -> Vec<String> {
    let is_http = |uri: &str| {
        let scheme = uri.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https")) && uri.len() <= LONGEST_URI
    };
    let mut kept: Vec<String> = Vec::new();
    for uri in uris.into_iter().filter(|uri| is_http(uri)) {
        if kept.len() < MOST_SOURCES && !kept.contains(&uri) {
            kept.push(uri);
        }
    }
    kept
}

const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";
/// Clocks differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(600);
const MOST_SOURCES: usize = 4;
const LONGEST_URI: usize = 2048;

#[cfg(test)]
mod tests;
