//! The simulator keeps what it promises: each wrong request gets its error, each fault does what it says, and what it
//! issues is sound. Spoken to by plain requests, not by the crate's own client.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test that meets the unexpected fails"
)]

#[path = "simulator_selftest/caller.rs"]
mod caller;
#[path = "simulator_selftest/faults.rs"]
mod faults;
#[path = "simulator_selftest/flow.rs"]
mod flow;
#[path = "simulator_selftest/handle.rs"]
mod handle;
#[path = "simulator_selftest/proxy.rs"]
mod proxy;
#[path = "simulator_selftest/settings.rs"]
mod settings;
#[path = "simulator/mod.rs"]
mod simulator;
#[path = "simulator_selftest/strictness.rs"]
mod strictness;
#[path = "simulator_selftest/variants.rs"]
mod variants;
