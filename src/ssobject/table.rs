//! From the three inputs to the batches of the table: read, join, group.
//!
//! More rows than memory may hold go through files: SSSource and DiaSource in partitions by a hash of diaSourceId, what
//! they join to in partitions by ranges of ssObjectId. Not a place for the work on an object (see `emit`).

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Error;
use super::emit::{Emitter, Sink, Work};
use super::figures::Figures;
use super::input::{
    Detection, Measurement, Object, Objects, Orbit, Real, Sighting, check_wide, detections, join,
    measurements, objects, precision_is_single, read_orbits, sightings,
};
use super::options::Options;
use super::output::check_designations;
use crate::lookup::{Lookup, Usual, examples};
use crate::monitor::Monitor;
use crate::tables::{self, Files, Offenders, Ranges, Spool, Wrong, by_hash, more_than_once, partitions};

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
) -> Result<Figures, Error> {
    let sssource = &Files::open("SSSource", &inputs.sssource)?;
    let dia_sources = inputs.dia_sources.as_ref().map(|path| Files::open("DiaSource", path)).transpose()?;
    let dia_sources = dia_sources.as_ref();
    let orbits = &Files::open("mpc_orbits", &inputs.mpc_orbits)?;
    let tables = [Some(sssource), dia_sources, Some(orbits)];
    // Each row is read, and each of SSSource worked on.
    let rows = tables.into_iter().flatten().map(Files::rows).fold(sssource.rows(), u64::saturating_add);
    monitor.expect(rows);
    let build = Build { sssource, dia_sources, orbits, options, scratch, monitor, rows };
    if precision_is_single(sssource, dia_sources) { build.run::<f32>(sink) } else { build.run::<f64>(sink) }
}

struct Build<'a> {
    sssource: &'a Files,
    dia_sources: Option<&'a Files>,
    orbits: &'a Files,
    options: &'a Options,
    scratch: &'a Path,
    monitor: &'a Monitor,
    /// The rows that `monitor` expects.
    rows: u64,
}

/// The orbit of each object, and how many there are.
type Orbits = Result<(Vec<Option<Orbit>>, Lookup), Error>;
/// What was read: objects, their orbits and their detections.
type Read<R> = (Vec<Object>, Orbits, Spool<Detection<R>>);

