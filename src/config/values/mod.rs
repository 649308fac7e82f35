//! The kinds of values that several keys have, each with its check and its words for what it takes.

pub(super) mod duration;
pub(super) mod endpoint;
pub(super) mod host;
pub(super) mod hours;
pub(super) mod keyword;
pub(super) mod path;
pub(super) mod subject;
