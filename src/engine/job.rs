//! An action that is to be performed: what it is about, and the protocol that says which effect comes next. Whoever performs
//! the effects decides nothing; what has to be judged between them is judged here.

use std::sync::Arc;
use std::time::Duration;

use crate::core::decide::Action;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::observed::Installed;
use crate::core::known::profile::Profile;
use crate::core::name::{Attempt, ProfileId, SerialNumber};
use crate::core::protocol::{Effect, Payload, Protocol};
use crate::core::record::Request;
use crate::core::remark::Remark;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::hook::Hook;

use super::io::{Now, Step};
use super::managed::Managed;

/// An action that is to be performed.
#[derive(Clone, Debug)]
pub struct Job {
    /// The entry that it is for.
    pub entry: Arc<Entry>,
    /// The profile, where it is known.
    pub profile: Option<Arc<Profile>>,
    /// What is installed.
    pub installed: Option<Installed>,
    /// The request under way.
    pub request: Option<Request>,
    /// The certificates that TLM revoked: no way back leads to one of them.
    pub revoked: Vec<SerialNumber>,
    /// The hooks that have a program to ask before a switch.
    pub before: Vec<Hook>,
    /// Whether it holds a place among the running requests.
    pub had_place: bool,
    /// Whether no probe has looked for what is installed yet.
    pub is_first_look: bool,
    /// That the fallback is asked, and why; noted of what it issues.
    pub of_fallback: Option<Remark>,
    action: Action,
    /// The profile that a request names, and its version.
    asks: (ProfileId, u64),
    /// When it was decided.
    began: Now,
}

impl Job {
    /// What there is to do `action` with.
    #[must_use]
    pub fn new(managed: &Managed, profile: Option<&Profile>, action: &Action, had_place: bool, now: Now) -> Self {
        let request = managed.record.request.as_deref().cloned();
        let of_request = request.as_ref().map(|request| (request.profile.clone(), request.profile_version));
        // The others write down no version, which takes a while to make.
        let names_profile = matches!(
            action,
            Action::Submit(_)
                | Action::LookUp(_)
                | Action::PickUp { .. }
                | Action::Install { .. }
                | Action::RefreshChain
        );
        let of_profile = profile.filter(|_| names_profile).map(|profile| (profile.id.clone(), profile.version()));
        let installed = managed.observed.installed();
        let looked_for = managed.record.probe.as_deref().map(|seen| seen.fingerprint);
        Self {
            is_first_look: installed.is_some_and(|installed| looked_for != Some(installed.fingerprint)),
            entry: managed.asked_entry(),
            profile: profile.cloned().map(Arc::new),
            installed: installed.cloned(),
            asks: of_profile.or(of_request).unwrap_or_else(|| (ProfileId("".into()), 0)),
            request,
            revoked: managed.record.revoked.clone(),
            before: Vec::new(),
            had_place,
            of_fallback: managed.asked_of_fallback(),
            action: action.clone(),
            began: now,
        }
    }

    /// The same, with hooks to ask before a switch. Nobody is asked of what is live already, and only to be finished.
    #[must_use]
    pub fn asking(mut self, hooks: Vec<Hook>) -> Self {
        let live = self.installed.as_ref().and_then(|installed| installed.attempt);
        let is_live = self.request.as_ref().is_some_and(|request| Some(request.attempt) == live);
        self.before = if is_live { Vec::new() } else { hooks };
        self
    }

    /// Whether its place is free from this effect on ([`super::Input::PlaceReturned`]): TLM is asked nothing more, and the
    /// operator's program may take its time (promise 8).
    pub fn frees_place<P: Payload>(&mut self, effect: &Effect<P>) -> bool {
        matches!(effect, Effect::AskBefore) && std::mem::take(&mut self.had_place)
    }

    /// What has to be allowed still before another set becomes live, and before a program is asked about that, since what
    /// came before took its time. What is live is only finished.
    #[must_use]
    pub fn needs<P: Payload>(&self, effect: &Effect<P>) -> Option<Step> {
        let leads_to_switch =
            matches!(effect, Effect::AskBefore | Effect::Install { .. } | Effect::RefreshChain | Effect::Switch(_));
        if !leads_to_switch {
            return None;
        }
        let live = self.installed.as_ref().map(|installed| installed.generation);
        if let Action::Forward { generation, .. } = &self.action {
            return (live != Some(*generation)).then_some(Step::Exchange);
        }
        Some(if matches!(self.action, Action::RefreshChain) { Step::Exchange } else { Step::Switch })
    }

    /// What it begins with; `None` for an action that has no effects.
    #[must_use]
    pub fn start<P: Payload>(&self) -> Option<(Protocol<P>, Effect<P>)> {
        let spki = self.request.as_ref().map(|request| request.spki);
        Protocol::start(&self.entry, self.asks.clone(), spki, !self.before.is_empty(), &self.action)
    }

    /// The decision to submit was made by the clock as it was then: a request that waited for its turn does not leave by
    /// another one, nor by one that was seen to be wrong meanwhile (promise 12).
    ///
    /// # Errors
    ///
    /// When the clock was set since, the machine slept, or the clock is wrong.
    pub fn check_clock(&self, may_be_right: bool, now: &Now) -> Result<(), Failure> {
        let (expected, now) = (self.began.expected(now), now.wall);
        let message = if now.distance(expected) > STEP {
            format!("nothing was sent: the clock was set, or the machine slept; {expected} became {now}")
        } else if may_be_right {
            return Ok(());
        } else {
            format!("nothing was sent: by the API's clock it is not {now}")
        };
        Err(Failure::new(FailureClass::ClockSet, message))
    }

    /// The end that what was issued has to outlive, if it has to outlive any: `expiring` is what the decision says, where
    /// it says something, else the record of the request counts.
    #[must_use]
    pub fn must_outlive(&self, attempt: Attempt, expiring: Option<bool>) -> Option<Timestamp> {
        let of_record = self.request.as_ref().is_some_and(|request| request.expiring);
        let renewed = self.installed.as_ref().filter(|_| expiring.unwrap_or(of_record));
        renewed.and_then(|installed| installed.to_outlive(attempt))
    }
}

/// So far the clocks may differ without anybody having set one.
pub(super) const STEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::example::bare;
    use crate::core::known::observed::Observed;
    use crate::core::record::Record;

    #[test]
    fn a_request_that_waited_for_its_turn_leaves_by_no_other_clock() {
        let at = |wall: i64, steady: u64| Now {
            wall: Timestamp::from_seconds(1_800_000_000 + wall),
            steady: Duration::from_secs(steady),
        };
        let managed = Managed::new(Arc::new(bare("www")), Observed::Absent, Record::default(), at(0, 0).wall);
        let job = Job::new(&managed, None, &Action::Wait, true, at(0, 0));
        for (wall, steady, is_fine) in
            [(7200, 7200, true), (7250, 7200, true), (7270, 7200, false), (7200, 10, false), (-7200, 10, false)]
        {
            assert_eq!(job.check_clock(true, &at(wall, steady)).is_ok(), is_fine, "{wall} {steady}");
            assert!(job.check_clock(false, &at(wall, steady)).is_err(), "nor by one that is wrong");
        }
    }
}
