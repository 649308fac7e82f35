//! Every format, in the generation and at fixed paths, as the openssl command reads them; and what others write there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::files::Targets;
use crate::host::Host;
use crate::simulator::ProfileSpec;

/// What openssl prints, and whether it succeeded.
fn openssl(arguments: &[&str], password: &str) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).env("P", password).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

/// The contents of the PEM blocks with a label.
fn blocks(text: &str, label: &str) -> Vec<Vec<u8>> {
    let all = pem::parse_many(text).unwrap();
    all.into_iter().filter(|block| block.tag() == label).map(pem::Pem::into_contents).collect()
}

fn key_store(path: &Path, password: &str) -> Option<String> {
    let read = ["pkcs12", "-in", path.to_str().unwrap(), "-passin", "env:P", "-nodes", "-info"];
    let (is_read, told) = openssl(&read, password);
    is_read.then_some(told)
}

fn entry(targets: &Targets, host: &Host, more: &str) -> String {
    let path = |name: &str| targets.path(name).display().to_string();
    format!(
        "formats = [\"bundle\", \"pkcs12\", \"pkcs7\", \"der\"]\n{more}[certificate.files]\nprivate_key = {:?}\n\
         fullchain = {:?}\npkcs12 = {:?}\npkcs7 = {:?}\nder = {:?}\npkcs12_password_file = {:?}\n",
        path("www.key"),
        path("www.crt"),
        path("www.p12"),
        path("www.p7b"),
        path("www.der"),
        host.path("password"),
    )
}

#[track_caller]
fn once(host: &Host) {
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}{}", said.err, host.status());
}

#[test]
fn every_format_is_written_and_openssl_reads_it() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.write("password", "first word\n");
    host.entry("www", &entry(&targets, &host, "include_root = true\n"));
    once(&host);
    let live = host.live("www");
    let pem = |name: &str| host.read(&live.join(name));
    let chain = blocks(&pem("fullchain.pem"), "CERTIFICATE");
    let root = pem::parse(host.simulator.issuing_root_pem()).unwrap().into_contents();
    assert_eq!((chain.len(), chain.last()), (3, Some(&root)), "leaf, intermediate and the root");
    assert_eq!(pem("bundle.pem"), format!("{}{}", pem("privkey.pem"), pem("fullchain.pem")));
    for (name, target) in [("keystore.p12", "www.p12"), ("fullchain.p7b", "www.p7b"), ("cert.der", "www.der")] {
        assert_eq!(fs::read(live.join(name)).unwrap(), fs::read(targets.path(target)).unwrap(), "{name}");
    }
    let told = key_store(&targets.path("www.p12"), "first word").unwrap();
    assert!(told.contains("AES-256-CBC") && told.contains("friendlyName: www"), "{told}");
    assert_eq!(blocks(&told, "CERTIFICATE"), chain);
    assert_eq!(blocks(&told, "PRIVATE KEY"), blocks(&pem("privkey.pem"), "PRIVATE KEY"));
    assert_eq!(key_store(&targets.path("www.p12"), "second word"), None);
    let mode = |name: &str| fs::metadata(targets.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("www.p12"), mode("www.p7b")], [0o600, 0o644]);
    let (_, told) = openssl(&["pkcs7", "-print_certs", "-in", targets.path("www.p7b").to_str().unwrap()], "");
    assert_eq!(blocks(&told, "CERTIFICATE"), chain);
    assert_eq!(fs::read(live.join("cert.der")).unwrap(), chain[0]);
}

#[test]
fn a_key_store_is_written_anew_when_its_password_changes_and_only_then() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.write("password", "first word\n");
    host.entry("www", &entry(&targets, &host, ""));
    once(&host);
    let written = || fs::read(targets.path("www.p12")).unwrap();
    let first = written();
    once(&host);
    assert!(written() == first, "no salt is a reason");
    host.write("password", "second word\n");
    once(&host);
    assert!(key_store(&targets.path("www.p12"), "second word").is_some());
    host.entry("www", &format!("{}pkcs12_encryption = \"legacy-3des\"\n", entry(&targets, &host, "")));
    once(&host);
    assert!(key_store(&targets.path("www.p12"), "second word").unwrap().contains("3-KeyTripleDES"));
    let manifest = host.read(&host.live("www").join("manifest.json"));
    assert!(!manifest.contains("word"), "{manifest}");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_password_that_others_can_read_is_found_before_anything_is_asked_for() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.write("password", "first word\n");
    host.entry("www", &entry(&targets, &host, ""));
    let refused = |part: &str| {
        assert_eq!(host.says(&["renew", "www"]).code, 1);
        let www = host.certificate("www");
        assert_eq!(www["last_error"]["code"], "password-refused", "{www}");
        assert!(www["last_error"]["message"].as_str().unwrap().contains(part), "{www}");
    };
    fs::set_permissions(host.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    refused("run: chmod 0600");
    host.write("password", "two\nlines\n");
    refused("one line");
    fs::remove_file(host.path("password")).unwrap();
    refused("does not exist");
    assert_eq!(host.submissions(), 0);
    host.write("password", "first word\n");
    assert_eq!(host.says(&["renew", "www"]).code, 0);
}

