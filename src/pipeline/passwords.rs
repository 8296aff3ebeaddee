//! Passwords in the strings, names and comments of a query: strings are read as the server reads them and put together as it
//! would.
//!
//! Not a place for what a password looks like in a text (see `dsn`).

use std::cell::Cell;

use crate::dsn::{has_password, is_password};
use crate::postgres::sql::{Token, TokenKind, lex};

use super::escapes::{unescaped, unescaped_unicode};

/// What stands for the part of a text that is no literal, such as a column.
const UNKNOWN: &str = "\u{fffc}";
/// Functions whose result is one of their arguments, more or less.
const CHANGES: [&str; 10] =
    ["btrim", "cast", "coalesce", "lower", "ltrim", "quote_literal", "rtrim", "text", "trim", "upper"];
/// Functions that put texts together.
const JOINS: [&str; 4] = ["concat", "concat_ws", "format", "replace"];
/// Deeper nesting is not looked into.
const MAX_DEPTH: usize = 32;

/// Where a string, name or comment of a query begins that holds a password.
pub(super) fn in_query(sql: &str) -> Option<usize> {
    let (comments, tokens): (Vec<Token>, Vec<Token>) =
        lex(sql).ok()?.into_iter().partition(|token| token.kind == TokenKind::Comment);
    let closing = closing(sql, &tokens);
    let comment = comments.iter().find(|comment| has_password(comment.text(sql)));
    let read = vec![Cell::new(false); tokens.len()];
    Cursor { sql, tokens, closing, read }.password().or(comment.map(|comment| comment.start))
}

struct Cursor<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    /// For each token, the parenthesis that closes it; the end if there is none.
    closing: Vec<usize>,
    /// For each token, whether it is a string that has been put together with others.
    read: Vec<Cell<bool>>,
}

fn closing(sql: &str, tokens: &[Token]) -> Vec<usize> {
    let mut closing = vec![tokens.len(); tokens.len()];
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == TokenKind::Symbol) {
        match token.text(sql) {
            "(" => open.push(at),
            ")" => open.pop().into_iter().for_each(|open: usize| closing[open] = at),
            _ => {}
        }
    }
    closing
}

