//! The kind `build-sssource`: which detection is which object, and where its orbit puts it.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::figures::{OffsetFigures, TableFigures};
use super::kind::{are_usual, no_parameter};
use super::sources::Missing;
use super::{
    Defaults, Fact, InputRef, Job, Problems, Product, ReadFigures, Slice, Sliced, Spec, Work, memory,
};
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
use crate::sssource::parts::{Parts, Sealed};
use crate::sssource::table::{self, Built};
use crate::sssource::{self, Predictions};
use crate::threads::compute;

pub use crate::sssource::Inputs;

/// Builds the SSSource table, which has one row per detection of an object. The inputs are four tables of the MPC
/// (Minor Planet Center) and the DiaSource table. DiaSource contains the detections.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSsSourceSpec {
    /// The MPC's table `obs_sbn`, which contains the observations. Write the name of a stage, the path of a Parquet
    /// file or a folder, or a pattern such as `obs/*.parquet`.
    pub obs_sbn: InputRef,
    /// The DiaSource table, in the same form as `obs_sbn`.
    pub dia_sources: InputRef,
    /// The MPC's table `mpc_orbits`, which contains the orbits, in the same form as `obs_sbn`. For non-gravitational
    /// forces and error ellipses, the stage needs the column `mpc_orb_jsonb` or the column `car`. The column `car` is
    /// the result of the SQL expression `mpc_orb_jsonb->'CAR'` in the MPC's database. Without these two columns, the
    /// error ellipses are NULL.
    pub mpc_orbits: InputRef,
    /// The MPC's table `current_identifications`, in the same form as `obs_sbn`.
    pub current_identifications: InputRef,
    /// The MPC's table `numbered_identifications`, in the same form as `obs_sbn`.
    pub numbered_identifications: InputRef,
    /// The columns and rows of the output. Default: `narrow`.
    pub table: Option<Form>,
    /// The MPC's code of the observatory. Default: `X05`, the Rubin Observatory.
    #[serde(skip_serializing_if = "is_usual_station")]
    pub station: Option<String>,
    /// The place of the observatory. You need this key if `station` is not `X05`. Write three numbers from the MPC's
    /// list of observatories: the longitude in degrees east, rho cos(phi') and rho sin(phi').
    pub site: Option<[f64; 3]>,
    /// Labels of processing runs. The stage uses only observations whose `obssubid` has one of these labels. For
    /// example, `LSST-DP1-42` has the label `DP1`. The stage always uses observations whose `obssubid` is an id without
    /// a label. Default: all labels.
    pub processing: Option<Vec<String>>,
    /// Maximum distance on the sky between an observation and its detection in DiaSource, in milliarcseconds. Default:
    /// 5.
    #[schemars(range(min = 0))]
    pub max_sep_mas: Option<f64>,
    /// Maximum difference between the time of an observation and the time of its detection in DiaSource, in
    /// milliseconds. Default: 10.
    #[schemars(range(min = 0))]
    pub max_dt_ms: Option<f64>,
    /// Maximum share of observations that have no matching detection in DiaSource. If the share is larger, the stage
    /// fails. Default: `1%`.
    pub max_unmatched: Option<Share>,
    /// With `table: wide`: the image on which the detections were measured. The stage uses this value only if DiaSource
    /// has no column `measuredOn`. Default: `difference`.
    pub measured_on: Option<MeasuredOn>,
    /// With `table: wide`: the value of the column `processing`. The stage uses this value only if DiaSource has no
    /// column `processing`.
    pub processing_label: Option<String>,
    /// With `table: wide`: the value of the column `processingTable`. The stage uses this value only if DiaSource has
    /// no column `processingTable`.
    pub processing_table: Option<String>,
    /// Approximate number of rows in a part of the output. The stage uses this value only if `out` ends with `/`. The
    /// detections of one object are always in the same part. Default: 5,000,000.
    #[schemars(range(min = 1))]
    pub part_rows: Option<u64>,
    /// Compression of the output.
    pub compression: Option<Compression>,
    /// Encoding of the values in the output. Default: `compact`.
    #[serde(skip_serializing_if = "are_usual")]
    pub encodings: Option<Encodings>,
    /// Approximate limit for the memory that the rows of the tables use, for example `8G` or `500M`. If the rows need
    /// more memory, the stage writes rows to temporary files. Default: half of the memory of this machine. If this
    /// container or this Slurm job has a lower limit, the default is half of this limit.
    #[serde(skip_serializing_if = "no_parameter")]
    pub memory: Option<Size>,
}

