//! What TLM issued, from whatever place of the API gives it: the answer itself, the search, the details, the additional
//! formats. What cannot be read in one place is looked for in the next, before anything is asked for again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::api::paging::Paging;
use crate::api::{Details, IssuedCertificate, SearchQuery, Tlm};
use crate::core::failure::{Failure, FailureClass, Scope};
use crate::core::name::{Digest, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::breaker::Function;
use crate::pki::answer::Answer;
use crate::pki::certificate::Certificate;
use crate::pki::leaf;

use super::{ActionRunner, InHand, Issued, Outcome};

impl<T: Tlm> ActionRunner<T> {
    /// Takes an answer that says that TLM issued. The certificate in hand knows its serial number best, should the
    /// answer name none or another one.
    pub(super) fn take(&self, issued: &IssuedCertificate, spki: Digest) -> Outcome {
        let answer = self.read(&issued.certificates);
        let ours = answer.certificates.iter().filter(|found| found.spki() == spki);
        let mut numbers = ours.filter_map(|leaf| leaf::read(leaf).ok()).map(|leaf| leaf.serial_number).peekable();
        let first = numbers.peek().cloned();
        let is_there = numbers.any(|number| number.same(&issued.serial_number));
        let serial_number = first.filter(|_| !is_there).unwrap_or_else(|| issued.serial_number.clone());
        Outcome::Issued(serial_number, answer)
    }

    /// Reads texts, with no credential in what is noted of them.
    fn read<'t>(&self, texts: impl IntoIterator<Item = &'t String>) -> Answer {
        let (api, mut answer) = (self.context.api(), Answer::default());
        for text in texts {
            answer.read(text, &|raw| api.shown(raw));
        }
        answer
    }

    /// Searches for a certificate with our public key among those issued since the request left.
    pub(super) async fn look_up(&self, spki: Digest) -> Result<Outcome, Failure> {
        Ok(match self.search(spki).await? {
            Some(issued) => self.take(&issued, spki),
            None => Outcome::NotFound,
        })
    }

    /// When the request left first.
    fn sent(&self) -> Option<Timestamp> {
        self.job.request.as_ref().map(|request| request.first_sent)
    }

    /// Goes through the search page by page. Neither what an item looks like nor one that cannot be fetched ends it.
    async fn search(&self, wanted: Digest) -> Result<Option<IssuedCertificate>, Failure> {
        let query = SearchQuery {
            profile: self.job.request.as_ref().map(|request| request.profile.clone()),
            seat: Some(self.job.entry.naming.seat().into_owned()),
            common_name: self.job.entry.naming.common_name().map(str::to_owned),
            valid_from: self.sent().map(|sent| sent - SEARCH_BACK),
        };
        let (api, mut paging, mut seen) = (self.context.api(), Paging::default(), BTreeSet::new());
        let mut failed = None;
        loop {
            let found = self.call(Function::Search, api.search(&query, paging.page())).await?;
            let has_broken = usize::try_from(found.received).is_ok_and(|received| received > found.items.len());
            let mut any_new = false;
            for item in found.items {
                if seen.insert((item.serial_number.0.clone(), item.thumbprint.clone(), item.certificate.clone())) {
                    any_new = true;
                    match self.compare(item, wanted).await {
                        Ok(Some(issued)) => return Ok(Some(issued)),
                        Ok(None) => {}
                        Err(failure) if failure.class.scope() == Scope::Key => return Err(failure),
                        Err(failure) => failed = Some(failure),
                    }
                }
            }
            if !paging.goes_on(found.received, any_new, has_broken) {
                return failed.map_or(Ok(None), Err);
            }
        }
    }

    /// The certificate that was found, if it has our key; one that came without its content, or with none that can be
    /// read, is fetched.
    async fn compare(&self, item: Details, wanted: Digest) -> Result<Option<IssuedCertificate>, Failure> {
        let is_ours = |answer: &Answer| answer.certificates.iter().any(|found| self.is_of_request(found, wanted));
        let serial_number = item.serial_number.clone();
        let as_issued =
            |text: String| IssuedCertificate { serial_number: serial_number.clone(), certificates: vec![text] };
        if let Some(text) = item.certificate {
            let answer = self.read([&text]);
            if !answer.certificates.is_empty() || item.serial_number.0.is_empty() {
                return Ok(is_ours(&answer).then(|| as_issued(text)));
            }
        }
        let (api, thumbprint) = (self.context.api(), item.thumbprint.as_deref());
        let text = match self.call(Function::Details, api.details(&item.serial_number, thumbprint)).await {
            Ok(details) => details.certificate,
            Err(failure) if is_about_this_alone(&failure) => None,
            Err(failure) => return Err(failure),
        };
        Ok(text.filter(|text| is_ours(&self.read([text]))).map(as_issued))
    }

    /// Whether a certificate has our key and came of the request: with `reuse_key` those before it have the key as well.
    fn is_of_request(&self, found: &Certificate, wanted: Digest) -> bool {
        // What is live already may be what the request brought.
        let attempt = self.job.request.as_ref().map(|request| request.attempt);
        let before = self.job.installed.as_ref().filter(|installed| attempt.is_none() || installed.attempt != attempt);
        let is_installed = || before.is_some_and(|ours| ours.fingerprint == found.fingerprint());
        let began = || leaf::read(found).ok().map(|leaf| leaf.not_before);
        let is_older = || self.sent().zip(began()).is_some_and(|(sent, began)| began < sent - SEARCH_BACK);
        found.spki() == wanted && !is_installed() && !is_older()
    }

    /// Fetches the certificate by its serial number; where that finds none with our key, by the search.
    pub(super) async fn fetch_leaf(
        &self,
        serial: &SerialNumber,
        spki: Digest,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        if !serial.0.is_empty() {
            match self.call(Function::Details, self.context.api().details(serial, None)).await {
                Ok(details) => answer.extend(ours_of(self.read(&details.certificate), serial, spki)),
                Err(failure) if is_about_this_alone(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        // A number that TLM does not find, or under which nothing can be read: our key is the better name.
        if leaf(answer, spki).is_none() {
            let found = self.search(spki).await?.map_or_else(Vec::new, |issued| issued.certificates);
            answer.extend(self.read(&found));
        }
        Ok(())
    }

    /// Fetches what is missing: the leaf, where none with our key is in hand, and the chain.
    pub(super) async fn fetch_chain(&self, issued: Issued<InHand>, is_good: bool) -> Outcome {
        let Issued { serial_number, spki, mut answer, .. } = issued;
        let failure = self.fetch_missing(serial_number, spki, is_good, &mut answer).await.err();
        Outcome::Fetched(answer, failure)
    }

    async fn fetch_missing(
        &self,
        serial: SerialNumber,
        spki: Digest,
        is_good: bool,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        if leaf(answer, spki).is_none()
            && let Err(failure) = self.fetch_leaf(&serial, spki, answer).await
            && !is_about_this_alone(&failure)
        {
            return Err(failure);
        }
        let ours = leaf(answer, spki);
        // The certificate in hand knows its number best.
        let serial = ours.and_then(|leaf| leaf::read(leaf).ok()).map_or(serial, |leaf| leaf.serial_number);
        if serial.0.is_empty() {
            return Ok(());
        }
        let thumbprint = ours.map(|leaf| leaf.fingerprint().to_string());
        let api = self.context.api();
        let formats = self.call(Function::Details, api.formats(&serial, thumbprint.as_deref())).await?;
        let mut chain = self.read(&formats.chain);
        let pkcs7 = self.read(&formats.pkcs7);
        let is_whole = !chain.certificates.is_empty() && chain.unreadable.is_empty();
        chain.certificates.extend(pkcs7.certificates);
        // What the chain holds need not be said twice; and what is good already is not spoilt by more.
        chain.unreadable.extend(pkcs7.unreadable.into_iter().filter(|_| !is_whole));
        chain.unreadable.retain(|_| !is_good);
        answer.extend(chain);
        Ok(())
    }
}

/// The certificate with our key, where it is in hand.
fn leaf(answer: &Answer, spki: Digest) -> Option<&Certificate> {
    answer.certificates.iter().find(|found| found.spki() == spki)
}

/// What came under a serial number, if it is ours; that it is not is noted.
fn ours_of(mut answer: Answer, serial: &SerialNumber, spki: Digest) -> Answer {
    if !answer.certificates.is_empty() && leaf(&answer, spki).is_none() {
        answer.certificates.clear();
        answer.unreadable.push(Text::new(&format!("the certificate with serial number {serial} has another key")));
    }
    answer
}

/// Whether a failure says something of the one certificate, and nothing of the API.
pub(super) fn is_about_this_alone(failure: &Failure) -> bool {
    matches!(failure.class.scope(), Scope::Certificate | Scope::Profile) || failure.class == FailureClass::ApiBadAnswer
}

const SEARCH_BACK: Duration = Duration::from_secs(86_400);
