//! What each of the two readings finds.

use super::*;

fn told(read: &Result<FileBlock<'_>, PemError>) -> String {
    match read {
        Ok(block) => format!("{} {:?} {}", String::from_utf8_lossy(block.label), block.head, block.der.len()),
        Err(error) => format!("{error:?}"),
    }
}

#[track_caller]
fn check(text: &[u8], strict: &str, patient: &str) {
    let found: Vec<_> = Blocks::of_certificates(text).map(|read| told(&read)).collect();
    assert_eq!(found.join("; "), strict, "{}", text.escape_ascii());
    let found: Vec<_> = lenient(text).map(|(_, read)| told(&read)).collect();
    assert_eq!(found.join("; "), patient, "{}", text.escape_ascii());
}

#[track_caller]
fn both(text: &[u8], expected: &str) {
    check(text, expected, expected);
}

#[test]
fn what_stands_outside_is_no_concern() {
    both(b"-----BEGIN A-----\nAAAA\n-----END A-----\n", "A None 3");
    both(b"Z\xfcrich\n-----BEGIN A-----\nAAAA\n-----END A-----\nZ\xfc", "A None 3");
    both(b"\xef\xbb\xbf-----BEGIN A-----\nAAAA\n-----END A-----", "A None 3");
    both(b"a\0b\n-----BEGIN A-----\nAAAA\n-----END A-----\n", "A None 3");
    both(b"a\0b", "");
    both(b"", "");
}

#[test]
fn line_breaks_are_as_openssl_has_them_or_anywhere() {
    both(b"-----BEGIN A-----\r\nAAAA\r\nAAAA \t\r\n-----END A-----\xfc\r\n", "A None 6");
    both(b"-----BEGIN A-----\n  AA AA\n-----END A-----\n", "A None 3");
    check(b"-----BEGIN A-----\rAAAA\r-----END A-----\r", "CutOff", "A None 3");
    check(b" -----BEGIN A-----\n AAAA\n -----END A-----\n", "", "A None 3");
    check(b"-----BEGIN A-----AAAA-----END A----------BEGIN B-----AAAA-----END B-----", "CutOff", "A None 3; B None 3");
    check(b"-----BEGIN A-----\nAAAA\n\nAAAA\n-----END A-----\n", "A Other 3", "A None 6");
    check(b"-----BEGIN A-----\nAAAA\n\n-----END A-----\n", "Base64", "A None 3");
    check(b"-----BEGIN A-----\n\nAAAA\n\n-----END A-----\n", "Blank", "A None 3");
    check(b"\0\n-----BEGIN A-----\nAAAA\n-----END A-----\n", "", "A None 3");
}

#[test]
fn what_follows_a_full_buffer_begins_a_line() {
    let block = "-----BEGIN A-----\nAAAA\n-----END A-----\n";
    for (length, strict) in [(253, ""), (254, "A None 3"), (255, ""), (508, "A None 3")] {
        check(format!("{}{block}", "x".repeat(length)).as_bytes(), strict, "A None 3");
    }
    let body = "A".repeat(254);
    both(format!("-----BEGIN A-----\n{body}\nAA\n-----END A-----\n").as_bytes(), "A None 192");
    both(format!("-----BEGIN A-----\n{}  -----END A-----\n", &body[2..]).as_bytes(), "A None 189");
}

#[test]
fn headers_end_with_an_empty_line() {
    let text = b"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\nAAAA\n-----END A-----\n";
    both(text, "A Encrypted 3");
    both(b"-----BEGIN A-----\nComment: x\n\nAAAA\n-----END A-----\n", "A Other 3");
    check(b"-----BEGIN A-----\nComment: x\nAAAA\n-----END A-----\n", "Base64", "A Other 3");
    check(b"-----BEGIN A-----\n\nAAAA\nAAAA\n-----END A-----\n", "Blank", "A None 6");
}

#[test]
fn broken_blocks_are_told_apart() {
    both(b"-----BEGIN A-----\nAAAA\n-----END B-----\n", "CutOff");
    both(b"-----BEGIN A-----\nAAAA", "CutOff");
    both(b"-----BEGIN A-----\n-----END A-----\n", "Base64");
    both(b"-----BEGIN A-----\nAA!A\n-----END A-----\n", "Base64");
    both(b"-----BEGIN A-----\nAAA\x1bA\n-----END A-----\n", "Base64");
    both(b"-----BEGIN A-----\nAAA\n-----END A-----\n", "Base64");
    both(b"-----BEGIN A-----\nAB==\n-----END A-----\n", "A None 1");
    both(b"-----BEGIN A-----\nAAAA\n-x\n-----END A-----\n", "A None 3");
    check(b"-----BEGIN A", "", "");
    // The END line that is missing is that of the next block.
    check(b"-----BEGIN A-----\nAAAA\n-----BEGIN A-----\nAAAAAAAA\n-----END A-----\n", "A None 3", "A None 3");
}

#[test]
fn a_nul_ends_certificates_and_no_keys() {
    let text = b"\0\n-----BEGIN A-----\nAAAA\n-----END A-----\n";
    assert_eq!((Blocks::of_certificates(text).count(), Blocks::of_keys(text).count()), (0, 1));
    check(b"-----BEGIN A-----\nAAAA\n\0\n-----END A-----\n", "CutOff", "Base64");
}
