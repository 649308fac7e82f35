//! Keys survive their PEM, in every form that files have, and show nothing of themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

#[test]
fn a_key_survives_its_pem() {
    for kind in KeyType::ALL {
        let key = PrivateKey::generate(kind).unwrap();
        assert_eq!(key.key_type(), Some(kind));
        let pem = key.to_pem();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.ends_with("-----END PRIVATE KEY-----\n"));
        let read = PrivateKey::from_pem(pem.as_bytes()).unwrap();
        assert_eq!((read.spki(), read.key_type()), (key.spki(), Some(kind)));
        assert_eq!(*read.to_pem(), *pem);
    }
}

/// The inner structure of a PKCS#8 file: the content of its last OCTET STRING that is not in another one.
fn inner(key: &PrivateKey) -> Vec<u8> {
    let parsed = yasna::parse_der(&key.pkcs8, |reader| {
        reader.read_sequence(|parts| {
            parts.next().read_u8()?;
            parts.next().read_der()?;
            let inner = parts.next().read_bytes()?;
            parts.read_optional(|more| more.read_der())?;
            Ok(inner)
        })
    });
    parsed.unwrap()
}

#[test]
fn older_forms_are_read_and_written_as_pkcs8() {
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let pkcs1 = pem::armour("RSA PRIVATE KEY", &inner(&rsa));
    let read = PrivateKey::from_pem(pkcs1.as_bytes()).unwrap();
    assert_eq!((read.spki(), read.to_pem()), (rsa.spki(), rsa.to_pem()));
    let curves = [
        (KeyType::EcdsaP256, vec![1, 2, 840, 10045, 3, 1, 7]),
        (KeyType::EcdsaP384, vec![1, 3, 132, 0, 34]),
        (KeyType::EcdsaP521, vec![1, 3, 132, 0, 35]),
    ];
    // As OpenSSL writes it: the curve inside, with its parameters in a block before it.
    for (kind, curve) in curves {
        let key = PrivateKey::generate(kind).unwrap();
        let curve = yasna::construct_der(|writer| writer.write_oid(&yasna::models::ObjectIdentifier::new(curve)));
        let sec1 = with_curve(&inner(&key), &curve);
        let file =
            [pem::armour("EC PARAMETERS", &curve), pem::armour("EC PRIVATE KEY", &sec1)].map(|text| text.to_string());
        let read = PrivateKey::from_pem(file.concat().as_bytes()).unwrap();
        assert_eq!((read.spki(), read.key_type()), (key.spki(), Some(kind)));
        assert!(read.to_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(PrivateKey::from_pem(read.to_pem().as_bytes()).unwrap().spki(), key.spki());
    }
}

fn with_curve(sec1: &[u8], curve: &[u8]) -> Vec<u8> {
    let (secret, public) = yasna::parse_der(sec1, |reader| {
        reader.read_sequence(|parts| {
            parts.next().read_u8()?;
            let secret = parts.next().read_bytes()?;
            let public = parts.next().read_tagged_der()?;
            Ok((secret, public))
        })
    })
    .unwrap();
    yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_u8(1);
            parts.next().write_bytes(&secret);
            parts.next().write_tagged(yasna::Tag::context(0), |tagged| tagged.write_der(curve));
            parts.next().write_tagged_der(&public);
        });
    })
}

#[test]
fn what_is_no_key_is_told_apart() {
    #[track_caller]
    fn check(text: &str, expected: KeyError) {
        assert_eq!(PrivateKey::from_pem(text.as_bytes()).err(), Some(expected));
    }
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let pem = key.to_pem().to_string();
    check("", KeyError::NoKey);
    check("<html>", KeyError::NoKey);
    check(&pem::armour("CERTIFICATE", b"x"), KeyError::NoKey);
    check(&pem::armour("ENCRYPTED PRIVATE KEY", b"\x30\x04\x30\0\x04\0"), KeyError::Encrypted);
    check(&pem::armour("ENCRYPTED PRIVATE KEY", b"x"), KeyError::Damaged);
    check(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----",
        KeyError::Encrypted,
    );
    check(&pem::armour("OPENSSH PRIVATE KEY", b"x"), KeyError::Damaged);
    check(&pem::armour("PRIVATE KEY", b"x"), KeyError::Damaged);
    check(&pem[..pem.len() / 2], KeyError::Pem(PemError::CutOff));
    check("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", KeyError::Pem(PemError::Base64));
    assert_eq!(PrivateKey::from_pem(b"\xff").err(), Some(KeyError::NoKey));
}

/// Whether a type has a Debug: the inherent constant, where there is one, hides the trait's.
struct Shown<T>(std::marker::PhantomData<T>);

trait NotShown {
    const IS_SHOWN: bool = false;
}

impl<T> NotShown for Shown<T> {}

impl<T: std::fmt::Debug> Shown<T> {
    const IS_SHOWN: bool = true;
}

#[test]
fn a_key_shows_nothing_of_itself() {
    const { assert!(Shown::<KeyError>::IS_SHOWN) };
    const { assert!(!Shown::<PrivateKey>::IS_SHOWN) };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), label in 0_usize..4) {
        let label = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "X PRIVATE KEY"][label];
        let text = format!("-----BEGIN {label}-----{}-----END {label}-----", STANDARD.encode(&bytes));
        prop_assert!(PrivateKey::from_pem(text.as_bytes()).is_err());
        prop_assert!(PrivateKey::from_pem(&bytes).is_err());
    }
}
