//! What only one entry of the inventory may have: its name, and the paths that it writes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::problem::Place;
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claimed {
    /// What is claimed.
    pub(super) claim: Claim,
    /// Where.
    pub(super) place: Place,
}
