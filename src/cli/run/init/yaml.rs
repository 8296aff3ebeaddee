//! Texts as YAML and the pipeline file read them.

use std::fmt::Write as _;

use crate::characters::is_unseen;

/// A text as a value of a pipeline file: `${` in it is no variable.
pub(super) fn value(text: &str) -> String {
    scalar(&text.replace("${", "$${"))
}

/// A text as YAML, in quotes only where it needs them.
pub(super) fn scalar(text: &str) -> String {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    if first && plain && !is_word(text) {
        return text.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_unseen(c) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Whether YAML, 1.1 or 1.2, takes a word for something else than a text.
pub(super) fn is_word(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A text as part of a comment, on one line.
pub(super) fn comment(text: &str) -> String {
    text.replace(is_unseen, " ")
}

/// A list of texts on one line.
pub(super) fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| value(text)).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_text_is_read_back_as_it_was(text in "\\PC{0,12}|[\\x00-\\x20\"'\\\\:#{}\\[\\],&*!|>%@`\u{85}\u{2028}\u{feff}$-]{0,8}") {
            let read: std::collections::BTreeMap<String, String> =
                serde_saphyr::from_str(&format!("a: {}\n", scalar(&text))).unwrap();
            proptest::prop_assert_eq!(&read["a"], &text);
        }
    }

    #[test]
    fn texts_that_yaml_takes_for_something_else_are_quoted() {
        for text in ["true", "No", "null", "~", "1", "1e3", "", "-", "a: b", "a #b", "x y"] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        assert_eq!(["obs_sbn", "a.b", "/repo/main"].map(scalar), ["obs_sbn", "a.b", "/repo/main"]);
        assert_eq!(value("a${b}"), "\"a$${b}\"");
        assert_eq!(scalar("a\u{200b}\u{202e}b"), "\"a\\u200b\\u202eb\"");
    }
}
