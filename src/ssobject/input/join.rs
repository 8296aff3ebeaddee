//! SSSource and DiaSource, by diaSourceId.

use rayon::slice::ParallelSliceMut;

use super::{Detection, Measurement, Real, Sighting};
use crate::ssobject::Offenders;

/// What a join found.
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
}

/// Joins the rows; both are sorted by id on the way. Ids are compared as integers.
pub(crate) fn join<R: Real>(sightings: &mut [Sighting<R>], measurements: &mut [Measurement<R>]) -> Joined<R> {
    sightings.par_sort_unstable_by_key(|row| row.dia_id);
    measurements.par_sort_unstable_by_key(|row| row.dia_id);
    let mut joined = Joined {
        detections: Vec::with_capacity(sightings.len()),
        missing: Vec::new(),
        duplicates: more_than_once(measurements, |row| row.dia_id),
        repeated: more_than_once(sightings, |row| row.dia_id),
        timeless: Vec::new(),
    };
    let mut next = measurements.iter().peekable();
    for sighting in sightings {
        while next.next_if(|row| row.dia_id < sighting.dia_id).is_some() {}
        match next.peek().filter(|row| row.dia_id == sighting.dia_id) {
            None => joined.missing.push(sighting.dia_id),
            Some(row) => {
                if !row.mjd_tai.is_finite() {
                    joined.timeless.push(row.dia_id);
                }
                joined.detections.push(row.of(sighting));
            }
        }
    }
    joined
}

/// The ids that sorted rows have more than once.
pub(crate) fn more_than_once<T>(rows: &[T], id: impl Fn(&T) -> i64) -> Vec<i64> {
    let pairs = rows.windows(2).map(|pair| (id(&pair[0]), id(&pair[1])));
    let mut ids: Vec<i64> = pairs.filter(|(one, next)| one == next).map(|(one, _)| one).collect();
    ids.dedup();
    ids
}

/// diaSourceIds with which something is wrong: how many, and the lowest few, however many there are.
#[derive(Default)]
pub(crate) struct Wrong {
    count: u64,
    lowest: Vec<i64>,
}

impl Wrong {
    /// Takes in those of a partition.
    pub(crate) fn extend(&mut self, ids: Vec<i64>) {
        self.count += ids.len() as u64;
        self.lowest.extend(ids);
        self.lowest.sort_unstable();
        self.lowest.truncate(Offenders::FEW);
        self.lowest.shrink_to_fit();
    }

    pub(crate) fn lowest(&self) -> &[i64] {
        &self.lowest
    }

    /// As offenders, in their order.
    pub(crate) fn offenders(self) -> Offenders {
        Offenders::of(["diaSourceId", "diaSourceIds"], self.count, self.lowest)
    }
}
