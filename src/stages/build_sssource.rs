//! The kind `build-sssource`: which detection is which object, and where its orbit puts it.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::{OffsetFigures, TableFigures};
use super::kind::{are_usual, no_parameter};
use super::{Defaults, InputRef, Job, Problems, Product, ReadFigures, Spec, Work, memory};
use crate::durable;
use crate::errors::{Class, Classified};
use crate::monitor::Monitor;
use crate::parquet;
use crate::parquet::write::{Compression, Encodings, SealedTable, WriteOptions};
use crate::quantity::{Share, Size};
use crate::science::ephemeris::observer::Site;
use crate::sssource::options::{
    DEFAULT_MAX_DT_MS, DEFAULT_MAX_SEP_MAS, DEFAULT_MAX_UNMATCHED, DEFAULT_STATION, Form, MeasuredOn, Options,
};
use crate::sssource::parts::Parts;
use crate::sssource::{self, table};
use crate::threads::compute;

pub use crate::sssource::Inputs;

/// The SSSource table, one row per detection of an object: from observations of the MPC, DiaSource and orbits.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSsSourceSpec {
    /// Observations, the MPC's table `obs_sbn`: a stage's name, or the path of a Parquet file, folder or glob.
    pub obs_sbn: InputRef,
    /// DiaSource: a stage's name, or the path of a Parquet file, folder or glob.
    pub dia_sources: InputRef,
    /// Orbits: a stage's name, or the path of a Parquet file, folder or glob. Non-gravitational forces
    /// need the column `car`, which is `mpc_orb_jsonb->'CAR'` of the MPC's table.
    pub mpc_orbits: InputRef,
    /// The MPC's table `current_identifications`: a stage's name, or the path of a Parquet file, folder or glob.
    pub current_identifications: InputRef,
    /// The MPC's table `numbered_identifications`: a stage's name, or the path of a Parquet file, folder or glob.
    pub numbered_identifications: InputRef,
    /// The columns of the table. Default: `narrow`.
    pub table: Option<Form>,
    /// The MPC's code of the observatory. Default: `X05`, the Rubin Observatory.
    pub station: Option<String>,
    /// The place of another observatory, as the MPC lists it: longitude in degrees east, rho cos(phi') and rho sin(phi').
    /// Needed if `station` is not `X05`.
    pub site: Option<[f64; 3]>,
    /// Labels of the processings whose observations are used. Default: all labels. Observations with an id
    /// and no label are always used.
    pub processing: Option<Vec<String>>,
    /// Maximum separation between an observation and its DiaSource, in milliarcseconds. Default: 5.
    #[schemars(range(min = 0))]
    pub max_sep_mas: Option<f64>,
    /// Maximum difference between the times of an observation and its DiaSource, in milliseconds. Default: 10.
    #[schemars(range(min = 0))]
    pub max_dt_ms: Option<f64>,
    /// Maximum share of observations without a matching DiaSource. A larger share is an error. Default: 1%.
    pub max_unmatched: Option<Share>,
    /// With `table: wide`: the image on which the sources were measured. Used where DiaSource has no column
    /// `measuredOn`. Default: `difference`.
    pub measured_on: Option<MeasuredOn>,
    /// With `table: wide`: the value of the column `processing`, where DiaSource has no such column.
    pub processing_label: Option<String>,
    /// With `table: wide`: the value of the column `processingTable`, where DiaSource has no such column.
    pub processing_table: Option<String>,
    /// How the output is compressed.
    pub compression: Option<Compression>,
    /// How values are encoded. Default: `compact`.
    #[serde(skip_serializing_if = "are_usual")]
    pub encodings: Option<Encodings>,
    /// Approximate memory limit for rows, such as `8G` or `500M`; above it, temporary files are used. Default: half of
    /// the memory of the machine, the container or the Slurm job.
    #[serde(skip_serializing_if = "no_parameter")]
    pub memory: Option<Size>,
}

/// Why the stage did not make its file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table could not be built.
    #[error("cannot build the SSSource table")]
    Build(#[from] sssource::Error),
    /// The file could not be written.
    #[error("cannot write the SSSource table")]
    Write(#[source] parquet::Error),
    /// The monitor asked for a stop.
    #[error("stopped")]
    Stopped,
}

/// How the stage works.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSsSource {
    /// How the table is built.
    pub table: Options,
    /// How the output is written.
    pub write: WriteOptions,
}

impl Classified for Error {
    fn class(&self) -> Class {
        if matches!(self, Self::Stopped) { Class::Stopped } else { Class::Fault }
    }
}

impl Spec for BuildSsSourceSpec {
    const NAME: &'static str = "build-sssource";
    const ABOUT: &'static str = "Builds the SSSource table, which has one row per detection of an object, with its predicted position.";
    const VERSION: u32 = 1;
    const ROWS: &'static str = "detections";
    const FIGURES: Option<ReadFigures> = Some(|path| OffsetFigures::read(path).map(TableFigures::Offsets));
    type Work = BuildSsSource;

    fn with_defaults(self, defaults: &Defaults) -> Self {
        Self {
            compression: self.compression.or(defaults.compression),
            encodings: self.encodings.or(defaults.encodings),
            ..self
        }
    }

