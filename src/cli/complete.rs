//! What a shell proposes while somebody types: names of certificates, codes and states, profiles. It asks the daemon or
//! reads the disk, never the network, and proposes nothing where this user may not look.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;

use crate::config::{self, Main};
use crate::core::name::ProfileRef;
use crate::daemon::control::{Request, View};
use crate::daemon::setup;
use crate::engine::status::{Row, Status};
use crate::store::layout::Layout;
use crate::store::profile_cache;
use crate::store::real_disk::RealDisk;

use super::{control, explain};

/// The variable by which a shell's script asks. Of its own: nothing else that is exported turns a command into a question.
pub(super) const VARIABLE: &str = "RENEWD_COMPLETE";

/// Answers a shell that asks; whether one did.
///
/// # Errors
///
/// When the shell is unknown, or does not read the answer.
pub(super) fn answered() -> clap::error::Result<bool> {
    CompleteEnv::with_factory(super::command).var(VARIABLE).try_complete(std::env::args_os(), None)
}

/// The certificates in force: as the daemon knows them, else as the files have them.
pub(super) fn names(current: &OsStr) -> Vec<CompletionCandidate> {
    let main = main();
    let path = control::path(&main);
    let status = control::ask_within(&path, &Request::Status { view: View::Table }, PATIENCE).ok();
    let names: Vec<String> = match status.and_then(|line| serde_json::from_str::<Status<Row>>(&line).ok()) {
        Some(status) => status.certificates.into_iter().map(|row| row.name).collect(),
        None => {
            let files = config::load_inventory(&main, setup::service_user(&main)).ok();
            let inventory = files.map(|files| config::resolve(files, &main.hooks, &config::InForce::default()));
            inventory.iter().flat_map(|inventory| &inventory.entries).map(|entry| entry.name.to_string()).collect()
        }
    };
    matching(current, names.into_iter().map(CompletionCandidate::new))
}

/// The notifications that the configuration names.
pub(super) fn notifications(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(current, main().notifies.keys().map(|name| CompletionCandidate::new(name.as_str())))
}

/// Every code and state that has a page.
pub(super) fn codes(current: &OsStr) -> Vec<CompletionCandidate> {
    let codes = explain::summaries().map(|(code, summary)| CompletionCandidate::new(code).help(Some(summary.into())));
    matching(current, codes)
}

/// The profiles that were read, by their ids, with their names beside them.
pub(super) fn profiles(current: &OsStr) -> Vec<CompletionCandidate> {
    let layout = Layout::new(&main().state_dir);
    let known = profile_cache::read(&RealDisk, &layout).into_iter().map(|(reference, cached)| {
        let name = cached.profile.as_ref().map(|profile| profile.name.clone().into());
        let id = cached.profile.map(|profile| profile.id.0).or(match reference {
            ProfileRef::Id(id) => Some(id.0),
            ProfileRef::Name(_) => None,
        });
        id.map(|id| CompletionCandidate::new(id.to_string()).help(name))
    });
    matching(current, known.flatten())
}

/// The CAs that issued what is installed, where the daemon runs.
pub(super) fn issuers(current: &OsStr) -> Vec<CompletionCandidate> {
    let path = control::path(&main());
    let status = control::ask_within(&path, &Request::Status { view: View::All }, PATIENCE).ok();
    let status = status.and_then(|line| serde_json::from_str::<Status>(&line).ok());
    let issuers = status.into_iter().flat_map(|status| status.certificates);
    let issuers: BTreeSet<String> = issuers.filter_map(|one| Some(one.issuer?.subject.to_string())).collect();
    matching(current, issuers.into_iter().map(CompletionCandidate::new))
}

fn matching(current: &OsStr, candidates: impl Iterator<Item = CompletionCandidate>) -> Vec<CompletionCandidate> {
    let begin = current.as_encoded_bytes();
    candidates.filter(|one| one.get_value().as_encoded_bytes().starts_with(begin)).collect()
}

/// The configuration that the line being typed names.
fn main() -> Main {
    let mut words = std::env::args_os().skip_while(|word| word != "--config").skip(1);
    let file = words.next().map_or_else(|| PathBuf::from(super::CONFIG), PathBuf::from);
    config::load_main(&file).unwrap_or_else(|_| Main::new(&file))
}

/// Nobody waits longer for a proposal.
const PATIENCE: Duration = Duration::from_secs(1);
