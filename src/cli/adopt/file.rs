//! One file: which certificates it holds, whether a key, and whose it is.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use zeroize::Zeroizing;

use crate::core::text::Text;
use crate::core::wanted::files::Pkcs12Encryption;
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::key::KeyError;
use crate::pki::key_file::{Belonging, KeyFile};
use crate::pki::{certificate_file, pkcs7, pkcs12};
use crate::store::disk::Disk as _;
use crate::store::observe::FILE_LIMIT;
use crate::store::real_disk::RealDisk;

/// A file and what it holds.
pub(in crate::cli) struct Found {
    /// As it was named, made absolute.
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) certificates: Vec<Certificate>,
    pub(in crate::cli) key: Option<Key>,
    pub(in crate::cli) form: Form,
    /// Where it leads to, if it is a symlink.
    pub(in crate::cli) leads_to: Option<PathBuf>,
    pub(in crate::cli) held: Ownership,
}

/// A private key in a file.
pub(in crate::cli) enum Key {
    Own(Box<KeyFile>),
    /// In a PKCS#12 file, whose leaf this is.
    Of(Box<Certificate>),
}

impl Found {
    /// How the private key in it stands to a certificate.
    pub(in crate::cli) fn key_of(&self, certificate: &Certificate) -> Belonging {
        match &self.key {
            None => Belonging::Refuted,
            Some(Key::Own(key)) => key.belongs(certificate.public_key()),
            Some(Key::Of(leaf)) if leaf.spki() == certificate.spki() => Belonging::Proven,
            Some(Key::Of(_)) => Belonging::Refuted,
        }
    }

    /// Whether it holds the key of a certificate, proven so.
    pub(in crate::cli) fn has_key_of(&self, certificate: &Certificate) -> bool {
        self.key_of(certificate) == Belonging::Proven
    }

    /// What its key is, where nobody can tell whose.
    pub(in crate::cli) fn unjudged(&self) -> Option<String> {
        match &self.key {
            Some(Key::Own(key)) if key.is_untold() => Some(key.kind().to_string()),
            Some(_) | None => None,
        }
    }
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::cli) enum Form {
    Pem,
    Der,
    Pkcs7,
    Pkcs12(Pkcs12Encryption),
}

/// Whose a file is, and who may read it.
#[derive(Clone, PartialEq)]
pub(in crate::cli) struct Ownership {
    pub(in crate::cli) owner: String,
    pub(in crate::cli) group: String,
    pub(in crate::cli) mode: u32,
}

/// Reads a file.
pub(in crate::cli) fn read(path: &Path, password: Option<&str>) -> Result<Found, String> {
    let bytes = bytes(path)?;
    let named = |what: String| format!("{}: {what}", path.display());
    let (form, certificates, key) = contents(path, &bytes, password).map_err(named)?;
    let absolute = std::path::absolute(path).map_err(|error| named(error.to_string()))?;
    let metadata = std::fs::metadata(path).map_err(|error| named(error.to_string()))?;
    Ok(Found {
        leads_to: std::fs::read_link(path).ok(),
        path: absolute,
        certificates,
        key,
        form,
        held: Ownership { owner: owner(metadata.uid()), group: group(metadata.gid()), mode: metadata.mode() & 0o777 },
    })
}

/// The bytes of a file, or of what a symlink leads to.
pub(in crate::cli) fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let real = std::fs::canonicalize(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let read = RealDisk.read(&real, FILE_LIMIT);
    read.map(Zeroizing::new).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

type Contents = (Form, Vec<Certificate>, Option<Key>);

fn contents(path: &Path, bytes: &[u8], password: Option<&str>) -> Result<Contents, String> {
    let is_pem = bytes.windows(BEGIN.len()).any(|window| window == BEGIN);
    let certificates = certificates(path, bytes)?;
    if is_pem { pem(bytes, certificates) } else { binary(path, bytes, certificates, password) }
}

/// The certificates of a file, in PEM or DER; none is no error.
fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    let found = match certificate_file::read(bytes) {
        Ok(file) => file.found,
        Err(CertificateError::Empty) => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    let read = |der: &Vec<u8>| {
        Certificate::from_der(der).map_err(|error| {
            format!(
                "renewd cannot read enough of a certificate in it to make an entry: {error}; to see it, run: openssl \
                 x509 -in {} -noout -text",
                path.display()
            )
        })
    };
    found.iter().map(read).collect()
}

fn pem(bytes: &[u8], certificates: Vec<Certificate>) -> Result<Contents, String> {
    let key = match KeyFile::read(bytes) {
        Ok(key) => Some(Key::Own(Box::new(key))),
        Err(KeyError::NoKey) => None,
        Err(error) => return Err(error.to_string()),
    };
    let text = String::from_utf8_lossy(bytes);
    let label = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")).map(|(label, _)| label);
    if !certificates.is_empty() || key.is_some() {
        let is_pkcs7 = key.is_none() && label.is_some_and(certificate_file::is_pkcs7);
        return Ok((if is_pkcs7 { Form::Pkcs7 } else { Form::Pem }, certificates, key));
    }
    let label = Text::new(label.unwrap_or_default());
    Err(format!("it holds neither a certificate nor a private key, but a PEM block \"{label}\""))
}

fn binary(
    path: &Path,
    bytes: &[u8],
    certificates: Vec<Certificate>,
    password: Option<&str>,
) -> Result<Contents, String> {
    if !certificates.is_empty() {
        return Ok((Form::Der, certificates, None));
    }
    let contents = match (pkcs12::read(bytes, password.unwrap_or_default()), password) {
        (Ok(contents), _) => contents,
        (Err(pkcs12::ReadError::NotPkcs12), _) => {
            return Err(convertible(&path.display().to_string(), bytes)
                .unwrap_or_else(|| "it is neither PEM, nor a certificate in DER, nor PKCS#12".to_owned()));
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
    let key = leaf.filter(|_| contents.has_key).map(|leaf| Key::Of(Box::new(leaf.clone())));
    Ok((Form::Pkcs12(contents.encryption), contents.certificates, key))
}

/// What a file is that renewd does not read, and openssl converts.
fn convertible(path: &str, bytes: &[u8]) -> Option<String> {
    if pkcs7::certificates(bytes).is_some() {
        return Some(format!(
            "it is PKCS#7 in DER; to convert it to PEM, run: openssl pkcs7 -inform DER -in {path} -print_certs -out \
             {path}.pem"
        ));
    }
    let key = KeyFile::read(bytes).ok()?;
    let kind = key.kind();
    Some(format!(
        "it holds {kind} in DER; to convert it to PEM, run: openssl pkey -inform DER -in {path} -out {path}.pem"
    ))
}

fn owner(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

const BEGIN: &[u8] = b"-----BEGIN ";
