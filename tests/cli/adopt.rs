//! What `renewd adopt` makes of files that others kept: certbot's and certmonger's are real ones, but for their keys.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use renewd::config::{Main, parse_inventory_file};
use renewd::core::wanted::entry::Entry;
use tempfile::TempDir;

use crate::{check, file, renewd};

const PROFILE: &str = "d6743d9a-fb67-4a64-a33e-8a3229d28cc4";

/// A folder with a CA.
struct DropInCache {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl DropInCache {
    fn new() -> Self {
        let mut params = params("Example CA", 1, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), ca }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, mode: u32, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Certificate, key and chain for these names.
    fn issue(&self, serial: u8, names: &[&str]) -> [String; 3] {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names[0], serial, names).signed_by(&key, &self.ca).unwrap();
        [certificate.pem(), key.serialize_pem(), self.ca.pem()]
    }

    /// What is printed and complained of, with the folder, the user and the group replaced.
    fn says(&self, files: &[&Path], more: &[&str]) -> String {
        let mut call: Vec<&str> = vec!["adopt", "--config", "/nonexistent", "--profile", PROFILE];
        call.extend(files.iter().map(|file| file.to_str().unwrap()));
        call.extend(more);
        let output = renewd(&call);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let entries = entries(&out);
        assert!(output.status.code() == Some(if err.is_empty() { 0 } else { 1 }), "{:?} {err}", output.status);
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let text = format!("{out}{err}accepted by the reader: {}\n", names.join(", "));
        let text = text.replace(self.folder.path().to_str().unwrap(), "DIR");
        let id = |what: &str| String::from_utf8(Command::new("id").arg(what).output().unwrap().stdout).unwrap();
        let text = text.replace(&format!("owner = \"{}\"", id("-un").trim()), "owner = \"USER\"");
        text.replace(&format!("group = \"{}\"", id("-gn").trim()), "group = \"GROUP\"")
    }
}

fn params(common_name: &str, serial: u8, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, "Example AG");
    params.serial_number = Some(vec![1, serial].into());
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2099, 1, 1));
    params
}

fn entries(text: &str) -> Vec<Arc<Entry>> {
    let main = Main::new(Path::new("/nonexistent"));
    parse_inventory_file(&main, "adopted", text).map(|content| content.entries.to_vec()).unwrap_or_default()
}

#[test]
fn loose_files_are_put_together_in_any_order() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com", "*.example.com", "192.0.2.7"]);
    let (key, chain) = (shelf.write("www.key", 0o644, &key), shelf.write("ca.pem", 0o644, &chain));
    let certificate = shelf.write("www.crt", 0o664, &certificate);
    let said = shelf.says(&[&chain, &key, &certificate], &[]);
    assert_eq!(said, shelf.says(&[&certificate, &chain, &key], &[]), "in any order");
    check("adopt-loose.txt", &said);
    let all = [fs::read_to_string(&key), fs::read_to_string(&certificate), fs::read_to_string(&chain)];
    let bundle = shelf.write("all.pem", 0o640, &all.map(Result::unwrap).concat());
    check("adopt-bundle.txt", &shelf.says(&[&bundle], &[]));
}

#[test]
fn several_certificates_and_what_they_share() {
    let shelf = DropInCache::new();
    let [www, www_key, chain] = shelf.issue(2, &["www.example.com"]);
    let [mail, mail_key, _] = shelf.issue(3, &["*.example.com"]);
    let files = [
        shelf.write("www.pem", 0o644, &(www + &chain)),
        shelf.write("chain.pem", 0o644, &chain),
        shelf.write("wild.pem", 0o644, &mail),
        shelf.write("www.key", 0o600, &www_key),
        shelf.write("wild.key", 0o600, &mail_key),
    ];
    let link = shelf.path("link.pem");
    symlink("wild.pem", &link).unwrap();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).chain([link.as_path()]).collect();
    check("adopt-several.txt", &shelf.says(&files, &[]));
}

#[test]
fn files_that_hold_the_same_become_copies() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com"]);
    let full = certificate.clone() + &chain;
    let files = [
        shelf.write("www.key", 0o600, &key),
        shelf.write("www.pem", 0o644, &full),
        shelf.write("pg.key", 0o640, &key),
        shelf.write("pg.pem", 0o444, &full),
        shelf.write("other.pem", 0o640, &full),
        shelf.write("leaf.pem", 0o644, &certificate),
    ];
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    check("adopt-copies.txt", &shelf.says(&files, &[]));
}

