//! The shipped units under a real, booted systemd, against the simulator: each test has a machine of its own. Skipped,
//! with the reason printed, where there is no root or no tool; `RENEWD_REQUIRE_SYSTEMD=1` makes that a failure.
//! The packages are tested where `RENEWD_REQUIRE_PACKAGE=1` says that `.ci/release` has made them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod check;
mod faults;
mod first;
mod hooks;
mod host;
mod instance;
mod machine;
mod package;
mod reload;
mod sandbox;
mod service;
mod units;
