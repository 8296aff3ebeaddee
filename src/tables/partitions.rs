//! How rows are cut into partitions that memory can hold, and how the parts of an input are read.

use rayon::prelude::*;

use super::{Error, Files, Part};
use crate::monitor::Monitor;

/// What a partition may need: its rows, sorted, and as much again for what is made of them; half of the memory is for all
/// else, and rows do not spread evenly.
const MEMORY_PER_ROWS: u64 = 2;
/// Files that may be open at once, with three times as many partitions.
const MOST_PARTITIONS: u64 = 256;

/// How many partitions keep this many bytes of rows within memory.
pub(crate) fn partitions(bytes: u64, memory_bytes: u64) -> usize {
    let memory = memory_bytes.max(1);
    let partitions = if bytes <= memory {
        1
    } else {
        MEMORY_PER_ROWS.saturating_mul(bytes).div_ceil(memory).min(MOST_PARTITIONS)
    };
    usize::try_from(partitions).unwrap_or(1)
}

/// The partition of an id among several, by a multiplicative hash (Knuth 1998, section 6.4).
pub(crate) fn by_hash(id: i64, partitions: usize) -> usize {
    let hash = id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // The product of 32 bits and a small number fits, and its upper part is below that number.
    usize::try_from((hash * partitions as u64) >> 32).unwrap_or(0)
}

/// Partitions by ranges of a key with about as many rows each, so that they come out in order.
pub(crate) struct Ranges<K> {
    /// The first key of each partition but the first.
    starts: Vec<K>,
}

impl<K: Ord + Copy> Ranges<K> {
    /// Of the keys, in their order, each with its number of rows.
    pub(crate) fn new(keys: impl Iterator<Item = (K, u64)> + Clone, partitions: usize) -> Self {
        let total: u64 = keys.clone().map(|(_, rows)| rows).sum();
        let share = total.div_ceil(partitions as u64).max(1);
        let (mut starts, mut rows) = (Vec::new(), 0);
        for (key, more) in keys {
            if rows >= share * (starts.len() as u64 + 1) {
                starts.push(key);
            }
            rows += more;
        }
        Self { starts }
    }

    pub(crate) fn of(&self, key: K) -> usize {
        self.starts.partition_point(|&start| start <= key)
    }

    /// The same, faster if it is this partition.
    pub(crate) fn of_near(&self, key: K, near: usize) -> usize {
        let (before, after) = self.starts.split_at(near.min(self.starts.len()));
        let starts = before.last().is_none_or(|&start| start <= key);
        if starts && after.first().is_none_or(|&end| key < end) { near } else { self.of(key) }
    }
}

/// [`Error::Stopped`] if the monitor asked for a stop.
pub(crate) fn check_stop(monitor: &Monitor) -> Result<(), Error> {
    if monitor.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
}

/// Reads all parts of an input, a few at a time; `take` gets them in order.
///
/// # Errors
/// Those of `read` and `take`; [`Error::Stopped`].
pub(crate) fn read<T: Send>(
    files: &Files,
    monitor: &Monitor,
    read: impl Fn(Part<'_>) -> Result<T, Error> + Sync,
    mut take: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let parts: Vec<Part<'_>> = files.parts().collect();
    for some in parts.chunks(rayon::current_num_threads()) {
        check_stop(monitor)?;
        let read: Vec<T> = some
            .par_iter()
            .map(|part| read(*part).inspect(|_| monitor.advance(part.rows(), 0)))
            .collect::<Result<_, _>>()?;
        read.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_same_wherever_it_is_looked_for_first() {
        for partitions in [1, 4, 9] {
            let ranges = Ranges::new((0..30_i64).map(|key| (3 * key, 7)), partitions);
            for key in -2..95 {
                assert!((0..partitions).contains(&ranges.of(key)));
                for near in 0..partitions {
                    assert_eq!(ranges.of_near(key, near), ranges.of(key), "{key} {near}");
                }
            }
        }
    }
}
