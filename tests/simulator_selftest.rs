//! x
#[path = "simulator/mod.rs"]
mod simulator;
