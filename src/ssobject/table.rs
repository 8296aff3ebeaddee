//! From the three inputs to the batches of the table.
//!
//! Objects are worked on in parallel, and come out by ascending id, in batches that do not depend on the threads.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use rayon::prelude::*;
use rayon::slice::ParallelSliceMut;

use super::Error;
use super::figures::Figures;
use super::input::{
    Detection, Files, Measurement, Object, Objects, Orbit, Part, Real, check_wide, detections, join,
    measurements, offenders, precision_is_single, read_orbits, sightings,
};
use super::orbit::OrbitColumns;
use super::output::{Output, Row};
use super::photometry::Photometer;
use crate::science::orbit::earth;
use crate::science::orbit::elements::Elements;
use crate::science::photometry::Fitter;
use crate::science::photometry::fit::Options as FitOptions;

/// Where the inputs are: each a file, a folder or a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// SSSource.
    pub sssource: PathBuf,
    /// DiaSource; not needed if SSSource has its columns.
    pub dia_sources: Option<PathBuf>,
    /// Orbits.
    pub mpc_orbits: PathBuf,
}

/// Which orbit of the Earth the MOID is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earth {
    /// Mean elements with secular rates.
    Secular,
    /// Osculating elements at the epoch of the object's orbit.
    Osculating,
}

impl Earth {
    fn elements(self, epoch_mjd_tdb: f64) -> Option<Elements> {
        match self {
            Self::Secular => Some(earth::secular(epoch_mjd_tdb)),
            Self::Osculating => earth::osculating(epoch_mjd_tdb),
        }
    }
}

/// How the table is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How H and G12 are fitted.
    pub fit: FitOptions,
    /// The orbit of the Earth.
    pub earth: Earth,
    /// Whether rows of SSSource whose DiaSource is not there are left out; else they are an error.
    pub drop_missing: bool,
}

/// Somebody who watches and may ask for a stop.
pub trait Watch: Sync {
    /// Whether to stop.
    fn stopped(&self) -> bool;
    /// How many rows there are to read.
    fn expect(&self, rows: u64);
    /// More rows were read.
    fn advance(&self, rows: u64);
}

/// Objects in a record batch, so that the file does not depend on anything else.
const BATCH_OBJECTS: usize = 65_536;
/// Objects that are worked on between two looks at whether to stop.
const BLOCK_OBJECTS: usize = 8_192;

/// Builds the table; `sink` gets its batches in order.
///
/// # Errors
/// All of [`Error`], and those of `sink`.
pub fn build(
    inputs: &Inputs,
    options: &Options,
    watch: &dyn Watch,
    sink: &mut dyn FnMut(RecordBatch) -> Result<(), Error>,
) -> Result<Figures, Error> {
    let sssource = Files::open("SSSource", &inputs.sssource)?;
    let dia_sources = inputs.dia_sources.as_ref().map(|path| Files::open("DiaSource", path)).transpose()?;
    let orbits = Files::open("mpc_orbits", &inputs.mpc_orbits)?;
    let tables = [Some(&sssource), dia_sources.as_ref(), Some(&orbits)];
    watch.expect(tables.into_iter().flatten().map(Files::rows).sum());
    let build =
        Build { sssource: &sssource, dia_sources: dia_sources.as_ref(), orbits: &orbits, options, watch };
    if precision_is_single(&sssource, dia_sources.as_ref()) {
        build.run::<f32>(sink)
    } else {
        build.run::<f64>(sink)
    }
}

struct Build<'a> {
    sssource: &'a Files,
    dia_sources: Option<&'a Files>,
    orbits: &'a Files,
    options: &'a Options,
    watch: &'a dyn Watch,
}

