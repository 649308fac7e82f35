//! Revocation lists for the tests of this room, right and wrong in every part.

use rcgen::SigningKey as _;
use yasna::models::ObjectIdentifier;
use yasna::tags::TAG_GENERALIZEDTIME;
use yasna::{DERWriter, DERWriterSeq};

use super::test_ca::{Ca, NOW};
use crate::core::time::Timestamp;

/// An extension: OID, whether it is critical, and its value.
pub(super) type Extension = (&'static [u64], bool, Vec<u8>);

/// An entry: serial number (a whole INTEGER's content), seconds from now, and extensions.
pub(super) type Revoked = (Vec<u8>, i64, Vec<Extension>);

/// A list before it is signed. Instants are seconds from [`NOW`].
pub(super) struct List {
    pub(super) version: Option<u8>,
    pub(super) from: i64,
    pub(super) until: Option<i64>,
    pub(super) revoked: Vec<Revoked>,
    pub(super) extensions: Vec<Extension>,
}

impl Default for List {
    fn default() -> Self {
        let extensions = vec![(CRL_NUMBER, false, vec![2, 1, 7])];
        Self { version: Some(1), from: -3600, until: Some(86_400), revoked: Vec::new(), extensions }
    }
}

impl List {
    /// A list that has an entry for `certificate`, with this reason.
    pub(super) fn revoking(certificate: &super::certificate::Certificate, reason: Option<u8>) -> Self {
        let serial = certificate.parsed().unwrap().raw_serial().to_vec();
        let reason = reason.map(|code| (REASON, false, vec![10, 1, code]));
        Self { revoked: vec![(vec![3], -90, vec![]), (serial, -60, Vec::from_iter(reason))], ..Self::default() }
    }

    pub(super) fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Signed by the CA whose name it bears.
    pub(super) fn by(&self, ca: &Ca) -> Vec<u8> {
        self.by_key_of(ca, ca)
    }

    /// Signed by another one's key.
    pub(super) fn by_key_of(&self, named: &Ca, signer: &Ca) -> Vec<u8> {
        let name = named.certificate.parsed().unwrap().subject().as_raw().to_vec();
        let content = yasna::construct_der(|writer| writer.write_sequence(|parts| self.write(parts, &name)));
        let signature = signer.key.sign(&content).unwrap();
        yasna::construct_der(|writer| {
            writer.write_sequence(|parts| {
                parts.next().write_der(&content);
                algorithm(parts.next());
                parts.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        })
    }

    fn write(&self, parts: &mut DERWriterSeq<'_>, name: &[u8]) {
        if let Some(version) = self.version {
            parts.next().write_u8(version);
        }
        algorithm(parts.next());
        parts.next().write_der(name);
        instant(parts.next(), self.from);
        if let Some(until) = self.until {
            instant(parts.next(), until);
        }
        if !self.revoked.is_empty() {
            parts.next().write_sequence(|entries| self.revoked.iter().for_each(|one| entry(entries.next(), one)));
        }
        if !self.extensions.is_empty() {
            parts.next().write_tagged(yasna::Tag::context(0), |writer| extensions(writer, &self.extensions));
        }
    }
}

fn entry(writer: DERWriter<'_>, (serial, at, more): &Revoked) {
    writer.write_sequence(|parts| {
        parts.next().write_tagged_implicit(yasna::tags::TAG_INTEGER, |writer| writer.write_bytes(serial));
        instant(parts.next(), *at);
        if !more.is_empty() {
            extensions(parts.next(), more);
        }
    });
}

fn extensions(writer: DERWriter<'_>, all: &[Extension]) {
    writer.write_sequence(|parts| {
        for (oid, critical, value) in all {
            parts.next().write_sequence(|parts| {
                parts.next().write_oid(&ObjectIdentifier::from_slice(oid));
                if *critical {
                    parts.next().write_bool(true);
                }
                parts.next().write_bytes(value);
            });
        }
    });
}

/// ecdsa-with-SHA256.
pub(super) fn algorithm(writer: DERWriter<'_>) {
    writer.write_sequence(|parts| {
        parts.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 10045, 4, 3, 2]));
    });
}

pub(super) fn instant(writer: DERWriter<'_>, from_now: i64) {
    let at = Timestamp::from_seconds(NOW.seconds().saturating_add(from_now)).to_string();
    let at = if from_now == NEVER { "never".to_owned() } else { at };
    let digits: String = at.chars().filter(|c| !matches!(c, '-' | ':' | 'T')).collect();
    writer.write_tagged_implicit(TAG_GENERALIZEDTIME, |writer| writer.write_bytes(digits.as_bytes()));
}

/// What is no instant.
pub(super) const NEVER: i64 = i64::MIN;
const CRL_NUMBER: &[u64] = &[2, 5, 29, 20];
pub(super) const REASON: &[u64] = &[2, 5, 29, 21];
