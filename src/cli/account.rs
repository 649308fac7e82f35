//! The account at TLM, for commands that ask it by themselves: with the credentials that the service has, in single
//! requests, and changing nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;

use crate::api::credentials::CredentialFiles;
use crate::api::{Client, Observer, Tlm};
use crate::config::Main;
use crate::core::failure::Failure;
use crate::core::known::profile::Profile;
use crate::core::name::ProfileRef;
use crate::core::time::Timestamp;
use crate::daemon::profiles::Listing;
use crate::daemon::setup;

use super::{runtime, user};

/// A client, and the dates of the answers that it got.
pub(super) struct Account {
    pub(super) client: Client,
    dates: Arc<Mutex<Vec<Timestamp>>>,
}

impl Account {
    /// Makes the client from the credentials that the service has.
    ///
    /// # Errors
    ///
    /// When a credential or a root is missing or refused.
    pub(super) fn open(main: &Main, files: &CredentialFiles) -> Result<Self, Failure> {
        let dates = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&dates);
        let observer: Observer = Arc::new(move |call| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend(call.date);
        });
        let client = setup::client(&main.api, files, Some(observer)).map_err(|failure| hinted(failure, main))?;
        Ok(Self { client, dates })
    }

    /// The date of the last answer.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.dates.lock().unwrap_or_else(PoisonError::into_inner).last().copied()
    }

    /// Every profile that the credential may see.
    ///
    /// # Errors
    ///
    /// When a page cannot be read.
    pub(super) async fn profiles(&self) -> Result<Listing, Failure> {
        Listing::read(&self.client, async || ()).await
    }

    /// One profile, by its id or its exact name.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or there is none or several of the name.
    pub(super) async fn profile(&self, reference: &ProfileRef) -> Result<Profile, Failure> {
        match reference {
            ProfileRef::Id(id) => self.client.profile(id).await,
            ProfileRef::Name(name) => self.profiles().await?.named(name),
        }
    }
}

/// What to do where only root can read the key.
fn hinted(failure: Failure, main: &Main) -> Failure {
    let is_root = rustix::process::geteuid().is_root();
    if is_root || !main.api.uses_default_key() {
        return failure;
    }
    Failure { message: format!("{}; run this as root, who may read it", failure.message).as_str().into(), ..failure }
}

/// The account of a configuration, for whoever may read its credentials.
///
/// # Errors
///
/// Why it cannot be asked, for the operator.
pub(super) fn asked(config: &Path) -> Result<(Main, Account, Runtime), String> {
    user::may_read(config)?;
    // The file says where the key is sent.
    let main = setup::main_configuration(config).map_err(|error| error.to_string())?;
    let account = Account::open(&main, &setup::credential_files(&main)).map_err(|failure| failure.to_string())?;
    Ok((main, account, runtime()?))
}

/// What TLM said, with what to do about it.
pub(super) fn told(failure: Failure) -> String {
    format!("{failure}; fix: {}; `renewd explain {}`", failure.remedy(), failure.class)
}

/// Where a command asks.
///
/// # Errors
///
/// When the system gives no runtime.
pub(super) fn runtime() -> Result<Runtime, String> {
    runtime::new().map_err(|error| format!("cannot start: {error}"))
}
