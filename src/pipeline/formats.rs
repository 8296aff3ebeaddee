//! The forms of texts in the file, by the `format` that the JSON Schema gives them.

use serde_json::Value as Json;

use crate::postgres::sql::TableName;
use crate::postgres::types::Wanted;
use crate::quantity::{Growth, Period, Share, Size};
use crate::schema::NamedSchema;
use crate::stages::Number;

/// A form of texts.
pub(super) struct Format {
    /// Its name in the schema.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    pub check: fn(&str) -> Result<(), String>,
}

/// The name of a stage, or a path.
pub(super) const INPUT: &str = "input";
/// A query. Its text is checked in `text`, which knows where each part of it is written.
const QUERY: &str = "query";
/// A condition on data IDs, which is checked there too.
const CONDITION: &str = "condition";
/// A mapping whose texts are SQL expressions, which are checked there too.
const EXPRESSIONS: &str = "expressions";
/// Where a delivery goes: a text in which `${run}` stays as it is.
const DELIVERY: &str = "delivery";

pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "period",
        what: "a period of time such as `20h`",
        check: |text| text.parse::<Period>().map(drop),
    },
    Format {
        name: "share",
        what: "a percentage such as `10%`",
        check: |text| text.parse::<Share>().map(drop),
    },
    Format {
        name: "growth",
        what: "a percentage such as `20%`",
        check: |text| text.parse::<Growth>().map(drop),
    },
    Format { name: "number", what: "a number or `null`", check: |text| text.parse::<Number>().map(drop) },
    Format { name: "size", what: "a size such as `8G`", check: |text| text.parse::<Size>().map(drop) },
    Format {
        name: "max-lag",
        what: "a mapping such as `{column: obstime, at_most: 36h}`",
        check: |_| Ok(()),
    },
    Format { name: "path", what: "a path", check: not_home },
    Format { name: "schema", what: "a path or `felis:FILE.yaml#TABLE`", check: schema },
    Format { name: INPUT, what: "the name of a stage or a path", check: not_home },
    Format { name: QUERY, what: "a text", check: |_| Ok(()) },
    Format { name: DELIVERY, what: "a URL or a path", check: |_| Ok(()) },
    Format { name: CONDITION, what: "a text", check: |_| Ok(()) },
    Format {
        name: "table",
        what: "a text",
        check: |text| text.parse::<TableName>().map(drop).map_err(|error| error.to_string()),
    },
    Format { name: "column-type", what: "a text", check: |text| text.parse::<Wanted>().map(drop) },
];

/// The keys of a file whose texts are recorded without values of the environment, or lead to a delivery.
#[derive(Default)]
pub(super) struct Keys {
    pub queries: Vec<String>,
    /// Conditions on data IDs.
    pub conditions: Vec<String>,
    /// Mappings of names to expressions.
    pub expressions: Vec<String>,
    /// Where deliveries go.
    pub deliveries: Vec<String>,
}

impl Keys {
    /// Those of a JSON Schema.
    pub(super) fn of(schema: &Json) -> Self {
        let [queries, conditions, expressions, deliveries] =
            [QUERY, CONDITION, EXPRESSIONS, DELIVERY].map(|format| keys_of(schema, format));
        Self { queries, conditions, expressions, deliveries }
    }

    /// Whether the text of a key is a query.
    pub(super) fn is_query(&self, key: &str) -> bool {
        self.queries.iter().any(|known| known == key)
    }

    /// Whether the text of a key is a condition on data IDs.
    pub(super) fn is_condition(&self, key: &str) -> bool {
        self.conditions.iter().any(|known| known == key)
    }

    /// Whether the text of a key is a query or a condition.
    pub(super) fn has(&self, key: &str) -> bool {
        self.is_query(key) || self.is_condition(key)
    }

    /// Whether the texts below a key are expressions.
    pub(super) fn has_expressions(&self, key: &str) -> bool {
        self.expressions.iter().any(|known| known == key)
    }

    /// Whether the time of a delivery is put into the text of a key when the stage runs.
    pub(super) fn is_delivery(&self, key: &str) -> bool {
        self.deliveries.iter().any(|known| known == key)
    }
}

/// The keys of the file whose texts have a form.
fn keys_of(schema: &Json, format: &str) -> Vec<String> {
    let mut keys = Vec::new();
    match schema {
        Json::Object(fields) => {
            for (key, value) in fields.get("properties").and_then(Json::as_object).into_iter().flatten() {
                if value.get("format").and_then(Json::as_str) == Some(format) && !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
            fields.values().for_each(|value| keys.extend(keys_of(value, format)));
        }
        Json::Array(items) => items.iter().for_each(|item| keys.extend(keys_of(item, format))),
        _ => {}
    }
    keys
}

fn schema(text: &str) -> Result<(), String> {
    not_home(text.strip_prefix("felis:").unwrap_or(text))?;
    NamedSchema::parse(text).map(drop)
}

/// Refuses a path that begins with `~`: a shell means a home folder by it, the file system a folder of that name.
///
/// # Errors
/// What to write instead.
pub(super) fn not_home(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(()) };
    let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let instead = match user {
        "" => format!("`${{env:HOME}}{rest}`"),
        _ => "the whole path".to_owned(),
    };
    Err(format!("`{path}` begins with `~`, which is not expanded here: write {instead}"))
}
