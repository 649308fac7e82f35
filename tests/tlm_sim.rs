//! `cargo run --example tlm-sim`: a simulated Trust Lifecycle Manager in the foreground, with a configuration to paste.

#[path = "simulator/mod.rs"]
mod simulator;

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use simulator::server::Log;
use simulator::{
    Access, AttributeSpec, Endpoint, Fault, Issuance, Options, ProfileSpec, Recorded, Simulator, Variants, clock,
    faults, settings, subject,
};

/// A simulated Trust Lifecycle Manager with one profile.
#[derive(Debug, Parser)]
#[command(name = "tlm-sim")]
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
    /// Requests are rejected in place of approved; needs --pending.
    #[arg(long, requires = "pending")]
    reject: bool,
    /// The request may say how long the certificate lives.
    #[arg(long)]
    validity_override: bool,
    /// An attribute of the subject that every request must bring, such as organization_name; may be repeated.
    #[arg(long, value_name = "ATTRIBUTE", value_parser = subject_attribute)]
    mandatory: Vec<String>,
    /// Callers show a client certificate in place of an API key.
    #[arg(long)]
    client_certificate: bool,
    /// A misbehaviour: NAME[=VALUE][:ENDPOINT][:TIMES], such as status=429+10:issue:3; may be repeated.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Another reading of a point on which the sources of the API disagree, such as error-shape=single; may be repeated.
    #[arg(long, value_name = "VARIANT", value_parser = variant)]
    variant: Vec<String>,
    /// Shows the names of all faults and variants, and ends.
    #[arg(long)]
    list: bool,
    /// Where the files to run renewd with are written: renewd.toml, certs.d/example.toml, root.pem and the credential;
    /// default: they are printed.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.list { list() } else { simulate(&arguments) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "tlm-sim: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn simulate(arguments: &Arguments) -> io::Result<()> {
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)) {
        let text = format!("port {} of 127.0.0.1 cannot be taken: {error}; --port 0 takes a free one", arguments.port);
        return Err(io::Error::new(error.kind(), text));
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut variants = Variants::default();
    arguments.variant.iter().try_for_each(|name| variants.set(name)).map_err(io::Error::other)?;
    let access = arguments.client_certificate.then_some(Access::ClientCertificate);
    let log: Log = Arc::new(log);
    let simulator = Simulator::start(Options { port: arguments.port, variants, access, log: Some(log) });
    let profile = simulator.add_profile(profile(arguments));
    arguments.fault.iter().cloned().for_each(|fault| simulator.fault(fault));
    let credential = if arguments.client_certificate { Credential::Identity } else { Credential::Key };
    let files = Files { simulator: &simulator, profile: &profile, credential, arguments };
    match &arguments.dir {
        Some(dir) => files.write(&std::path::absolute(dir)?)?,
        None => files.print()?,
    }
    signals.forever().next();
    Ok(())
}

fn profile(arguments: &Arguments) -> ProfileSpec {
    let window = arguments.window.unwrap_or(arguments.lifetime / 3);
    let issuance =
        arguments.pending.map_or(Issuance::Immediate, |after| Issuance::Pending { approve_after: Some(after) });
    let days = u32::try_from(window.as_secs() / 86_400).ok().filter(|days| *days > 0);
    let mut defaults = ProfileSpec::default();
    defaults.subject.retain(|listed| !arguments.mandatory.contains(&listed.key));
    defaults.subject.extend(arguments.mandatory.iter().map(|key| AttributeSpec::mandatory(key)));
    ProfileSpec {
        name: "Example".to_owned(),
        lifetime: arguments.lifetime,
        renewal_window_days: days,
        renewal_period_days: days,
        renewal_window_override: Some(window),
        allows_duplicates: !arguments.no_duplicates,
        key_sizes: ["256", "384", "521", "2048", "3072", "4096", "MLDSA-44", "MLDSA-65", "MLDSA-87"]
            .map(str::to_owned)
            .to_vec(),
        issuance,
        rejects: arguments.reject,
        allows_validity_override: arguments.validity_override,
        ..defaults
    }
}

/// How renewd shows who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    Key,
    Identity,
}

/// What renewd needs to run against the simulator.
struct Files<'a> {
    simulator: &'a Simulator,
    profile: &'a str,
    credential: Credential,
    arguments: &'a Arguments,
}