    fn check(&self, problems: &mut Problems) -> Option<BuildSsSource> {
        let mut limit = |key, value: Option<f64>, usual| {
            let value = value.unwrap_or(usual);
            if !(value >= 0.0 && value.is_finite()) {
                problems.push(&[key], format!("`{key}` is {value}: give a finite number of at least 0"));
            }
            value
        };
        let max_sep_mas = limit("max_sep_mas", self.max_sep_mas, DEFAULT_MAX_SEP_MAS);
        let max_dt_ms = limit("max_dt_ms", self.max_dt_ms, DEFAULT_MAX_DT_MS);
        let form = self.table.unwrap_or_default();
        let of_wide = [
            ("measured_on", self.measured_on.is_some()),
            ("processing_label", self.processing_label.is_some()),
            ("processing_table", self.processing_table.is_some()),
        ];
        for (key, _) in of_wide.into_iter().filter(|(_, given)| *given && form == Form::Narrow) {
            problems.push(&[key], format!("`{key}` needs `table: wide`: a narrow table has no such column"));
        }
        let station = self.station.clone().unwrap_or_else(|| DEFAULT_STATION.to_owned());
        let site = self.site(&station, problems);
        Some(BuildSsSource {
            table: Options {
                station,
                site: site?,
                processing: self.processing.clone().unwrap_or_default(),
                max_sep_mas,
                max_dt_ms,
                max_unmatched: self.max_unmatched.map_or(DEFAULT_MAX_UNMATCHED, Share::fraction),
                wide: form == Form::Wide,
                measured_on: self.measured_on,
                processing_label: self.processing_label.clone(),
                processing_table: self.processing_table.clone(),
                part_rows: None,
                report: None,
                memory_bytes: self.memory.map_or_else(memory::half, |size| size.0),
            },
            write: WriteOptions {
                compression: self.compression.unwrap_or_default(),
                encodings: self.encodings.unwrap_or_default(),
                ..WriteOptions::default()
            },
        })
    }
}

impl BuildSsSourceSpec {
    /// Where the observatory is.
    fn site(&self, station: &str, problems: &mut Problems) -> Option<Site> {
        match self.site {
            Some([longitude_deg, rho_cos_phi, rho_sin_phi]) => {
                let site = Site { longitude_deg, rho_cos_phi, rho_sin_phi };
                // The Earth's surface, from the Dead Sea to the highest mountain, and space above it.
                let on_earth = (0.9..=1.1).contains(&rho_cos_phi.hypot(rho_sin_phi));
                if !(longitude_deg.abs() <= 360.0 && on_earth) {
                    let expected = "longitude in degrees, rho cos(phi') and rho sin(phi') in Earth radii";
                    problems.push(&["site"], format!("`site` is not a place on the Earth: give {expected}"));
                }
                Some(site)
            }
            None if station == DEFAULT_STATION => Some(Site::X05),
            None => {
                let message = format!("`station` is `{station}`: give its place in `site`");
                problems.push(&["station"], message);
                None
            }
        }
    }
}

impl Work for BuildSsSource {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        let input = |role| job.needed_input(role).map(Path::to_owned);
        let inputs = Inputs {
            obs_sbn: input("obs_sbn")?,
            dia_sources: input("dia_sources")?,
            mpc_orbits: input("mpc_orbits")?,
            current_identifications: input("current_identifications")?,
            numbered_identifications: input("numbered_identifications")?,
        };
        Ok(run(&inputs, self, job.target, job.monitor)?)
    }
}

/// Builds the table and seals its file; the caller publishes it.
///
/// # Errors
/// All of [`Error`]; there is no file then.
pub fn run(
    inputs: &Inputs,
    options: &BuildSsSource,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    compute(|| build(inputs, options, target, monitor))
}

fn build(
    inputs: &Inputs,
    options: &BuildSsSource,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    let schema = table::schema(&options.table).arrow();
    let mut parts = Parts::create(target, schema, &options.write, options.table.part_rows)?;
    let mut sink = |batch: &_| parts.write(batch);
    let folder = durable::scratch(target).map_err(|error| Error::Write(error.into()))?;
    let built = match table::build(inputs, &options.table, &folder, monitor, &mut sink) {
        Err(error) if error.is_stopped() => return Err(Error::Stopped),
        other => other?,
    };
    let sealed = parts.seal()?;
    let mut figures: serde_json::Map<String, serde_json::Value> =
        built.figures.named().into_iter().map(|(name, count)| (name, count.into())).collect();
    figures.extend(built.predictions.named());
    let mut warnings = [built.warnings, built.figures.warnings(), built.predictions.warnings()].concat();
    warnings.extend(
        sealed
            .stale
            .iter()
            .map(|stale| format!("`{}` is a part of an earlier, longer table: remove it", stale.display())),
    );
    let list = sealed.list.map(|file| SealedTable { file, rows: 0 });
    let reasons = built.figures.reasons();
    if !reasons.is_empty() {
        figures.insert("unmatched".to_owned(), reasons.into());
    }
    Ok(Product {
        files: sealed.tables.into_iter().chain(list).collect(),
        figures,
        warnings,
        lookups: built.figures.lookups(&options.table),
        evidence: None,
    })
}
