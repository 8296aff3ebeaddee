//! One state of the database that several connections read: the holder and its readers.
//!
//! The holder opens a REPEATABLE READ, READ ONLY transaction and exports its snapshot; every reader takes it over. Where
//! the server does not export snapshots, the holder itself is the only reader. Never a private snapshot.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::cancel::Canceller;
use super::connect::Target;
use super::connection::Connection;
use super::error::Error;
use super::reader::Reader;
use super::session::{self, Role, SessionOptions};
use super::sql::Query;

/// Which state of which database a snapshot shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotState {
    /// The text of `pg_current_snapshot()`.
    pub id: String,
    /// The name under which the snapshot was exported; `None`: the server does not, and one connection does all.
    pub exported: Option<String>,
    /// The write-ahead log's position when the snapshot was taken.
    pub lsn: Option<String>,
    /// Server, database, role and session settings, by name; empty where the server does not tell.
    pub place: BTreeMap<String, String>,
    /// When the server was started, in UTC.
    pub started: Option<String>,
    /// The digest of the connection settings.
    pub connection_settings: String,
    /// Why no later state can be proven to be the same.
    pub doubt: Option<String>,
}

/// A snapshot, for as long as it is not dropped.
pub struct Snapshot {
    target: Arc<Target>,
    options: SessionOptions,
    state: SnapshotState,
    holder: Option<Connection>,
    pool: Mutex<Pool>,
    freed: Condvar,
    canceller: Canceller,
    taken: Instant,
}

/// The readers' connections.
struct Pool {
    idle: Vec<Connection>,
    open: usize,
    most: usize,
}

/// What a pool has to give.
enum Leave {
    /// A connection.
    Idle(Box<Connection>),
    /// The right to open another one.
    Open,
}

impl Pool {
    fn leave(&mut self) -> Option<Leave> {
        if let Some(connection) = self.idle.pop() {
            return Some(Leave::Idle(Box::new(connection)));
        }
        (self.open < self.most).then(|| {
            self.open += 1;
            Leave::Open
        })
    }
}

/// The most rows that a watermark may return: its text is kept in a record.
const LONGEST_WATERMARK: usize = 10_000;
/// How long to wait for a free connection before asking again whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the delays of the server's log writer are to be exceeded by.
const LOG_MARGIN: Duration = Duration::from_millis(200);
/// How long to wait for the log, and between two questions.
const LOG_PATIENCE: Duration = Duration::from_secs(1);
const LOG_PAUSE: Duration = Duration::from_millis(10);

impl Snapshot {
    /// Connects and takes the snapshot.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Server`], [`Error::Lost`].
    pub fn open(target: &Target, options: &SessionOptions) -> Result<Self, Error> {
        let target = Arc::new(target.clone());
        let mut holder = Connection::open(&target)?;
        for warning in &holder.warnings {
            tracing::warn!("{warning}");
        }
        let canceller = Canceller::new(Arc::clone(&target));
        canceller.add(holder.handle().clone());
        session::begin(&mut holder, options, Role::Holder)?;
        let exported = session::export(&mut holder, options)?;
        let state = session::state(&mut holder, &target, exported)?;
        let alone = state.exported.is_none();
        let (holder, idle) = if alone { (None, vec![holder]) } else { (Some(holder), Vec::new()) };
        let most = if alone { 1 } else { options.connections.max(1) };
        let pool = Mutex::new(Pool { open: idle.len(), idle, most });
        Ok(Self {
            target,
            options: options.clone(),
            state,
            holder,
            pool,
            freed: Condvar::new(),
            canceller,
            taken: Instant::now(),
        })
    }

    /// Which state of which database it shows.
    #[must_use]
    pub fn state(&self) -> &SnapshotState {
        &self.state
    }

    /// What it was taken of.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many readers there can be at once.
    #[must_use]
    pub fn most_readers(&self) -> usize {
        self.pool().most
    }

    /// Cancels whatever runs in this snapshot.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// A group of readers that can be cancelled together, apart from the others.
    #[must_use]
    pub fn group(&self) -> Canceller {
        Canceller::new(Arc::clone(&self.target))
    }

