//! The record of a certificate: its events, folded. What was started and is not finished, and what failed how often.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::event::{Event, Method, RollbackBy};
use super::failure::{Failure, FailureClass, Scope};
use super::name::{Attempt, Digest, Generation, HookName, SerialNumber};
use super::time::Timestamp;
use crate::core::compact::boxed_default::{BoxedDefault, ConstDefault};
use crate::core::compact::small_map::SmallMap;
use crate::core::known::replaced::Replaced;
use crate::core::known::served::ProbeRecord;
use crate::core::known::standing::{Standing, TlmState};
use crate::core::wanted::entry::Asked;

/// What is known of the past of one certificate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// What is not settled.
    open: BoxedDefault<Open>,
    /// When requests left that TLM may have accepted, within the last day.
    pub submissions: BoxedDefault<Vec<Timestamp>>,
    /// The last check of the installed certificate's state at TLM.
    pub checked: Option<Box<Checked>>,
    /// Hooks of the installed generation.
    pub hooks: SmallMap<HookName, HookRecord>,
    /// The last look at what is served.
    pub probe: Option<Box<ProbeRecord>>,
    /// The generation that was installed last.
    pub generation: Option<Generation>,
    /// The highest attempt so far.
    pub attempts: u64,
    /// Whether the entry left the inventory.
    pub let_go: bool,
}

/// The part of a record that is empty for a certificate with which all is well.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The request in flight; at most one (promise 3).
    pub request: Option<Box<Request>>,
    /// Requests that were given up, with the instant when.
    pub abandoned: SmallMap<Attempt, Timestamp>,
    /// Failures of requests, in a row.
    pub trouble: FailureStreak,
    /// Failures of the disk, in a row.
    pub disk: FailureStreak,
    /// What stopped the certificate until the entry or the profile changes.
    pub stopped: Option<Box<Stop>>,
    /// The certificate that TLM last said was renewed already, and when.
    pub already_renewed: Option<Box<(SerialNumber, Timestamp)>>,
    /// Certificates that TLM said are revoked, the latest last: nobody goes back to one of them.
    pub revoked: Vec<SerialNumber>,
    /// When the state at TLM could last not be asked for.
    pub status_unread_at: Option<Timestamp>,
    /// When the operator asked for a replacement that has not been submitted yet.
    pub renewal_asked: Option<Timestamp>,
    /// Whether that replacement has to be a new certificate.
    pub reissue: bool,
    /// When an operator last had the request in flight asked after; kept in memory alone.
    pub asked_after: Option<Timestamp>,
    /// When the operator asked for what is installed to be looked at, which has not been done yet.
    pub deploy_asked: Option<Timestamp>,
    /// How often hooks were owed once more because the certificate was not served.
    pub hook_repeats: u32,
    /// The operator's hold.
    pub hold: Option<Box<Hold>>,
    /// What keeps a new set from being switched in, as the programs of a hook say.
    pub veto: Option<Box<Veto>>,
    /// Which of the entry's two profiles is asked, where both were.
    pub turn: Option<Box<Turn>>,
    /// The last return to an older generation.
    pub rolled_back: Option<Box<RolledBack>>,
    /// The generation from which there is no way back.
    pub rollback_refused: Option<Generation>,
    /// What the profile said when it last showed no better chain, and when that was.
    pub chain_kept: Option<(u64, Timestamp)>,
    /// What was replaced and is to be revoked, the latest last.
    pub superseded: Vec<Replaced>,
    /// The installed certificate that is in service, as far as what it replaced waits for that, and since when.
    pub in_service: Option<Box<(Digest, Timestamp)>>,
    /// Failures to revoke, in a row.
    pub revocation: FailureStreak,
}

impl ConstDefault for Open {
    const DEFAULT: &'static Self = &Self {
        request: None,
        abandoned: SmallMap::new(),
        trouble: FailureStreak::NONE,
        disk: FailureStreak::NONE,
        stopped: None,
        already_renewed: None,
        revoked: Vec::new(),
        status_unread_at: None,
        renewal_asked: None,
        reissue: false,
        asked_after: None,
        deploy_asked: None,
        hook_repeats: 0,
        hold: None,
        veto: None,
        turn: None,
        rolled_back: None,
        rollback_refused: None,
        chain_kept: None,
        superseded: Vec::new(),
        in_service: None,
        revocation: FailureStreak::NONE,
    };
}

/// A record reads as what is open in it, which takes memory only where something is.
impl Deref for Record {
    type Target = Open;
    fn deref(&self) -> &Open {
        &self.open
    }
}

