//! Which certificates a command means: by name, all, or by selectors, which are resolved here for every command, against what
//! `status --json` says. Several values of one selector mean any of them, and several selectors those that meet each. Names
//! and selectors together are refused: whoever mixes them may mean either the union or what both name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::core::name::{CertName, ProfileRef, SerialNumber};
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::engine::status::{CertificateStatus, Status};

use super::{complete, output};

use serials::Serials;

mod serials;

/// Certificates by name, all, or by selectors.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// The certificates.
    #[arg(
        required_unless_present_any = ["all", "Selectors"],
        conflicts_with = "Selectors",
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::names)
    )]
    pub(super) names: Vec<CertName>,
    /// Every certificate that is in the inventory now.
    #[arg(long, conflicts_with_all = ["names", "Selectors"])]
    all: bool,
    #[command(flatten)]
    pub(super) selectors: Selectors,
}

impl Selection {
    /// These names, and nothing else.
    pub(super) fn of(names: Vec<CertName>) -> Self {
        Self { names, all: false, selectors: Selectors::default() }
    }

    /// The names that are meant; none stands for all.
    ///
    /// # Errors
    ///
    /// Which selector matches nothing, or what of it cannot be read.
    pub(super) fn resolve<'s>(
        &self,
        status: impl FnOnce() -> Result<Cow<'s, Status>, String>,
    ) -> Result<Vec<CertName>, String> {
        if self.selectors.is_empty() { Ok(self.names.clone()) } else { self.selectors.chosen(&*status()?) }
    }
}

/// Certificates by what is known of them.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Selectors {
    /// Of this profile, by id or exact name.
    #[arg(long, help_heading = HEADING, value_name = "PROFILE", value_parser = said, add = ArgValueCompleter::new(complete::profiles))]
    profile: Vec<String>,
    /// That this CA issued: its subject, its common name, or `sha256:` and the digest of its public key (SPKI).
    #[arg(long, help_heading = HEADING, value_name = "ISSUER", value_parser = issuer, add = ArgValueCompleter::new(complete::issuers))]
    issuer: Vec<String>,
    /// With a serial number of this list, a number a line or a table (CSV); `-` reads standard input.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    serials: Option<PathBuf>,
    #[arg(skip)]
    list: Option<Serials>,
    /// That expire before this time (2027-01-31T12:00:00Z).
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = output::instant)]
    ends_before: Option<Timestamp>,
    /// Whose key has been in use for longer than this, such as 400d.
    #[arg(long, help_heading = HEADING, value_name = "AGE", value_parser = crate::config::duration)]
    key_older_than: Option<Duration>,
    /// Whose entry is in this file of the inventory.
    #[arg(long, help_heading = HEADING, value_name = "DROPIN")]
    file: Vec<PathBuf>,
}

/// A CA as the command line names it.
pub(super) fn issuer(text: &str) -> Result<String, String> {
    said(text).map_err(|_| "name a CA; `renewd status NAME` shows the issuer".to_owned())
}

