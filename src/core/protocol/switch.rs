//! What makes another set live: after the programs that are asked before, where there are any.

use super::{Effect, Next, Outcome, Payload, Phase, Protocol};
use crate::core::event::Event;
use crate::core::name::{Attempt, Generation};

/// What makes another set live.
#[derive(Clone, Debug)]
pub(super) enum Switch<P: Payload> {
    Install { set: P::Set, key: Option<P::Key> },
    Refresh,
    Forward { generation: Generation, stays: bool },
}

impl<P: Payload> Switch<P> {
    /// How it begins: by asking, or at once.
    pub(super) fn start(self, asks_before: bool, attempt: Attempt) -> (Phase<P>, Effect<P>) {
        if asks_before {
            return (Phase::Asked(self), Effect::AskBefore);
        }
        match self {
            Self::Install { set, key } => (Phase::Live, Effect::Install { attempt, set, key }),
            Self::Refresh => (Phase::Refreshed, Effect::RefreshChain),
            Self::Forward { generation, stays } => (Phase::Forward { generation, stays }, Effect::Switch(generation)),
        }
    }
}

impl<P: Payload> Protocol<P> {
    /// Who says no is asked again on a ladder, unless there is no time left for that.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other outcome is a defect, whichever it is")]
    pub(super) fn asked_before(&mut self, outcome: Outcome<P>, switch: Switch<P>) -> Next<P> {
        match outcome {
            Outcome::Done => self.switch(switch),
            Outcome::Vetoed { hook, failure, overruled: false } => {
                self.finish(Event::SwitchVetoed { hook, failure, overruled: false })
            }
            Outcome::Vetoed { hook, failure, overruled: true } => {
                let event = Event::SwitchVetoed { hook, failure, overruled: true };
                self.go(Phase::Overruled(switch), Effect::Record(event))
            }
            _ => self.unexpected("asking before a switch"),
        }
    }

    pub(super) fn switch(&mut self, switch: Switch<P>) -> Next<P> {
        let (phase, effect) = switch.start(false, self.attempt);
        self.go(phase, effect)
    }
}
