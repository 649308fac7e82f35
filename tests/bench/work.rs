//! The parts of the work, each ready to be done again and again: what is prepared once stands outside what is measured.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use renewd::config::{Main, parse_inventory_file};
use renewd::core::decide::{Action, World, decide};
use renewd::core::event;
use renewd::core::known::observed::Observed;
use renewd::core::name::Attempt;
use renewd::core::record::Record;
use renewd::core::remark::RareRemarks;
use renewd::core::wanted::entry::SubjectFrom;
use renewd::core::wanted::key::KeyType;
use renewd::core::wanted::subject::Subject;
use renewd::core::wanted::window::Deploy;
use renewd::pki::certificate::{certificates, certificates_in_file};
use renewd::pki::gate::{Candidate, Demand, Verdict, judge};
use renewd::pki::key::PrivateKey;
use renewd::pki::{csr, leaf, served};
use renewd::store::generation::{NewSet, install};
use renewd::store::journal::{Folded, Journal};
use renewd::store::layout::Layout;
use renewd::store::observe::observe;
use renewd::store::real_disk::RealDisk;
use renewd::store::targets::ServiceIdentity;

use crate::material::{self, DAY, Issued, NOW};
use crate::turn::Turn;

/// A part.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    prepare: fn(&Room<'_>) -> Box<dyn FnMut()>,
}

/// Where a part works.
struct Room<'a> {
    /// An empty folder.
    folder: &'a Path,
    /// The keys and chains.
    material: &'a Path,
}

impl Room<'_> {
    fn p256(&self) -> Issued {
        Issued::read(self.material, "p256")
    }

    fn layout(&self) -> Layout {
        Layout::new(self.folder)
    }
}

impl Part {
    /// Prepares it in an empty `folder`, with the keys and chains of `material`.
    pub(crate) fn prepare(&self, folder: &Path, material: &Path) -> Box<dyn FnMut()> {
        (self.prepare)(&Room { folder, material })
    }
}

pub(crate) const PARTS: &[Part] = &[
    Part { name: "parse-inventory-1", prepare: |_| parse_inventory(1) },
    Part { name: "parse-inventory-100", prepare: |_| parse_inventory(100) },
    Part { name: "parse-inventory-1000", prepare: |_| parse_inventory(1000) },
    Part { name: "parse-leaf", prepare: |room| parse_leaf(room.p256()) },
    Part { name: "parse-chain", prepare: |room| parse_chain(room.p256()) },
    Part { name: "observe", prepare: observe_set },
    Part { name: "decide-valid", prepare: |room| decide_once(&room.p256(), 1, false) },
    Part { name: "decide-due", prepare: |room| decide_once(&room.p256(), 80, true) },
    Part { name: "look-1k", prepare: |room| look(&room.p256(), 1000) },
    Part { name: "look-100k", prepare: |room| look(&room.p256(), 100_000) },
    Part { name: "event-1k", prepare: |room| event_of(&room.p256(), 1000) },
    Part { name: "event-100k", prepare: |room| event_of(&room.p256(), 100_000) },
    Part { name: "journal-append-1", prepare: |room| journal_append(room, 1) },
    Part { name: "journal-append-16", prepare: |room| journal_append(room, 16) },
    Part { name: "journal-read-1k", prepare: journal_read },
    Part { name: "install", prepare: install_set },
    Part { name: "gate-p256", prepare: |room| gate(room.p256()) },
    Part { name: "gate-rsa-2048", prepare: |room| gate(Issued::read(room.material, "rsa")) },
    Part { name: "key-and-csr-p256", prepare: |_| key_and_csr(KeyType::EcdsaP256) },
    Part { name: "key-and-csr-p384", prepare: |_| key_and_csr(KeyType::EcdsaP384) },
    Part { name: "key-and-csr-rsa-2048", prepare: |_| key_and_csr(KeyType::Rsa2048) },
];

fn parse_inventory(count: usize) -> Box<dyn FnMut()> {
    let (main, text) = (Main::new(Path::new("/etc/renewd/renewd.toml")), material::drop_in(count));
    Box::new(move || {
        let content = parse_inventory_file(&main, "certs.d/all.toml", &text).unwrap();
        assert_eq!(black_box(content).entries.len(), count);
    })
}

fn parse_leaf(issued: Issued) -> Box<dyn FnMut()> {
    let pem = issued.leaf().to_pem();
    Box::new(move || {
        let found = certificates_in_file(&pem).unwrap();
        drop(black_box(leaf::read(&found[0]).unwrap()));
    })
}

fn parse_chain(issued: Issued) -> Box<dyn FnMut()> {
    Box::new(move || {
        let found = certificates(&issued.answer).unwrap();
        found.iter().for_each(|one| drop(black_box(leaf::read(one).unwrap())));
    })
}

fn identity() -> ServiceIdentity {
    let own = rustix::process::getuid().as_raw();
    ServiceIdentity { uid: own, gid: rustix::process::getgid().as_raw(), own: Vec::new() }
}

