//! Holds at the operator's word: put on, taken back, and asked after by what is under way.

use std::collections::BTreeSet;

use crate::core::decide::Action;
use crate::core::event::{self, Event};
use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::time::Timestamp;

use super::Engine;
use super::io::{Asker, Now, Step};
use super::managed::Managed;

/// What `renewd hold` orders.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldOrder {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: Option<Text>,
    /// Whether not even an emergency ends it.
    pub even_emergency: bool,
}

impl HoldOrder {
    /// What goes on record.
    #[must_use]
    pub fn event(&self) -> Event {
        let Self { until, why, even_emergency } = self;
        Event::HoldBegun { until: *until, why: why.clone(), even_emergency: *even_emergency }
    }
}

impl Engine {
    /// Puts certificates on hold, or all if none is named: how many.
    ///
    /// # Errors
    ///
    /// The names that the inventory does not have; then nothing is held.
    pub fn hold(&mut self, names: &[CertName], order: &HoldOrder, now: Now) -> Result<usize, Vec<CertName>> {
        let names = self.meant(names)?;
        self.record(&names, &order.event(), now);
        Ok(names.len())
    }

    /// Takes the holds of certificates back, or of all if none is named: of which there was one.
    ///
    /// # Errors
    ///
    /// The names that the inventory does not have; then nothing is released.
    pub fn release(&mut self, names: &[CertName], now: Now) -> Result<BTreeSet<CertName>, Vec<CertName>> {
        let mut names = self.meant(names)?;
        names.retain(|name| self.fleet.one(name).is_some_and(|managed| managed.record.has_hold(now.wall)));
        self.record(&names, &Event::HoldReleased, now);
        Ok(names)
    }

    /// Whether what was decided for a certificate may still be done. One that is no longer in the inventory is finished.
    #[must_use]
    pub fn may(&self, name: &CertName, step: Step, now: Timestamp) -> bool {
        self.fleet.one(name).is_none_or(|managed| managed.may(step, &self.profiles, &self.global, now))
    }

    /// Whether a request that waits for its turn is not to leave any more.
    pub(super) fn is_put_off(&self, asker: &Asker, now: Timestamp) -> bool {
        let Asker::Certificate(name) = asker else { return false };
        let submits = |managed: &Managed| matches!(managed.decision().action, Action::Submit(_));
        self.fleet.one(name).is_some_and(submits) && !self.may(name, Step::Ask, now)
    }

    fn meant(&self, names: &[CertName]) -> Result<BTreeSet<CertName>, Vec<CertName>> {
        let unknown: Vec<CertName> = names.iter().filter(|name| self.fleet.one(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(if names.is_empty() { self.fleet.names().cloned().collect() } else { names.iter().cloned().collect() })
    }

    fn record(&mut self, names: &BTreeSet<CertName>, event: &Event, now: Now) {
        let entry = |name: &CertName| event::Entry { at: now.wall, name: name.clone(), event: event.clone() };
        self.note(names.iter().map(entry).collect());
        names.iter().for_each(|name| self.decide(name, now));
    }
}
