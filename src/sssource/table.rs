//! From the inputs to the batches of the table: associate, integrate, compute.
//!
//! Objects are worked on in parallel. The batches depend neither on the threads nor on the memory.

use std::path::Path;

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::associate::{Association, Inputs, associate};
use super::car::NonGravity;
use super::computed::{Brightness, Computed, Observers};
use super::figures::Figures;
use super::options::Options;
use super::output::{Full, Output, SCHEMA};
use super::predictions::Predictions;
use super::{Error, Object, Orbit, Row};
use crate::monitor::Monitor;
use crate::science::ephemeris::forces::{Falloff, NonGravitational};
use crate::science::ephemeris::integrator::{Task, integrate};
use crate::science::ephemeris::orbit::Orbit as Motion;
use crate::science::ephemeris::time::tdb_of_tai;
use crate::science::ephemeris::{observer, path};
use crate::tables;

/// What takes the batches.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<(), Error>;

/// Rows in a record batch, so that the file does not depend on anything else.
const BATCH_ROWS: usize = 65_536;
/// Objects that are integrated together: enough to fill the lanes, and few enough to share the work.
const BLOCK_OBJECTS: usize = 2_048;
/// Rows of a block, as far as an object is not cut.
const BLOCK_ROWS: usize = 100_000;

/// What was made.
pub(crate) struct Built {
    pub figures: Figures,
    pub predictions: Predictions,
}

/// Builds the table; `sink` gets its batches in order. Rows that memory does not hold are put aside in `scratch`.
///
/// # Errors
/// All of [`Error`], and those of `sink`.
pub(crate) fn build(
    inputs: &Inputs,
    options: &Options,
    scratch: &Path,
    monitor: &Monitor,
    sink: Sink<'_>,
) -> Result<Built, Error> {
    let Association { objects, rows, figures, expected } = associate(inputs, options, scratch, monitor)?;
    // Each row of the table is predicted.
    monitor.expect(expected.saturating_add(rows.count()));
    let work = Work { objects: &objects, options, monitor };
    let mut emitter = Emitter { output: Output::new(&SCHEMA)?, rows: Vec::new(), sink };
    let mut predictions = Predictions::default();
    for partition in rows.partitions() {
        work.partition(&partition?, &mut predictions, &mut emitter)?;
    }
    emitter.flush()?;
    Ok(Built { figures, predictions })
}

/// Hands out rows in batches.
struct Emitter<'a, 's> {
    output: Output,
    rows: Vec<Full<'a>>,
    sink: Sink<'s>,
}

