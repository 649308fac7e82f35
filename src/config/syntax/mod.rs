//! From text to a table of typed values, with every defect at its line: nothing here knows what a key means.

pub(super) mod diagnostics;
pub(super) mod excerpt;
pub(super) mod from_toml;
pub(super) mod problem;
pub(super) mod schema;
pub(super) mod table;
