//! The private key of a file that anybody may have written: which key TLS servers take from it, what kind it is, and
//! whether it is that of a certificate. Kinds that renewd does not make are read as far as their public part.

use super::der::{BIT_STRING, Der, INTEGER, OCTET_STRING, SEQUENCE, bits, magnitude};
use super::key::{KeyError, PrivateKey};
use super::key_kind::{self, Algorithm, Curve, KeyKind};
use super::pem_file::{Blocks, FileBlock, Head, lenient};
use super::public_key::{self, KeyFacts, PublicKey};

/// The key that counts in a file. It has no Debug, as it may hold a private key.
pub struct KeyFile {
    facts: KeyFacts,
    own: Option<PrivateKey>,
    /// What sets it apart from the keys of its kind that renewd uses.
    odd: Option<&'static str>,
    /// Whether OpenSSL takes the key from the file.
    is_for_openssl: bool,
}

/// How a key stands to a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// It is the certificate's.
    Proven,
    /// It is another certificate's.
    Refuted,
    /// Neither is proven.
    Unknown,
}

impl KeyFile {
    /// Reads the first private key of a PEM file, as OpenSSL does; where that finds none, what a more patient reader
    /// finds, and a key in DER.
    ///
    /// # Errors
    ///
    /// When there is no key in it, or what is called one is none.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let strict = Blocks::of_keys(bytes).flatten().filter(|block| is_expected(block));
        if let Some(found) = strict.filter_map(|block| Self::of_block(&block)).find(Self::is_known) {
            return Ok(Self { is_for_openssl: true, ..found });
        }
        let mut why = KeyError::NoKey;
        for (label, block) in lenient(bytes) {
            let found = block.map(|block| Self::of_block(&block));
            match found {
                Ok(Some(found)) => return Ok(found),
                Ok(None) if is_key(label) && why == KeyError::NoKey => why = KeyError::Damaged,
                Err(error) if is_key(label) && why == KeyError::NoKey => why = KeyError::Pem(error),
                Ok(None) | Err(_) => {}
            }
        }
        Self::of_der(bytes).filter(Self::is_known).ok_or(why)
    }

    /// What the key is.
    #[must_use]
    pub const fn kind(&self) -> &KeyKind {
        &self.facts.kind
    }

    /// Whether nothing says whose it is.
    #[must_use]
    pub const fn is_untold(&self) -> bool {
        self.facts.public.is_none()
    }

    /// The key itself, if it is one that renewd can use.
    ///
    /// # Errors
    ///
    /// When it is of a kind that renewd does not use, or its parts do not fit together.
    pub fn into_own(self) -> Result<PrivateKey, KeyError> {
        let is_broken = self.is_contradictory();
        match (self.own, self.facts.kind, self.odd) {
            (Some(own), _, _) => Ok(own),
            (None, KeyKind::Encrypted, _) => Err(KeyError::Encrypted),
            (None, _, _) if is_broken => Err(KeyError::Contradictory),
            (None, kind, Some(odd)) => Err(KeyError::Odd(kind, odd)),
            (None, kind, None) => Err(KeyError::Kind(kind)),
        }
    }

    /// Whether it is the key of the certificate with this public key.
    #[must_use]
    pub fn belongs(&self, spki: &[u8]) -> Belonging {
        match KeyFacts::of_spki(spki).and_then(|certificate| self.facts.is_same(&certificate)) {
            Some(true) => Belonging::Proven,
            Some(false) => Belonging::Refuted,
            None => Belonging::Unknown,
        }
    }

    /// What TLS servers are not likely to take about the key, or not to be able to do with it.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let kind = self.kind();
        if self.is_contradictory() {
            return Some(format!("holds {kind} whose parts contradict each other: what it signs may be refused"));
        }
        if !self.is_for_openssl && *kind != KeyKind::Encrypted {
            return Some(format!("holds {kind} in a form that OpenSSL does not load"));
        }
        if self.odd == Some(NO_PRIMES) {
            return Some(format!("holds {kind} {NO_PRIMES}: OpenSSL loads it and cannot sign with it"));
        }
        let is_short = matches!(kind, KeyKind::Rsa(bits) | KeyKind::RsaPss(bits) if *bits < 2048);
        is_short.then(|| format!("holds {kind}: OpenSSL's default security level refuses it"))
    }

    /// Whether it is of a kind and in a form that renewd uses, and is of no use.
    fn is_contradictory(&self) -> bool {
        let is_usual = match self.kind() {
            KeyKind::Rsa(bits) => (2048..=8192).contains(bits),
            KeyKind::Ec(Curve::Named(curve)) => [key_kind::P256, key_kind::P384, key_kind::P521].contains(curve),
            KeyKind::RsaPss(_) | KeyKind::Ec(_) | KeyKind::Named(_) | KeyKind::Unknown(_) | KeyKind::Encrypted => false,
        };
        is_usual && self.own.is_none() && self.odd.is_none()
    }

    fn is_known(&self) -> bool {
        !matches!(self.kind(), KeyKind::Named(key_kind::UNTOLD))
    }

    fn new(facts: KeyFacts, own: Option<PrivateKey>) -> Self {
        let own_facts = own.as_ref().and_then(|own| KeyFacts::of_spki(own.public()));
        let facts = match own_facts {
            Some(own) if facts.public.is_none() => KeyFacts { public: own.public, ..facts },
            _ => facts,
        };
        Self { facts, own, odd: None, is_for_openssl: false }
    }

    fn with_oddity(self, odd: Option<&'static str>) -> Self {
        Self { odd: self.odd.or(odd), ..self }
    }

    fn opaque(kind: KeyKind) -> Self {
        Self::new(KeyFacts { kind, public: None }, None)
    }

    fn of_block(block: &FileBlock<'_>) -> Option<Self> {
        match (block.head, block.label) {
            (Head::Encrypted, label) if is_key(label) => Some(Self::opaque(KeyKind::Encrypted)),
            (_, b"OPENSSH PRIVATE KEY") => {
                let is_so = block.der.starts_with(b"openssh-key-v1\0");
                is_so.then(|| Self::opaque(KeyKind::Named(key_kind::OPENSSH)))
            }
            (_, label) if label.starts_with(b"TSS") => {
                public_key::opens(Der(&block.der)).then(|| Self::opaque(KeyKind::Named(key_kind::TPM)))
            }
            (_, label) if is_key(label) => Self::of_der(&block.der),
            _ => None,
        }
    }

    /// A key by what it holds: PKCS#8, in clear or encrypted, PKCS#1, SEC 1, or DSA's own form.
    fn of_der(der: &[u8]) -> Option<Self> {
        let element = Der(der).next()?;
        let inner = Der(element.whole).sequence()?;
        let tags: Vec<u8> = inner.take(2).map(|element| element.tag).collect();
        let found = match tags.as_slice() {
            [INTEGER, SEQUENCE] => Self::of_pkcs8(element.whole),
            [INTEGER, INTEGER] => Self::of_pkcs1(element.whole).or_else(|| Self::of_dsa(inner)),
            [INTEGER, OCTET_STRING] => Self::of_sec1(element.whole),
            [SEQUENCE, OCTET_STRING] => Some(Self::opaque(KeyKind::Encrypted)),
            _ if inner.take(64).map(|element| element.whole.len()).sum::<usize>() == element.content.len() => {
                Some(Self::opaque(KeyKind::Named(key_kind::UNTOLD)))
            }
            _ => None,
        };
        found.map(|found| found.with_oddity(element.is_indefinite().then_some(BER)))
    }

    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let mut info = Der(der).sequence()?;
        info.expect(INTEGER)?;
        let (algorithm, parameters) = key_kind::algorithm(&mut info.sequence()?)?;
        let key = info.expect(OCTET_STRING)?;
        let public = info.find(|element| element.tag == PUBLIC).and_then(|public| bits(public.content));
        let raw = PublicKey::Raw;
        let facts = match algorithm {
            Algorithm::Rsa => rsa(key, KeyKind::Rsa)?,
            Algorithm::RsaPss => rsa(key, KeyKind::RsaPss)?,
            Algorithm::Ec => ec(key, parameters)?,
            Algorithm::Edwards(name, length) => {
                Der(key).expect(OCTET_STRING).filter(|seed| seed.len() == length)?;
                KeyFacts { kind: KeyKind::Named(name), public: public.map(raw) }
            }
            Algorithm::Dsa => {
                Der(key).expect(INTEGER)?;
                KeyFacts { kind: KeyKind::Named(public_key::DSA), public: None }
            }
            Algorithm::Named(name) => KeyFacts { kind: KeyKind::Named(name), public: public.map(raw) },
            Algorithm::Unknown(oid) => KeyFacts { kind: KeyKind::Unknown(oid), public: public.map(raw) },
        };
        let is_rsa = matches!(facts.kind, KeyKind::Rsa(_) | KeyKind::RsaPss(_));
        let odd = if is_rsa { oddity(key) } else { None };
        Some(Self::new(facts, PrivateKey::of_pkcs8(der)).with_oddity(odd))
    }

    fn of_pkcs1(der: &[u8]) -> Option<Self> {
        let facts = rsa(der, KeyKind::Rsa)?;
        let own = PrivateKey::of_pkcs1(der);
        Some(Self::new(facts, own).with_oddity(oddity(der)))
    }

    fn of_sec1(der: &[u8]) -> Option<Self> {
        let facts = ec(der, Der(&[]))?;
        let own = PrivateKey::of_sec1(der);
        Some(Self::new(facts, own))
    }

    fn of_dsa(numbers: Der<'_>) -> Option<Self> {
        public_key::of_dsa(numbers).map(|facts| Self::new(facts, None))
    }
}

