//! The metrics: counted as things happen, and measured from the status when somebody asks.

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::RequestSeen;
use crate::core::code::Code;
use crate::core::event::{Event, HookStep};
use crate::core::known::served::Served;
use crate::core::name::{HookName, ProfileRef};
use crate::core::reason::State;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::breaker::ApiState;

use super::log_sink;
use crate::engine::hooks::Ended;
use crate::engine::managed::Managed;
use crate::engine::report::Facts;
use crate::engine::status::Problem;

/// Labels in their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels<const N: usize>([(&'static str, String); N]);

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.iter().try_for_each(|label| (label.0, label.1.as_str()).encode(encoder.encode_label()))
    }
}

type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Durations = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// In which form the metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics, which Prometheus asks for.
    OpenMetrics,
    /// The older form (0.0.4), which the text file collector of node_exporter reads.
    Prometheus,
}

/// What is counted over the life of the daemon.
#[derive(Clone, Debug)]
pub struct Metrics {
    submissions: Counters<1>,
    hook_runs: Counters<2>,
    hook_vetoes: Counters<2>,
    hook_test_failures: Counters<1>,
    notify_runs: Counters<2>,
    requests: Counters<2>,
    durations: Durations,
}

impl Default for Metrics {
    fn default() -> Self {
        let submissions = Counters::default();
        for result in SUBMISSION_RESULTS {
            // A rate needs its zero: what has not happened yet is 0, not absent.
            drop(submissions.get_or_create(&Labels([("result", (*result).to_owned())])));
        }
        Self {
            submissions,
            hook_runs: Counters::default(),
            hook_vetoes: Counters::default(),
            hook_test_failures: Counters::default(),
            notify_runs: Counters::default(),
            requests: Counters::default(),
            durations: Durations::new_with_constructor(histogram),
        }
    }
}

impl Metrics {
    /// Counts what came of a submission, or of a program that was asked before a switch.
    pub fn happened(&self, event: &Event) {
        let result = match event {
            Event::Issued { .. } => "issued",
            Event::Pending { .. } => "pending",
            Event::NotAccepted { .. } | Event::RefusalUnclear { .. } | Event::AnswerLost { .. } => "failed",
            Event::Rejected { .. } => "rejected",
            Event::SwitchVetoed { hook, overruled, .. } => return self.vetoed(hook, *overruled),
            Event::Submitting { .. }
            | Event::LookedUp { .. }
            | Event::Polled { .. }
            | Event::PickupUnknown { .. }
            | Event::Held { .. }
            | Event::HoldBegun { .. }
            | Event::HoldReleased
            | Event::FellBack { .. }
            | Event::FallbackLeft
            | Event::Waits { .. }
            | Event::GateRefused { .. }
            | Event::Abandoned { .. }
            | Event::KeyForgotten { .. }
            | Event::Installed { .. }
            | Event::Repaired
            | Event::Adopted { .. }
            | Event::ChainRefreshed { .. }
            | Event::ChainKept { .. }
            | Event::HookDone { .. }
            | Event::HookFailed { .. }
            | Event::HookBegun { .. }
            | Event::Failed { .. }
            | Event::StatusChecked { .. }
            | Event::StatusUnread
            | Event::Probed { .. }
            | Event::HooksAgain { .. }
            | Event::RolledBack { .. }
            | Event::RollbackRefused { .. }
            | Event::ServiceSeen { .. }
            | Event::SupersededRevoked { .. }
            | Event::RevocationFailed { .. }
            | Event::Forward { .. }
            | Event::RenewalAsked { .. }
            | Event::DeployAsked { .. }
            | Event::EntryChanged
            | Event::LeftInventory
            | Event::Unknown => return,
        };
        self.submissions.get_or_create(&Labels([("result", result.to_owned())])).inc();
    }

    fn vetoed(&self, hook: &HookName, is_overruled: bool) {
        let result = ("result", if is_overruled { "overruled" } else { "postponed" }.to_owned());
        self.hook_vetoes.get_or_create(&Labels([("hook", hook.to_string()), result])).inc();
    }

    /// Counts a run of a hook.
    pub fn hook_ended(&self, hook: &HookName, ended: &Ended) {
        if let Ended::Failed(_, HookStep::Test) | Ended::TimedOut(_, HookStep::Test) = ended {
            self.hook_test_failures.get_or_create(&Labels([("hook", hook.to_string())])).inc();
        }
        count_run(&self.hook_runs, "hook", hook, ended);
    }

    /// Counts a call that told somebody.
    pub fn notify_ended(&self, notify: &HookName, ended: &Ended) {
        count_run(&self.notify_runs, "notify", notify, ended);
    }

    /// Counts a request to the API.
    pub fn seen(&self, seen: &RequestSeen) {
        let endpoint = ("endpoint", seen.endpoint.to_string());
        let status = seen.status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        self.requests.get_or_create(&Labels([endpoint.clone(), ("status", status)])).inc();
        self.durations.get_or_create(&Labels([endpoint])).observe(seen.took.as_secs_f64());
    }

