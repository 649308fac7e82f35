//! What `run`, `once` and `renew` have in common: configuration, user, log, daemon, signals.

use std::path::Path;
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::api::Client;
use crate::api::credentials::CredentialFiles;
use crate::config::Main;
use crate::daemon::children;
use crate::daemon::message::Message;
use crate::daemon::run::{Daemon, Order, SetLog};
use crate::daemon::sandbox;
use crate::daemon::setup::{self, StartError};
use crate::engine::Mode;

use super::{confine, exit, log, output, runtime, signals, user};

/// A daemon that is ready to run, and what it listens to.
pub(super) struct Started {
    pub(super) runtime: Runtime,
    pub(super) daemon: Daemon<Client>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
}

/// What everything that writes begins with.
pub(super) struct Configured {
    pub(super) main: Main,
    pub(super) credentials: CredentialFiles,
    set_log: SetLog,
}

/// Reads the main configuration, and as root the credentials that the service is handed; becomes the owner of the state
/// directory, and opens the log.
///
/// # Errors
///
/// The exit code; the reason has been told.
pub(super) fn configuration(config: &Path) -> Result<Configured, u8> {
    signals::note_hangup();
    user::may_read(config).map_err(|why| {
        output::complain(&why);
        exit::NOT_PERMITTED
    })?;
    let main = setup::main_configuration(config).map_err(|error| told(&error))?;
    let credentials = setup::credential_files(&main);
    user::become_owner(&main.state_dir).map_err(|why| {
        output::complain(&why);
        exit::NOT_PERMITTED
    })?;
    let set_log = log::open(&main.log).map_err(|why| {
        output::complain(&format!("{}: {why}", config.display()));
        exit::CONFIG
    })?;
    confine::confine();
    Ok(Configured { main, credentials, set_log })
}

/// Makes the daemon, its runtime and its ears.
///
/// # Errors
///
/// The exit code; the reason has been told.
pub(super) fn daemon(configured: Configured, mode: Mode) -> Result<Started, u8> {
    let failed = |error: std::io::Error| {
        tracing::error!("cannot start: {error}");
        exit::INTERNAL
    };
    let Configured { main, credentials, set_log } = configured;
    let state_dir = main.state_dir.clone();
    let (mut daemon, messages) = setup::prepare(main, credentials, mode).map_err(|error| told(&error))?;
    // The state directory is there by now, and the runtime's threads inherit it.
    sandbox::enter(&state_dir);
    let runtime = runtime::new().map_err(failed)?;
    daemon.log_by(set_log);
    let (sender, orders) = mpsc::unbounded_channel();
    let guard = runtime.enter();
    children::adopt();
    let signals = Signals::new([SIGHUP, SIGTERM, SIGINT, SIGCHLD]).map_err(failed)?;
    drop(guard);
    if signals::hung_up() {
        // Before there was anybody to hear it; a daemon that is gone already needs no reload.
        sender.send(Order::Reload).unwrap_or_default();
    }
    runtime.spawn(listen(signals, sender));
    Ok(Started { runtime, daemon, messages, orders })
}

/// Tells why there is no daemon, and what to do.
pub(super) fn told(error: &StartError) -> u8 {
    output::complain(&error.to_string());
    match error {
        StartError::Config(_) => {
            output::complain("\nnot started; fix the above (`renewd check` lists all problems) and start again")
        }
        StartError::State(_) => output::complain("not started; fix the above and start again"),
        StartError::Locked(_) => {}
    }
    error.exit_code()
}

async fn listen(mut signals: Signals, orders: mpsc::UnboundedSender<Order>) {
    while let Some(signal) = futures_util::StreamExt::next(&mut signals).await {
        let order = match signal {
            SIGCHLD => {
                children::reap();
                continue;
            }
            SIGHUP => Order::Reload,
            _ => Order::Stop,
        };
        if orders.send(order).is_err() {
            return;
        }
    }
}

/// Ends the runtime. What still runs (a request under way, a name being resolved) is in the journal and is not waited
/// for; threads get a moment, since one that makes a key while the process exits can bring it down by a signal.
pub(super) fn end(runtime: Runtime) {
    runtime.shutdown_timeout(LAST_MOMENT);
}

const LAST_MOMENT: Duration = Duration::from_millis(900);
