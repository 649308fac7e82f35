//! CachedProfile what an odd TLM answers, as the daemon does (`src/daemon/execute.rs` and `execute/fetch.rs`): whose number it is,
//! which of the listed certificates is ours, and where what is missing may be found.

use std::sync::Arc;
use std::time::Duration;

use renewd::api;
use renewd::core::failure::{Failure, FailureClass, Scope};
use renewd::core::known::holding::Holding;
use renewd::core::name::{Attempt, Digest, SerialNumber};
use renewd::core::protocol::Issued;
use renewd::engine::breaker::Function;

use crate::tlm::{Certificate, Endpoint, Saying};
use crate::world::World;

use super::{InHand, Outcome, Running, has_chain};

type InAnswer = Option<(Arc<Certificate>, bool)>;

impl World {
    /// What is made of an answer that brings a certificate: the one in hand knows its number best.
    pub(super) fn take(&mut self, certificate: Arc<Certificate>, wanted: Digest) -> Outcome {
        let own = certificate.serial.clone();
        let Some((named, is_there)) = self.tlm.odd_number(&certificate) else {
            let chain = has_chain(&certificate);
            return Outcome::Issued(own, Some((certificate, chain)));
        };
        if !is_there {
            return Outcome::Issued(named, None);
        }
        let is_ours = certificate.spki == wanted;
        let chain = has_chain(&certificate);
        Outcome::Issued(if is_ours { own } else { named }, Some((certificate, chain)))
    }

    /// What is made of a word in place of a certificate.
    pub(super) fn take_word(answer: api::Pickup) -> Result<Outcome, Failure> {
        Ok(match answer {
            api::Pickup::Issued(issued) => Outcome::Issued(issued.serial_number, None),
            api::Pickup::Pending(dv_details) => Outcome::Pending(None, dv_details.map(Box::new)),
            api::Pickup::Rejected(why) => Outcome::Rejected(why),
            api::Pickup::Unknown(what) => {
                let message = format!("TLM answers the pickup with {what}");
                return Err(Failure::new(FailureClass::RequestRefused, message));
            }
        })
    }

    /// Reads an odd answer to a pickup; what is no answer of the API counts as a call that failed.
    pub(super) fn odd_pickup(
        &mut self,
        running: &Running,
        saying: Saying,
        serial: Option<&SerialNumber>,
    ) -> Result<Outcome, Failure> {
        let answer = self.call(running, Function::Main, saying.read(serial))?;
        Self::take_word(answer)
    }

    pub(super) fn odd_look_up(&mut self, running: &Running, wanted: Digest) -> Result<Outcome, Failure> {
        let found = self.odd_search(running, wanted);
        self.ledger.looked(running.name(), found.is_err());
        Ok(found?.map_or(Outcome::NotFound, |found| {
            let chain = has_chain(&found);
            Outcome::Issued(found.serial.clone(), Some((found, chain)))
        }))
    }

