//! Where the unit of a configuration has systemd take the API key from: what the operator edits, and root can read.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file, and whether it is encrypted for the unit alone.
pub type KeySource = (PathBuf, bool);

/// The file that is handed to `unit` as the credential `api-key`. `None`: there is no such unit, systemd does not run, or
/// the unit has its key by other means.
#[must_use]
pub fn of_unit(unit: &str) -> Option<KeySource> {
    // Where systemd does not run, systemctl has nobody to ask.
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let shown = Command::new("/usr/bin/systemctl")
        .args(["show", "--property=LoadCredential", "--property=LoadCredentialEncrypted", unit])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    named_in(&String::from_utf8_lossy(&shown.stdout))
}

/// The last one counts, as for systemd.
fn named_in(shown: &str) -> Option<KeySource> {
    let named = |key: &str| {
        let values = shown.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let mut paths = values.flat_map(str::split_whitespace).filter_map(|one| one.strip_prefix("api-key:"));
        paths.rfind(|path| path.starts_with('/')).map(PathBuf::from)
    };
    let sealed = || Some((named("LoadCredentialEncrypted")?, true));
    sealed().or_else(|| Some((named("LoadCredential")?, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_among_other_credentials() {
        let path = |shown: &str| {
            named_in(shown).map(|(path, sealed)| format!("{}{}", path.display(), if sealed { "!" } else { "" }))
        };
        assert_eq!(path("LoadCredential=api-key:/etc/renewd/api-key\n").as_deref(), Some("/etc/renewd/api-key"));
        assert_eq!(
            path("LoadCredential=other:/a api-key:/etc/renewd/cloud/api-key\n").as_deref(),
            Some("/etc/renewd/cloud/api-key")
        );
        assert_eq!(path("LoadCredential=other:/a\nLoadCredential=api-key:/b\n").as_deref(), Some("/b"));
        let sealed = "LoadCredential=api-key:/etc/renewd/api-key\nLoadCredentialEncrypted=api-key:/etc/sealed\n";
        assert_eq!(path(sealed).as_deref(), Some("/etc/sealed!"));
        for none in ["", "LoadCredential=\n", "LoadCredential=api-key:name-of-one-that-systemd-was-given\n"] {
            assert_eq!(path(none), None, "{none}");
        }
    }
}
