//! Each class of failure in a few words, and what the operator does about it, in a sentence. renewd itself goes on by its
//! own rules.

use super::failure::{Failure, FailureClass};
use super::name::CertName;

macro_rules! polkit_rule {
    () => {
        "/etc/polkit-1/rules.d/60-renewd.rules"
    };
}

/// Where it is written what the service may ask of systemd.
pub const POLKIT_RULE: &str = polkit_rule!();

/// Whether systemd says that polkit refused.
#[must_use]
pub fn is_refusal(said: &str) -> bool {
    ["Access denied", "nteractive authentication required", "authentication is required"]
        .iter()
        .any(|words| said.contains(words))
}

/// A remedy whose commands name this certificate.
#[must_use]
pub fn with_name(remedy: &str, name: &CertName) -> String {
    remedy.replace("NAME", name.as_str())
}

impl Failure {
    /// What to do about it, where it is this certificate's: its commands can be run as they are.
    #[must_use]
    pub fn remedy_of(&self, name: &CertName) -> String {
        with_name(self.remedy(), name)
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        if self.class == FailureClass::HookFailed && is_refusal(self.message.as_str()) {
            return concat!("name the unit and its verb in ", polkit_rule!(), "; the hook runs again by itself");
        }
        self.class.remedy()
    }
}

impl FailureClass {
    /// What happened, in a few words: for a table, where the message has no room.
    #[must_use]
    pub const fn brief(self) -> &'static str {
        match self {
            Self::ApiUnreachable => "TLM cannot be reached",
            Self::ApiTls => "no TLS connection to TLM",
            Self::ApiNoAnswer => "TLM does not answer",
            Self::ApiUnavailable => "TLM reports a server error",
            Self::ApiBadAnswer => "the response is not TLM's",
            Self::ApiRateLimited => "TLM limits the request rate",
            Self::ApiUnauthorised => "TLM refuses the credential",
            Self::ApiForbidden => "TLM denies access (403)",
            Self::Proxy => "the proxy fails",
            Self::RequestRefused => "TLM refuses the request",
            Self::RenewalTooEarly => "TLM refuses it as too early",
            Self::AlreadyRenewed => "TLM renewed it already",
            Self::CertificateRevoked => "it is revoked",
            Self::DuplicateRefused => "TLM refuses a duplicate",
            Self::NotFound => "TLM does not know it",
            Self::SeatNotFound => "TLM has no such seat",
            Self::RequestRejected => "an administrator rejected it",
            Self::ProfileNotFound => "TLM has no such profile",
            Self::ProfileUnusable => "its profile cannot be used",
            Self::EntryMismatch => "entry and profile do not fit",
            Self::GateRefused => "renewd refuses what TLM issued",
            Self::EndsNoLater => "the new one expires no later",
            Self::DiskFull => "the disk is full",
            Self::DiskReadOnly => "the file system is read-only",
            Self::DiskPermission => "no permission for a file",
            Self::Disk => "a file operation fails",
            Self::TargetRefused => "a target path is refused",
            Self::PasswordRefused => "the password file is refused",
            Self::HookFailed => "a hook failed",
            Self::HookVetoed => "a hook postpones the switch",
            Self::NoWayBack => "no generation to switch back to",
            Self::ClockSet => "the clock was set",
            Self::KeyLost => "the key of the request is lost",
            Self::Internal => "a defect of renewd",
        }
    }

    /// What to do; where nothing is needed, what ends the trouble.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ApiUnreachable => "check `api.url`, DNS, firewall and proxy from this host",
            Self::ApiTls => "check `api.ca_file` and the host's clock, or, with a client certificate, its validity",
            Self::ApiNoAnswer => "nothing, unless it lasts: then check the network, or raise `api.timeout`",
            Self::ApiUnavailable => "nothing, unless it lasts: then ask DigiCert",
            Self::ApiBadAnswer => {
                "check that `api.url` names TLM itself, and that no proxy or portal answers in its place"
            }
            Self::ApiRateLimited => {
                "nothing; if it recurs, lower `api.requests_per_minute`, or give this host a key of its own"
            }
            Self::ApiUnauthorised => "put a valid API key in place, then run: systemctl restart renewd",
            Self::ApiForbidden => "let the API key's user use this profile in TLM",
            Self::Proxy => "check `api.proxy` and its credentials with the proxy's administrator",
            Self::RequestRefused => "fix the entry or the profile as the message says",
            Self::RenewalTooEarly => {
                "nothing; if that is after the expiry, let the profile allow duplicates, or lower `renew_before`"
            }
            Self::AlreadyRenewed => {
                "let the profile allow duplicates, then `renewd renew NAME`; revoke last: another host may serve it"
            }
            Self::CertificateRevoked => "nothing; renewd requests a new certificate",
            Self::DuplicateRefused => {
                "let the profile allow duplicates, then `renewd renew NAME`; revoke last: another host may serve it"
            }
            Self::NotFound => "nothing; renewd requests it again",
            Self::SeatNotFound => "create the seat in TLM, or change `seat` of the entry; then `renewd renew NAME`",
            Self::RequestRejected => "settle it with whoever rejected it in TLM; then `renewd renew NAME`",
            Self::ProfileNotFound => "write the profile's id as TLM shows it, or let the API key's user see it",
            Self::ProfileUnusable => "change the profile in TLM as the message says, or name another",
            Self::EntryMismatch => "change the entry as the message says; renewd takes it by itself",
            Self::GateRefused => {
                "correct the entry, or show the message to whoever runs the profile; what is installed stays"
            }
            Self::EndsNoLater => {
                "ask whoever runs the CA to renew it or to issue from another one; then `renewd renew NAME`"
            }
            Self::DiskFull => "make room",
            Self::DiskReadOnly => "mount the file system for writing, or let the service write there",
            Self::DiskPermission => "give the service's user the permission",
            Self::Disk => "fix the path as the message says, or check the file system; renewd tries again",
            Self::TargetRefused => "name another target, or fix its folders as the message says",
            Self::PasswordRefused => "fix the password file as the message says",
            Self::HookFailed => "fix the hook as the message says; renewd runs it again",
            Self::HookVetoed => "nothing, if it is meant; `renewd renew NAME` asks `before` of the hook again at once",
            Self::NoWayBack => {
                "fix the hook, or run `renewd renew NAME`; to an expired one: `renewd rollback NAME --force`"
            }
            Self::ClockSet => "nothing; renewd decides again by the current clock",
            Self::KeyLost => "nothing; renewd sends a new request within the budget",
            Self::Internal => "report it as a defect of renewd, with the log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_remedy_fits_a_line() {
        for class in FailureClass::ALL {
            let remedy = class.remedy();
            assert!((5..=120).contains(&remedy.len()) && !remedy.ends_with('.'), "{class}: {remedy}");
            // Behind "failed 12 times: " it fits a screen of 100 columns beside a name of twenty characters.
            let brief = class.brief();
            assert!((5..=31).contains(&brief.len()) && !brief.ends_with('.'), "{class}: {brief}");
        }
    }
}
