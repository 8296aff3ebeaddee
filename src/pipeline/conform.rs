//! A document against the JSON Schema of the Rust types: every mistake with its place, not only the first.
//!
//! Knows the part of JSON Schema that `schemars` writes for `spec`. Not a validator for other schemas.

use serde_json::{Map, Value as Json, json};

use super::allowed::{alternatives, coerced, constants, types, words};
use super::document::{Key, Node, Place, Value, shortened};
use super::formats::{FORMATS, Format};
use super::mistake::Mistake;
use crate::characters::look_alike;
use crate::dsn::{is_name_of_password, may_hold_password};
use crate::spelling::did_you_mean;

/// A text that was found in a document.
pub(super) struct Found<'n> {
    /// The keys that lead to it; in a list, the index.
    pub path: Vec<String>,
    pub node: &'n Node,
    /// Whether the schema names all these keys, so that their order does not depend on the file.
    pub is_declared: bool,
}

/// Checks documents against one schema.
pub(super) struct Conformance<'a> {
    root: &'a Json,
}

impl<'a> Conformance<'a> {
    /// For a schema.
    pub(super) fn new(root: &'a Json) -> Self {
        Self { root }
    }

    /// The document as JSON, fit for the types, and all that is wrong with it. A value that does not fit is left out, or
    /// another is put in its place where there must be one, so that the rest can be checked.
    pub(super) fn check(&self, node: &Node, mistakes: &mut Vec<Mistake>) -> Json {
        self.node(node, self.root, "the file", mistakes).unwrap_or_default()
    }

