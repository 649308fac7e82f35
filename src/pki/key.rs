//! Private keys: made, read, written. Key material is zeroised when dropped and shown by nothing.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm,
};
use rcgen::{KeyPair, PublicKeyData as _, RsaKeySize, SignatureAlgorithm, SigningKey as _};
use rustls_pki_types::{AlgorithmIdentifier, PrivatePkcs8KeyDer, alg_id};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::digest::sha256;
use super::key_file::KeyFile;
use super::key_kind::KeyKind;
use super::pem::{self, PemError};
use super::spki;
use crate::core::name::Digest;
use crate::core::wanted::key::KeyType;

/// A private key, held as PKCS#8 beside its public key (SPKI). It has no Debug, so that nothing that holds it has one.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

/// A private key cannot be made or read. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The crypto library failed.
    #[error("the private key could not be made")]
    NotMade,
    /// The crypto library failed.
    #[error("the private key could not sign")]
    NotSigned,
    /// Not text, or no key in it.
    #[error("there is no private key in it")]
    NoKey,
    /// A password is needed.
    #[error("the private key is encrypted; decrypt it, renewd has no password for it")]
    Encrypted,
    /// Broken armour or base64.
    #[error("the private key is damaged")]
    Pem(#[from] PemError),
    /// Called a key, and none.
    #[error("the private key is damaged")]
    Damaged,
    /// Its public part is not that of its private part, or the numbers of an RSA key are no such.
    #[error("the parts of the private key contradict each other")]
    Contradictory,
    /// A key of a kind that can be used, and an odd one.
    #[error("it holds {0} {1}, which renewd cannot use")]
    Odd(KeyKind, &'static str),
    /// A key, and of a kind that cannot be used.
    #[error(
        "it holds {0}; renewd uses RSA keys of 2048 to 8192 bits, and ECDSA keys on P-256, P-384 and P-521, and ML-DSA keys"
    )]
    Kind(KeyKind),
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// When the crypto library fails.
    pub fn generate(kind: KeyType) -> Result<Self, KeyError> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let made = match kind {
            KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::EcdsaP521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyType::MlDsa44 => KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44),
            KeyType::MlDsa65 => KeyPair::generate_for(&rcgen::PKCS_ML_DSA_65),
            KeyType::MlDsa87 => KeyPair::generate_for(&rcgen::PKCS_ML_DSA_87),
        };
        let pair = Zeroizing::new(made.map_err(|_| KeyError::NotMade)?);
        Ok(Self::of_pair(&pair))
    }

    /// Reads the private key of a PEM file, the first where there are several, as TLS servers do: PKCS#8, PKCS#1 or
    /// SEC1. Other blocks, such as certificates, are passed over.
    ///
    /// # Errors
    ///
    /// When there is no key, or an encrypted one, or one that cannot be used.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        KeyFile::read(text)?.into_own()
    }

    /// The key in PKCS#8, if it is one that can be used.
    pub(super) fn of_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = KeyPair::try_from(&PrivatePkcs8KeyDer::from(der)) {
            return Some(Self::of_pair(&Zeroizing::new(pair)));
        }
        // rcgen makes ML-DSA keys and reads none.
        ML_DSA.iter().find_map(|(algorithm, signing, _)| {
            let pair = PqdsaKeyPair::from_pkcs8(signing, der).ok()?;
            let public = pair.public_key().as_der().ok()?.as_ref().to_vec();
            Some(Self { pkcs8: Zeroizing::new(der.to_vec()), public, algorithm })
        })
    }

    /// The RSA key in PKCS#1.
    pub(super) fn of_pkcs1(der: &[u8]) -> Option<Self> {
        let pkcs8 = rsa::KeyPair::from_der(der).ok()?.as_der().ok()?;
        Self::of_pkcs8(pkcs8.as_ref())
    }

    /// The ECDSA key in SEC1.
    pub(super) fn of_sec1(der: &[u8]) -> Option<Self> {
        let curves =
            [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
        let pair = curves.into_iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())?;
        Self::of_pkcs8(pair.to_pkcs8v1().ok()?.as_ref())
    }

    /// The key as PEM: PKCS#8, with `\n` at the end of each line.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::armour("PRIVATE KEY", &self.pkcs8)
    }

    /// SHA-256 of the public key's DER (SPKI).
    #[must_use]
    pub fn spki(&self) -> Digest {
        sha256(&self.public)
    }

    /// The key type; `None`: one that renewd does not make.
    #[must_use]
    pub fn key_type(&self) -> Option<KeyType> {
        SubjectPublicKeyInfo::from_der(&self.public).ok().and_then(|(_, key)| spki::key_type(&key))
    }

    /// The public key's DER (SPKI).
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The key as PKCS#8, in clear.
    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Signs `message`; gives the algorithm and the signature.
    pub(super) fn sign(&self, message: &[u8]) -> Result<(AlgorithmIdentifier, Vec<u8>), KeyError> {
        if let Some((_, signing, id)) = ML_DSA.iter().find(|(known, ..)| *known == self.algorithm) {
            let pair = PqdsaKeyPair::from_pkcs8(signing, &self.pkcs8).map_err(|_| KeyError::NotSigned)?;
            let mut signature = vec![0; signing.signature_len()];
            pair.sign(message, &mut signature).map_err(|_| KeyError::NotSigned)?;
            return Ok((*id, signature));
        }
        let der = PrivatePkcs8KeyDer::from(self.pkcs8.as_slice());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, self.algorithm).map_err(|_| KeyError::NotSigned)?;
        let pair = Zeroizing::new(pair);
        let algorithms = [
            (&rcgen::PKCS_RSA_SHA256, alg_id::RSA_PKCS1_SHA256),
            (&rcgen::PKCS_ECDSA_P256_SHA256, alg_id::ECDSA_SHA256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, alg_id::ECDSA_SHA384),
            (&rcgen::PKCS_ECDSA_P521_SHA512, alg_id::ECDSA_SHA512),
            (&rcgen::PKCS_ED25519, alg_id::ED25519),
        ];
        let used = algorithms.into_iter().find(|(known, _)| *known == self.algorithm);
        let (_, id) = used.ok_or(KeyError::NotSigned)?;
        Ok((id, pair.sign(message).map_err(|_| KeyError::NotSigned)?))
    }

    fn of_pair(pair: &KeyPair) -> Self {
        Self {
            pkcs8: Zeroizing::new(pair.serialized_der().to_vec()),
            public: pair.subject_public_key_info(),
            algorithm: pair.algorithm(),
        }
    }
}

/// The parameter sets of ML-DSA, as rcgen, aws-lc-rs and a certificate name them.
static ML_DSA: [(&SignatureAlgorithm, &PqdsaSigningAlgorithm, AlgorithmIdentifier); 3] = [
    (&rcgen::PKCS_ML_DSA_44, &ML_DSA_44_SIGNING, alg_id::ML_DSA_44),
    (&rcgen::PKCS_ML_DSA_65, &ML_DSA_65_SIGNING, alg_id::ML_DSA_65),
    (&rcgen::PKCS_ML_DSA_87, &ML_DSA_87_SIGNING, alg_id::ML_DSA_87),
];

#[cfg(test)]
mod tests;
