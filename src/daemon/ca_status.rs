//! The loop's part in the status of the CA certificates that are served: chains are read and issuers are asked beside the
//! loop, one after the other. Nothing waits for it, and what cannot be learnt is nobody's trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Fetcher, Tlm};
use crate::core::ca_status::{Ca, CaWatch, Holder, Look, Outcome};
use crate::core::code::Code;
use crate::core::name::{CertName, Digest};
use crate::core::observed::{Installed, Observed};
use crate::core::revocation::CaStanding;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::answer::shown_by_profile;
use crate::pki::certificate::{Certificate, certificates_in_file};
use crate::pki::standing::{Sources, issuer_of};
use crate::pki::{crl, ocsp};
use crate::store::chains::{self, Chains, Set};

use super::clock::Clock;
use super::message::Message;
use super::run::{Daemon, Mode};
use super::setup;
use super::status::{Problem, Severity};

/// What is known of the CA certificates that are served.
#[derive(Debug, Default)]
pub struct CaStatus {
    pub(super) watch: CaWatch,
    /// Those that are served.
    intermediates: BTreeMap<Digest, Certificate>,
    /// Others that may have issued them.
    others: BTreeMap<Digest, Certificate>,
    /// Of which it was said that they are revoked.
    said: BTreeSet<Digest>,
}

impl CaStatus {
    /// Begins with what was kept.
    #[must_use]
    pub fn new(watch: CaWatch) -> Self {
        Self { watch, ..Self::default() }
    }

    fn take(&mut self, chains: Chains, is_whole: bool) {
        if is_whole {
            self.intermediates.clear();
        }
        self.intermediates.extend(chains.intermediates);
        self.others.extend(chains.others.into_iter().map(|other| (other.fingerprint(), other)));
    }

    /// All that may have issued one of them, as far as it is at hand.
    fn pool(&self) -> Vec<Certificate> {
        self.intermediates.values().chain(self.others.values()).cloned().collect()
    }
}

impl<T: Tlm> Daemon<T> {
    /// Looks at what is due.
    pub(super) fn watch_cas(&mut self, now: Timestamp) {
        if self.mode != Mode::Forever {
            return;
        }
        self.cas.watch.set_interval(self.main.ca_status_check, now);
        match self.cas.watch.due(now) {
            Some(Look::Chains { names, revoked }) => self.read_chains(names, revoked),
            Some(Look::Status(fingerprint)) => self.ask_after(fingerprint),
            None => {}
        }
    }

    fn read_chains(&self, names: Option<BTreeSet<CertName>>, revoked: BTreeSet<Digest>) {
        let is_asked = |name: &CertName| names.as_ref().is_none_or(|names| names.contains(name));
        let fleet = self.fleet.iter().filter(|managed| is_asked(&managed.entry.name));
        let sets: Vec<Set> = fleet
            .filter_map(|managed| {
                let Installed { generation, fingerprint, .. } = managed.observed.installed()?;
                Some(Set { entry: Arc::clone(&managed.entry), generation: *generation, leaf: *fingerprint })
            })
            .collect();
        let context = Arc::clone(&self.context);
        let all = sets.iter().map(|set| set.entry.name.clone()).collect();
        tokio::spawn(async move {
            let read = context.blocking(move |c| Ok(chains::read(&*c.disk, &c.layout, &sets, &revoked))).await;
            let chains = read.unwrap_or_else(|failure| {
                tracing::error!("which CA certificates are served is not known: {failure}");
                Chains::unread(all)
            });
            context.tell(Message::ChainsRead(names, Box::new(chains)));
        });
    }

    /// Notes which CA certificates are served.
    pub(super) fn chains_read(&mut self, names: Option<&BTreeSet<CertName>>, mut chains: Chains, now: Timestamp) {
        let found = std::mem::take(&mut chains.found);
        let is_whole = names.is_none() && found.unread.is_empty();
        self.cas.take(chains, is_whole);
        self.cas.watch.served(names, found, now);
        self.say_of_cas();
        self.keep_cas();
    }

