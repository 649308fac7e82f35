//! `renewd deploy`: hooks and probe of what is installed, without a certificate. Through the daemon where it runs, by itself
//! where not.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::core::name::CertName;
use crate::daemon::control::Request;
use crate::daemon::run::Word;
use crate::engine::status::Status;

use super::order::{self, Following, Order};
use super::progress::{self, Goal, Outcome, Seen, Settled};
use super::{exit, once, start};

/// Runs them now.
pub(super) fn run(config: &Path, mut names: Vec<CertName>, following: Following) -> ExitCode {
    names.sort();
    names.dedup();
    let (path, status) = match order::daemon(config) {
        Ok(found) => found,
        Err(code) => return code.into(),
    };
    match status {
        Ok(before) => order::give(Order {
            path: &path,
            request: Request::Deploy { names: names.to_vec() },
            asked: names.iter().map(ToString::to_string).collect(),
            goal: Goal::Deployed(Seen::of(&before)),
            following,
        }),
        // Who may not ask is told so by what the files allow.
        Err(_) => by_itself(config, &names, following.json),
    }
}

fn by_itself(config: &Path, names: &[CertName], json: bool) -> ExitCode {
    let word = Word::Deploy(names.to_vec());
    let passed = start::configuration(config).and_then(|configured| once::pass(configured, Duration::ZERO, Some(word)));
    let status = match passed {
        Ok(status) => status,
        Err(code) => return code.into(),
    };
    let settled = settled(&status, names);
    if !json {
        settled.iter().for_each(|one| progress::tell(one, false));
    }
    order::sum_up(&settled, json);
    let is_done = settled.iter().filter(|one| one.outcome == Outcome::Deployed).count() == names.len();
    if is_done { exit::OK.into() } else { exit::UNWELL.into() }
}

/// How each of these stands after a pass of its own, which nobody goes on with.
pub(super) fn settled(status: &Status, names: &[CertName]) -> Vec<Settled> {
    let is_asked = |name: &str| names.iter().any(|asked| asked.as_str() == name);
    let of_asked = status.certificates.iter().filter(|certificate| is_asked(&certificate.name));
    let judge = |certificate| {
        let judged = Seen::default().judge(certificate, &status.at);
        judged
            .filter(|_| certificate.generation.is_some())
            .unwrap_or_else(|| progress::settle(certificate, Outcome::Failed))
    };
    of_asked.map(judge).collect()
}
