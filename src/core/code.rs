//! The codes of what is no failure: problems of the whole, and what a certificate waits for. With the failure classes they
//! are all the codes that status and log name, each with a page that `renewd explain` prints.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal;)*) => {
        /// A code that is no failure class.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

codes! {
    /// An installed certificate is past its end.
    CertificateExpired = "certificate-expired";
    /// The work for a certificate fails.
    CertificateFailing = "certificate-failing";
    /// A certificate is not asked for any more.
    CertificateRejected = "certificate-rejected";
    /// An operator holds a certificate back, or keeps an older generation of it live.
    CertificateHeld = "certificate-held";
    /// An operator's hold gave way to an emergency.
    HoldOverridden = "hold-overridden";
    /// Something was issued that the entry has to accept.
    CertificateStaged = "certificate-staged";
    /// A hook is owed for over an hour.
    HookOverdue = "hook-overdue";
    /// A hook failed.
    HookFailing = "hook-failing";
    /// A probe has seen nothing for over an hour.
    ProbeOverdue = "probe-overdue";
    /// Clients are shown another certificate.
    NotServed = "not-served";
    /// TLM put a certificate on hold.
    CertificateSuspended = "certificate-suspended";
    /// TLM says of a certificate what renewd does not expect.
    CertificateStateOdd = "certificate-state-odd";
    /// Half of the renewal window is over.
    RenewalOverdue = "renewal-overdue";
    /// Nothing is installed, and TLM takes over a day.
    FirstIssuanceOverdue = "first-issuance-overdue";
    /// `renewd.toml` is refused.
    ConfigRefused = "config-refused";
    /// `renewd.toml` says otherwise than what is in force.
    ConfigOutdated = "config-outdated";
    /// A drop-in file is refused.
    InventoryFileRefused = "inventory-file-refused";
    /// What looks like a drop-in file is not read.
    InventoryFileUnread = "inventory-file-unread";
    /// No certificate is wanted.
    InventoryEmpty = "inventory-empty";
    /// The host's clock is wrong.
    ClockWrong = "clock-wrong";
    /// The daemon should run and does not.
    DaemonDown = "daemon-down";
    /// The daemon runs, and does not answer.
    DaemonSilent = "daemon-silent";
    /// A deploy window cannot be placed on the calendar.
    TimeZoneUnreadable = "time-zone-unreadable";
    /// The control socket cannot be opened.
    ControlSocketFailed = "control-socket-failed";
    /// The metrics cannot be listened for.
    MetricsListenerFailed = "metrics-listener-failed";
    /// The metrics cannot be written.
    MetricsTextfileFailed = "metrics-textfile-failed";
    /// The credentials could not be read at a reload.
    CredentialsUnreadable = "credentials-unreadable";
    /// Others can read a file that holds a credential.
    CredentialExposed = "credential-exposed";
    /// The credential in use is an old copy.
    CredentialOutdated = "credential-outdated";
    /// Somebody could not be told.
    NotifyFailing = "notify-failing";
    /// A credential ends soon.
    CredentialExpiring = "credential-expiring";
    /// A credential is past its end.
    CredentialExpired = "credential-expired";
    /// A CA certificate that is served is revoked.
    CaRevoked = "ca-revoked";
    /// The renewal time has not come.
    NotDue = "not-due";
    /// A hook has to run.
    HookOwed = "hook-owed";
    /// The probe looks.
    Probing = "probing";
    /// The deploy window is closed.
    ClosedWindow = "closed-window";
    /// A freeze is in force.
    Frozen = "frozen";
    /// The request window is closed.
    RequestWindowClosed = "request-window-closed";
    /// The generation before is live again.
    RolledBack = "rolled-back";
    /// Files are put back.
    Drifted = "drifted";
    /// To be replaced now.
    Due = "due";
    /// Waiting for a place.
    Queued = "queued";
    /// Waiting for the API as a whole.
    ApiDown = "api-down";
    /// The profile is being read.
    ReadingProfile = "reading-profile";
    /// Nothing is known of the profile.
    ProfileUnknown = "profile-unknown";
    /// The submissions of a day are spent.
    BudgetSpent = "budget-spent";
    /// The journal is of a newer version.
    JournalTooNew = "journal-too-new";
    /// TLM issues later.
    Pending = "pending";
    /// Whether TLM issued for a request is not known.
    AnswerLost = "answer-lost";
    /// Being installed.
    Installing = "installing";
    /// Valid only later.
    NotYetValid = "not-yet-valid";
    /// What a request under way asks for is no longer wanted.
    RequestAbandoned = "request-abandoned";
    /// The fallback is asked, or issued what is installed.
    FallbackAsked = "fallback-asked";
    /// The key of an abandoned request is removed.
    KeyForgotten = "key-forgotten";
    /// What is live is put on record.
    Unrecorded = "unrecorded";
    /// What is installed cannot be read.
    Unreadable = "unreadable";
    /// The state at TLM is looked at.
    CheckingStatus = "checking-status";
    /// What was replaced is revoked.
    Superseded = "superseded";
    /// TLM lets this API key revoke nothing, or fails to.
    SupersededUnrevoked = "superseded-unrevoked";
    /// A remark that a newer version wrote.
    Remark = "remark";
    /// A certificate has names that were not asked for.
    ExtraNames = "extra-names";
    /// A certificate has a common name that was not asked for.
    UnaskedCommonName = "unasked-common-name";
    /// A certificate has subject attributes that were not sent.
    ExtraSubject = "extra-subject";
    /// Another CA issued than before, or than expected.
    IssuerChanged = "issuer-changed";
    /// The renewal window leaves little time.
    WindowShort = "window-short";
    /// The chain is put in order from the profile.
    ChainRefreshing = "chain-refreshing";
    /// A CA certificate of the chain ends before the leaf.
    ChainEndsFirst = "chain-ends-first";
    /// A certificate ends earlier than was asked for.
    ValidityShortened = "validity-shortened";
    /// A wanted usage is missing from what is installed.
    UsageMissing = "usage-missing";
    /// The key usage does not allow digital signatures.
    NoDigitalSignature = "no-digital-signature";
    /// A signature could not be judged.
    SignatureUnjudged = "signature-unjudged";
    /// The path could not be validated as a TLS client does.
    PathUnjudged = "path-unjudged";
    /// Files in service that TLS clients refuse.
    PathRefused = "path-refused";
    /// Part of what TLM sent could not be read.
    AnswerUnreadable = "answer-unreadable";
    /// The root that the entry wants beside the chain is not known.
    RootUnknown = "root-unknown";
    /// The installed key is of a kind that renewd cannot judge.
    KeyUnjudged = "key-unjudged";
    /// An installed file is of a form that renewd or OpenSSL does not take as a whole.
    FileUnjudged = "file-unjudged";
    /// The files of an entry are no whole set yet.
    FilesIncomplete = "files-incomplete";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
