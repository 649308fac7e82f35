//! What only one entry of the inventory may have: its name, and the paths that it writes.

use std::path::PathBuf;

use crate::core::entry::Entry;
use crate::core::name::CertName;

/// Something that only one entry may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// A name.
    Name(CertName),
    /// The path of a fixed file.
    Target(PathBuf),
}

/// What an entry has for itself alone.
pub(super) fn claims(entry: &Entry) -> impl Iterator<Item = Claim> {
    let targets = entry.files.targets().map(|(_, path)| Claim::Target(path.clone()));
    std::iter::once(Claim::Name(entry.name.clone())).chain(targets)
}
