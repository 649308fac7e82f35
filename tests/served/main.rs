//! Renewed means served, with the servers that people run: nginx, HAProxy, Apache, Postfix and PostgreSQL as child
//! processes on loopback, and a Java program that opens the PKCS#12 files. Each server is renewed and reloaded, then its
//! reload is broken on purpose, which is said everywhere, and heals by itself once it is mended.
//!
//! Root and the servers' packages (`.ci/run` names them) are needed; a test that lacks one says so and is skipped. With
//! `RENEWD_REQUIRE_SERVERS=1` that fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod apache;
mod haproxy;
#[allow(dead_code, reason = "the daemon's tests use the rest of it")]
#[path = "../daemon/host.rs"]
mod host;
mod java;
mod load;
mod nginx;
mod postfix;
mod postgres;
mod server;
#[path = "../simulator/mod.rs"]
mod simulator;
mod stage;
#[allow(dead_code, reason = "the tests under fire use the rest of it")]
#[path = "../fire/tools.rs"]
mod tools;