    /// Everything as text.
    ///
    /// # Errors
    ///
    /// None that is known: the text is written to memory.
    pub fn text<'a>(
        &self,
        facts: &Facts<'_>,
        fleet: impl Iterator<Item = &'a Managed>,
        format: Format,
    ) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("renewd");
        registry.register("submissions", "Certificate requests to TLM, by result", self.submissions.clone());
        registry.register("hook_runs", "Runs of hooks, by how they ended", self.hook_runs.clone());
        let help = "Switches that the `before` program of a hook postponed, or would have";
        registry.register("hook_vetoes", help, self.hook_vetoes.clone());
        let help = "Runs of hooks that ended with a failed `test`";
        registry.register("hook_test_failures", help, self.hook_test_failures.clone());
        registry.register("notify_runs", "Calls of notifications, by how they ended", self.notify_runs.clone());
        registry.register("api_requests", "Requests to the API, by status or error", self.requests.clone());
        registry.register("api_request_duration_seconds", "How long requests to the API took", self.durations.clone());
        let lost: Counter = Counter::default();
        lost.inc_by(log_sink::lost());
        registry.register("log_lines_lost", "Lines of the log that could not be written", lost);
        measure_certificates(&mut registry, facts.main.metrics.per_certificate, fleet);
        measure_whole(&mut registry, facts);
        let mut written = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut written, &registry)?,
            Format::Prometheus => prometheus_text::encode(&mut written, &registry)?,
        }
        Ok(written)
    }
}

fn count_run(runs: &Counters<2>, kind: &'static str, name: &HookName, ended: &Ended) {
    let result = match ended {
        Ended::Done(_) => "ok",
        Ended::Failed(..) => "failed",
        Ended::TimedOut(..) => "timeout",
        Ended::Stopped => return,
    };
    runs.get_or_create(&Labels([(kind, name.to_string()), ("result", result.to_owned())])).inc();
}

fn measure_certificates<'a>(registry: &mut Registry, each: bool, fleet: impl Iterator<Item = &'a Managed>) {
    let fleet: Vec<&Managed> = fleet.collect();
    measure_all(registry, &fleet);
    if each {
        measure_each(registry, &fleet);
    }
}

