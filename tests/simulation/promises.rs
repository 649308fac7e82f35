//! The promises, each as a check with its number. They look at the true world, not at what the daemon believes.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd::core::code::Code;
use renewd::core::decide::World as DecideWorld;
use renewd::core::event::{self, Event, HookStep, Method, RollbackBy};
use renewd::core::failure::{Accepted, Failure, FailureClass};
use renewd::core::name::{Attempt, CertName, Digest, Generation, HookName, RequestId, SerialNumber};
use renewd::core::schedule::Schedule;
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::{health, invariant};
use renewd::engine::calendar;
use renewd::engine::managed::Managed;

use crate::disk::Live;
use crate::tlm::{Certificate, Endpoint, Fate, Listing, Weather};
use crate::world::World;

mod audit;
mod fair;
mod operator;
mod shown;
mod stages;
mod waits;

use operator::Untested;
use shown::shown;
use stages::{Edit, Stay};
use waits::Untrue;

/// What the checks keep of one certificate.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Submissions that TLM may have accepted, by the true clock.
    sends: Vec<Timestamp>,
    /// When the operator asked for a replacement.
    asked: Vec<Timestamp>,
    /// Since when nothing stands against a renewal.
    fine_since: Option<Timestamp>,
    /// The same, without the waits that the API, the operator or the budget imposed.
    calm_since: Option<Timestamp>,
    /// Nothing will be due before, unless something happens: until then there is nothing to look at.
    quiet_until: Option<Timestamp>,
    /// The certificate that had two good hours, so that it must not end in place.
    promised: Option<SerialNumber>,
    /// Decisions and calls within the hour.
    hour: i64,
    decisions: u32,
    calls: u32,
    /// Whether a failure within the hour named an instant to come back at.
    is_hinted: bool,
    /// Whether the last look-up failed, and when it was.
    looked: Option<(Timestamp, bool)>,
    /// Hooks that the live generation owes, since when.
    hooks: BTreeMap<HookName, (Generation, Timestamp)>,
    /// The generation that each hook ran for, where it ran for no other since.
    shown: BTreeMap<HookName, Generation>,
    /// Since when the server shows something else than what is installed, where it could be known.
    unserved_since: Option<Timestamp>,
    /// How often the hooks of this generation were owed once more.
    repeats: Option<(Generation, u32)>,
    /// Requests that TLM told us of and that were neither ended nor given up.
    open: BTreeMap<RequestId, Attempt>,
    /// What TLM delivered: the request and its serial number, until installed, refused or given up.
    delivered: BTreeMap<Attempt, SerialNumber>,
    /// The last send on its way: not answered yet.
    sending: bool,
    /// When what is live went live.
    live_since: Option<Timestamp>,
    /// How long it stands where it stands.
    stay: Stay,
    /// Since when its reason names what is not so.
    untrue: Untrue,
    /// The last edit of its entry, while its first try is waited for.
    edit: Option<Edit>,
    /// When a hold was last taken back, and with it the operator's way back to an older generation.
    released_at: Option<Timestamp>,
    /// When its entry was last edited.
    edited_at: Option<Timestamp>,
    /// The generation whose test failed, while it is live.
    untested: Untested,
    /// The generation that stays live whatever its hooks say.
    stays: Option<Generation>,
}

/// What the checks keep.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accounts: BTreeMap<CertName, Account>,
    /// Requests that were made for no certificate within the hour, by what for.
    errands: BTreeMap<String, (i64, u32)>,
    /// When somebody removed the journal or keys: what those knew is excused.
    pub(crate) history_lost_at: Option<Timestamp>,
    /// When the clock was last set.
    pub(crate) clock_set_at: Option<Timestamp>,
    /// When something last happened.
    disturbed_at: Option<Timestamp>,
    pub(crate) decisions: u64,
    pub(crate) submissions: u64,
    pub(crate) installs: u64,
    pub(crate) crashes: u64,
    pub(crate) faults: u64,
}

impl Ledger {
    /// When what is live went live.
    pub(crate) fn live_since(&self, name: &CertName) -> Option<Timestamp> {
        self.accounts.get(name)?.live_since
    }

    pub(crate) fn looked(&mut self, name: &CertName, failed: bool) {
        let account = self.accounts.entry(name.clone()).or_default();
        account.looked = Some((Timestamp::default(), failed));
    }

    pub(crate) fn asked(&mut self, name: &CertName, now: Timestamp) {
        self.accounts.entry(name.clone()).or_default().asked.push(now);
    }

