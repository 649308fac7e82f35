//! How the API stands, as a whole and in its parts, and what a request meets.

use std::time::Duration;

use renewd::core::failure::{Accepted, Failure, FailureClass, RetryHint};
use renewd::core::name::{CertName, ProfileId};

/// How the API as a whole stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fine,
    Unreachable,
    Tls,
    Proxy,
    NoAnswer,
    Unavailable,
    ServerError,
    /// Only what creates something fails.
    CreationError,
    Html,
    RateLimited(Option<Duration>),
    /// 429 with this hint.
    Limited(RetryHint),
    /// 503 with this hint.
    Maintenance(RetryHint),
    Unauthorised,
}

/// Where something may fail alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Profile,
    Create,
    PickUp,
    Search,
    Details,
    Formats,
    Revoke,
}

/// Trouble of a part of TLM, which may last for ever: of an endpoint, for a profile, a certificate or a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) endpoint: Endpoint,
    /// `None`: every profile.
    pub(crate) profile: Option<ProfileId>,
    /// `None`: every certificate of the profile; several are those of a seat.
    pub(crate) names: Option<Vec<CertName>>,
    pub(crate) weather: Weather,
}

impl Part {
    pub(crate) fn touches(&self, endpoint: Endpoint, profile: &ProfileId, name: &CertName) -> bool {
        self.endpoint == endpoint
            && self.profile.as_ref().is_none_or(|own| own == profile)
            && self.names.as_ref().is_none_or(|own| own.contains(name))
    }
}

/// What a request meets.
pub(super) fn failure(weather: Weather) -> Result<(), Failure> {
    let fail = |class, accepted, message: &str| Err(Failure { accepted, ..Failure::new(class, message) });
    match weather {
        Weather::Fine => Ok(()),
        Weather::Unreachable => fail(FailureClass::ApiUnreachable, Accepted::No, "no connection"),
        Weather::Tls => fail(FailureClass::ApiTls, Accepted::No, "TLS failed"),
        Weather::Proxy => fail(FailureClass::Proxy, Accepted::No, "the proxy failed"),
        Weather::NoAnswer => fail(FailureClass::ApiNoAnswer, Accepted::Unknown, "no whole answer"),
        Weather::Unavailable => fail(FailureClass::ApiUnavailable, Accepted::No, "503"),
        Weather::ServerError | Weather::CreationError => fail(FailureClass::ApiUnavailable, Accepted::Unknown, "500"),
        Weather::Html => fail(FailureClass::ApiBadAnswer, Accepted::Unknown, "an HTML page"),
        Weather::Unauthorised => fail(FailureClass::ApiUnauthorised, Accepted::No, "401"),
        Weather::Limited(hint) => {
            Err(Failure { retry: Some(hint), ..Failure::new(FailureClass::ApiRateLimited, "429") })
        }
        Weather::Maintenance(hint) => {
            Err(Failure { retry: Some(hint), ..Failure::new(FailureClass::ApiUnavailable, "503") })
        }
        Weather::RateLimited(after) => {
            let retry = after.map(RetryHint::After);
            Err(Failure { retry, ..Failure::new(FailureClass::ApiRateLimited, "429") })
        }
    }
}
