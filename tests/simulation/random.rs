//! Chance from a seed: splitmix64, so that a seed means the same on every machine and for ever.

use std::time::Duration;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True so often in a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A span between the two, short ones as likely as long ones: even on a scale of doublings.
    pub(crate) fn span(&mut self, from: Duration, to: Duration) -> Duration {
        let (low, high) = (from.as_millis().max(1) as u64, to.as_millis().max(2) as u64);
        let doublings = (high / low).max(2).ilog2() as u64;
        let base = low << self.below(doublings + 1);
        Duration::from_millis((base + self.below(base)).min(high))
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len() as u64) as usize]
    }
}
