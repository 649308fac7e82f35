//! Why a hook's program cannot run, as far as its file shows: the kernel says "No such file or directory" of a script that
//! is there and whose interpreter is not.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Access, Mode, OFlags};

use crate::core::text::Text;

/// Where a hook's script finds programs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// What keeps a program from being run by this user, if anything shows.
#[must_use]
pub fn flaw(program: &Path) -> Option<Flaw> {
    let shown = program.display();
    let flaw = |what: String, remedy: String| Some(Flaw { what, remedy });
    let metadata = match std::fs::metadata(program) {
        Ok(metadata) => metadata,
        Err(error) => {
            let remedy = "install the program, or fix the path in `command`".to_owned();
            return flaw(format!("cannot stat {shown}: {error}"), remedy);
        }
    };
    if !metadata.is_file() {
        return flaw(format!("{shown} is not a file"), "fix the path in `command`".to_owned());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return flaw(format!("{shown} has no execute bit"), format!("run: chmod a+rx {shown}"));
    }
    if rustix::fs::access(program, Access::EXEC_OK).is_err() {
        return flaw(
            format!("{shown} may not be run by user {}", rustix::process::geteuid().as_raw()),
            format!("run: chmod a+rx {shown}, and make sure that its folders can be entered"),
        );
    }
    // What may be run and not be read is no script.
    let mut head = Vec::new();
    // Nor does a pipe in its place hold anybody up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    File::from(rustix::fs::open(program, flags, Mode::empty()).ok()?).take(LONGEST_HEAD).read_to_end(&mut head).ok()?;
    let (what, remedy) = of_first_line(&head)?;
    flaw(format!("{shown} {what}"), remedy.replace('@', &shown.to_string()))
}

/// What is wrong with the first line of a script, and what to do with `@`, the script.
fn of_first_line(head: &[u8]) -> Option<(String, String)> {
    let correct = "correct its first line, or install what it names".to_owned();
    if head.starts_with(b"\xef\xbb\xbf#!") {
        let remedy = "run: sed -i '1s/^\\xEF\\xBB\\xBF//' @".to_owned();
        return Some(("begins with a byte order mark, so that its `#!` is not seen".to_owned(), remedy));
    }
    let is_text = !head.starts_with(b"\x7fELF") && !head.contains(&0);
    if is_text && !head.starts_with(b"#!") {
        let remedy = "write `#!/bin/sh` as its first line, where it is a script";
        return Some(("begins with no `#!`, which the system needs to run a script".to_owned(), remedy.to_owned()));
    }
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    if line.ends_with(b"\r") {
        let remedy = "run: sed -i 's/\\r$//' @".to_owned();
        let what = "has Windows line endings (CRLF), which the system takes for a part of its interpreter's name";
        return Some((what.to_owned(), remedy));
    }
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next().map(|word| Path::new(OsStr::from_bytes(word))) else {
        return Some(("names no interpreter behind its `#!`".to_owned(), correct));
    };
    let told = |path: &Path| Text::new(&path.display().to_string());
    if let Err(error) = std::fs::metadata(interpreter) {
        return Some((format!("names the interpreter {}: {error}", told(interpreter)), correct));
    }
    if rustix::fs::access(interpreter, Access::EXEC_OK).is_err() {
        return Some((format!("names the interpreter {}, which may not be run", told(interpreter)), correct));
    }
    let named = words.next().map(|word| Path::new(OsStr::from_bytes(word)))?;
    let is_searched = interpreter.ends_with("env") && !named.as_os_str().as_bytes().contains(&b'=');
    let is_there = |folder: &str| Path::new(folder).join(named).is_file();
    if is_searched && !named.as_os_str().as_bytes().starts_with(b"-") && !PATH.split(':').any(is_there) {
        return Some((format!("names the interpreter {}, which is in no folder of {PATH}", told(named)), correct));
    }
    None
}

/// More than the kernel reads of a first line.
const LONGEST_HEAD: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_read_as_the_kernel_reads_it() {
        let told = |head: &str| of_first_line(head.as_bytes()).map(|(what, _)| what).unwrap_or_default();
        for good in [
            "#!/bin/sh\necho",
            "#! /bin/sh -e\n",
            "#!/usr/bin/env sh\n",
            "#!/usr/bin/env -S sh -e\n",
            "\x7fELF",
            "MZ\0",
        ] {
            assert_eq!(told(good), "", "{good}");
        }
        for (bad, part) in [
            ("#!/bin/sh\r\necho\r\n", "CRLF"),
            ("#!/usr/bin/env sh\r\n", "CRLF"),
            ("#!/bin/sh -e\r\n", "CRLF"),
            ("\u{feff}#!/bin/sh\n", "byte order mark"),
            ("#!\n", "no interpreter"),
            ("echo hi\n", "begins with no `#!`"),
            ("", "begins with no `#!`"),
            ("#!/usr/bin/python2.9\n", "interpreter /usr/bin/python2.9: No such file"),
            ("#!/etc/passwd\n", "may not be run"),
            ("#!/usr/bin/env python2.9\n", "interpreter python2.9, which is in no folder"),
        ] {
            assert!(told(bad).contains(part), "{bad}: {}", told(bad));
        }
    }
}
