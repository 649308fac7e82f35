//! Whatever a file holds, reading it ends in settings or in problems that can be shown; never in a panic.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use renewd::config::{Main, parse_inventory_file, parse_main};

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)).unwrap()
}

/// The text with the characters from `at` on replaced by `with`, `cut` of them lost.
fn damaged(text: &str, at: usize, cut: usize, with: &str) -> String {
    let at = at % text.chars().count();
    text.chars().take(at).chain(with.chars()).chain(text.chars().skip(at + cut)).collect()
}

fn read(text: &str) {
    let file = Path::new("/etc/renewd/renewd.toml");
    let main = parse_main(file, text).err();
    let drop_in = parse_inventory_file(&Main::new(file), "certs.d/x.toml", text).err();
    for problem in main.into_iter().chain(drop_in).flatten() {
        let shown = problem.to_string();
        assert!(shown.lines().count() <= 4 && !problem.summary().contains('\n'), "{shown}");
        assert!(!shown.replace('\n', "").chars().any(char::is_control), "{shown:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_file_is_read_to_its_end(at in 0..10_000_usize, cut in 0..40_usize, with in "\\PC{0,3}|[\"'=\\[\\]{}\n\t\u{1b}\u{202e}]{0,4}") {
        for name in ["renewd.toml", "certs.d/mail.toml", "certs.d/internal.toml"] {
            read(&damaged(&shipped(name), at, cut, &with));
        }
    }

    #[test]
    fn any_text_is_read_to_its_end(text in "\\PC{0,80}") {
        read(&text);
        read(&format!("[[certificate]]\nname = \"{text}\"\nvalidity = '{text}'\ndns_names = [\"{text}\"]\n"));
    }
}

/// A bracket for each byte must not cost the stack.
#[test]
fn deep_nesting_is_refused() {
    read(&format!("a = {}", "[".repeat(50_000)));
    read(&format!("[defaults]\ntags = {}{}", "[".repeat(5_000), "]".repeat(5_000)));
    read(&format!("{}x = 1", "a.".repeat(50_000)));
}
