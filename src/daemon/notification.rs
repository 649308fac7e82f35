//! Calls of notifications: what `[notify.NAME]` runs, for what happened or as a test that an operator wants.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::api::Tlm;
use crate::core::name::HookName;
use crate::core::text::Text;
use crate::core::wanted::hook::{Hook, HookRun};
use crate::engine::Document;
use crate::engine::hooks::Ended;

use super::context::Context;
use super::hooks::{self, Errand};
use super::orphan_hooks;
use super::run::Daemon;

/// What came of a test call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// Of which notification.
    pub name: HookName,
    /// How it ended.
    pub result: TestEnd,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What it printed, or what went wrong and what it printed.
    pub message: Option<Text>,
}

/// How a test call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestEnd {
    /// The program exited with 0, or systemd took the order for the unit.
    Ok,
    /// It exited otherwise, or could not be started.
    Failed,
    /// It was killed when its time was over.
    Timeout,
    /// It was ended since renewd stopped.
    Stopped,
}

/// The answer to `renewd notify`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllTested {
    /// Each, in the order of their names.
    pub notifications: Vec<Tested>,
}

/// Runs what a notification runs; a command reads the document, and a unit is only started.
pub(super) async fn call<T: Tlm>(
    context: &Context<T>,
    run: &Hook,
    document: &Document,
    stop: watch::Receiver<bool>,
) -> Ended {
    let mut environment = vec![
        ("RENEWD_NOTIFY".to_owned(), document.notify.to_string()),
        ("RENEWD_SUMMARY".to_owned(), document.summary.to_string()),
        (orphan_hooks::STATE.to_owned(), context.layout.root().display().to_string()),
    ];
    if document.test {
        environment.push(("RENEWD_TEST".to_owned(), "1".to_owned()));
    }
    let is_command = matches!(run.run, HookRun::Command(_));
    // What is made of texts and numbers alone can be written.
    let mut input = serde_json::to_vec_pretty(document).unwrap_or_default();
    input.push(b'\n');
    let shown = |output: &str, limit| context.api().end_of(output, limit);
    let errand = Errand { kind: "notification", environment, input: is_command.then_some(input) };
    hooks::run(run, errand, stop, shown).await
}

impl<T: Tlm> Daemon<T> {
    /// Calls these notifications, or all where none is named, with a document that says that it is a test. Nothing of it
    /// counts as told.
    ///
    /// # Errors
    ///
    /// Which of them `renewd.toml` has not, as it was read last.
    pub fn test_notifications(
        &mut self,
        names: &[HookName],
    ) -> Result<impl Future<Output = AllTested> + use<T>, String> {
        let notifies = &self.engine.main().notifies;
        let unknown: Vec<&str> =
            names.iter().filter(|name| !notifies.contains_key(*name)).map(HookName::as_str).collect();
        if notifies.is_empty() || !unknown.is_empty() {
            let known: Vec<&str> = notifies.keys().map(HookName::as_str).collect();
            return Err(unknown_notifications(&unknown, &known));
        }
        let is_meant = |name: &HookName| names.is_empty() || names.contains(name);
        let at = self.context.clock.now();
        let meant = notifies.iter().filter(|(name, _)| is_meant(name));
        let calls: Vec<_> = meant.map(|(_, notify)| (notify.run.clone(), self.engine.sample(notify, at))).collect();
        self.begin_hooks();
        // All at once: each has its own time.
        let running: Vec<_> = calls
            .into_iter()
            .map(|(run, document)| {
                let (context, stop) = (Arc::clone(&self.context), self.stop_hooks.subscribe());
                tracing::info!(notify = %run.name, "testing the notification, as an operator wants");
                (run.name.clone(), tokio::spawn(async move { test(&context, &run, &document, stop).await }))
            })
            .collect();
        Ok(async move {
            let mut notifications = Vec::new();
            for (name, call) in running {
                let lost = |_| Tested { name, result: TestEnd::Failed, took_ms: 0, message: None };
                notifications.push(call.await.unwrap_or_else(lost));
            }
            AllTested { notifications }
        })
    }

    /// Ends what is being called.
    pub fn stop_notifications(&self) -> impl Fn() + use<T> {
        let stop = self.stop_hooks.clone();
        move || {
            stop.send_replace(true);
        }
    }
}

async fn test<T: Tlm>(context: &Context<T>, run: &Hook, document: &Document, stop: watch::Receiver<bool>) -> Tested {
    let began = context.clock.steady();
    let ended = call(context, run, document, stop).await;
    let took_ms = u64::try_from(context.clock.steady().saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
    let (result, message) = match ended {
        Ended::Done(output) => (TestEnd::Ok, output),
        Ended::Failed(failure, _) => (TestEnd::Failed, Some(failure.message)),
        Ended::TimedOut(failure, _) => (TestEnd::Timeout, Some(failure.message)),
        Ended::Stopped => (TestEnd::Stopped, None),
    };
    tracing::info!(notify = %run.name, took_ms, "the test ended: {result:?}");
    Tested { name: run.name.clone(), result, took_ms, message }
}

fn unknown_notifications(unknown: &[&str], known: &[&str]) -> String {
    let reload = "after a change of renewd.toml, run: systemctl reload renewd";
    match (unknown, known) {
        (_, []) => format!("renewd.toml has no [notify.NAME], so nobody is notified; {reload}"),
        (unknown, known) => {
            format!("no notification named {}; there is {}; {reload}", unknown.join(", "), known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_there_is_named_beside_who_is() {
        let told = unknown_notifications(&["opps"], &["mail", "ops"]);
        assert!(told.starts_with("no notification named opps; there is mail, ops; "), "{told}");
        assert!(unknown_notifications(&[], &[]).starts_with("renewd.toml has no [notify.NAME]"));
    }
}
