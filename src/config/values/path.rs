//! Paths, modes and accounts as they are written. Looks at no file.

use std::path::{Component, Path, PathBuf};

use crate::config::syntax::from_toml::FromText;
use crate::config::syntax::problem::{Fault, quoted};

/// An absolute path without `.`, `..` and doubled slashes. What is written is not quoted: it may be a key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct AbsolutePath(pub(in crate::config) PathBuf);

impl FromText for AbsolutePath {
    fn expected() -> String {
        "an absolute path without `.` and `..`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        absolute(text).map(Self).map_err(Fault::new)
    }

    fn pattern() -> Option<String> {
        Some(PATH.to_owned())
    }
}

/// The absolute path of a file that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct SecretPath(pub(in crate::config) PathBuf);

impl FromText for SecretPath {
    fn expected() -> String {
        "the absolute path of the file that holds the secret, not the secret itself".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        absolute(text).map(Self).map_err(Fault::new)
    }

    fn pattern() -> Option<String> {
        Some(PATH.to_owned())
    }
}

fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err("this is not an absolute path");
    }
    if text.chars().any(char::is_control) {
        return Err("this has a control character");
    }
    if text.split('/').any(|part| part == "." || part == "..") {
        return Err("this has a `.` or `..` in it");
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err("this ends with a slash");
    }
    Ok(path.components().filter(|part| !matches!(part, Component::CurDir)).collect())
}

/// The mode of a file that anybody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Mode(pub(in crate::config) u32);

impl FromText for Mode {
    fn expected() -> String {
        "an octal mode in quotes, such as \"0644\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let mode = mode(text)?;
        if mode & 0o002 != 0 {
            return Err(Fault::new(format!("{} lets everybody write", quoted(text))));
        }
        Ok(Self(mode))
    }

    fn pattern() -> Option<String> {
        Some("^0?[4-7][0-7][0145]$".to_owned())
    }
}

/// The mode of a file that holds a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct KeyMode(pub(in crate::config) u32);

impl FromText for KeyMode {
    fn expected() -> String {
        "an octal mode in quotes that shuts others out, such as \"0600\" or \"0640\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let mode = mode(text)?;
        if mode & 0o007 != 0 {
            return Err(Fault::new(format!("{} lets everybody read the private key", quoted(text))));
        }
        Ok(Self(mode))
    }

    fn pattern() -> Option<String> {
        Some("^0?[4-7][0-7]0$".to_owned())
    }
}

fn mode(text: &str) -> Result<u32, Fault> {
    let fault = || Fault::new(format!("{} is not a file mode", quoted(text)));
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|c| matches!(c, b'0'..=b'7'));
    let mode = if is_octal { u32::from_str_radix(text, 8).map_err(|_| fault())? } else { return Err(fault()) };
    if mode > 0o777 {
        return Err(fault().hint("set-user-id, set-group-id and sticky bits have no place here"));
    }
    if mode & 0o400 == 0 {
        return Err(fault().hint("the owner must be able to read the file"));
    }
    Ok(mode)
}

/// A user or a group, by name or number; whether it exists is asked elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Account(pub(in crate::config) String);

impl FromText for Account {
    fn expected() -> String {
        "a name or a number, in quotes".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b'@' | b'$' | b'\\');
        let is_number = text.bytes().all(|c| c.is_ascii_digit());
        let fits = !is_number || text.parse::<u32>().is_ok_and(|number| number < u32::MAX);
        if text.is_empty() || text.len() > 256 || text.starts_with('-') || !text.bytes().all(inner) || !fits {
            return Err(Fault::new(format!("{} names no user and no group", quoted(text))));
        }
        Ok(Self(text.to_owned()))
    }

    fn pattern() -> Option<String> {
        Some(r"^[A-Za-z0-9_.@$\\][A-Za-z0-9_.@$\\-]*$".to_owned())
    }
}

const PATH: &str = "^/(.*[^/])?$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_keep_others_out() {
        #[track_caller]
        fn check(text: &str, mode: Option<u32>, key_mode: Option<u32>) {
            assert_eq!(Mode::from_text(text).ok().map(|mode| mode.0), mode, "{text}");
            assert_eq!(KeyMode::from_text(text).ok().map(|mode| mode.0), key_mode, "{text}");
        }
        check("0640", Some(0o640), Some(0o640));
        check("600", Some(0o600), Some(0o600));
        check("0644", Some(0o644), None);
        check("0641", Some(0o641), None);
        for bad in ["0646", "0662", "4755", "0o640", "8", "0888", "", "00640", "0", "0200", "-640", "+640"] {
            check(bad, None, None);
        }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            let read = AbsolutePath::from_text(text).ok().map(|path| path.0);
            assert_eq!(read.as_deref(), expected.map(Path::new), "{text}");
        }
        check("/etc/ssl//www.key", Some("/etc/ssl/www.key"));
        check("/", Some("/"));
        for bad in ["", "etc/x", "/etc/../x", "/etc/./x", "/etc/", "/a\nb", "~/x"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_secret_in_place_of_its_path_is_not_repeated() {
        let secret = SecretPath::from_text("01_f00dcafe").unwrap_err();
        let key = AbsolutePath::from_text("MIIEf00dcafe").unwrap_err();
        assert!(!format!("{secret:?}{key:?}").contains("f00dcafe"));
    }
}
