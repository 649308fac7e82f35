//! What the status and the plan say, as types: JSON for machines, text for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::known::issuer::Issuer;
use crate::core::known::validation::DomainValidation;
use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// `status --json`; or the same with less of each certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status<C = CertificateStatus> {
    /// The version that speaks.
    pub version: String,
    /// When.
    pub at: String,
    /// Whether nobody has to do anything.
    pub healthy: bool,
    /// What somebody has to look at.
    pub problems: Vec<Problem>,
    /// `renewd.toml`.
    pub config: ConfigStatus,
    /// The host's clock.
    pub clock: ClockStatus,
    /// The credentials for the API.
    pub credentials: Vec<CredentialStatus>,
    /// The drop-in files.
    pub inventory: Vec<FileStatus>,
    /// The API as a whole.
    pub api: ApiStatus,
    /// The certificates, by name.
    pub certificates: Vec<C>,
}

impl<C> Status<C> {
    /// The same with another view of its certificates.
    pub fn with<D>(self, view: impl FnOnce(Vec<C>) -> Vec<D>) -> Status<D> {
        let Self { version, at, healthy, problems, config, clock, credentials, inventory, api, certificates } = self;
        let certificates = view(certificates);
        Status { version, at, healthy, problems, config, clock, credentials, inventory, api, certificates }
    }
}

/// Something that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Its stable code.
    pub code: String,
    /// Whether it makes the whole unhealthy.
    #[serde(default)]
    pub severity: Severity,
    /// What it is; where it concerns certificates, that begins with their names.
    pub message: Text,
    /// Since when, where that is known.
    pub since: Option<String>,
    /// What to do.
    pub remedy: Text,
    /// The certificates that it concerns, where it is not the whole that it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertName>,
}

impl Problem {
    /// What makes the whole unhealthy, and what to do about it.
    #[must_use]
    pub fn error(code: &str, message: &str, remedy: &str) -> Self {
        Self {
            code: code.to_owned(),
            severity: Severity::Error,
            message: Text::new(message),
            since: None,
            remedy: Text::new(remedy),
            certificates: Vec::new(),
        }
    }

    /// What somebody has to do in time.
    #[must_use]
    pub fn warning(code: &str, message: &str, remedy: &str) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message, remedy) }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody has to act, and there is time: healthy all the same.
    Warning,
    /// Unhealthy.
    #[default]
    #[serde(other)]
    Error,
}

/// The main configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The file.
    pub file: String,
    /// `loaded` or `refused`.
    pub state: String,
    /// Why it is refused.
    pub error: Option<Text>,
}

/// The clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// `unknown`, `ok` or `wrong`.
    pub state: String,
    /// How far the API is ahead.
    pub offset_seconds: Option<i64>,
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialStatus {
    /// Its name, never itself.
    pub name: String,
    /// Its end, where it can be read.
    pub not_after: Option<String>,
}

/// A drop-in file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileStatus {
    /// The file.
    pub file: String,
    /// `loaded` or `refused`.
    pub state: String,
    /// How many certificates are in force from it.
    pub certificates: usize,
    /// Why it is refused.
    pub error: Option<Text>,
}

/// The API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiStatus {
    /// Where it is.
    pub url: String,
    /// `unknown`, `ok`, `backing-off`, `unauthorised` or `unreachable`.
    pub state: String,
    /// When it last answered.
    pub last_success: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<String>,
    /// Its last failure since.
    pub error: Option<Text>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// Why, and what ends the wait.
    pub reason: Text,
    /// The code of that, as `renewd explain` takes it; empty where an older version speaks.
    #[serde(default)]
    pub reason_code: String,
    /// The profile as the entry names it.
    pub profile: Text,
    /// The profile's name, where the entry has its id and it was ever read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<Text>,
    /// The profile's id, where the entry names it otherwise and it was ever read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<Text>,
    /// The drop-in file that holds the entry.
    #[serde(default)]
    pub inventory_file: String,
    /// Of the installed certificate.
    pub serial_number: Option<String>,
    /// Of the installed certificate.
    pub fingerprint: Option<String>,
    /// Of the installed certificate.
    pub not_before: Option<String>,
    /// Of the installed certificate.
    pub not_after: Option<String>,
    /// The end that counts: the earliest of leaf and served chain.
    #[serde(default)]
    pub ends: Option<EndStatus>,
    /// When the key of the installed certificate was first used, as far as that is known: the start of the first
    /// certificate with it.
    #[serde(default)]
    pub key_since: Option<String>,
    /// Who issued the installed certificate.
    #[serde(default)]
    pub issuer: Option<Issuer>,
    /// What is worth knowing of the installed set.
    #[serde(default)]
    pub remarks: Vec<RemarkStatus>,
    /// The renewal time.
    pub renew_at: Option<String>,
    /// When something is done or looked at next.
    pub next_action_at: Option<String>,
    /// TLM's id of a pending request.
    pub request_id: Option<Text>,
    /// The request that is under way at TLM.
    #[serde(default)]
    pub request: Option<RequestStatus>,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub last_error: Option<LastError>,
    /// The operator's hold, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldStatus>,
    /// What it replaced, where that is to be revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<SupersededStatus>,
    /// What the operator does about it, where something is wrong.
    pub remedy: Option<Text>,
    /// The installed generation.
    pub generation: Option<u64>,
    /// The fixed paths.
    pub files: BTreeMap<String, String>,
    /// The copies at more paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyStatus>,
    /// The hooks of the installed generation.
    pub hooks: Vec<HookStatus>,
    /// Whether a TLS client is shown it.
    pub served: String,
    /// The last look at that, where the entry has a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeStatus>,
}

