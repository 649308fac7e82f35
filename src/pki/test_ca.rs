//! A small CA for the tests of this room. Its keys are made anew for each test.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SubjectPublicKeyInfo,
};

use super::certificate::Certificate;
use x509_parser::prelude::FromDer as _;

use super::key::PrivateKey;
use crate::core::time::Timestamp;
use crate::core::wanted::key::KeyType;

/// The present in these tests: 2026-11-24T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_478_400);

pub(crate) struct Ca {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) certificate: Certificate,
}

impl Ca {
    /// A self-signed root with an ECDSA key on P-256.
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, KeyPair::generate().unwrap(), |_| {})
    }

    pub(crate) fn root_with(name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = params(name, change);
        let certificate = taken(&params.self_signed(&key).unwrap());
        Self { params, key, certificate }
    }

    /// A CA that this one issues.
    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_with(name, KeyPair::generate().unwrap(), |_| {})
    }

    pub(crate) fn below_with(&self, name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = params(name, change);
        let certificate = taken(&params.signed_by(&key, &self.issuer()).unwrap());
        Self { params, key, certificate }
    }

    /// Another certificate of `other`'s name and key, issued by this CA.
    pub(crate) fn cross(&self, other: &Self) -> Certificate {
        taken(&other.params.signed_by(&other.key, &self.issuer()).unwrap())
    }

    /// A leaf for `key`.
    pub(crate) fn leaf(&self, key: &PrivateKey, params: &CertificateParams) -> Certificate {
        let Ok(public) = SubjectPublicKeyInfo::from_der(key.public()) else {
            return taken(&params.signed_by(&MlDsa::of(key), &self.issuer()).unwrap());
        };
        taken(&params.signed_by(&public, &self.issuer()).unwrap())
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// A public key that rcgen does not read.
struct MlDsa(Vec<u8>, &'static rcgen::SignatureAlgorithm);

impl MlDsa {
    fn of(key: &PrivateKey) -> Self {
        let (_, read) = x509_parser::x509::SubjectPublicKeyInfo::from_der(key.public()).unwrap();
        let known = [&rcgen::PKCS_ML_DSA_44, &rcgen::PKCS_ML_DSA_65, &rcgen::PKCS_ML_DSA_87];
        let kinds = [KeyType::MlDsa44, KeyType::MlDsa65, KeyType::MlDsa87];
        let at = kinds.iter().position(|kind| key.key_type() == Some(*kind)).unwrap();
        Self(read.subject_public_key.data.to_vec(), known[at])
    }
}

impl rcgen::PublicKeyData for MlDsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.1
    }
}

/// Parameters of a leaf that is valid from a day before to 89 days after [`NOW`].
pub(crate) fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, -86_400, 89 * 86_400);
    params
}

/// Sets the validity, in seconds from [`NOW`].
pub(crate) fn valid(params: &mut CertificateParams, from: i64, until: i64) {
    let now = rcgen::date_time_ymd(2026, 11, 24);
    let at = |seconds: i64| {
        let span = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { now - span } else { now + span }
    };
    params.not_before = at(from);
    params.not_after = at(until);
}

/// The certificate with its ECDSA algorithm renamed from SHA-256 to SHA-224, which nobody judges.
pub(crate) fn unjudged(certificate: &Certificate) -> Certificate {
    const SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let mut der = certificate.der().to_vec();
    let places: Vec<_> = der.windows(8).enumerate().filter(|(_, w)| *w == SHA256).map(|(at, _)| at + 7).collect();
    assert_eq!(places.len(), 2);
    places.iter().for_each(|at| der[*at] = 0x01);
    Certificate::from_der(&der).unwrap()
}

fn params(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = leaf_params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, -365 * 86_400, 3650 * 86_400);
    change(&mut params);
    params
}

fn taken(certificate: &rcgen::Certificate) -> Certificate {
    Certificate::from_der(certificate.der()).unwrap()
}
