//! `cargo run --release --example inventory -- DIR --count N`: a synthetic host of any size, to measure on.
//!
//! DIR then holds `renewd.toml`, `certs.d/` and a state directory in which every certificate is installed as renewd itself
//! would have left it: made by the crate's own code, issued by a throw-away CA, with the events of its issue in the
//! journal. Nothing is synced. Layout, names and ends are the same for the same arguments; keys are new each time.
//!
//! `[api]` stands last in `renewd.toml`, so that a script can append more of its keys, and further tables.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that cannot go on has failed")]

mod fleet;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use fleet::{Api, Spec};

/// Makes a synthetic host.
#[derive(Debug, Parser)]
#[command(name = "inventory")]
struct Arguments {
    /// The folder to make it in; neither configuration nor state may be there yet.
    dir: PathBuf,
    /// How many certificates.
    #[arg(long)]
    count: usize,
    /// How many of a hundred have an RSA key of 2048 bits; the others have ECDSA keys on P-256.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    rsa: u8,
    /// How long from now the certificates end, spread evenly; their lifetime is 90 days, the renewal window 30.
    #[arg(long, default_value = "40d..89d", value_parser = spread)]
    ends: (Duration, Duration),
    /// How many certificates a drop-in file holds; it may have 1 MiB.
    #[arg(long, default_value_t = 1000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=2500))]
    per_file: usize,
    /// How many of a hundred are not installed.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    absent: u8,
    /// Entries alone, nothing installed.
    #[arg(long, conflicts_with = "absent")]
    bare: bool,
    /// Every certificate has a hook, which has run.
    #[arg(long)]
    hook: bool,
    /// What the spread of ends, key types and absences is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The API; default: an address where nobody answers.
    #[arg(long, default_value = "https://127.0.0.1:9")]
    url: String,
    /// The roots that the API is trusted by; default: the throw-away CA's.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// The file with the API key; default: one is made up.
    #[arg(long)]
    api_key_file: Option<PathBuf>,
    /// The id of the profile.
    #[arg(long, default_value = "d6743d9a-fb67-4a64-a33e-8a3229d28cc4")]
    profile: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match spec(&arguments).and_then(|spec| fleet::make(&spec)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "inventory: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn spec(arguments: &Arguments) -> io::Result<Spec> {
    let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
    Ok(Spec {
        dir: std::path::absolute(&arguments.dir)?,
        count: arguments.count,
        rsa: arguments.rsa,
        ends: arguments.ends,
        per_file: arguments.per_file,
        absent: if arguments.bare { 100 } else { arguments.absent },
        hook: arguments.hook,
        seed: arguments.seed,
        api: Api {
            url: arguments.url.clone(),
            ca_file: absolute(&arguments.ca_file)?,
            api_key_file: absolute(&arguments.api_key_file)?,
            profile: arguments.profile.clone(),
        },
    })
}

/// `40d..89d`, or one duration for all.
fn spread(text: &str) -> Result<(Duration, Duration), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (renewd::config::duration(first)?, renewd::config::duration(last)?);
    if first <= last { Ok((first, last)) } else { Err("the first is the longer one".to_owned()) }
}
