//! Texts of a file that do not say what they seem to: comments that hide a part of a query or command, characters that look
//! like others, passwords.
//!
//! Not a place for what settings mean (see `check`).

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::butler::condition_mistake;
use crate::characters::{Strange, strange_in_name, unseen};
use crate::dsn::{has_login, has_password, is_connection_with_password, is_name_of_password};
use crate::postgres::sql::{Query, SqlError, TokenKind, lex};
use crate::secrets::Secrets;

use super::allowed::alternatives;
use super::conform::Conformance;
use super::document::{Key, Node, Place, Value, place_at, shortened};
use super::formats::Keys;
use super::mistake::Mistake;
use super::variables::{Expansion, Variables};
use super::written::{Mark, Written};
use super::{cut, passwords, shell};

/// The values of variables, which are looked at where they are used.
const VARS: &str = "vars";
const HOOKS: [&str; 3] = ["on_success", "on_failure", "on_delivered"];
/// A text whose parts are separated by blanks and line breaks.
const CONNECTION: &str = "dsn";
/// Where people write `user:password@host`.
const HOST: &str = "host";

/// Checks the texts of a file with this schema. Returns the values of the environment that are in its queries.
///
/// A file without variables is not a pipeline file: it is not recorded, and may hold a password.
pub(super) fn check(
    file: &str,
    document: &Node,
    schema: &Json,
    keys: &Keys,
    variables: Option<&Variables<'_>>,
    mistakes: &mut Vec<Mistake>,
) -> Secrets {
    let conformance = Conformance::new(schema);
    let mut all = texts(document, "", schema, &conformance);
    let mark = Mark::new(file);
    let nodes: Vec<&Node> = all.iter().map(|(_, node)| *node).collect();
    let marked = mark.document(&nodes);
    let vars = document.get(VARS);
    let with_marks =
        variables.zip(marked.as_ref()).map(|(variables, marked)| variables.with(marked.get(VARS)));
    let mut marked =
        marked.as_ref().map(|marked| texts(marked, "", schema, &conformance)).unwrap_or_default();
    if variables.is_some() {
        all.retain(|(key, _)| *key != VARS);
        marked.retain(|(key, _)| *key != VARS);
    }
    let mut secrets = Secrets::default();
    let mut in_queries = BTreeSet::new();
    for ((key, node), (_, marked)) in all.into_iter().zip(marked) {
        let Value::Text(text) = &marked.value else { continue };
        let mut unknown = Vec::new();
        let expansion = match &with_marks {
            Some(variables) => variables.expand(text, node.place, keys.is_delivery(key), &mut unknown),
            None => Expansion::of(text),
        };
        // What is wrong with the variables is said where they are put in.
        if !unknown.is_empty() {
            continue;
        }
        let full = mark.read(&expansion.full, node, vars);
        let written = mark.read(&expansion.written, node, vars);
        let refuse_passwords = variables.is_some();
        let sql = if keys.has_expressions(key) {
            Sql::Expression
        } else if keys.is_condition(key) {
            Sql::Condition
        } else {
            Sql::Query
        };
        let mut text = Text { file, key, sql, node, vars, full, written, refuse_passwords, mistakes };
        if keys.has(key) || keys.has_expressions(key) {
            in_queries.extend(text.full.variables().map(str::to_owned));
            text.query();
            let has_password = passwords::in_query(&text.full.text).is_some();
            for (name, value) in &expansion.environment {
                secrets.add(name, value, has_password);
            }
        } else if HOOKS.contains(&key) {
            text.command();
        } else if !is_name_of_password(key) {
            text.plain();
        }
    }
    for (key, value) in vars.filter(|_| variables.is_some()).and_then(Node::pairs).unwrap_or_default() {
        // In a query, what a value means depends on what is around it.
        if let Value::Text(text) = &value.value
            && !in_queries.contains(&key.text)
            && (is_connection_with_password(text) || passwords::in_query(text).is_some())
        {
            mistakes.push(Mistake::password(value.place));
        }
    }
    strange_keys(document, mistakes);
    secrets
}

