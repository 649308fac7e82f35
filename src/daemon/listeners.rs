//! What the daemon listens at: the control socket, and the address of the metrics. Both follow `renewd.toml` at reload.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::Tlm;
use crate::core::code::Code;
use crate::engine::Input;
use crate::engine::status::Problem;

use super::control;
use super::exporter;
use super::run::Daemon;

/// What is listened at now.
pub(super) struct Listeners {
    control_group: watch::Sender<Option<String>>,
    control: Option<(PathBuf, JoinHandle<()>)>,
    metrics: Option<(SocketAddr, JoinHandle<()>)>,
}

impl<T: Tlm> Daemon<T> {
    /// Listens from now on, where `renewd.toml` says.
    pub fn listen(&mut self) {
        let control_group = watch::Sender::new(self.engine.main().control_group.clone());
        self.listeners = Some(Listeners { control_group, control: None, metrics: None });
        self.follow_listeners();
    }

    /// Listens where `renewd.toml` says now, and nowhere else. A socket that cannot be opened leaves the old one.
    pub(super) fn follow_listeners(&mut self) {
        let Some(mut listeners) = self.listeners.take() else { return };
        let control_group = &self.engine.main().control_group;
        if *listeners.control_group.borrow() != *control_group {
            listeners.control_group.send_replace(control_group.clone());
            // Should the new one not be let in either, that is told anew.
            self.handle(Input::ProblemChanged(CONTROL, None));
        }
        let path = control::path(self.engine.main());
        if listeners.control.as_ref().is_none_or(|(at, _)| *at != path) {
            let opened = control::open(&path);
            let problem = opened.as_ref().err().map(|error| no_socket(&path, error));
            if let Ok(socket) = opened {
                let answering =
                    tokio::spawn(control::serve(socket, listeners.control_group.subscribe(), self.messages()));
                if let Some((_, old)) = listeners.control.replace((path, answering)) {
                    old.abort();
                }
            }
            self.handle(Input::ProblemChanged(CONTROL, problem));
        }
        let wanted = self.engine.main().metrics.listen;
        if listeners.metrics.as_ref().map(|(at, _)| *at) != wanted {
            let old = listeners.metrics.take().map(|(_, old)| old);
            old.iter().for_each(JoinHandle::abort);
            self.handle(Input::ProblemChanged(exporter::PROBLEM, None));
            let messages = self.messages();
            listeners.metrics = wanted.map(|address| {
                let serving = async move {
                    // The same port at another address is free once the old listener is closed.
                    if let Some(old) = old {
                        drop(old.await);
                    }
                    exporter::serve(address, messages).await;
                };
                (address, tokio::spawn(serving))
            });
        }
        self.listeners = Some(listeners);
    }
}

fn no_socket(path: &Path, error: &io::Error) -> Problem {
    Problem::error(
        CONTROL,
        &format!("the control socket {} cannot be opened: {error}", path.display()),
        "create its folder for the service's user, or set `control_socket`, and reload",
    )
}

const CONTROL: &str = Code::ControlSocketFailed.as_str();
