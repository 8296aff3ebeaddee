//! The kinds of stage and their settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Compression;
use crate::pipeline::values::Size;

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
    /// `always`: run even if the database is proven unchanged. Default: `changed`.
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
    #[schemars(extend("format" = "path"))]
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
    #[schemars(extend("format" = "path"))]
    pub sssource: String,
    /// DiaSource, likewise; not needed if SSSource has its columns.
    #[schemars(extend("format" = "path"))]
    pub dia_sources: Option<String>,
    /// Orbits, likewise.
    #[schemars(extend("format" = "path"))]
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
    /// About how much memory rows may take before they go through files, such as `8G` or `500M`. Default: half of what
    /// the machine, the container or the Slurm job has.
    pub memory: Option<Size>,
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