impl Files<'_> {
    /// Name, content and mode of each, in `dir`; `places` are the keys of renewd.toml that say where its own files go.
    fn all(&self, dir: &Path, places: &str) -> Vec<(&'static str, String, u32)> {
        let credential = match self.credential {
            Credential::Key => ("api-key", format!("{}\n", self.simulator.api_key()), 0o600),
            Credential::Identity => ("client.pem", self.simulator.client_identity_pem(), 0o600),
        };
        vec![
            ("root.pem", self.simulator.ca_pem(), 0o644),
            ("issuing-root.pem", self.simulator.issuing_root_pem(), 0o644),
            credential,
            ("renewd.toml", self.main_file(dir, places), 0o640),
            ("certs.d/example.toml", self.inventory_file(), 0o640),
        ]
    }

    fn main_file(&self, dir: &Path, places: &str) -> String {
        let (dir, url) = (dir.display(), self.simulator.url());
        let credential = match self.credential {
            Credential::Key => format!("api_key_file = \"{dir}/api-key\""),
            Credential::Identity => format!("client_identity_file = \"{dir}/client.pem\""),
        };
        format!(
            "inventory = \"{dir}/certs.d\"\n{places}\n[api]\nurl = \"{url}\"\nca_file = \"{dir}/root.pem\"\n\
             {credential}\n"
        )
    }

    fn inventory_file(&self) -> String {
        let mandatory: Vec<_> =
            self.arguments.mandatory.iter().filter(|key| *key != "common_name").map(|key| example_of(key)).collect();
        let subject =
            if mandatory.is_empty() { String::new() } else { format!("subject = {{ {} }}\n", mandatory.join(", ")) };
        format!(
            "[[certificate]]\nname = \"example\"\nprofile = \"{}\"\ncommon_name = \"www.example.com\"\n\
             dns_names = [\"www.example.com\", \"example.com\"]\n{subject}",
            self.profile
        )
    }

    fn write(&self, dir: &Path) -> io::Result<()> {
        for folder in ["certs.d", "state"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let shown = dir.display();
        let places = format!("state_dir = \"{shown}/state\"\ncontrol_socket = \"{shown}/control.sock\"\n");
        let mut out = io::stdout().lock();
        for (name, content, mode) in self.all(dir, &places) {
            write(&dir.join(name), &content, mode)?;
            if name.ends_with(".toml") {
                writeln!(out, "# {}\n{content}", dir.join(name).display())?;
            }
        }
        self.say_how_to_go_on(&mut out, dir)
    }

    fn print(&self) -> io::Result<()> {
        let dir = Path::new("/etc/renewd");
        let mut out = io::stdout().lock();
        writeln!(out, "# Paste these into files of the names given, or let --dir DIR write them.\n")?;
        for (name, content, mode) in self.all(dir, "") {
            writeln!(out, "# {} (mode {mode:04o})\n{}\n", dir.join(name).display(), content.trim_end())?;
        }
        self.say_how_to_go_on(&mut out, dir)
    }

    fn say_how_to_go_on(&self, out: &mut impl io::Write, dir: &Path) -> io::Result<()> {
        writeln!(
            out,
            "# The API trusts root.pem; what it issues leads to issuing-root.pem. Both are new at every start."
        )?;
        writeln!(out, "# Now, in another terminal: renewd once --config {}/renewd.toml", dir.display())?;
        writeln!(out, "# Listening at {}; each request is a line below; Ctrl-C ends it.", self.simulator.url())
    }
}

/// An attribute with a value that the API takes.
fn example_of(key: &str) -> String {
    let is_list = subject::attribute(key).is_some_and(|attribute| attribute.many);
    let value = if key == "country" { "CH" } else { "Example" };
    if is_list { format!("{key} = [\"{value}\"]") } else { format!("{key} = \"{value}\"") }
}

fn subject_attribute(key: &str) -> Result<String, String> {
    let known = || subject::ATTRIBUTES.iter().map(|attribute| attribute.key).collect::<Vec<_>>().join(", ");
    subject::attribute(key).map(|_| key.to_owned()).ok_or_else(|| format!("the attributes are {}", known()))
}

fn variant(name: &str) -> Result<String, String> {
    Variants::default().set(name).map(|()| name.to_owned())
}

/// Removes what was there, so that the mode holds for an old file too.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

fn list() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "--fault NAME[=VALUE][:ENDPOINT][:TIMES]")?;
    for (form, what) in &faults::FORMS {
        writeln!(out, "  {form:32} {what}")?;
    }
    faults::DEFAULT.iter().try_for_each(|(name, _)| writeln!(out, "  {name}"))?;
    writeln!(out, "  Endpoints: {}\n\n--variant NAME", Endpoint::names())?;
    settings::SWITCHES.iter().try_for_each(|(name, _)| writeln!(out, "  {name}"))?;
    for (form, example) in &settings::VALUES {
        writeln!(out, "  {form:32} such as {example}")?;
    }
    let refusals: Vec<_> = settings::REFUSALS.iter().map(|(what, _)| *what).collect();
    writeln!(out, "  WHAT is refused: {}", refusals.join(", "))
}

/// One line a request; a closed standard output is no reason to end.
fn log(call: &Recorded) {
    let status = if call.status == 0 { "---".to_owned() } else { call.status.to_string() };
    let mark = if call.query.is_empty() { "" } else { "?" };
    let line = format!("{} {status} {} {}{mark}{}\n", clock::zulu(clock::now()), call.method, call.path, call.query);
    drop(io::stdout().lock().write_all(line.as_bytes()));
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; write a number with s, m, h, d or y");
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
