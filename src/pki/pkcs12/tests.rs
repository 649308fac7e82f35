//! What openssl, and Java where it is there, find in the files; and that the password is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::super::certificate::certificates_in_file;
use super::super::openssl::{file, openssl};
use super::super::test_ca::{Ca, leaf_params};
use super::*;
use crate::core::wanted::key::KeyType;

struct Made {
    _folder: TempDir,
    path: PathBuf,
    key: PrivateKey,
    certificates: Vec<Certificate>,
}

impl Made {
    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn made(kind: KeyType, encryption: Pkcs12Encryption) -> Made {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let key = PrivateKey::generate(kind).unwrap();
    let leaf = issuing.leaf(&key, &leaf_params(&["www.example.com"]));
    let chain = vec![issuing.certificate.clone(), root.certificate.clone()];
    let store = KeyStore { name: "www.1_x-y", key: &key, leaf: &leaf, chain: &chain };
    let der = store.to_der(PASSWORD, encryption).unwrap();
    assert_ne!(der, store.to_der(PASSWORD, encryption).unwrap(), "fresh salts");
    let (folder, path) = file("keystore.p12", &der);
    let certificates = std::iter::once(leaf).chain(chain).collect();
    Made { _folder: folder, path, key, certificates }
}

#[track_caller]
fn openssl_reads(kind: KeyType, encryption: Pkcs12Encryption, says: &[&str]) {
    let made = made(kind, encryption);
    let read = ["pkcs12", "-in", made.path(), "-passin", "env:P", "-nodes", "-info"];
    let told = openssl(&read, PASSWORD);
    for part in says.iter().chain(&["friendlyName: www.1_x-y", "localKeyID"]) {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(certificates_in_file(&told).unwrap(), made.certificates);
    assert_eq!(PrivateKey::from_pem(told.as_bytes()).unwrap().spki(), made.key.spki());
    let wrong = Command::new("openssl").args(read).env("P", "another").output().unwrap();
    assert!(!wrong.status.success(), "the password is needed");
}

#[test]
fn openssl_reads_what_is_encrypted_with_aes() {
    let says = ["MAC: sha256, Iteration 10000", "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256"];
    openssl_reads(KeyType::EcdsaP256, Pkcs12Encryption::Aes256, &says);
    openssl_reads(KeyType::Rsa2048, Pkcs12Encryption::Aes256, &says);
    openssl_reads(KeyType::EcdsaP521, Pkcs12Encryption::Aes256, &says);
}

/// Without OpenSSL's legacy provider: it knows 3DES by itself, but not RC2 and RC4.
#[test]
fn openssl_reads_what_is_encrypted_for_old_readers() {
    let says = ["MAC: sha1, Iteration 10000", "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 10000"];
    openssl_reads(KeyType::EcdsaP256, Pkcs12Encryption::Legacy3des, &says);
    openssl_reads(KeyType::Rsa2048, Pkcs12Encryption::Legacy3des, &says);
}

#[test]
fn java_reads_both() {
    if Command::new("keytool").arg("-help").output().is_err() {
        return;
    }
    for encryption in [Pkcs12Encryption::Aes256, Pkcs12Encryption::Legacy3des] {
        let made = made(KeyType::EcdsaP256, encryption);
        let listed = Command::new("keytool")
            .args(["-list", "-v", "-storetype", "PKCS12", "-keystore", made.path(), "-storepass:env", "P"])
            .env("P", PASSWORD)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&listed.stdout).into_owned();
        for part in ["Alias name: www.1_x-y", "Entry type: PrivateKeyEntry", "Certificate chain length: 3"] {
            assert!(told.contains(part), "{part}: {told}{}", String::from_utf8_lossy(&listed.stderr));
        }
    }
}

#[test]
fn what_is_written_is_read() {
    for encryption in [Pkcs12Encryption::Aes256, Pkcs12Encryption::Legacy3des] {
        let made = made(KeyType::EcdsaP256, encryption);
        let file = std::fs::read(made.path()).unwrap();
        let contents = read(&file, PASSWORD).unwrap();
        assert_eq!(
            (contents.certificates, contents.has_key, contents.encryption),
            (made.certificates, true, encryption)
        );
        assert_eq!(read(&file, "another"), Err(ReadError::Password));
        for length in 0..file.len() {
            assert!(read(&file[..length], PASSWORD).is_err(), "cut at {length}");
        }
    }
    assert_eq!(read(b"-----BEGIN", PASSWORD), Err(ReadError::NotPkcs12));
}

/// What openssl writes, by each of its options; and what nobody should write any more is told by its name.
#[test]
fn what_openssl_writes_is_read() {
    let made = made(KeyType::Rsa2048, Pkcs12Encryption::Aes256);
    let pem = openssl(&["pkcs12", "-in", made.path(), "-passin", "env:P", "-nodes"], PASSWORD);
    let (_folder, path) = file("all.pem", pem.as_bytes());
    let out = path.with_file_name("out.p12");
    #[track_caller]
    fn check(path: &Path, out: &Path, options: &[&str], expected: Option<usize>) {
        let fixed =
            ["pkcs12", "-export", "-in", path.to_str().unwrap(), "-out", out.to_str().unwrap(), "-passout", "env:P"];
        drop(openssl(&[&fixed, options].concat(), PASSWORD));
        let found = read(&std::fs::read(out).unwrap(), PASSWORD);
        match expected {
            Some(count) => assert_eq!(found.map(|contents| contents.certificates.len()), Ok(count), "{options:?}"),
            None => assert!(found.unwrap_err().to_string().contains("40 bits of RC2"), "{options:?}"),
        }
    }
    check(&path, &out, &[], Some(3));
    check(&path, &out, &["-keypbe", "aes-128-cbc", "-certpbe", "aes-192-cbc"], Some(3));
    check(&path, &out, &["-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"], Some(3));
    check(&path, &out, &["-certpbe", "NONE", "-nomac"], Some(3));
    check(&path, &out, &["-macalg", "sha512"], Some(3));
    check(&path, &out, &["-legacy"], None);
}

#[test]
fn the_mark_of_a_password_tells_it_from_every_other() {
    let mark = password_mark(PASSWORD, b"salt");
    assert_eq!(mark, password_mark(PASSWORD, b"salt"));
    assert_ne!(mark, password_mark("another", b"salt"));
    assert_ne!(mark, password_mark(PASSWORD, b"other salt"));
}

const PASSWORD: &str = "a pass phrase of words";
