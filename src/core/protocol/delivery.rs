//! From what TLM issued to the live link: judged, fetched where something is missing, judged again, installed.

use super::super::event::Event;
use super::super::failure::{Failure, FailureClass, Scope};
use super::super::name::{Digest, SerialNumber};
use super::super::text::Text;
use super::{Effect, Issued, Next, Outcome, Payload, Phase, Protocol, Switch, Verdict};

impl<P: Payload> Protocol<P> {
    /// `is_whole`: whether all was fetched that there is.
    pub(super) fn judge(&mut self, issued: Issued<P>, emergency: bool, is_whole: bool) -> Next<P> {
        let effect = Effect::Judge {
            attempt: self.attempt,
            expiring: self.job.expiring,
            emergency,
            spki: issued.spki,
            answer: issued.answer.clone(),
        };
        self.go(Phase::Judged { issued, emergency, is_whole }, effect)
    }

    /// A refusal before the chain was fetched may only mean that the answer came without it.
    pub(super) fn judged(
        &mut self,
        outcome: Outcome<P>,
        issued: Issued<P>,
        emergency: bool,
        is_whole: bool,
    ) -> Next<P> {
        let attempt = self.attempt;
        let asks_before = self.job.asks_before;
        let Outcome::Judged(verdict) = outcome else { return self.unexpected("the gate") };
        match (verdict, is_whole) {
            // With a deploy window, whether it may be switched in now is decided anew.
            (Verdict::Accepted(_) | Verdict::Rootless(_), _)
                if self.job.entry.deploy_window.is_some() && !self.job.may_install =>
            {
                Next::End
            }
            (Verdict::Rootless(_), false) => {
                let effect = Effect::FetchChain { issued: issued.clone(), is_good: true };
                self.go(Phase::Root { issued, emergency }, effect)
            }
            (Verdict::Accepted(set) | Verdict::Rootless(set), _) => {
                let (phase, effect) = Switch::Install { set, key: issued.key }.start(asks_before, attempt);
                self.go(phase, effect)
            }
            (Verdict::NotYetValid(until), _) => self.finish(Event::Waits { attempt, until }),
            (Verdict::Held(why, lack), _) => {
                let (usages, profile_version) = (self.job.entry.usages.clone(), Some(self.job.profile_version));
                self.finish(Event::Held { attempt, why, lack, usages, profile_version })
            }
            (Verdict::Refused(why) | Verdict::EndsNoLater(why), false) => {
                let effect = Effect::FetchChain { issued: issued.clone(), is_good: false };
                self.go(Phase::Chain { issued, emergency, why }, effect)
            }
            (Verdict::Refused(why), true) => self.conclude(Event::GateRefused { attempt, why, ends_no_later: false }),
            (Verdict::EndsNoLater(why), true) => {
                self.conclude(Event::GateRefused { attempt, why, ends_no_later: true })
            }
        }
    }

    /// What TLM will not give of an answer that is gone is missing to the gate.
    pub(super) fn answer_read(
        &mut self,
        outcome: Outcome<P>,
        serial_number: SerialNumber,
        spki: Digest,
        emergency: bool,
    ) -> Next<P> {
        let (answer, failure) = came(outcome, P::Answer::default());
        match failure {
            Some(failure) if !self.is_done_without(&failure) => self.finish(Event::Failed { failure }),
            Some(_) | None => self.judge(Issued { serial_number, spki, key: None, answer }, emergency, false),
        }
    }

    /// Only a chain that TLM will not give at all is judged as missing; everything else is tried again, for a while. What
    /// the gate says without it tells more than that it did not come. Where not even the certificate came, as while the
    /// search lags behind an answer that names a number alone, there is nothing to judge yet.
    pub(super) fn fetched(&mut self, outcome: Outcome<P>, issued: Issued<P>, emergency: bool, why: &[Text]) -> Next<P> {
        let (answer, failure) = came(outcome, issued.answer);
        let is_final = |failure: &Failure| matches!(failure.class.scope(), Scope::Certificate | Scope::Profile);
        if P::is_empty(&answer) && !self.job.is_last_try {
            let number = Some(&issued.serial_number.0).filter(|number| !number.is_empty());
            let which = number.map_or_else(String::new, |number| format!(" (serial number {number})"));
            let failure = failure.unwrap_or_else(|| Failure::new(FailureClass::ApiBadAnswer, "no search finds it"));
            let message = format!("TLM issued the certificate{which} but does not return it: {}", failure.message);
            return self.finish(Event::Failed { failure: Failure { message: Text::new(&message), ..failure } });
        }
        match failure {
            Some(failure) if !is_final(&failure) && !self.is_done_without(&failure) => {
                let why: Vec<_> = why.iter().map(Text::as_str).collect();
                let message = format!(
                    "the chain cannot be fetched: {}; without it the gate says: {}",
                    failure.message,
                    why.join("; ")
                );
                self.finish(Event::Failed { failure: Failure { message: Text::new(&message), ..failure } })
            }
            Some(_) | None => self.judge(Issued { answer, ..issued }, emergency, true),
        }
    }

    pub(super) fn root_fetched(&mut self, outcome: Outcome<P>, issued: Issued<P>, emergency: bool) -> Next<P> {
        let (answer, _) = came(outcome, issued.answer);
        self.judge(Issued { answer, ..issued }, emergency, true)
    }

    /// Whether what TLM failed to give so is not waited for any longer.
    fn is_done_without(&self, failure: &Failure) -> bool {
        self.job.is_last_try && failure.class.scope() != Scope::Disk
    }

    pub(super) fn live(&mut self, outcome: Outcome<P>) -> Next<P> {
        let Outcome::Installed { generation, leaf, chain, replaces } = outcome else {
            return self.unexpected("installing");
        };
        let event = Event::Installed {
            attempt: self.attempt,
            generation,
            serial_number: leaf.serial_number,
            fingerprint: leaf.fingerprint,
            not_after: leaf.not_after,
            hooks: self.job.entry.hooks.clone(),
            chain_end: chain.end_before(leaf.not_after).cloned().map(Box::new),
            issuer: Some(chain.issuer.subject.clone()),
            replaces,
        };
        self.conclude(event)
    }
}

/// What came of a fetch in place of `before`, and why it is not all.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, the gate judges what is there")]
fn came<P: Payload>(outcome: Outcome<P>, before: P::Answer) -> (P::Answer, Option<Failure>) {
    match outcome {
        Outcome::Fetched(answer, failure) => (answer, failure),
        Outcome::Failed(failure) => (before, Some(failure)),
        _ => (before, None),
    }
}
