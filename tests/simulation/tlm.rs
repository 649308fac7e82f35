//! The simulated TLM: profiles, requests, certificates, and every way in which it is known to misbehave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use renewd::core::event::Method;
use renewd::core::failure::{Accepted, Failure, FailureClass};
use renewd::core::known::observed::Leaf;
use renewd::core::known::profile::Profile;
use renewd::core::known::replaced::Replaced;
use renewd::core::name::{CertName, Digest, ProfileId, RequestId, SerialNumber};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Asked;
use renewd::core::wanted::key::KeyType;
use renewd::core::wanted::usage::Usage;

use crate::random::Random;

mod odd;
mod weather;

pub(crate) use odd::{LAGS, Listing, NUMBERS, Number, Oddities, STATES, Saying, Until, WORDS};
use weather::failure;
pub(crate) use weather::{Endpoint, Part, Weather};

/// A certificate that TLM issued.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// Which certificate of the inventory asked for it.
    pub(crate) name: CertName,
    pub(crate) serial: SerialNumber,
    pub(crate) fingerprint: Digest,
    pub(crate) spki: Digest,
    pub(crate) asked: Asked,
    pub(crate) profile: ProfileId,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// When search shows it.
    pub(crate) visible_at: Timestamp,
    pub(crate) defect: Option<Defect>,
}

impl Certificate {
    pub(crate) fn replaced(&self) -> Replaced {
        let (serial_number, not_after) = (self.serial.clone(), self.not_after);
        Replaced { serial_number, fingerprint: self.fingerprint, not_after }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.not_after.since(self.not_before)
    }

    pub(crate) fn usages(&self) -> Vec<Usage> {
        if self.defect == Some(Defect::Usage) { Vec::new() } else { server_auth() }
    }

    pub(crate) fn leaf(&self) -> Leaf {
        Leaf {
            serial_number: self.serial.clone(),
            fingerprint: self.fingerprint,
            spki: self.spki,
            not_before: self.not_before,
            not_after: self.not_after,
            key: Some(KeyType::EcdsaP256),
            common_name: self.asked.common_name.clone(),
            subject: self.asked.subject.clone(),
            names: self.asked.names.clone(),
            usages: self.usages(),
        }
    }
}

pub(crate) fn server_auth() -> Vec<Usage> {
    static SERVER_AUTH: LazyLock<Vec<Usage>> = LazyLock::new(|| Usage::parse("server_auth").into_iter().collect());
    SERVER_AUTH.clone()
}

/// What may be wrong with a certificate, or with the answer that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// It holds another key.
    Key,
    /// It lacks a name.
    Name,
    /// It has ended.
    Expired,
    /// It begins in a few minutes.
    Early,
    /// It lacks the wanted usage.
    Usage,
    /// It ends no later than the one that it replaces.
    Short,
    /// It came without its chain.
    NoChain,
    /// It came as a page for people.
    Html,
}

pub(crate) const DEFECTS: [Defect; 8] = [
    Defect::Key,
    Defect::Name,
    Defect::Expired,
    Defect::Early,
    Defect::Usage,
    Defect::Short,
    Defect::NoChain,
    Defect::Html,
];

/// How a profile issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Immediate,
    /// Some time later, by itself.
    Slow(Duration),
    /// When an administrator says so.
    Approval,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Waits,
    Issues(Timestamp),
    Rejected,
    Forgotten,
    /// Each pickup is answered so.
    Says(Saying),
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) order: Order,
    pub(crate) fate: Fate,
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) name: CertName,
    pub(crate) spki: Digest,
    pub(crate) asked: Asked,
    pub(crate) profile: ProfileId,
    pub(crate) method: Method,
}

#[derive(Debug)]
pub(crate) struct ProfileState {
    pub(crate) profile: Profile,
    pub(crate) lifetime: Duration,
    pub(crate) mode: Mode,
}

/// What a creating request brought.
pub(crate) enum Answer {
    Issued(Arc<Certificate>),
    Pending(RequestId),
}

pub(crate) enum Pickup {
    Issued(Arc<Certificate>),
    Pending,
    Rejected,
    /// An odd answer, and the number of what was issued all the same.
    Says(Saying, Option<SerialNumber>),
}