#[test]
fn key_stores_need_their_password() {
    let shelf = DropInCache::new();
    let all = shelf.write("all.pem", 0o600, &shelf.issue(2, &["app.example.com"]).concat());
    let store = shelf.path("app.p12");
    for (kind, more) in [("new", ["-macalg", "sha256"]), ("old", ["-certpbe", "PBE-SHA1-3DES"])] {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["pkcs12", "-export", "-passout", "pass:word", "-in"])
            .arg(&all)
            .arg("-out")
            .arg(&store)
            .args(more);
        assert!(openssl.output().unwrap().status.success());
        let password = shelf.write("password", 0o600, "word\n");
        let said = shelf.says(&[&store], &["--password-file", password.to_str().unwrap()]);
        check(&format!("adopt-pkcs12-{kind}.txt"), &said);
    }
    let wrong = shelf.write("wrong", 0o600, "other\n");
    let said = [shelf.says(&[&store], &[]), shelf.says(&[&store], &["--password-file", wrong.to_str().unwrap()])];
    check("adopt-pkcs12-closed.txt", &said.concat());
}

/// A lineage as certbot lays it out, with the renewal configuration that certbot 2.1.0 wrote.
#[test]
fn a_lineage_of_certbot() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com", "example.com"]);
    let fullchain = format!("{certificate}{chain}");
    for (name, mode, text) in [
        ("cert", 0o644, &certificate),
        ("privkey", 0o600, &key),
        ("chain", 0o644, &chain),
        ("fullchain", 0o644, &fullchain),
    ] {
        shelf.write(&format!("archive/www.example.com/{name}1.pem"), mode, text);
        let link = shelf.path(&format!("live/www.example.com/{name}.pem"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(format!("../../archive/www.example.com/{name}1.pem"), link).unwrap();
    }
    let live = shelf.path("live/www.example.com");
    let conf = file("tests/cli/adopt/certbot.conf");
    shelf.write("renewal/www.example.com.conf", 0o644, &conf);
    let said = shelf.says(&[&live], &[]);
    check("adopt-certbot.txt", &said);
    let by_plugin = conf.replace("renew_hook = systemctl reload nginx", "installer = nginx");
    shelf.write("renewal/www.example.com.conf", 0o644, &by_plugin);
    assert_eq!(shelf.says(&[&live], &[]), said, "its plugin reloads nginx as well");
    fs::remove_file(live.join("chain.pem")).unwrap();
    check("adopt-certbot-broken.txt", &shelf.says(&[&live], &[]));
}

/// The tracking files that certmonger 0.79.17 wrote; key and certificate are this test's.
#[test]
fn requests_that_certmonger_tracks() {
    let shelf = DropInCache::new();
    let mut requests = Vec::new();
    for (serial, name) in [(2, "www"), (3, "mail")] {
        let [certificate, key, _] = shelf.issue(serial, &[&format!("{name}.example.com")]);
        shelf.write(&format!("{name}.crt"), 0o644, &certificate);
        shelf.write(&format!("{name}.key"), 0o640, &key);
        let request = file(&format!("tests/cli/adopt/certmonger-{name}"))
            .replace("/srv/tls", shelf.folder.path().to_str().unwrap());
        requests.push(shelf.write(&format!("requests/{name}"), 0o600, &request));
    }
    check("adopt-certmonger.txt", &shelf.says(&[&requests[0], &requests[1]], &[]));
    let nss = fs::read_to_string(&requests[0]).unwrap().replace("cert_storage_type=FILE", "cert_storage_type=NSSDB");
    let nss = shelf.write("requests/nss", 0o600, &nss);
    fs::remove_file(shelf.path("mail.crt")).unwrap();
    check("adopt-certmonger-not.txt", &shelf.says(&[&nss, &requests[1]], &[]));
}

/// What a playbook of vcert installs, and what its action becomes.
#[test]
fn files_that_a_playbook_of_vcert_installed() {
    let shelf = DropInCache::new();
    let playbook = file("tests/cli/adopt/vcert.yaml");
    let [certificate, key, chain] = shelf.issue(2, &["shop.example.com"]);
    let installed = |key: &str| {
        let path = playbook.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
        path.unwrap().rsplit('/').next().unwrap().to_owned()
    };
    let files = [
        shelf.write(&installed("file"), 0o644, &certificate),
        shelf.write(&installed("chainFile"), 0o644, &chain),
        shelf.write(&installed("keyFile"), 0o600, &key),
    ];
    let said = shelf.says(&files.each_ref().map(PathBuf::as_path), &[]);
    let page = file("src/cli/pages/renewd-migrating.7.md");
    let keys = playbook.lines().filter_map(|line| line.trim().trim_start_matches("- ").split_once(": "));
    let request = keys.skip_while(|(key, _)| *key != "renewBefore");
    for (key, _) in request.filter(|(key, _)| !["commonName", "organization", "country", "format"].contains(key)) {
        assert!(page.contains(&format!("`{key}")), "{key} is not in renewd-migrating(7)");
    }
    for line in ["certificate = \"DIR/shop.crt\"", "chain = \"DIR/shop.chain.crt\"", "private_key = \"DIR/shop.key\""] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn what_cannot_be_adopted_is_said() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com"]);
    let other = shelf.issue(3, &["other.example.com"]);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAQwAAQA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let files = [
        shelf.write("www.key", 0o600, &key),
        shelf.write("ca.pem", 0o644, &chain),
        shelf.write("encrypted.key", 0o600, encrypted),
        shelf.write(
            "request.csr",
            0o644,
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        ),
        shelf.write("cut.pem", 0o644, &certificate[..200]),
        shelf.write("page.html", 0o644, "<html></html>"),
        shelf.write("two.key", 0o600, &(key + &other[1])),
        shelf.path("missing.pem"),
        shelf.path(""),
    ];
    check("adopt-not.txt", &shelf.says(&files.each_ref().map(PathBuf::as_path), &[]));
}

/// What OpenSSL loads is adopted, in whatever form, and what is printed the inventory's reader takes.
#[test]
fn files_of_every_form_are_adopted() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com"]);
    let key_file = shelf.write("www.key", 0o600, &key);
    #[track_caller]
    fn adopted(shelf: &DropInCache, files: &[&Path], said: &[&str]) {
        let text = shelf.says(files, &[]);
        assert!(text.ends_with("accepted by the reader: www.example.com\n"), "{text}");
        assert!(!text.contains("not accepted"), "{text}");
        said.iter().for_each(|said| assert!(text.contains(said), "{said}: {text}"));
    }
    let mut latin = b"friendlyName: Z\xfcrich\n".to_vec();
    latin.extend_from_slice(certificate.as_bytes());
    let file = shelf.path("latin.crt");
    fs::write(&file, &latin).unwrap();
    adopted(&shelf, &[&file, &key_file], &["certificate = \"DIR/latin.crt\"", "private_key = \"DIR/www.key\""]);
    for label in [" X509 CERT", " TRUSTED CERT"] {
        let file = shelf.write("labelled.crt", 0o644, &certificate.replace(" CERT", label));
        adopted(&shelf, &[&file, &key_file], &["certificate = \"DIR/labelled.crt\""]);
    }
    let file = shelf.write("reversed.pem", 0o644, &format!("{chain}{certificate}"));
    let said = ["fullchain = \"DIR/reversed.pem\"", "# DIR/reversed.pem begins with another certificate than the leaf"];
    adopted(&shelf, &[&file, &key_file], &said);
    let file = shelf.write("www.crt", 0o644, &certificate);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAQwAAQA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = shelf.write("encrypted.key", 0o600, encrypted);
    let said = ["private_key = \"DIR/encrypted.key\"", "holds an encrypted key: renewd cannot tell"];
    adopted(&shelf, &[&file, &encrypted], &said);
    let several = shelf.write("several.key", 0o600, &format!("{key}{}", shelf.issue(3, &["other.example.com"])[1]));
    adopted(&shelf, &[&file, &several], &["private_key = \"DIR/several.key\""]);
}

