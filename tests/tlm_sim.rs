//! `cargo run --example tlm-sim`: a simulated Trust Lifecycle Manager in the foreground, with a configuration to paste.

#[path = "simulator/mod.rs"]
mod simulator;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use simulator::faults::PLAIN;
use simulator::{Fault, Issuance, Options, ProfileSpec, Recorded, Simulator, clock};

/// A simulated Trust Lifecycle Manager with one profile.
#[derive(Debug, Parser)]
#[command(name = "tlm-sim", after_help = misbehaviours())]
struct Arguments {
    /// The port on the loopback address; 0 for any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The lifetime of the certificates: a number with s, m, h, d or y.
    #[arg(long, default_value = "90d", value_parser = duration)]
    lifetime: Duration,
    /// How long before its end a certificate may be renewed; default: a third of the lifetime.
    #[arg(long, value_parser = duration)]
    window: Option<Duration>,
    /// Requests wait for an approval, which comes after this time.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "10s", value_parser = duration)]
    pending: Option<Duration>,
    /// The profile allows no second certificate while one is valid.
    #[arg(long)]
    no_duplicates: bool,
    /// A misbehaviour: NAME[=VALUE][:ENDPOINT][:TIMES], such as status=429+10:issue:3; may be repeated.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Where root.pem, api-key, renewd.toml and certs.d/example.toml are written; default: they are printed alone.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// The names that `--fault` takes.
fn misbehaviours() -> String {
    let plain: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).collect();
    format!(
        "Misbehaviours:\n  {}\n  latency=MS late-reply=MS drip=MS oversized=BYTES not-yet-valid=SECONDS \
         date-shifted=SECONDS\n  status=CODE[+SECONDS|@SECONDS] shape=list|single|status|bare",
        plain.chunks(8).map(|names| names.join(" ")).collect::<Vec<_>>().join("\n  ")
    )
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let simulator = Simulator::start(Options { port: arguments.port, log: Some(Arc::new(log)), ..Options::default() });
    let profile = simulator.add_profile(profile(&arguments));
    arguments.fault.iter().cloned().for_each(|fault| simulator.fault(fault));
    match &arguments.dir {
        Some(dir) => write_all(&simulator, &profile, &std::path::absolute(dir)?)?,
        None => print_all(&simulator, &profile)?,
    }
    signals.forever().next();
    Ok(())
}

fn profile(arguments: &Arguments) -> ProfileSpec {
    let window = arguments.window.unwrap_or(arguments.lifetime / 3);
    let issuance =
        arguments.pending.map_or(Issuance::Immediate, |after| Issuance::Pending { approve_after: Some(after) });
    let days = u32::try_from(window.as_secs() / 86_400).ok().filter(|days| *days > 0);
    ProfileSpec {
        name: "Example".to_owned(),
        lifetime: arguments.lifetime,
        renewal_window_days: days,
        renewal_period_days: days,
        renewal_window_override: Some(window),
        allows_duplicates: !arguments.no_duplicates,
        key_sizes: ["256", "384", "521", "2048", "3072", "4096"].map(str::to_owned).to_vec(),
        issuance,
        ..ProfileSpec::default()
    }
}

fn main_file(simulator: &Simulator, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "inventory = \"{dir}/certs.d\"\nstate_dir = \"{dir}/state\"\ncontrol_socket = \"{dir}/control.sock\"\n\n\
         [api]\nurl = \"{url}\"\nca_file = \"{dir}/root.pem\"\napi_key_file = \"{dir}/api-key\"\n",
        url = simulator.url()
    )
}

fn inventory_file(profile: &str) -> String {
    format!(
        "[[certificate]]\nname = \"example\"\nprofile = \"{profile}\"\ncommon_name = \"www.example.com\"\n\
         dns_names = [\"www.example.com\", \"example.com\"]\n"
    )
}

fn write_all(simulator: &Simulator, profile: &str, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.join("certs.d"))?;
    fs::create_dir_all(dir.join("state"))?;
    write(&dir.join("root.pem"), &simulator.ca_pem(), 0o644)?;
    write(&dir.join("issuing-root.pem"), &simulator.issuing_root_pem(), 0o644)?;
    write(&dir.join("api-key"), &simulator.api_key(), 0o600)?;
    write(&dir.join("renewd.toml"), &main_file(simulator, dir), 0o640)?;
    write(&dir.join("certs.d/example.toml"), &inventory_file(profile), 0o640)?;
    let mut out = io::stdout().lock();
    writeln!(out, "# {}\n{}", dir.join("renewd.toml").display(), main_file(simulator, dir))?;
    writeln!(out, "# {}\n{}", dir.join("certs.d/example.toml").display(), inventory_file(profile))?;
    writeln!(out, "# listening at {}; Ctrl-C ends it", simulator.url())
}

/// Removes what was there, so that the mode holds for an old file too.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

fn print_all(simulator: &Simulator, profile: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "# root.pem\n{}", simulator.ca_pem())?;
    writeln!(out, "# api-key\n{}\n", simulator.api_key())?;
    writeln!(out, "# renewd.toml\n{}", main_file(simulator, Path::new("/etc/renewd")))?;
    writeln!(out, "# certs.d/example.toml\n{}", inventory_file(profile))?;
    writeln!(out, "# listening at {}; Ctrl-C ends it", simulator.url())
}

/// One line a request; a closed standard output is no reason to end.
fn log(call: &Recorded) {
    let status = if call.status == 0 { "---".to_owned() } else { call.status.to_string() };
    let mark = if call.query.is_empty() { "" } else { "?" };
    let line = format!("{} {status} {} {}{mark}{}\n", clock::zulu(clock::now()), call.method, call.path, call.query);
    drop(io::stdout().lock().write_all(line.as_bytes()));
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write a number with s, m, h, d or y");
    let digits = text.trim_end_matches(char::is_alphabetic);
    let seconds: u64 = match text.strip_prefix(digits).unwrap_or_default() {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "y" => 365 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let total =
        number.checked_mul(seconds).filter(|total| (1..=100 * 365 * 86_400).contains(total)).ok_or_else(wrong)?;
    Ok(Duration::from_secs(total))
}
