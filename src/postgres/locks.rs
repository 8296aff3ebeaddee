//! The session that keeps the snapshot while others read.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;

/// The session that keeps the snapshot, until it has to read itself.
pub(super) struct Holder(Mutex<Option<Connection>>);

/// How long an answer of it may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

impl Holder {
    pub fn new(connection: Connection) -> Self {
        Self(Mutex::new(Some(connection)))
    }

    /// The connection, if it was not taken before.
    pub fn take(&self) -> Option<Connection> {
        self.connection().take()
    }

    /// Takes the connection if it still keeps the snapshot.
    pub fn take_alive(&self) -> Option<Connection> {
        let mut connection = self.connection();
        let alive = connection.as_mut()?.query("keep the snapshot", "SELECT 1").is_ok();
        connection.take_if(|_| alive)
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
