//! Texts of a file that do not say what they seem to: comments that hide a part of a query, characters that look like
//! others, passwords.
//!
//! Not a place for what settings mean (see `check`).

use std::ops::Range;

use crate::characters::strange_in_name;
use crate::dsn::has_password;
use crate::postgres::sql::{Query, SqlError, Token, TokenKind, lex};
use crate::secrets::Secrets;

use super::document::{Node, Place, Value, place_at, shortened};
use super::mistake::Mistake;
use super::variables::{Expansion, Variables};
use super::written::{Marks, Written};

/// The keys whose texts are queries or conditions: they are recorded without values of the environment.
pub const QUERIES: [&str; 3] = ["sql", "watermark", "where"];
/// The one of them that is not for a server.
const CONDITION: &str = "where";
/// Words of SQL that a comment for people does not have, in capitals.
const SQL_WORDS: [&str; 8] = ["FROM", "WHERE", "AND", "OR", "JOIN", "GROUP", "ORDER", "AS"];
/// Keys of the file whose texts are for people or the shell, or are looked at where they are used.
const FREE: [&str; 3] = ["name", "vars", "hooks"];

/// Checks the texts of a file; the values of the environment that are in its queries.
///
/// A file without variables is not a pipeline file: it is not recorded, and may hold a password.
pub fn check(
    file: &str,
    document: &Node,
    variables: Option<&Variables<'_>>,
    mistakes: &mut Vec<Mistake>,
) -> Secrets {
    let all = texts(document, "", &FREE);
    let marks = Marks::new(file);
    let nodes: Vec<&Node> = all.iter().map(|(_, node)| *node).collect();
    let marked = marks.document(&nodes);
    let marked = marked.as_ref().map(|marked| texts(marked, "", &FREE)).unwrap_or_default();
    let mut secrets = Secrets::default();
    for ((key, node), (_, marked)) in all.into_iter().zip(marked) {
        let (Value::Text(text), mark) = (&marked.value, marks.of_value()) else { continue };
        let mut unknown = Vec::new();
        let expansion = match variables {
            Some(variables) => variables.expand(text, node.place, &mark, &mut unknown),
            None => Expansion::of(text),
        };
        // What is wrong with the variables is said where they are put in.
        if !unknown.is_empty() {
            continue;
        }
        let text = Text { file, key, node, written: marks.read(&expansion.written, node), mistakes };
        if QUERIES.contains(&key) {
            let full = marks.read(&expansion.text, node).text;
            let has_password = text.query(&full, variables.is_some());
            for (name, value) in &expansion.environment {
                secrets.add(name, value, has_password);
            }
        } else {
            text.plain(variables.is_some());
        }
    }
    keys(document, &FREE, mistakes);
    secrets
}

/// All texts below a node, each with the nearest key above it; not those below the keys to skip.
fn texts<'a>(node: &'a Node, key: &'a str, skip: &[&str]) -> Vec<(&'a str, &'a Node)> {
    match &node.value {
        Value::Text(_) => vec![(key, node)],
        Value::List(items) => items.iter().flat_map(|item| texts(item, key, &[])).collect(),
        Value::Map(pairs) => {
            let pairs = pairs.iter().filter(|(key, _)| !skip.contains(&key.text.as_str()));
            pairs.flat_map(|(key, value)| texts(value, &key.text, &[])).collect()
        }
        _ => Vec::new(),
    }
}

/// Looks for strange characters in all keys.
fn keys(node: &Node, skip: &[&str], mistakes: &mut Vec<Mistake>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| keys(item, &[], mistakes)),
        Value::Map(pairs) => {
            for (key, value) in pairs {
                if let Some(strange) = strange_in_name(&key.text) {
                    let before = key.text[..strange.at].chars().count();
                    let place = Place { column: key.place.column + before as u64, ..key.place };
                    mistakes.push(Mistake::new(place, format!("this key has {strange}")));
                }
                if !skip.contains(&key.text.as_str()) {
                    keys(value, &[], mistakes);
                }
            }
        }
        _ => {}
    }
}

/// A text of the file.
struct Text<'a> {
    file: &'a str,
    key: &'a str,
    node: &'a Node,
    written: Written<'a>,
    mistakes: &'a mut Vec<Mistake>,
}