impl Build<'_> {
    fn run<R: Real>(&self, sink: Sink<'_>) -> Result<Figures, Error> {
        let mut figures = Figures::default();
        let (objects, orbits, detections) = match self.dia_sources {
            Some(dia_sources) => self.joined::<R>(dia_sources, &mut figures)?,
            None => self.wide(&mut figures)?,
        };
        check_designations(&objects)?;
        figures.lookups.insert(0, self.rows_of_objects(&objects));
        let (orbits, lookup) = orbits?;
        figures.lookups.push(lookup);
        let work = Work { options: self.options, objects: &objects, orbits: &orbits, monitor: self.monitor };
        let mut emitter = Emitter::new(work, figures, sink)?;
        let ranges = ranges(&objects, detections.partitions());
        let objects = objects.chunk_by(|a, b| ranges.of(a.id) == ranges.of(b.id));
        for (objects, detections) in objects.zip(detections.take_parts()) {
            emitter.emit(objects, detections?)?;
        }
        emitter.finish()
    }

    fn rows_of_objects(&self, objects: &[Object]) -> Lookup {
        Lookup {
            sought: "rows in SSSource".to_owned(),
            are: "of an object (ssObjectId is neither NULL nor 0, and primary, if present, is true)"
                .to_owned(),
            found: objects.iter().map(|object| object.rows).sum(),
            of: self.sssource.rows(),
            ..Lookup::default()
        }
    }

    /// The orbits of these objects, found or not: what is wrong with them is told after what is wrong with detections.
    fn orbits_of(&self, objects: &[Object]) -> Orbits {
        read_orbits(self.orbits, objects, self.monitor)
    }

    /// The rows of SSSource with those of DiaSource.
    fn joined<R: Real>(&self, dia_sources: &Files, figures: &mut Figures) -> Result<Read<R>, Error> {
        // What a damaged file claims is not trusted to be a number of bytes.
        let seen = (size_of::<Sighting<R>>() + size_of::<Detection<R>>()) as u64;
        let seen = self.sssource.rows().saturating_mul(seen);
        let measured = dia_sources.rows().saturating_mul(size_of::<Measurement<R>>() as u64);
        let partitions = partitions(seen.saturating_add(measured), self.options.memory_bytes);
        let seen = || -> Result<_, Error> {
            let mut rows = Spool::new(partitions, self.scratch)?;
            let mut objects = Objects::default();
            tables::read(self.sssource, self.monitor, sightings::<R>, |(more, found)| {
                objects.merge(found);
                rows.extend_parts(more, |row| by_hash(row.dia_id, partitions))
            })?;
            let objects = objects.sorted()?;
            let orbits = self.orbits_of(&objects);
            Ok((objects, orbits, rows))
        };
        let other_bands = &mut figures.other_band_names;
        let measured = || -> Result<_, tables::Error> {
            let mut rows = Spool::new(partitions, self.scratch)?;
            tables::read(dia_sources, self.monitor, measurements::<R>, |(more, bands)| {
                other_bands.merge(&bands);
                rows.extend_parts(more, |row| by_hash(row.dia_id, partitions))
            })?;
            Ok(rows)
        };
        let (seen, measured) = rayon::join(seen, measured);
        let ((objects, orbits, rows), measured) = (seen?, measured?);
        let ranges = ranges(&objects, partitions);
        let mut detections = Spool::new(partitions, self.scratch)?;
        let [mut missing, mut duplicates, mut repeated, mut timeless, mut there] =
            std::array::from_fn(|_| Wrong::default());
        let mut found = 0;
        for (rows, measured) in rows.take_parts().zip(measured.take_parts()) {
            let mut parts = Vec::new();
            for joined in join(rows?, measured?) {
                found += joined.detections.len() as u64;
                there.extend(joined.there);
                missing.extend(joined.missing);
                duplicates.extend(joined.duplicates);
                repeated.extend(joined.repeated);
                timeless.extend(joined.timeless);
                parts.push(joined.detections);
            }
            detections.extend_parts(parts, |row| ranges.of(row.object))?;
        }
        duplicates.offenders().none(Error::DuplicateDiaSource)?;
        figures.repeated = repeated.offenders();
        timeless.offenders().none(Error::NoTime)?;
        let few = |ids: &Wrong| examples(ids.lowest().iter().map(i64::to_string));
        let mut lookup = Lookup {
            sought: "diaSourceIds of SSSource".to_owned(),
            are: "in DiaSource (rows without a match were left out)".to_owned(),
            found,
            missing: few(&missing),
            holder: "DiaSource".into(),
            there: few(&there),
            usual: Usual::All,
            ..Lookup::default()
        };
        let missing = missing.offenders();
        lookup.of = found + missing.count();
        figures.lookups.push(lookup);
        if self.options.drop_missing {
            figures.dropped = missing.count();
        } else {
            missing.none(Error::Missing)?;
        }
        Ok((objects, orbits, detections))
    }

    /// The rows of an SSSource that has all columns.
    fn wide<R: Real>(&self, figures: &mut Figures) -> Result<Read<R>, Error> {
        check_wide(self.sssource)?;
        let bytes = (size_of::<Detection<R>>() + size_of::<i64>()) as u64;
        let partitions = partitions(self.sssource.rows().saturating_mul(bytes), self.options.memory_bytes);
        let mut rows = Spool::new(partitions, self.scratch)?;
        let mut dia_ids = Spool::new(partitions, self.scratch)?;
        let mut found = Objects::default();
        if partitions > 1 {
            // The objects say where the partitions end, so they are read first.
            self.monitor.expect(self.rows.saturating_add(self.sssource.rows()));
            tables::read(self.sssource, self.monitor, objects, |more| {
                found.merge(more);
                Ok(())
            })?;
            let objects = found.sorted()?;
            let ranges = ranges(&objects, partitions);
            tables::read(self.sssource, self.monitor, detections::<R>, |more| {
                figures.other_band_names.merge(&more.other_bands);
                dia_ids.extend(more.dia_ids, |&id| by_hash(id, partitions))?;
                rows.extend_parts(more.detections, |row| ranges.of(row.object))
            })?;
            figures.repeated = repeated(dia_ids)?;
            let orbits = self.orbits_of(&objects);
            return Ok((objects, orbits, rows));
        }
        tables::read(self.sssource, self.monitor, detections::<R>, |more| {
            found.merge(more.objects);
            figures.other_band_names.merge(&more.other_bands);
            dia_ids.extend(more.dia_ids, |_| 0)?;
            rows.extend_parts(more.detections, |_| 0)
        })?;
        figures.repeated = repeated(dia_ids)?;
        let objects = found.sorted()?;
        let orbits = self.orbits_of(&objects);
        Ok((objects, orbits, rows))
    }
}

/// The diaSourceIds that are there more than once.
fn repeated(dia_ids: Spool<i64>) -> Result<Offenders, Error> {
    let mut repeated = Wrong::default();
    for partition in dia_ids.take() {
        let mut ids = partition?;
        ids.par_sort_unstable();
        repeated.extend(more_than_once(&ids, |&id| id));
    }
    Ok(repeated.offenders())
}

/// Ranges of objects, by their rows.
fn ranges(objects: &[Object], partitions: usize) -> Ranges<i64> {
    Ranges::new(objects.iter().map(|object| (object.id, object.rows)), partitions)
}
