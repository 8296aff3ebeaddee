//! What a session is told: its transaction, its settings, its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;

use super::connect::{self, Target};
use super::connection::Connection;
use super::error::Error;
use super::sql::literal;
use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::errors::Classified as _;

/// What the sessions of a snapshot are set to.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Readers at once, the snapshot's holder not counted; with 0 the holder reads.
    pub connections: usize,
    /// How long a statement of a reader may take.
    pub statement_timeout: Option<Duration>,
    /// How long a session waits for a lock.
    pub lock_timeout: Option<Duration>,
    /// How long a reader waits for a lock until that is told.
    pub patience: Duration,
    /// How long a transaction that writes may be open until that is told.
    pub long_open: Duration,
    /// Tables, as they are written in queries, that all sessions lock against changes of their form: before the snapshot is
    /// taken, and until it is dropped.
    pub tables: Vec<String>,
}

/// Readers at once by default.
const DEFAULT_CONNECTIONS: usize = 4;

/// How long to wait for a lock by default: longer than most maintenance, shorter than a night.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_mins(30);
/// Shorter waits for a lock are no news.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longer than any transaction of a night.
const LONG_OPEN: Duration = Duration::from_hours(24);

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            connections: DEFAULT_CONNECTIONS,
            statement_timeout: None,
            lock_timeout: Some(DEFAULT_LOCK_TIMEOUT),
            patience: PATIENCE,
            long_open: LONG_OPEN,
            tables: Vec::new(),
        }
    }
}

/// The first version with `pg_current_snapshot`; before, `txid_current_snapshot` had its place.
const CURRENT_SNAPSHOT: u32 = 130_000;
/// The first version with a limit on the length of transactions.
const TRANSACTION_TIMEOUT: u32 = 170_000;
/// From this version on, floats are written in the shortest form that reads back the same, with any positive setting.
const SHORTEST_FLOATS: u32 = 120_000;

/// How long the holder waits for the lock of a table: less than `deadlock_timeout`, after which the server would end one of two
/// that wait for each other. The stage that reads the table waits longer, and says for whom.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The locks that the holder asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    /// The tables that are locked.
    pub held: Vec<String>,
    /// Their object ids.
    pub ids: BTreeSet<u32>,
    /// The others, and why they are not.
    pub refused: BTreeMap<String, String>,
}

/// Who a session is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role<'a> {
    Holder,
    /// It takes over the snapshot of this name.
    Reader(&'a str, &'a Locks),
}

/// Begins the transaction, takes the locks and then the snapshot, and finds out which process serves it. Statements
/// have no limit but while a reader is lent. The settings are local to the transaction, so that a pooler in
/// between cannot give them to another client.
///
/// Scans start at the first page and are not run in parallel, so that the order of rows is that of the table. What the
/// server casts to text does not depend on the settings of the user or the database.
pub(super) fn begin(
    connection: &mut Connection,
    options: &SessionOptions,
    role: Role<'_>,
) -> Result<Locks, Error> {
    let version = connection.version();
    let digits = if version >= SHORTEST_FLOATS { 1 } else { 3 };
    let mut settings = format!(
        "SET LOCAL synchronize_seqscans = off;
         SET LOCAL max_parallel_workers_per_gather = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL datestyle = 'ISO';
         SET LOCAL intervalstyle = 'postgres';
         SET LOCAL bytea_output = 'hex';
         SET LOCAL extra_float_digits = {digits};
         {}",
        limits(None, options.lock_timeout)
    );
    // Otherwise the server refuses what is not UTF-8 itself, and does not say where it is.
    if connection.parameter("server_encoding") == Some("SQL_ASCII") {
        settings.push_str(" SET LOCAL client_encoding = 'SQL_ASCII';");
    }
    if version >= TRANSACTION_TIMEOUT {
        settings.push_str(" SET LOCAL transaction_timeout = 0;");
    }
    connection.query("begin a transaction", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    connection.query("set up the session", &settings)?;
    let mut locks = Locks::default();
    if let Role::Reader(snapshot, held) = role {
        let sql = format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot));
        connection.query("take over the snapshot", &sql).map_err(|error| match error {
            error @ Error::Server { .. } => Error::SnapshotGone(Box::new(error)),
            error => error,
        })?;
        // Behind a statement that waits for the holder's lock, this one would wait without end.
        if !held.held.is_empty() {
            let tables: Vec<String> = held.held.iter().map(|table| format!("ONLY {table}")).collect();
            let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", tables.join(", "));
            connection.query("lock the tables", &sql)?;
        }
    } else if !options.tables.is_empty() {
        locks = lock(connection, options)?;
    }
    let process = connection.query("report its process id", "SELECT pg_catalog.pg_backend_pid()")?;
    connection.process = process.single().unwrap_or_default();
    Ok(locks)
}

