//! The promises, each as a check with its number. They look at the true world, not at what the daemon believes.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd::core::decide::World as DecideWorld;
use renewd::core::event::{self, Event, Method};
use renewd::core::failure::{Accepted, Failure, FailureClass, Scope};
use renewd::core::name::{Attempt, CertName, Digest, Generation, HookName, ProfileRef, RequestId, SerialNumber};
use renewd::core::reason::{Reason, State};
use renewd::core::record::Stage;
use renewd::core::schedule::{self, Schedule};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::{health, invariant};
use renewd::engine::managed::Managed;

use crate::disk::Live;
use crate::host::HookMood;
use crate::tlm::{Endpoint, Fate, Mode, Weather};
use crate::world::World;

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
    /// Whether the last look-up failed, and when it was.
    looked: Option<(Timestamp, bool)>,
    /// Hooks that the live generation owes, since when.
    hooks: BTreeMap<HookName, (Generation, Timestamp)>,
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
    pub(crate) decisions: u64,
    pub(crate) submissions: u64,
    pub(crate) installs: u64,
    pub(crate) crashes: u64,
    pub(crate) faults: u64,
}

impl Ledger {
    pub(crate) fn looked(&mut self, name: &CertName, failed: bool) {
        let account = self.accounts.entry(name.clone()).or_default();
        account.looked = Some((Timestamp::default(), failed));
    }

    pub(crate) fn asked(&mut self, name: &CertName, now: Timestamp) {
        self.accounts.entry(name.clone()).or_default().asked.push(now);
    }

    /// Something changed: every wait for better times begins anew.
    pub(crate) fn disturb(&mut self, now: Timestamp) {
        for account in self.accounts.values_mut() {
            account.fine_since = account.fine_since.map(|_| now);
            account.calm_since = account.calm_since.map(|_| now);
            account.quiet_until = None;
        }
    }

