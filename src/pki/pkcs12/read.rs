//! The certificates of a PKCS#12 file that others made. The private key in it is not decrypted: what is wanted is what
//! the file is for, not what it hides.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::{cipher, digest, hmac, iv, pbkdf2};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag};
use zeroize::Zeroizing;

use super::{
    AES256_CBC, CERT_BAG, DATA, ENCRYPTED_DATA, HMAC_WITH_SHA256, PBE_SHA1_3DES, PBES2, PBKDF2, Purpose, SHA1, SHA256,
    SHROUDED_KEY_BAG, X509_CERTIFICATE, derive, oid,
};
use crate::core::wanted::files::Pkcs12Encryption;
use crate::pki::certificate::{Certificate, CertificateError};

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The certificates, in the order of the file.
    pub certificates: Vec<Certificate>,
    /// Whether there is a private key beside them.
    pub has_key: bool,
    /// How the certificates were encrypted, of what renewd writes: 3DES, or something newer.
    pub encryption: Pkcs12Encryption,
}

/// A file cannot be read. Holds nothing of the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another kind of file, or a damaged one.
    #[error("it is not a PKCS#12 file, or a damaged one")]
    NotPkcs12,
    /// What the password opens is not what was closed.
    #[error("the password does not open it")]
    Password,
    /// A cipher that nobody should use any more, or one that came later.
    #[error(
        "it is encrypted in a way that renewd does not read ({0}); rewrite it: openssl pkcs12 -legacy -in OLD -nodes | openssl pkcs12 -export -out NEW"
    )]
    Cipher(String),
    /// A certificate in it is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Reads the certificates of a file.
///
/// # Errors
///
/// When it is no PKCS#12 file, the password is another one, or its cipher is not known here.
pub fn read(file: &[u8], password: &str) -> Result<Contents, ReadError> {
    let frame = Frame::of(file).map_err(|_| ReadError::NotPkcs12)?;
    if let Some(mac) = &frame.mac {
        mac.check(&frame.safes, password)?;
    }
    let mut contents = Contents { certificates: Vec::new(), has_key: false, encryption: Pkcs12Encryption::default() };
    for safe in sequence(&frame.safes, safe).map_err(|_| ReadError::NotPkcs12)? {
        let bags = match safe {
            Safe::Open(bags) => bags,
            Safe::Closed(algorithm, bytes) => {
                if algorithm.is(PBE_SHA1_3DES) {
                    contents.encryption = Pkcs12Encryption::Legacy3des;
                }
                algorithm.decrypt(&bytes, password)?
            }
            Safe::Unknown => continue,
        };
        // What does not parse was not opened by the right password.
        for bag in sequence(&bags, bag).map_err(|_| ReadError::Password)? {
            match bag {
                Bag::Certificate(der) => contents.certificates.push(Certificate::from_der(&der)?),
                Bag::Key => contents.has_key = true,
                Bag::Other => {}
            }
        }
    }
    Ok(contents)
}

/// The outermost structure.
struct Frame {
    safes: Vec<u8>,
    mac: Option<Mac>,
}

impl Frame {
    fn of(file: &[u8]) -> ASN1Result<Self> {
        yasna::parse_ber(file, |reader| {
            reader.read_sequence(|pfx| {
                pfx.next().read_u8()?;
                let safes = pfx.next().read_sequence(|info| {
                    info.next().read_oid()?;
                    info.next().read_tagged(Tag::context(0), octets)
                })?;
                let mac = pfx.read_optional(|data| data.read_sequence(Mac::read))?;
                Ok(Self { safes, mac })
            })
        })
    }
}

struct Mac {
    digest: ObjectIdentifier,
    tag: Vec<u8>,
    salt: Vec<u8>,
    iterations: u32,
}

