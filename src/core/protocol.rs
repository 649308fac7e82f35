//! The executor's protocol: which effect follows which outcome, so which write comes before which. A pure step
//! function; the daemon performs the effects and decides nothing.
//!
//! The order that promises 3, 4 and 11 rest on: room on the disk, then key and CSR, then `Submitting` in the journal,
//! and only then the request; the answer on the disk, then `Issued` in the journal; the gate; the live link; and only
//! then `Installed` in the journal and the key of the request removed.

mod delivery;
mod effect;
mod refusal;
mod switch;
mod upkeep;

use std::sync::Arc;

use super::decide::{Action, Submission};
use super::event::{Event, Method};
use super::failure::{Accepted, Failure, FailureClass, Scope};
use super::name::{Attempt, Digest, Generation, ProfileId, SerialNumber};
use super::text::Text;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::key::KeyType;

pub use effect::{Effect, Issued, Keyed, Outcome, Payload, Verdict};
use switch::Switch;

/// What follows.
#[expect(clippy::large_enum_variant, reason = "one is alive at a time")]
#[derive(Clone, Debug)]
#[must_use]
pub enum Next<P: Payload> {
    /// Perform this, and say what came of it.
    Perform(Effect<P>),
    /// The action is over.
    End,
}

/// One action on its way.
#[derive(Clone, Debug)]
pub struct Protocol<P: Payload> {
    phase: Phase<P>,
    attempt: Attempt,
    job: Job,
}

/// What does not change while an action is on its way.
#[derive(Clone, Debug)]
struct Job {
    entry: Arc<Entry>,
    profile: ProfileId,
    profile_version: u64,
    method: Method,
    /// `None` where the action goes on with a request that is on record.
    expiring: Option<bool>,
    /// Whether the decision was to install.
    may_install: bool,
    /// Whether a hook has a program that is asked before a switch.
    asks_before: bool,
    /// Whether what TLM does not give is done without.
    is_last_try: bool,
    /// What the last request was refused for, and need not be searched for again.
    known: Option<Box<Failure>>,
}

#[derive(Clone, Debug)]
enum Phase<P: Payload> {
    Room {
        prepared: bool,
        look_up: bool,
        key: KeyType,
    },
    Key {
        look_up: bool,
    },
    LookedUp(Keyed<P>),
    Intent(Keyed<P>),
    Answer(Keyed<P>),
    Searched {
        refusal: Option<Failure>,
        spki: Digest,
        key: Option<P::Key>,
    },
    Surveyed {
        refusal: Failure,
    },
    PickedUp {
        spki: Digest,
        decides: bool,
    },
    Kept(Issued<P>),
    Issued(Issued<P>),
    AnswerRead {
        serial_number: SerialNumber,
        spki: Digest,
        emergency: bool,
    },
    Chain {
        issued: Issued<P>,
        emergency: bool,
        why: Vec<Text>,
    },
    Root {
        issued: Issued<P>,
        emergency: bool,
    },
    Judged {
        issued: Issued<P>,
        emergency: bool,
        is_whole: bool,
    },
    /// What is to be switched in waits for the programs that are asked before.
    Asked(Switch<P>),
    Overruled(Switch<P>),
    Live,
    Recorded {
        forget: bool,
    },
    Checked(SerialNumber),
    Revoked(SerialNumber),
    Repaired,
    Refreshed,
    Probed,
    Back(Generation),
    Forward {
        generation: Generation,
        stays: bool,
    },
    Forgotten {
        record: bool,
        rest: Vec<Attempt>,
    },
    Over,
}

