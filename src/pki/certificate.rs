//! A certificate as owned DER that was parsed once, and the ways in which TLM and files spell it. Does not judge what
//! a certificate says: that is the gate's.

use std::fmt;

use x509_parser::certificate::X509Certificate;

use super::der::{Der, Element};
use super::digest::sha256;
use super::pem::{self, Part, PemError};
use super::{certificate_file, extension, name, spki};
use crate::core::name::Digest;
use crate::core::text::Text;

/// A certificate: DER that parses as X.509, with nothing after it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    spki: Digest,
}

impl Certificate {
    /// Takes the DER of one certificate.
    ///
    /// # Errors
    ///
    /// When it is no certificate, too large, or followed by something.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let spki = spki::digest(parse(der)?.public_key());
        Ok(Self { der: der.to_vec(), spki })
    }

    /// The DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The PEM, with `\n` at the end of each line.
    #[must_use]
    pub fn to_pem(&self) -> String {
        std::mem::take(&mut *pem::armour(LABEL, &self.der))
    }

    /// SHA-256 of the DER.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        sha256(&self.der)
    }

    /// SHA-256 of the public key's DER (SPKI).
    #[must_use]
    pub fn spki(&self) -> Digest {
        self.spki
    }

    /// The public key's DER (SPKI).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.parsed().map_or(&[], |parsed| parsed.tbs_certificate.subject_pki.raw)
    }

    /// Whom the certificate is for, for messages: the common name, or what stands in its place.
    #[must_use]
    pub fn label(&self) -> Text {
        self.parsed().map_or_else(|error| Text::new(&error.to_string()), |parsed| name::holder(&parsed))
    }

    /// Who issued it, for messages: the common name, or what stands in its place.
    #[must_use]
    pub fn issuer_label(&self) -> Text {
        self.parsed().map_or_else(|error| Text::new(&error.to_string()), |parsed| name::label(parsed.issuer()))
    }

    /// Whether it is a CA's.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        let constraints = self.parsed().and_then(|parsed| extension::basic_constraints(&parsed));
        constraints.is_ok_and(|constraints| constraints.is_some_and(|constraints| constraints.ca))
    }

    /// Whether it has the name of the issuer of `other`. Says nothing of signatures.
    #[must_use]
    pub fn is_named_as_issuer_of(&self, other: &Self) -> bool {
        match (self.parsed(), other.parsed()) {
            (Ok(issuer), Ok(child)) => name::same(issuer.subject(), child.issuer()),
            (_, _) => false,
        }
    }

    pub(super) fn parsed(&self) -> Result<X509Certificate<'_>, CertificateError> {
        parse(&self.der)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.label(), self.fingerprint())
    }
}

/// Parses the DER of one certificate.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    if der.len() > MAX_DER {
        return Err(CertificateError::TooLarge);
    }
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], parsed)) if is_strict(&parsed, der) => Ok(parsed),
        Ok(([], _)) => Err(CertificateError::NotACertificate),
        Ok(_) => Err(CertificateError::TrailingBytes),
        Err(_) if is_ber(der) => Err(CertificateError::Ber),
        Err(_) => Err(CertificateError::NotACertificate),
    }
}

/// Whether the certificate or its signed part has an indefinite length, which OpenSSL reads as well.
fn is_ber(der: &[u8]) -> bool {
    let whole = Der(der).next();
    let signed = whole.and_then(|whole| whole.inside().next());
    [whole, signed].into_iter().flatten().any(Element::is_indefinite)
}

/// Whether what no signature covers, the frame around the signed part, is exact DER: the parser takes more than TLS
/// clients do.
fn is_strict(parsed: &X509Certificate<'_>, der: &[u8]) -> bool {
    let Some(algorithm) = spki::algorithm(&parsed.signature_algorithm) else { return false };
    let signature = &parsed.signature_value.data;
    let exact = yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_der(parsed.tbs_certificate.as_ref());
            parts.next().write_sequence(|id| id.next().write_der(&algorithm));
            parts.next().write_bitvec_bytes(signature, signature.len() * 8);
        });
    });
    exact == der
}

