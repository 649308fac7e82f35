//! HTTP over TLS: reads a request whole, meets the faults that are ordered for it, and records how it went.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Query;
use axum::http::header::{CONTENT_LENGTH, DATE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use futures_util::stream;
use hyper::body::Incoming as HyperBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::clock;
use super::faults::{FaultKind, RetryAfter};
use super::reply::{ApiError, Reply, WEB_APP};
use super::routes::{self, Incoming, Route};
use super::state::{Recorded, State};

/// The longest request body that is read.
const MAX_BODY: usize = 4 << 20;

/// Is shown every call.
pub type Log = Arc<dyn Fn(&Recorded) + Send + Sync>;

/// What the server and its handle share.
pub struct Shared {
    pub state: Mutex<State>,
    pub changed: Condvar,
    pub log: Option<Log>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// The state, also after a panic of another thread.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Accepts connections for ever.
pub async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(converse(stream, acceptor.clone(), Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Without it small answers wait for the client's acknowledgement; it fails where the client has gone.
    drop(stream.set_nodelay(true));
    let Ok(Ok(stream)) = timeout(Duration::from_secs(10), acceptor.accept(stream)).await else { return };
    let has_certificate = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    let service = service_fn(move |request: hyper::Request<HyperBody>| {
        let shared = Arc::clone(&shared);
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(Body::new(body), MAX_BODY).await.map_err(|_| Dropped)?;
            respond(&shared, &parts, &body, has_certificate).await
        }
    });
    let mut http = http1::Builder::new();
    http.auto_date_header(false).timer(TokioTimer::new());
    // An error here is a client that went away, or a fault that was ordered.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

/// The connection ends here, without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped as ordered")
    }
}

impl std::error::Error for Dropped {}

async fn respond(
    shared: &Shared,
    parts: &Parts,
    body: &Bytes,
    has_certificate: bool,
) -> Result<Response<Body>, Dropped> {
    let route = routes::find(parts.method.as_str(), parts.uri.path());
    let faults = shared.lock().faults.take(route.endpoint);
    for fault in &faults {
        if let FaultKind::Latency(time) = fault {
            sleep(*time).await;
        }
    }
    let reply = carry_out(shared, parts, body, &Exchange { route, has_certificate, faults: &faults });
    for fault in &faults {
        if let FaultKind::LateReply(time) = fault {
            sleep(*time).await;
        }
    }
    let mut response = with_body(reply.ok_or(Dropped)?, &faults);
    if let Some(date) = date(&faults) {
        response.headers_mut().insert(DATE, HeaderValue::from_str(&date).unwrap());
    }
    Ok(response)
}

struct Exchange<'a> {
    route: Route,
    has_certificate: bool,
    faults: &'a [FaultKind],
}

/// Does what is asked, and records it; `None`: no answer is to be given.
fn carry_out(shared: &Shared, parts: &Parts, body: &Bytes, exchange: &Exchange<'_>) -> Option<Reply> {
    let mut state = shared.lock();
    let reply = if exchange.faults.contains(&FaultKind::Reset) {
        None
    } else {
        let reply = judged(&mut state, parts, body, exchange);
        Some(reply).filter(|_| !exchange.faults.contains(&FaultKind::LostReply))
    };
    let recorded = Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        status: reply.as_ref().map_or(0, |reply| reply.status),
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
        user_agent: parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned),
        at: SystemTime::now(),
    };
    if let Some(log) = &shared.log {
        log(&recorded);
    }
    state.requests.push(recorded);
    drop(state);
    shared.changed.notify_all();
    reply
}

fn judged(state: &mut State, parts: &Parts, body: &Bytes, exchange: &Exchange<'_>) -> Reply {
    let ordered =
        exchange.faults.iter().find_map(|fault| if let FaultKind::Shape(shape) = fault { Some(*shape) } else { None });
    let shape = ordered.unwrap_or(state.variants.error_shape);
    if let Some(reply) = exchange.faults.iter().find_map(|fault| instead(fault, shape)) {
        return reply;
    }
    let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
        return ApiError::new(400, "invalid_request", "Malformed query").render(shape);
    };
    let incoming = Incoming {
        method: parts.method.as_str(),
        route: exchange.route.clone(),
        query,
        headers: &parts.headers,
        body,
        has_client_certificate: exchange.has_certificate,
        faults: exchange.faults,
    };
    routes::answer(state, &incoming).unwrap_or_else(|error| {
        let reply = error.render(shape);
        if error.status == 429 { reply.header("retry-after", "10".to_owned()) } else { reply }
    })
}

