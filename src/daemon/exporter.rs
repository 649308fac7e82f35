//! Shows the metrics: by HTTP to whoever asks at the configured address, bounded in connections and time, and in a text
//! file for node_exporter.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::api::Tlm;
use crate::core::code::Code;
use crate::core::text::Text;
use crate::store::disk::Perms;
use crate::store::replace;

use super::message::Message;
use super::metrics::in_text_format;
use super::run::{Daemon, Mode};
use super::seats::{Heard, Seats};
use super::status::{Problem, Severity};

impl<T: Tlm> Daemon<T> {
    pub(super) fn measured(&self) -> String {
        self.metrics.text(&self.facts(), self.fleet.iter()).unwrap_or_default()
    }

    /// Writes the metrics to the text file, where one is configured, beside the loop.
    pub(super) fn write_textfile(&mut self) {
        let steady = self.context.clock.steady();
        let Some(path) = self.main.metrics.textfile.clone().filter(|_| steady >= self.textfile_due) else { return };
        if self.mode != Mode::Forever {
            return;
        }
        self.textfile_due = steady + TEXTFILE_INTERVAL;
        let (text, context) = (in_text_format(&self.measured()), Arc::clone(&self.context));
        tokio::task::spawn_blocking(move || {
            let perms = Perms { uid: None, gid: None, mode: 0o644 };
            let written = replace::replace(&*context.disk, &path, text.as_bytes(), perms);
            let problem = written.err().map(|error| Problem {
                code: TEXTFILE_PROBLEM.to_owned(),
                severity: Severity::Error,
                message: Text::new(&format!("the metrics cannot be written to {}: {error}", path.display())),
                since: None,
                remedy: Text::new("let the service's user write into its folder, or set `textfile` of [metrics]"),
            });
            context.tell(Message::Trouble(TEXTFILE_PROBLEM, problem));
        });
    }
}

/// Listens at `address` for ever. An address that is taken is told to the loop, and tried again.
pub async fn serve(address: SocketAddr, loop_: mpsc::UnboundedSender<Message>) {
    let listener = listen(address, &loop_).await;
    let mut seats = Seats::new(MOST_CONNECTIONS, MOST_OF_ONE_HOST);
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        if !seats.make_room(&peer.ip(), false).await {
            continue;
        }
        let (loop_, heard) = (loop_.clone(), Heard::default());
        let noted = heard.clone();
        let task = tokio::spawn(async move {
            let served = tokio::time::timeout(PATIENCE, connection(stream, loop_, noted)).await;
            if let Ok(Err(error)) = served {
                tracing::debug!("a client of the metrics went away: {error}");
            }
        });
        seats.take(peer.ip(), heard, task.abort_handle());
    }
}

async fn listen(address: SocketAddr, loop_: &mpsc::UnboundedSender<Message>) -> TcpListener {
    loop {
        let problem = match TcpListener::bind(address).await {
            Ok(listener) => {
                tell(loop_, None);
                return listener;
            }
            Err(error) => Problem {
                code: PROBLEM.to_owned(),
                severity: Severity::Error,
                message: Text::new(&format!("the metrics cannot be shown at {address}: {error}")),
                since: None,
                remedy: Text::new(
                    "end what listens there, or set `listen` of [metrics] and restart; it is tried again",
                ),
            },
        };
        tell(loop_, Some(problem));
        tokio::time::sleep(BIND_AGAIN).await;
    }
}

fn tell(loop_: &mpsc::UnboundedSender<Message>, problem: Option<Problem>) {
    // A loop that has ended needs to know nothing any more.
    drop(loop_.send(Message::Trouble(PROBLEM, problem)));
}

async fn connection(stream: TcpStream, loop_: mpsc::UnboundedSender<Message>, heard: Heard) -> hyper::Result<()> {
    let answer = service_fn(move |request| {
        heard.note();
        answer(request, loop_.clone())
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

async fn answer(
    request: Request<Incoming>,
    loop_: mpsc::UnboundedSender<Message>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n"));
    }
    if request.uri().path() != "/metrics" {
        return Ok(refusal(StatusCode::NOT_FOUND, "the metrics are at /metrics\n"));
    }
    let (sender, receiver) = oneshot::channel();
    if loop_.send(Message::Measured(sender)).is_err() {
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "renewd is stopping\n"));
    }
    let Ok(text) = receiver.await else {
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "renewd is stopping\n"));
    };
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    Ok(response)
}

fn refusal(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(why));
    *response.status_mut() = status;
    response
}

const PROBLEM: &str = Code::MetricsListenerFailed.as_str();
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const MOST_CONNECTIONS: usize = 32;
const MOST_OF_ONE_HOST: usize = 16;
const LARGEST_HEAD: usize = 16 << 10;
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const BIND_AGAIN: Duration = Duration::from_secs(30);
/// How often the text file is written.
const TEXTFILE_INTERVAL: Duration = Duration::from_secs(60);
const TEXTFILE_PROBLEM: &str = Code::MetricsTextfileFailed.as_str();
