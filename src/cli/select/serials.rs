//! A list of serial numbers as CAs publish one for a mass revocation: a number a line, `openssl x509 -serial`, the lines of
//! Let's Encrypt (`serial 0362… 131 …`), or a table (CSV, semicolons, tabs) whose header names the column.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::core::name::SerialNumber;
use crate::core::text::Text;

/// Reads a list, or standard input for `-`.
///
/// # Errors
///
/// When it cannot be read, or is no such list.
pub(super) fn read(file: &Path) -> Result<Serials, String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(LONGEST_LIST + 1).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|list| list.take(LONGEST_LIST + 1).read_to_string(&mut text))
    };
    let length = read.map_err(|error| error.to_string())?;
    if u64::try_from(length).is_ok_and(|length| length > LONGEST_LIST) {
        return Err("it is too long: at most 256 MiB".to_owned());
    }
    Ok(Serials { file: Text::new(&file.display().to_string()), ..Serials::parse(&text)? })
}

/// The serial numbers of a list, each as upper-case hexadecimal without leading zeros.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Serials {
    /// Where they are listed.
    pub(super) file: Text,
    /// Each under the forms that it may be meant in: a long number of digits alone may be decimal.
    forms: BTreeMap<String, usize>,
    /// As the list writes them.
    pub(super) written: Vec<String>,
}

impl Serials {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// The number of the first line that has no serial number, and what it has.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
        let mut lines =
            lines.filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#')).peekable();
        let Some((first, _)) = lines.peek() else { return Err("it names no serial number".to_owned()) };
        let column = Column::of_header(first);
        if column.is_some() {
            lines.next();
        }
        let column = column.unwrap_or(Column { at: 0, is_decimal: false });
        let mut serials = Self::default();
        for (line, number) in lines {
            let cells = cells(line);
            let cell = cells.get(column.at).map_or("", String::as_str);
            let forms = forms(cell, column.is_decimal);
            if forms.is_empty() {
                return Err(format!("line {number}: {:?} is not a serial number", Text::new(shortened(line)).as_str()));
            }
            let is_known = forms.iter().any(|form| serials.forms.contains_key(form));
            if !is_known {
                let place = serials.written.len();
                serials.forms.extend(forms.into_iter().map(|form| (form, place)));
                serials.written.push(cell.trim().to_owned());
            }
        }
        if serials.written.is_empty() { Err("it names no serial number".to_owned()) } else { Ok(serials) }
    }

    /// Which one of the list a serial number is.
    pub(super) fn place(&self, serial: &SerialNumber) -> Option<usize> {
        self.forms.get(&bare(&serial.0)).copied()
    }
}

/// Where a table has the serial numbers.
struct Column {
    at: usize,
    is_decimal: bool,
}

impl Column {
    /// The column that a header calls so; `None`: it is no header. A line with a serial number is none.
    fn of_header(line: &str) -> Option<Self> {
        let cells = cells(line);
        let named = |cell: &String| cell.to_ascii_lowercase().contains("serial") && forms(cell, false).is_empty();
        let at = cells.iter().position(named)?;
        let is_decimal = cells.get(at).is_some_and(|cell| cell.to_ascii_lowercase().contains("dec"));
        Some(Self { at, is_decimal })
    }
}

/// The cells of a line: quoted ones may hold what separates.
fn cells(line: &str) -> Vec<String> {
    let separator = ['\t', ';', ','].into_iter().find(|separator| line.contains(*separator));
    let (mut cells, mut is_quoted) = (vec![String::new()], false);
    for c in line.chars() {
        if c == '"' {
            is_quoted = !is_quoted;
        } else if Some(c) == separator && !is_quoted {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push(c);
        }
    }
    cells
}

/// What a cell may mean, as hexadecimal digits; nothing where it is not a serial number.
fn forms(cell: &str, is_decimal: bool) -> Vec<String> {
    let cell = cell.trim();
    let lower = cell.to_ascii_lowercase();
    let rest = PREFIXES.iter().find_map(|prefix| lower.strip_prefix(prefix)).map(str::trim_start);
    // What follows the word may go on with other things; what stands alone may be in groups.
    let digits = joined(rest.unwrap_or(&lower));
    let digits = digits.or_else(|| joined(rest?.split_whitespace().next()?));
    let Some(digits) = digits else { return Vec::new() };
    let may_be_decimal = digits.len() >= FEWEST_DECIMAL && digits.len() <= MOST_DECIMAL;
    let decimal = || hexadecimal(&digits).filter(|_| is_decimal || may_be_decimal);
    if is_decimal {
        return decimal().into_iter().collect();
    }
    let hex = Some(bare(&digits)).filter(|bare| bare.len() <= MOST_HEX);
    hex.into_iter().chain(decimal()).collect()
}

/// The digits of a number without what stands between them; `None` where anything else does.
fn joined(text: &str) -> Option<String> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: String = text.chars().filter(|c| *c != ':' && *c != '-' && !c.is_whitespace()).collect();
    let is_number = !digits.is_empty() && digits.len() <= MOST_DECIMAL && digits.bytes().all(|c| c.is_ascii_hexdigit());
    is_number.then_some(digits)
}

/// In capitals, without leading zeros.
fn bare(digits: &str) -> String {
    digits.trim_start_matches('0').to_ascii_uppercase()
}

