//! The executor's protocol: which effect follows which outcome, so which write comes before which. A pure step
//! function; the daemon performs the effects and decides nothing.
//!
//! The order that promises 3, 4 and 11 rest on: room on the disk, then key and CSR, then `Submitting` in the journal,
//! and only then the request; the answer on the disk, then `Issued` in the journal; the gate; the live link; and only
//! then `Installed` in the journal and the key of the request removed.

use std::sync::Arc;

use super::decide::{Action, Submission};
use super::entry::Entry;
use super::event::{Event, Lack, Method, RollbackBy};
use super::failure::{Accepted, Failure, FailureClass, Scope};
use super::holding::{self, Holding};
use super::issuer::ServedChain;
use super::key::KeyType;
use super::name::{Attempt, Digest, Generation, ProfileId, RequestId, SerialNumber};
use super::observed::Leaf;
use super::served::Sight;
use super::standing::Standing;
use super::text::Text;
use super::time::Timestamp;
use super::validation::DomainValidation;

/// Something that the daemon performs for the protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Prove that every target can take a set: write, sync, rename, remove.
    CheckRoom,
    /// Make key and CSR and put them on the disk, synced.
    MakeKey {
        /// For this request.
        attempt: Attempt,
        /// Of this type.
        key: KeyType,
    },
    /// Read key and CSR of an earlier try.
    ReadKey {
        /// Of this request.
        attempt: Attempt,
    },
    /// Append to the journal, synced.
    Record(Event),
    /// Send the request.
    Send(Method),
    /// Search TLM for a certificate with the request's key.
    LookUp,
    /// Search TLM for what it holds of the same seat and name.
    SearchHeld,
    /// Ask for a pending request.
    PickUp(RequestId),
    /// Keep what TLM answered beside the key, synced.
    KeepAnswer {
        /// Of this request.
        attempt: Attempt,
    },
    /// Read the kept answer; where there is none, fetch the certificate by its serial number.
    ReadAnswer {
        /// Of this request.
        attempt: Attempt,
        /// Its certificate.
        serial_number: SerialNumber,
    },
    /// Fetch leaf and chain by the serial number.
    FetchChain(SerialNumber),
    /// Put what came before the gate.
    Judge {
        /// Of this request.
        attempt: Attempt,
        /// Whether the end of the installed certificate is the reason; `None`: as the record of the request says.
        expiring: Option<bool>,
        /// Whether a missing usage counts for nothing.
        emergency: bool,
    },
    /// Write the generation, switch `live`, copy to the fixed paths.
    Install {
        /// Of this request.
        attempt: Attempt,
        /// Only while the deploy window is open, which may have closed since the decision.
        in_window: bool,
    },
    /// Remove the files of a request that ended.
    Forget {
        /// The request.
        attempt: Attempt,
    },
    /// Put the installed files back as they should be.
    Repair {
        /// Whether a newer certificate of the CA that is found in place of ours may be switched in.
        refreshes: bool,
    },
    /// Install the same key and leaf with the better chain that the profile shows.
    RefreshChain,
    /// Look at what each address of the probe serves.
    Probe,
    /// Make the newest usable generation before this one live.
    RollBack(Generation),
    /// Make a generation live.
    Switch(Generation),
    /// Ask TLM for the state of a certificate.
    CheckStatus(SerialNumber),
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It failed.
    Failed(Failure),
    /// The key is on the disk, or was read from it.
    Key {
        /// The SHA-256 of its public key.
        spki: Digest,
        /// Its type.
        key: KeyType,
    },
    /// TLM issued.
    Issued(SerialNumber),
    /// TLM will issue later, under this id, or, at a pickup, still later; and what somebody has to publish first.
    Pending(Option<RequestId>, Option<Box<DomainValidation>>),
    /// An administrator said no.
    Rejected(Text),
    /// The search found nothing.
    NotFound,
    /// What TLM holds of the same seat and name, what is not installed here first.
    Holds(Vec<Holding>),
    /// The gate's verdict.
    Judged(Verdict),
    /// The set is live.
    Installed {
        /// As this generation.
        generation: Generation,
        /// With this leaf.
        leaf: Box<Leaf>,
        /// And this above it.
        chain: Arc<ServedChain>,
    },
    /// The same leaf is live with a chain that ends later.
    Refreshed {
        /// As this generation.
        generation: Generation,
        /// The end that counts now.
        ends_at: Timestamp,
    },
    /// In place of a repair, what somebody else had renewed is live.
    Adopted {
        /// As this generation.
        generation: Generation,
        /// With this leaf.
        leaf: Box<Leaf>,
        /// Served with this chain.
        chain: Box<ServedChain>,
    },
    /// What the addresses showed, compared with the certificate that is installed.
    Probed {
        /// The installed one's.
        fingerprint: Digest,
        /// What each showed.
        sights: Vec<Sight>,
    },
    /// The deploy window closed before the switch.
    WindowClosed,
    /// A generation is live again.
    Switched(Generation),
    /// How a certificate stands.
    Status(Box<Standing>),
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It may be installed.
    Accepted,
    /// It may be installed; the root that the entry wants beside it did not come.
    Rootless,
    /// It may be installed from this instant on.
    NotYetValid(Timestamp),
    /// It lacks only something that the entry can accept.
    Held(Text, Lack),
    /// It may not be installed: every defect.
    Refused(Vec<Text>),
    /// It may not be installed, only because a CA of its path keeps it from serving longer than what is.
    EndsNoLater(Vec<Text>),
}

