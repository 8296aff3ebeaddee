//! The types and words that a JSON Schema allows. Not a place for mistakes.

use serde_json::{Value as Json, json};

use super::document::Value;

/// The value as JSON if it is of a type that the schema allows.
pub(super) fn coerced(value: &Value, interpolated: bool, schema: &Json) -> Option<Json> {
    let allowed = types(schema);
    let allows = |name: &str| allowed.is_empty() || allowed.contains(&name);
    match value {
        Value::Null => allows("null").then_some(Json::Null),
        Value::Bool(value) => allows("boolean").then(|| json!(value)),
        Value::Integer(value) => (allows("integer") || allows("number")).then(|| json!(value)),
        Value::Float(value) => (allows("number") && value.is_finite()).then(|| json!(value)),
        Value::Text(text) if allows("string") => Some(json!(text)),
        Value::Text(text) if interpolated => {
            let integer =
                text.parse::<i64>().ok().filter(|_| allows("integer") || allows("number")).map(|v| json!(v));
            let number =
                || text.parse::<f64>().ok().filter(|v| allows("number") && v.is_finite()).map(|v| json!(v));
            let boolean = || text.parse::<bool>().ok().filter(|_| allows("boolean")).map(|v| json!(v));
            integer.or_else(number).or_else(boolean)
        }
        Value::Text(_) => None,
        Value::List(_) => allows("array").then_some(Json::Null),
        Value::Map(_) => allows("object").then_some(Json::Null),
    }
}

/// The words that a schema allows, in its order.
pub(crate) fn words(schema: &Json) -> Vec<&str> {
    match alternatives(schema) {
        Some(each) => each.iter().flat_map(words).collect(),
        None => constants(schema).unwrap_or_default(),
    }
}

pub(super) fn alternatives(schema: &Json) -> Option<&Vec<Json>> {
    ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)?.as_array())
}

pub(super) fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        // A `const` or `enum` of words without a type is a text.
        _ if constants(schema).is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

pub(super) fn constants(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Json::as_str) {
        return Some(vec![word]);
    }
    Some(schema.get("enum")?.as_array()?.iter().filter_map(Json::as_str).collect())
}
