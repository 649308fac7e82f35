//! The operator's way back: an older generation is made live and held there. Done at once and told at once; a hook's own
//! way back is an action like others.

use crate::api::Tlm;
use crate::core::entry::Entry;
use crate::core::event::{self, Event, RollbackBy};
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::CertName;
use crate::core::record::Record;
use crate::core::time::Timestamp;
use crate::store::disk::Disk;
use crate::store::fixed::Ground;
use crate::store::generation::live_generation;
use crate::store::layout::Layout;
use crate::store::rollback::{self, Wanted};

use super::run::Daemon;

/// Makes the generation before live; what to record of it.
///
/// # Errors
///
/// When there is none to go back to, or a file operation fails.
pub fn by_operator(
    disk: &dyn Disk,
    layout: &Layout,
    ground: &Ground,
    entry: &Entry,
    record: &Record,
    force: bool,
    now: Timestamp,
) -> Result<event::Entry, Failure> {
    let from = live_generation(disk, layout, &entry.name)?.ok_or_else(|| {
        Failure::new(FailureClass::NoWayBack, format!("{} has no generation yet to go back from", entry.name))
    })?;
    let wanted = Wanted { from, revoked: record.revoked.clone(), force };
    let to = rollback::roll_back(disk, layout, ground, entry, &wanted, now)?;
    let event = Event::RolledBack { from, to, by: RollbackBy::Operator, hooks: entry.hooks.clone() };
    Ok(event::Entry { at: now, name: entry.name.clone(), event })
}

impl<T: Tlm> Daemon<T> {
    /// Goes back at the operator's word; what was done, or why nothing was.
    ///
    /// # Errors
    ///
    /// Why nothing was done.
    pub(super) fn roll_back(&mut self, name: &CertName, force: bool) -> Result<String, String> {
        let Some(managed) = self.fleet.one(name) else {
            return Err(format!("no such certificate in the inventory: {name}"));
        };
        if managed.is_busy() {
            return Err(format!("{name} is being worked on; try again in a moment"));
        }
        let context = &self.context;
        let (entry, record) = (&managed.entry, &managed.record);
        let done =
            by_operator(&*context.disk, &context.layout, &context.ground, entry, record, force, context.clock.now())
                .map_err(|failure| format!("{name}: {}; {}", failure.message, failure.class.remedy()))?;
        let told = told(&done.event, name);
        self.note(done);
        self.look(name);
        Ok(told)
    }
}

/// What was done, for the operator.
#[must_use]
pub fn told(event: &Event, name: &CertName) -> String {
    let Event::RolledBack { from, to, hooks, .. } = event else { return String::new() };
    let hooks = if hooks.is_empty() { "it has no hooks" } else { "its hooks run now" };
    format!(
        "{name}: generation {to} is live again instead of {from}, and {hooks}; it is held there until `renewd renew {name}`"
    )
}
