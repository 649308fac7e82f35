//! What an operator puts off: holds and freezes, ordered through the daemon, or written down where none runs.

use std::time::Duration;

use renewd::config::Main;
use renewd::core::event::{self, Event};
use renewd::core::name::{CertName, HookName};
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::wanted::window::Freeze;
use renewd::engine::{HoldOrder, Input};

use crate::host::{Before, HookMood};
use crate::world::{Task, World};

/// A hold as the operator ordered it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
    pub(crate) even_emergency: bool,
    /// Whether it is on record; the process may have died before the disk took it.
    pub(crate) is_certain: bool,
}

/// What an operator orders that concerns more than one certificate.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    HoldAll(Option<Duration>),
    ReleaseAll,
    Freeze(Freeze),
    Thaw(Freeze),
    /// What the program of a hook answers before a switch.
    Before(HookName, Before),
    /// How a hook behaves from now on, for good.
    Mood(HookName, HookMood),
}

impl World {
    pub(crate) fn hold(&mut self, name: &CertName, lasts: Option<Duration>, even_emergency: bool) {
        let until = lasts.map(|lasts| self.wall() + lasts);
        let order = HoldOrder { until, why: Some(Text::new("a migration")), even_emergency };
        if self.give(name, Some(&order)) {
            let held = Held { since: self.now, until, even_emergency, is_certain: true };
            self.holds.insert(name.clone(), held);
            self.obeyed();
        }
    }

    pub(crate) fn release(&mut self, name: &CertName) {
        if self.give(name, None) {
            self.holds.remove(name);
            self.ledger.released(name, self.now);
            self.obeyed();
        }
    }

    /// Whether an order is taken. Where no daemon runs it goes into the journal; nobody is at a machine that sleeps.
    fn give(&mut self, name: &CertName, order: Option<&HoldOrder>) -> bool {
        let now = self.now();
        if self.asleep_until > self.now {
            return false;
        }
        if let Some(daemon) = &mut self.daemon {
            let names = std::slice::from_ref(name);
            return match order {
                Some(order) => daemon.engine.hold(names, order, now).is_ok(),
                // One that has ended is not taken back.
                None => daemon.engine.release(names, now).is_ok_and(|released| released.contains(name)),
            };
        }
        if !self.inventory.contains_key(name) || self.disk.write().is_err() {
            return false;
        }
        let event = order.map_or(Event::HoldReleased, HoldOrder::event);
        self.disk.journal.push(event::Entry { at: now.wall, name: name.clone(), event });
        true
    }

    fn obeyed(&mut self) {
        self.ledger.disturb(self.now);
        self.tick();
    }

    pub(crate) fn order(&mut self, order: Order) {
        match order {
            Order::HoldAll(lasts) => self.names().iter().for_each(|name| self.hold(name, lasts, false)),
            Order::ReleaseAll => self.names().iter().for_each(|name| self.release(name)),
            // A machine that sleeps is given its orders when it wakes.
            Order::Freeze(_) | Order::Thaw(_) | Order::Before(..) if self.asleep_until > self.now => {
                let wait = self.asleep_until.since(self.now) + Duration::from_secs(1);
                self.later(wait, Task::Fault(crate::faults::Fault::Order(order)));
            }
            Order::Freeze(freeze) => self.freeze(freeze),
            Order::Thaw(freeze) => {
                self.freezes.retain(|other| *other != freeze);
                self.read_main();
            }
            Order::Before(hook, answer) => {
                if self.asked_before.insert(hook, answer).is_none() {
                    self.reload_awake();
                }
            }
            Order::Mood(hook, mood) => drop(self.hook_moods.insert(hook, mood)),
        }
    }

    /// Nothing is switched in meanwhile.
    pub(crate) fn freeze(&mut self, freeze: Freeze) {
        self.freezes.push(freeze);
        self.read_main();
    }

    /// What was written into `renewd.toml` is reloaded, where somebody runs to read it.
    fn read_main(&mut self) {
        let freezes = self.freezes.clone();
        let Some(daemon) = &self.daemon else { return };
        let main = Main { freezes, ..daemon.engine.main().clone() };
        self.handle(Input::MainRead(Ok(Box::new(main))));
        self.reload();
    }

    /// The process died with these not yet on the disk: whether what they order is in force is anybody's guess.
    pub(crate) fn doubt_holds(&mut self, unwritten: &[event::Entry]) {
        let orders = |entry: &&event::Entry| {
            matches!(entry.event, Event::HoldBegun { .. } | Event::HoldReleased | Event::RenewalAsked { .. })
        };
        for entry in unwritten.iter().filter(orders) {
            let held = Held { since: self.now, until: None, even_emergency: true, is_certain: false };
            self.holds.insert(entry.name.clone(), held);
        }
    }
}
