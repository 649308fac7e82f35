//! The real binary under fire: killed at random instants and at chosen system calls, on disks that fail, by an API that
//! loses its answers or floods the client, and under a clock that jumps. What a reader and the API see is checked.
//!
//! Tools that a machine may lack (root, strace, faketime) leave a test out, which is said; with
//! `RENEWD_REQUIRE_FAULTS=1` that fails. `RENEWD_KILL_ROUNDS` and `RENEWD_KILL_SEED` say how often, and which.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod clock;
mod container;
mod disk;
#[allow(dead_code, reason = "the daemon's tests use the rest of it")]
#[path = "../daemon/host.rs"]
mod host;
mod hostile;
mod journal;
mod kill;
mod limits;
mod load;
mod lost;
mod process;
mod reader;
mod reissue;
#[path = "../simulator/mod.rs"]
mod simulator;
mod tools;
