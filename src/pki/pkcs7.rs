//! PKCS#7 files that carry certificates alone: SignedData without signers (RFC 2315 section 9.1), written and read.

use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

use super::certificate::Certificate;
use super::der::{Der, INTEGER, OID, SEQUENCE, SET};
use super::pem;

/// The certificates as PEM with the label PKCS7, in their order: readers take the first for the leaf.
pub fn certificates_only<'c>(certificates: impl IntoIterator<Item = &'c Certificate>) -> String {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|info| {
            info.next().write_oid(&ObjectIdentifier::from_slice(SIGNED_DATA));
            info.next().write_tagged(Tag::context(0), |content| write_signed_data(content, certificates));
        });
    });
    std::mem::take(&mut *pem::armour("PKCS7", &content))
}

fn write_signed_data<'c>(writer: DERWriter<'_>, certificates: impl IntoIterator<Item = &'c Certificate>) {
    writer.write_sequence(|signed| {
        signed.next().write_u8(1);
        signed.next().write_set(|_digest_algorithms| {});
        signed.next().write_sequence(|info| info.next().write_oid(&ObjectIdentifier::from_slice(DATA)));
        // A set, written in the order of the chain as everybody does, not in that of DER.
        signed.next().write_tagged_implicit(Tag::context(0), |set| {
            set.write_sequence(|set| {
                certificates.into_iter().for_each(|certificate| set.next().write_der(certificate.der()));
            });
        });
        signed.next().write_set(|_signers| {});
    });
}

/// The DER of each certificate in the DER of SignedData, in the order of the file; `None` where it is none.
#[must_use]
pub fn certificates(der: &[u8]) -> Option<Vec<&[u8]>> {
    let mut info = Der(der).sequence()?;
    info.expect(OID).filter(|oid| *oid == SIGNED_DATA_DER)?;
    let mut signed = Der(info.expect(CONTEXT_0)?).sequence()?;
    signed.expect(INTEGER)?;
    signed.expect(SET)?;
    signed.expect(SEQUENCE)?;
    let set = Der(signed.expect(CONTEXT_0)?);
    Some(set.filter(|element| element.tag == SEQUENCE).map(|element| element.whole).collect())
}

const CONTEXT_0: u8 = 0xa0;
const SIGNED_DATA_DER: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];

#[cfg(test)]
mod tests {
    use super::super::key::PrivateKey;
    use super::super::openssl::{file, openssl};
    use super::super::test_ca::{Ca, leaf_params};
    use super::*;
    use crate::core::wanted::key::KeyType;

    #[test]
    fn what_was_written_is_read() {
        let root = Ca::root("Root");
        let issuing = root.below("Issuing");
        let chain = [&issuing.certificate, &root.certificate];
        let text = certificates_only(chain);
        let found = super::super::certificate_file::read(text.as_bytes()).unwrap();
        let expected: Vec<_> = chain.iter().map(|certificate| certificate.der().to_vec()).collect();
        assert_eq!(found.found, expected);
        assert_eq!(certificates(issuing.certificate.der()), None);
        assert_eq!(certificates(b""), None);
    }

    #[test]
    fn openssl_finds_every_certificate_in_the_order_of_the_chain() {
        let root = Ca::root("Root");
        let issuing = root.below("Issuing");
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let leaf = issuing.leaf(&key, &leaf_params(&["www.example.com"]));
        let chain = [&leaf, &issuing.certificate, &root.certificate];
        let text = certificates_only(chain);
        let (_folder, path) = file("fullchain.p7b", text.as_bytes());
        let printed = openssl(&["pkcs7", "-print_certs", "-in", path.to_str().unwrap()], "");
        let found = super::super::certificate::certificates_in_file(&printed).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), chain);
    }
}