/// What follows.
#[expect(clippy::large_enum_variant, reason = "one is alive at a time")]
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Next {
    /// Perform this, and say what came of it.
    Perform(Effect),
    /// The action is over.
    End,
}

/// One action on its way.
#[derive(Clone, Debug)]
pub struct Protocol {
    phase: Phase,
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
    /// Whether what TLM does not give is done without.
    is_last_try: bool,
    /// Whether the deploy window has to be open at the switch.
    in_window: bool,
    /// What the last request was refused for, and need not be searched for again.
    known: Option<Box<Failure>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Room { prepared: bool, look_up: bool, key: KeyType },
    Key { look_up: bool },
    LookedUp { spki: Digest, key: KeyType },
    Intent,
    Answer,
    Searched { refusal: Option<Failure> },
    Surveyed { refusal: Failure },
    PickedUp,
    Kept(SerialNumber),
    Issued(SerialNumber),
    AnswerRead { serial_number: SerialNumber, emergency: bool },
    Chain { emergency: bool, why: Vec<Text> },
    Root { emergency: bool },
    Judged { fetched: Option<SerialNumber>, emergency: bool },
    Live,
    Recorded { forget: bool },
    Checked(SerialNumber),
    Repaired,
    Refreshed,
    Probed,
    Back(Generation),
    Forward { generation: Generation, stays: bool },
    Forgotten { record: bool, rest: Vec<Attempt> },
    Over,
}

