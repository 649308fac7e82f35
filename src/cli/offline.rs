//! What the files tell, with no daemon: readers take no lock, create nothing, and tolerate a journal that is being
//! written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::credentials::CredentialFiles;
use crate::config::{self, Inventory, Main};
use crate::core::clock::ClockCheck;
use crate::core::code::Code;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::ca_status::CaWatch;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::observed::Observed;
use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::{exposure, last_good, setup};
use crate::engine::breaker::Breaker;
use crate::engine::hooks::Hooks;
use crate::engine::managed::Managed;
use crate::engine::profiles::ProfileCache;
use crate::engine::rehearsal::Cast;
use crate::engine::report::{self, Facts, ProfileTrouble};
use crate::engine::status::{Plan, Problem, Row, Status};
use crate::engine::{self, Mode, ca_status};
use crate::parallel;
use crate::store::journal::{Folded, Journal};
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;
use crate::store::{chains, observe, profile_cache};

use super::user;

/// Everything as it was found and decided.
pub(super) struct Look {
    main: Main,
    credentials: CredentialFiles,
    inventory: Inventory,
    overlooked: Vec<Text>,
    /// The certificates that were in force at the last look, and are in no file any more.
    gone: Vec<String>,
    fleet: Vec<Managed>,
    profiles: ProfileCache,
    clock: ClockCheck,
    journal_too_new: bool,
    cas: CaWatch,
    /// The instant that was decided for.
    pub(super) now: Timestamp,
}

/// Looks, and decides for `at`, or for now.
///
/// # Errors
///
/// When the state directory cannot be read.
pub(super) fn look(main: Main, at: Option<Timestamp>) -> Result<Look, String> {
    look_as(main, at, View::AsItIs)
}

/// Looks, and decides as a pass would that begins at `at`, or now.
///
/// # Errors
///
/// When the state directory cannot be read.
pub(super) fn look_ahead(main: Main, at: Option<Timestamp>) -> Result<Look, String> {
    look_as(main, at, View::NextPass)
}

/// What is shown.
#[derive(Clone, Copy, PartialEq)]
enum View {
    /// How things stand.
    AsItIs,
    /// What the next pass does: what failed before is tried again at every start.
    NextPass,
}

fn look_as(main: Main, at: Option<Timestamp>, view: View) -> Result<Look, String> {
    // Root sees what the daemon would: whatever the service's user may not read it has to mend.
    let credentials = setup::credential_files(&main);
    let main = if user::become_owner(&main.state_dir).is_ok() {
        config::load_main(&main.file).map_err(|problems| setup::shown(&problems))?
    } else {
        main
    };
    let today = SystemClock::default().now();
    let now = at.unwrap_or(today);
    let layout = Layout::new(&main.state_dir);
    tracing::debug!(
        "reading the state in {} and the inventory in {}",
        main.state_dir.display(),
        main.inventory.display()
    );
    let in_force = last_good::read(&RealDisk, &layout);
    let inventory = match config::load_inventory(&main, setup::service_user(&main)) {
        Ok(files) => config::resolve(files, &main.hooks, &in_force),
        Err(problem) => config::hold(&main, problem, &in_force),
    };
    let overlooked = config::overlooked_files(&main);
    let gone = inventory.gone_since(&in_force).iter().map(ToString::to_string).collect();
    let content = Journal::read::<Folded>(&RealDisk, &layout).map_err(|failure| unread(&layout, &failure))?;
    let mut profiles = ProfileCache::new(profile_cache::read(&RealDisk, &layout));
    if view == View::NextPass {
        profiles.forget_failures();
    }
    inventory.entries.iter().flat_map(|entry| entry.profiles()).for_each(|profile| profiles.know(profile));
    profiles.trust(now);
    let clock = ClockCheck::new(setup::earliest(&content), today);
    let journal_too_new = content.too_new;
    let global = engine::global_state(&main, Mode::Forever, journal_too_new).judged_by(&clock);
    let mut records = content.entries.records;
    let observed = parallel::map(&inventory.entries, |entry| observe::observe(&RealDisk, &layout, entry));
    let decided = |(entry, observed): (&Arc<Entry>, Observed)| {
        let record = records.remove(&entry.name).unwrap_or_default();
        let mut managed = Managed::new(Arc::clone(entry), observed, record, now);
        managed.decide(&profiles, &global, now);
        managed
    };
    let fleet = inventory.entries.iter().zip(observed).map(decided).collect();
    let cas = CaWatch::new(main.ca_status_check, chains::kept(&RealDisk, &layout), now);
    Ok(Look { main, credentials, inventory, overlooked, gone, fleet, profiles, clock, journal_too_new, cas, now })
}

