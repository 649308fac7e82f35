//! What counts as the certificates of a file, in whatever form it was written.

use super::super::openssl::{file, openssl};
use super::*;
use crate::pki::leaf;
use crate::pki::pem::armour;
use crate::pki::test_ca::Ca;

/// The text of a file that makes two certificates to one.
type Make = fn(&str, &str, &[u8]) -> Vec<u8>;

#[track_caller]
fn check(make: Make, count: Result<usize, &str>, doubt: Option<&str>) {
    let root = Ca::root("Root");
    let leaf = root.below("Leaf").certificate;
    let read = read(&make(&leaf.to_pem(), &root.certificate.to_pem(), leaf.der()));
    let told = read.as_ref().map(|file| file.found.len()).map_err(ToString::to_string);
    assert_eq!(told, count.map_err(str::to_owned));
    let Ok(file) = read else { return };
    assert_eq!((file.found[0].as_slice(), file.doubt.map(|why| why.to_string()).as_deref()), (leaf.der(), doubt));
}

#[test]
fn what_openssl_loads_is_read_without_a_doubt() {
    check(|leaf, ca, _| format!("{leaf}{ca}").into(), Ok(2), None);
    check(
        |leaf, ca, _| [b"friendlyName: Z\xfcrich\n", leaf.as_bytes(), b"\xfc\n", ca.as_bytes()].concat(),
        Ok(2),
        None,
    );
    check(|leaf, _, _| leaf.replace(" CERT", " X509 CERT").into(), Ok(1), None);
    check(|leaf, _, _| leaf.replace(" CERT", " TRUSTED CERT").into(), Ok(1), None);
    check(|_, _, der| armour("TRUSTED CERTIFICATE", &[der, b"\x30\0"].concat()).as_bytes().to_vec(), Ok(1), None);
    check(|leaf, ca, _| format!("{leaf}{}", ca.replace(" CERT", " TRUSTED CERT")).into(), Ok(1), None);
    check(|leaf, ca, _| format!("{}{leaf}{ca}", *armour("PRIVATE KEY", b"x")).into(), Ok(2), None);
    check(|leaf, ca, _| [leaf.as_bytes(), b"\0\n", ca.as_bytes()].concat(), Ok(1), None);
    check(|leaf, ca, _| format!("{}{ca}", leaf.replace("-----END CERTIFICATE-----\n", "")).into(), Ok(1), None);
    check(|leaf, ca, _| format!("{leaf}{}", ca.replace("-BEGIN", "-BEGXN")).into(), Ok(1), None);
}

#[test]
fn as_many_are_read_as_there_are() {
    check(|leaf, ca, _| format!("{leaf}{}", ca.repeat(300)).into(), Ok(301), None);
    check(|leaf, ca, _| format!("{}{leaf}{ca}", "x".repeat(254)).into(), Ok(2), None);
}

/// With indefinite lengths around the signed part and in it, or one of both.
#[test]
fn what_is_in_ber_is_read_as_openssl_does() {
    let leaf = Ca::root("Root").below("Leaf").certificate;
    let unended = |content: &[u8]| [b"\x30\x80", content, b"\0\0"].concat();
    let whole = Der(leaf.der()).next().unwrap();
    let mut parts = Der(whole.content);
    let signed = unended(parts.next().unwrap().content);
    let of = |der: &[u8]| read(armour("CERTIFICATE", der).as_bytes()).unwrap();
    assert_eq!(of(&unended(whole.content)), CertificateFile { found: vec![leaf.der().to_vec()], doubt: None });
    let inner = of(&unended(&[signed.as_slice(), parts.0].concat()));
    let text = armour("CERTIFICATE", &inner.found[0]);
    let (_folder, path) = file("leaf.pem", text.as_bytes());
    assert!(openssl(&["x509", "-noout", "-subject", "-in", path.to_str().unwrap()], "").contains("Leaf"));
    let (found, sound) = (leaf::in_service(&inner.found[0]).unwrap(), leaf::in_service(leaf.der()).unwrap());
    assert_eq!((inner.doubt, found.doubt), (None, Some(CertificateError::Ber)));
    assert_eq!((found.leaf.not_after, found.spki), (sound.leaf.not_after, sound.spki));
}

#[test]
fn what_openssl_refuses_is_told() {
    let empty = Some("it has no PEM block of a certificate on lines of its own");
    let damaged = Some("the certificate is damaged");
    check(|leaf, _, _| leaf.replace('\n', "\r").into(), Ok(1), empty);
    check(|leaf, _, _| leaf.replace('\n', "").into(), Ok(1), empty);
    check(|leaf, _, _| format!(" {leaf}").into(), Ok(1), empty);
    check(|leaf, _, _| format!("\0\n{leaf}").into(), Ok(1), empty);
    check(|leaf, _, _| format!("{leaf}-----BEGIN X-----\n!\n-----END X-----\n").into(), Ok(1), damaged);
    check(|leaf, _, _| leaf.replace("\n-----END", "\n\n-----END").into(), Ok(1), damaged);
    check(
        |leaf, _, _| leaf.replacen('\n', "\nComment: x\n\n", 1).into(),
        Ok(1),
        Some("there are headers within the armour of the certificate"),
    );
    let trailing = Some("there are more bytes after the certificate");
    check(|_, _, der| armour("CERTIFICATE", &[der, b"\0"].concat()).as_bytes().to_vec(), Ok(1), trailing);
    check(|_, _, der| der.to_vec(), Ok(1), empty);
}

#[test]
fn what_no_server_loads_is_an_error() {
    let not = Err("what came does not parse as an X.509 certificate");
    check(|_, _, _| Vec::new(), Err("the certificate is empty"), None);
    check(|_, _, _| b"\0\xff\x30\x82".to_vec(), Err("the certificate is empty"), None);
    check(|leaf, ca, _| format!("{leaf}{}", &ca[..200]).into(), Err("the certificate is damaged"), None);
    check(
        |leaf, ca, _| format!("{leaf}{}", ca.replacen("MII", "M!I", 1)).into(),
        Err("the certificate is damaged"),
        None,
    );
    check(|leaf, _, _| format!("{leaf}{}", *armour("CERTIFICATE", b"\x30\x01\0")).into(), not, None);
    check(|_, _, der| armour("CERTIFICATE", &der[..der.len() - 1]).as_bytes().to_vec(), not, None);
    check(|leaf, _, _| leaf.replace("CERTIFICATE", "PUBLIC KEY").into(), Err("the certificate is empty"), None);
}

#[test]
fn the_first_alone_is_read_where_that_is_enough() {
    let root = Ca::root("Root");
    let leaf = root.below("Leaf").certificate;
    let text = format!("{}{}", leaf.to_pem(), &root.certificate.to_pem()[..100]);
    assert_eq!(first(text.as_bytes()).as_deref(), Ok(leaf.der()));
    assert_eq!(first(b""), Err(CertificateError::Empty));
}
