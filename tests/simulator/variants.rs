//! Where the sources on the API disagree or are silent: each point a switch, its default the reading marked strongest.

use std::time::Duration;

/// Every switch. The defaults are the strongest reading.
#[derive(Clone, Debug)]
pub struct Variants {
    pub error_shape: ErrorShape,
    pub refusals: Refusals,
    pub unknown_path: UnknownPath,
    pub profile_list: ProfileList,
    /// The most profiles that a page may have.
    pub profile_limit: usize,
    /// The most profiles that a page has, whatever is asked for.
    pub profile_cap: Option<usize>,
    /// Whether each page of profiles ends with a null and a profile without id.
    pub odd_profiles: bool,
    /// Whether the offset into the profiles is not looked at.
    pub ignores_offset: bool,
    pub profile_spelling: ProfileSpelling,
    /// What becomes of `validity` where the profile forbids the override.
    pub forbidden_validity: Excess,
    /// The end of the issuing CA's certificate that comes with what is issued, in seconds since 1970; `None`: the usual one.
    pub ca_ends: Option<i64>,
    /// The same of the one that profiles show.
    pub profile_ca_ends: Option<i64>,
    /// Whether what is issued ends no later than `ca_ends`.
    pub cuts_at_ca_end: bool,
    /// What becomes of a validity that outlives the issuing CA.
    pub overlong_validity: Excess,
    pub subject_rule: SubjectRule,
    /// Whether the names in a signing request, where it holds any, must be those of the body or of the old certificate.
    pub csr_names_must_match: bool,
    pub seats: Seats,
    /// The status of a successful POST certificate.
    pub issue_status: u16,
    /// The status of a successful renew.
    pub renew_status: u16,
    /// Whether a renew of a profile that needs approval answers with a request id; otherwise it issues at once.
    pub renew_may_pend: bool,
    pub renewed_expiry: RenewedExpiry,
    /// Whether the refusal of an early renewal says until when.
    pub too_early_names_date: bool,
    /// Whether a pending answer carries empty `serial_number` and `certificate`.
    pub pending_has_empty_fields: bool,
    /// Whether what is pending waits for domain validation, and says so.
    pub dv_details: bool,
    /// Whether PENDING and REJECTED come with more than the status.
    pub pickup_has_companions: bool,
    /// How long a request id is known.
    pub request_lifetime: Option<Duration>,
    pub chain_order: ChainOrder,
    /// Whether `include_ca_chain` brings `ca_certs` instead of a longer `certificate`.
    pub separate_chain: bool,
    /// Whether format words are answered in upper case.
    pub upper_case_formats: bool,
    /// Whether a serial number in a path may be in lower case.
    pub serial_in_any_case: bool,
    /// Whether serial numbers are answered without their leading zeros.
    pub strips_leading_zeros: bool,
    /// Whether every serial number needs `thumbprint_sha256` beside it.
    pub serials_collide: bool,
    /// Whether details show the certificate as PEM instead of base64.
    pub details_in_pem: bool,
    pub dates: DateStyle,
    /// Whether each page of a search begins with items that cannot be read.
    pub odd_items: bool,
    /// The most items that a page of a search has, whatever is asked for.
    pub search_cap: Option<usize>,
    /// Whether search answers hold `has_more`.
    pub has_more: bool,
    /// Whether `valid_from` may have no last day, as `valid_to` may.
    pub open_valid_from: bool,
    /// Whether search takes and shows its status words in upper case.
    pub upper_case_status: bool,
    pub me: MeShape,
    /// Whether `user/me` is silent about the end of the key.
    pub me_hides_end: bool,
    /// Whether `/hello` needs the key.
    pub hello_checks_key: bool,
    /// Whether `/hello` speaks as Enterprise PKI Manager.
    pub old_hello: bool,
    /// Whether a request without `User-Agent` is refused.
    pub requires_user_agent: bool,
    /// Whether a body without `Content-Length` is refused.
    pub requires_content_length: bool,
    /// Whether a key may come beside a client certificate.
    pub key_beside_certificate: bool,
    /// So many requests of one key in this time; one more is answered by 429.
    pub rate_limit: Option<(usize, Duration)>,
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            error_shape: ErrorShape::List,
            refusals: Refusals::default(),
            unknown_path: UnknownPath::Page200,
            profile_list: ProfileList::Bare,
            profile_limit: 100,
            profile_cap: None,
            odd_profiles: false,
            ignores_offset: false,
            profile_spelling: ProfileSpelling::default(),
            forbidden_validity: Excess::Refused,
            ca_ends: None,
            profile_ca_ends: None,
            cuts_at_ca_end: false,
            overlong_validity: Excess::Ignored,
            subject_rule: SubjectRule::MustMatch,
            csr_names_must_match: true,
            seats: Seats::Automatic,
            issue_status: 201,
            renew_status: 200,
            renew_may_pend: true,
            renewed_expiry: RenewedExpiry::Added,
            too_early_names_date: true,
            pending_has_empty_fields: false,
            dv_details: false,
            pickup_has_companions: false,
            request_lifetime: None,
            chain_order: ChainOrder::LeafFirst,
            separate_chain: false,
            upper_case_formats: false,
            serial_in_any_case: false,
            strips_leading_zeros: false,
            serials_collide: false,
            details_in_pem: false,
            dates: DateStyle::Zulu,
            odd_items: false,
            search_cap: None,
            has_more: true,
            open_valid_from: false,
            upper_case_status: false,
            me: MeShape::RoleNames,
            me_hides_end: false,
            hello_checks_key: true,
            old_hello: false,
            requires_user_agent: false,
            requires_content_length: false,
            key_beside_certificate: false,
            rate_limit: None,
        }
    }
}

