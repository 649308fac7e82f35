//! The few DER values that a certificate and a degenerate PKCS#7 are made of. Writes only; reading is x509-parser's.

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap());
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        out.push(0x80 | u8::try_from(bytes.len()).unwrap());
        out.extend(bytes);
    }
    out.extend_from_slice(content);
    out
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// `[n] EXPLICIT`, or `[n] IMPLICIT` of a constructed type.
pub fn tagged(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, content)
}

/// A non-negative INTEGER from its big-endian bytes.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    tlv(0x02, &content)
}

pub fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = Vec::new();
    push_base128(&mut content, arcs[0] * 40 + arcs[1]);
    arcs[2..].iter().for_each(|arc| push_base128(&mut content, *arc));
    tlv(0x06, &content)
}

fn push_base128(out: &mut Vec<u8>, arc: u64) {
    let digits: Vec<u8> = (0..10).map(|place| u8::try_from((arc >> (7 * place)) & 0x7f).unwrap()).collect();
    let top = digits.iter().rposition(|digit| *digit != 0).unwrap_or(0);
    out.extend((0..=top).rev().map(|place| if place == 0 { digits[place] } else { digits[place] | 0x80 }));
}

pub fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

pub fn boolean(value: bool) -> Vec<u8> {
    tlv(0x01, &[if value { 0xff } else { 0 }])
}

pub fn octet_string(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

/// A BIT STRING of whole bytes.
pub fn bit_string(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub fn printable(text: &str) -> Vec<u8> {
    tlv(0x13, text.as_bytes())
}

pub fn ia5(text: &str) -> Vec<u8> {
    tlv(0x16, text.as_bytes())
}

/// UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5), from seconds since 1970.
pub fn time(seconds: i64) -> Vec<u8> {
    let instant = jiff::Timestamp::from_second(seconds).unwrap();
    let text = instant.strftime("%Y%m%d%H%M%SZ").to_string();
    if text.as_str() < "2050" { tlv(0x17, &text.as_bytes()[2..]) } else { tlv(0x18, text.as_bytes()) }
}