impl DerefMut for Record {
    fn deref_mut(&mut self) -> &mut Open {
        &mut self.open
    }
}

/// Failures in a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailureStreak {
    /// How many.
    pub count: u32,
    /// The last one, and when.
    pub last: Option<Box<(Failure, Timestamp)>>,
}

impl FailureStreak {
    const NONE: Self = Self { count: 0, last: None };

    fn add(&mut self, failure: Failure, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.last = Some(Box::new((failure, at)));
    }
}

/// A request that ended in a way that a repetition would only repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// What ended it.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
    /// What had been asked for.
    pub asked: Asked,
    /// What the entry said of how to ask and what to take; `None`: an older version asked.
    pub demands: Option<u32>,
    /// What the profile said then.
    pub profile_version: u64,
}

/// A look at the installed certificate's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Of which certificate.
    pub serial_number: SerialNumber,
    /// Whether it is revoked.
    pub revoked: bool,
    /// How it stands, where TLM said more than that it is in force.
    pub standing: Option<Box<Standing>>,
    /// When.
    pub at: Timestamp,
}

/// A return to an older generation.
#[derive(Clone, Debug, PartialEq)]
pub struct RolledBack {
    /// The newer generation, which stays on the disk.
    pub from: Generation,
    /// The older one.
    pub to: Generation,
    /// When.
    pub at: Timestamp,
    /// By whose word.
    pub by: RollbackBy,
    /// How often the newer one has failed.
    pub tries: u32,
    /// Whether the newer one is live once more.
    pub forward: bool,
    /// Whether it stays live, whatever its hooks say.
    pub stays: bool,
}

/// How many 404s, spread over at least [`UNKNOWN_SPAN`], make a pending request count as lost.
const UNKNOWN_TIMES: u32 = 3;
/// Over so long TLM has to claim not to know a pending request before it counts as lost.
pub const UNKNOWN_SPAN: Duration = Duration::from_secs(3600);
/// So many revoked certificates are remembered.
const MOST_REVOKED: usize = 16;

/// How long the key of a request is kept that was given up: so long it may still end.
pub const KEEP_KEYS: Duration = Duration::from_secs(90 * 86_400);

impl Record {
    /// Folds one event.
    pub fn apply(&mut self, at: Timestamp, event: &Event) {
        self.fold(at, event);
        self.open.shrink();
    }

    fn fold(&mut self, at: Timestamp, event: &Event) {
        self.let_go = matches!(event, Event::LeftInventory);
        match event {
            Event::Submitting { .. } => self.submitting(event, at),
            Event::NotAccepted { failure, .. } | Event::RefusalUnclear { failure, .. } => {
                self.take_submission_back();
                self.enter(at, Stage::Prepared);
                if let (Some(request), Event::RefusalUnclear { .. }) = (&mut self.request, event) {
                    request.unclear_refusals = request.unclear_refusals.saturating_add(1);
                }
                self.fold_revocation(failure, at);
                self.fail(failure, at);
            }
            Event::AnswerLost { failure, .. } => {
                self.lose_sight(at);
                self.trouble.add(failure.clone(), at);
            }
            Event::Installed { .. } | Event::Adopted { .. } => self.went_live(at, event),
            Event::Failed { failure } => self.fail(failure, at),
            Event::Repaired => self.disk = FailureStreak::default(),
            Event::ServiceSeen { .. } | Event::SupersededRevoked { .. } | Event::RevocationFailed { .. } => {
                self.revoking(at, event);
            }
            Event::StatusChecked { serial_number, revoked, standing } => {
                self.checked(serial_number, *revoked, standing.as_deref(), at);
            }
            Event::StatusUnread => self.status_unread_at = Some(at),
            Event::Probed { .. }
            | Event::ChainRefreshed { .. }
            | Event::ChainKept { .. }
            | Event::HookDone { .. }
            | Event::HookFailed { .. }
            | Event::HookBegun { .. }
            | Event::SwitchVetoed { .. }
            | Event::HooksAgain { .. }
            | Event::RolledBack { .. }
            | Event::RollbackRefused { .. }
            | Event::DeployAsked { .. }
            | Event::Forward { .. } => self.deployed(at, event),
            Event::HoldBegun { until, why, even_emergency } => {
                let hold = Hold { since: at, until: *until, why: why.clone(), even_emergency: *even_emergency };
                self.hold = Some(Box::new(hold));
            }
            Event::HoldReleased => self.release(),
            Event::RenewalAsked { reissue } => {
                (self.hold, self.veto) = (None, None);
                self.renewal_asked = Some(at);
                self.reissue = *reissue;
                self.start_anew();
                self.disk = FailureStreak::default();
            }
            Event::KeyForgotten { attempt } => {
                self.abandoned.remove(attempt);
                self.request.take_if(|request| request.attempt == *attempt);
            }
            Event::LookedUp { .. }
            | Event::Pending { .. }
            | Event::Polled { .. }
            | Event::PickupUnknown { .. }
            | Event::Issued { .. }
            | Event::Held { .. }
            | Event::Waits { .. }
            | Event::GateRefused { .. }
            | Event::Rejected { .. }
            | Event::Abandoned { .. } => self.advance(at, event),
            Event::EntryChanged => self.start_anew(),
            Event::FellBack { .. } | Event::FallbackLeft => self.change_profile(event, at),
            Event::LeftInventory | Event::Unknown => {}
        }
    }

