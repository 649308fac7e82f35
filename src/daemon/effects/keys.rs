//! The key of a request: made, kept from the certificate before, or read again.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{ActionRunner, Outcome, RequestKey};
use crate::api::Tlm;
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{Attempt, Generation};
use crate::core::protocol::Keyed;
use crate::core::request::compose;
use crate::core::text::Text;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::key::KeyType;
use crate::daemon::context::Context;
use crate::pki::csr;
use crate::pki::key::PrivateKey;
use crate::store::content::KEY;
use crate::store::pending;

impl<T: Tlm> ActionRunner<T> {
    /// Makes key and CSR, or takes the installed key where the entry keeps it, and puts both on the disk.
    pub(super) async fn make_key(&self, attempt: Attempt, kind: KeyType) -> Result<Outcome, Failure> {
        let entry = Arc::clone(&self.job.entry);
        let profile = self.job.profile.clone();
        let live = self.job.installed.as_ref().map(|installed| installed.generation).filter(|_| entry.reuse_key);
        let (pem, csr, spki) = self
            .context
            .blocking(move |c| {
                let key = match live {
                    Some(live) => installed_key(c, &entry, live, kind)?,
                    None => generate(kind)?,
                };
                let wish = profile.map(|profile| compose(&entry, &profile)).transpose()?;
                let subject = wish.map_or_else(|| entry.subject.clone(), |wish| wish.subject);
                let csr = csr::make(&key, &subject, &entry.names()).map_err(|error| {
                    Failure::new(FailureClass::EntryMismatch, format!("no signing request: {error}"))
                })?;
                let text = key.to_pem();
                pending::keep_key(&*c.disk, &c.layout, &entry.name, attempt, &text, &csr)?;
                Ok((text, csr, key.spki()))
            })
            .await?;
        Ok(Outcome::Key(Keyed { spki, kind, key: Arc::new(RequestKey { pem, csr, spki }) }))
    }

    pub(super) async fn read_key(&self, attempt: Attempt) -> Result<Outcome, Failure> {
        let name = self.job.entry.name.clone();
        let (pem, csr) = self.context.blocking(move |c| pending::read_key(&*c.disk, &c.layout, &name, attempt)).await?;
        let lost = |why: String| {
            Failure::new(FailureClass::KeyLost, format!("the key of request {attempt} is unusable: {why}"))
        };
        let key = PrivateKey::from_pem(pem.as_bytes()).map_err(|error| lost(error.to_string()))?;
        let kind = key.key_type().ok_or_else(|| lost("its type is not one that renewd makes".to_owned()))?;
        let spki = key.spki();
        Ok(Outcome::Key(Keyed { spki, kind, key: Arc::new(RequestKey { pem, csr, spki }) }))
    }
}

fn generate(kind: KeyType) -> Result<PrivateKey, Failure> {
    PrivateKey::generate(kind)
        .map_err(|error| Failure::new(FailureClass::Internal, format!("cannot make a key: {error}")))
}

/// The installed key, for an entry that keeps it; a new one where the type has to change, or renewd cannot use the
/// installed one.
fn installed_key<T: Tlm>(
    context: &Context<T>,
    entry: &Entry,
    live: Generation,
    kind: KeyType,
) -> Result<PrivateKey, Failure> {
    let path = match entry.placements().find_map(|placement| placement.files.key()) {
        Some(path) if live == Generation(0) => path.clone(),
        _ => context.layout.generation(&entry.name, live).join(KEY),
    };
    let bytes = context.disk.read(&path, crate::store::observe::FILE_LIMIT);
    let bytes =
        Zeroizing::new(bytes.map_err(|error| crate::store::disk_failure("read the key to keep,", &path, &error))?);
    let why = match PrivateKey::from_pem(&bytes) {
        Ok(key) if key.key_type() == Some(kind) => return Ok(key),
        Ok(key) => key.key_type().map_or_else(|| "is of another type".to_owned(), |other| format!("is {other}")),
        Err(error) => format!("cannot be used: {error}"),
    };
    let (name, path) = (&entry.name, path.display());
    tracing::warn!(%name, "reuse_key: the key in {path} {}; the next certificate gets a new key, {kind}", Text::new(&why));
    generate(kind)
}
