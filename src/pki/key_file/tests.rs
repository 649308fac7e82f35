//! Which key counts in a file, what it is called, and whether it is a certificate's: on keys that the openssl command made.

use super::super::openssl::{file, openssl};
use super::*;
use crate::core::wanted::key::KeyType;
use crate::pki::pem::armour;

/// The kind, whether it is that of `spki`, and the doubt.
fn told(text: &[u8], spki: &[u8]) -> (String, Belonging, Option<String>) {
    match KeyFile::read(text) {
        Ok(key) => (key.kind().to_string(), key.belongs(spki), key.doubt()),
        Err(error) => (error.to_string(), Belonging::Unknown, None),
    }
}

/// What openssl prints of a key in a file.
fn of_openssl(arguments: &[&str], input: &str) -> String {
    let (_folder, path) = file("in.pem", input.as_bytes());
    let all: Vec<&str> = arguments.iter().copied().chain(["-in", path.to_str().unwrap()]).collect();
    openssl(&all, "x")
}

/// The public key of a certificate for this key.
fn spki(key: &str, more: &[&str]) -> Vec<u8> {
    let text = of_openssl(&[&["pkey", "-pubout"], more].concat(), key);
    let block = lenient(text.as_bytes()).next().unwrap().1.ok().unwrap();
    block.der.to_vec()
}

fn made(arguments: &[&str]) -> String {
    openssl(&[&["genpkey"], arguments].concat(), "")
}

#[track_caller]
fn check(key: &str, kind: &str, doubt: Option<&str>) {
    let other = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let own = told(key.as_bytes(), &spki(key, &[]));
    assert_eq!(own, (kind.to_owned(), Belonging::Proven, doubt.map(str::to_owned)));
    assert_eq!(told(key.as_bytes(), other.public()).1, Belonging::Refuted, "{kind}");
}

