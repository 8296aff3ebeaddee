//! Registries in `SQLite`.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ToSql};

use super::{Database, Row, Value};
use crate::butler::dataset::DatasetId;
use crate::butler::error::{Cause, Error};

/// How long to wait for somebody who writes.
const BUSY: Duration = Duration::from_secs(30);

struct Sqlite(Connection);

/// Opens `sqlite:///path`.
pub fn open(url: &str) -> Result<Box<dyn Database>, Error> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    // As SQLAlchemy: what follows the third slash is the path, up to a query.
    let path = rest.strip_prefix('/').unwrap_or(rest).split('?').next().unwrap_or_default();
    let place = || format!("`{path}`");
    let failed = |source: Cause| Error::OpenRegistry { place: place(), source };
    if path.is_empty() {
        return Err(failed("a registry in memory cannot be read".into()));
    }
    // SQLite's own message for a missing file does not say so.
    std::fs::metadata(Path::new(path)).map_err(|error| failed(error.into()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(error.into()))?;
    connection.busy_timeout(BUSY).map_err(|error| failed(error.into()))?;
    // Opening reads nothing: this finds out whether it is a database.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|error| failed(error.into()))?;
    Ok(Box::new(Sqlite(connection)))
}

impl Database for Sqlite {
    fn begin(&mut self) -> Result<(), Cause> {
        Ok(self.0.execute_batch("BEGIN")?)
    }

    fn end(&mut self) -> Result<(), Cause> {
        Ok(self.0.execute_batch("ROLLBACK")?)
    }

    fn id(&self, id: DatasetId) -> String {
        id.to_string().replace('-', "")
    }

    fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Cause> {
        let mut statement = self.0.prepare(sql)?;
        for (number, parameter) in parameters.iter().enumerate() {
            if let Some(index) = statement.parameter_index(&format!("${}", number + 1))? {
                statement.raw_bind_parameter(index, parameter)?;
            }
        }
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| value(row.get_ref(column)?));
            found.push(Row(values.collect::<Result<_, Cause>>()?));
        }
        Ok(found)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Null => rusqlite::types::Null.to_sql(),
            Self::Integer(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

fn value(found: ValueRef<'_>) -> Result<Value, Cause> {
    Ok(match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Text(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::Text(str::from_utf8(bytes)?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_text_is_an_error_and_not_another_text() {
        let mut database = Sqlite(Connection::open_in_memory().unwrap());
        let rows = database.rows("SELECT CAST(x'c3a9' AS TEXT), NULL, ''", &[]).unwrap();
        assert_eq!(rows[0].value(0), &Value::Text("é".to_owned()));
        assert_eq!((rows[0].value(1), rows[0].value(2)), (&Value::Null, &Value::Text(String::new())));
        let error = database.rows("SELECT CAST(x'61ff' AS TEXT)", &[]).err().unwrap();
        assert!(error.to_string().contains("invalid utf-8 sequence"), "{error}");
    }
}
