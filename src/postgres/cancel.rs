//! Groups of sessions: cancelling what they do, from any thread, and what is known of their waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connect::{self, SessionHandle, Target};

/// Cancels what a group of sessions does on the server. Clones are the same group.
#[derive(Clone)]
pub struct Canceller(Arc<Group>);

struct Group {
    target: Arc<Target>,
    timeout: Option<Duration>,
    sessions: Mutex<BTreeMap<u64, SessionHandle>>,
    next: AtomicU64,
    cancelled: AtomicBool,
    /// The lock that one of the sessions waits for.
    wait: Mutex<Option<String>>,
    /// What is to be told of such waits.
    news: Mutex<Vec<String>>,
}

impl Canceller {
    pub(super) fn new(target: Arc<Target>, timeout: Option<Duration>) -> Self {
        Self(Arc::new(Group {
            target,
            timeout,
            sessions: Mutex::default(),
            next: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            wait: Mutex::default(),
            news: Mutex::default(),
        }))
    }

    /// How long a statement of the group and a wait for a lock may take, unless the snapshot's own limits hold.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    /// The lock that one of the sessions waits for, as far as is known.
    #[must_use]
    pub fn wait(&self) -> Option<String> {
        whole(&self.0.wait).clone()
    }

    pub(super) fn set_wait(&self, wait: Option<String>) {
        *whole(&self.0.wait) = wait;
    }

    /// What people should know about such waits, each message once.
    #[must_use]
    pub fn news(&self) -> Vec<String> {
        std::mem::take(&mut *whole(&self.0.news))
    }

    pub(super) fn tell(&self, message: String) {
        whole(&self.0.news).push(message);
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
        whole(&self.0.sessions)
    }
}

/// What is behind a lock is whole whenever the lock is free.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