fn said(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// What one selector says, and which certificates meet it.
struct Found {
    selector: String,
    names: BTreeSet<String>,
}

impl Selectors {
    /// Reads the list that they name, before anything else: a command that root starts may read less later on.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is none.
    pub(super) fn read(&mut self) -> Result<(), String> {
        let read = |file: &PathBuf| {
            serials::read(file).map_err(|why| format!("--serials {}: {why}", Text::new(&file.display().to_string())))
        };
        self.list = self.serials.as_ref().map(read).transpose()?;
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self { profile, issuer, serials, list: _, ends_before, key_older_than, file } = self;
        profile.is_empty()
            && issuer.is_empty()
            && file.is_empty()
            && serials.is_none()
            && ends_before.is_none()
            && key_older_than.is_none()
    }

    /// The same with one more value of `--issuer`.
    pub(super) fn with_issuer(mut self, issuer: &str) -> Self {
        self.issuer.push(issuer.to_owned());
        self
    }

    /// The certificates that meet every selector, in the order of the status. Serial numbers that are none of theirs are told.
    ///
    /// # Errors
    ///
    /// Where none does: which value or selector matches nothing, or that no certificate meets all.
    pub(super) fn chosen(&self, status: &Status) -> Result<Vec<CertName>, String> {
        let (certificates, found) = (&status.certificates, self.found(status)?);
        let is_chosen = |name: &str| found.iter().all(|found| found.names.contains(name));
        let chosen: Vec<CertName> =
            certificates.iter().filter(|one| is_chosen(&one.name)).filter_map(|one| one.name.parse().ok()).collect();
        if chosen.is_empty() {
            let each: Vec<String> =
                found.iter().map(|found| format!("{} ({})", found.selector, found.names.len())).collect();
            return Err(format!("no certificate matches all of {}", each.join(", ")));
        }
        Ok(chosen)
    }

    fn found(&self, status: &Status) -> Result<Vec<Found>, String> {
        let certificates = status.certificates.as_slice();
        let Self { profile, issuer, serials: _, list, ends_before, key_older_than, file } = self;
        let mut all = Vec::new();
        all.extend(any("--profile", profile, |wanted| matching(certificates, |one| is_of_profile(one, wanted)))?);
        let by_issuer = |wanted: &str| {
            matching(certificates, |one| one.issuer.as_ref().is_some_and(|issuer| issuer.is_meant_by(wanted)))
        };
        all.extend(any("--issuer", issuer, by_issuer).map_err(|why| with_issuers(&why, certificates))?);
        if let Some(serials) = list {
            all.push(by_serials(serials, certificates)?);
        }
        let instant = |text: Option<&str>| text.and_then(|text| output::instant(text).ok());
        if let Some(time) = *ends_before {
            let ends = |one: &CertificateStatus| {
                instant(one.ends.as_ref().map(|ends| ends.at.as_str()).or(one.not_after.as_deref()))
            };
            let names = matching(certificates, |one| ends(one).is_some_and(|end| end < time));
            all.push(some(format!("--ends-before {time}"), names)?);
        }
        if let Some(age) = *key_older_than {
            let since = |one: &CertificateStatus| instant(one.key_since.as_deref());
            let now = instant(Some(&status.at)).unwrap_or_default();
            let names = matching(certificates, |one| since(one).is_some_and(|since| since + age < now));
            all.push(some(format!("--key-older-than {}", Span(age)), names)?);
        }
        let files: Vec<String> = file.iter().map(|file| file.display().to_string()).collect();
        all.extend(any("--file", &files, |wanted| matching(certificates, |one| is_in_file(one, wanted)))?);
        Ok(all)
    }
}

/// Those that meet any value of a selector; nothing where it has none.
fn any(selector: &str, values: &[String], names: impl Fn(&str) -> BTreeSet<String>) -> Result<Option<Found>, String> {
    let mut all = Found { selector: selector.to_owned(), names: BTreeSet::new() };
    for value in values {
        all.names.extend(some(format!("{selector} {}", Text::new(value)), names(value))?.names);
    }
    Ok(Some(all).filter(|_| !values.is_empty()))
}

/// A selector that matches something: one that does not is a mistake, as in a name.
fn some(selector: String, names: BTreeSet<String>) -> Result<Found, String> {
    if names.is_empty() { Err(format!("no certificate matches {selector}")) } else { Ok(Found { selector, names }) }
}

fn matching(certificates: &[CertificateStatus], is_meant: impl Fn(&CertificateStatus) -> bool) -> BTreeSet<String> {
    certificates.iter().filter(|one| is_meant(one)).map(|one| one.name.clone()).collect()
}

fn is_of_profile(one: &CertificateStatus, wanted: &str) -> bool {
    let wanted_ref = ProfileRef::new(wanted);
    let known = [Some(&one.profile), one.profile_name.as_ref(), one.profile_id.as_ref()];
    known.into_iter().flatten().any(|known| known.as_str() == wanted || ProfileRef::new(known.as_str()) == wanted_ref)
}

fn with_issuers(why: &str, certificates: &[CertificateStatus]) -> String {
    let issuers: BTreeSet<&str> =
        certificates.iter().filter_map(|one| Some(one.issuer.as_ref()?.subject.as_str())).collect();
    if issuers.is_empty() {
        return format!("{why}: no issuer is known");
    }
    let issuers: String = issuers.into_iter().map(|issuer| format!("\n  {issuer}")).collect();
    format!("{why}; the issuers are:{issuers}")
}

/// As the status shows it (`certs.d/www.toml`), by its path, or by its name alone.
fn is_in_file(one: &CertificateStatus, wanted: &str) -> bool {
    let (own, wanted) = (Path::new(&one.inventory_file), Path::new(wanted));
    let is_name = wanted.components().count() == 1 && own.file_name() == wanted.file_name();
    let is_path = || std::path::absolute(wanted).is_ok_and(|wanted| wanted.ends_with(own));
    is_name || !one.inventory_file.is_empty() && is_path()
}

fn by_serials(serials: &Serials, certificates: &[CertificateStatus]) -> Result<Found, String> {
    let selector = format!("--serials {}", serials.file);
    let (mut names, mut met) = (BTreeSet::new(), BTreeSet::new());
    for one in certificates {
        let serial = one.serial_number.clone().map(SerialNumber);
        if let Some(place) = serial.and_then(|serial| serials.place(&serial)) {
            names.insert(one.name.clone());
            met.insert(place);
        }
    }
    let strange: Vec<&String> = serials
        .written
        .iter()
        .enumerate()
        .filter(|(place, _)| !met.contains(place))
        .map(|(_, serial)| serial)
        .collect();
    if !strange.is_empty() {
        let first: Vec<_> = strange.iter().take(MOST_SHOWN).map(|serial| Text::new(serial).to_string()).collect();
        let rest = strange.len() - first.len();
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        output::remark(&format!(
            "{selector}: {} of {} serial numbers belong to no certificate that is installed here: {}{rest}",
            strange.len(),
            serials.written.len(),
            first.join(", ")
        ));
    }
    some(selector, names)
}

const HEADING: &str = "Selectors (a certificate must meet each)";
/// Of serial numbers that are nobody's.
const MOST_SHOWN: usize = 10;