impl Cursor<'_> {
    fn password(&self) -> Option<usize> {
        for (at, token) in self.tokens.iter().enumerate() {
            let text = self.text(at);
            let found = match token.kind {
                TokenKind::QuotedName => has_password(text) || self.is_argument(at),
                TokenKind::Word if self.is_argument(at) => true,
                _ if self.read[at].get() => false,
                _ if self.is_group(at) || self.string(at).is_some() || self.function(at).is_some() => {
                    let text = self.chain(at, 0).0;
                    // `\w+` and `%` stand for passwords, and are none.
                    let is_pattern =
                        self.is_pattern(at) && text.contains(['%', '_', '\\', '[', '.', '(', '*']);
                    !is_pattern && has_password(&text)
                }
                _ => false,
            };
            if found {
                return Some(token.start);
            }
        }
        None
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text(self.sql))
    }

    fn touches(&self, at: usize) -> bool {
        let next = self.tokens.get(at + 1);
        next.is_some_and(|next| self.tokens[at].end == next.start)
    }

    /// Whether these symbols begin at a token, without blanks between them.
    fn symbols(&self, at: usize, symbols: &str) -> bool {
        symbols.chars().enumerate().all(|(index, symbol)| {
            let (token, text) = (self.tokens.get(at + index), self.text(at + index));
            token.is_some_and(|token| token.kind == TokenKind::Symbol) && text.starts_with(symbol)
        })
    }

    /// Whether a name is that of a password, and its value follows: `password => 'x'`, `password := 'x'`, `password 'x'`.
    fn is_argument(&self, at: usize) -> bool {
        let name = self.text(at).trim_matches('"').to_ascii_lowercase();
        let value = if self.symbols(at + 1, "=>") || self.symbols(at + 1, ":=") { at + 3 } else { at + 1 };
        let follows = value == at + 3 || self.string(value).is_some();
        name.ends_with("password") && follows && is_password(&self.chain(value, 0).0)
    }

    /// Whether what begins here is compared with as a pattern.
    fn is_pattern(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).map_or("", |before| self.text(before));
        let word = before(1).to_ascii_lowercase();
        matches!(word.as_str(), "like" | "ilike" | "to" | "~") || word == "*" && before(2) == "~"
    }

    /// Whether a parenthesis is not that of a function.
    fn is_group(&self, at: usize) -> bool {
        let is_name = |before: usize| {
            matches!(self.tokens[before].kind, TokenKind::Word | TokenKind::QuotedName)
                && self.touches(before)
        };
        self.symbols(at, "(") && !at.checked_sub(1).is_some_and(is_name)
    }

    /// A function with a known result.
    fn function(&self, at: usize) -> Option<String> {
        let name = self.text(at).to_ascii_lowercase();
        let known = CHANGES.contains(&name.as_str()) || JOINS.contains(&name.as_str());
        (known && self.symbols(at + 1, "(")).then_some(name)
    }

    /// What terms with `||` between them make, as far as that can be told, and the token behind them.
    fn chain(&self, mut at: usize, depth: usize) -> (String, usize) {
        let mut joined = String::new();
        loop {
            let (text, mut end) = self.term(at, depth);
            joined += &text;
            while self.symbols(end, "::") {
                end = self.type_end(end + 2);
            }
            // Strings that stand together are one.
            let more = self.string(at).is_some() && self.string(end).is_some();
            if !more && !self.symbols(end, "||") {
                return (joined, end);
            }
            at = if more { end } else { end + 2 };
        }
    }

    fn type_end(&self, at: usize) -> usize {
        let mut end = at + 1;
        while self.symbols(end, ".") {
            end += 2;
        }
        if self.symbols(end, "(") { self.closing[end] + 1 } else { end }
    }

    fn term(&self, at: usize, depth: usize) -> (String, usize) {
        if let Some((text, end)) = self.string(at) {
            self.read[at..end].iter().for_each(|read| read.set(true));
            return (text, end);
        }
        if self.symbols(at, "(") {
            let (text, end) =
                if depth < MAX_DEPTH { self.chain(at + 1, depth + 1) } else { (String::new(), at) };
            if self.symbols(end, ")") && end > at + 1 {
                return (text, end + 1);
            }
            // Its strings are looked at one by one.
            self.read[at..self.closing[at]].iter().for_each(|read| read.set(false));
            return (UNKNOWN.to_owned(), self.closing[at] + 1);
        }
        if let Some(name) = self.function(at).filter(|_| depth < MAX_DEPTH) {
            let (arguments, end) = self.arguments(at + 1, depth + 1);
            return (result(&name, &arguments), end);
        }
        let mut end = at + 1;
        while self.symbols(end, ".") {
            end += 2;
        }
        if self.symbols(end, "(") {
            return (UNKNOWN.to_owned(), self.closing[end] + 1);
        }
        let number = self.text(at).starts_with(|c: char| c.is_ascii_digit());
        (if number { self.text(at) } else { UNKNOWN }.to_owned(), end)
    }

    /// The arguments in parentheses, and the token behind them.
    fn arguments(&self, open: usize, depth: usize) -> (Vec<String>, usize) {
        let close = self.closing[open];
        let (mut found, mut at) = (Vec::new(), open + 1);
        while at < close {
            let (mut text, mut end) = self.chain(at, depth);
            // An expression may use the text in any way.
            while end < close && !self.symbols(end, ",") {
                text += UNKNOWN;
                end = if self.symbols(end, "(") { self.closing[end] + 1 } else { end + 1 };
            }
            found.push(text);
            at = end + 1;
        }
        (found, close + 1)
    }

    /// The string that begins at a token, as the server reads it, and the token behind it.
    fn string(&self, at: usize) -> Option<(String, usize)> {
        let token = self.tokens.get(at)?;
        let text = self.text(at);
        if token.kind == TokenKind::Literal && text.starts_with('$') {
            let tag = &text[..text[1..].find('$')? + 2];
            return Some((text.strip_prefix(tag)?.strip_suffix(tag)?.to_owned(), at + 1));
        }
        let (start, escape) = match text.to_ascii_lowercase().as_str() {
            "e" if self.touches(at) => (at + 1, Some(unescaped as fn(&str) -> String)),
            "u" if self.touches(at) && self.symbols(at + 1, "&") && self.touches(at + 1) => {
                (at + 2, Some(unescaped_unicode as fn(&str) -> String))
            }
            "n" | "b" | "x" if self.touches(at) => (at + 1, None),
            _ => (at, None),
        };
        let is_quoted = |at: usize| {
            self.text(at).starts_with('\'')
                && self.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Literal)
        };
        if !is_quoted(start) {
            return None;
        }
        let mut content = inside(self.text(start)).to_owned();
        let mut end = start + 1;
        // A doubled quote ends one token and begins the next.
        while is_quoted(end) && self.touches(end - 1) {
            content.push('\'');
            content += inside(self.text(end));
            end += 1;
        }
        Some((escape.map_or(content.clone(), |unescaped| unescaped(&content)), end))
    }
}

/// A string without its quotes.
fn inside(literal: &str) -> &str {
    literal.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')).unwrap_or_default()
}

/// What a function makes of its arguments.
fn result(name: &str, arguments: &[String]) -> String {
    let argument = |index: usize| arguments.get(index).map(String::as_str).unwrap_or_default();
    match name {
        "concat" => arguments.concat(),
        "concat_ws" => arguments.get(1..).unwrap_or_default().join(argument(0)),
        "replace" if !argument(1).is_empty() => argument(0).replace(argument(1), argument(2)),
        "format" => formatted(argument(0), arguments),
        _ => arguments.join(" "),
    }
}

