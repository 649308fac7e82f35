//! The core: what is wanted, what is true, what was started, and what to do next. Pure: std and serde derives alone;
//! no clock, no file, no network, no lock, no randomness, no hash map. Every instant is an argument.

pub mod access_list;
mod allowed;
pub mod backoff;
pub mod ca_status;
pub mod cached_profile;
pub mod clock;
pub mod code;
pub mod compact;
pub mod credential;
pub mod decide;
pub mod dn;
pub mod entry;
pub mod event;
pub mod failure;
pub mod health;
pub mod holding;
pub mod hook;
pub mod invariant;
pub mod issuer;
pub mod key;
pub mod name;
pub mod observed;
pub mod profile;
pub mod protocol;
pub mod reason;
pub mod record;
pub mod remark;
pub mod remedy;
pub mod request;
pub mod revocation;
pub mod sans;
pub mod schedule;
pub mod served;
pub mod standing;
pub mod subject;
pub mod text;
pub mod time;
pub mod validation;
pub mod window;

#[cfg(test)]
mod example;