/// RSAPrivateKey: version, modulus, exponent and at least six numbers more.
fn rsa(der: &[u8], kind: fn(u32) -> KeyKind) -> Option<KeyFacts> {
    let mut key = Der(der).sequence()?;
    key.expect(INTEGER)?;
    let (modulus, exponent) = (key.expect(INTEGER)?, key.expect(INTEGER)?);
    let has_all = key.take_while(|element| element.tag == INTEGER).take(6).count() == 6;
    KeyFacts::rsa(modulus, exponent, kind).filter(|_| has_all)
}

/// What sets an RSAPrivateKey apart, by the numbers that follow its modulus: exponents, primes, what makes it faster.
fn oddity(der: &[u8]) -> Option<&'static str> {
    let mut key = Der(der).sequence()?;
    let numbers: Vec<&[u8]> = key.by_ref().take(9).map(|number| magnitude(number.content)).collect();
    let [_, _, exponent, _, primes @ .., dp, dq, inverse] = numbers.as_slice() else { return None };
    let found = [
        (primes.iter().any(|prime| prime.is_empty()), NO_PRIMES),
        (key.next().is_some(), "with more than two primes"),
        ([dp, dq, inverse].iter().any(|number| number.is_empty()), "without its CRT numbers"),
        (exponent.len() > 4, "with a public exponent of more than 32 bits"),
    ];
    found.into_iter().find(|(is_so, _)| *is_so).map(|(_, what)| what)
}

