//! Healing without the loop and without the API: finishes, for one certificate after the other, what an install left
//! half done. What is done and in which order is the executor's; here it is only kept from asking anybody.

use std::fmt;
use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, watch};

use crate::api::credentials::CredentialFiles;
use crate::api::{
    Answer, Details, Formats, IssueRequest, Me, Page, Pickup, ProfilePage, RenewRequest, RevocationReason, SearchPage,
    SearchQuery, Tlm,
};
use crate::config::Main;
use crate::core::decide::{Action, GlobalState};
use crate::core::event::Event;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::observed::Observed;
use crate::core::known::profile::Profile;
use crate::core::name::{ProfileId, RequestId, SerialNumber};
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::wanted::entry::Entry;
use crate::engine::job::Job;
use crate::engine::managed::Managed;
use crate::engine::profiles::ProfileCache;
use crate::engine::{self, Input, Mode};
use crate::store::disk::Disk;
use crate::store::journal::{self, Folded, Journal};
use crate::store::layout::Layout;
use crate::store::lock::{Lock, Purpose};
use crate::store::real_disk::RealDisk;
use crate::store::shared_journal::SharedJournal;
use crate::store::{observe, pending, profile_cache};

use super::clock::{Clock, SystemClock};
use super::context::Context;
use super::message::Message;
use super::setup::{self, StartError};
use super::tell::valid_until;
use crate::daemon::effects::ActionRunner;
use crate::daemon::last_good;

/// What became of one certificate that was not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Healed {
    /// The certificate, what was done, or why it could not be.
    pub line: Text,
    /// Whether it is whole now.
    pub is_whole: bool,
}

/// Heals every certificate of the inventory; those that were whole before are not told of.
///
/// # Errors
///
/// When somebody else holds the state directory, or it or the inventory cannot be read.
pub async fn heal(main: &Main) -> Result<Vec<Healed>, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let layout = Layout::new(&main.state_dir);
    // Before the first start of all there is nothing to heal, and nothing to create.
    if disk.stat(layout.root()).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    setup::check_place(&*disk, main)?;
    let _lock = Lock::take(&layout, Purpose::Command)?;
    let inventory = setup::inventory(main, &last_good::read(&*disk, &layout))?;
    let (journal, content) =
        Journal::open::<Folded>(Arc::clone(&disk), &layout, clock.now()).map_err(StartError::State)?;
    if let Some(remark) = journal::remark(&content) {
        tracing::error!("{remark}");
    }
    let (sender, messages) = mpsc::unbounded_channel();
    let context = Arc::new(Context {
        api: RwLock::new(Arc::new(Nobody)),
        connect: Box::new(|_| Ok(Nobody)),
        credentials: CredentialFiles::of_this_process(&main.file),
        identity: setup::identity(main),
        keep_generations: main.keep_generations.into(),
        journal: SharedJournal::new(journal),
        config: main.file.clone(),
        disk,
        layout,
        clock,
        messages: sender,
    });
    let profiles = ProfileCache::new(profile_cache::read(&*context.disk, &context.layout));
    let global = engine::global_state(main, Mode::Forever, content.too_new);
    let mut records = content.entries.records;
    let mut healer = Healer { context, profiles, global, messages };
    let mut healed = Vec::new();
    for entry in inventory.entries {
        let record = records.remove(&entry.name).unwrap_or_default();
        healed.extend(healer.treat(entry, record).await);
    }
    Ok(healed)
}

struct Healer {
    context: Arc<Context<Nobody>>,
    profiles: ProfileCache,
    global: GlobalState,
    messages: mpsc::UnboundedReceiver<Message>,
}

impl Healer {
    async fn treat(&mut self, entry: Arc<Entry>, record: Record) -> Option<Healed> {
        let mut managed = Managed::new(Arc::clone(&entry), self.observe(&entry), record, self.context.clock.now());
        let mut done = Vec::new();
        // An install may leave drift to put back, never more.
        for _ in 0..MOST_STEPS {
            let Some(action) = self.next(&mut managed) else { break };
            match self.perform(&mut managed, action).await {
                Ok(Some(what)) => done.push(what),
                // It waits: for its validity to begin, or for the entry to accept it.
                Ok(None) => break,
                Err(failure) => {
                    let remedy = failure.remedy();
                    let line = format!("not healed: {failure}; the daemon will retry; fix: {remedy}");
                    return Some(told(&entry, false, line));
                }
            }
            managed.observed = self.observe(&entry);
        }
        match &managed.observed {
            Observed::Damaged(what) => {
                let line = format!("cannot be healed from disk: {what}; the daemon will request a new one from TLM");
                Some(told(&entry, false, line))
            }
            Observed::Unreadable(what) => {
                let line = format!("cannot be read: {what}; fix: let the service's user read it");
                Some(told(&entry, false, line))
            }
            Observed::Absent | Observed::Installed(_) if done.is_empty() => None,
            Observed::Absent | Observed::Installed(_) => Some(told(&entry, true, done.join("; "))),
        }
    }

    fn observe(&self, entry: &Entry) -> Observed {
        observe::observe(&*self.context.disk, &self.context.layout, entry)
    }

