//! Work that ends early when the program is told to stop, although it is waiting for a server.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Builder, Thread};
use std::time::Duration;

/// How often to ask whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// Does `work` on this thread. Once `stopped` says so, `cancel` is called, which should make the work fail soon.
///
/// # Errors
/// If no thread can be started.
pub fn watched<T>(
    stopped: &(dyn Fn() -> bool + Sync),
    cancel: &(dyn Fn() + Sync),
    work: impl FnOnce() -> T,
) -> io::Result<T> {
    /// Ends the watch, also after a panic.
    struct Done<'a>(&'a AtomicBool, Thread);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            self.1.unpark();
        }
    }

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = || {
            while !done.load(Ordering::SeqCst) {
                if stopped() {
                    return cancel();
                }
                thread::park_timeout(POLL);
            }
        };
        let watcher = Builder::new().name("watch".to_owned()).spawn_scoped(scope, watch)?;
        let _done = Done(&done, watcher.thread().clone());
        Ok(work())
    })
}

/// Does `work` on a thread of its own and returns its result. `None` once `stopped` says so: the thread is then left alone.
///
/// # Errors
/// If no thread can be started.
pub fn unless_stopped<T: Send + 'static>(
    stopped: impl Fn() -> bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (send, receive) = mpsc::channel();
    let thread = Builder::new().name("open".to_owned()).spawn(move || send.send(work()).is_ok())?;
    loop {
        match receive.recv_timeout(POLL) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Timeout) if stopped() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                // It panicked.
                return thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), |_| Ok(None));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_stopped_is_cancelled_once_and_other_work_never() {
        let (stopped, cancelled) = (AtomicBool::new(false), AtomicBool::new(false));
        let cancel = || assert!(!cancelled.swap(true, Ordering::SeqCst));
        let is_stopped = || stopped.load(Ordering::SeqCst);
        assert_eq!(watched(&is_stopped, &cancel, || 1).unwrap(), 1);
        assert!(!cancelled.load(Ordering::SeqCst));
        let waits = || {
            stopped.store(true, Ordering::SeqCst);
            while !cancelled.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        };
        watched(&is_stopped, &cancel, waits).unwrap();
    }

    #[test]
    fn work_that_does_not_end_is_left_alone() {
        assert_eq!(unless_stopped(|| true, || 1).unwrap(), Some(1));
        assert_eq!(unless_stopped(|| true, || thread::sleep(Duration::from_mins(10))).unwrap(), None);
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_panic_is_passed_on() {
        let _ = unless_stopped(|| false, || panic!("the work panicked"));
    }
}