    fn ask_after(&self, fingerprint: Digest) {
        let ca = self.cas.intermediates.get(&fingerprint).cloned();
        let mut pool = self.cas.pool();
        let shown = self.profiles.kept().into_iter().filter_map(|(_, reading)| reading.profile);
        pool.extend(shown.flat_map(|profile| shown_by_profile(&profile.issuers)));
        let (context, api) = (Arc::clone(&self.context), self.main.api.clone());
        let asking = Arc::clone(&context);
        let asked = tokio::spawn(async move {
            let fetcher = asking.blocking(move |_| Fetcher::new(&setup::fetch_settings(&api)?)).await;
            match (ca, fetcher) {
                (None, _) => Outcome::Unknown(Text::new("its certificate could not be read")),
                (Some(_), Err(failure)) => Outcome::Unknown(failure.message),
                (Some(ca), Ok(fetcher)) => ask(&fetcher, &ca, pool, &*asking.clock).await,
            }
        });
        // What a CA says is somebody else's: a worker that ends by it must not end the watch.
        tokio::spawn(async move {
            let outcome =
                asked.await.unwrap_or_else(|error| Outcome::Unknown(Text::new(&format!("a worker ended: {error}"))));
            context.tell(Message::CaAsked(fingerprint, outcome));
        });
    }

    /// Notes what came of asking after a CA certificate.
    pub(super) fn ca_asked(&mut self, fingerprint: &Digest, outcome: &Outcome, now: Timestamp) {
        let is_news = self.cas.watch.note(fingerprint, outcome, now);
        if let Some(ca) = self.cas.watch.ca(fingerprint) {
            let subject = &ca.served.subject;
            match outcome {
                Outcome::Told(standing) => tracing::debug!("the CA certificate {subject}: {standing:?}"),
                Outcome::NobodyToAsk => tracing::debug!("the CA certificate {subject} names no CRL and no responder"),
                Outcome::Unknown(why) => {
                    tracing::debug!("the status of the CA certificate {subject} is not known: {why}")
                }
            }
        }
        if is_news {
            self.say_of_cas();
        }
        self.keep_cas();
    }

    /// Another set may be live than the one before, which may be served with other CA certificates.
    pub(super) fn note_set(&mut self, name: &CertName, before: Option<(u64, Digest)>) {
        let is = self.fleet.one(name).and_then(|managed| set_of(&managed.observed));
        if is != before {
            self.cas.watch.changed(name, self.context.clock.now());
        }
    }

    /// Says once of each revoked CA certificate that it is, and that it is no more.
    fn say_of_cas(&mut self) {
        let revoked = self.revoked_cas();
        self.headline_is_old |= revoked.len() != self.cas.said.len();
        for (fingerprint, Problem { code, message, remedy, .. }) in &revoked {
            if self.cas.said.insert(*fingerprint) {
                self.headline_is_old = true;
                tracing::error!(code, "{message}; {remedy}");
            }
        }
        self.cas.said.retain(|said| revoked.iter().any(|(fingerprint, _)| fingerprint == said));
    }

    /// The revoked CA certificates that are served, as problems.
    pub(super) fn revoked_cas(&self) -> Vec<(Digest, Problem)> {
        let installed = |name: &CertName| self.fleet.one(name)?.observed.installed();
        self.cas.watch.cas().filter_map(|ca| Some((ca.served.fingerprint, problem(ca, &installed)?))).collect()
    }

    /// Writes what is known beside the loop, after what is being written.
    fn keep_cas(&mut self) {
        let context = Arc::clone(&self.context);
        let cas: Vec<Ca> = self.cas.watch.cas().cloned().collect();
        let before = self.keeping.take();
        self.keeping = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // A writing that panicked has said so.
                drop(before.await);
            }
            let written = context.blocking(move |c| chains::keep(&*c.disk, &c.layout, &cas)).await;
            if let Err(failure) = written {
                tracing::warn!("{failure}");
            }
        }));
    }
}

/// Which set is live: its generation, and the fingerprint of its leaf.
pub(super) fn set_of(observed: &Observed) -> Option<(u64, Digest)> {
    observed.installed().map(|installed| (installed.generation.0, installed.fingerprint))
}

