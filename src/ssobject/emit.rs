//! Detections of objects to rows of the table, in order.
//!
//! Objects are worked on in parallel; the batches do not depend on the threads, nor on the partitions.

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::Error;
use super::figures::Figures;
use super::input::{Detection, Object, Orbit, Real};
use super::options::Options;
use super::orbit::OrbitColumns;
use super::output::{Output, Row};
use super::photometry::Photometer;
use crate::monitor::Monitor;
use crate::science::photometry::Fitter;
use crate::tables;

/// What takes the batches.
pub(super) type Sink<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<(), Error>;

/// Objects in a record batch, so that the file does not depend on anything else.
const BATCH_OBJECTS: usize = 65_536;
/// Objects that are worked on between two looks at whether to stop.
const BLOCK_OBJECTS: usize = 8_192;

/// What the work on an object needs to know.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub options: &'a Options,
    /// All objects, by ascending id, and the orbit of each.
    pub objects: &'a [Object],
    pub orbits: &'a [Option<Orbit>],
    pub monitor: &'a Monitor,
}

/// Works on objects and hands out their rows in batches.
pub(super) struct Emitter<'a> {
    work: Work<'a>,
    output: Output,
    rows: Vec<Row>,
    figures: Figures,
    sink: Sink<'a>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(work: Work<'a>, figures: Figures, sink: Sink<'a>) -> Result<Self, Error> {
        let rows = Vec::with_capacity(BATCH_OBJECTS.min(work.objects.len()));
        Ok(Self { work, output: Output::new()?, rows, figures, sink })
    }

    /// Works on the objects of these detections (\[n\]), which are sorted by object and come after all others before.
    pub(super) fn emit<R: Real>(&mut self, detections: &[Detection<R>]) -> Result<(), Error> {
        let groups: Vec<&[Detection<R>]> = detections.chunk_by(|a, b| a.object == b.object).collect();
        let work = self.work;
        for block in groups.chunks(BLOCK_OBJECTS) {
            if work.monitor.is_stopped() {
                return Err(tables::Error::Stopped.into());
            }
            let rows: Vec<Row> = block
                .par_iter()
                .map_init(
                    || Photometer::new(Fitter::new(work.options.fit)),
                    |photometer, detections| work.row(detections, photometer),
                )
                .collect::<Result<_, _>>()?;
            work.monitor.advance(block.iter().map(|detections| detections.len() as u64).sum(), 0);
            for row in rows {
                self.figures.count(&row);
                self.rows.push(row);
                if self.rows.len() == BATCH_OBJECTS {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.rows.is_empty() {
            (self.sink)(self.output.batch(&self.rows)?)?;
            self.rows.clear();
        }
        Ok(())
    }

    /// Hands out what is left.
    pub(super) fn finish(mut self) -> Result<Figures, Error> {
        self.flush()?;
        Ok(self.figures)
    }
}

impl Work<'_> {
    /// The row of one object (\[n\] detections, n > 0).
    fn row<R: Real>(&self, detections: &[Detection<R>], photometer: &mut Photometer) -> Result<Row, Error> {
        let Self { objects, orbits, .. } = self;
        let id = detections[0].object;
        let place = objects.binary_search_by_key(&id, |object| object.id).ok();
        let first = detections.iter().map(|row| row.mjd_tai).fold(f64::INFINITY, f64::min);
        let last = detections.iter().map(|row| row.mjd_tai).fold(f64::NEG_INFINITY, f64::max);
        Ok(Row {
            id,
            designation: place.and_then(|place| objects[place].designation.clone()),
            n_obs: count(id, detections.len())?,
            times: [first, last],
            extendedness: extendedness(detections),
            orbit: OrbitColumns::of(place.and_then(|place| orbits[place].as_ref()), |epoch| {
                self.options.earth.elements(epoch)
            }),
            bands: photometer.bands(detections),
        })
    }
}

/// How many rows an object has, as the output's column counts.
fn count(object: i64, rows: usize) -> Result<i32, Error> {
    i32::try_from(rows).map_err(|_| Error::TooManyRows { object, rows })
}

/// Least, median and greatest; the median of an even number is the mean of the middle two.
fn extendedness<R: Real>(detections: &[Detection<R>]) -> Option<[f64; 3]> {
    let mut values: Vec<f64> =
        detections.iter().map(|row| row.extendedness.f64()).filter(|value| !value.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => return None,
        n if n % 2 == 0 => 0.5 * (values[middle - 1] + values[middle]),
        _ => values[middle],
    };
    Some([values[0], median, values[values.len() - 1]])
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn more_rows_than_the_column_can_count_are_an_error() {
        assert_eq!(count(7, 0x7fff_ffff).unwrap(), i32::MAX);
        assert_eq!(
            count(7, 0x8000_0000).unwrap_err().to_string(),
            "object 7 has 2147483648 rows, more than a 32-bit integer can count"
        );
    }
}
