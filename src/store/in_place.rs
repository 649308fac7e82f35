//! The files of a set that was at an entry's paths before renewd came, by which of them servers read together. Reads
//! nothing.

use std::path::Path;

use crate::core::entry::FixedFiles;

/// The files of an adopted set.
pub(super) struct InPlace<'e> {
    /// Where its leaf comes first.
    pub(super) certificate: &'e Path,
    /// Where its key is.
    pub(super) key: &'e Path,
    files: &'e FixedFiles,
}

impl<'e> InPlace<'e> {
    /// Those that `files` name; `None`: no set can be there.
    pub(super) fn of(files: &'e FixedFiles) -> Option<Self> {
        let certificate = files.fullchain.as_ref().or(files.certificate.as_ref()).or(files.bundle.as_ref())?;
        let key = files.private_key.as_ref().or(files.bundle.as_ref())?;
        Some(Self { certificate, key, files })
    }

    /// The files in which a chain may stand. Those that a server reads together are together.
    pub(super) fn chains(&self) -> impl Iterator<Item = Vec<&'e Path>> + use<'e> {
        let FixedFiles { fullchain, certificate, chain, bundle, .. } = self.files;
        let together = [vec![fullchain], vec![certificate, chain], vec![bundle]];
        let named = |files: Vec<&'e Option<_>>| files.into_iter().flatten().map(std::path::PathBuf::as_path).collect();
        together.into_iter().map(named).filter(|files: &Vec<_>| !files.is_empty())
    }
}
