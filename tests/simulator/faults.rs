//! Misbehaviour that can be ordered: what, at which endpoint, how often. Parsed from flags, too.

use std::str::FromStr;
use std::time::Duration;

use super::routes::Endpoint;
use super::variants::ErrorShape;

/// One ordered misbehaviour.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// `None`: wherever the kind makes sense.
    pub endpoint: Option<Endpoint>,
    /// How often it still happens; `None`: until it is cleared.
    pub times: Option<u32>,
}

impl Fault {
    /// At every fitting endpoint, until it is cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, endpoint: None, times: None }
    }

    /// At this endpoint alone.
    pub fn at(self, endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }

    /// So many times.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The next time alone.
    pub fn once(self) -> Self {
        self.times(1)
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The request waits before anything is done with it.
    Latency(Duration),
    /// The request is carried out, and its answer waits.
    LateReply(Duration),
    /// This status, with the error body that goes with it; 502 is a gateway's HTML. The request is not carried out.
    Status(u16, RetryAfter),
    /// The web app's page with 200 in place of an answer.
    Html,
    /// 302 to another host.
    Redirect,
    /// The connection ends before the request is carried out.
    Reset,
    /// The request is carried out, and the connection ends without an answer.
    LostReply,
    /// Half of the JSON, as if it were all.
    Truncated,
    /// Half of the JSON, then the connection ends before the announced length.
    CutOff,
    /// The body comes byte by byte, with this pause between two.
    Drip(Duration),
    /// The JSON is followed by this many MiB of blanks.
    Oversized(u32),
    /// The `Date` header is off by so many seconds.
    DateShifted(i64),
    /// No `Date` header.
    DateAbsent,
    /// Errors have this shape.
    Shape(ErrorShape),
    /// The certificate holds another key.
    WrongKey,
    /// The last subject alternative name is missing.
    MissingName,
    /// There is one name more.
    ExtraName,
    /// Attributes of the subject but the common name are missing.
    MissingSubject,
    /// The certificate ended a minute ago.
    Expired,
    /// The certificate begins so much later.
    NotYetValid(Duration),
    /// The certificate lacks the client's usage.
    MissingClientAuth,
    /// The certificate is signed by another CA.
    ForeignIssuer,
    /// The signature is damaged.
    BadSignature,
    /// The chain comes with the leaf in its middle.
    ShuffledChain,
    /// The leaf comes without the chain that was asked for.
    MissingChain,
    /// The chain is that of another CA.
    ForeignChain,
    /// Base64 in place of PEM.
    BareBase64,
    /// PEM with CR and LF.
    Crlf,
    /// More text after the PEM.
    TrailingData,
    /// The web app's page as certificate.
    HtmlCertificate,
    /// Text before the PEM.
    LeadingText,
    /// PKCS#7 as certificate, armoured.
    Pkcs7Certificate,
    /// PKCS#7 as certificate, without armour.
    BarePkcs7,
    /// PEM with the label X509 CERTIFICATE.
    X509Label,
    /// PEM whose line ends are spelt out.
    EscapedLines,
    /// Base64 in the alphabet of URLs, without padding, in place of PEM.
    UrlSafeBase64,
    /// The chain comes as `ca_certs`, with a broken member and one that is null.
    BrokenCa,
    /// The certificate comes without its serial number.
    NoSerial,
    /// The serial number comes without its certificate.
    SerialOnly,
    /// The body begins with a byte order mark.
    Bom,
    /// The body is compressed, which nobody asked for.
    Gzip,
    /// Additional formats without PKCS#7.
    NoPkcs7,
    /// Additional formats with PKCS#7 alone.
    Pkcs7Alone,
    /// Status words in the other case.
    OtherCaseStatus,
}

/// The `Retry-After` header of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Absent,
    Seconds(u32),
    /// An HTTP date so many seconds ahead.
    DateIn(u32),
}

