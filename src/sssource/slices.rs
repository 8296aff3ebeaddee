//! Which slice of the table a row is in, and which partition of the slice.

use std::collections::BTreeMap;

use super::row::Key;
use crate::tables::{Ranges, Slice};

/// To integrate an object takes as long as about 9 of its rows in the narrow table, and 3 in the wide table; longer with error
/// ellipses.
const OBJECT_ROWS: u64 = 10;

/// The places of the rows of a slice.
pub(super) struct Places {
    slices: Ranges<Key>,
    number: usize,
    ranges: Ranges<Key>,
    /// The partitions that the slice has.
    pub partitions: usize,
}

impl Places {
    /// For a table whose keys have these numbers of rows. The first `identified` objects have an ssObjectId. All rows
    /// of the table need `partitions`. A slice takes as long as its share of the whole or less, and one more object or night.
    pub(super) fn new(keys: &BTreeMap<Key, u64>, identified: u32, slice: Slice, partitions: usize) -> Self {
        let work = |key: &Key| if key.0 < identified { OBJECT_ROWS } else { 0 };
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let slices = Ranges::new(keys.iter().map(|(key, rows)| (*key, rows + work(key))), count(slice.of));
        let number = count(slice.number);
        let own =
            || keys.iter().map(|(key, rows)| (*key, *rows)).filter(|(key, _)| slices.of(*key) == number);
        let (rows, all) = (own().map(|(_, rows)| rows).sum::<u64>(), keys.values().sum::<u64>().max(1));
        let partitions = (partitions as u64 * rows).div_ceil(all).max(1);
        let partitions = usize::try_from(partitions).unwrap_or(usize::MAX);
        let ranges = Ranges::new(own(), partitions);
        Self { slices, number, ranges, partitions }
    }

    /// Whether the slice has the row with this key.
    pub(super) fn has(&self, key: Key) -> bool {
        self.slices.of(key) == self.number
    }

    /// The partition of a row of the slice.
    pub(super) fn partition(&self, key: Key) -> usize {
        self.ranges.of(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Objects with and without ssObjectId, and their rows.
    fn keys() -> impl Strategy<Value = (BTreeMap<Key, u64>, u32)> {
        (
            prop::collection::vec(1..200_u64, 0..60),
            prop::collection::btree_map(-5..60_000_i64, 1..900_u64, 0..20),
        )
            .prop_map(|(objects, nights)| {
                let identified = u32::try_from(objects.len()).unwrap();
                let objects = (0..).zip(objects).map(|(object, rows)| ((object, 0), rows));
                let nights = nights.into_iter().map(|(night, rows)| ((identified, night), rows));
                (objects.chain(nights).collect(), identified)
            })
    }

    proptest! {
        #[test]
        fn slices_are_contiguous_balanced_and_have_each_key_once(
            (keys, identified) in keys(), of in 1..80_u32, partitions in 1..40_usize,
        ) {
            let work = |(key, rows): (&Key, &u64)| rows + if key.0 < identified { OBJECT_ROWS } else { 0 };
            let total: u64 = keys.iter().map(work).sum();
            let largest = keys.iter().map(work).max().unwrap_or(0);
            let mut found = Vec::new();
            for number in 0..of {
                let places = Places::new(&keys, identified, Slice { number, of }, partitions);
                let own: Vec<(&Key, &u64)> = keys.iter().filter(|(key, _)| places.has(**key)).collect();
                let own_work: u64 = own.iter().map(|own| work(*own)).sum();
                prop_assert!(own_work <= total.div_ceil(u64::from(of)) + largest, "{number}: {own_work}");
                // Its partitions are in order, and there are no more than those of the whole.
                prop_assert!(places.partitions <= partitions);
                let own_partitions: Vec<usize> = own.iter().map(|(key, _)| places.partition(**key)).collect();
                prop_assert!(own_partitions.is_sorted());
                prop_assert!(own_partitions.iter().all(|partition| *partition < places.partitions));
                found.extend(own.into_iter().map(|(key, _)| *key));
            }
            prop_assert_eq!(found, keys.keys().copied().collect::<Vec<_>>());
        }

        /// A row may be some milliseconds from its observation, and so in a night that has no key.
        #[test]
        fn a_key_that_was_not_counted_is_in_one_slice(
            (keys, identified) in keys(), of in 1..80_u32, night in -9..60_009_i64,
        ) {
            let has = |number: &u32| {
                Places::new(&keys, identified, Slice { number: *number, of }, 1).has((identified, night))
            };
            prop_assert_eq!((0..of).filter(has).count(), 1);
        }
    }

    #[test]
    fn one_slice_is_the_whole_with_all_of_its_partitions() {
        let keys = (0..9).map(|object| ((object, 0), 10)).collect();
        let places = Places::new(&keys, 9, Slice::WHOLE, 3);
        assert!(keys.keys().all(|key| places.has(*key)));
        let partitions: Vec<usize> = keys.keys().map(|key| places.partition(*key)).collect();
        assert_eq!((places.partitions, partitions), (3, vec![0, 0, 0, 1, 1, 1, 2, 2, 2]));
    }
}
