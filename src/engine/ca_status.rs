//! The status of the CA certificates that are served: which look is due, and what is told of revoked ones. What cannot be
//! learnt is nobody's trouble.

use std::collections::BTreeSet;

use crate::core::code::Code;
use crate::core::known::ca_status::{Ca, CaWatch, Holder};
use crate::core::known::observed::{Installed, Observed};
use crate::core::name::{CertName, Digest};
use crate::core::text::Text;

use super::status::Problem;

/// What is known of the CA certificates that are served.
#[derive(Clone, Debug, Default)]
pub struct CaStatus {
    /// When each is looked at, and what was found.
    pub watch: CaWatch,
    /// Those that were told to be revoked.
    told: BTreeSet<Digest>,
}

impl CaStatus {
    /// Begins with what was kept.
    #[must_use]
    pub const fn new(watch: CaWatch) -> Self {
        Self { watch, told: BTreeSet::new() }
    }

    /// The revoked ones among those that are served, as problems; `installed` finds the installed certificate of a name.
    pub fn revoked<'i>(&self, installed: &impl Fn(&CertName) -> Option<&'i Installed>) -> Vec<(Digest, Problem)> {
        self.watch.cas().filter_map(|ca| Some((ca.served.fingerprint, problem(ca, installed)?))).collect()
    }

    /// Notes which are revoked now: those that were not told yet, and whether anything changed.
    pub fn note_revoked(&mut self, revoked: Vec<(Digest, Problem)>) -> (Vec<Problem>, bool) {
        let before = self.told.len();
        let is_there = |told: &Digest| revoked.iter().any(|(fingerprint, _)| fingerprint == told);
        self.told.retain(is_there);
        let is_change = self.told.len() != before;
        let news: Vec<_> = revoked.into_iter().filter(|(fingerprint, _)| self.told.insert(*fingerprint)).collect();
        let is_change = is_change || !news.is_empty();
        (news.into_iter().map(|(_, problem)| problem).collect(), is_change)
    }
}

/// Which set is live: its generation, and the fingerprint of its leaf.
#[must_use]
pub fn set_of(observed: &Observed) -> Option<(u64, Digest)> {
    observed.installed().map(|installed| (installed.generation.0, installed.fingerprint))
}

/// A revoked CA certificate that is served, as a problem.
pub fn problem<'c, 'i>(ca: &'c Ca, installed: &impl Fn(&CertName) -> Option<&'i Installed>) -> Option<Problem> {
    let current = |holder: &'c Holder| Some((&holder.name, installed(&holder.name).filter(|set| holder.is(set))?));
    let holders: Vec<_> = ca.holders.iter().filter_map(current).collect();
    let names: Vec<&CertName> = holders.iter().map(|(name, _)| *name).collect();
    let issuers: BTreeSet<&Text> = holders.iter().map(|(_, set)| &set.chain.issuer.subject).collect();
    let renew: Vec<String> = issuers.into_iter().map(|subject| quoted(subject.as_str())).collect();
    let (message, since) = (ca.remark(&names)?, ca.revocation()?.at);
    let remedy =
        format!("let the profile issue from another CA, then run: renewd renew --issuer {}", renew.join(" --issuer "));
    let certificates = names.into_iter().cloned().collect();
    let since = Some(since.to_string());
    Some(Problem { since, certificates, ..Problem::error(Code::CaRevoked.as_str(), &message, &remedy) })
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_a_command_that_a_shell_takes_as_it_is() {
        assert_eq!(quoted("CN=A"), "'CN=A'");
        assert_eq!(quoted("CN=$(reboot) `x`"), "'CN=$(reboot) `x`'");
        assert_eq!(quoted("CN=O'Hara"), "'CN=O'\\''Hara'");
    }
}