    pub(crate) fn released(&mut self, name: &CertName, now: Timestamp) {
        self.account(name).released_at = Some(now);
    }

    /// Something changed: every wait for better times begins anew.
    pub(crate) fn disturb(&mut self, now: Timestamp) {
        self.disturbed_at = Some(now);
        for account in self.accounts.values_mut() {
            account.fine_since = account.fine_since.map(|_| now);
            account.calm_since = account.calm_since.map(|_| now);
            account.quiet_until = None;
            account.untrue = None;
        }
    }

    /// The journal is gone, and with it what the daemon can know of its requests.
    pub(crate) fn forget(&mut self) {
        for account in self.accounts.values_mut() {
            account.open.clear();
            account.delivered.clear();
            account.hooks.clear();
            (account.untested, account.stays) = (None, None);
        }
    }

    fn account(&mut self, name: &CertName) -> &mut Account {
        self.accounts.entry(name.clone()).or_default()
    }
}

impl World {
    /// Promises 3, 4, 6, 9 and 12, as far as one decision can break them; and that the loop does not spin.
    pub(crate) fn check_decision(&mut self, name: &CertName) {
        let wall = self.wall();
        let hour = self.now.millis() / 3_600_000;
        self.ledger.decisions += 1;
        let Some(daemon) = &self.daemon else { return };
        let Some(managed) = daemon.engine.fleet().one(name) else { return };
        let entry = managed.asked_entry();
        let world = DecideWorld {
            entry: &entry,
            observed: &managed.observed,
            reading: daemon.engine.profiles().reading(&entry.profile),
            record: &managed.record,
            other: None,
            global: daemon.engine.global_state(),
            deploy: managed.deploy(&daemon.engine.global_state().freezes, wall),
            ask: calendar::deploy(managed.entry.request_window.as_deref(), wall),
            now: wall,
        };
        let breach = invariant::breaches(&world, &managed.decision()).into_iter().next();
        let profile = world.reading.profile.as_ref();
        let in_vain = self.wait_in_vain(managed);
        let Managed { entry, observed, record, .. } = managed;
        let is_overlooked = |_: &Code| !daemon.engine.fleet().needing_attention().any(|one| one.entry.name == *name);
        let problem =
            health::problem(entry, observed, record, profile, &managed.decision(), wall).filter(is_overlooked);
        if let Some(breach) = breach {
            self.breaks(breach.promise, format!("{name}: {}", breach.what));
        }
        if let Some(code) = problem {
            self.breaks(9, format!("{name}: {code}, and the headline does not see it"));
        }
        if let Some(what) = in_vain {
            self.breaks(9, format!("{name}: {what}"));
        }
        let pace = self.pace(name);
        let account = self.ledger.account(name);
        if account.hour != hour {
            (account.hour, account.decisions, account.calls, account.is_hinted) = (hour, 0, 0, false);
        }
        account.decisions += 1;
        let most = MOST_DECISIONS * pace;
        if account.decisions > most {
            self.breaks(9, format!("{name}: {most} decisions within an hour: it spins"));
        }
    }

    /// How much more often than others a certificate may be worked on: one of minutes has a minute for each step.
    fn pace(&self, name: &CertName) -> u32 {
        let live = self.disk.live.get(name).filter(|live| !live.damaged && !self.disk.unreadable);
        let is_short = live.is_some_and(|live| live.certificate.lifetime() < TWO_HOURS);
        if is_short && self.inventory.contains_key(name) { 4 } else { 1 }
    }

