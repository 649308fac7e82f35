//! What the files of a generation hold: from leaf, chain, root and key to bytes. Reads and writes nothing.

use std::borrow::Cow;
use std::path::Path;

use zeroize::Zeroizing;

use crate::core::wanted::entry::Entry;
use crate::core::wanted::files::Format;
use crate::pki::certificate::Certificate;
use crate::pki::pkcs7;

use super::disk::Disk;
use super::key_store;
use super::observe::FILE_LIMIT;

/// What a set is made of.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The leaf.
    pub leaf: &'a Certificate,
    /// The intermediates, from the leaf's issuer upward.
    pub chain: &'a [Certificate],
    /// The root, where it is known.
    pub root: Option<&'a Certificate>,
    /// The private key as PEM.
    pub key: &'a str,
}

impl<'a> Parts<'a> {
    /// What stands above the leaf: the chain, and the root where the entry wants it.
    pub fn above(&self, entry: &Entry) -> impl Iterator<Item = &'a Certificate> + use<'a> {
        self.chain.iter().chain(self.root.filter(|_| entry.include_root))
    }
}

/// The name of a file in a generation.
pub type FileName = Cow<'static, str>;

/// A file of a generation.
pub struct Content {
    /// Its name.
    pub name: FileName,
    /// Whether it holds the private key.
    pub holds_key: bool,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Content {
    /// Whether a file has this content.
    #[must_use]
    pub fn is_at(&self, disk: &dyn Disk, path: &Path) -> bool {
        disk.read(path, FILE_LIMIT).is_ok_and(|bytes| *Zeroizing::new(bytes) == *self.bytes)
    }
}

/// The names of the files that an entry wants in a generation.
pub fn names(entry: &Entry) -> impl Iterator<Item = FileName> {
    let key_stores = key_store::wanted(entry).into_iter().map(|wanted| wanted.name);
    plain_names(entry).map(FileName::Borrowed).chain(key_stores)
}

/// The names of those that are the same however often they are made.
fn plain_names(entry: &Entry) -> impl Iterator<Item = &'static str> {
    let name = |format: &Format| match format {
        Format::Bundle => Some(BUNDLE),
        Format::Pkcs12 => None,
        Format::Pkcs7 => Some(PKCS7),
        Format::Der => Some(DER),
    };
    [KEY, FULLCHAIN, CERT, CHAIN].into_iter().chain(entry.formats.iter().filter_map(name))
}

/// The files of a generation from its parts. Key stores are made elsewhere: each has a salt of its own.
#[must_use]
pub fn contents(entry: &Entry, parts: &Parts<'_>, key_stores: Vec<Content>) -> Vec<Content> {
    let leaf = parts.leaf.to_pem();
    let chain: String = parts.above(entry).map(Certificate::to_pem).collect();
    let fullchain = format!("{leaf}{chain}");
    let made = |name| match name {
        KEY => parts.key.as_bytes().to_vec(),
        BUNDLE => [parts.key.as_bytes(), fullchain.as_bytes()].concat(),
        FULLCHAIN => fullchain.clone().into_bytes(),
        CERT => leaf.clone().into_bytes(),
        CHAIN => chain.clone().into_bytes(),
        PKCS7 => pkcs7::certificates_only(std::iter::once(parts.leaf).chain(parts.above(entry))).into_bytes(),
        _ => parts.leaf.der().to_vec(),
    };
    let content = |name| Content {
        name: FileName::Borrowed(name),
        holds_key: holds_key(name),
        bytes: Zeroizing::new(made(name)),
    };
    plain_names(entry).map(content).chain(key_stores).collect()
}

/// Whether a file of a generation holds the private key.
#[must_use]
pub fn holds_key(name: &str) -> bool {
    matches!(name, KEY | BUNDLE) || is_key_store(name)
}

/// Whether a file of a generation is PKCS#12: there is one for each password.
#[must_use]
pub fn is_key_store(name: &str) -> bool {
    name.starts_with("keystore") && name.ends_with(".p12")
}

/// Whether a file of a generation or of a request is for everybody, by its name: it was never anything secret.
#[must_use]
pub fn is_public(name: &str) -> bool {
    matches!(name, FULLCHAIN | CERT | CHAIN | PKCS7 | DER | CSR | ANSWER)
}

/// The signing request of a request in flight.
pub const CSR: &str = "request.pem";
/// What TLM answered.
pub const ANSWER: &str = "answer.pem";
/// The private key alone.
pub const KEY: &str = "privkey.pem";
/// Leaf and intermediates.
pub const FULLCHAIN: &str = "fullchain.pem";
/// The leaf alone.
pub const CERT: &str = "cert.pem";
/// The intermediates.
pub const CHAIN: &str = "chain.pem";
/// Key and fullchain.
pub const BUNDLE: &str = "bundle.pem";
/// Key, leaf and intermediates as PKCS#12.
pub const KEYSTORE: &str = "keystore.p12";
/// Leaf and intermediates as PKCS#7.
pub const PKCS7: &str = "fullchain.p7b";
/// The leaf as DER.
pub const DER: &str = "cert.der";
