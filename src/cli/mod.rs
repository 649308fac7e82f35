//! The commands: one file each. They read arguments, ask the daemon or do the work themselves, and print.

mod absent;
mod account;
mod adopt;
mod at_tlm;
mod calendar;
mod check;
mod check_freezes;
mod check_online;
mod columns;
mod complete;
pub mod completions;
mod confine;
mod control;
mod csr;
mod deploy;
mod discover;
mod duplicates;
mod event_text;
mod exit;
mod explain;
mod forecast;
mod heal;
mod help;
mod history;
mod hold;
mod log;
mod notify;
mod offline;
mod once;
mod order;
mod output;
pub mod pages;
mod plan;
mod profiles;
mod progress;
mod renew;
mod revoke;
mod rollback;
mod run;
mod runtime;
mod schema;
mod select;
mod signals;
mod start;
mod status;
mod supposition;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches as _, Parser, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use crate::core::name::{CertName, HookName};
use crate::daemon::hook_user;
use crate::engine::HoldOrder;

use order::Following;
use output::Volume;
use select::{Selection, Selectors};

/// What `--version` says: which cryptography is in the program, too, where it is not the usual one.
const VERSION: &str = if cfg!(feature = "fips") {
    concat!(env!("CARGO_PKG_VERSION"), " (FIPS module of AWS-LC)")
} else {
    env!("CARGO_PKG_VERSION")
};

