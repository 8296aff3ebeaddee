//! The pipeline file as Rust types: what `schemas/pipeline.schema.json` is generated from.
//!
//! Not a place for checks across stages (see `check`), nor for reading text (see `document`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Period, Share};

/// A pipeline: stages that make files, in an order that follows from their inputs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// The name of the pipeline, for reports.
    pub name: String,
    /// What relative paths in this file are relative to. Default: the file's own folder.
    pub root: Option<PathBuf>,
    /// Where outputs and the run records (`.ssp`) live.
    pub out_dir: PathBuf,
    /// Variables, used as `${name}`; overridden by `--set name=value`.
    #[serde(default)]
    pub vars: BTreeMap<String, Scalar>,
    /// The database that every export reads, in one snapshot.
    pub database: Option<DatabaseSpec>,
    /// The Butler repository that extracts read.
    pub butler: Option<ButlerSpec>,
    /// Settings for every stage that does not say otherwise.
    #[serde(default)]
    pub defaults: DefaultsSpec,
    /// The stages, by name (`[a-z][a-z0-9_-]*`).
    pub stages: BTreeMap<String, StageSpec>,
}

/// A text, number or boolean.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

/// How to reach the database; libpq's environment fills what is left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSpec {
    /// A service of `~/.pg_service.conf`.
    pub service: Option<String>,
    /// A connection string: a URI or `key=value` pairs, without a password.
    pub dsn: Option<String>,
    /// Host name, or the folder of a unix socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Database name.
    pub dbname: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub sslmode: Option<SslMode>,
    /// Connections open at once, the snapshot's holder not counted. Default: 4.
    #[schemars(range(min = 1, max = 64))]
    pub connections: Option<u32>,
    /// While the recorded outputs of all exports are younger than this, no connection is made at all.
    pub max_age: Option<Period>,
    /// How often a run whose connection failed is tried again. Default: 2.
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
}

/// How a connection uses TLS, as libpq defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server insists.
    Allow,
    /// If the server can.
    Prefer,
    /// Always, without checking the server's certificate unless a root certificate is there.
    Require,
    /// Always, and the certificate must be signed by a known authority.
    VerifyCa,
    /// Always, and the certificate must also name the host.
    VerifyFull,
}

/// Which Butler repository to read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ButlerSpec {
    /// The repository: a folder, a `butler.yaml`, or a label of the repository index.
    pub repo: String,
}

/// Settings for every stage that does not say otherwise.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultsSpec {
    /// How long a stage may take.
    pub timeout: Option<Period>,
    /// Rows in a row group of an export. Default: 1,000,000.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    pub row_group_size: Option<u64>,
    /// How outputs are compressed. Default: zstd.
    pub compression: Option<Compression>,
}

/// How the pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// LZ4 (the raw variant that every reader knows).
    Lz4,
    /// Brotli.
    Brotli,
    /// Not at all.
    None,
}

/// A stage: exactly one of `export`, `extract` and `build-ssobject`, and the file it makes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Rows of a database, to Parquet.
    pub export: Option<ExportSpec>,
    /// Datasets of a Butler repository, to one Parquet file.
    pub extract: Option<ExtractSpec>,
    /// The per-object table.
    #[serde(rename = "build-ssobject")]
    pub build_ssobject: Option<BuildSsObjectSpec>,
    /// The file that the stage makes, relative to `out_dir`.
    pub out: PathBuf,
    /// Stages that must be done first though no input says so.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What the output must satisfy before it is published.
    #[serde(default)]
    pub checks: ChecksSpec,
    /// A schema file that the output must fit before it is published.
    pub schema: Option<PathBuf>,
    /// How long the stage may take.
    pub timeout: Option<Period>,
}

/// What an output must satisfy before it is published.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecksSpec {
    /// At least so many rows.
    pub min_rows: Option<u64>,
    /// At most so much smaller, in rows, than the last good output.
    pub max_shrink: Option<Share>,
    /// Columns without NULL.
    #[serde(default)]
    pub not_null: Vec<String>,
    /// Columns whose values differ from row to row.
    #[serde(default)]
    pub unique: Vec<String>,
}

/// Rows of a database: `sql`, or `table` with `columns` or `exclude`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportSpec {
    /// A query.
    pub sql: Option<String>,
    /// A table, whole, instead of a query: `name` or `schema.name`.
    pub table: Option<String>,
    /// With `table`: only these columns, in this order.
    pub columns: Option<Vec<String>>,
    /// With `table`: all columns but these.
    pub exclude: Option<Vec<String>>,
    /// A query whose rows are the same as long as the data is the same.
    pub watermark: Option<String>,
    /// `always`: run even if the database has not changed (foreign tables, volatile functions). Default: `changed`.
    pub refresh: Option<Refresh>,
    /// Columns and the types they get instead of the usual ones, such as `decimal(12, 6)`, `text` or `uuid`.
    #[serde(default)]
    pub types: BTreeMap<String, String>,
    /// `null`: infinite dates and timestamps become NULL. Default: they are an error.
    pub infinity: Option<Infinity>,
    /// Rows in a row group.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    pub row_group_size: Option<u64>,
    /// How the output is compressed.
    pub compression: Option<Compression>,
}

