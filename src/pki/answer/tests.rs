//! Every wrapping in which a certificate may come, and what is noted of the rest.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::*;
use crate::core::wanted::key::KeyType;
use crate::pki::key::PrivateKey;
use crate::pki::pem;
use crate::pki::pkcs7::certificates_only;
use crate::pki::test_ca::{Ca, leaf_params};

/// Issuing and root.
fn pair() -> [Certificate; 2] {
    let root = Ca::root("Root");
    [root.below("Issuing").certificate, root.certificate]
}

fn read(text: &str) -> Answer {
    let mut answer = Answer::default();
    answer.read(text, &|raw| Text::new(raw));
    answer
}

fn notes(answer: &Answer) -> Vec<&str> {
    answer.unreadable.iter().map(Text::as_str).collect()
}

#[track_caller]
fn check(text: &str, expected: &[Certificate], noted: &[&str]) {
    let answer = read(text);
    assert_eq!((answer.certificates.as_slice(), notes(&answer).as_slice()), (expected, noted), "{text:?}");
}

fn bare_pkcs7(certificates: &[Certificate]) -> String {
    certificates_only(certificates).lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn a_certificate_is_read_in_every_wrapping() {
    let both = pair();
    let one = &both[..1];
    let [first, second] = both.each_ref().map(Certificate::to_pem);
    let der = both[0].der();
    let wrapped = |text: &str| STANDARD.encode(text);
    for text in [
        first.clone(),
        format!("\u{feff}\r\n {first}\n\n"),
        first.replace('\n', "\r\n"),
        first.replace('\n', "\r"),
        first.replace('\n', ""),
        first.replace('\n', " "),
        first.replace('\n', "\\n"),
        first.replace('\n', "\\\\n"),
        first.replace('\n', "\\r\\n"),
        first.replace('\n', "\\u000a").replace('/', "\\/").replace('+', "\\u002B"),
        first.replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"),
        first.replace('+', "%2B").replace('\n', "%0A").replace(' ', "+"),
        first
            .replace('\n', "%250A")
            .replace(' ', "%2520")
            .replace('+', "%252B")
            .replace('/', "%252F")
            .replace('=', "%253D"),
        first.replace('\n', "&#10;"),
        first.replace('\n', "&#13;&#xA;").replace('+', "&#43;").replace('/', "&#x2F;").replace('=', "&#61;"),
        first.replace('\n', "&amp;#10;").replace(' ', "&amp;#x20;"),
        first.replace('\n', "%26%2310%3B").replace(' ', "%20").replace('+', "%2B"),
        format!("\"{first}\""),
        format!("'{}'", first.replace('\n', "\\n")),
        first.replace("-----", "—–––"),
        first.replace("BEGIN CERT", "BEGIN X509 CERT").replace("END CERT", "END X509 CERT"),
        first.replace("BEGIN CERT", "BEGIN TRUSTED CERT").replace("END CERT", "END TRUSTED CERT"),
        format!("-----BEGIN CERTIFICATE-----\n{first}-----END CERTIFICATE-----\n"),
        first.replacen('\n', "\nProc-Type: 0\n\n", 1),
        wrapped(&first),
        pem::armour("CERTIFICATE", first.as_bytes()).to_string(),
        STANDARD.encode(der),
        STANDARD_NO_PAD.encode(der),
        URL_SAFE_NO_PAD.encode(der),
        format!("\"{}\"", STANDARD.encode(der)),
        certificates_only(one),
        certificates_only(one).replace("PKCS7", "PKCS #7 SIGNED DATA"),
        certificates_only(one).replace("PKCS7", "CMS"),
        certificates_only(one).replace("PKCS7", "CERTIFICATE"),
        bare_pkcs7(one),
        format!("{first}{first}"),
    ] {
        check(&text, one, &[]);
    }
    check(&format!("{first}{second}"), &both, &[]);
    check(&format!("{first}{second}").replace('\n', ""), &both, &[]);
    check(&format!("{}\n{}", STANDARD.encode(der), STANDARD.encode(both[1].der())), &both, &[]);
    check(&STANDARD.encode([der, both[1].der()].concat()), &both, &[]);
    check(&format!("[\"{}\", \"{}\"]", STANDARD.encode(der), STANDARD.encode(both[1].der())), &both, &[]);
    check(&certificates_only(&both), &both, &[]);
    check("", &[], &[]);
}

#[test]
fn what_cannot_be_read_is_noted_and_takes_nothing_with_it() {
    let both = pair();
    let [first, second] = both.each_ref().map(Certificate::to_pem);
    let one = &both[..1];
    check(&format!("subject=CN = x\n{first}"), one, &["text that is not a certificate: \"subject=CN = x\""]);
    check(&format!("{first}and something else\n"), one, &["text that is not a certificate: \"and something else\""]);
    check(
        &format!("<pre>{first}</pre>"),
        one,
        &["text that is not a certificate: \"<pre>\"", "text that is not a certificate: \"</pre>\""],
    );
    let broken = second.replace("MII", "M!I");
    check(&format!("{broken}{first}"), one, &["a PEM block \"CERTIFICATE\" is damaged"]);
    let cut = &second[..second.len() - 200];
    check(
        &format!("{cut}\n{first}"),
        one,
        &["a PEM block \"CERTIFICATE\" holds no certificate that can be read, and is cut off"],
    );
    let half = STANDARD.encode(&both[1].der()[..200]);
    let half = format!("-----BEGIN CERTIFICATE-----\n{half}\n-----END CERTIFICATE-----\n");
    check(&format!("{half}{first}"), one, &["a PEM block \"CERTIFICATE\" holds no certificate that can be read"]);
    let longer = STANDARD.encode([both[0].der(), &[1, 2]].concat());
    check(&longer, one, &["more bytes after a certificate"]);
    check("<!DOCTYPE html><html>", &[], &["an HTML page or XML where a certificate was expected"]);
    check("not base64!", &[], &["text that is not a certificate: \"not base64!\""]);
    check(&"AAAA".repeat(9), &[], &["base64 that holds no certificate that can be read"]);
    check(&"A".repeat(2 << 20), &[], &["a text far too large for a certificate and its chain"]);
    check(&certificates_only(&[]), &[], &["PKCS#7 without certificates"]);
    let many: String = (0..200).map(|at| format!("-----BEGIN X{at}-----\nAAAA\n-----END X{at}-----\n")).collect();
    assert_eq!(read(&many).unreadable.len(), MOST_NOTES);
}

#[test]
fn a_key_that_came_along_is_neither_quoted_nor_kept() {
    let [certificate, _] = pair();
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let armoured = key.to_pem();
    let body: String = armoured.lines().filter(|line| !line.starts_with('-')).collect();
    for text in [armoured.to_string(), body.clone(), armoured.replace("PRIVATE KEY", "CERTIFICATE")] {
        let answer = read(&format!("{}\n{text}", certificate.to_pem()));
        assert_eq!((answer.certificates.len(), answer.unreadable.len()), (1, 1), "{:?}", answer.unreadable);
        let shown = format!("{:?} {}", answer.unreadable, answer.kept());
        assert!(!shown.contains(&body[..40]), "{shown}");
    }
}

#[test]
fn a_kept_answer_is_read_again_as_it_was() {
    let root = Ca::root("Root");
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let leaf = root.leaf(&key, &leaf_params(&["www.example.com"]));
    let answer = read(&format!("words\n{}{}", leaf.to_pem(), root.certificate.to_pem()));
    assert_eq!((answer.certificates.len(), answer.unreadable.len()), (2, 1));
    assert_eq!(Answer::of_kept(&answer.kept()), answer);
    assert_eq!(Answer::of_kept(""), Answer::default());
    let as_it_came = format!("{}<html>", leaf.to_pem());
    assert_eq!(Answer::of_kept(&as_it_came).certificates, [leaf], "as an older version kept it");
}

#[test]
fn a_quote_is_cut_only_after_secrets_are_masked() {
    let text = format!("{}the-secret-0123456789", "x ".repeat(25));
    let mut answer = Answer::default();
    answer.read(&format!("{text}!"), &|raw| Text::masked(raw, ["the-secret-0123456789"]));
    assert_eq!(notes(&answer), [format!("text that is not a certificate: \"{}***!\"", "x ".repeat(25))]);
}