#[test]
fn keys_of_every_kind_are_compared_as_keys() {
    let rsa = made(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    check(&rsa, "an RSA key of 2048 bits", None);
    check(&of_openssl(&["pkey", "-traditional"], &rsa), "an RSA key of 2048 bits", None);
    check(&rsa.replace(" PRIVATE", " RSA PRIVATE"), "an RSA key of 2048 bits", None);
    check(&made(&["-algorithm", "RSA-PSS"]), "an RSA-PSS key of 2048 bits", None);
    let odd = made(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2050"]);
    check(&odd, "an RSA key of 2050 bits", None);
    assert!(PrivateKey::from_pem(odd.as_bytes()).is_ok());
    let short = "holds an RSA key of 1024 bits: OpenSSL's default security level refuses it";
    check(&made(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]), "an RSA key of 1024 bits", Some(short));
    let curves = [
        ("prime256v1", "P-256"),
        ("secp521r1", "P-521"),
        ("brainpoolP256r1", "brainpoolP256r1"),
        ("secp256k1", "secp256k1"),
        ("secp224r1", "P-224"),
        ("sect283r1", "sect283r1"),
    ];
    for (curve, name) in curves {
        let key = made(&["-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
        check(&key, &format!("an EC key on {name}"), None);
        let sec1 = of_openssl(&["ec"], &key);
        check(&sec1, &format!("an EC key on {name}"), None);
        let compressed = of_openssl(&["ec", "-conv_form", "compressed"], &key);
        let (spki, small) = (spki(&key, &[]), spki(&key, &["-ec_conv_form", "compressed"]));
        for text in [&key, &sec1, &compressed] {
            for spki in [&spki, &small] {
                let (_, belonging, doubt) = told(text.as_bytes(), spki);
                // On a binary field the sign of a compressed point is not the oddness of y.
                let may_be_unknown = curve.starts_with("sect");
                assert!(
                    belonging == Belonging::Proven || (may_be_unknown && belonging == Belonging::Unknown),
                    "{curve}"
                );
                assert_eq!(doubt, None, "{curve}");
            }
        }
    }
    let explicit =
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-pkeyopt", "ec_param_enc:explicit"];
    check(&made(&explicit), "an EC key with explicit curve parameters", None);
    for (name, kind) in [("ED25519", "an Ed25519 key"), ("X25519", "an X25519 key")] {
        let key = made(&["-algorithm", name]);
        assert_eq!(told(key.as_bytes(), &spki(&key, &[])).0, kind);
    }
}

#[test]
fn what_is_not_proven_is_not_said() {
    let key = made(&["-algorithm", "ED448"]);
    let own = told(key.as_bytes(), &spki(&key, &[]));
    assert_eq!(own, ("an Ed448 key".to_owned(), Belonging::Unknown, None));
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    assert_eq!(told(key.as_bytes(), rsa.public()).1, Belonging::Refuted);
    let own = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let text = own.to_pem();
    let encrypted = [
        of_openssl(&["pkcs8", "-topk8", "-passout", "env:P"], &text),
        of_openssl(&["ec", "-aes128", "-passout", "env:P"], &text),
    ];
    for text in encrypted {
        assert_eq!(told(text.as_bytes(), own.public()), ("an encrypted key".to_owned(), Belonging::Unknown, None));
        assert_eq!(PrivateKey::from_pem(text.as_bytes()).err(), Some(KeyError::Encrypted));
    }
    let form = |label: &str, der: &[u8]| told(armour(label, der).as_bytes(), own.public());
    let doubt = |kind: &str| Some(format!("holds {kind} in a form that OpenSSL does not load"));
    for (label, der, kind) in [
        ("TSS2 PRIVATE KEY", &b"\x30\x03\x06\x01\x09"[..], key_kind::TPM),
        ("OPENSSH PRIVATE KEY", b"openssh-key-v1\0...", key_kind::OPENSSH),
        ("ODD PRIVATE KEY", b"\x30\x02\x05\x00", key_kind::UNTOLD),
    ] {
        assert_eq!(form(label, der), (kind.to_owned(), Belonging::Unknown, doubt(kind)), "{label}");
    }
    let ml_dsa = b"\x30\x17\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12\x04\x05seed.";
    assert_eq!(form("PRIVATE KEY", ml_dsa).0, "an ML-DSA-65 key");
}

#[test]
fn the_first_key_that_openssl_takes_counts() {
    let [one, other] = [(); 2].map(|()| PrivateKey::generate(KeyType::EcdsaP256).unwrap());
    let (first, second) = (one.to_pem().to_string(), other.to_pem().to_string());
    let foreign = armour("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
    #[track_caller]
    fn check(text: &[u8], own: &PrivateKey, doubt: Option<&str>) {
        let found = told(text, own.public());
        assert_eq!((found.1, found.2.as_deref()), (Belonging::Proven, doubt), "{}", found.0);
    }
    check(format!("{first}{second}").as_bytes(), &one, None);
    check(format!("{}{first}", *armour("PRIVATE KEY", b"\x30\x01\0")).as_bytes(), &one, None);
    check(format!("{}{first}", second.replace(" PRIVATE", " ODD PRIVATE")).as_bytes(), &one, None);
    check(format!("{}{first}", *foreign).as_bytes(), &one, None);
    check(&[b"Z\xfc\n\0\n", first.as_bytes()].concat(), &one, None);
    let other_form = Some("holds an EC key on P-256 in a form that OpenSSL does not load");
    check(first.replace(" PRIVATE", " ANY PRIVATE").as_bytes(), &one, other_form);
    check(first.replace(" PRIVATE", " RSA PRIVATE").as_bytes(), &one, other_form);
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let inner = Der(rsa.pkcs8()).sequence().unwrap().nth(2).unwrap().content;
    let as_dsa = Some("holds an RSA key of 2048 bits in a form that OpenSSL does not load");
    check(armour("RSA PRIVATE KEY", inner).as_bytes(), &rsa, None);
    check(armour("DSA PRIVATE KEY", inner).as_bytes(), &rsa, as_dsa);
    check(first.replace('\n', "\r").as_bytes(), &one, other_form);
    check(one.pkcs8(), &one, other_form);
}

#[test]
fn a_key_that_contradicts_itself_is_told() {
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let mut der = key.pkcs8().to_vec();
    der[40] ^= 1;
    let found = told(armour("PRIVATE KEY", &der).as_bytes(), key.public());
    let doubt = "holds an EC key on P-256 whose parts contradict each other: what it signs may be refused";
    assert_eq!(found, ("an EC key on P-256".to_owned(), Belonging::Proven, Some(doubt.to_owned())));
    assert_eq!(PrivateKey::from_pem(armour("PRIVATE KEY", &der).as_bytes()).err(), Some(KeyError::Contradictory));
}

#[test]
fn odd_keys_that_openssl_loads_are_called_what_they_are() {
    #[track_caller]
    fn check(key: &str, own: &[u8], doubt: Option<&str>, odd: &str) {
        openssl_loads(key);
        let kind = "an RSA key of 2048 bits".to_owned();
        assert_eq!(told(key.as_bytes(), own), (kind.clone(), Belonging::Proven, doubt.map(str::to_owned)));
        let refusal = PrivateKey::from_pem(key.as_bytes()).err().map(|error| error.to_string());
        assert_eq!(refusal, Some(format!("it holds {kind} {odd}, which renewd cannot use")));
    }
    let primes = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3"];
    let exponent = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_pubexp:18446744073709551617"];
    for (made, odd) in
        [(made(&primes), "with more than two primes"), (made(&exponent), "with a public exponent of more than 32 bits")]
    {
        check(&made, &spki(&made, &[]), None, odd);
        check(&of_openssl(&["pkey", "-traditional"], &made), &spki(&made, &[]), None, odd);
    }
    let key = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let parts: Vec<_> = Der(key.pkcs8()).sequence().unwrap().collect();
    let numbers: Vec<&[u8]> = Der(parts[2].content).sequence().unwrap().map(|number| number.whole).collect();
    let zeros = |count: usize| {
        let kept = &numbers[..numbers.len() - count];
        let all = kept.iter().copied().chain(std::iter::repeat_n(&b"\x02\x01\0"[..], count));
        armour("RSA PRIVATE KEY", &sequence(&all.collect::<Vec<_>>().concat()))
    };
    check(&zeros(3), key.public(), None, "without its CRT numbers");
    let unsigning = "holds an RSA key of 2048 bits without its primes: OpenSSL loads it and cannot sign with it";
    check(&zeros(5), key.public(), Some(unsigning), "without its primes");
    let info = parts.iter().map(|part| part.whole).collect::<Vec<_>>().concat();
    let ber = [b"\x30\x80", info.as_slice(), b"\0\0"].concat();
    check(&armour("PRIVATE KEY", &ber), key.public(), None, "in BER, not in DER");
}

#[test]
fn a_key_in_clear_may_be_called_encrypted() {
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let text = key.to_pem().replace(" PRIVATE", " ENCRYPTED PRIVATE");
    openssl_loads(&text);
    assert_eq!(told(text.as_bytes(), key.public()), ("an EC key on P-256".to_owned(), Belonging::Proven, None));
}

#[test]
fn keys_for_pss_alone_are_of_no_other_certificate() {
    let pss = made(&["-algorithm", "RSA-PSS"]);
    let whole = lenient(pss.as_bytes()).next().unwrap().1.ok().unwrap();
    let inner = Der(&whole.der).sequence().unwrap().nth(2).unwrap().content;
    let rsa = armour("RSA PRIVATE KEY", inner);
    assert_eq!(told(rsa.as_bytes(), &spki(&pss, &[])).1, Belonging::Refuted);
    assert_eq!(told(pss.as_bytes(), &spki(&rsa, &[])).1, Belonging::Refuted);
    let as_rsa = told(pss.replace(" PRIVATE", " RSA PRIVATE").as_bytes(), &spki(&pss, &[])).2;
    assert_eq!(as_rsa.as_deref(), Some("holds an RSA-PSS key of 2048 bits in a form that OpenSSL does not load"));
}

#[track_caller]
fn openssl_loads(key: &str) {
    of_openssl(&["pkey", "-noout"], key);
}

fn sequence(content: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_sequence(|parts| parts.next().write_der(content)))
}
