//! What an entry and a record keep, in as little memory as it takes: of a hundred thousand certificates each byte counts.

pub mod boxed_default;
pub mod packed_names;
pub mod settings;
pub mod small_map;
