//! What is wrong with what was found: each fault alone, in a folder that a test makes.

#![expect(clippy::disallowed_methods, reason = "a test writes its files as everybody else does")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::KeyPair;
use tempfile::TempDir;

use super::ask::{Service, Sight};
use super::faults::{self, Fault};
use super::files::Files;
use super::findings;
use super::managers::Managed;
use super::mention::{Listen, Mention, Server, Side};
use super::sockets::Listener;
use crate::core::text::Text;
use crate::core::wanted::key::KeyType;
use crate::pki::certificate::Certificate;
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::{Ca, NOW, leaf_params, valid};

const DAY: i64 = 86_400;

/// A host: files, a configuration, and a server that presents something.
struct Scene {
    folder: TempDir,
    ca: Ca,
    key: PrivateKey,
    mentions: Vec<Mention>,
    services: Vec<Service>,
    managed: Vec<Managed>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A folder that everybody can pass, as those of servers.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let ca = Ca::root("Root").below("Issuing");
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        Self { folder, ca, key, mentions: Vec::new(), services: Vec::new(), managed: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A leaf for `www.example.com` with this validity, in days from now.
    fn leaf(&self, from: i64, until: i64) -> Certificate {
        let mut params = leaf_params(&["www.example.com"]);
        valid(&mut params, from * DAY, until * DAY);
        self.ca.leaf(&self.key, &params)
    }

    fn write(&self, name: &str, certificates: &[&Certificate]) -> PathBuf {
        let text: String = certificates.iter().map(|certificate| certificate.to_pem()).collect();
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn write_key(&self, name: &str, key: &PrivateKey, mode: u32) -> PathBuf {
        fs::write(self.path(name), key.to_pem().as_bytes()).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self.path(name)
    }

    fn names(&mut self, certificate: PathBuf, key: Option<PathBuf>) {
        self.mentions.push(Mention {
            server: Server::Nginx,
            file: PathBuf::from("/etc/nginx/nginx.conf"),
            line: 7,
            certificate,
            key,
            chain: None,
            password: None,
            side: Side::Server,
            listens: vec![Listen { address: None, port: 443, starttls: None }],
            names: Vec::new(),
        });
    }

    fn presents(&mut self, leaf: &Certificate, chain: &[&Certificate]) {
        self.services.push(Service {
            listener: Listener { address: SocketAddr::from(([0, 0, 0, 0], 443)), inode: 1 },
            pid: Some(1),
            program: Some("nginx".to_owned()),
            unit: Some("nginx.service".to_owned()),
            starttls: None,
            sights: vec![Sight {
                name: None,
                leaf: leaf.clone(),
                chain: chain.iter().map(|&certificate| certificate.clone()).collect(),
            }],
            refusal: None,
        });
    }

    fn faults(&self) -> Vec<Fault> {
        let mut files = Files::default();
        let named = findings::look_at(&self.mentions, &self.managed, &mut files);
        let found = findings::all(&named, &self.services, &self.managed, &files);
        faults::all(&found, &named, &self.services, &files, NOW)
    }

    /// The one fault that there is: its code, and what stands in it.
    #[track_caller]
    fn has(&self, code: &str, words: &[&str]) {
        let all = self.faults();
        let [fault] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!(fault.code, code, "{fault:?}");
        for word in words {
            assert!(
                format!("{} {} {}", fault.subject, fault.message, fault.remedy).contains(word),
                "{word}: {fault:?}"
            );
        }
    }
}

/// A server, its configuration and its files, all in order.
fn in_order() -> (Scene, Certificate) {
    let mut scene = Scene::new();
    let leaf = scene.leaf(-1, 89);
    let ca = scene.ca.certificate.clone();
    let (certificate, key) = (scene.write("c.pem", &[&leaf, &ca]), scene.write_key("k.pem", &scene.key, 0o600));
    scene.names(certificate, Some(key));
    scene.presents(&leaf, &[&ca]);
    (scene, leaf)
}

#[test]
fn nothing_is_wrong_with_what_is_in_order() {
    assert_eq!(in_order().0.faults(), []);
}

#[test]
fn the_validity_of_what_somebody_uses() {
    for (from, until, code, words) in [
        (-100, -3, "expired", ["it expired 3 d ago, and nginx on port 443 presents it", "renewd discover --entries"]),
        (-80, 9, "", ["", ""]),
        (-81, 8, "expiring", ["it expires in 8 d, and nobody renews it; nginx on port 443 presents it", "renew it"]),
        (1, 90, "not-yet-valid", ["it is not valid before 2026-11-25", "clock"]),
    ] {
        let mut scene = Scene::new();
        let leaf = scene.leaf(from, until);
        let ca = scene.ca.certificate.clone();
        scene.presents(&leaf, &[&ca]);
        if code.is_empty() {
            assert_eq!(scene.faults(), [], "{until}");
        } else {
            scene.has(code, &words);
        }
    }
}

#[test]
fn what_lies_around_and_nobody_uses_is_not_judged() {
    let scene = Scene::new();
    let old = scene.leaf(-100, -3);
    let path = scene.write("old.pem", &[&old]);
    let mut files = Files::default();
    files.named(&path, None).unwrap();
    let found = findings::all(&[], &[], &[], &files);
    assert_eq!(found.len(), 1);
    assert_eq!(faults::all(&found, &[], &[], &files, NOW), []);
}

#[test]
fn a_chain_that_ends_first() {
    let mut scene = Scene::new();
    let root = Ca::root("Root");
    scene.ca = root.below_with("Issuing", KeyPair::generate().unwrap(), |params| valid(params, -365 * DAY, 5 * DAY));
    let leaf = scene.leaf(-1, 89);
    let ca = scene.ca.certificate.clone();
    scene.presents(&leaf, &[&ca]);
    scene.has("chain-ends-first", &["CN=Issuing in its chain expires first, in 5 d", "chain"]);
}

#[test]
fn an_intermediate_that_is_on_the_host_and_not_presented() {
    let (mut scene, leaf) = in_order();
    scene.services.clear();
    scene.presents(&leaf, &[]);
    scene.has("chain-missing", &["nginx on port 443 presents it without its intermediate \"Issuing\"", "fullchain"]);
}

#[test]
fn a_file_that_was_replaced_and_a_server_that_was_not_reloaded() {
    let (mut scene, _) = in_order();
    let (old, ca) = (scene.leaf(-60, 30), scene.ca.certificate.clone());
    scene.services.clear();
    scene.presents(&old, &[&ca]);
    scene.has(
        "not-loaded",
        &["nginx on port 443 still presents serial number", "c.pem", "systemctl reload nginx.service"],
    );
    // Two of one day: many CAs begin at midnight.
    let (mut scene, leaf) = in_order();
    let same = scene.leaf(-1, 89);
    assert_ne!(same, leaf);
    scene.services.clear();
    scene.presents(&same, &[&ca_of(&scene)]);
    scene.has("not-loaded", &["still presents serial number"]);
    // Another kind of key is another certificate of the same server.
    let (mut scene, _) = in_order();
    let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let mut params = leaf_params(&["www.example.com"]);
    valid(&mut params, -60 * DAY, 30 * DAY);
    let old = scene.ca.leaf(&rsa, &params);
    scene.presents(&old, &[&ca_of(&scene)]);
    assert_eq!(scene.faults(), []);
}

fn ca_of(scene: &Scene) -> Certificate {
    scene.ca.certificate.clone()
}

#[test]
fn a_copy_that_is_older_than_what_its_manager_has() {
    let mut scene = Scene::new();
    let (old, new, ca) = (scene.leaf(-60, 30), scene.leaf(-1, 89), scene.ca.certificate.clone());
    let (copy, key) = (scene.write("copy.pem", &[&old, &ca]), scene.write_key("k.pem", &scene.key, 0o600));
    let lineage = scene.write("fullchain.pem", &[&new, &ca]);
    scene.names(copy, Some(key));
    scene.presents(&old, &[&ca]);
    scene.managed.push(Managed::by_certbot("www", lineage));
    scene.has("outdated-copy", &["nginx on port 443 presents serial number", "fullchain.pem"]);
}

#[test]
fn files_that_a_configuration_names_and_cannot_use() {
    let leaf_of = |scene: &Scene| (scene.leaf(-1, 89), scene.ca.certificate.clone());
    let mut scene = Scene::new();
    let (leaf, ca) = leaf_of(&scene);
    let certificate = scene.write("c.pem", &[&leaf, &ca]);
    scene.names(certificate, Some(scene.path("none.pem")));
    scene.has("file-unusable", &["/etc/nginx/nginx.conf:7", "none.pem, which is not there", "nginx does not start"]);

    let mut scene = Scene::new();
    let (leaf, ca) = leaf_of(&scene);
    let certificate = scene.write("c.pem", &[&leaf, &ca]);
    scene.names(certificate.clone(), Some(certificate));
    scene.has("file-unusable", &["as private key, which holds none"]);

    let mut scene = Scene::new();
    let (leaf, ca) = leaf_of(&scene);
    let certificate = scene.write("c.pem", &[&leaf, &ca]);
    let other = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let key = scene.write_key("k.pem", &other, 0o600);
    scene.names(certificate, Some(key));
    scene.has("pair-mixed", &["/etc/nginx/nginx.conf:7", "k.pem is not that of", "www.example.com"]);

    let mut scene = Scene::new();
    let (leaf, ca) = leaf_of(&scene);
    let (certificate, key) = (scene.write("c.pem", &[&ca, &leaf]), scene.write_key("k.pem", &scene.key, 0o600));
    scene.names(certificate, Some(key));
    scene.has("leaf-not-first", &["c.pem, which /etc/nginx/nginx.conf:7 names, begins with a CA's certificate"]);
}

#[test]
fn a_key_that_everybody_can_read_and_reach() {
    let (scene, _) = in_order();
    fs::set_permissions(scene.path("k.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    scene.has("key-exposed", &["everybody on this host can read its private key", "run: chmod o= ", "k.pem"]);
    fs::set_permissions(scene.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(scene.faults(), [], "nobody passes its folder");
}

#[test]
fn a_certificate_with_a_common_name_alone() {
    let mut scene = Scene::new();
    let mut params = leaf_params(&[]);
    params.distinguished_name.push(rcgen::DnType::CommonName, "www.example.com");
    let leaf = scene.ca.leaf(&scene.key, &params);
    let ca = scene.ca.certificate.clone();
    scene.presents(&leaf, &[&ca]);
    scene.has("no-names", &["it has only a common name, and nginx on port 443 presents it"]);
}

#[test]
fn a_server_of_another_decade() {
    let (mut scene, _) = in_order();
    let mut old = scene.services.remove(0);
    old.sights.clear();
    old.refusal = Some(Text::new("received fatal alert: ProtocolVersion"));
    scene.services = vec![old];
    scene.has("tls-outdated", &["0.0.0.0:443", "nginx on port 443 offers no TLS 1.2 or 1.3"]);
    scene.services[0].refusal = Some(Text::new("received fatal alert: HandshakeFailure"));
    assert_eq!(scene.faults(), []);
}

/// A hostile program or path is one clean line.
#[test]
fn what_comes_from_outside_is_cleaned() {
    let mut scene = Scene::new();
    let leaf = scene.leaf(-100, -3);
    let ca = scene.ca.certificate.clone();
    scene.presents(&leaf, &[&ca]);
    scene.services[0].program = Some("ng\u{1b}[2Jinx\n".to_owned());
    let path = scene.path("no\u{1b}[2J\nne.pem");
    scene.names(path, None);
    let all = scene.faults();
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all.iter().all(|fault| !fault.message.contains(['\u{1b}', '\n'])), "{all:?}");
}
