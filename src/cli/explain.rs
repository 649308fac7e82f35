//! `renewd explain`: what a code or a state of status and log means, what renewd does about it, and what the operator does.

use std::process::ExitCode;

use serde::Serialize;

use super::{exit, output};

/// Prints the page of a code; without one, every code with its first sentence.
pub(super) fn run(code: Option<&str>, json: bool) -> ExitCode {
    let Some(code) = code else {
        let pages: Vec<Page> = pages().collect();
        if json {
            output::print_json(&pages)
        } else {
            output::print(&list(&pages))
        }
        return exit::OK.into();
    };
    let wanted = code.trim().to_ascii_lowercase().replace('_', "-");
    match pages().find(|page| page.code == wanted) {
        Some(page) if json => output::print_json(&page),
        Some(page) => output::print(&format!("{}\n\n{}", page.code, page.text)),
        None => {
            output::complain(&unknown(&wanted));
            return exit::UNWELL.into();
        }
    }
    exit::OK.into()
}

/// The page of one code.
#[derive(Debug, Serialize)]
struct Page {
    code: &'static str,
    /// Its first sentence.
    summary: String,
    /// All of it.
    text: &'static str,
}

/// Every code and state with the first sentence of its page.
pub(super) fn summaries() -> impl Iterator<Item = (&'static str, String)> {
    pages().map(|page| (page.code, page.summary))
}

/// The pages, by what they are about. A line that begins with `# ` names the code of the page below it.
fn pages() -> impl Iterator<Item = Page> {
    let about = |text: &'static str| text.split("# ").filter_map(|page| page.split_once('\n')).map(page);
    SOURCES.iter().flat_map(move |text| about(text))
}

fn page((code, text): (&'static str, &'static str)) -> Page {
    let text = text.trim_end();
    let first = text.split("\n\n").next().unwrap_or_default();
    Page { code, summary: first.split_whitespace().collect::<Vec<_>>().join(" "), text }
}

fn list(pages: &[Page]) -> String {
    let rows = pages.iter().map(|page| vec![page.code.to_owned(), page.summary.clone()]);
    format!("{}\n\nThe page of a code: renewd explain CODE", output::table(&["CODE", "MEANS"], rows))
}

fn unknown(code: &str) -> String {
    let code = crate::core::text::Text::new(code);
    let near = |page: &Page| strsim::jaro_winkler(code.as_str(), page.code);
    let nearest = pages().max_by(|one, other| near(one).total_cmp(&near(other))).filter(|page| near(page) > CLOSE);
    let hint = nearest.map_or(String::new(), |page| format!("did you mean {}? ", page.code));
    format!("no code or state is named \"{code}\": {hint}`renewd explain` lists them all")
}

const SOURCES: [&str; 5] = [
    include_str!("explain/failures.txt"),
    include_str!("explain/problems.txt"),
    include_str!("explain/reasons.txt"),
    include_str!("explain/remarks.txt"),
    include_str!("explain/states.txt"),
];
/// Less similar words are another word.
const CLOSE: f64 = 0.8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::core::code::Code;
    use crate::core::failure::FailureClass;
    use crate::core::reason::State;
    use crate::engine::breaker::ApiState;

    /// All that status and log can name: the classes, the other codes, and the states of certificates and of the API that
    /// are not what their names say. No other word gets there as a code, since each is made from one of these types.
    #[test]
    fn every_code_and_state_has_one_page_and_every_page_a_code() {
        let codes = FailureClass::ALL.iter().map(|class| class.code());
        let codes: Vec<&str> = codes.chain(Code::ALL.iter().map(|code| code.as_str())).collect();
        let unique: BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(unique.len(), codes.len(), "two things have one code");
        let mut paged: Vec<&str> = pages().map(|page| page.code).collect();
        let states = State::ALL.iter().map(|state| state.as_str());
        let api = ApiState::ALL.iter().map(|state| state.as_str()).filter(|state| !["unknown", "ok"].contains(state));
        let mut codes: Vec<&str> = unique.into_iter().chain(states).chain(api).collect();
        paged.sort_unstable();
        codes.sort_unstable();
        // A state may be a code as well: its page is one.
        codes.dedup();
        assert_eq!(paged, codes);
    }

    #[test]
    fn every_page_has_its_three_parts_and_fits_a_terminal() {
        for Page { code, summary, text } in pages() {
            let mut rest = text;
            for part in ["What it means", "What renewd does", "What you do"] {
                let (before, after) =
                    rest.split_once(&format!("\n\n{part}\n  ")).unwrap_or_else(|| panic!("{code}: {part}"));
                assert!(!before.trim().is_empty(), "{code}: nothing before {part}");
                rest = after;
            }
            assert!(!rest.trim().is_empty(), "{code}: nothing to do is said by a word, too");
            assert!(summary.ends_with('.'), "{code}: {summary}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{code}: wider than a terminal");
            assert!(!text.contains("# "), "{code}: a mark in the text");
        }
    }

    /// What a page tells to read on is there.
    #[test]
    fn pages_name_pages_that_exist() {
        let codes: BTreeSet<&str> = pages().map(|page| page.code).collect();
        for Page { code, text, .. } in pages() {
            for named in text.split("renewd explain ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                let is_word = named.chars().all(|c| c.is_ascii_uppercase());
                assert!(is_word || codes.contains(named), "{code}: {named}");
            }
        }
    }

    #[test]
    fn a_misspelt_code_is_told_the_nearest() {
        assert!(unknown("api-unauthorized").contains("did you mean api-unauthorised?"));
        assert!(unknown("gate-refuse").contains("did you mean gate-refused?"));
        assert_eq!(unknown("zzz"), "no code or state is named \"zzz\": `renewd explain` lists them all");
    }
}