/// All texts below a node, each with the nearest key above it. A key that the user chooses, such as the name of a column, is
/// none: its texts have the key of its mapping.
fn texts<'n, 's>(
    node: &'n Node,
    key: &'n str,
    schema: &'s Json,
    conformance: &Conformance<'s>,
) -> Vec<(&'n str, &'n Node)> {
    match &node.value {
        Value::Text(_) => vec![(key, node)],
        Value::List(items) => items.iter().flat_map(|item| texts(item, key, schema, conformance)).collect(),
        Value::Map(pairs) => {
            let of_pair = |(name, value): &'n (Key, Node)| {
                let known = below(conformance, schema, &name.text);
                let (schema, is_declared) = known.unwrap_or((&Json::Null, true));
                texts(value, if is_declared { &name.text } else { key }, schema, conformance)
            };
            pairs.iter().flat_map(of_pair).collect()
        }
        _ => Vec::new(),
    }
}

/// The schema of the value of a key, and whether the schema names the key, which the user does not choose then.
fn below<'s>(conformance: &Conformance<'s>, schema: &'s Json, key: &str) -> Option<(&'s Json, bool)> {
    let schema = conformance.resolve(schema);
    if let Some(declared) = schema.get("properties").and_then(|known| known.get(key)) {
        return Some((declared, true));
    }
    let others = schema.get("additionalProperties").filter(|others| others.is_object());
    let of_alternative = || alternatives(schema)?.iter().find_map(|each| below(conformance, each, key));
    others.map(|schema| (schema, false)).or_else(of_alternative)
}

/// Looks for strange characters in all keys.
fn strange_keys(node: &Node, mistakes: &mut Vec<Mistake>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| strange_keys(item, mistakes)),
        Value::Map(pairs) => {
            for (key, value) in pairs {
                if let Some(strange) = strange_in_name(&key.text) {
                    let before = key.text[..strange.at].chars().count();
                    let place = Place { column: key.place.column + before as u64, ..key.place };
                    mistakes.push(Mistake::new(place, format!("this key has {strange}")));
                }
                strange_keys(value, mistakes);
            }
        }
        _ => {}
    }
}

/// The kinds of texts that are SQL or are like it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sql {
    Query,
    Condition,
    Expression,
}

/// A text of the file.
struct Text<'a> {
    file: &'a str,
    key: &'a str,
    sql: Sql,
    node: &'a Node,
    vars: Option<&'a Node>,
    full: Written<'a>,
    /// Without the values of the environment.
    written: Written<'a>,
    refuse_passwords: bool,
    mistakes: &'a mut Vec<Mistake>,
}

