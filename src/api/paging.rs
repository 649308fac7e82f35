//! Where a list goes on. What the answers say of it (`total`, `has_more`, a page shorter than asked for) is not relied on:
//! pages are capped in silence, and items go while others are read. It goes on from what was received, with a few items
//! once more, until a page brings nothing new.

use super::port::Page;

/// The way through a list.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    page: Page,
    /// How many pages may still be asked for.
    left: u32,
    /// How many pages in a row had nothing but what is known or cannot be read.
    barren: u32,
}

impl Default for Paging {
    fn default() -> Self {
        Self { page: Page::FIRST, left: MOST_PAGES, barren: 0 }
    }
}

impl Paging {
    /// The page to ask for.
    #[must_use]
    pub const fn page(&self) -> Page {
        self.page
    }

    /// Asks for smaller pages from here on, where larger ones are refused. `false`: there are none smaller.
    pub const fn shrink(&mut self) -> bool {
        let is_large = self.page.limit > SMALL;
        self.page.limit = SMALL;
        is_large
    }

    /// Takes how many items the page had, whether one of them was new, and whether one could not be read. `false`: the
    /// list is over, or so long that nobody wants the rest.
    pub fn goes_on(&mut self, received: u32, is_new: bool, has_broken: bool) -> bool {
        self.left = self.left.saturating_sub(1);
        self.barren = if is_new { 0 } else { self.barren + 1 };
        let may_follow = is_new || (has_broken && self.barren <= MOST_BARREN);
        // An item that went meanwhile moves the others up.
        let again = OVERLAP.min(received / 2);
        self.page.offset = self.page.offset.saturating_add(received - again);
        received > 0 && may_follow && self.left > 0 && self.page.offset.saturating_add(self.page.limit) <= DEEPEST
    }
}

const OVERLAP: u32 = 5;
/// As many as the API gives where nobody says how many.
const SMALL: u32 = 20;
const MOST_PAGES: u32 = 1000;
/// Offset and limit together may not be more.
const DEEPEST: u32 = 10_000;

/// So many pages in a row that bring nothing new, and have items that cannot be read, are gone past.
const MOST_BARREN: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a list of `count` numbers that is given in pages of `cap` at most: what came, and in how many pages.
    fn read(count: u32, cap: u32) -> (usize, u32) {
        let (mut paging, mut found, mut pages) = (Paging::default(), std::collections::BTreeSet::new(), 0);
        loop {
            let Page { offset, limit } = paging.page();
            let page: Vec<u32> = (offset..count.min(offset + limit.min(cap))).collect();
            pages += 1;
            let is_new = page.iter().filter(|item| found.insert(**item)).count() > 0;
            if !paging.goes_on(u32::try_from(page.len()).unwrap(), is_new, false) {
                return (found.len(), pages);
            }
        }
    }

    #[test]
    fn a_list_is_read_to_its_end_whatever_its_pages_hold() {
        for (count, cap, pages) in [(0, 100, 1), (1, 100, 2), (99, 100, 2), (100, 100, 2), (250, 100, 4), (250, 20, 18)]
        {
            assert_eq!(read(count, cap), (usize::try_from(count).unwrap(), pages), "{count} in pages of {cap}");
        }
        assert_eq!(read(150, 1), (150, 151));
        assert_eq!(read(1_000_000, 100).0, 9_980, "no deeper than the API goes");
        assert_eq!(read(1_000_000, 1), (1000, 1000), "and not for ever");
    }

    #[test]
    fn pages_that_cannot_be_read_are_gone_past_and_not_for_ever() {
        let mut paging = Paging::default();
        assert!(paging.goes_on(1, true, false));
        assert!((0..MOST_BARREN).all(|_| paging.goes_on(1, false, true)));
        assert!(!paging.goes_on(1, false, true));
        assert!(paging.goes_on(1, true, true), "what is new begins the count anew");
        assert!(paging.goes_on(1, false, true));
    }

    #[test]
    fn a_server_that_repeats_itself_is_left() {
        let mut paging = Paging::default();
        assert!(paging.goes_on(20, true, false));
        assert_eq!(paging.page().offset, 15);
        assert!(!paging.goes_on(20, false, false));
        assert!(paging.shrink() && !paging.shrink());
        assert_eq!(paging.page().limit, 20);
    }
}