/// Whether the station is the usual one, which no key has.
#[expect(clippy::ref_option, reason = "as serde calls it")]
fn is_usual_station(station: &Option<String>) -> bool {
    station.as_deref().is_none_or(|station| station == DEFAULT_STATION)
}

/// Why the stage did not make its file.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table could not be built.
    #[error("cannot build the SSSource table")]
    Build(#[from] sssource::Error),
    /// The file could not be written.
    #[error("cannot write the SSSource table")]
    Write(#[source] parquet::Error),
    /// There is no such slice.
    #[error("cannot make {slice}: the number must be below {}", slice.of)]
    NoSlice { slice: Slice },
    /// The slices do not make one table.
    #[error("cannot merge the slices of the SSSource table: {problem}; make all slices again")]
    Slices { problem: String },
    /// What a slice says of itself cannot be read.
    #[error("cannot read the figures of {slice}")]
    Figures { slice: Slice, source: serde_json::Error },
    /// The monitor asked for a stop.
    #[error("stopped")]
    Stopped,
}

/// How the stage works.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSsSource {
    /// How the table is built.
    pub table: Options,
    /// Rows of a part, where a pipeline wants parts.
    pub part_rows: u64,
    /// How the output is written.
    pub write: WriteOptions,
    /// Where rows go that memory does not hold; beside the target if it is not known.
    pub scratch: Option<PathBuf>,
}

/// Rows of a part: a table of 10^9 rows has some 200 parts, which are all open while they are checked.
const DEFAULT_PART_ROWS: u64 = 5_000_000;

impl Classified for Error {
    fn class(&self) -> Class {
        if matches!(self, Self::Stopped) { Class::Stopped } else { Class::Fault }
    }
}

impl Spec for BuildSsSourceSpec {
    const NAME: &'static str = "build-sssource";
    const ABOUT: &'static str =
        "Builds the SSSource table: one row per detection of an object, with the predicted position.";
    const VERSION: u32 = 1;
    const ROWS: &'static str = "detections";
    const ROW_KEY: &'static [&'static str] = &["diaSourceId"];
    const PART_ROWS: Option<&'static str> = Some("part_rows");
    const FIGURES: Option<ReadFigures> = Some(|path| OffsetFigures::read(path).map(TableFigures::Offsets));
    type Work = BuildSsSource;

    fn facts(figures: &Map<String, Value>) -> Vec<Fact> {
        let newest = figures.get(NEWEST).and_then(Value::as_f64);
        newest.map(|mjd| ("Newest observation", said(mjd))).into_iter().collect()
    }

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
                slice: Slice::WHOLE,
                memory_bytes: self.memory.map_or_else(memory::half, |size| size.0),
            },
            part_rows: self.part_rows.unwrap_or(DEFAULT_PART_ROWS),
            write: WriteOptions {
                compression: self.compression.unwrap_or_default(),
                encodings: self.encodings.unwrap_or_default(),
                ..WriteOptions::default()
            },
            scratch: None,
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
                let message = format!(
                    "`station` is `{station}`: give its place in `site`, three numbers from the MPC's list of observatories"
                );
                problems.push(&["station"], message);
                None
            }
        }
    }
}

impl BuildSsSource {
    /// As a stage wants it: in one file, or in parts.
    pub(super) fn of(&self, job: &Job<'_>) -> Self {
        let part_rows = job.in_parts.then_some(self.part_rows);
        let scratch = job.scratch.map(Path::to_owned);
        Self { table: Options { part_rows, ..self.table.clone() }, scratch, ..self.clone() }
    }
}

/// Without the list of the parts, which is for a folder that has other files too.
pub(super) fn without_list(job: &Job<'_>, mut product: Product) -> Product {
    if job.in_parts {
        product.files.pop();
    }
    product
}