impl<P: Payload> Protocol<P> {
    /// Starts an action; `None` for those that the protocol has no part in.
    ///
    /// `profile` is the entry's as last read, with its version; `spki` the public key of the request on record, if there
    /// is one; `asks_before` whether a hook has a program that is asked before a switch.
    #[must_use]
    pub fn start(
        entry: &Arc<Entry>,
        profile: (ProfileId, u64),
        spki: Option<Digest>,
        asks_before: bool,
        action: &Action,
    ) -> Option<(Self, Effect<P>)> {
        // Who goes on with a request has one. Were there none, no certificate had this key.
        let spki = spki.unwrap_or(Digest([0; 32]));
        let (attempt, phase, effect) = match action {
            Action::Submit(Submission { attempt, prepared, look_up, key, .. }) => {
                let phase = Phase::Room { prepared: *prepared, look_up: *look_up, key: *key };
                (*attempt, phase, Effect::CheckRoom)
            }
            Action::LookUp(attempt) => {
                (*attempt, Phase::Searched { refusal: None, spki, key: None }, Effect::LookUp(spki))
            }
            Action::PickUp { attempt, request_id, decides } => {
                let phase = Phase::PickedUp { spki, decides: *decides };
                (*attempt, phase, Effect::PickUp { id: request_id.clone(), spki })
            }
            Action::Install { attempt, serial_number, emergency, .. } => {
                let (attempt, serial_number) = (*attempt, serial_number.clone());
                let phase = Phase::AnswerRead { serial_number: serial_number.clone(), spki, emergency: *emergency };
                (attempt, phase, Effect::ReadAnswer { attempt, serial_number, spki })
            }
            Action::Repair { refreshes } => (Attempt(0), Phase::Repaired, Effect::Repair { refreshes: *refreshes }),
            Action::RefreshChain => {
                let (phase, effect) = Switch::Refresh.start(asks_before, Attempt(0));
                (Attempt(0), phase, effect)
            }
            Action::Probe => (Attempt(0), Phase::Probed, Effect::Probe),
            Action::RollBack(from) => (Attempt(0), Phase::Back(*from), Effect::RollBack(*from)),
            Action::Forward { generation, stays } => {
                let switch = Switch::Forward { generation: *generation, stays: *stays };
                let (phase, effect) = switch.start(asks_before, Attempt(0));
                (Attempt(0), phase, effect)
            }
            Action::RepeatHooks(generation) => {
                let event = Event::HooksAgain { generation: *generation };
                (Attempt(0), Phase::Recorded { forget: false }, Effect::Record(event))
            }
            Action::CheckStatus(serial) => {
                (Attempt(0), Phase::Checked(serial.clone()), Effect::CheckStatus(serial.clone()))
            }
            Action::RevokeSuperseded(certificate) => {
                let phase = Phase::Revoked(certificate.serial_number.clone());
                (Attempt(0), phase, Effect::Revoke(certificate.clone()))
            }
            Action::Abandon(attempt) => {
                (*attempt, Phase::Recorded { forget: false }, Effect::Record(Event::Abandoned { attempt: *attempt }))
            }
            Action::ForgetKeys(attempts) => {
                let (first, rest) = attempts.split_first()?;
                let phase = Phase::Forgotten { record: true, rest: rest.to_vec() };
                (*first, phase, Effect::Forget { attempt: *first })
            }
            Action::Recognise(event) | Action::ChangeProfile(event) => {
                (Attempt(0), Phase::Recorded { forget: false }, Effect::Record(Event::clone(event)))
            }
            Action::Wait | Action::ReadProfile(_) | Action::RunHook(_) => return None,
        };
        let (method, expiring, known) = if let Action::Submit(submission) = action {
            (submission.method.clone(), Some(submission.expiring), submission.known.clone())
        } else {
            (Method::New, None, None)
        };
        let (profile, profile_version) = profile;
        let is_last_try = action.is_last_try();
        let may_install = matches!(action, Action::Install { .. });
        let entry = Arc::clone(entry);
        let job =
            Job { entry, profile, profile_version, method, expiring, may_install, asks_before, is_last_try, known };
        Some((Self { phase, attempt, job }, effect))
    }