/// A copy of the files, as the entry wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyStatus {
    /// Its paths.
    pub files: BTreeMap<String, String>,
    /// Their owner; null where it is the service's user.
    pub owner: Option<String>,
    /// Their group; null where it is the service's.
    pub group: Option<String>,
    /// The mode of those that hold the key.
    pub key_mode: String,
    /// The mode of the others.
    pub mode: String,
}

/// The end that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndStatus {
    /// When.
    pub at: String,
    /// `leaf` or `chain`.
    pub of: String,
    /// The subject of the CA certificate that ends then; null where it is the leaf.
    pub subject: Option<Text>,
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemarkStatus {
    /// Its page in `renewd explain`.
    pub code: String,
    /// What it is.
    pub message: Text,
    /// Since when, where that is known.
    pub since: Option<String>,
}

/// An operator's hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// Since when.
    pub since: String,
    /// When it ends by itself.
    pub until: Option<String>,
    /// Why, in the operator's words.
    pub reason: Option<Text>,
    /// Whether it holds in the emergency stage, too.
    pub even_emergency: bool,
}

/// A certificate that was replaced, and waits to be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededStatus {
    /// Its serial number.
    pub serial_number: String,
    /// Its end: from then on it needs no revocation.
    pub not_after: String,
    /// When it is revoked; null while the new one is not known to be in service.
    pub revoke_at: Option<String>,
}

/// A request that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestStatus {
    /// TLM's id of it, where it has one.
    pub id: Option<Text>,
    /// Since when it is at this stage.
    pub since: String,
    /// `new` or `renew`.
    pub method: String,
    /// What somebody has to publish before TLM issues.
    pub dv_details: Option<DomainValidation>,
}

/// What the table of all certificates shows of one. Instants are numbers: of many thousands, each is read at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// The end that counts of the installed certificate.
    pub not_after: Option<Timestamp>,
    /// When something is done or looked at next.
    pub next_action_at: Option<Timestamp>,
    /// Why, in a few words.
    pub reason: Text,
    /// What is worth knowing of the installed set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<RemarkStatus>,
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// When it last looked.
    pub at: String,
    /// Since when it sees the same, as far as this process knows.
    pub since: String,
    /// What is seen in place of the installed certificate: serial number and end, or why nothing is.
    pub found: Option<Text>,
}

/// A failure as the status shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// Its class.
    pub code: String,
    /// What happened.
    pub message: Text,
    /// When.
    pub at: String,
}

/// A hook of a certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Its name.
    pub name: String,
    /// `done`, `owed`, `running` or `failing`.
    pub state: String,
    /// Since when.
    pub at: Option<String>,
    /// Its last failure.
    pub error: Option<Text>,
}

/// `plan --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// For which instant.
    pub at: String,
    /// The certificates, by name.
    pub certificates: Vec<PlannedCertificate>,
    /// The drop-in files that are refused, and the directory where it is not to be had.
    #[serde(default)]
    pub refused: Vec<RefusedFile>,
    /// The certificates that renewd manages no longer, as no file has them any more.
    #[serde(default)]
    pub gone: Vec<String>,
    /// What else is to be known of the inventory.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// The freezes that are not over.
    #[serde(default)]
    pub freezes: Vec<FreezeStatus>,
}

/// A drop-in file of whose content nothing is planned, or what it last asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedFile {
    /// The file.
    pub file: String,
    /// Why it is refused.
    pub error: Text,
    /// The certificates that are planned by its last good content.
    pub certificates: Vec<String>,
}

/// A certificate in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedCertificate {
    /// Its name.
    pub name: String,
    /// Whether its replacement would be worked on now.
    pub due: bool,
    /// What.
    pub action: String,
    /// When.
    pub at: String,
    /// Why.
    pub reason: Text,
    /// The code of that, as `renewd explain` takes it.
    #[serde(default)]
    pub reason_code: String,
    /// Of the installed certificate.
    pub not_after: Option<String>,
    /// The end that counts: the earliest of leaf and served chain.
    #[serde(default)]
    pub ends: Option<EndStatus>,
    /// The renewal time.
    pub renew_at: Option<String>,
    /// What is worth knowing before it happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<RemarkStatus>,
    /// The operator's hold, where there is one then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldStatus>,
    /// When it may be asked for, where the entry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_window: Option<WindowStatus>,
    /// When a new one may be switched in, where the entry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_window: Option<WindowStatus>,
}

/// Weekly hours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WindowStatus {
    /// In the words of the inventory.
    pub hours: String,
    /// Whether it is open then.
    pub open: bool,
    /// When it opens next, where it is shut; null where its time zone cannot be read.
    pub opens_at: Option<String>,
}

/// A freeze: nothing is switched in meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeStatus {
    /// From this instant on, where it has dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// In these hours of each week, where it has those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
}
