//! Where the SQL of the two kinds of database differs: the values that it is given.
//!
//! Not a place for what is asked, nor for how values are sent.

use super::Value;
use crate::butler::dataset::DatasetId;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `SQLite`.
    Sqlite,
    Postgresql,
}

impl Dialect {
    /// A dataset's id as the tables have it.
    pub(crate) fn id(self, id: DatasetId) -> String {
        match self {
            Self::Sqlite => id.to_string().replace('-', ""),
            Self::Postgresql => id.to_string(),
        }
    }

    /// The SQL for a parameter with this value.
    pub(crate) fn parameter(self, number: usize, value: &Value) -> String {
        match (self, value) {
            // Otherwise an `int` column would refuse a value of 64 bits, instead of finding no row.
            (Self::Postgresql, Value::Integer(_)) => format!("${number}::bigint"),
            _ => format!("${number}"),
        }
    }

    /// The SQL for a column that equals one of some values, and the parameter with this number that holds them all.
    /// A query has at most 32,766 parameters in `SQLite` and 65,535 in PostgreSQL; a list may be longer.
    pub(crate) fn one_of(self, column: &str, number: usize, values: &[Value]) -> (String, Value) {
        match self {
            Self::Sqlite => {
                let list: serde_json::Value = values.iter().map(json).collect();
                (
                    format!("{column} IN (SELECT value FROM json_each(${number}))"),
                    Value::Text(list.to_string()),
                )
            }
            Self::Postgresql => {
                let integers = values.iter().all(|value| matches!(value, Value::Integer(_)));
                let cast = if integers { "::bigint[]" } else { "" };
                (format!("{column} = ANY (${number}{cast})"), Value::Text(array(values)))
            }
        }
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
    }
}

/// An array in PostgreSQL's text form.
fn array(values: &[Value]) -> String {
    let elements = values.iter().map(|value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    });
    format!("{{{}}}", elements.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_list_is_one_parameter() {
        let integers = [Value::Integer(-5), Value::Integer(i64::MAX)];
        assert_eq!(
            Dialect::Postgresql.one_of("t.visit", 2, &integers),
            ("t.visit = ANY ($2::bigint[])".to_owned(), text("{-5,9223372036854775807}"))
        );
        assert_eq!(
            Dialect::Sqlite.one_of("t.visit", 2, &integers),
            ("t.visit IN (SELECT value FROM json_each($2))".to_owned(), text("[-5,9223372036854775807]"))
        );
    }

    #[test]
    fn texts_of_a_list_are_escaped() {
        let texts = [text("it's"), text("\"\\,{}"), text("NULL"), text("")];
        let (sql, list) = Dialect::Postgresql.one_of("t.band", 1, &texts);
        assert_eq!((sql.as_str(), list), ("t.band = ANY ($1)", text(r#"{"it's","\"\\,{}","NULL",""}"#)));
        let (_, list) = Dialect::Sqlite.one_of("t.band", 1, &texts);
        assert_eq!(list, text(r#"["it's","\"\\,{}","NULL",""]"#));
    }
}
