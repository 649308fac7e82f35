//! The manifest of a generation: what the set is, and how its files looked when they were written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::entry::Asked;
use crate::core::name::{Attempt, Digest, ProfileId};

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
    /// The name of the file.
    pub const NAME: &'static str = "manifest.json";
}
