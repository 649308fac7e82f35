//! SHA-256, as fingerprints, public keys and files are named by.

use aws_lc_rs::digest;

use crate::core::name::Digest;

/// The SHA-256 digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    let computed = digest::digest(&digest::SHA256, bytes);
    let mut digest = Digest([0; 32]);
    digest.0.copy_from_slice(computed.as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_well_known_one() {
        let expected = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        assert_eq!(sha256(b"").to_string(), expected);
    }
}
