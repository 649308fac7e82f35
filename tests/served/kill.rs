//! A place for the kills.
