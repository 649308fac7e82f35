//! Where things are below the state directory.

use std::path::{Path, PathBuf};

use crate::core::name::{Attempt, CertName, Generation};

/// The state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(PathBuf);

impl Layout {
    /// The state directory at `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The state directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// `certs/`.
    #[must_use]
    pub fn certs(&self) -> PathBuf {
        self.0.join("certs")
    }

    /// `certs/NAME/`.
    #[must_use]
    pub fn certificate(&self, name: &CertName) -> PathBuf {
        self.certs().join(name.as_str())
    }

    /// `certs/NAME/live`.
    #[must_use]
    pub fn live(&self, name: &CertName) -> PathBuf {
        self.certificate(name).join("live")
    }

    /// `certs/NAME/7/`.
    #[must_use]
    pub fn generation(&self, name: &CertName, generation: Generation) -> PathBuf {
        self.certificate(name).join(generation.to_string())
    }

    /// `certs/NAME/csr.pem`.
    #[must_use]
    pub fn csr(&self, name: &CertName) -> PathBuf {
        self.certificate(name).join("csr.pem")
    }

    /// `journal`.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// `pending/`.
    #[must_use]
    pub fn pending(&self) -> PathBuf {
        self.0.join("pending")
    }

    /// `pending/NAME/`.
    #[must_use]
    pub fn pending_of(&self, name: &CertName) -> PathBuf {
        self.pending().join(name.as_str())
    }

    /// `pending/NAME/3/`.
    #[must_use]
    pub fn attempt(&self, name: &CertName, attempt: Attempt) -> PathBuf {
        self.pending_of(name).join(attempt.to_string())
    }

    /// `hooks/`.
    #[must_use]
    pub fn hooks(&self) -> PathBuf {
        self.0.join("hooks")
    }

    /// `inventory`: the last good content of each drop-in file.
    #[must_use]
    pub fn inventory(&self) -> PathBuf {
        self.0.join("inventory")
    }

    /// `profiles.json`.
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.0.join("profiles.json")
    }

    /// `notices.json`.
    #[must_use]
    pub fn notices(&self) -> PathBuf {
        self.0.join("notices.json")
    }

    /// `ca-status.json`.
    #[must_use]
    pub fn ca_status(&self) -> PathBuf {
        self.0.join("ca-status.json")
    }

    /// `lock`.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
}
