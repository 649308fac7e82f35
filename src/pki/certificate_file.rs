//! The certificates of a file that anybody may have written, in the order in which a TLS server takes them: the first is
//! the leaf. What stands outside of the armour, and other blocks, are passed over.

use super::certificate::CertificateError;
use super::der::{Der, Element, OCTET_STRING, SEQUENCE};
use super::pem_file::{Blocks, FileBlock, Head, lenient};
use super::{frame, pkcs7};

/// The certificates of a file, each as DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile {
    /// The leaf and what follows it; never empty.
    pub found: Vec<Vec<u8>>,
    /// Why OpenSSL does not load the file, where it does not.
    pub doubt: Option<CertificateError>,
}

/// Reads a file as OpenSSL does; where that fails, as a more patient reader may.
///
/// # Errors
///
/// When a certificate in it is damaged, or there is none.
pub fn read(bytes: &[u8]) -> Result<CertificateFile, CertificateError> {
    match strict(bytes) {
        Ok(found) => Ok(CertificateFile { found, doubt: None }),
        Err(doubt) => match patient(bytes) {
            Ok(found) if doubt == CertificateError::Empty => {
                Ok(CertificateFile { found, doubt: Some(CertificateError::NoBlock) })
            }
            Ok(found) => Ok(CertificateFile { found, doubt: Some(doubt) }),
            Err(CertificateError::Empty) => Err(doubt),
            Err(error) => Err(error),
        },
    }
}

/// Whatever certificates of a file can be read, each as DER, in their order: where one block is damaged, the others are
/// still what is served, or may be.
#[must_use]
pub fn readable(bytes: &[u8]) -> Vec<Vec<u8>> {
    let blocks = || {
        let expected = lenient(bytes).filter(|(label, _)| is_expected(label, true));
        expected.filter_map(|(_, block)| taken(&block.ok()?, false).ok()).collect()
    };
    read(bytes).map_or_else(|_| blocks(), |file| file.found)
}

/// The leaf alone, of a file that OpenSSL loads as far as that. What follows it is not looked at.
///
/// # Errors
///
/// When there is none, or it is damaged.
pub fn first(bytes: &[u8]) -> Result<Vec<u8>, CertificateError> {
    for block in Blocks::of_certificates(bytes) {
        let block = block?;
        if is_expected(block.label, true) {
            return taken(&block, true);
        }
    }
    Err(CertificateError::Empty)
}

fn strict(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut found = Vec::new();
    for block in Blocks::of_certificates(bytes) {
        let block = block?;
        if is_expected(block.label, found.is_empty()) {
            found.push(taken(&block, found.is_empty())?);
        }
    }
    if found.is_empty() { Err(CertificateError::Empty) } else { Ok(found) }
}

/// Also PKCS#7, and a certificate in DER.
fn patient(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    if let Some((certificate, [])) = frame::split(bytes) {
        return Ok(vec![written(certificate)]);
    }
    let mut found = Vec::new();
    for (label, block) in lenient(bytes) {
        if is_expected(label, true) {
            found.push(taken(&block?, false)?);
        } else if is_pkcs7(label) {
            let block = block?;
            let all = pkcs7::certificates(&block.der).unwrap_or_default();
            found.extend(all.into_iter().filter_map(frame::split).map(|(certificate, _)| written(certificate)));
        }
    }
    if found.is_empty() { Err(CertificateError::Empty) } else { Ok(found) }
}

/// OpenSSL looks for `TRUSTED CERTIFICATE` in the first place alone.
fn is_expected(label: &[u8], is_first: bool) -> bool {
    matches!(label, b"CERTIFICATE" | b"X509 CERTIFICATE") || (is_first && label == b"TRUSTED CERTIFICATE")
}

/// The certificate of a block. What follows it there has to be what OpenSSL writes behind a trusted one: a structure.
fn taken(block: &FileBlock<'_>, is_strict: bool) -> Result<Vec<u8>, CertificateError> {
    if is_strict && block.head != Head::None {
        return Err(CertificateError::Headers);
    }
    let (certificate, rest) = frame::split(&block.der).ok_or(CertificateError::NotACertificate)?;
    if is_strict && !rest.is_empty() && !is_trust(rest) {
        return Err(CertificateError::TrailingBytes);
    }
    Ok(written(certificate))
}

/// What OpenSSL sends of a certificate: it writes the length around the signed part anew, and keeps that part as it came.
fn written(certificate: Element<'_>) -> Vec<u8> {
    if !certificate.is_indefinite() {
        return certificate.whole.to_vec();
    }
    yasna::construct_der(|writer| writer.write_sequence(|parts| parts.next().write_der(certificate.content)))
}

/// Whether it begins with OpenSSL's CertAux: what a certificate is trusted and rejected for, its alias and its key id.
fn is_trust(bytes: &[u8]) -> bool {
    let Some(mut parts) = Der(bytes).sequence() else { return false };
    let is_known = parts.by_ref().all(|part| matches!(part.tag, SEQUENCE | 0xa0 | 0xa1 | 0x0c | OCTET_STRING));
    is_known && parts.0.is_empty()
}

/// Whether the label is that of a PKCS#7 structure.
#[must_use]
pub fn is_pkcs7(label: impl AsRef<[u8]>) -> bool {
    let known = ["PKCS7", "PKCS #7 SIGNED DATA", "CMS", "CERTIFICATE CHAIN", "PKCS7 CERTIFICATE"];
    known.iter().any(|known| known.as_bytes() == label.as_ref())
}

#[cfg(test)]
mod tests;
