//! What TLS clients cannot read of a certificate, though our own parser does.

use std::collections::BTreeSet;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_CERT_TYPE, OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
    OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::x509::X509Name;

use super::der::{Der, GENERALIZED_TIME, SEQUENCE};

/// Why OpenSSL and other TLS clients do not load a certificate, or take none of its extensions; `None`: nothing is known
/// against it.
pub(super) fn defect(certificate: &X509Certificate<'_>) -> Option<String> {
    odd_serial(certificate)
        .or_else(|| repeated(certificate))
        .or_else(|| unreadable(certificate))
        .or_else(|| odd_name("subject", certificate.subject()))
        .or_else(|| odd_name("issuer", certificate.issuer()))
        .or_else(|| odd_time(certificate))
}

fn odd_serial(certificate: &X509Certificate<'_>) -> Option<String> {
    let is_odd = match certificate.raw_serial() {
        [] => true,
        [first, second, ..] => (*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80),
        [_] => false,
    };
    is_odd.then(|| "its serial number is not encoded as DER demands".to_owned())
}

fn repeated(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let twice = certificate.extensions().iter().find(|extension| !seen.insert(extension.oid.as_bytes()))?;
    Some(format!("it has the extension {} twice", twice.oid))
}

/// An extension that clients read whatever they are asked for.
fn unreadable(certificate: &X509Certificate<'_>) -> Option<String> {
    let read: [(Oid<'static>, &str); 5] = [
        (OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier"),
        (OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier"),
        (OID_X509_EXT_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints"),
        (OID_X509_EXT_SUBJECT_ALT_NAME, "subjectAltName"),
        (OID_X509_EXT_CERT_TYPE, "nsCertType"),
    ];
    let name = certificate.extensions().iter().find_map(|extension| {
        let is_broken = matches!(extension.parsed_extension(), ParsedExtension::ParseError { .. });
        let (_, name) = read.iter().find(|(oid, _)| *oid == extension.oid)?;
        is_broken.then_some(*name)
    })?;
    Some(format!("its extension {name} does not parse"))
}

/// A value of a type that names do not have, or that is no text of its type.
fn odd_name(which: &str, name: &X509Name<'_>) -> Option<String> {
    let is_odd = name.iter_attributes().any(|attribute| {
        let value = attribute.attr_value();
        match value.tag().0 {
            UTF8 => std::str::from_utf8(value.data).is_err(),
            BMP => value.data.len() % 2 != 0,
            UNIVERSAL => value.data.len() % 4 != 0,
            tag => !OTHERS.contains(&tag),
        }
    });
    is_odd.then(|| format!("its {which} has a value that is not text of its type"))
}

/// RFC 5280 allows `YYMMDDHHMMSSZ` and `YYYYMMDDHHMMSSZ`.
fn odd_time(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut parts = Der(certificate.tbs_certificate.as_ref()).sequence()?;
    parts.next_if(0xa0);
    // Serial number, algorithm, issuer.
    let validity = parts.by_ref().nth(3).filter(|element| element.tag == SEQUENCE)?;
    let is_odd = validity.inside().any(|time| {
        let digits = if time.tag == GENERALIZED_TIME { 14 } else { 12 };
        let (number, zone) = time.content.split_at_checked(digits).unwrap_or_default();
        zone != b"Z" || !number.iter().all(u8::is_ascii_digit)
    });
    is_odd.then(|| "its validity is not written as RFC 5280 demands".to_owned())
}

const UTF8: u32 = 12;
const UNIVERSAL: u32 = 28;
const BMP: u32 = 30;
/// BIT STRING, SEQUENCE, NumericString, PrintableString, T61String, IA5String: the other types that OpenSSL takes.
const OTHERS: [u32; 6] = [3, 16, 18, 19, 20, 22];

#[cfg(test)]
mod tests;
