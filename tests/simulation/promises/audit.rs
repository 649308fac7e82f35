//! The promises that need a regular look: what ought to happen does, in its time.

use renewd::core::event::Event;
use renewd::core::name::{CertName, HookName};
use renewd::core::reason::{Reason, State};
use renewd::core::time::Timestamp;
use renewd::engine::report::conditions::conditions;

use crate::host::HookMood;
use crate::world::World;

use super::{A_DAY_AND_MORE, DAY, HOOK_PATIENCE, SLACK, TWO_HOURS};

impl World {
    /// Promises 5, 6, 8 and 11: what ought to happen does, in its time.
    pub(crate) fn audit(&mut self) {
        for name in self.names() {
            self.audit_one(&name);
            self.audit_edit(&name);
            self.audit_stay(&name);
            self.audit_reason(&name);
            self.audit_test(&name);
        }
        self.audit_news();
    }

    /// Whatever makes the status unhealthy is something that somebody is told of.
    fn audit_news(&mut self) {
        let wall = self.wall();
        let Some(engine) = self.daemon.as_ref().map(|daemon| &daemon.engine) else { return };
        let status = engine.status_with(Vec::<()>::new(), wall);
        let certificates: Vec<_> = engine.with_readings(engine.fleet().needing_attention()).collect();
        if !status.healthy && conditions(&engine.facts(wall), &certificates).is_empty() {
            self.breaks(9, format!("unhealthy, and nobody would be told: {:?}", status.problems));
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
}