    /// The rows of a query in this snapshot, as canonical text: a JSON array whose first element has the columns' names
    /// and the others the rows' values, as Postgres writes them, or null.
    ///
    /// # Errors
    /// [`Error::Sql`], [`Error::LongWatermark`], and whatever the server says.
    pub fn watermark(&self, sql: &str) -> Result<String, Error> {
        let query = Query::new(sql)?;
        self.reader(&|| false)?.watermark(&query, LONGEST_WATERMARK)
    }

    /// Whether all commits that this snapshot sees are safe on the server's disk. With `synchronous_commit = off` they may
    /// not be yet, and are lost if a process of the server dies: then the same transaction ids come again with other rows.
    /// Waits up to a second for them.
    ///
    /// # Errors
    /// Whatever a query of a reader returns.
    pub fn is_durable(&self) -> Result<bool, Error> {
        let Some(position) = &self.state.lsn else { return Ok(false) };
        let mut reader = self.reader(&|| false)?;
        // The writer of the log is at most so late. All sessions end with a process that dies, ours too.
        let latest = reader.log_writer_delay()? * 3 + LOG_MARGIN;
        let asked = Instant::now();
        loop {
            let late = self.taken.elapsed() >= latest;
            if reader.is_flushed(position)? || late {
                return Ok(true);
            }
            if asked.elapsed() >= LOG_PATIENCE {
                return Ok(false);
            }
            thread::sleep(LOG_PAUSE);
        }
    }

    /// A connection that reads this snapshot; waits for one to be free.
    ///
    /// # Errors
    /// [`Error::Stopped`] once `stopped` says so or the snapshot is cancelled; [`Error::Connect`],
    /// [`Error::SnapshotGone`].
    pub fn reader(&self, stopped: &dyn Fn() -> bool) -> Result<Reader<'_>, Error> {
        let mut pool = self.pool();
        loop {
            if stopped() || self.canceller.is_cancelled() {
                return Err(Error::Stopped);
            }
            if let Some(leave) = pool.leave() {
                drop(pool);
                return self.reader_with(leave);
            }
            let waited = self.freed.wait_timeout(pool, PATIENCE);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A connection that reads this snapshot, if one is free or may be opened now.
    ///
    /// # Errors
    /// As [`Self::reader`].
    pub fn further_reader(&self) -> Result<Option<Reader<'_>>, Error> {
        let mut pool = self.pool();
        let Some(leave) = pool.leave() else { return Ok(None) };
        drop(pool);
        self.reader_with(leave).map(Some)
    }

    fn reader_with(&self, leave: Leave) -> Result<Reader<'_>, Error> {
        let opened = match leave {
            Leave::Idle(connection) => return self.lend(*connection),
            Leave::Open => self.connect(),
        };
        match opened {
            Ok(connection) => self.lend(connection),
            Err(error) => {
                self.pool().open -= 1;
                self.freed.notify_one();
                Err(error)
            }
        }
    }

    fn connect(&self) -> Result<Connection, Error> {
        let mut connection = Connection::open(&self.target)?;
        let role = self.state.exported.as_deref().map_or(Role::Only, Role::Reader);
        session::begin(&mut connection, &self.options, role)?;
        Ok(connection)
    }

    fn lend(&self, mut connection: Connection) -> Result<Reader<'_>, Error> {
        // The only connection must outlive a query that fails.
        if self.holder.is_none()
            && let Err(error) = connection.query("set a savepoint", "SAVEPOINT ssp")
        {
            self.take_back(connection);
            return Err(error);
        }
        let number = self.canceller.add(connection.handle().clone());
        Ok(Reader::new(self, connection, number))
    }

    /// Takes a reader's connection back.
    pub(super) fn end(&self, mut connection: Connection, number: u64) {
        if self.holder.is_none() {
            session::restore(&mut connection, &self.target);
        }
        self.canceller.remove(number);
        self.take_back(connection);
    }

    fn take_back(&self, connection: Connection) {
        let mut pool = self.pool();
        if connection.is_ready() || self.holder.is_none() {
            pool.idle.push(connection);
        } else {
            pool.open -= 1;
            drop(pool);
            session::abandon(connection, &self.target);
        }
        self.freed.notify_one();
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The pool is whole whenever the lock is free.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.pool().idle);
        for connection in idle.into_iter().chain(self.holder.take()) {
            session::end(connection, &self.target);
        }
    }
}
