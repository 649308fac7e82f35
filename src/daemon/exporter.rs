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
use crate::engine::status::Problem;
use crate::engine::{Input, Mode};
use crate::store::disk::Perms;
use crate::store::{replace, targets};

use super::message::Message;
use super::metrics::Format;
use super::run::Daemon;
use super::sandbox;
use super::seats::{Heard, Seats};

impl<T: Tlm> Daemon<T> {
    pub(super) fn measured(&self, format: Format) -> String {
        let facts = self.engine.facts(self.context.clock.now());
        self.metrics.text(&facts, self.engine.fleet().iter(), format).unwrap_or_default()
    }

    /// Writes the metrics to the text file, where one is configured, beside the loop.
    pub(super) fn write_textfile(&mut self) {
        let steady = self.context.clock.steady();
        let textfile = self.engine.main().metrics.textfile.clone();
        let Some(path) = textfile.filter(|_| steady >= self.textfile_due) else { return };
        if self.engine.mode() != Mode::Forever {
            return;
        }
        self.textfile_due = steady + TEXTFILE_INTERVAL;
        let (text, context) = (self.measured(Format::Prometheus), Arc::clone(&self.context));
        let folders = vec![replace::folder(&path).to_owned()];
        let write = move || {
            let perms = Perms { uid: None, gid: None, mode: 0o644 };
            let disk = &*context.disk;
            // As a certificate's file: whoever may write to a folder above it could lead the writing astray.
            let written = targets::check_target(disk, &context.identity, &path)
                .map_err(|failure| {
                    (failure.message, "set `textfile` of [metrics] to a path that is the service's or root's")
                })
                .and_then(|()| {
                    let written = replace::replace(disk, &path, text.as_bytes(), perms);
                    written.map_err(|error| {
                        let message = format!("cannot write the metrics to {}: {error}", path.display());
                        (
                            Text::new(&message),
                            "let the service's user write into its folder, or set `textfile` of [metrics]",
                        )
                    })
                });
            let problem =
                written.err().map(|(message, remedy)| Problem::error(TEXTFILE_PROBLEM, message.as_str(), remedy));
            context.tell_engine(Input::ProblemChanged(TEXTFILE_PROBLEM, problem));
        };
        tokio::task::spawn_blocking(|| sandbox::within(folders, write));
    }
}

/// Listens at `address` for ever. An address that is taken is told to the loop, and tried again.
pub async fn serve(address: SocketAddr, messages: mpsc::UnboundedSender<Message>) {
    let listener = listen(address, &messages).await;
    let mut seats = Seats::new(MOST_CONNECTIONS, MOST_OF_ONE_HOST);
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        if !seats.make_room(&peer.ip(), false).await {
            continue;
        }
        let (messages, heard) = (messages.clone(), Heard::default());
        let noted = heard.clone();
        let task = tokio::spawn(async move {
            let served = tokio::time::timeout(PATIENCE, connection(stream, messages, noted)).await;
            if let Ok(Err(error)) = served {
                tracing::debug!("a client of the metrics went away: {error}");
            }
        });
        seats.take(peer.ip(), heard, task.abort_handle());
    }
}

async fn listen(address: SocketAddr, messages: &mpsc::UnboundedSender<Message>) -> TcpListener {
    loop {
        let problem = match TcpListener::bind(address).await {
            Ok(listener) => {
                tell(messages, None);
                return listener;
            }
            Err(error) => Problem::error(
                PROBLEM,
                &format!("cannot listen on {address} for metrics: {error}"),
                "stop what listens there, or set `listen` of [metrics] and reload; renewd keeps trying",
            ),
        };
        tell(messages, Some(problem));
        tokio::time::sleep(BIND_AGAIN).await;
    }
}

fn tell(messages: &mpsc::UnboundedSender<Message>, problem: Option<Problem>) {
    // A loop that has ended needs to know nothing any more.
    drop(messages.send(Message::Engine(Input::ProblemChanged(PROBLEM, problem))));
}

async fn connection(stream: TcpStream, messages: mpsc::UnboundedSender<Message>, heard: Heard) -> hyper::Result<()> {
    let answer = service_fn(move |request| {
        heard.note();
        answer(request, messages.clone())
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
    messages: mpsc::UnboundedSender<Message>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n"));
    }
    if request.uri().path() != "/metrics" {
        return Ok(refusal(StatusCode::NOT_FOUND, "the metrics are at /metrics\n"));
    }
    let (sender, receiver) = oneshot::channel();
    if messages.send(Message::Measured(sender)).is_err() {
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

/// The code of an address that cannot be listened at.
pub(super) const PROBLEM: &str = Code::MetricsListenerFailed.as_str();
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
