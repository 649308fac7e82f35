//! The daemon, on a thread of its own, as `renewd run` runs it.

use std::path::Path;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use renewd::core::name::CertName;
use renewd::daemon::control::{self, Request, View};
use renewd::daemon::message::Message;
use renewd::daemon::run::Order;
use renewd::daemon::setup;
use renewd::engine::Mode;
use renewd::engine::status::Status;

/// A running daemon.
pub(crate) struct Service {
    ears: mpsc::UnboundedSender<Message>,
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

impl Service {
    /// Starts it with this configuration.
    pub(crate) fn start(config: &Path) -> Self {
        let main = setup::main_configuration(config).unwrap();
        let socket = main.control_socket(None);
        let credentials = setup::credential_files(&main);
        let (mut daemon, messages) = setup::prepare(main, credentials, Mode::Forever).unwrap();
        let (orders, receiver) = mpsc::unbounded_channel();
        let ears = daemon.messages();
        let loop_ = ears.clone();
        let thread = thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async {
                serve(&socket, loop_);
                daemon.run(messages, receiver).await;
            });
            runtime.shutdown_background();
        });
        Self { ears, orders, thread }
    }

    /// What `renewd status --json` prints.
    pub(crate) fn status(&self) -> Status {
        serde_json::from_str(&self.ask(Request::Status { view: View::All })).unwrap()
    }

    /// What `renewd renew NAME` does.
    pub(crate) fn renew(&self, name: &str) {
        let name: CertName = name.parse().unwrap();
        self.ask(Request::Renew { names: vec![name], reissue: false });
    }

    fn ask(&self, request: Request) -> String {
        let (sender, receiver) = oneshot::channel();
        self.ears.send(Message::Asked(request, sender)).unwrap();
        receiver.blocking_recv().unwrap()
    }

    /// What SIGTERM does.
    pub(crate) fn stop(self) {
        self.orders.send(Order::Stop).unwrap();
        self.thread.join().unwrap();
    }
}

/// What `renewd once` does with this configuration.
pub(crate) fn once(config: &Path) {
    let main = setup::main_configuration(config).unwrap();
    let mode = Mode::Once { wait: std::time::Duration::ZERO };
    let credentials = setup::credential_files(&main);
    let (mut daemon, messages) = setup::prepare(main, credentials, mode).unwrap();
    let (_orders, receiver) = mpsc::unbounded_channel();
    let runtime = runtime();
    runtime.block_on(daemon.run(messages, receiver));
    runtime.shutdown_background();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Lets the command line ask, too. A path too long for a socket costs that alone.
fn serve(path: &Path, loop_: mpsc::UnboundedSender<Message>) {
    if let Ok(socket) = control::open(path) {
        tokio::spawn(control::serve(socket, watch::channel(None).1, loop_));
    }
}
