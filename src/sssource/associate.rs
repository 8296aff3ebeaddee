//! From the inputs to rows and objects.
//!
//! ```text
//! obs_sbn -> by obsid (each once; the DiaSource that it is, if dia_sources says it) -+
//!            designations -> objects -> orbits                                       +-> by diaSourceId -> rows by object
//! dia_sources -----------------------------------------------------------------------+
//! ```
//!
//! More rows than memory may hold go through files. Not a place for the rules (see `association` and `designation`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Error;
use super::association::{Limits, Reason, Unmatched};
use super::designation::{self, Object, Objects};
use super::figures::Figures;
use super::input::{
    ByObsid, DIA_OBSID, Dia, Kind, Obs, Observations, dia_rows, dia_rows_by_obsid, observations, text_of,
};
use super::join::{Obsids, blocks, cover, hash, join};
use super::options::Options;
use super::report;
use super::row::{Key, Row, Rows, key};
use super::slices::Places;
use super::wide;
use crate::monitor::Monitor;
use crate::tables::{self, Files, Spool, Wrong, by_hash, more_than_once, partitions};

/// Where the inputs are: each a file, a folder or a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Observations of the MPC.
    pub obs_sbn: PathBuf,
    /// DiaSource.
    pub dia_sources: PathBuf,
    /// Orbits.
    pub mpc_orbits: PathBuf,
    /// Primary designations.
    pub current_identifications: PathBuf,
    /// Numbered objects.
    pub numbered_identifications: PathBuf,
}

/// The rows of the table with their objects.
pub struct Association {
    /// By ssObjectId and designation; those without ssObjectId are last.
    pub objects: Vec<Object>,
    /// The rows; of a narrow table only those that it has. Of a slice its own.
    pub rows: Rows,
    /// Counts, for all slices the same.
    pub figures: Figures,
    /// The rows that the monitor was told to expect, all of them done.
    pub expected: u64,
}

/// Associates observations with detections and objects. Rows that memory does not hold are put aside in `scratch`.
///
/// # Errors
/// All of [`Error`]. With [`Error::Unmatched`], the report was written.
pub fn associate(
    inputs: &Inputs,
    options: &Options,
    scratch: &Path,
    monitor: &Monitor,
) -> Result<Association, Error> {
    let obs_sbn = &Files::open("obs_sbn", &inputs.obs_sbn)?;
    let dia_sources = &Files::open("dia_sources", &inputs.dia_sources)?;
    let tables = designation::Tables {
        numbered: &Files::open("numbered_identifications", &inputs.numbered_identifications)?,
        current: &Files::open("current_identifications", &inputs.current_identifications)?,
        orbits: &Files::open("mpc_orbits", &inputs.mpc_orbits)?,
    };
    let all = [obs_sbn, dia_sources, tables.numbered, tables.current, tables.orbits];
    // Each row is read, and each of obs_sbn associated.
    let expected = all.into_iter().map(Files::rows).fold(obs_sbn.rows(), u64::saturating_add);
    monitor.expect(expected);
    // What a damaged file claims is not trusted to be a number of bytes.
    let by_observation = (size_of::<Obs>() + size_of::<Row>()) as u64;
    let bytes = obs_sbn.rows().saturating_mul(by_observation);
    let bytes = bytes.saturating_add(dia_sources.rows().saturating_mul(size_of::<Dia>() as u64));
    let wide_rows = if options.wide { obs_sbn.rows() } else { 0 };
    let bytes = bytes.saturating_add(wide_rows.saturating_mul(wide::row_bytes()));
    let partitions = partitions(bytes, options.memory_bytes).min(MOST_PARTITIONS);
    let work = Work { options, scratch, monitor, partitions };

    let (observed, measured) =
        rayon::join(|| work.read_observations(obs_sbn), || work.read_dia_sources(dia_sources));
    let ((mut observed, spool), (measured, by_obsid)) = (observed?, measured?);
    let names = std::mem::take(&mut observed.names);
    let mut objects = designation::objects(names, &tables, options, monitor)?;
    let mut figures = Figures {
        read: obs_sbn.rows(),
        has_car: objects.has_car,
        unreadable_cars: objects.unreadable_cars,
        orbits_there: std::mem::take(&mut objects.orbits_there),
        beyond_leap_seconds: observed.beyond_leap_seconds,
        stations: std::mem::take(&mut observed.stations),
        ..Figures::default()
    };
    figures.examples[Reason::NoId as usize] = std::mem::take(&mut observed.no_ids);
    figures.examples[Reason::OtherProcessing as usize] = std::mem::take(&mut observed.other_labels);
    let mut found = Found { figures, unmatched: Vec::new() };
    let (spool, places) = work.by_dia_id(observed, spool, by_obsid, &objects, &mut found)?;
    let rows = work.joined(spool, measured, &places, &mut objects, &mut found)?;
    found.figures.count_objects(&objects.list);
    if let Some(target) = &options.report {
        report::write(target, obs_sbn, &mut found.unmatched, monitor)?;
    }
    let figures = found.figures;
    let (unmatched, of) = (figures.unmatched(), figures.sought());
    if unmatched as f64 > options.max_unmatched * of as f64 {
        let reasons = figures.reasons();
        return Err(Error::Unmatched { unmatched, of, allowed: options.max_unmatched, reasons });
    }
    Ok(Association { objects: objects.list, rows, figures, expected })
}

