//! The certification authorities of the simulator: root and intermediate for issuing, a foreign pair, and the TLS root.
//! One set a process; their keys never leave it.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SigningKey as _, date_time_ymd,
};
use x509_parser::parse_x509_certificate;

use super::{certificate, clock};

/// A root and the intermediate that issues.
pub struct Authority {
    pub root: CaCertificate,
    pub intermediate: CaCertificate,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Certificates of the issuing CA with other ends, by these.
    others: Mutex<BTreeMap<i64, &'static CaCertificate>>,
    key: KeyPair,
    is_rsa: bool,
    /// The name as it stands in issued certificates.
    pub name: Vec<u8>,
    pub key_identifier: Vec<u8>,
    /// The end of the intermediate, in seconds since 1970.
    pub not_after: i64,
}

/// A CA certificate as the API shows it.
pub struct CaCertificate {
    pub common_name: &'static str,
    pub der: Vec<u8>,
    pub pem: String,
    pub subject_dn: String,
    pub serial_decimal: String,
    pub serial_hex: String,
}

impl Authority {
    /// The authority with ECDSA keys.
    pub fn ecdsa() -> &'static Self {
        static CELL: OnceLock<Authority> = OnceLock::new();
        CELL.get_or_init(|| Self::new("Simulated Root CA", "Simulated Issuing CA", false))
    }

    /// The authority with RSA keys of 2048 bits.
    pub fn rsa() -> &'static Self {
        static CELL: OnceLock<Authority> = OnceLock::new();
        CELL.get_or_init(|| Self::new("Simulated RSA Root CA", "Simulated RSA Issuing CA", true))
    }

    /// An authority that has nothing to do with the others.
    pub fn foreign() -> &'static Self {
        static CELL: OnceLock<Authority> = OnceLock::new();
        CELL.get_or_init(|| Self::new("Foreign Root CA", "Foreign Issuing CA", false))
    }

    fn new(root_name: &'static str, intermediate_name: &'static str, is_rsa: bool) -> Self {
        let root_params = ca_params(root_name, 20);
        let root = CertifiedIssuer::self_signed(root_params, key_pair(is_rsa)).unwrap();
        let params = ca_params(intermediate_name, 10);
        let key = key_pair(is_rsa);
        let key_identifier = params.key_identifier(&key);
        let der = params.signed_by(&key, &root).unwrap().der().to_vec();
        let (_, parsed) = parse_x509_certificate(&der).unwrap();
        Self {
            name: parsed.subject().as_raw().to_vec(),
            not_after: parsed.validity().not_after.timestamp(),
            root: CaCertificate::new(root_name, root.der().to_vec()),
            intermediate: CaCertificate::new(intermediate_name, der.clone()),
            issuer: root,
            others: Mutex::default(),
            key,
            is_rsa,
            key_identifier,
        }
    }

    /// The certificate of the issuing CA, with its name and key, that ends at this instant; `None`: the usual one.
    pub fn intermediate_until(&'static self, not_after: Option<i64>) -> &'static CaCertificate {
        let Some(not_after) = not_after else { return &self.intermediate };
        let mut others = self.others.lock().unwrap();
        others.entry(not_after).or_insert_with(|| {
            let name = self.intermediate.common_name;
            let mut params = ca_params(name, 10);
            params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(not_after.cast_unsigned());
            let der = params.signed_by(&self.key, &self.issuer).unwrap().der().to_vec();
            Box::leak(Box::new(CaCertificate::new(name, der)))
        })
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).unwrap()
    }

    /// The AlgorithmIdentifier of its signatures.
    pub fn signature_algorithm(&self) -> Vec<u8> {
        certificate::signature_algorithm(self.is_rsa)
    }
}

impl CaCertificate {
    fn new(common_name: &'static str, der: Vec<u8>) -> Self {
        let (_, parsed) = parse_x509_certificate(&der).unwrap();
        let subject_dn = parsed.subject().to_string();
        let serial_decimal = parsed.tbs_certificate.serial.to_string();
        let serial_hex = parsed.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect();
        let pem = certificate::pem(&der);
        Self { common_name, der, pem, subject_dn, serial_decimal, serial_hex }
    }
}

/// The CA of the server's own certificate and of the clients' certificates.
pub struct TlsAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TlsAuthority {
    pub fn shared() -> &'static Self {
        static CELL: OnceLock<TlsAuthority> = OnceLock::new();
        CELL.get_or_init(|| {
            let params = ca_params("Simulated TLS Root", 10);
            Self { issuer: CertifiedIssuer::self_signed(params, key_pair(false)).unwrap() }
        })
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// A certificate for `localhost` and the loopback addresses, and its key (PKCS#8).
    pub fn server(&self) -> (Vec<u8>, Vec<u8>) {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let (certificate, key) = self.sign(&names, ExtendedKeyUsagePurpose::ServerAuth, None);
        (certificate.der().to_vec(), key.serialize_der())
    }

    /// A certificate for a client with its key, as one PEM text.
    pub fn client(&self) -> String {
        self.client_until(None)
    }

    /// The same, with this end (year, month, day).
    pub fn client_until(&self, not_after: Option<(i32, u8, u8)>) -> String {
        let (certificate, key) = self.sign(&[], ExtendedKeyUsagePurpose::ClientAuth, not_after);
        format!("{}{}", certificate.pem(), key.serialize_pem())
    }

    fn sign(
        &self,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        not_after: Option<(i32, u8, u8)>,
    ) -> (rcgen::Certificate, KeyPair) {
        let key = key_pair(false);
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Simulated Trust Lifecycle Manager");
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![usage];
        if let Some((year, month, day)) = not_after {
            params.not_after = date_time_ymd(year, month, day);
        }
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

fn key_pair(is_rsa: bool) -> KeyPair {
    let key = if is_rsa {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
    } else {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
    };
    key.unwrap()
}

fn ca_params(common_name: &str, years: i32) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let this_year = clock::year();
    params.not_before = date_time_ymd(this_year - 3, 1, 1);
    params.not_after = date_time_ymd(this_year + years, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, "Simulated Trust AG");
    params.distinguished_name.push(DnType::CountryName, "CH");
    params
}
