//! A small CA for the tests of this room.