/// A decimal number in hexadecimal.
fn hexadecimal(digits: &str) -> Option<String> {
    // Nibbles, the lowest first.
    let mut nibbles: Vec<u32> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10)?;
        for nibble in &mut nibbles {
            let value = *nibble * 10 + carry;
            (*nibble, carry) = (value % 16, value / 16);
        }
        if carry > 0 {
            nibbles.push(carry);
        }
    }
    let shown = nibbles.iter().rev().filter_map(|nibble| char::from_digit(*nibble, 16));
    Some(shown.collect::<String>().to_ascii_uppercase()).filter(|hex| !hex.is_empty() && hex.len() <= MOST_HEX)
}

fn shortened(line: &str) -> &str {
    line.char_indices().nth(MOST_SHOWN).and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

/// What stands before a number: `openssl x509 -serial`, `openssl x509 -text`, Let's Encrypt.
const PREFIXES: [&str; 5] = ["serial number:", "serial number", "serial=", "serial:", "serial "];
/// Twenty bytes, as RFC 5280 has it.
const MOST_HEX: usize = 40;
/// The digits of the largest number of twenty bytes, which may begin with two zeros as hexadecimal.
const MOST_DECIMAL: usize = 49;
/// A number of eight bytes, as public CAs have at least, has so many decimal digits. A shorter one is hexadecimal alone, or
/// a private CA's `10` would be two of its certificates.
const FEWEST_DECIMAL: usize = 17;
/// Of six million numbers.
const LONGEST_LIST: u64 = 256 << 20;
/// Of a line that is refused.
const MOST_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = Serials::parse(text);
        match (&found, expected) {
            (Ok(serials), Ok(expected)) => {
                assert_eq!(serials.written.len(), expected.len(), "{serials:?}");
                for (place, serial) in expected.iter().enumerate() {
                    let serial = SerialNumber((*serial).to_owned());
                    assert_eq!(serials.place(&serial), Some(place), "{serial} in {serials:?}");
                }
            }
            (Err(why), Err(expected)) => assert_eq!(why, expected),
            _ => panic!("{found:?}, not {expected:?}"),
        }
    }

    const ONE: &str = "0FD078DD48F1A2BD4D0F2BA96B6038FE";

    #[test]
    fn a_number_is_known_in_each_way_that_it_is_written() {
        for written in [
            ONE,
            "fd078dd48f1a2bd4d0f2ba96b6038fe",
            "0x0fd078dd48f1a2bd4d0f2ba96b6038fe",
            "0f:d0:78:dd:48:f1:a2:bd:4d:0f:2b:a9:6b:60:38:fe",
            "  0F D0 78 DD 48 F1 A2 BD 4D 0F 2B A9 6B 60 38 FE  ",
            "serial=0FD078DD48F1A2BD4D0F2BA96B6038FE",
            "Serial Number: 0f:d0:78:dd:48:f1:a2:bd:4d:0f:2b:a9:6b:60:38:fe",
            "\"0fd078dd48f1a2bd4d0f2ba96b6038fe\"",
            "21020869104500376438182461249190639870",
            "serial 0fd078dd48f1a2bd4d0f2ba96b6038fe 131 b8dcd3ed3f names: [a.example, b.example] missing CAA at 2019-12-03",
        ] {
            check(written, Ok(&[ONE]));
            check(&format!("\u{feff}# what to replace\r\n\r\n{written}\r\n{written}\n"), Ok(&[ONE]));
        }
    }

    #[test]
    fn a_table_has_a_header() {
        check(&format!("Order,Serial Number,Common name\n1,{ONE},\"a.example, b.example\"\n2,0a,c\n"), Ok(&[ONE, "A"]));
        check(&format!("serial;revoked\n{ONE};yes\n"), Ok(&[ONE]));
        check("\"Common Name\"\t\"serialNumber (decimal)\"\na.example\t16\n", Ok(&["10"]));
        check(&format!("{ONE},a.example\n0b,b.example\n"), Ok(&[ONE, "0B"]));
    }

    #[test]
    fn a_short_number_of_digits_is_hexadecimal_alone() {
        let serials = Serials::parse("10\n").unwrap();
        let place = |serial: &str| serials.place(&SerialNumber(serial.to_owned()));
        assert_eq!([place("10"), place("0010"), place("0A")], [Some(0), Some(0), None]);
    }

    #[test]
    fn a_line_that_is_no_serial_number_is_named() {
        check("0a\n# fine\nwww.example.com\n", Err("line 3: \"www.example.com\" is not a serial number"));
        check("name,end\nwww,2027\n", Err("line 1: \"name,end\" is not a serial number"));
        check("serial\n0a\nxyz\n", Err("line 3: \"xyz\" is not a serial number"));
        check("serial\n", Err("it names no serial number"));
        check("", Err("it names no serial number"));
        check(&"f".repeat(42), Err(&format!("line 1: {:?} is not a serial number", "f".repeat(42))));
        check("order,serial\n7\n", Err("line 2: \"7\" is not a serial number"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_causes_a_panic(text in "[0-9a-fxs ,;:\"\\t\\nrial\\PC]{0,80}") {
            drop(Serials::parse(&text));
        }

        #[test]
        fn a_decimal_number_is_the_same_number(number in 1u128..) {
            let hex = format!("{number:X}");
            proptest::prop_assert_eq!(hexadecimal(&number.to_string()), Some(hex));
        }
    }
}