/// A subject that no entry can say is said as far as one can, and the rest is told.
#[test]
fn a_subject_that_an_entry_cannot_say_is_cut_to_what_it_can() {
    let shelf = DropInCache::new();
    let mut params = params("www.example.com", 7, &["www.example.com"]);
    let name = &mut params.distinguished_name;
    name.push(DnType::CustomDnType(vec![2, 5, 4, 10]), "Zweite AG");
    name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "also.example.com");
    name.push(DnType::OrganizationalUnitName, "x".repeat(80));
    name.push(DnType::CustomDnType(vec![2, 5, 4, 11]), "Ops");
    name.push(DnType::CountryName, "Switzerland");
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &shelf.ca).unwrap().pem();
    let files = [shelf.write("www.crt", 0o644, &certificate), shelf.write("www.key", 0o600, &key.serialize_pem())];
    let said = shelf.says(&files.each_ref().map(PathBuf::as_path), &[]);
    let expected = [
        "subject = { organization_name = \"Example AG\", organization_units = [\"Ops\"] }",
        "# organization_name \"Zweite AG\" is left out: an entry has one",
        "# common_name \"also.example.com\" is left out: an entry has one",
        "# country \"Switzerland\" is left out: ",
        "accepted by the reader: www.example.com\n",
    ];
    expected.iter().for_each(|expected| assert!(said.contains(expected), "{expected}: {said}"));
}

