//! What a session is told: its transaction, its settings, its end.

use std::time::Duration;

use super::connect::{self, Target};
use super::connection::Connection;
use super::error::Error;
use super::snapshot::SnapshotState;
use super::sql::literal;
use crate::digest::Digest;

/// What the sessions of a snapshot are set to.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Readers at once, the snapshot's holder not counted.
    pub connections: usize,
    /// How long a statement of a reader may take.
    pub statement_timeout: Option<Duration>,
    /// How long a reader waits for a lock.
    pub lock_timeout: Option<Duration>,
}

/// Readers at once unless somebody says otherwise.
pub const DEFAULT_CONNECTIONS: usize = 4;

impl Default for SessionOptions {
    fn default() -> Self {
        Self { connections: DEFAULT_CONNECTIONS, statement_timeout: None, lock_timeout: None }
    }
}

/// The first version with `pg_current_snapshot`; before, `txid_current_snapshot` had its place.
const CURRENT_SNAPSHOT: u32 = 130_000;
/// The first version with a limit on the length of transactions.
const TRANSACTION_TIMEOUT: u32 = 170_000;
/// From this version on, floats are written in the shortest form that reads back the same, with any positive setting.
const SHORTEST_FLOATS: u32 = 120_000;

/// What a session is to its snapshot.
#[derive(Clone, Copy)]
pub(super) enum Role<'a> {
    /// It keeps the snapshot for readers, however long they take.
    Holder,
    /// It reads the snapshot of this name.
    Reader(&'a str),
    /// It holds the snapshot and is the only one that reads it.
    Only,
}

/// Begins the transaction, on the snapshot of its role. The settings are local to the transaction, so that a pooler in
/// between cannot give them to somebody else.
///
/// Scans start at the first page and are not run in parallel, so that the order of rows is that of the table. What the
/// server casts to text does not depend on the settings of the user or the database.
pub(super) fn begin(
    connection: &mut Connection,
    options: &SessionOptions,
    role: Role<'_>,
) -> Result<(), Error> {
    let milliseconds = |limit: Option<Duration>| limit.map_or(0, |limit| limit.as_millis());
    let statement = match role {
        Role::Holder => 0,
        Role::Reader(_) | Role::Only => milliseconds(options.statement_timeout),
    };
    let lock = milliseconds(options.lock_timeout);
    let version = connection.version();
    let digits = if version >= SHORTEST_FLOATS { 1 } else { 3 };
    let mut settings = format!(
        "SET LOCAL synchronize_seqscans = off;
         SET LOCAL max_parallel_workers_per_gather = 0;
         SET LOCAL statement_timeout = {statement};
         SET LOCAL lock_timeout = {lock};
         SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL datestyle = 'ISO';
         SET LOCAL intervalstyle = 'postgres';
         SET LOCAL bytea_output = 'hex';
         SET LOCAL extra_float_digits = {digits};"
    );
    // Otherwise the server refuses what is not UTF-8 itself, and does not say where it is.
    if connection.parameter("server_encoding") == Some("SQL_ASCII") {
        settings.push_str(" SET LOCAL client_encoding = 'SQL_ASCII';");
    }
    if version >= TRANSACTION_TIMEOUT {
        settings.push_str(" SET LOCAL transaction_timeout = 0;");
    }
    connection.query("begin a transaction", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    if let Role::Reader(snapshot) = role {
        let sql = format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot));
        connection.query("take over the snapshot", &sql).map_err(|error| match error {
            error @ Error::Server { .. } => Error::SnapshotGone(Box::new(error)),
            error => error,
        })?;
    }
    connection.query("set up the session", &settings)?;
    Ok(())
}

