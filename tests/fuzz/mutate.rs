//! Mutations of a corpus, the same for the same seed: cuts, copies, words, numbers, lines and values of JSON.

use serde_json::Value;

/// Makes one input.
pub struct Mutator(u64);

impl Mutator {
    /// With its own random numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// An input of the corpus with a few changes.
    pub fn mutate(&mut self, corpus: &[&[u8]], words: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one_of(corpus).to_vec();
        for _ in 0..=self.below(4) {
            input = self.change(input, corpus, words);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, mut input: Vec<u8>, corpus: &[&[u8]], words: &[Vec<u8>]) -> Vec<u8> {
        let (at, end) = self.range(input.len());
        match self.below(10) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, input[at..end].to_vec())),
            2 => drop(input.splice(at..at, self.one_of(words).clone())),
            3 => drop(input.splice(at..end, self.one_of(words).clone())),
            4 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            5 => {
                let byte = u8::try_from(self.below(256)).unwrap_or_default();
                input.insert(at, byte);
            }
            6 => {
                let other = self.one_of(corpus);
                let (from, to) = self.range(other.len());
                drop(input.splice(at..end, other[from..to].to_vec()));
            }
            7 => self.lines(&mut input),
            _ => self.json(&mut input, words),
        }
        input
    }

    /// Swaps two lines.
    fn lines(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
        let (one, other) = (self.below(lines.len()), self.below(lines.len()));
        if !lines.is_empty() {
            lines.swap(one, other);
            *input = lines.concat();
        }
    }

    /// Changes one value of JSON: of the whole, or of one line of a journal.
    fn json(&mut self, input: &mut Vec<u8>, words: &[Vec<u8>]) {
        let is_journal = input.starts_with(b"renewd");
        let opens = |at: &usize| input.get(*at) == Some(&b'{') && (!is_journal || input[..*at].ends_with(b"+"));
        let places: Vec<usize> = (0..input.len()).filter(opens).collect();
        let start = if is_journal && !places.is_empty() {
            *self.one_of(&places)
        } else {
            input.iter().position(|byte| matches!(byte, b'{' | b'[')).unwrap_or(input.len())
        };
        let length = input[start..].iter().position(|byte| *byte == b'\n').filter(|_| is_journal);
        let end = length.map_or(input.len(), |length| start + length);
        let Ok(mut value) = serde_json::from_slice::<Value>(&input[start..end]) else { return };
        let steps = self.below(6);
        self.descend(&mut value, steps, words);
        input.splice(start..end, serde_json::to_vec(&value).unwrap_or_default());
    }

    fn descend(&mut self, value: &mut Value, steps: usize, words: &[Vec<u8>]) {
        let inner = match value {
            Value::Array(items) if steps > 0 && !items.is_empty() => {
                let at = self.below(items.len());
                items.get_mut(at)
            }
            Value::Object(fields) if steps > 0 && !fields.is_empty() => {
                let at = self.below(fields.len());
                fields.values_mut().nth(at)
            }
            _ => None,
        };
        if let Some(inner) = inner {
            return self.descend(inner, steps - 1, words);
        }
        let old = value.take();
        *value = match self.below(9) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => Value::from(self.next()),
            3 => Value::from(-1),
            4 => Value::from(self.word(words)),
            5 => Value::from(format!("{old}{}", self.word(words))),
            6 => Value::Array(vec![old.clone(), old]),
            7 => Value::from(1e300),
            _ => Value::Object([("certificate".to_owned(), old)].into_iter().collect()),
        };
    }

    /// A short range of something so long.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let at = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 16 };
        (at, (at + self.below(most + 1)).min(length))
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn word(&mut self, words: &[Vec<u8>]) -> String {
        let word: &Vec<u8> = self.one_of(words);
        String::from_utf8_lossy(word).into_owned()
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

const LONGEST: usize = 64 << 10;
