//! Asking after the CA certificates that are served: their chains are read, and their issuers asked, beside the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Fetcher, Tlm};
use crate::core::known::ca_status::{LiveSet, Outcome};
use crate::core::known::revocation::CaStanding;
use crate::core::name::{CertName, Digest};
use crate::core::text::Text;
use crate::engine::Input;
use crate::pki::answer::shown_by_profile;
use crate::pki::certificate::{Certificate, certificates_in_file};
use crate::pki::standing::{Sources, issuer_of};
use crate::pki::{crl, ocsp};
use crate::store::chains::{self, Chains};

use super::clock::Clock;
use super::message::Message;
use super::run::Daemon;
use super::setup;

/// The CA certificates that are served, and others that may have issued them.
#[derive(Debug, Default)]
pub struct ServedCas {
    intermediates: BTreeMap<Digest, Certificate>,
    others: BTreeMap<Digest, Certificate>,
}

impl ServedCas {
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
    /// Reads the chains of these sets.
    pub(super) fn read_chains(&self, names: Option<BTreeSet<CertName>>, sets: Vec<LiveSet>, revoked: BTreeSet<Digest>) {
        let context = Arc::clone(&self.context);
        let all = sets.iter().map(|set| set.entry.name.clone()).collect();
        tokio::spawn(async move {
            let read = context.blocking(move |c| Ok(chains::read(&*c.disk, &c.layout, &sets, &revoked))).await;
            let chains = read.unwrap_or_else(|failure| {
                tracing::error!("cannot find out which CA certificates are served: {failure}");
                Chains::unread(all)
            });
            context.tell(Message::ChainsRead(names, Box::new(chains)));
        });
    }

    pub(super) fn chains_read(&mut self, names: Option<BTreeSet<CertName>>, mut chains: Chains) {
        let found = std::mem::take(&mut chains.found);
        let is_whole = names.is_none() && found.unread.is_empty();
        self.cas.take(chains, is_whole);
        self.handle(Input::ChainsRead(names, found));
    }

    /// Asks after a CA certificate.
    pub(super) fn ask_ca(&self, fingerprint: Digest) {
        let ca = self.cas.intermediates.get(&fingerprint).cloned();
        let mut pool = self.cas.pool();
        let shown = self.engine.profiles().kept().into_iter().filter_map(|(_, reading)| reading.profile);
        pool.extend(shown.flat_map(|profile| shown_by_profile(&profile.issuers)));
        let (context, api) = (Arc::clone(&self.context), self.engine.main().api.clone());
        let asking = Arc::clone(&context);
        let asked = tokio::spawn(async move {
            let fetcher = asking.blocking(move |c| Fetcher::new(&setup::fetch_settings(&api, &c.credentials)?)).await;
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
            context.tell_engine(Input::CaAsked(fingerprint, outcome));
        });
    }
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
