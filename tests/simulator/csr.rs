//! Reads a certificate signing request in the three spellings that clients send, and checks its own signature.

use std::net::IpAddr;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::asn1_rs::Any;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::AttributeTypeAndValue;

use super::certificate::AltName;
use super::reply::ApiError;
use super::subject::{self, Subject};

/// What a signing request holds.
#[derive(Clone, Debug)]
pub struct Csr {
    pub subject: Subject,
    pub names: Vec<AltName>,
    pub spki: Vec<u8>,
    /// Bits of the modulus or of the field.
    pub key_bits: usize,
    pub is_rsa: bool,
}

/// Parses PEM, PEM without its newlines, or bare base64.
pub fn parse(text: &str) -> Result<Csr, ApiError> {
    let der = decode(text).ok_or_else(|| unreadable("unable to decode base64 string"))?;
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| unreadable("malformed request"))?;
    if !rest.is_empty() {
        return Err(unreadable("trailing data"));
    }
    verify(&request).map_err(unreadable)?;
    let info = &request.certification_request_info;
    let (key_bits, is_rsa) = key_length(&request).ok_or_else(|| unreadable("unsupported key"))?;
    Ok(Csr {
        subject: subject_of(&request),
        names: names_of(&request)?,
        spki: info.subject_pki.raw.to_vec(),
        key_bits,
        is_rsa,
    })
}

fn unreadable(why: &str) -> ApiError {
    ApiError::new(400, "mandatory_attribute_unavailable", format!("Error parsing CSR: {why}")).field("csr")
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let body = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].iter().find_map(|label| {
        let inner = text.strip_prefix(&format!("-----BEGIN {label}-----"))?;
        inner.strip_suffix(&format!("-----END {label}-----"))
    });
    let bare: String = body.unwrap_or(text).chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(bare).ok()
}

/// The subject alternative names that the request asks for.
fn names_of(request: &X509CertificationRequest<'_>) -> Result<Vec<AltName>, ApiError> {
    let mut names = Vec::new();
    for extension in request.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(san) = extension {
            for name in &san.general_names {
                names.push(alt_name(name).ok_or_else(|| unreadable("unsupported subject alternative name"))?);
            }
        }
    }
    Ok(names)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds of names are not issued here")]
fn alt_name(name: &GeneralName<'_>) -> Option<AltName> {
    match name {
        GeneralName::DNSName(text) => Some(AltName::Dns((*text).to_owned())),
        GeneralName::RFC822Name(text) => Some(AltName::Email((*text).to_owned())),
        GeneralName::URI(text) => Some(AltName::Uri((*text).to_owned())),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(AltName::Ip)
        }
        GeneralName::RegisteredID(oid) => Some(AltName::RegisteredId(oid.to_id_string())),
        GeneralName::OtherName(oid, value) if oid.to_id_string() == "1.3.6.1.4.1.311.20.2.3" => {
            let (_, outer) = Any::from_der(value).ok()?;
            let (_, inner) = Any::from_der(outer.data).ok()?;
            Some(AltName::UserPrincipal(String::from_utf8(inner.data.to_vec()).ok()?))
        }
        GeneralName::DirectoryName(name) => {
            let part = |attribute: &AttributeTypeAndValue<'_>| {
                let kind = match attribute.attr_type().to_id_string().as_str() {
                    "2.5.4.3" => "CN".to_owned(),
                    "2.5.4.10" => "O".to_owned(),
                    "2.5.4.11" => "OU".to_owned(),
                    other => other.to_owned(),
                };
                format!("{kind}={}", attribute.as_str().unwrap_or_default())
            };
            let mut parts: Vec<String> = name.iter_attributes().map(part).collect();
            parts.reverse();
            Some(AltName::Directory(parts.join(",")))
        }
        _ => None,
    }
}

fn subject_of(request: &X509CertificationRequest<'_>) -> Subject {
    let attributes = request.certification_request_info.subject.iter_attributes();
    attributes
        .map(|attribute| {
            let key = subject::key_of(&attribute.attr_type().to_id_string());
            (key, attribute.as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

fn key_length(request: &X509CertificationRequest<'_>) -> Option<(usize, bool)> {
    let spki = &request.certification_request_info.subject_pki;
    match spki.parsed().ok()? {
        PublicKey::RSA(rsa) => Some((rsa.key_size(), true)),
        PublicKey::EC(_) => match curve(request)?.as_str() {
            "1.2.840.10045.3.1.7" => Some((256, false)),
            "1.3.132.0.34" => Some((384, false)),
            "1.3.132.0.35" => Some((521, false)),
            _ => None,
        },
        PublicKey::Unknown(_) => ml_dsa(request).map(|(set, _)| (set, false)),
        PublicKey::DSA(_) | PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) => None,
    }
}

/// The parameter set of an ML-DSA key, and what verifies by it.
fn ml_dsa(request: &X509CertificationRequest<'_>) -> Option<(usize, &'static dyn VerificationAlgorithm)> {
    let algorithm = &request.certification_request_info.subject_pki.algorithm;
    // RFC 9881: no parameters.
    match (algorithm.algorithm.to_id_string().as_str(), &algorithm.parameters) {
        ("2.16.840.1.101.3.4.3.17", None) => Some((44, &signature::ML_DSA_44)),
        ("2.16.840.1.101.3.4.3.18", None) => Some((65, &signature::ML_DSA_65)),
        ("2.16.840.1.101.3.4.3.19", None) => Some((87, &signature::ML_DSA_87)),
        _ => None,
    }
}

fn curve(request: &X509CertificationRequest<'_>) -> Option<String> {
    let parameters = request.certification_request_info.subject_pki.algorithm.parameters.as_ref()?;
    Some(parameters.as_oid().ok()?.to_id_string())
}

/// x509-parser judges every signature but those of P-521 and of ML-DSA.
fn verify(request: &X509CertificationRequest<'_>) -> Result<(), &'static str> {
    let refused = "the signature does not match the public key";
    let info = &request.certification_request_info;
    if let Some((_, algorithm)) = ml_dsa(request) {
        if request.signature_algorithm != info.subject_pki.algorithm {
            return Err("the signature is by another algorithm than the key's");
        }
        let key = UnparsedPublicKey::new(algorithm, &info.subject_pki.subject_public_key.data);
        return key.verify(info.raw, &request.signature_value.data).map_err(|_| refused);
    }
    let is_p521 = curve(request).is_some_and(|curve| curve == "1.3.132.0.35");
    if !is_p521 {
        return request.verify_signature().map_err(|_| refused);
    }
    let algorithm: &dyn VerificationAlgorithm = match request.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.10045.4.3.2" => &signature::ECDSA_P521_SHA256_ASN1,
        "1.2.840.10045.4.3.3" => &signature::ECDSA_P521_SHA384_ASN1,
        "1.2.840.10045.4.3.4" => &signature::ECDSA_P521_SHA512_ASN1,
        _ => return Err("unsupported signature algorithm"),
    };
    let key = UnparsedPublicKey::new(algorithm, &info.subject_pki.subject_public_key.data);
    key.verify(info.raw, &request.signature_value.data).map_err(|_| refused)
}
