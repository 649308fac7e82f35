//! OCSP (RFC 6960): the question about one certificate, and what an answer says of it. An answer counts where the issuer
//! signed it, or a responder to whom the issuer gave that right.

use aws_lc_rs::digest;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::AlgorithmIdentifier;
use yasna::models::ObjectIdentifier;

use super::certificate::Certificate;
use super::der::{
    BIT_STRING, BOOLEAN, Der, ENUMERATED, Element, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, magnitude,
    place, place_of,
};
use super::signature::{Judgement, Signed, judge, judge_signed};
use super::standing::{self, Doubt};
use super::{extension, name};
use crate::core::known::revocation::{CaStanding, Revocation, RevocationReason};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// The media type of a question.
pub const REQUEST_TYPE: &str = "application/ocsp-request";

/// How OCSP names a certificate: digests of its issuer's name and key, and its serial number.
struct CertId {
    name: Vec<u8>,
    key: Vec<u8>,
    serial: Vec<u8>,
}

impl CertId {
    fn of(certificate: &Certificate, issuer: &Certificate) -> Result<Self, Doubt> {
        let unreadable = |_| Doubt::Unreadable("a certificate");
        let (parsed, issuer) = (certificate.parsed().map_err(unreadable)?, issuer.parsed().map_err(unreadable)?);
        Ok(Self {
            name: sha1(parsed.issuer().as_raw()),
            key: sha1(&issuer.public_key().subject_public_key.data),
            serial: parsed.raw_serial().to_vec(),
        })
    }

    /// Whether an answer means the same certificate.
    fn is(&self, mut id: Der<'_>) -> Option<bool> {
        id.next_if(SEQUENCE)?;
        let [name, key] = [id.next_if(OCTET_STRING)?.content, id.next_if(OCTET_STRING)?.content];
        let serial = magnitude(id.only(INTEGER)?.content);
        Some(self.name == name && self.key == key && magnitude(&self.serial) == serial)
    }
}

/// The question about `certificate`, which `issuer` issued.
///
/// # Errors
///
/// When one of them does not parse.
pub fn request(certificate: &Certificate, issuer: &Certificate) -> Result<Vec<u8>, Doubt> {
    let id = CertId::of(certificate, issuer)?;
    let nested = |depth: usize| {
        let id = yasna::construct_der(|writer| {
            writer.write_sequence(|parts| {
                parts.next().write_sequence(|algorithm| {
                    algorithm.next().write_oid(&ObjectIdentifier::from_slice(SHA1));
                    algorithm.next().write_null();
                });
                parts.next().write_bytes(&id.name);
                parts.next().write_bytes(&id.key);
                parts.next().write_tagged_implicit(yasna::tags::TAG_INTEGER, |writer| writer.write_bytes(&id.serial));
            });
        });
        let wrap = |inner: Vec<u8>, _| {
            yasna::construct_der(|writer| writer.write_sequence(|parts| parts.next().write_der(&inner)))
        };
        (0..depth).fold(id, wrap)
    };
    // OCSPRequest, TBSRequest, the list, and the one request in it.
    Ok(nested(4))
}

/// What the answer `bytes` says at `at` of `certificate`, which `issuer` issued.
///
/// # Errors
///
/// When it says nothing of it that can be relied on.
pub fn read(bytes: &[u8], certificate: &Certificate, issuer: &Certificate, at: Timestamp) -> Result<CaStanding, Doubt> {
    let answer = Answer::parse(bytes)?;
    answer.check_signer(issuer, at)?;
    let id = CertId::of(certificate, issuer)?;
    let Some(single) = answer.single(&id).ok_or(UNREADABLE)? else {
        return Err(Doubt::NotCovered("it is about other certificates"));
    };
    let (told, current) = single.told(at).ok_or(UNREADABLE)??;
    match told {
        CaStanding::Revoked(revocation) if !revocation.reason.is_hold() => Ok(told),
        CaStanding::Revoked(_) | CaStanding::NotRevoked => current.map(|()| told),
    }
}

