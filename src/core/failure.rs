//! Failure classes: what went wrong, by what happens next. Their codes are stable labels for status, log and metrics.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::Text;
use super::time::Timestamp;

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class, which decides what happens next.
    pub class: FailureClass,
    /// What happened, and where the operator can do something, what.
    pub message: Text,
    /// When the other side says to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryHint>,
    /// Whether TLM may have accepted the request all the same.
    #[serde(default)]
    pub accepted: Accepted,
}

impl Failure {
    /// A failure with no hint when to retry and nothing accepted.
    #[must_use]
    pub fn new(class: FailureClass, message: impl AsRef<str>) -> Self {
        Self { class, message: Text::new(message.as_ref()), retry: None, accepted: Accepted::No }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.class)
    }
}

impl std::error::Error for Failure {}

/// When the other side says to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryHint {
    /// After this time (`Retry-After` in seconds, or what lies between the answer's `Date` and the one that it names).
    After(Duration),
    /// At this instant (`Retry-After` as a date, or a date in the message, of an answer without a `Date`).
    At(Timestamp),
}

impl RetryHint {
    /// The instant that the hint names, for an answer received `now`.
    #[must_use]
    pub fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(span) => now + span,
            Self::At(instant) => instant,
        }
    }

    /// The same, counted from the `Date` of the answer that bore it: two clocks that differ, of which either may be wrong,
    /// make the wait neither longer nor shorter.
    #[must_use]
    pub fn counted_from(self, date: Option<Timestamp>) -> Self {
        match (self, date) {
            (Self::At(instant), Some(date)) => Self::After(instant.since(date)),
            (Self::After(_), _) | (Self::At(_), None) => self,
        }
    }
}

/// Whether TLM may have accepted a request that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    /// Certainly not: it was refused, or never left.
    #[default]
    No,
    /// It left, and no answer is known.
    Unknown,
}

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $scope:ident;)*) => {
        /// The class of a failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum FailureClass {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl FailureClass {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whom the failure is about.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)* }
            }
        }
    };
}

classes! {
    /// No connection: DNS, TCP, or time-out before anything was sent.
    ApiUnreachable = "api-unreachable", Outage;
    /// TLS could not be established: the API's certificate, or ours, was not accepted.
    ApiTls = "api-tls", Outage;
    /// The request left and no whole answer came back.
    ApiNoAnswer = "api-no-answer", Outage;
    /// The API answered with a server error.
    ApiUnavailable = "api-unavailable", Outage;
    /// The answer was not the API's: HTML, truncated or oversized JSON, a redirect, or a body of another shape.
    ApiBadAnswer = "api-bad-answer", Outage;
    /// 429.
    ApiRateLimited = "api-rate-limited", Key;
    /// 401.
    ApiUnauthorised = "api-unauthorised", Key;
    /// 403.
    ApiForbidden = "api-forbidden", Profile;
    /// The proxy refused or failed.
    Proxy = "proxy", Outage;
    /// The API refused the request as it stands.
    RequestRefused = "request-refused", Certificate;
    /// The certificate is not yet inside the profile's renewal window.
    RenewalTooEarly = "renewal-too-early", Certificate;
    /// TLM renewed this certificate already: it cannot be renewed again.
    AlreadyRenewed = "already-renewed", Certificate;
    /// The certificate is revoked: it cannot be renewed, and a new one is asked for.
    CertificateRevoked = "certificate-revoked", Certificate;
    /// The profile allows no second certificate while one is valid.
    DuplicateRefused = "duplicate-refused", Certificate;
    /// TLM does not know the object that was asked for.
    NotFound = "not-found", Certificate;
    /// TLM has no seat of the entry's id.
    SeatNotFound = "seat-not-found", Certificate;
    /// An administrator rejected the request.
    RequestRejected = "request-rejected", Certificate;
    /// No profile of this id or name.
    ProfileNotFound = "profile-not-found", Profile;
    /// The profile cannot be used: not active, or for another way of enrolling.
    ProfileUnusable = "profile-unusable", Profile;
    /// The entry does not fit its profile.
    EntryMismatch = "entry-mismatch", Certificate;
    /// What TLM issued may not be installed.
    GateRefused = "gate-refused", Certificate;
    /// What TLM issued ends no later than what is installed.
    EndsNoLater = "ends-no-later", Certificate;
    /// The disk is full.
    DiskFull = "disk-full", Disk;
    /// The file system is read-only.
    DiskReadOnly = "disk-read-only", Disk;
    /// A file or folder may not be read or written.
    DiskPermission = "disk-permission", Disk;
    /// Any other failure of a file or folder.
    Disk = "disk", Disk;
    /// A target path may not be written to, by the rules for fixed paths.
    TargetRefused = "target-refused", Disk;
    /// A password may not be used: others can read it, or it is none.
    PasswordRefused = "password-refused", Disk;
    /// A hook did not exit with 0, or not in time.
    HookFailed = "hook-failed", Certificate;
    /// What a hook runs before a switch said no.
    HookVetoed = "hook-vetoed", Certificate;
    /// No older generation can be made live.
    NoWayBack = "no-way-back", Certificate;
    /// The host's clock was set, or the machine slept, between decision and request.
    ClockSet = "clock-set", Certificate;
    /// The private key of a request is gone.
    KeyLost = "key-lost", Certificate;
    /// A defect of renewd itself.
    Internal = "internal", Certificate;
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Whom a failure is about: what else it holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The one certificate.
    Certificate,
    /// Every certificate of the profile.
    Profile,
    /// Everything that uses the API key.
    Key,
    /// The API as a whole, where several certificates see it.
    Outage,
    /// The disk.
    Disk,
}
