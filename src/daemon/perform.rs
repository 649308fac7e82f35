//! Performing what the engine wants done. What may wait for a disk or for the network is done beside the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tracing::Instrument as _;

use crate::api::{Page, Tlm};
use crate::core::event;
use crate::core::failure::Failure;
use crate::core::name::{Attempt, CertName, ProfileRef};
use crate::core::wanted::entry::Entry;
use crate::core::wanted::hook::{Hook, HookRun};
use crate::engine::hooks::Ended;
use crate::engine::io::{Arrival, CredentialReports, HookStart, HookSubject};
use crate::engine::{Asker, Command, Input, Telling};
use crate::parallel;
use crate::store::disk::Disk;
use crate::store::layout::Layout;
use crate::store::{access, chains, disk_failure, hook_names, notices, observe, pending, profile_cache};

use super::context::Context;
use super::run::Daemon;
use super::{hooks, notification, notify, profiles, reload, sandbox, tell};
use crate::daemon::effects::ActionRunner;
use crate::daemon::hooks::Errand;
use crate::daemon::orphan_hooks;

impl<T: Tlm> Daemon<T> {
    pub(super) fn perform(&mut self, command: Command) {
        match command {
            Command::Observe { look, entries } => self.observe(look, entries),
            Command::Adopt(entries) => {
                let (disk, layout) = (&*self.context.disk, &self.context.layout);
                let arrivals = entries.iter().map(|entry| arrival(disk, layout, entry, true)).collect();
                self.handle(Input::Adopted(arrivals));
            }
            Command::Run(job) => {
                let span = tell::span(&job.entry.name);
                if !job.before.is_empty() {
                    self.begin_hooks();
                }
                let (context, stop) = (Arc::clone(&self.context), self.stop_hooks.subscribe());
                tokio::spawn(ActionRunner::new(context, *job, stop).run().instrument(span));
            }
            Command::ReadProfile(profile) => {
                tokio::spawn(profiles::read(Arc::clone(&self.context), profile));
            }
            Command::Try(profile) => {
                tokio::spawn(try_api(Arc::clone(&self.context), profile));
            }
            Command::ReadCredentials(names) => {
                tokio::spawn(read_credentials(Arc::clone(&self.context), names));
            }
            // Whether there is another one the engine knows.
            Command::UseNextKey => drop(self.context.api().use_next_key()),
            Command::StartHook(start) => self.start_hook(*start),
            Command::Journal(entries) => self.journal(&entries),
            Command::RemoveKey { name, attempt, is_on_record } => self.remove_key(name, attempt, is_on_record),
            Command::KeepProfiles(kept) => self.keep(move |c| profile_cache::write(&*c.disk, &c.layout, &kept)),
            Command::ReadChains { names, sets, revoked } => self.read_chains(names, sets, revoked),
            Command::AskCa(fingerprint) => self.ask_ca(fingerprint),
            Command::KeepCas(cas) => self.keep(move |c| chains::keep(&*c.disk, &c.layout, &cas)),
            Command::Notify(telling) => self.notify(*telling),
            Command::KeepNotices(told) => self.keep(move |c| notices::write(&*c.disk, &c.layout, &told)),
            Command::ReadInventory => reload::look(self),
            Command::StatusLine(line) => notify::status(&line),
            Command::Tell(news) => tell::news(&news),
        }
    }

    /// Every certificate of the inventory, as the disk shows it.
    pub(super) fn all_arrivals(&self) -> Vec<Arrival> {
        let (disk, layout) = (&*self.context.disk, &self.context.layout);
        let with_requests = pending::names(disk, layout);
        let has_requests =
            |name: &CertName| with_requests.binary_search_by(|own| own.as_os_str().cmp(name.as_str().as_ref())).is_ok();
        let look = |entry: &Arc<Entry>| arrival(disk, layout, entry, has_requests(&entry.name));
        parallel::map(&self.engine.inventory().entries, look)
    }

