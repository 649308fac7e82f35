//! Asking promtool, where there is one.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// What promtool says to these arguments and this input: nothing where all is well. `None`: there is no promtool, which
/// is said, and refused where `RENEWD_REQUIRE_PROMTOOL` is set.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> Option<Result<(), String>> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.current_dir(env!("CARGO_MANIFEST_DIR")).spawn() else {
        assert!(std::env::var_os("RENEWD_REQUIRE_PROMTOOL").is_none(), "there is no promtool: install prometheus");
        println!("skipped: there is no promtool");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // Lints of metrics are warnings, with an exit code of their own in newer versions alone.
    let is_well = output.status.success() && (arguments[0] != "check" || arguments[1] != "metrics" || said.is_empty());
    Some(if is_well { Ok(()) } else { Err(said) })
}