/// Four sets of files may be open at once, and many systems allow 1,024 files.
const MOST_PARTITIONS: usize = 192;
const _: () =
    assert!(MOST_PARTITIONS < wide::MOST_PARTITIONS, "the copied columns are held for each partition");

/// What is found on the way.
struct Found {
    figures: Figures,
    /// The rows for the report, if there is to be one.
    unmatched: Vec<Unmatched>,
}

struct Work<'a> {
    options: &'a Options,
    scratch: &'a Path,
    monitor: &'a Monitor,
    partitions: usize,
}

impl Work<'_> {
    /// The observations of the station, by obsid.
    fn read_observations(&self, files: &Files) -> Result<(Observations, Spool<Obs>), Error> {
        let (partitions, mut all) = (self.partitions, Observations::default());
        let mut spool = Spool::new(partitions, self.scratch)?;
        tables::read(
            files,
            self.monitor,
            |part| observations(part, self.options),
            |more| {
                let rows = all.merge(more);
                spool.extend(rows, |row| by_hash(hash(&row.obsid), partitions))
            },
        )?;
        Ok((all, spool))
    }

    /// The detections, by diaSourceId, and by obsid if they have one.
    fn read_dia_sources(&self, files: &Files) -> Result<(Spool<Dia>, Option<Spool<ByObsid>>), Error> {
        let partitions = self.partitions;
        let mut spool = Spool::new(partitions, self.scratch)?;
        if !files.any_has(DIA_OBSID) {
            tables::read(files, self.monitor, dia_rows, |rows| {
                spool.extend(rows, |row| by_hash(row.dia_id, partitions))
            })?;
            return Ok((spool, None));
        }
        let mut by_obsid = Spool::new(partitions, self.scratch)?;
        tables::read(files, self.monitor, dia_rows_by_obsid, |(rows, obsids)| {
            by_obsid.extend(obsids, |row| by_hash(hash(&row.obsid), partitions))?;
            spool.extend(rows, |row| by_hash(row.dia_id, partitions))
        })?;
        Ok((spool, Some(by_obsid)))
    }

    /// The observations that name a DiaSource, by its id, with their objects, and the places of the rows of the result.
    fn by_dia_id(
        &self,
        observed: Observations,
        spool: Spool<Obs>,
        by_obsid: Option<Spool<ByObsid>>,
        objects: &Objects,
        found: &mut Found,
    ) -> Result<(Spool<Obs>, Places), Error> {
        let submissions = observed.submissions.ranks();
        let identified = objects.identified();
        let mut keys: BTreeMap<Key, u64> = BTreeMap::new();
        let [mut twice, mut twice_in_dia, mut uncovered] = std::array::from_fn(|_| Obsids::default());
        let mut by_dia_id = Spool::new(self.partitions, self.scratch)?;
        let mut by_obsid = by_obsid.map(Spool::take);
        for partition in spool.take() {
            tables::check_stop(self.monitor)?;
            let mut rows = partition?;
            rows.par_sort_unstable_by(|a, b| a.obsid.cmp(&b.obsid));
            found.figures.observations += rows.len() as u64;
            twice.extend(more_than_once(&rows, |row| row.obsid));
            if let Some(partitions) = &mut by_obsid {
                let mut known = partitions.next().transpose()?.unwrap_or_default();
                known.par_sort_unstable_by(|a, b| a.obsid.cmp(&b.obsid));
                twice_in_dia.extend(more_than_once(&known, |row| row.obsid));
                uncovered.extend(cover(&mut rows, &known));
            }
            rows.retain_mut(|row| {
                let reason = match row.kind {
                    Kind::NoId => Reason::NoId,
                    Kind::OtherProcessing => Reason::OtherProcessing,
                    Kind::Source(_) => {
                        row.name = objects.of(row.name);
                        row.submission = submissions.get(row.submission as usize).copied().unwrap_or(0);
                        *keys.entry(key(row.name, row.mjd_tai, identified)).or_default() += 1;
                        return true;
                    }
                };
                found.figures.count(reason);
                self.list(found, Unmatched::new(row, reason));
                false
            });
            by_dia_id.extend(rows, |row| by_hash(row.dia_id, self.partitions))?;
        }
        // The others are done when they are joined.
        self.monitor.advance(found.figures.read - keys.values().sum::<u64>(), 0);
        let duplicate = |table| move |obsids| Error::DuplicateObsid { table, obsids };
        twice.offenders().none(duplicate("obs_sbn"))?;
        twice_in_dia.offenders().none(duplicate("dia_sources"))?;
        uncovered.offenders().none(Error::NotCovered)?;
        Ok((by_dia_id, Places::new(&keys, identified, self.options.slice, self.partitions)))
    }

    /// The rows of the result.
    fn joined(
        &self,
        observed: Spool<Obs>,
        measured: Spool<Dia>,
        places: &Places,
        objects: &mut Objects,
        found: &mut Found,
    ) -> Result<Rows, Error> {
        let identified = objects.identified();
        let limits = Limits { max_sep_mas: self.options.max_sep_mas, max_dt_ms: self.options.max_dt_ms };
        let key = |row: &Row| key(row.object, row.mjd_tai, identified);
        let (mut spool, mut count) = (Spool::new(places.partitions, self.scratch)?, 0);
        let mut duplicates = Wrong::default();
        for (observed, measured) in observed.take().zip(measured.take()) {
            let (mut observed, mut measured) = (observed?, measured?);
            measured.par_sort_unstable_by_key(|row| row.dia_id);
            observed.par_sort_unstable_by(|a, b| a.dia_id.cmp(&b.dia_id).then(a.obsid.cmp(&b.obsid)));
            duplicates.extend(more_than_once(&measured, |row| row.dia_id));
            // So that the rows of few blocks wait at a time.
            for some in blocks(&observed).chunks(4 * rayon::current_num_threads()) {
                tables::check_stop(self.monitor)?;
                let joined: Vec<(Vec<Row>, Vec<Unmatched>)> =
                    some.par_iter().map(|block| join(block, &measured, limits)).collect();
                self.monitor.advance(some.iter().map(|block| block.len() as u64).sum(), 0);
                for (rows, unmatched) in joined {
                    for row in unmatched {
                        found.figures.count(row.reason);
                        found.figures.examples[row.reason as usize].add(&text_of(&row.obsid));
                        self.list(found, row);
                    }
                    let mut rows = self.kept(rows, objects, found);
                    found.figures.rows += rows.len() as u64;
                    rows.retain(|row| places.has(key(row)));
                    // The rows of other slices give their memory back.
                    rows.shrink_to(2 * rows.len());
                    count += rows.len() as u64;
                    spool.extend(rows, |row| places.partition(key(row)))?;
                }
            }
        }
        duplicates.offenders().none(Error::DuplicateDiaSource)?;
        Ok(Rows { spool, identified, count })
    }

    /// The rows that the table has; all are counted.
    fn kept(&self, mut rows: Vec<Row>, objects: &mut Objects, found: &mut Found) -> Vec<Row> {
        rows.retain(|row| {
            found.figures.matched += 1;
            found.figures.dia_sources += u64::from(row.is_primary);
            let Some(object) = objects.list.get_mut(row.object as usize) else {
                found.figures.without_designation += 1;
                return self.options.wide;
            };
            if !object.is_known {
                found.figures.count(Reason::UnknownDesignation);
                found.figures.examples[Reason::UnknownDesignation as usize].add(&object.designation);
                self.list(found, Unmatched::of_unknown(row));
            }
            let is_kept = self.options.wide || row.is_primary && object.is_known;
            object.rows += u64::from(is_kept || !object.is_known);
            is_kept
        });
        rows
    }

    /// Keeps a row for the report.
    fn list(&self, found: &mut Found, row: Unmatched) {
        if self.options.report.is_some() {
            found.unmatched.push(row);
        }
    }
}