    /// Folds what happens to an installed set.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are folded above")]
    fn deployed(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Probed { fingerprint, sights } => {
                self.deploy_asked = None;
                self.probe = Some(Box::new(ProbeRecord::after(self.probe.as_deref(), *fingerprint, sights, at)));
            }
            Event::ChainRefreshed { generation, hooks, .. } => {
                // What TLM would not renew for the old chain's sake is no trouble any more.
                self.stopped.take_if(|stop| stop.failure.class == FailureClass::EndsNoLater);
                self.adopted(*generation, hooks, at);
            }
            Event::ChainKept { profile_version } => self.chain_kept = Some((*profile_version, at)),
            Event::HookDone { hook, generation, .. } => self.hook_done(hook, *generation, at),
            Event::HookFailed { hook, generation, failure, step } => {
                self.hook_failed(hook, *generation, (failure, *step), at);
            }
            Event::SwitchVetoed { hook, failure, .. } => self.vetoed(hook, failure, at),
            Event::HookBegun { hook, generation } => self.hook_begun(hook, *generation, at),
            Event::HooksAgain { generation } => self.hooks_again(*generation, at),
            Event::RolledBack { from, to, by, hooks } => {
                let tries =
                    self.rolled_back.as_deref().filter(|before| before.from == *from).map_or(0, |before| before.tries);
                self.rolled_back = Some(Box::new(RolledBack {
                    from: *from,
                    to: *to,
                    at,
                    by: *by,
                    tries: tries + 1,
                    forward: false,
                    stays: false,
                }));
                // Who goes back wants no replacement that was asked for before.
                if *by == RollbackBy::Operator {
                    (self.renewal_asked, self.reissue) = (None, false);
                }
                (self.veto, self.in_service) = (None, None);
                self.owe(*to, hooks, at);
                if *by == RollbackBy::Hook {
                    self.spare_what_never_changed(*to, at);
                }
            }
            Event::RollbackRefused { from, .. } => self.rollback_refused = Some(*from),
            Event::DeployAsked { generation, hooks } => self.deploy_asked(*generation, hooks, at),
            Event::Forward { generation, hooks, stays } => {
                if let Some(rolled_back) = &mut self.rolled_back {
                    (rolled_back.forward, rolled_back.stays) = (true, *stays);
                }
                (self.veto, self.in_service) = (None, None);
                self.owe(*generation, hooks, at);
            }
            _ => {}
        }
    }

    /// Whether the last look at this certificate said that it is revoked.
    #[must_use]
    pub fn has_revoked(&self, serial_number: &SerialNumber) -> bool {
        let of_it = |checked: &&Checked| checked.serial_number.same(serial_number);
        self.checked.as_deref().filter(of_it).is_some_and(|checked| checked.revoked)
    }

    /// Whether a replacement was asked for in this way, and nothing came of it yet: asked for again, nothing changes.
    #[must_use]
    pub fn is_asked_for(&self, reissue: bool) -> bool {
        let is_under_way =
            |asked| self.request.is_some() || self.submissions.iter().all(|submitted| *submitted < asked);
        self.renewal_asked.is_some_and(is_under_way)
            && self.reissue == reissue
            && self.hold.is_none()
            && self.veto.is_none()
            && self.stopped.is_none()
            && self.trouble == FailureStreak::NONE
            && self.disk == FailureStreak::NONE
    }

    /// Whether anything waits that another entry need not wait for.
    #[must_use]
    pub fn waits_for_its_entry(&self) -> bool {
        self.stopped.is_some() || self.trouble != FailureStreak::NONE || self.turn.is_some()
    }

    /// Counts runs of hooks that the end of the process before this one cut off.
    pub fn cut_off_hooks(&mut self) {
        self.hooks.values_mut().for_each(HookRecord::cut_off);
    }

    /// The requests whose keys nobody needs any more at `now`, for an entry that left the inventory: given up, or left
    /// in flight, for [`KEEP_KEYS`].
    pub fn expired_keys(&self, now: Timestamp) -> impl Iterator<Item = Attempt> {
        let in_flight = self.request.as_ref().map(|request| (request.attempt, request.since));
        let given_up = self.abandoned.iter().map(|(attempt, at)| (*attempt, *at));
        given_up.chain(in_flight).filter(move |(_, at)| *at + KEEP_KEYS <= now).map(|(attempt, _)| attempt)
    }

    /// Whether a request is in flight, or was given up and may still end.
    #[must_use]
    pub fn knows(&self, attempt: Attempt) -> bool {
        self.request.as_ref().is_some_and(|request| request.attempt == attempt) || self.abandoned.contains_key(&attempt)
    }

    /// The attempt that a new request gets.
    #[must_use]
    pub fn next_attempt(&self) -> Attempt {
        Attempt(self.attempts + 1)
    }

    fn fail(&mut self, failure: &Failure, at: Timestamp) {
        // Without its key nothing that TLM issues can be used: the request is let go, and made anew.
        if failure.class == FailureClass::KeyLost
            && let Some(request) = self.request.take()
        {
            self.abandoned.insert(request.attempt, at);
        }
        if failure.class == FailureClass::AlreadyRenewed
            && let Some(Request { method: Method::Renew { serial_number, .. }, .. }) = self.request.as_deref()
        {
            self.already_renewed = Some(Box::new((serial_number.clone(), at)));
        }
        if matches!(failure.class, FailureClass::AlreadyRenewed | FailureClass::DuplicateRefused) {
            return self.stop(failure.clone(), at);
        }
        match failure.class.scope() {
            Scope::Disk => self.disk.add(failure.clone(), at),
            Scope::Certificate | Scope::Profile | Scope::Key | Scope::Outage => self.trouble.add(failure.clone(), at),
        }
    }

    /// A renewal that is refused because the certificate is revoked tells what a status check would.
    fn fold_revocation(&mut self, failure: &Failure, at: Timestamp) {
        let method = self.request.as_ref().map(|request| &request.method);
        if let (FailureClass::CertificateRevoked, Some(Method::Renew { serial_number, .. })) = (failure.class, method) {
            let serial_number = serial_number.clone();
            self.checked(&serial_number, true, None, at);
        }
    }

    fn checked(&mut self, serial_number: &SerialNumber, revoked: bool, standing: Option<&Standing>, at: Timestamp) {
        let standing = standing.filter(|standing| **standing != Standing::of(TlmState::Issued));
        let (serial, standing) = (serial_number.clone(), standing.cloned().map(Box::new));
        self.checked = Some(Box::new(Checked { serial_number: serial, revoked, standing, at }));
        self.note_revoked(serial_number, revoked);
    }

    fn note_revoked(&mut self, serial_number: &SerialNumber, revoked: bool) {
        self.revoked.retain(|other| !other.same(serial_number));
        if revoked {
            let surplus = (self.revoked.len() + 1).saturating_sub(MOST_REVOKED);
            self.revoked.drain(..surplus);
            self.revoked.push(serial_number.clone());
        }
    }

    fn installed(&mut self, generation: Generation, hooks: &[HookName], at: Timestamp) {
        self.request = None;
        self.renewal_asked = None;
        self.reissue = false;
        self.trouble = FailureStreak::default();
        self.end_turns();
        self.live(generation, hooks, at);
    }

    /// A request in flight stays: it was asked for, and what it brings may be newer still.
    fn adopted(&mut self, generation: Generation, hooks: &[HookName], at: Timestamp) {
        if self.request.is_none() {
            (self.trouble, self.turn) = (FailureStreak::default(), None);
        }
        self.live(generation, hooks, at);
    }

    fn live(&mut self, generation: Generation, hooks: &[HookName], at: Timestamp) {
        self.disk = FailureStreak::default();
        self.rolled_back = None;
        self.chain_kept = None;
        self.veto = None;
        self.owe(generation, hooks, at);
    }
}

mod hold;
mod hooks;
mod in_flight;
mod request;
mod submissions;
mod superseded;
#[cfg(test)]
mod tests;
mod turn;

pub use hold::Hold;
pub use hooks::{HookRecord, Veto};
pub use request::{Request, Stage};
pub use submissions::BUDGET_SPAN;
pub use turn::Turn;
