//! The roots of `ca_file`: each certificate by its number, so that one odd root does not stop everything without a word of
//! which it is.

use crate::pki::certificate::Certificate;
use crate::pki::pem::{self, Block, Part};

/// What a file of roots holds.
#[derive(Debug, Default)]
pub struct ReadRoots {
    /// The certificates that can be trusted, as DER.
    pub ders: Vec<Vec<u8>>,
    /// Those that are certificates and cannot be trust anchors, and why.
    pub passed_over: Vec<String>,
}

/// Reads PEM. Whatever stands outside of the armour, in whatever encoding, is no concern. What is expired, or of version 1,
/// is a root like any other.
///
/// # Errors
///
/// When a certificate cannot be read, with its number, or none can be trusted.
pub fn read(text: &[u8]) -> Result<ReadRoots, String> {
    let text = String::from_utf8_lossy(text);
    let parts = pem::parts(&text).map_err(|error| error.to_string())?;
    let blocks: Vec<&Block<'_>> = parts.iter().filter_map(certificate).collect();
    let mut roots = ReadRoots::default();
    for (at, block) in blocks.iter().enumerate() {
        let number = format!("certificate {} of {}", at + 1, blocks.len());
        let der = pem::decode(block.body).map_err(|error| format!("{number}: {error}"))?;
        match (webpki::anchor_from_trusted_cert(&der.as_slice().into()), Certificate::from_der(&der)) {
            (Ok(_), _) => roots.ders.push(der.to_vec()),
            (Err(error), Ok(odd)) => {
                roots.passed_over.push(format!("{number}, {}, is no trust anchor: {error}", odd.label()))
            }
            (Err(_), Err(error)) => return Err(format!("{number}: {error}")),
        }
    }
    match (roots.ders.as_slice(), roots.passed_over.as_slice()) {
        ([], []) => Err("there is no PEM certificate in it".to_owned()),
        ([], odd) => Err(odd.join("; ")),
        _ => Ok(roots),
    }
}

fn certificate<'p, 't>(part: &'p Part<'t>) -> Option<&'p Block<'t>> {
    match part {
        Part::Block(block) if ["CERTIFICATE", "X509 CERTIFICATE"].contains(&block.label) => Some(block),
        Part::Block(_) | Part::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn root(name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    /// With one extension twice, as no trust anchor may have.
    fn odd() -> String {
        root("Odd", |params| {
            let extension = || CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 0]);
            params.custom_extensions.extend([extension(), extension()]);
        })
    }

    #[test]
    fn good_roots_are_taken_whatever_stands_around_them() {
        let (one, old) = (root("One", |_| {}), root("Old", |params| params.not_after = date_time_ymd(2001, 1, 1)));
        let mut text = b"Subject: CN=Z\xfcrich\n".to_vec();
        text.extend(
            [one.as_bytes(), b"\n# another\n", old.replace(" CERTIFICATE", " X509 CERTIFICATE").as_bytes()].concat(),
        );
        let roots = read(&text).unwrap();
        assert_eq!((roots.ders.len(), roots.passed_over.len()), (2, 0));
    }

    #[test]
    fn an_odd_root_is_passed_over_by_its_number() {
        let roots = read(format!("{}{}", root("One", |_| {}), odd()).as_bytes()).unwrap();
        assert_eq!(roots.ders.len(), 1);
        let [odd] = roots.passed_over.as_slice() else { panic!("{roots:?}") };
        assert!(odd.starts_with("certificate 2 of 2, \"Odd\", is no trust anchor: "), "{odd}");
    }

    #[test]
    fn what_is_no_root_is_refused_with_its_place() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let why = read(text.as_bytes()).unwrap_err();
            assert!(why.starts_with(expected), "{why}");
        }
        let good = root("One", |_| {});
        check("", "there is no PEM certificate in it");
        check("-----BEGIN CERTIFICATE-----\nMIIB\n", "a PEM block is cut off");
        check(&format!("{good}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), "certificate 2 of 2: ");
        check(&format!("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n{good}"), "certificate 1 of 2: ");
        check(&odd(), "certificate 1 of 1, \"Odd\", is no trust anchor: ");
    }
}
