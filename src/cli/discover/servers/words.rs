//! The words of a line, as most configurations quote them.

/// How a configuration quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// A backslash frees the next character of its meaning outside of quotes, too.
    pub(super) escapes: bool,
    /// Quotes may begin in the middle of a word.
    pub(super) inner_quotes: bool,
    /// A `#` outside of quotes begins a comment.
    pub(super) comments: bool,
}

/// Apache: quotes begin words, a backslash is an ordinary character outside of them.
pub(super) const APACHE: Rules = Rules { escapes: false, inner_quotes: false, comments: false };
/// HAProxy.
pub(super) const HAPROXY: Rules = Rules { escapes: true, inner_quotes: true, comments: true };
/// OpenLDAP: as HAProxy, but comments are lines of their own.
pub(super) const LDAP: Rules = Rules { escapes: true, inner_quotes: true, comments: false };

/// The words of a line. Quotes that do not end, end with it.
pub(super) fn words(line: &str, rules: Rules) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(open), '\\') if open == '"' || !rules.escapes => {
                let freed = rest.next_if(|&next| next == open || next == '\\' || (rules.escapes && next == '$'));
                word.get_or_insert_default().push(freed.unwrap_or('\\'));
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') if rules.inner_quotes || word.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') if rules.escapes => word.get_or_insert_default().extend(rest.next()),
            (None, '#') if rules.comments => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_each_grammar_quotes() {
        assert_eq!(
            words(r#"SSLCertificateFile "/a b\"c" d\e # f"#, APACHE),
            ["SSLCertificateFile", "/a b\"c", r"d\e", "#", "f"]
        );
        assert_eq!(
            words(r#"bind :443 ssl crt /a\ b"c d"'e\f' gh# i"#, HAPROXY),
            ["bind", ":443", "ssl", "crt", r"/a bc de\f", "gh"]
        );
        assert_eq!(words("a '' \"", HAPROXY), ["a", "", ""]);
        assert_eq!(words(r"TLSCertificateFile '/a b' \", LDAP), ["TLSCertificateFile", "/a b", ""]);
    }
}