/// Keeps a host's TLS certificates renewed through DigiCert Trust Lifecycle Manager.
#[derive(Debug, Parser)]
#[command(name = "renewd", version = VERSION, about, max_term_width = 100)]
pub struct Arguments {
    /// The main configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Print nothing but errors and what was asked for.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Also log each step on standard error.
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM; SIGHUP reloads.
    Run,
    /// Run one pass and exit (for cron and containers).
    Once {
        /// How long to wait for pending requests, such as 90s or 10m.
        #[arg(long, value_name = "TIME", default_value = "0s", value_parser = crate::config::duration)]
        wait: Duration,
    },
    /// Finish interrupted installs using local files only (run at boot).
    Heal,
    /// Validate every configuration file and what it names on this host; makes no network requests unless --online.
    Check {
        /// Check with TLM, the running daemon and the host, too: key, roles, profiles, targets, hooks, probes.
        #[arg(long)]
        online: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what renewd would do, when and why; changes nothing.
    Plan {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Draw upcoming renewals and expiries as bars, by day or week.
        #[arg(long, conflicts_with = "json")]
        calendar: bool,
        /// Plan for this time (2027-01-31T12:00:00Z) instead of now.
        #[arg(long, value_name = "TIME", value_parser = output::instant)]
        at: Option<crate::core::time::Timestamp>,
        /// Show what would follow if TLM revoked the selected certificates now (`revoked`), or those of a CA
        /// (`revoked:ISSUER`): when each is replaced, by itself and with `renewd renew`.
        #[arg(long = "if", value_name = "EVENT", value_parser = supposition::supposed, conflicts_with = "calendar")]
        supposed: Option<supposition::Supposed>,
        /// How soon they have to be replaced then; later is late.
        #[arg(
            long,
            value_name = "TIME",
            default_value = "24h",
            value_parser = crate::config::duration,
            requires = "supposed"
        )]
        within: Duration,
        #[command(flatten)]
        selectors: Selectors,
    },
    /// Show the state of each certificate and its next step; works with the daemon down.
    Status {
        /// Only this certificate, in full.
        #[arg(conflicts_with = "Selectors", add = ArgValueCompleter::new(complete::names))]
        name: Option<CertName>,
        #[command(flatten)]
        selectors: Selectors,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Show what TLM says of the installed certificate, too, and what differs.
        #[arg(long, requires = "name")]
        online: bool,
    },
    /// Print the certificate signing request that was sent last for a certificate.
    Csr {
        /// The certificate.
        #[arg(add = ArgValueCompleter::new(complete::names))]
        name: CertName,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the history of certificates from the journal.
    #[command(override_usage = "renewd history [OPTIONS] <NAME>\n       renewd history [OPTIONS] <SELECTOR>...")]
    History {
        /// The certificate.
        #[arg(
            required_unless_present = "Selectors",
            conflicts_with = "Selectors",
            add = ArgValueCompleter::new(complete::names)
        )]
        name: Option<CertName>,
        #[command(flatten)]
        selectors: Selectors,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replace certificates now, whatever their age, and show progress; Ctrl-C leaves the work to the daemon.
    #[command(
        override_usage = "renewd renew [OPTIONS] <NAME>...\n       renewd renew [OPTIONS] <SELECTOR>...\n       renewd renew [OPTIONS] --all"
    )]
    Renew {
        #[command(flatten)]
        selection: Selection,
        /// Request new certificates, never TLM's renewal of the old ones: after a mass revocation, or a lost key.
        #[arg(long)]
        reissue: bool,
        /// Say first how long it takes, such as 20h; refuse what takes longer.
        #[arg(long, value_name = "TIME", value_parser = crate::config::duration)]
        within: Option<Duration>,
        /// Replace them even if that takes longer than --within.
        #[arg(long, requires = "within")]
        anyway: bool,
        /// Return as soon as the daemon has the order.
        #[arg(long)]
        no_wait: bool,
        /// Print the result for each as JSON instead of progress.
        #[arg(long)]
        json: bool,
    },
    /// Run the hooks and probes of installed certificates now, without requesting any; shows each step.
    Deploy {
        /// The certificates.
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(complete::names))]
        names: Vec<CertName>,
        /// Return as soon as the daemon has the order.
        #[arg(long)]
        no_wait: bool,
        /// Print the result for each as JSON instead of progress.
        #[arg(long)]
        json: bool,
    },
    /// Try notifications: run what [notify.NAME] runs, with a document that is marked as a test.
    Notify {
        /// The notifications; default: all.
        #[arg(value_name = "NAME", add = ArgValueCompleter::new(complete::notifications))]
        names: Vec<HookName>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the profiles that the API key may use.
    Profiles {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Print an inventory entry for the profile with this id or exact name instead.
        #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::profiles))]
        entry: Option<String>,
        /// The name of the entry; default: its first DNS name.
        #[arg(long, requires = "entry")]
        name: Option<CertName>,
        /// The DNS names of the entry; the first is the common name, too.
        #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "entry")]
        dns: Vec<String>,
        /// The hooks to run after an install.
        #[arg(long, value_name = "HOOK,...", value_delimiter = ',', requires = "entry")]
        hooks: Vec<String>,
        /// The address to probe for the new certificate.
        #[arg(long, value_name = "ADDRESS", requires = "entry")]
        probe: Option<String>,
    },
    /// Explain a code or state from status or log: what it means, what renewd does, what you do.
    Explain {
        /// The code or state; without one, list all.
        #[arg(add = ArgValueCompleter::new(complete::codes))]
        code: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Switch back to the previous generation, run its hooks, and hold it until `renewd renew`.
    Rollback {
        /// The certificate.
        #[arg(add = ArgValueCompleter::new(complete::names))]
        name: CertName,
        /// Even to an expired or revoked certificate.
        #[arg(long)]
        force: bool,
        /// Return as soon as the previous generation is live.
        #[arg(long)]
        no_wait: bool,
    },
    /// Revoke a certificate at TLM, permanently; asks first on a terminal.
    Revoke {
        /// The certificate whose installed one is revoked; needs --force, and is replaced at once.
        #[arg(required_unless_present = "serial", conflicts_with = "serial", add = ArgValueCompleter::new(complete::names))]
        name: Option<CertName>,
        /// The serial number of any certificate of the account, as `renewd status NAME` writes it.
        #[arg(long, value_name = "SERIAL", value_parser = revoke::serial)]
        serial: Option<crate::core::name::SerialNumber>,
        /// Why; public CAs accept only key_compromise, affiliation_changed, superseded and cessation_of_operation.
        #[arg(long, value_name = "REASON", value_parser = revoke::reasons())]
        reason: crate::api::RevocationReason,
        /// Even what is installed; renewd then requests a new one at once.
        #[arg(long)]
        force: bool,
    },
    /// Request and install nothing until `renewd release`, a given time, or approaching expiry.
    #[command(
        override_usage = "renewd hold [OPTIONS] <NAME>...\n       renewd hold [OPTIONS] <SELECTOR>...\n       renewd hold [OPTIONS] --all"
    )]
    Hold {
        #[command(flatten)]
        selection: Selection,
        /// End the hold at this time (2027-01-31T12:00:00Z).
        #[arg(long, value_name = "TIME", value_parser = output::instant)]
        until: Option<crate::core::time::Timestamp>,
        /// Why, for whoever reads the status.
        #[arg(long, value_name = "TEXT", value_parser = hold::reason)]
        reason: Option<crate::core::text::Text>,
        /// Hold on even if a certificate is revoked, damaged or about to expire.
        #[arg(long)]
        even_emergency: bool,
    },
    /// End the hold of `renewd hold` or `renewd rollback`.
    #[command(
        override_usage = "renewd release <NAME>...\n       renewd release <SELECTOR>...\n       renewd release --all"
    )]
    Release {
        #[command(flatten)]
        selection: Selection,
    },
    /// Print inventory entries for existing certificates; changes nothing.
    Adopt {
        /// Files with certificates and keys in any order (PEM, DER, PKCS#12), a folder `live/NAME` of certbot, or a file
        /// of /var/lib/certmonger/requests.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The profile that will issue them, by id or exact name.
        #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::profiles))]
        profile: String,
        /// The file whose first line is the password of PKCS#12 files.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Show every certificate that this host has or serves, who renews it, and what is wrong; changes nothing.
    Discover {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Print inventory entries for what renewd could take over instead, with hooks and probes.
        #[arg(long, requires = "profile", conflicts_with = "json")]
        entries: bool,
        /// The profile that will issue them, by id or exact name.
        #[arg(long, value_name = "ID", requires = "entries", add = ArgValueCompleter::new(complete::profiles))]
        profile: Option<String>,
        /// Only read files; connect to no port of this host.
        #[arg(long)]
        files_only: bool,
    },
    /// Print the completion script of a shell.
    Completions {
        /// The shell.
        shell: completions::Shell,
    },
    /// Print the JSON Schema of a kind of file, for editors.
    Schema {
        /// The kind of file.
        kind: schema::Kind,
    },
}

