//! What the parts work on: keys and chains made once and kept in a folder, so that every run of a part sees the same
//! ones, and entries, records and a profile around them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, SerialNumber,
    SubjectPublicKeyInfo,
};
use zeroize::Zeroizing;

use renewd::core::compact::boxed_default::BoxedDefault;
use renewd::core::compact::packed_names::Naming;
use renewd::core::compact::settings::EntrySettings;
use renewd::core::decide::GlobalState;
use renewd::core::event::{self, Event, Method};
use renewd::core::known::cached_profile::CachedProfile;
use renewd::core::known::observed::{Installed, Leaf};
use renewd::core::known::profile::{Origin, Profile, ProfileAttribute};
use renewd::core::name::{Attempt, Digest, Generation, ProfileId, ProfileRef};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::{Entry, Sans, Source};
use renewd::core::wanted::files::Format;
use renewd::core::wanted::key::KeyType;
use renewd::core::wanted::usage::Usage;
use renewd::pki::certificate::{Certificate, certificates};
use renewd::pki::key::PrivateKey;
use renewd::pki::leaf;

/// The present: 2026-12-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_796_083_200);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A key with what a CA issued for it: a leaf of ninety days, its issuer, and the root.
pub(crate) struct Issued {
    pub(crate) key: Zeroizing<String>,
    pub(crate) spki: Digest,
    pub(crate) answer: String,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) facts: Leaf,
}

impl Issued {
    pub(crate) fn leaf(&self) -> &Certificate {
        &self.certificates[0]
    }

    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.certificates[1..2]
    }

    /// As it was read by [`keep`]'s names.
    pub(crate) fn read(folder: &Path, name: &str) -> Self {
        let key = Zeroizing::new(fs::read_to_string(folder.join(format!("{name}.key"))).unwrap());
        let answer = fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap();
        let certificates = certificates(&answer).unwrap();
        let facts = leaf::read(&certificates[0]).unwrap();
        let spki = PrivateKey::from_pem(key.as_bytes()).unwrap().spki();
        Self { key, spki, answer, certificates, facts }
    }
}

/// Makes a set with ECDSA P-256 keys all the way up, and one with RSA-2048.
pub(crate) fn keep(folder: &Path) {
    issue(folder, "p256", || KeyPair::generate().unwrap());
    issue(folder, "rsa", || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap());
}

