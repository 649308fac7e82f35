//! Revoking what was replaced, crashed at every point from the renewal on: in the end it is revoked, and only it, though
//! TLM may be asked once more.

use std::cell::Cell;
use std::time::Duration;

use renewd::core::name::Generation;

use crate::back::{check, comes_to_rest, installed, with_hook};
use crate::daemon::Daemon;
use crate::material::sets;
use crate::points::require;

#[test]
fn a_revocation_survives_every_crash() {
    let mut entry = with_hook();
    entry.revoke_superseded = Some(Duration::from_secs(3600));
    let machine = installed(&entry);
    Daemon::start(&machine, &entry, None).unwrap().0.ask_renewal();
    machine.settle();
    let old = &sets()[0].facts.serial_number;
    let asked_twice = Cell::new(false);
    check("revocation", &entry, &machine.point(), |machine| {
        let (daemon, live) = comes_to_rest(machine, &entry, 2)?;
        require(live == Generation(2), "another generation is live")?;
        let (api, record) = (machine.api_now(), daemon.record());
        require(api.revoked == std::slice::from_ref(old), &format!("revoked are {:?}, and not {old}", api.revoked))?;
        require(api.orders <= 2, &format!("it was ordered {} times", api.orders))?;
        asked_twice.set(asked_twice.get() || api.orders == 2);
        require(record.superseded.is_empty() && record.revoked.contains(old), "that is not on record")
    });
    assert!(asked_twice.get(), "no crash came between TLM's answer and the journal");
}
