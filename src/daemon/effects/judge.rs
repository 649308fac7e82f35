//! What came, put before the gate: by what the entry, the profile and the installed certificate say.

use crate::api::Tlm;
use crate::core::code::Code;
use crate::core::name::Digest;
use crate::core::protocol;
use crate::core::remark::Remark;
use crate::core::request::compose;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Validity;
use crate::core::wanted::subject::SubjectAttribute;
use crate::core::wanted::usage::Usage;
use crate::pki::answer::Answer;
use crate::pki::gate::{self, Candidate, Demand};

use super::{ActionRunner, InHand};

type Verdict = protocol::Verdict<InHand>;

impl<T: Tlm> ActionRunner<T> {
    pub(super) fn judge(
        &self,
        answer: &Answer,
        key: Digest,
        must_outlive: Option<Timestamp>,
        emergency: bool,
    ) -> Verdict {
        match self.verdict(answer, key, must_outlive) {
            gate::Verdict::Accepted(set) => self.accept(set, answer),
            gate::Verdict::Held { why, set, .. } if emergency => {
                tracing::warn!("installed anyway, since there is nothing better: {why}");
                self.accept(set, answer)
            }
            gate::Verdict::Held { why, lack, .. } => Verdict::Held(why, lack),
            gate::Verdict::NotYetValid { until, .. } => Verdict::NotYetValid(until),
            gate::Verdict::Refused(why) => {
                let is_end = must_outlive.is_some_and(|installed| self.is_only_a_cas_end(answer, key, installed));
                let why = why.into_iter().chain(unreadable(answer)).collect();
                if is_end { Verdict::EndsNoLater(why) } else { Verdict::Refused(why) }
            }
        }
    }

    /// Whether nothing is wrong with what was refused but that a CA keeps it from serving longer than what is installed.
    fn is_only_a_cas_end(&self, answer: &Answer, key: Digest, installed: Timestamp) -> bool {
        match self.verdict(answer, key, None) {
            gate::Verdict::Refused(_) => false,
            gate::Verdict::Accepted(set) | gate::Verdict::Held { set, .. } | gate::Verdict::NotYetValid { set, .. } => {
                set.is_limited_by_ca(installed)
            }
        }
    }

    fn verdict(&self, answer: &Answer, key: Digest, must_outlive: Option<Timestamp>) -> gate::Verdict {
        let issuers = self.issuers();
        let wish = self.job.profile.as_ref().and_then(|profile| compose(&self.job.entry, profile).ok());
        let validity = wish.as_ref().map_or(self.job.entry.validity, |wish| wish.validity);
        let mut subject = wish.map_or_else(|| self.job.entry.subject.clone(), |wish| wish.subject);
        subject.remove(&SubjectAttribute::CommonName);
        let usages = self.job.entry.usages.clone().unwrap_or_else(|| {
            self.job.installed.as_ref().map_or_else(Vec::new, |installed| Usage::of_installed(&installed.usages))
        });
        let demand = Demand {
            common_name: self.job.entry.naming.common_name(),
            names: &self.job.entry.names(),
            subject: &subject,
            subject_from: self.job.entry.subject_from,
            exact_names: self.job.entry.exact_names,
            usages: &usages,
            issuers: &issuers,
            pin: self.job.entry.issuer.as_deref(),
            installed_issuer: self.job.installed.as_ref().map(|installed| &installed.chain.issuer),
            validity_asked: validity.map(Validity::span),
            must_outlive,
            now: self.context.clock.now(),
        };
        gate::judge(&Candidate { certificates: &answer.certificates, key }, &demand)
    }

    fn accept(&self, mut set: Box<gate::Set>, answer: &Answer) -> Verdict {
        let unreadable = unreadable(answer);
        set.remarks.extend(unreadable.map(|what| Remark::new(Code::AnswerUnreadable, what.as_str())));
        if self.job.entry.include_root && set.root.is_none() { Verdict::Rootless(set) } else { Verdict::Accepted(set) }
    }
}

/// What could not be read of all that TLM sent, in words for log, status and refusal.
fn unreadable(answer: &Answer) -> impl Iterator<Item = Text> + '_ {
    let told = |note: &Text| Text::new(&format!("part of what TLM sent could not be read: {note}"));
    answer.unreadable.iter().map(told)
}