/// A certificate that ends later, with its key, stands at www's fixed paths: somebody else renewed it.
#[test]
fn what_others_renew_is_taken_over_and_what_they_spoil_is_put_back() {
    let host = Host::new(ProfileSpec { allows_validity_override: true, ..ProfileSpec::default() });
    let targets = Targets::new();
    host.write("password", "first word\n");
    host.entry("www", &entry(&targets, &host, "validity = \"30d\"\n"));
    let names = "dns_names = [\"www.example.com\", \"alt.www.example.com\", \"other.example.com\"]\n";
    host.entry("other", names);
    host.entry("third", "validity = \"60d\"\n");
    once(&host);
    let (first, other) = (host.live_serial("www"), host.live_serial("other"));
    let put = |name: &str| {
        fs::copy(host.live(name).join("privkey.pem"), targets.path("www.key")).unwrap();
        fs::copy(host.live(name).join("fullchain.pem"), targets.path("www.crt")).unwrap();
    };
    put("third");
    once(&host);
    assert_eq!(host.live_serial("www"), first, "it has other names: the gate refuses it");
    assert_eq!(host.read(&targets.path("www.crt")), host.read(&host.live("www").join("fullchain.pem")));
    put("other");
    once(&host);
    assert_eq!(host.live_serial("www"), other, "it is newer and has every name");
    assert_eq!(fs::read_link(host.live("www")).unwrap(), Path::new("2"));
    let told = key_store(&targets.path("www.p12"), "first word").unwrap();
    assert_eq!(blocks(&told, "CERTIFICATE"), blocks(&host.read(&targets.path("www.crt")), "CERTIFICATE"));
    assert!(host.says(&["status"]).out.contains("www"), "{}", host.status());
    fs::copy(host.path("state/certs/www/1/fullchain.pem"), host.live("www").join("fullchain.pem")).unwrap();
    once(&host);
    assert_eq!(host.live_serial("www"), other, "an old one in its place is put back");
    assert_eq!(host.submissions(), 3);
}

/// Each password has a file of its own in the generation, and each keeps its own when only one of them changes.
#[test]
fn copies_have_passwords_of_their_own() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.write("password", "first word\n");
    host.write("other-password", "other word\n");
    let path = |name: &str| targets.path(name).display().to_string();
    host.entry(
        "www",
        &format!(
            "[certificate.files]\npkcs12 = {:?}\npkcs12_password_file = {:?}\n\
             [[certificate.copy]]\nfiles = {{ pkcs12 = {:?} }}\n\
             [[certificate.copy]]\nfiles = {{ pkcs12 = {:?}, pkcs12_password_file = {:?} }}\n",
            path("www.p12"),
            host.path("password"),
            path("same.p12"),
            path("other.p12"),
            host.path("other-password"),
        ),
    );
    once(&host);
    let read = |name: &str| fs::read(targets.path(name)).unwrap();
    assert_eq!(read("www.p12"), read("same.p12"), "one password, one file");
    assert!(key_store(&targets.path("other.p12"), "other word").is_some());
    assert!(key_store(&targets.path("other.p12"), "first word").is_none());
    let (first, other) = (read("www.p12"), read("other.p12"));
    once(&host);
    assert_eq!((read("www.p12"), read("other.p12")), (first.clone(), other), "nothing is made anew without reason");
    host.write("other-password", "third word\n");
    once(&host);
    assert!(key_store(&targets.path("other.p12"), "third word").is_some());
    assert_eq!(read("www.p12"), first);
    assert_eq!(host.submissions(), 1);
}
