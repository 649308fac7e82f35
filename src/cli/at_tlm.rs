//! `renewd status NAME --online`: an installed certificate as TLM shows it, and what differs from here.

use std::path::Path;

use serde::Serialize;

use crate::api::View;
use crate::core::known::standing::{Standing, TlmState};
use crate::core::name::SerialNumber;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::status::CertificateStatus;

use super::{account, output};

/// What TLM says of a certificate.
#[derive(Serialize)]
pub(super) struct AtTlm {
    status: String,
    revocation_reason: Option<Text>,
    revoked_at: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    thumbprint: Option<Text>,
    profile: Option<Text>,
    seat: Option<Text>,
    issuing_ca: Option<Text>,
    order_id: Option<Text>,
    notes: Option<Text>,
    /// What is otherwise there than here, a sentence each.
    differences: Vec<String>,
}

/// Asks TLM for the details of what is installed.
///
/// # Errors
///
/// Why TLM tells nothing, for the operator.
pub(super) fn asked(config: &Path, certificate: &CertificateStatus) -> Result<AtTlm, String> {
    let Some(serial) = &certificate.serial_number else {
        return Err(format!("{}: nothing is installed that TLM could be asked about", certificate.name));
    };
    let serial = SerialNumber(serial.clone());
    let (_, account, runtime) = account::asked(config)?;
    let asked = runtime.block_on(account.client.view(&serial, certificate.fingerprint.as_deref()));
    asked.map(|view| AtTlm::new(view, certificate)).map_err(account::told)
}

impl AtTlm {
    fn new(view: View, here: &CertificateStatus) -> Self {
        let differences = differences(&view, here);
        let View { standing, thumbprint, validity: (from, until), profile: (id, name), .. } = view;
        let Standing { state, reason, since } = standing;
        let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            status: match &state {
                TlmState::Other(word) if word.as_str().is_empty() => "not named".to_owned(),
                TlmState::Other(_) | TlmState::Issued | TlmState::Revoked | TlmState::Suspended | TlmState::Expired => {
                    state.as_str().to_owned()
                }
            },
            revocation_reason: reason,
            revoked_at: instant(since),
            not_before: instant(from),
            not_after: instant(until),
            thumbprint,
            profile: name.or_else(|| id.map(|id| Text::new(&id.0))),
            seat: view.seat,
            issuing_ca: view.issuing_ca,
            order_id: view.order_id,
            notes: view.notes,
            differences,
        }
    }

    /// Whether it is there as it is here, and in force.
    pub(super) fn is_as_here(&self) -> bool {
        self.differences.is_empty()
    }

    /// A line a fact.
    pub(super) fn lines(&self, now: Timestamp) -> String {
        let mut lines = vec!["at TLM".to_owned()];
        let mut line = |name: &str, value: Option<String>| {
            lines.extend(value.map(|value| format!("  {name:<12} {value}")));
        };
        let instant = |at: &Option<String>| at.as_deref().map(|at| format!("{at} ({})", output::told(Some(at), now)));
        let text = |text: &Option<Text>| text.as_ref().map(Text::to_string);
        line("status", Some(self.status.clone()));
        line("reason", text(&self.revocation_reason));
        line("revoked", instant(&self.revoked_at));
        line("not before", instant(&self.not_before));
        line("not after", instant(&self.not_after));
        line("thumbprint", text(&self.thumbprint));
        line("profile", text(&self.profile));
        line("seat", text(&self.seat));
        line("issuing CA", text(&self.issuing_ca));
        line("order", text(&self.order_id));
        line("notes", text(&self.notes));
        self.differences.iter().for_each(|difference| line("DIFFERS", Some(difference.clone())));
        lines.join("\n")
    }
}

/// What is otherwise at TLM than here.
fn differences(view: &View, here: &CertificateStatus) -> Vec<String> {
    let mut found = Vec::new();
    if view.standing.state != TlmState::Issued {
        found.push(format!("it is {} at TLM, and installed here", view.standing.state));
    }
    let hex = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_uppercase();
    if let (Some(there), Some(own)) = (&view.thumbprint, &here.fingerprint)
        && hex(there.as_str()) != hex(own)
    {
        found.push(format!("TLM shows another certificate for this serial number: the fingerprint here is {own}"));
    }
    for (what, there, own) in
        [("begins", view.validity.0, &here.not_before), ("ends", view.validity.1, &here.not_after)]
    {
        let own = own.as_deref().and_then(|own| output::instant(own).ok());
        if let (Some(there), Some(own)) = (there, own)
            && there.seconds() != own.seconds()
        {
            found.push(format!("at TLM it {what} at {there}, here at {own}"));
        }
    }
    let wanted = here.profile.as_str();
    if let (Some(id), name) = (&view.profile.0, &view.profile.1)
        && *id.0 != *wanted
        && name.as_ref().is_none_or(|name| name.as_str() != wanted)
    {
        let named = name.as_ref().map_or_else(|| id.to_string(), |name| format!("\"{name}\""));
        found.push(format!("TLM counts it to the profile {named}; the entry names {wanted}"));
    }
    found
}
