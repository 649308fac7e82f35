//! PKCS#12 files (RFC 7292): one key, its leaf and the chain above it, for programs that read a key store with a
//! password, Java's above all. Written here: the ciphers, digests and PBKDF2 are the crypto library's; this is their
//! frame in DER and the old key derivation that integrity rests on. Nothing but the caller's buffers holds the key in
//! clear, and they are zeroised.

mod read;

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::{cipher, digest, hmac, iv, pbkdf2, rand};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, Tag};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::digest::sha256;
use super::key::PrivateKey;
use crate::core::name::Digest;
use crate::core::wanted::files::Pkcs12Encryption;

pub use read::{Contents, ReadError, read};

/// What goes into a file.
pub struct KeyStore<'a> {
    /// The friendly name of key and leaf, which Java calls the alias.
    pub name: &'a str,
    /// The private key.
    pub key: &'a PrivateKey,
    /// Its certificate.
    pub leaf: &'a Certificate,
    /// The chain, from the leaf's issuer upward.
    pub chain: &'a [Certificate],
}

/// The crypto library failed. Holds nothing of key or password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the crypto library could not encrypt")]
pub struct NotEncrypted;

impl From<aws_lc_rs::error::Unspecified> for NotEncrypted {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

impl KeyStore<'_> {
    /// The file as DER: encrypted with `password` under fresh salts, so that no two are alike.
    ///
    /// # Errors
    ///
    /// When the crypto library fails.
    pub fn to_der(&self, password: &str, encryption: Pkcs12Encryption) -> Result<Vec<u8>, NotEncrypted> {
        let scheme = Scheme { password, encryption };
        let certificates = scheme.encrypt(&self.certificate_bags())?;
        let key = scheme.encrypt(self.key.pkcs8())?;
        let safes = yasna::construct_der(|writer| {
            writer.write_sequence(|safes| {
                safes.next().write_sequence(|info| write_encrypted_data(info, &certificates));
                safes.next().write_sequence(|info| write_data(info, &self.key_bag(&key)));
            });
        });
        let mac = scheme.mac(&safes)?;
        Ok(yasna::construct_der(|writer| {
            writer.write_sequence(|pfx| {
                pfx.next().write_u8(3);
                pfx.next().write_sequence(|info| write_data(info, &safes));
                pfx.next().write_sequence(|data| mac.write(data));
            });
        }))
    }

    fn certificate_bags(&self) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|bags| {
                for certificate in std::iter::once(self.leaf).chain(self.chain) {
                    bags.next().write_sequence(|bag| {
                        bag.next().write_oid(&oid(CERT_BAG));
                        bag.next().write_tagged(Tag::context(0), |value| {
                            value.write_sequence(|value| {
                                value.next().write_oid(&oid(X509_CERTIFICATE));
                                value.next().write_tagged(Tag::context(0), |der| der.write_bytes(certificate.der()));
                            });
                        });
                        if certificate == self.leaf {
                            self.write_attributes(bag.next());
                        }
                    });
                }
            });
        })
    }

    fn key_bag(&self, key: &Encrypted) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|bags| {
                bags.next().write_sequence(|bag| {
                    bag.next().write_oid(&oid(SHROUDED_KEY_BAG));
                    bag.next().write_tagged(Tag::context(0), |value| {
                        value.write_sequence(|value| {
                            value.next().write_der(&key.algorithm);
                            value.next().write_bytes(&key.bytes);
                        });
                    });
                    self.write_attributes(bag.next());
                });
            });
        })
    }

    /// The name, and the id by which a reader puts key and leaf together.
    fn write_attributes(&self, writer: DERWriter<'_>) {
        let id = self.leaf.fingerprint();
        writer.write_set_of(|attributes| {
            attributes.next().write_sequence(|attribute| {
                attribute.next().write_oid(&oid(FRIENDLY_NAME));
                attribute.next().write_set(|values| values.next().write_bmp_string(self.name));
            });
            attributes.next().write_sequence(|attribute| {
                attribute.next().write_oid(&oid(LOCAL_KEY_ID));
                attribute.next().write_set(|values| values.next().write_bytes(&id.0));
            });
        });
    }
}

/// A mark of a password under a salt, by which a later change of the password is noticed: as slow to guess from as the
/// file itself.
#[must_use]
pub fn password_mark(password: &str, salt: &[u8]) -> Digest {
    let mut mark = Digest([0; 32]);
    // A salt of its own kind: the mark is no key of any file.
    let salt = sha256(&[b"renewd password mark", salt].concat());
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt.0, password.as_bytes(), &mut mark.0);
    mark
}

