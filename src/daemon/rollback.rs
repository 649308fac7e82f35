//! The operator's way back: an older generation is made live and held there. Done at once; a hook's own way back
//! is an action like others.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::api::Tlm;
use crate::core::event::{self, Event, RollbackBy};
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::CertName;
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::hook::Hook;
use crate::engine::hooks::Ended;
use crate::engine::io::HookSubject;
use crate::engine::{Input, NoRollback};
use crate::store::disk::Disk;
use crate::store::generation::live_generation;
use crate::store::layout::Layout;
use crate::store::rollback::{self, Wanted};
use crate::store::targets::ServiceIdentity;

use super::control::Reply;
use super::hooks;
use super::run::Daemon;

/// Makes the generation before live; what to record of it.
///
/// # Errors
///
/// When there is none to go back to, or a file operation fails.
pub fn by_operator(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &ServiceIdentity,
    entry: &Entry,
    record: &Record,
    force: bool,
    now: Timestamp,
) -> Result<event::Entry, Failure> {
    let from = live_generation(disk, layout, &entry.name)?.ok_or_else(|| {
        Failure::new(FailureClass::NoWayBack, format!("{} has no generation yet to switch back from", entry.name))
    })?;
    let wanted = Wanted { from, revoked: record.revoked.clone(), force };
    let to = rollback::roll_back(disk, layout, identity, entry, &wanted, now)?;
    let event = Event::RolledBack { from, to, by: RollbackBy::Operator, hooks: entry.hooks.clone() };
    Ok(event::Entry { at: now, name: entry.name.clone(), event })
}

/// Asks the programs that the hooks run before a switch; why one says no.
///
/// # Errors
///
/// What the first of them that fails says, with the way around it.
pub async fn ask_before(
    hooks: &[Hook],
    subject: HookSubject,
    layout: &Layout,
    stop: &watch::Receiver<bool>,
    shown: impl Fn(&str, usize) -> Text,
) -> Result<(), String> {
    let (name, live) = (&subject.name, layout.live(&subject.name));
    for hook in hooks {
        match hooks::ask_before(hook, &subject, &live, stop.clone(), &shown).await {
            Ended::Done(_) => {}
            Ended::Failed(failure, _) | Ended::TimedOut(failure, _) => {
                return Err(format!(
                    "{name}: not switched back: {}; to switch back anyway: renewd rollback {name} --force",
                    failure.message
                ));
            }
            Ended::Stopped => return Err(format!("{name}: not switched back: renewd is stopping")),
        }
    }
    Ok(())
}

impl<T: Tlm> Daemon<T> {
    /// Goes back at the operator's word, beside the loop: files outside of the state directory may hang. Answers what was
    /// done, or why nothing was; whoever asked may have gone.
    pub(super) fn roll_back(&mut self, name: &CertName, force: bool, answer: oneshot::Sender<String>) {
        let (entry, record) = match self.engine.begin_rollback(name) {
            Ok(begun) => begun,
            Err(NoRollback::Busy) => {
                return drop(
                    answer.send(Reply::refused(&format!("renewd is working on {name}; try again in a moment"))),
                );
            }
            Err(NoRollback::Unknown) => {
                return drop(answer.send(Reply::refused(&format!("no certificate named \"{name}\""))));
            }
        };
        let (context, name) = (Arc::clone(&self.context), name.clone());
        let hooks = if force { Vec::new() } else { self.engine.hooks_to_ask(&entry) };
        if !hooks.is_empty() {
            self.begin_hooks();
        }
        let installed = self.engine.fleet().one(&name).and_then(|managed| managed.observed.installed()).cloned();
        let stop = self.stop_hooks.subscribe();
        tokio::spawn(async move {
            let subject = HookSubject { name: name.clone(), installed, validation: None };
            let shown = |output: &str, limit| context.api().end_of(output, limit);
            if let Err(why) = ask_before(&hooks, subject, &context.layout, &stop, shown).await {
                context.tell_engine(Input::Finished { name, had_place: false });
                return drop(answer.send(Reply::refused(&why)));
            }
            let now = context.clock.now();
            let done = context.install(&entry, move |c, entry| {
                let done = by_operator(&*c.disk, &c.layout, &c.identity, entry, &record, force, now)?;
                if let Err(failure) = c.journal.append(std::slice::from_ref(&done)) {
                    c.journal.keep_for_later(&done);
                    tracing::error!("{failure}");
                }
                Ok(done)
            });
            let reply = match done.await {
                Ok(done) => {
                    let reply = Reply::done(&told(&done.event, &name));
                    context.tell_engine(Input::Happened(done));
                    reply
                }
                Err(failure) => Reply::refused(&format!("{name}: {}; {}", failure.message, failure.remedy_of(&name))),
            };
            context.tell_engine(Input::Finished { name, had_place: false });
            drop(answer.send(reply));
        });
    }
}

/// What was done, for the operator.
#[must_use]
pub fn told(event: &Event, name: &CertName) -> String {
    let Event::RolledBack { from, to, hooks, .. } = event else { return String::new() };
    let hooks = if hooks.is_empty() { "it has no hooks" } else { "its hooks run now" };
    format!(
        "{name}: generation {to} is live again instead of {from}, and {hooks}; renewd holds it until `renewd renew {name}`"
    )
}