/// An installation of the same set as that of one request more at each turn: the oldest generation makes room.
fn installer(room: &Room<'_>) -> impl FnMut() + 'static {
    let (issued, layout, identity) = (room.p256(), room.layout(), identity());
    let (entry, profile) = (material::entry("www"), material::profile().id);
    let served = served::served(issued.leaf(), issued.chain());
    let mut attempt = Attempt(0);
    move || {
        attempt.0 += 1;
        let set = NewSet {
            leaf: issued.leaf(),
            facts: &issued.facts,
            chain: issued.chain(),
            root: issued.certificates.last(),
            key: &issued.key,
            attempt,
            profile: &profile,
            served: &served,
            refreshes: None,
            remarks: &RareRemarks::new(),
        };
        install(&RealDisk, &layout, &identity, &entry, &set, 3).unwrap();
    }
}

fn install_set(room: &Room<'_>) -> Box<dyn FnMut()> {
    let mut install = installer(room);
    (0..3).for_each(|_| install());
    Box::new(install)
}

fn observe_set(room: &Room<'_>) -> Box<dyn FnMut()> {
    installer(room)();
    let (layout, entry) = (room.layout(), material::entry("www"));
    Box::new(move || {
        let seen = observe(&RealDisk, &layout, &entry);
        assert!(black_box(&seen).installed().is_some_and(|set| set.drift.is_empty() && set.differs.is_none()));
    })
}

fn decide_once(issued: &Issued, age: u32, is_due: bool) -> Box<dyn FnMut()> {
    let entry = material::entry("www");
    let observed = Observed::Installed(Box::new(material::installed(&issued.facts, DAY * age, NOW)));
    let mut record = Record::default();
    material::renewal(&entry, &issued.facts, NOW).iter().for_each(|told| record.apply(told.at, &told.event));
    let (reading, global) = (material::reading(), material::global_state(Some(DAY)));
    Box::new(move || {
        let (deploy, now) = (Deploy::Open, NOW);
        let world = World {
            entry: &entry,
            observed: &observed,
            reading: &reading,
            record: &record,
            other: None,
            global: &global,
            deploy,
            ask: Deploy::Open,
            now,
        };
        let decision = decide(black_box(&world));
        assert_eq!(matches!(black_box(decision).action, Action::Submit(_)), is_due);
    })
}

fn look(issued: &Issued, count: usize) -> Box<dyn FnMut()> {
    let mut turn = Turn::new(count, &issued.facts);
    Box::new(move || turn.look())
}

fn event_of(issued: &Issued, count: usize) -> Box<dyn FnMut()> {
    let mut turn = Turn::new(count, &issued.facts);
    Box::new(move || turn.event())
}

/// So many events of renewals, each of another certificate.
fn events(issued: &Issued, count: usize) -> Vec<event::Entry> {
    let of = |number: usize| material::renewal(&material::entry(&format!("c{number:06}")), &issued.facts, NOW);
    (0..).flat_map(of).take(count).collect()
}

fn journal(room: &Room<'_>) -> Journal {
    Journal::open::<Folded>(Arc::new(RealDisk), &room.layout(), NOW).unwrap().0
}

fn journal_append(room: &Room<'_>, count: usize) -> Box<dyn FnMut()> {
    let (mut journal, events) = (journal(room), events(&room.p256(), count));
    Box::new(move || journal.append(black_box(&events)).unwrap())
}

/// Read and folded, as at the start.
fn journal_read(room: &Room<'_>) -> Box<dyn FnMut()> {
    journal(room).append(&events(&room.p256(), 1000)).unwrap();
    let layout = room.layout();
    Box::new(move || {
        let content = Journal::read::<Folded>(&RealDisk, &layout).unwrap();
        assert!(!content.entries.records.is_empty() && content.damaged == 0);
        drop(black_box(content));
    })
}

fn gate(issued: Issued) -> Box<dyn FnMut()> {
    let (names, subject) = (material::entry("www").names(), Subject::new());
    Box::new(move || {
        let candidate = Candidate { certificates: &issued.certificates, key: issued.spki };
        let demand = Demand {
            common_name: Some("www.example.com"),
            names: &names,
            subject: &subject,
            subject_from: SubjectFrom::Request,
            exact_names: false,
            usages: &issued.facts.usages,
            issuers: &[],
            pin: None,
            installed_issuer: None,
            validity_asked: None,
            must_outlive: Some(NOW),
            now: NOW,
        };
        let verdict = judge(black_box(&candidate), &demand);
        assert!(matches!(black_box(&verdict), Verdict::Accepted(_)), "{verdict:?}");
    })
}

fn key_and_csr(kind: KeyType) -> Box<dyn FnMut()> {
    let (names, subject) = (material::entry("www").names(), Subject::new());
    Box::new(move || {
        let key = PrivateKey::generate(kind).unwrap();
        drop(black_box(csr::make(&key, &subject, &names).unwrap()));
        drop(black_box(key.to_pem()));
    })
}