    /// Goes through the list; neither one that is not ours nor one that cannot be fetched ends it.
    fn odd_search(&mut self, running: &Running, wanted: Digest) -> Result<Option<Arc<Certificate>>, Failure> {
        let request = running.job.request.as_ref();
        let (profile, since) = (request.map(|r| r.profile.clone()), request.map(|r| r.first_sent - SEARCH_BACK));
        let listed = self.part(running, Endpoint::Search);
        let listed = listed.and_then(|()| self.tlm.list_of(running.name(), profile.as_ref(), since, self.now));
        let mut failed = None;
        for (number, item) in self.call(running, Function::Search, listed)?.into_iter().enumerate() {
            match self.odd_compare(running, &item, wanted, number == 0) {
                Ok(true) => return Ok(Some(item)),
                Ok(false) => {}
                Err(failure) if failure.class.scope() == Scope::Key => return Err(failure),
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Whether a listed certificate is ours; one without its content is fetched.
    fn odd_compare(
        &mut self,
        running: &Running,
        item: &Certificate,
        wanted: Digest,
        is_first: bool,
    ) -> Result<bool, Failure> {
        let content = self.tlm.content_of(is_first);
        if content.as_ref().is_ok_and(|is_there| *is_there) {
            return Ok(is_of_request(running, item, wanted));
        }
        let details = content.and_then(|_| self.part(running, Endpoint::Details));
        let details = details.and_then(|()| self.tlm.details(&item.serial));
        match self.call(running, Function::Details, details) {
            Ok(_) => Ok(is_of_request(running, item, wanted)),
            Err(failure) if is_about_this_alone(&failure) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Fetches the certificate by its number; where that finds none with our key, by the search.
    fn odd_fetch_leaf(
        &mut self,
        running: &Running,
        serial: &SerialNumber,
        wanted: Digest,
    ) -> Result<Option<Arc<Certificate>>, Failure> {
        if !serial.0.is_empty() {
            let details = self.part(running, Endpoint::Details).and_then(|()| self.tlm.details(serial));
            match self.call(running, Function::Details, details) {
                Ok((found, _)) if found.spki == wanted => return Ok(Some(found)),
                Ok(_) => {}
                Err(failure) if is_about_this_alone(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        self.odd_search(running, wanted)
    }

    pub(super) fn odd_read_answer(
        &mut self,
        running: &Running,
        attempt: Attempt,
        serial: &SerialNumber,
        wanted: Digest,
    ) -> Outcome {
        let kept = self.disk.pending.get(&(running.name().clone(), attempt)).and_then(|pending| pending.answer.clone());
        if kept.is_some() {
            return Outcome::Fetched(kept, None);
        }
        match self.odd_fetch_leaf(running, serial, wanted) {
            Ok(found) => Outcome::Fetched(found.map(|found| (found, false)), None),
            Err(failure) => Outcome::Fetched(None, Some(failure).filter(|failure| !is_about_this_alone(failure))),
        }
    }

    /// Fetches what is missing: the leaf, where none with our key is in hand, and the chain.
    pub(super) fn odd_fetch_chain(&mut self, running: &Running, issued: Issued<InHand>) -> Outcome {
        let Issued { mut serial_number, spki, mut answer, .. } = issued;
        let failure = self.odd_fetch_missing(running, &mut serial_number, spki, &mut answer).err();
        Outcome::Fetched(answer, failure)
    }

    fn odd_fetch_missing(
        &mut self,
        running: &Running,
        serial: &mut SerialNumber,
        wanted: Digest,
        answer: &mut InAnswer,
    ) -> Result<(), Failure> {
        let is_ours = |answer: &InAnswer| answer.as_ref().is_some_and(|(found, _)| found.spki == wanted);
        if !is_ours(answer) {
            match self.odd_fetch_leaf(running, serial, wanted) {
                Ok(Some(found)) => *answer = Some((found, false)),
                Ok(None) => {}
                Err(failure) if is_about_this_alone(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        if let Some((found, _)) = answer.as_ref().filter(|_| is_ours(answer)) {
            *serial = found.serial.clone();
        }
        if serial.0.is_empty() {
            return Ok(());
        }
        let formats = self.part(running, Endpoint::Formats).and_then(|()| self.tlm.details(serial));
        let (of, _) = self.call(running, Function::Details, formats)?;
        // The chain of another certificate of the same CA is as good.
        if let Some((_, chain)) = answer {
            *chain |= !of.serial.0.is_empty();
        }
        Ok(())
    }

    /// What TLM holds of the same name.
    pub(super) fn odd_search_held(&mut self, running: &Running) -> Result<Outcome, Failure> {
        let listed = self.part(running, Endpoint::Search);
        let listed = listed.and_then(|()| self.tlm.list_of(running.name(), None, None, self.now));
        let listed = self.call(running, Function::Search, listed)?;
        let installed = running.job.installed.as_ref().map(|installed| &installed.serial_number);
        let wall = self.wall();
        let held = |certificate: &Arc<Certificate>| Holding {
            serial_number: certificate.serial.clone(),
            issued_at: Some(certificate.not_before),
            not_after: Some(certificate.not_after),
            is_installed: installed == Some(&certificate.serial),
        };
        let is_valid = |certificate: &&Arc<Certificate>| {
            certificate.not_after > wall && !self.tlm.revoked.contains(&certificate.serial)
        };
        let mut held: Vec<_> = listed.iter().filter(is_valid).map(held).collect();
        held.sort_by_key(|holding| (holding.is_installed, std::cmp::Reverse(holding.issued_at)));
        Ok(Outcome::Holds(held))
    }
}

/// Whether a certificate has our key and came of the request: with `reuse_key` those before it have the key as well.
fn is_of_request(running: &Running, found: &Certificate, wanted: Digest) -> bool {
    let job = &running.job;
    let attempt = job.request.as_ref().map(|request| request.attempt);
    let before = job.installed.as_ref().filter(|installed| attempt.is_none() || installed.attempt != attempt);
    let is_installed = before.is_some_and(|installed| installed.fingerprint == found.fingerprint);
    let is_older = job.request.as_ref().is_some_and(|request| found.not_before < request.first_sent - SEARCH_BACK);
    found.spki == wanted && !is_installed && !is_older
}

/// Whether a failure says something of the one certificate, and nothing of the API.
fn is_about_this_alone(failure: &Failure) -> bool {
    matches!(failure.class.scope(), Scope::Certificate | Scope::Profile) || failure.class == FailureClass::ApiBadAnswer
}

const SEARCH_BACK: Duration = Duration::from_secs(86_400);
