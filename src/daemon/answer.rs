//! Answers to what is asked at the control socket.

use crate::api::Tlm;
use crate::core::admission::Pace;
use crate::core::name::CertName;
use crate::core::time::Span;

use super::control::{Reply, Request};
use super::run::Daemon;

/// Answers, after doing what is asked.
pub fn answer<T: Tlm>(daemon: &mut Daemon<T>, request: &Request) -> String {
    match request {
        Request::Status => {
            serde_json::to_string(&daemon.status()).unwrap_or_else(|error| Reply::refused(&error.to_string()))
        }
        Request::Renew { names, reissue } => renew(daemon, names, *reissue),
        Request::Rollback { name, force } => match daemon.roll_back(name, *force) {
            Ok(done) => Reply::done(&done),
            Err(why) => Reply::refused(&why),
        },
    }
}

fn renew<T: Tlm>(daemon: &mut Daemon<T>, names: &[CertName], reissue: bool) -> String {
    let unknown: Vec<&str> =
        names.iter().filter(|name| daemon.fleet.one(name).is_none()).map(CertName::as_str).collect();
    if !unknown.is_empty() {
        return Reply::refused(&format!("no such certificate in the inventory: {}", unknown.join(", ")));
    }
    let all: Vec<CertName> = if names.is_empty() { daemon.fleet.names().cloned().collect() } else { names.to_vec() };
    daemon.ask_renewal(&all, reissue);
    let least = Pace::new(daemon.main.api.requests_per_minute).least_time(all.len());
    let estimate = if least.is_zero() { String::new() } else { format!(", which takes {} at least", Span(least)) };
    Reply::done(&format!("{} to be replaced now{estimate}; see `renewd status`", all.len()))
}
