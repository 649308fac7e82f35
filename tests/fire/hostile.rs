//! A server in the API's place that wants to do harm: it never answers, or it never ends.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::simulator::background::{self, Background};
use crate::simulator::tls;

/// What it does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    /// Takes the connection, and says nothing, not even of TLS.
    Mute,
    /// Takes the request, and never answers.
    Silence,
    /// Answers with headers without end.
    Headers,
    /// Answers with one header without end.
    LongHeader,
    /// Answers with interim responses without end.
    Interim,
    /// Answers with a body of a gigabyte, of announced length.
    Gigabyte,
    /// Answers with chunks without end.
    Chunks,
    /// Answers with an error whose body has no end.
    Error,
}

impl Harm {
    pub(crate) const ALL: [Self; 8] = [
        Self::Mute,
        Self::Silence,
        Self::Headers,
        Self::LongHeader,
        Self::Interim,
        Self::Gigabyte,
        Self::Chunks,
        Self::Error,
    ];

    /// How the answer begins, and what follows for ever.
    fn text(self) -> Option<(String, Vec<u8>)> {
        let json = "Content-Type: application/json\r\n";
        let filled = vec![b' '; 65_536];
        Some(match self {
            Self::Mute | Self::Silence => return None,
            Self::Headers => ("HTTP/1.1 200 OK\r\n".to_owned(), b"X-Flood: more and more\r\n".repeat(2000)),
            Self::LongHeader => ("HTTP/1.1 200 OK\r\nX-Flood: ".to_owned(), vec![b'x'; 65_536]),
            Self::Interim => (String::new(), b"HTTP/1.1 100 Continue\r\n\r\n".repeat(2000)),
            Self::Gigabyte => (format!("HTTP/1.1 200 OK\r\n{json}Content-Length: {}\r\n\r\n", 1 << 30), filled),
            Self::Chunks => {
                let chunk = [b"10000\r\n".as_slice(), &filled, b"\r\n"].concat();
                (format!("HTTP/1.1 200 OK\r\n{json}Transfer-Encoding: chunked\r\n\r\n"), chunk)
            }
            Self::Error => (format!("HTTP/1.1 500 Internal Server Error\r\n{json}\r\n"), filled),
        })
    }
}

/// The running server; it ends when dropped. As long as it does no harm it passes everything on to the API.
pub(crate) struct Hostile {
    _background: Background,
    port: u16,
    mood: Arc<Mood>,
}

#[derive(Default)]
struct Mood {
    is_hostile: AtomicBool,
    /// How many connections it harmed.
    met: AtomicU64,
}

impl Hostile {
    pub(crate) fn start(api: u16, harm: Harm) -> Self {
        let (listener, mood) = (background::bind(0), Arc::new(Mood::default()));
        let (port, shared) = (listener.local_addr().unwrap().port(), Arc::clone(&mood));
        let background = Background::spawn(listener, move |listener| async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                if shared.is_hostile.load(Ordering::Relaxed) {
                    shared.met.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(harm_one(stream, harm));
                } else {
                    tokio::spawn(pass_on(stream, api));
                }
            }
        });
        Self { _background: background, port, mood }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub(crate) fn begin(&self) {
        self.mood.is_hostile.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.mood.is_hostile.store(false, Ordering::Relaxed);
    }

    /// How many connections it harmed.
    pub(crate) fn met(&self) -> u64 {
        self.mood.met.load(Ordering::Relaxed)
    }
}

async fn pass_on(mut stream: TcpStream, api: u16) {
    let Ok(mut onward) = TcpStream::connect((Ipv4Addr::LOCALHOST, api)).await else { return };
    // Either side may go away at any time.
    drop(tokio::io::copy_bidirectional(&mut stream, &mut onward).await);
}

async fn harm_one(mut stream: TcpStream, harm: Harm) {
    if matches!(harm, Harm::Mute) {
        // Held open until the other side has had enough.
        drop(stream.read(&mut [0; 1024]).await);
        return std::future::pending().await;
    }
    let Ok(mut stream) = tls::acceptor().accept(stream).await else { return };
    let mut request = vec![0; 65_536];
    let Ok(1..) = stream.read(&mut request).await else { return };
    let Some((start, more)) = harm.text() else { return std::future::pending().await };
    if stream.write_all(start.as_bytes()).await.is_ok() {
        while stream.write_all(&more).await.is_ok() {}
    }
}
