//! A session for small queries, whose rows come as text: for reading what a database says about itself. Waits for locks
//! are told.
//!
//! Not a place for tables: see [`super::Reader`].

use std::sync::Arc;

use super::connect::Target;
use super::connection::Connection;
use super::error::Error;
use super::locks::{Holder, SessionWatch};
use super::session::SessionOptions;
use crate::monitor::Monitor;

/// A session for small queries; it ends when it is dropped.
pub struct Queries(Connection);

impl Queries {
    /// Connects. Queries are cancelled when the monitor is stopped.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Server`], [`Error::Lost`].
    pub fn open(target: &Target, monitor: &Monitor) -> Result<Self, Error> {
        let mut connection = Connection::open(target)?;
        let process =
            connection.query("report its process id", "SELECT pg_catalog.pg_backend_pid()")?.single();
        connection.process = process.unwrap_or_default();
        let elsewhere = Arc::new(Holder::new(Arc::new(target.clone()), None));
        let watch = SessionWatch::new(&elsewhere, &connection, &SessionOptions::default(), monitor);
        connection.set_watch(Some(Box::new(watch)));
        Ok(Self(connection))
    }

    /// What people should know though the session is open.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// Runs statements and returns the rows of the last one that has any, as text; NULL is `None`. `doing` completes "the
    /// server cannot".
    ///
    /// # Errors
    /// [`Error::Server`], [`Error::Lost`].
    pub fn rows(&mut self, doing: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.0.query(doing, sql).map(|found| found.rows)
    }

    /// Runs one statement that leaves values open (`$1`, `$2` and so on, at most 65,535) and returns its rows as text. The
    /// values are texts too, whose types the server takes from the statement.
    ///
    /// # Errors
    /// [`Error::Server`], [`Error::Lost`].
    pub fn rows_with(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[Option<&str>],
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.0.query_with(doing, sql, parameters).map(|found| found.rows)
    }
}

impl Drop for Queries {
    fn drop(&mut self) {
        self.0.close();
    }
}
