//! An installed set for the tests of this room, on a real disk: a leaf that outlives the certificate of its issuing CA, and
//! newer certificates of the same CA.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::generation::{self, NewSet, read_manifest};
use super::layout::Layout;
use super::manifest::Manifest;
use super::observe::observe;
use super::real_disk::RealDisk;
use super::repair::RepairInputs;
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::compact::packed_names::Naming;
use crate::core::compact::settings;
use crate::core::known::observed::Installed;
use crate::core::name::{Attempt, Generation, ProfileId, ProfileRef};
use crate::core::remark::{Remark, Remarks};
use crate::core::time::Timestamp;
use crate::core::wanted::entry::{Entry, Sans, Source};
use crate::core::wanted::files::FixedFiles;
use crate::core::wanted::key::KeyType;
use crate::pki::certificate::Certificate;
use crate::pki::key::PrivateKey;
use crate::pki::pem::armour;
use crate::pki::test_ca::{Ca, NOW, leaf_params, valid};
use crate::pki::{leaf, served};
use crate::store::targets::ServiceIdentity;

const DAY: i64 = 86_400;

pub(super) struct Example {
    folder: TempDir,
    pub(super) layout: Layout,
    pub(super) identity: ServiceIdentity,
    pub(super) entry: Entry,
    pub(super) root: Ca,
    issuing: Ca,
    pub(super) key: PrivateKey,
    /// It ends after 89 days.
    pub(super) leaf: Certificate,
}

impl Example {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Ca::root("Root");
        let issuing = root.below_with("Issuing", KeyPair::generate().unwrap(), |params| ends(params, 40));
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let leaf = issuing.leaf(&key, &leaf_params(&["www.example.com"]));
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let own = vec![folder.path().to_owned()];
        Self {
            layout: Layout::new(folder.path()),
            identity: ServiceIdentity { uid, gid, own },
            entry: entry(),
            folder,
            root,
            issuing,
            key,
            leaf,
        }
    }

    /// The issuing CA's certificate, which ends after 40 days.
    pub(super) fn old(&self) -> Certificate {
        self.issuing.certificate.clone()
    }

    /// Another one of its, which ends after so many days.
    pub(super) fn renewed(&self, days: i64) -> Certificate {
        self.crossed(&self.root, days, |_| {})
    }

    /// Another one, by another CA.
    pub(super) fn crossed(&self, by: &Ca, days: i64, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = self.issuing.params.clone();
        ends(&mut params, days);
        change(&mut params);
        let key = KeyPair::from_pem(&self.issuing.key.serialize_pem()).unwrap();
        by.cross(&Ca { params, key, certificate: self.old() })
    }

    /// A leaf of the issuing CA that ends after so many days.
    pub(super) fn leaf_for(&self, key: &PrivateKey, days: i64) -> Certificate {
        let mut params = leaf_params(&["www.example.com"]);
        ends(&mut params, days);
        self.issuing.leaf(key, &params)
    }

    /// Installs the leaf with this chain.
    pub(super) fn install(
        &self,
        chain: &[Certificate],
        root: Option<&Certificate>,
        remarks: Vec<Remark>,
    ) -> Generation {
        let (facts, key) = (leaf::read(&self.leaf).unwrap(), self.key.to_pem());
        let set = NewSet {
            leaf: &self.leaf,
            facts: &facts,
            chain,
            root,
            key: &key,
            attempt: Attempt(1),
            profile: &ProfileId("p".into()),
            served: &served::served(&self.leaf, chain),
            refreshes: None,
            remarks: &Remarks::at(NOW, remarks).into(),
        };
        generation::install(&RealDisk, &self.layout, &self.identity, &self.entry, &set, 9).unwrap()
    }

    pub(super) fn terms<'t>(&self, issuers: &'t [Certificate]) -> RepairInputs<'t> {
        RepairInputs { issuers, keep: 9, refreshes: true, now: NOW }
    }

    pub(super) fn live(&self) -> PathBuf {
        fs::canonicalize(self.layout.live(&self.entry.name)).unwrap()
    }

    pub(super) fn manifest(&self) -> Manifest {
        read_manifest(&RealDisk, &self.live()).unwrap().unwrap()
    }

    /// Writes what an older version would have.
    pub(super) fn change_manifest(&self, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = self.manifest();
        change(&mut manifest);
        write(&self.live().join(Manifest::NAME), serde_json::to_vec(&manifest).unwrap());
    }

    /// The codes and texts of what is told of the live set.
    pub(super) fn remarks(&self) -> Vec<String> {
        let told = |remark: &Remark| format!("{}: {}", remark.code.as_str(), remark.message);
        self.manifest().remarks.list.iter().map(told).collect()
    }

    pub(super) fn observed(&self) -> Installed {
        let observed = observe(&RealDisk, &self.layout, &self.entry);
        observed.installed().unwrap_or_else(|| panic!("{observed:?}")).clone()
    }

    /// Puts certificates in place of the live fullchain.
    pub(super) fn put(&self, certificates: &[&Certificate]) {
        write(&self.live().join(super::content::FULLCHAIN), pem(certificates));
    }

    /// Writes a file beside the state, and says where.
    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Option<PathBuf> {
        let path = self.folder.path().join(name);
        write(&path, content);
        Some(path)
    }

    /// Where a file would be.
    pub(super) fn missing(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// From now on the entry has its files there.
    pub(super) fn at(&mut self, files: FixedFiles) {
        self.entry.files = files.into();
    }
}

pub(super) fn pem(certificates: &[&Certificate]) -> String {
    certificates.iter().map(|certificate| certificate.to_pem()).collect()
}

/// A certificate that servers may take, and renewd does not: the last byte of its signature is told to be cut.
pub(super) fn unreadable(certificate: &Certificate) -> String {
    let mut der = certificate.der().to_vec();
    let parsed = x509_parser::parse_x509_certificate(&der).unwrap().1;
    let at = der.len() - parsed.signature_value.data.len() - 1;
    der[at] = 1;
    assert!(Certificate::from_der(&der).is_err());
    std::mem::take(&mut *armour("CERTIFICATE", &der))
}

pub(super) fn after(days: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + days * DAY)
}

fn ends(params: &mut CertificateParams, days: i64) {
    valid(params, -DAY, days * DAY);
}

#[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
}

fn entry() -> Entry {
    let names = Sans { dns_names: vec!["www.example.com".to_owned()], ..Sans::default() };
    Entry {
        name: "www".parse().unwrap(),
        source: Source { file: "certs.d/www.toml".into(), line: 1 },
        naming: Naming { own_seat: None, common_name: None, names }.into(),
        probes: BoxedDefault::new(),
        files: BoxedDefault::new(),
        terms: Arc::new(settings::EntrySettings::new(ProfileRef::Id(ProfileId("p".into())))),
    }
}
