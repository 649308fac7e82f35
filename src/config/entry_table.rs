//! `[[certificate]]` and `[defaults]` as they are written: every value valid by itself, nothing yet compared.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use serde_json::json;
use toml::Spanned;
use toml::de::DeValue;

use super::rare_names::{CustomValues, DirectoryName, ObjectId, OtherNamesTable, UserPrincipalName};
use super::settings::Main;
use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromText, FromToml, OneOrMany, unfit};
use crate::config::syntax::problem::Fault;
use crate::config::syntax::table::{Table, table};
use crate::config::values::duration::{or_pattern, within};
use crate::config::values::host::{DnsName, Email, HostPort, ServerName, Uri};
use crate::config::values::path::{AbsolutePath, Account, KeyMode, Mode, SecretPath};
use crate::config::values::subject::{CommonName, SeatId};
use crate::core::known::issuer::IssuerPin;
use crate::core::name::{CertName, HookName, ProfileRef};
use crate::core::wanted::entry::{Probe, RequestMethod, StartTls, SubjectFrom, Validity, Value};
use crate::core::wanted::files::{Format, Pkcs12Encryption, label};
use crate::core::wanted::key::KeyType;
use crate::core::wanted::subject::Subject;
use crate::core::wanted::usage::Usage;
use crate::core::wanted::window::DeployWindow;

use crate::config::values::hours::ZoneName;

