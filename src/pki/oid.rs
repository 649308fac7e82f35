//! Object identifiers between their dotted form and DER: of any size up to 128 bits a number, as UUIDs (2.25) need.

/// The content of the DER of an object identifier in dotted form; `None`: it is none.
pub(super) fn encode(dotted: &str) -> Option<Vec<u8>> {
    let arcs = dotted.split('.').map(str::parse).collect::<Result<Vec<u128>, _>>().ok()?;
    let [first, second, rest @ ..] = arcs.as_slice() else { return None };
    let mut content = Vec::new();
    push(&mut content, first.checked_mul(40)?.checked_add(*second)?);
    rest.iter().for_each(|arc| push(&mut content, *arc));
    Some(content)
}

/// Seven bits a byte, the highest first.
fn push(content: &mut Vec<u8>, arc: u128) {
    let places = (128 - arc.leading_zeros()).div_ceil(7).max(1);
    for place in (0..places).rev() {
        let bits = u8::try_from(arc >> (7 * place) & 0x7F).unwrap_or_default();
        content.push(if place == 0 { bits } else { bits | 0x80 });
    }
}

/// The dotted form of the content of an object identifier; `None` where it is none, or has a number of more than 128 bits.
pub(super) fn decode(content: &[u8]) -> Option<String> {
    let mut arcs = Vec::new();
    let mut arc: u128 = 0;
    for byte in content {
        arc = arc.checked_mul(128)? | u128::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    let is_whole = content.last().is_some_and(|last| last & 0x80 == 0);
    let [first, rest @ ..] = arcs.as_slice() else { return None };
    let root = (*first / 40).min(2);
    let numbers = [root, first - root * 40].into_iter().chain(rest.iter().copied());
    is_whole.then(|| numbers.map(|number| number.to_string()).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives() {
        let uuid = "2.25.329800735698586629295641978511506172918";
        for dotted in ["0.39", "1.2", "2.5.29.17", "2.999.3", "1.3.6.1.4.1.311.20.2.3", "1.2.0.127.128.16384", uuid] {
            assert_eq!(encode(dotted).and_then(|content| decode(&content)).as_deref(), Some(dotted));
        }
        assert_eq!(encode("1.2.840.113549"), Some(vec![0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D]));
        assert_eq!([encode("1"), encode(""), encode("1.x")], [None, None, None]);
        assert_eq!([decode(&[]), decode(&[0x2A, 0x86]), decode(&[0xFF; 30])], [None, None, None]);
    }
}
