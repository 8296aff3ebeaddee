//! SQL text to tokens: words, quoted names, strings, symbols, comments. Blanks fall away.

use super::SqlError;
use super::name::closing_quote;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    QuotedName,
    /// A string, or a number.
    Literal,
    /// Anything else, one character each.
    Symbol,
    /// A comment of either form.
    Comment,
}

/// A token and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub start: usize,
    /// The byte after it.
    pub end: usize,
}

impl Token {
    pub(crate) fn text<'a>(&self, sql: &'a str) -> &'a str {
        &sql[self.start..self.end]
    }

    pub(super) fn is_word(&self, sql: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(word)
    }

    pub(super) fn is_symbol(&self, sql: &str, symbol: char) -> bool {
        self.kind == TokenKind::Symbol && self.text(sql).starts_with(symbol)
    }
}

/// The line, from 1, that holds the byte.
pub(super) fn line_of(sql: &str, at: usize) -> usize {
    sql[..at].matches('\n').count() + 1
}

/// All tokens.
pub(crate) fn lex(sql: &str) -> Result<Vec<Token>, SqlError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(c) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let open = |what| SqlError::Open { what, line: line_of(sql, at) };
        // A blank of another kind is a letter to the server.
        let (kind, length) = if c.is_ascii_whitespace() || c == '\u{b}' {
            at += c.len_utf8();
            continue;
        } else if rest.starts_with("--") {
            (TokenKind::Comment, rest.find(['\n', '\r']).unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (TokenKind::Comment, comment(rest).ok_or_else(|| open("a comment"))?)
        } else if c == '\'' {
            // `E'...'` is a word `E` right before the quote; only there does a backslash escape.
            let escapes = tokens.last().is_some_and(|token| token.end == at && token.is_word(sql, "e"));
            (TokenKind::Literal, string(rest, escapes).ok_or_else(|| open("a string"))?)
        } else if c == '"' {
            (TokenKind::QuotedName, closing_quote(&rest[1..]).ok_or_else(|| open("a quoted name"))? + 2)
        } else if c == '$'
            && let Some(tag) = dollar_tag(rest)
        {
            let close = rest[tag.len()..].find(tag).ok_or_else(|| open("a dollar-quoted string"))?;
            (TokenKind::Literal, close + 2 * tag.len())
        } else if is_word_start(c) {
            let end = rest.find(|c: char| !is_word_start(c) && !c.is_ascii_digit() && c != '$');
            (TokenKind::Word, end.unwrap_or(rest.len()))
        } else if c.is_ascii_digit() {
            // Letters belong to it, as in `1e5` or `0x1F`; a trailing word would be an error of the server's anyway.
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
            (TokenKind::Literal, end.unwrap_or(rest.len()))
        } else {
            (TokenKind::Symbol, c.len_utf8())
        };
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    Ok(tokens)
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

/// The length of a comment, with those inside it.
fn comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The length of a string up to its closing quote; a doubled quote simply begins another string.
fn string(text: &str, escapes: bool) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if escapes => drop(bytes.next()),
            b'\'' if escapes && text.as_bytes().get(at + 1) == Some(&b'\'') => drop(bytes.next()),
            b'\'' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The `$tag$` with which a text begins.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let tag = &text[1..end];
    let word = !tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| is_word_start(c) || c.is_ascii_digit());
    word.then(|| &text[..=end])
}
