//! Certificates, keys, and the gate.

use std::sync::OnceLock;

use renewd::core::code::Code;
use renewd::core::text::Text;
use renewd::core::wanted::entry::{Sans, SubjectFrom};
use renewd::core::wanted::subject::Subject;
use renewd::core::wanted::usage::Usage;
use renewd::pki::answer::Answer;
use renewd::pki::certificate::{Certificate, certificates, certificates_in_file};
use renewd::pki::gate::{self, Candidate, Demand, Set, Verdict};
use renewd::pki::key::PrivateKey;
use renewd::pki::key_file::{Belonging, KeyFile};
use renewd::pki::pem::{self as armour, Part};
use renewd::pki::{certificate_file, chain, leaf, pkcs12};

use crate::targets::{NOW, SECRET, clean, told};

/// PEM, bare base64, and what files hold.
pub fn pem(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for part in armour::parts(text).unwrap_or_default() {
        let Part::Block(block) = part else { continue };
        let Ok(der) = armour::decode(block.body) else { continue };
        let again = armour::armour(block.label, &der);
        let parts = armour::parts(&again).unwrap();
        assert!(matches!(parts.as_slice(), [Part::Block(one)] if *armour::decode(one.body).unwrap() == *der));
    }
    for read in [certificates(text), certificates_in_file(text)] {
        match read {
            Ok(found) => found.iter().for_each(certificate),
            Err(error) => error.to_string().lines().for_each(clean),
        }
    }
}

/// A text of an answer, in whatever wrapping: what is kept of it is read again as it was.
pub fn answer(data: &[u8]) {
    answer_text(&String::from_utf8_lossy(data));
}

/// The same for a text that was found in an answer's JSON.
pub fn answer_text(text: &str) {
    let mut found = Answer::default();
    found.read(text, &|raw| Text::masked(raw, [SECRET]));
    assert!(found.certificates.len() <= 128 && found.unreadable.len() <= 17);
    found.certificates.iter().for_each(certificate);
    found.unreadable.iter().for_each(told);
    assert_eq!(Answer::of_kept(&found.kept()), found);
    drop(Answer::of_kept(text));
}

/// A certificate that was taken is taken again from its own spelling.
fn certificate(taken: &Certificate) {
    clean(taken.label().as_str());
    let again = certificates(&taken.to_pem()).unwrap();
    assert!(again.len() == 1 && again.first() == Some(taken));
    if let Ok(facts) = leaf::read(taken) {
        assert_eq!((facts.fingerprint, facts.spki), (taken.fingerprint(), taken.spki()));
    }
}