/// When an export runs although its key is unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Refresh {
    /// If the database may have changed.
    #[default]
    Changed,
    /// Always.
    Always,
}

/// What becomes of an infinite date or timestamp, which Parquet cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Infinity {
    /// The export fails and names row and column.
    #[default]
    Error,
    /// NULL.
    Null,
}

/// Datasets of one type in one collection of a Butler repository.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractSpec {
    /// The collection, or several, searched in this order.
    pub collection: OneOrMany,
    /// The dataset type. Default: `dia_source_visit`.
    pub dataset_type: Option<String>,
    /// Only rows whose id is in another file.
    pub filter: Option<FilterSpec>,
    /// A condition on the data ID: `instrument = 'LSSTCam' AND day_obs = 20250715 AND band IN ('g', 'r')`.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// Only these columns.
    pub columns: Option<Vec<String>>,
    /// What becomes of a dataset that a chain of collections reaches twice. Default: `drop`.
    pub duplicates: Option<Duplicates>,
    /// Only the first dataset of each data ID, in the order of the collections. Default: false.
    pub find_first: Option<bool>,
    /// What becomes of datasets that are registered but cannot be read. Default: `error`.
    pub on_missing: Option<OnMissingDataset>,
    /// How the output is compressed.
    pub compression: Option<Compression>,
}

/// One text or a list of them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, in order.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// Only rows whose `target` is among the values of `column` in `ids`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// A stage's name, or the path of a Parquet file.
    pub ids: String,
    /// The column of `ids` that holds the ids.
    pub column: String,
    /// The column of the datasets to compare with. Default: `diaSourceId`.
    pub target: Option<String>,
}

/// What becomes of a dataset that a chain of collections reaches more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// It is written as often as it is reached.
    Keep,
    /// It is written once.
    #[default]
    Drop,
}

/// What becomes of datasets that are registered but cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingDataset {
    /// All of them are listed and nothing is written.
    #[default]
    Error,
    /// They are left out and listed.
    Skip,
}

/// The per-object table: from SSSource, DiaSource and orbits.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSsObjectSpec {
    /// SSSource: a stage's name, or the path of a Parquet file, folder or glob.
    pub sssource: String,
    /// DiaSource, likewise; not needed if SSSource has its columns.
    pub dia_sources: Option<String>,
    /// Orbits, likewise.
    pub mpc_orbits: String,
    /// How H and G12 are fitted.
    #[serde(default)]
    pub fit: FitSpec,
    /// Which orbit of the Earth the MOID is computed with.
    pub earth: Option<EarthModel>,
    /// What becomes of SSSource rows whose DiaSource is not there. Default: `error`.
    pub on_missing: Option<OnMissingRow>,
    /// How the output is compressed.
    pub compression: Option<Compression>,
}

/// How H and G12 are fitted.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitSpec {
    /// Added in quadrature to each magnitude's error \[mag\]. Default: 0.05.
    #[schemars(range(min = 0.0))]
    pub mag_err_floor: Option<f64>,
    /// Points further than this many sigma from the robust fit are left out; `none` for no clipping. Default: 10.
    pub clip_sigma: Option<NumberOrNone>,
    /// Fit H only, with this G12.
    pub fixed_g12: Option<f64>,
    /// The G12 to fall back on where it cannot be fitted. Default: 0.5.
    pub fiducial_g12: Option<f64>,
    /// The least span of phase angles that a fit of G12 needs \[deg\]. Default: 2.
    #[schemars(range(min = 0.0))]
    pub min_phase_span: Option<f64>,
    /// `[0, 1]` or `none`. Default: `[0, 1]`.
    pub g12_bounds: Option<G12Bounds>,
}

/// A number, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrNone {
    /// A number.
    Number(f64),
    /// `none`.
    None(NoneWord),
}

/// The word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoneWord {
    /// `none`.
    None,
}

/// Where G12 may lie: a pair of numbers, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum G12Bounds {
    /// Between two numbers.
    Between([f64; 2]),
    /// `none`.
    None(NoneWord),
}

/// Which orbit of the Earth the MOID is computed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EarthModel {
    /// Mean elements with secular rates.
    Secular,
    /// Osculating elements at the object's epoch, from DE440 (2000 to 2050). The default.
    #[default]
    Osculating,
}

/// What becomes of SSSource rows whose DiaSource is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingRow {
    /// They are counted, some are named, and nothing is written.
    #[default]
    Error,
    /// They are left out and counted.
    Drop,
}