impl Work for BuildSsSource {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        let product = run(&inputs(job)?, &self.of(job), job.target, job.monitor)?;
        Ok(without_list(job, product))
    }

    fn slices(&self) -> Option<&dyn Sliced> {
        Some(self)
    }
}

/// The tables that a stage reads.
///
/// # Errors
/// [`Missing::Input`].
pub(super) fn inputs(job: &Job<'_>) -> Result<Inputs, Missing> {
    let input = |role| job.needed_input(role).map(Path::to_owned);
    Ok(Inputs {
        obs_sbn: input("obs_sbn")?,
        dia_sources: input("dia_sources")?,
        mpc_orbits: input("mpc_orbits")?,
        current_identifications: input("current_identifications")?,
        numbered_identifications: input("numbered_identifications")?,
    })
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
    compute(|| {
        let (built, sealed) = build(inputs, options, target, monitor)?;
        Ok(completed(associated(&built, &options.table), &built.predictions, sealed))
    })
}

/// Builds the table, or the slice of it that the options name.
pub(super) fn build(
    inputs: &Inputs,
    options: &BuildSsSource,
    target: &Path,
    monitor: &Monitor,
) -> Result<(Built, Sealed), Error> {
    let schema = table::schema(&options.table).arrow();
    let mut parts = Parts::create(target, schema, &options.write, options.table.part_rows)?;
    let mut sink = |batch: &_| parts.write(batch);
    let beside = || durable::scratch(target).map_err(|error| Error::Write(error.into()));
    let folder = options.scratch.clone().map_or_else(beside, Ok)?;
    let built = table::build(inputs, &options.table, &folder, monitor, &mut sink).map_err(stopped)?;
    Ok((built, parts.seal()?))
}

/// A stop is no failure of the table.
pub(super) fn stopped(error: sssource::Error) -> Error {
    if error.is_stopped() { Error::Stopped } else { error.into() }
}

/// What is known of the whole table without its ephemerides.
pub(super) fn associated(built: &Built, options: &Options) -> Product {
    let mut figures: Map<String, Value> =
        built.figures.named().into_iter().map(|(name, count)| (name, count.into())).collect();
    let reasons = built.figures.reasons();
    if !reasons.is_empty() {
        figures.insert(UNMATCHED.to_owned(), reasons.into());
    }
    Product {
        figures,
        warnings: [&built.warnings[..], &built.figures.warnings()].concat(),
        lookups: built.figures.lookups(options),
        ..Product::default()
    }
}

/// The same with the ephemerides of all rows and the files.
pub(super) fn completed(associated: Product, predictions: &Predictions, sealed: Sealed) -> Product {
    let Product { mut figures, mut warnings, .. } = associated;
    // It is the last, as it is long.
    let unmatched = figures.shift_remove_entry(UNMATCHED);
    figures.extend(predictions.named());
    figures.extend(unmatched);
    warnings.extend(predictions.warnings());
    warnings.extend(
        sealed
            .stale
            .iter()
            .map(|stale| format!("`{}` is a part of an earlier, longer table: remove it", stale.display())),
    );
    let list = sealed.list.map(|file| SealedTable { file, rows: 0 });
    Product { files: sealed.tables.into_iter().chain(list).collect(), figures, warnings, ..associated }
}

/// The figure of the reasons for which observations were not matched.
const UNMATCHED: &str = "unmatched";
/// The figure of the newest detection \[d\].
const NEWEST: &str = "newest_mjd_tai";

/// `2026-03-01 12:00 TAI (MJD 61100.5000)`.
#[expect(clippy::cast_possible_truncation, reason = "a date beyond the calendar has only its number")]
fn said(mjd_tai: f64) -> String {
    let seconds = ((mjd_tai - 40_587.0) * 86_400.0).round() as i64;
    let date = chrono::DateTime::from_timestamp(seconds, 0)
        .map(|date| date.format("%Y-%m-%d %H:%M TAI").to_string());
    let number = format!("MJD {mjd_tai:.4}");
    date.map_or(format!("{number} TAI"), |date| format!("{date} ({number})"))
}
