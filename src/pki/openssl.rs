//! The openssl command, as the reader that tests ask whether a file can be read elsewhere.

use std::process::Command;

/// What openssl prints, with one more variable `P` in its environment, for passwords.
#[track_caller]
pub(super) fn openssl(arguments: &[&str], password: &str) -> String {
    let output = Command::new("openssl").args(arguments).env("P", password).output().unwrap();
    let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {}: {told}", arguments.join(" "));
    format!("{out}{told}")
}

/// A file for a program to open, in a folder of its own that ends with it.
#[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
pub(super) fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}