impl Protocol {
    /// Starts an action; `None` for those that the protocol has no part in.
    ///
    /// `profile` and `profile_version` are those of the entry's profile as last read.
    #[must_use]
    pub fn start(entry: &Arc<Entry>, profile: (ProfileId, u64), action: &Action) -> Option<(Self, Effect)> {
        let (attempt, phase, effect) = match action {
            Action::Submit(Submission { attempt, prepared, look_up, key, .. }) => {
                let phase = Phase::Room { prepared: *prepared, look_up: *look_up, key: *key };
                (*attempt, phase, Effect::CheckRoom)
            }
            Action::LookUp(attempt) => (*attempt, Phase::Searched { refusal: None }, Effect::LookUp),
            Action::PickUp(attempt, id) => (*attempt, Phase::PickedUp, Effect::PickUp(id.clone())),
            Action::Install { attempt, serial_number, emergency, .. } => {
                let phase = Phase::AnswerRead { serial_number: serial_number.clone(), emergency: *emergency };
                (*attempt, phase, Effect::ReadAnswer { attempt: *attempt, serial_number: serial_number.clone() })
            }
            Action::Repair { refreshes } => (Attempt(0), Phase::Repaired, Effect::Repair { refreshes: *refreshes }),
            Action::RefreshChain => (Attempt(0), Phase::Refreshed, Effect::RefreshChain),
            Action::Probe => (Attempt(0), Phase::Probed, Effect::Probe),
            Action::RollBack(from) => (Attempt(0), Phase::Back(*from), Effect::RollBack(*from)),
            Action::Forward { generation, stays } => {
                let phase = Phase::Forward { generation: *generation, stays: *stays };
                (Attempt(0), phase, Effect::Switch(*generation))
            }
            Action::RepeatHooks(generation) => {
                let event = Event::HooksAgain { generation: *generation };
                (Attempt(0), Phase::Recorded { forget: false }, Effect::Record(event))
            }
            Action::CheckStatus(serial) => {
                (Attempt(0), Phase::Checked(serial.clone()), Effect::CheckStatus(serial.clone()))
            }
            Action::Abandon(attempt) => {
                (*attempt, Phase::Recorded { forget: false }, Effect::Record(Event::Abandoned { attempt: *attempt }))
            }
            Action::ForgetKeys(attempts) => {
                let (first, rest) = attempts.split_first()?;
                let phase = Phase::Forgotten { record: true, rest: rest.to_vec() };
                (*first, phase, Effect::Forget { attempt: *first })
            }
            Action::Recognise(event) => {
                (Attempt(0), Phase::Recorded { forget: false }, Effect::Record(Event::clone(event)))
            }
            Action::Wait | Action::ReadProfile(_) | Action::RunHook(_) => return None,
        };
        let (method, expiring, known) = match action {
            Action::Submit(submission) => {
                (submission.method.clone(), Some(submission.expiring), submission.known.clone())
            }
            Action::Wait
            | Action::ReadProfile(_)
            | Action::LookUp(_)
            | Action::PickUp(..)
            | Action::Install { .. }
            | Action::Repair { .. }
            | Action::RefreshChain
            | Action::RunHook(_)
            | Action::RepeatHooks(_)
            | Action::Probe
            | Action::RollBack(_)
            | Action::Forward { .. }
            | Action::CheckStatus(_)
            | Action::Abandon(_)
            | Action::Recognise(_)
            | Action::ForgetKeys(_) => (Method::New, None, None),
        };
        let (profile, profile_version) = profile;
        let (is_last_try, in_window) = (action.is_last_try(), action.is_in_window());
        let may_install = matches!(action, Action::Install { .. });
        let entry = Arc::clone(entry);
        let job = Job { entry, profile, profile_version, method, expiring, may_install, is_last_try, in_window, known };
        Some((Self { phase, attempt, job }, effect))
    }

    /// Takes what came of the last effect, and says what follows.
    pub fn step(&mut self, outcome: Outcome) -> Next {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
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
            Phase::LookedUp { spki, key } => self.looked_up(outcome, spki, key),
            Phase::Intent => self.go(Phase::Answer, Effect::Send(self.job.method.clone())),
            Phase::Answer => self.answered(outcome),
            Phase::Searched { refusal } => self.searched(outcome, refusal),
            Phase::Surveyed { refusal } => self.surveyed(&outcome, refusal),
            Phase::PickedUp => self.picked_up(outcome),
            Phase::Kept(serial_number) => {
                let event = Event::Issued { attempt: self.attempt, serial_number: serial_number.clone() };
                self.go(Phase::Issued(serial_number), Effect::Record(event))
            }
            Phase::Issued(serial) => self.judge(Some(serial), false),
            Phase::AnswerRead { serial_number, emergency } => self.answer_read(outcome, serial_number, emergency),
            Phase::Chain { emergency, why } => self.fetched(outcome, emergency, &why),
            // The set is good without it: whatever came of it holds nothing back.
            Phase::Root { emergency } => self.judge(None, emergency),
            Phase::Judged { fetched, emergency } => self.judged(outcome, fetched, emergency),
            Phase::Live => self.live(outcome),
            // While the end of the request is not on the disk, a crash would bring it back: the key stays.
            Phase::Recorded { forget: true } if matches!(outcome, Outcome::Failed(_)) => Next::End,
            Phase::Recorded { forget: true } => {
                let phase = Phase::Forgotten { record: true, rest: Vec::new() };
                self.go(phase, Effect::Forget { attempt: self.attempt })
            }
            Phase::Checked(serial_number) => self.checked(outcome, serial_number),
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

    fn go(&mut self, phase: Phase, effect: Effect) -> Next {
        self.phase = phase;
        Next::Perform(effect)
    }

    /// Records a last event.
    fn finish(&mut self, event: Event) -> Next {
        self.go(Phase::Recorded { forget: false }, Effect::Record(event))
    }

    /// Records that the request ended, and removes its files.
    fn conclude(&mut self, event: Event) -> Next {
        self.go(Phase::Recorded { forget: true }, Effect::Record(event))
    }

    fn forget_next(&mut self, attempts: &[Attempt]) -> Next {
        let Some((next, rest)) = attempts.split_first() else { return Next::End };
        self.attempt = *next;
        self.go(Phase::Forgotten { record: true, rest: rest.to_vec() }, Effect::Forget { attempt: *next })
    }

    fn unexpected(&mut self, at: &str) -> Next {
        self.finish(Event::Failed { failure: Failure::new(FailureClass::Internal, format!("no such outcome of {at}")) })
    }

    /// Key and CSR are on the disk: what TLM may have accepted is looked up before it is asked for again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn key_is_there(&mut self, outcome: Outcome, look_up: bool) -> Next {
        match outcome {
            Outcome::Key { spki, key } if look_up => self.go(Phase::LookedUp { spki, key }, Effect::LookUp),
            Outcome::Key { spki, key } => self.intend(spki, key),
            _ => self.unexpected("making a key"),
        }
    }

