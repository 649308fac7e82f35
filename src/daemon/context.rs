//! What the workers share: the API, the disk, the journal, the clock, and the way to the loop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::api::Tlm;
use crate::api::credentials::CredentialFiles;
use crate::config::ApiSettings;
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::CertName;
use crate::core::wanted::entry::Entry;
use crate::engine::{Asker, Input, Now, Step};
use crate::store::disk::Disk;
use crate::store::layout::Layout;
use crate::store::shared_journal::SharedJournal;
use crate::store::targets::{self, ServiceIdentity};

use super::clock::Clock;
use super::message::Message;
use super::sandbox;

/// Makes a client by these settings, and from the credentials as they are now.
pub type Connect<T> = Box<dyn Fn(&ApiSettings) -> Result<T, Failure> + Send + Sync>;

/// What the workers share.
pub struct Context<T: Tlm> {
    /// The API, replaced at reload.
    pub api: RwLock<Arc<T>>,
    /// Makes a new client.
    pub connect: Connect<T>,
    /// How credentials are read.
    pub credentials: CredentialFiles,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The state directory.
    pub layout: Layout,
    /// Who the service is.
    pub identity: ServiceIdentity,
    /// How many generations are kept.
    pub keep_generations: AtomicU32,
    /// The journal.
    pub journal: SharedJournal,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// To the loop.
    pub messages: mpsc::UnboundedSender<Message>,
    /// The configuration file, for messages.
    pub config: PathBuf,
}

impl<T: Tlm> Context<T> {
    /// How many generations are kept now.
    pub fn keep_generations(&self) -> u32 {
        self.keep_generations.load(Ordering::Relaxed)
    }

    /// The API as it is now.
    pub fn api(&self) -> Arc<T> {
        self.api.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the loop. A loop that has ended needs to know nothing any more.
    pub fn tell(&self, message: Message) {
        drop(self.messages.send(message));
    }

    /// Tells the engine.
    pub fn tell_engine(&self, input: Input) {
        self.tell(Message::Engine(input));
    }

    /// The present, by both clocks.
    pub fn now(&self) -> Now {
        Now { wall: self.clock.now(), steady: self.clock.steady() }
    }

    /// Waits for the right to one request; whether the clock may be right. Once the loop has ended there is none.
    pub async fn take_turn(&self, asker: Asker) -> bool {
        loop {
            let (answer, turn) = oneshot::channel();
            self.tell(Message::TurnWanted { asker: asker.clone(), answer });
            match turn.await {
                Ok(Ok(may_be_right)) => return may_be_right,
                // Short naps by the wall clock: timers stand still while the machine is suspended.
                Ok(Err(until)) => {
                    let nap = until.since(self.clock.now()).min(LONGEST_NAP).max(Duration::from_millis(1));
                    tokio::time::sleep(nap).await;
                }
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Whether what was decided may still be done. Once the loop has ended, what it began is finished.
    pub async fn may(&self, name: &CertName, step: Step) -> bool {
        let (answer, told) = oneshot::channel();
        self.tell(Message::StepWanted { name: name.clone(), step, answer });
        told.await.unwrap_or(true)
    }

    /// Runs what writes the files of an entry beside the loop, wherever its targets are.
    ///
    /// # Errors
    ///
    /// As [`Context::blocking`].
    pub async fn install<R: Send + 'static>(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        work: impl FnOnce(&Self, &Entry) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let (context, entry) = (Arc::clone(self), Arc::clone(entry));
        let folders = targets::folders(&entry);
        self.blocking(move |_| sandbox::within(folders, move || work(&context, &entry))).await
    }

    /// Runs what blocks (files, keys) beside the loop, and writes nowhere but in the state directory.
    ///
    /// # Errors
    ///
    /// Those of `work`, or an internal one when it panicked.
    pub async fn blocking<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let context = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&context)).await {
            Ok(result) => result,
            Err(error) => Err(Failure::new(FailureClass::Internal, format!("a worker ended: {error}"))),
        }
    }
}

const LONGEST_NAP: Duration = Duration::from_secs(30);
