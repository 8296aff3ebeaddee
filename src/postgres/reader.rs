//! A connection that reads a snapshot: what a query returns, how much, and its rows.

use std::time::Duration;

use super::columns::{Columns, TypeOptions};
use super::connection::Connection;
use super::copy::Block;
use super::error::Error;
use super::evidence::{Evidence, Understood};
use super::inventory::Inventory;
use super::session;
use super::sql::{Query, TableName, literal};

/// Lends connections to readers.
pub(super) trait Lender: Sync {
    /// Takes a reader's connection back, also in the middle of a query.
    fn take_back(&self, connection: Connection);
}

/// A connection that reads a snapshot. It goes back to the snapshot when it is dropped.
pub struct Reader<'s> {
    lender: &'s dyn Lender,
    /// There until it is dropped.
    connection: Option<Connection>,
}

/// The largest value of `wal_writer_delay`.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

impl<'s> Reader<'s> {
    pub(super) fn new(lender: &'s dyn Lender, connection: Connection) -> Self {
        Self { lender, connection: Some(connection) }
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, Error> {
        // Cannot happen, and need not be a panic.
        let gone = || Error::protocol("reading", "the connection was given back");
        self.connection.as_mut().ok_or_else(gone)
    }

    /// The columns of a query. The query is prepared, not run.
    ///
    /// # Errors
    /// [`Error::Server`] if the server rejects it; [`Error::NoColumns`], [`Error::DuplicateColumn`],
    /// [`Error::UnknownColumn`], [`Error::Conversion`].
    pub fn describe(&mut self, query: &Query, options: &TypeOptions) -> Result<Columns, Error> {
        Columns::of(self.connection()?, query, options)
    }

    /// What the answer of a query with these columns rests on; `certain` is a tree that has no doubt. The query is prepared, not
    /// run.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Locked`].
    pub fn evidence(
        &mut self,
        query: &Query,
        columns: &Columns,
        certain: Option<&str>,
    ) -> Result<Evidence, Error> {
        let understood = self.understand(query, columns)?;
        self.evidence_of(query, &understood, certain)
    }

    /// How the server understands a query with these columns. The query is prepared, not run.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Locked`].
    pub fn understand(&mut self, query: &Query, columns: &Columns) -> Result<Understood, Error> {
        Understood::of(self.connection()?, &columns.cast(query.text()))
    }

    /// As [`Self::evidence`], for a query that was understood before.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn evidence_of(
        &mut self,
        query: &Query,
        understood: &Understood,
        certain: Option<&str>,
    ) -> Result<Evidence, Error> {
        Evidence::of(self.connection()?, understood, query.date_word(), certain)
    }

    /// When the server last read its settings.
    pub(super) fn settings_loaded(&mut self) -> Result<Option<String>, Error> {
        let sql = "SELECT pg_catalog.pg_conf_load_time()";
        let found = session::optional(self.connection()?, "report when it read its settings", sql)?.pop();
        Ok(found.and_then(|mut row| row.pop()))
    }

    /// The longest sleep of the server's log writer.
    pub(super) fn log_writer_delay(&mut self) -> Result<Duration, Error> {
        let sql = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_writer_delay'";
        let found = self.connection()?.query("report how often it writes its log", sql)?.single();
        Ok(found.and_then(|setting| setting.parse().ok()).map_or(LONGEST_DELAY, Duration::from_millis))
    }

    /// The transaction that writes and has been open for the longest time, if that is longer than this, and since when. A role
    /// without `pg_read_all_stats` sees only its own and the prepared ones.
    pub(super) fn oldest_writer(&mut self, longer_than: Duration) -> Result<Option<(String, String)>, Error> {
        let sql = format!(
            "SELECT w.what, pg_catalog.to_char(w.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
             FROM (SELECT 'prepared transaction ' || p.gid AS what, p.prepared AS since
                   FROM pg_catalog.pg_prepared_xacts p
                   UNION ALL
                   SELECT 'a transaction of process ' || a.pid || ', user ' || a.usename, a.xact_start
                   FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL) AS w
             WHERE w.since < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => {})
             ORDER BY w.since LIMIT 1",
            longer_than.as_secs_f64()
        );
        let found = session::optional(self.connection()?, "report its oldest transaction", &sql)?.pop();
        Ok(found.and_then(|row| <[String; 2]>::try_from(row).ok()).map(|[what, since]| (what, since)))
    }

    /// Whether the log is safe on disk up to a position; no if the server does not tell.
    pub(super) fn is_flushed(&mut self, position: &str) -> Result<bool, Error> {
        let sql = format!(
            "SELECT pg_catalog.pg_current_wal_flush_lsn() OPERATOR(pg_catalog.>=) {}::pg_catalog.pg_lsn",
            literal(position)
        );
        let answer = session::optional(self.connection()?, "report how far its log is on disk", &sql)?;
        Ok(answer == [["t"]])
    }

    /// The names of a table's columns.
    ///
    /// # Errors
    /// [`Error::NoTable`].
    pub fn table_columns(&mut self, table: &TableName) -> Result<Vec<String>, Error> {
        let sql = format!(
            "SELECT a.attname FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum",
            literal(&table.to_string())
        );
        let found = self.connection()?.query("look up the columns of the table", &sql)?;
        let names: Vec<String> = found.rows.into_iter().flatten().flatten().collect();
        if names.is_empty() { Err(Error::NoTable { table: table.to_string() }) } else { Ok(names) }
    }

    /// The tables that the role can read.
    pub(crate) fn inventory(&mut self) -> Result<Inventory, Error> {
        Inventory::of(self.connection()?)
    }

    /// Runs a query and hands its rows over as the bytes of a binary COPY, as [`Connection::read_copy`] does.
    pub(super) fn copy(
        &mut self,
        query: &str,
        block_size: usize,
        exchange: impl FnMut(Block) -> Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let connection = self.connection()?;
        connection.start_copy(&format!("COPY (\n{query}\n) TO STDOUT (FORMAT binary)"), false)?;
        connection.read_copy(block_size, exchange)
    }

    /// Runs a query and hands its rows over as Postgres' own CSV, with a header.
    ///
    /// # Errors
    /// As for the rows themselves; [`Error::Stopped`] once `take` says no.
    pub fn copy_csv(&mut self, query: &Query, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Error> {
        const BLOCK_SIZE: usize = 1 << 20;
        let connection = self.connection()?;
        connection
            .start_copy(&format!("COPY (\n{}\n) TO STDOUT (FORMAT csv, HEADER)", query.text()), true)?;
        connection.read_copy(BLOCK_SIZE, |block| take(block.data()).then(|| block.into_buffer()))
    }

    /// The rows of a small query as canonical text: see [`super::Snapshot::watermark`].
    pub(super) fn watermark(&mut self, query: &Query, most: usize) -> Result<String, Error> {
        let connection = self.connection()?;
        // Prepared first, so that only a single query can come through, and its mistakes are shown where they are.
        connection.describe(query.text(), |_| {})?;
        let limited = format!("SELECT * FROM (\n{}\n) AS q LIMIT {}", query.text(), most + 1);
        let found = connection.query("evaluate the watermark", &limited)?;
        if found.rows.len() > most {
            return Err(Error::LongWatermark { most });
        }
        let names = found.names.into_iter().map(Some).collect();
        let rows: Vec<Vec<Option<String>>> = std::iter::once(names).chain(found.rows).collect();
        serde_json::to_string(&rows)
            .map_err(|error| Error::protocol("evaluating the watermark", &error.to_string()))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.lender.take_back(connection);
        }
    }
}