#[derive(Debug)]
pub(crate) struct Tlm {
    pub(crate) profiles: BTreeMap<ProfileId, ProfileState>,
    pub(crate) weather: Weather,
    pub(crate) parts: Vec<Part>,
    pub(crate) forbidden: BTreeSet<ProfileId>,
    pub(crate) search_forbidden: bool,
    /// Whether the API key's user may revoke nothing.
    pub(crate) revoking_forbidden: bool,
    /// How often the next API key was taken since the credentials were read.
    pub(crate) key: usize,
    /// Which of the two API keys are refused.
    pub(crate) refused_keys: [bool; 2],
    /// When they end, as TLM reports it.
    pub(crate) key_ends: [Option<Timestamp>; 2],
    /// Whether answers carry a `Date`.
    pub(crate) dates: bool,
    /// How far the `Date` of the next answer is off, in milliseconds: it comes from a server whose clock is wrong.
    pub(crate) odd_date: i64,
    /// Replies to so many creating requests are lost after they were accepted.
    pub(crate) lost_replies: u32,
    /// The next certificates have these defects.
    pub(crate) defects: Vec<Defect>,
    /// Requests that these certificates send are refused as they stand.
    pub(crate) refused: BTreeSet<CertName>,
    pub(crate) certificates: Vec<Arc<Certificate>>,
    pub(crate) revoked: BTreeSet<SerialNumber>,
    renewed: BTreeSet<SerialNumber>,
    pub(crate) requests: BTreeMap<RequestId, Request>,
    pub(crate) odd: Oddities,
    random: Random,
    count: u64,
}

