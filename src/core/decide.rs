//! The decision: what to do for one certificate now, why, and when to look again. A pure function of the entry, the
//! files, the profile, the record and the time; one certificate never depends on another.

use std::sync::Arc;
use std::time::Duration;

use super::backoff;
use super::clock::{ClockCheck, ClockState};
use super::event::Method;
use super::failure::{Failure, Scope};
use super::name::Attempt;
use super::reason::{Cause, Reason};
use super::record::{KEEP_KEYS, Record};
use super::request::compose;
use super::schedule::Schedule;
use super::text::Text;
use super::time::Timestamp;
use crate::core::known::cached_profile::{CachedProfile, FailedRead};
use crate::core::known::observed::{Installed, Observed};
use crate::core::known::profile::Profile;
use crate::core::wanted::entry::{Entry, RequestMethod};
use crate::core::wanted::window::{Deploy, Freeze};

/// Everything that a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// What is wanted.
    pub entry: &'a Entry,
    /// What is on the disk.
    pub observed: &'a Observed,
    /// What is known of the profile.
    pub reading: &'a CachedProfile,
    /// What was started and what failed.
    pub record: &'a Record,
    /// The one of the entry's profiles whose turn it is not, where it has two; the entry is that of the other.
    pub other: Option<OtherProfile<'a>>,
    /// What holds for all certificates.
    pub global: &'a GlobalState,
    /// What the entry's deploy window and the freezes say.
    pub deploy: Deploy,
    /// What the entry's request window says.
    pub ask: Deploy,
    /// The time.
    pub now: Timestamp,
}

/// What holds for all certificates alike.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalState {
    /// `max_submissions_per_day`.
    pub submissions_per_day: u32,
    /// `status_check_interval`; `None`: off.
    pub status_check_interval: Option<Duration>,
    /// When the first pickup follows.
    pub first_poll: Duration,
    /// Whether nothing may be submitted because the clock is wrong; with the offset in seconds, where known.
    pub clock_wrong: Option<Option<i64>>,
    /// Whether the clock was compared with TLM's since it was last set, as far as TLM tells the time.
    pub clock_is_compared: bool,
    /// Whether the journal is of a newer format, so that nothing may be submitted.
    pub journal_too_new: bool,
    /// Whether search may be used.
    pub can_search: bool,
    /// Whether details may be used.
    pub can_check: bool,
    /// Whether the API as a whole is not asked now, in an outage or a pause.
    pub api_is_blocked: bool,
    /// When the API answered again after an outage: what failed before for its sake is tried again.
    pub api_recovered_at: Option<Timestamp>,
    /// When the API answered an operator who had looked into it: what it refused before for a profile is tried again as well.
    pub api_checked_at: Option<Timestamp>,
    /// Whether TLM is asked nothing at all: what is installed is looked after, and everything else left alone.
    pub asks_nobody: bool,
    /// When nothing is switched in.
    pub freezes: Arc<[Freeze]>,
}

impl GlobalState {
    /// The same by a clock that was judged.
    #[must_use]
    pub fn judged_by(self, clock: &ClockCheck) -> Self {
        let clock_wrong = (clock.state() == ClockState::Wrong).then(|| clock.offset_seconds());
        Self { clock_wrong, ..self }
    }
}

pub use action::{Action, Decision, Submission};
pub use fallback::OtherProfile;

/// Decides.
pub fn decide(world: &World<'_>) -> Decision {
    let schedule = world.schedule();
    let (action, reason, wake_at) = *world.choose(schedule.as_ref());
    let emergency = schedule.as_ref().is_none_or(|schedule| world.now >= schedule.emergency_at);
    let renew_at = schedule.map(|schedule| schedule.renew_at);
    let hook = world.owed_hook().map(|(at, hook, _)| (hook, at));
    Decision { action, reason, wake_at, renew_at, emergency, hook }
}

type Choice = Box<(Action, Reason, Timestamp)>;

