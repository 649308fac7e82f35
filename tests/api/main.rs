//! The client against servers on the loopback interface: what it sends, what it makes of every answer, and what it
//! never shows.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed"
)]

mod answers;
mod credentials;
mod errors;
mod faults;
mod fetch;
mod requests;
mod secrets;
mod server;
#[path = "../simulator/mod.rs"]
mod simulator;
mod tls;
mod variants;
mod wire;