impl Text<'_> {
    /// Checks a text that is neither a query nor a command.
    fn plain(&mut self) {
        let is_login = self.key == HOST && has_login(&self.written.text);
        if self.refuse_passwords && (is_login || has_password(&self.written.text)) {
            self.mistakes.push(Mistake::password(self.node.place));
        }
        let text = &self.full.text;
        let strange = if self.key == CONNECTION { unseen(text) } else { strange_in_name(text) };
        self.report(strange);
    }

    /// Reports a character that was most likely not meant.
    fn report(&mut self, strange: Option<Strange>) {
        if let Some(strange) = strange {
            let name = self.full.name_of(strange.at, self.key);
            let message = format!("{name} has {strange}");
            self.mistakes.push(Mistake::new(self.full.place_of_character(strange.at), message));
        }
    }

    /// Checks a text for the shell, or a word of a command.
    fn command(&mut self) {
        if has_password(&self.written.text) {
            self.mistakes.push(Mistake::password(self.node.place));
        }
        for comment in shell::comments(&self.full.text) {
            self.hidden_by(comment, "#");
        }
        self.report(unseen(&self.full.text));
    }

    /// Checks a query, which is this text with all its values.
    fn query(&mut self) {
        // What the lexer cannot read is no query, which is said below. A condition has no comments.
        let mut comments =
            if self.sql == Sql::Condition { Vec::new() } else { lex(&self.full.text).unwrap_or_default() };
        comments.retain(|token| {
            token.kind == TokenKind::Comment && token.text(&self.full.text).starts_with("--")
        });
        for comment in comments {
            self.hidden_by(comment.start..comment.end, "--");
        }
        self.cut_by_yaml(self.node, self.key);
        let vars: BTreeSet<String> = self.full.variables().map(str::to_owned).collect();
        for name in &vars {
            if let Some(node) = self.vars.and_then(|vars| vars.get(name)) {
                self.cut_by_yaml(node, name);
            }
        }
        if self.refuse_passwords
            && let Some(start) = passwords::in_query(&self.written.text)
        {
            self.mistakes.push(Mistake::password_in_query(self.written.place_of_character(start)));
        }
        let (at, message) = if self.sql == Sql::Condition {
            let Some((at, message)) = condition_mistake(&self.full.text) else { return };
            (Some(at), format!("{}: {message}", self.full.name_of(at, self.key)))
        } else {
            let mistake = match self.sql {
                Sql::Expression => Query::expression(&self.full.text),
                _ => Query::new(&self.full.text).map(drop),
            };
            match mistake {
                Ok(()) => return,
                Err(SqlError::Empty) => (None, format!("`{}` is empty", self.key)),
                Err(SqlError::Strange { strange, .. }) => {
                    let name = self.full.name_of(strange.at, self.key);
                    (Some(strange.at), format!("{name} has {strange}, or put it in quotes if you mean it"))
                }
                // It may name a word of a value.
                Err(SqlError::NotAQuery(_))
                    if Query::new(&self.written.text).is_err() && self.full.has_secrets() =>
                {
                    (None, format!("`{}` does not begin with SELECT, WITH, VALUES or TABLE", self.key))
                }
                Err(error) => (None, format!("`{}`: {error}", self.key)),
            }
        };
        let place = at.map_or(self.node.place, |at| self.full.place_of_character(at));
        self.mistakes.push(Mistake::new(place, message));
    }

    /// Reports a YAML comment that cuts a text without quotes short, such as the one in `j #> '{a}'`.
    fn cut_by_yaml(&mut self, node: &Node, name: &str) {
        let Some(text) = self.file.get(node.source.clone()) else { return };
        let behind = self.file[node.source.end..].split(['\n', '\r']).next().unwrap_or_default();
        let comment = behind.trim_start();
        if text.starts_with(['\'', '"']) || !comment.starts_with('#') || !cut::continues(text, comment) {
            return;
        }
        let place = place_at(self.file, node.source.end + behind.len() - comment.len());
        let message = format!(
            "`#` begins a comment of YAML here, so `{}` is not part of `{name}`; put the query in quotes, or the comment on a \
             line of its own",
            shortened(comment.trim_end()),
        );
        self.mistakes.push(Mistake::new(place, message));
    }

    /// Says what a comment hides that in the file does not belong to it.
    fn hidden_by(&mut self, comment: std::ops::Range<usize>, sign: &str) {
        let Some(hidden) = self.full.hidden(comment.clone(), sign) else { return };
        let text = self.full.shown(hidden.range);
        let text = shortened(text.trim());
        let instead = if sign == "#" { "remove it" } else { "write /* a comment of this form */" };
        let message = if let Some(value) = hidden.behind {
            let name = &value.reference;
            format!("the value of `${{{name}}}` has a comment, which hides the rest: `{text}`; {instead}")
        } else {
            let key = self.full.key_of(hidden.from, self.key);
            let what = if sign == "#" { "command" } else { "query" };
            format!(
                "YAML joins the lines of `{key}`, so this comment hides the rest: `{text}`; write `{key}: |` and \
                the {what} on the lines below, which keeps the line breaks, or {instead}",
            )
        };
        self.mistakes.push(Mistake::new(self.full.place(comment.start, sign), message));
    }
}
