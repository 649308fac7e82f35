//! What an exit code means, from sysexits where it has a number.

/// All is well.
pub(super) const OK: u8 = 0;
/// Something is not.
pub(super) const UNWELL: u8 = 1;
/// The state could not be read.
pub(super) const UNREADABLE: u8 = 3;
/// A fault of the program itself, or of the state directory.
pub(super) const INTERNAL: u8 = 70;
/// The result could not be written to standard output.
pub(super) const OUTPUT: u8 = 74;
/// Not for this user.
pub(super) const NOT_PERMITTED: u8 = 77;
/// Bad configuration or permissions.
pub(super) const CONFIG: u8 = 78;
/// A hook that could not be run, as a shell says it.
pub(super) const NOT_RUN: u8 = 126;
/// Ended by Ctrl-C, as a shell says it.
pub(super) const INTERRUPTED: u8 = 130;
