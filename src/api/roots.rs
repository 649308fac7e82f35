//! The roots of `ca_file`: each certificate by its number, so that one odd root does not stop everything without a word of
//! which it is.

use crate::pki::certificate::Certificate;
use crate::pki::pem::{self, Part};

/// What a file of roots holds.
#[derive(Debug, Default)]
pub struct ReadRoots {
    /// The certificates that can be trusted, as DER.
    pub ders: Vec<Vec<u8>>,
    /// Those that cannot be read or cannot be trust anchors, by their numbers, and why.
    pub passed_over: Vec<String>,
}

/// Reads PEM. Whatever stands outside of the armour, in whatever encoding, is no concern. What is expired, or of version 1,
/// is a root like any other.
///
/// # Errors
///
/// When none can be trusted.
pub fn read(text: &[u8]) -> Result<ReadRoots, String> {
    let text = String::from_utf8_lossy(text);
    let blocks = certificates(&text);
    let mut roots = ReadRoots::default();
    for (at, block) in blocks.iter().enumerate() {
        let number = format!("certificate {} of {}", at + 1, blocks.len());
        match anchor(block) {
            Ok(der) => roots.ders.push(der),
            Err(why) => roots.passed_over.push(format!("{number}{why}")),
        }
    }
    match (roots.ders.as_slice(), roots.passed_over.as_slice()) {
        ([], []) => Err("there is no PEM certificate in it".to_owned()),
        ([], odd) => Err(odd.join("; ")),
        _ => Ok(roots),
    }
}

/// The text of each certificate, from its own BEGIN line up to the next one, so that one that is cut off does not swallow
/// another.
fn certificates(text: &str) -> Vec<&str> {
    let starts = text.match_indices(BEGIN).map(|(at, _)| at);
    let ends = starts.clone().skip(1).chain([text.len()]);
    let blocks = starts.zip(ends).filter_map(|(start, end)| text.get(start..end));
    let labelled =
        |block: &&str| LABELS.iter().any(|label| block.get(BEGIN.len()..).is_some_and(|rest| rest.starts_with(label)));
    blocks.filter(labelled).collect()
}

/// The DER of a trust anchor; else what it is and why it is none, in words that follow its number.
fn anchor(block: &str) -> Result<Vec<u8>, String> {
    let told = |error: &dyn std::fmt::Display| format!(": {error}");
    let parts = pem::parts(block).map_err(|error| told(&error))?;
    let body = parts.iter().find_map(body).unwrap_or_default();
    let der = pem::decode(body).map_err(|error| told(&error))?;
    match (webpki::anchor_from_trusted_cert(&der.as_slice().into()), Certificate::from_der(&der)) {
        (Ok(_), _) => Ok(der.to_vec()),
        (Err(error), Ok(odd)) => Err(format!(", {}, is not a trust anchor: {error}", odd.label())),
        (Err(_), Err(error)) => Err(told(&error)),
    }
}

fn body<'t>(part: &Part<'t>) -> Option<&'t str> {
    match part {
        Part::Block(block) => Some(block.body),
        Part::Text(_) => None,
    }
}

const BEGIN: &str = "-----BEGIN ";
const LABELS: [&str; 2] = ["CERTIFICATE-----", "X509 CERTIFICATE-----"];

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
        assert!(odd.starts_with("certificate 2 of 2, \"Odd\", is not a trust anchor: "), "{odd}");
    }

    #[test]
    fn a_broken_block_is_passed_over_by_its_number() {
        let good = root("One", |_| {});
        for (broken, why) in [
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", ""),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "its content is not valid base64"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", "a PEM block is cut off: its END line is missing"),
            ("-----BEGIN X509 CERTIFICATE-----\n", "a PEM block is cut off: its END line is missing"),
        ] {
            for (text, number) in [(format!("{broken}{good}"), 1), (format!("{good}{broken}"), 2)] {
                let roots = read(text.as_bytes()).unwrap();
                let [odd] = roots.passed_over.as_slice() else { panic!("{roots:?}") };
                assert!(odd.starts_with(&format!("certificate {number} of 2: {why}")), "{odd}");
                assert_eq!(roots.ders.len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_root_is_refused_with_its_place() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let why = read(text.as_bytes()).unwrap_err();
            assert!(why.starts_with(expected), "{why}");
        }
        check("", "there is no PEM certificate in it");
        check("-----BEGIN CERTIFICATE-----\nMIIB\n", "certificate 1 of 1: a PEM block is cut off");
        let odd_and_broken = format!("{}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", odd());
        check(&odd_and_broken, "certificate 1 of 2, \"Odd\", is not a trust anchor: ");
        check(&odd(), "certificate 1 of 1, \"Odd\", is not a trust anchor: ");
    }
}