    /// Takes what came of the last effect, and says what follows.
    pub fn step(&mut self, outcome: Outcome<P>) -> Next<P> {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        // Whatever it was to be is decided anew.
        if matches!(outcome, Outcome::NotNow) {
            return Next::End;
        }
        if let (Outcome::Failed(failure), false) = (&outcome, phase.handles_failure()) {
            return self.finish(Event::Failed { failure: failure.clone() });
        }
        match phase {
            Phase::Room { prepared: false, key, .. } => {
                self.go(Phase::Key { look_up: false }, Effect::MakeKey { attempt: self.attempt, key })
            }
            Phase::Room { prepared: true, look_up, .. } => {
                self.go(Phase::Key { look_up }, Effect::ReadKey { attempt: self.attempt })
            }
            Phase::Key { look_up } => self.key_is_there(outcome, look_up),
            Phase::LookedUp(keyed) => self.looked_up(outcome, keyed),
            Phase::Intent(keyed) => {
                let effect = Effect::Send(self.job.method.clone(), keyed.key.clone());
                self.go(Phase::Answer(keyed), effect)
            }
            Phase::Answer(keyed) => self.answered(outcome, keyed),
            Phase::Searched { refusal, spki, key } => self.searched(outcome, refusal, spki, key),
            Phase::Surveyed { refusal } => self.surveyed(&outcome, refusal),
            Phase::PickedUp { spki, decides } => self.picked_up(outcome, spki, decides),
            Phase::Kept(issued) => {
                let event = Event::Issued { attempt: self.attempt, serial_number: issued.serial_number.clone() };
                self.go(Phase::Issued(issued), Effect::Record(event))
            }
            Phase::Issued(issued) => self.judge(issued, false, false),
            Phase::AnswerRead { serial_number, spki, emergency } => {
                self.answer_read(outcome, serial_number, spki, emergency)
            }
            Phase::Chain { issued, emergency, why } => self.fetched(outcome, issued, emergency, &why),
            // The set is good without it: whatever came of it holds nothing back.
            Phase::Root { issued, emergency } => self.root_fetched(outcome, issued, emergency),
            Phase::Judged { issued, emergency, is_whole } => self.judged(outcome, issued, emergency, is_whole),
            Phase::Asked(switch) => self.asked_before(outcome, switch),
            // It goes on whether that is on the disk or not.
            Phase::Overruled(switch) => self.switch(switch),
            Phase::Live => self.live(outcome),
            // While the end of the request is not on the disk, a crash would bring it back: the key stays.
            Phase::Recorded { forget: true } if matches!(outcome, Outcome::Failed(_)) => Next::End,
            Phase::Recorded { forget: true } => {
                let phase = Phase::Forgotten { record: true, rest: Vec::new() };
                self.go(phase, Effect::Forget { attempt: self.attempt })
            }
            Phase::Checked(serial_number) => self.checked(outcome, serial_number),
            Phase::Revoked(serial_number) => self.revoked(outcome, serial_number),
            Phase::Repaired => self.repaired(outcome),
            Phase::Refreshed => self.refreshed(outcome),
            Phase::Probed => self.probed(outcome),
            Phase::Back(from) => self.back(outcome, from),
            Phase::Forward { generation, stays } => {
                self.finish(Event::Forward { generation, hooks: self.job.entry.hooks.clone(), stays })
            }
            Phase::Forgotten { record: true, rest } => {
                let event = Event::KeyForgotten { attempt: self.attempt };
                self.go(Phase::Forgotten { record: false, rest }, Effect::Record(event))
            }
            Phase::Forgotten { record: false, rest } => self.forget_next(&rest),
            Phase::Recorded { forget: false } | Phase::Over => Next::End,
        }
    }

    fn go(&mut self, phase: Phase<P>, effect: Effect<P>) -> Next<P> {
        self.phase = phase;
        Next::Perform(effect)
    }

    /// Records a last event.
    fn finish(&mut self, event: Event) -> Next<P> {
        self.go(Phase::Recorded { forget: false }, Effect::Record(event))
    }

    /// Records that the request ended, and removes its files.
    fn conclude(&mut self, event: Event) -> Next<P> {
        self.go(Phase::Recorded { forget: true }, Effect::Record(event))
    }

    fn forget_next(&mut self, attempts: &[Attempt]) -> Next<P> {
        let Some((next, rest)) = attempts.split_first() else { return Next::End };
        self.attempt = *next;
        self.go(Phase::Forgotten { record: true, rest: rest.to_vec() }, Effect::Forget { attempt: *next })
    }

    fn unexpected(&mut self, at: &str) -> Next<P> {
        self.finish(Event::Failed { failure: Failure::new(FailureClass::Internal, format!("no such outcome of {at}")) })
    }

