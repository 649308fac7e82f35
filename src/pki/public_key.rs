//! Public keys as keys: two spellings of one key are the same, whatever names the algorithm or the curve, and whether a
//! point is written compressed or not.

use super::der::{BIT_STRING, Der, INTEGER, SEQUENCE, bits, magnitude};
use super::key_kind::{Algorithm, Curve, KeyKind, algorithm, curve};

/// A key with what is known of its public part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    pub(super) kind: KeyKind,
    pub(super) public: Option<PublicKey>,
}

/// A public key, free of its spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ec(Point),
    /// As its algorithm writes it; keys of one algorithm alone are compared.
    Raw(Vec<u8>),
}

/// A point: both coordinates, or one and the sign of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    x: Vec<u8>,
    y: Option<Vec<u8>>,
    is_odd: bool,
}

impl KeyFacts {
    /// What a SubjectPublicKeyInfo says; `None` where it is none, or its content is none of its algorithm.
    #[must_use]
    pub fn of_spki(der: &[u8]) -> Option<Self> {
        let mut spki = Der(der).sequence()?;
        let (algorithm, parameters) = algorithm(&mut spki.sequence()?)?;
        let key = bits(spki.expect(BIT_STRING)?)?;
        let key = key.as_slice();
        let facts = match algorithm {
            Algorithm::Rsa => Self::of_rsa(key, KeyKind::Rsa)?,
            Algorithm::RsaPss => Self::of_rsa(key, KeyKind::RsaPss)?,
            Algorithm::Ec => Self { kind: KeyKind::Ec(curve(parameters)), public: Some(PublicKey::point(key)?) },
            Algorithm::Dsa => Self { kind: KeyKind::Named(DSA), public: Some(PublicKey::number(key)?) },
            Algorithm::Edwards(name, _) | Algorithm::Named(name) => Self::raw(KeyKind::Named(name), key),
            Algorithm::Unknown(oid) => Self::raw(KeyKind::Unknown(oid), key),
        };
        Some(facts)
    }

    /// RSAPublicKey.
    fn of_rsa(der: &[u8], kind: fn(u32) -> KeyKind) -> Option<Self> {
        let mut key = Der(der).sequence()?;
        Self::rsa(key.expect(INTEGER)?, key.expect(INTEGER)?, kind)
    }

    pub(super) fn rsa(modulus: &[u8], exponent: &[u8], kind: fn(u32) -> KeyKind) -> Option<Self> {
        let (modulus, exponent) = (magnitude(modulus), magnitude(exponent));
        let bits = u32::try_from(modulus.len()).ok()?.checked_mul(8)?.checked_sub(modulus.first()?.leading_zeros())?;
        let public = PublicKey::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() };
        Some(Self { kind: kind(bits), public: Some(public) })
    }

    fn raw(kind: KeyKind, key: &[u8]) -> Self {
        Self { kind, public: Some(PublicKey::Raw(key.to_vec())) }
    }

    /// Whether both can be on one curve: not where each has a name for it, and another one.
    fn may_share(&self, other: &Self) -> bool {
        let is_named = |facts: &Self| matches!(facts.kind, KeyKind::Ec(Curve::Named(_) | Curve::Unknown(_)));
        self.kind == other.kind || !is_named(self) || !is_named(other)
    }

    /// Whether both are one key; `None` where neither is proven.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        if self.kind.excludes(&other.kind) == Some(true) {
            return Some(false);
        }
        match (self.public.as_ref()?, other.public.as_ref()?) {
            (PublicKey::Ec(one), PublicKey::Ec(two)) => one.is_same(two).filter(|same| !same || self.may_share(other)),
            (PublicKey::Raw(one), PublicKey::Raw(two)) if self.kind == other.kind => Some(one == two),
            (PublicKey::Raw(_), PublicKey::Raw(_)) => None,
            (one, other) => Some(one == other),
        }
    }
}

impl PublicKey {
    /// A point as SEC 1 writes it: uncompressed, compressed, or both at once.
    pub(super) fn point(bytes: &[u8]) -> Option<Self> {
        let (form, coordinates) = bytes.split_first()?;
        let (x, y) = match form {
            2 | 3 => (coordinates, None),
            4 | 6 | 7 => coordinates.split_at_checked(coordinates.len() / 2).map(|(x, y)| (x, Some(y)))?,
            _ => return None,
        };
        let is_whole = !x.is_empty() && y.is_none_or(|y| y.len() == x.len());
        let is_odd = y.map_or(*form == 3, |y| y.last().is_some_and(|byte| byte & 1 == 1));
        is_whole.then(|| Self::Ec(Point { x: x.to_vec(), y: y.map(<[u8]>::to_vec), is_odd }))
    }

    fn number(der: &[u8]) -> Option<Self> {
        Der(der).expect(INTEGER).map(|number| Self::Raw(magnitude(number).to_vec()))
    }
}

impl Point {
    /// On curves over binary fields the sign of a compressed point is no oddness: it proves a match, not a difference.
    fn is_same(&self, other: &Self) -> Option<bool> {
        match (&self.y, &other.y) {
            _ if self.x != other.x => Some(false),
            (Some(one), Some(other)) => Some(one == other),
            (None, None) => Some(self.is_odd == other.is_odd),
            _ => (self.is_odd == other.is_odd).then_some(true),
        }
    }
}

/// A DSA key as OpenSSL writes it by itself: version, p, q, g, y, x.
pub(super) fn of_dsa(mut numbers: Der<'_>) -> Option<KeyFacts> {
    let y = numbers.nth(4).filter(|y| y.tag == INTEGER)?;
    numbers.next_if(INTEGER)?;
    Some(KeyFacts { kind: KeyKind::Named(DSA), public: Some(PublicKey::Raw(magnitude(y.content).to_vec())) })
}

/// Whether the next element opens a structure.
pub(super) fn opens(der: Der<'_>) -> bool {
    der.0.first() == Some(&SEQUENCE)
}

pub(super) const DSA: &str = "a DSA key";