/// Locks the tables, as far as the role may; none of them if one is being changed: a session that waits for that change must
/// hold no lock for which it could wait in turn. This takes no snapshot.
fn lock(connection: &mut Connection, options: &SessionOptions) -> Result<Locks, Error> {
    const DOING: &str = "lock the table";
    let mut locks = Locks::default();
    let patience = LOCK_PATIENCE.min(options.lock_timeout.unwrap_or(LOCK_PATIENCE));
    connection.query(DOING, "SAVEPOINT ssp_locks")?;
    for table in &options.tables {
        let (limits, usual) = (limits(None, Some(patience)), limits(None, options.lock_timeout));
        let sql = format!(
            "SAVEPOINT ssp_lock; {limits} LOCK TABLE ONLY {table} IN ACCESS SHARE MODE; {usual}
             RELEASE SAVEPOINT ssp_lock"
        );
        match connection.query(DOING, &sql) {
            Ok(_) => locks.held.push(table.clone()),
            Err(error @ Error::Server { .. }) => {
                if error.code() == Some(LOCK_NOT_AVAILABLE) {
                    connection
                        .query(DOING, "ROLLBACK TO SAVEPOINT ssp_locks; RELEASE SAVEPOINT ssp_locks")?;
                    let refused = |table: &String| (table.clone(), error.to_string());
                    return Ok(Locks {
                        refused: options.tables.iter().map(refused).collect(),
                        ..Locks::default()
                    });
                }
                locks.refused.insert(table.clone(), error.to_string());
                connection.query(DOING, "ROLLBACK TO SAVEPOINT ssp_lock; RELEASE SAVEPOINT ssp_lock")?;
            }
            Err(error) => return Err(error),
        }
    }
    connection.query(DOING, "RELEASE SAVEPOINT ssp_locks")?;
    Ok(locks)
}

/// The object ids of the tables that this session has locked, when it has taken its snapshot.
pub(super) fn locked_ids(connection: &mut Connection) -> Result<BTreeSet<u32>, Error> {
    let sql = "SELECT l.relation FROM pg_catalog.pg_locks l
               WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted";
    let rows = connection.query("report its locks", sql)?.rows;
    Ok(rows.into_iter().flatten().flatten().filter_map(|id| id.parse().ok()).collect())
}

/// The statements that limit how long statements and waits for locks may take. Shorter than a millisecond is no limit.
pub(super) fn limits(statement: Option<Duration>, lock: Option<Duration>) -> String {
    // What the server takes for milliseconds.
    let most = u128::from(i32::MAX.unsigned_abs());
    let milliseconds = |limit: Option<Duration>| limit.map_or(0, |limit| limit.as_millis().min(most));
    let (statement, lock) = (milliseconds(statement), milliseconds(lock));
    format!("SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock};")
}

/// Makes a connection fit for a reader: what that does wrong, and its limits, are undone by [`restore`].
pub(super) fn lend(
    connection: &mut Connection,
    options: &SessionOptions,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    let limits = limits(timeout.or(options.statement_timeout), timeout.or(options.lock_timeout));
    connection.query("set a savepoint", &format!("SAVEPOINT ssp; {limits}")).map(drop)
}