/// ECPrivateKey: version, the secret, the curve where nothing outside names it, and the point where it is written.
fn ec(der: &[u8], outside: Der<'_>) -> Option<KeyFacts> {
    let mut key = Der(der).sequence()?;
    key.expect(INTEGER)?;
    key.expect(OCTET_STRING)?;
    let inside = key.next_if(INNER_CURVE).map(|inner| Der(inner.content));
    let kind = KeyKind::Ec(key_kind::curve(if outside.0.is_empty() { inside.unwrap_or(outside) } else { outside }));
    let public = match key.next_if(INNER_POINT) {
        Some(point) => Some(PublicKey::point(&bits(Der(point.content).expect(BIT_STRING)?)?)?),
        None => None,
    };
    Some(KeyFacts { kind, public })
}

/// Whether OpenSSL looks for a key under this label and takes what the block holds for one.
fn is_expected(block: &FileBlock<'_>) -> bool {
    if block.head != Head::None {
        return block.head == Head::Encrypted && is_key(block.label);
    }
    let Some(inner) = Der(&block.der).sequence() else { return false };
    let tags: Vec<u8> = inner.take(2).map(|element| element.tag).collect();
    let numbers = inner.take_while(|element| element.tag == INTEGER).count();
    let is_pkcs8_of = |wanted: fn(&Algorithm) -> bool| {
        let mut inner = inner;
        inner.next();
        inner.sequence().and_then(|mut id| key_kind::algorithm(&mut id)).is_some_and(|(id, _)| wanted(&id))
    };
    match block.label {
        b"PRIVATE KEY" => tags == [INTEGER, SEQUENCE],
        // OpenSSL 3 goes by the content of either label of PKCS#8, and wants what is encrypted under its own.
        b"ENCRYPTED PRIVATE KEY" => matches!(tags.as_slice(), [SEQUENCE, OCTET_STRING] | [INTEGER, SEQUENCE]),
        b"RSA PRIVATE KEY" => numbers > DSA_NUMBERS || is_pkcs8_of(|id| matches!(id, Algorithm::Rsa)),
        b"EC PRIVATE KEY" => tags == [INTEGER, OCTET_STRING] || is_pkcs8_of(|id| matches!(id, Algorithm::Ec)),
        b"DSA PRIVATE KEY" => numbers == DSA_NUMBERS || is_pkcs8_of(|id| matches!(id, Algorithm::Dsa)),
        _ => false,
    }
}

fn is_key(label: &[u8]) -> bool {
    label.ends_with(b"PRIVATE KEY") || label.starts_with(b"TSS")
}

/// `[1] IMPLICIT BIT STRING` of PKCS#8 in its second version.
const PUBLIC: u8 = 0x81;
/// Version, p, q, g, y, x; a key for RSA has more.
const DSA_NUMBERS: usize = 6;
const NO_PRIMES: &str = "without its primes";
const BER: &str = "in BER, not in DER";
const INNER_CURVE: u8 = 0xa0;
const INNER_POINT: u8 = 0xa1;

#[cfg(test)]
mod tests;
