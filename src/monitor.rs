//! A monitor of work: shows its progress and stops it.
//!
//! Stopping is asked for, never forced: work looks at [`Monitor::is_stopped`] often, also while it waits for a server.

use std::fmt;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

/// How often work that waits looks at its monitor.
pub const POLL: Duration = Duration::from_millis(50);

/// Where progress is shown.
pub trait Progress: Send + Sync {
    /// A warning that should be read now, not only when the work has ended.
    fn warn(&self, message: &str) {
        tracing::warn!("{message}");
    }

    /// The number of rows or objects, as far as it is known.
    fn expect(&self, _rows: u64) {}

    /// Rows (or objects) and bytes that were done since the last call.
    fn advance(&self, _rows: u64, _bytes: u64) {}
}

/// Progress that is not shown, but for warnings.
struct Hidden;

impl Progress for Hidden {}

/// Shows the progress of work and stops it. Clones are the same monitor; a child stops with its parent, and not the other
/// way around.
#[derive(Clone)]
pub struct Monitor {
    token: Arc<Token>,
    progress: Arc<dyn Progress>,
}

#[derive(Default)]
struct Token {
    /// Why the work was stopped.
    reason: OnceLock<&'static str>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    parent: Option<Arc<Self>>,
}

impl Default for Monitor {
    /// Shows no progress, and stops nothing until [`Monitor::stop`] is called.
    fn default() -> Self {
        Self { token: Arc::default(), progress: Arc::new(Hidden) }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("reason", &self.reason()).finish_non_exhaustive()
    }
}

impl Monitor {
    /// A child that can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        self.with_timeout(None)
    }

    /// A child that stops after this time.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        // A time that no clock reaches is no limit.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let token = Token { timeout, deadline, parent: Some(Arc::clone(&self.token)), ..Token::default() };
        Self { token: Arc::new(token), progress: Arc::clone(&self.progress) }
    }

    /// The same monitor, with its progress shown here.
    #[must_use]
    pub fn with_progress(&self, progress: Arc<dyn Progress>) -> Self {
        Self { token: Arc::clone(&self.token), progress }
    }

    /// Stops the work. The first reason counts.
    pub fn stop(&self, reason: &'static str) {
        self.token.reason.get_or_init(|| reason);
    }

    /// Whether the work should end, soon and with the error for that.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.tokens().any(|token| {
            token.reason.get().is_some() || token.deadline.is_some_and(|deadline| Instant::now() >= deadline)
        })
    }

    /// Why the work was stopped: by [`Self::stop`], here or at a parent, not by a timeout.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.tokens().find_map(|token| token.reason.get().copied())
    }

    /// Why all work was stopped: the reason at the outermost monitor.
    #[must_use]
    pub fn outermost_reason(&self) -> Option<&'static str> {
        self.tokens().last()?.reason.get().copied()
    }

    /// The time that the work may take.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.tokens().find_map(|token| token.timeout)
    }

    fn tokens(&self) -> impl Iterator<Item = &Token> {
        std::iter::successors(Some(&*self.token), |token| token.parent.as_deref())
    }

    /// Shows a warning.
    pub fn warn(&self, message: &str) {
        self.progress.warn(message);
    }

    /// Shows how many rows there will be.
    pub fn expect(&self, rows: u64) {
        self.progress.expect(rows);
    }

    /// Shows what was done since the last call.
    pub fn advance(&self, rows: u64, bytes: u64) {
        self.progress.advance(rows, bytes);
    }

    /// Sleeps. Returns early, with `false`, if the work is stopped.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(POLL));
        }
        false
    }

    /// Does work that cannot look at a monitor, on a thread of its own, and returns its result. Returns `None` when it is
    /// stopped: the thread is then left alone.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn abandon_when_stopped<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        let (send, receive) = mpsc::channel();
        let thread = Builder::new().name("open".to_owned()).spawn(move || send.send(work()).is_ok())?;
        loop {
            match receive.recv_timeout(POLL) {
                Ok(result) => return Ok(Some(result)),
                Err(RecvTimeoutError::Timeout) if self.is_stopped() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // It panicked.
                    return thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), |_| Ok(None));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stops_with_its_parent_and_alone() {
        let parent = Monitor::default();
        let [first, second] = [parent.child(), parent.child()];
        first.stop("a failure");
        assert!(first.is_stopped() && !second.is_stopped() && !parent.is_stopped());
        parent.stop("SIGINT");
        parent.stop("SIGTERM");
        assert_eq!((first.reason(), second.reason()), (Some("a failure"), Some("SIGINT")));
        assert_eq!(
            (first.outermost_reason(), Monitor::default().child().outermost_reason()),
            (Some("SIGINT"), None)
        );
    }

    #[test]
    fn a_timeout_stops_the_work_without_a_reason() {
        let parent = Monitor::default();
        let limited = parent.with_timeout(Some(Duration::ZERO)).child();
        assert!(limited.is_stopped() && !parent.is_stopped());
        assert_eq!((limited.reason(), limited.timeout()), (None, Some(Duration::ZERO)));
        assert!(!parent.with_timeout(Some(Duration::MAX)).is_stopped());
        assert!(!limited.sleep(Duration::from_hours(1)));
        assert!(parent.sleep(Duration::from_millis(1)));
    }

    #[test]
    fn stuck_work_is_left_alone() {
        let monitor = Monitor::default();
        assert_eq!(monitor.abandon_when_stopped(|| 7).unwrap(), Some(7));
        monitor.stop("SIGINT");
        let (_keep, waits) = mpsc::channel::<()>();
        assert!(monitor.abandon_when_stopped(move || waits.recv()).unwrap().is_none());
    }
}