impl Command {
    /// Whether it opens no log at any time. The others do where they work by themselves, as `renewd.toml` says.
    const fn has_no_log(&self) -> bool {
        match self {
            Self::Check { .. }
            | Self::Plan { .. }
            | Self::Status { .. }
            | Self::Csr { .. }
            | Self::History { .. }
            | Self::Profiles { .. }
            | Self::Explain { .. }
            | Self::Adopt { .. }
            | Self::Discover { .. }
            | Self::Completions { .. }
            | Self::Schema { .. } => true,
            Self::Run
            | Self::Once { .. }
            | Self::Heal
            | Self::Renew { .. }
            | Self::Deploy { .. }
            | Self::Notify { .. }
            | Self::Rollback { .. }
            | Self::Revoke { .. }
            | Self::Hold { .. }
            | Self::Release { .. } => false,
        }
    }
}

/// The command line's definition, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    signals::outlive();
    match complete::answered() {
        Ok(true) => return exit::OK.into(),
        Ok(false) => {}
        Err(error) => {
            output::usage(&error);
            return exit::UNWELL.into();
        }
    }
    if let Some(code) = as_hook() {
        return output::ended(code);
    }
    let parsed = help::with_exit_codes(command()).try_get_matches();
    output::ended(match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => run(arguments),
        Err(error) => {
            output::usage(&error);
            u8::try_from(error.exit_code()).unwrap_or(exit::UNWELL).into()
        }
    })
}

