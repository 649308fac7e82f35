//! Certificate revocation lists (RFC 5280 section 5): whether one speaks of a certificate, and what it says. Only complete
//! lists that the certificate's issuer itself signed are judged; neither delta lists nor indirect ones.

use x509_parser::extensions::{IssuingDistributionPoint, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{
    OID_X509_EXT_INVALIDITY_DATE, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT, OID_X509_EXT_REASON_CODE,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};

use super::certificate::Certificate;
use super::der::magnitude;
use super::pem::{self, Part};
use super::signature::{Judgement, Signed, judge_signed};
use super::standing::{self, Doubt};
use super::{extension, name};
use crate::core::known::revocation::{CaStanding, Revocation, RevocationReason};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// What the list `bytes` (DER or PEM) says at `at` of `certificate`, which `issuer` issued.
///
/// # Errors
///
/// When it says nothing of it that can be relied on.
pub fn read(bytes: &[u8], certificate: &Certificate, issuer: &Certificate, at: Timestamp) -> Result<CaStanding, Doubt> {
    let der = unarmoured(bytes);
    let (rest, list) = CertificateRevocationList::from_der(&der).map_err(|_| UNREADABLE)?;
    if !rest.is_empty() {
        return Err(UNREADABLE);
    }
    check_signer(&list, issuer)?;
    let coverage = coverage(&list, certificate)?;
    let entry = entry(&list, certificate)?;
    let current = check_time(&list, at);
    match entry {
        // Every revocation but a hold is for ever, however old the list is.
        Some(revocation) if !revocation.reason.is_hold() => Ok(CaStanding::Revoked(revocation)),
        Some(revocation) => current.map(|()| CaStanding::Revoked(revocation)),
        None => current.and(coverage).map(|()| CaStanding::NotRevoked),
    }
}

/// The DER: some CAs put PEM where DER should be.
fn unarmoured(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN "));
    let parts = text.and_then(|text| pem::parts(text).ok()).unwrap_or_default();
    let is_list = |part: &Part<'_>| matches!(part, Part::Block(block) if block.label == "X509 CRL");
    let block = parts.into_iter().find(is_list);
    let body = block.and_then(|part| if let Part::Block(block) = part { pem::decode(block.body).ok() } else { None });
    body.map_or_else(|| bytes.to_vec(), |der| der.to_vec())
}

/// Whether the list is the issuer's.
fn check_signer(list: &CertificateRevocationList<'_>, issuer: &Certificate) -> Result<(), Doubt> {
    let parsed = issuer.parsed().map_err(|_| Doubt::Unreadable("the issuer's certificate"))?;
    if !name::same(list.issuer(), parsed.subject()) {
        return Err(Doubt::OtherIssuer(name::full(list.issuer())));
    }
    let usage = extension::key_usage(&parsed).map_err(|_| Doubt::MayNotSign)?;
    if usage.is_some_and(|usage| !usage.crl_sign()) {
        return Err(Doubt::MayNotSign);
    }
    if list.signature_algorithm != list.tbs_cert_list.signature {
        return Err(Doubt::Forged);
    }
    let signed = Signed {
        algorithm: &list.signature_algorithm,
        content: list.tbs_cert_list.as_ref(),
        signature: &list.signature_value.data,
    };
    match judge_signed(&signed, parsed.public_key()) {
        Judgement::Valid => Ok(()),
        Judgement::Invalid => Err(Doubt::Forged),
        Judgement::Unjudged(algorithm) => Err(Doubt::Unjudged(Text::new(&algorithm))),
    }
}

/// Whether the list is about such certificates at all; the inner result is whether it names every one that is revoked.
fn coverage(list: &CertificateRevocationList<'_>, certificate: &Certificate) -> Result<Result<(), Doubt>, Doubt> {
    let mut whole = Ok(());
    for extension in list.extensions() {
        if let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension() {
            check_scope(point, certificate)?;
            if point.only_some_reasons.is_some() {
                whole = Err(Doubt::NotCovered("it lists some reasons only"));
            }
        } else if extension.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT {
            return Err(UNREADABLE);
        } else if extension.critical {
            return Err(critical(extension));
        }
    }
    Ok(whole)
}

fn check_scope(point: &IssuingDistributionPoint<'_>, certificate: &Certificate) -> Result<(), Doubt> {
    if point.indirect_crl {
        return Err(Doubt::NotCovered("it is an indirect list"));
    }
    if point.only_contains_user_certs || point.only_contains_attribute_certs {
        return Err(Doubt::NotCovered("it lists no CA certificates"));
    }
    let Some(own) = &point.distribution_point else { return Ok(()) };
    let points = standing::points(certificate).unwrap_or_default();
    let is_meant = standing::full_names(own).any(|name| points.iter().any(|point| point == name));
    if is_meant { Ok(()) } else { Err(Doubt::NotCovered("it is for other distribution points")) }
}

/// The entry of `certificate`, where it has one that revokes it.
fn entry(list: &CertificateRevocationList<'_>, certificate: &Certificate) -> Result<Option<Revocation>, Doubt> {
    let parsed = certificate.parsed().map_err(|_| Doubt::Unreadable("a certificate"))?;
    let wanted = magnitude(parsed.raw_serial());
    let mut found = None;
    for entry in list.iter_revoked_certificates() {
        if let Some(unknown) = entry.extensions().iter().find(|extension| extension.critical && !is_known(extension)) {
            return Err(critical(unknown));
        }
        if magnitude(entry.raw_serial()) == wanted {
            found = found.or(revocation(entry));
        }
    }
    Ok(found)
}

fn revocation(entry: &RevokedCertificate<'_>) -> Option<Revocation> {
    let code = entry.extensions().iter().find_map(|extension| {
        if let ParsedExtension::ReasonCode(reason) = extension.parsed_extension() { Some(reason.0) } else { None }
    });
    let reason = RevocationReason::of_code(code.unwrap_or(0))?;
    Some(Revocation { at: Timestamp::from_seconds(entry.revocation_date.timestamp()), reason })
}

fn is_known(extension: &X509Extension<'_>) -> bool {
    extension.oid == OID_X509_EXT_REASON_CODE || extension.oid == OID_X509_EXT_INVALIDITY_DATE
}

fn critical(extension: &X509Extension<'_>) -> Doubt {
    Doubt::Critical(Text::new(&extension.oid.to_id_string()))
}

/// Whether the list holds at `at`.
fn check_time(list: &CertificateRevocationList<'_>, at: Timestamp) -> Result<(), Doubt> {
    let until = list.next_update().map(|until| Timestamp::from_seconds(until.timestamp()));
    standing::check_time(Timestamp::from_seconds(list.last_update().timestamp()), until, at)
}

const UNREADABLE: Doubt = Doubt::Unreadable("a certificate revocation list");

#[cfg(test)]
mod tests;
