//! What TLM refuses for the sake of a certificate that may be this request's own: whether it is, is looked up first.

use super::{Effect, Next, Outcome, Payload, Phase, Protocol};
use crate::core::event::Event;
use crate::core::failure::{Accepted, Failure, FailureClass, Scope};
use crate::core::known::holding;
use crate::core::name::Digest;
use crate::core::text::Text;

impl<P: Payload> Protocol<P> {
    pub(super) fn searched(
        &mut self,
        outcome: Outcome<P>,
        refusal: Option<Failure>,
        spki: Digest,
        key: Option<P::Key>,
    ) -> Next<P> {
        let attempt = self.attempt;
        match (outcome, refusal) {
            (Outcome::Issued(serial, answer), _) => self.keep(serial, answer, spki, key),
            // The answer stays open: the search is made again, before somebody is called for what is ours. TLM took nothing.
            (Outcome::Failed(failure), Some(refusal)) if !self.job.is_last_try && is_open(&refusal, &failure) => {
                let message =
                    format!("{}; the search for what it may have issued failed: {}", refusal.message, failure.message);
                let failure = Failure { message: Text::new(&message), accepted: Accepted::No, ..failure };
                self.finish(Event::RefusalUnclear { attempt, failure })
            }
            (_, Some(refusal)) if self.is_known(&refusal) => self.refuse(refusal),
            (_, Some(refusal)) => self.go(Phase::Surveyed { refusal }, Effect::SearchHeld),
            (Outcome::NotFound, None) => self.finish(Event::LookedUp { attempt, failure: None }),
            (Outcome::Failed(failure), None) => self.finish(Event::LookedUp { attempt, failure: Some(failure) }),
            _ => self.unexpected("a look-up"),
        }
    }

    pub(super) fn is_known(&self, refusal: &Failure) -> bool {
        self.job.known.as_deref().is_some_and(|known| known.class == refusal.class)
    }

    /// Records a refusal by the words that explained it before.
    pub(super) fn refuse(&mut self, refusal: Failure) -> Next<P> {
        let failure = self.job.known.take().map_or(refusal, |known| *known);
        self.finish(Event::NotAccepted { attempt: self.attempt, failure })
    }

    /// A repetition would only repeat the refusal: it says what TLM holds, and what the operator can do.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else came, nothing was found")]
    pub(super) fn surveyed(&mut self, outcome: &Outcome<P>, refusal: Failure) -> Next<P> {
        let seat = self.job.entry.naming.seat();
        let held = match outcome {
            Outcome::Holds(held) => Ok(held.as_slice()),
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(&[][..]),
        };
        let failure = holding::explained(refusal, &seat, held);
        self.finish(Event::NotAccepted { attempt: self.attempt, failure })
    }
}

/// Whether a search that failed leaves open if the renewal that TLM speaks of is ours. One that is refused shows nothing
/// at any time, and a refused duplicate has issued nothing by itself.
fn is_open(refusal: &Failure, failure: &Failure) -> bool {
    refusal.class == FailureClass::AlreadyRenewed && matches!(failure.class.scope(), Scope::Outage | Scope::Key)
}