impl Tlm {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            profiles: BTreeMap::new(),
            weather: Weather::Fine,
            parts: Vec::new(),
            forbidden: BTreeSet::new(),
            search_forbidden: false,
            revoking_forbidden: false,
            key: 0,
            refused_keys: [false; 2],
            key_ends: [None; 2],
            dates: true,
            odd_date: 0,
            lost_replies: 0,
            defects: Vec::new(),
            refused: BTreeSet::new(),
            certificates: Vec::new(),
            revoked: BTreeSet::new(),
            renewed: BTreeSet::new(),
            requests: BTreeMap::new(),
            odd: Oddities::default(),
            random,
            count: 0,
        }
    }

    /// Whether an answer comes at all, and with it a `Date`.
    pub(crate) fn answers(&self) -> bool {
        !matches!(self.weather, Weather::Unreachable | Weather::Tls | Weather::Proxy | Weather::NoAnswer)
    }

    /// Whether a part fails alone.
    pub(crate) fn part_fails(&self, endpoint: Endpoint, profile: &ProfileId, name: &CertName) -> bool {
        self.parts.iter().any(|part| part.touches(endpoint, profile, name))
    }

    /// What a part that fails alone says.
    pub(crate) fn part(&self, endpoint: Endpoint, profile: &ProfileId, name: &CertName) -> Result<(), Failure> {
        let part = self.parts.iter().find(|part| part.touches(endpoint, profile, name));
        let failed = part.map_or(Ok(()), |part| failure(part.weather));
        let accepted = if endpoint == Endpoint::Create { None } else { Some(Accepted::No) };
        failed.map_err(|failure| Failure { accepted: accepted.unwrap_or(failure.accepted), ..failure })
    }

    fn gate(&self) -> Result<(), Failure> {
        failure(self.weather).and_then(|()| self.takes_key(self.key))
    }

    fn takes_key(&self, number: usize) -> Result<(), Failure> {
        if self.refused_keys[number % self.refused_keys.len()] { failure(Weather::Unauthorised) } else { Ok(()) }
    }

    /// A call that creates nothing: a failure says nothing of acceptance.
    fn look(&self) -> Result<(), Failure> {
        if self.weather == Weather::CreationError {
            return self.takes_key(self.key);
        }
        self.gate().map_err(|failure| Failure { accepted: Accepted::No, ..failure })
    }

    /// The list of profiles, of which nothing is read.
    pub(crate) fn list(&self) -> Result<(), Failure> {
        self.look()
    }

    /// When an API key ends, if it is taken.
    pub(crate) fn me_as(&self, number: usize) -> Result<Option<Timestamp>, Failure> {
        failure(self.weather).and_then(|()| self.takes_key(number))?;
        Ok(self.key_ends[number])
    }

    pub(crate) fn profile(&self, id: &ProfileId) -> Result<Profile, Failure> {
        self.look()?;
        self.allowed(id)?;
        match self.profiles.get(id) {
            Some(state) => Ok(state.profile.clone()),
            None => Err(Failure::new(FailureClass::ApiForbidden, "403")),
        }
    }

    fn allowed(&self, id: &ProfileId) -> Result<(), Failure> {
        if self.forbidden.contains(id) { Err(Failure::new(FailureClass::ApiForbidden, "403")) } else { Ok(()) }
    }

    /// Takes a request, or refuses it; the reply may be lost.
    pub(crate) fn create(&mut self, order: &Order, now: Timestamp) -> Result<Answer, Failure> {
        let part = self.part(Endpoint::Create, &order.profile, &order.name);
        if let Err(failure) = self.gate().and(part) {
            // An answer that breaks off says nothing of what was done.
            if failure.accepted == Accepted::Unknown && self.random.percent(50) {
                drop(self.accept(order, now));
            }
            return Err(failure);
        }
        let answer = self.accept(order, now)?;
        if self.lost_replies > 0 {
            self.lost_replies -= 1;
            let lost = Failure::new(FailureClass::ApiNoAnswer, "the reply was lost");
            return Err(Failure { accepted: Accepted::Unknown, ..lost });
        }
        Ok(answer)
    }

    fn accept(&mut self, order: &Order, now: Timestamp) -> Result<Answer, Failure> {
        self.allowed(&order.profile)?;
        if self.refused.contains(&order.name) {
            return Err(Failure::new(FailureClass::RequestRefused, "400 invalid_input_field"));
        }
        let Some(state) = self.profiles.get(&order.profile) else {
            return Err(Failure::new(FailureClass::ProfileNotFound, "404"));
        };
        if state.profile.status != "Active" {
            return Err(Failure::new(FailureClass::ProfileUnusable, "the profile is suspended"));
        }
        match &order.method {
            Method::New => self.check_duplicate(order, self.clock(now))?,
            Method::Renew { serial_number, .. } => self.check_renewal(serial_number, self.clock(now))?,
        }
        if let Some(answer) = self.file_odd(order, now) {
            return Ok(answer);
        }
        match self.profiles[&order.profile].mode {
            Mode::Immediate => Ok(Answer::Issued(self.issue(order, now))),
            Mode::Slow(wait) => Ok(Answer::Pending(self.file(order, Fate::Issues(now + wait)))),
            Mode::Approval => Ok(Answer::Pending(self.file(order, Fate::Waits))),
        }
    }

    fn check_duplicate(&self, order: &Order, now: Timestamp) -> Result<(), Failure> {
        let is_one = |certificate: &&Arc<Certificate>| {
            certificate.name == order.name
                && certificate.profile == order.profile
                && certificate.not_after > now
                && !self.revoked.contains(&certificate.serial)
        };
        if self.profiles[&order.profile].profile.allows_duplicates || !self.certificates.iter().any(|c| is_one(&c)) {
            return Ok(());
        }
        Err(Failure::new(FailureClass::DuplicateRefused, "400 duplicate certificate"))
    }

    fn check_renewal(&self, serial: &SerialNumber, now: Timestamp) -> Result<(), Failure> {
        let Some(old) = self.certificates.iter().find(|certificate| certificate.serial == *serial) else {
            return Err(Failure::new(FailureClass::NotFound, "404"));
        };
        if self.renewed.contains(serial) || self.revoked.contains(serial) {
            return Err(Failure::new(FailureClass::AlreadyRenewed, "400 already renewed"));
        }
        let too_early =
            |retry| Failure { retry, ..Failure::new(FailureClass::RenewalTooEarly, "400 not permitted until") };
        self.opens(old, now).map_err(too_early)
    }

    fn file(&mut self, order: &Order, fate: Fate) -> RequestId {
        self.count += 1;
        let id = RequestId(format!("r-{}", self.count));
        self.requests.insert(id.clone(), Request { order: order.clone(), fate, certificate: None });
        id
    }

    fn issue(&mut self, order: &Order, at: Timestamp) -> Arc<Certificate> {
        self.count += 1;
        let now = self.clock(at);
        let defect = self.defects.pop();
        let lifetime = self.profiles.get(&order.profile).map_or(DAY * 90, |state| state.lifetime);
        let mut not_before = if defect == Some(Defect::Early) { now + MINUTE * 8 } else { now - MINUTE * 5 };
        let mut not_after = not_before + lifetime;
        if defect == Some(Defect::Expired) {
            (not_before, not_after) = (now - lifetime, now - MINUTE * 30);
        }
        if defect == Some(Defect::Short) {
            let ends = self.certificates.iter().filter(|c| c.name == order.name).map(|c| c.not_after).max();
            not_after = ends.filter(|end| *end > now).unwrap_or(not_after);
        }
        let mut asked = order.asked.clone();
        if defect == Some(Defect::Name) {
            asked.names.dns_names.pop();
        }
        let spki = if defect == Some(Defect::Key) { digest(self.random.next()) } else { order.spki };
        let longest = if self.odd.lag.is_zero() { 240 } else { self.odd.lag.as_secs() };
        let lag = Duration::from_secs(self.random.below(longest));
        let certificate = Arc::new(Certificate {
            name: order.name.clone(),
            serial: SerialNumber(format!("{:X}", 0x1_0000 + self.count)),
            fingerprint: digest(self.random.next()),
            spki,
            asked,
            profile: order.profile.clone(),
            not_before,
            not_after,
            visible_at: at + lag,
            defect,
        });
        if let Method::Renew { serial_number, .. } = &order.method {
            self.renewed.insert(serial_number.clone());
        }
        self.certificates.push(Arc::clone(&certificate));
        certificate
    }

    /// What search shows for a public key.
    pub(crate) fn search(&self, spki: Digest, now: Timestamp) -> Result<Option<Arc<Certificate>>, Failure> {
        self.look()?;
        if self.search_forbidden {
            return Err(Failure::new(FailureClass::ApiForbidden, "403"));
        }
        Ok(self.shown(spki, now))
    }

    /// The certificate with this key that search would show.
    pub(crate) fn shown(&self, spki: Digest, now: Timestamp) -> Option<Arc<Certificate>> {
        self.certificates.iter().rev().find(|c| c.spki == spki && c.visible_at <= now).cloned()
    }

    pub(crate) fn pick_up(&mut self, id: &RequestId, now: Timestamp) -> Result<Pickup, Failure> {
        self.look()?;
        let unknown = || Failure::new(FailureClass::NotFound, "404");
        let request = self.requests.get(id).ok_or_else(unknown)?.clone();
        match (request.fate, request.certificate) {
            (Fate::Forgotten, _) => Err(unknown()),
            (Fate::Rejected, _) => Ok(Pickup::Rejected),
            (Fate::Says(saying), issued) => Ok(Pickup::Says(saying, issued.map(|issued| issued.serial.clone()))),
            (Fate::Issues(_), Some(certificate)) => Ok(Pickup::Issued(certificate)),
            (Fate::Issues(at), None) if at <= now => {
                let certificate = self.issue(&request.order, now);
                if let Some(request) = self.requests.get_mut(id) {
                    request.certificate = Some(Arc::clone(&certificate));
                }
                Ok(Pickup::Issued(certificate))
            }
            (Fate::Issues(_) | Fate::Waits, _) => Ok(Pickup::Pending),
        }
    }

    /// What TLM knows of a certificate: the certificate, and whether it is revoked.
    pub(crate) fn details(&self, serial: &SerialNumber) -> Result<(Arc<Certificate>, bool), Failure> {
        self.look()?;
        match self.certificates.iter().rev().find(|certificate| certificate.serial == *serial) {
            Some(certificate) => Ok((Arc::clone(certificate), self.revoked.contains(serial))),
            None => Err(Failure::new(FailureClass::NotFound, "404")),
        }
    }

    /// Revokes a certificate.
    pub(crate) fn revoke(&mut self, serial: &SerialNumber) -> Result<(), Failure> {
        self.look()?;
        let refused = |class, message: &str| Err(Failure::new(class, message));
        if self.revoking_forbidden {
            return refused(FailureClass::ApiForbidden, "403");
        }
        if !self.certificates.iter().any(|certificate| certificate.serial == *serial) {
            return refused(FailureClass::NotFound, "404");
        }
        if !self.revoked.insert(serial.clone()) {
            return refused(FailureClass::CertificateRevoked, "400 already revoked");
        }
        Ok(())
    }

    /// Requests of a certificate that TLM still works on.
    pub(crate) fn open_requests(&self, name: &CertName) -> impl Iterator<Item = (&RequestId, &Request)> {
        let of_name = self.requests.iter().filter(move |(_, request)| request.order.name == *name);
        of_name.filter(|(_, request)| match request.fate {
            Fate::Waits | Fate::Issues(_) => request.certificate.is_none(),
            Fate::Says(saying) => saying.goes_on() || saying.is_mute(),
            Fate::Rejected | Fate::Forgotten => false,
        })
    }

    /// How long an answer takes.
    pub(crate) fn latency(&mut self) -> Duration {
        match self.weather {
            Weather::NoAnswer => Duration::from_secs(30),
            _ => Duration::from_millis(50 + self.random.below(1500)),
        }
    }
}

pub(crate) fn digest(number: u64) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
