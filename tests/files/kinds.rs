//! Key and chain of every kind and in every form.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::Case;

/// A leaf with its issuer and its key, as PEM.
pub(crate) struct Set {
    pub(crate) leaf: String,
    pub(crate) ca: String,
    pub(crate) key: String,
}

pub(crate) fn set() -> Set {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Issuing");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &ca).unwrap();
    Set { leaf: leaf.pem(), ca: ca.pem(), key: key.serialize_pem() }
}

/// The bytes in the first armour.
pub(crate) fn body(pem: &str) -> Vec<u8> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    STANDARD.decode(lines.take_while(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

pub(crate) fn armour(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn relabelled(pem: &str, from: &str, to: &str) -> Vec<u8> {
    pem.replace(from, to).into_bytes()
}

/// Forms of one set: of its certificates, then of its key.
pub(crate) fn forms() -> Vec<Case> {
    let (one, other) = (set(), set());
    let mut cases = certificate_forms(&one, &other);
    cases.extend(odd_certificate_forms(&one));
    cases.extend(key_forms(&one, &other));
    cases
}

fn certificate_forms(one: &Set, other: &Set) -> Vec<Case> {
    let Set { leaf, ca, key } = one;
    let (chain, der) = (format!("{leaf}{ca}"), body(leaf));
    let mut cases = Vec::new();
    let mut certificate = |name: &str, text: Vec<u8>| {
        cases.push(Case { name: name.to_owned(), certificate: text, key: key.clone().into_bytes() });
    };
    let latin = b"friendlyName: Z\xfcrich\n";
    certificate("plain", chain.clone().into());
    certificate("Latin-1 before", [latin, chain.as_bytes()].concat());
    certificate("Latin-1 between", [leaf.as_bytes(), latin, ca.as_bytes()].concat());
    certificate("Latin-1 after BEGIN", chain.replacen("-----\n", "-----\u{fc}\n", 1).into());
    certificate("NUL in a line", [b"a\0b\n", chain.as_bytes()].concat());
    certificate("NUL before a line", [b"\0b\n", chain.as_bytes()].concat());
    certificate("NUL between", [leaf.as_bytes(), b"\0b\n", ca.as_bytes()].concat());
    certificate("UTF-16 before", [b"\xff\xfeh\0i\0\n\0", chain.as_bytes()].concat());
    certificate("UTF-16", chain.encode_utf16().flat_map(u16::to_le_bytes).collect());
    certificate("BOM", format!("\u{feff}{chain}").into());
    certificate("CRLF", chain.replace('\n', "\r\n").into());
    certificate("CR", chain.replace('\n', "\r").into());
    certificate("no line breaks", chain.replace('\n', "").into());
    certificate("spaces behind", chain.replace('\n', " \t\n").into());
    certificate("indented", chain.replace('\n', "\n  ").into());
    certificate("body indented", chain.replace("\nM", "\n  M").into());
    certificate("no last line break", chain.trim_end().into());
    certificate("empty line first", chain.replacen('\n', "\n\n", 1).into());
    certificate("empty line last", chain.replace("\n-----END", "\n\n-----END").into());
    certificate(
        "one line",
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der)).into(),
    );
    certificate("headers", chain.replacen('\n', "\nComment: x\n\n", 1).into());
    certificate("X509", relabelled(&chain, " CERT", " X509 CERT"));
    certificate("TRUSTED", relabelled(leaf, " CERT", " TRUSTED CERT"));
    certificate("TRUSTED later", format!("{leaf}{}", ca.replace(" CERT", " TRUSTED CERT")).into());
    certificate("TRUSTED with more", armour("TRUSTED CERTIFICATE", &[&der[..], b"\x30\0"].concat()).into());
    certificate("bytes behind", armour("CERTIFICATE", &[&der[..], b"\0"].concat()).into());
    certificate(
        "bytes behind the CA",
        format!("{leaf}{}", armour("CERTIFICATE", &[body(ca), vec![0]].concat())).into(),
    );
    certificate("DER", der.clone());
    certificate("another certificate behind", format!("{leaf}{}", other.leaf).into());
    certificate("another certificate first", format!("{}{leaf}", other.leaf).into());
    certificate("CA first", format!("{ca}{leaf}").into());
    certificate(
        "other blocks",
        format!("{}{key}{chain}", armour("DH PARAMETERS", b"\x30\x06\x02\x01\x07\x02\x01\x05")).into(),
    );
    certificate("many", format!("{leaf}{}", ca.repeat(100)).into());
    certificate("a full buffer before", format!("{}{chain}", "x".repeat(254)).into());
    let (whole, _) = opened(&der);
    let (signed, rest) = opened(whole);
    let unended = |content: &[u8]| [b"\x30\x80", content, b"\0\0"].concat();
    certificate("BER", armour("CERTIFICATE", &unended(whole)).into());
    certificate("BER within", armour("CERTIFICATE", &unended(&[&unended(signed), rest].concat())).into());
    certificate("broken block behind", format!("{chain}-----BEGIN X-----\n!\n-----END X-----\n").into());
    cases
}

/// The content of the first element, and what follows it.
fn opened(der: &[u8]) -> (&[u8], &[u8]) {
    let (start, length) = match der[1] {
        0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
        0x81 => (3, usize::from(der[2])),
        short => (2, usize::from(short)),
    };
    der[start..].split_at(length)
}

/// Of which some part is broken or missing.
fn odd_certificate_forms(one: &Set) -> Vec<Case> {
    let Set { leaf, ca, key } = one;
    let mut cases = Vec::new();
    let mut certificate = |name: &str, text: Vec<u8>| {
        cases.push(Case { name: name.to_owned(), certificate: text, key: key.clone().into_bytes() });
    };
    certificate("CA cut", format!("{leaf}{}", &ca[..200]).into());
    certificate("CA broken", format!("{leaf}{}", ca.replacen("MII", "M!I", 1)).into());
    certificate("CA no certificate", format!("{leaf}{}", armour("CERTIFICATE", b"\x30\x03\x02\x01\x01")).into());
    certificate("END of the leaf missing", format!("{}{ca}", leaf.replace("-----END CERTIFICATE-----\n", "")).into());
    certificate("END of another label", leaf.replace("END CERT", "END X509 CERT").into());
    certificate("nothing", Vec::new());
    certificate("garbage", (0..=255).collect());
    certificate("no certificate", key.clone().into());
    cases
}

fn key_forms(one: &Set, other: &Set) -> Vec<Case> {
    let Set { leaf, ca, key } = one;
    let (chain, latin) = (format!("{leaf}{ca}"), b"friendlyName: Z\xfcrich\n");
    let mut cases = Vec::new();
    let mut private = |name: &str, text: Vec<u8>| {
        cases.push(Case { name: name.to_owned(), certificate: chain.clone().into_bytes(), key: text });
    };
    private("key Latin-1", [latin, key.as_bytes()].concat());
    private("key NUL", [b"\0\n", key.as_bytes()].concat());
    private("key in clear as ENCRYPTED", relabelled(key, " PRIVATE", " ENCRYPTED PRIVATE"));
    private("key CR", key.replace('\n', "\r").into());
    private("key empty line", key.replacen('\n', "\n\n", 1).into());
    private("key headers", key.replacen('\n', "\nComment: x\n\n", 1).into());
    private("key behind certificates", format!("{chain}{key}").into());
    private("key as EC", relabelled(key, " PRIVATE", " EC PRIVATE"));
    private("key as RSA", relabelled(key, " PRIVATE", " RSA PRIVATE"));
    private("key as ANY", relabelled(key, " PRIVATE", " ANY PRIVATE"));
    private("key DER", body(key));
    private("key with more", armour("PRIVATE KEY", &[body(key), vec![0]].concat()).into());
    private("keys, own first", format!("{key}{}", other.key).into());
    private("keys, own last", format!("{}{key}", other.key).into());
    private("keys, broken first", format!("{}{key}", armour("PRIVATE KEY", b"\x30\x01\0")).into());
    private("keys, odd first", format!("{}{key}", other.key.replace(" PRIVATE", " ODD PRIVATE")).into());
    private("key cut first", format!("{}\n{key}", &other.key[..100]).into());
    private("key cut", key[..100].into());
    private("key missing", chain.clone().into());
    private("key of another", other.key.clone().into());
    cases
}

fn openssl(arguments: &str, folder: &std::path::Path) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Keys of all kinds, each with its certificate. Where there is no openssl to make them there is no case.
pub(crate) fn keys() -> Vec<Case> {
    keys_named("")
}

/// Those of this name; all for none.
pub(crate) fn keys_named(wanted: &str) -> Vec<Case> {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: openssl is not there");
        return Vec::new();
    }
    let makers = MAKERS.iter().filter(|(name, _)| wanted.is_empty() || *name == wanted);
    makers.map(|(name, commands)| made(name, commands)).collect()
}

