//! The CA certificates that are served: which are found, and with whom.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::core::example::bare;
use crate::core::name::CertName;
use crate::core::wanted::files::FixedFiles;
use crate::store::example::{Example, pem, unreadable};
use crate::store::manifest::Manifest;
use crate::store::real_disk::RealDisk;

fn ca(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

fn issuing() -> Certificate {
    ca(include_bytes!("../../../tests/fuzz/seeds/standing/issuing.der"))
}

fn root() -> Certificate {
    ca(include_bytes!("../../../tests/fuzz/seeds/standing/root.der"))
}

fn leaf() -> rcgen::Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap().self_signed(&key).unwrap()
}

fn set(name: &str, generation: u64, leaf: &rcgen::Certificate) -> LiveSet {
    LiveSet { entry: Arc::new(bare(name)), generation: Generation(generation), leaf: sha256(leaf.der()) }
}

#[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
fn write(root: &Path, set: &LiveSet, text: &str) {
    let folder = Layout::new(root).generation(&set.entry.name, set.generation);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(FULLCHAIN), text).unwrap();
}

#[test]
fn each_ca_is_found_once_with_those_who_serve_it() {
    let folder = tempfile::tempdir().unwrap();
    let (leaf, layout) = (leaf(), Layout::new(folder.path()));
    let sets = ["a", "b", "c", "d", "e"].map(|name| set(name, 1, &leaf));
    let [a, b, c, d, _gone] = &sets;
    for with_ca in [a, b] {
        write(folder.path(), with_ca, &format!("{}{}", leaf.pem(), issuing().to_pem()));
    }
    write(folder.path(), c, &format!("{}{}{}", leaf.pem(), issuing().to_pem(), root().to_pem()));
    write(folder.path(), d, &leaf.pem());
    let wanted = BTreeSet::from([issuing().fingerprint()]);
    let chains = read(&RealDisk, &layout, &sets, &wanted);
    assert_eq!(chains.found.cas.keys().collect::<Vec<_>>(), [&issuing().fingerprint()]);
    assert_eq!(chains.found.cas.values().next().unwrap().subject.as_str(), "CN=Fuzz Issuing CA");
    let names: Vec<&str> = chains.found.holders.iter().map(|(_, holder)| holder.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((chains.others, chains.found.unread.len()), (vec![root()], 0));
    assert!(read(&RealDisk, &layout, &sets, &BTreeSet::new()).found.holders.is_empty());
}

/// The root is known of the set that came with it, whichever is read first.
#[test]
fn a_root_is_known_of_whichever_set_came_with_it() {
    let host = Example::new();
    let root = &host.root.certificate;
    for order in [[None, Some(root)], [Some(root), None]] {
        let sets = ["a", "b"].map(|name| {
            let mut host = Example::new();
            host.entry.name = name.parse().unwrap();
            host
        });
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let leaf = leaf();
        let sets = [("a", order[0], &sets[0]), ("b", order[1], &sets[1])].map(|(name, root, other)| {
            let set = set(name, 1, &leaf);
            write(folder.path(), &set, &format!("{}{}", leaf.pem(), host.old().to_pem()));
            other.install(&[other.old()], None, Vec::new());
            let manifest = Manifest { root: root.map(Certificate::to_pem), ..other.manifest() };
            let path = layout.generation(&set.entry.name, set.generation).join(Manifest::NAME);
            #[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
            fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
            set
        });
        let chains = read(&RealDisk, &layout, &sets, &BTreeSet::new());
        assert_eq!(chains.others, vec![root.clone()]);
    }
}

#[test]
fn the_cas_beside_one_that_cannot_be_read_are_found() {
    let (host, folder) = (Example::new(), tempfile::tempdir().unwrap());
    let (leaf, set) = (leaf(), set("a", 1, &leaf()));
    let text = format!("{}{}{}", leaf.pem(), unreadable(&host.root.certificate), host.old().to_pem());
    write(folder.path(), &set, &text);
    let chains = read(&RealDisk, &Layout::new(folder.path()), &[set], &BTreeSet::new());
    assert_eq!(chains.found.cas.keys().collect::<Vec<_>>(), [&host.old().fingerprint()]);
}

/// In whichever of its files; what is not there is no trouble.
#[test]
fn the_cas_of_an_adopted_set_are_found() {
    let mut host = Example::new();
    let whole = pem(&[&host.leaf, &host.old()]);
    for name in ["fullchain", "certificate", "chain", "bundle"] {
        let place = |own: &str| if own == name { host.file(own, &whole) } else { host.missing(own) };
        let files = FixedFiles {
            fullchain: place("fullchain"),
            certificate: place("certificate"),
            chain: place("chain"),
            bundle: place("bundle"),
            ..FixedFiles::default()
        };
        host.at(files);
        let entry = Arc::new(host.entry.clone());
        let set = LiveSet { entry, generation: Generation(0), leaf: host.leaf.fingerprint() };
        let chains = read(&RealDisk, &host.layout, &[set], &BTreeSet::new());
        assert_eq!(chains.found.cas.keys().collect::<Vec<_>>(), [&host.old().fingerprint()], "{name}");
        assert!(chains.found.unread.is_empty());
        host.remove(name);
    }
}

#[test]
fn what_cannot_be_read_is_told_apart_from_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let set = set("a", 1, &leaf());
    // A folder in place of the file.
    let path = Layout::new(folder.path()).generation(&set.entry.name, set.generation).join(FULLCHAIN);
    fs::create_dir_all(path).unwrap();
    let chains = read(&RealDisk, &Layout::new(folder.path()), &[set], &BTreeSet::new());
    assert_eq!(chains.found.unread, BTreeSet::from(["a".parse::<CertName>().unwrap()]));
}

#[test]
fn what_is_kept_is_read_again_and_what_is_damaged_counts_as_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    assert_eq!(kept(&RealDisk, &layout), []);
    keep(&RealDisk, &layout, &[]).unwrap();
    assert_eq!(kept(&RealDisk, &layout), []);
    #[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
    fs::write(layout.ca_status(), "[{").unwrap();
    assert_eq!(kept(&RealDisk, &layout), []);
}
