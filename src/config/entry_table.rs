//! `[[certificate]]` and `[defaults]` as they are written: every value valid by itself, nothing yet compared.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::duration::within;
use super::host::{DnsName, Email, HostPort, ServerName, Uri};
use super::place::{AbsolutePath, Account, KeyMode, Mode, SecretPath};
use super::problem::Fault;
use super::read::{FromText, FromToml, OneOrMany, unfit};
use super::settings::Main;
use super::sheet::Sheet;
use super::subject::CommonName;
use super::table::{Table, table};
use crate::core::entry::{
    Format, Pkcs12Encryption, Probe, RequestMethod, StartTls, SubjectFrom, Usage, Validity, Value,
};
use crate::core::key::KeyType;
use crate::core::name::{CertName, HookName, ProfileRef};
use crate::core::subject::Subject;
use crate::core::window::DeployWindow;

use super::hours::ZoneName;

table! {
    /// `[[certificate]]`, and `[defaults]` but for the keys in [`OWN_KEYS`].
    EntryTable, "a certificate", "`files`" => FilesTable, "`probe`" => ProbeTable;
    name: CertName,
    profile: ProfileRef,
    seat: String,
    common_name: CommonName,
    dns_names: Vec<Spanned<DnsName>>,
    ip_addresses: Vec<Spanned<IpAddr>>,
    emails: Vec<Spanned<Email>>,
    uris: Vec<Spanned<Uri>>,
    subject: Subject,
    key: KeyType,
    reuse_key: bool,
    validity: Validity,
    renew_before: Window,
    request_method: RequestMethod,
    usages: Vec<Spanned<Usage>>,
    exact_names: bool,
    subject_from: SubjectFrom,
    hooks: Vec<Spanned<HookName>>,
    probe: OneOrMany<Probe>,
    deploy_window: DeployWindow,
    deploy_time_zone: ZoneName,
    rollback: bool,
    formats: Vec<Spanned<Format>>,
    include_root: bool,
    owner: Account,
    group: Account,
    key_mode: KeyMode,
    mode: Mode,
    files: FilesTable,
    tags: Vec<Spanned<Value>>,
    custom_attributes: Vec<Spanned<Value>>,
    ca_attributes: BTreeMap<String, Value>,
}

/// The keys that `[defaults]` may not hold.
pub(super) const OWN_KEYS: [&str; 6] = ["name", "common_name", "dns_names", "ip_addresses", "emails", "uris"];

impl EntryTable {
    /// The keys that only a certificate itself may have, where they are.
    pub(super) fn own_keys(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> {
        let spans = [
            self.name.as_ref().map(Spanned::span),
            self.common_name.as_ref().map(Spanned::span),
            self.dns_names.as_ref().map(Spanned::span),
            self.ip_addresses.as_ref().map(Spanned::span),
            self.emails.as_ref().map(Spanned::span),
            self.uris.as_ref().map(Spanned::span),
        ];
        OWN_KEYS.into_iter().zip(spans).filter_map(|(key, span)| Some((key, span?)))
    }

    /// Notes each fixed target that lies where renewd or its operator keeps other files.
    pub(super) fn check_targets(&self, main: &Main, sheet: &mut Sheet<'_>) {
        let Some(files) = &self.files else { return };
        for (key, target) in files.get_ref().targets() {
            let path = &target.get_ref().0;
            let fault = |place: &str| Fault::new(format!("`{key}` lies {place}")).expected("a path elsewhere");
            if path.starts_with(&main.state_dir) {
                let fault = fault("below the state directory");
                sheet.refuse(target.span(), fault.hint("the files there are renewd's own; link to `live` instead"));
            } else if main.folders().any(|folder| path.starts_with(folder)) {
                sheet.refuse(target.span(), fault("below the configuration"));
            } else if main.own_files().any(|file| path == file) {
                sheet.refuse(target.span(), fault("where renewd.toml names another file"));
            }
        }
    }
}

table! {
    /// `[certificate.files]`.
    FilesTable, "`files`";
    private_key: AbsolutePath,
    certificate: AbsolutePath,
    chain: AbsolutePath,
    fullchain: AbsolutePath,
    bundle: AbsolutePath,
    pkcs12: AbsolutePath,
    pkcs7: AbsolutePath,
    der: AbsolutePath,
    pkcs12_password_file: SecretPath,
    pkcs12_encryption: Pkcs12Encryption,
}

impl FilesTable {
    /// The targets under their keys.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&'static str, &Spanned<AbsolutePath>)> {
        [
            ("private_key", &self.private_key),
            ("certificate", &self.certificate),
            ("chain", &self.chain),
            ("fullchain", &self.fullchain),
            ("bundle", &self.bundle),
            ("pkcs12", &self.pkcs12),
            ("pkcs7", &self.pkcs7),
            ("der", &self.der),
        ]
        .into_iter()
        .filter_map(|(key, path)| Some((key, path.as_ref()?)))
    }
}

table! {
    /// A probe as a table.
    ProbeTable, "`probe`";
    address: HostPort,
    server_name: ServerName,
    starttls: StartTls,
}

impl FromToml for Probe {
    fn read(value: &Spanned<DeValue<'_>>, sheet: &mut Sheet<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            let HostPort(address) = HostPort::read(value, sheet)?;
            return Some(Self { address, server_name: None, starttls: None });
        }
        if !value.get_ref().is_table() {
            let expected = format!("{}, or a table with `address`", HostPort::expected());
            sheet.refuse(value.span(), unfit(value, expected));
            return None;
        }
        let table = ProbeTable::read(value, sheet)?;
        if !table.has("address") {
            let fault = Fault::new("the probe has no `address`");
            sheet.refuse(value.span(), fault.expected(HostPort::expected()));
        }
        Some(Self {
            address: table.address?.into_inner().0,
            server_name: table.server_name.map(|name| name.into_inner().0),
            starttls: table.starttls.map(Spanned::into_inner),
        })
    }
}

/// A renewal window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window(pub(super) Duration);

impl FromText for Window {
    fn expected() -> String {
        Duration::expected()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let span = Duration::from_text(text)?;
        within(span, Duration::from_secs(60), Duration::from_secs(36_500 * 86_400))?;
        Ok(Self(span))
    }
}
