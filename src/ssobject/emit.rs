//! Detections of objects to rows of the table, in order.
//!
//! Objects are worked on in parallel; the batches do not depend on the threads, nor on the partitions.

use std::mem;

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::Error;
use super::figures::Figures;
use super::input::{Detection, Object, Orbit, Real};
use super::options::Options;
use super::orbit::{EarthOrbit, OrbitColumns};
use super::output::{Output, Row};
use super::photometry::Photometer;
use crate::monitor::Monitor;
use crate::science::photometry::Fitter;
use crate::tables::{self, Buckets, Parts, Ranges, buckets};

/// What takes the batches.
pub(super) type Sink<'a> = &'a mut (dyn FnMut(RecordBatch) -> Result<(), Error> + Send);

/// Objects in a record batch, so that the file does not depend on anything else.
const BATCH_OBJECTS: usize = 65_536;
/// Objects whose rows stay in the cache of a core until columns are made of them.
const CHUNK_OBJECTS: usize = 256;

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
    figures: Figures,
    waiting: Waiting<'a>,
}

/// Rows on their way out.
struct Waiting<'a> {
    batches: Vec<RecordBatch>,
    sink: Sink<'a>,
}

/// What one thread uses again from bucket to bucket.
struct Bench<R> {
    photometer: Photometer,
    earth: EarthOrbit,
    detections: Vec<Detection<R>>,
    rows: Vec<Row>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(work: Work<'a>, figures: Figures, sink: Sink<'a>) -> Result<Self, Error> {
        let waiting = Waiting { batches: Vec::new(), sink };
        Ok(Self { work, output: Output::new()?, figures, waiting })
    }

    /// Works on these objects, which come after all others before, with all their detections in parts.
    pub(super) fn emit<R: Real>(
        &mut self,
        objects: &[Object],
        detections: Parts<Detection<R>>,
    ) -> Result<(), Error> {
        let number = buckets(&detections);
        let ranges = Ranges::new(objects.iter().map(|object| (object.id, object.rows)), number);
        let buckets = Buckets::new(detections, number, |row, near| ranges.of_near(row.object, near));
        let Self { work, output, figures, waiting } = self;
        let start = || Bench {
            photometer: Photometer::new(Fitter::new(work.options.fit)),
            earth: EarthOrbit::new(work.options.earth),
            detections: Vec::new(),
            rows: Vec::with_capacity(CHUNK_OBJECTS),
        };
        // About a batch, which is handed out while the next buckets are worked on.
        let block = (number * BATCH_OBJECTS / objects.len().max(1)).max(rayon::current_num_threads());
        for first in (0..number).step_by(block) {
            let block = (first..number.min(first + block)).into_par_iter();
            let worked = || {
                let each = |bench: &mut Bench<R>, bucket| {
                    bench.detections.clear();
                    buckets.slices(bucket).for_each(|rows| bench.detections.extend_from_slice(rows));
                    bench.detections.sort_unstable_by_key(|detection| detection.object);
                    work.bucket(bench, output)
                };
                block.map_init(start, each).collect::<Result<Vec<_>, Error>>()
            };
            let (handed_out, worked) = rayon::join(|| waiting.hand_out(output, BATCH_OBJECTS), worked);
            handed_out?;
            for (batches, counts) in worked? {
                waiting.batches.extend(batches);
                figures.merge(counts);
            }
        }
        Ok(())
    }

    /// Hands out what is left.
    pub(super) fn finish(mut self) -> Result<Figures, Error> {
        self.waiting.hand_out(&self.output, 1)?;
        Ok(self.figures)
    }
}

impl Waiting<'_> {
    /// Hands out batches as long as at least `least` rows wait.
    fn hand_out(&mut self, output: &Output, least: usize) -> Result<(), Error> {
        while self.batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= least {
            let rows = output.concat(&mem::take(&mut self.batches))?;
            let batch = rows.slice(0, rows.num_rows().min(BATCH_OBJECTS));
            let rest = rows.slice(batch.num_rows(), rows.num_rows() - batch.num_rows());
            self.batches.push(rest);
            (self.sink)(batch)?;
        }
        Ok(())
    }
}

