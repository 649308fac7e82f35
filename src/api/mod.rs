//! Trust Lifecycle Manager's REST API: the port that the daemon speaks to, and the client behind it.
//!
//! One method is one HTTP request; paging, pacing and retrying are the caller's. An answer is decoded leniently and
//! handed on in the core's terms; an error is classified once, here, by what happens next.

pub mod body_answer;
pub mod body_profile;
pub mod call;
pub mod client;
pub mod credentials;
pub mod date;
pub mod error;
pub mod error_body;
pub mod fetch;
pub mod json;
pub mod paging;
pub mod port;
pub mod reply;
pub mod roots;
pub mod settings;
pub mod view;

mod address;
mod body_keys;
mod body_request;
mod body_text;
mod envelope;
mod fault;
mod transport;
mod xml;

pub use client::Client;
pub use credentials::{ClientIdentity, Credential, ProxyCredentials};
pub use fetch::{FetchSettings, Fetcher};
pub use port::*;
pub use settings::{ClientSettings, ProxySettings, Roots};
pub use view::View;