    /// Many at once share a thread; each that has files outside of the state directory has one of its own, since those may
    /// hang.
    fn observe(&self, look: u64, entries: Vec<Arc<Entry>>) {
        let (apart, together): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.targets().next().is_some());
        for batch in together.chunks(LOOKS_AT_ONCE).chain(apart.chunks(1)) {
            let (entries, context) = (batch.to_vec(), Arc::clone(&self.context));
            tokio::task::spawn_blocking(move || {
                let observe =
                    |entry: Arc<Entry>| (entry.name.clone(), observe::observe(&*context.disk, &context.layout, &entry));
                let found = entries.into_iter().map(observe).collect();
                context.tell_engine(Input::Observed { look, found });
            });
        }
    }

    /// Records events by one write: kept for later where the disk does not take them.
    fn journal(&mut self, entries: &[event::Entry]) {
        let journal = &self.context.journal;
        if let Err(failure) = journal.append(entries) {
            entries.iter().for_each(|entry| journal.keep_for_later(entry));
            tracing::error!("{failure}");
        }
        for entry in entries {
            tell::event(entry);
            self.metrics.happened(&entry.event);
            self.recent.note(entry);
        }
    }

    fn remove_key(&mut self, name: CertName, attempt: Attempt, is_on_record: bool) {
        match pending::forget(&*self.context.disk, &self.context.layout, &name, attempt) {
            Ok(()) if is_on_record => self.handle(Input::KeyRemoved { name, attempt }),
            Ok(()) => {}
            Err(failure) => tracing::warn!(%name, "{failure}"),
        }
    }

    /// Writes something for the next start beside the loop, after what is being written.
    fn keep(&mut self, write: impl FnOnce(&Context<T>) -> Result<(), Failure> + Send + 'static) {
        let context = Arc::clone(&self.context);
        let before = self.keeping.take();
        self.keeping = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // A writing that panicked has said so.
                drop(before.await);
            }
            if let Err(failure) = context.blocking(write).await {
                tracing::warn!("{failure}");
            }
        }));
    }

    /// Before the first program of a hook runs, what one before this process left behind is ended.
    pub(super) fn begin_hooks(&mut self) {
        if !std::mem::replace(&mut self.has_run_hooks, true) {
            let state = self.context.layout.root().to_owned();
            sandbox::apart(move || orphan_hooks::end(&state));
            hook_names::sweep(&*self.context.disk, &self.context.layout);
        }
    }

    /// Tells somebody. A unit is only started.
    fn notify(&mut self, telling: Telling) {
        self.begin_hooks();
        let Telling { name, run, document } = telling;
        let (context, stop) = (Arc::clone(&self.context), self.stop_hooks.subscribe());
        tracing::info!(notify = %name, changes = document.changes.len(), "notifying: {}", document.summary);
        tokio::spawn(async move {
            let ended = notification::call(&context, &run, &document, stop).await;
            context.tell_engine(Input::NotifyEnded { name, ended });
        });
    }

    fn start_hook(&mut self, start: HookStart) {
        let HookStart { key, hook, covers, subjects } = start;
        self.begin_hooks();
        let (context, stop) = (Arc::clone(&self.context), self.stop_hooks.subscribe());
        tracing::info!(hook = %hook.name, certificates = covers.len(), "running the hook");
        tokio::spawn(async move {
            let ended = run_hook(&context, &hook, subjects, stop).await;
            context.tell_engine(Input::HookEnded { key, covers, ended });
        });
    }
}

fn arrival(disk: &dyn Disk, layout: &Layout, entry: &Arc<Entry>, has_requests: bool) -> Arrival {
    let attempts = if has_requests { pending::attempts(disk, layout, &entry.name) } else { Vec::new() };
    Arrival { entry: Arc::clone(entry), observed: observe::observe(disk, layout, entry), attempts }
}

/// Asks the API for something that is made for no certificate.
async fn try_api<T: Tlm>(context: Arc<Context<T>>, profile: Option<ProfileRef>) {
    context.take_turn(Asker::Nobody).await;
    let api = context.api();
    let result = match &profile {
        Some(ProfileRef::Id(id)) => api.profile(id).await.map(drop),
        _ => api.profiles(Page::FIRST).await.map(drop),
    };
    context.tell_engine(Input::Tried(profile, result.err()));
}

/// Asks TLM for the ends of credentials.
async fn read_credentials<T: Tlm>(context: Arc<Context<T>>, names: Vec<String>) {
    let api = context.api();
    let mut reports = CredentialReports::new();
    for name in names {
        context.take_turn(Asker::Nobody).await;
        let answer = api.me_as(&name).await.map(|me| me.not_after);
        reports.push((name, answer));
    }
    context.tell_engine(Input::CredentialsRead(reports));
}

/// Runs a hook to its end, with a file of the names that it runs for while it does. A unit is told nothing.
async fn run_hook<T: Tlm>(
    context: &Arc<Context<T>>,
    hook: &Hook,
    subjects: Vec<HookSubject>,
    stop: watch::Receiver<bool>,
) -> Ended {
    let is_told = hook.test.is_some() || matches!(hook.run, HookRun::Command(_));
    let names: Vec<CertName> =
        if is_told { subjects.iter().map(|subject| subject.name.clone()).collect() } else { Vec::new() };
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let written = match names.is_empty() {
        true => Ok(None),
        false => {
            let user = hook.user.clone().filter(|_| rustix::process::geteuid().is_root());
            let write = move |c: &Context<T>| {
                // Who does not exist runs no hook, which is told there.
                let reader = user.and_then(|user| access::user(&user, "user").ok());
                hook_names::write(&*c.disk, &c.layout, number, &names, reader).map(Some)
            };
            context.blocking(write).await
        }
    };
    let file = match written {
        Ok(file) => file,
        // The variable says it all: a full disk keeps no service from its certificate.
        Err(failure) if hooks::fits(&subjects) => {
            tracing::warn!(hook = %hook.name, "{failure}; the hook runs without RENEWD_NAMES_FILE");
            None
        }
        Err(failure) => return hooks::untold(hook, &failure),
    };
    let shown = |output: &str, limit| context.api().end_of(output, limit);
    let live = subjects.first().map(|subject| context.layout.live(&subject.name));
    let errand = Errand::hook(hooks::environment(&subjects, live.as_deref(), file.as_deref()));
    let ended = hooks::run(hook, errand, stop, shown).await;
    if let Some(file) = file {
        // What cannot be removed is swept at the next start.
        drop(
            context
                .blocking(move |c| c.disk.remove_file(&file).map_err(|error| disk_failure("remove", &file, &error)))
                .await,
        );
    }
    ended
}

static RUNS: AtomicU64 = AtomicU64::new(0);

/// So many certificates are looked at one after the other before the loop is told.
const LOOKS_AT_ONCE: usize = 64;
