//! The pipeline file as Rust types: what `schemas/pipeline.schema.json` is generated from.
//!
//! Not a place for checks across stages (see `check`), nor for reading text (see `document`).

mod kinds;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use kinds::{
    BuildSsObjectSpec, Duplicates, EarthModel, ExportSpec, ExtractSpec, FilterSpec, FitSpec, G12Bounds,
    Infinity, NoneWord, NumberOrNone, OnMissingDataset, OnMissingRow, OneOrMany, Refresh,
};
pub use sources::{ButlerSpec, DatabaseSpec, SslMode};

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
    #[schemars(extend("format" = "path"))]
    pub root: Option<PathBuf>,
    /// Where outputs and the run records (`.ssp`) live.
    #[schemars(extend("format" = "path"))]
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
    /// Commands that are run when a run has ended.
    #[serde(default)]
    pub hooks: HooksSpec,
    /// The stages, by name (`[a-z][a-z0-9_-]*`).
    pub stages: BTreeMap<String, StageSpec>,
}

/// Commands that are run when a run has ended. Each gets the run's `run.json` on its standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HooksSpec {
    /// When all is good: a text for the shell, or a program and its arguments.
    pub on_success: Option<HookCommand>,
    /// When a stage or a check failed, something could not be reached, or the run was told to stop.
    pub on_failure: Option<HookCommand>,
    /// How long a hook may take. Default: 1m.
    pub timeout: Option<Period>,
}

/// A command: a text for `/bin/sh -c`, or a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HookCommand {
    /// For the shell.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

impl HookCommand {
    /// Whether there is no command.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Shell(text) => text.trim().is_empty(),
            Self::Program(words) => words.first().is_none_or(String::is_empty),
        }
    }
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
    #[schemars(extend("format" = "path"))]
    pub out: PathBuf,
    /// Stages that must be done first though no input says so.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What the output must satisfy before it is published.
    #[serde(default)]
    pub checks: ChecksSpec,
    /// A schema file that the output must fit before it is published.
    #[schemars(extend("format" = "path"))]
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
    /// Columns whose values differ from row to row; NULL is no value.
    #[serde(default)]
    pub unique: Vec<String>,
}
