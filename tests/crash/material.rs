//! Keys, certificates and an entry for the simulated machine, made once.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SubjectPublicKeyInfo};
use zeroize::Zeroizing;

use renewd::core::compact::boxed_default::BoxedDefault;
use renewd::core::compact::packed_names::Naming;
use renewd::core::compact::settings::EntrySettings;
use renewd::core::known::observed::Leaf;
use renewd::core::known::profile::{Origin, Profile, ProfileAttribute};
use renewd::core::name::{Attempt, Digest, ProfileId, ProfileRef};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::{Entry, Sans, Source};
use renewd::core::wanted::files::{Access, FileCopy, FixedFiles, Format};
use renewd::core::wanted::key::KeyType;
use renewd::pki::certificate::{Certificate, certificates};
use renewd::pki::key::PrivateKey;
use renewd::pki::{leaf, served};
use renewd::store::content::{Content, Parts, contents};

/// The present: 2026-12-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_seconds(1_796_083_200);

/// What an attempt brings; it ends in ninety days, each a day after the one before.
pub struct Set {
    pub key: Zeroizing<String>,
    pub spki: Digest,
    pub leaf: Certificate,
    pub chain: Vec<Certificate>,
    pub facts: Leaf,
}

impl Set {
    pub fn answer(&self) -> String {
        std::iter::once(&self.leaf).chain(&self.chain).map(Certificate::to_pem).collect()
    }

    /// The files of a generation of this set.
    pub fn files(&self, entry: &Entry) -> Vec<Content> {
        contents(entry, &Parts { leaf: &self.leaf, chain: &self.chain, root: None, key: &self.key }, Vec::new())
    }
}

pub fn set(attempt: Attempt) -> &'static Set {
    &SETS[usize::try_from(attempt.0 - 1).unwrap()]
}

pub fn sets() -> &'static [Set] {
    &SETS
}

static SETS: LazyLock<Vec<Set>> = LazyLock::new(|| {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Issuing");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let chain = vec![Certificate::from_der(ca.self_signed(&ca_key).unwrap().der()).unwrap()];
    let issuer = Issuer::from_params(&ca, &ca_key);
    (0..4).map(|number| made(&issuer, chain.clone(), number)).collect()
});

fn made(issuer: &Issuer<'_, &KeyPair>, chain: Vec<Certificate>, number: u64) -> Set {
    let pair = KeyPair::generate().unwrap();
    let key = PrivateKey::from_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut params = CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    let now = rcgen::date_time_ymd(2026, 12, 1);
    params.not_before = now - Duration::from_secs(86_400);
    params.not_after = now + Duration::from_secs((90 + number) * 86_400);
    let public = SubjectPublicKeyInfo::from_der(&rcgen::PublicKeyData::subject_public_key_info(&pair)).unwrap();
    let issued = params.signed_by(&public, issuer).unwrap();
    let leaf = certificates(&issued.pem()).unwrap().remove(0);
    let facts = leaf::read(&leaf).unwrap();
    Set { key: key.to_pem(), spki: key.spki(), leaf, chain, facts }
}

/// A set whose CA certificate ends before its leaf, and the newer certificate of that CA.
pub struct Short {
    pub set: Set,
    pub newer: Certificate,
    pub root: Certificate,
}

pub static SHORT: LazyLock<Short> = LazyLock::new(|| {
    let named = |name: &str, days: u64| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 12, 1) + Duration::from_secs(days * 86_400);
        params
    };
    let (root, root_key, key) = (named("Root", 3650), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let above = Issuer::from_params(&root, &root_key);
    let taken = |made: rcgen::Certificate| Certificate::from_der(made.der()).unwrap();
    let issued = |days| taken(named("Short", days).signed_by(&key, &above).unwrap());
    let params = named("Short", 80);
    let set = made(&Issuer::from_params(&params, &key), vec![issued(80)], 0);
    Short { set, newer: issued(3000), root: taken(root.self_signed(&root_key).unwrap()) }
});

/// The profile when it shows the newer certificate of the CA.
pub fn profile_with_newer() -> Profile {
    let Short { newer, root, .. } = &*SHORT;
    let cas = [newer, root].into_iter().filter_map(served::end_of).collect();
    Profile { issuers: vec![newer.to_pem(), root.to_pem()], cas, ..profile() }
}

pub fn profile() -> Profile {
    let attribute =
        |key: &str| ProfileAttribute { key: key.to_owned(), mandatory: false, multiple: true, origin: Origin::Request };
    Profile {
        id: ProfileId("p".into()),
        name: "Web".to_owned(),
        status: "Active".to_owned(),
        enrollment_method: "rest_api".to_owned(),
        authentication_method: "third_party_app".to_owned(),
        renewal_window_days: Some(30),
        odd_window: None,
        allows_duplicates: true,
        allows_validity: false,
        validity: None,
        keys: vec![KeyType::EcdsaP256],
        unknown_keys: Vec::new(),
        allowed_names: Vec::new(),
        custom_values: Vec::new(),
        escrows_keys: false,
        subject: vec![attribute("common_name")],
        san: vec![attribute("dns_names")],
        issuers: Vec::new(),
        cas: Vec::new(),
        needs_approval: false,
        shown: Default::default(),
    }
}

/// An entry for the default layout, with a bundle.
pub fn entry() -> Entry {
    let naming = Naming {
        own_seat: None,
        common_name: Some("www.example.com".to_owned()),
        names: Sans { dns_names: vec!["www.example.com".to_owned()], ..Sans::default() },
    };
    let mut terms = EntrySettings::new(ProfileRef::Id(ProfileId("p".into())));
    terms.formats = vec![Format::Bundle];
    Entry {
        name: "www".parse().unwrap(),
        source: Source { file: "certs.d/www.toml".into(), line: 1 },
        naming: naming.into(),
        probes: BoxedDefault::new(),
        files: BoxedDefault::new(),
        terms: Arc::new(terms),
    }
}

/// The same with copies in two folders, some of them with modes of their own.
pub fn with_copies() -> Entry {
    let path = |path: &str| Some(PathBuf::from(path));
    let files = FixedFiles {
        private_key: path("/etc/keys/www.key"),
        certificate: path("/etc/tls/www.crt"),
        ..FixedFiles::default()
    };
    let others = FixedFiles {
        bundle: path("/etc/tls/www.pem"),
        fullchain: path("/etc/tls/www.fullchain.crt"),
        ..FixedFiles::default()
    };
    let access = Access { key_mode: 0o400, mode: 0o444, ..Access::default() };
    let copies = vec![FileCopy { files: others, access }];
    let mut entry = Entry { files: files.into(), ..entry() };
    entry.copies = copies.into();
    entry
}
