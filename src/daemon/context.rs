//! What the workers share: the API, the disk, the journal, the clock and the pace.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Tlm;
use crate::core::admission::Pace;
use crate::core::failure::{Failure, FailureClass};
use crate::core::time::Timestamp;
use crate::store::disk::Disk;
use crate::store::fixed::Ground;
use crate::store::layout::Layout;
use crate::store::shared_journal::SharedJournal;

use super::clock::Clock;
use super::message::Message;

/// Makes a client from the credentials as they are now.
pub type Connect<T> = Box<dyn Fn() -> Result<T, Failure> + Send + Sync>;

/// What the workers share.
pub struct Context<T: Tlm> {
    /// The API, replaced at reload.
    pub api: RwLock<Arc<T>>,
    /// Makes a new client.
    pub connect: Connect<T>,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The state directory.
    pub layout: Layout,
    /// Who the service is.
    pub ground: Ground,
    /// How many generations are kept.
    pub keep_generations: u32,
    /// The journal.
    pub journal: SharedJournal,
    /// The pace of requests.
    pub pace: Mutex<Pace>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// To the loop.
    pub loop_: mpsc::UnboundedSender<Message>,
    /// The configuration file, for messages.
    pub config: PathBuf,
}

impl<T: Tlm> Context<T> {
    /// The API as it is now.
    pub fn api(&self) -> Arc<T> {
        self.api.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the loop. A loop that has ended needs to know nothing any more.
    pub fn tell(&self, message: Message) {
        drop(self.loop_.send(message));
    }

    /// Lets no request out before `until`.
    pub fn pause(&self, until: Timestamp) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).pause(until);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).resume();
    }

    /// Until when a 429 holds requests back.
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).paused_until(now)
    }

    /// The clock was set back by so much.
    pub fn set_back(&self, by: Duration) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).set_back(by);
    }

    /// Waits for the right to one request.
    pub async fn take_turn(&self, is_urgent: bool) {
        loop {
            let now = self.clock.now();
            let turn = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(is_urgent, now);
            let Err(until) = turn else { return };
            // Short naps by the wall clock: timers stand still while the machine is suspended.
            tokio::time::sleep(until.since(now).min(LONGEST_NAP).max(Duration::from_millis(1))).await;
        }
    }

    /// Runs what blocks (files, keys) beside the loop.
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
