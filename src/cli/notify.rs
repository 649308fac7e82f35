//! `renewd notify`: calls notifications with a document that is marked as a test. Through the daemon where it runs, by
//! itself where not.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::core::name::HookName;
use crate::daemon::control::{Reply, Request};
use crate::daemon::notification::{AllTested, TestEnd, Tested};
use crate::daemon::run::Order;
use crate::engine::Mode;

use super::start::{self, Started};
use super::{control, exit, order, output};

/// Calls them, and tells how each ended.
pub(super) fn run(config: &Path, names: &[HookName], json: bool) -> ExitCode {
    let (path, status) = match order::daemon(config) {
        Ok(found) => found,
        Err(code) => return code.into(),
    };
    let tested = match status {
        Ok(_) => by_daemon(&path, names),
        // Who may not ask is told so by what the files allow.
        Err(_) => match by_itself(config, names) {
            Ok(tested) => tested,
            Err(code) => return code.into(),
        },
    };
    match tested {
        Ok(tested) => tell(&tested, json),
        Err(why) => {
            output::complain(&why);
            exit::UNWELL.into()
        }
    }
}

fn by_daemon(path: &Path, names: &[HookName]) -> Result<AllTested, String> {
    let request = Request::Notify { names: names.to_vec() };
    let answer = control::ask_within(path, &request, request.patience());
    let answer = answer.map_err(|error| format!("the daemon does not answer: {error}"))?;
    // What is no list says why there is none.
    serde_json::from_str(&answer).map_err(|_| Reply::done_in(&answer).unwrap_or_else(|why| why))
}

fn by_itself(config: &Path, names: &[HookName]) -> Result<Result<AllTested, String>, u8> {
    let configured = start::configuration(config)?;
    let Started { runtime, mut daemon, messages: _messages, mut orders } =
        start::daemon(configured, Mode::Once { wait: Duration::ZERO })?;
    let tested = runtime.block_on(async {
        let tested = daemon.test_notifications(names)?;
        let stop = daemon.stop_notifications();
        let listen = async move {
            while let Some(order) = orders.recv().await {
                if matches!(order, Order::Stop) {
                    stop();
                }
            }
            std::future::pending::<AllTested>().await
        };
        tokio::select! {
            tested = tested => Ok(tested),
            tested = listen => Ok(tested),
        }
    });
    start::end(runtime);
    Ok(tested)
}

fn tell(tested: &AllTested, json: bool) -> ExitCode {
    if json {
        output::print_json(tested);
    } else {
        tested.notifications.iter().for_each(tell_one);
    }
    let is_done = tested.notifications.iter().all(|one| one.result == TestEnd::Ok);
    if is_done { exit::OK.into() } else { exit::UNWELL.into() }
}

fn tell_one(tested: &Tested) {
    let Tested { name, result, took_ms, message } = tested;
    let (seconds, tenths) = (took_ms / 1000, took_ms % 1000 / 100);
    let message = message.as_ref().map(|message| message.as_str()).filter(|message| !message.is_empty());
    let line = match result {
        TestEnd::Ok => {
            let printed = message.map_or_else(String::new, |message| format!("; it printed: {message}"));
            return output::tell(&format!("{name}: OK, exit status 0 after {seconds}.{tenths} s{printed}"));
        }
        TestEnd::Failed => format!("{name}: failed after {seconds}.{tenths} s"),
        TestEnd::Timeout => format!("{name}: timed out after {seconds}.{tenths} s"),
        TestEnd::Stopped => format!("{name}: stopped after {seconds}.{tenths} s, since renewd stopped"),
    };
    output::complain(&message.map_or(line.clone(), |message| format!("{line}: {message}")));
}
