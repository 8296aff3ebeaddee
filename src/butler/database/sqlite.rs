//! Registries in `SQLite`.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ToSql, ffi};

use super::registry_file::{Access, Trouble, access, explained};
use super::{Database, Dialect, Row, Value};
use crate::butler::error::{Cause, Error};

/// How long to wait for a writer.
const BUSY: Duration = Duration::from_secs(30);

struct Sqlite {
    path: PathBuf,
    connection: Connection,
    access: Access,
}

/// Opens `sqlite:///path`.
pub(super) fn open(url: &str) -> Result<Box<dyn Database>, Error> {
    let path = path_of(url);
    let failed = |source: Cause| Error::OpenRegistry { place: format!("`{path}`"), source };
    if path.is_empty() {
        return Err(failed("a registry in memory cannot be read".into()));
    }
    Ok(Box::new(Sqlite::open(Path::new(path), BUSY).map_err(failed)?))
}

/// The path in a URL. As `SQLAlchemy`: what follows the third slash, up to a query; but there may be a file of the whole name.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.strip_prefix('/').unwrap_or(rest);
    if Path::new(path).exists() { path } else { path.split('?').next().unwrap_or_default() }
}

impl Sqlite {
    fn open(path: &Path, busy: Duration) -> Result<Self, Cause> {
        let access = access(path)?;
        let settings = match access {
            Access::Locks => "",
            Access::SharedMemory => "&readonly_shm=1",
            Access::Immutable(_) => "&immutable=1",
        };
        let connection = connect(path, settings, busy).map_err(|error| explained(path, error))?;
        let mut opened = Self { path: path.to_owned(), connection, access };
        // Opening reads nothing: this finds out whether it is a database.
        opened.begin()?;
        opened.end()?;
        Ok(opened)
    }

    /// Whether the file was read as one without a writer, and has been written since.
    fn is_outdated(&self) -> bool {
        matches!(&self.access, Access::Immutable(identity) if !identity.stands(&self.path))
    }

    fn explained(&self, error: rusqlite::Error) -> Cause {
        if self.is_outdated() { Trouble::Changed.into() } else { explained(&self.path, error) }
    }
}

fn connect(path: &Path, settings: &str, busy: Duration) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, settings), flags)?;
    connection.busy_timeout(busy)?;
    Ok(connection)
}

/// Begins a transaction and looks at the database, from when on it shows one state.
fn look(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN")?;
    let seen = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    if seen.is_err() {
        connection.execute_batch("ROLLBACK")?;
    }
    seen
}

/// A path as the URI that `SQLite` takes.
fn uri(path: &Path, settings: &str) -> String {
    let mut uri = "file:".to_owned();
    // A path that starts with two slashes would name a host.
    if path.is_absolute() {
        uri += "//";
    }
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?mode=ro" + settings
}

impl Database for Sqlite {
    fn begin(&mut self) -> Result<(), Cause> {
        if self.is_outdated() {
            *self = Self::open(&self.path, BUSY)?;
        }
        let needs_lock = |error: &ffi::Error| error.extended_code == ffi::SQLITE_READONLY_CANTLOCK;
        let seen = match look(&self.connection) {
            // A writer is there, next to whom others read only if they say so in its shared memory.
            Err(error) if error.sqlite_error().is_some_and(needs_lock) => connect(&self.path, "", BUSY)
                .and_then(|connection| {
                    self.connection = connection;
                    look(&self.connection)
                }),
            seen => seen,
        };
        seen.map_err(|error| self.explained(error))
    }

    fn end(&mut self) -> Result<(), Cause> {
        self.connection.execute_batch("ROLLBACK").map_err(|error| self.explained(error))?;
        if self.is_outdated() { Err(Trouble::Changed.into()) } else { Ok(()) }
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Cause> {
        rows(&self.connection, sql, parameters).map_err(|cause| match cause.downcast::<rusqlite::Error>() {
            Ok(error) => self.explained(*error),
            Err(cause) => cause,
        })
    }
}

fn rows(connection: &Connection, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Cause> {
    let mut statement = connection.prepare(sql)?;
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
        let database = Connection::open_in_memory().unwrap();
        let found = rows(&database, "SELECT CAST(x'c3a9' AS TEXT), NULL, ''", &[]).unwrap();
        assert_eq!(found[0].value(0), &Value::Text("é".to_owned()));
        assert_eq!((found[0].value(1), found[0].value(2)), (&Value::Null, &Value::Text(String::new())));
        let error = rows(&database, "SELECT CAST(x'61ff' AS TEXT)", &[]).err().unwrap();
        assert!(error.to_string().contains("invalid utf-8 sequence"), "{error}");
    }

    /// A database with one row, in a folder whose name a URI would take for something else.
    fn database(folder: &tempfile::TempDir) -> (PathBuf, Connection) {
        let folder = folder.path().join("a?b#c%41 é");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("r.sqlite3");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t AS SELECT 1 AS n").unwrap();
        (path, writer)
    }

    fn count(database: &mut dyn Database) -> Result<Value, Cause> {
        database.begin()?;
        let found = database.rows("SELECT count(*) FROM t", &[]);
        database.end()?;
        Ok(found?[0].value(0).clone())
    }

    #[test]
    fn a_writer_that_does_not_end_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let (path, writer) = database(&folder);
        writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = Sqlite::open(&path, Duration::from_millis(50)).err().unwrap().to_string();
        assert!(error.starts_with("another process keeps the registry locked"), "{error}");
        writer.execute_batch("COMMIT").unwrap();
        let url = format!("sqlite:///{}", path.display());
        assert_eq!(count(&mut *open(&url).ok().unwrap()).unwrap(), Value::Integer(1));
    }

    #[test]
    fn a_file_read_as_one_without_a_writer_is_read_again_if_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (path, writer) = database(&folder);
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        drop(writer);
        let mut reader = Sqlite::open(&path, BUSY).unwrap();
        assert!(matches!(reader.access, Access::Immutable(_)));
        let insert = || Connection::open(&path).unwrap().execute_batch("INSERT INTO t VALUES (2)").unwrap();
        insert();
        assert_eq!(count(&mut reader).unwrap(), Value::Integer(2));
        reader.begin().unwrap();
        insert();
        assert_eq!(reader.end().unwrap_err().to_string(), Trouble::Changed.to_string());
        assert_eq!(count(&mut reader).unwrap(), Value::Integer(3));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_writer_in_wal_mode_is_read_beside_and_disturbed_by_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, writer) = database(&folder);
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        let mut reader = Sqlite::open(&path, BUSY).unwrap();
        assert_eq!(reader.access, Access::SharedMemory);
        for rows in 3..30 {
            writer.execute_batch("INSERT INTO t VALUES (0)").unwrap();
            if rows % 3 == 0 {
                writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            }
            assert_eq!(count(&mut reader).unwrap(), Value::Integer(rows));
        }
        drop(writer);
        assert_eq!(count(&mut reader).unwrap(), Value::Integer(29));
    }
}
