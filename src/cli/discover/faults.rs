//! What is wrong with what was found, each fault with what to do.

use std::path::Path;

use serde::Serialize;

use super::ask::Service;
use super::files::{Files, Lack};
use super::findings::{Finding, Named};
use super::mention::Side;
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::core::wanted::key::KeyType;
use crate::pki::certificate::Certificate;
use crate::pki::key_file::Belonging;
use crate::pki::standing;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    /// What it is about: a certificate's name, or a file.
    pub(super) subject: String,
    pub(super) message: String,
    /// What to do about it.
    pub(super) remedy: String,
}

fn fault(code: &'static str, subject: &str, message: &str, remedy: &str) -> Fault {
    let clean = |text: &str| Text::new(text).to_string();
    Fault { code, subject: clean(subject), message: clean(message), remedy: clean(remedy) }
}

/// Every fault, those of certificates first.
pub(super) fn all(
    findings: &[Finding<'_>],
    named: &[Named<'_>],
    services: &[Service],
    files: &Files,
    now: Timestamp,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for finding in findings {
        let judged = Judged { finding, title: finding.title(), files, now };
        if finding.is_used() {
            faults.extend(judged.validity());
            faults.extend(judged.chain());
            faults.extend(judged.newer(findings));
            faults.extend(judged.order());
            faults.extend(judged.alone(findings));
            faults.extend(judged.names());
        }
        faults.extend(judged.open_keys());
    }
    faults.extend(named.iter().flat_map(|named| of_mention(named, files)));
    faults.extend(services.iter().filter_map(of_service));
    faults.dedup();
    faults
}

struct Judged<'f, 's> {
    finding: &'f Finding<'s>,
    title: String,
    files: &'f Files,
    now: Timestamp,
}

impl Judged<'_, '_> {
    fn fault(&self, code: &'static str, message: &str, remedy: &str) -> Fault {
        fault(code, &self.title, message, remedy)
    }

    /// What to do about one that should have been renewed.
    fn renew(&self) -> String {
        let kept = self.finding.managed;
        match kept.map(|kept| (kept.by.name, kept.by.question(&kept.name))) {
            Some((by, Some(ask))) => format!("find out why {by} does not renew it; run: {ask}"),
            Some((by, None)) => format!("find out why {by} does not renew it"),
            None => "renew it, or have renewd do so: renewd discover --entries --profile ID".to_owned(),
        }
    }

    /// Who is hurt by it.
    fn users(&self) -> String {
        let shown = self.finding.shown.first().map(|(service, _)| format!(", and {} presents it", who(service)));
        let named = || self.finding.named.first().map(|named| format!(", and {} names it", place(named)));
        shown.or_else(named).unwrap_or_default()
    }

    fn validity(&self) -> Option<Fault> {
        let facts = &self.finding.facts;
        let (from, until) = (facts.not_before, facts.not_after);
        if until <= self.now {
            let message = format!("it expired {} ago{}", Span(self.now.since(until)), self.users());
            return Some(self.fault("expired", &message, &self.renew()));
        }
        if from > self.now {
            let message = format!("it is not valid before {from}{}", self.users());
            return Some(self.fault("not-yet-valid", &message, "correct the clock, or wait with it until then"));
        }
        let (left, whole) = (until.since(self.now), until.since(from));
        (left < whole / 10).then(|| {
            let (left, users) = (Span(left), self.users());
            let message = match self.finding.managed {
                Some(kept) => format!("it expires in {left}, and {} has not renewed it", kept.by.name),
                None => format!("it expires in {left}, and nobody renews it{}", users.replacen(", and", ";", 1)),
            };
            self.fault("expiring", &message, &self.renew())
        })
    }

    fn chain(&self) -> Option<Fault> {
        let (at, subject) = self.finding.chain_ends.as_ref()?;
        let (verb, when) = if *at <= self.now { ("expired", "ago") } else { ("expires first, in", "") };
        let distance = Span(at.distance(self.now));
        let message = format!("the CA certificate {subject} in its chain {verb} {distance} {when}");
        Some(self.fault(
            "chain-ends-first",
            message.trim_end(),
            "put the CA's present certificate into the chain; clients refuse it as an expired one",
        ))
    }

    /// A server that shows an older certificate than the file has, or another file.
    fn newer(&self, findings: &[Finding<'_>]) -> Vec<Fault> {
        let own = &self.finding.facts;
        let mut faults = Vec::new();
        for (service, sights) in &self.finding.shown {
            let is_newer = |other: &&Finding<'_>| {
                let facts = &other.facts;
                // CAs let the validity of all that they issue on a day begin at its first second.
                let is_later = (facts.not_before, facts.not_after) >= (own.not_before, own.not_after);
                let is_other = facts.fingerprint != own.fingerprint;
                is_later && is_other && facts.not_after > self.now && is_alike(own.key, facts.key)
            };
            let named_here = |other: &&Finding<'_>| {
                other.named.iter().any(|named| {
                    let mention = named.mention;
                    let is_here = mention.listens.iter().any(|listen| listen.port == service.listener.address.port());
                    let is_asked = sights.iter().any(|sight| {
                        sight.name.as_ref().is_none_or(|name| mention.names.is_empty() || mention.names.contains(name))
                    });
                    mention.side == Side::Server && is_here && is_asked
                }) && !other.shown.iter().any(|(shown, _)| std::ptr::eq(*shown, *service))
            };
            let has_the_same_names = |other: &&Finding<'_>| {
                let (one, two) = (&own.names, &other.facts.names);
                !one.dns_names.is_empty() && one.missing_in(two).is_empty()
            };
            let newer = findings.iter().filter(is_newer).filter(has_the_same_names);
            let Some(newer) = newer.max_by_key(|other| (named_here(other), other.facts.not_before)) else { continue };
            let Some(path) = newer.path(self.files) else { continue };
            let (who, serial, path) = (who(service), own.serial_number.to_string(), path.display().to_string());
            if named_here(&newer) {
                let message = format!("{who} still presents serial number {serial}; {path} has been replaced since");
                faults.push(self.fault("not-loaded", &message, &reload(service, newer)));
            } else if self.finding.files.is_empty() || newer.managed.is_some() {
                let message =
                    format!("{who} presents serial number {serial}; a newer one for the same names is in {path}");
                let remedy = "have the server's configuration name that file, and reload it";
                faults.push(self.fault("outdated-copy", &message, remedy));
            }
        }
        faults
    }

    /// A file that a server reads begins with another certificate than the leaf.
    fn order(&self) -> Option<Fault> {
        let found = self.finding.named.iter().find_map(|named| {
            let file = self.files.get(named.certificate.as_deref().ok()?)?;
            let first = file.found.certificates.first()?;
            (*first != self.finding.leaf && first.is_ca()).then_some(named)
        })?;
        let path = found.mention.certificate.display().to_string();
        let message = format!("{path}, which {} names, begins with a CA's certificate", place(found));
        Some(self.fault("leaf-not-first", &message, "write the leaf first, then its issuer, and so on"))
    }

    /// Shown without the intermediate that this host has.
    fn alone(&self, findings: &[Finding<'_>]) -> Option<Fault> {
        let (service, _) =
            self.finding.shown.iter().find(|(_, sights)| sights.iter().all(|sight| sight.chain.is_empty()))?;
        let pool = self.files.all().flat_map(|(_, file)| &file.found.certificates);
        let shown = findings.iter().flat_map(|finding| finding.shown.iter().flat_map(|(_, sights)| sights));
        let pool: Vec<&Certificate> = pool.chain(shown.flat_map(|sight| &sight.chain)).collect();
        let issuer =
            standing::issuer_of(&self.finding.leaf, pool).filter(|issuer| standing::is_intermediate(issuer))?;
        let message = format!("{} presents it without its intermediate {}", who(service), issuer.label());
        Some(self.fault(
            "chain-missing",
            &message,
            "have the server read leaf and chain from one file (fullchain); clients that do not know the CA refuse it",
        ))
    }

    /// Clients look at the alternative names alone.
    fn names(&self) -> Option<Fault> {
        let (service, _) = self.finding.shown.first()?;
        let names = &self.finding.facts.names;
        let is_bare =
            names.dns_names.is_empty() && names.ip_addresses.is_empty() && self.finding.facts.common_name.is_some();
        is_bare.then(|| {
            let message = format!("it has only a common name, and {} presents it", who(service));
            self.fault("no-names", &message, "request one with its DNS names; clients ignore the common name")
        })
    }

    /// Keys that everybody on this host can read.
    fn open_keys(&self) -> Vec<Fault> {
        let open = self.finding.keys.iter().filter(|real| is_open(real, self.files));
        open.map(|real| {
            let path = real.display();
            let message = format!("everybody on this host can read its private key {path}");
            let remedy = format!("run: chmod o= {path}; where strangers have accounts, replace the key as well");
            self.fault("key-exposed", &message, &remedy)
        })
        .collect()
    }
}

/// Whether others may read a file, and reach it.
fn is_open(real: &Path, files: &Files) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let is_readable = files.get(real).is_some_and(|file| file.found.held.mode & 0o004 != 0);
    let may_pass = |folder: &Path| std::fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
    is_readable && real.ancestors().skip(1).all(may_pass)
}

