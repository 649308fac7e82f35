//! The words of an XML body, such as the fault of a gateway that speaks SOAP. No parser: names, texts and entities are
//! taken as they come, and nothing is looked up.

/// An element's text, by the element's local name in lower case.
type Words = Vec<(String, String)>;

/// Whether a body that begins with `<` is a page for people.
pub(super) fn is_page(text: &str) -> bool {
    let head: String = text.chars().take(2048).collect::<String>().to_ascii_lowercase();
    let signs =
        ["<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta", "<center", "<h1", "<div", "<p>"];
    signs.iter().any(|sign| head.contains(sign)) || !head.trim_end().contains('>')
}

/// The texts of the elements that have one, in their order.
pub(super) fn words(text: &str) -> Words {
    let (mut words, mut name, mut rest) = (Words::new(), String::new(), text);
    while let Some((_, opened)) = rest.split_once('<') {
        let (tag, after) = opened.split_once('>').unwrap_or((opened, ""));
        let following = after.split_once('<').map_or(after, |(text, _)| text);
        let text = match tag.strip_prefix("![CDATA[") {
            Some(data) => data.trim_end_matches("]]"),
            None => {
                name = local_name(tag);
                following
            }
        };
        let text = plain(text.trim());
        if !text.is_empty() && !tag.starts_with(['/', '?']) && words.len() < MOST {
            words.push((name.clone(), text));
        }
        rest = after;
    }
    words
}

/// What a page says: its title, headings and paragraphs; a page without any tag is its own words.
pub(super) fn page_words(page: &str) -> Option<String> {
    let page: String = page.chars().take(LONGEST_PAGE).collect();
    // ASCII lower case keeps every offset.
    let folded = page.to_ascii_lowercase();
    let mut said: Vec<String> = Vec::new();
    for (at, _) in folded.match_indices('<') {
        let opened = folded.get(at + 1..).unwrap_or_default();
        let Some(name) = TELLING
            .iter()
            .find(|name| opened.starts_with(&format!("{name}>")) || opened.starts_with(&format!("{name} ")))
        else {
            continue;
        };
        let Some(from) = opened.find('>').map(|end| at + 1 + end + 1) else { continue };
        let rest = folded.get(from..).unwrap_or_default();
        let ends = [format!("</{name}"), format!("<{name}>"), "</body".to_owned()];
        let length = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        let words = without_tags(page.get(from..from + length).unwrap_or_default());
        if !words.is_empty() && !said.iter().any(|other| other.contains(&words)) {
            said.push(words);
        }
    }
    if !page.contains('<') {
        said.push(without_tags(&page));
    }
    let said: String = said.join("; ").chars().take(LONGEST).collect();
    (!said.is_empty()).then_some(said)
}

/// The text between the tags, in one line.
fn without_tags(text: &str) -> String {
    let parts = text.split('<').enumerate().map(|(at, part)| match part.split_once('>') {
        Some((_, text)) if at > 0 => text,
        Some(_) | None => part,
    });
    plain(&parts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "))
}

fn local_name(tag: &str) -> String {
    let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase()
}

fn plain(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

const MOST: usize = 64;
const TELLING: [&str; 4] = ["title", "h1", "h2", "p"];
/// So far into a page it says what it is about.
const LONGEST_PAGE: usize = 16 << 10;
/// So much of a page leaves room for what is said of it.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_fault_are_found() {
        #[track_caller]
        fn check(text: &str, expected: &[(&str, &str)]) {
            let found = words(text);
            let found: Vec<_> = found.iter().map(|(name, words)| (name.as_str(), words.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
        let fault = "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"x\"><s:Body><s:Fault><faultcode>s:Client</faultcode>\
                     <faultstring xml:lang=\"en\">no &lt;such&gt; seat &amp; key</faultstring></s:Fault></s:Body></s:Envelope>";
        check(fault, &[("faultcode", "s:Client"), ("faultstring", "no <such> seat & key")]);
        check("<Error><Message><![CDATA[a < b]]></Message></Error>", &[("message", "a < b")]);
        check("<a", &[]);
        check("", &[]);
    }

    #[test]
    fn a_page_is_told_from_xml() {
        for page in [
            "<!DOCTYPE html>",
            "<html>",
            "<HTML><HEAD>",
            "<?xml version=\"1.0\"?><!DOCTYPE html>",
            "<center><h1>502",
            "<",
        ] {
            assert!(is_page(page), "{page}");
        }
        for xml in ["<?xml version=\"1.0\"?><Error/>", "<s:Envelope>", "<problem xmlns=\"urn:ietf:rfc:7807\">"] {
            assert!(!is_page(xml), "{xml}");
        }
    }
}
