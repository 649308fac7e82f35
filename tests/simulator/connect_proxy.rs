//! A proxy for HTTP CONNECT, with a password if one is set, which can be told to fail.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::background::{self, Background};

/// How the proxy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFailure {
    /// 407, whatever the client brings.
    AuthenticationRequired,
    /// 502.
    BadGateway,
    /// 200 with a page in place of a tunnel.
    Html,
    /// The connection ends.
    Reset,
}

#[derive(Debug, Default)]
struct Desk {
    credentials: Option<String>,
    failure: Option<ProxyFailure>,
    targets: Vec<String>,
    tunnels: usize,
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct ConnectProxy {
    port: u16,
    desk: Arc<Mutex<Desk>>,
    _background: Background,
}

impl ConnectProxy {
    /// Starts on any port; with `Some((user, password))` it asks for them.
    pub fn start(credentials: Option<(&str, &str)>) -> Self {
        let listener: TcpListener = background::bind(0);
        let port = listener.local_addr().unwrap().port();
        let credentials = credentials.map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
        let desk = Arc::new(Mutex::new(Desk { credentials, ..Desk::default() }));
        let shared = Arc::clone(&desk);
        let background = Background::spawn(listener, move |listener| async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(tunnel(stream, Arc::clone(&shared)));
            }
        });
        Self { port, desk, _background: background }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How it fails from now on; `None`: it does not.
    pub fn fail(&self, failure: Option<ProxyFailure>) {
        locked(&self.desk).failure = failure;
    }

    /// How many tunnels it opened.
    pub fn tunnels(&self) -> usize {
        locked(&self.desk).tunnels
    }

    /// The `HOST:PORT` of every CONNECT, refused ones included.
    pub fn targets(&self) -> Vec<String> {
        locked(&self.desk).targets.clone()
    }
}

fn locked(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn tunnel(mut client: TcpStream, desk: Arc<Mutex<Desk>>) {
    let Some(head) = head(&mut client).await else { return };
    let target = match judge(&desk, &head) {
        Ok(target) => target,
        Err(answer) => return drop(client.write_all(answer.as_bytes()).await),
    };
    let Ok(mut server) = TcpStream::connect(&target).await else {
        return drop(client.write_all(BAD_GATEWAY.as_bytes()).await);
    };
    locked(&desk).tunnels += 1;
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        drop(copy_bidirectional(&mut client, &mut server).await);
    }
}

const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NO_CREDENTIALS: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
                              Content-Length: 0\r\nConnection: close\r\n\r\n";
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 39\r\nConnection: close\r\n\r\n\
                    <html><body>Please log in</body></html>";

/// The head of the request, up to the empty line.
async fn head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
        if head.len() > 16_384 {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// The target of the tunnel, or the answer that refuses it.
fn judge(desk: &Mutex<Desk>, head: &str) -> Result<String, &'static str> {
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        return Err("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut desk = locked(desk);
    desk.targets.push(target.to_owned());
    match desk.failure {
        Some(ProxyFailure::AuthenticationRequired) => return Err(NO_CREDENTIALS),
        Some(ProxyFailure::BadGateway) => return Err(BAD_GATEWAY),
        Some(ProxyFailure::Html) => return Err(PAGE),
        Some(ProxyFailure::Reset) => return Err(""),
        None => {}
    }
    let brought = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let brought = brought.and_then(|(_, value)| value.trim().strip_prefix("Basic "));
    let is_welcome = desk.credentials.as_deref().is_none_or(|wanted| brought == Some(wanted));
    if is_welcome { Ok(target.to_owned()) } else { Err(NO_CREDENTIALS) }
}
