//! Rows in memory in buckets, each so small that it is worked on within the cache of a core, and all of them in parallel.

use rayon::prelude::*;

use super::Parts;

/// Rows in a bucket, about.
const BUCKET_ROWS: usize = 4096;
/// With more of them, the places to which rows are moved would not stay in the cache.
const MOST_BUCKETS: usize = 256;

/// Parts of a table, each with its rows in the order of their buckets.
pub(crate) struct Buckets<T> {
    parts: Vec<Part<T>>,
}

struct Part<T> {
    rows: Vec<T>,
    /// Where each bucket ends.
    ends: Vec<usize>,
}

/// The number of buckets for the rows of these parts.
pub(crate) fn buckets<T>(parts: &[Vec<T>]) -> usize {
    (parts.iter().map(Vec::len).sum::<usize>() / BUCKET_ROWS).clamp(1, MOST_BUCKETS)
}

impl<T: Copy + Send + Sync> Buckets<T> {
    /// Brings the rows of each part into the order of the buckets that `of` gives, which is told the bucket of the row before.
    /// Best is a part for each batch that was read.
    pub(crate) fn new(parts: Parts<T>, buckets: usize, of: impl Fn(&T, usize) -> usize + Sync) -> Self {
        Self { parts: parts.into_par_iter().map(|rows| Part::new(&rows, buckets, &of)).collect() }
    }

    /// The rows of a bucket.
    pub(crate) fn of(&self, bucket: usize) -> impl Iterator<Item = &T> {
        self.slices(bucket).flatten()
    }

    pub(crate) fn rows_of(&self, bucket: usize) -> usize {
        self.slices(bucket).map(<[T]>::len).sum()
    }

    /// The rows of a bucket, by part.
    pub(crate) fn slices(&self, bucket: usize) -> impl Iterator<Item = &[T]> {
        self.parts.iter().map(move |part| {
            let start = bucket.checked_sub(1).map_or(0, |before| part.ends[before]);
            &part.rows[start..part.ends[bucket]]
        })
    }
}

impl<T: Copy> Part<T> {
    fn new(rows: &[T], buckets: usize, of: impl Fn(&T, usize) -> usize) -> Self {
        let mut ends = vec![0; buckets];
        let mut before = 0;
        let next = |row| {
            before = of(row, before);
            ends[before] += 1;
            before
        };
        let numbers: Vec<usize> = rows.iter().map(next).collect();
        let mut start = 0;
        for count in &mut ends {
            (*count, start) = (start, start + *count);
        }
        let mut placed = rows.to_vec();
        for (row, bucket) in rows.iter().zip(numbers) {
            placed[ends[bucket]] = *row;
            ends[bucket] += 1;
        }
        Self { rows: placed, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_comes_in_its_bucket_once() {
        let parts: Vec<Vec<i64>> = vec![(0..1000).rev().collect(), Vec::new(), (1000..1003).collect()];
        let buckets = Buckets::new(parts, 7, |row, _| usize::try_from(row * row % 7).unwrap());
        let mut all = Vec::new();
        for bucket in 0..7 {
            let rows: Vec<i64> = buckets.of(bucket).copied().collect();
            assert_eq!(rows.len(), buckets.rows_of(bucket));
            assert!(rows.iter().all(|row| row * row % 7 == i64::try_from(bucket).unwrap()), "{bucket}");
            all.extend_from_slice(&rows);
        }
        all.sort_unstable();
        assert_eq!(all, (0..1003).collect::<Vec<_>>());
    }

    #[test]
    fn few_rows_are_in_one_bucket_and_many_in_a_number_that_is_bounded() {
        let rows = |rows: usize| vec![vec![0_i64; rows]];
        assert_eq!([0, 1, 9_000, 9_000_000].map(|many| buckets(&rows(many))), [1, 1, 2, MOST_BUCKETS]);
    }
}