impl<'a> Emitter<'a, '_> {
    fn add(&mut self, rows: Vec<Full<'a>>) -> Result<(), Error> {
        for row in rows {
            self.rows.push(row);
            if self.rows.len() == BATCH_ROWS {
                self.flush()?;
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
}

struct Work<'a> {
    objects: &'a [Object],
    options: &'a Options,
    monitor: &'a Monitor,
}

impl<'a> Work<'a> {
    /// Works on the rows of a partition (\[n\]), in the order of the table.
    fn partition(
        &self,
        rows: &[Row],
        predictions: &mut Predictions,
        emitter: &mut Emitter<'a, '_>,
    ) -> Result<(), Error> {
        let observers = Observers::new(grid_steps(rows), &self.options.site);
        for some in self.blocks(rows).chunks(rayon::current_num_threads()) {
            if self.monitor.is_stopped() {
                return Err(tables::Error::Stopped.into());
            }
            let done: Vec<(Vec<Full<'a>>, Predictions)> = some
                .par_iter()
                .map(|block| self.block(block, &observers))
                .inspect(|(rows, _)| self.monitor.advance(rows.len() as u64, 0))
                .collect();
            for (rows, counted) in done {
                predictions.merge(counted);
                emitter.add(rows)?;
            }
        }
        Ok(())
    }

    /// Cuts rows between objects.
    fn blocks<'r>(&self, rows: &'r [Row]) -> Vec<&'r [Row]> {
        let (mut blocks, mut start, mut objects) = (Vec::new(), 0, 0);
        for k in 1..rows.len() {
            let is_other = rows[k].object != rows[k - 1].object;
            objects += usize::from(is_other);
            let may_cut = is_other || self.orbit(&rows[k]).is_none();
            if may_cut && (objects >= BLOCK_OBJECTS || k - start >= BLOCK_ROWS) {
                blocks.push(&rows[start..k]);
                (start, objects) = (k, 0);
            }
        }
        if start < rows.len() {
            blocks.push(&rows[start..]);
        }
        blocks
    }

    fn orbit(&self, row: &Row) -> Option<&'a Orbit> {
        row.object_of(self.objects)?.orbit.as_ref()
    }

    /// Integrates the objects of a block and computes its rows.
    fn block(&self, rows: &[Row], observers: &Observers) -> (Vec<Full<'a>>, Predictions) {
        let mut predictions = Predictions::default();
        let groups: Vec<&[Row]> = rows.chunk_by(|a, b| a.object == b.object).collect();
        let mut tasks: Vec<Task> = Vec::new();
        // The place of the task of each group.
        let places: Vec<Option<usize>> = groups
            .iter()
            .map(|group| {
                let (object, orbit) = (group[0].object_of(self.objects)?, self.orbit(&group[0])?);
                match motion(orbit).task(span(group)) {
                    Ok(task) => tasks.push(task),
                    Err(why) => {
                        predictions.count_unusable(object, why);
                        return None;
                    }
                }
                Some(tasks.len() - 1)
            })
            .collect();
        let paths = integrate(&tasks);
        let mut full = Vec::with_capacity(rows.len());
        for (group, place) in groups.into_iter().zip(places) {
            let object = group[0].object_of(self.objects);
            let path: Option<&path::Path> = place.map(|place| &paths[place]);
            if let (Some(object), Some(path)) = (object, path) {
                predictions.count_path(object, path);
            }
            let brightness =
                self.orbit(&group[0]).map_or(Brightness { h_mag: f64::NAN, g: f64::NAN }, |orbit| {
                    Brightness { h_mag: orbit.h_mag, g: orbit.g }
                });
            for row in group {
                let computed = Computed::of(row, path, brightness, observers);
                predictions.count_row(row, object, &computed);
                full.push(Full { row: *row, object, computed });
            }
        }
        (full, predictions)
    }
}

/// The steps of the observer's grid at which there are rows, in order and without repeats.
fn grid_steps(rows: &[Row]) -> Vec<i64> {
    let merged = rows
        .par_chunks(BATCH_ROWS)
        .map(|rows| {
            let mut steps: Vec<i64> = rows.iter().map(|row| observer::grid(row.mjd_tai)).collect();
            steps.sort_unstable();
            steps.dedup();
            steps
        })
        .collect::<Vec<_>>();
    let mut steps = merged.concat();
    steps.par_sort_unstable();
    steps.dedup();
    steps
}

/// From the first to the last time of rows \[MJD TDB\].
fn span(rows: &[Row]) -> [f64; 2] {
    let times = rows.iter().map(|row| row.mjd_tai);
    let (first, last) = times.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(t), b.max(t)));
    [first, last].map(tdb_of_tai)
}

/// An orbit as the integrator takes it.
fn motion(orbit: &Orbit) -> Motion {
    let force = match orbit.car.non_gravity {
        NonGravity::Comet(a) => Some(NonGravitational { a, falloff: Falloff::Sublimation }),
        NonGravity::Yarkovsky(a2) => {
            Some(NonGravitational { a: [0.0, a2, 0.0], falloff: Falloff::InverseSquare })
        }
        NonGravity::None | NonGravity::Unknown => None,
    };
    Motion {
        elements: orbit.elements,
        perihelion_mjd_tt: orbit.peri_time_mjd_tt,
        epoch_mjd_tt: orbit.epoch_mjd_tt,
        force,
    }
}
