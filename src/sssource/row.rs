//! A row of the table before its columns are computed, and all rows in the order of the table.

use rayon::slice::ParallelSliceMut;

use super::designation::NO_OBJECT;
use crate::tables::{self, Spool, record};

/// An observation with its DiaSource and its object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Its place among the objects, or [`NO_OBJECT`].
    pub object: u32,
    /// Its place among the observations of the DiaSource, by obsid.
    pub order: u32,
    /// diaSourceId.
    pub dia_source_id: i64,
    /// midpointMjdTai \[d\].
    pub mjd_tai: f64,
    /// midpointMjdTaiVisit \[d\]; NaN if the input has none.
    pub mjd_tai_visit: f64,
    /// ra of the DiaSource \[deg\].
    pub ra_deg: f64,
    /// dec of the DiaSource \[deg\].
    pub dec_deg: f64,
    /// Its place among all rows of `obs_sbn`, from 0, in the order of the files.
    pub obs_row: u64,
    /// The same in `dia_sources`.
    pub dia_row: u64,
    /// Whether it is the one of the DiaSource that counts.
    pub is_primary: bool,
}

impl Row {
    /// Its object among `objects`, if it has one.
    #[must_use]
    pub fn object_of<'a, T>(&self, objects: &'a [T]) -> Option<&'a T> {
        if self.object == NO_OBJECT { None } else { objects.get(self.object as usize) }
    }
}

record!(Row {
    object: u32,
    order: u32,
    dia_source_id: i64,
    mjd_tai: f64,
    mjd_tai_visit: f64,
    ra_deg: f64,
    dec_deg: f64,
    obs_row: u64,
    dia_row: u64,
    is_primary: bool,
});

/// What decides the place of a row before its time: its object, or that it has no ssObjectId, and then the night, which only
/// cuts these into partitions.
pub(super) type Key = (u32, i64);

/// The key of a row. The first `identified` objects have an ssObjectId.
pub(super) fn key(object: u32, mjd_tai: f64, identified: u32) -> Key {
    /// Nights are days of MJD; more than any calendar has are one.
    #[expect(clippy::cast_possible_truncation, reason = "a cast of f64 saturates")]
    fn night(mjd_tai: f64) -> i64 {
        mjd_tai.floor() as i64
    }
    if object < identified { (object, 0) } else { (identified, night(mjd_tai)) }
}

/// All rows of the result.
pub struct Rows {
    pub(super) spool: Spool<Row>,
    pub(super) identified: u32,
    pub(super) count: u64,
}

impl Rows {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many partitions [`Rows::partitions`] gives.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.spool.partitions()
    }

    /// The rows, some at a time: by ssObjectId, midpointMjdTai, diaSourceId and obsid; those without ssObjectId last. No
    /// object with an ssObjectId is in two partitions.
    ///
    /// # Errors
    /// [`tables::Error::Spill`].
    pub fn partitions(self) -> impl Iterator<Item = Result<Vec<Row>, tables::Error>> {
        let identified = self.identified;
        self.spool.take().map(move |partition| {
            let mut rows = partition?;
            rows.par_sort_unstable_by(|a, b| {
                let object = |row: &Row| row.object.min(identified);
                object(a)
                    .cmp(&object(b))
                    .then(a.mjd_tai.total_cmp(&b.mjd_tai))
                    .then(a.dia_source_id.cmp(&b.dia_source_id))
                    .then(a.order.cmp(&b.order))
            });
            Ok(rows)
        })
    }
}
