//! A throw-away CA: root and intermediate, and leaves with the extensions that public ones have.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::pki::certificate::Certificate;

pub(super) struct Ca {
    root: Certificate,
    intermediate: Certificate,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    pub(super) fn new(now: Timestamp) -> Self {
        let root = CertifiedIssuer::self_signed(authority("Example Root", None, now), key()).unwrap();
        let params = authority("Example Issuing CA G1", Some(0), now);
        let issuer = CertifiedIssuer::signed_by(params, key(), &root).unwrap();
        Self {
            root: Certificate::from_der(root.der()).unwrap(),
            intermediate: Certificate::from_der(issuer.der()).unwrap(),
            issuer,
        }
    }

    pub(super) fn root(&self) -> &Certificate {
        &self.root
    }

    pub(super) fn intermediate(&self) -> &Certificate {
        &self.intermediate
    }

    pub(super) fn root_pem(&self) -> String {
        self.root.to_pem()
    }

    /// What the CA answers to the request of `entry` for this key.
    pub(super) fn issue(&self, entry: &Entry, key: &KeyPair, validity: (Timestamp, Timestamp)) -> Certificate {
        let mut params = CertificateParams::new(entry.names().dns_names).unwrap();
        params.distinguished_name.push(DnType::CommonName, entry.naming.common_name().unwrap());
        valid(&mut params, validity);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec!["http://crl.example.test/g1.crl".to_owned()] }];
        params.custom_extensions = vec![access_to_issuer(), transparency()];
        Certificate::from_der(params.signed_by(key, &self.issuer).unwrap().der()).unwrap()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn authority(name: &str, path_length: Option<u8>, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CountryName, "CH");
    params.distinguished_name.push(DnType::OrganizationName, "Example AG");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = path_length.is_some();
    valid(&mut params, (now - YEAR, now + 9 * YEAR));
    params
}

/// Where the issuer's certificate is. Nothing names an OCSP server: programs that are measured on the same files would
/// ask it.
fn access_to_issuer() -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence_of(|list| {
            list.next().write_sequence(|place| {
                let oid = [1, 3, 6, 1, 5, 5, 7, 48, 2];
                place.next().write_oid(&yasna::models::ObjectIdentifier::from_slice(&oid));
                let url = |writer: yasna::DERWriter<'_>| writer.write_bytes(b"http://ca.example.test/g1.crt");
                place.next().write_tagged_implicit(yasna::Tag::context(6), url);
            });
        });
    });
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// As large as the timestamps of two logs, which nothing here reads.
fn transparency() -> CustomExtension {
    let content = yasna::construct_der(|writer| writer.write_bytes(&[0x5a; 242]));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], content)
}

fn valid(params: &mut CertificateParams, (from, until): (Timestamp, Timestamp)) {
    let since_1970 = |at: Timestamp| at.since(Timestamp::default());
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(from);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(until);
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);