    /// The journal is gone, and with it what the daemon can know of its requests.
    pub(crate) fn forget(&mut self) {
        for account in self.accounts.values_mut() {
            account.open.clear();
            account.delivered.clear();
            account.hooks.clear();
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
        let world = DecideWorld {
            entry: &managed.entry,
            observed: &managed.observed,
            reading: daemon.engine.profiles().reading(&managed.entry.profile),
            record: &managed.record,
            global: daemon.engine.global_state(),
            deploy: managed.deploy(wall),
            now: wall,
        };
        let breach = invariant::breaches(&world, &managed.decision()).into_iter().next();
        let is_notable =
            daemon.engine.fleet().needing_attention().any(|needing_attention| needing_attention.entry.name == *name);
        let profile = world.reading.profile.as_ref();
        let Managed { entry, observed, record, .. } = managed;
        let problem = health::problem(entry, observed, record, profile, &managed.decision(), wall);
        if let Some(breach) = breach {
            self.breaks(breach.promise, format!("{name}: {}", breach.what));
        }
        if let Some(code) = problem.filter(|_| !is_notable) {
            self.breaks(9, format!("{name}: {code}, and the headline does not see it"));
        }
        let account = self.ledger.account(name);
        if account.hour != hour {
            (account.hour, account.decisions, account.calls) = (hour, 0, 0);
        }
        account.decisions += 1;
        if account.decisions > MOST_DECISIONS {
            self.breaks(9, format!("{name}: {MOST_DECISIONS} decisions within an hour: it spins"));
        }
    }

    /// Promise 9: the API is not flooded for one certificate.
    pub(crate) fn check_call(&mut self, name: &CertName) {
        let account = self.ledger.account(name);
        account.calls += 1;
        if account.calls > MOST_CALLS {
            self.breaks(9, format!("{name}: {MOST_CALLS} requests within an hour"));
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
        let search_works = self.tlm.list().is_ok() && !self.tlm.search_forbidden && !self.tlm.parts.iter().any(of_part);
        let can_search = self.daemon.as_ref().is_some_and(|daemon| daemon.engine.global_state().can_search);
        if !search_works || !can_search || entry.reuse_key {
            return None;
        }
        // What became visible within the last seconds could not be seen by a look just before.
        let shown = self.tlm.shown(spki, self.now - Duration::from_secs(10))?;
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
        let justified = differs || revoked || asked || is_due || managed.record.attempts == 0;
        (!justified).then(|| format!("asks though it is not due before {}", schedule.renew_at))
    }

    /// Promise 12: nothing is submitted by a clock that the API's answers show to be wrong.
    fn clock_is_right(&self) -> Option<String> {
        let wrong = self.skew.unsigned_abs() > (SLACK + MINUTE).as_millis() as u64;
        (wrong && self.tlm.dates).then(|| format!("submits by a clock that is {} s ahead", self.skew / 1000))
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
        let now = self.now;
        let account = self.ledger.account(&entry.name);
        match &entry.event {
            Event::Pending { attempt, request_id, .. } => {
                account.open.insert(request_id.clone(), *attempt);
            }
            Event::Issued { attempt, serial_number } => {
                account.open.retain(|_, of| of != attempt);
                account.delivered.insert(*attempt, serial_number.clone());
            }
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
            }
            _ => {}
        }
        if self.is_told {
            self.tell_event(entry);
        }
        debug_assert!(now >= self.ledger.clock_set_at.unwrap_or(now));
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
        let known = account.hooks.values().any(|(of, _)| *of == generation);
        if !known {
            account.hooks = entry.hooks.iter().map(|hook| (hook.clone(), (generation, now))).collect();
        }
    }

    /// Promises 5, 6, 8 and 11: what ought to happen does, in its time.
    pub(crate) fn audit(&mut self) {
        for name in self.names() {
            self.audit_one(&name);
        }
    }

    fn audit_one(&mut self, name: &CertName) {
        let now = self.now;
        if self.inventory.get(name).is_some_and(|entry| !entry.probes.is_empty()) {
            self.audit_served(name);
        }
        if let Some(account) = self.ledger.accounts.get_mut(name)
            && account.hooks.is_empty()
            && account.quiet_until.is_some_and(|until| now < until)
        {
            (account.fine_since, account.calm_since) = (None, None);
            return;
        }
        let (fine, excused) = (self.is_fine(name), self.is_excused(name));
        let account = self.ledger.account(name);
        if !fine || account.fine_since.is_none() {
            let since = fine.then_some(now);
            (account.fine_since, account.calm_since) = (since, since.filter(|_| !excused));
            return;
        }
        self.audit_hooks(name);
        if let Some(what) = self.refused_by_a_wrong_count(name) {
            self.breaks(4, format!("{name}: {what}"));
        }
        let due_at = self.due_at(name);
        self.ledger.account(name).quiet_until = due_at.map_or_else(|| self.quiet_until(name), |_| None);
        let serial = self.disk.live.get(name).map(|live| live.certificate.serial.clone());
        let ends = self.disk.live.get(name).map(|live| live.certificate.not_after);
        let account = self.ledger.account(name);
        account.calm_since = if excused { None } else { account.calm_since.or(Some(now)) };
        let waited = |since: Option<Timestamp>| Some(now.since(since?.max(due_at?)));
        let (calm, long) = (waited(account.calm_since), waited(account.fine_since));
        if calm.is_some_and(|calm| calm >= TWO_HOURS) && ends.is_some_and(|ends| ends >= now) {
            account.promised.clone_from(&serial);
            let reason = self.reason(name);
            self.breaks(5, format!("{name}: due since {due_at:?}, two good hours unused: {reason}"));
        }
        if long.is_some_and(|long| long >= A_DAY_AND_MORE) && !self.is_stopped(name) {
            let reason = self.reason(name);
            self.breaks(11, format!("{name}: stuck for over a day: {reason}"));
        }
        let account = self.ledger.account(name);
        if serial.is_some() && account.promised == serial && ends.is_some_and(|ends| ends < now) {
            self.breaks(5, format!("{name}: ended though there were two good hours"));
        }
    }

    /// Promise 4, from the other side: what was certainly refused is not counted.
    fn refused_by_a_wrong_count(&self, name: &CertName) -> Option<String> {
        let managed = self.daemon.as_ref()?.engine.fleet().one(name)?;
        let Reason::BudgetSpent { limit, .. } = managed.decision().reason else { return None };
        if self.ledger.clock_set_at.is_some_and(|at| at + DAY * 15 > self.now) || self.history_lost() {
            return None;
        }
        let since = self.now - (DAY + SLACK);
        let mut sent: Vec<Timestamp> = Vec::new();
        let recent = self.disk.journal.iter().rev().take_while(|entry| entry.at > since - DAY);
        let of_name: Vec<_> = recent.filter(|entry| entry.name == *name).collect();
        for entry in of_name.into_iter().rev() {
            match &entry.event {
                Event::Submitting { .. } => sent.push(entry.at),
                Event::NotAccepted { .. } | Event::RefusalUnclear { .. } => drop(sent.pop()),
                _ => {}
            }
        }
        let counted = sent.iter().filter(|at| **at > since).count();
        (counted < limit as usize)
            .then(|| format!("{limit} are said to be spent, and {counted} may have been accepted"))
    }

    fn audit_hooks(&mut self, name: &CertName) {
        let now = self.now;
        let Some(account) = self.ledger.accounts.get(name).filter(|account| !account.hooks.is_empty()) else { return };
        let Some(since) = account.fine_since else { return };
        let entry = self.inventory.get(name);
        let works = |hook: &HookName| {
            entry.is_some_and(|entry| entry.hooks.contains(hook)) && self.hook_moods.get(hook) == Some(&HookMood::Fine)
        };
        let overdue =
            account.hooks.iter().find(|(hook, (_, at))| works(hook) && (*at).max(since) + HOOK_PATIENCE <= now);
        if let Some((hook, (generation, _))) = overdue {
            let what = format!("{name}: hook {hook} did not run for generation {generation}");
            self.breaks(6, what);
        }
    }

    /// Promise 7: what is not served is not called valid, once there was time for a look.
    fn audit_served(&mut self, name: &CertName) {
        let now = self.now;
        let can_look = !self.disk.unreadable && self.disk.fault.is_none() && self.asleep_until <= now;
        let managed = self.daemon.as_ref().filter(|_| can_look).and_then(|daemon| daemon.engine.fleet().one(name));
        let is_wrong = managed.is_some() && (self.silent || !self.is_served(name));
        let is_called_valid = managed.is_some_and(|managed| {
            !managed.is_busy()
                && managed.observed.installed().is_some()
                && managed.decision().reason.state() == State::Valid
        });
        let account = self.ledger.account(name);
        account.unserved_since = is_wrong.then(|| account.unserved_since.unwrap_or(now));
        if is_called_valid && account.unserved_since.is_some_and(|since| since + TWO_HOURS < now) {
            self.breaks(7, format!("{name}: called valid, and not served for two hours"));
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
        let tenth = live.certificate.not_after.since(live.certificate.not_before) / 10;
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
        // What was set aside before the journal was lost is not known to be.
        let is_known = |since: Timestamp| self.ledger.history_lost_at.is_none_or(|at| at < since);
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

    /// Since when the certificate ought to be replaced.
    fn due_at(&self, name: &CertName) -> Option<Timestamp> {
        let entry = self.inventory.get(name)?;
        let Some(live) = self.disk.live.get(name).filter(|live| !live.damaged) else {
            return Some(Timestamp::default());
        };
        let differs = live.manifest.as_ref().is_some_and(|(asked, _)| !entry.asks(asked));
        if differs {
            return Some(Timestamp::default());
        }
        if self.now < self.window_opens(name)? {
            return None;
        }
        let (schedule, _) = self.schedule(name)?;
        (schedule.renew_at <= self.now).then_some(schedule.renew_at)
    }

    fn window_opens(&self, name: &CertName) -> Option<Timestamp> {
        let (entry, certificate) = (self.inventory.get(name)?, &self.disk.live.get(name)?.certificate);
        let lifetime = certificate.not_after.since(certificate.not_before);
        Some(certificate.not_after - schedule::window(entry, self.profile_in_force(entry), lifetime))
    }

    /// Until when an audit of a certificate that is not due can find nothing.
    fn quiet_until(&self, name: &CertName) -> Option<Timestamp> {
        Some(self.window_opens(name)? - TWO_HOURS)
    }

    /// Whether nothing in the world stands against a renewal of this certificate.
    fn is_fine(&self, name: &CertName) -> bool {
        let Some(entry) = self.inventory.get(name) else { return false };
        let ProfileRef::Id(id) = &entry.profile else { return false };
        let Some(state) = self.tlm.profiles.get(id).filter(|_| !self.tlm.forbidden.contains(id)) else { return false };
        let Some(daemon) = &self.daemon else { return false };
        let fails = |endpoint| self.tlm.part_fails(endpoint, id, name);
        self.tlm.weather == Weather::Fine
            && self.tlm.refused_keys.contains(&false)
            && ![Endpoint::Profile, Endpoint::Create, Endpoint::PickUp].into_iter().any(fails)
            && self.tlm.lost_replies == 0
            && self.tlm.defects.is_empty()
            && !self.tlm.refused.contains(name)
            && state.mode == Mode::Immediate
            && state.profile.status == "Active"
            && self.disk.fault.is_none()
            && !self.disk.unreadable
            && self.skew.unsigned_abs() < MINUTE.as_millis() as u64 * 9
            && self.asleep_until <= self.now
            && daemon.engine.fleet().one(name).is_some()
            && daemon.engine.api().paused_until(self.wall()).is_none_or(|until| until.since(self.wall()) > DAY)
            && !self.tlm.open_requests(name).any(|(_, request)| match request.fate {
                Fate::Waits => true,
                Fate::Issues(at) => request.certificate.is_none() && at + MINUTE * 30 > self.now,
                Fate::Rejected | Fate::Forgotten => false,
            })
    }

    /// Whether the certificate waits for what the API, the operator or the budget imposed.
    fn is_excused(&self, name: &CertName) -> bool {
        let Some(managed) = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name)) else {
            return true;
        };
        if self.disk.live.get(name).is_none_or(|live| live.damaged) {
            // Promise 5 is about the time between `renew_at` and `not_after`.
            return true;
        }
        if managed.record.rolled_back.as_ref().is_some_and(|rolled_back| !rolled_back.forward) {
            return true;
        }
        let fails =
            |endpoint| matches!(&managed.entry.profile, ProfileRef::Id(id) if self.tlm.part_fails(endpoint, id, name));
        // What they alone can give is waited for, and done without after some hours.
        if [Endpoint::Search, Endpoint::Details, Endpoint::Formats].into_iter().any(fails) {
            return true;
        }
        match &managed.decision().reason {
            Reason::TooEarly { .. }
            | Reason::ClosedWindow { .. }
            | Reason::BudgetSpent { .. }
            | Reason::Stopped { .. }
            | Reason::Pending { .. }
            | Reason::NotYetValid(_)
            | Reason::DiskTrouble { .. } => true,
            // A journal from a time when the clock was ahead, and no `Date` to say which of the two is right.
            Reason::ClockWrong { .. } => !self.tlm.dates,
            Reason::Held { until, .. } => until.is_some_and(|until| until > self.wall()),
            Reason::BackOff { failure, .. } | Reason::ProfileUnread { failure, .. } => {
                failure.retry.is_some() || !matches!(failure.class.scope(), Scope::Outage | Scope::Key)
            }
            _ => false,
        }
    }

    /// Whether only the operator, or the end of the old certificate, can end the wait.
    fn is_stopped(&self, name: &CertName) -> bool {
        let Some(managed) = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name)) else {
            return true;
        };
        let refused = managed.record.trouble.last.as_deref().is_some_and(|(failure, _)| {
            matches!(failure.class, FailureClass::DuplicateRefused | FailureClass::AlreadyRenewed)
        });
        let set_aside = managed.record.rolled_back.as_ref().is_some_and(|rolled_back| !rolled_back.forward);
        match &managed.decision().reason {
            // As long as the hook fails on the newer one; the operator's word holds until he takes it back.
            _ if refused || set_aside => true,
            Reason::Stopped { failure, until } => {
                failure.class != FailureClass::GateRefused && until.is_none_or(|until| until > self.wall())
            }
            Reason::TooEarly { until, .. } => *until > self.wall(),
            Reason::ClosedWindow { opens, .. } => {
                opens.is_some_and(|opens| opens + SLACK > self.wall() && opens.since(self.wall()) <= DAY)
            }
            Reason::ClockWrong { .. } => !self.tlm.dates,
            Reason::Held { until, .. } => until.is_some_and(|until| until > self.wall()),
            // Submissions by a clock that was ahead, and that no `Date` showed to be wrong, count when they come to pass.
            Reason::BudgetSpent { .. } => self.ledger.clock_set_at.is_some_and(|at| at + DAY * 15 > self.now),
            _ => false,
        }
    }

    fn reason(&self, name: &CertName) -> String {
        let managed = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name));
        managed.map_or_else(String::new, |managed| {
            let stage = managed.record.request.as_ref().map(|request| match &request.stage {
                Stage::Prepared => "prepared",
                Stage::Submitted { .. } => "submitted",
                Stage::Pending { .. } => "pending",
                Stage::Issued { .. } => "issued",
                Stage::Held { .. } => "held",
            });
            let (action, reason) = (managed.decision().action.as_str(), &managed.decision().reason);
            let busy = if managed.is_busy() { "busy, " } else { "" };
            format!("{busy}{action}, {reason} (request {})", stage.unwrap_or("none"))
        })
    }
}