/// A fresh salt.
///
/// # Errors
///
/// When the system gives no random numbers.
pub fn salt() -> Result<[u8; SALT], NotEncrypted> {
    let mut salt = [0; SALT];
    rand::fill(&mut salt)?;
    Ok(salt)
}

/// Something encrypted: its AlgorithmIdentifier as DER, and the ciphertext.
struct Encrypted {
    algorithm: Vec<u8>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Scheme<'a> {
    password: &'a str,
    encryption: Pkcs12Encryption,
}

impl Scheme<'_> {
    fn encrypt(&self, plain: &[u8]) -> Result<Encrypted, NotEncrypted> {
        match self.encryption {
            Pkcs12Encryption::Aes256 => self.aes(plain),
            Pkcs12Encryption::Legacy3des => self.triple_des(plain),
        }
    }

    /// PBES2 (RFC 8018) with PBKDF2-HMAC-SHA-256 and AES-256-CBC.
    fn aes(&self, plain: &[u8]) -> Result<Encrypted, NotEncrypted> {
        let salt = salt()?;
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, self.password.as_bytes(), &mut *key);
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&cipher::AES_256, &*key)?)?;
        let mut bytes = buffer(plain);
        let context = key.encrypt(&mut *bytes)?;
        let DecryptionContext::Iv128(iv) = context else { return Err(NotEncrypted) };
        let algorithm = algorithm(PBES2, |parameters| {
            parameters.next().write_sequence(|kdf| {
                kdf.next().write_oid(&oid(PBKDF2));
                kdf.next().write_sequence(|kdf| {
                    kdf.next().write_bytes(&salt);
                    kdf.next().write_u32(ITERATIONS.get());
                    kdf.next().write_der(&algorithm_without(HMAC_WITH_SHA256));
                });
            });
            parameters.next().write_sequence(|cipher| {
                cipher.next().write_oid(&oid(AES256_CBC));
                cipher.next().write_bytes(iv.as_ref());
            });
        });
        Ok(Encrypted { algorithm, bytes: std::mem::take(&mut *bytes) })
    }

    /// pbeWithSHAAnd3-KeyTripleDES-CBC, for readers that know nothing newer.
    #[expect(deprecated, reason = "what old readers know is old; it has to be asked for")]
    fn triple_des(&self, plain: &[u8]) -> Result<Encrypted, NotEncrypted> {
        let salt = salt()?;
        let mut key = Zeroizing::new([0; 24]);
        let mut vector = [0; 8];
        let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        derive(hash, Purpose::Encryption, self.password, &salt, ITERATIONS, &mut *key);
        derive(hash, Purpose::Vector, self.password, &salt, ITERATIONS, &mut vector);
        let key = UnboundCipherKey::new(&cipher::DES_EDE3_FOR_LEGACY_USE_ONLY, &*key)?;
        let mut bytes = buffer(plain);
        let context = cipher::EncryptionContext::Iv64(iv::FixedLength::from(&vector));
        drop(PaddedBlockEncryptingKey::cbc_pkcs7(key)?.less_safe_encrypt(&mut *bytes, context)?);
        let algorithm = algorithm(PBE_SHA1_3DES, |parameters| {
            parameters.next().write_bytes(&salt);
            parameters.next().write_u32(ITERATIONS.get());
        });
        Ok(Encrypted { algorithm, bytes: std::mem::take(&mut *bytes) })
    }

    fn mac(&self, content: &[u8]) -> Result<Mac, NotEncrypted> {
        let (algorithm, digest_oid) = match self.encryption {
            Pkcs12Encryption::Aes256 => (hmac::HMAC_SHA256, SHA256),
            Pkcs12Encryption::Legacy3des => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SHA1),
        };
        let hash = algorithm.digest_algorithm();
        let salt = salt()?;
        let mut key = Zeroizing::new(vec![0; hash.output_len()]);
        derive(hash, Purpose::Integrity, self.password, &salt, ITERATIONS, &mut key);
        let tag = hmac::sign(&hmac::Key::new(algorithm, &key), content);
        Ok(Mac { digest_oid, tag, salt })
    }
}

/// What proves that the file is whole.
struct Mac {
    digest_oid: &'static [u64],
    tag: hmac::Tag,
    salt: [u8; SALT],
}

