//! What `renewd check` says of freezes: those that are over, and those that leave no time for a switch.

use crate::config::{Inventory, Main};
use crate::core::time::Timestamp;
use crate::core::wanted::window::Freeze;
use crate::daemon::preflight::Finding;
use crate::engine::calendar;

/// A remark for each freeze that is over, and for each certificate that is switched in only when it is urgent.
pub(super) fn remarks(main: &Main, inventory: &Inventory, now: Timestamp) -> Vec<Finding> {
    let over = |freeze: &Freeze| match freeze {
        Freeze::Dates { from, until } if *until <= now => {
            let message = format!("{}: the freeze from {from} until {until} is over", main.file.display());
            Some(Finding::warning("freeze", main.file.display(), message, "take it out of the file"))
        }
        Freeze::Dates { .. } | Freeze::Hours(_) => None,
    };
    let mut found: Vec<Finding> = main.freezes.iter().filter_map(over).collect();
    if calendar::never_opens(None, &main.freezes, now) {
        let message = format!("{}: the weekly freezes leave no time for a switch", main.file.display());
        found.push(Finding::warning("freeze", main.file.display(), message, LEAVE_TIME));
        return found;
    }
    for entry in inventory.entries.iter().filter(|entry| entry.deploy_window.is_some()) {
        if calendar::never_opens(entry.deploy_window.as_deref(), &main.freezes, now) {
            let message = format!(
                "{}: certificate `{}`: `deploy_window` is open only while the weekly freezes last: renewd installs it \
                 only in the emergency stage",
                entry.source, entry.name
            );
            found.push(Finding::warning("freeze", &entry.source, message, LEAVE_TIME));
        }
    }
    found
}

const LEAVE_TIME: &str = "change `hours` of a [[freeze]], or `deploy_window`";
