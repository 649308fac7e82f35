//! How a certificate and its chain are written into an answer.

use serde_json::{Value, json};

use super::ca::{Authority, CaCertificate};
use super::certificate;
use super::faults::FaultKind;
use super::reply::WEB_APP;
use super::state::{IssuedRecord, State};
use super::variants::ChainOrder;

/// The CA certificates above a leaf, its issuer first.
pub fn issuers(state: &State, record: &IssuedRecord, faults: &[FaultKind]) -> Vec<&'static CaCertificate> {
    let is_rsa = state.profile(&record.profile_id).is_some_and(|profile| profile.rsa_issuer);
    let authority = match (record.foreign || faults.contains(&FaultKind::ForeignChain), is_rsa) {
        (true, _) => Authority::foreign(),
        (false, true) => Authority::rsa(),
        (false, false) => Authority::ecdsa(),
    };
    vec![authority.intermediate_until(state.variants.ca_ends), &authority.root]
}

/// `serial_number`, `delivery_format` and `certificate` of an answer that delivers.
pub fn answer(state: &State, record: &IssuedRecord, wish: &RequestSpec<'_>) -> Value {
    let format = if state.variants.upper_case_formats { wish.format.to_uppercase() } else { wish.format.to_owned() };
    let mut answer = json!({"serial_number": serial(state, record), "delivery_format": format});
    let issuers = issuers(state, record, wish.faults);
    let has = |fault: FaultKind| wish.faults.contains(&fault);
    if has(FaultKind::NoSerial) {
        answer.as_object_mut().unwrap().remove("serial_number");
    }
    if has(FaultKind::SerialOnly) {
        return answer;
    }
    if wish.format == "pkcs7" || has(FaultKind::Pkcs7Certificate) || has(FaultKind::BarePkcs7) {
        let mut all = vec![record.der.as_slice()];
        all.extend(issuers.iter().map(|issuer| issuer.der.as_slice()));
        let armoured = certificate::pkcs7(&all);
        let bare: String = armoured.lines().filter(|line| !line.starts_with('-')).collect();
        answer["certificate"] = json!(if has(FaultKind::BarePkcs7) { bare } else { armoured });
        return answer;
    }
    let wants_chain = wish.include_chain && !wish.faults.contains(&FaultKind::MissingChain);
    let chain: Vec<&[u8]> = issuers.iter().filter(|_| wants_chain).map(|issuer| issuer.der.as_slice()).collect();
    if (state.variants.separate_chain || has(FaultKind::BrokenCa)) && wants_chain {
        let mut certificates: Vec<_> = chain.iter().map(|der| json!({"pem": text(der, wish.faults)})).collect();
        if has(FaultKind::BrokenCa) {
            let broken = certificate::pem(chain[0]).replace("MII", "M!I");
            certificates.splice(0..0, [json!(null), json!({"pem": broken})]);
        }
        answer["ca_certs"] = json!(certificates);
        answer["certificate"] = json!(leaf_text(&[&record.der], wish.faults));
    } else {
        let ordered = ordered(&record.der, chain, state.variants.chain_order, wish.faults);
        answer["certificate"] = json!(leaf_text(&ordered, wish.faults));
    }
    answer
}

/// How a certificate was asked for, and what goes wrong with it.
pub struct RequestSpec<'a> {
    pub format: &'a str,
    pub include_chain: bool,
    pub faults: &'a [FaultKind],
}

/// The serial number as the API shows it.
pub fn serial(state: &State, record: &IssuedRecord) -> String {
    let serial = record.serial.as_str();
    if state.variants.strips_leading_zeros { serial.trim_start_matches('0') } else { serial }.to_owned()
}

/// The leaf among its chain.
pub fn ordered<'a>(leaf: &'a [u8], chain: Vec<&'a [u8]>, order: ChainOrder, faults: &[FaultKind]) -> Vec<&'a [u8]> {
    let order = if faults.contains(&FaultKind::ShuffledChain) { ChainOrder::LeafInTheMiddle } else { order };
    let mut all: Vec<&[u8]> = chain;
    match order {
        ChainOrder::LeafFirst => all.insert(0, leaf),
        ChainOrder::RootFirst => {
            all.reverse();
            all.push(leaf);
        }
        ChainOrder::LeafInTheMiddle => {
            all.reverse();
            all.insert(all.len().min(1), leaf);
        }
    }
    all
}

fn leaf_text(certificates: &[&[u8]], faults: &[FaultKind]) -> String {
    if faults.contains(&FaultKind::HtmlCertificate) {
        return WEB_APP.to_owned();
    }
    let mut all: String = certificates.iter().map(|der| text(der, faults)).collect();
    if faults.contains(&FaultKind::LeadingText) {
        all.insert_str(0, "subject=CN = www.example.com\n");
    }
    if faults.contains(&FaultKind::TrailingData) {
        all.push_str("and something else\n");
    }
    all
}

/// One certificate as PEM, or as a fault has it.
pub fn text(der: &[u8], faults: &[FaultKind]) -> String {
    if faults.contains(&FaultKind::BareBase64) {
        return certificate::base64(der) + "\n";
    }
    if faults.contains(&FaultKind::UrlSafeBase64) {
        return certificate::base64(der).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned() + "\n";
    }
    let mut pem = certificate::pem(der);
    if faults.contains(&FaultKind::X509Label) {
        pem = pem.replace("CERTIFICATE", "X509 CERTIFICATE");
    }
    if faults.contains(&FaultKind::EscapedLines) {
        pem = pem.replace('\n', "\\n");
    }
    if faults.contains(&FaultKind::Crlf) { pem.replace('\n', "\r\n") } else { pem }
}
