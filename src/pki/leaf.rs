//! The facts of a leaf certificate that decisions need, read from its DER and from nowhere else.

use x509_parser::certificate::X509Certificate;

use super::certificate::{Certificate, CertificateError};
use super::{extension, name, spki};
use crate::core::name::SerialNumber;
use crate::core::observed::Leaf;
use crate::core::subject::{Subject, SubjectAttribute};
use crate::core::time::Timestamp;

/// Reads the facts of a leaf.
///
/// # Errors
///
/// When an extension that decisions need is there twice or does not parse.
pub fn read(certificate: &Certificate) -> Result<Leaf, CertificateError> {
    let parsed = certificate.parsed()?;
    let (common_name, subject) = subject(&parsed);
    Ok(Leaf {
        serial_number: serial_number(parsed.raw_serial()),
        fingerprint: certificate.fingerprint(),
        spki: spki::digest(parsed.public_key()),
        not_before: Timestamp::from_seconds(parsed.validity().not_before.timestamp()),
        not_after: Timestamp::from_seconds(parsed.validity().not_after.timestamp()),
        key: spki::key_type(parsed.public_key()),
        common_name,
        subject,
        names: extension::names(&parsed)?.0,
        usages: extension::usages(&parsed)?,
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
    SerialNumber(magnitude.iter().map(|byte| format!("{byte:02X}")).collect())
}

#[cfg(test)]
mod tests;
