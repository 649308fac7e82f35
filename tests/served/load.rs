//! A load of TLS connections, one request each, from several threads at once; every one that fails is kept.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What the clients met.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    /// The leaves that were served, as DER.
    pub(crate) leaves: BTreeSet<Vec<u8>>,
    pub(crate) failures: Vec<String>,
}

/// Clients that ask until they are told to end.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, root: &str, clients: usize) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        // A resumed session shows no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        let config = Arc::new(config);
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let seen = Arc::<Mutex<Seen>>::default();
        let client = |_| {
            let (stop, count, seen, config) = (stop.clone(), count.clone(), Arc::clone(&seen), config.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    note(&mut seen.lock().unwrap(), ask(address, &config));
                    count.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PACE);
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, count, seen, clients }
    }

    /// Waits until many more requests were answered, or one was not.
    pub(crate) fn goes_on(&self) {
        let (before, begun) = (self.count.load(Ordering::Relaxed), Instant::now());
        while self.count.load(Ordering::Relaxed) < before + MANY && self.seen.lock().unwrap().failures.is_empty() {
            assert!(begun.elapsed() < crate::host::BOUND, "the clients stand still");
            thread::sleep(PACE);
        }
    }

    pub(crate) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn note(seen: &mut Seen, asked: Result<Vec<u8>, String>) {
    seen.requests += 1;
    match asked {
        Ok(leaf) => drop(seen.leaves.insert(leaf)),
        Err(failure) => seen.failures.push(failure),
    }
}

/// One connection with one request, verified as a browser does it; the leaf that was served.
fn ask(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Vec<u8>, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let stream = TcpStream::connect(address).map_err(|error| failed("connecting", &error))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("www.example.com").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n")
        .map_err(|error| failed("handshake and request", &error))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| failed("answer", &error))?;
    if !answer.starts_with("HTTP/1.1 200") || !answer.ends_with("served\n") {
        return Err(format!("the answer was {answer:?}"));
    }
    let leaf = stream.conn.peer_certificates().and_then(|chain| chain.first());
    leaf.map(|leaf| leaf.to_vec()).ok_or_else(|| "no certificate was shown".to_owned())
}

/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(10);
const MANY: usize = 200;