/// A BasicOCSPResponse in its parts.
struct Answer<'a> {
    signed: &'a [u8],
    algorithm: AlgorithmIdentifier<'a>,
    signature: &'a [u8],
    certificates: Vec<Certificate>,
    singles: Der<'a>,
}

impl<'a> Answer<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Doubt> {
        let mut outer = Der(bytes).only(SEQUENCE).ok_or(UNREADABLE)?.inside();
        let status = outer.next_if(ENUMERATED).ok_or(UNREADABLE)?.content;
        if status != [0] {
            return Err(Doubt::NotTold(status_word(status)));
        }
        let basic = basic(outer).ok_or(UNREADABLE)?;
        let (answer, extensions) = Self::of_basic(basic).ok_or(UNREADABLE)?;
        check_extensions(extensions)?;
        Ok(answer)
    }

    /// The parts, and the extensions of the whole.
    fn of_basic(mut basic: Der<'a>) -> Option<(Self, Option<Element<'a>>)> {
        let signed = basic.next_if(SEQUENCE)?;
        let (_, algorithm) = AlgorithmIdentifier::from_der(basic.next_if(SEQUENCE)?.whole).ok()?;
        let signature = basic.next_if(BIT_STRING)?.content.strip_prefix(&[0])?;
        let certificates = match basic.next_if(place_of(0)) {
            Some(all) => certificates(all.inside().only(SEQUENCE)?.inside())?,
            None => Vec::new(),
        };
        let mut data = signed.inside();
        data.next_if(place_of(0));
        // Whose answer it is, the signature shows.
        data.next()?;
        data.next_if(GENERALIZED_TIME)?;
        let singles = data.next_if(SEQUENCE)?.inside();
        let extensions = data.next_if(place_of(1));
        Some((Self { signed: signed.whole, algorithm, signature, certificates, singles }, extensions))
    }

    /// Whether the issuer signed it, or somebody whom the issuer lets answer.
    fn check_signer(&self, issuer: &Certificate, at: Timestamp) -> Result<(), Doubt> {
        let mut verdict = self.signed_by(issuer);
        for responder in &self.certificates {
            if verdict != Ok(()) && self.signed_by(responder) == Ok(()) {
                verdict = if may_answer(responder, issuer, at) { Ok(()) } else { Err(Doubt::MayNotSign) };
            }
        }
        verdict
    }

    fn signed_by(&self, signer: &Certificate) -> Result<(), Doubt> {
        let parsed = signer.parsed().map_err(|_| Doubt::Unreadable("the signer's certificate"))?;
        let signed = Signed { algorithm: &self.algorithm, content: self.signed, signature: self.signature };
        match judge_signed(&signed, parsed.public_key()) {
            Judgement::Valid => Ok(()),
            Judgement::Invalid => Err(Doubt::Forged),
            Judgement::Unjudged(algorithm) => Err(Doubt::Unjudged(Text::new(&algorithm))),
        }
    }

    /// The answer about one certificate; outside `None`: it does not parse.
    fn single(&self, wanted: &CertId) -> Option<Option<Single<'a>>> {
        let mut singles = self.singles;
        while let Some(single) = singles.next_if(SEQUENCE) {
            let mut parts = single.inside();
            if wanted.is(parts.next_if(SEQUENCE)?.inside())? {
                return Some(Some(Single(parts)));
            }
        }
        singles.0.is_empty().then_some(None)
    }
}

/// What an answer says, and whether it holds.
type Reported = (CaStanding, Result<(), Doubt>);

/// The answer about one certificate, after its name.
struct Single<'a>(Der<'a>);

impl Single<'_> {
    /// What it says, and whether that holds at `at`; `None`: it does not parse.
    fn told(self, at: Timestamp) -> Option<Result<Reported, Doubt>> {
        let mut parts = self.0;
        let status = parts.next()?;
        let from = instant(parts.next_if(GENERALIZED_TIME)?)?;
        let until = match parts.next_if(place_of(0)) {
            Some(until) => instant(until.inside().only(GENERALIZED_TIME)?)?,
            None => from + UNTIL_NOT_SAID,
        };
        if let Err(doubt) = check_extensions(parts.next_if(place_of(1))) {
            return Some(Err(doubt));
        }
        let told = match status.tag {
            tag if tag == place(0) => CaStanding::NotRevoked,
            tag if tag == place_of(1) => revoked(status.inside())?,
            tag if tag == place(2) => return Some(Err(Doubt::NotTold("unknown"))),
            _ => return None,
        };
        Some(Ok((told, standing::check_time(from, Some(until), at))))
    }
}

