//! The configuration as an operator meets it: messages, shipped files, loading from the disk, and reload.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may panic"
)]

mod damage;
mod disk;
mod messages;
mod reload;
mod schema;
mod shipped;
mod values;