impl Build<'_> {
    fn run<R: Real>(&self, sink: &mut dyn FnMut(RecordBatch) -> Result<(), Error>) -> Result<Figures, Error> {
        let mut figures = Figures::default();
        let (objects, mut detections) = match self.dia_sources {
            Some(dia_sources) => self.joined::<R>(dia_sources, &mut figures)?,
            None => self.wide()?,
        };
        let orbits = read_orbits(self.orbits, &objects, &|rows| self.watch.advance(rows))?;
        detections.par_sort_unstable_by_key(|detection| detection.object);
        self.emit(&objects, &orbits, &detections, &mut figures, sink)?;
        Ok(figures)
    }

    /// Reads all parts of an input, a few at a time.
    fn read<T: Send>(
        &self,
        files: &Files,
        read: impl Fn(Part<'_>) -> Result<T, Error> + Sync,
        mut take: impl FnMut(T),
    ) -> Result<(), Error> {
        let parts: Vec<Part<'_>> = files.parts().collect();
        for some in parts.chunks(rayon::current_num_threads()) {
            if self.watch.stopped() {
                return Err(Error::Stopped);
            }
            let read: Vec<T> = some
                .par_iter()
                .map(|part| read(*part).inspect(|_| self.watch.advance(part.rows())))
                .collect::<Result<_, _>>()?;
            read.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// The rows of SSSource with those of DiaSource.
    fn joined<R: Real>(
        &self,
        dia_sources: &Files,
        figures: &mut Figures,
    ) -> Result<(Vec<Object>, Vec<Detection<R>>), Error> {
        let (mut rows, mut objects) = (Vec::new(), Objects::default());
        self.read(self.sssource, sightings::<R>, |(more, found)| {
            rows.extend(more);
            objects.merge(found);
        })?;
        let objects = objects.sorted()?;
        let mut measured: Vec<Measurement<R>> = Vec::new();
        self.read(dia_sources, measurements::<R>, |more| measured.extend(more))?;
        let joined = join(&mut rows, &mut measured);
        offenders(joined.duplicates).none(Error::DuplicateDiaSource)?;
        offenders(joined.timeless).none(Error::NoTime)?;
        let missing = offenders(joined.missing);
        if self.options.drop_missing {
            figures.dropped = missing.count();
        } else {
            missing.none(Error::Missing)?;
        }
        Ok((objects, joined.detections))
    }

    /// The rows of an SSSource that has all columns.
    fn wide<R: Real>(&self) -> Result<(Vec<Object>, Vec<Detection<R>>), Error> {
        check_wide(self.sssource)?;
        let (mut rows, mut objects) = (Vec::new(), Objects::default());
        self.read(self.sssource, detections::<R>, |(more, found)| {
            rows.extend(more);
            objects.merge(found);
        })?;
        Ok((objects.sorted()?, rows))
    }

    /// Works on the objects and hands out their rows.
    fn emit<R: Real>(
        &self,
        objects: &[Object],
        orbits: &[Option<Orbit>],
        detections: &[Detection<R>],
        figures: &mut Figures,
        sink: &mut dyn FnMut(RecordBatch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let output = Output::new()?;
        let groups: Vec<&[Detection<R>]> = detections.chunk_by(|a, b| a.object == b.object).collect();
        let mut rows = Vec::with_capacity(BATCH_OBJECTS.min(groups.len()));
        for block in groups.chunks(BLOCK_OBJECTS) {
            if self.watch.stopped() {
                return Err(Error::Stopped);
            }
            let done: Vec<Row> = block
                .par_iter()
                .map_init(
                    || Photometer::new(Fitter::new(self.options.fit)),
                    |photometer, detections| self.row(objects, orbits, detections, photometer),
                )
                .collect::<Result<_, _>>()?;
            for row in done {
                figures.count(&row);
                rows.push(row);
                if rows.len() == BATCH_OBJECTS {
                    sink(output.batch(&rows)?)?;
                    rows.clear();
                }
            }
        }
        if !rows.is_empty() {
            sink(output.batch(&rows)?)?;
        }
        Ok(())
    }

    /// The row of one object (\[n\] detections, n > 0).
    fn row<R: Real>(
        &self,
        objects: &[Object],
        orbits: &[Option<Orbit>],
        detections: &[Detection<R>],
        photometer: &mut Photometer,
    ) -> Result<Row, Error> {
        let id = detections[0].object;
        let place = objects.binary_search_by_key(&id, |object| object.id).ok();
        let n_obs = i32::try_from(detections.len())
            .map_err(|_| Error::TooManyRows { object: id, rows: detections.len() })?;
        let first = detections.iter().map(|row| row.mjd_tai).fold(f64::INFINITY, f64::min);
        let last = detections.iter().map(|row| row.mjd_tai).fold(f64::NEG_INFINITY, f64::max);
        Ok(Row {
            id,
            designation: place.and_then(|place| objects[place].designation.clone()),
            n_obs,
            times: [first, last],
            extendedness: extendedness(detections),
            orbit: OrbitColumns::of(place.and_then(|place| orbits[place].as_ref()), |epoch| {
                self.options.earth.elements(epoch)
            }),
            bands: photometer.bands(detections),
        })
    }
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
