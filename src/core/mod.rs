//! The core: what is wanted, what is true, what was started, and what to do next. Pure: std and serde derives alone;
//! no clock, no file, no network, no lock, no randomness, no hash map. Every instant is an argument.

pub mod entry;
pub mod failure;
pub mod hook;
pub mod key;
pub mod name;
pub mod observed;
pub mod profile;
pub mod request;
pub mod subject;
pub mod text;
pub mod time;
