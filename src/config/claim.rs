//! What only one entry of the inventory may have: its name, and the paths that it writes.

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::core::name::CertName;

/// Something that only one entry may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Claim {
    /// A name.
    Name(CertName),
    /// The path of a fixed file.
    Target(PathBuf),
}

/// A claim, and where a file makes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claimed {
    /// What is claimed.
    pub(super) claim: Claim,
    /// The line, from 1.
    pub(super) line: u32,
    /// The bytes of the text, as long as there is one.
    #[serde(skip)]
    pub(super) span: Range<u32>,
}
