//! `renewd csr`: the signing request that was sent last for a certificate. Reads files and nothing else.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::config;
use crate::core::name::CertName;
use crate::daemon::setup;
use crate::store::layout::Layout;
use crate::store::pending::{self, KeptCsr};
use crate::store::real_disk::RealDisk;

use super::{exit, output, user};

/// Prints it as PEM, or with what belongs to it as JSON.
pub(super) fn run(file: &Path, name: &CertName, json: bool) -> ExitCode {
    let main = user::may_read(file).and_then(|()| config::load_main(file).map_err(|problems| setup::shown(&problems)));
    let main = match main {
        Ok(main) => main,
        Err(why) => {
            output::complain(&why);
            return exit::CONFIG.into();
        }
    };
    match pending::last_csr(&RealDisk, &Layout::new(&main.state_dir), name) {
        Ok(Some(KeptCsr { attempt, is_under_way, pem })) if json => {
            output::print_json(&Csr { name, attempt: attempt.0, is_under_way, csr: &pem });
        }
        Ok(Some(KeptCsr { attempt, is_under_way, pem })) => {
            let stage = if is_under_way { "which is under way" } else { "which has ended" };
            output::complain(&format!("{name}: the signing request of request {attempt}, {stage}"));
            output::print(pem.trim_end());
        }
        Ok(None) => {
            output::complain(&format!("{name}: no signing request is kept; the first is made with the next request"));
            return exit::UNWELL.into();
        }
        Err(failure) => {
            output::complain(&format!("{failure}; run this as root, or as the service's user"));
            return exit::UNREADABLE.into();
        }
    }
    exit::OK.into()
}

#[derive(Serialize)]
struct Csr<'a> {
    name: &'a CertName,
    attempt: u64,
    #[serde(rename = "under_way")]
    is_under_way: bool,
    csr: &'a str,
}
