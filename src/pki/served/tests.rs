//! Who issued a leaf, and the chain of files whose leaf cannot be read.

use rcgen::KeyPair;

use super::*;
use crate::core::wanted::key::KeyType;
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::{Ca, NOW, leaf_params, valid};

const DAY: i64 = 86_400;

/// A CA that ends after so many days, below another one.
fn below(upper: &Ca, days: i64) -> Ca {
    upper.below_with("Issuing", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, days * DAY))
}

fn leaf_of(ca: &Ca) -> Certificate {
    ca.leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &leaf_params(&["www.example.com"]))
}

#[test]
fn a_ca_with_a_new_key_is_not_the_one_of_its_name() {
    let root = Ca::root("Root");
    let (before, now) = (below(&root, 400), below(&root, 900));
    let (one, other) = (before.certificate.clone(), now.certificate.clone());
    for above in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
        assert_eq!(served(&leaf_of(&before), &above).issuer.spki, Some(one.spki()));
        assert_eq!(served(&leaf_of(&now), &above).issuer.spki, Some(other.spki()));
    }
    let alone = served(&leaf_of(&now), &[one]).issuer;
    assert_eq!((alone.subject.as_str(), alone.spki), ("CN=Issuing", None));
}

#[test]
fn of_a_leaf_that_cannot_be_read_the_chain_still_ends() {
    let root = Ca::root("Root");
    let upper = below(&root, 30);
    let issuing = upper.below_with("Lower", KeyPair::generate().unwrap(), |ca| valid(ca, -DAY, 60 * DAY));
    let end = |above: &[&Ca]| {
        let above: Vec<_> = above.iter().map(|ca| ca.certificate.clone()).collect();
        let found = in_files(b"no certificate", &above);
        assert_eq!(found.issuer, Issuer::default());
        found.end.map(|end| (end.at.seconds() - NOW.seconds()) / DAY)
    };
    assert_eq!(end(&[&issuing]), Some(60));
    assert_eq!(end(&[&issuing, &upper]), Some(30));
    assert_eq!(end(&[&root]), None);
    assert_eq!(end(&[]), None);
    let leaf = leaf_of(&upper);
    let above = [upper.certificate];
    assert_eq!(in_files(leaf.der(), &above), served(&leaf, &above));
}