impl<'a> World<'a> {
    fn schedule(&self) -> Option<Schedule> {
        let installed = self.observed.installed()?;
        Some(Schedule::of(self.entry, self.reading.profile.as_ref(), installed))
    }

    fn choose(&self, schedule: Option<&Schedule>) -> Choice {
        if let Observed::Unreadable(what) = self.observed {
            return self.wait(Reason::Unreadable(Text::clone(what)), self.now + RECHECK);
        }
        let main = self.take_turns(self.main(schedule), schedule);
        let main =
            if main.0.needs_api() || matches!(main.0, Action::ReadProfile(_)) { self.look_first(main) } else { main };
        let choice = if main.0 == Action::Wait { self.upkeep(main) } else { main };
        self.not_yet_served(self.revoke_superseded(choice))
    }

    /// What is done about the set as such: not about who serves it.
    fn main(&self, schedule: Option<&Schedule>) -> Choice {
        match (self.disk_trouble().or_else(|| self.unrecorded()), &self.record.request) {
            (Some(choice), _) => choice,
            (None, Some(request)) => {
                self.told_as_held(self.meanwhile(self.go_on(request, schedule), schedule), schedule)
            }
            (None, None) => self.renewed_elsewhere().unwrap_or_else(|| self.renew_or_keep(schedule)),
        }
    }

    /// The look that an operator asked for goes before what is asked of TLM, which may not answer.
    fn look_first(&self, main: Choice) -> Choice {
        if !self.global.asks_nobody && self.record.deploy_asked.is_none() {
            return main;
        }
        let kept = self.upkeep(self.wait(main.1.clone(), self.now + RECHECK));
        if self.global.asks_nobody || kept.0 == Action::Probe { kept } else { main }
    }

    /// What somebody else put in place of the installed set, and ends later, is judged before anything is asked for:
    /// taken over, or put back.
    fn renewed_elsewhere(&self) -> Option<Choice> {
        let installed = self.observed.installed().filter(|installed| installed.renewed_elsewhere)?;
        let what = installed.drift.first()?;
        Some(self.repair(what))
    }

    fn renew_or_keep(&self, schedule: Option<&Schedule>) -> Choice {
        let expired = self.expired_keys();
        if !expired.is_empty() {
            return self.act(Action::ForgetKeys(expired), Reason::Forgetting);
        }
        match (self.kept_back(schedule), self.cause(schedule)) {
            (Some(choice), _) => self.unless_revoked(choice),
            (None, Some(Cause::Expiring(_) | Cause::Expired(_)) | None) if self.can_refresh(schedule) => self.refresh(),
            (None, Some(cause)) => self.start(cause, schedule),
            (None, None) => self.keep(schedule),
        }
    }

    /// What waits for TLM does not keep the installed set from a better chain.
    fn meanwhile(&self, waiting: Choice, schedule: Option<&Schedule>) -> Choice {
        let can_refresh =
            || waiting.0 == Action::Wait && self.kept_back(schedule).is_none() && self.can_refresh(schedule);
        if can_refresh() { self.refresh() } else { waiting }
    }

    fn refresh(&self) -> Choice {
        if let Some(choice) = self.vetoed(self.schedule().as_ref()) {
            return choice;
        }
        let ca = self.observed.installed().and_then(Installed::chain_end).map(|end| end.subject.clone());
        self.act(Action::RefreshChain, Reason::RefreshingChain(ca.unwrap_or_default()))
    }

    /// Whether the profile shows a certificate that can take the place of the one whose end limits the installed set. The
    /// switch waits for the deploy window as any other does.
    fn can_refresh(&self, schedule: Option<&Schedule>) -> bool {
        let (Some(installed), Some(profile)) = (self.observed.installed(), &self.reading.profile) else { return false };
        let better = installed.chain_end().and_then(|end| profile.successor_of(end));
        if better.is_none() || self.closed_window(schedule).is_some() {
            return false;
        }
        let was_in_vain =
            |(version, at): (u64, Timestamp)| version == profile.version() && self.after(at, AFTER_GATE) > self.now;
        !self.record.chain_kept.is_some_and(was_in_vain)
    }

