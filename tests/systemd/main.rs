//! The shipped units under a real, booted systemd, against the simulator: each test has a machine of its own. Skipped,
//! with the reason printed, where there is no root or no tool; `RENEWD_REQUIRE_SYSTEMD=1` makes that a failure.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod faults;
mod hooks;
mod host;
mod instance;
mod machine;
mod reload;
mod sandbox;
mod service;
mod units;
