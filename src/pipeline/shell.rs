//! Comments in a text for the shell.
//!
//! Reads just enough of it to know quotes from comments; what a command means is for the shell.

use std::ops::Range;

/// The comments of a text: each from a `#` at the beginning of a word to the end of the line.
pub(super) fn comments(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut quote, mut in_word, mut comment) = (None, false, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (_, '\n') if comment.is_some() => found.extend(comment.take().map(|start| start..at)),
            _ if comment.is_some() => {}
            (None | Some('"'), '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if !in_word => comment = Some(at),
            _ => {}
        }
        in_word = quote.is_some() || !(c.is_whitespace() || matches!(c, ';' | '&' | '|' | '('));
    }
    found.extend(comment.map(|start| start..text.len()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_words_have_no_comments() {
        for (text, expected) in [
            ("echo hi # say ; touch x", vec!["# say ; touch x"]),
            ("# one\necho #two\nthree", vec!["# one", "#two"]),
            ("echo '# no' \"# no\" a#no $# ${a#b} \\# no", vec![]),
            ("echo 'it''s';# yes", vec!["# yes"]),
            ("echo \"a\\\" # no\" # yes", vec!["# yes"]),
            ("echo 'open # no", vec![]),
        ] {
            let found: Vec<&str> = comments(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