/// A revoked CA certificate that is served, as a problem.
pub fn problem<'c, 'i>(ca: &'c Ca, installed: &impl Fn(&CertName) -> Option<&'i Installed>) -> Option<Problem> {
    let current = |holder: &'c Holder| Some((&holder.name, installed(&holder.name).filter(|set| holder.is(set))?));
    let holders: Vec<_> = ca.holders.iter().filter_map(current).collect();
    let names: Vec<&CertName> = holders.iter().map(|(name, _)| *name).collect();
    let issuers: BTreeSet<&Text> = holders.iter().map(|(_, set)| &set.chain.issuer.subject).collect();
    let renew: Vec<String> = issuers.into_iter().map(|subject| quoted(subject.as_str())).collect();
    let (message, since) = (ca.remark(&names)?, ca.revocation()?.at);
    Some(Problem {
        code: Code::CaRevoked.to_string(),
        severity: Severity::Error,
        message: Text::new(&message),
        since: Some(since.to_string()),
        remedy: Text::new(&format!(
            "let the profile issue from another CA, then run: renewd renew --issuer {}",
            renew.join(" --issuer ")
        )),
    })
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Asks after a CA certificate: by lists, and where none tells, by OCSP.
async fn ask(fetcher: &Fetcher, ca: &Certificate, mut pool: Vec<Certificate>, clock: &dyn Clock) -> Outcome {
    let sources = Sources::of(ca);
    if sources.crls.is_empty() && sources.responders.is_empty() {
        return Outcome::NobodyToAsk;
    }
    let mut why = Vec::new();
    let Some(issuer) = issuer(fetcher, ca, &sources, &mut pool, &mut why).await else {
        why.insert(0, Text::new("the certificate of its issuer is not known"));
        return unknown(&why);
    };
    for url in &sources.crls {
        let list = fetcher.get(url, LIST_LIMIT).await;
        match list.and_then(|list| crl::read(&list, ca, &issuer, clock.now()).map_err(|doubt| doubtful(url, &doubt))) {
            Ok(standing) => return Outcome::Told(standing),
            Err(doubt) => why.push(doubt),
        }
    }
    for url in &sources.responders {
        match respond(fetcher, url, ca, &issuer, clock).await {
            Ok(standing) => return Outcome::Told(standing),
            Err(doubt) => why.push(doubt),
        }
    }
    unknown(&why)
}

/// Asks an OCSP responder.
async fn respond(
    fetcher: &Fetcher,
    url: &str,
    ca: &Certificate,
    issuer: &Certificate,
    clock: &dyn Clock,
) -> Result<CaStanding, Text> {
    let question = ocsp::request(ca, issuer).map_err(|doubt| doubtful(url, &doubt))?;
    let answer = fetcher.post(url, ocsp::REQUEST_TYPE, question, ANSWER_LIMIT).await?;
    ocsp::read(&answer, ca, issuer, clock.now()).map_err(|doubt| doubtful(url, &doubt))
}

/// The certificate of the issuer: from what is at hand, else from where the certificate itself names it.
async fn issuer(
    fetcher: &Fetcher,
    ca: &Certificate,
    sources: &Sources,
    pool: &mut Vec<Certificate>,
    why: &mut Vec<Text>,
) -> Option<Certificate> {
    for url in &sources.issuers {
        if issuer_of(ca, &*pool).is_some() {
            break;
        }
        match fetcher.get(url, CERTIFICATE_LIMIT).await {
            Ok(bytes) => pool.extend(read_certificates(&bytes)),
            Err(error) => why.push(error),
        }
    }
    issuer_of(ca, &*pool).cloned()
}

/// A certificate as DER, or certificates as PEM.
fn read_certificates(bytes: &[u8]) -> Vec<Certificate> {
    Certificate::from_der(bytes)
        .map_or_else(|_| certificates_in_file(bytes).unwrap_or_default(), |certificate| vec![certificate])
}

fn doubtful(url: &str, doubt: &dyn std::fmt::Display) -> Text {
    Text::new(&format!("{url}: {doubt}"))
}

fn unknown(why: &[Text]) -> Outcome {
    Outcome::Unknown(Text::new(&why.iter().map(Text::as_str).collect::<Vec<_>>().join("; ")))
}

/// Lists of CAs about CAs are short; a few are a few MiB.
const LIST_LIMIT: usize = 4 << 20;
const ANSWER_LIMIT: usize = 64 << 10;
const CERTIFICATE_LIMIT: usize = 64 << 10;

#[cfg(test)]
mod tests;
