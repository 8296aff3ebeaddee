//! What a report shows of an SSObject table.

use std::path::Path;

use arrow_array::types::{Float32Type, Int32Type};

use super::{Axis, BATCH_ROWS, Batch, Error, Histogram};
use crate::parquet::read::TableReader;
use crate::ssobject::BANDS;

/// How many objects have an H and a G12 in each cell, in one band.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    pub band: &'static str,
    /// H \[mag\].
    pub h_mag: Axis,
    /// G12.
    pub g12: Axis,
    /// The objects in each cell: `[g12.bins][h_mag.bins]`, row by row.
    pub counts: Vec<u64>,
    /// Objects with a fit that is in no cell.
    pub outside: u64,
    /// Objects seen in the band whose fit failed.
    pub failed: u64,
}

impl Density {
    fn new(band: &'static str) -> Self {
        let (h_mag, g12) = (H_MAG, G12);
        Self { band, h_mag, g12, counts: vec![0; h_mag.bins * g12.bins], outside: 0, failed: 0 }
    }

    /// The objects in a cell.
    #[must_use]
    pub fn count(&self, h_bin: usize, g12_bin: usize) -> u64 {
        self.counts[g12_bin * self.h_mag.bins + h_bin]
    }

    /// The objects in all cells.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn add(&mut self, h_mag: f64, g12: f64) {
        match (self.h_mag.bin(h_mag), self.g12.bin(g12)) {
            (Some(h), Some(g)) => self.counts[g * self.h_mag.bins + h] += 1,
            _ => self.outside += 1,
        }
    }
}

// From the largest dwarf planets to metre-sized bodies that pass close by.
const H_MAG: Axis = Axis::new(-5.0, 0.5, 80);
// The fit keeps G12 within 0 and 1 unless it is told otherwise.
const G12: Axis = Axis::new(-0.5, 0.05, 40);
const LOG2_N_OBS: Axis = Axis::new(0.0, 1.0, 31);
const PHASE_SPAN_DEG: Axis = Axis::new(0.0, 2.0, 91);
// A tenth of a decade a bin, from 150 km to 1,000 au.
const LOG10_MOID_AU: Axis = Axis::new(-6.0, 0.1, 90);

/// What a report shows of an SSObject table.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectFigures {
    pub objects: u64,
    /// H against G12 where the fit succeeded: one for each of the six bands.
    pub bands: Vec<Density>,
    /// Base-2 logarithm of the number of detections.
    pub log2_n_obs: Histogram,
    /// Span of the phase angles of an object's detections in all bands \[deg\].
    pub phase_span_deg: Histogram,
    /// Base-10 logarithm of the MOID with the Earth \[au\].
    pub log10_moid_au: Histogram,
    /// The smallest MOID with the Earth \[au\], and the designation of its object.
    pub closest: Option<(f64, String)>,
}

