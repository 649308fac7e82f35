//! Who is connected: so many at most, and so many of one peer. Whoever says nothing gives way to who comes after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

/// The connections of a listener, the oldest first.
#[derive(Debug)]
pub struct Seats<P> {
    most: usize,
    most_of_one: usize,
    taken: Vec<Seat<P>>,
}

#[derive(Debug)]
struct Seat<P> {
    peer: P,
    heard: Heard,
    task: AbortHandle,
}

/// Whether a connection has said what it wants.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<AtomicBool>);

impl Heard {
    /// It has.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<P: PartialEq> Seats<P> {
    /// So many at most, and so many of one peer.
    #[must_use]
    pub const fn new(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, taken: Vec::new() }
    }

    /// Makes room for one more of this peer, where necessary by ending the connection that has said nothing for the longest
    /// time. There is none where all are being answered. A peer that is preferred finds room whoever else is here.
    pub async fn make_room(&mut self, peer: &P, is_preferred: bool) -> bool {
        self.taken.retain(|seat| !seat.task.is_finished());
        if self.of(peer) >= self.most_of_one || (!is_preferred && self.taken.len() >= self.most) {
            // Who came just now has a moment to speak.
            tokio::time::sleep(MOMENT).await;
        }
        if self.of(peer) >= self.most_of_one {
            return self.end(|_, seat| seat.peer == *peer);
        }
        if is_preferred || self.taken.len() < self.most {
            return true;
        }
        // Of those who are here most often, so that nobody alone pushes the others out.
        let silent = |seats: &Self, peer: &P| {
            seats.taken.iter().filter(|seat| seat.peer == *peer && !seat.heard.is_noted()).count()
        };
        let most = self.taken.iter().map(|seat| silent(self, &seat.peer)).max().unwrap_or_default();
        self.end(|seats, seat| silent(seats, &seat.peer) == most)
    }

    /// A connection takes its seat.
    pub fn take(&mut self, peer: P, heard: Heard, task: AbortHandle) {
        self.taken.push(Seat { peer, heard, task });
    }

    /// Ends the oldest of these connections that has said nothing, where there is one.
    fn end(&mut self, is_meant: impl Fn(&Self, &Seat<P>) -> bool) -> bool {
        let is_meant = |seat: &Seat<P>| !seat.heard.is_noted() && is_meant(self, seat);
        let Some(at) = self.taken.iter().position(is_meant) else { return false };
        self.taken.remove(at).task.abort();
        true
    }

    fn of(&self, peer: &P) -> usize {
        self.taken.iter().filter(|seat| seat.peer == *peer).count()
    }
}

const MOMENT: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes in where there is room; whether there was.
    async fn come(seats: &mut Seats<u32>, peer: u32, heard: bool) -> bool {
        let room = seats.make_room(&peer, peer == 0).await;
        if room {
            let note = Heard::default();
            if heard {
                note.note();
            }
            seats.take(peer, note, tokio::spawn(std::future::pending::<()>()).abort_handle());
        }
        room
    }

    fn peers(seats: &Seats<u32>) -> Vec<u32> {
        seats.taken.iter().map(|seat| seat.peer).collect()
    }

    #[tokio::test]
    async fn the_silent_give_way_and_those_who_are_answered_stay() {
        let mut seats = Seats::new(5, 3);
        assert!(
            come(&mut seats, 1, true).await && come(&mut seats, 1, false).await && come(&mut seats, 1, false).await
        );
        // At its own bound, its oldest silent one goes.
        assert!(come(&mut seats, 1, true).await && come(&mut seats, 1, true).await);
        assert!(!come(&mut seats, 1, false).await, "all of its own are being answered");
        assert!(come(&mut seats, 2, false).await && come(&mut seats, 3, false).await);
        assert_eq!(peers(&seats), [1, 1, 1, 2, 3]);
        assert!(come(&mut seats, 4, false).await, "one that says nothing gives way");
        assert_eq!(peers(&seats), [1, 1, 1, 3, 4]);
        assert!(come(&mut seats, 0, true).await, "whoever is preferred finds room");
        assert_eq!(peers(&seats), [1, 1, 1, 3, 4, 0]);
    }

    #[tokio::test]
    async fn whoever_has_gone_takes_no_room() {
        let mut seats = Seats::new(1, 1);
        assert!(come(&mut seats, 1, true).await);
        assert!(!come(&mut seats, 1, true).await);
        seats.taken[0].task.abort();
        tokio::task::yield_now().await;
        assert!(come(&mut seats, 1, true).await);
    }
}
