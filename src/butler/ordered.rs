//! Work on many items at once whose results are taken in order, a bounded number of them in memory.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::threads::compute;

/// What the workers share.
struct Queue<T, E> {
    /// The next item to start.
    next: usize,
    /// Items whose results were taken.
    taken: usize,
    done: BTreeMap<usize, Result<T, E>>,
    closed: bool,
}

/// Does `work` on the items `0..count`, `jobs` at once, and hands the results to `take` in order. Both compute in
/// the pool. No more than `jobs` results are in memory besides the one that is being taken.
///
/// # Errors
/// The first error in the order of the items, of either function; nothing after it is taken.
pub(crate) fn in_order<T: Send, E: Send>(
    count: usize,
    jobs: NonZeroUsize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    if jobs.get() == 1 || count <= 1 {
        return (0..count).try_for_each(|item| compute(|| take(item, work(item)?)));
    }
    let state = Mutex::new(Queue { next: 0, taken: 0, done: BTreeMap::new(), closed: false });
    let (room, ready) = (Condvar::new(), Condvar::new());
    let close = || {
        lock(&state).closed = true;
        room.notify_all();
        ready.notify_all();
    };
    let worker = || {
        let _guard = Guard(|| {
            if thread::panicking() {
                close();
            }
        });
        while let Some(item) = start(&state, &room, count, jobs.get()) {
            let result = compute(|| work(item));
            lock(&state).done.insert(item, result);
            ready.notify_all();
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(count) {
            scope.spawn(worker);
        }
        let _guard = Guard(&close);
        for item in 0..count {
            let mut locked = lock(&state);
            let result = loop {
                if let Some(result) = locked.done.remove(&item) {
                    break result;
                }
                if locked.closed {
                    // A worker panicked: the scope passes it on.
                    return Ok(());
                }
                locked = ready.wait(locked).unwrap_or_else(PoisonError::into_inner);
            };
            locked.taken = item + 1;
            drop(locked);
            room.notify_all();
            compute(|| take(item, result?))?;
        }
        Ok(())
    })
}

/// Does something when it is dropped, however that comes.
struct Guard<F: FnMut()>(F);

impl<F: FnMut()> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The next item, when there is room for its result.
fn start<T, E>(state: &Mutex<Queue<T, E>>, room: &Condvar, count: usize, jobs: usize) -> Option<usize> {
    let mut locked = lock(state);
    loop {
        if locked.closed || locked.next >= count {
            return None;
        }
        if locked.next < locked.taken + jobs {
            locked.next += 1;
            return Some(locked.next - 1);
        }
        locked = room.wait(locked).unwrap_or_else(PoisonError::into_inner);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn jobs(jobs: usize) -> NonZeroUsize {
        NonZeroUsize::new(jobs).unwrap()
    }

    #[test]
    fn results_are_taken_in_order_and_few_are_waiting() {
        for number in [1, 2, 8] {
            let (started, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let most = AtomicUsize::new(0);
            let mut order = Vec::new();
            let work = |item: usize| {
                let ahead = started.fetch_add(1, Ordering::SeqCst) + 1 - taken.load(Ordering::SeqCst);
                most.fetch_max(ahead, Ordering::SeqCst);
                thread::sleep(Duration::from_micros(((item * 7) % 5) as u64 * 100));
                Ok::<_, ()>(item)
            };
            let take = |item, result| {
                order.push((item, result));
                taken.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            in_order(100, jobs(number), work, take).unwrap();
            assert_eq!(order, (0..100).map(|item| (item, item)).collect::<Vec<_>>());
            assert!(most.load(Ordering::SeqCst) <= number + 1);
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        for number in [1, 3] {
            let mut taken = 0;
            let work = |item| if item % 10 == 9 { Err(item) } else { Ok(()) };
            let result = in_order(100, jobs(number), work, |_, ()| {
                taken += 1;
                Ok(())
            });
            assert_eq!((result, taken), (Err(9), 9));
            assert_eq!(
                in_order(100, jobs(number), |_| Ok(()), |item, ()| if item == 5 { Err(5) } else { Ok(()) }),
                Err(5)
            );
        }
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_panic_is_passed_on() {
        let work = |item| if item == 20 { panic!("worker panicked") } else { Ok::<_, ()>(()) };
        let _ = in_order(100, jobs(2), work, |_, ()| Ok(()));
    }
}
