//! One state of the database that several connections read: the holder and its readers.
//!
//! The holder opens a REPEATABLE READ, READ ONLY transaction and exports its snapshot; every reader takes it over. Where
//! the server does not export snapshots or allows no second connection, the holder itself is the only reader. Never a
//! private snapshot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::connect::Target;
use super::connection::Connection;
use super::error::Error;
use super::locks::{ANSWER_TIMEOUT, Holder, SessionWatch};
use super::pool::{Pool, Shortage, Slot};
use super::reader::{Lender, Reader};
use super::session::{self, LOCK_NOT_AVAILABLE, Locks, Role, SessionOptions, State};
use super::sql::Query;
use crate::database_state::{DatabaseState, Horizon};
use crate::monitor::{Monitor, POLL};

/// A snapshot, for as long as it is not dropped.
pub struct Snapshot {
    target: Arc<Target>,
    options: SessionOptions,
    state: State,
    locks: Locks,
    /// The name under which it was exported; `None`: the server does not export snapshots, and one connection reads all.
    exported: Option<String>,
    holder: Arc<Holder>,
    pool: Mutex<Pool>,
    freed: Condvar,
    taken: Instant,
    /// Whether it was asked for transactions that are open for long.
    asked: AtomicBool,
}

/// The most rows that a watermark may return: its text is kept in a record.
const LONGEST_WATERMARK: usize = 10_000;
/// How long the start of a reader may take: a server that answers at all does so much sooner.
const START_TIMEOUT: Duration = Duration::from_secs(10);

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
        holder.set_patience(target.timeout());
        let begun = session::begin(&mut holder, options, Role::Holder);
        let mut locks = begun.map_err(|error| error.at_start(&target))?;
        let exported = session::export(&mut holder, options, &mut locks)?;
        let state = session::state(&mut holder, &target)?;
        if !locks.held.is_empty() {
            locks.ids = session::locked_ids(&mut holder)?;
        }
        let alone = exported.is_none() || options.connections == 0;
        holder.set_patience(Some(ANSWER_TIMEOUT));
        let mut pool = Pool { most: options.connections, ..Pool::default() };
        let holder = Holder::new(Arc::clone(&target), Some(holder));
        if alone {
            pool.leave_to(holder.take());
        }
        Ok(Self {
            target,
            options: options.clone(),
            state,
            locks,
            exported,
            holder: Arc::new(holder),
            pool: Mutex::new(pool),
            freed: Condvar::new(),
            taken: Instant::now(),
            asked: AtomicBool::new(false),
        })
    }

    /// Which state of which database it shows.
    pub fn generation(&self) -> &DatabaseState {
        &self.state.generation
    }

    /// Why a table, as it is written in a query and by its object id, is not locked against changes of its form; `None` if it
    /// is.
    pub(crate) fn not_locked(&self, table: &str, id: u32) -> Option<&str> {
        if self.locks.held.iter().any(|held| held == table) {
            return (!self.locks.ids.contains(&id)).then_some("another table had its name before");
        }
        Some(self.locks.refused.get(table).map_or("no lock was asked for", String::as_str))
    }

    /// Whether several connections can read it.
    pub fn is_exported(&self) -> bool {
        self.exported.is_some()
    }

    /// What it was taken of.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many readers there can be at once.
    pub fn most_readers(&self) -> usize {
        self.pool().most
    }

    /// That fewer connections read than may: when it is asked for the first time after it is known.
    pub fn shortage(&self) -> Option<Shortage> {
        let mut pool = self.pool();
        if pool.opening {
            // That one may be refused, too.
            return None;
        }
        let error = pool.shortage.take()?;
        pool.told = true;
        Some(Shortage {
            readers: if pool.alone { 0 } else { pool.most },
            most: self.options.connections,
            reason: crate::errors::chain(&error).pop().unwrap_or_default(),
            locked_out: error.code() == Some(LOCK_NOT_AVAILABLE),
        })
    }

    /// The rows of a query in this snapshot, as canonical text: a JSON array whose first element has the columns' names
    /// and the others the rows' values, as Postgres writes them, or null.
    ///
    /// # Errors
    /// [`Error::Sql`], [`Error::LongWatermark`], [`Error::Stopped`], and those of the server.
    pub fn watermark(&self, sql: &str, monitor: &Monitor) -> Result<String, Error> {
        let query = Query::new(sql)?;
        self.reader(monitor)?.watermark(&query, LONGEST_WATERMARK)
    }

    /// Why a later state with the same snapshot may show other rows than were read; `None` if it cannot.
    ///
    /// With `synchronous_commit = off`, commits that the snapshot sees may not be on the server's disk yet. They are lost if a
    /// process of the server dies, and the same transaction ids come again with other rows. Waits up to a second for them.
    ///
    /// # Errors
    /// Those of a query of a reader.
    pub fn doubt(&self, monitor: &Monitor) -> Result<Option<&'static str>, Error> {
        // What a standby shows was on the disk of its primary.
        if self.state.in_recovery {
            return Ok(None);
        }
        let (Some(position), Some(loaded)) = (&self.state.generation.lsn, &self.state.loaded) else {
            return Ok(Some("the server does not report how much of its log is on disk"));
        };
        let mut reader = self.reader(monitor)?;
        if reader.settings_loaded()?.as_ref() != Some(loaded) {
            return Ok(Some("the server's settings were reloaded during the run"));
        }
        // The server's log writer is at most so late with commits; the end of the log, without any, may wait for longer. All
        // sessions end with a process that dies, ours too.
        let latest = reader.log_writer_delay()? * 3 + LOG_MARGIN;
        let asked = Instant::now();
        loop {
            let late = self.taken.elapsed() >= latest;
            if reader.is_flushed(position)? || late {
                return Ok(None);
            }
            if asked.elapsed() >= LOG_PATIENCE {
                return Ok(Some("some data of the snapshot was not on the server's disk in time"));
            }
            thread::sleep(LOG_PAUSE);
        }
    }

    /// A transaction that writes and has been open for long, when it is asked for the first time: what was committed since it
    /// began is read in each run.
    ///
    /// # Errors
    /// [`Error::Server`], [`Error::Lost`].
    pub fn long_open(&self, reader: &mut Reader<'_>) -> Result<Option<String>, Error> {
        let known = Horizon::of(self.generation()).is_some_and(|horizon| horizon.oldest == horizon.next);
        if known || self.asked.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        let found = reader.oldest_writer(self.options.long_open)?;
        Ok(found.map(|(what, since)| {
            format!(
                "{what} has been open since {since} UTC: each run reads again what was committed after that; end it if it is not \
                 needed"
            )
        }))
    }

    /// Ends all sessions that are not in use, and with them their locks. The snapshot cannot be read after this.
    pub fn end(&self) {
        let idle = std::mem::take(&mut self.pool().idle);
        for connection in idle.into_iter().chain(self.holder.take()) {
            session::end(connection, &self.target);
        }
    }

    /// A connection that reads this snapshot; waits for one to be free. Its queries are cancelled when the monitor is stopped.
    /// They, and their waits for locks, take no longer than the monitor's timeout, or else the snapshot's own limits.
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Connect`], [`Error::SnapshotGone`].
    pub fn reader(&self, monitor: &Monitor) -> Result<Reader<'_>, Error> {
        let mut pool = self.pool();
        loop {
            if monitor.is_stopped() {
                return Err(Error::Stopped(None));
            }
            if let Some(slot) = pool.take_slot() {
                drop(pool);
                if let Some(reader) = self.reader_with(slot, monitor)? {
                    return Ok(reader);
                }
                pool = self.pool();
                continue;
            }
            let waited = self.freed.wait_timeout(pool, POLL);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A connection that reads this snapshot, if one is free or can be opened now.
    ///
    /// # Errors
    /// As [`Self::reader`].
    pub fn further_reader(&self, monitor: &Monitor) -> Result<Option<Reader<'_>>, Error> {
        let mut pool = self.pool();
        while pool.opening && pool.idle.is_empty() {
            if monitor.is_stopped() {
                return Err(Error::Stopped(None));
            }
            pool = self.freed.wait_timeout(pool, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some(slot) = pool.take_slot() else { return Ok(None) };
        drop(pool);
        self.reader_with(slot, monitor)
    }

    /// At most `most` readers, `first` among them: as many as are free or can be opened now.
    pub(crate) fn further_readers<'s>(
        &'s self,
        first: Reader<'s>,
        most: usize,
        monitor: &Monitor,
    ) -> Result<Vec<Reader<'s>>, Error> {
        let mut readers = vec![first];
        while readers.len() < most {
            let Some(further) = self.further_reader(monitor)? else { break };
            readers.push(further);
        }
        Ok(readers)
    }

    /// A reader; none if there is no connection for it, and another one must be found.
    fn reader_with(&self, slot: Slot, monitor: &Monitor) -> Result<Option<Reader<'_>>, Error> {
        match slot {
            Slot::Idle(connection) => match self.lend(*connection, monitor) {
                // It was lost while it was idle.
                Err(_) if !self.pool().alone => Ok(None),
                lent => lent.map(Some),
            },
            Slot::Open => {
                let opening = Opening(self);
                let connected = self.connect();
                drop(opening);
                match connected {
                    Ok(connection) => self.lend(connection, monitor).map(Some),
                    Err(error) => self.make_do(error).map(|()| None),
                }
            }
        }
    }

    /// Opens a connection, in short time: a pooler whose connections are all in use lets a session begin and then wait.
    fn connect(&self) -> Result<Connection, Error> {
        let target = self.target.with_timeout(START_TIMEOUT);
        let mut connection = Connection::open(&target)?;
        connection.set_patience(target.timeout());
        let role = match &self.exported {
            Some(name) => Role::Reader(name, &self.locks),
            None => Role::Holder,
        };
        match session::begin(&mut connection, &self.options, role) {
            Ok(_) => Ok(connection),
            Err(error) => {
                connection.close();
                Err(error)
            }
        }
    }

    /// Continues without a connection that could not be opened, for any reason: it takes longer, but the rows are the
    /// same. The other readers do it, or the holder if there are none; the error is returned if that is gone.
    fn make_do(&self, error: Error) -> Result<(), Error> {
        let mut pool = self.pool();
        pool.open -= 1;
        if pool.open > 0 {
            pool.most = pool.open;
        } else if let Some(holder) = self.holder.take_alive() {
            pool.leave_to(Some(holder));
        } else {
            self.freed.notify_one();
            return Err(error);
        }
        if !pool.told {
            pool.shortage = Some(error);
        }
        self.freed.notify_all();
        Ok(())
    }

    fn lend(&self, mut connection: Connection, monitor: &Monitor) -> Result<Reader<'_>, Error> {
        let watch = SessionWatch::new(&self.holder, &connection, &self.options, monitor);
        connection.set_watch(Some(Box::new(watch)));
        if let Err(error) = session::lend(&mut connection, &self.options, monitor.timeout()) {
            self.take_back(connection);
            return Err(error);
        }
        Ok(Reader::new(self, connection))
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The pool is whole whenever the lock is free.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is being opened, until it is dropped: others wait for that.
struct Opening<'s>(&'s Snapshot);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.pool().opening = false;
        self.0.freed.notify_all();
    }
}

impl Lender for Snapshot {
    fn take_back(&self, mut connection: Connection) {
        connection.set_watch(None);
        let alone = self.pool().alone;
        // The only connection is kept, even in the middle of a query.
        if alone || connection.is_idle() {
            session::restore(&mut connection, &self.target);
        }
        let mut pool = self.pool();
        if connection.is_ready() || pool.alone {
            pool.idle.push(connection);
        } else {
            pool.open -= 1;
            drop(pool);
            session::abandon(connection, &self.target);
        }
        self.freed.notify_one();
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.end();
    }
}