impl FaultKind {
    /// Whether a request to this endpoint meets it.
    fn fits(&self, endpoint: Endpoint) -> bool {
        let submits = matches!(endpoint, Endpoint::Issue | Endpoint::Renew);
        let delivers = submits || endpoint == Endpoint::Pickup;
        match self {
            Self::WrongKey | Self::MissingName | Self::ExtraName | Self::MissingSubject | Self::Expired => submits,
            Self::NotYetValid(_) | Self::MissingClientAuth | Self::ForeignIssuer | Self::BadSignature => submits,
            Self::TrailingData | Self::HtmlCertificate => delivers,
            Self::LeadingText | Self::Pkcs7Certificate | Self::BarePkcs7 | Self::X509Label => delivers,
            Self::EscapedLines | Self::UrlSafeBase64 | Self::BrokenCa | Self::NoSerial | Self::SerialOnly => delivers,
            Self::ShuffledChain | Self::MissingChain | Self::ForeignChain | Self::BareBase64 | Self::Crlf => {
                delivers || matches!(endpoint, Endpoint::Formats | Endpoint::Details)
            }
            Self::NoPkcs7 | Self::Pkcs7Alone => endpoint == Endpoint::Formats,
            Self::OtherCaseStatus => {
                matches!(endpoint, Endpoint::Pickup | Endpoint::Details | Endpoint::Search | Endpoint::Profile)
            }
            Self::Latency(_) | Self::LateReply(_) | Self::Status(..) | Self::Html | Self::Redirect => true,
            Self::Reset | Self::LostReply | Self::Truncated | Self::CutOff | Self::Drip(_) => true,
            Self::Bom | Self::Gzip | Self::Oversized(_) | Self::DateShifted(_) | Self::DateAbsent | Self::Shape(_) => {
                true
            }
        }
    }
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults that a request to this endpoint meets; each is one time used up.
    pub fn take(&mut self, endpoint: Endpoint) -> Vec<FaultKind> {
        let mut taken = Vec::new();
        for fault in &mut self.0 {
            if fault.endpoint.is_some_and(|wanted| wanted != endpoint) || !fault.kind.fits(endpoint) {
                continue;
            }
            taken.push(fault.kind.clone());
            fault.times = fault.times.map(|times| times.saturating_sub(1));
        }
        self.0.retain(|fault| fault.times != Some(0));
        taken
    }
}

/// `NAME[=VALUE][:ENDPOINT][:TIMES]`, as in `latency=500`, `status=429+10:issue:3`, `wrong-key`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let head = parts.next().unwrap_or_default();
        let (name, value) = head.split_once('=').map_or((head, None), |(name, value)| (name, Some(value)));
        let mut fault = Self::new(kind(name, value)?);
        for part in parts {
            if let Ok(times) = part.parse() {
                fault.times = Some(times);
            } else {
                fault.endpoint = Some(Endpoint::named(part).ok_or_else(|| {
                    format!(
                        "{part:?} is neither an endpoint nor a number of times; the endpoints are {}",
                        Endpoint::names()
                    )
                })?);
            }
        }
        Ok(fault)
    }
}

fn kind(name: &str, value: Option<&str>) -> Result<FaultKind, String> {
    let number = || value.and_then(|value| value.parse::<u32>().ok()).ok_or(format!("{name} wants {name}=NUMBER"));
    let plain = match name {
        "latency" => FaultKind::Latency(Duration::from_millis(number()?.into())),
        "late-reply" => FaultKind::LateReply(Duration::from_millis(number()?.into())),
        "drip" => FaultKind::Drip(Duration::from_millis(number()?.into())),
        "oversized" => FaultKind::Oversized(number()?),
        "not-yet-valid" => FaultKind::NotYetValid(Duration::from_secs(number()?.into())),
        "date-shifted" => {
            let shift = value.and_then(|value| value.parse().ok());
            FaultKind::DateShifted(shift.ok_or("date-shifted wants date-shifted=SECONDS")?)
        }
        "status" => status(value.unwrap_or_default())?,
        "shape" => FaultKind::Shape(shape(value.unwrap_or_default())?),
        _ => {
            let found = DEFAULT.iter().find(|(known, _)| *known == name);
            found.map(|(_, kind)| kind.clone()).ok_or_else(|| format!("no fault {name:?}; `--list` shows them all"))?
        }
    };
    Ok(plain)
}