impl ObjectFigures {
    /// Counts the table in a file.
    ///
    /// # Errors
    /// All of [`Error`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut figures = Self {
            objects: 0,
            bands: BANDS.iter().map(|band| Density::new(band)).collect(),
            log2_n_obs: Histogram::new(LOG2_N_OBS),
            phase_span_deg: Histogram::new(PHASE_SPAN_DEG),
            log10_moid_au: Histogram::new(LOG10_MOID_AU),
            closest: None,
        };
        let columns: Vec<String> = ["nObs", "MOIDEarth", "designation"]
            .map(str::to_owned)
            .into_iter()
            .chain(BANDS.iter().flat_map(|band| {
                ["H", "G12", "slope_fit_failed", "phaseAngleMin", "phaseAngleMax"]
                    .map(|name| format!("{band}_{name}"))
            }))
            .collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        for batch in TableReader::open(path)?.batches(&columns, None, BATCH_ROWS)? {
            figures.count(&Batch { path, batch: batch? })?;
        }
        Ok(figures)
    }

    fn count(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let rows = batch.batch.num_rows();
        self.objects += rows as u64;
        for n_obs in batch.numbers::<Int32Type>("nObs", "int32")? {
            self.log2_n_obs.add(n_obs.filter(|n| *n > 0.0).map(f64::log2));
        }
        let moids_au = batch.numbers::<Float32Type>("MOIDEarth", "float32")?;
        for (moid_au, name) in moids_au.zip(batch.texts("designation")?) {
            self.log10_moid_au.add(moid_au.map(f64::log10));
            if let (Some(moid_au), Some(name)) = (moid_au, name)
                && self.closest.as_ref().is_none_or(|(smallest, _)| moid_au < *smallest)
            {
                self.closest = Some((moid_au, name.to_owned()));
            }
        }
        let mut spans: Vec<Option<(f64, f64)>> = vec![None; rows];
        for density in &mut self.bands {
            let column =
                |name: &str| batch.numbers::<Float32Type>(&format!("{}_{name}", density.band), "float32");
            let (h_mag, g12) = (column("H")?, column("G12")?);
            let (least, most) = (column("phaseAngleMin")?, column("phaseAngleMax")?);
            for (span, found) in spans.iter_mut().zip(least.zip(most)) {
                if let (Some(least), Some(most)) = found {
                    let (low, high) = span.unwrap_or((least, most));
                    *span = Some((low.min(least), high.max(most)));
                }
            }
            let failed = batch.flags(&format!("{}_slope_fit_failed", density.band))?;
            for ((h_mag, g12), failed) in h_mag.zip(g12).zip(failed) {
                match (failed, h_mag, g12) {
                    (Some(true), ..) => density.failed += 1,
                    (_, Some(h_mag), Some(g12)) => density.add(h_mag, g12),
                    _ => {}
                }
            }
        }
        for span in spans {
            self.phase_span_deg.add(span.map(|(low, high)| high - low));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Monitor;
    use crate::parquet::write::WriteOptions;
    use crate::ssobject::{fit, options};
    use crate::stages::build_ssobject::{self, BuildSsObject, Inputs};

    #[test]
    fn the_counts_of_a_real_table_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("ssobject.parquet");
        let case =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case").join(name);
        let inputs = Inputs {
            sssource: case("sssource.parquet"),
            dia_sources: Some(case("dia_sources.parquet")),
            mpc_orbits: case("mpc_orbits.parquet"),
        };
        let options = BuildSsObject {
            table: options::Options {
                fit: fit::Options::default(),
                earth: options::Earth::Secular,
                drop_missing: false,
                memory_bytes: 1 << 30,
            },
            scratch: None,
            write: WriteOptions::default(),
        };
        let product = build_ssobject::run(&inputs, &options, &table, &Monitor::default()).unwrap();
        product.files.into_iter().for_each(|table| table.file.publish().unwrap());
        let rows = TableReader::open(&table).unwrap().rows();
        let figures = ObjectFigures::read(&table).unwrap();
        assert_eq!(figures.objects, rows);
        for histogram in [&figures.log2_n_obs, &figures.phase_span_deg, &figures.log10_moid_au] {
            let counted: u64 = histogram.counts.iter().sum();
            assert_eq!(counted + histogram.outside + histogram.unknown, rows);
        }
        let (moid_au, name) = figures.closest.unwrap();
        let first = figures.log10_moid_au.counts.iter().position(|count| *count > 0);
        assert_eq!(figures.log10_moid_au.axis.bin(moid_au.log10()), first);
        assert!(!name.is_empty());
        // What the stage counted while it built the table is what is counted in the table.
        let fits: u64 = figures.bands.iter().map(|density| density.total() + density.outside).sum();
        let failed: u64 = figures.bands.iter().map(|density| density.failed).sum();
        assert_eq!(
            (&product.figures["fits"], &product.figures["fits_failed"]),
            (&fits.into(), &failed.into())
        );
        assert!(fits > 0 && failed > 0);
    }

    #[test]
    fn a_table_without_the_columns_is_an_error() {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case/mpc_orbits.parquet");
        let message = ObjectFigures::read(&table).unwrap_err().to_string();
        assert!(message.contains("has no column `nObs`"), "{message}");
    }
}
