//! What users read is written in the field's words: no text of theirs has one of the turns that a native reader stumbles
//! over. The program's own names (codes, states, keys, kinds of events) are a contract and stay.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// The turn, and what to write in its place.
const BANNED: [(&str, &str); 52] = [
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fix"),
    ("tells", "reports"),
    ("told", "reported"),
    ("owed", "pending"),
    ("owes", "has a pending"),
    ("anew", "again"),
    ("tried again at", "next attempt at"),
    ("runs again at", "next attempt at"),
    ("asked again at", "next poll at"),
    ("asked for again", "requests again"),
    ("asks again", "polls again"),
    ("looked at", "checked, or probed"),
    ("is tried again", "next attempt"),
    ("are tried again", "retries"),
    ("as the files tell", "showing state from disk"),
    ("what to do:", "fix:"),
    ("does not run;", "is not running;"),
    ("all the same", "anyway"),
    ("put off", "extend"),
    ("put the end off", "extend the expiry date"),
    ("end date", "expiry date"),
    ("past its end", "expired"),
    ("nears its end", "is about to expire"),
    ("credential that has ended", "expired credential"),
    ("ended certificate", "expired certificate"),
    ("belongs into", "belongs in"),
    ("the generation before", "the previous generation"),
    ("operator's word", "on operator request"),
    ("your word", "name the command"),
    ("its word", "trusts it"),
    ("the word of", "name who reports it"),
    ("alone", "only"),
    ("for ever", "forever, or indefinitely"),
    ("goes on", "continues"),
    ("go on by", "continue by"),
    ("once more", "again"),
    ("is no", "is not a"),
    ("are no", "are not"),
    ("takes no", "does not accept"),
    ("stay shut", "stay closed"),
    ("stays shut", "stays closed"),
    ("not seen to be", "not"),
    ("whoever may", "name the permission"),
    ("otherwise than", "differs"),
    ("what is left of the", "the remaining"),
    ("is given until", "run it"),
    ("none of its own", "name the owner"),
    ("come what may", "in any case"),
    ("comes on top", "is not limited by it"),
];

/// Whether a text has a turn between other characters than those of a word: `hook-owed` is a name, not a turn.
fn has(text: &str, turn: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    text.match_indices(turn).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + turn.len()..]);
        // "There is no user", "is no longer" and "is no reason" are English.
        let is_english = ["is no", "are no"].contains(&turn)
            && (before.ends_with("there ")
                || [" longer", " later", " more", " reason"].iter().any(|word| after.starts_with(word)));
        !is_english && !is_word(before.chars().next_back()) && !is_word(after.chars().next())
    })
}

/// A text in one line, without the marks of comments and without what a program is called by.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['#', '/', '!']).trim());
    let line = lines.collect::<Vec<_>>().join(" ").to_lowercase();
    // A kind of event, not a turn.
    let line = line.replace("\"mended\"", "…").replace("`mended`", "…");
    // Tests, files and placeholders in a text are named, not said.
    let spoken = line.split('`').enumerate().map(|(at, part)| match part {
        part if at % 2 == 1 && (part.starts_with("tests/") || part.starts_with("src/")) => "…",
        part => part,
    });
    let mut depth = 0;
    let spoken: String = spoken.collect::<Vec<_>>().join("`");
    spoken
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '{');
            let is_said = depth == 0;
            depth -= i32::from(*c == '}' && depth > 0);
            is_said
        })
        .collect()
}

/// The string literals of a source file that hold more than a word, but for its tests and comments.
fn literals(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut found, mut rest) = (Vec::new(), code);
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, from) = rest.split_at(at);
        let inner = &from[1..];
        rest = if inner.starts_with('/') && from.starts_with('/') {
            inner.split_once('\n').map_or("", |(_, after)| after)
        } else if from.starts_with('"') {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let raw_end = format!("\"{}", "#".repeat(hashes));
            let is_raw = before.trim_end_matches('#').ends_with('r');
            let (text, after) = if is_raw { inner.split_once(&raw_end).unwrap_or((inner, "")) } else { cooked(inner) };
            found.extend(text.contains(' ').then(|| text.replace("\\\n", "\n").replace("\\\"", "\"")));
            after
        } else {
            // A character whose quotes are no string's, or a lifetime.
            ["'\"'", "'\\\"'"].iter().find_map(|quote| from.strip_prefix(quote)).unwrap_or(inner)
        };
    }
    found
}

/// A literal up to its end, and what follows.
fn cooked(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !is_escaped => return (&text[..at], &text[at + 1..]),
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    (text, "")
}

/// The help of the command line and the schemas' descriptions are comments of these files' fields.
const DESCRIBED: [&str; 7] = [
    "src/cli/mod.rs",
    "src/cli/schema.rs",
    "src/config/main_table.rs",
    "src/config/entry_table.rs",
    "src/config/hook.rs",
    "src/config/notify.rs",
    "src/config/rare_names.rs",
];

fn described(code: &str) -> String {
    code.lines()
        .filter(|line| line.starts_with("    ") && line.trim().starts_with("/// "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

/// Every text that a user reads, with the file that has it.
fn texts() -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    for path in crate::sources(&root().join("src")) {
        let code = fs::read_to_string(&path).unwrap();
        let is_test = ["tests.rs", "suite.rs", "example.rs", "openssl.rs"].iter().any(|end| path.ends_with(end));
        if !is_test {
            texts.extend(literals(&code).into_iter().map(|text| (path.clone(), text)));
        }
        if DESCRIBED.iter().any(|name| path == root().join(name)) {
            texts.push((path, described(&code)));
        }
    }
    let mut files = vec![root().join("README.md")];
    for folder in
        ["src/cli/explain", "src/cli/pages", "config", "systemd", ".github", "tests/cli/golden", "tests/daemon/golden"]
    {
        below(&root().join(folder), &mut files);
    }
    texts.extend(files.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).unwrap())));
    texts
}

#[test]
fn what_users_read_is_in_the_fields_words() {
    let texts = texts();
    assert!(texts.len() > 1200, "{} texts", texts.len());
    let mut strange = Vec::new();
    for (path, text) in &texts {
        let plain = plain(text);
        for (turn, instead) in BANNED.iter().filter(|(turn, _)| has(&plain, turn)) {
            let at = plain.find(turn).unwrap();
            let from = plain[..at].char_indices().rev().nth(40).map_or(0, |(at, _)| at);
            let shown: String = plain[from..].chars().take(100).collect();
            strange.push(format!("{}: {turn:?}, write {instead:?}: …{shown}…", path.display()));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[test]
fn turns_are_seen_where_they_are_said() {
    let code = "/// Mend it.\nfn f<'a>(x: &'a str) -> char { say(\"mend \\\n    the \\\"file\\\"\"); '\"' } // \"told alone\"\n\
                const R: &str = r#\"a \"raw\" one is no text\"#;\n#[cfg(test)]\nmod tests { \"owed anew\" }";
    let found: Vec<String> = literals(code).iter().map(|text| plain(text)).collect();
    assert_eq!(found, ["mend the \"file\"", "a \"raw\" one is no text"]);
    assert!(has("mend it", "mend") && has("it is no text", "is no") && has("(owed)", "owed"));
    for fine in ["amend it", "there is no text", "it is no longer", "hook-owed", "recommend"] {
        assert!(BANNED.iter().all(|(turn, _)| !has(fine, turn)), "{fine}");
    }
    assert_eq!(plain("# one\n# two `tests/a.rs: owed_anew` {told}"), "one two `…` ");
}