    /// The texts of a form in the part of a stage's kind, in the order of the schema; those below keys that the file itself
    /// chooses in the order of these keys.
    pub(super) fn texts<'n>(&self, kind: &str, part: &'n Node, format: &str) -> Vec<Found<'n>> {
        let schema = self.root.pointer(&format!("/$defs/StageSpec/properties/{kind}"));
        schema.map(|schema| self.texts_below(part, schema, format)).unwrap_or_default()
    }

    fn texts_below<'n>(&self, node: &'n Node, schema: &'a Json, format: &str) -> Vec<Found<'n>> {
        let schema = self.resolve(schema);
        let mut found: Vec<Found> = Vec::new();
        for alternative in alternatives(schema).into_iter().flatten() {
            found.extend(self.texts_below(node, alternative, format));
        }
        let mut below = |key: &str, value: &'n Node, schema: &'a Json, is_declared: bool| {
            let texts = self.texts_below(value, schema, format).into_iter();
            found.extend(texts.map(|text| Found {
                path: [vec![key.to_owned()], text.path].concat(),
                is_declared: text.is_declared && is_declared,
                ..text
            }));
        };
        match &node.value {
            Value::Text(_) if schema.get("format").and_then(Json::as_str) == Some(format) => {
                found.push(Found { path: Vec::new(), node, is_declared: true });
            }
            Value::Map(pairs) => {
                let properties = schema.get("properties").and_then(Json::as_object);
                for (key, schema) in properties.into_iter().flatten() {
                    if let Some(value) = node.get(key) {
                        below(key, value, schema, true);
                    }
                }
                let declared = |key: &str| properties.is_some_and(|known| known.contains_key(key));
                let mut others: Vec<_> = pairs.iter().filter(|(key, _)| !declared(&key.text)).collect();
                others.sort_by_key(|(key, _)| &key.text);
                let schema = schema.get("additionalProperties").filter(|schema| schema.is_object());
                if let Some(schema) = schema {
                    for (key, value) in others {
                        below(&key.text, value, schema, false);
                    }
                }
            }
            Value::List(items) => {
                let schema = schema.get("items").unwrap_or(&Json::Null);
                for (index, item) in items.iter().enumerate() {
                    below(&index.to_string(), item, schema, false);
                }
            }
            _ => {}
        }
        found
    }

    /// Something that fits a schema.
    fn stand_in(&self, schema: &'a Json) -> Json {
        let schema = self.resolve(schema);
        if let Some(first) = alternatives(schema).and_then(|all| all.first()) {
            return self.stand_in(first);
        }
        match types(schema).first().copied() {
            Some("object") => json!({}),
            Some("array") => json!([]),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
            Some("boolean") => json!(false),
            _ => constants(schema).map_or(json!("./missing"), |words| json!(words.first())),
        }
    }

    /// The definition that a schema refers to, or the schema itself.
    pub(super) fn resolve(&self, schema: &'a Json) -> &'a Json {
        let name = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.get("$defs")?.get(name)).unwrap_or(schema)
    }

    /// As [`Self::value`]; a mistake in the value of a variable names the variable, and shows no value of the environment.
    fn node(&self, node: &Node, schema: &'a Json, name: &str, mistakes: &mut Vec<Mistake>) -> Option<Json> {
        let (Some(before), Value::Text(text)) = (&node.interpolated, &node.value) else {
            return self.value(node, schema, name, mistakes);
        };
        let mut theirs = Vec::new();
        let json = self.value(node, schema, name, &mut theirs);
        for mistake in &mut theirs {
            let written = format!("`{}`", before.written);
            if before.secret {
                mistake.message = mistake.message.replace(&format!("`{text}`"), &written);
            } else if !mistake.message.contains(&written) {
                mistake.message += &format!(" ({written} is `{}`)", shortened(text));
            }
        }
        mistakes.append(&mut theirs);
        json
    }

    /// The value as JSON; `None` if it does not fit.
    fn value(&self, node: &Node, schema: &'a Json, name: &str, mistakes: &mut Vec<Mistake>) -> Option<Json> {
        let schema = self.resolve(schema);
        if let Some(alternatives) = alternatives(schema) {
            return self.alternatives(node, alternatives, name, mistakes);
        }
        let Some(found) = coerced(&node.value, node.interpolated.is_some(), schema) else {
            // A number where a text of a form is due, such as 7200 for a period: the form says what is missing.
            let unformed = node.as_written().and_then(|written| (format_of(schema)?.check)(&written).err());
            if let Some(message) = unformed {
                mistakes.push(Mistake::new(node.place, format!("{name}: {message}")));
                return None;
            }
            let expected = self.expected(schema);
            let message =
                format!("{name} must be {expected}, not {}{}", node.describe(), advice(node, schema));
            mistakes.push(Mistake::new(node.place, message));
            return None;
        };
        match (&node.value, found) {
            (Value::Map(pairs), _) => Some(self.map(node.place, pairs, schema, name, mistakes)),
            (Value::List(items), _) => {
                let count = items.len() as u64;
                let bound = |key| schema.get(key).and_then(Json::as_u64);
                if bound("minItems").is_some_and(|min| count < min)
                    || bound("maxItems").is_some_and(|max| count > max)
                {
                    let wanted = bound("minItems").unwrap_or(0);
                    mistakes.push(Mistake::new(
                        node.place,
                        format!("{name} must have {wanted} items, not {count}"),
                    ));
                    return None;
                }
                let item_schema = schema.get("items").unwrap_or(&Json::Null);
                Some(items.iter().filter_map(|item| self.node(item, item_schema, name, mistakes)).collect())
            }
            (_, found) => {
                if let Some(message) = scalar_mistake(node, &found, schema, name) {
                    let secret = found.as_str().is_some_and(may_hold_password);
                    let unfit = || format!("{name} cannot be {}", node.describe());
                    mistakes.push(Mistake::new(node.place, if secret { unfit() } else { message }));
                    return None;
                }
                Some(found)
            }
        }
    }

    fn alternatives(
        &self,
        node: &Node,
        alternatives: &'a [Json],
        name: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Json> {
        let (nulls, others): (Vec<&Json>, Vec<&Json>) =
            alternatives.iter().partition(|schema| schema.get("type").and_then(Json::as_str) == Some("null"));
        if matches!(node.value, Value::Null) && !nulls.is_empty() {
            // `null` may be one of the words, as in `infinity: null`; an empty value is none.
            let is_word = others.iter().any(|schema| words(self.resolve(schema)).contains(&"null"));
            return Some(if is_word { "null".into() } else { Json::Null });
        }
        // What is no mapping was not meant as one.
        let is_map = matches!(node.value, Value::Map(_));
        let could_be = |schema: &&Json| is_map || types(self.resolve(schema)) != ["object"];
        if let [only] = others.iter().copied().filter(could_be).collect::<Vec<_>>()[..] {
            return self.value(node, only, name, mistakes);
        }
        let mut closest = None;
        for alternative in others {
            let mut theirs = Vec::new();
            let json = self.value(node, alternative, name, &mut theirs);
            if theirs.is_empty() {
                return json;
            }
            // A mistake below the value itself means that this alternative was the one that was meant; so does a value of
            // the right type that is wrong in another way.
            let below = theirs.iter().any(|mistake| mistake.place != node.place);
            let alternative = self.resolve(alternative);
            let fits = coerced(&node.value, node.interpolated.is_some(), alternative).is_some();
            let has_form = format_of(alternative).is_some();
            let is_word = matches!(node.value, Value::Text(_)) && !has_form;
            // A number where a share or a period may be: the form says what is missing.
            let lacks_unit = has_form && node.as_written().is_some();
            if closest.is_none() && (below || fits && !is_word || lacks_unit) {
                closest = Some(theirs);
            }
        }
        mistakes.extend(closest.unwrap_or_else(|| {
            let kinds: Vec<String> =
                alternatives.iter().map(|a| self.expected(a)).filter(|kind| !kind.is_empty()).collect();
            let words = kinds.iter().filter_map(|kind| kind.strip_prefix('`')?.strip_suffix('`'));
            let hint = match &node.value {
                Value::Text(text) => did_you_mean(text, words),
                _ => String::new(),
            };
            let message = format!("{name} must be {}, not {}{hint}", listed(&kinds, "or"), node.describe());
            vec![Mistake::new(node.place, message)]
        }));
        None
    }

    fn map(
        &self,
        place: Place,
        pairs: &[(Key, Node)],
        schema: &'a Json,
        name: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Json {
        let properties = schema.get("properties").and_then(Json::as_object);
        let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
        let additional = schema.get("additionalProperties");
        let mut map = Map::new();
        for (key, value) in pairs {
            let declared = properties
                .and_then(|all| all.get(&key.text))
                .or(additional.filter(|schema| schema.is_object()));
            if let Some(schema) = declared {
                let json = self.node(value, schema, &format!("`{}`", key.text), mistakes);
                map.extend(json.map(|json| (key.text.clone(), json)));
            } else if is_name_of_password(&key.text) {
                mistakes.push(Mistake::password(key.place));
            } else if key.text == "heartbeat_url" {
                mistakes.push(Mistake::new(key.place, NO_HEARTBEAT));
            } else {
                let mut hint = did_you_mean(&key.text, known());
                if let Some(group) = self.group_of(&key.text, schema, pairs) {
                    hint = format!("; it belongs below `{group}`: indent it further");
                } else if hint.is_empty() {
                    let all: Vec<String> = known().map(|key| format!("`{key}`")).collect();
                    hint = format!("; known are {}", all.join(", "));
                }
                if key.text.contains(' ') {
                    hint += " (within braces, a text with a comma needs quotes)";
                } else if key.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
                    hint += " (write a number without commas: 1000, not 1,000)";
                }
                mistakes.push(Mistake::new(key.place, format!("unknown key `{}`{hint}", key.text)));
            }
        }
        let of_present = pairs.iter().filter_map(|(key, _)| schema.get("dependentRequired")?.get(&key.text));
        let required = schema.get("required").into_iter().chain(of_present);
        for required in required.filter_map(Json::as_array).flatten().filter_map(Json::as_str) {
            if !pairs.iter().any(|(key, _)| key.text == required) {
                mistakes.push(Mistake::new(place, format!("{name} lacks the key `{required}`")));
            }
            if let Some(schema) = properties.and_then(|all| all.get(required)) {
                map.entry(required).or_insert_with(|| self.stand_in(schema));
            }
        }
        Json::Object(map)
    }

    /// The key of this map below which another key belongs: one without keys of its own yet.
    fn group_of(&self, key: &str, schema: &'a Json, pairs: &[(Key, Node)]) -> Option<&'a str> {
        let properties = schema.get("properties")?.as_object()?;
        let mut empty = properties.iter().filter(|(name, _)| {
            pairs.iter().any(|(key, node)| key.text == **name && matches!(node.value, Value::Null))
        });
        let knows = |schema: &'a Json| {
            let alternatives = alternatives(schema).map_or_else(|| vec![schema], |all| all.iter().collect());
            let mut groups = alternatives.into_iter().map(|schema| self.resolve(schema));
            groups.any(|group| group.get("properties").and_then(|known| known.get(key)).is_some())
        };
        empty.find(|(_, schema)| knows(schema)).map(|(name, _)| name.as_str())
    }

    /// What the schema allows, for people; nothing for what is only null.
    fn expected(&self, schema: &'a Json) -> String {
        let schema = self.resolve(schema);
        if let Some(alternatives) = alternatives(schema) {
            let kinds = alternatives.iter().map(|a| self.expected(a)).filter(|kind| !kind.is_empty());
            return listed(&kinds.collect::<Vec<_>>(), "or");
        }
        if let Some(format) = format_of(schema) {
            return format.what.to_owned();
        }
        if let Some(words) = constants(schema) {
            return listed(&words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>(), "or");
        }
        let names: Vec<String> = types(schema)
            .into_iter()
            .filter(|name| *name != "null")
            .map(|name| match name {
                "string" => "a text".to_owned(),
                "integer" => "a whole number".to_owned(),
                "number" => "a number".to_owned(),
                "boolean" => "true or false".to_owned(),
                "array" => "a list".to_owned(),
                "object" => "a mapping".to_owned(),
                other => other.to_owned(),
            })
            .collect();
        listed(&names, "or")
    }
}

