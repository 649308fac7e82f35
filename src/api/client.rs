//! The client: one method per endpoint, one HTTP request each. It decides neither when nor whether to ask.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::core::failure::{Failure, FailureClass};
use crate::core::known::credential::CredentialEnd;
use crate::core::known::profile::Profile;
use crate::core::name::{ProfileId, RequestId, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;

use super::call::Call;
use super::credentials::{ClientIdentity, Credential, ProxyCredentials};
use super::error::{RequestContext, RequestError};
use super::error_body::ApiErrors;
use super::json::Json;
use super::port::{
    Answer, Details, Formats, IssueRequest, Me, Observer, Page, Pickup, ProfilePage, RenewRequest, RequestSeen,
    RevocationReason, SearchPage, SearchQuery, Tlm,
};
use super::reply::Reply;
use super::settings::{ClientSettings, ProxySettings};
use super::transport::Transport;
use super::view::{self, View};
use super::{body_answer as answer, body_profile};

/// A client of one TLM server.
pub struct Client {
    transport: Transport,
    host: String,
    keys: Vec<Credential>,
    active: AtomicUsize,
    identity: Option<ClientIdentity>,
    proxy: Option<ProxySettings>,
    observer: Option<Observer>,
}

impl Client {
    /// Makes the client; nothing is sent.
    ///
    /// # Errors
    ///
    /// When there is no credential, or the URL, the roots, the identity or the proxy cannot be used.
    pub fn new(settings: ClientSettings) -> Result<Self, Failure> {
        let transport = Transport::new(&settings)?;
        if settings.credentials.is_empty() && settings.client_identity.is_none() {
            return Err(Failure::new(
                FailureClass::ApiUnauthorised,
                "there is neither an API key nor a client identity",
            ));
        }
        Ok(Self {
            host: transport.host(),
            transport,
            keys: settings.credentials,
            active: AtomicUsize::new(0),
            identity: settings.client_identity,
            proxy: settings.proxy,
            observer: settings.observer,
        })
    }

    /// Makes the key after the active one active, the first after the last. `false`: there is no other.
    pub fn use_next_key(&self) -> bool {
        let has_other = self.identity.is_none() && self.keys.len() > 1;
        if has_other {
            self.active.fetch_add(1, Ordering::Relaxed);
        }
        has_other
    }

    /// The name of the credential that requests go out with.
    #[must_use]
    pub fn active_credential(&self) -> &str {
        let key = || self.key().map_or("", Credential::name);
        self.identity.as_ref().map_or_else(key, ClientIdentity::name)
    }

    /// The API key that requests carry; none where the TLS handshake shows who we are.
    fn key(&self) -> Option<&Credential> {
        let at = self.active.load(Ordering::Relaxed).checked_rem(self.keys.len())?;
        self.keys.get(at).filter(|_| self.identity.is_none())
    }

    /// A certificate as TLM describes it; the thumbprint tells two with one serial number apart.
    ///
    /// # Errors
    ///
    /// When TLM does not tell.
    pub async fn view(&self, serial: &SerialNumber, thumbprint: Option<&str>) -> Result<View, Failure> {
        self.ask(&Call::details(serial, thumbprint), |body| view::view(serial, body, &self.secrets())).await
    }

    /// The end of an API key by the list of the account's keys, where that tells which of them it is.
    ///
    /// # Errors
    ///
    /// When TLM does not show the list.
    pub async fn key_end(&self, credential: &str) -> Result<Option<Timestamp>, Failure> {
        let key = self.keys.iter().find(|key| key.name() == credential);
        let read = |body: Json<'_>| Ok(key.and_then(|key| answer::key_end(body, key.key())));
        self.ask_with(&Call::tokens(), key, credential, read).await
    }

    async fn ask<T>(&self, call: &Call, read: impl FnOnce(Json<'_>) -> Result<T, String>) -> Result<T, Failure> {
        self.ask_with(call, self.key(), self.active_credential(), read).await
    }

    async fn ask_with<T>(
        &self,
        call: &Call,
        key: Option<&Credential>,
        credential: &str,
        read: impl FnOnce(Json<'_>) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let url = self.transport.address(call)?;
        let key = key.filter(|_| call.authenticated);
        #[expect(clippy::disallowed_methods, reason = "how long a request took is measured, nothing is decided by it")]
        let started = Instant::now();
        let reply = self.transport.send(call, url, key).await;
        self.tell(call, reply.as_ref().ok(), started);
        let date = reply.as_ref().ok().and_then(|reply| reply.date);
        reply.and_then(|reply| read_reply(reply, read)).map_err(|trouble| {
            let failure = self.failure(trouble, call, credential);
            Failure { retry: failure.retry.map(|hint| hint.counted_from(date)), ..failure }
        })
    }

    fn tell(&self, call: &Call, reply: Option<&Reply>, started: Instant) {
        let Some(observer) = &self.observer else { return };
        observer(RequestSeen {
            endpoint: call.endpoint,
            status: reply.map(|reply| reply.status),
            took: started.elapsed(),
            date: reply.and_then(|reply| reply.date),
        });
    }

    fn failure(&self, trouble: RequestError, call: &Call, credential: &str) -> Failure {
        let proxy = self.proxy.as_ref().filter(|_| self.transport.is_proxied()).map(|proxy| proxy.url.as_str());
        let place = RequestContext {
            host: &self.host,
            proxy,
            credential,
            by_certificate: self.identity.is_some(),
            secrets: self.secrets(),
        };
        let is_sent = proxy.map(|_| self.proxy.as_ref().is_some_and(|proxy| proxy.credentials.is_some()));
        trouble.of_proxy_user(is_sent).into_failure(call, place)
    }

    /// What may appear in no message.
    fn secrets(&self) -> Vec<&str> {
        let proxy = self.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref()).map(ProxyCredentials::password);
        self.keys.iter().map(Credential::key).chain(proxy).collect()
    }
}

/// Reads a success; the JSON is dropped at once.
///
/// # Errors
///
/// When it is none, or `read` cannot use it.
pub fn read_reply<T>(reply: Reply, read: impl FnOnce(Json<'_>) -> Result<T, String>) -> Result<T, RequestError> {
    let status = reply.status;
    let body = reply.into_json()?;
    let told =
        |what: String| ApiErrors::told_by(&body).map_or(what.clone(), |errors| format!("{what}; it says: {errors}"));
    read(Json::of(&body)).map_err(|what| RequestError::WrongShape { status, what: told(what) })
}

impl Tlm for Client {
    async fn profiles(&self, page: Page) -> Result<ProfilePage, Failure> {
        self.ask(&Call::profiles(page), |body| body_profile::profiles(body, &self.secrets())).await
    }

    async fn profile(&self, id: &ProfileId) -> Result<Profile, Failure> {
        self.ask(&Call::profile(id), |body| body_profile::profile_of(id, body)).await
    }

    async fn issue(&self, request: &IssueRequest) -> Result<Answer, Failure> {
        self.ask(&Call::issue(request)?, |body| answer::answer(body, &self.secrets())).await
    }

    async fn renew(&self, request: &RenewRequest) -> Result<Answer, Failure> {
        self.ask(&Call::renew(request)?, |body| answer::answer(body, &self.secrets())).await
    }

    async fn pick_up(&self, request: &RequestId, profile: &ProfileId) -> Result<Pickup, Failure> {
        self.ask(&Call::pick_up(request, profile)?, |body| answer::pickup(body, &self.secrets())).await
    }

    async fn details(&self, serial: &SerialNumber, thumbprint: Option<&str>) -> Result<Details, Failure> {
        self.ask(&Call::details(serial, thumbprint), |body| answer::details_of(serial, body, &self.secrets())).await
    }

    async fn formats(&self, serial: &SerialNumber, thumbprint: Option<&str>) -> Result<Formats, Failure> {
        self.ask(&Call::formats(serial, thumbprint), answer::formats).await
    }

    async fn revoke(
        &self,
        serial: &SerialNumber,
        thumbprint: Option<&str>,
        reason: RevocationReason,
    ) -> Result<(), Failure> {
        // 204 by the reference; a body is as good.
        self.ask(&Call::revoke(serial, thumbprint, reason)?, |_| Ok(())).await
    }

    async fn search(&self, query: &SearchQuery, page: Page) -> Result<SearchPage, Failure> {
        self.ask(&Call::search(query, page), |body| answer::search(body, page, &self.secrets())).await
    }

    async fn me(&self) -> Result<Me, Failure> {
        self.ask(&Call::me(), |body| Ok(answer::me(body))).await
    }

    async fn me_as(&self, credential: &str) -> Result<Me, Failure> {
        let named = self.keys.iter().find(|key| key.name() == credential);
        self.ask_with(&Call::me(), named.or(self.key()), credential, |body| Ok(answer::me(body))).await
    }

    fn credentials(&self) -> Vec<CredentialEnd> {
        match &self.identity {
            Some(identity) => {
                vec![CredentialEnd { name: identity.name().to_owned(), not_after: identity.not_after() }]
            }
            None => {
                let names = self.keys.iter().map(|key| key.name().to_owned());
                names.map(|name| CredentialEnd { name, not_after: None }).collect()
            }
        }
    }

    async fn version(&self) -> Result<String, Failure> {
        self.ask(&Call::version(), answer::version).await
    }

    fn shown(&self, text: &str) -> Text {
        Text::masked(text, self.secrets())
    }

    fn end_of(&self, text: &str, limit: usize) -> Text {
        Text::end_masked(text, self.secrets(), limit)
    }

    fn use_next_key(&self) -> bool {
        Self::use_next_key(self)
    }

    fn credential(&self) -> String {
        self.active_credential().to_owned()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.host)
            .field("keys", &self.keys)
            .field("active", &self.active_credential())
            .field("identity", &self.identity)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}