table! {
    /// `[[certificate]]`, and `[defaults]` but for the keys in [`OWN_KEYS`].
    EntryTable, "a certificate", "`files`" => FilesTable, "`fallback`" => FallbackTable, "`probe`" => ProbeTable, "`other_names`" => OtherNamesTable;
    /// Unique in the inventory; the folder of its files and everything that is reported about it has this name.
    name: CertName => "\"www\"",
    /// The profile of TLM that issues it, by its id or its exact name; `renewd profiles` lists them.
    profile: ProfileRef => "\"d6743d9a-fb67-4a64-a33e-8a3229d28cc4\"",
    /// The profile that is asked in the emergency stage, where the other one could not issue for reasons of its own.
    fallback: FallbackTable => "{ profile = \"Backup\" }",
    /// TLM's seat id. Without this key the common name, else the first name.
    seat: SeatId => "\"www.example.com\"",
    /// The e-mail address of the seat, for profiles that want one.
    seat_email: Email => "\"pki@example.com\"",
    /// The common name of the subject.
    common_name: CommonName => "\"www.example.com\"",
    /// The DNS names.
    dns_names: Vec<Spanned<DnsName>> => "[\"www.example.com\", \"example.com\"]",
    /// The IP addresses.
    ip_addresses: Vec<Spanned<IpAddr>> => "[\"192.0.2.7\", \"2001:db8::7\"]",
    /// The e-mail addresses.
    emails: Vec<Spanned<Email>> => "[\"pki@example.com\"]",
    /// The URIs.
    uris: Vec<Spanned<Uri>> => "[\"spiffe://example.com/app\"]",
    /// User principal names.
    user_principal_names: Vec<Spanned<UserPrincipalName>> => "[\"host$@corp.example.com\"]",
    /// Registered object identifiers.
    registered_ids: Vec<Spanned<ObjectId>> => "[\"1.3.6.1.4.1.99999.1\"]",
    /// A distinguished name among the alternative names.
    directory_name: DirectoryName => "\"CN=host,OU=Servers,O=Example AG\"",
    /// Alternative names of other types: `guid`, and `raw_other_names` with their object identifiers.
    other_names: OtherNamesTable => "{ guid = [\"1b671a64-40d5-491e-99b0-da01ff1f3341\"] }",
    /// More of the subject, by TLM's attribute names. Attributes that the profile fixes are added by TLM.
    subject: Subject => "{ organization_name = \"Example AG\", country = \"CH\" }",
    /// The type of the key. Without this key what the profile asks for; ML-DSA, which servers load with OpenSSL 3.5 or
    /// later and show over TLS 1.3 only, where the profile takes nothing else.
    key: KeyType => "\"ecdsa-p256\"",
    /// Keep the key at renewals, for clients that pin it.
    reuse_key: bool = "false",
    /// The validity to ask for, where the profile allows the override. Without this key the profile's.
    validity: Validity => "\"90d\"",
    /// The renewal window, from 1min to 36500d. Without this key the profile's.
    renew_before: Window => "\"20d\"",
    /// How renewd requests a renewal: always as a new certificate, always as the renewal of the installed one, or as the
    /// profile allows.
    request_method: RequestMethod = "\"auto\"",
    /// Extended key usages that a new certificate must have. Without this key those of the installed one.
    usages: Vec<Spanned<Usage>> => "[\"server_auth\"]",
    /// Refuse a certificate with names that the entry does not ask for, a common name among them.
    exact_names: bool = "false",
    /// The CA that must be on the path of the certificate, root included; any other is refused. By SHA-256 of its public
    /// key (SPKI), or by its exact subject. Without this key a change of issuer is a remark in the status.
    issuer: IssuerPin => "\"CN=Example Issuing CA, O=Example AG, C=CH\"",
    /// Who writes the subject. Where the CA does (Microsoft templates) it is not compared.
    subject_from: SubjectFrom = "\"request\"",
    /// Hooks that run after an install, of renewd.toml or of the same file.
    hooks: Vec<Spanned<HookName>> = "[]" => "[\"nginx\"]",
    /// Where the certificate is served: it counts as valid once a client receives it there. One address, or a list.
    probe: OneOrMany<Probe> = "[]" => "\"127.0.0.1:443\"",
    /// When a new certificate may be switched in, as days and hours. The emergency stage, a revocation and a first
    /// certificate do not wait for it. Without this key at any time.
    deploy_window: DeployWindow => "\"Sat,Sun 02:00-05:00\"",
    /// The time zone of `deploy_window`. Without this key the host's.
    deploy_time_zone: ZoneName => "\"Europe/Zurich\"",
    /// When a certificate may be asked for, as days and hours: where somebody has to approve it, say. The emergency stage, a
    /// revocation, a first certificate and `renewd renew` do not wait for it. Without this key at any time.
    request_window: DeployWindow => "\"Mon-Thu 08:00-18:00\"",
    /// The time zone of `request_window`. Without this key the host's.
    request_time_zone: ZoneName => "\"Europe/Zurich\"",
    /// How long a new certificate has to be in service until renewd has TLM revoke the one that it replaced: from 1h to
    /// 365d, or never. A revocation cannot be undone: only where no other host has a copy of the files.
    revoke_superseded: SpanOrNever = "\"never\"" => "\"7d\"",
    /// Switch back to the previous generation when a hook fails on a new one.
    rollback: bool = "false",
    /// More files in the generation: bundle (key and fullchain: bundle.pem), pkcs12 (keystore.p12), pkcs7 (leaf and chain:
    /// fullchain.p7b), der (the leaf: cert.der). A path in `files` implies its format.
    formats: Vec<Spanned<Format>> = "[]" => "[\"bundle\"]",
    /// The self-signed root at the end of each chain, where it is known. TLS needs none.
    include_root: bool = "false",
    /// The owner of the files. Without this key the service's user.
    owner: Account => "\"root\"",
    /// The group of the files. Without this key the service's group.
    group: Account => "\"ssl-cert\"",
    /// The mode of files that hold the private key.
    key_mode: KeyMode = "\"0600\"",
    /// The mode of the other files.
    mode: Mode = "\"0644\"",
    /// Copies at fixed paths, for programs that cannot follow a symlink. No two certificates may share one.
    files: FilesTable => "{ private_key = \"/etc/ssl/private/www.key\", fullchain = \"/etc/ssl/www/www.crt\" }",
    /// More copies at fixed paths: in each table `files`, and its owner, group and modes. All of them are switched, or none.
    copy: Vec<Spanned<CopyTable>> = "[]" => "[{ mode = \"0644\", files = { fullchain = \"/srv/www/cert.pem\" } }]",
    /// Values for the custom extensions of the profile, by the names of their placeholders.
    custom_values: CustomValues = "{}" => "{ user_id = 42 }",
    /// The ids of the certificate's owners in TLM, for seats of servers and organizations.
    cert_owner_ids: Vec<Spanned<String>> = "[]" => "[\"3ff33f88-5717-4542-b3fc-3f312f44afa4\"]",
    /// TLM's tags, sent as they are.
    tags: Vec<Spanned<Value>> = "[]" => "[\"web\"]",
    /// TLM's custom attributes, sent as they are.
    custom_attributes: Vec<Spanned<Value>> = "[]" => "[{ name = \"department\", value = \"IT\" }]",
    /// TLM's attributes for the CA, sent as they are.
    ca_attributes: BTreeMap<String, Value> = "{}" => "{ skip_domain_validation = true }",
}

