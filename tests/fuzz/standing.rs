//! What CAs say of CA certificates: revocation lists, OCSP answers, and where certificates say that they are found.

use std::sync::OnceLock;

use renewd::core::known::revocation::CaStanding;
use renewd::pki::certificate::Certificate;
use renewd::pki::standing::{self as pki, Doubt, Sources};
use renewd::pki::{crl, ocsp};

use crate::targets::{NOW, clean};

/// A list, an answer or a certificate.
pub fn standing(data: &[u8]) {
    let [root, issuing] = cas();
    for told in [crl::read(data, issuing, root, NOW), ocsp::read(data, issuing, root, NOW)] {
        known(&told);
    }
    let Ok(certificate) = Certificate::from_der(data) else { return };
    let Sources { crls, responders, issuers } = Sources::of(&certificate);
    for uri in crls.iter().chain(&responders).chain(&issuers) {
        assert!(uri.to_ascii_lowercase().starts_with("http"), "{uri}");
    }
    assert!(!pki::is_intermediate(&certificate) || certificate.is_ca());
    if let Ok(served) = pki::served(&certificate) {
        clean(served.subject.as_str());
    }
    assert!(pki::issuer_of(&certificate, [issuing]).is_none(), "the key of these CAs signs nothing here");
    if let Ok(question) = ocsp::request(&certificate, root) {
        assert!(ocsp::read(&question, &certificate, root, NOW).is_err(), "a question is no answer");
    }
}

/// A doubt is clean lines, and a revocation is of the one day when there was one.
fn known(told: &Result<CaStanding, Doubt>) {
    match told {
        Ok(CaStanding::NotRevoked) => {}
        Ok(CaStanding::Revoked(revocation)) => {
            assert!(revocation.at.to_string().starts_with("2026-11-29T"), "{revocation:?}");
        }
        Err(doubt) => doubt.to_string().lines().for_each(clean),
    }
}

/// The CAs whose lists and answers the seeds are, made by OpenSSL; nobody has their keys.
fn cas() -> &'static [Certificate; 2] {
    static CAS: OnceLock<[Certificate; 2]> = OnceLock::new();
    let read = |der: &[u8]| Certificate::from_der(der).unwrap();
    CAS.get_or_init(|| {
        [read(include_bytes!("seeds/standing/root.der")), read(include_bytes!("seeds/standing/issuing.der"))]
    })
}