    /// Key and CSR are on the disk: what TLM may have accepted is looked up before it is asked for again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn key_is_there(&mut self, outcome: Outcome<P>, look_up: bool) -> Next<P> {
        match outcome {
            Outcome::Key(keyed) if look_up => {
                let effect = Effect::LookUp(keyed.spki);
                self.go(Phase::LookedUp(keyed), effect)
            }
            Outcome::Key(keyed) => self.intend(keyed),
            _ => self.unexpected("making a key"),
        }
    }

    /// The last look before the request is repeated, after those of ten minutes: a search that goes on failing holds
    /// nothing back. Where nothing is answered at all, the request does not leave either; a key that is refused is the same
    /// for both, unless the next one takes its place in between.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn looked_up(&mut self, outcome: Outcome<P>, keyed: Keyed<P>) -> Next<P> {
        match outcome {
            Outcome::Issued(serial, answer) => self.keep(serial, answer, keyed.spki, Some(keyed.key)),
            Outcome::Failed(failure) if failure.class.scope() == Scope::Key => self.finish(Event::Failed { failure }),
            Outcome::NotFound | Outcome::Failed(_) => self.intend(keyed),
            _ => self.unexpected("a look-up"),
        }
    }

    /// The intent follows, and only then the request.
    fn intend(&mut self, keyed: Keyed<P>) -> Next<P> {
        let event = Event::Submitting {
            attempt: self.attempt,
            method: self.job.method.clone(),
            asked: self.job.entry.asked(),
            profile: self.job.profile.clone(),
            profile_version: self.job.profile_version,
            key: keyed.kind,
            spki: keyed.spki,
            expiring: self.job.expiring.unwrap_or_default(),
            demands: Some(self.job.entry.demands()),
        };
        self.go(Phase::Intent(keyed), Effect::Record(event))
    }

    /// What TLM issued is on the disk before the journal knows of it.
    fn keep(&mut self, serial_number: SerialNumber, answer: P::Answer, spki: Digest, key: Option<P::Key>) -> Next<P> {
        let effect = Effect::KeepAnswer { attempt: self.attempt, answer: answer.clone() };
        self.go(Phase::Kept(Issued { serial_number, spki, key, answer }), effect)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn answered(&mut self, outcome: Outcome<P>, keyed: Keyed<P>) -> Next<P> {
        let attempt = self.attempt;
        match outcome {
            Outcome::Issued(serial, answer) => self.keep(serial, answer, keyed.spki, Some(keyed.key)),
            Outcome::Pending(Some(request_id), dv_details) => {
                self.finish(Event::Pending { attempt, request_id, dv_details })
            }
            Outcome::Failed(failure) if failure.accepted == Accepted::Unknown => {
                self.finish(Event::AnswerLost { attempt, failure })
            }
            Outcome::Failed(failure) if failure.class == FailureClass::DuplicateRefused && self.is_known(&failure) => {
                self.refuse(failure)
            }
            // What TLM speaks of may be ours, with its answer lost.
            Outcome::Failed(failure)
                if matches!(failure.class, FailureClass::AlreadyRenewed | FailureClass::DuplicateRefused) =>
            {
                let Keyed { spki, key, .. } = keyed;
                self.go(Phase::Searched { refusal: Some(failure), spki, key: Some(key) }, Effect::LookUp(spki))
            }
            Outcome::Failed(failure) => self.finish(Event::NotAccepted { attempt, failure }),
            _ => self.unexpected("sending a request"),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn picked_up(&mut self, outcome: Outcome<P>, spki: Digest, decides: bool) -> Next<P> {
        let attempt = self.attempt;
        match outcome {
            Outcome::Issued(serial, answer) => self.keep(serial, answer, spki, None),
            Outcome::Pending(_, dv_details) => self.finish(Event::Polled { attempt, dv_details }),
            Outcome::Rejected(why) => {
                let why = if why.as_str().is_empty() { Text::new(NO_REASON) } else { why };
                self.conclude(Event::Rejected { attempt, why })
            }
            Outcome::Failed(failure) if decides => self.finish(Event::AnswerLost { attempt, failure }),
            Outcome::Failed(failure)
                if matches!(failure.class, FailureClass::NotFound | FailureClass::RequestRefused) =>
            {
                self.finish(Event::PickupUnknown { attempt, failure })
            }
            Outcome::Failed(failure) => self.finish(Event::Failed { failure }),
            _ => self.unexpected("a pickup"),
        }
    }
}

impl<P: Payload> Phase<P> {
    /// Whether the phase knows what a failure means; for the others it is recorded, and the action ends.
    const fn handles_failure(&self) -> bool {
        matches!(
            self,
            Self::Answer(_)
                | Self::Searched { .. }
                | Self::Surveyed { .. }
                | Self::LookedUp(_)
                | Self::PickedUp { .. }
                | Self::Kept(_)
                | Self::Issued(_)
                | Self::AnswerRead { .. }
                | Self::Chain { .. }
                | Self::Root { .. }
                | Self::Overruled(_)
                | Self::Refreshed
                | Self::Checked(_)
                | Self::Revoked(_)
                | Self::Back(_)
                | Self::Recorded { .. }
                | Self::Forgotten { .. }
                | Self::Over
        )
    }
}

/// What stands for the administrator's comment where TLM tells none.
const NO_REASON: &str = "TLM gives no reason";

#[cfg(test)]
mod tests;
