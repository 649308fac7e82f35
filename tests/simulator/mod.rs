//! A simulated Trust Lifecycle Manager: a strict HTTPS server with a CA of its own, for tests and for trying things out.
//!
//! It is an independent reading of the API and uses nothing of the crate under test, so that a client that is wrong
//! fails against it. It keeps everything in memory, and its CAs are those of its process.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each binary that includes the simulator uses another part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a simulator that meets the unexpected fails the test loudly"
)]

pub mod background;
pub mod ca;
pub mod certificate;
pub mod clock;
pub mod connect_proxy;
pub mod csr;
pub mod delivery;
pub mod der;
pub mod faults;
pub mod profile;
pub mod reply;
pub mod routes;
pub mod server;
pub mod settings;
pub mod state;
pub mod subject;
pub mod tls;
pub mod validate;
pub mod variants;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use background::Background;
use ca::{Authority, TlsAuthority};
use faults::Faults;
use server::{Log, Shared};

pub use certificate::{AltName, Usage};
pub use connect_proxy::{ConnectProxy, ProxyFailure};
pub use faults::{Fault, FaultKind, RetryAfter};
pub use profile::{AttributeSpec, Issuance, ProfileSpec, Source};
pub use routes::Endpoint;
pub use state::{Access, ApiKey, CertificateStatus, Decision, IssuedRecord, PendingRecord, Recorded, State};
pub use variants::{
    ChainOrder, DateStyle, ErrorShape, Excess, MeShape, ProfileList, ProfileSpelling, Refusal, Refusals, RenewedExpiry,
    Seats, SubjectRule, UnknownPath, Variants,
};

/// How to start.
#[derive(Clone, Default)]
pub struct Options {
    /// 0: any port.
    pub port: u16,
    pub variants: Variants,
    /// `None`: an API key.
    pub access: Option<Access>,
    /// Is shown every call.
    pub log: Option<Log>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("port", &self.port).field("access", &self.access).finish_non_exhaustive()
    }
}

/// A running simulator; it ends when dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    port: u16,
    background: Option<Background>,
}