/// Exports the snapshot; `None` if the server does not. The transaction then begins again, with its locks: the refusal
/// ended it.
pub(super) fn export(
    connection: &mut Connection,
    options: &SessionOptions,
    locks: &mut Locks,
) -> Result<Option<String>, Error> {
    match connection.query("export the snapshot", "SELECT pg_catalog.pg_export_snapshot()") {
        Ok(rows) => Ok(rows.single()),
        Err(error @ Error::Server { .. }) if !error.is_transient() => {
            tracing::info!("the server does not export snapshots; one connection reads all: {error}");
            connection.query("roll back", "ROLLBACK")?;
            *locks = begin(connection, options, Role::Holder)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The state of the database that a transaction sees.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub generation: DatabaseState,
    /// When the server last read its settings.
    pub loaded: Option<String>,
    /// Whether the server is a standby.
    pub in_recovery: bool,
}

/// Asks for the database and the state that the transaction sees.
pub(super) fn state(connection: &mut Connection, target: &Target) -> Result<State, Error> {
    let function = if connection.version() >= CURRENT_SNAPSHOT {
        "pg_current_snapshot"
    } else {
        "txid_current_snapshot"
    };
    let sql = format!("SELECT pg_catalog.{function}()::pg_catalog.text");
    let snapshot = connection.query("report its snapshot", &sql)?.single().unwrap_or_default();
    let lsn = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
               ELSE pg_catalog.pg_current_wal_insert_lsn() END";
    let lsn = optional(connection, "report how far its log is", lsn)?.pop().and_then(|mut row| row.pop());
    let (taken, connection_settings) = (Utc::now(), Some(target.digest()));
    let mut generation =
        DatabaseState { snapshot, lsn, taken, connection: connection_settings, ..DatabaseState::default() };
    let (mut loaded, mut in_recovery) = (None, false);
    let mut doubt = |why: &str| generation.doubt = Some(why.to_owned());
    if let Some(Ok([database, oid, role, version, started, settings_read, recovering])) =
        optional(connection, "report its database", IDENTITY)?.pop().map(<[String; 7]>::try_from)
    {
        in_recovery = recovering == "t";
        if in_recovery {
            doubt("the server is a standby, whose snapshots can miss transactions");
        }
        (generation.started, loaded) = (Some(started), Some(settings_read));
        let facts =
            [("database", database), ("database oid", oid), ("role", role), ("server version", version)];
        generation.place.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    }
    match optional(connection, "report its identity", SYSTEM)?.pop().and_then(|mut row| row.pop()) {
        Some(system) => drop(generation.place.insert("server".to_owned(), system)),
        None => doubt("the server does not report its identity (see pg_control_system)"),
    }
    for row in optional(connection, "report its settings", SETTINGS)? {
        if let Ok([name, value]) = <[String; 2]>::try_from(row) {
            generation.place.insert(format!("setting {name}"), value);
        }
    }
    // Settings with names of one's own are not listed, and may hold secrets.
    let mut own: Vec<Vec<String>> = optional(connection, "report the settings of roles", OF_ROLES)?;
    own.extend(optional(connection, "report the settings of its files", OF_FILES)?);
    if !own.is_empty() {
        let digest = Digest::of(format!("{own:?}").as_bytes()).short();
        generation.place.insert("custom settings".to_owned(), digest);
    }
    generation.place.extend(target.session_digest().map(|digest| ("session options".to_owned(), digest)));
    Ok(State { generation, loaded, in_recovery })
}

const SYSTEM: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

const IDENTITY: &str = "
    SELECT d.datname, d.oid,
           CASE WHEN session_user = current_user THEN session_user::pg_catalog.text
                ELSE session_user || ' as ' || current_user END,
           pg_catalog.current_setting('server_version_num'),
           pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.pg_postmaster_start_time()),
                              'YYYY-MM-DD HH24:MI:SS.US'),
           pg_catalog.pg_conf_load_time(), pg_catalog.pg_is_in_recovery()
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

/// All that a session can set, wherever it was set, but what we set ourselves and no row depends on.
const SETTINGS: &str = "
    SELECT name, setting FROM pg_catalog.pg_settings
    WHERE source <> 'default' AND context IN ('user', 'superuser', 'backend', 'superuser-backend')
          AND setting IS NOT NULL
          AND name NOT IN ('application_name', 'statement_timeout', 'lock_timeout', 'transaction_timeout',
                           'idle_in_transaction_session_timeout')
    ORDER BY name";

/// Settings that belong to the role and the database.
const OF_ROLES: &str = "
    SELECT s.setdatabase, s.setrole, s.setconfig FROM pg_catalog.pg_db_role_setting s
    WHERE (s.setdatabase = 0 OR s.setdatabase =
              (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
          AND (s.setrole = 0 OR s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))
    ORDER BY s.setdatabase, s.setrole";

/// Settings with names of one's own in the files of the server, which only a superuser sees.
const OF_FILES: &str = "
    SELECT name, setting FROM pg_catalog.pg_file_settings WHERE applied AND name LIKE '%.%' ORDER BY name";

/// The rows without NULLs of a query that the server may refuse without harm to the transaction; none if it did. `doing`
/// completes "the server cannot".
pub(super) fn optional(
    connection: &mut Connection,
    doing: &str,
    sql: &str,
) -> Result<Vec<Vec<String>>, Error> {
    let guarded = format!("SAVEPOINT ssp_optional; {sql}; RELEASE SAVEPOINT ssp_optional");
    match connection.query(doing, &guarded) {
        Ok(found) => Ok(found.rows.into_iter().filter_map(|row| row.into_iter().collect()).collect()),
        Err(Error::Server { .. }) => {
            connection.query("go back to a savepoint", "ROLLBACK TO SAVEPOINT ssp_optional")?;
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Makes a connection fit for its next reader, if that can be done.
pub(super) fn restore(connection: &mut Connection, target: &Target) {
    if !connection.is_idle() {
        let _ = connect::cancel(target, connection.handle());
    }
    connection.settle();
    // If this fails, the next reader's first query does, and says why.
    let _ = connection.query("go back to a savepoint", "ROLLBACK TO SAVEPOINT ssp; RELEASE SAVEPOINT ssp");
}

/// Ends a session that may be in the middle of a query: nothing is left running on the server.
pub(super) fn abandon(mut connection: Connection, target: &Target) {
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
