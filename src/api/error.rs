//! Errors of requests, and the one place where it becomes a failure class: by what happens next. Says what was
//! attempted, on what, and what happened; never when it is tried again.

use crate::core::failure::{Accepted, Failure, FailureClass, RetryHint};
use crate::core::text::Text;

use super::call::Call;
use super::date::instant_after;
use super::error_body::ApiErrors;
use super::port::Endpoint;

/// What went wrong with a request.
pub enum RequestError {
    /// No connection.
    Unreachable(String),
    /// No TLS; `by_clock`: a wrong clock of this host would explain it.
    Tls {
        /// What TLS says.
        reason: String,
        /// Whether the host's clock may be the cause.
        by_clock: bool,
    },
    /// The proxy refused or failed.
    Proxy(String),
    /// The request was sent, and no whole answer came back.
    NoAnswer(String),
    /// A redirect.
    Redirect {
        /// The status code.
        status: u16,
        /// Where it points to.
        host: Option<String>,
    },
    /// A page for people.
    Html {
        /// The status code.
        status: u16,
        /// Its title.
        title: Option<String>,
        /// `Retry-After`.
        retry: Option<RetryHint>,
    },
    /// A success whose body is not the API's.
    WrongShape {
        /// The status code.
        status: u16,
        /// What is wrong with it.
        what: String,
    },
    /// An error of the API.
    Refused {
        /// The status code.
        status: u16,
        /// What it says.
        errors: ApiErrors,
        /// `Retry-After`.
        retry: Option<RetryHint>,
    },
}

/// Where a request went and with what, for messages.
pub struct RequestContext<'a> {
    /// The host (and port) of the API.
    pub host: &'a str,
    /// The proxy.
    pub proxy: Option<&'a str>,
    /// The name of the credential.
    pub credential: &'a str,
    /// Whether that is a client certificate.
    pub by_certificate: bool,
    /// What may appear in no message.
    pub secrets: Vec<&'a str>,
}

impl RequestContext<'_> {
    /// Which proxy stands in the way, if one does.
    fn through(&self) -> String {
        self.proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
    }

    /// What to look at where a client certificate was shown to a host that may not ask for one.
    fn prefix_hint(&self) -> &'static str {
        let is_odd = self.by_certificate && !self.host.starts_with("clientauth.");
        if is_odd { "; with a client certificate, the host of api.url usually begins with \"clientauth.\"" } else { "" }
    }
}

/// A proxy's answer to a request that it does not take from everybody.
pub const WANTS_USER: &str = "it asks for a user and a password (407)";

impl RequestError {
    /// Says of a proxy that asks for a user whether it was shown one; `None`: it is not the one of the configuration.
    #[must_use]
    pub fn of_proxy_user(self, is_sent: Option<bool>) -> Self {
        let more = match is_sent {
            Some(true) => {
                ", and refused those of api.proxy_credentials_file; make sure that they are right, and that it accepts Basic"
            }
            Some(false) => "; name the file that holds them as api.proxy_credentials_file",
            None => return self,
        };
        if let Self::Proxy(reason) = &self
            && reason == WANTS_USER
        {
            return Self::Proxy(format!("{reason}{more}"));
        }
        self
    }

    /// The failure of `call`.
    pub fn into_failure(self, call: &Call, place: RequestContext<'_>) -> Failure {
        let verdict = self.verdict(call);
        let what = self.describe(call, &place);
        // What would have been asked is no part of the cause, which is the same for every request.
        let was_asked = !matches!(self, Self::Unreachable(_) | Self::Tls { .. } | Self::Proxy(_));
        let asked = if was_asked { format!("{} on ", call.name()) } else { String::new() };
        let raw = format!("{asked}{}: {what}", place.host);
        Failure {
            class: verdict.class,
            message: Text::masked(&raw, place.secrets),
            retry: verdict.retry,
            accepted: verdict.accepted,
        }
    }