impl Work<'_> {
    /// The rows of a bucket of objects in batches, and their counts.
    fn bucket<R: Real>(
        &self,
        bench: &mut Bench<R>,
        output: &Output,
    ) -> Result<(Vec<RecordBatch>, Figures), Error> {
        let Bench { photometer, earth, detections, rows } = bench;
        let mut figures = Figures::default();
        let mut batches = Vec::new();
        let lowest = detections.first().map_or(0, |detection| detection.object);
        let place = self.objects.partition_point(|object| object.id < lowest);
        let mut next = self.objects[place..].iter().zip(&self.orbits[place..]).peekable();
        let mut objects = detections.chunk_by(|a, b| a.object == b.object).peekable();
        while objects.peek().is_some() {
            tables::check_stop(self.monitor)?;
            rows.clear();
            for detections in objects.by_ref().take(CHUNK_OBJECTS) {
                while next.next_if(|(object, _)| object.id < detections[0].object).is_some() {}
                let known = next.peek().filter(|(object, _)| object.id == detections[0].object);
                let row = row(detections, known.copied(), photometer, earth)?;
                figures.count(&row);
                rows.push(row);
            }
            self.monitor.advance(rows.iter().map(|row| u64::from(row.n_obs.unsigned_abs())).sum(), 0);
            batches.push(output.batch(rows)?);
        }
        Ok((batches, figures))
    }
}

/// The row of one object (\[n\] detections, n > 0), with its name and orbit.
fn row<R: Real>(
    detections: &[Detection<R>],
    known: Option<(&Object, &Option<Orbit>)>,
    photometer: &mut Photometer,
    earth: &mut EarthOrbit,
) -> Result<Row, Error> {
    let id = detections[0].object;
    let times = || detections.iter().map(|row| row.mjd_tai);
    Ok(Row {
        id,
        designation: known.and_then(|(object, _)| object.designation.clone()),
        n_obs: count(id, detections.len())?,
        times: [times().fold(f64::INFINITY, f64::min), times().fold(f64::NEG_INFINITY, f64::max)],
        extendedness: extendedness(detections),
        orbit: OrbitColumns::of(known.and_then(|(_, orbit)| orbit.as_ref()), earth),
        bands: photometer.bands(detections),
    })
}

/// How many rows an object has, as the output's column counts.
fn count(object: i64, rows: usize) -> Result<i32, Error> {
    i32::try_from(rows).map_err(|_| Error::TooManyRows { object, rows })
}

/// Least, median and greatest; the median of an even number is the mean of the middle two.
fn extendedness<R: Real>(detections: &[Detection<R>]) -> Option<[f64; 3]> {
    let mut values: Vec<f64> =
        detections.iter().map(|row| row.extendedness.f64()).filter(|value| !value.is_nan()).collect();
    if values.is_empty() {
        return None;
    }
    let (count, middle) = (values.len(), values.len() / 2);
    let (below, median, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let least = |values: &[f64], other| values.iter().copied().min_by(f64::total_cmp).unwrap_or(other);
    let greatest = |values: &[f64], other| values.iter().copied().max_by(f64::total_cmp).unwrap_or(other);
    let (min, max) = (least(below, *median), greatest(above, *median));
    let median = if count % 2 == 0 { 0.5 * (greatest(below, *median) + *median) } else { *median };
    Some([min, median, max])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_extendedness_is_in_the_middle() {
        let of = |values: &[f64]| {
            let row = |&extendedness| Detection { extendedness, ..Detection::default() };
            extendedness(&values.iter().map(row).collect::<Vec<_>>())
        };
        assert_eq!(of(&[f64::NAN]), None);
        assert_eq!(of(&[0.5, f64::NAN]), Some([0.5; 3]));
        assert_eq!(of(&[0.5, 0.0]), Some([0.0, 0.25, 0.5]));
        assert_eq!(of(&[0.5, 0.0, 0.75]), Some([0.0, 0.5, 0.75]));
        assert_eq!(of(&[1.0, 0.5, 0.0, 0.75]), Some([0.0, 0.625, 1.0]));
    }

    #[test]
    fn more_rows_than_the_column_can_count_are_an_error() {
        assert_eq!(count(7, 0x7fff_ffff).unwrap(), i32::MAX);
        assert_eq!(
            count(7, 0x8000_0000).unwrap_err().to_string(),
            "object 7 has 2147483648 rows, more than a 32-bit integer can count"
        );
    }
}
