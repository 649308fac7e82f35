//! Every variant by name, as flags and tables of tests spell it: `error-shape=single`, `refuse-duplicate=409+conflict`.

use std::time::Duration;

use super::variants::{
    ChainOrder, DateStyle, ErrorShape, Excess, MeShape, ProfileList, Refusal, Refusals, RenewedExpiry, Seats,
    SubjectRule, UnknownPath, Variants,
};

type Switch = fn(&mut Variants);

/// Every reading beside the default one.
pub static SWITCHES: [(&str, Switch); 63] = [
    ("error-shape=single", |v| v.error_shape = ErrorShape::Single),
    ("error-shape=status", |v| v.error_shape = ErrorShape::Status),
    ("error-shape=bare", |v| v.error_shape = ErrorShape::Bare),
    ("error-shape=numeric", |v| v.error_shape = ErrorShape::Numeric),
    ("error-shape=problem", |v| v.error_shape = ErrorShape::Problem),
    ("error-shape=map", |v| v.error_shape = ErrorShape::Map),
    ("error-shape=xml", |v| v.error_shape = ErrorShape::Xml),
    ("error-shape=text", |v| v.error_shape = ErrorShape::Text),
    ("unknown-path=page-404", |v| v.unknown_path = UnknownPath::Page404),
    ("unknown-path=json-404", |v| v.unknown_path = UnknownPath::Json404),
    ("profile-list=wrapped", |v| v.profile_list = ProfileList::Wrapped),
    ("profile-list=nested", |v| v.profile_list = ProfileList::Nested),
    ("profile-capped", |v| v.profile_cap = Some(20)),
    ("profile-odd", |v| v.odd_profiles = true),
    ("profile-ignores-offset", |v| v.ignores_offset = true),
    ("profile-singular-source", |v| v.profile_spelling.singular_source = true),
    ("profile-lower-case-sources", |v| v.profile_spelling.lower_case_sources = true),
    ("profile-fields-array", |v| v.profile_spelling.fields_array = true),
    ("profile-prefixed-curves", |v| v.profile_spelling.prefixed_curves = true),
    ("profile-no-allowed-key-sizes", |v| v.profile_spelling.no_allowed_key_sizes = true),
    ("profile-duplicate-certificate-allowed", |v| v.profile_spelling.duplicate_certificate_allowed = true),
    ("forbidden-validity=ignored", |v| v.forbidden_validity = Excess::Ignored),
    ("overlong-validity=refused", |v| v.overlong_validity = Excess::Refused),
    ("subject=body", |v| v.subject_rule = SubjectRule::BodyWins),
    ("subject=csr", |v| v.subject_rule = SubjectRule::CsrWins),
    ("csr-names-ignored", |v| v.csr_names_must_match = false),
    ("seats=equal-common-name", |v| v.seats = Seats::EqualCommonName),
    ("seats=one-name", |v| v.seats = Seats::OneName),
    ("issue-status=200", |v| v.issue_status = 200),
    ("renew-status=201", |v| v.renew_status = 201),
    ("renew-never-pends", |v| v.renew_may_pend = false),
    ("renewed-expiry=from-now", |v| v.renewed_expiry = RenewedExpiry::FromNow),
    ("too-early-without-date", |v| v.too_early_names_date = false),
    ("pending-empty-fields", |v| v.pending_has_empty_fields = true),
    ("dv-details", |v| v.dv_details = true),
    ("search-odd", |v| v.odd_items = true),
    ("search-capped", |v| (v.search_cap, v.has_more) = (Some(1), false)),
    ("pickup-companions", |v| v.pickup_has_companions = true),
    ("chain-order=root-first", |v| v.chain_order = ChainOrder::RootFirst),
    ("chain-order=leaf-in-the-middle", |v| v.chain_order = ChainOrder::LeafInTheMiddle),
    ("separate-chain", |v| v.separate_chain = true),
    ("upper-case-formats", |v| v.upper_case_formats = true),
    ("serial-in-any-case", |v| v.serial_in_any_case = true),
    ("strips-leading-zeros", |v| v.strips_leading_zeros = true),
    ("serials-collide", |v| v.serials_collide = true),
    ("details-in-pem", |v| v.details_in_pem = true),
    ("no-has-more", |v| v.has_more = false),
    ("open-valid-from", |v| v.open_valid_from = true),
    ("upper-case-status", |v| v.upper_case_status = true),
    ("hello-open", |v| v.hello_checks_key = false),
    ("old-hello", |v| v.old_hello = true),
    ("requires-user-agent", |v| v.requires_user_agent = true),
    ("requires-content-length", |v| v.requires_content_length = true),
    ("key-beside-certificate", |v| v.key_beside_certificate = true),
    ("cuts-at-ca-end", |v| v.cuts_at_ca_end = true),
    ("me=no-roles", |v| v.me = MeShape::NoRoles),
    ("dates=offset", |v| v.dates = DateStyle::Offset),
    ("dates=no-zone", |v| v.dates = DateStyle::NoZone),
    ("dates=date-only", |v| v.dates = DateStyle::DateOnly),
    ("dates=epoch-millis", |v| v.dates = DateStyle::EpochMillis),
    ("me=role-objects", |v| v.me = MeShape::RoleObjects),
    ("me=nested", |v| v.me = MeShape::Nested),
    ("me-hides-end", |v| v.me_hides_end = true),
];

