//! Crash points: after every change of the disk the machine dies, and whatever was not synced is lost, kept or torn. The
//! real start, decision, protocol and store recover, and promises 2, 3, 4 and 11 are checked. Each sync is shown to be
//! needed: without it, a case fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test that cannot go on has failed"
)]

mod api;
mod back;
mod daemon;
mod disk;
mod files;
mod journal;

mod material;
mod points;
mod revoking;
