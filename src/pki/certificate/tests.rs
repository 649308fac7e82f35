//! Every spelling of a certificate that TLM and files use, and no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::pki::test_ca::Ca;

fn pair() -> [Certificate; 2] {
    let root = Ca::root("Root");
    [root.below("Issuing").certificate, root.certificate]
}

#[track_caller]
fn check(text: &str, expected: &[Certificate]) {
    assert_eq!(certificates(text).as_deref(), Ok(expected), "{text:?}");
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let shown = |error: CertificateError| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    assert_eq!(certificates(text).map_err(shown), Err(expected.to_owned()));
}

#[test]
fn every_spelling_is_read() {
    let both = pair();
    let [one, other] = both.each_ref().map(Certificate::to_pem);
    let first = &both[..1];
    check(&one, first);
    check(&format!("\u{feff}\r\n {one}\n\n"), first);
    check(&one.replace('\n', "\r\n"), first);
    check(&one.replace('\n', ""), first);
    check(&one.replace('\n', " "), first);
    check(&format!("{one}{other}"), &both);
    check(&format!("{one}\n\n{other}").replace('\n', ""), &both);
    let bare = STANDARD.encode(both[0].der());
    check(&bare, first);
    check(&format!("{bare}\n"), first);
    let (start, end) = bare.split_at(64);
    check(&format!("{start}\r\n{end}\r\n"), first);
}

#[test]
fn what_is_no_certificate_is_refused() {
    let [one, _] = pair();
    let pem = one.to_pem();
    refused("", "the certificate is empty");
    refused(" \r\n", "the certificate is empty");
    refused("<!DOCTYPE html><html>", "an HTML page came where a certificate was expected");
    refused(&format!("<p>{pem}</p>"), "an HTML page came where a certificate was expected");
    refused(&format!("{pem}and more"), "there is other text around the certificate: \"and more\"");
    refused(&format!("so: {pem}"), "there is other text around the certificate: \"so:\"");
    refused(&format!("{pem}{pem}x"), "there is other text around the certificate: \"x\"");
    refused(&pem.replace("CERTIFICATE", "PKCS7"), "a PEM block \"PKCS7\" came where a certificate was expected");
    let cut = "the certificate is damaged: a PEM block is cut off: its END line is missing";
    refused(pem.get(..pem.len() - 10).unwrap(), cut);
    refused(pem.get(..pem.len() / 2).unwrap(), cut);
    let base64 = "the certificate is damaged: its content is not valid base64";
    refused("not base64!", base64);
    refused("-----END CERTIFICATE-----", "there is other text around the certificate: \"-----END CERTIFICATE-----\"");
    refused("AAAA", "what came does not parse as an X.509 certificate");
    let longer = [one.der(), &[0]].concat();
    refused(&STANDARD.encode(&longer), "there are more bytes after the certificate");
    refused(&pem::armour(LABEL, &longer), "there are more bytes after the certificate");
    refused(&STANDARD.encode(&one.der()[..one.der().len() - 1]), "what came does not parse as an X.509 certificate");
    refused(&"A".repeat(MAX_TEXT + 1), "far too large for a certificate and its chain");
    refused(&pem.repeat(MAX_PARTS + 1), "far too large for a certificate and its chain");
    refused(&STANDARD.encode(vec![0; MAX_DER + 1]), "far too large for a certificate and its chain");
}

#[test]
fn a_file_may_hold_more() {
    let both = pair();
    let [one, other] = both.each_ref().map(Certificate::to_pem);
    let key = pem::armour("PRIVATE KEY", b"key");
    let file = format!("Bag Attributes\n{one}# and its issuer\n{other}{}end\n", *key);
    assert_eq!(certificates_in_file(&file).as_deref(), Ok(both.as_slice()));
    assert_eq!(certificates_in_file(&key), Err(CertificateError::Empty));
    assert_eq!(certificates_in_file(&one[..100]), Err(CertificateError::Pem(PemError::CutOff)));
}

#[test]
fn a_certificate_shows_whom_it_is_for() {
    let [_, root] = pair();
    assert_eq!(format!("{root:?}"), format!("Certificate(\"Root\", {})", root.fingerprint()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_causes_a_panic(text in any::<String>(), armour in any::<bool>()) {
        let text = if armour { format!("-----BEGIN CERTIFICATE-----{text}-----END CERTIFICATE-----") } else { text };
        prop_assert!(certificates(&text).is_err());
        prop_assert!(certificates_in_file(&text).is_err());
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Certificate::from_der(&bytes).is_err());
    }
}
