//! Lines of an append-only file: a checksum and one JSON text, `1a2b3c4d {"at":…}`. A line that was cut off or changed
//! does not decode.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::core::time::Timestamp;

use super::disk::{Disk, Perms};
use super::replace;

/// The line of a value.
#[must_use]
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value).unwrap_or_default();
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    line
}

/// The JSON text of a line, with its end; `None`: it is not whole.
#[must_use]
pub fn decode(raw: &[u8]) -> Option<&[u8]> {
    let text = raw.strip_suffix(b"\n")?;
    let (sum, json) = (text.get(..8)?, text.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == crc32fast::hash(json)).then_some(json)
}

/// Keeps a copy of a damaged file beside it, durably, as `NAME.damaged-` and the milliseconds of `now`.
///
/// # Errors
///
/// Those of the system.
pub fn set_aside(disk: &dyn Disk, path: &Path, bytes: &[u8], now: Timestamp) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let copy = path.with_file_name(format!("{name}.damaged-{}", now.millis()));
    replace::replace(disk, &copy, bytes, Perms::PRIVATE)
}
