//! Public keys: their digest, their key type, and algorithm identifiers as DER to compare by.

use rustls_pki_types::alg_id;
use x509_parser::asn1_rs::ToDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::der::magnitude;
use super::digest::sha256;
use crate::core::name::Digest;
use crate::core::wanted::key::KeyType;

/// SHA-256 of the SPKI's DER.
pub(super) fn digest(key: &SubjectPublicKeyInfo<'_>) -> Digest {
    sha256(key.raw)
}

/// The key type; `None`: one that renewd does not make.
pub(super) fn key_type(key: &SubjectPublicKeyInfo<'_>) -> Option<KeyType> {
    match algorithm(&key.algorithm)?.as_slice() {
        id if id == alg_id::ECDSA_P256.as_ref() => Some(KeyType::EcdsaP256),
        id if id == alg_id::ECDSA_P384.as_ref() => Some(KeyType::EcdsaP384),
        id if id == alg_id::ECDSA_P521.as_ref() => Some(KeyType::EcdsaP521),
        id if id == alg_id::ML_DSA_44.as_ref() => Some(KeyType::MlDsa44),
        id if id == alg_id::ML_DSA_65.as_ref() => Some(KeyType::MlDsa65),
        id if id == alg_id::ML_DSA_87.as_ref() => Some(KeyType::MlDsa87),
        _ => KeyType::of_size(rsa_bits(key)?),
    }
}

/// The size of the modulus; `None`: not an RSA key.
pub(super) fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<u32> {
    let PublicKey::RSA(rsa) = key.parsed().ok()? else { return None };
    let leading = rsa.modulus.iter().position(|byte| *byte != 0)?;
    let magnitude = rsa.modulus.get(leading..)?;
    let bits = u32::try_from(magnitude.len()).ok()?.checked_mul(8)?;
    bits.checked_sub(magnitude.first()?.leading_zeros())
}

/// The public exponent without the zeros before it; `None`: not an RSA key.
pub(super) fn rsa_exponent<'k>(key: &'k SubjectPublicKeyInfo<'_>) -> Option<&'k [u8]> {
    let PublicKey::RSA(rsa) = key.parsed().ok()? else { return None };
    Some(magnitude(rsa.exponent))
}

/// The content of an AlgorithmIdentifier (without its outer SEQUENCE), as `rustls_pki_types` spells it.
pub(super) fn algorithm(id: &AlgorithmIdentifier<'_>) -> Option<Vec<u8>> {
    let mut der = id.algorithm.to_der_vec().ok()?;
    if let Some(parameters) = &id.parameters {
        der.extend(parameters.to_der_vec().ok()?);
    }
    Some(der)
}
