//! The facts of a leaf certificate that decisions need, read from its DER and from nowhere else.

use x509_parser::certificate::X509Certificate;

use super::certificate::{self, Certificate, CertificateError};
use super::digest::sha256;
use super::{extension, name, pem, spki};
use crate::core::name::{Digest, SerialNumber, hex};
use crate::core::observed::Leaf;
use crate::core::subject::{Subject, SubjectAttribute};
use crate::core::time::Timestamp;

/// Reads the facts of a leaf.
///
/// # Errors
///
/// When an extension that decisions need is there twice or does not parse.
pub fn read(certificate: &Certificate) -> Result<Leaf, CertificateError> {
    facts(&certificate.parsed()?, certificate.fingerprint(), certificate.spki())
}

/// Reads the facts of the leaf that comes first in a PEM file. What follows it is not looked at.
///
/// # Errors
///
/// When there is none, it is damaged, or an extension that decisions need is there twice or does not parse.
pub fn first_in_file(text: &str) -> Result<Leaf, CertificateError> {
    let block = pem::first(text, certificate::LABEL)?.ok_or(CertificateError::Empty)?;
    let der = pem::decode(block.body)?;
    let parsed = certificate::parse(&der)?;
    facts(&parsed, sha256(&der), spki::digest(parsed.public_key()))
}

fn facts(parsed: &X509Certificate<'_>, fingerprint: Digest, spki: Digest) -> Result<Leaf, CertificateError> {
    let (common_name, subject) = subject(parsed);
    Ok(Leaf {
        serial_number: serial_number(parsed.raw_serial()),
        fingerprint,
        spki,
        not_before: Timestamp::from_seconds(parsed.validity().not_before.timestamp()),
        not_after: Timestamp::from_seconds(parsed.validity().not_after.timestamp()),
        key: spki::key_type(parsed.public_key()),
        common_name,
        subject,
        names: extension::names(parsed)?.0,
        usages: extension::usages(parsed)?,
    })
}

/// The first common name, and all other attributes; further common names stay among those.
fn subject(parsed: &X509Certificate<'_>) -> (Option<String>, Subject) {
    let mut common_name = None;
    let mut subject = Subject::new();
    for (attribute, value) in name::values(parsed.subject()) {
        match attribute {
            None => {}
            Some(SubjectAttribute::CommonName) if common_name.is_none() => common_name = Some(value),
            Some(attribute) => subject.entry(attribute).or_default().push(value),
        }
    }
    (common_name, subject)
}

/// DER puts a zero byte before a number whose first bit is set; TLM's spelling does not have it.
fn serial_number(integer: &[u8]) -> SerialNumber {
    let magnitude = match integer {
        [0, rest @ ..] if !rest.is_empty() => rest,
        whole => whole,
    };
    SerialNumber(magnitude.iter().flat_map(|byte| hex(*byte)).map(char::from).collect())
}

#[cfg(test)]
mod tests;
