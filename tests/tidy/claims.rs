//! What the manual claims is shown: the tests that its tables name are there, and each row names one.

use std::fs;

use crate::root;

/// Every `tests/FILE.rs: NAME`, and every other file below `tests`, that a text names in backticks.
fn named(text: &str) -> Vec<(String, Option<String>)> {
    let is_file = |part: &&str| (part.starts_with("tests/") || part.starts_with("src/")) && part.contains('.');
    let quoted = text.split('`').skip(1).step_by(2).filter(is_file);
    let named = |part: &str| match part.split_once(": ") {
        Some((file, name)) => (file.to_owned(), Some(name.to_owned())),
        None => (part.to_owned(), None),
    };
    quoted.map(named).collect()
}

/// Whether a file holds a test of this name, or a macro's list of tests does.
fn holds(code: &str, name: &str) -> bool {
    let is_test = |before: &str| {
        let lines = before.lines().rev().skip(1).take_while(|line| line.trim_start().starts_with("#["));
        lines.into_iter().any(|line| line.contains("test]"))
    };
    let written = code.match_indices(&format!("fn {name}(")).any(|(at, _)| is_test(&format!("{}.", &code[..at])));
    let listed = code.lines().filter_map(|line| line.strip_prefix("each!(")?.strip_suffix(");"));
    written || listed.flat_map(|names| names.split(' ')).any(|listed| listed == name)
}

fn missing(text: &str) -> Vec<String> {
    let is_missing = |(file, name): &(String, Option<String>)| {
        let code = fs::read_to_string(root().join(file)).unwrap_or_default();
        code.is_empty() || name.as_ref().is_some_and(|name| !holds(&code, name))
    };
    named(text)
        .into_iter()
        .filter(is_missing)
        .map(|(file, name)| format!("{file}: {}", name.unwrap_or_default()))
        .collect()
}

/// The rows of the tables of a page.
fn rows(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).skip(1).collect()
}

#[test]
fn every_row_of_the_manuals_promises_names_tests_that_exist() {
    for (name, least) in [("promises", 55), ("security", 19)] {
        let page = fs::read_to_string(root().join(format!("src/cli/pages/renewd-{name}.7.md"))).unwrap();
        let rows = rows(&page);
        assert!(rows.len() >= least, "{name}: {}", rows.len());
        let silent: Vec<&&str> = rows.iter().filter(|row| named(row).is_empty()).collect();
        assert!(silent.is_empty(), "no test shows {silent:#?}");
    }
    for page in fs::read_dir(root().join("src/cli/pages")).unwrap() {
        let path = page.unwrap().path();
        let missing = missing(&fs::read_to_string(&path).unwrap());
        assert!(missing.is_empty(), "named in {} and not there: {missing:#?}", path.display());
    }
}

#[test]
fn a_name_without_a_test_is_seen() {
    assert!(missing("`tests/tidy/claims.rs: a_name_without_a_test_is_seen`, `tests/fuzz/main.rs: gate`").is_empty());
    for bad in
        ["tests/tidy/claims.rs: missing", "tests/tidy/claims.rs: nobody", "tests/none.rs: gate", "tests/none.txt"]
    {
        assert_eq!(missing(&format!("`{bad}`")).len(), 1, "{bad}");
    }
}

/// The numbers of the promises that a text cites: "promise 3", "promises 3, 4 and 11".
fn cited(text: &str) -> Vec<u32> {
    let lower = text.to_lowercase();
    let of = |after: &str| {
        let list = after.trim_start_matches('s').trim_start();
        let end = list.find(|c: char| !c.is_ascii_digit() && !", and".contains(c)).unwrap_or(list.len());
        let numbers = list[..end].split(|c: char| !c.is_ascii_digit());
        numbers.filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()
    };
    lower.match_indices("promise").flat_map(|(at, word)| of(&lower[at + word.len()..])).collect()
}

#[test]
fn every_promise_that_is_cited_is_on_the_map_with_its_tests() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows: Vec<&str> = map.lines().filter_map(|line| line.strip_prefix("//! | ")).collect();
    let number = |row: &&str| row.split(' ').next().unwrap().parse::<u32>().ok();
    let listed: Vec<u32> = rows.iter().filter_map(number).collect();
    assert_eq!(listed, (1..=20).collect::<Vec<_>>());
    let silent: Vec<_> = rows.iter().filter(|row| number(row).is_some() && named(row).is_empty()).collect();
    assert!(silent.is_empty(), "no test shows {silent:#?}");
    let missing = missing(&map);
    assert!(missing.is_empty(), "named on the map and not there: {missing:#?}");
    let folders = ["src", "tests"].map(|folder| crate::sources(&root().join(folder)));
    for path in folders.iter().flatten() {
        let unknown: Vec<u32> =
            cited(&fs::read_to_string(path).unwrap()).into_iter().filter(|n| !listed.contains(n)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
    let text = format!("{0}s 3, 4 and 11 rest on; {0} 20.", "Promise");
    assert_eq!(cited(&text), [3, 4, 11, 20]);
}
