//! `renewd` keeps a host's TLS certificates renewed through the REST API of DigiCert Trust Lifecycle Manager.
//!
//! The rooms, and the one rule of who may use whom: `core` ← `pki` ← {`config`, `api`, `store`} ← `daemon` ← `cli`. Beside them
//! stands `parallel`, which every room but the core may use.

pub mod api;
pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod parallel;
pub mod pki;
pub mod store;