/// What `format` makes: `%s`, `%L` and `%I` are arguments in turn, `%2$s` is the second.
fn formatted(format: &str, arguments: &[String]) -> String {
    let mut made = String::new();
    let mut next = 1;
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        made += before;
        let length = after.find(|c: char| c.is_ascii_alphabetic() || c == '%').unwrap_or(after.len());
        let number = after[..length].split('$').next().and_then(|number| number.parse::<usize>().ok());
        let number = number.filter(|_| after[..length].contains('$'));
        let sign = after[length..].chars().next();
        match sign {
            Some('%') => made.push('%'),
            Some(_) => {
                let index = number.unwrap_or(next);
                next = index.saturating_add(1);
                made += arguments.get(index).map_or(UNKNOWN, String::as_str);
            }
            None => {}
        }
        rest = &after[length + sign.map_or(0, char::len_utf8)..];
    }
    made + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_however_its_text_is_made() {
        for sql in [
            "dblink('host=h password=S3')",
            "dblink('host=h password=S3', 'SELECT 1')",
            "dblink('host=h pass'||'word=S3')",
            "dblink('host=h pass' || 'word=' || 'S3')",
            "dblink('host=h pass'\n'word=S3')",
            "dblink('postgresql://u:'||'S3'||'@/d?host=/tmp&port=7')",
            "dblink('postgresql://' || 'u' || ':' || 'S3' || '@/d?host=/tmp&port=7')",
            "dblink('POSTGRES://u:S3@h')",
            "dblink(concat('host=h password=', 'S3'))",
            "dblink(concat_ws(' ', 'host=h', 'password=' || 'S3'))",
            "dblink(format('host=h password=%s', 'S3'))",
            "dblink(format('user=%1$s password=%2$L', 'u', 'S3'))",
            "dblink(replace('host=h password=@', '@', 'S3'))",
            "dblink('host=h password='::text || 'S3')",
            "dblink('host=h password='::pg_catalog.varchar(20)||'S3')",
            "dblink(cast('host=h password=' AS text) || 'S3')",
            "dblink(('host=h password=') || ('S3'))",
            "('password=') || ('S3')",
            "dblink('host=h password=' || quote_literal('S3'))",
            "dblink('host=h password=' || 123)",
            "dblink(coalesce(a, 'password=S3'))",
            "f(a(b, 'password=S3'))",
            "dblink('host=h password=' || a || 'S3')",
            "dblink(E'host=h\\npassword=S3')",
            "dblink(e'host=h\\tpass\\x77ord=S3')",
            "dblink(E'password=\\'S3\\'')",
            "dblink(E'\\160assword=S3')",
            "dblink(U&'host=h pass\\0077ord=S3')",
            "dblink('password=''S3''')",
            "dblink($x$password='S3'$x$)",
            "dblink('h', 'SELECT 1 FROM dblink(''password=S3'')')",
            "f(password => 'S3')",
            "f(password := 'S' || '3')",
            "f(\"password\" => 'S3')",
            "1 AS \"password=S3\"",
            "'{\"password\": \"S3\"}'::json",
            "dblink_exec('d', 'ALTER ROLE u PASSWORD ''S3''')",
            "$$CREATE USER MAPPING FOR x SERVER s OPTIONS (user 'u', password 'S3')$$",
            "1 /* OPTIONS (user 'u', password 'S3') */",
            "1 -- password=S3",
        ] {
            assert!(in_query(&format!("SELECT {sql}")).is_some(), "{sql}");
        }
    }

    #[test]
    fn what_is_no_password_is_none() {
        for sql in [
            "a FROM t WHERE password = 'x' OR b = 'password'",
            "a FROM t WHERE b LIKE '%password=%' OR b ~ 'password=\\w+' OR b ~* 'password=(a|b)'",
            "a FROM t WHERE b NOT LIKE 'password=__x'",
            "'https://h:8080/x@y', 's3://bucket:a/key@v1', 'postgresql://h:5432/x@y'",
            "regexp_replace(a, '(postgresql://[^:]+:)[^@]+@', '\\1xxx@')",
            "1 -- password=none needed",
            "1 -- the password = see vault",
            "1 -- see https://h.org:8080/x, ask me@h.org",
            "'password=' || a",
            "'password=' || current_setting('app.password') || ' host=h'",
            "'password=' || (SELECT a FROM t WHERE b = 'x')",
            "'postgresql://u:' || a || '@h/d'",
            "format('password=%L host=%s', a, 'h')",
            "'password=', 'x'",
            "concat('password=', a, ' host=h')",
            "'${env:X}password=${env:PW}', 'postgresql://u:${env:A}${env:B}@h'",
            "1 AS password, 'x'",
            "'x' = (SELECT 'password') OR 'S3' = 'b'",
        ] {
            assert_eq!(in_query(&format!("SELECT {sql}")), None, "{sql}");
        }
    }

    #[test]
    fn broken_texts_are_read_without_harm() {
        for sql in [
            "(",
            ")",
            "concat(",
            "concat((",
            "'a' ||",
            "'a'::",
            "E'\\",
            "U&'\\",
            "format('%",
            "format('%9$s')",
            "a.",
            "||||",
        ] {
            assert_eq!(in_query(sql), None, "{sql}");
        }
        assert_eq!(in_query(&"concat(".repeat(2000)), None);
        assert_eq!(in_query(&("'a' || ".to_owned() + &"(".repeat(5000))), None);
    }
}