/// What is wrong with a value that has a type that the schema allows.
fn scalar_mistake(node: &Node, found: &Json, schema: &Json, name: &str) -> Option<String> {
    if let (Some(format), Some(text)) = (format_of(schema), found.as_str()) {
        return (format.check)(text).err().map(|message| format!("{name}: {message}"));
    }
    if let Some(wanted) = constants(schema) {
        let text = found.as_str().unwrap_or_default();
        if !wanted.contains(&text) {
            let words: Vec<String> = wanted.iter().map(|word| format!("`{word}`")).collect();
            return Some(format!(
                "{name} must be {}, not `{text}`{}",
                listed(&words, "or"),
                did_you_mean(text, wanted)
            ));
        }
    }
    let number = found.as_f64()?;
    let written = node.as_written()?;
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) if number < min || number > max => {
            let range = if min == max { format!("{min}") } else { format!("from {min} to {max}") };
            Some(format!("{name} must be {range}, not {written}"))
        }
        (Some(min), None) if number < min => Some(format!("{name} must be at least {min}, not {written}")),
        _ => None,
    }
}

/// The form that a schema asks of a text.
fn format_of(schema: &Json) -> Option<&'static Format> {
    let name = schema.get("format")?.as_str()?;
    FORMATS.iter().find(|format| format.name == name)
}