/// `429`, `429+10` (Retry-After in seconds) or `429@10` (a date ten seconds ahead).
fn status(value: &str) -> Result<FaultKind, String> {
    let wrong = || format!("status wants status=CODE, =CODE+SECONDS or =CODE@SECONDS, not {value:?}");
    let end = value.find(['+', '@']).unwrap_or(value.len());
    let (code, rest) = value.split_at(end);
    let code = code.parse().ok().filter(|code| (400..600).contains(code)).ok_or_else(wrong)?;
    let seconds = || rest[1..].parse().map_err(|_| wrong());
    let retry_after = match rest.chars().next() {
        Some('+') => RetryAfter::Seconds(seconds()?),
        Some(_) => RetryAfter::DateIn(seconds()?),
        None => RetryAfter::Absent,
    };
    Ok(FaultKind::Status(code, retry_after))
}

fn shape(value: &str) -> Result<ErrorShape, String> {
    match value {
        "list" => Ok(ErrorShape::List),
        "single" => Ok(ErrorShape::Single),
        "status" => Ok(ErrorShape::Status),
        "bare" => Ok(ErrorShape::Bare),
        "numeric" => Ok(ErrorShape::Numeric),
        "problem" => Ok(ErrorShape::Problem),
        "map" => Ok(ErrorShape::Map),
        "xml" => Ok(ErrorShape::Xml),
        "text" => Ok(ErrorShape::Text),
        _ => Err("shape wants list, single, status, bare, numeric, problem, map, xml or text".to_owned()),
    }
}

/// The forms of the faults with a value.
pub static FORMS: [(&str, &str); 8] = [
    ("latency=MILLISECONDS", "the request waits before anything is done with it"),
    ("late-reply=MILLISECONDS", "the request is carried out, and its answer waits"),
    ("drip=MILLISECONDS", "the body comes byte by byte, with this pause between two"),
    ("oversized=MEBIBYTES", "the answer is followed by so many blanks"),
    ("not-yet-valid=SECONDS", "the certificate begins so much later"),
    ("date-shifted=SECONDS", "the Date header is off by so much"),
    ("status=CODE[+SECONDS|@SECONDS]", "this status; +: Retry-After in seconds, @: as a date"),
    ("shape=list|single|status|bare|numeric|problem|map|xml|text", "errors have this shape"),
];

/// The faults without a value, by name.
pub static DEFAULT: [(&str, FaultKind); 36] = [
    ("html", FaultKind::Html),
    ("redirect", FaultKind::Redirect),
    ("reset", FaultKind::Reset),
    ("lost-reply", FaultKind::LostReply),
    ("truncated", FaultKind::Truncated),
    ("cut-off", FaultKind::CutOff),
    ("date-absent", FaultKind::DateAbsent),
    ("wrong-key", FaultKind::WrongKey),
    ("missing-name", FaultKind::MissingName),
    ("extra-name", FaultKind::ExtraName),
    ("missing-subject", FaultKind::MissingSubject),
    ("expired", FaultKind::Expired),
    ("missing-client-auth", FaultKind::MissingClientAuth),
    ("foreign-issuer", FaultKind::ForeignIssuer),
    ("bad-signature", FaultKind::BadSignature),
    ("shuffled-chain", FaultKind::ShuffledChain),
    ("missing-chain", FaultKind::MissingChain),
    ("foreign-chain", FaultKind::ForeignChain),
    ("bare-base64", FaultKind::BareBase64),
    ("crlf", FaultKind::Crlf),
    ("trailing-data", FaultKind::TrailingData),
    ("html-certificate", FaultKind::HtmlCertificate),
    ("leading-text", FaultKind::LeadingText),
    ("pkcs7-certificate", FaultKind::Pkcs7Certificate),
    ("bare-pkcs7", FaultKind::BarePkcs7),
    ("x509-label", FaultKind::X509Label),
    ("escaped-lines", FaultKind::EscapedLines),
    ("url-safe-base64", FaultKind::UrlSafeBase64),
    ("broken-ca", FaultKind::BrokenCa),
    ("no-serial", FaultKind::NoSerial),
    ("serial-only", FaultKind::SerialOnly),
    ("bom", FaultKind::Bom),
    ("gzip", FaultKind::Gzip),
    ("no-pkcs7", FaultKind::NoPkcs7),
    ("pkcs7-alone", FaultKind::Pkcs7Alone),
    ("other-case-status", FaultKind::OtherCaseStatus),
];
