//! Files at fixed paths: which, in which form, and who may read them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::core::compact::boxed_default::ConstDefault;

/// Files that a generation holds beside the four of every generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Key and fullchain in one file.
    Bundle,
    /// PKCS#12.
    Pkcs12,
    /// PKCS#7.
    Pkcs7,
    /// DER.
    Der,
}

/// Owner, group and modes of the installed files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The owner, by name or number; `None`: the service's user.
    pub owner: Option<String>,
    /// The group, by name or number; `None`: the service's group.
    pub group: Option<String>,
    /// The mode of files that hold the key.
    pub key_mode: u32,
    /// The mode of the others.
    pub mode: u32,
}

impl ConstDefault for Access {
    const DEFAULT: &'static Self = &Self { owner: None, group: None, key_mode: 0o600, mode: 0o644 };
}

impl Default for Access {
    fn default() -> Self {
        Self::DEFAULT.clone()
    }
}

/// Copies at fixed paths, for programs that cannot follow symlinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedFiles {
    /// The private key.
    pub private_key: Option<PathBuf>,
    /// The leaf alone.
    pub certificate: Option<PathBuf>,
    /// The intermediates.
    pub chain: Option<PathBuf>,
    /// Leaf and intermediates.
    pub fullchain: Option<PathBuf>,
    /// Key and fullchain.
    pub bundle: Option<PathBuf>,
    /// PKCS#12.
    pub pkcs12: Option<PathBuf>,
    /// PKCS#7.
    #[serde(default)]
    pub pkcs7: Option<PathBuf>,
    /// The leaf as DER.
    #[serde(default)]
    pub der: Option<PathBuf>,
    /// The file that holds the password of the PKCS#12 file.
    pub pkcs12_password_file: Option<PathBuf>,
    /// How the PKCS#12 file is encrypted.
    #[serde(default)]
    pub pkcs12_encryption: Pkcs12Encryption,
}

/// How a PKCS#12 file is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pkcs12Encryption {
    /// AES-256 and SHA-256.
    #[default]
    Aes256,
    /// Triple DES and SHA-1, for readers that know nothing newer.
    #[serde(rename = "legacy-3des")]
    Legacy3des,
}

impl ConstDefault for FixedFiles {
    const DEFAULT: &'static Self = &Self {
        private_key: None,
        certificate: None,
        chain: None,
        fullchain: None,
        bundle: None,
        pkcs12: None,
        pkcs7: None,
        der: None,
        pkcs12_password_file: None,
        pkcs12_encryption: Pkcs12Encryption::Aes256,
    };
}

/// A further place for the files of an entry: `[[certificate.copy]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCopy {
    /// Its paths.
    pub files: FixedFiles,
    /// Who may read them there.
    pub access: Access,
}

/// A place for the files of an entry: its own `files`, or one of its copies.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'e> {
    /// Which of the copies it is, from 1; 0: `files` itself.
    pub number: usize,
    /// Its paths.
    pub files: &'e FixedFiles,
    /// Who may read them there.
    pub access: &'e Access,
}

/// A file at a fixed path.
#[derive(Clone, Copy, Debug)]
pub struct Target<'e> {
    /// The place that it belongs to.
    pub placement: Placement<'e>,
    /// Its key in the configuration.
    pub key: &'static str,
    /// The path.
    pub path: &'e PathBuf,
}

impl Target<'_> {
    /// How messages name it.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.placement.number, self.key)
    }
}

/// How messages name a key of `files`, or of the `files` of a copy.
#[must_use]
pub fn label(number: usize, key: &str) -> String {
    if number == 0 { format!("`{key}`") } else { format!("`{key}` of copy {number}") }
}

impl FixedFiles {
    /// The file that holds the private key as PEM.
    #[must_use]
    pub fn key(&self) -> Option<&PathBuf> {
        self.private_key.as_ref().or(self.bundle.as_ref())
    }

    /// The targets with their key in the configuration, keys first.
    pub fn targets(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        [
            ("private_key", &self.private_key),
            ("bundle", &self.bundle),
            ("pkcs12", &self.pkcs12),
            ("fullchain", &self.fullchain),
            ("certificate", &self.certificate),
            ("chain", &self.chain),
            ("pkcs7", &self.pkcs7),
            ("der", &self.der),
        ]
        .into_iter()
        .filter_map(|(key, path)| path.as_ref().map(|path| (key, path)))
    }
}
