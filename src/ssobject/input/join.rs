//! SSSource and DiaSource, by diaSourceId.

use std::mem;

use rayon::prelude::*;

use super::{Detection, Measurement, Real, Sighting};
use crate::lookup::FEW;
use crate::tables::{Buckets, Parts, buckets, by_hash, more_than_once};

/// What a join found.
#[derive(Default)]
pub(crate) struct Joined<R> {
    /// The rows that met.
    pub detections: Vec<Detection<R>>,
    /// diaSourceIds of SSSource that DiaSource lacks, by row.
    pub missing: Vec<i64>,
    /// diaSourceIds that DiaSource has more than once.
    pub duplicates: Vec<i64>,
    /// diaSourceIds that SSSource has more than once.
    pub repeated: Vec<i64>,
    /// diaSourceIds that met and have no time.
    pub timeless: Vec<i64>,
    /// The lowest few diaSourceIds of DiaSource.
    pub there: Vec<i64>,
}

/// A row of DiaSource in a table by hash, and whether a row of SSSource met it.
type Slot<'a, R> = Option<(&'a Measurement<R>, bool)>;

/// Joins the rows, bucket by bucket of their diaSourceIds, which are compared as integers.
pub(crate) fn join<R: Real>(
    sightings: Parts<Sighting<R>>,
    measurements: Parts<Measurement<R>>,
) -> Vec<Joined<R>> {
    let buckets = buckets(&measurements);
    // The halves change places, for the rows of a file on disk were chosen by the hash of the id as it is.
    let of = |dia_id: i64| by_hash(dia_id.rotate_left(32), buckets);
    let (sightings, measurements) = rayon::join(
        || Buckets::new(sightings, buckets, |row, _| of(row.dia_id)),
        || Buckets::new(measurements, buckets, |row, _| of(row.dia_id)),
    );
    let work = |slots: &mut Vec<_>, bucket| join_bucket(&sightings, &measurements, bucket, slots);
    (0..buckets).into_par_iter().map_init(Vec::new, work).collect()
}

fn join_bucket<'a, R: Real>(
    sightings: &Buckets<Sighting<R>>,
    measurements: &'a Buckets<Measurement<R>>,
    bucket: usize,
    slots: &mut Vec<Slot<'a, R>>,
) -> Joined<R> {
    let mut joined =
        Joined { detections: Vec::with_capacity(sightings.rows_of(bucket)), ..Joined::default() };
    // At least half of them stay free, so that a free one is near.
    slots.clear();
    slots.resize((2 * measurements.rows_of(bucket)).next_power_of_two(), None);
    for row in measurements.of(bucket) {
        let slot = slot(slots, row.dia_id);
        if slots[slot].replace((row, false)).is_some() {
            joined.duplicates.push(row.dia_id);
        }
        if joined.there.last().is_none_or(|last| row.dia_id < *last) || joined.there.len() < FEW {
            joined.there.push(row.dia_id);
            joined.there.sort_unstable();
            joined.there.truncate(FEW);
        }
    }
    for sighting in sightings.of(bucket) {
        let slot = slot(slots, sighting.dia_id);
        let Some((row, met)) = &mut slots[slot] else {
            joined.missing.push(sighting.dia_id);
            continue;
        };
        if mem::replace(met, true) {
            joined.repeated.push(row.dia_id);
        }
        if !row.mjd_tai.is_finite() {
            joined.timeless.push(row.dia_id);
        }
        joined.detections.push(row.of(sighting));
    }
    joined.missing.sort_unstable();
    joined.repeated.extend(more_than_once(&joined.missing, |id| *id));
    for ids in [&mut joined.duplicates, &mut joined.repeated] {
        ids.sort_unstable();
        ids.dedup();
    }
    joined
}

/// The slot of an id, or a free one for it.
fn slot<R>(slots: &[Slot<'_, R>], dia_id: i64) -> usize {
    /// Mixes the bits once more than `by_hash` (Knuth's MMIX), for all rows of a bucket have much of that hash.
    const MIX: i64 = 6_364_136_223_846_793_005;
    let mut slot = by_hash((dia_id ^ dia_id >> 32).wrapping_mul(MIX), slots.len());
    while slots[slot].is_some_and(|(row, _)| row.dia_id != dia_id) {
        slot = (slot + 1) & (slots.len() - 1);
    }
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids that are as far apart as these come into several buckets, and to any place in them.
    fn id(number: i64) -> i64 {
        600_000_000_000_000_000 + number * 1_000_003
    }

    #[test]
    fn rows_meet_by_id_and_what_is_wrong_is_told_once() {
        const ROWS: i64 = 20_000;
        // Each third is in no row of SSSource; the last rows of SSSource are not in DiaSource.
        let measured = (0..ROWS).rev().map(|number| Measurement {
            dia_id: id(number),
            mjd_tai: if number == 5 { f64::NAN } else { number as f64 },
            ..Measurement::default()
        });
        let mut measured: Vec<Measurement<f32>> = measured.collect();
        measured.extend([measured[77]; 2]);
        let seen = (0..ROWS + 9).filter(|number| number % 3 > 0);
        let mut seen: Vec<Sighting<f32>> = seen
            .map(|number| Sighting { dia_id: id(number), object: number, ..Sighting::default() })
            .collect();
        let (again, absent) = (seen[4], *seen.last().unwrap());
        seen.extend([again, again, absent, absent]);
        let parts = |from: &[Measurement<f32>]| from.chunks(3_000).map(<[_]>::to_vec).collect();
        let seen_parts = seen.chunks(1_234).map(<[_]>::to_vec).collect();
        let joined = join(seen_parts, parts(&measured));
        assert!(joined.len() > 1);
        let all = |ids: fn(&Joined<f32>) -> &Vec<i64>| {
            let mut all: Vec<i64> = joined.iter().flat_map(ids).copied().collect();
            all.sort_unstable();
            all
        };
        let missing = [ROWS, ROWS + 2, ROWS + 3, ROWS + 5, ROWS + 6, ROWS + 8, ROWS + 8, ROWS + 8].map(id);
        assert_eq!(all(|joined| &joined.missing), missing);
        assert_eq!(all(|joined| &joined.duplicates), [measured[77].dia_id]);
        assert_eq!(all(|joined| &joined.repeated), [again.dia_id, absent.dia_id]);
        assert_eq!(all(|joined| &joined.timeless), [id(5)]);
        assert_eq!(all(|joined| &joined.there)[..FEW], [0, 1, 2].map(id));
        let detections: Vec<_> = joined.iter().flat_map(|joined| &joined.detections).collect();
        assert_eq!(detections.len(), seen.len() - missing.len());
        assert!(detections.iter().all(|row| row.mjd_tai.is_nan() || row.mjd_tai == row.object as f64));
    }
}