/// What may not be read is no matter of the service's, whom the failure speaks of, but of who reads here.
pub(super) fn unread(layout: &Layout, failure: &Failure) -> String {
    if failure.class != FailureClass::DiskPermission {
        return failure.to_string();
    }
    let journal = layout.journal();
    format!("this user cannot read {}: run this as root or as the service's user", journal.display())
}

impl Look {
    /// The status, with everything about each certificate.
    pub(super) fn in_full(&self) -> Status {
        let (breaker, hooks) = (Breaker::default(), Hooks::default());
        let facts = self.facts(&breaker, &hooks);
        report::status(&facts, self.with_readings(), report::certificates(&facts, self.with_readings()))
    }

    /// The status, with a row of the table for each certificate.
    pub(super) fn in_rows(&self) -> Status<Row> {
        let (breaker, hooks) = (Breaker::default(), Hooks::default());
        let facts = self.facts(&breaker, &hooks);
        report::status(&facts, self.with_readings(), report::rows(&facts, self.with_readings()))
    }

    fn facts<'l>(&'l self, breaker: &'l Breaker, hooks: &'l Hooks) -> Facts<'l> {
        let mut problems = self.revoked_cas();
        problems.extend(self.credentials());
        Facts {
            main: &self.main,
            config_error: None,
            clock: &self.clock,
            breaker,
            paused_until: None,
            credentials: &[],
            inventory: &self.inventory,
            overlooked: &self.overlooked,
            hooks,
            cas: Vec::new(),
            profiles: ProfileTrouble::all(&self.profiles, self.fleet.iter()),
            journal_too_new: self.journal_too_new,
            problems,
            now: self.now,
        }
    }

    /// What of the credentials would keep the daemon from starting, as far as this user can tell.
    fn credentials(&self) -> Option<Problem> {
        let (files, api) = (&self.credentials, &self.main.api);
        let unreadable = || match files.held.as_ref()? {
            Ok(_) => None,
            Err(refused) => Some(Problem::error(
                Code::CredentialsUnreadable.as_str(),
                refused.message().as_str(),
                "write the API key into that file, and start renewd",
            )),
        };
        exposure::problem(files, api).or_else(unreadable)
    }

    /// The revoked CA certificates that are served, as the daemon found them.
    fn revoked_cas(&self) -> Vec<Problem> {
        // The certificates are in order of their names.
        let installed = |name: &CertName| {
            let at = self.fleet.binary_search_by(|managed| managed.entry.name.cmp(name)).ok()?;
            self.fleet.get(at)?.observed.installed()
        };
        self.cas.cas().filter_map(|ca| ca_status::problem(ca, &installed)).collect()
    }

    /// The plan.
    pub(super) fn plan(&self) -> Plan {
        let problems = report::inventory_problems(&self.main, &self.inventory, &self.overlooked);
        let plan = report::plan(self.now, &self.inventory, &self.main.freezes, self.with_readings());
        Plan { gone: self.gone.clone(), problems, ..plan }
    }

    /// `renewd.toml` as it was read.
    pub(super) const fn main(&self) -> &Main {
        &self.main
    }

    /// What a rehearsal begins with.
    pub(super) fn cast(self) -> Cast {
        let Self { main, inventory, fleet, profiles, now, .. } = self;
        let (mut seen, mut records) = (Vec::with_capacity(fleet.len()), BTreeMap::new());
        for Managed { entry, observed, record, .. } in fleet {
            records.insert(entry.name.clone(), record);
            seen.push((entry, observed));
        }
        Cast { main, inventory, seen, records, profiles, now }
    }

    fn with_readings(&self) -> impl Iterator<Item = (&Managed, &CachedProfile)> {
        self.fleet.iter().map(|managed| (managed, self.profiles.reading(&managed.entry.profile)))
    }
}