/// Exports the snapshot; `None` if the server does not. The transaction is then begun anew: the refusal ended it.
pub(super) fn export(connection: &mut Connection, options: &SessionOptions) -> Result<Option<String>, Error> {
    match connection.query("export the snapshot", "SELECT pg_catalog.pg_export_snapshot()") {
        Ok(rows) => Ok(rows.single()),
        Err(error @ Error::Server { .. }) if !error.is_transient() => {
            tracing::info!("the server does not export snapshots; one connection reads all: {error}");
            connection.query("roll back", "ROLLBACK")?;
            begin(connection, options, Role::Only)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Finds out which state of which database the transaction sees.
pub(super) fn state(
    connection: &mut Connection,
    target: &Target,
    exported: Option<String>,
) -> Result<SnapshotState, Error> {
    let function = if connection.version() >= CURRENT_SNAPSHOT {
        "pg_current_snapshot"
    } else {
        "txid_current_snapshot"
    };
    let sql = format!("SELECT pg_catalog.{function}()::pg_catalog.text");
    let id = connection.query("tell which snapshot it is", &sql)?.single().unwrap_or_default();
    let lsn = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
               ELSE pg_catalog.pg_current_wal_insert_lsn() END";
    let lsn = optional(connection, lsn)?.pop().and_then(|mut row| row.pop());
    let connection_settings = target.digest();
    let mut state = SnapshotState { id, exported, lsn, connection_settings, ..SnapshotState::default() };
    let identity = optional(connection, IDENTITY)?.pop().map(<[String; 6]>::try_from);
    let Some(Ok([server, started, in_recovery, database, role, version])) = identity else {
        state.doubt = Some("the server does not tell which it is (see pg_control_system)".to_owned());
        return Ok(state);
    };
    if in_recovery == "t" {
        state.doubt = Some("the server is a standby, whose snapshots leave transactions out".to_owned());
    }
    state.started = Some(started);
    let facts = [("server", server), ("database", database), ("role", role), ("server version", version)];
    state.place.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    for row in optional(connection, SETTINGS)? {
        let Ok([name, value]) = <[String; 2]>::try_from(row) else { continue };
        // A setting that somebody made up may hold a secret.
        let value = if name.contains('.') { Digest::of(value.as_bytes()).short() } else { value };
        state.place.insert(format!("setting {name}"), value);
    }
    if let Some(digest) = target.session_digest() {
        state.place.insert("session options".to_owned(), digest);
    }
    Ok(state)
}

const IDENTITY: &str = "
    SELECT s.system_identifier,
           pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.pg_postmaster_start_time()),
                              'YYYY-MM-DD HH24:MI:SS.US'),
           pg_catalog.pg_is_in_recovery(), d.datname || ' (' || d.oid || ')',
           CASE WHEN session_user = current_user THEN session_user::pg_catalog.text
                ELSE session_user || ' as ' || current_user END,
           pg_catalog.current_setting('server_version_num')
    FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d
    WHERE d.datname = pg_catalog.current_database()";

/// All that a session can set, wherever it was set, but what we set ourselves and no row depends on.
const SETTINGS: &str = "
    SELECT name, setting FROM pg_catalog.pg_settings
    WHERE source <> 'default' AND context IN ('user', 'superuser', 'backend', 'superuser-backend')
          AND setting IS NOT NULL
          AND name NOT IN ('application_name', 'statement_timeout', 'lock_timeout', 'transaction_timeout',
                           'idle_in_transaction_session_timeout')
    ORDER BY name";

/// The rows without NULLs of a query that the server may refuse without harm to the transaction; none if it did.
pub(super) fn optional(connection: &mut Connection, sql: &str) -> Result<Vec<Vec<String>>, Error> {
    connection.query("set a savepoint", "SAVEPOINT ssp_optional")?;
    match connection.query("tell about itself", sql) {
        Ok(found) => {
            connection.query("release a savepoint", "RELEASE SAVEPOINT ssp_optional")?;
            Ok(found.rows.into_iter().filter_map(|row| row.into_iter().collect()).collect())
        }
        Err(Error::Server { .. }) => {
            connection.query("go back to a savepoint", "ROLLBACK TO SAVEPOINT ssp_optional")?;
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Makes the only connection fit for its next reader, if that can be done.
pub(super) fn restore(connection: &mut Connection, target: &Target) {
    if !connection.is_idle() {
        let _ = connect::cancel(target, connection.handle());
    }
    connection.settle();
    // If this fails, the next reader's first query does, and says why.
    let _ = connection.query("go back to a savepoint", "ROLLBACK TO SAVEPOINT ssp; RELEASE SAVEPOINT ssp");
}

/// Ends a session that may be in the middle of a query: nothing is left running on the server.
pub(super) fn abandon(connection: Connection, target: &Target) {
    if !connection.is_idle() {
        let _ = connect::cancel(target, connection.handle());
    }
    connection.close();
}

/// Rolls the transaction back and ends the session.
pub(super) fn end(mut connection: Connection, target: &Target) {
    if connection.is_idle() {
        let _ = connection.query("roll back", "ROLLBACK");
    }
    abandon(connection, target);
}
