//! Plain English in all texts that users read: the documentation, the help and the messages.

use std::fs;
use std::path::PathBuf;

use crate::page::{pages, root};

/// Words to avoid, and what to write instead.
const WORDS: &[(&str, &str)] = &[
    ("anew", "again"),
    ("are not there", "do not exist, or: are missing"),
    ("as it was", "unchanged"),
    ("as they were", "unchanged"),
    ("becomes of", "how ... is treated"),
    ("for good", "permanently"),
    ("go on", "continue"),
    ("goes on", "is running, or: continues"),
    ("in good order", "cleanly"),
    ("is no longer there", "was removed"),
    ("is not there", "not found, or: does not exist"),
    ("lie under each other", "one is inside the other"),
    ("likewise", "also, or: the same"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("mends", "fixes"),
    ("nobody", "no one, or name the person or program"),
    ("of no use", "cannot be used"),
    ("so many", "the number"),
    ("so much", "the amount"),
    ("somebody", "you, or name the person or program"),
    ("stand", "are kept"),
    ("stands", "is kept"),
    ("what it was", "changed"),
    ("what stands", "the current outputs"),
    ("what they were", "changed"),
    ("whoever", "the person or program that"),
    ("without a word", "no message, or: no exit record"),
];

/// Other meanings of these words.
const ALLOWED: &[&str] = &["stand alone", "stand for", "stands alone", "stands for"];

/// A word of a text and its line, from 1; an empty one for the end of a phrase.
type Token = (usize, String);

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for part in line.split_whitespace() {
            let in_word = |c: char| c.is_alphanumeric() || "_-'".contains(c);
            let mut word = String::new();
            for c in part.chars() {
                if in_word(c) {
                    word.extend(c.to_lowercase());
                } else {
                    tokens.extend((!word.is_empty()).then(|| (index + 1, std::mem::take(&mut word))));
                    tokens.push((index + 1, String::new()));
                }
            }
            tokens.extend((!word.is_empty()).then_some((index + 1, word)));
        }
    }
    tokens
}

fn begins_with(tokens: &[Token], phrase: &str) -> bool {
    let mut words = phrase.split(' ');
    let mut tokens = tokens.iter();
    words.all(|word| tokens.next().is_some_and(|(_, token)| token == word))
}

/// The lines of a text that have one of [`WORDS`], with the word and what to write instead.
fn dialect(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, (line, _)) in tokens.iter().enumerate() {
        let rest = &tokens[at..];
        if ALLOWED.iter().any(|phrase| begins_with(rest, phrase)) {
            continue;
        }
        let words = WORDS.iter().filter(|(word, _)| begins_with(rest, word));
        found.extend(words.map(|(word, instead)| (*line, *word, *instead)));
    }
    found
}

/// The text literals of a Rust file outside of its tests, each with its line.
fn literals(source: &str) -> Vec<(usize, String)> {
    let end = source.find("#[cfg(test)]\nmod tests {").unwrap_or(source.len());
    let source: Vec<char> = source[..end].chars().collect();
    let is = |at: usize, text: &str| text.chars().enumerate().all(|(i, c)| source.get(at + i) == Some(&c));
    let line_of = |at: usize| 1 + source[..at].iter().filter(|c| **c == '\n').count();
    let mut found = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let after_word = at > 0 && (source[at - 1].is_alphanumeric() || source[at - 1] == '_');
        if is(at, "//") {
            while at < source.len() && source[at] != '\n' {
                at += 1;
            }
        } else if is(at, "r") && !after_word && (is(at + 1, "\"") || is(at + 1, "#")) {
            let hashes = source[at + 1..].iter().take_while(|c| **c == '#').count();
            let begin = at + 1 + hashes;
            if !is(begin, "\"") {
                at = begin;
                continue;
            }
            let close = format!("\"{}", "#".repeat(hashes));
            let end = (begin + 1..source.len()).find(|end| is(*end, &close)).unwrap_or(source.len());
            found.push((line_of(at), source[begin + 1..end].iter().collect()));
            at = end + close.len();
        } else if is(at, "'") {
            // A character, or a lifetime.
            at += if is(at + 1, "\\") {
                3 + source[at + 3..].iter().take_while(|c| **c != '\'').count() + 1
            } else if is(at + 2, "'") {
                3
            } else {
                1
            };
        } else if is(at, "\"") {
            let line = line_of(at);
            let mut text = String::new();
            at += 1;
            while at < source.len() && source[at] != '"' {
                if source[at] == '\\' {
                    // `\n` is a space; a backslash at the end of a line joins the lines.
                    text.push(if is(at + 1, "n") { ' ' } else { *source.get(at + 1).unwrap_or(&' ') });
                    at += 2;
                } else {
                    text.push(source[at]);
                    at += 1;
                }
            }
            at += 1;
            found.push((line, text));
        } else {
            at += 1;
        }
    }
    found
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn report(found: &[String]) {
    assert!(found.is_empty(), "write plain English:\n{}", found.join("\n"));
}

// The help of all programs is in docs/reference/commands.md, and the keys of a pipeline file in docs/reference/pipeline.md.
#[test]
fn the_documentation_and_the_help_are_in_plain_english() {
    let mut found = Vec::new();
    let mut checked = 0;
    for page in pages() {
        let name = page.name();
        let is_ours = name.starts_with("docs/") || ["README.md", "SECURITY.md"].contains(&name.as_str());
        // The guide to the style quotes the words.
        if !is_ours || name == "docs/STYLE.md" {
            continue;
        }
        checked += 1;
        for (line, word, instead) in dialect(&page.text) {
            found.push(format!("{name}:{line}: `{word}`: write: {instead}"));
        }
    }
    assert!(checked > 15, "only {checked} pages were found");
    report(&found);
}

#[test]
fn the_messages_are_in_plain_english() {
    let mut found = Vec::new();
    let mut checked = 0;
    for path in sources() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        for (first, text) in literals(&fs::read_to_string(&path).unwrap()) {
            // A word alone is a name or a key, such as the user `nobody`.
            if !text.contains(' ') {
                continue;
            }
            checked += 1;
            for (line, word, instead) in dialect(&text) {
                found.push(format!("{name}:{}: `{word}`: write: {instead}", first + line - 1));
            }
        }
    }
    assert!(checked > 800, "only {checked} texts were found");
    report(&found);
}

#[test]
fn a_planted_word_is_found() {
    let text = "The file **Stands**.\nThe run goes\non. `x` stands for a name.\nIt goes. On time.\nA stage_goes on-line.\n";
    assert_eq!(
        dialect(text),
        [(1, "stands", "is kept"), (2, "goes on", "is running, or: continues")],
        "whole words, in any case, over the end of a line, but not over punctuation"
    );
}

#[test]
fn a_planted_message_is_found_and_comments_are_not() {
    let source = "// mend\nlet quote = '\"';\nfn f<'a>() { say(\"fix \\\n    it, or \\\"mend\\\" it\\nanew\") }\n\
                  let raw = r#\"a \"mended\" file\"#;\n#[cfg(test)]\nmod tests {\n\"mends\"\n}\n";
    let found: Vec<_> = literals(source)
        .iter()
        .flat_map(|(first, text)| {
            dialect(text).into_iter().map(move |(line, word, _)| (first + line - 1, word))
        })
        .collect();
    assert_eq!(found, [(4, "mend"), (4, "anew"), (5, "mended")]);
}