/// The keys that `[defaults]` may not hold.
pub(super) const OWN_KEYS: [&str; 11] = [
    "name",
    "common_name",
    "dns_names",
    "ip_addresses",
    "emails",
    "uris",
    "user_principal_names",
    "registered_ids",
    "directory_name",
    "other_names",
    "copy",
];

/// The keys of alternative names.
pub(super) const NAME_KEYS: [&str; 8] = [
    "dns_names",
    "ip_addresses",
    "emails",
    "uris",
    "user_principal_names",
    "registered_ids",
    "directory_name",
    "other_names",
];

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
            self.user_principal_names.as_ref().map(Spanned::span),
            self.registered_ids.as_ref().map(Spanned::span),
            self.directory_name.as_ref().map(Spanned::span),
            self.other_names.as_ref().map(Spanned::span),
            self.copy.as_ref().map(Spanned::span),
        ];
        OWN_KEYS.into_iter().zip(spans).filter_map(|(key, span)| Some((key, span?)))
    }

    /// The tables of paths: that of `files` under 0, those of the copies from 1.
    pub(super) fn placements(&self) -> impl Iterator<Item = (usize, &FilesTable)> {
        let own = self.files.iter().map(|files| (0, files.get_ref()));
        let copies = (1..).zip(self.copy.iter().flat_map(Spanned::get_ref));
        own.chain(copies.filter_map(|(number, copy)| Some((number, copy.get_ref().files.as_ref()?.get_ref()))))
    }

    /// Where the path of a target stands.
    pub(super) fn target(&self, number: usize, key: &str) -> Option<&Spanned<AbsolutePath>> {
        let (_, files) = self.placements().find(|(own, _)| *own == number)?;
        files.targets().find(|(own, _)| *own == key).map(|(_, path)| path)
    }

    /// Notes each fixed target that lies where renewd or its operator keeps other files.
    pub(super) fn check_targets(&self, main: &Main, diagnostics: &mut Diagnostics<'_>) {
        let targets = self.placements().flat_map(|(number, files)| files.targets().map(move |found| (number, found)));
        for (number, (key, target)) in targets {
            let path = &target.get_ref().0;
            let fault =
                |place: &str| Fault::new(format!("{} is {place}", label(number, key))).expected("a path elsewhere");
            if path.starts_with(&main.state_dir) {
                let fault = fault("below the state directory");
                diagnostics
                    .refuse(target.span(), fault.hint("the files there are renewd's own; link to `live` instead"));
            } else if main.folders().any(|folder| path.starts_with(folder)) {
                diagnostics.refuse(target.span(), fault("below the configuration"));
            } else if main.own_files().any(|file| path == file) {
                diagnostics.refuse(target.span(), fault("where renewd.toml names another file"));
            }
        }
    }
}

table! {
    /// `fallback` of a certificate.
    FallbackTable, "`fallback`";
    /// The profile, by its id or its exact name.
    profile: ProfileRef => "\"Backup\"",
}