    /// A disk that failed is tried again on its own ladder before anything is spent.
    fn disk_trouble(&self) -> Option<Choice> {
        let (failure, _) = self.record.disk.last.as_deref()?;
        let until = self.retry_at(&self.record.disk)?;
        let reason = Reason::DiskTrouble { failure: failure.clone(), until };
        (until > self.now).then(|| self.wait(reason, until))
    }

    fn expired_keys(&self) -> Vec<Attempt> {
        let over = |(attempt, at): (&Attempt, &Timestamp)| (self.after(*at, KEEP_KEYS) <= self.now).then_some(*attempt);
        self.record.abandoned.iter().filter_map(over).collect()
    }

    /// Why the certificate has to be replaced, if it has to.
    fn cause(&self, schedule: Option<&Schedule>) -> Option<Cause> {
        let installed = match self.observed {
            Observed::Absent => return Some(Cause::Absent),
            Observed::Damaged(what) => return Some(Cause::Damaged(Text::clone(what))),
            Observed::Unreadable(_) => return None,
            Observed::Installed(installed) => installed,
        };
        if let Some(how) = &installed.differs {
            return Some(Cause::Differs(Text::clone(how)));
        }
        if self.is_of_fallback(installed) {
            return Some(Cause::OfFallback);
        }
        if self.is_of_other_profile(installed) && !self.is_of_the_other(installed) {
            return Some(Cause::OtherProfile);
        }
        if self.is_revoked(installed) {
            return Some(Cause::Revoked);
        }
        if self.record.renewal_asked.is_some() {
            return Some(Cause::Asked);
        }
        if self.now > installed.ends_at() {
            return Some(Cause::Expired(installed.end()));
        }
        schedule.filter(|schedule| schedule.renew_at <= self.now).map(|_| Cause::Expiring(installed.end()))
    }

    fn is_revoked(&self, installed: &Installed) -> bool {
        self.record.has_revoked(&installed.serial_number)
    }

    /// Files without a manifest count as of their entry's profile.
    fn is_of_other_profile(&self, installed: &Installed) -> bool {
        match (&installed.profile, self.wanted_profile()) {
            (Some(issued), Some(wanted)) => issued != wanted,
            _ => false,
        }
    }

    /// Whether it cannot be told if the certificate is of the entry's profile: of a name that was never read.
    fn is_unknown(&self, installed: &Installed) -> bool {
        installed.profile.is_some() && self.wanted_profile().is_none()
    }

    /// Starts a new request, unless something stands against it.
    fn start(&self, cause: Cause, schedule: Option<&Schedule>) -> Choice {
        if let Some(choice) = self.stopped(schedule) {
            return self.unless_revoked(choice);
        }
        let later = || Some(self.unless_revoked(self.closed_request_window(&cause, schedule)?));
        if let Some(choice) = self.obstacle().or_else(later) {
            return choice;
        }
        let profile = match self.profile_for_submission(&cause) {
            Ok(profile) => profile,
            Err(choice) => return choice,
        };
        let wish = match compose(self.entry, profile) {
            Ok(wish) => wish,
            Err(failure) => return self.unfit(failure, &cause),
        };
        let method = self.method(profile);
        if let Some(choice) = self.look_before_renewing_again(&method) {
            return choice;
        }
        let submission = Submission {
            attempt: self.record.next_attempt(),
            prepared: false,
            look_up: false,
            method,
            key: wish.key,
            expiring: cause.is_expiry(),
            is_last_try: false,
            known: self.known_refusal(),
        };
        self.act(Action::Submit(submission), Reason::Due(cause))
    }

