//! GET certificate-search: filters, bounds and pages.

use serde_json::{Value, json};

use super::super::profile::{ACCOUNT_ID, BUSINESS_UNIT_ID};
use super::super::reply::{ApiError, Reply};
use super::super::state::{IssuedRecord, State};
use super::super::{certificate as x509, clock};
use super::{Call, certificate};

const PARAMETERS: [&str; 14] = [
    "account_id",
    "business_unit_id",
    "profile_id",
    "seat_id",
    "seat_type_id",
    "serial_number",
    "common_name",
    "thumbprint",
    "status",
    "valid_from",
    "valid_to",
    "sort",
    "offset",
    "limit",
];

pub fn search(state: &State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&PARAMETERS)?;
    let (offset, limit) = call.page(100)?;
    let (started, ended) = (range(call, "valid_from")?, range(call, "valid_to")?);
    let is_closed = started.as_ref().is_none_or(|days| days.from.is_some() && days.to.is_some());
    if !is_closed && !state.variants.open_valid_from {
        return Err(ApiError::input("valid_from", "Wrong input or input format."));
    }
    check_status(state, call)?;
    let fits = |record: &&IssuedRecord| {
        matches(call, record)
            && started.as_ref().is_none_or(|range| range.holds(record.not_before))
            && ended.as_ref().is_none_or(|range| range.holds(record.not_after))
    };
    let found: Vec<&IssuedRecord> = state.issued.iter().filter(fits).collect();
    let limit = state.variants.search_cap.map_or(limit, |cap| cap.min(limit));
    let page = found.iter().skip(offset).take(limit);
    let mut items: Vec<Value> = page.map(|record| certificate::describe(state, record, call.faults)).collect();
    if state.variants.odd_items && !items.is_empty() {
        let strange = json!({"serial_number": "00", "certificate": "none", "status": "issued"});
        items.splice(0..0, [json!(null), json!({"status": "issued"}), strange]);
    }
    let mut body = json!({"total": found.len(), "offset": offset, "limit": limit, "items": items});
    if state.variants.has_more {
        body["has_more"] = json!(offset + limit < found.len());
    }
    Ok(Reply::json(200, &body))
}

fn check_status(state: &State, call: &Call<'_>) -> Result<(), ApiError> {
    let Some(status) = call.query("status") else { return Ok(()) };
    let mut words = ["issued", "revoked", "expired", "suspended"].map(str::to_owned);
    if state.variants.upper_case_status {
        words = words.map(|word| word.to_uppercase());
    }
    if words.iter().any(|word| word == status) {
        return Ok(());
    }
    Err(ApiError::input("status", "Wrong input or input format."))
}

fn matches(call: &Call<'_>, record: &IssuedRecord) -> bool {
    let thumbprint = x509::thumbprint(&record.der);
    let fields = [
        ("account_id", ACCOUNT_ID),
        ("business_unit_id", BUSINESS_UNIT_ID),
        ("profile_id", &record.profile_id),
        ("seat_id", &record.seat),
        ("serial_number", &record.serial),
        ("common_name", &record.common_name),
        ("thumbprint", &thumbprint),
    ];
    let is_same = fields.iter().all(|(name, value)| call.query(name).is_none_or(|wanted| wanted == *value));
    is_same && call.query("status").is_none_or(|wanted| wanted.eq_ignore_ascii_case(record.status_word()))
}

/// Days from and to, both included; either may be open.
struct Days {
    from: Option<String>,
    to: Option<String>,
}

impl Days {
    fn holds(&self, seconds: i64) -> bool {
        let day = clock::day(seconds);
        self.from.as_ref().is_none_or(|from| *from <= day) && self.to.as_ref().is_none_or(|to| day <= *to)
    }
}

fn range(call: &Call<'_>, name: &str) -> Result<Option<Days>, ApiError> {
    let Some(text) = call.query(name) else { return Ok(None) };
    let wrong = || ApiError::input(name, "Wrong input or input format.");
    let (from, to) = text.split_once('_').ok_or_else(wrong)?;
    let day = |text: &str| match (text, text.parse::<jiff::civil::Date>()) {
        ("", _) => Ok(None),
        (_, Ok(day)) if day.to_string() == text => Ok(Some(text.to_owned())),
        _ => Err(wrong()),
    };
    let days = Days { from: day(from)?, to: day(to)? };
    if days.from.is_none() && days.to.is_none() { Err(wrong()) } else { Ok(Some(days)) }
}
