//! Seeded mutations of a good pair: of bytes and lines of the text, in the armour and outside, and of bytes within.

use std::sync::LazyLock;

use crate::Case;
use crate::kinds::{Set, armour, body, set};

static SET: LazyLock<Set> = LazyLock::new(set);

/// Numbers for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        match self.below(3) {
            0 => b"-=:\n\r \0A"[self.below(8)],
            1 => u8::try_from(self.below(256)).unwrap(),
            _ => u8::try_from(32 + self.below(95)).unwrap(),
        }
    }
}

/// The case of a seed.
pub(crate) fn case(seed: u64) -> Case {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
    let Set { leaf, ca, key } = &*SET;
    let bag = "Bag Attributes\n    friendlyName: www\nsubject=CN = www.example.com\n\n";
    let (mut certificate, mut private) = (format!("{bag}{leaf}{bag}{ca}").into_bytes(), key.clone().into_bytes());
    let what = match random.below(6) {
        0 | 1 => text(&mut certificate, "certificate text", &mut random),
        2 => text(&mut private, "key text", &mut random),
        3 => {
            let (der, what) = within(body(leaf), "certificate der", &mut random);
            certificate = format!("{}{ca}", armour("CERTIFICATE", &der)).into_bytes();
            what
        }
        4 => {
            let (der, what) = within(body(ca), "certificate der of the CA", &mut random);
            certificate = format!("{leaf}{}", armour("CERTIFICATE", &der)).into_bytes();
            what
        }
        _ => {
            let (der, what) = within(body(key), "key der", &mut random);
            private = armour("PRIVATE KEY", &der).into_bytes();
            what
        }
    };
    Case { name: format!("{what} (seed {seed})"), certificate, key: private }
}

fn text(text: &mut Vec<u8>, what: &str, random: &mut Random) -> String {
    let at = random.below(text.len());
    let how = match random.below(7) {
        0 => {
            text[at] ^= 1 << random.below(8);
            "flip"
        }
        1 => {
            text.insert(at, random.byte());
            "insert"
        }
        2 => {
            text.remove(at);
            "delete"
        }
        3 => {
            text.truncate(at);
            "cut"
        }
        other => lines(text, other, random),
    };
    format!("{what}: {how} at {at}")
}

fn lines(text: &mut Vec<u8>, how: usize, random: &mut Random) -> &'static str {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    let how = match how {
        4 => {
            lines.insert(one, lines[other].clone());
            "a line once more"
        }
        5 => {
            lines.remove(one);
            "a line less"
        }
        _ => {
            lines.swap(one, other);
            "two lines swapped"
        }
    };
    *text = lines.concat();
    how
}

fn within(mut der: Vec<u8>, what: &str, random: &mut Random) -> (Vec<u8>, String) {
    let at = random.below(der.len());
    let how = match random.below(4) {
        0 | 1 => {
            der[at] ^= 1 << random.below(8);
            "flip"
        }
        2 => {
            der[at] = random.byte();
            "put"
        }
        _ => {
            der.remove(at);
            "delete"
        }
    };
    (der, format!("{what}: {how} at {at}"))
}
