//! What the simulator remembers: profiles, API keys, certificates, requests in waiting, faults, and every call it got.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::ca::Authority;
use super::certificate::{self, AltName, Leaf, Usage};
use super::clock;
use super::faults::{FaultKind, Faults};
use super::profile::{Issuance, ProfileSpec};
use super::reply::ApiError;
use super::subject::{self, Subject};
use super::variants::{Excess, RenewedExpiry, Variants};

/// Everything, behind one lock.
#[derive(Debug)]
pub struct State {
    pub profiles: Vec<ProfileSpec>,
    pub keys: Vec<ApiKey>,
    pub access: Access,
    pub issued: Vec<IssuedRecord>,
    pub pending: Vec<PendingRecord>,
    pub faults: Faults,
    pub variants: Variants,
    pub requests: Vec<Recorded>,
    /// The roles that `user/me` shows.
    pub roles: Vec<String>,
    /// When each key made its latest requests, for the rate limit.
    pub recent: Vec<(String, Instant)>,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An API key.
    Key,
    /// A client certificate.
    ClientCertificate,
}

/// An API key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The id under which a profile binds it.
    pub id: String,
    pub secret: String,
    pub revoked: bool,
    /// The end of its service user, in seconds since 1970.
    pub not_after: Option<i64>,
}

impl ApiKey {
    pub fn random() -> Self {
        let secret = certificate::hex_lower(&certificate::random::<45>());
        let secret = format!("{}_{}", &secret[..26], &secret[26..]);
        Self { id: certificate::uuid(), secret, revoked: false, not_after: None }
    }
}

impl ApiKey {
    /// Whether it is taken now.
    pub fn is_valid(&self) -> bool {
        !self.revoked && self.not_after.is_none_or(|end| clock::now() < end)
    }
}

/// One call as it went.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub query: String,
    /// 0: the connection ended without an answer.
    pub status: u16,
    /// `Null` where there was none or it was no JSON.
    pub body: Value,
    pub user_agent: Option<String>,
    pub at: SystemTime,
}

/// The state of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    Issued,
    Revoked,
    Suspended,
    /// A word of another TLM.
    Other(&'static str),
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct IssuedRecord {
    /// Upper-case hex, leading zero kept.
    pub serial: String,
    pub der: Vec<u8>,
    pub profile_id: String,
    pub seat: String,
    pub common_name: String,
    pub subject: Subject,
    pub names: Vec<AltName>,
    /// The public key that was asked for.
    pub spki: Vec<u8>,
    pub key_bits: usize,
    pub is_rsa: bool,
    /// Seconds since 1970, as is the end.
    pub not_before: i64,
    pub not_after: i64,
    pub status: CertificateStatus,
    pub revocation_reason: Option<String>,
    /// What somebody wrote beside it.
    pub notes: Option<String>,
    /// Whether a renewal of it was issued or is pending.
    pub renewed: bool,
    /// Whether another CA signed it.
    pub foreign: bool,
    /// The serial number of the certificate that it renews.
    pub renews: Option<String>,
}

impl IssuedRecord {
    /// The word of the API: issued, revoked, suspended, expired.
    pub fn status_word(&self) -> &'static str {
        match self.status {
            CertificateStatus::Revoked => "revoked",
            CertificateStatus::Suspended => "suspended",
            CertificateStatus::Other(word) => word,
            CertificateStatus::Issued if self.not_after < clock::now() => "expired",
            CertificateStatus::Issued => "issued",
        }
    }
}

/// What a request asks for, after every check.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub profile_id: String,
    pub seat: String,
    pub subject: Subject,
    pub names: Vec<AltName>,
    pub spki: Vec<u8>,
    pub key_bits: usize,
    pub is_rsa: bool,
    pub lifetime: Duration,
    pub format: String,
    pub include_chain: bool,
    /// The serial number and the end of the certificate to renew.
    pub renews: Option<(String, i64)>,
    /// What is to go wrong when it is signed.
    pub defects: Vec<FaultKind>,
}

