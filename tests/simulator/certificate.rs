//! Writes and signs end-entity certificates byte by byte, so that several values of one attribute, leading zeros of a
//! serial number and every defect are possible; and wraps certificates as PEM and PKCS#7.

use std::net::IpAddr;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ca::Authority;
use super::der;

/// An extended key usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    ServerAuth,
    ClientAuth,
    EmailProtection,
}

impl Usage {
    const fn oid(self) -> &'static [u64] {
        match self {
            Self::ServerAuth => &[1, 3, 6, 1, 5, 5, 7, 3, 1],
            Self::ClientAuth => &[1, 3, 6, 1, 5, 5, 7, 3, 2],
            Self::EmailProtection => &[1, 3, 6, 1, 5, 5, 7, 3, 4],
        }
    }
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    Dns(String),
    Ip(IpAddr),
    Email(String),
    Uri(String),
    UserPrincipal(String),
    /// In dotted form, as is the type of [`Self::Other`].
    RegisteredId(String),
    /// `CN=host,O=Example`: what stands first in the text stands last in the name. No value has a comma.
    Directory(String),
    Guid(String),
    /// A type, and its value as UTF-8.
    Other(String, String),
}

impl AltName {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => der::tlv(0x81, text.as_bytes()),
            Self::Dns(text) => der::tlv(0x82, text.as_bytes()),
            Self::Uri(text) => der::tlv(0x86, text.as_bytes()),
            Self::Ip(IpAddr::V4(address)) => der::tlv(0x87, &address.octets()),
            Self::Ip(IpAddr::V6(address)) => der::tlv(0x87, &address.octets()),
            Self::RegisteredId(id) => der::tlv(0x88, &dotted(id)[2..]),
            Self::Directory(text) => der::tagged(4, &directory_name(text)),
            Self::UserPrincipal(name) => other_name("1.3.6.1.4.1.311.20.2.3", &der::utf8(name)),
            Self::Guid(guid) => other_name("1.3.6.1.4.1.311.25.1", &der::octet_string(&guid_bytes(guid))),
            Self::Other(oid, value) => other_name(oid, &der::utf8(value)),
        }
    }

    /// Whether a signing request can carry it: the encoding of the others is the profile's.
    pub fn is_in_requests(&self) -> bool {
        !matches!(self, Self::Guid(_) | Self::Other(..))
    }
}

fn dotted(oid: &str) -> Vec<u8> {
    der::oid(&oid.split('.').map(|arc| arc.parse().unwrap()).collect::<Vec<_>>())
}

fn other_name(oid: &str, value: &[u8]) -> Vec<u8> {
    der::tagged(0, &[dotted(oid), der::tagged(0, value)].concat())
}

/// Microsoft's order.
fn guid_bytes(guid: &str) -> Vec<u8> {
    let digits: Vec<u8> = guid.bytes().filter(u8::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> =
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect();
    [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(|at: usize| bytes[at]).to_vec()
}

fn directory_name(text: &str) -> Vec<u8> {
    let part = |part: &str| {
        let (kind, value) = part.split_once('=').unwrap();
        let oid = match kind.trim() {
            "CN" => "2.5.4.3",
            "O" => "2.5.4.10",
            "OU" => "2.5.4.11",
            other => other,
        };
        der::set(&[der::sequence(&[dotted(oid), der::utf8(value.trim())])])
    };
    der::sequence(&text.rsplit(',').map(part).collect::<Vec<_>>())
}

/// What is to be signed.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub serial: Vec<u8>,
    /// The Name in DER.
    pub subject: Vec<u8>,
    /// The SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
    /// Seconds since 1970, as is the end.
    pub not_before: i64,
    pub not_after: i64,
    pub names: Vec<AltName>,
    pub usages: Vec<Usage>,
}

/// The certificate in DER.
pub fn sign(leaf: &Leaf, authority: &Authority) -> Vec<u8> {
    let algorithm = authority.signature_algorithm();
    let body = der::sequence(&[
        der::tagged(0, &der::integer(&[2])),
        der::integer(&leaf.serial),
        algorithm.clone(),
        authority.name.clone(),
        der::sequence(&[der::time(leaf.not_before), der::time(leaf.not_after)]),
        leaf.subject.clone(),
        leaf.spki.clone(),
        der::tagged(3, &der::sequence(&extensions(leaf, authority))),
    ]);
    let signature = authority.sign(&body);
    der::sequence(&[body, algorithm, der::bit_string(&signature)])
}

fn extensions(leaf: &Leaf, authority: &Authority) -> Vec<Vec<u8>> {
    let hash = digest::digest(&digest::SHA256, &leaf.spki);
    let authority_key = der::sequence(&[der::tlv(0x80, &authority.key_identifier)]);
    let mut list = vec![
        extension(&[2, 5, 29, 19], true, &der::sequence(&[])),
        // digitalSignature and keyEncipherment.
        extension(&[2, 5, 29, 15], true, &der::tlv(0x03, &[5, 0xa0])),
        extension(&[2, 5, 29, 14], false, &der::octet_string(&hash.as_ref()[..20])),
        extension(&[2, 5, 29, 35], false, &authority_key),
    ];
    if !leaf.usages.is_empty() {
        let oids: Vec<_> = leaf.usages.iter().map(|usage| der::oid(usage.oid())).collect();
        list.push(extension(&[2, 5, 29, 37], false, &der::sequence(&oids)));
    }
    if !leaf.names.is_empty() {
        let names: Vec<_> = leaf.names.iter().map(AltName::encode).collect();
        list.push(extension(&[2, 5, 29, 17], false, &der::sequence(&names)));
    }
    list
}

fn extension(oid: &[u64], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical { der::boolean(true) } else { Vec::new() };
    der::sequence(&[der::oid(oid), flag, der::octet_string(value)])
}

/// The AlgorithmIdentifier of RSA or ECDSA with SHA-256.
pub fn signature_algorithm(is_rsa: bool) -> Vec<u8> {
    if is_rsa {
        der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 1, 11]), der::null()])
    } else {
        der::sequence(&[der::oid(&[1, 2, 840, 10_045, 4, 3, 2])])
    }
}

/// A serial number of 128 bits; one in eight begins with a zero digit.
pub fn random_serial() -> Vec<u8> {
    let mut bytes = random::<16>().to_vec();
    // A first byte below 0x10 is a leading zero digit; zero itself would be a byte less.
    bytes[0] = (bytes[0] & 0x7f).max(1);
    bytes
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes).unwrap();
    bytes
}

/// A random UUID, version 4.
pub fn uuid() -> String {
    let mut bytes = random::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = hex_lower(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub fn hex_lower(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Upper-case hex, as the API writes serial numbers and thumbprints.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The SHA-256 of the certificate.
pub fn thumbprint(der: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, der).as_ref())
}

pub fn base64(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// PEM with lines of 64 letters and plain newlines.
pub fn pem(der: &[u8]) -> String {
    armour("CERTIFICATE", der)
}

/// A degenerate SignedData (RFC 5652) that carries the certificates, as PEM.
pub fn pkcs7(certificates: &[&[u8]]) -> String {
    let content = der::sequence(&[
        der::integer(&[1]),
        der::set(&[]),
        der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 7, 1])]),
        der::tagged(0, &certificates.concat()),
        der::set(&[]),
    ]);
    let info = der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 7, 2]), der::tagged(0, &content)]);
    armour("PKCS7", &info)
}

fn armour(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}
