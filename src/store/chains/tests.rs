//! The CA certificates that are served: which are found, and with whom.

use std::fs;
use std::path::Path;

use super::*;
use crate::core::entry::Source;
use crate::core::name::{CertName, ProfileRef};
use crate::core::naming::Naming;
use crate::core::rare::Rare;
use crate::core::terms::Terms;
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

fn set(name: &str, generation: u64, leaf: &rcgen::Certificate) -> Set {
    let entry = Entry {
        name: name.parse().unwrap(),
        source: Source { file: "certs.d/www.toml".into(), line: 1 },
        naming: Naming::default().into(),
        probes: Rare::new(),
        files: Rare::new(),
        terms: Arc::new(Terms::new(ProfileRef::new("Web"))),
    };
    Set { entry: Arc::new(entry), generation: Generation(generation), leaf: sha256(leaf.der()) }
}

#[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
fn write(root: &Path, set: &Set, text: &str) {
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
