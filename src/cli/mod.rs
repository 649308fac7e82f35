//! The commands: one file each. They read arguments, ask the daemon or do the work themselves, and print.

mod account;
mod adopt;
mod calendar;
mod check;
mod check_online;
mod columns;
mod confine;
mod control;
mod duplicates;
mod event_text;
mod explain;
mod heal;
mod history;
mod log;
mod offline;
mod once;
mod output;
pub mod pages;
mod plan;
mod profiles;
mod progress;
mod renew;
mod rollback;
mod run;
mod schema;
mod start;
mod status;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use crate::core::name::CertName;

/// Keeps a host's TLS certificates renewed through DigiCert Trust Lifecycle Manager.
#[derive(Debug, Parser)]
#[command(name = "renewd", version, about, max_term_width = 100)]
pub struct Arguments {
    /// The main configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/renewd/renewd.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs as a daemon, until SIGTERM; SIGHUP reloads.
    Run,
    /// Does everything that is due now, and ends. For cron and containers.
    Once {
        /// How long to wait for requests that TLM approves later, such as 90s or 10m.
        #[arg(long, value_name = "TIME", default_value = "0s", value_parser = crate::config::duration)]
        wait: Duration,
    },
    /// Finishes installs that were cut off, from the disk alone. For the start of the machine, before the services.
    Heal,
    /// Validates every file of the configuration and what it names on this host; asks nobody, unless told to.
    Check {
        /// Asks TLM, the running daemon and the host as well: key, roles, profiles, targets, hooks, probes.
        #[arg(long)]
        online: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints what would be done, when and why. Changes nothing.
    Plan {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Draws the renewals and expiries to come as bars, by day or week.
        #[arg(long, conflicts_with = "json")]
        calendar: bool,
        /// Plans for this instant (2027-01-31T12:00:00Z) instead of now.
        #[arg(long, value_name = "TIME", value_parser = output::instant)]
        at: Option<crate::core::time::Timestamp>,
    },
    /// Prints the state of each certificate, and what comes next. Works with the daemon down.
    Status {
        /// This certificate alone, with everything that is known of it.
        name: Option<CertName>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints what happened to a certificate, as the journal has it.
    History {
        /// Which.
        name: CertName,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replaces certificates now, whatever their age, and shows how it goes; Ctrl-C leaves the work to the daemon.
    #[command(
        override_usage = "renewd renew <NAME>...\n       renewd renew --issuer <ISSUER>\n       renewd renew --all"
    )]
    Renew {
        /// Which.
        #[arg(required_unless_present_any = ["all", "issuer"], value_name = "NAME")]
        names: Vec<CertName>,
        /// All of the inventory.
        #[arg(long, conflicts_with = "names")]
        all: bool,
        /// Those that this CA issued: its subject, its common name, or `sha256:` and the digest of its public key (SPKI).
        #[arg(long, value_name = "ISSUER", value_parser = renew::issuer, conflicts_with_all = ["names", "all"])]
        issuer: Vec<String>,
        /// By new certificates, never by TLM's renewal of the old ones: after a mass revocation, or a lost key.
        #[arg(long)]
        reissue: bool,
        /// Prints what became of each as JSON, in place of progress.
        #[arg(long)]
        json: bool,
    },
    /// Lists the profiles that the API key may use.
    Profiles {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Prints an inventory entry for the profile of this id or exact name instead.
        #[arg(long, value_name = "ID")]
        entry: Option<String>,
        /// The entry's name; default: its first DNS name.
        #[arg(long, requires = "entry")]
        name: Option<CertName>,
        /// Its DNS names, the first of which is the common name.
        #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "entry")]
        dns: Vec<String>,
        /// The hooks that run after an install.
        #[arg(long, value_name = "HOOK,...", value_delimiter = ',', requires = "entry")]
        hooks: Vec<String>,
        /// The address where the certificate is served.
        #[arg(long, value_name = "ADDRESS", requires = "entry")]
        probe: Option<String>,
    },
    /// Explains a code of status or log: what it means, what renewd does, what you do.
    Explain {
        /// The code; without one, all are listed.
        code: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes the generation before live again, runs the hooks, and holds it there until `renewd renew`.
    Rollback {
        /// Which.
        name: CertName,
        /// Even to a certificate that ended or was revoked.
        #[arg(long)]
        force: bool,
    },
    /// Prints inventory entries for certificates that are there already. Changes nothing.
    Adopt {
        /// Files with certificates and keys in any order (PEM, DER, PKCS#12), a folder `live/NAME` of certbot, or a file
        /// of /var/lib/certmonger/requests.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The profile that will issue them: its id, or its exact name.
        #[arg(long, value_name = "ID")]
        profile: String,
        /// The file whose first line is the password of PKCS#12 files.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Prints the JSON Schema of a kind of file, for editors.
    Schema {
        /// Of which.
        kind: schema::Kind,
    },
}

/// The command line's definition, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    output::ended(match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) => {
            output::usage(&error);
            u8::try_from(error.exit_code()).unwrap_or(exit::UNWELL).into()
        }
    })
}

fn run(arguments: Arguments) -> ExitCode {
    let config = arguments.config;
    match arguments.command {
        Command::Run => run::run(&config),
        Command::Once { wait } => once::run(&config, wait),
        Command::Heal => heal::run(&config),
        Command::Check { online, json } => check::run(&config, check::Options { online, json }),
        Command::Plan { json: true, at, .. } => plan::run(&config, plan::Form::Json, at),
        Command::Plan { calendar: true, at, .. } => plan::run(&config, plan::Form::Calendar, at),
        Command::Plan { at, .. } => plan::run(&config, plan::Form::Text, at),
        Command::Status { name, json } => status::run(&config, name.as_ref(), json),
        Command::History { name, json } => history::run(&config, &name, json),
        Command::Renew { names, all: _, issuer: issuers, reissue, json } => {
            renew::run(&config, renew::Options { names, issuers, reissue, json })
        }
        Command::Profiles { json, entry: None, .. } => profiles::list(&config, json),
        Command::Profiles { json, entry: Some(profile), name, dns, hooks, probe } => {
            profiles::entry(&config, json, &profile, &profiles::Given { name, dns, hooks, probe })
        }
        Command::Explain { code, json } => explain::run(code.as_deref(), json),
        Command::Rollback { name, force } => rollback::run(&config, &name, force),
        Command::Adopt { files, profile, password_file } => {
            adopt::run(&config, &files, &profile, password_file.as_deref())
        }
        Command::Schema { kind } => schema::run(kind),
    }
}

/// What an exit code means, from sysexits where it has a number.
mod exit {
    /// All is well.
    pub(super) const OK: u8 = 0;
    /// Something is not.
    pub(super) const UNWELL: u8 = 1;
    /// The state could not be read.
    pub(super) const UNREADABLE: u8 = 3;
    /// A fault of the program itself, or of the state directory.
    pub(super) const INTERNAL: u8 = 70;
    /// The result could not be written to standard output.
    pub(super) const OUTPUT: u8 = 74;
    /// Not for this user.
    pub(super) const NOT_PERMITTED: u8 = 77;
    /// Bad configuration or permissions.
    pub(super) const CONFIG: u8 = 78;
    /// Ended by Ctrl-C, as a shell says it.
    pub(super) const INTERRUPTED: u8 = 130;
}