table! {
    /// `[certificate.files]`.
    FilesTable, "`files`";
    /// The private key.
    private_key: AbsolutePath => "\"/etc/ssl/private/www.key\"",
    /// The leaf.
    certificate: AbsolutePath => "\"/etc/ssl/www/www.crt\"",
    /// The chain, from the leaf's issuer upward.
    chain: AbsolutePath => "\"/etc/ssl/www/www.chain.crt\"",
    /// Leaf and chain.
    fullchain: AbsolutePath => "\"/etc/ssl/www/www.fullchain.crt\"",
    /// Key, leaf and chain.
    bundle: AbsolutePath => "\"/etc/haproxy/certs/www.pem\"",
    /// Key, leaf and chain as PKCS#12; needs `pkcs12_password_file`.
    pkcs12: AbsolutePath => "\"/etc/tomcat/tls/www.p12\"",
    /// Leaf and chain as PKCS#7 in PEM.
    pkcs7: AbsolutePath => "\"/etc/tomcat/tls/www.p7b\"",
    /// The leaf as DER.
    der: AbsolutePath => "\"/etc/tomcat/tls/www.der\"",
    /// The file whose first line is the password of the PKCS#12 file: of printable ASCII, readable only by root and
    /// the service.
    pkcs12_password_file: SecretPath => "\"/etc/tomcat/p12-password\"",
    /// The encryption of the PKCS#12 file: legacy-3des is for programs older than OpenSSL 1.1.1 and Java 8u301.
    pkcs12_encryption: Pkcs12Encryption = "\"aes256\"",
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
    /// `[[certificate.copy]]`.
    CopyTable, "a copy", "`files`" => FilesTable, where json!({"required": ["files"]});
    /// The paths, as in `[certificate.files]`. Where they name no `pkcs12_password_file` or `pkcs12_encryption`, those of
    /// `[certificate.files]` count.
    files: FilesTable => "{ private_key = \"/srv/pg/tls/key.pem\", fullchain = \"/srv/pg/tls/cert.pem\" }",
    /// The owner of the copies. Without this key that of the certificate's other files.
    owner: Account => "\"postgres\"",
    /// The group of the copies. Without this key that of the certificate's other files.
    group: Account => "\"postgres\"",
    /// The mode of copies that hold the private key. Without this key that of the certificate's other files.
    key_mode: KeyMode => "\"0600\"",
    /// The mode of the other copies. Without this key that of the certificate's other files.
    mode: Mode => "\"0644\"",
}

table! {
    /// A probe as a table.
    ProbeTable, "`probe`", where json!({"required": ["address"]});
    /// Where to connect to.
    address: HostPort => "\"127.0.0.1:25\"",
    /// The name to ask the server for. Without this key the first DNS name, else the common name.
    server_name: ServerName => "\"mail.example.com\"",
    /// The protocol that is spoken before TLS. Without this key none.
    starttls: StartTls => "\"smtp\"",
}

impl FromToml for Probe {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            let HostPort(address) = HostPort::read(value, diagnostics)?;
            return Some(Self { address, server_name: None, starttls: None });
        }
        if !value.get_ref().is_table() {
            let expected = format!("{}, or a table with `address`", HostPort::expected());
            diagnostics.refuse(value.span(), unfit(value, expected));
            return None;
        }
        let table = ProbeTable::read(value, diagnostics)?;
        if !table.has("address") {
            let fault = Fault::new("the probe has no `address`");
            diagnostics.refuse(value.span(), fault.expected(HostPort::expected()));
        }
        Some(Self {
            address: table.address?.into_inner().0,
            server_name: table.server_name.map(|name| name.into_inner().0),
            starttls: table.starttls.map(Spanned::into_inner),
        })
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [HostPort::schema(), ProbeTable::schema()]})
    }
}

/// How long after it was replaced a certificate is revoked, or "never".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SpanOrNever(pub(super) Option<Duration>);

impl FromText for SpanOrNever {
    fn expected() -> String {
        format!("{}, or \"never\"", Duration::expected())
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text == "never" {
            return Ok(Self(None));
        }
        let span = Duration::from_text(text)?;
        within(span, Duration::from_secs(3600), Duration::from_secs(365 * 86_400))?;
        Ok(Self(Some(span)))
    }

    fn pattern() -> Option<String> {
        or_pattern("never")
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

    fn pattern() -> Option<String> {
        Duration::pattern()
    }
}