/// The reply that a fault gives in place of the endpoint's.
fn instead(fault: &FaultKind, shape: super::variants::ErrorShape) -> Option<Reply> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other faults let the endpoint answer")]
    match fault {
        FaultKind::Html => Some(Reply::html(200, WEB_APP)),
        FaultKind::Redirect => {
            let target = "https://login.example.net/mpki/api/v1/certificate".to_owned();
            Some(Reply::empty(302).header("location", target))
        }
        FaultKind::Status(502, _) => Some(Reply::html(502, "<html><body><h1>502 Bad Gateway</h1></body></html>\n")),
        FaultKind::Status(status, retry_after) => {
            let reply = stock_error(*status).render(shape);
            Some(match retry_after {
                RetryAfter::Absent => reply,
                RetryAfter::Seconds(seconds) => reply.header("retry-after", seconds.to_string()),
                RetryAfter::DateIn(seconds) => {
                    reply.header("retry-after", clock::http_date(clock::now() + i64::from(*seconds)))
                }
            })
        }
        _ => None,
    }
}

fn stock_error(status: u16) -> ApiError {
    let (code, message) = match status {
        400 => ("invalid_request", "Wrong input or input format."),
        401 => ("invalid_api_key", "Access to the requested resource requires a valid access token."),
        403 => ("no_access", "User has no access to the requested resource"),
        404 => ("entity_not_found", "The requested resource was not found"),
        410 => ("invalid_request", "The requested resource was deleted"),
        429 => ("client_error", "Rate limit reached, please retry after a delay"),
        503 => ("service_unavailable", "The service is under maintenance"),
        _ => ("internal_server_error", "InternalServerError"),
    };
    ApiError::new(status, code, message)
}

fn date(faults: &[FaultKind]) -> Option<String> {
    let mut shift = Some(0);
    for fault in faults {
        if let FaultKind::DateShifted(seconds) = fault {
            shift = Some(*seconds);
        }
    }
    shift.filter(|_| !faults.contains(&FaultKind::DateAbsent)).map(|shift| clock::http_date(clock::now() + shift))
}

fn with_body(mut reply: Reply, faults: &[FaultKind]) -> Response<Body> {
    let mut whole = std::mem::take(&mut reply.body);
    if faults.contains(&FaultKind::Bom) {
        whole.splice(0..0, *b"\xef\xbb\xbf");
    }
    if faults.contains(&FaultKind::Gzip) {
        whole = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    }
    let half = whole[..whole.len() / 2].to_vec();
    let length = whole.len();
    for fault in faults {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other faults are not about the body")]
        match fault {
            FaultKind::Truncated => return reply.into_response(Body::from(half)),
            FaultKind::CutOff => {
                let mut response = reply.into_response(cut_off(half));
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
                return response;
            }
            FaultKind::Drip(pause) => return reply.into_response(dripping(whole, *pause)),
            FaultKind::Oversized(mebibytes) => return reply.into_response(padded(whole, *mebibytes)),
            _ => {}
        }
    }
    reply.into_response(Body::from(whole))
}

fn cut_off(half: Vec<u8>) -> Body {
    let parts = [Ok(Bytes::from(half)), Err(Dropped)];
    Body::from_stream(stream::iter(parts))
}

fn dripping(whole: Vec<u8>, pause: Duration) -> Body {
    Body::from_stream(stream::unfold(whole.into_iter(), move |mut rest| async move {
        let byte = rest.next()?;
        sleep(pause).await;
        Some((Ok::<_, Infallible>(Bytes::from(vec![byte])), rest))
    }))
}

fn padded(whole: Vec<u8>, mebibytes: u32) -> Body {
    let blanks = Bytes::from(vec![b' '; 1 << 20]);
    let parts = std::iter::once(Bytes::from(whole)).chain((0..mebibytes).map(move |_| blanks.clone()));
    Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)))
}