/// The forms of the variants that carry a value, each with an example.
pub static VALUES: [(&str, &str); 7] = [
    ("refuse-WHAT=STATUS[+CODE]", "refuse-duplicate=409+conflict"),
    ("seats=SEAT[,SEAT…]", "seats=www.example.com"),
    ("profile-limit=COUNT", "profile-limit=50"),
    ("request-lifetime=SECONDS", "request-lifetime=3600"),
    ("rate-limit=COUNT/SECONDS", "rate-limit=100/60"),
    ("ca-ends=UNIX_SECONDS", "ca-ends=2000000000"),
    ("profile-ca-ends=UNIX_SECONDS", "profile-ca-ends=2000000000"),
];

type Of = fn(&mut Refusals) -> &mut Refusal;

/// What can be refused with a status and code of one's own.
pub static REFUSALS: [(&str, Of); 14] = [
    ("duplicate", |r| &mut r.duplicate),
    ("too-early", |r| &mut r.too_early),
    ("already-renewed", |r| &mut r.already_renewed),
    ("revoked", |r| &mut r.revoked),
    ("expired", |r| &mut r.expired),
    ("already-revoked", |r| &mut r.already_revoked),
    ("collision", |r| &mut r.collision),
    ("unknown-serial", |r| &mut r.unknown_serial),
    ("unknown-request", |r| &mut r.unknown_request),
    ("unknown-profile", |r| &mut r.unknown_profile),
    ("inactive-profile", |r| &mut r.inactive_profile),
    ("deleted-profile", |r| &mut r.deleted_profile),
    ("unlisted-attribute", |r| &mut r.unlisted_attribute),
    ("unknown-seat", |r| &mut r.unknown_seat),
];

impl Variants {
    /// Switches the variant of this name; an error says what is wrong with it.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        if let Some((_, switch)) = SWITCHES.iter().find(|(name, _)| *name == text) {
            switch(self);
            return Ok(());
        }
        let unknown = || format!("no variant {text:?}; `--list` shows them all");
        let (name, value) = text.split_once('=').ok_or_else(unknown)?;
        let wrong = || {
            let form = VALUES.iter().find(|(form, _)| form.starts_with(&format!("{name}=")));
            form.map_or_else(unknown, |(form, example)| format!("{text:?} should be {form}, such as {example}"))
        };
        match name {
            "seats" => self.seats = Seats::Only(value.split(',').map(str::to_owned).collect()),
            "profile-limit" => self.profile_limit = value.parse().map_err(|_| wrong())?,
            "request-lifetime" => {
                self.request_lifetime = Some(Duration::from_secs(value.parse().map_err(|_| wrong())?));
            }
            "ca-ends" => self.ca_ends = Some(value.parse().map_err(|_| wrong())?),
            "profile-ca-ends" => self.profile_ca_ends = Some(value.parse().map_err(|_| wrong())?),
            "rate-limit" => {
                let (count, seconds) = value.split_once('/').ok_or_else(wrong)?;
                let seconds = Duration::from_secs(seconds.parse().map_err(|_| wrong())?);
                self.rate_limit = Some((count.parse().map_err(|_| wrong())?, seconds));
            }
            _ => {
                let what = name.strip_prefix("refuse-").ok_or_else(unknown)?;
                let (_, of) = REFUSALS.iter().find(|(known, _)| *known == what).ok_or_else(unknown)?;
                *of(&mut self.refusals) = refusal(value).ok_or_else(|| {
                    format!("{text:?} should be refuse-{what}=STATUS[+CODE], such as refuse-{what}=409+conflict")
                })?;
            }
        }
        Ok(())
    }
}

fn refusal(value: &str) -> Option<Refusal> {
    let (status, code) = value.split_once('+').map_or((value, None), |(status, code)| (status, Some(code)));
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    Some(code.map_or_else(|| Refusal::nameless(status), |code| Refusal::of(status, code)))
}
