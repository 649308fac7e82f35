//! The looks at files that are under way. Each takes as long as its disk does, so that what an early one shows may come
//! after what a later one shows: it is news no more.

use std::collections::BTreeMap;

use crate::core::name::CertName;

/// The looks that are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    last: u64,
    under_way: BTreeMap<CertName, Looking>,
}

/// The looks at one certificate.
#[derive(Clone, Copy, Debug, Default)]
struct Looking {
    count: usize,
    /// The newest whose answer came.
    seen: u64,
    /// The first that shows what came of the last action. Before that, nothing is decided by what is known.
    awaited: u64,
}

impl Looks {
    /// Begins a look at these; its number.
    pub(super) fn begin<'n>(&mut self, names: impl Iterator<Item = &'n CertName>) -> u64 {
        self.last += 1;
        for name in names {
            self.under_way.entry(name.clone()).or_default().count += 1;
        }
        self.last
    }

    /// Something was done for a certificate, whose last look has just begun: what is known of its files is from before.
    pub(super) fn await_last(&mut self, name: &CertName) {
        if let Some(looking) = self.under_way.get_mut(name) {
            looking.awaited = self.last;
        }
    }

    /// The entry changed: what looks show that are under way is by the old one.
    pub(super) fn outdate(&mut self, name: &CertName) {
        if let Some(looking) = self.under_way.get_mut(name) {
            looking.awaited = self.last + 1;
        }
    }

    /// The files were looked at just now.
    pub(super) fn seen_now(&mut self, name: &CertName) {
        if let Some(looking) = self.under_way.get_mut(name) {
            (looking.seen, looking.awaited) = (self.last, 0);
        }
    }

    /// What a look shows has come; whether it is news.
    pub(super) fn end(&mut self, look: u64, name: &CertName) -> bool {
        let Some(looking) = self.under_way.get_mut(name) else { return false };
        let is_news = look >= looking.awaited && look > looking.seen;
        looking.count = looking.count.saturating_sub(1);
        looking.seen = looking.seen.max(look);
        if looking.count == 0 {
            self.under_way.remove(name);
        }
        is_news
    }

    /// Whether what is known of a certificate's files is from before the last action.
    #[must_use]
    pub(super) fn is_awaited(&self, name: &CertName) -> bool {
        self.under_way.get(name).is_some_and(|looking| looking.seen < looking.awaited)
    }

    /// Whether nothing is being looked at.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_no_news() {
        let (mut looks, name) = (Looks::default(), "www".parse().unwrap());
        let [first, second] = [0, 1].map(|_| looks.begin(std::iter::once(&name)));
        assert!(looks.end(second, &name) && !looks.end(first, &name) && looks.is_empty());
        assert!(!looks.end(second, &name), "nobody looks any more");
    }

    #[test]
    fn after_an_action_only_a_look_that_began_then_counts() {
        let (mut looks, name) = (Looks::default(), "www".parse().unwrap());
        let before = looks.begin(std::iter::once(&name));
        let after = looks.begin(std::iter::once(&name));
        looks.await_last(&name);
        assert!(looks.is_awaited(&name) && !looks.end(before, &name) && looks.is_awaited(&name));
        assert!(looks.end(after, &name) && !looks.is_awaited(&name) && looks.is_empty());
    }

    #[test]
    fn what_was_looked_at_by_an_old_entry_does_not_count() {
        let (mut looks, name) = (Looks::default(), "www".parse().unwrap());
        let before = looks.begin(std::iter::once(&name));
        looks.outdate(&name);
        let after = looks.begin(std::iter::once(&name));
        assert!(!looks.end(before, &name) && looks.is_awaited(&name) && looks.end(after, &name));
        let before = looks.begin(std::iter::once(&name));
        looks.seen_now(&name);
        assert!(!looks.is_awaited(&name) && !looks.end(before, &name) && looks.is_empty());
    }
}
