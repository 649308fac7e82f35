//! The kinds of keys that files hold, those that renewd does not make included: what to call each.

use std::fmt;

use super::der::{Der, OID, SEQUENCE};

/// What a key is. Shown with its article: "an RSA key of 2048 bits".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, with the bits of its modulus.
    Rsa(u32),
    /// RSA for PSS signatures alone (id-RSASSA-PSS).
    RsaPss(u32),
    /// On an elliptic curve.
    Ec(Curve),
    /// Another algorithm that has a name.
    Named(&'static str),
    /// An algorithm by its object identifier.
    Unknown(String),
    /// Encrypted, so that nothing is known.
    Encrypted,
}

/// An elliptic curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Curve {
    /// One that has a name.
    Named(&'static str),
    /// One by its object identifier.
    Unknown(String),
    /// Given by its parameters in place of a name.
    Explicit,
    /// Not said.
    Unsaid,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "an RSA key of {bits} bits"),
            Self::RsaPss(bits) => write!(f, "an RSA-PSS key of {bits} bits"),
            Self::Ec(Curve::Named(curve)) => write!(f, "an EC key on {curve}"),
            Self::Ec(Curve::Unknown(oid)) => write!(f, "an EC key on the curve {oid}"),
            Self::Ec(Curve::Explicit) => f.write_str("an EC key with explicit curve parameters"),
            Self::Ec(Curve::Unsaid) => f.write_str("an EC key on an unnamed curve"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown(oid) => write!(f, "a key of the algorithm {oid}"),
            Self::Encrypted => f.write_str("an encrypted key"),
        }
    }
}

impl KeyKind {
    /// Whether keys of both kinds can never be one: `None` where a kind is not known well enough.
    pub(super) fn excludes(&self, other: &Self) -> Option<bool> {
        Some(self.family()? != other.family()?)
    }

    fn family(&self) -> Option<&'static str> {
        match self {
            Self::Rsa(_) => Some("RSA"),
            // OpenSSL pairs it with certificates for RSA-PSS alone, whatever the modulus.
            Self::RsaPss(_) => Some("RSA-PSS"),
            Self::Ec(_) => Some("EC"),
            Self::Named(name) if !OPAQUE.contains(name) => Some(name),
            Self::Named(_) | Self::Unknown(_) | Self::Encrypted => None,
        }
    }
}

/// The algorithm that an AlgorithmIdentifier names, with the parameters.
pub(super) fn algorithm<'a>(id: &mut Der<'a>) -> Option<(Algorithm, Der<'a>)> {
    let oid = id.expect(OID)?;
    let named = |(known, _): &&(&[u8], Algorithm)| *known == oid;
    let algorithm = ALGORITHMS.iter().find(named).map_or_else(|| Algorithm::Unknown(dotted(oid)), |(_, a)| a.clone());
    Some((algorithm, *id))
}

/// An algorithm of public keys, before the key itself is looked at.
#[derive(Clone)]
pub(super) enum Algorithm {
    Rsa,
    RsaPss,
    Ec,
    /// Its private keys are OCTET STRINGs, in which there is one of this many bytes.
    Edwards(&'static str, usize),
    Dsa,
    Named(&'static str),
    Unknown(String),
}

/// The curve that parameters name.
pub(super) fn curve(mut parameters: Der<'_>) -> Curve {
    match parameters.next() {
        Some(name) if name.tag == OID => {
            let known = CURVES.iter().find(|(known, _)| *known == name.content);
            known.map_or_else(|| Curve::Unknown(dotted(name.content)), |(_, curve)| Curve::Named(curve))
        }
        Some(explicit) if explicit.tag == SEQUENCE => Curve::Explicit,
        Some(_) | None => Curve::Unsaid,
    }
}

/// An object identifier in dotted form.
fn dotted(oid: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    for byte in oid {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    let (first, rest) = arcs.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    let root = (first / 40).min(2);
    let all = [root, first - root * 40].into_iter().chain(rest.iter().copied());
    all.map(|arc| arc.to_string()).collect::<Vec<_>>().join(".")
}

/// Names of forms in which a key of any algorithm may be.
const OPAQUE: [&str; 3] = [TPM, OPENSSH, UNTOLD];
pub(super) const TPM: &str = "a key that a TPM keeps";
pub(super) const OPENSSH: &str = "a key in the form of OpenSSH";
pub(super) const UNTOLD: &str = "a private key of a form that renewd does not know";

const ALGORITHMS: &[(&[u8], Algorithm)] = &[
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", Algorithm::Rsa),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07", Algorithm::Rsa),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", Algorithm::RsaPss),
    (b"\x2a\x86\x48\xce\x3d\x02\x01", Algorithm::Ec),
    (b"\x2b\x81\x04\x01\x0c", Algorithm::Ec),
    (b"\x2b\x81\x04\x01\x0d", Algorithm::Ec),
    (b"\x2a\x86\x48\xce\x38\x04\x01", Algorithm::Dsa),
    (b"\x2b\x65\x6e", Algorithm::Edwards("an X25519 key", 32)),
    (b"\x2b\x65\x6f", Algorithm::Edwards("an X448 key", 56)),
    (b"\x2b\x65\x70", Algorithm::Edwards("an Ed25519 key", 32)),
    (b"\x2b\x65\x71", Algorithm::Edwards("an Ed448 key", 57)),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", Algorithm::Named("a Diffie-Hellman key")),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x11", Algorithm::Named("an ML-DSA-44 key")),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", Algorithm::Named("an ML-DSA-65 key")),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x13", Algorithm::Named("an ML-DSA-87 key")),
    (b"\x60\x86\x48\x01\x65\x03\x04\x04\x01", Algorithm::Named("an ML-KEM-512 key")),
    (b"\x60\x86\x48\x01\x65\x03\x04\x04\x02", Algorithm::Named("an ML-KEM-768 key")),
    (b"\x60\x86\x48\x01\x65\x03\x04\x04\x03", Algorithm::Named("an ML-KEM-1024 key")),
    (b"\x2a\x85\x03\x07\x01\x01\x01\x01", Algorithm::Named("a GOST R 34.10-2012 key of 256 bits")),
    (b"\x2a\x85\x03\x07\x01\x01\x01\x02", Algorithm::Named("a GOST R 34.10-2012 key of 512 bits")),
];

const CURVES: &[(&[u8], &str)] = &[
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", P256),
    (b"\x2b\x81\x04\x00\x22", P384),
    (b"\x2b\x81\x04\x00\x23", P521),
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x01", "P-192"),
    (b"\x2b\x81\x04\x00\x21", "P-224"),
    (b"\x2b\x81\x04\x00\x0a", "secp256k1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x05", "brainpoolP224r1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07", "brainpoolP256r1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x08", "brainpoolP256t1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x09", "brainpoolP320r1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b", "brainpoolP384r1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0c", "brainpoolP384t1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d", "brainpoolP512r1"),
    (b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0e", "brainpoolP512t1"),
    (b"\x2b\x81\x04\x00\x10", "sect283k1"),
    (b"\x2b\x81\x04\x00\x11", "sect283r1"),
    (b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d", "SM2"),
];
pub(super) const P256: &str = "P-256";
pub(super) const P384: &str = "P-384";
pub(super) const P521: &str = "P-521";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_are_written_with_dots() {
        let check = |oid: &[u8], expected: &str| assert_eq!(dotted(oid), expected);
        check(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "1.2.840.113549.1.1.1");
        check(b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", "2.16.840.1.101.3.4.3.18");
        check(b"\x2b\x65\x70", "1.3.101.112");
        check(b"\x09", "0.9");
        check(b"", "0.0");
    }
}
