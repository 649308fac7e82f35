//! Revoking what was replaced: the one order that TLM cannot take back, so that it is asked for twice before it leaves.

use std::sync::Arc;

use super::{ActionRunner, Outcome};
use crate::api::{RevocationReason, Tlm};
use crate::core::failure::Failure;
use crate::core::known::replaced::Replaced;
use crate::engine::breaker::Function;
use crate::engine::{Asker, Step};
use crate::store::observe;

impl<T: Tlm> ActionRunner<T> {
    /// It waited for its turn: a hold may have begun since, and somebody may have switched the files back by hand.
    pub(super) async fn revoke(&self, certificate: Replaced) -> Result<Outcome, Failure> {
        let name = &self.job.entry.name;
        self.context.take_turn(Asker::Certificate(name.clone())).await;
        if !self.context.may(name, Step::Revoke).await || self.is_live(&certificate).await? {
            return Ok(Outcome::NotNow);
        }
        let (api, thumbprint) = (self.context.api(), certificate.fingerprint.to_string());
        let revoked = api.revoke(&certificate.serial_number, Some(&thumbprint), RevocationReason::Superseded);
        self.ask(Function::Revoke, revoked).await?;
        Ok(Outcome::Done)
    }

    /// Whether it is what programs read now. What cannot be read may be it.
    async fn is_live(&self, certificate: &Replaced) -> Result<bool, Failure> {
        let (entry, certificate) = (Arc::clone(&self.job.entry), certificate.clone());
        let seen = self.context.blocking(move |c| Ok(observe::observe(&*c.disk, &c.layout, &entry))).await?;
        let installed = seen.installed();
        Ok(installed.is_none_or(|installed| certificate.is(&installed.serial_number, installed.fingerprint)))
    }
}