impl Text<'_> {
    /// Checks a text that is not a query.
    fn plain(self, refuse_passwords: bool) {
        if refuse_passwords && has_password(&self.written.text) {
            self.mistakes.push(Mistake::password(self.node.place));
        }
        if let Some(strange) = strange_in_name(&self.written.text) {
            let place = self.written.place(strange.at, &strange.character.to_string());
            self.mistakes.push(Mistake::new(place, format!("`{}` has {strange}", self.key)));
        }
    }

    /// Checks a query, which is this text with all its values; whether it holds a password.
    fn query(self, full: &str, refuse_passwords: bool) -> bool {
        // What the lexer cannot read is no query, which is said below.
        let tokens = lex(&self.written.text).unwrap_or_default();
        let comments = tokens.iter().filter(|token| token.kind == TokenKind::Comment);
        for comment in comments.filter(|token| token.text(&self.written.text).starts_with("--")) {
            if let Some(message) = self.hidden_by(comment.start..comment.end) {
                self.mistakes.push(Mistake::new(self.written.place(comment.start, "--"), message));
            }
        }
        if let Some((place, message)) = self.cut_by_yaml() {
            self.mistakes.push(Mistake::new(place, message));
        }
        if refuse_passwords && let Some(start) = password_in(&self.written.text, &tokens) {
            let place = self.written.place(start, &self.written.text[start..=start]);
            self.mistakes.push(Mistake::password_in_query(place));
        }
        if self.key != CONDITION
            && let Err(error) = Query::new(full)
        {
            let (at, message) = match &error {
                SqlError::Empty => (None, format!("`{}` is empty", self.key)),
                SqlError::Strange { strange, .. } => {
                    let at = (full == self.written.text).then_some((strange.at, strange.character));
                    (at, format!("`{}` has {strange}, or put it in quotes if it is meant", self.key))
                }
                error => (None, format!("`{}`: {error}", self.key)),
            };
            let place = at.map(|(at, character)| self.written.place(at, &character.to_string()));
            self.mistakes.push(Mistake::new(place.unwrap_or(self.node.place), message));
        }
        lex(full).is_ok_and(|tokens| password_in(full, &tokens).is_some())
    }

    /// Where a comment of YAML ends a query without quotes that seems to go on, as `j #> '{a}'` does.
    fn cut_by_yaml(&self) -> Option<(Place, String)> {
        let begins = self.file.get(self.node.source.start..)?;
        let behind = self.file.get(self.node.source.end..)?.split(['\n', '\r']).next()?;
        let comment = behind.trim_start().strip_prefix('#').filter(|_| !begins.starts_with(['\'', '"']))?;
        let mut words = comment.split(|c: char| !c.is_alphanumeric());
        if comment.starts_with([' ', '\t']) && !words.any(|word| SQL_WORDS.contains(&word)) {
            return None;
        }
        let message = format!(
            "`#` begins a comment of YAML here, so `{}` is not part of `{}`; put the query in quotes, or the comment on a line \
             of its own",
            shortened(behind.trim()),
            self.key
        );
        let blanks = behind.len() - behind.trim_start().len();
        Some((place_at(self.file, self.node.source.end + blanks), message))
    }

    /// What is wrong with a `--` comment: it goes on where in the file it has ended.
    fn hidden_by(&self, comment: Range<usize>) -> Option<String> {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("--");
        if let Some(line) = self.written.further_lines(comment.clone()).find(is_code) {
            return Some(format!(
                "YAML joins the lines of `{}`, so this comment hides what follows: `{}`; write `{}: |` and the query on the \
                 lines below, which keeps the lines, or /* a comment of this form */",
                self.key,
                shortened(line.trim()),
                self.key
            ));
        }
        let hidden = self.written.behind_value(comment).map(str::trim).filter(|hidden| !hidden.is_empty())?;
        Some(format!(
            "the value of a variable has a comment, which hides what follows: `{}`; write /* a comment of this form */",
            shortened(hidden)
        ))
    }
}

/// Where a string of a query begins that holds a password, or a comment. Strings that stand together or are joined by `||`
/// are one.
fn password_in(sql: &str, tokens: &[Token]) -> Option<usize> {
    let mut joined = String::new();
    let mut start = None;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Literal => {
                start.get_or_insert(token.start);
                // Two quotes in a string end one string and begin the next.
                if index > 0 && tokens[index - 1].end == token.start {
                    joined.push('\'');
                }
                joined.push_str(content(token.text(sql)));
                if has_password(&joined) {
                    return start;
                }
            }
            TokenKind::Comment if has_password(token.text(sql)) => return Some(token.start),
            TokenKind::Comment => {}
            TokenKind::Symbol if token.text(sql) == "|" => {}
            TokenKind::Symbol | TokenKind::Word | TokenKind::QuotedName => {
                joined.clear();
                start = None;
            }
        }
    }
    None
}

/// A string without its quotes.
fn content(literal: &str) -> &str {
    if let Some(inner) = literal.strip_prefix('\'') {
        return inner.strip_suffix('\'').unwrap_or(inner);
    }
    let tag = literal.strip_prefix('$').and_then(|rest| Some(&literal[..rest.find('$')? + 2]));
    tag.and_then(|tag| literal.strip_prefix(tag)?.strip_suffix(tag)).unwrap_or(literal)
}
