//! What an operator puts off: holds and freezes. What they forbid is checked by what the operator said, not by what renewd
//! made of it.

use std::time::Duration;

use renewd::config::Main;
use renewd::core::name::CertName;
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::wanted::window::Freeze;
use renewd::engine::{HoldOrder, Input};

use crate::world::World;

/// A hold as the operator ordered it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    until: Option<Timestamp>,
    even_emergency: bool,
}

impl World {
    pub(crate) fn hold(&mut self, name: &CertName, lasts: Option<Duration>, even_emergency: bool) {
        let (until, now) = (lasts.map(|lasts| self.wall() + lasts), self.now());
        self.holds.insert(name.clone(), Held { until, even_emergency });
        let order = HoldOrder { until, why: Some(Text::new("a migration")), even_emergency };
        self.d().engine.hold(std::slice::from_ref(name), &order, now).expect("it is in the inventory");
        self.obeyed();
    }

    pub(crate) fn release(&mut self, name: &CertName) {
        self.holds.remove(name);
        let now = self.now();
        self.d().engine.release(std::slice::from_ref(name), now).expect("it is in the inventory");
        self.obeyed();
    }

    fn obeyed(&mut self) {
        self.ledger.disturb(self.now);
        self.handle(Input::Tick);
    }

    /// Nothing is switched in between these instants: written into `renewd.toml`, and reloaded.
    pub(crate) fn freeze(&mut self, from: Timestamp, until: Timestamp) {
        self.freezes.push(Freeze::Dates { from, until });
        let main = Main { freezes: self.freezes.clone(), ..self.d().engine.main().clone() };
        self.handle(Input::MainRead(Ok(Box::new(main))));
        self.reload();
    }

    /// Whether an operator holds it.
    pub(crate) fn is_held(&self, name: &CertName) -> bool {
        self.holds.get(name).is_some_and(|held| held.until.is_none_or(|until| self.wall() < until))
    }

    /// Promise 8: what an operator holds is neither asked for nor switched in, and what is frozen is not switched in, unless
    /// it is urgent or somebody asked for it since.
    pub(crate) fn check_put_off(&mut self, name: &CertName, switches: bool) {
        let wall = self.wall();
        let held = self.holds.get(name).copied().filter(|held| held.until.is_none_or(|until| wall < until));
        let is_frozen =
            |freeze: &Freeze| matches!(freeze, Freeze::Dates { from, until } if *from <= wall && wall < *until);
        let is_frozen = switches && self.freezes.iter().any(is_frozen);
        let live = self.disk.live.get(name);
        let is_urgent = live.is_none_or(|live| {
            let certificate = &live.certificate;
            let ends_soon = certificate.not_after - certificate.lifetime() / 10 <= wall;
            live.damaged || ends_soon || self.tlm.revoked.contains(&certificate.serial)
        });
        let breach = match held {
            Some(held) if held.even_emergency || live.is_none() || !is_urgent => "although it is held",
            _ if is_frozen && !is_urgent => "in a freeze",
            _ => return,
        };
        let what = if switches { "switched in" } else { "asked for" };
        self.breaks(8, format!("{name}: {what} {breach}"));
    }
}
