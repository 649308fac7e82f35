//! Two hosts at one TLM, each with an engine, an inventory of the same names and troubles of its own. What belongs to TLM is
//! lent to the one whose turn it is; the weather is everybody's.

use renewd::core::time::Timestamp;

use crate::faults;
use crate::world::{START, World};

/// The hosts, of which the first holds TLM between two steps.
pub(crate) struct Hosts(Vec<World>);

impl Hosts {
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        // The second by a seed of its own, or it would do everything in the same moment, and with the same keys.
        let mut second = World::new(seed.wrapping_mul(OTHER), START);
        second.is_told = is_told;
        let mut hosts = Self(vec![faults::world(seed, is_told), second]);
        hosts.lend(1, |second| faults::furnish_year(second, seed));
        hosts
    }

    /// Runs until `end`, or until a promise is broken to one of them: that one.
    pub(crate) fn run_until(mut self, end: Timestamp) -> World {
        while let Some(turn) = self.next(end) {
            let faults = self.0[turn].ledger.faults;
            self.lend(turn, |host| host.step(end));
            if self.0[turn].broken.is_some() {
                return self.0.swap_remove(turn);
            }
            if self.0[turn].ledger.faults > faults {
                let now = self.0[turn].now;
                let others = self.0.iter_mut().enumerate().filter(|(host, _)| *host != turn);
                for (_, other) in others {
                    other.ledger.disturb(now);
                    // What it was told of the time may have been by another clock.
                    other.tlm.odd.told_at = None;
                }
            }
        }
        self.0.swap_remove(0)
    }

    /// Whose next event comes first, if one does before `end`.
    fn next(&self, end: Timestamp) -> Option<usize> {
        let events = self.0.iter().enumerate().filter_map(|(host, world)| Some((world.next_event()?, host)));
        events.min().filter(|(at, _)| *at < end).map(|(_, host)| host)
    }

    /// Lets one host do something at TLM. The key that it uses, and when it was last told the time, stay its own.
    fn lend<R>(&mut self, host: usize, act: impl FnOnce(&mut World) -> R) -> R {
        self.swap(host);
        let result = act(&mut self.0[host]);
        self.swap(host);
        result
    }

    fn swap(&mut self, host: usize) {
        if let ([first, ..], [other, ..]) = self.0.split_at_mut(host.max(1))
            && host > 0
        {
            std::mem::swap(&mut first.tlm, &mut other.tlm);
            std::mem::swap(&mut first.tlm.key, &mut other.tlm.key);
            std::mem::swap(&mut first.tlm.odd.told_at, &mut other.tlm.odd.told_at);
        }
    }
}

/// An odd number, so that no two seeds give the same.
const OTHER: u64 = 0x9E37_79B9_7F4A_7C15;