fn revoked(mut info: Der<'_>) -> Option<CaStanding> {
    let at = instant(info.next_if(GENERALIZED_TIME)?)?;
    let code = match info.next_if(place_of(0)) {
        Some(reason) => *reason.inside().only(ENUMERATED)?.content.first()?,
        None => 0,
    };
    let reason = RevocationReason::of_code(code);
    Some(reason.map_or(CaStanding::NotRevoked, |reason| CaStanding::Revoked(Revocation { at, reason })))
}

/// The BasicOCSPResponse inside of a success.
fn basic(mut outer: Der<'_>) -> Option<Der<'_>> {
    let mut bytes = outer.next_if(place_of(0))?.inside().only(SEQUENCE)?.inside();
    if bytes.next_if(OID)?.content != BASIC {
        return None;
    }
    Some(Der(bytes.only(OCTET_STRING)?.content).only(SEQUENCE)?.inside())
}

/// The certificates that came along; no more than are of use.
fn certificates(mut all: Der<'_>) -> Option<Vec<Certificate>> {
    let mut found = Vec::new();
    while let Some(one) = all.next_if(SEQUENCE).filter(|_| found.len() < MOST_CERTIFICATES) {
        found.push(Certificate::from_der(one.whole).ok()?);
    }
    Some(found)
}

/// Whether the issuer lets the holder of this certificate answer in its place, at `at`.
fn may_answer(responder: &Certificate, issuer: &Certificate, at: Timestamp) -> bool {
    let (Ok(responder), Ok(issuer)) = (responder.parsed(), issuer.parsed()) else { return false };
    let seconds = at.seconds();
    let validity = responder.validity();
    name::same(responder.issuer(), issuer.subject())
        && judge(&responder, issuer.public_key()) == Judgement::Valid
        && extension::usages(&responder)
            .is_ok_and(|usages| usages.iter().any(|usage| usage.to_string() == "ocsp_signing"))
        && (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds)
}

/// No extension of an answer has to be known but critical ones, and of those there is none.
fn check_extensions(extensions: Option<Element<'_>>) -> Result<(), Doubt> {
    let Some(extensions) = extensions else { return Ok(()) };
    let mut all = extensions.inside().only(SEQUENCE).ok_or(UNREADABLE)?.inside();
    while let Some(one) = all.next_if(SEQUENCE) {
        let mut parts = one.inside();
        parts.next_if(OID).ok_or(UNREADABLE)?;
        if parts.next_if(BOOLEAN).is_some_and(|critical| critical.content != [0]) {
            return Err(Doubt::Critical(Text::new("of an OCSP answer")));
        }
    }
    if all.0.is_empty() { Ok(()) } else { Err(UNREADABLE) }
}

fn instant(time: Element<'_>) -> Option<Timestamp> {
    let (_, time) = ASN1Time::from_der(time.whole).ok()?;
    Some(Timestamp::from_seconds(time.timestamp()))
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

const fn status_word(status: &[u8]) -> &'static str {
    match status {
        [1] => "malformed request",
        [2] => "internal error",
        [3] => "try later",
        [5] => "signature required",
        [6] => "unauthorized",
        _ => "no success",
    }
}

const SHA1: &[u64] = &[1, 3, 14, 3, 2, 26];
/// 1.3.6.1.5.5.7.48.1.1, id-pkix-ocsp-basic.
const BASIC: [u8; 9] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const MOST_CERTIFICATES: usize = 8;
/// An answer that does not say until when it holds.
const UNTIL_NOT_SAID: std::time::Duration = std::time::Duration::from_secs(86_400);
const UNREADABLE: Doubt = Doubt::Unreadable("an OCSP answer");

#[cfg(test)]
mod tests;
