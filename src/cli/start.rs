//! What `run`, `once` and `renew` have in common: configuration, user, log, daemon, signals.

use std::path::Path;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::api::Client;
use crate::config::Main;
use crate::daemon::message::Message;
use crate::daemon::run::{Daemon, Order};
use crate::daemon::setup::{self, StartError};
use crate::engine::Mode;

use super::{confine, exit, log, output, user};

/// A daemon that is ready to run, and what it listens to.
pub(super) struct Started {
    pub(super) runtime: Runtime,
    pub(super) daemon: Daemon<Client>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
}

/// Reads the main configuration, becomes the owner of its state directory and opens the log.
///
/// # Errors
///
/// The exit code; the reason has been told.
pub(super) fn configuration(config: &Path) -> Result<Main, u8> {
    user::may_read(config).map_err(|why| {
        output::complain(&why);
        exit::NOT_PERMITTED
    })?;
    let main = setup::main_configuration(config).map_err(|error| told(&error))?;
    user::become_owner(&main.state_dir).map_err(|why| {
        output::complain(&why);
        exit::NOT_PERMITTED
    })?;
    log::open(&main.log).map_err(|why| {
        output::complain(&format!("{}: {why}", config.display()));
        exit::CONFIG
    })?;
    confine::confine();
    Ok(main)
}

/// Makes the daemon, its runtime and its ears.
///
/// # Errors
///
/// The exit code; the reason has been told.
pub(super) fn daemon(main: Main, mode: Mode) -> Result<Started, u8> {
    let failed = |error: std::io::Error| {
        tracing::error!("cannot start: {error}");
        exit::INTERNAL
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (daemon, messages) = setup::prepare(main, mode).map_err(|error| told(&error))?;
    let (sender, orders) = mpsc::unbounded_channel();
    let guard = runtime.enter();
    let signals = Signals::new([SIGHUP, SIGTERM, SIGINT]).map_err(failed)?;
    drop(guard);
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
        let order = if signal == SIGHUP { Order::Reload } else { Order::Stop };
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
