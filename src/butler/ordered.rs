//! Work on many items at once whose results are taken in order, a bounded number of them in memory.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::threads::compute;

/// The memory that items may take while they wait for their turn. The item whose turn is next always has room.
pub(crate) struct Room {
    state: Mutex<Held>,
    changed: Condvar,
    most: u64,
}

/// What is in a room.
#[derive(Default)]
struct Held {
    /// The item that is taken next.
    next: usize,
    bytes: BTreeMap<usize, u64>,
    closed: bool,
}

impl Room {
    /// Room for this number of bytes.
    pub(crate) fn new(most: u64) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), most }
    }

    /// Waits until there is room for this number of bytes of an item.
    pub(crate) fn admit(&self, item: usize, bytes: u64) {
        let mut held = lock(&self.state);
        while !held.closed && item > held.next && held.bytes.values().sum::<u64>() + bytes > self.most {
            held = self.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held.bytes.entry(item).or_default() += bytes;
    }

    /// Takes note that all items before this one have been taken.
    fn is_next(&self, item: usize) {
        let mut held = lock(&self.state);
        held.next = item;
        held.bytes = held.bytes.split_off(&item);
        self.changed.notify_all();
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

/// What the workers share.
struct Queue<T, E> {
    /// The next item to start.
    next: usize,
    /// Items whose results were taken.
    taken: usize,
    done: BTreeMap<usize, Result<T, E>>,
    closed: bool,
}

/// Does `work` on the items `0..count`, `workers` at once, and hands the results to `take` in order. `take` computes in the
/// pool; `work` is on a thread that may wait, and must go to the pool for what it computes. No more than `workers` results are
/// in memory besides the one that is being taken; what they may hold together is up to `room`, which `work` asks.
///
/// # Errors
/// The first error in the order of the items, of either function; nothing after it is taken.
pub(crate) fn in_order<T: Send, E: Send>(
    count: usize,
    workers: NonZeroUsize,
    room: &Room,
    work: impl Fn(usize) -> Result<T, E> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    if workers.get() == 1 || count <= 1 {
        return (0..count).try_for_each(|item| {
            room.is_next(item);
            let result = work(item)?;
            compute(|| take(item, result))
        });
    }
    let state = Mutex::new(Queue { next: 0, taken: 0, done: BTreeMap::new(), closed: false });
    let (free, ready) = (Condvar::new(), Condvar::new());
    let close = || {
        lock(&state).closed = true;
        room.close();
        free.notify_all();
        ready.notify_all();
    };
    let worker = || {
        let _guard = Guard(|| {
            if thread::panicking() {
                close();
            }
        });
        while let Some(item) = start(&state, &free, count, workers.get()) {
            let result = work(item);
            lock(&state).done.insert(item, result);
            ready.notify_all();
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers.get().min(count) {
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
            free.notify_all();
            let result = result?;
            compute(|| take(item, result))?;
            room.is_next(item + 1);
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
fn start<T, E>(state: &Mutex<Queue<T, E>>, free: &Condvar, count: usize, workers: usize) -> Option<usize> {
    let mut locked = lock(state);
    loop {
        if locked.closed || locked.next >= count {
            return None;
        }
        if locked.next < locked.taken + workers {
            locked.next += 1;
            return Some(locked.next - 1);
        }
        locked = free.wait(locked).unwrap_or_else(PoisonError::into_inner);
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
            in_order(100, jobs(number), &Room::new(0), work, take).unwrap();
            assert_eq!(order, (0..100).map(|item| (item, item)).collect::<Vec<_>>());
            assert!(most.load(Ordering::SeqCst) <= number + 1);
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        for number in [1, 3] {
            let mut taken = 0;
            let work = |item| if item % 10 == 9 { Err(item) } else { Ok(()) };
            let result = in_order(100, jobs(number), &Room::new(0), work, |_, ()| {
                taken += 1;
                Ok(())
            });
            assert_eq!((result, taken), (Err(9), 9));
            assert_eq!(
                in_order(
                    100,
                    jobs(number),
                    &Room::new(0),
                    |_| Ok(()),
                    |item, ()| if item == 5 { Err(5) } else { Ok(()) }
                ),
                Err(5)
            );
        }
    }

    #[test]
    fn items_wait_for_room_but_the_next_one_never_does() {
        let room = Room::new(10);
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |item: usize| {
            // Larger than the room: only the next item comes in, and alone of this size.
            let bytes = if item % 7 == 3 { 25 } else { 4 };
            room.admit(item, bytes as u64);
            let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
            most.fetch_max(now, Ordering::SeqCst);
            Ok::<_, usize>(bytes)
        };
        let take = |_, bytes| {
            held.fetch_sub(bytes, Ordering::SeqCst);
            Ok(())
        };
        in_order(100, jobs(8), &room, work, take).unwrap();
        // The next item of any size, and those that came before it within the room.
        assert!(most.load(Ordering::SeqCst) <= 25 + 10, "{most:?}");
    }

    #[test]
    fn those_that_wait_for_room_do_not_hold_up_an_error() {
        let room = Room::new(1);
        let work = |item: usize| {
            if item > 0 {
                room.admit(item, 5);
            }
            if item == 0 { Err("first") } else { Ok(()) }
        };
        assert_eq!(in_order(50, jobs(4), &room, work, |_, ()| Ok(())), Err("first"));
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_panic_is_passed_on() {
        let work = |item| if item == 20 { panic!("worker panicked") } else { Ok::<_, ()>(()) };
        let _ = in_order(100, jobs(2), &Room::new(0), work, |_, ()| Ok(()));
    }
}