    fn verdict(&self, call: &Call) -> Verdict {
        let after_sending = if call.creates() { Accepted::Unknown } else { Accepted::No };
        let unless_refused = |status: u16| if certainly_refused(status) { Accepted::No } else { after_sending };
        let plain = |class| Verdict { class, accepted: Accepted::No, retry: None };
        match self {
            Self::Unreachable(_) => plain(FailureClass::ApiUnreachable),
            Self::Tls { .. } => plain(FailureClass::ApiTls),
            Self::Proxy(_) => plain(FailureClass::Proxy),
            Self::Redirect { .. } => plain(FailureClass::ApiBadAnswer),
            Self::NoAnswer(_) => Verdict { accepted: after_sending, ..plain(FailureClass::ApiNoAnswer) },
            Self::WrongShape { .. } => Verdict { accepted: after_sending, ..plain(FailureClass::ApiBadAnswer) },
            // A gateway's page: the API behind it is down.
            Self::Html { status: status @ 500.., retry, .. } => {
                Verdict { class: FailureClass::ApiUnavailable, accepted: unless_refused(*status), retry: *retry }
            }
            Self::Html { status, retry, .. } => {
                Verdict { class: FailureClass::ApiBadAnswer, accepted: unless_refused(*status), retry: *retry }
            }
            Self::Refused { status, errors, retry } => {
                let (class, at) = refusal(*status, errors, call);
                Verdict { class, accepted: unless_refused(*status), retry: at.or(*retry) }
            }
        }
    }

    fn describe(&self, call: &Call, place: &RequestContext<'_>) -> String {
        match self {
            Self::Unreachable(reason) => format!("no connection{}: {reason}", place.through()),
            Self::Tls { reason, by_clock: false } => format!("TLS failed{}: {reason}", place.through()),
            Self::Tls { reason, by_clock: true } => {
                format!("TLS failed{}: {reason}; this host's clock may be wrong", place.through())
            }
            Self::Proxy(reason) => format!("the proxy {} failed: {reason}", place.proxy.unwrap_or("on the way")),
            Self::NoAnswer(reason) => format!("the request was sent, but no complete response came back: {reason}"),
            Self::Redirect { status, host } => format!(
                "answered by a redirect ({status}) to {}, which renewd does not follow; is api.url right?",
                host.as_deref().unwrap_or("nowhere")
            ),
            Self::Html { status, title, .. } => format!(
                "answered by an HTML page ({status}{}) instead of JSON; api.url, its region, or a proxy on the way is \
                 probably wrong",
                title.as_ref().map(|title| format!(", \"{title}\"")).unwrap_or_default()
            ),
            Self::WrongShape { status, what } => format!("the response ({status}) is not the API's: {what}"),
            Self::Refused { status: 401, errors, .. } => {
                let said = said(401, errors, call);
                format!("the API did not accept the credential {}: {said}{}", place.credential, place.prefix_hint())
            }
            Self::Refused { status, errors, .. } => said(*status, errors, call),
        }
    }
}

struct Verdict {
    class: FailureClass,
    accepted: Accepted,
    retry: Option<RetryHint>,
}

/// What the answer says, and what to do about it where that has the name of something.
fn said(status: u16, errors: &ApiErrors, call: &Call) -> String {
    let said = format!("{status} {errors}");
    if !names_no_seat(status, errors, call) {
        return said;
    }
    match call.seat.as_deref().or_else(|| said.split_once("identifier = ")?.1.split_whitespace().next()) {
        Some(seat) => format!("{said}; create the seat \"{seat}\" in TLM"),
        None => format!("{said}; create the seat in TLM"),
    }
}

/// Whether an answer with this status says that nothing came of the request: errors of the client's side, redirects,
/// and 503, which is given before anything is done.
const fn certainly_refused(status: u16) -> bool {
    matches!(status, 300..=499 | 503)
}

/// The class of an error answer.
fn refusal(status: u16, errors: &ApiErrors, call: &Call) -> (FailureClass, Option<RetryHint>) {
    match status {
        401 => (FailureClass::ApiUnauthorised, None),
        403 => (FailureClass::ApiForbidden, None),
        429 => (FailureClass::ApiRateLimited, None),
        408 | 425 | 500.. => (FailureClass::ApiUnavailable, None),
        _ if names_no_seat(status, errors, call) => (FailureClass::SeatNotFound, None),
        404 | 410 => by_words(errors, call).unwrap_or((call.missing, None)),
        _ => by_words(errors, call).unwrap_or((FailureClass::RequestRefused, None)),
    }
}

