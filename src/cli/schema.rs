//! `renewd schema`: the JSON Schema of either kind of file, for editors.

use std::process::ExitCode;

use crate::config;

use super::{exit, output};

/// A kind of file.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Kind {
    /// Of renewd.toml.
    Main,
    /// Of a drop-in file.
    Inventory,
}

/// Prints the schema.
pub(super) fn run(kind: Kind) -> ExitCode {
    output::print_json(&match kind {
        Kind::Main => config::main_schema(),
        Kind::Inventory => config::inventory_schema(),
    });
    exit::OK.into()
}
