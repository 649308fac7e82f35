//! The certificates in a PKCS#7 SignedData (RFC 2315, RFC 5652), in DER or in BER with indefinite lengths. Its signers
//! are not looked at: the gate judges the certificates by their own signatures.

/// The DER of each certificate; `None`: it is no SignedData, or a damaged one.
pub(super) fn certificates(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (info, _) = Element::take(der)?;
    let (kind, rest) = Element::take(info.of(SEQUENCE)?)?;
    if kind.of(OID)? != SIGNED_DATA {
        return None;
    }
    let (wrapped, _) = Element::take(rest)?;
    let (signed, _) = Element::take(wrapped.of(CONTEXT_0)?)?;
    let mut rest = signed.of(SEQUENCE)?;
    while !rest.is_empty() {
        let (element, after) = Element::take(rest)?;
        if element.tag == CONTEXT_0 {
            return members(element.content);
        }
        rest = after;
    }
    Some(Vec::new())
}

/// The members that are certificates; others, such as attribute certificates, have tags of their own.
fn members(mut set: &[u8]) -> Option<Vec<&[u8]>> {
    let mut members = Vec::new();
    while !set.is_empty() && members.len() < MOST {
        let (member, after) = Element::take(set)?;
        members.extend(Some(member.whole).filter(|_| member.tag == SEQUENCE));
        set = after;
    }
    Some(members)
}

/// The first element of `bytes`, from its tag to its end; `None`: there is none.
pub(super) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (element, after) = Element::take(bytes)?;
    (element.tag == SEQUENCE).then_some((element.whole, after))
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        Self::below(bytes, DEEPEST)
    }

    fn below(bytes: &'a [u8], depth: u8) -> Option<(Self, &'a [u8])> {
        let (tag, rest) = bytes.split_first()?;
        // No tag of several bytes occurs in what is read here.
        if tag & 0x1f == 0x1f || depth == 0 {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (content, after) = match first {
            0x80 => indefinite(rest, depth)?,
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
                rest.split_at_checked(length)?
            }
            0x85.. => return None,
            short => rest.split_at_checked(usize::from(*short))?,
        };
        let whole = bytes.get(..bytes.len() - after.len())?;
        Some((Self { tag: *tag, content, whole }, after))
    }

    fn of(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// The content up to its end mark, and what follows that.
fn indefinite(bytes: &[u8], depth: u8) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    loop {
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            return Some((bytes.get(..bytes.len() - rest.len())?, after));
        }
        rest = Element::below(rest, depth - 1)?.1;
    }
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const CONTEXT_0: u8 = 0xa0;
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// No message nests deeper, and nothing is read for ever.
const DEEPEST: u8 = 16;
const MOST: usize = 256;