impl Simulator {
    /// Starts on a thread of its own; connections are taken from here on.
    pub fn start(options: Options) -> Self {
        let listener = background::bind(options.port);
        let port = listener.local_addr().unwrap().port();
        let state = State {
            profiles: Vec::new(),
            keys: vec![ApiKey::random()],
            access: options.access.unwrap_or(Access::Key),
            issued: Vec::new(),
            pending: Vec::new(),
            faults: Faults::default(),
            variants: options.variants,
            requests: Vec::new(),
            roles: vec!["EM_EPKI_USER_&_CERT_MANAGER".to_owned()],
            recent: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), log: options.log });
        let mut simulator = Self { shared, port, background: None };
        simulator.run(listener);
        simulator
    }

    /// Ends the server as an outage would: connections are cut, nothing listens. What it knows is kept.
    pub fn stop(&mut self) {
        self.background = None;
    }

    /// Starts the server again on the same port.
    pub fn restart(&mut self) {
        self.stop();
        self.run(background::bind(self.port));
    }

    fn run(&mut self, listener: std::net::TcpListener) {
        let shared = Arc::clone(&self.shared);
        let acceptor = tls::acceptor();
        self.background = Some(Background::spawn(listener, move |listener| server::serve(listener, acceptor, shared)));
    }

    /// `https://localhost:PORT`
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The root that a client of the API must trust, as PEM.
    pub fn ca_pem(&self) -> String {
        TlsAuthority::shared().pem()
    }

    /// The root of the certificates that profiles with the usual ECDSA issuer bring, as PEM.
    pub fn issuing_root_pem(&self) -> String {
        Authority::ecdsa().root.pem.clone()
    }

    /// The issuer of the certificates that profiles with the usual ECDSA issuer bring, as PEM.
    pub fn issuing_intermediate_pem(&self) -> String {
        Authority::ecdsa().intermediate.pem.clone()
    }

    /// A client certificate that the server takes, and its key, as one PEM text.
    pub fn client_identity_pem(&self) -> String {
        TlsAuthority::shared().client()
    }

    /// The first API key.
    pub fn api_key(&self) -> String {
        self.shared.lock().keys[0].secret.clone()
    }

    /// Makes one more API key.
    pub fn add_key(&self) -> String {
        let key = ApiKey::random();
        self.change(|state| state.keys.push(key.clone()));
        key.secret
    }

    /// The same certificate with this end (year, month, day).
    pub fn client_identity_until(&self, not_after: (i32, u8, u8)) -> String {
        TlsAuthority::shared().client_until(Some(not_after))
    }

    /// Refuses this API key from now on.
    pub fn revoke_key(&self, secret: &str) {
        self.change(|state| {
            state.keys.iter_mut().filter(|key| key.secret == secret).for_each(|key| key.revoked = true);
        });
    }

    /// Lets this API key end at this instant (seconds since 1970), or never.
    pub fn end_key(&self, secret: &str, not_after: Option<i64>) {
        self.change(|state| {
            state.keys.iter_mut().filter(|key| key.secret == secret).for_each(|key| key.not_after = not_after);
        });
    }

    /// Accepts this API key again.
    pub fn restore_key(&self, secret: &str) {
        self.change(|state| {
            state.keys.iter_mut().filter(|key| key.secret == secret).for_each(|key| key.revoked = false);
        });
    }

    /// Who may call from now on.
    pub fn require(&self, access: Access) {
        self.change(|state| state.access = access);
    }

    /// Adds a profile; the answer is its id.
    pub fn add_profile(&self, profile: ProfileSpec) -> String {
        let id = profile.id.clone();
        self.change(|state| state.profiles.push(profile));
        id
    }

    /// Changes a profile, which must exist.
    pub fn change_profile(&self, id: &str, change: impl FnOnce(&mut ProfileSpec)) {
        self.change(|state| change(state.profiles.iter_mut().find(|profile| profile.id == id).unwrap()));
    }

    /// Switches variants.
    pub fn change_variants(&self, change: impl FnOnce(&mut Variants)) {
        self.change(|state| change(&mut state.variants));
    }

    /// Orders a misbehaviour.
    pub fn fault(&self, fault: Fault) {
        self.change(|state| state.faults.add(fault));
    }

    /// Takes back every misbehaviour.
    pub fn clear_faults(&self) {
        self.change(|state| state.faults.clear());
    }

    /// Every call so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().requests.clone()
    }

    /// Forgets the calls so far.
    pub fn clear_requests(&self) {
        self.change(|state| state.requests.clear());
    }

    /// How many calls had this method and a path that begins so.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.shared.lock().count(method, path)
    }

    /// Waits until the condition holds; `false`: it did not in this time.
    #[must_use]
    pub fn wait_for(&self, condition: impl Fn(&State) -> bool, time: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, time, |state| !condition(state));
        waited.is_ok_and(|(_, timing)| !timing.timed_out())
    }

    /// The ids of the requests that wait for a decision, oldest first.
    pub fn pending(&self) -> Vec<String> {
        self.change(|state| {
            state.ripen();
            state.waiting()
        })
    }

    /// Issues what a request asks for; whether such a one was waiting.
    pub fn approve(&self, id: &str) -> bool {
        self.change(|state| state.approve(id))
    }

    /// Rejects a request; whether such a one was waiting.
    pub fn reject(&self, id: &str, comment: &str) -> bool {
        self.change(|state| state.reject(id, comment))
    }

    /// Forgets a request, so that pickup does not know it.
    pub fn forget(&self, id: &str) {
        self.change(|state| state.pending.retain(|request| request.id != id));
    }

    /// Revokes a certificate as an administrator would; whether there is one.
    pub fn revoke(&self, serial: &str) -> bool {
        self.change(|state| {
            let Some(record) = state.certificate_mut(serial) else { return false };
            record.status = CertificateStatus::Revoked;
            record.revocation_reason = Some("superseded".to_owned());
            true
        })
    }

    /// Every certificate so far, oldest first.
    pub fn issued(&self) -> Vec<IssuedRecord> {
        self.change(|state| {
            state.ripen();
            state.issued.clone()
        })
    }

    /// Issues a certificate as if another host had asked for it: its key is nowhere here. The answer is its serial number.
    pub fn issue_elsewhere(&self, profile_id: &str, seat: &str, dns_names: &[&str]) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        self.change(|state| {
            let lifetime = state.profile(profile_id).unwrap().lifetime;
            let wanted = state::Wanted {
                profile_id: profile_id.to_owned(),
                seat: seat.to_owned(),
                subject: vec![("common_name".to_owned(), seat.to_owned())],
                names: dns_names.iter().map(|name| AltName::Dns((*name).to_owned())).collect(),
                spki,
                key_bits: 256,
                is_rsa: false,
                lifetime,
                format: "x509".to_owned(),
                include_chain: true,
                renews: None,
                defects: Vec::new(),
            };
            state.issue(&wanted).unwrap()
        })
    }

    /// Changes anything else.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.shared.lock());
        self.shared.changed.notify_all();
        answer
    }
}