/// A run reports to no server by itself.
const NO_HEARTBEAT: &str =
    "`heartbeat_url` is not supported: use a hook, `hooks: {on_success: \"curl -fsS -m 10 https://...\"}`";

/// The items with commas, and a word before the last.
pub(super) fn listed(items: &[String], word: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

/// What to write for a value of another type, as far as that can be told.
fn advice(node: &Node, schema: &Json) -> String {
    let Some(written) = node.as_written() else { return String::new() };
    let wanted = types(schema);
    let wants = |name: &str| wanted.contains(&name);
    let scalar = matches!(node.value, Value::Bool(_) | Value::Integer(_) | Value::Float(_));
    // A text with a pattern says what it lacks itself.
    if scalar && wants("string") && schema.get("pattern").is_none() {
        return format!("; put it in quotes: \"{written}\"");
    }
    let is_secret = node.interpolated.as_ref().is_some_and(|before| before.secret);
    if wants("array") && !is_secret && schema.get("minItems").and_then(Json::as_u64) == Some(2) {
        // Two limits; one of them can be left out.
        let limit = shortened(&written);
        return format!("; write [null, {limit}] or [{limit}, null]");
    }
    if wants("array") && !is_secret {
        return format!("; write [{}]", shortened(&written));
    }
    let unquoted = if node.quoted { ", without quotes" } else { "" };
    match &node.value {
        Value::Float(value) if wants("integer") && value.fract() == 0.0 && value.abs() < 1e15 => {
            let without = if written.contains(['e', 'E']) {
                "an exponent"
            } else if written.contains('.') {
                "a point"
            } else {
                "a leading zero"
            };
            format!("; write {value}, without {without}")
        }
        Value::Text(text) if node.interpolated.is_none() => {
            let bare: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
            let number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
            let word = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => "true",
                "no" | "off" | "n" | "false" => "false",
                _ => "",
            };
            if number && bare != *text && (wants("integer") || wants("number")) {
                format!("; write {bare}, in digits alone")
            } else if number && (wants("integer") || wants("number")) {
                format!("; write {bare}{unquoted}")
            } else if wants("boolean") && !word.is_empty() {
                format!("; write {word}{unquoted}")
            } else {
                look_alike(text).map_or_else(String::new, |strange| format!("; it has {strange}"))
            }
        }
        _ => String::new(),
    }
}