    /// The last look before the request is repeated, after those of ten minutes: a search that goes on failing holds
    /// nothing back. Where nothing is answered at all, the request does not leave either; a key that is refused is the same
    /// for both, unless the next one takes its place in between.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn looked_up(&mut self, outcome: Outcome, spki: Digest, key: KeyType) -> Next {
        match outcome {
            Outcome::Issued(serial) => self.go(Phase::Kept(serial), Effect::KeepAnswer { attempt: self.attempt }),
            Outcome::Failed(failure) if failure.class.scope() == Scope::Key => self.finish(Event::Failed { failure }),
            Outcome::NotFound | Outcome::Failed(_) => self.intend(spki, key),
            _ => self.unexpected("a look-up"),
        }
    }

    /// The intent follows, and only then the request.
    fn intend(&mut self, spki: Digest, key: KeyType) -> Next {
        let event = Event::Submitting {
            attempt: self.attempt,
            method: self.job.method.clone(),
            asked: self.job.entry.asked(),
            profile: self.job.profile.clone(),
            profile_version: self.job.profile_version,
            key,
            spki,
            expiring: self.job.expiring.unwrap_or_default(),
            demands: Some(self.job.entry.demands()),
        };
        self.go(Phase::Intent, Effect::Record(event))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn answered(&mut self, outcome: Outcome) -> Next {
        let attempt = self.attempt;
        match outcome {
            Outcome::Issued(serial) => self.go(Phase::Kept(serial), Effect::KeepAnswer { attempt }),
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
                self.go(Phase::Searched { refusal: Some(failure) }, Effect::LookUp)
            }
            Outcome::Failed(failure) => self.finish(Event::NotAccepted { attempt, failure }),
            _ => self.unexpected("sending a request"),
        }
    }

    fn searched(&mut self, outcome: Outcome, refusal: Option<Failure>) -> Next {
        let attempt = self.attempt;
        match (outcome, refusal) {
            (Outcome::Issued(serial), _) => self.go(Phase::Kept(serial), Effect::KeepAnswer { attempt }),
            // The answer stays open: the search is made again, before somebody is called for what is ours. TLM took nothing.
            (Outcome::Failed(failure), Some(refusal)) if !self.job.is_last_try && is_open(&refusal, &failure) => {
                let message =
                    format!("{}; the search for what it may have issued failed: {}", refusal.message, failure.message);
                let failure = Failure { message: Text::new(&message), accepted: Accepted::No, ..failure };
                self.finish(Event::RefusalUnclear { attempt, failure })
            }
            (_, Some(refusal)) if self.is_known(&refusal) => self.refuse(refusal),
            (_, Some(refusal)) => self.go(Phase::Surveyed { refusal }, Effect::SearchHeld),
            (Outcome::NotFound | Outcome::Failed(_), None) => self.finish(Event::LookedUp { attempt }),
            _ => self.unexpected("a look-up"),
        }
    }

    fn is_known(&self, refusal: &Failure) -> bool {
        self.job.known.as_deref().is_some_and(|known| known.class == refusal.class)
    }

    /// Records a refusal by the words that explained it before.
    fn refuse(&mut self, refusal: Failure) -> Next {
        let failure = self.job.known.take().map_or(refusal, |known| *known);
        self.finish(Event::NotAccepted { attempt: self.attempt, failure })
    }

    /// A repetition would only repeat the refusal: it says what TLM holds, and what the operator can do.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, nothing was found")]
    fn surveyed(&mut self, outcome: &Outcome, refusal: Failure) -> Next {
        let seat = self.job.entry.naming.seat();
        let held = match outcome {
            Outcome::Holds(held) => Ok(held.as_slice()),
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(&[][..]),
        };
        let failure = holding::explained(refusal, &seat, held);
        self.finish(Event::NotAccepted { attempt: self.attempt, failure })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn picked_up(&mut self, outcome: Outcome) -> Next {
        let attempt = self.attempt;
        match outcome {
            Outcome::Issued(serial) => self.go(Phase::Kept(serial), Effect::KeepAnswer { attempt }),
            Outcome::Pending(_, dv_details) => self.finish(Event::Polled { attempt, dv_details }),
            Outcome::Rejected(why) => {
                let why = if why.as_str().is_empty() { Text::new(NO_REASON) } else { why };
                self.conclude(Event::Rejected { attempt, why })
            }
            Outcome::Failed(failure)
                if matches!(failure.class, FailureClass::NotFound | FailureClass::RequestRefused) =>
            {
                self.finish(Event::PickupUnknown { attempt, failure })
            }
            Outcome::Failed(failure) => self.finish(Event::Failed { failure }),
            _ => self.unexpected("a pickup"),
        }
    }

    fn judge(&mut self, fetched: Option<SerialNumber>, emergency: bool) -> Next {
        let effect = Effect::Judge { attempt: self.attempt, expiring: self.job.expiring, emergency };
        self.go(Phase::Judged { fetched, emergency }, effect)
    }

    /// A refusal before the chain was fetched may only mean that the answer came without it.
    fn judged(&mut self, outcome: Outcome, fetched: Option<SerialNumber>, emergency: bool) -> Next {
        let attempt = self.attempt;
        let Outcome::Judged(verdict) = outcome else { return self.unexpected("the gate") };
        match (verdict, fetched) {
            // With a deploy window, whether it may be switched in now is decided anew.
            (Verdict::Accepted | Verdict::Rootless, _)
                if self.job.entry.deploy_window.is_some() && !self.job.may_install =>
            {
                Next::End
            }
            (Verdict::Rootless, Some(serial)) => self.go(Phase::Root { emergency }, Effect::FetchChain(serial)),
            (Verdict::Accepted | Verdict::Rootless, _) => {
                self.go(Phase::Live, Effect::Install { attempt, in_window: self.job.in_window })
            }
            (Verdict::NotYetValid(until), _) => self.finish(Event::Waits { attempt, until }),
            (Verdict::Held(why, lack), _) => {
                let (usages, profile_version) = (self.job.entry.usages.clone(), Some(self.job.profile_version));
                self.finish(Event::Held { attempt, why, lack, usages, profile_version })
            }
            (Verdict::Refused(why) | Verdict::EndsNoLater(why), Some(serial)) => {
                self.go(Phase::Chain { emergency, why }, Effect::FetchChain(serial))
            }
            (Verdict::Refused(why), None) => self.conclude(Event::GateRefused { attempt, why, ends_no_later: false }),
            (Verdict::EndsNoLater(why), None) => {
                self.conclude(Event::GateRefused { attempt, why, ends_no_later: true })
            }
        }
    }

    /// What TLM will not give of an answer that is gone is missing to the gate.
    fn answer_read(&mut self, outcome: Outcome, serial_number: SerialNumber, emergency: bool) -> Next {
        if let Outcome::Failed(failure) = outcome
            && !self.is_done_without(&failure)
        {
            return self.finish(Event::Failed { failure });
        }
        self.judge(Some(serial_number), emergency)
    }

    /// Only a chain that TLM will not give at all is judged as missing; everything else is tried again, for a while. What
    /// the gate says without it tells more than that it did not come.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, the gate judges what is there")]
    fn fetched(&mut self, outcome: Outcome, emergency: bool, why: &[Text]) -> Next {
        match outcome {
            Outcome::Failed(failure)
                if !matches!(failure.class.scope(), Scope::Certificate | Scope::Profile)
                    && !self.is_done_without(&failure) =>
            {
                let why: Vec<_> = why.iter().map(Text::as_str).collect();
                let message = format!(
                    "the chain cannot be fetched: {}; without it the gate says: {}",
                    failure.message,
                    why.join("; ")
                );
                self.finish(Event::Failed { failure: Failure { message: Text::new(&message), ..failure } })
            }
            _ => self.judge(None, emergency),
        }
    }

    /// Whether what TLM failed to give so is not waited for any longer.
    fn is_done_without(&self, failure: &Failure) -> bool {
        self.job.is_last_try && failure.class.scope() != Scope::Disk
    }

    fn live(&mut self, outcome: Outcome) -> Next {
        if outcome == Outcome::WindowClosed {
            return Next::End;
        }
        let Outcome::Installed { generation, leaf, chain } = outcome else { return self.unexpected("installing") };
        let event = Event::Installed {
            attempt: self.attempt,
            generation,
            serial_number: leaf.serial_number,
            fingerprint: leaf.fingerprint,
            not_after: leaf.not_after,
            hooks: self.job.entry.hooks.clone(),
            chain_end: chain.end_before(leaf.not_after).cloned().map(Box::new),
            issuer: Some(chain.issuer.subject.clone()),
        };
        self.conclude(event)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, the files are as they should be")]
    fn repaired(&mut self, outcome: Outcome) -> Next {
        let event = match outcome {
            Outcome::Adopted { generation, leaf, chain } => Event::Adopted {
                generation,
                serial_number: leaf.serial_number,
                fingerprint: leaf.fingerprint,
                not_after: leaf.not_after,
                hooks: self.job.entry.hooks.clone(),
                chain_end: chain.end_before(leaf.not_after).cloned().map(Box::new),
                issuer: Some(chain.issuer.subject),
            },
            Outcome::Refreshed { .. } => return self.refreshed(outcome),
            _ => Event::Repaired,
        };
        self.finish(event)
    }

    /// A refresh that came to nothing holds nothing back: the same is not tried again before the profile changes. A disk
    /// that failed says nothing of the chain, and is tried again on its own ladder.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, the chain stays as it is")]
    fn refreshed(&mut self, outcome: Outcome) -> Next {
        self.finish(match outcome {
            Outcome::Refreshed { generation, ends_at } => {
                Event::ChainRefreshed { generation, ends_at, hooks: self.job.entry.hooks.clone() }
            }
            Outcome::Failed(failure) if failure.class.scope() == Scope::Disk => Event::Failed { failure },
            _ => Event::ChainKept { profile_version: self.job.profile_version },
        })
    }

    /// A look that failed is no trouble of the certificate.
    fn checked(&mut self, outcome: Outcome, serial_number: SerialNumber) -> Next {
        let Outcome::Status(standing) = outcome else { return self.finish(Event::StatusUnread) };
        self.finish(Event::StatusChecked { serial_number, revoked: standing.is_revoked(), standing: Some(standing) })
    }
}

impl Protocol {
    fn probed(&mut self, outcome: Outcome) -> Next {
        let Outcome::Probed { fingerprint, sights } = outcome else { return self.unexpected("a probe") };
        self.finish(Event::Probed { fingerprint, sights })
    }

    /// A way back that is not there is not looked for again; a disk that failed is tried again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    fn back(&mut self, outcome: Outcome, from: Generation) -> Next {
        let hooks = self.job.entry.hooks.clone();
        match outcome {
            Outcome::Switched(to) => self.finish(Event::RolledBack { from, to, by: RollbackBy::Hook, hooks }),
            Outcome::Failed(failure) if failure.class.scope() != Scope::Disk => {
                self.finish(Event::RollbackRefused { from, failure })
            }
            Outcome::Failed(failure) => self.finish(Event::Failed { failure }),
            _ => self.unexpected("a rollback"),
        }
    }
}

impl Phase {
    /// Whether the phase knows what a failure means; for the others it is recorded, and the action ends.
    const fn handles_failure(&self) -> bool {
        matches!(
            self,
            Self::Answer
                | Self::Searched { .. }
                | Self::Surveyed { .. }
                | Self::LookedUp { .. }
                | Self::PickedUp
                | Self::Kept(_)
                | Self::Issued(_)
                | Self::AnswerRead { .. }
                | Self::Chain { .. }
                | Self::Root { .. }
                | Self::Refreshed
                | Self::Checked(_)
                | Self::Back(_)
                | Self::Recorded { .. }
                | Self::Forgotten { .. }
                | Self::Over
        )
    }
}

/// Whether a search that failed leaves open if the renewal that TLM speaks of is ours. One that is refused shows nothing
/// at any time, and a refused duplicate has issued nothing by itself.
fn is_open(refusal: &Failure, failure: &Failure) -> bool {
    refusal.class == FailureClass::AlreadyRenewed && matches!(failure.class.scope(), Scope::Outage | Scope::Key)
}

/// What stands for the administrator's comment where TLM tells none.
const NO_REASON: &str = "TLM tells no reason";

#[cfg(test)]
mod tests;
