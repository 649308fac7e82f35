//! What happened of late, for whoever watches a command: each step once, as the journal has it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::core::event;
use crate::core::name::CertName;

/// The last events.
#[derive(Debug, Default)]
pub struct Recent {
    /// The number of the last one.
    last: u64,
    events: VecDeque<event::Entry>,
}

/// Some of them, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// The number of the last event of all; what comes after it is asked for by that.
    pub last: u64,
    /// Those that were asked for.
    pub steps: Vec<event::Entry>,
}

impl Recent {
    /// Notes one that has just happened.
    pub fn note(&mut self, entry: &event::Entry) {
        self.last += 1;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(entry.clone());
    }

    /// What happened to these after a number, as far as it is still known.
    #[must_use]
    pub fn after(&self, names: &[CertName], after: Option<u64>) -> Steps {
        let new = self.last.saturating_sub(after.unwrap_or(self.last));
        let known = self.events.len();
        let skipped = known.saturating_sub(usize::try_from(new).unwrap_or(known));
        let steps = self.events.iter().skip(skipped).filter(|entry| names.contains(&entry.name)).cloned().collect();
        Steps { last: self.last, steps }
    }
}

/// Whoever watches asks several times a second.
const KEPT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::Event;
    use crate::core::time::Timestamp;

    #[test]
    fn each_step_is_told_once_and_of_others_none() {
        let name = |name: &str| -> CertName { name.parse().unwrap() };
        let mut recent = Recent::default();
        let note = |recent: &mut Recent, of: &str| {
            recent.note(&event::Entry { at: Timestamp::default(), name: name(of), event: Event::Repaired });
        };
        note(&mut recent, "www");
        let names = [name("www")];
        let begun = recent.after(&names, None);
        assert_eq!((begun.last, begun.steps.len()), (1, 0), "what was before is not told");
        note(&mut recent, "mail");
        note(&mut recent, "www");
        let steps = recent.after(&names, Some(begun.last));
        assert_eq!((steps.last, steps.steps.len()), (3, 1));
        assert_eq!(recent.after(&names, Some(steps.last)).steps.len(), 0);
        (0..2 * KEPT).for_each(|_| note(&mut recent, "www"));
        assert_eq!(recent.after(&names, Some(3)).steps.len(), KEPT, "what is not known any more is passed over");
        assert_eq!(recent.after(&names, Some(u64::MAX)).steps.len(), 0, "of a daemon before this one");
    }
}