/// What renewd does not read is called what it is, with the command that makes it readable.
#[test]
fn forms_that_openssl_converts_are_named_with_the_command() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com"]);
    let pem = shelf.write("all.pem", 0o644, &(certificate.clone() + &chain));
    let key = shelf.write("www.key", 0o600, &key);
    let converted = |arguments: &[&str], from: &Path, name: &str| {
        let to = shelf.path(name);
        let mut openssl = Command::new("openssl");
        assert!(openssl.args(arguments).arg(from).arg("-out").arg(&to).output().unwrap().status.success());
        to
    };
    let pkcs7 = ["crl2pkcs7", "-nocrl", "-certfile"];
    let files = [
        converted(&["pkey", "-outform", "DER", "-in"], &key, "www.der.key"),
        converted(&["crl2pkcs7", "-outform", "DER", "-nocrl", "-certfile"], &pem, "der.p7b"),
        shelf.path("ber.crt"),
        converted(&pkcs7, &pem, "all.p7b"),
    ];
    // The signed part, and what holds it, without lengths.
    let der = fs::read(converted(&["x509", "-outform", "DER", "-in"], &pem, "www.der")).unwrap();
    let end = 8 + usize::from(u16::from_be_bytes([der[6], der[7]]));
    fs::write(&files[2], [b"\x30\x80\x30\x80", &der[8..end], b"\0\0", &der[end..], b"\0\0"].concat()).unwrap();
    let said = shelf.says(&files.each_ref().map(PathBuf::as_path), &[]);
    let expected = [
        "to convert it to PEM, run: openssl pkey -inform DER -in DIR/www.der.key -out DIR/www.der.key.pem\n",
        "run: openssl pkcs7 -inform DER -in DIR/der.p7b -print_certs -out DIR/der.p7b.pem\n",
        "the certificate is in BER, not in DER as X.509 demands; to see it, run: openssl x509 -in DIR/ber.crt -noout -text\n",
        "pkcs7 = \"DIR/all.p7b\"\n",
    ];
    expected.iter().for_each(|expected| assert!(said.contains(expected), "{expected}: {said}"));
}

/// Nothing that is printed steers a terminal, and nothing is left out in silence.
#[test]
fn what_cannot_be_seen_or_asked_for_is_told() {
    let shelf = DropInCache::new();
    let mut params = params("www.example.com", 7, &["www.example.com"]);
    params.distinguished_name.push(DnType::OrganizationName, "Ex\u{a0}\u{202e}GA");
    params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "other");
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &shelf.ca).unwrap().pem();
    let files = [
        shelf.write("www.crt", 0o644, &certificate),
        shelf.write("www.key", 0o600, &key.serialize_pem()),
        shelf.path("\u{202e}gone"),
    ];
    let said = shelf.says(&files.each_ref().map(PathBuf::as_path), &[]);
    assert!(!said.contains(['\u{a0}', '\u{202e}']), "{said}");
    let expected = [
        "organization_name = \"Ex\\U000000A0\\U0000202EGA\"",
        "# subject attribute 1.2.3.4 \"other\" is left out: TLM accepts none of that kind",
        "accepted by the reader: www.example.com\n",
    ];
    expected.iter().for_each(|expected| assert!(said.contains(expected), "{expected}: {said}"));
}

/// The entry keeps what is there: it is known, and nothing is asked for before it is due.
#[test]
fn an_adopted_certificate_is_known_at_once() {
    let shelf = DropInCache::new();
    let [certificate, key, chain] = shelf.issue(2, &["www.example.com"]);
    let files = [shelf.write("www.crt", 0o644, &(certificate + &chain)), shelf.write("www.key", 0o600, &key)];
    let adopted = renewd(&["adopt", files[0].to_str().unwrap(), files[1].to_str().unwrap(), "--profile", PROFILE]);
    shelf.write("etc/certs.d/www.toml", 0o600, &String::from_utf8(adopted.stdout).unwrap());
    fs::set_permissions(shelf.path("etc/certs.d"), fs::Permissions::from_mode(0o700)).unwrap();
    let folder = shelf.folder.path().display();
    let main = format!("inventory = \"{folder}/etc/certs.d\"\nstate_dir = \"{folder}/state\"\n");
    let main = shelf.write("etc/renewd.toml", 0o600, &main);
    let plan = renewd(&["plan", "--json", "--config", main.to_str().unwrap()]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let www = &plan["certificates"][0];
    assert_eq!(
        (&www["name"], &www["not_after"]),
        (&"www.example.com".into(), &"2099-01-01T00:00:00Z".into()),
        "{plan}"
    );
    assert!(www["reason"].as_str().unwrap().starts_with("not due until 20"), "{plan}");
}