/// The class that the words of an error tell: their codes are not documented.
fn by_words(errors: &ApiErrors, call: &Call) -> Option<(FailureClass, Option<RetryHint>)> {
    let messages = errors.messages();
    let says = |words: &[&str]| words.iter().all(|word| messages.contains(word));
    let says_one = |words: &[&str]| words.iter().any(|word| messages.contains(word));
    if call.endpoint == Endpoint::Renew {
        if says(&["not permitted until"]) {
            let at = instant_after(&errors.to_string(), "until ").map(RetryHint::At);
            return Some((FailureClass::RenewalTooEarly, at));
        }
        if says(&["too early"]) || says(&["renewal window"]) || says(&["renewal period"]) {
            return Some((FailureClass::RenewalTooEarly, None));
        }
        let code = letters(&errors.codes());
        if code.contains("alreadyrenewed")
            || says_one(&["already renewed", "been renewed", "was renewed", "is renewed"])
        {
            return Some((FailureClass::AlreadyRenewed, None));
        }
        let of_others = ["nor revoked", "not revoked", "not been revoked", "token", "api key", "credential"];
        if code.contains("certificaterevoked") || (says(&["revoked"]) && !says_one(&of_others)) {
            return Some((FailureClass::CertificateRevoked, None));
        }
    }
    if call.endpoint == Endpoint::Revoke && says(&["already", "revoked"]) {
        return Some((FailureClass::CertificateRevoked, None));
    }
    if call.creates() && is_duplicate(errors) {
        return Some((FailureClass::DuplicateRefused, None));
    }
    if !call.creates() && call.endpoint != Endpoint::Profile {
        return None;
    }
    if says(&["profile"]) && says_one(&["suspended", "not active", "inactive"]) {
        return Some((FailureClass::ProfileUnusable, None));
    }
    let gone = says(&["profile"]) && says_one(&["was deleted", "not found", "does not exist"]);
    gone.then_some((FailureClass::ProfileNotFound, None))
}

/// Codes in any spelling: `SEAT_NOT_FOUND`, `seat-not-found`, `SeatNotFound`.
fn letters(codes: &str) -> String {
    codes.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Whether the seat is missing that the request is for.
fn names_no_seat(status: u16, errors: &ApiErrors, call: &Call) -> bool {
    let asks_for_one = call.creates() || call.endpoint == Endpoint::Search;
    let (messages, codes) = (errors.messages(), errors.codes());
    let is_missing = [
        "not find seat",
        "no seat",
        "no such seat",
        "unknown seat",
        "is unknown",
        "not found",
        "not be found",
        "not exist",
        "doesn't exist",
        "invalid seat",
        "not registered",
    ];
    // What is missing for a seat is not the seat.
    let of_others = ["profile not found", "profile with id", "license", "of the seat"];
    asks_for_one
        && matches!(status, 400 | 404 | 409 | 410 | 422)
        && !is_duplicate(errors)
        && !of_others.iter().any(|words| messages.contains(words))
        && ((messages.contains("seat") && is_missing.iter().any(|words| messages.contains(words)))
            || letters(&codes).contains("seatnotfound"))
}

/// Whether a second certificate was refused. Nick names of accounts clash under a code of the same name.
fn is_duplicate(errors: &ApiErrors) -> bool {
    let messages = errors.messages();
    // A name that stands in one request more than once, and names of accounts, are no second certificate.
    let codes = letters(&errors.codes());
    let of_others = ["nickname", "twice", "duplicate san", "duplicate value"];
    if of_others.iter().any(|word| messages.contains(word)) || codes.contains("dnsname") {
        return false;
    }
    let of_certificates = ["certificate", "enrol", "seat"].iter().any(|word| messages.contains(word));
    let already = [
        "already exist",
        "exists already",
        "already issued",
        "already has a",
        "already present",
        "another active certificate",
        "only one certificate",
        "multiple certificates are not allowed",
        "not unique",
    ];
    let already = already.iter().any(|words| messages.contains(words));
    codes.contains("duplicate") || (of_certificates && (already || messages.contains("duplicate")))
}
