//! `renewd renew`: the operator's word. Through the daemon where it runs, by one pass of its own where not.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::core::name::CertName;
use crate::core::reason::State;
use crate::daemon::control::Request;
use crate::daemon::kept;
use crate::daemon::setup;
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;

use super::{control, exit, once, output, start};

/// Replaces these certificates now; all, where none is named.
pub(super) fn run(config: &Path, names: &[CertName], reissue: bool) -> ExitCode {
    let request = Request::Renew { names: names.to_vec(), reissue };
    control::command(config, &request, || by_itself(config, names, reissue))
}

fn by_itself(config: &Path, names: &[CertName], reissue: bool) -> ExitCode {
    let passed = start::configuration(config).and_then(|main| {
        let in_force = kept::read(&RealDisk, &Layout::new(&main.state_dir));
        let known = setup::inventory(&main, &in_force).map_err(|error| start::told(&error))?;
        let known: Vec<CertName> = known.entries.into_iter().map(|entry| entry.name).collect();
        let unknown: Vec<&str> = names.iter().filter(|name| !known.contains(name)).map(CertName::as_str).collect();
        if !unknown.is_empty() {
            output::complain(&format!("no such certificate in the inventory: {}", unknown.join(", ")));
            return Err(exit::UNWELL);
        }
        let asked = if names.is_empty() { known } else { names.to_vec() };
        Ok((once::pass(main, Duration::ZERO, &asked, reissue)?, asked))
    });
    let (status, asked) = match passed {
        Ok(passed) => passed,
        Err(code) => return code.into(),
    };
    let of_asked = |name: &str| asked.iter().any(|asked| asked.as_str() == name);
    let mut all_valid = true;
    for certificate in status.certificates.iter().filter(|certificate| of_asked(&certificate.name)) {
        all_valid &= certificate.state == State::Valid.as_str();
        output::print(&format!("{}: {}: {}", certificate.name, certificate.state, certificate.reason));
    }
    if all_valid { exit::OK.into() } else { exit::UNWELL.into() }
}