/// What a configuration names that is not there or does not fit.
fn of_mention(named: &Named<'_>, files: &Files) -> Vec<Fault> {
    let mention = named.mention;
    let (place, mut faults) = (place(named), Vec::new());
    let paths = [(Some(&named.certificate), Some(&mention.certificate)), (named.key.as_ref(), mention.key.as_ref())];
    for (found, path) in paths {
        let (Some(found), Some(path)) = (found, path) else { continue };
        let path = path.display();
        let message = match found {
            Err(Lack::Missing) => format!("it names {path}, which is not there"),
            Err(Lack::Other(why)) => format!("it names {path}: {why}"),
            Ok(_) | Err(Lack::Unread) => continue,
        };
        let remedy =
            format!("correct the path, or put the file there; {} does not start without it", mention.server.as_str());
        faults.push(fault("file-unusable", &place, &message, &remedy));
    }
    let key = named.key.as_ref().unwrap_or(&named.certificate);
    if let (Ok(certificate), Ok(key)) = (&named.certificate, key)
        && let (Some(certificate), Some(key)) = (files.get(certificate), files.get(key))
        && let Some(leaf) = certificate.found.certificates.first()
    {
        let pair = (mention.certificate.display(), mention.key.as_ref().unwrap_or(&mention.certificate).display());
        if key.found.key.is_none() && named.key.is_some() {
            let message = format!("it names {} as private key, which holds none", pair.1);
            faults.push(fault("file-unusable", &place, &message, "name the file with the private key"));
        } else if key.found.key.is_some()
            && certificate.found.certificates.iter().all(|one| key.found.key_of(one) == Belonging::Refuted)
        {
            let message = format!("the private key {} is not that of {} in {}", pair.1, leaf.label(), pair.0);
            let remedy = format!(
                "find the key that belongs to it, or replace both; {} does not start with this pair",
                mention.server.as_str()
            );
            faults.push(fault("pair-mixed", &place, &message, &remedy));
        }
    }
    faults
}

