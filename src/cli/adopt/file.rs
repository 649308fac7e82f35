//! One file: which certificates it holds, whether a key, and whose it is.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use zeroize::Zeroizing;

use crate::core::entry::Pkcs12Encryption;
use crate::core::name::Digest;
use crate::core::text::Text;
use crate::pki::certificate::{Certificate, CertificateError, certificates_in_file};
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::pkcs12;
use crate::store::disk::Disk as _;
use crate::store::observe::FILE_LIMIT;
use crate::store::real_disk::RealDisk;

/// A file and what it holds.
pub(super) struct Found {
    /// As it was named, made absolute.
    pub(super) path: PathBuf,
    pub(super) certificates: Vec<Certificate>,
    /// The public key of the private key in it.
    pub(super) key: Option<Digest>,
    pub(super) form: Form,
    /// Where it leads to, if it is a symlink.
    pub(super) leads_to: Option<PathBuf>,
    pub(super) held: Held,
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Pem,
    Der,
    Pkcs12(Pkcs12Encryption),
}

/// Whose a file is, and who may read it.
#[derive(Clone, PartialEq)]
pub(super) struct Held {
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) mode: u32,
}

/// Reads a file.
pub(super) fn read(path: &Path, password: Option<&str>) -> Result<Found, String> {
    let bytes = bytes(path)?;
    let named = |what: String| format!("{}: {what}", path.display());
    let (form, certificates, key) = contents(&bytes, password).map_err(named)?;
    let absolute = std::path::absolute(path).map_err(|error| named(error.to_string()))?;
    let metadata = std::fs::metadata(path).map_err(|error| named(error.to_string()))?;
    Ok(Found {
        leads_to: std::fs::read_link(path).ok(),
        path: absolute,
        certificates,
        key,
        form,
        held: Held { owner: owner(metadata.uid()), group: group(metadata.gid()), mode: metadata.mode() & 0o777 },
    })
}

/// The bytes of a file, or of what a symlink leads to.
pub(super) fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let real = std::fs::canonicalize(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let read = RealDisk.read(&real, FILE_LIMIT);
    read.map(Zeroizing::new).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

type Contents = (Form, Vec<Certificate>, Option<Digest>);

fn contents(bytes: &[u8], password: Option<&str>) -> Result<Contents, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN ") => pem(text),
        Ok(_) | Err(_) => binary(bytes, password),
    }
}

fn pem(text: &str) -> Result<Contents, String> {
    let certificates = match certificates_in_file(text) {
        Ok(certificates) => certificates,
        Err(CertificateError::Empty) => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    let key = match PrivateKey::from_pem(text.as_bytes()) {
        Ok(key) => Some(key.spki()),
        Err(KeyError::NoKey) => None,
        Err(error) => return Err(error.to_string()),
    };
    if !certificates.is_empty() || key.is_some() {
        return Ok((Form::Pem, certificates, key));
    }
    let label = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")).map(|(label, _)| label);
    let label = Text::new(label.unwrap_or_default());
    Err(format!("it holds neither a certificate nor a private key, but a PEM block \"{label}\""))
}

fn binary(bytes: &[u8], password: Option<&str>) -> Result<Contents, String> {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        return Ok((Form::Der, vec![certificate], None));
    }
    let contents = match (pkcs12::read(bytes, password.unwrap_or_default()), password) {
        (Ok(contents), _) => contents,
        (Err(pkcs12::ReadError::NotPkcs12), _) => {
            return Err("it is neither PEM, nor a certificate in DER, nor PKCS#12".to_owned());
        }
        (Err(pkcs12::ReadError::Password), None) => {
            return Err("it is PKCS#12, and needs --password-file with the file of its password".to_owned());
        }
        (Err(error), _) => return Err(error.to_string()),
    };
    if contents.certificates.is_empty() {
        return Err("it is PKCS#12, and holds no certificate".to_owned());
    }
    let leaf = contents.certificates.iter().find(|certificate| !certificate.is_ca());
    let key = leaf.filter(|_| contents.has_key).map(Certificate::spki);
    Ok((Form::Pkcs12(contents.encryption), contents.certificates, key))
}

fn owner(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