/// The shapes of an error body: four of the API, and those of what may stand before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorShape {
    /// `{"errors": [{"code", "message"}]}`
    List,
    /// `{"error": {"code", "message"}}`
    Single,
    /// `{"error": {"status", "message"}}`
    Status,
    /// `{"code", "message"}`
    Bare,
    /// `{"code": -1002, "description"}`
    Numeric,
    /// RFC 9457.
    Problem,
    /// `{"errors": {"field": ["…"]}}`
    Map,
    /// A fault of SOAP.
    Xml,
    /// Words alone.
    Text,
}

/// Status and code of the refusals whose numbers nobody documents.
#[derive(Clone, Debug)]
pub struct Refusals {
    pub duplicate: Refusal,
    pub too_early: Refusal,
    pub already_renewed: Refusal,
    /// A renewal of what is revoked or suspended.
    pub revoked: Refusal,
    /// A renewal of what has ended.
    pub expired: Refusal,
    /// A revocation of what is revoked.
    pub already_revoked: Refusal,
    pub collision: Refusal,
    pub unknown_serial: Refusal,
    pub unknown_request: Refusal,
    pub unknown_profile: Refusal,
    pub inactive_profile: Refusal,
    pub deleted_profile: Refusal,
    pub unlisted_attribute: Refusal,
    pub unknown_seat: Refusal,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            duplicate: Refusal::of(400, "duplicate_error"),
            too_early: Refusal::of(400, "invalid_request"),
            already_renewed: Refusal::of(400, "invalid_request"),
            revoked: Refusal::of(400, "invalid_request"),
            expired: Refusal::of(400, "invalid_request"),
            already_revoked: Refusal::of(400, "invalid_request"),
            collision: Refusal::of(400, "invalid_request"),
            unknown_serial: Refusal::of(404, "entity_not_found"),
            unknown_request: Refusal::of(404, "entity_not_found"),
            unknown_profile: Refusal::of(403, "no_access"),
            inactive_profile: Refusal::of(400, "invalid_request"),
            deleted_profile: Refusal::of(410, "invalid_request"),
            unlisted_attribute: Refusal::of(400, "invalid_request"),
            unknown_seat: Refusal::of(404, "entity_not_found"),
        }
    }
}

/// Status and code of one refusal.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: Option<String>,
}

impl Refusal {
    pub fn of(status: u16, code: &str) -> Self {
        Self { status, code: Some(code.to_owned()) }
    }

    /// A refusal without a code.
    pub fn nameless(status: u16) -> Self {
        Self { status, code: None }
    }
}

/// What a path that the API does not know brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPath {
    /// The web app with 200.
    Page200,
    /// The web app with 404.
    Page404,
    /// A JSON error with 404.
    Json404,
}

/// The shape of the list of profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileList {
    /// An array.
    Bare,
    /// `{"items": […]}`
    Wrapped,
    /// An array of arrays, as the specification words it.
    Nested,
}

/// How a profile spells what the sources spell differently.
#[derive(Clone, Debug, Default)]
pub struct ProfileSpelling {
    /// `source` in place of `sources`.
    pub singular_source: bool,
    /// Source words in lower case.
    pub lower_case_sources: bool,
    /// `fields` as an array.
    pub fields_array: bool,
    /// Curves as `P-256`.
    pub prefixed_curves: bool,
    /// No `allowed_key_sizes`.
    pub no_allowed_key_sizes: bool,
    /// `duplicate_certificate_allowed` in place of `duplicate_cert_policy`.
    pub duplicate_certificate_allowed: bool,
}

/// What becomes of a wish that goes too far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// 400.
    Refused,
    /// The profile's or the CA's own bound applies.
    Ignored,
}

/// How the subject of the body and that of the signing request go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectRule {
    /// Different ones are refused.
    MustMatch,
    /// The body's counts.
    BodyWins,
    /// The signing request's counts.
    CsrWins,
}

/// Where seats come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seats {
    /// Made at issuance.
    Automatic,
    /// Only these exist.
    Only(Vec<String>),
    /// The seat id must equal the common name.
    EqualCommonName,
    /// Made at issuance; all valid certificates of a seat have one common name.
    OneName,
}

/// When a renewed certificate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewedExpiry {
    /// The old end and the profile's validity.
    Added,
    /// The profile's validity from now on.
    FromNow,
}

/// The order of a chain that comes with the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainOrder {
    LeafFirst,
    RootFirst,
    LeafInTheMiddle,
}

/// How dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateStyle {
    /// `2026-11-24T10:00:00Z`
    Zulu,
    /// `2026-11-24T10:00:00.000+00:00`
    Offset,
    /// `2026-11-24T10:00:00.000000`
    NoZone,
    /// `2026-11-24`
    DateOnly,
    /// Milliseconds since 1970, as a number.
    EpochMillis,
}

/// The shape of `user/me`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeShape {
    /// `{"roles": ["…"]}`
    RoleNames,
    /// `{"roles": [{"id", "name"}]}`
    RoleObjects,
    /// `{"user": {"permissions": ["…"]}}`
    Nested,
    /// Without a word on roles.
    NoRoles,
}