impl Mac {
    fn read(data: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Self> {
        let (digest, tag) = data.next().read_sequence(|info| {
            let digest = info.next().read_sequence(|algorithm| {
                let digest = algorithm.next().read_oid()?;
                algorithm.read_optional(any)?;
                Ok(digest)
            })?;
            Ok((digest, info.next().read_bytes()?))
        })?;
        let salt = data.next().read_bytes()?;
        let iterations = data.read_optional(number)?.unwrap_or(1);
        Ok(Self { digest, tag, salt, iterations })
    }

    /// Checks the password, where the digest is one of those that nearly all files have.
    fn check(&self, content: &[u8], password: &str) -> Result<(), ReadError> {
        let algorithm = match &self.digest {
            sha1 if *sha1 == oid(SHA1) => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            sha256 if *sha256 == oid(SHA256) => hmac::HMAC_SHA256,
            _ => return Ok(()),
        };
        let hash = algorithm.digest_algorithm();
        let mut key = Zeroizing::new(vec![0; hash.output_len()]);
        derive(hash, Purpose::Integrity, password, &self.salt, iterations(self.iterations)?, &mut key);
        hmac::verify(&hmac::Key::new(algorithm, &key), content, &self.tag).map_err(|_| ReadError::Password)
    }
}

/// One content of the frame.
enum Safe {
    Open(Vec<u8>),
    Closed(Algorithm, Vec<u8>),
    Unknown,
}

fn safe(reader: BERReader<'_, '_>) -> ASN1Result<Safe> {
    reader.read_sequence(|info| {
        let kind = info.next().read_oid()?;
        if kind == oid(DATA) {
            return info.next().read_tagged(Tag::context(0), octets).map(Safe::Open);
        }
        if kind != oid(ENCRYPTED_DATA) {
            info.next().read_der()?;
            return Ok(Safe::Unknown);
        }
        info.next().read_tagged(Tag::context(0), |data| {
            data.read_sequence(|data| {
                data.next().read_u8()?;
                data.next().read_sequence(|content| {
                    content.next().read_oid()?;
                    let algorithm = content.next().read_sequence(Algorithm::read)?;
                    let bytes = content.next().read_tagged_implicit(Tag::context(0), octets)?;
                    Ok(Safe::Closed(algorithm, bytes))
                })
            })
        })
    })
}

enum Bag {
    Certificate(Vec<u8>),
    Key,
    Other,
}

fn bag(reader: BERReader<'_, '_>) -> ASN1Result<Bag> {
    reader.read_sequence(|bag| {
        let kind = bag.next().read_oid()?;
        let read = if kind == oid(CERT_BAG) {
            bag.next().read_tagged(Tag::context(0), |value| {
                value.read_sequence(|value| {
                    let kind = value.next().read_oid()?;
                    let der = value.next().read_tagged(Tag::context(0), octets)?;
                    Ok(if kind == oid(X509_CERTIFICATE) { Bag::Certificate(der) } else { Bag::Other })
                })
            })?
        } else {
            bag.next().read_der()?;
            if kind == oid(SHROUDED_KEY_BAG) || kind == oid(KEY_BAG) { Bag::Key } else { Bag::Other }
        };
        bag.read_optional(any)?;
        Ok(read)
    })
}

fn sequence<T>(bytes: &[u8], item: fn(BERReader<'_, '_>) -> ASN1Result<T>) -> ASN1Result<Vec<T>> {
    yasna::parse_ber(bytes, |reader| {
        let mut items = Vec::new();
        reader.read_sequence_of(|reader| {
            items.push(item(reader)?);
            Ok(())
        })?;
        Ok(items)
    })
}

/// An AlgorithmIdentifier.
struct Algorithm {
    id: ObjectIdentifier,
    parameters: Vec<u8>,
}

impl Algorithm {
    fn read(reader: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Self> {
        let id = reader.next().read_oid()?;
        let parameters = reader.read_optional(any)?.unwrap_or_default();
        Ok(Self { id, parameters })
    }

    fn is(&self, id: &[u64]) -> bool {
        self.id == oid(id)
    }

    fn unknown(&self) -> ReadError {
        let name = if self.is(PBE_SHA1_RC2_40) { "40 bits of RC2".to_owned() } else { self.id.to_string() };
        ReadError::Cipher(name)
    }

    fn decrypt(&self, bytes: &[u8], password: &str) -> Result<Vec<u8>, ReadError> {
        if self.is(PBES2) {
            return self.pbes2(bytes, password);
        }
        if self.is(PBE_SHA1_3DES) {
            return self.triple_des(bytes, password);
        }
        Err(self.unknown())
    }

    fn pbes2(&self, bytes: &[u8], password: &str) -> Result<Vec<u8>, ReadError> {
        let two = yasna::parse_ber(&self.parameters, |reader| {
            reader.read_sequence(|both| {
                Ok((both.next().read_sequence(Self::read)?, both.next().read_sequence(Self::read)?))
            })
        });
        let (derivation, encryption) = two.map_err(|_| ReadError::NotPkcs12)?;
        let (algorithm, length) = match &encryption.id {
            aes if *aes == oid(AES128_CBC) => (&cipher::AES_128, 16),
            aes if *aes == oid(AES192_CBC) => (&cipher::AES_192, 24),
            aes if *aes == oid(AES256_CBC) => (&cipher::AES_256, 32),
            _ => return Err(encryption.unknown()),
        };
        let vector = yasna::parse_ber(&encryption.parameters, octets).ok();
        let vector: [u8; 16] = vector.and_then(|bytes| bytes.try_into().ok()).ok_or(ReadError::NotPkcs12)?;
        let mut key = Zeroizing::new(vec![0; length]);
        derivation.pbkdf2(password, &mut key)?;
        opened(algorithm, &key, DecryptionContext::Iv128(iv::FixedLength::from(&vector)), bytes)
    }

    fn pbkdf2(&self, password: &str, key: &mut [u8]) -> Result<(), ReadError> {
        if !self.is(PBKDF2) {
            return Err(self.unknown());
        }
        let parameters = yasna::parse_ber(&self.parameters, |reader| {
            reader.read_sequence(|kdf| {
                let (salt, rounds) = (kdf.next().read_bytes()?, kdf.next().read_u32()?);
                kdf.read_optional(number)?;
                let hash = kdf.read_optional(|hash| hash.read_sequence(Self::read))?;
                Ok((salt, rounds, hash))
            })
        });
        let (salt, rounds, hash) = parameters.map_err(|_| ReadError::NotPkcs12)?;
        let hash = match hash {
            None => pbkdf2::PBKDF2_HMAC_SHA1,
            Some(sha1) if sha1.is(HMAC_WITH_SHA1) => pbkdf2::PBKDF2_HMAC_SHA1,
            Some(sha256) if sha256.is(HMAC_WITH_SHA256) => pbkdf2::PBKDF2_HMAC_SHA256,
            Some(sha384) if sha384.is(HMAC_WITH_SHA384) => pbkdf2::PBKDF2_HMAC_SHA384,
            Some(sha512) if sha512.is(HMAC_WITH_SHA512) => pbkdf2::PBKDF2_HMAC_SHA512,
            Some(other) => return Err(other.unknown()),
        };
        pbkdf2::derive(hash, iterations(rounds)?, &salt, password.as_bytes(), key);
        Ok(())
    }

    #[expect(deprecated, reason = "old files are old")]
    fn triple_des(&self, bytes: &[u8], password: &str) -> Result<Vec<u8>, ReadError> {
        let parameters = yasna::parse_ber(&self.parameters, |reader| {
            reader.read_sequence(|pbe| Ok((pbe.next().read_bytes()?, pbe.next().read_u32()?)))
        });
        let (salt, rounds) = parameters.map_err(|_| ReadError::NotPkcs12)?;
        let rounds = iterations(rounds)?;
        let mut key = Zeroizing::new([0; 24]);
        let mut vector = [0; 8];
        let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        derive(hash, Purpose::Encryption, password, &salt, rounds, &mut *key);
        derive(hash, Purpose::Vector, password, &salt, rounds, &mut vector);
        let context = DecryptionContext::Iv64(iv::FixedLength::from(&vector));
        opened(&cipher::DES_EDE3_FOR_LEGACY_USE_ONLY, &*key, context, bytes)
    }
}

fn opened(
    algorithm: &'static cipher::Algorithm,
    key: &[u8],
    context: DecryptionContext,
    bytes: &[u8],
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = bytes.to_vec();
    let key = UnboundCipherKey::new(algorithm, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
    let plain = key.and_then(|key| key.decrypt(&mut bytes, context).map(|plain| plain.to_vec()));
    plain.map_err(|_| ReadError::Password)
}

fn octets(reader: BERReader<'_, '_>) -> ASN1Result<Vec<u8>> {
    reader.read_bytes()
}

fn any(reader: BERReader<'_, '_>) -> ASN1Result<Vec<u8>> {
    reader.read_der()
}

fn number(reader: BERReader<'_, '_>) -> ASN1Result<u32> {
    reader.read_u32()
}

/// As many rounds as a file may cost its reader.
fn iterations(rounds: u32) -> Result<NonZeroU32, ReadError> {
    NonZeroU32::new(rounds).filter(|rounds| rounds.get() <= MOST_ROUNDS).ok_or(ReadError::NotPkcs12)
}

const MOST_ROUNDS: u32 = 2_000_000;
const KEY_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 1];
const PBE_SHA1_RC2_40: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 6];
const HMAC_WITH_SHA1: &[u64] = &[1, 2, 840, 113_549, 2, 7];
const HMAC_WITH_SHA384: &[u64] = &[1, 2, 840, 113_549, 2, 10];
const HMAC_WITH_SHA512: &[u64] = &[1, 2, 840, 113_549, 2, 11];
const AES128_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 2];
const AES192_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 22];