fn made(name: &str, commands: &[&str]) -> Case {
    let folder = tempfile::tempdir().unwrap();
    commands.iter().for_each(|command| openssl(command, folder.path()));
    let request = "req -x509 -key k.pem -passin pass:password -out c.pem -days 90 -subj /CN=www.example.com -addext subjectAltName=DNS:www.example.com";
    openssl(request, folder.path());
    let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
    Case { name: name.to_owned(), certificate: read("c.pem"), key: read("k.pem") }
}

const MAKERS: &[(&str, &[&str])] = &[
    ("RSA", &["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out k.pem"]),
    ("RSA of 1024 bits", &["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out k.pem"]),
    ("RSA of odd bits", &["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2050 -out k.pem"]),
    (
        "RSA of three primes",
        &["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3 -out k.pem"],
    ),
    ("RSA of a long exponent", &["genpkey -algorithm RSA -pkeyopt rsa_keygen_pubexp:18446744073709551617 -out k.pem"]),
    ("RSA-PSS", &["genpkey -algorithm RSA-PSS -out k.pem"]),
    ("RSA in PKCS#1", &["genpkey -algorithm RSA -out a.pem", "rsa -in a.pem -traditional -out k.pem"]),
    ("Ed25519", &["genpkey -algorithm ED25519 -out k.pem"]),
    ("Ed448", &["genpkey -algorithm ED448 -out k.pem"]),
    ("P-384", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out k.pem"]),
    ("P-224", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-224 -out k.pem"]),
    ("brainpool", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out k.pem"]),
    ("secp256k1", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k.pem"]),
    ("sect283r1", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:sect283r1 -out k.pem"]),
    ("explicit", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit -out k.pem"]),
    ("SEC1 with parameters", &["ecparam -name prime256v1 -genkey -out k.pem"]),
    (
        "SEC1 without the point",
        &["ecparam -name prime256v1 -genkey -noout -out a.pem", "ec -in a.pem -no_public -out k.pem"],
    ),
    (
        "explicit without the point",
        &[
            "ecparam -name prime256v1 -param_enc explicit -genkey -noout -out a.pem",
            "ec -in a.pem -no_public -out k.pem",
        ],
    ),
    (
        "brainpool without the point",
        &["ecparam -name brainpoolP256r1 -genkey -noout -out a.pem", "ec -in a.pem -no_public -out k.pem"],
    ),
    (
        "compressed",
        &["ecparam -name prime256v1 -genkey -noout -out a.pem", "ec -in a.pem -conv_form compressed -out k.pem"],
    ),
    ("hybrid", &["ecparam -name prime256v1 -genkey -noout -out a.pem", "ec -in a.pem -conv_form hybrid -out k.pem"]),
    ("encrypted", &["genpkey -algorithm RSA -aes256 -pass pass:password -out k.pem"]),
    (
        "encrypted SEC1",
        &[
            "ecparam -name prime256v1 -genkey -noout -out a.pem",
            "ec -in a.pem -aes128 -passout pass:password -out k.pem",
        ],
    ),
    ("DSA", &["dsaparam -genkey -noout -out k.pem 2048"]),
    ("DSA in PKCS#8", &["dsaparam -genkey -noout -out a.pem 2048", "pkcs8 -topk8 -nocrypt -in a.pem -out k.pem"]),
];
