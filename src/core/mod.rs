//! The core: what is wanted, what is true, what was started, and what to do next. Pure: std and serde derives alone;
//! no clock, no file, no network, no lock, no randomness, no hash map. Every instant is an argument.

pub mod backoff;
pub mod clock;
pub mod code;
pub mod compact;
pub mod decide;
pub mod event;
pub mod failure;
pub mod health;
pub mod invariant;
pub mod known;
pub mod name;
pub mod protocol;
pub mod reason;
pub mod record;
pub mod remark;
pub mod remedy;
pub mod request;
pub mod schedule;
pub mod text;
pub mod time;
pub mod wanted;

#[cfg(test)]
pub(crate) mod example;