/// A request that got a request id.
#[derive(Clone, Debug)]
pub struct PendingRecord {
    pub id: String,
    pub wanted: Wanted,
    pub since: Instant,
    pub approve_after: Option<Duration>,
    pub decision: Decision,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Waiting,
    /// With the serial number.
    Issued(String),
    /// With the administrator's comment.
    Rejected(String),
}

impl State {
    pub fn profile(&self, id: &str) -> Option<&ProfileSpec> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// The last certificate with this serial number.
    pub fn certificate(&self, serial: &str) -> Option<&IssuedRecord> {
        self.issued.iter().rfind(|record| record.serial == serial)
    }

    pub fn certificate_mut(&mut self, serial: &str) -> Option<&mut IssuedRecord> {
        self.issued.iter_mut().rfind(|record| record.serial == serial)
    }

    /// How many calls had this method and a path that begins so.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.requests.iter().filter(|call| call.method == method && call.path.starts_with(path)).count()
    }

    /// The ids of the requests that wait for a decision.
    pub fn waiting(&self) -> Vec<String> {
        let waiting = self.pending.iter().filter(|request| request.decision == Decision::Waiting);
        waiting.map(|request| request.id.clone()).collect()
    }

    /// Puts a request in waiting; the answer is its id.
    pub fn enqueue(&mut self, wanted: Wanted, issuance: Issuance) -> String {
        let id = certificate::uuid();
        let approve_after = match issuance {
            Issuance::Pending { approve_after } => approve_after,
            Issuance::Immediate | Issuance::Microsoft => Some(Duration::ZERO),
        };
        let since = Instant::now();
        self.pending.push(PendingRecord { id: id.clone(), wanted, since, approve_after, decision: Decision::Waiting });
        id
    }

    /// Approves what approves itself, and forgets requests that are too old.
    pub fn ripen(&mut self) {
        let is_ripe =
            |request: &PendingRecord| request.approve_after.is_some_and(|after| request.since.elapsed() >= after);
        let waiting = self.pending.iter().filter(|request| request.decision == Decision::Waiting);
        let ripe: Vec<String> = waiting.filter(|request| is_ripe(request)).map(|request| request.id.clone()).collect();
        for id in ripe {
            if self.is_rejecting(&id) {
                self.reject(&id, "rejected by the administrator");
            } else {
                self.approve(&id);
            }
        }
        if let Some(lifetime) = self.variants.request_lifetime {
            self.pending.retain(|request| request.since.elapsed() < lifetime);
        }
    }

    fn is_rejecting(&self, id: &str) -> bool {
        let request = self.pending.iter().find(|request| request.id == id);
        request.and_then(|request| self.profile(&request.wanted.profile_id)).is_some_and(|profile| profile.rejects)
    }

    /// Issues what was asked for; whether there was such a request in waiting.
    pub fn approve(&mut self, id: &str) -> bool {
        let Some(index) = self.pending.iter().position(|request| request.id == id) else { return false };
        if self.pending[index].decision != Decision::Waiting {
            return false;
        }
        let wanted = self.pending[index].wanted.clone();
        self.pending[index].decision = match self.issue(&wanted) {
            Ok(serial) => Decision::Issued(serial),
            Err(error) => Decision::Rejected(error.message),
        };
        true
    }

    /// Rejects a request; whether there was such a one in waiting.
    pub fn reject(&mut self, id: &str, comment: &str) -> bool {
        let request = self.pending.iter_mut().find(|request| request.id == id);
        let Some(request) = request.filter(|request| request.decision == Decision::Waiting) else { return false };
        request.decision = Decision::Rejected(comment.to_owned());
        if let Some((serial, _)) = request.wanted.renews.clone() {
            self.certificate_mut(&serial).into_iter().for_each(|old| old.renewed = false);
        }
        true
    }

    /// Signs and remembers a certificate; the answer is its serial number.
    pub fn issue(&mut self, wanted: &Wanted) -> Result<String, ApiError> {
        let profile = self.profile(&wanted.profile_id).cloned();
        let profile = profile.ok_or_else(|| ApiError::new(400, "invalid_request", "The profile is gone"))?;
        let authority = profile.authority();
        let (not_before, not_after) = validity(wanted, self.variants.renewed_expiry);
        if not_after > authority.not_after && self.variants.overlong_validity == Excess::Refused {
            return Err(ApiError::new(400, "invalid_request", "The validity exceeds that of the issuing CA"));
        }
        let cut = self.variants.ca_ends.filter(|_| self.variants.cuts_at_ca_end);
        let ends_at_most = cut.unwrap_or(authority.not_after);
        let mut complete = wanted.subject.clone();
        complete.extend(profile.fixed().into_iter().filter(|fixed| !wanted.subject.contains(fixed)));
        let leaf = Leaf {
            serial: certificate::random_serial(),
            subject: subject::encode(&complete),
            spki: wanted.spki.clone(),
            not_before,
            not_after: not_after.min(ends_at_most),
            names: wanted.names.clone(),
            usages: profile.usages.clone(),
        };
        let record = sign(leaf, complete, wanted, authority);
        let serial = record.serial.clone();
        if let Some((old, _)) = &wanted.renews {
            self.certificate_mut(old).into_iter().for_each(|old| old.renewed = true);
        }
        self.issued.push(record);
        Ok(serial)
    }
}