impl Mac {
    fn write(&self, data: &mut DERWriterSeq<'_>) {
        data.next().write_sequence(|info| {
            info.next().write_der(&algorithm_without(self.digest_oid));
            info.next().write_bytes(self.tag.as_ref());
        });
        data.next().write_bytes(&self.salt);
        data.next().write_u32(ITERATIONS.get());
    }
}

/// What a key is derived for (RFC 7292 appendix B.3).
#[derive(Clone, Copy)]
enum Purpose {
    Encryption = 1,
    Vector = 2,
    Integrity = 3,
}

/// The key derivation of PKCS#12 (RFC 7292 appendix B.2), for digests with blocks of 64 bytes.
fn derive(
    hash: &'static digest::Algorithm,
    purpose: Purpose,
    password: &str,
    salt: &[u8],
    iterations: NonZeroU32,
    key: &mut [u8],
) {
    let mut password: Zeroizing<Vec<u8>> = Zeroizing::new(password.encode_utf16().flat_map(u16::to_be_bytes).collect());
    password.extend([0, 0]);
    let filled = |bytes: &[u8]| {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>()
    };
    let diversifier = [purpose as u8; BLOCK];
    let mut input = Zeroizing::new(filled(salt));
    input.extend_from_slice(&Zeroizing::new(filled(&password)));
    for part in key.chunks_mut(hash.output_len()) {
        let mut round = digest::Context::new(hash);
        round.update(&diversifier);
        round.update(&input);
        let mut hashed = round.finish();
        for _ in 1..iterations.get() {
            hashed = digest::digest(hash, hashed.as_ref());
        }
        part.iter_mut().zip(hashed.as_ref()).for_each(|(key, byte)| *key = *byte);
        let addend: Vec<u8> = hashed.as_ref().iter().copied().cycle().take(BLOCK).collect();
        input.chunks_mut(BLOCK).for_each(|block| add_and_one(block, &addend));
    }
}

/// Adds `addend` and one to `block`, as numbers of its length.
fn add_and_one(block: &mut [u8], addend: &[u8]) {
    let mut carry = 1;
    for (byte, other) in block.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*other) + carry;
        let [high, low] = sum.to_be_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

/// A copy with room for the padding, so that it does not move.
fn buffer(plain: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(plain.len() + BLOCK));
    bytes.extend_from_slice(plain);
    bytes
}

fn write_data(info: &mut DERWriterSeq<'_>, content: &[u8]) {
    info.next().write_oid(&oid(DATA));
    info.next().write_tagged(Tag::context(0), |data| data.write_bytes(content));
}

fn write_encrypted_data(info: &mut DERWriterSeq<'_>, content: &Encrypted) {
    info.next().write_oid(&oid(ENCRYPTED_DATA));
    info.next().write_tagged(Tag::context(0), |data| {
        data.write_sequence(|data| {
            data.next().write_u8(0);
            data.next().write_sequence(|info| {
                info.next().write_oid(&oid(DATA));
                info.next().write_der(&content.algorithm);
                info.next().write_tagged_implicit(Tag::context(0), |bytes| bytes.write_bytes(&content.bytes));
            });
        });
    });
}

/// An AlgorithmIdentifier whose parameters are a sequence.
fn algorithm(id: &[u64], parameters: impl FnOnce(&mut DERWriterSeq<'_>)) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|algorithm| {
            algorithm.next().write_oid(&oid(id));
            algorithm.next().write_sequence(parameters);
        });
    })
}

/// An AlgorithmIdentifier whose parameters are NULL.
fn algorithm_without(id: &[u64]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|algorithm| {
            algorithm.next().write_oid(&oid(id));
            algorithm.next().write_null();
        });
    })
}

fn oid(arcs: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(arcs)
}

/// As many as Java takes for its own key stores: the readers pay for them at each start.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(10_000).expect("it is not zero");
const SALT: usize = 16;
/// The input block of SHA-1 and of SHA-256.
const BLOCK: usize = 64;

const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const ENCRYPTED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 6];
const FRIENDLY_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 20];
const LOCAL_KEY_ID: &[u64] = &[1, 2, 840, 113_549, 1, 9, 21];
const X509_CERTIFICATE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
const SHROUDED_KEY_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 2];
const CERT_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
const PBE_SHA1_3DES: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 3];
const PBKDF2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 12];
const PBES2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 13];
const HMAC_WITH_SHA256: &[u64] = &[1, 2, 840, 113_549, 2, 9];
const AES256_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 42];
const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const SHA1: &[u64] = &[1, 3, 14, 3, 2, 26];

#[cfg(test)]
mod tests;
