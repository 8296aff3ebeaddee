//! A YAML (or JSON) text as a tree whose every value knows its line and column.
//!
//! Not a place for what the values mean.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::dsn::may_hold_password;

/// A line and a column of the file, counted from 1; line 0 is the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// The line that a place is in, as YAML counts lines: a carriage return alone ends one too.
pub(super) fn line_of(text: &str, place: Place) -> Option<&str> {
    let mut lines =
        text.split_terminator('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    lines.nth(usize::try_from(place.line).ok()?.checked_sub(1)?)
}

/// The place of a byte of the text.
pub(super) fn place_at(text: &str, at: usize) -> Place {
    let before = text[..at].trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let line = before.matches(['\n', '\r']).count() + 1;
    let column = before.chars().rev().take_while(|c| !matches!(c, '\n' | '\r')).count() + 1;
    Place { line: line as u64, column: column as u64 }
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
    /// The bytes of the file that it was read from: its content, of a text in quotes with them; of an alias, its anchor's.
    pub source: Range<usize>,
    /// A number or a boolean as it is written, which may not be how it is understood: `010` is 10.
    pub written: Option<String>,
    /// Whether it is a text in quotes.
    pub quoted: bool,
    /// If a variable was put into this text, which may then stand for a number or a boolean.
    pub interpolated: Option<Interpolated>,
}

/// A text before values of variables were put in.
#[derive(Clone, Debug)]
pub(super) struct Interpolated {
    pub written: String,
    /// Whether a value is one of the environment, which is not shown.
    pub secret: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Keys and values, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub place: Place,
    pub text: String,
}

impl Node {
    /// Reads a text.
    ///
    /// # Errors
    /// Where the text is not YAML, and why.
    pub(super) fn parse(text: &str) -> Result<Self, (Place, String)> {
        let options = serde_saphyr::options! {
            // A pipeline file has no use for aliases that blow up, nor for YAML 1.1's yes and no.
            strict_booleans: true,
            with_snippet: false,
        };
        let mut node: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let place = error.location().map(Place::from).unwrap_or_default();
            (place, in_our_words(&error.without_snippet().to_string()))
        })?;
        node.keep_written(text);
        Ok(node)
    }

    fn keep_written(&mut self, text: &str) {
        match &mut self.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                let written = text.get(self.source.clone());
                self.written = written.filter(|written| !written.starts_with(['\'', '"'])).map(str::to_owned);
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.keep_written(text)),
            Value::Map(pairs) => pairs.iter_mut().for_each(|(_, item)| item.keep_written(text)),
            Value::Text(_) => {
                self.quoted = text.get(self.source.clone()).is_some_and(|text| text.starts_with(['\'', '"']));
            }
            Value::Null => {}
        }
    }

    /// A text, a number or a boolean as it is written; a text as it is understood.
    #[must_use]
    pub(super) fn as_written(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Bool(value) => self.written.clone().or_else(|| Some(value.to_string())),
            Value::Integer(value) => self.written.clone().or_else(|| Some(value.to_string())),
            Value::Float(value) => self.written.clone().or_else(|| Some(value.to_string())),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub(super) fn describe(&self) -> String {
        let written = self.as_written().unwrap_or_default();
        if let Some(before) = self.interpolated.as_ref().filter(|before| before.secret) {
            return format!("the value of `{}`", shortened(&before.written));
        }
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) => format!("`{written}`"),
            Value::Integer(_) | Value::Float(_) => format!("the number {written}"),
            Value::Text(text) if may_hold_password(text) => "a text that may hold a password".to_owned(),
            Value::Text(text) => format!("the text `{}`", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Keys and values, if this is a map.
    #[must_use]
    pub(super) fn pairs(&self) -> Option<&[(Key, Self)]> {
        if let Value::Map(pairs) = &self.value { Some(pairs) } else { None }
    }

    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs()?.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
    }

    /// Where the value at a path of keys is written; where the path ends, the last value on it.
    #[must_use]
    pub(super) fn place_of(&self, path: &[&str]) -> Place {
        let next = path.split_first().and_then(|(key, rest)| Some((self.get(key)?, rest)));
        next.map_or(self.place, |(next, rest)| next.place_of(rest))
    }
}

/// The library's message without what it says to programmers, and without the place, which stands before ours.
fn in_our_words(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if message.starts_with("budget breached") {
        return "the file is too large or too deeply nested, perhaps by its aliases".to_owned();
    }
    if message.contains("from_str_multiple") {
        return "the file has more than one document: remove the line `---` and the other documents"
            .to_owned();
    }
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or(message).to_owned();
    if message.ends_with("did not find expected key") {
        return message
            + "; check the indentation, and look for ` #` (begins a comment) or `: ` in a text without quotes";
    }
    message
}

/// The beginning of a text's first line.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let span = spanned.defined.span();
        let start = span.byte_offset().and_then(|start| usize::try_from(start).ok()).unwrap_or_default();
        let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let source = start..start + length;
        let (place, value) = (spanned.referenced.into(), spanned.value);
        Ok(Self { place, value, source, written: None, quoted: false, interpolated: None })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        // Nothing in a pipeline file is that large: it is then said to be a text, and refused as one.
        Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = pairs.next_key::<Spanned<String>>()? {
            let key = Key { place: key.referenced.into(), text: key.value };
            map.push((key, pairs.next_value()?));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_places() {
        let node = Node::parse("a: 1\nb:\n  c: [x, 2.5, null, true]\n").unwrap();
        assert_eq!(node.place_of(&["b", "c"]), Place { line: 3, column: 6 });
        let Some(Value::Map(pairs)) = node.get("b").map(|b| &b.value) else { panic!("no map: {node:?}") };
        assert_eq!(pairs[0].0.place, Place { line: 3, column: 3 });
        let Some(Value::List(items)) = node.get("b").and_then(|b| b.get("c")).map(|c| c.value.clone()) else {
            panic!("not a list: {node:?}");
        };
        assert_eq!(items[1].place, Place { line: 3, column: 10 });
        let kinds: Vec<String> = items.iter().map(Node::describe).collect();
        assert_eq!(kinds, ["the text `x`", "the number 2.5", "nothing", "`true`"]);
    }

    #[test]
    fn json_is_yaml() {
        let node = Node::parse("{\n  \"a\": {\"b\": \"c\"}\n}").unwrap();
        assert_eq!(node.place_of(&["a", "b"]), Place { line: 2, column: 14 });
    }

    #[test]
    fn broken_text_is_refused_with_its_place() {
        for (text, line) in [("a: [1, 2\nb: 3", 2), ("a: 1\na: 2", 2), ("a: 'x", 1)] {
            let (place, message) = Node::parse(text).unwrap_err();
            assert_eq!(place.line, line, "{text:?}: {message}");
            assert!(!message.is_empty());
        }
    }
}
