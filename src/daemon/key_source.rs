//! Where the unit of a configuration has systemd take the API key from: what the operator edits, and root can read.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file, and whether it is encrypted for the unit alone.
pub type KeySource = (PathBuf, bool);

/// The file that is handed to `unit` as the credential `api-key`. `None`: there is no such unit, systemd does not run, or
/// the unit has its key by other means.
#[must_use]
pub fn of_unit(unit: &str) -> Option<KeySource> {
    // Where systemd does not run there is nobody to ask.
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    // Not by systemctl, which does not show credentials before systemd 254.
    let shown = Command::new("/usr/bin/busctl")
        .args(["get-property", "org.freedesktop.systemd1"])
        .arg(format!("/org/freedesktop/systemd1/unit/{}", escaped(unit)))
        .args(["org.freedesktop.systemd1.Service", "LoadCredential", "LoadCredentialEncrypted"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    named_in(&String::from_utf8_lossy(&shown.stdout))
}

/// A unit's name as part of a path of D-Bus.
fn escaped(unit: &str) -> String {
    unit.bytes()
        .map(|c| if c.is_ascii_alphanumeric() { char::from(c).to_string() } else { format!("_{c:02x}") })
        .collect()
}

/// A line each for what is plain and what is encrypted: the type, how many there are, and of each name and path.
fn named_in(shown: &str) -> Option<KeySource> {
    let named = |line: &str| {
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let mut pairs = quoted.as_chunks::<2>().0.iter();
        pairs.find(|[name, path]| *name == "api-key" && path.starts_with('/')).map(|[_, path]| PathBuf::from(path))
    };
    let mut lines = shown.lines();
    let plain = lines.next().and_then(named);
    let sealed = lines.next().and_then(named);
    sealed.map(|path| (path, true)).or_else(|| plain.map(|path| (path, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_among_other_credentials() {
        let found = |shown: &str| named_in(shown).map(|(path, sealed)| (path.display().to_string(), sealed));
        let none = "a(ss) 0\n";
        let one = "a(ss) 1 \"api-key\" \"/etc/renewd/api-key\"\n";
        let two = "a(ss) 2 \"other\" \"/a\" \"api-key\" \"/etc/renewd/cloud/api-key\"\n";
        assert_eq!(found(&format!("{one}{none}")), Some(("/etc/renewd/api-key".to_owned(), false)));
        assert_eq!(found(&format!("{two}{none}")), Some(("/etc/renewd/cloud/api-key".to_owned(), false)));
        assert_eq!(found(&format!("{none}{one}")), Some(("/etc/renewd/api-key".to_owned(), true)));
        for shown in ["", none, "a(ss) 1 \"api-key\" \"of-systemds-own\"\na(ss) 0\n"] {
            assert_eq!(found(shown), None, "{shown}");
        }
        assert_eq!(escaped("renewd@cloud.service"), "renewd_40cloud_2eservice");
    }
}