/// An event as the log of a run shows it.
pub(crate) fn shown(event: &Event) -> String {
    match event {
        Event::Submitting { attempt, .. } => format!("intends request {attempt}"),
        Event::NotAccepted { failure, .. } | Event::RefusalUnclear { failure, .. } => {
            format!("not accepted: {failure}")
        }
        Event::AnswerLost { failure, .. } => format!("answer lost: {failure}"),
        Event::LookedUp { .. } => "looked up: nothing".to_owned(),
        Event::Pending { request_id, .. } => format!("pending as {request_id}"),
        Event::Polled { .. } => "polled".to_owned(),
        Event::PickupUnknown { failure, .. } => format!("pickup: {failure}"),
        Event::Issued { serial_number, .. } => format!("issued as {serial_number}"),
        Event::Held { why, .. } => format!("held: {why}"),
        Event::Waits { until, .. } => format!("waits until {until}"),
        Event::GateRefused { why, .. } => {
            format!("refused by the gate: {}", why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
        Event::Rejected { why, .. } => format!("rejected: {why}"),
        Event::Abandoned { attempt } => format!("request {attempt} given up"),
        Event::KeyForgotten { attempt } => format!("key of request {attempt} removed"),
        Event::Installed { generation, serial_number, .. } => format!("installed {serial_number} as {generation}"),
        Event::Repaired => "repaired".to_owned(),
        Event::ChainRefreshed { generation, .. } => format!("chain refreshed as {generation}"),
        Event::ChainKept { .. } => "the chain stays".to_owned(),
        Event::Adopted { generation, serial_number, .. } => format!("{serial_number} taken over as {generation}"),
        Event::HookDone { hook, generation, .. } => format!("hook {hook} ran for {generation}"),
        Event::HookBegun { hook, generation } => format!("hook {hook} starts for {generation}"),
        Event::HookFailed { hook, failure, .. } => format!("hook {hook} failed: {failure}"),
        Event::Failed { failure } => format!("failed: {failure}"),
        Event::StatusChecked { revoked, .. } => format!("revoked at TLM: {revoked}"),
        Event::StatusUnread => "its state at TLM could not be read".to_owned(),
        Event::Probed { .. } => "what is served is looked at".to_owned(),
        Event::HooksAgain { .. } => "the hooks are owed once more".to_owned(),
        Event::RolledBack { to, .. } => format!("generation {to} is live again"),
        Event::RollbackRefused { .. } => "there is no way back".to_owned(),
        Event::Forward { generation, .. } => format!("generation {generation} is tried again"),
        Event::RenewalAsked { .. } => "the operator asks for a replacement".to_owned(),
        Event::LeftInventory => "let go".to_owned(),
        Event::Unknown => "unknown".to_owned(),
    }
}

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