/// Begins a minute ago, so that clocks may differ, unless so short a lifetime would suffer.
fn validity(wanted: &Wanted, renewed: RenewedExpiry) -> (i64, i64) {
    let lifetime = i64::try_from(wanted.lifetime.as_secs()).unwrap();
    let now = clock::now();
    let start = if lifetime > 600 { now - 60 } else { now };
    match (&wanted.renews, renewed) {
        (Some((_, old_end)), RenewedExpiry::Added) => (start, (*old_end).max(now) + lifetime),
        (Some(_), RenewedExpiry::FromNow) | (None, _) => (start, now + lifetime),
    }
}

fn sign(mut leaf: Leaf, complete: Subject, wanted: &Wanted, authority: &'static Authority) -> IssuedRecord {
    let mut authority = authority;
    for defect in &wanted.defects {
        spoil(&mut leaf, defect, &complete);
        if *defect == FaultKind::ForeignIssuer {
            authority = Authority::foreign();
        }
    }
    let mut der = certificate::sign(&leaf, authority);
    if wanted.defects.contains(&FaultKind::BadSignature) {
        let end = der.len() - 1;
        der[end] ^= 1;
    }
    IssuedRecord {
        serial: certificate::hex(&leaf.serial),
        der,
        profile_id: wanted.profile_id.clone(),
        seat: wanted.seat.clone(),
        common_name: subject::first(&complete, "common_name"),
        subject: complete,
        names: leaf.names,
        spki: wanted.spki.clone(),
        key_bits: wanted.key_bits,
        is_rsa: wanted.is_rsa,
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        status: CertificateStatus::Issued,
        revocation_reason: None,
        notes: None,
        renewed: false,
        foreign: wanted.defects.contains(&FaultKind::ForeignIssuer),
        renews: wanted.renews.as_ref().map(|(serial, _)| serial.clone()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other faults are not about the contents of a certificate")]
fn spoil(leaf: &mut Leaf, defect: &FaultKind, complete: &Subject) {
    match defect {
        FaultKind::WrongKey => leaf.spki = stranger(),
        FaultKind::MissingName => drop(leaf.names.pop()),
        FaultKind::ExtraName => leaf.names.push(AltName::Dns("extra.example.net".to_owned())),
        FaultKind::MissingSubject => {
            let kept: Subject = complete.iter().filter(|(key, _)| key == "common_name").cloned().collect();
            leaf.subject = subject::encode(&kept);
        }
        FaultKind::Expired => {
            let lifetime = leaf.not_after - leaf.not_before;
            leaf.not_after = clock::now() - 60;
            leaf.not_before = leaf.not_after - lifetime;
        }
        FaultKind::NotYetValid(delay) => leaf.not_before = clock::now() + i64::try_from(delay.as_secs()).unwrap(),
        FaultKind::MissingClientAuth => leaf.usages.retain(|usage| *usage != Usage::ClientAuth),
        _ => {}
    }
}

/// The public key of a key pair that nobody has.
fn stranger() -> Vec<u8> {
    use rcgen::PublicKeyData as _;
    rcgen::KeyPair::generate().unwrap().subject_public_key_info()
}
