//! DER as elements one after the other: enough to look into structures that renewd does not make itself. Lengths may be
//! longer than need be, or indefinite (BER), as some writers leave them and OpenSSL takes them.

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// What is in an element that holds others.
    pub(super) const fn inside(self) -> Der<'a> {
        Der(self.content)
    }

    /// Whether its length is not written: BER, and no DER.
    pub(super) fn is_indefinite(self) -> bool {
        self.whole.get(1) == Some(&INDEFINITE)
    }
}

/// What is left of a run of elements.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// The next element, if it has this tag; nothing is consumed else.
    pub(super) fn next_if(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }

    /// The one element that there is, of this tag.
    pub(super) fn only(mut self, tag: u8) -> Option<Element<'a>> {
        self.next_if(tag).filter(|_| self.0.is_empty())
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next_if(tag).map(|element| element.content)
    }

    /// The elements inside of the next one, which must be a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.expect(SEQUENCE).map(Self)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = Element<'a>;

    /// `None` at the end, and where what is left is none.
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, after) = element(self.0, DEPTH)?;
        self.0 = after;
        Some(element)
    }
}

/// The first element, in which indefinite lengths may be nested as deep as `depth`, and what follows it.
fn element(all: &[u8], depth: usize) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = all.split_first().filter(|(tag, _)| **tag & 0x1f != 0x1f)?;
    let (content, after) = match rest.strip_prefix(&[INDEFINITE]).filter(|_| tag & CONSTRUCTED != 0) {
        Some(rest) => unended(rest, depth.checked_sub(1)?)?,
        None => {
            let (length, rest) = length(rest)?;
            rest.split_at_checked(length)?
        }
    };
    Some((Element { tag: *tag, content, whole: all.get(..all.len() - after.len())? }, after))
}

/// The content of an element of indefinite length, and what follows the two zero bytes that end it.
fn unended(all: &[u8], depth: usize) -> Option<(&[u8], &[u8])> {
    let mut rest = all;
    loop {
        if let Some(after) = rest.strip_prefix(b"\0\0") {
            return Some((all.get(..all.len() - rest.len())?, after));
        }
        (_, rest) = element(rest, depth)?;
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let count = usize::from(*first & 0x7f);
    let (octets, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
    Some((octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest))
}

/// An unsigned number without the zero bytes before it.
pub(super) fn magnitude(integer: &[u8]) -> &[u8] {
    let leading = integer.iter().take_while(|byte| **byte == 0).count();
    integer.get(leading..).unwrap_or_default()
}

/// The bytes of a BIT STRING, with the bits that are not part of it cleared.
pub(super) fn bits(content: &[u8]) -> Option<Vec<u8>> {
    let (unused, bytes) = content.split_first().filter(|(unused, _)| **unused < 8)?;
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last &= 0xff << unused;
    }
    Some(bytes)
}

const CONSTRUCTED: u8 = 0x20;
const INDEFINITE: u8 = 0x80;
/// Deeper is no certificate and no key.
const DEPTH: usize = 32;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An element that is tagged by its place, and is no structure.
pub(super) const fn place(number: u8) -> u8 {
    0x80 | number
}

/// An element that is tagged by its place, and holds others.
pub(super) const fn place_of(number: u8) -> u8 {
    0xa0 | number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_at_their_lengths() {
        #[track_caller]
        fn check(bytes: &[u8], expected: &[(u8, usize)], left: usize) {
            let mut der = Der(bytes);
            let found: Vec<_> = der.by_ref().map(|element| (element.tag, element.content.len())).collect();
            assert_eq!((found.as_slice(), der.0.len()), (expected, left), "{bytes:x?}");
        }
        check(&[], &[], 0);
        check(&[2, 1, 7, 4, 0], &[(2, 1), (4, 0)], 0);
        check(&[0x30, 0x81, 1, 9], &[(0x30, 1)], 0);
        check(&[0x30, 0x82, 0, 1, 9], &[(0x30, 1)], 0);
        check(&[2, 2, 7], &[], 3);
        check(&[0x30, 0x80, 0, 0, 2, 1, 7], &[(0x30, 0), (2, 1)], 0);
        check(&[0x30, 0x80, 0xa0, 0x80, 2, 1, 0, 0, 0, 0, 0, 4, 0], &[(0x30, 7), (4, 0)], 0);
        check(&[0x30, 0x80, 2, 1, 7, 0], &[], 6);
        check(&[4, 0x80, 0, 0], &[], 4);
        check(&[0x30, 0x80].repeat(100_000), &[], 200_000);
        check(&[0x30, 0x85, 0, 0, 0, 0, 0], &[], 7);
        check(&[0x1f, 0x81, 1, 0], &[], 4);
        check(&[2], &[], 1);
        check(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[], 6);
    }
}
