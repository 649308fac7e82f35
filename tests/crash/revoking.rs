//! Revoking what was replaced, crashed at every point from the renewal on: in the end it is revoked, and only it, though
//! TLM may be asked once more.

use std::collections::BTreeSet;
use std::time::Duration;

use renewd::core::name::Generation;
use renewd::core::wanted::entry::Entry;

use crate::back::{comes_to_rest, installed, with_hook};
use crate::daemon::Daemon;
use crate::disk::Machine;
use crate::material::sets;
use crate::points::require;

/// Comes to rest with the old one revoked; how often that was ordered.
fn revokes(machine: &Machine, entry: &Entry) -> Result<usize, String> {
    let old = &sets()[0].facts.serial_number;
    let (daemon, live) = comes_to_rest(machine, entry, 2)?;
    require(live == Generation(2), "another generation is live")?;
    let (api, record) = (machine.api_now(), daemon.record());
    require(api.revoked == std::slice::from_ref(old), &format!("revoked are {:?}, and not {old}", api.revoked))?;
    require(record.superseded.is_empty() && record.revoked.contains(old), "that is not on record")?;
    Ok(api.orders)
}

#[test]
fn a_revocation_survives_every_crash() {
    let mut entry = with_hook();
    entry.revoke_superseded = Some(Duration::from_secs(3600));
    let machine = installed(&entry);
    Daemon::start(&machine, &entry, None).unwrap().0.ask_renewal();
    machine.settle();
    machine.record();
    assert_eq!(revokes(&machine, &entry), Ok(1));
    let (mut known, mut orders) = (BTreeSet::new(), BTreeSet::new());
    for point in machine.points() {
        for (names, data, image) in point.disk.images() {
            // Many crashes leave the same behind.
            if known.insert((image.digest(), format!("{:?}", point.api))) {
                let survived = revokes(&Machine::boot(image, point.api.clone()), &entry);
                let ordered = survived.map_err(|what| format!("after {}, {names:?}, {data:?}: {what}", point.after));
                orders.insert(ordered.unwrap());
            }
        }
    }
    println!("revocation: {} crashes", known.len());
    assert_eq!(orders, [1, 2].into(), "once more where the crash came between TLM's answer and the journal");
}