    /// The next local step: what was issued and is not live yet, then files that are not as they should be.
    fn next(&self, managed: &mut Managed) -> Option<Action> {
        managed.decide(&self.profiles, &self.global, self.context.clock.now());
        let (disk, layout) = (&*self.context.disk, &self.context.layout);
        if let Action::Install { attempt, .. } = &managed.decision().action
            && matches!(pending::read_answer(disk, layout, &managed.entry.name, *attempt), Ok(Some(_)))
        {
            return Some(managed.decision().action.clone());
        }
        if let repair @ Action::Repair { .. } = &managed.decision().action {
            return Some(repair.clone());
        }
        let drift = managed.observed.installed().is_some_and(|installed| !installed.drift.is_empty());
        drift.then_some(Action::Repair { refreshes: false })
    }

    /// Performs it as the daemon does, journal and all; in a few words what was done, if anything.
    async fn perform(&mut self, managed: &mut Managed, action: Action) -> Result<Option<String>, Failure> {
        let profile = self.profiles.reading(managed.profile()).profile.as_ref();
        let drift = managed.observed.installed().and_then(|installed| installed.drift.first().cloned());
        let job = Job::new(managed, profile, &action, false, self.context.now());
        // It runs no hook: before the services start nobody has to be asked.
        let (_running, stop) = watch::channel(false);
        let run = ActionRunner::new(Arc::clone(&self.context), job, stop).run();
        tokio::pin!(run);
        let mut done = None;
        let mut take = |message| match message {
            Message::Engine(Input::Happened(entry)) => {
                if let Event::Failed { failure } = &entry.event {
                    return Err(failure.clone());
                }
                done = what_was_done(&entry.event, drift.as_ref()).or(done.take());
                managed.record.apply(entry.at, &entry.event);
                Ok(())
            }
            // Who has nobody to ask waits for no turn.
            Message::TurnWanted { answer, .. } => {
                answer.send(Ok(true)).unwrap_or_default();
                Ok(())
            }
            // What is switched already is finished, whatever is held.
            Message::StepWanted { answer, .. } => {
                answer.send(true).unwrap_or_default();
                Ok(())
            }
            Message::Engine(_)
            | Message::RequestSeen(_)
            | Message::ChainsRead(..)
            | Message::Measured(_)
            | Message::Asked(..) => Ok(()),
        };
        loop {
            tokio::select! {
                biased;
                Some(message) = self.messages.recv() => take(message)?,
                () = &mut run => break,
            }
        }
        while let Ok(message) = self.messages.try_recv() {
            take(message)?;
        }
        Ok(done)
    }
}

/// What a healing came to.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others put nothing in place")]
fn what_was_done(event: &Event, drift: Option<&Text>) -> Option<String> {
    match event {
        Event::Installed { generation, not_after, chain_end, .. } => Some(format!(
            "installed as generation {generation}, valid until {}",
            valid_until(*not_after, chain_end.as_deref())
        )),
        Event::Adopted { generation, not_after, chain_end, .. } => {
            let until = valid_until(*not_after, chain_end.as_deref());
            Some(format!("adopted what somebody else renewed as generation {generation}, valid until {until}"))
        }
        Event::ChainRefreshed { generation, ends_at, .. } => {
            Some(format!("the newer chain found on disk is live as generation {generation}, valid until {ends_at}"))
        }
        Event::Repaired => drift.map(|what| format!("put back: {what}")),
        _ => None,
    }
}

fn told(entry: &Entry, is_whole: bool, what: impl fmt::Display) -> Healed {
    Healed { line: Text::new(&format!("{}: {what}", entry.name)), is_whole }
}

const MOST_STEPS: usize = 3;

/// Stands where the API would: healing asks nobody.
struct Nobody;

fn nobody<R>() -> Result<R, Failure> {
    Err(Failure::new(FailureClass::ApiUnreachable, "the rest is at TLM, and `renewd heal` makes no network requests"))
}

impl Tlm for Nobody {
    async fn profiles(&self, _: Page) -> Result<ProfilePage, Failure> {
        nobody()
    }

    async fn profile(&self, _: &ProfileId) -> Result<Profile, Failure> {
        nobody()
    }

    async fn issue(&self, _: &IssueRequest) -> Result<Answer, Failure> {
        nobody()
    }

    async fn renew(&self, _: &RenewRequest) -> Result<Answer, Failure> {
        nobody()
    }

    async fn pick_up(&self, _: &RequestId, _: &ProfileId) -> Result<Pickup, Failure> {
        nobody()
    }

    async fn details(&self, _: &SerialNumber, _: Option<&str>) -> Result<Details, Failure> {
        nobody()
    }

    async fn formats(&self, _: &SerialNumber, _: Option<&str>) -> Result<Formats, Failure> {
        nobody()
    }

    async fn revoke(&self, _: &SerialNumber, _: Option<&str>, _: RevocationReason) -> Result<(), Failure> {
        nobody()
    }

    async fn search(&self, _: &SearchQuery, _: Page) -> Result<SearchPage, Failure> {
        nobody()
    }

    async fn me(&self) -> Result<Me, Failure> {
        nobody()
    }

    fn use_next_key(&self) -> bool {
        false
    }

    fn credential(&self) -> String {
        "none".to_owned()
    }

    async fn version(&self) -> Result<String, Failure> {
        nobody()
    }
}
