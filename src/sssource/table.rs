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
use super::uncertain::{Moving, Uncertain};
use super::wide::{self, Partition, Wide, copied_columns};
use super::{Error, Object, Orbit, Row};
use crate::monitor::Monitor;
use crate::schema::TableSchema;
use crate::science::ephemeris::covariance::Covariance;
use crate::science::ephemeris::forces::{Falloff, NonGravitational};
use crate::science::ephemeris::integrator::{Task, integrate};
use crate::science::ephemeris::observer;
use crate::science::ephemeris::orbit::Orbit as Motion;
use crate::science::ephemeris::time::tdb_of_tai;
use crate::tables;

/// What takes the batches; the file must not depend on where they are cut.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&RecordBatch) -> Result<(), Error>;

/// Objects that are integrated together: enough to fill the lanes, and few enough to share the work.
const BLOCK_OBJECTS: usize = 2_048;
/// Rows of a block, as far as an object is not cut.
const BLOCK_ROWS: usize = 65_536;

/// What was made.
pub(crate) struct Built {
    pub figures: Figures,
    pub predictions: Predictions,
    pub warnings: Vec<String>,
}

/// The schema of the table.
pub(crate) fn schema(options: &Options) -> &'static TableSchema {
    if options.wide { &wide::SCHEMA } else { &SCHEMA }
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
    let wide = options.wide.then(|| Wide::open(inputs, options)).transpose()?;
    let Association { objects, mut rows, figures, expected } = associate(inputs, options, scratch, monitor)?;
    let warnings = wide.iter().flat_map(|wide| wide.warnings().to_vec()).collect();
    // Each row of the table is predicted.
    let copied = wide.as_ref().map_or(0, Wide::rows);
    monitor.expect(expected.saturating_add(rows.count()).saturating_add(copied));
    let mut copied = wide.map(|wide| wide.copy(&mut rows, scratch, monitor)).transpose()?;
    let output = Output::new(schema(options), if options.wide { copied_columns().len() } else { 0 })?;
    let work = Work { objects: &objects, options, monitor, output: &output };
    let mut predictions = Predictions::default();
    for (number, partition) in rows.partitions().enumerate() {
        let rows = partition?;
        let copied = copied.as_mut().map(|copied| copied.partition(number, &rows)).transpose()?;
        work.partition(&rows, copied.as_ref(), &mut predictions, sink)?;
    }
    Ok(Built { figures, predictions, warnings })
}

struct Work<'a> {
    objects: &'a [Object],
    options: &'a Options,
    monitor: &'a Monitor,
    output: &'a Output,
}

impl<'a> Work<'a> {
    /// Works on the rows of a partition (\[n\]), in the order of the table.
    fn partition(
        &self,
        rows: &[Row],
        copied: Option<&Partition>,
        predictions: &mut Predictions,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let observers = Observers::new(grid_steps(rows), &self.options.site);
        for some in self.blocks(rows).chunks(2 * rayon::current_num_threads()) {
            tables::check_stop(self.monitor)?;
            let done: Vec<(RecordBatch, Predictions)> = some
                .par_iter()
                .map(|block| {
                    let (full, counted) = self.block(block, &observers);
                    let copied = copied.map(|copied| copied.blocks(block, self.objects)).transpose()?;
                    let batch = self.output.batch(&full, copied.unwrap_or_default())?;
                    self.monitor.advance(block.len() as u64, 0);
                    Ok((batch, counted))
                })
                .collect::<Result<_, Error>>()?;
            for (batch, counted) in done {
                predictions.merge(counted);
                sink(&batch)?;
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
    fn block<'s>(&'s self, rows: &[Row], observers: &Observers) -> (Vec<Full<'s>>, Predictions) {
        let mut predictions = Predictions::default();
        let groups: Vec<&[Row]> = rows.chunk_by(|a, b| a.object == b.object).collect();
        let mut moving = Vec::new();
        // The place of each group among those that move.
        let places: Vec<Option<usize>> = groups
            .iter()
            .map(|group| {
                let (object, orbit) = (group[0].object_of(self.objects)?, self.orbit(&group[0])?);
                let (motion, wanted) = (motion(orbit), span(group));
                match motion.task(wanted) {
                    Ok(task) => moving.push(Moving { motion, task, wanted, covariance: covariance(orbit) }),
                    Err(why) => {
                        predictions.count_unusable(object, why);
                        return None;
                    }
                }
                Some(moving.len() - 1)
            })
            .collect();
        let tasks: Vec<Task> = moving.iter().map(|moving| moving.task.clone()).collect();
        let paths = integrate(&tasks);
        let uncertain = Uncertain::of(&moving, &paths);
        let mut full = Vec::with_capacity(rows.len());
        for (group, place) in groups.into_iter().zip(places) {
            let object = group[0].object_of(self.objects);
            let path = place.map(|place| &paths[place]);
            if let (Some(object), Some(path)) = (object, path) {
                predictions.count_path(object, path);
            }
            let brightness = self
                .orbit(&group[0])
                .map_or(Brightness::UNKNOWN, |orbit| Brightness { h_mag: orbit.h_mag, g: orbit.g });
            for row in group {
                let mut computed = Computed::of(row, path, brightness, observers);
                if let (Some(place), Some(predicted)) = (place, &mut computed.predicted) {
                    predicted.ellipse = uncertain.ellipse(place, &predicted.place, tdb_of_tai(row.mjd_tai));
                }
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
        .par_chunks(BLOCK_ROWS)
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

/// The covariance of an orbit, if it is usable.
fn covariance(orbit: &Orbit) -> Option<Covariance> {
    let found = orbit.car.covariance.as_ref()?;
    Covariance::new(&found.terms, |i, j| found.get(i, j))
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