/// A file in service, as certificates and as a key.
pub fn files(data: &[u8]) {
    let key = KeyFile::read(data);
    match certificate_file::read(data) {
        Ok(file) => {
            assert!(!file.found.is_empty());
            let again: String = file.found.iter().map(|der| armour::armour("CERTIFICATE", der).to_string()).collect();
            let again = certificate_file::read(again.as_bytes()).unwrap();
            assert!(again.found == file.found && again.doubt.is_none(), "what was found is not found again");
            for read in file.found.iter().filter_map(|der| leaf::in_service(der).ok()) {
                let serial = &read.leaf.serial_number.0;
                assert!(serial.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-'), "{serial}");
                if let Ok(key) = &key {
                    let belongs = key.belongs(&read.spki);
                    assert!(belongs != Belonging::Proven || !key.is_untold());
                }
            }
            file.doubt.iter().for_each(|why| clean(&why.to_string()));
        }
        Err(error) => clean(&error.to_string()),
    }
    match key {
        Ok(key) => {
            clean(&key.kind().to_string());
            key.doubt().iter().for_each(|doubt| clean(doubt));
            if let Ok(own) = key.into_own() {
                let again = PrivateKey::from_pem(own.to_pem().as_bytes()).ok().unwrap();
                assert!(again.spki() == own.spki());
            }
        }
        Err(error) => clean(&error.to_string()),
    }
}

/// A PKCS#12 file under the password that the seeds have.
pub fn key_store(data: &[u8]) {
    match pkcs12::read(data, "password") {
        Ok(contents) => contents.certificates.iter().for_each(certificate),
        Err(error) => error.to_string().lines().for_each(clean),
    }
}

/// A private key with some bytes changed: the first byte chooses the armour, each three of the others a place and what
/// is put there. The key is the number one, which protects nothing.
pub fn key(data: &[u8]) {
    let Some((choice, edits)) = data.split_first() else { return };
    let label = match choice % 4 {
        0 | 1 => "EC PRIVATE KEY",
        2 => "PRIVATE KEY",
        _ => "RSA PRIVATE KEY",
    };
    let mut bytes = if choice % 4 == 0 { one() } else { PKCS8_HEAD.iter().copied().chain(one()).collect() };
    let in_text = choice & 0x10 != 0;
    if !in_text {
        edit(&mut bytes, edits);
    }
    let mut text = armour::armour(label, &bytes).as_bytes().to_vec();
    if in_text {
        edit(&mut text, edits);
    }
    assert!(!edits.is_empty() || choice % 4 == 1 || choice % 4 == 3 || PrivateKey::from_pem(&text).is_ok(), "{choice}");
    for text in [&text, data] {
        if let Ok(read) = PrivateKey::from_pem(text) {
            let again = PrivateKey::from_pem(read.to_pem().as_bytes()).ok().unwrap();
            assert!(again.spki() == read.spki() && again.key_type() == read.key_type());
        }
    }
}

fn edit(bytes: &mut Vec<u8>, edits: &[u8]) {
    for edit in edits.chunks_exact(3) {
        let at = (usize::from(edit[0]) | usize::from(edit[1] >> 4) << 8) % bytes.len().max(1);
        match edit[1] & 0x0f {
            0..8 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = edit[2]),
            8..10 => bytes.insert(at.min(bytes.len()), edit[2]),
            10..12 => bytes.truncate(at),
            12..14 => drop(bytes.splice(at.min(bytes.len()).., [])),
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
}

/// ECPrivateKey on P-256 (RFC 5915), without the public key.
fn one() -> Vec<u8> {
    const OID: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let mut der = vec![0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    der.extend([0; 31]);
    der.push(1);
    der.extend(OID);
    der
}

/// PrivateKeyInfo up to its OCTET STRING of 51 bytes.
const PKCS8_HEAD: [u8; 28] = [
    0x30, 0x4d, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x33,
];

/// The chains that are good: leaf, issuer and root of each.
fn good() -> &'static [Vec<Certificate>] {
    static GOOD: OnceLock<Vec<Vec<Certificate>>> = OnceLock::new();
    const CHAINS: [&[u8]; 5] = [
        include_bytes!("seeds/gate/ec256"),
        include_bytes!("seeds/gate/ec384"),
        include_bytes!("seeds/gate/ec521"),
        include_bytes!("seeds/gate/rsa"),
        include_bytes!("seeds/gate/ed"),
    ];
    GOOD.get_or_init(|| CHAINS.iter().map(|chain| split(chain)).collect())
}

/// Certificates one after the other, as far as their lengths lead; what does not parse is left out.
fn split(mut data: &[u8]) -> Vec<Certificate> {
    let mut found = Vec::new();
    while let [0x30, 0x82, high, low, ..] = data {
        let length = 4 + (usize::from(*high) << 8 | usize::from(*low));
        let (one, rest) = data.split_at(length.min(data.len()));
        found.extend(Certificate::from_der(one));
        data = rest;
    }
    found.extend(Certificate::from_der(data));
    found.truncate(12);
    found
}

/// A pile of certificates, DER after DER, at the gate. Only a leaf that one of the good CAs signed may pass, and what
/// was signed is what was asked for.
pub fn gate(data: &[u8]) {
    let pile = split(data);
    pile.iter().for_each(certificate);
    let names = Sans { dns_names: vec!["www.example.com".to_owned()], ..Sans::default() };
    for (number, chain) in good().iter().enumerate() {
        let Some(good_leaf) = chain.first() else { panic!("chain {number} does not parse") };
        if !pile.iter().any(|one| one.spki() == good_leaf.spki()) {
            continue;
        }
        let own_pile = pile.iter().filter(|one| chain.contains(one) || one.spki() == good_leaf.spki());
        let own_pile: Vec<_> = own_pile.cloned().collect();
        for (certificates, issuers) in [(&pile, &chain[1..]), (&own_pile, &[])] {
            let usages = [Usage::parse("server_auth").unwrap()];
            let demand = Demand {
                common_name: Some("www.example.com"),
                names: &names,
                subject: &Subject::new(),
                subject_from: SubjectFrom::Request,
                exact_names: false,
                usages: &usages,
                issuers,
                pin: None,
                installed_issuer: None,
                validity_asked: None,
                must_outlive: None,
                now: NOW,
            };
            let candidate = Candidate { certificates, key: good_leaf.spki() };
            let verdict = gate::judge(&candidate, &demand);
            assert!(pile != *chain || matches!(verdict, Verdict::Accepted(_)), "a good chain is refused: {verdict:?}");
            match verdict {
                Verdict::Accepted(set) | Verdict::NotYetValid { set, .. } => passed(&set, good_leaf),
                // An algorithm that nobody judges is the one thing that a changed byte may lead to.
                Verdict::Held { why, set, .. } => {
                    clean(why.as_str());
                    assert_eq!(set.leaf.spki(), good_leaf.spki());
                }
                Verdict::Refused(why) => {
                    assert!(!why.is_empty(), "refused without a reason");
                    why.iter().for_each(|defect| clean(defect.as_str()));
                }
            }
        }
    }
    if let Some(leaf) = pile.first() {
        match chain::build(leaf, &pile, &chain::Aim::new(&[], NOW)) {
            Ok(chain) => chain.doubt.iter().for_each(|doubt| clean(doubt.as_str())),
            Err(why) => why.iter().for_each(|obstacle| clean(&obstacle.to_string())),
        }
        if let Some(end) = chain::served_end(leaf, &pile) {
            clean(end.subject.as_str());
        }
    }
}

/// No certificate that differs from the good one has a signature of the good issuer, unless it has an algorithm that nobody
/// judges: then the profile's word stands for it, and a remark says so.
fn passed(set: &Set, good_leaf: &Certificate) {
    let is_vouched = set.remarks.iter().any(|remark| remark.code == Code::SignatureUnjudged);
    assert!(set.leaf == *good_leaf || is_vouched, "a certificate that nobody signed has passed");
    assert!(set.facts.not_before <= NOW && NOW < set.facts.not_after);
    set.remarks.iter().for_each(|remark| clean(remark.message.as_str()));
    clean(set.issuer.subject.as_str());
    assert_eq!(set.chain_end, chain::served_end(&set.leaf, &set.chain), "the chain ends when its files end");
}
