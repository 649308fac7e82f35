//! The manifest of a generation: what the set is, and how its files looked when they were written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::known::issuer::ServedChain;
use crate::core::known::replaced::Replaced;
use crate::core::name::{Attempt, Digest, Generation, ProfileId};
use crate::core::remark::RareRemarks;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::{Asked, Entry};
use crate::core::wanted::files::Pkcs12Encryption;
use crate::pki::certificate::{Certificate, certificates};

use super::content::KEYSTORE;
use super::disk::Perms;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The request that brought the set.
    pub attempt: Attempt,
    /// What the entry asked for.
    pub asked: Asked,
    /// The profile that issued it.
    pub profile: ProfileId,
    /// SHA-256 of the public key.
    pub spki: Digest,
    /// SHA-256 of the leaf.
    pub fingerprint: Digest,
    /// The files, by name.
    pub files: BTreeMap<String, FileRecord>,
    /// The root as PEM, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Whether the root stands at the end of each chain.
    #[serde(default)]
    pub has_root: bool,
    /// How the PKCS#12 file was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_store: Option<KeyStoreRecord>,
    /// How those for other passwords were made, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_key_stores: BTreeMap<String, KeyStoreRecord>,
    /// What is served above the leaf; `None` where an older version wrote the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedChain>,
    /// The generation of the same leaf and key that this one only gave another chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshes: Option<Generation>,
    /// When the first certificate with this key began, where that is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_since: Option<Timestamp>,
    /// What was live before, where the entry wanted that revoked in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<Replaced>>,
    /// What was worth knowing when it was installed.
    #[serde(default, skip_serializing_if = "RareRemarks::is_plain")]
    pub remarks: RareRemarks,
}

/// How a PKCS#12 file was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStoreRecord {
    /// How it is encrypted.
    pub encryption: Pkcs12Encryption,
    /// The salt of the mark.
    pub salt: [u8; 16],
    /// What the password is known by.
    pub mark: Digest,
}

/// A file of the generation, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// Its ctime in nanoseconds: while it and the size stay, the content needs no reading.
    pub ctime: i64,
}

impl Manifest {
    /// How the PKCS#12 file of this name was made.
    #[must_use]
    pub fn key_store(&self, name: &str) -> Option<KeyStoreRecord> {
        if name == KEYSTORE { self.key_store } else { self.other_key_stores.get(name).copied() }
    }

    /// Notes how a PKCS#12 file was made.
    pub fn note_key_store(&mut self, name: &str, record: KeyStoreRecord) {
        if name == KEYSTORE {
            self.key_store = Some(record);
        } else {
            self.other_key_stores.insert(name.to_owned(), record);
        }
    }

    /// The name of the file.
    pub const NAME: &'static str = "manifest.json";

    /// For the service alone: it holds the mark of a password.
    pub const PERMS: Perms = Perms::PRIVATE;

    /// The root, where it is known.
    #[must_use]
    pub fn root(&self) -> Option<Certificate> {
        certificates(self.root.as_deref()?).ok()?.into_iter().next()
    }

    /// Whether the entry wants the root in the chains, or out of them, and it is known.
    #[must_use]
    pub fn is_root_misplaced(&self, entry: &Entry) -> bool {
        self.root.is_some() && self.has_root != entry.include_root
    }
}