/// A server that speaks TLS and refuses every client of today.
fn of_service(service: &Service) -> Option<Fault> {
    let refusal = service.refusal.as_ref()?;
    let is_old = refusal.as_str().to_lowercase().contains("version");
    is_old.then(|| {
        let message = format!("{} offers no TLS 1.2 or 1.3 ({refusal})", who(service));
        fault(
            "tls-outdated",
            &service.listener.address.to_string(),
            &message,
            "enable TLS 1.2 and 1.3 in its configuration",
        )
    })
}

/// How a server takes what is new.
fn reload(service: &Service, newer: &Finding<'_>) -> String {
    let server = newer.named.first().map(|named| named.mention.server);
    match unit_and_verb(service, server) {
        Some((unit, verb)) => format!("run: systemctl {verb} {unit}"),
        None => "have it read its certificates again (reload or restart it)".to_owned(),
    }
}

/// The unit of a service, and the verb by which it takes new certificates.
pub(super) fn unit_and_verb(
    service: &Service,
    server: Option<super::mention::Server>,
) -> Option<(String, &'static str)> {
    let known = server.map(super::mention::Server::reload).unwrap_or_default();
    let unit = service.unit.clone()?;
    let of_unit = known.iter().find(|(name, _)| *name == unit).or_else(|| known.first());
    Some((unit, of_unit.map_or("restart", |(_, verb)| verb)))
}

/// Who serves, and where.
pub(super) fn who(service: &Service) -> String {
    let address = service.listener.address;
    let program = service
        .program
        .as_deref()
        .map_or_else(|| "whoever listens".to_owned(), |program| Text::new(program).to_string());
    if address.ip().is_unspecified() {
        format!("{program} on port {}", address.port())
    } else {
        format!("{program} on {address}")
    }
}

/// Where a configuration names something.
pub(super) fn place(named: &Named<'_>) -> String {
    let file = named.mention.file.display();
    // What stands on a command line or is a default has no line.
    if named.mention.line == 0 { file.to_string() } else { format!("{file}:{}", named.mention.line) }
}

/// Whether keys are of one family: a server may have a certificate of each.
fn is_alike(one: Option<KeyType>, other: Option<KeyType>) -> bool {
    let family = |key: Option<KeyType>| key.map(|key| key.as_str().split('-').next());
    family(one) == family(other)
}
