//! Cancelling what sessions do, from any thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connect::{self, SessionHandle, Target};

/// Cancels what a group of sessions does on the server. Clones are the same group.
#[derive(Clone)]
pub struct Canceller(Arc<Group>);

struct Group {
    target: Arc<Target>,
    sessions: Mutex<BTreeMap<u64, SessionHandle>>,
    next: AtomicU64,
    cancelled: AtomicBool,
}

impl Canceller {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self(Arc::new(Group {
            target,
            sessions: Mutex::default(),
            next: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
        }))
    }

    /// Cancels every query of the group that is running, and those that come later. Returns when the server has been
    /// told; what ran ends with an error soon after. A session that cannot be told is left to end with its connection.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let sessions: Vec<SessionHandle> = self.sessions().values().cloned().collect();
        for handle in sessions {
            if let Err(error) = connect::cancel(&self.0.target, &handle) {
                tracing::warn!("a query could not be cancelled: {error}");
            }
        }
    }

    /// Whether somebody cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Adds a session to the group, until [`Self::remove`].
    pub(super) fn add(&self, handle: SessionHandle) -> u64 {
        let number = self.0.next.fetch_add(1, Ordering::SeqCst);
        self.sessions().insert(number, handle);
        number
    }

    pub(super) fn remove(&self, number: u64) {
        self.sessions().remove(&number);
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, SessionHandle>> {
        // The map is whole whenever the lock is free.
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
