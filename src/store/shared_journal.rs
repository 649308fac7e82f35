//! The journal as several threads write it. What comes while a write is under way waits, and is made durable together
//! by the next one: under load one sync serves many.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::event::Entry;
use crate::core::failure::Failure;

use super::journal::Journal;
use super::lines;

/// The open journal, shared.
pub struct SharedJournal {
    journal: Mutex<Journal>,
    waiting: Mutex<Vec<Waiting>>,
}

/// Lines that wait for the next write, and where it tells what became of them.
struct Waiting {
    lines: Vec<u8>,
    outcome: Arc<Mutex<Option<Result<(), Failure>>>>,
}

impl SharedJournal {
    /// Shares the journal.
    #[must_use]
    pub const fn new(journal: Journal) -> Self {
        Self { journal: Mutex::new(journal), waiting: Mutex::new(Vec::new()) }
    }

    /// Appends events and makes them durable, after those that could not be written before.
    ///
    /// # Errors
    ///
    /// When the disk fails: nothing of `entries` is in the journal then.
    pub fn append(&self, entries: &[Entry]) -> Result<(), Failure> {
        let outcome = Arc::new(Mutex::new(None));
        let lines = entries.iter().flat_map(lines::encode).collect();
        lock(&self.waiting).push(Waiting { lines, outcome: Arc::clone(&outcome) });
        let mut journal = lock(&self.journal);
        // Whoever wrote in between took it along.
        if let Some(outcome) = lock(&outcome).take() {
            return outcome;
        }
        let batch = std::mem::take(&mut *lock(&self.waiting));
        let lines: Vec<u8> = batch.iter().flat_map(|waiting| &waiting.lines).copied().collect();
        let written = journal.append_lines(&lines);
        batch.iter().for_each(|waiting| *lock(&waiting.outcome) = Some(written.clone()));
        written
    }

    /// Keeps an event that happened although the journal could not take it: it is written before the next one.
    pub fn keep_for_later(&self, entry: &Entry) {
        lock(&self.journal).keep_for_later(entry);
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