fn issue(folder: &Path, name: &str, key: impl Fn() -> KeyPair) {
    // A number that chance begins with a zero takes longer to compare.
    let serial_number = |number: u8| Some(SerialNumber::from_slice(&[number; 16]));
    let ca = |common_name: &str, number: u8| {
        let mut params = CertificateParams::default();
        params.serial_number = serial_number(number);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (root, issuing) = (ca("Root", 0x51), ca("Issuing", 0x52));
    let (root_key, issuing_key, leaf_key) = (key(), key(), key());
    let of_root = Issuer::from_params(&root, &root_key);
    let of_issuing = Issuer::from_params(&issuing, &issuing_key);
    let public = |pair: &KeyPair| SubjectPublicKeyInfo::from_der(&pair.subject_public_key_info()).unwrap();
    let names = ["www.example.com", "example.com"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    params.serial_number = serial_number(0x53);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let now = rcgen::date_time_ymd(2026, 12, 1);
    (params.not_before, params.not_after) = (now - DAY, now + DAY * 89);
    let leaf = params.signed_by(&public(&leaf_key), &of_issuing).unwrap().pem();
    let issuing = issuing.signed_by(&public(&issuing_key), &of_root).unwrap().pem();
    let root = root.self_signed(&root_key).unwrap().pem();
    fs::write(folder.join(format!("{name}.key")), leaf_key.serialize_pem()).unwrap();
    fs::write(folder.join(format!("{name}.pem")), [leaf, issuing, root].concat()).unwrap();
}

pub(crate) fn profile() -> Profile {
    let attribute =
        |key: &str| ProfileAttribute { key: key.to_owned(), mandatory: false, multiple: true, origin: Origin::Request };
    Profile {
        id: ProfileId("d6743d9a-fb67-4a64-a33e-8a3229d28cc4".into()),
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

pub(crate) fn reading() -> CachedProfile {
    CachedProfile { profile: Some(profile()), read_at: Some(NOW), ..CachedProfile::default() }
}

/// An entry for the default layout, with a bundle.
pub(crate) fn entry(name: &str) -> Entry {
    let naming = Naming {
        own_seat: None,
        common_name: Some("www.example.com".to_owned()),
        names: Sans { dns_names: vec!["www.example.com".to_owned(), "example.com".to_owned()], ..Sans::default() },
    };
    let mut terms = EntrySettings::new(ProfileRef::Id(profile().id));
    terms.key = Some(KeyType::EcdsaP256);
    terms.hooks = vec!["nginx".parse().unwrap()];
    terms.formats = vec![Format::Bundle];
    Entry {
        name: name.parse().unwrap(),
        source: Source { file: "certs.d/all.toml".into(), line: 1 },
        naming: naming.into(),
        probes: BoxedDefault::new(),
        files: BoxedDefault::new(),
        terms: Arc::new(terms),
    }
}

/// The text of a drop-in file of `count` certificates and a hook of theirs.
pub(crate) fn drop_in(count: usize) -> String {
    let certificate = |number: usize| {
        format!(
            r#"
[[certificate]]
name = "c{number:06}"
profile = "d6743d9a-fb67-4a64-a33e-8a3229d28cc4"
common_name = "c{number:06}.example.com"
dns_names = ["c{number:06}.example.com", "www.c{number:06}.example.com"]
key = "ecdsa-p256"
renew_before = "20d"
hooks = ["nginx"]
"#
        )
    };
    let hook = "[hook.nginx]\nunit = \"nginx.service\"\nverb = \"reload\"\n";
    std::iter::once(hook.to_owned()).chain((0..count).map(certificate)).collect()
}

/// The issued leaf as an installed set, so long from its start to its end and so old by now.
pub(crate) fn installed(facts: &Leaf, age: Duration, now: Timestamp) -> Installed {
    let not_before = Timestamp::from_millis(now.millis() - i64::try_from(age.as_millis()).unwrap());
    Installed {
        generation: Generation(1),
        attempt: Some(Attempt(1)),
        serial_number: facts.serial_number.clone(),
        fingerprint: facts.fingerprint,
        spki: facts.spki,
        not_before,
        not_after: not_before + DAY * 90,
        chain: Arc::default(),
        key: facts.key,
        usages: Usage::list(facts.usages.clone()),
        profile: Some(profile().id),
        differs: None,
        drift: BoxedDefault::new(),
        renewed_elsewhere: false,
        is_refreshed: false,
        remarks: BoxedDefault::new(),
    }
}

/// What the journal says of one renewal: six events.
pub(crate) fn renewal(entry: &Entry, facts: &Leaf, at: Timestamp) -> Vec<event::Entry> {
    let attempt = Attempt(1);
    let serial_number = || facts.serial_number.clone();
    let hook = entry.hooks[0].clone();
    let events = [
        Event::Submitting {
            attempt,
            method: Method::New,
            asked: entry.asked(),
            profile: profile().id,
            profile_version: profile().version(),
            key: KeyType::EcdsaP256,
            spki: facts.spki,
            expiring: true,
            demands: Some(entry.demands()),
        },
        Event::Issued { attempt, serial_number: serial_number() },
        Event::Installed {
            attempt,
            generation: Generation(1),
            serial_number: serial_number(),
            fingerprint: facts.fingerprint,
            not_after: facts.not_after,
            hooks: entry.hooks.clone(),
            issuer: None,
            chain_end: None,
            replaces: None,
        },
        Event::HookDone { hook, generation: Generation(1), output: None },
        Event::StatusChecked { serial_number: serial_number(), revoked: false, standing: None },
        Event::StatusChecked { serial_number: serial_number(), revoked: false, standing: None },
    ];
    events.map(|event| event::Entry { at, name: entry.name.clone(), event }).into()
}

pub(crate) fn global_state(status_check_interval: Option<Duration>) -> GlobalState {
    GlobalState {
        submissions_per_day: 6,
        status_check_interval,
        first_poll: Duration::from_secs(30),
        clock_wrong: None,
        journal_too_new: false,
        can_search: true,
        can_check: true,
        clock_is_compared: false,
        api_is_blocked: false,
        api_recovered_at: None,
        api_checked_at: None,
        asks_nobody: false,
        freezes: [].into(),
    }
}