    /// The profile, if its reading is fresh enough to submit by. While the API does not give a newer one, the last
    /// reading serves in the emergency stage.
    fn profile_for_submission(&self, cause: &Cause) -> Result<&'a Profile, Choice> {
        let reading = self.reading;
        let fresh = reading.read_at.is_some_and(|at| at + PROFILE_FRESH > self.now && at <= self.now);
        match (&reading.profile, &reading.failure) {
            (Some(profile), _) if fresh => Ok(profile),
            (Some(profile), failure) if self.global.clock_is_compared && self.last_reading_serves(failure.as_ref()) => {
                Ok(profile)
            }
            (_, Some(failed)) if failed.until > self.now => {
                // From the emergency stage on the last reading serves.
                let (failure, until) = (failed.failure.clone(), self.before_emergency(failed.until));
                let profile = self.entry.profile.clone();
                Err(self.wait(Reason::ProfileUnread { profile, failure, until }, until))
            }
            _ => {
                let profile = self.entry.profile.clone();
                let reason = Reason::ReadingProfile { profile: profile.clone(), cause: cause.clone() };
                Err(self.act(Action::ReadProfile(profile), reason))
            }
        }
    }

    /// Whether there is no newer reading to be had, and reason enough to go by the last one: the emergency stage, or the
    /// operator's word.
    fn last_reading_serves(&self, failure: Option<&FailedRead>) -> bool {
        let failed = failure.filter(|failed| failed.until > self.now);
        let is_urgent = || self.schedule().is_none_or(|schedule| schedule.emergency_at <= self.now);
        let is_outage = || failed.is_some_and(|failed| failed.failure.class.scope() == Scope::Outage);
        let is_asked = || self.record.renewal_asked.is_some() && is_outage();
        ((self.global.api_is_blocked || failed.is_some()) && is_urgent()) || is_asked()
    }

    /// What does not fit is waited for, and the profile read again before the wait outlasts its use.
    fn unfit(&self, failure: Failure, cause: &Cause) -> Choice {
        let fresh_until = self.reading.read_at.map(|at| self.bounded(at, self.after(at, PROFILE_FRESH)));
        let retry_at = self.reading.failure.as_ref().map(|failed| self.before_emergency(failed.until));
        let until = fresh_until.max(retry_at).unwrap_or(self.now);
        if until <= self.now {
            let profile = self.entry.profile.clone();
            let reason = Reason::ReadingProfile { profile: profile.clone(), cause: cause.clone() };
            return self.act(Action::ReadProfile(profile), reason);
        }
        let until = until.max(self.now + RECHECK);
        self.wait(Reason::Unfit { failure, until }, until)
    }

    /// POST certificate where duplicates are allowed or nothing valid is there to renew; else POST renew.
    fn method(&self, profile: &Profile) -> Method {
        let renewable = self
            .observed
            .installed()
            .filter(|installed| {
                installed.not_after > self.now && !self.is_revoked(installed) && installed.differs.is_none()
            })
            .filter(|installed| !self.is_of_other_profile(installed));
        // What TLM would not renew, and whose state it does not tell, may be revoked.
        let is_hopeless = |installed: &&Installed| {
            let refused = self.record.already_renewed.as_deref();
            refused.is_some_and(|(serial, at)| serial.same(&installed.serial_number) && self.is_state_untold(*at))
        };
        let renew = match self.entry.request_method {
            _ if self.record.reissue => None,
            RequestMethod::New => None,
            RequestMethod::Renew => renewable,
            RequestMethod::Auto => {
                renewable.filter(|_| !profile.allows_duplicates).filter(|installed| !is_hopeless(installed))
            }
        };
        renew.map_or(Method::New, |installed| Method::Renew {
            serial_number: installed.serial_number.clone(),
            fingerprint: installed.fingerprint,
        })
    }

    /// Nothing is due: look at the state at TLM now and then, and wait.
    fn keep(&self, schedule: Option<&Schedule>) -> Choice {
        let (Some(installed), Some(schedule)) = (self.observed.installed(), schedule) else {
            return self.wait(Reason::Due(Cause::Absent), self.now);
        };
        let retry_at = self.reading.failure.as_ref().map(|failed| failed.until);
        let not_found =
            |failed: &&FailedRead| failed.failure.class.scope() == Scope::Profile && failed.until > self.now;
        if let Some(failed) = self.reading.failure.as_ref().filter(not_found).filter(|_| self.is_unknown(installed)) {
            let (profile, failure) = (self.entry.profile.clone(), failed.failure.clone());
            return self.wait(Reason::ProfileUnread { profile, failure, until: failed.until }, failed.until);
        }
        let reason = if self.is_unknown(installed) {
            Reason::ProfileUnknown { profile: self.entry.profile.clone(), until: retry_at }
        } else {
            Reason::NotDue { renew_at: schedule.renew_at, window: schedule.window }
        };
        // While the API is asked nothing, that look waits, and neither reason nor probe waits for it.
        let check_at = self.check_at(installed).filter(|_| !self.global.api_is_blocked);
        if check_at.is_some_and(|at| at <= self.now) {
            return self.act(Action::CheckStatus(installed.serial_number.clone()), reason);
        }
        if installed.not_before > self.now + SMALL_STEP {
            let from = installed.not_before;
            return self.wait(Reason::InstalledEarly(from), from.min(self.now + LONGEST_WAIT));
        }
        let wake_at = schedule.renew_at.min(check_at.unwrap_or(schedule.renew_at)).min(self.now + LONGEST_WAIT);
        self.wait(reason, wake_at)
    }

    /// When the state at TLM is looked at next: spread over the interval by the fingerprint, from the start of the
    /// validity on.
    fn check_at(&self, installed: &Installed) -> Option<Timestamp> {
        let interval = self.global.status_check_interval.filter(|_| self.global.can_check)?;
        let checked =
            self.record.checked.as_deref().filter(|checked| checked.serial_number.same(&installed.serial_number));
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
        let spread = Duration::from_millis(installed.fingerprint.prefix() % millis);
        let due = checked.map_or(installed.not_before + spread, |checked| self.after(checked.at, interval));
        Some(self.record.status_unread_at.map_or(due, |at| due.max(self.after(at, STATUS_RETRY))))
    }

    /// The end of a wait that began at `at`. An instant that lies ahead is from before the clock was set back: the
    /// wait is over, or it would last until the clock has caught up (promise 12).
    fn after(&self, at: Timestamp, wait: Duration) -> Timestamp {
        if at > self.now + SMALL_STEP { self.now } else { at + wait }
    }

    fn left(&self) -> Option<Duration> {
        self.left_at(self.now)
    }

    /// What was left of the validity at an instant; `None` where nothing valid is installed.
    fn left_at(&self, at: Timestamp) -> Option<Duration> {
        self.observed.installed().map(|installed| installed.ends_at().since(at)).filter(|left| !left.is_zero())
    }

    fn wait(&self, reason: Reason, until: Timestamp) -> Choice {
        Box::new((Action::Wait, reason, until))
    }

    /// Acts now; should nothing come of it, decides again in a minute.
    fn act(&self, action: Action, reason: Reason) -> Choice {
        Box::new((action, reason, self.now + RECHECK))
    }
}

mod action;
mod deploy;
mod fallback;
mod hold;
mod stopped;
mod superseded;
#[cfg(test)]
mod tests;
mod under_way;
mod waits;

const SMALL_STEP: Duration = Duration::from_secs(60);
const RECHECK: Duration = Duration::from_secs(60);
const FIRST_LOOK: Duration = Duration::from_secs(5);
const LOOK_UP_SPAN: Duration = Duration::from_secs(600);
const PROFILE_FRESH: Duration = Duration::from_secs(3600);
const STATUS_RETRY: Duration = Duration::from_secs(3600);
/// So often, over so long, TLM may fail to give what is missing of a certificate that it issued; near the end less often.
const MANY_TRIES: u32 = 6;
const FEW_TRIES: u32 = 3;
const TRIES_SPAN: Duration = Duration::from_secs(3600);
const AFTER_GATE: Duration = Duration::from_secs(86_400);
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);
