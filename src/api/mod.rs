//! Trust Lifecycle Manager's REST API: the port that the daemon speaks to, and the client behind it.
//!
//! One method is one HTTP request; paging, pacing and retrying are the caller's. An answer is decoded leniently and
//! handed on in the core's terms; an error is classified once, here, by what happens next.

pub mod client;
pub mod credentials;
pub mod port;
pub mod settings;

mod body_answer;
mod body_profile;
mod body_request;
mod call;
mod date;
mod error;
mod error_body;
mod fault;
mod json;
mod reply;
mod transport;

pub use client::Client;
pub use credentials::{ClientIdentity, Credential, ProxyCredentials};
pub use port::*;
pub use settings::{ClientSettings, ProxySettings, Roots};