/// What does not grow with the inventory.
fn measure_all(registry: &mut Registry, fleet: &[&Managed]) {
    let gauge = |value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    registry.register("inventory_certificates", "Certificates in the inventory", gauge(fleet.len()));
    let states = Family::<Labels<1>, Gauge>::default();
    for state in State::ALL {
        let count = fleet.iter().filter(|managed| managed.decision().reason.state() == state).count();
        let state = states.get_or_create(&Labels([("state", state.to_string())])).clone();
        state.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("certificates", "Certificates in each state", states);
    let unserved = fleet.iter().filter(|managed| managed.seen() == Some(Served::No)).count();
    let help = "Certificates that are installed while the service still presents another one";
    registry.register("certificates_not_served", help, gauge(unserved));
    let ends = fleet.iter().filter_map(|managed| Some(managed.observed.installed()?.ends_at()));
    if let Some(first) = ends.min() {
        let end: Gauge = Gauge::default();
        end.set(first.seconds());
        let help = "Next expiry of an installed certificate, by leaf and served chain";
        registry.register("certificates_earliest_not_after_timestamp_seconds", help, end);
    }
}

fn measure_each(registry: &mut Registry, fleet: &[&Managed]) {
    let [not_after, chain_not_after, not_before, renew_at, failures] =
        std::array::from_fn(|_| Family::<Labels<1>, Gauge>::default());
    let info = Family::<Labels<4>, Gauge>::default();
    let state = Family::<Labels<2>, Gauge>::default();
    let served = Family::<Labels<1>, Gauge>::default();
    for managed in fleet {
        let name = || ("name", managed.entry.name.to_string());
        let set = |family: &Family<Labels<1>, Gauge>, at: Option<Timestamp>| {
            if let Some(at) = at {
                family.get_or_create(&Labels([name()])).set(at.seconds());
            }
        };
        let installed = managed.observed.installed();
        set(&not_after, installed.map(|installed| installed.not_after));
        set(&chain_not_after, installed.and_then(|installed| Some(installed.chain.end.as_ref()?.at)));
        if let Some(installed) = installed {
            let issuer = ("issuer", installed.chain.issuer.subject.to_string());
            let profile = ("profile", profile_label(&managed.entry.profile));
            let key = ("key", installed.key.map_or_else(|| "other".to_owned(), |key| key.to_string()));
            info.get_or_create(&Labels([name(), issuer, profile, key])).set(1);
        }
        set(&not_before, installed.map(|installed| installed.not_before));
        set(&renew_at, managed.decision().renew_at);
        failures.get_or_create(&Labels([name()])).set(managed.record.trouble.count.into());
        if let Some(seen) = managed.seen() {
            served.get_or_create(&Labels([name()])).set((seen == Served::Yes).into());
        }
        let own = managed.decision().reason.state();
        for one in State::ALL {
            state.get_or_create(&Labels([name(), ("state", one.to_string())])).set((one == own).into());
        }
    }
    let help = "Expiry of the installed certificate";
    registry.register("certificate_not_after_timestamp_seconds", help, not_after);
    let help = "Earliest expiry of the CA certificates served with the installed certificate";
    registry.register("certificate_chain_not_after_timestamp_seconds", help, chain_not_after);
    registry.register("certificate_info", "Always 1; issuer, profile and key are labels", info);
    let help = "Start of the validity of the installed certificate";
    registry.register("certificate_not_before_timestamp_seconds", help, not_before);
    registry.register("certificate_renew_at_timestamp_seconds", "When the certificate is renewed", renew_at);
    registry.register("certificate_failures", "Failures in a row", failures);
    registry.register("certificate_state", "1 for the state of the certificate, 0 for the others", state);
    registry.register(
        "certificate_served",
        "Whether the service presents the installed certificate to TLS clients",
        served,
    );
}

fn profile_label(profile: &ProfileRef) -> String {
    match profile {
        ProfileRef::Id(id) => id.to_string(),
        ProfileRef::Name(name) => Text::new(name).to_string(),
    }
}

fn measure_whole(registry: &mut Registry, facts: &Facts<'_>) {
    let one = |value: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        gauge
    };
    let api = Family::<Labels<1>, Gauge>::default();
    let own = facts.breaker.state();
    for state in ApiState::ALL {
        api.get_or_create(&Labels([("state", state.as_str().to_owned())])).set((state == own).into());
    }
    registry.register("api_state", "1 for the state of the API, 0 for the others", api);
    let files = Family::<Labels<1>, Gauge>::default();
    let (loaded, refused) = (facts.inventory.loaded().count(), facts.inventory.refusals().count());
    for (state, count) in [("loaded", loaded), ("refused", refused)] {
        files.get_or_create(&Labels([("state", state.to_owned())])).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("inventory_files", "Drop-in files, loaded or refused", files);
    let is_outdated = |problem: &Problem| problem.code == Code::ConfigOutdated.as_str();
    let loaded = facts.config_error.is_none() && !facts.problems.iter().any(is_outdated);
    registry.register("config_loaded", "Whether renewd.toml as it is on the disk is in force", one(loaded.into()));
    if let Some(offset) = facts.clock.offset_seconds() {
        registry.register("clock_offset_seconds", "How far the API's clock is ahead of the host's", one(offset));
    }
    let cas = Family::<Labels<1>, Gauge>::default();
    for (subject, is_revoked) in &facts.cas {
        let ca = cas.get_or_create(&Labels([("issuer", subject.to_string())])).clone();
        // Of several certificates of one name the revoked one counts.
        ca.set(ca.get().max((*is_revoked).into()));
    }
    registry.register("ca_revoked", "Whether a served CA certificate is revoked, as its issuer reports", cas);
    let ends = Family::<Labels<1>, Gauge>::default();
    for (credential, end) in facts.credentials.iter().filter_map(|one| Some((one.name.clone(), one.not_after?))) {
        ends.get_or_create(&Labels([("credential", credential)])).set(end.seconds());
    }
    let help = "Expiry of an API key or of the client certificate, where it is known";
    registry.register("credential_not_after_timestamp_seconds", help, ends);
    let help = "When the loop last completed a pass";
    registry.register("last_pass_timestamp_seconds", help, one(facts.now.seconds()));
    let info = Family::<Labels<1>, Gauge>::default();
    info.get_or_create(&Labels([("version", env!("CARGO_PKG_VERSION").to_owned())])).set(1);
    registry.register("build_info", "Always 1; the version is the label", info);
}

/// From a kept connection on the same site to the time-out.
fn histogram() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

const SUBMISSION_RESULTS: &[&str] = &["issued", "pending", "failed", "rejected"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::failure::{Failure, FailureClass};

    #[test]
    fn vetoes_and_failed_tests_are_counted_by_hook() {
        let (metrics, hook) = (Metrics::default(), "web".parse::<HookName>().unwrap());
        let failure = |why: &str| Failure::new(FailureClass::HookFailed, why);
        for overruled in [false, false, true] {
            metrics.happened(&Event::SwitchVetoed { hook: hook.clone(), failure: failure("not now"), overruled });
        }
        metrics.hook_ended(&hook, &Ended::Failed(failure("its test"), HookStep::Test));
        metrics.hook_ended(&hook, &Ended::TimedOut(failure("its test"), HookStep::Test));
        metrics.hook_ended(&hook, &Ended::Failed(failure("itself"), HookStep::Run));
        metrics.hook_ended(&hook, &Ended::Done(None));
        let of = |label: &str| Labels([("hook", "web".to_owned()), ("result", label.to_owned())]);
        let vetoes = ["postponed", "overruled"].map(|label| metrics.hook_vetoes.get_or_create(&of(label)).get());
        assert_eq!(vetoes, [2, 1]);
        let runs = ["ok", "failed", "timeout"].map(|label| metrics.hook_runs.get_or_create(&of(label)).get());
        assert_eq!(runs, [1, 2, 1], "a failed test is a failed run as well");
        let tests = Labels([("hook", "web".to_owned())]);
        assert_eq!(metrics.hook_test_failures.get_or_create(&tests).get(), 2);
    }
}