/// What came is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum CertificateError {
    /// Nothing but white space.
    #[error("the certificate is empty")]
    Empty,
    /// A web page.
    #[error("an HTML page came where a certificate was expected")]
    Html,
    /// More bytes, or more certificates, than any chain has.
    #[error("far too large for a certificate and its chain")]
    TooLarge,
    /// Text outside of the armour.
    #[error("there is other text around the certificate: \"{0}\"")]
    OtherText(Text),
    /// PEM of something else.
    #[error("a PEM block \"{0}\" came where a certificate was expected")]
    OtherBlock(Text),
    /// Broken PEM or base64.
    #[error("the certificate is damaged")]
    Pem(#[from] PemError),
    /// Decodes, and is no X.509.
    #[error("what came does not parse as an X.509 certificate")]
    NotACertificate,
    /// X.509, and its length is only to be found by reading on.
    #[error("the certificate is in BER, not in DER as X.509 demands")]
    Ber,
    /// A certificate and then something.
    #[error("there are more bytes after the certificate")]
    TrailingBytes,
    /// A file from which more patient readers take certificates.
    #[error("it has no PEM block of a certificate on lines of its own")]
    NoBlock,
    /// Headers in the armour, which stand before keys alone.
    #[error("there are headers within the armour of the certificate")]
    Headers,
    /// A part of the certificate that decisions need does not parse.
    #[error("the {0} of the certificate is malformed")]
    Malformed(&'static str),
}

/// The certificates of an answer: one or several as PEM, with or without line breaks, or as bare base64.
/// Nothing else may stand beside them.
///
/// # Errors
///
/// When there is anything but certificates, or none.
pub fn certificates(text: &str) -> Result<Vec<Certificate>, CertificateError> {
    let text = plausible(text)?;
    if !text.contains("-----") {
        return bare(text);
    }
    let certificate = |part: &Part<'_>| match part {
        Part::Text(text) => Err(CertificateError::OtherText(Text::new(text))),
        Part::Block(block) if block.label != LABEL => Err(CertificateError::OtherBlock(Text::new(block.label))),
        Part::Block(block) => Certificate::from_der(&pem::decode(block.body)?),
    };
    bounded(&pem::parts(text)?)?.iter().map(certificate).collect()
}

/// Base64 without armour: one certificate, whatever its lines, or one on each line.
fn bare(text: &str) -> Result<Vec<Certificate>, CertificateError> {
    let whole = pem::decode(text).map_err(CertificateError::from).and_then(|der| Certificate::from_der(&der));
    let each = || text.lines().map(|line| Certificate::from_der(&pem::decode(line)?)).collect::<Result<Vec<_>, _>>();
    match whole {
        Ok(certificate) => Ok(vec![certificate]),
        Err(error) if text.lines().count() <= MAX_PARTS => each().map_err(|_| error),
        Err(error) => Err(error),
    }
}

/// The certificates of a file that others may have written: text, comments and other blocks, such as a private key, are
/// passed over.
///
/// # Errors
///
/// When a certificate in it is damaged, or there is none.
pub fn certificates_in_file(bytes: impl AsRef<[u8]>) -> Result<Vec<Certificate>, CertificateError> {
    certificate_file::read(bytes.as_ref())?.found.iter().map(|der| Certificate::from_der(der)).collect()
}

/// Whatever certificates of a file can be read, in their order; the others are passed over.
#[must_use]
pub fn readable_in_file(bytes: impl AsRef<[u8]>) -> Vec<Certificate> {
    certificate_file::readable(bytes.as_ref()).iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
}

fn plausible(text: &str) -> Result<&str, CertificateError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(CertificateError::Empty);
    }
    if text.starts_with('<') {
        return Err(CertificateError::Html);
    }
    if text.len() > MAX_TEXT { Err(CertificateError::TooLarge) } else { Ok(text) }
}

fn bounded<'p, 't>(parts: &'p [Part<'t>]) -> Result<&'p [Part<'t>], CertificateError> {
    if parts.len() > MAX_PARTS { Err(CertificateError::TooLarge) } else { Ok(parts) }
}

const LABEL: &str = "CERTIFICATE";
const MAX_DER: usize = 64 * 1024;
const MAX_TEXT: usize = 1024 * 1024;
const MAX_PARTS: usize = 64;

#[cfg(test)]
mod tests;
