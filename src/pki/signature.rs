//! Whether one certificate's key signed another, or a revocation list. Judges the signature alone, never who may sign.

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;
use x509_parser::certificate::X509Certificate;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::spki;

/// What can be said of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is the issuer's.
    Valid,
    /// It is not.
    Invalid,
    /// Its algorithm, which is named, is not among those that can be judged.
    Unjudged(String),
}

/// Something that was signed, in its parts.
pub(super) struct Signed<'s> {
    /// The algorithm that stands beside the signature.
    pub(super) algorithm: &'s AlgorithmIdentifier<'s>,
    /// The signed part.
    pub(super) content: &'s [u8],
    /// The signature.
    pub(super) signature: &'s [u8],
}

/// Judges the signature on `certificate` by the key of its issuer.
pub(super) fn judge(certificate: &X509Certificate<'_>, issuer: &SubjectPublicKeyInfo<'_>) -> Judgement {
    let algorithm = &certificate.signature_algorithm;
    if *algorithm != certificate.tbs_certificate.signature {
        return Judgement::Invalid;
    }
    let (content, signature) = (certificate.tbs_certificate.as_ref(), certificate.signature_value.data.as_ref());
    judge_signed(&Signed { algorithm, content, signature }, issuer)
}

/// Judges the signature on anything by the key of who should have signed it.
pub(super) fn judge_signed(signed: &Signed<'_>, key: &SubjectPublicKeyInfo<'_>) -> Judgement {
    let unjudged = || Judgement::Unjudged(named(signed.algorithm));
    let (Some(signature_id), Some(key_id)) = (spki::algorithm(signed.algorithm), spki::algorithm(&key.algorithm))
    else {
        return unjudged();
    };
    let by_signature = |algorithm: &Algorithm| algorithm.signature_alg_id().as_ref() == signature_id;
    let by_key = |algorithm: &Algorithm| algorithm.public_key_alg_id().as_ref() == key_id;
    let known = |fits: &dyn Fn(&Algorithm) -> bool| ALGORITHMS.iter().any(fits);
    if !known(&by_signature) || !known(&by_key) || !is_size_judged(key) {
        return unjudged();
    }
    let Some(algorithm) = ALGORITHMS.iter().find(|algorithm| by_signature(algorithm) && by_key(algorithm)) else {
        return Judgement::Invalid;
    };
    let verified = algorithm.verify_signature(&key.subject_public_key.data, signed.content, signed.signature).is_ok();
    if verified { Judgement::Valid } else { Judgement::Invalid }
}

/// aws-lc-rs takes RSA keys of these sizes, with exponents of 33 bits at most, and points that are written as such: a
/// signature by another is no forgery.
fn is_size_judged(key: &SubjectPublicKeyInfo<'_>) -> bool {
    match spki::rsa_bits(key) {
        Some(bits) => {
            let exponent = spki::rsa_exponent(key).unwrap_or_default();
            (2048..=8192).contains(&bits) && exponent.len() <= 5 && (exponent.len() < 5 || exponent.first() <= Some(&1))
        }
        None => !matches!(key.subject_public_key.data.first(), Some(6 | 7)) || !is_ec(key),
    }
}

fn is_ec(key: &SubjectPublicKeyInfo<'_>) -> bool {
    key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
}

fn named(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let oid = &algorithm.algorithm;
    oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned)
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Every algorithm that can be judged.
pub(super) const ALGORITHMS: &[Algorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::ML_DSA_44,
    algorithms::ML_DSA_65,
    algorithms::ML_DSA_87,
];
