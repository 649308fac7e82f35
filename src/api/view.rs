//! A certificate as its details at TLM describe it to a person, beside what renewd decides by.

use crate::core::known::standing::Standing;
use crate::core::name::{ProfileId, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;

use super::body_answer::details_of;
use super::date;
use super::json::Json;

/// A certificate at TLM. What an answer does not name is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How it stands.
    pub standing: Standing,
    /// The SHA-256 of the certificate.
    pub thumbprint: Option<Text>,
    /// Begin and end of its validity.
    pub validity: (Option<Timestamp>, Option<Timestamp>),
    /// The profile's id and its name.
    pub profile: (Option<ProfileId>, Option<Text>),
    /// Whom it is counted for.
    pub seat: Option<Text>,
    /// Who signed it, by TLM's name.
    pub issuing_ca: Option<Text>,
    /// The CA's number of the order.
    pub order_id: Option<Text>,
    /// What somebody wrote beside it.
    pub notes: Option<Text>,
}

/// Reads the details of the certificate that was asked for; `secrets` are masked in what is said of it.
///
/// # Errors
///
/// When they are those of another certificate, or of none.
pub fn view(asked: &SerialNumber, body: Json<'_>, secrets: &[&str]) -> Result<View, String> {
    let details = details_of(asked, body, secrets)?;
    let text = |place: Json<'_>| {
        let said = place.text().filter(|said| !said.trim().is_empty())?;
        Some(Text::masked(said.trim(), secrets.iter().copied()))
    };
    let instant = |key: &str| body.at(key).text().and_then(|said| date::instant_in(&said));
    Ok(View {
        standing: details.standing,
        thumbprint: text(body.at("thumbprint")),
        validity: (instant("valid_from"), instant("valid_to")),
        profile: (details.profile, text(body.at("profile").at("name"))),
        seat: text(body.at("seat").at("seat_id")),
        issuing_ca: text(body.at("issuing_ca_name")),
        order_id: text(body.at("ca_response_attributes").at("order_id")),
        notes: text(body.at("notes")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::known::standing::TlmState;

    fn read(body: &Value) -> Result<View, String> {
        view(&SerialNumber("0A1B".to_owned()), Json::of(body), &["s3cret"])
    }

    #[test]
    fn what_the_reference_shows_is_read() {
        let body = json!({
            "serial_number": "0a1b", "status": "issued", "thumbprint": "AA", "notes": "for s3cret shops\u{7}", "seat": {"seat_id": "www"},
            "valid_from": "2026-11-24T10:00:00Z", "valid_to": "2027-02-22T23:59:59", "issuing_ca_name": "Issuing",
            "profile": {"id": "p-1", "name": "Web"}, "ca_response_attributes": {"order_id": 1_234_567_890},
        });
        let view = read(&body).unwrap();
        assert_eq!(view.standing.state, TlmState::Issued);
        assert_eq!(view.validity.0.unwrap().to_string(), "2026-11-24T10:00:00Z");
        assert_eq!(view.validity.1.unwrap().to_string(), "2027-02-22T23:59:59Z");
        let texts = [&view.profile.1, &view.seat, &view.issuing_ca, &view.order_id, &view.thumbprint];
        let texts: Vec<_> = texts.into_iter().map(|text| text.as_ref().unwrap().as_str()).collect();
        assert_eq!(texts, ["Web", "www", "Issuing", "1234567890", "AA"]);
        let notes = view.notes.unwrap();
        assert!(!notes.as_str().contains("s3cret") && !notes.as_str().contains('\u{7}'), "{notes}");
    }

    #[test]
    fn what_is_missing_is_none_and_another_certificate_is_refused() {
        let view = read(&json!({"serial_number": "0A1B", "notes": " ", "valid_to": "soon"})).unwrap();
        assert_eq!((view.notes, view.validity, view.profile.0), (None, (None, None), None));
        assert!(read(&json!({"serial_number": "0A1C"})).unwrap_err().contains("0A1C"));
        assert!(read(&json!({})).is_err());
    }
}