/// What this process is for where renewd started itself to run a hook as another user.
fn as_hook() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    arguments.next().filter(|first| first == hook_user::ARGUMENT)?;
    Some(match hook_user::run(&arguments.collect::<Vec<_>>()) {
        Ok(judged) => {
            output::print(&judged);
            exit::OK.into()
        }
        Err(why) => {
            output::complain(&why);
            exit::NOT_RUN.into()
        }
    })
}

fn run(arguments: Arguments) -> ExitCode {
    let Arguments { config, quiet, verbose, mut command } = arguments;
    output::set_volume(match (quiet, verbose) {
        (true, _) => Volume::Quiet,
        (false, true) => Volume::Verbose,
        (false, false) => Volume::Usual,
    });
    if let Command::Plan { selectors, .. }
    | Command::Status { selectors, .. }
    | Command::History { selectors, .. }
    | Command::Renew { selection: Selection { selectors, .. }, .. }
    | Command::Hold { selection: Selection { selectors, .. }, .. }
    | Command::Release { selection: Selection { selectors, .. } } = &mut command
        && let Err(why) = selectors.read()
    {
        output::complain(&why);
        return exit::UNWELL.into();
    }
    if command.has_no_log()
        && let Err(why) = log::open_if_verbose()
    {
        output::complain(&why);
        return exit::UNWELL.into();
    }
    match command {
        Command::Run => run::run(&config),
        Command::Once { wait } => once::run(&config, wait),
        Command::Heal => heal::run(&config),
        Command::Check { online, json } => check::run(&config, check::Options { online, json }),
        Command::Plan { json, calendar, at, supposed, within, selectors } => {
            let form = match (json, calendar) {
                (true, _) => plan::Form::Json,
                (false, true) => plan::Form::Calendar,
                (false, false) => plan::Form::Text,
            };
            plan::run(&config, &plan::Options { form, at, selectors, supposed, within })
        }
        Command::Status { name, selectors, json, online } => {
            let which = name.map_or(status::Which::Selected(selectors), |name| status::Which::One { name, online });
            status::run(&config, &which, json)
        }
        Command::Csr { name, json } => csr::run(&config, &name, json),
        Command::History { name, selectors, json } => history::run(&config, name, &selectors, json),
        Command::Renew { selection, reissue, within, anyway, no_wait, json } => {
            let following = Following { json, no_wait, by: None };
            renew::run(&config, &renew::Options { selection, reissue, within, anyway, following })
        }
        Command::Deploy { names, no_wait, json } => deploy::run(&config, names, Following { json, no_wait, by: None }),
        Command::Notify { names, json } => notify::run(&config, &names, json),
        Command::Profiles { json, entry: None, .. } => profiles::list(&config, json),
        Command::Profiles { json, entry: Some(profile), name, dns, hooks, probe } => {
            profiles::entry(&config, json, &profile, &profiles::Given { name, dns, hooks, probe })
        }
        Command::Explain { code, json } => explain::run(code.as_deref(), json),
        Command::Rollback { name, force, no_wait } => rollback::run(&config, &name, force, no_wait),
        Command::Revoke { name, serial, reason, force } => {
            revoke::run(&config, &revoke::Options { name, serial, reason, force })
        }
        Command::Hold { selection, until, reason: why, even_emergency } => {
            hold::hold(&config, &selection, &HoldOrder { until, why, even_emergency })
        }
        Command::Release { selection } => hold::release(&config, &selection),
        Command::Adopt { files, profile, password_file } => {
            adopt::run(&config, &files, &profile, password_file.as_deref())
        }
        Command::Discover { json, entries: _, profile, files_only } => {
            discover::run(&config, &discover::Options { json, entries: profile, files_only })
        }
        Command::Completions { shell } => completions::run(shell),
        Command::Schema { kind } => schema::run(kind),
    }
}

/// Where the main configuration is, unless `--config` says otherwise.
const CONFIG: &str = "/etc/renewd/renewd.toml";
