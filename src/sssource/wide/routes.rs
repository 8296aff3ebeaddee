//! Which rows of an input go to which partitions of the result.

use arrow_array::UInt32Array;

/// No partition.
const NONE: u8 = u8::MAX;
/// As many partitions as a byte can tell apart, without [`NONE`].
pub(in crate::sssource) const MOST_PARTITIONS: usize = NONE as usize;

/// The partitions of each row of an input.
#[derive(Default)]
pub(super) struct Routes {
    /// The first partition that asked for the row, by row: as many as are used, for a damaged file may claim any number.
    first: Vec<u8>,
    /// The others of rows that several partitions have, sorted.
    more: Vec<(u64, u8)>,
}

/// The rows of a batch that are used.
pub(super) struct Routed {
    /// Their places in the batch; `None` if all are used.
    pub used: Option<UInt32Array>,
    /// How many are used.
    pub count: usize,
    /// For each partition the places among those that are used; `None` if it has all of them.
    pub partitions: Vec<Option<UInt32Array>>,
}

impl Routes {
    /// A partition has a row.
    pub(super) fn add(&mut self, row: u64, partition: usize) {
        // Neither can be beyond: rows were read, and partitions are counted.
        let (Ok(place), Ok(partition)) = (usize::try_from(row), u8::try_from(partition)) else { return };
        if self.first.len() <= place {
            self.first.resize(place + 1, NONE);
        }
        match self.first[place] {
            NONE => self.first[place] = partition,
            known if known != partition => self.more.push((row, partition)),
            _ => {}
        }
    }

    /// To be called when all rows were added.
    pub(super) fn sort(&mut self) {
        self.more.sort_unstable();
        self.more.dedup();
    }

    fn first_of(&self, start: u64, rows: usize) -> &[u8] {
        let start = usize::try_from(start).map_or(self.first.len(), |start| start.min(self.first.len()));
        let end = start.saturating_add(rows).min(self.first.len());
        &self.first[start..end]
    }

    /// Whether any of the `rows` rows from `start` is used.
    pub(super) fn any(&self, start: u64, rows: u64) -> bool {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.first_of(start, rows).iter().any(|partition| *partition != NONE)
    }

    /// Where the rows of a batch go.
    pub(super) fn of(&self, start: u64, rows: usize, partitions: usize) -> Routed {
        let first = self.first_of(start, rows);
        let end = start.saturating_add(rows as u64);
        let mut more = &self.more[self.more.partition_point(|(row, _)| *row < start)..];
        let mut used: Vec<u32> = Vec::with_capacity(first.len());
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); partitions];
        for ((place, row), partition) in (0_u32..).zip(start..end).zip(first) {
            if *partition == NONE {
                continue;
            }
            // A batch has fewer rows than 32 bits count.
            let at = u32::try_from(used.len()).unwrap_or(u32::MAX);
            used.push(place);
            places[usize::from(*partition)].push(at);
            while let Some(((_, partition), others)) =
                more.split_first().filter(|((other, _), _)| *other == row)
            {
                places[usize::from(*partition)].push(at);
                more = others;
            }
        }
        let count = used.len();
        let some = |places: Vec<u32>| (places.len() < count).then(|| UInt32Array::from(places));
        Routed {
            used: (count < rows).then(|| UInt32Array::from(used)),
            count,
            partitions: places.into_iter().map(some).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_to_all_partitions_that_have_them() {
        let mut routes = Routes::default();
        for (row, partition) in [(7, 1), (3, 0), (5, 1), (5, 0), (5, 1), (5, 2), (4, 0), (6, 1)] {
            routes.add(row, partition);
        }
        routes.sort();
        let list = |array: &Option<UInt32Array>| array.as_ref().map(|array| array.values().to_vec());
        let routed = routes.of(2, 4, 3);
        assert_eq!((list(&routed.used), routed.count), (Some(vec![1, 2, 3]), 3));
        let found: Vec<_> = routed.partitions.iter().map(list).collect();
        assert_eq!(found, [None, Some(vec![2]), Some(vec![2])]);
        let all = routes.of(6, 2, 3);
        assert_eq!((list(&all.used), list(&all.partitions[1])), (None, None));
        assert_eq!(list(&all.partitions[0]), Some(vec![]));
        assert!(routes.any(7, 1) && !routes.any(8, u64::MAX) && !routes.any(0, 3));
        assert_eq!(routes.of(8, 5, 3).count, 0);
    }
}
