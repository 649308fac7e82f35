//! `renewd revoke`: withdraws a certificate at TLM, for ever. What this host still presents is left alone, unless it is to be
//! replaced at once.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::api::{Details, RevocationReason, Tlm as _};
use crate::config::Main;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::observed::Installed;
use crate::core::name::{CertName, SerialNumber};
use crate::core::wanted::entry::Entry;
use crate::daemon::{last_good, setup};
use crate::parallel;
use crate::pki::{certificate, leaf};
use crate::store::layout::Layout;
use crate::store::observe;
use crate::store::real_disk::RealDisk;

use super::account::{self, Account};
use super::order::Following;
use super::select::Selection;
use super::{exit, output, renew};

/// What is withdrawn, and why.
pub(super) struct Options {
    pub(super) name: Option<CertName>,
    pub(super) serial: Option<SerialNumber>,
    pub(super) reason: RevocationReason,
    pub(super) force: bool,
}

/// The reasons, in TLM's words.
pub(super) fn reasons() -> impl TypedValueParser<Value = RevocationReason> {
    let all = RevocationReason::ALL;
    PossibleValuesParser::new(all.map(RevocationReason::as_str))
        .try_map(move |word| all.into_iter().find(|reason| reason.as_str() == word).ok_or("no such reason"))
}

/// A serial number: hexadecimal, as renewd, TLM and openssl write it.
pub(super) fn serial(text: &str) -> Result<SerialNumber, String> {
    let bare: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_uppercase();
    let is_one = !bare.is_empty() && bare.len() <= MOST_DIGITS && bare.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_one { Ok(SerialNumber(bare)) } else { Err("a serial number is hexadecimal, such as 0F6F5A".to_owned()) }
}

/// Withdraws it, and replaces it where this host presents it.
pub(super) fn run(config: &Path, options: &Options) -> ExitCode {
    match revoke(config, options) {
        Ok(None) => exit::OK.into(),
        Ok(Some(name)) => {
            let following = Following { json: false, no_wait: false, by: None };
            let selection = Selection::of(vec![name]);
            renew::run(config, &renew::Options { selection, reissue: true, within: None, anyway: false, following })
        }
        Err(why) => {
            output::complain(&why);
            exit::UNWELL.into()
        }
    }
}

/// Withdraws it; whose it was that is installed, if any's.
fn revoke(config: &Path, options: &Options) -> Result<Option<CertName>, String> {
    let (main, account, runtime) = account::asked(config)?;
    let live = live(&main)?;
    let found = live.iter().find(|(name, installed)| match (&options.name, &options.serial) {
        (Some(wanted), _) => name == wanted,
        (None, serial) => serial.as_ref().is_some_and(|serial| serial.same(&installed.serial_number)),
    });
    let serial = match (&options.serial, found, &options.name) {
        (Some(serial), _, _) => serial.clone(),
        (None, Some((_, installed)), _) => installed.serial_number.clone(),
        (None, None, name) => {
            let name = name.as_ref().map_or("", CertName::as_str);
            return Err(format!("{name}: no certificate of this name is installed; name one by --serial"));
        }
    };
    if let Some((name, _)) = found.filter(|_| !options.force) {
        return Err(format!(
            "serial number {serial} is what {name} presents; replace it first (run: renewd renew {name}), or give --force, \
             which has renewd replace it right after"
        ));
    }
    let thumbprint = found.map(|(_, installed)| installed.fingerprint.to_string());
    if !runtime.block_on(is_wanted(&account, &serial, thumbprint.as_deref(), options.reason))? {
        return Err("nothing was revoked".to_owned());
    }
    match runtime.block_on(account.client.revoke(&serial, thumbprint.as_deref(), options.reason)) {
        Ok(()) => output::tell(&format!("revoked {serial}")),
        Err(failure) if failure.class == FailureClass::CertificateRevoked => {
            output::tell(&format!("{serial} was revoked already"));
        }
        Err(failure) => return Err(told(failure)),
    }
    Ok(found.map(|(name, _)| name.clone()))
}

/// What is installed, by the names of its entries.
fn live(main: &Main) -> Result<Vec<(CertName, Installed)>, String> {
    let layout = Layout::new(&main.state_dir);
    let known = setup::inventory(main, &last_good::read(&RealDisk, &layout)).map_err(|error| error.to_string())?;
    let installed = |entry: &Arc<Entry>| {
        let observed = observe::observe(&RealDisk, &layout, entry);
        observed.installed().map(|installed| (entry.name.clone(), installed.clone()))
    };
    Ok(parallel::map(&known.entries, installed).into_iter().flatten().collect())
}

/// Asks whoever sits at a terminal, with what TLM knows of the certificate.
async fn is_wanted(
    account: &Account,
    serial: &SerialNumber,
    thumbprint: Option<&str>,
    reason: RevocationReason,
) -> Result<bool, String> {
    // It is asked for in any case: a serial number with a slip of the finger is found before anything is withdrawn.
    let details = account.client.details(serial, thumbprint).await.map_err(told)?;
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    let reason = reason.as_str();
    output::print(&format!(
        "permanently revoke {serial} ({}), reason {reason}? Type yes to continue:",
        told_of(&details)
    ));
    let mut answer = String::new();
    stdin.read_line(&mut answer).map_err(|error| format!("cannot read the answer: {error}"))?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// What TLM's certificate is, for who is asked.
fn told_of(details: &Details) -> String {
    let read = details.certificate.as_deref().and_then(|text| certificate::certificates(text).ok());
    let certificate = read.and_then(|all| all.into_iter().next());
    let facts = certificate.as_ref().and_then(|certificate| Some((certificate.label(), leaf::read(certificate).ok()?)));
    facts.map_or_else(
        || "TLM does not show whose it is".to_owned(),
        |(label, facts)| format!("{label}, valid until {}", facts.not_after),
    )
}

fn told(failure: Failure) -> String {
    if failure.class == FailureClass::ApiForbidden {
        return format!("{failure}; let the API key's user revoke in TLM: that is a right of its own beside issuing");
    }
    if failure.class == FailureClass::NotFound {
        return format!("{failure}; `renewd status NAME` and `renewd history NAME` show serial numbers");
    }
    account::told(failure)
}

/// X.509 allows 20 octets.
const MOST_DIGITS: usize = 42;
