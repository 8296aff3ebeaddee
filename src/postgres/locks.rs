//! Watching a session that waits: which lock it waits for and who blocks it, and cancelling its query.
//!
//! Not a place for how long a wait may take (see `session`).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connect::{self, SessionHandle, Target};
use super::connection::{Connection, Watch};
use super::error::Error;
use super::session::SessionOptions;
use crate::monitor::{Monitor, POLL};

/// The session that keeps the snapshot. It is asked about the readers, until it has to read itself.
pub(super) struct Holder {
    target: Arc<Target>,
    connection: Mutex<Option<Connection>>,
    /// Whether another connection to ask on was refused: it is not tried again.
    refused: AtomicBool,
}

/// How long an answer about a wait may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

impl Holder {
    /// With no connection, each question is asked on one of its own.
    pub(super) fn new(target: Arc<Target>, connection: Option<Connection>) -> Self {
        Self { target, connection: Mutex::new(connection), refused: AtomicBool::new(false) }
    }

    /// The connection, if it was not taken before.
    pub(super) fn take(&self) -> Option<Connection> {
        self.connection().take()
    }

    /// Takes the connection if it still keeps the snapshot.
    pub(super) fn take_alive(&self) -> Option<Connection> {
        let mut connection = self.connection();
        let alive = connection.as_mut()?.query("keep the snapshot", "SELECT 1").is_ok();
        connection.take_if(|_| alive)
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock that the session of a server process waits for, in words; `None` if it waits for none or the server cannot
    /// be asked.
    fn wait_of(&self, process: &str) -> Option<String> {
        match &mut *self.connection() {
            Some(holder) => wait_of(holder, process).ok()?,
            None if self.refused.load(Ordering::Relaxed) => None,
            None => self.ask_elsewhere(process).unwrap_or_else(|error| {
                tracing::debug!("cannot open a connection to look for locks: {error}");
                self.refused.store(true, Ordering::Relaxed);
                None
            }),
        }
    }

    fn ask_elsewhere(&self, process: &str) -> Result<Option<String>, Error> {
        let mut connection = Connection::open(&self.target.with_timeout(ANSWER_TIMEOUT))?;
        connection.set_patience(Some(ANSWER_TIMEOUT));
        let begun = connection.query("begin a transaction", "BEGIN READ ONLY");
        let wait = begun.and_then(|_| wait_of(&mut connection, process));
        connection.close();
        wait
    }
}

/// Sessions that are named in a message, at most.
const MOST_NAMED: usize = 3;

/// Asks on a connection in a transaction, which stays as it is. What the server tells of other sessions is kept for the
/// length of a transaction unless it is cleared.
fn wait_of(connection: &mut Connection, process: &str) -> Result<Option<String>, Error> {
    const DOING: &str = "report who holds a lock";
    if !connection.is_ready() {
        return Ok(None);
    }
    let limit = ANSWER_TIMEOUT.as_millis();
    let sql = format!(
        "SAVEPOINT ssp_locks; SET LOCAL lock_timeout = {limit}; SET LOCAL statement_timeout = {limit};
         SELECT pg_catalog.pg_stat_clear_snapshot();
         SELECT coalesce(w.relation::pg_catalog.regclass::pg_catalog.text, w.locktype), b.pid, a.usename,
                a.application_name, a.state, a.backend_type,
                pg_catalog.to_char(coalesce(a.xact_start, a.backend_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
         FROM (SELECT l.relation, l.locktype, pg_catalog.pg_blocking_pids(l.pid) AS blocking
               FROM pg_catalog.pg_locks l WHERE l.pid = {process} AND NOT l.granted LIMIT 1) AS w
         LEFT JOIN LATERAL (SELECT DISTINCT pid FROM pg_catalog.unnest(w.blocking) AS pid) AS b ON true
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY b.pid"
    );
    let found = connection.query(DOING, &sql);
    connection.query(DOING, "ROLLBACK TO SAVEPOINT ssp_locks; RELEASE SAVEPOINT ssp_locks")?;
    let rows = found?.rows;
    let Some(what) = rows.first().and_then(|row| row.first().cloned().flatten()) else { return Ok(None) };
    let mut blocking: Vec<String> = rows.iter().filter_map(|row| session(row)).collect();
    let more = blocking.len().saturating_sub(MOST_NAMED);
    blocking.truncate(MOST_NAMED);
    let by =
        if blocking.is_empty() { String::new() } else { format!(", blocked by {}", blocking.join(", ")) };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Some(format!("a lock on `{what}`{by}{more}")))
}

/// A session that blocks another, as far as the role may see it. Its query is left out: it may hold secrets.
fn session(row: &[Option<String>]) -> Option<String> {
    let [_, process, user, application, state, kind, since] = row else { return None };
    let process = process.as_deref()?;
    if process == "0" {
        return Some("a prepared transaction (see pg_prepared_xacts)".to_owned());
    }
    let mut known = Vec::new();
    match (user, kind) {
        (Some(user), _) => known.push(format!("user `{user}`")),
        (None, Some(kind)) => known.push(kind.clone()),
        (None, None) => {}
    }
    known.extend(
        application.iter().filter(|name| !name.is_empty()).map(|name| format!("application `{name}`")),
    );
    known.extend(state.clone());
    match since {
        Some(since) => known.push(format!("since {since} UTC")),
        None => known.push("a role with pg_read_all_stats sees more".to_owned()),
    }
    Some(format!("process {process} ({})", known.join(", ")))
}

/// Watches a session that reads: cancels its query when the work is stopped, and finds out which lock it waits for while the
/// server is silent.
pub(super) struct SessionWatch {
    holder: Arc<Holder>,
    handle: SessionHandle,
    process: String,
    patience: Duration,
    lock_timeout: Option<Duration>,
    monitor: Monitor,
    /// When the server was asked to cancel, for the first and the last time.
    cancelled: Option<(Instant, Instant)>,
    /// The silent intervals after which the last look was taken.
    looked: u32,
    seen: Option<String>,
    told: Option<String>,
}

/// Silent intervals after which a wait is reported again.
const TOLD_AGAIN: u32 = 30;
/// The time between two requests to cancel: a server that has not yet read the query ignores the first.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);
/// How long the server may take to cancel.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

impl SessionWatch {
    /// Watches the session of a connection for this monitor. A wait for a lock is told after the `patience` of the options.
    pub(super) fn new(
        holder: &Arc<Holder>,
        connection: &Connection,
        options: &SessionOptions,
        monitor: &Monitor,
    ) -> Self {
        Self {
            holder: Arc::clone(holder),
            handle: connection.handle().clone(),
            process: connection.process.clone(),
            patience: options.patience,
            lock_timeout: monitor.timeout().or(options.lock_timeout),
            monitor: monitor.clone(),
            cancelled: None,
            looked: 0,
            seen: None,
            told: None,
        }
    }

    /// How long the server may be silent before a look is taken. A wait is seen twice before the server ends it, and not
    /// just then.
    fn interval(&self) -> Duration {
        let limit = self.lock_timeout.map_or(self.patience, |limit| limit * 2 / 5);
        self.patience.min(limit).max(Duration::from_millis(1))
    }
}

impl Watch for SessionWatch {
    fn poll(&self) -> Duration {
        POLL.min(self.interval())
    }

    fn is_stopped(&self) -> bool {
        self.monitor.is_stopped()
    }

    fn cancel_if_stopped(&mut self) -> io::Result<()> {
        if !self.is_stopped() {
            return Ok(());
        }
        let now = Instant::now();
        let first = match self.cancelled {
            Some((_, last)) if now.duration_since(last) < CANCEL_AGAIN => return Ok(()),
            Some((first, _)) if now.duration_since(first) >= CANCEL_TIMEOUT => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server did not cancel the query"));
            }
            Some((first, _)) => first,
            None => now,
        };
        if let Err(error) = connect::cancel(&self.holder.target, &self.handle) {
            tracing::warn!("cannot cancel a query: {error}");
        }
        self.cancelled = Some((first, Instant::now()));
        Ok(())
    }

    /// Looks for a lock, less often the longer the silence lasts.
    fn silent(&mut self, silence: Duration) {
        let intervals = (silence.as_nanos() / self.interval().as_nanos()).try_into().unwrap_or(u32::MAX);
        let again = intervals / TOLD_AGAIN > self.looked / TOLD_AGAIN;
        // Looks after 1, 2, 4, 8 ... intervals.
        let doublings = |intervals: u32| intervals.checked_ilog2().map(|log| log + 1);
        if !again && doublings(intervals) <= doublings(self.looked) {
            return;
        }
        self.looked = intervals;
        self.seen = self.holder.wait_of(&self.process);
        if let Some(wait) = self.seen.as_ref().filter(|_| silence >= self.patience)
            && (again || self.told.as_ref() != Some(wait))
        {
            self.monitor.warn(&format!("waiting for {wait} (no answer for {} s)", silence.as_secs()));
            self.told = Some(wait.clone());
        }
    }

    fn heard(&mut self) {
        (self.looked, self.seen) = (0, None);
    }

    fn seen(&self) -> Option<&str> {
        self.seen.as_deref()
    }
}
