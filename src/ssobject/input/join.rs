//! SSSource and DiaSource, by diaSourceId.

use rayon::slice::ParallelSliceMut;

use super::{Detection, Measurement, Real, Sighting};
use crate::tables::more_than_once;

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