    /// Promise 9: the API is not flooded for one certificate.
    pub(crate) fn check_call(&mut self, name: &CertName) {
        let managed = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name));
        let trouble = managed.and_then(|managed| managed.record.trouble.last.as_deref());
        let (is_hinted, pace) = (trouble.is_some_and(|(failure, _)| failure.retry.is_some()), self.pace(name));
        let account = self.ledger.account(name);
        account.calls += 1;
        account.is_hinted |= is_hinted;
        // Each try after a short `Retry-After` may be looked up before, whatever the last one of the hour brought.
        let most = MOST_CALLS * pace * if account.is_hinted { 2 } else { 1 };
        if account.calls > most {
            self.breaks(9, format!("{name}: {most} requests within an hour"));
        }
    }

    /// Promise 9: nor for no certificate at all.
    pub(crate) fn check_errand(&mut self, what: String) {
        let hour = self.now.millis() / 3_600_000;
        let (of, count) = self.ledger.errands.entry(what.clone()).or_default();
        if *of != hour {
            (*of, *count) = (hour, 0);
        }
        *count += 1;
        if *count > MOST_CALLS {
            self.breaks(9, format!("{MOST_CALLS} requests within an hour: {what}"));
        }
    }

    /// Promises 3, 4, 6, 12 and 13, at the moment when a request leaves.
    pub(crate) fn check_send(&mut self, name: &CertName, spki: Digest, method: &Method) {
        self.ledger.submissions += 1;
        let how = if *method == Method::New { "a new one" } else { "the renewal" };
        self.tell(|| format!("{name} asks for {how}"));
        let found = [
            self.intent_is_durable(name, spki).map(|what| (3, what)),
            self.nothing_else_in_flight(name).map(|what| (3, what)),
            self.not_issued_before(name, spki).map(|what| (3, what)),
            self.within_budget(name).map(|what| (4, what)),
            self.justified(name).map(|what| (12, what)),
            self.no_reissue_of_the_set_aside(name).map(|what| (6, what)),
            self.clock_is_right().map(|what| (12, what)),
            self.nothing_wasted(name).map(|what| (13, what)),
        ];
        for (promise, what) in found.into_iter().flatten() {
            self.breaks(promise, format!("{name}: {what}"));
        }
        let now = self.now;
        let account = self.ledger.account(name);
        account.sends.push(now);
        account.sends.retain(|at| *at + DAY * 3 > now);
        account.sending = true;
    }

    /// What came of it: what was certainly refused does not count.
    pub(crate) fn check_sent(&mut self, name: &CertName, failure: Option<&Failure>) {
        let account = self.ledger.account(name);
        account.sending = false;
        if failure.is_some_and(|failure| failure.accepted == Accepted::No) {
            account.sends.pop();
        }
        let line = failure.map_or_else(|| "accepted".to_owned(), ToString::to_string);
        self.tell(|| format!("{name} sent: {line}"));
    }

    /// Promise 3: key, CSR and intent are on the disk before the request leaves.
    fn intent_is_durable(&self, name: &CertName, spki: Digest) -> Option<String> {
        let intent = self.disk.journal.iter().rev().find_map(|entry| match &entry.event {
            Event::Submitting { attempt, spki, .. } if entry.name == *name => Some((*attempt, *spki)),
            _ => None,
        });
        let Some((attempt, of_journal)) = intent else { return Some("a request without intent".to_owned()) };
        if of_journal != spki {
            return Some("the journal knows another key than the request has".to_owned());
        }
        let key = self.disk.pending.get(&(name.clone(), attempt)).map(|pending| pending.spki);
        (key != Some(spki) && !self.history_lost()).then(|| "a request whose key is not on the disk".to_owned())
    }

    /// Promise 3: at most one request in flight. What was lost unseen, or is no longer wanted, does not count.
    fn nothing_else_in_flight(&self, name: &CertName) -> Option<String> {
        let account = self.ledger.accounts.get(name)?;
        let still_open = |id: &&RequestId| {
            self.tlm.requests.get(*id).is_some_and(|request| matches!(request.fate, Fate::Waits | Fate::Issues(_)))
        };
        let id = account.open.keys().find(still_open)?;
        Some(format!("a request while {id} is pending at TLM"))
    }

    /// Promise 3: a request is repeated only after search did not show its certificate.
    fn not_issued_before(&self, name: &CertName, spki: Digest) -> Option<String> {
        let entry = self.inventory.get(name)?;
        let of_part = |part: &crate::tlm::Part| part.endpoint == Endpoint::Search;
        let profile = self.asked_profile(name)?;
        let shows = match self.tlm.odd.listing {
            Listing::Whole => true,
            // What comes without its content has to be fetched.
            Listing::Bare => !self.tlm.part_fails(Endpoint::Details, profile, name),
            Listing::OneFails(_) | Listing::Silent => false,
        };
        let search_works =
            shows && self.tlm.list().is_ok() && !self.tlm.search_forbidden && !self.tlm.parts.iter().any(of_part);
        let can_search = self.daemon.as_ref().is_some_and(|daemon| daemon.engine.global_state().can_search);
        if !search_works || !can_search || entry.reuse_key {
            return None;
        }
        // What became visible within the last seconds could not be seen by a look just before.
        let shown = self.tlm.shown(spki, self.now - Duration::from_secs(10))?;
        // By a clock of TLM's that is a day behind it began before it was asked for, and is not searched for.
        let request = self.daemon.as_ref()?.engine.fleet().one(name)?.record.request.as_deref();
        if request.is_some_and(|request| shown.not_before < request.first_sent - DAY) {
            return None;
        }
        Some(format!("asks again though search shows {} with the same key", shown.serial))
    }

    /// Promise 4: by the true clock, whatever crashed in between.
    fn within_budget(&self, name: &CertName) -> Option<String> {
        let since = self.now - (DAY - SLACK);
        let recent = |at: &&Timestamp| **at > since;
        let is_excused = |at: Option<Timestamp>| at.is_some_and(|at| at + DAY * 2 > self.now);
        if is_excused(self.ledger.history_lost_at) || is_excused(self.ledger.clock_set_at) {
            return None;
        }
        // What the operator took away may be asked for until renewd has noticed, by a measure that is not known here.
        self.inventory.get(name)?;
        let account = self.ledger.accounts.get(name)?;
        let used = account.sends.iter().filter(recent).count();
        let asked = account.asked.iter().filter(|at| **at + DAY * 2 > self.now).count();
        let limit = self.limit(name) + asked;
        (used >= limit).then(|| format!("submission {} of a day; {limit} are allowed", used + 1))
    }

    fn limit(&self, name: &CertName) -> usize {
        let needed = self.schedule(name).map_or(0, |(schedule, lifetime)| {
            let interval = lifetime.saturating_sub(schedule.window).as_millis().max(1);
            ((DAY * 3).as_millis()).div_ceil(interval) as usize
        });
        needed.max(self.submissions_per_day as usize)
    }

    /// What governs the certificate that is truly live.
    fn schedule(&self, name: &CertName) -> Option<(Schedule, Duration)> {
        let entry = self.inventory.get(name)?;
        let observed = self.disk.observe(entry);
        let installed = observed.installed()?;
        let profile = self.profile_in_force(entry);
        Some((Schedule::of(entry, profile, installed), installed.lifetime()))
    }

    fn profile_in_force(&self, entry: &Entry) -> Option<&renewd::core::known::profile::Profile> {
        self.daemon.as_ref().and_then(|daemon| daemon.engine.profiles().reading(&entry.profile).profile.as_ref())
    }

    /// Promises 6 and 12: a certificate is replaced for a cause that is true by the true clock.
    fn justified(&self, name: &CertName) -> Option<String> {
        if !self.tlm.dates {
            // Without a `Date` the clock is unknown, not wrong.
            return None;
        }
        let daemon = self.daemon.as_ref()?;
        let managed = daemon.engine.fleet().one(name)?;
        let live = self.disk.live.get(name).filter(|live| !live.damaged)?;
        let differs = live.manifest.as_ref().is_none_or(|(asked, profile)| {
            let of_entry = self.profile_in_force(&managed.entry).map(|profile| &profile.id);
            !managed.entry.asks(asked) || of_entry != Some(profile)
        });
        let revoked = self.tlm.revoked.contains(&live.certificate.serial);
        let asked = managed.record.renewal_asked.is_some();
        let (schedule, _) = self.schedule(name)?;
        let is_due = schedule.renew_at <= self.now + SLACK;
        // What was begun for an entry that is changed in the same moment still leaves.
        let edited_at = self.ledger.accounts.get(name).and_then(|account| account.edited_at);
        let is_edited = edited_at.is_some_and(|at| at + Duration::from_secs(10) > self.now);
        let justified = differs || revoked || asked || is_due || is_edited || managed.record.attempts == 0;
        (!justified).then(|| format!("asks though it is not due before {}", schedule.renew_at))
    }

    /// Promise 12: nothing is submitted by a clock that the API's answers show to be wrong, or that they show to be
    /// right by TLM's own, which is.
    fn clock_is_right(&self) -> Option<String> {
        let ahead = self.skew - self.tlm.odd.clock;
        let wrong = ahead.unsigned_abs() > (SLACK + MINUTE).as_millis() as u64;
        // Before TLM told the time by a clock that was set, nobody could know; nor what is told once the intent is there.
        let is_told = self.tlm.odd.clock == 0 || self.tlm.odd.told_at.is_some_and(|at| at + SECOND < self.now);
        (wrong && is_told && self.tlm.dates).then(|| format!("submits by a clock that is {} s ahead", ahead / 1000))
    }

    /// Promise 1: what is installed was asked for here, whoever else has a certificate of the same name.
    pub(crate) fn check_own(&mut self, name: &CertName, attempt: Attempt, set: &Certificate) {
        let key = self.disk.pending.get(&(name.clone(), attempt)).map(|pending| pending.spki);
        if key != Some(set.spki) || self.tlm.odd.of_others.contains(&set.serial) {
            self.breaks(1, format!("{name}: installs {}, which is not its own", set.serial));
        }
    }

    /// Promise 13: what TLM delivered is used before anything else is asked for.
    fn nothing_wasted(&self, name: &CertName) -> Option<String> {
        if self.history_lost() {
            return None;
        }
        let account = self.ledger.accounts.get(name)?;
        let (attempt, serial) = account.delivered.iter().next()?;
        let key_is_there = self.disk.pending.contains_key(&(name.clone(), *attempt));
        key_is_there.then(|| format!("asks though {serial} was delivered and is not installed"))
    }

    /// Whether TLM works, but for the pickups of this certificate.
    fn pickups_fail(&self, name: &CertName) -> bool {
        let profile = self.asked_profile(name);
        self.tlm.weather == Weather::Fine && profile.is_some_and(|id| self.tlm.part_fails(Endpoint::PickUp, id, name))
    }

    fn history_lost(&self) -> bool {
        self.ledger.history_lost_at.is_some_and(|at| at + DAY > self.now)
    }

    /// Follows what the daemon learns.
    pub(crate) fn witness(&mut self, entry: &event::Entry) {
        if matches!(entry.event, Event::Installed { .. }) {
            self.ledger.installs += 1;
        }
        if let Event::HooksAgain { generation } = &entry.event {
            self.check_repeat(&entry.name, *generation);
        }
        self.check_veto(entry);
        self.follow_test(entry);
        let (now, pickups_fail) = (self.now, self.pickups_fail(&entry.name));
        let account = self.ledger.account(&entry.name);
        if let Some(edit) = &mut account.edit {
            edit.follow(entry, now);
        }
        match &entry.event {
            Event::Pending { attempt, request_id, .. } => {
                account.open.insert(request_id.clone(), *attempt);
            }
            // Whose pickups fail for good, nobody can tell from a request that TLM lost.
            Event::AnswerLost { attempt, .. } if pickups_fail => account.open.retain(|_, of| of != attempt),
            Event::Issued { attempt, serial_number } => {
                account.open.retain(|_, of| of != attempt);
                account.delivered.insert(*attempt, serial_number.clone());
            }
            // The other profile is asked in its place.
            Event::FellBack { .. } | Event::FallbackLeft => account.open.clear(),
            Event::Rejected { attempt, .. }
            | Event::Abandoned { attempt }
            | Event::GateRefused { attempt, .. }
            | Event::Installed { attempt, .. } => {
                account.open.retain(|_, of| of != attempt);
                account.delivered.remove(attempt);
                if matches!(entry.event, Event::GateRefused { .. }) {
                    // What TLM delivered was none: it is asked again in a day, and that is counted from here.
                    (account.fine_since, account.calm_since) = (None, None);
                }
            }
            Event::Failed { failure } if failure.class == FailureClass::KeyLost => {
                account.open.clear();
                account.delivered.clear();
            }
            Event::HookDone { hook, generation, .. } => {
                account.hooks.retain(|name, (of, _)| name != hook || of != generation);
                account.shown.insert(hook.clone(), *generation);
            }
            Event::HookFailed { hook, step: HookStep::Run, .. } => {
                account.shown.remove(hook);
            }
            // What never had the newer set need not be told of the older one.
            Event::RolledBack { to, by: RollbackBy::Hook, .. } => {
                let shown = &account.shown;
                account.hooks.retain(|name, (of, _)| of != to || shown.get(name) != Some(to));
            }
            _ => {}
        }
        if self.is_told {
            self.tell_event(entry);
        }
        assert!(now >= self.ledger.clock_set_at.unwrap_or(now));
    }

    fn tell_event(&mut self, entry: &event::Entry) {
        let note = match &entry.event {
            Event::Polled { .. } | Event::LookedUp { .. } | Event::StatusChecked { revoked: false, .. } => None,
            Event::Probed { .. } if !self.silent && self.is_served(&entry.name) => None,
            other => Some(format!("{} {}", entry.name, shown(other))),
        };
        if let Some(note) = note {
            self.tell(|| note);
        }
    }

    /// Promise 6: from here on its hooks are owed.
    pub(crate) fn went_live(&mut self, entry: &Entry, generation: Generation) {
        let now = self.now;
        let account = self.ledger.account(&entry.name);
        account.quiet_until = None;
        account.live_since = Some(now);
        let known = account.hooks.values().any(|(of, _)| *of == generation);
        if !known {
            account.hooks = entry.hooks.iter().map(|hook| (hook.clone(), (generation, now))).collect();
        }
    }

    /// An issued certificate is switched in at the hours that the entry names, unless the old one is about to end, has
    /// ended, is revoked, or is no good.
    pub(crate) fn check_window(&mut self, entry: &Entry, attempt: Attempt) {
        let of_day = self.wall().seconds().rem_euclid(86_400);
        if entry.deploy_window.is_none() || (WINDOW_OPENS..WINDOW_CLOSES).contains(&of_day) {
            return;
        }
        let (wall, name) = (self.wall(), &entry.name);
        let Some(live) = self.disk.live.get(name).filter(|live| !live.damaged && live.attempt != attempt) else {
            return;
        };
        let tenth = live.certificate.lifetime() / 10;
        let is_urgent = live.certificate.not_after - tenth <= wall;
        if !is_urgent && !self.tlm.revoked.contains(&live.certificate.serial) {
            self.breaks(6, format!("{name}: switched in outside its window"));
        }
    }

    /// Hooks are owed once more three times for a generation, and inside the window.
    fn check_repeat(&mut self, name: &CertName, generation: Generation) {
        let of_day = self.wall().seconds().rem_euclid(86_400);
        let has_window = self.inventory.get(name).is_some_and(|entry| entry.deploy_window.is_some());
        let account = self.ledger.account(name);
        let before = account.repeats.filter(|(of, _)| *of == generation).map_or(0, |(_, count)| count);
        account.repeats = Some((generation, before + 1));
        if before >= MOST_REPEATS {
            self.breaks(7, format!("{name}: hooks of generation {generation} for the fourth time"));
        }
        if has_window && !(WINDOW_OPENS..WINDOW_CLOSES).contains(&of_day) {
            self.breaks(7, format!("{name}: hooks once more outside the window"));
        }
    }

    /// Promise 6: a certificate that a rollback set aside is not asked for once more.
    fn no_reissue_of_the_set_aside(&self, name: &CertName) -> Option<String> {
        let (entry, live) = (self.inventory.get(name)?, self.disk.live.get(name)?);
        let managed = self.daemon.as_ref()?.engine.fleet().one(name)?;
        let (schedule, _) = self.schedule(name)?;
        let is_revoked = self.tlm.revoked.contains(&live.certificate.serial);
        let excused = is_revoked
            || managed.record.renewal_asked.is_some()
            || schedule.emergency_at <= self.now
            || self.ledger.clock_set_at.is_some_and(|at| at + DAY > self.now)
            || self.history_lost();
        // What was set aside before the journal was lost is not known to be, nor what was before a release.
        let released_at = self.ledger.accounts.get(name).and_then(|account| account.released_at);
        let is_known = |since: Timestamp| self.ledger.history_lost_at.max(released_at).is_none_or(|at| at < since);
        let set_aside = self.disk.others.get(name)?.iter().find(|other| {
            other.generation > live.generation
                && is_known(other.certificate.not_before)
                && !other.damaged
                && other.manifest.as_ref().is_some_and(|(asked, _)| entry.asks(asked))
        });
        let of_entry = live.manifest.as_ref().is_some_and(|(asked, _)| entry.asks(asked));
        set_aside
            .filter(|_| !excused && of_entry && self.is_of_profile(entry, live))
            .map(|other| format!("asks though generation {} is only set aside", other.generation))
    }

    fn is_of_profile(&self, entry: &Entry, live: &Live) -> bool {
        let wanted = self.profile_in_force(entry).map(|profile| &profile.id);
        live.manifest.as_ref().map(|(_, profile)| profile) == wanted
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Ten minutes either way are tolerated of a clock.
const SLACK: Duration = Duration::from_secs(1300);
const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);
const A_DAY_AND_MORE: Duration = Duration::from_secs(26 * 3600);
/// The longest step of a hook's ladder, and its run.
const HOOK_PATIENCE: Duration = Duration::from_secs(8 * 3600);
const MOST_REPEATS: u32 = 3;
/// The hours of the simulation's deploy windows, in seconds of the day.
const WINDOW_OPENS: i64 = 2 * 3600;
const WINDOW_CLOSES: i64 = 5 * 3600;
const MOST_DECISIONS: u32 = 240;
/// One a minute, which is what a short `Retry-After` leads to, and some.
const MOST_CALLS: u32 = 66;
