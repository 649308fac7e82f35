//! Which certificates may be let go when the inventory no longer names them. A watched directory that empties itself is
//! more often a mistake (an unmounted disk, a playbook that went wrong) than a wish.

use std::collections::BTreeSet;

use crate::core::name::CertName;

/// What made the inventory be read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The watched directory, or the slow re-read: nobody asked for it.
    Watch,
    /// The operator: SIGHUP, or a start.
    Signal,
}

/// The certificates of `in_force` that may be let go, where the inventory now wants `wanted`: all that it no longer
/// names, or none.
///
/// The watch alone lets go of neither the last certificates nor more than half of ten or more.
#[must_use]
pub fn removals_allowed(
    in_force: &BTreeSet<CertName>,
    wanted: &BTreeSet<CertName>,
    trigger: Trigger,
) -> BTreeSet<CertName> {
    let gone: BTreeSet<CertName> = in_force.difference(wanted).cloned().collect();
    let too_many = is_mass_removal(in_force.len(), wanted.len(), gone.len());
    match trigger {
        Trigger::Watch if too_many => BTreeSet::new(),
        Trigger::Watch | Trigger::Signal => gone,
    }
}

/// Whether it needs a word that of `in_force` certificates `gone` go and `wanted` are left.
#[must_use]
pub const fn is_mass_removal(in_force: usize, wanted: usize, gone: usize) -> bool {
    wanted == 0 || (in_force >= MANY && gone * 2 > in_force)
}

/// From so many certificates on, more than half of them going at once needs a word.
const MANY: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(numbers: std::ops::Range<usize>) -> BTreeSet<CertName> {
        numbers.map(|number| format!("c{number}").parse().unwrap()).collect()
    }

    /// Of `c0..in_force`, with `wanted` wanted, so many go by the watch; by a signal all that are not wanted do.
    #[track_caller]
    fn check(in_force: usize, wanted: std::ops::Range<usize>, by_watch: usize) {
        let (before, wanted) = (names(0..in_force), names(wanted));
        let gone: BTreeSet<CertName> = before.difference(&wanted).cloned().collect();
        assert_eq!(removals_allowed(&before, &wanted, Trigger::Signal), gone);
        let by_watch_alone = removals_allowed(&before, &wanted, Trigger::Watch);
        assert_eq!(by_watch_alone.len(), by_watch);
        assert!(by_watch == 0 || by_watch_alone == gone, "all or none");
    }

    #[test]
    fn the_watch_does_not_let_the_last_one_go() {
        check(0, 0..0, 0);
        check(1, 0..0, 0);
        check(1, 0..1, 0);
        check(3, 0..0, 0);
        check(2, 0..1, 1);
        check(40, 0..0, 0);
    }

    /// Another name in place of the only one leaves an inventory that is not empty.
    #[test]
    fn a_new_name_is_no_last_one() {
        check(1, 5..6, 1);
    }

    #[test]
    fn the_watch_does_not_let_more_than_half_of_ten_go() {
        check(9, 0..1, 8);
        check(10, 0..5, 5);
        check(10, 0..4, 0);
        check(11, 0..6, 5);
        check(11, 0..5, 0);
        check(1000, 0..500, 500);
        check(1000, 0..499, 0);
        check(10, 6..40, 0);
        check(10, 5..40, 5);
    }
}
