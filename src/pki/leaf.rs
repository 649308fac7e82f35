//! The facts of a leaf certificate that decisions need, read from its DER and from nowhere else.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::{self, Certificate, CertificateError};
use super::digest::sha256;
use super::frame::Frame;
use super::{certificate_file, extension, name, spki};
use crate::core::known::observed::Leaf;
use crate::core::name::{Digest, SerialNumber, hex};
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Sans;
use crate::core::wanted::subject::{Subject, SubjectAttribute};

/// Reads the facts of a leaf.
///
/// # Errors
///
/// When an extension that decisions need is there twice or does not parse.
pub fn read(certificate: &Certificate) -> Result<Leaf, CertificateError> {
    facts(&certificate.parsed()?, certificate.fingerprint(), certificate.spki())
}

/// What a leaf has that no entry can ask for: attributes of the subject, and names of kinds, that TLM does not know.
#[must_use]
pub fn untaken(certificate: &Certificate) -> Vec<String> {
    let Ok(parsed) = certificate.parsed() else { return Vec::new() };
    let attributes = name::unknown(parsed.subject()).map(|(oid, value)| format!("subject attribute {oid} {value:?}"));
    let (_, names) = extension::names(&parsed).unwrap_or_default();
    attributes.chain(names.iter().map(|name| format!("name {name:?}"))).collect()
}

/// Reads the facts of the leaf that comes first in a PEM file. What follows it is not looked at.
///
/// # Errors
///
/// When there is none, it is damaged, or an extension that decisions need is there twice or does not parse.
pub fn first_in_file(bytes: &[u8]) -> Result<Leaf, CertificateError> {
    whole(&certificate_file::first(bytes)?)
}

/// A leaf that is in service, whether all of it can be judged or not.
#[derive(Clone, Debug, PartialEq)]
pub struct InService {
    /// Its facts; without names, subject and usages where those cannot be read.
    pub leaf: Leaf,
    /// The public key's DER.
    pub spki: Vec<u8>,
    /// Why it cannot be judged as a whole.
    pub doubt: Option<CertificateError>,
}

/// Reads what can be read of the DER of a leaf that is in service. Where names, extensions or the frame are otherwise than
/// renewd reads them, serial number, validity and key are left.
///
/// # Errors
///
/// When not even those can be read.
pub fn in_service(der: &[u8]) -> Result<InService, CertificateError> {
    let (read, frame) = (whole(der), Frame::of(der));
    let spki = frame.as_ref().map_or_else(Vec::new, |frame| frame.spki.to_vec());
    match (read, frame) {
        (Ok(leaf), _) => Ok(InService { leaf, spki, doubt: None }),
        (Err(doubt), Some(frame)) => Ok(InService { leaf: outline(der, &frame), spki, doubt: Some(doubt) }),
        (Err(error), None) => Err(error),
    }
}

/// The DER of the first certificate's public key in a file; empty where there is none.
#[must_use]
pub fn public_key_in_file(bytes: &[u8]) -> Vec<u8> {
    let first = certificate_file::read(bytes).ok().and_then(|file| file.found.into_iter().next());
    first.and_then(|der| in_service(&der).ok()).map(|read| read.spki).unwrap_or_default()
}

/// Why a certificate of a chain that is in service cannot be read as a whole, where it cannot.
#[must_use]
pub fn doubt(der: &[u8]) -> Option<CertificateError> {
    certificate::parse(der).err()
}

fn whole(der: &[u8]) -> Result<Leaf, CertificateError> {
    let parsed = certificate::parse(der)?;
    facts(&parsed, sha256(der), spki::digest(parsed.public_key()))
}

fn outline(der: &[u8], frame: &Frame<'_>) -> Leaf {
    let key = SubjectPublicKeyInfo::from_der(frame.spki).ok();
    Leaf {
        serial_number: serial_number(frame.serial),
        fingerprint: sha256(der),
        spki: sha256(frame.spki),
        not_before: frame.not_before,
        not_after: frame.not_after,
        key: key.and_then(|(_, key)| spki::key_type(&key)),
        common_name: None,
        subject: Subject::new(),
        names: Sans::default(),
        usages: Vec::new(),
    }
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

/// DER puts a zero byte before a number whose first bit is set; TLM's spelling does not have it. A negative number, which
/// no CA may give and some gave, is shown as OpenSSL shows it.
pub(super) fn serial_number(integer: &[u8]) -> SerialNumber {
    let shown = |bytes: &[u8]| bytes.iter().flat_map(|byte| hex(*byte)).map(char::from).collect::<String>();
    SerialNumber(match integer {
        [0, rest @ ..] if !rest.is_empty() => shown(rest),
        [first, ..] if *first >= 0x80 => format!("-{}", shown(&negated(integer))),
        whole => shown(whole),
    })
}

/// The magnitude of a negative number in two's complement.
fn negated(integer: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut digits: Vec<u8> = integer
        .iter()
        .rev()
        .map(|byte| {
            let (digit, over) = (!byte).overflowing_add(u8::from(carry));
            carry = over;
            digit
        })
        .collect();
    while digits.len() > 1 && digits.last() == Some(&0) {
        digits.pop();
    }
    digits.reverse();
    digits
}

#[cfg(test)]
mod tests;
