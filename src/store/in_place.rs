//! The files of a set that was at an entry's paths before renewd came, by which of them servers read together. Reads
//! nothing.

use std::path::{Path, PathBuf};

use crate::core::wanted::entry::Entry;
use crate::core::wanted::files::FixedFiles;

/// Files that a server reads together.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileSet<'e> {
    /// Where the leaf comes first.
    pub(super) certificate: &'e Path,
    /// Where its chain is, if that is a file of its own.
    pub(super) chain: Option<&'e Path>,
    /// Where its key is.
    pub(super) key: &'e Path,
    /// Whether servers expect the chain behind the leaf.
    pub(super) holds_chain: bool,
    /// Whether OpenSSL is expected to load the file as PEM.
    pub(super) is_pem: bool,
}

impl<'e> FileSet<'e> {
    fn new(certificate: Option<&'e PathBuf>, key: Option<&'e PathBuf>) -> Option<Self> {
        Some(Self { certificate: certificate?, chain: None, key: key?, holds_chain: true, is_pem: true })
    }

    /// The files in which certificates stand.
    pub(super) fn certificates(self) -> impl Iterator<Item = &'e Path> {
        [Some(self.certificate), self.chain].into_iter().flatten()
    }
}

/// Each way in which a server may read the files that an entry names, at each of its places.
pub(super) fn places(entry: &Entry) -> Vec<FileSet<'_>> {
    entry.placements().flat_map(|placement| at(placement.files)).collect()
}

/// As PEM; where there is none, those that hold the leaf in another form beside a key.
fn at(files: &FixedFiles) -> Vec<FileSet<'_>> {
    let (bundle, chain) = (files.bundle.as_ref(), files.chain.as_deref());
    let key = files.key();
    let holds_chain = files.fullchain.is_none() && chain.is_none();
    let alone = FileSet::new(files.certificate.as_ref(), key).map(|alone| FileSet { chain, holds_chain, ..alone });
    let pem = [FileSet::new(files.fullchain.as_ref(), key), alone, FileSet::new(bundle, bundle)];
    if pem.iter().any(Option::is_some) {
        return pem.into_iter().flatten().collect();
    }
    let other = [&files.pkcs7, &files.der].map(|file| FileSet::new(file.as_ref(), key));
    other.into_iter().flatten().map(|place| FileSet { holds_chain: false, is_pem: false, ..place }).collect()
}
