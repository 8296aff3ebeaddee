//! The registry's database: rows of plain values, the same for all kinds of database.
//!
//! Parameters are `$1`, `$2` and so on; what else differs is in [`Dialect`]. Not a place for what is asked.

mod credentials;
mod dialect;
mod postgresql;
mod registry_file;
mod sqlite;

pub(super) use dialect::Dialect;

use super::config::RegistryConfig;
use super::error::{Cause, Error};
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::postgres;

/// A value of a row, or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    /// A text; a UUID is one too, and from PostgreSQL everything.
    Text(String),
}

pub(super) struct Row(Vec<Value>);

impl Row {
    /// The integer in a column.
    pub(super) fn integer(&self, column: usize, what: &'static str) -> Result<i64, Error> {
        match &self.0[column] {
            Value::Integer(number) => Ok(*number),
            Value::Text(text) => text.parse().map_err(|_| unexpected(what, "an integer", &self.0[column])),
            other @ Value::Null => Err(unexpected(what, "an integer", other)),
        }
    }

    /// The text in a column.
    pub(super) fn text(&self, column: usize, what: &'static str) -> Result<&str, Error> {
        match &self.0[column] {
            Value::Text(text) => Ok(text),
            other => Err(unexpected(what, "a text", other)),
        }
    }

    /// The value in a column.
    pub(super) fn value(&self, column: usize) -> &Value {
        &self.0[column]
    }
}

fn unexpected(what: &'static str, wanted: &str, found: &Value) -> Error {
    Error::Registry { what, message: format!("expected {wanted}, found {found:?}") }
}

/// A database that is only read.
pub(super) trait Database: Send {
    /// Starts to see one state of the database.
    fn begin(&mut self) -> Result<(), Cause>;

    fn end(&mut self) -> Result<(), Cause>;

    fn dialect(&self) -> Dialect;

    /// All rows of a query.
    fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Cause>;
}

/// Opens the registry's database, to read.
pub(super) fn open(
    config: &RegistryConfig,
    env: &Environment,
    monitor: &Monitor,
) -> Result<Box<dyn Database>, Error> {
    let scheme = config.url.split("://").next().unwrap_or_default();
    // The driver that Python uses does not matter.
    match scheme.split('+').next().unwrap_or_default() {
        "sqlite" => sqlite::open(&config.url),
        "postgresql" => postgresql::open(config, env, monitor),
        other => {
            let message = format!("database type `{other}` is not supported (use sqlite or postgresql)");
            Err(Error::Registry { what: "database", message })
        }
    }
}

/// Whether a query failed because a table is not there.
pub(super) fn lacks_table(cause: &Cause) -> bool {
    let in_sqlite = cause.downcast_ref::<rusqlite::Error>().map(ToString::to_string);
    let in_postgresql = cause.downcast_ref::<postgres::Error>().and_then(postgres::Error::code);
    in_sqlite.is_some_and(|said| said.starts_with("no such table")) || in_postgresql == Some(UNDEFINED_TABLE)
}

const UNDEFINED_TABLE: &str = "42P01";

/// An identifier, quoted as both databases want it.
pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
