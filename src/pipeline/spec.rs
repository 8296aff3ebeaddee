//! The pipeline file as Rust types: what `schemas/pipeline.schema.json` is generated from.
//!
//! The parts of stages are defined by their kinds (see `stages`). Not a place for checks across stages (see `check`), nor for
//! reading text (see `document`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::conform::listed;
use super::executor::Executor;
use crate::quantity::Period;
use crate::stages::{ButlerSpec, ChecksSpec, DatabaseSpec, Defaults, KINDS};

/// A pipeline: stages that make files, in an order that follows from their inputs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineSpec {
    /// The version of the format of the pipeline file. The value must be 1.
    #[expect(dead_code, reason = "only the schema looks at it")]
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// The name of the pipeline. The reports of the runs show this name.
    pub name: String,
    /// Relative paths in the pipeline file start from this folder. Default: the folder that contains the pipeline file.
    #[schemars(extend("format" = "path"))]
    pub root: Option<PathBuf>,
    /// The folder for the outputs. The subfolder `.ssp` contains the records: the files that describe the runs.
    #[schemars(extend("format" = "path"))]
    pub out_dir: PathBuf,
    /// Keep the outputs of the last N complete nights as generations, so that `ssp-run rollback` can put them back. Readers use
    /// the newest generation through the folder `.ssp/generations/current`. Default: no generations.
    #[schemars(range(min = 1, max = 10_000))]
    pub keep: Option<u32>,
    /// The names and values of your variables. To use the value of a variable in the pipeline file, write `${name}`. To
    /// change a value for one run, use `--set name=value`.
    #[expect(dead_code, reason = "they are read from the document")]
    #[serde(default)]
    pub vars: BTreeMap<String, Scalar>,
    /// The database for all exports. All exports of a run read one snapshot: one state of the database.
    pub database: Option<DatabaseSpec>,
    /// The Butler repository for all stages with the key `extract`.
    pub butler: Option<ButlerSpec>,
    /// Default settings for all stages.
    #[serde(default)]
    pub defaults: Defaults,
    /// Where the stages do their work: `local`, `processes` or `{slurm: {...}}`. Default: `local`. Exports always work inside
    /// `ssp-run`, because they read the snapshot of the run.
    #[serde(default)]
    pub executor: Executor,
    /// Commands that `ssp-run` starts at the end of a run and after a delivery.
    #[serde(default)]
    pub hooks: HooksSpec,
    /// The stages of the pipeline. The name of each stage must match the regular expression `[a-z][a-z0-9_-]*`.
    pub stages: BTreeMap<String, StageSpec>,
}

/// Commands that `ssp-run` starts at the end of a run and after a delivery. Each command at the end of a run gets the file
/// `run.json` on standard input. This file describes the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HooksSpec {
    /// The command after a successful run. Write a shell command, or a list that contains a program and its arguments.
    pub on_success: Option<HookCommand>,
    /// The command after a run that did not succeed, for example because of a failed stage, a failed connection or a
    /// signal. The form is the same as for `on_success`.
    pub on_failure: Option<HookCommand>,
    /// The command after each delivery of a stage with the key `deliver`. It gets the manifest on standard input, instead of
    /// `run.json`.
    pub on_delivered: Option<HookCommand>,
    /// Time limit for each of these commands. Default: `1m`.
    pub timeout: Option<Period>,
}

impl HooksSpec {
    /// All hooks, with their keys.
    pub(crate) fn all(&self) -> [(&'static str, Option<&HookCommand>); 3] {
        [
            ("on_success", self.on_success.as_ref()),
            ("on_failure", self.on_failure.as_ref()),
            ("on_delivered", self.on_delivered.as_ref()),
        ]
    }
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
#[expect(dead_code, reason = "only the schema looks at it")]
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

/// A stage: exactly one of the kinds, and the file it makes.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct StageSpec {
    /// The part of its kind, by the kind's name.
    #[serde(flatten)]
    pub parts: Map<String, Json>,
    /// See [`CommonSpec`].
    #[serde(flatten)]
    pub common: CommonSpec,
}

/// What stages of all kinds have in common.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct CommonSpec {
    /// The path of the output file, relative to `out_dir`. For `build-sssource`, the path can end with `/`, for example
    /// `sssource/`. The output is then a folder of Parquet files, the parts. `ssp-run` replaces all parts in one step.
    #[schemars(with = "PathBuf", extend("format" = "path"))]
    pub out: Option<PathBuf>,
    /// The names of other stages that must finish before this stage starts. If an input of this stage is the name of
    /// another stage, you do not need to list that other stage here.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Checks of the new output. If a check fails, `ssp-run` keeps the last good output.
    #[serde(default)]
    pub checks: ChecksSpec,
    /// The schema of the output: the path of a schema file, or a table of a Felis schema such as
    /// `felis:sdm_schemas/ppdb.yaml#SSObject`. A schema file lists the columns of the output with their types. If the new
    /// output does not match the schema, `ssp-run` keeps the last good output.
    #[schemars(extend("format" = "schema"))]
    pub schema: Option<String>,
    /// Whether columns of the schema can be missing in the output. Default: `false`.
    pub allow_missing: Option<bool>,
    /// The columns that identify a row of the output: one name, or a list of names. `ssp-run diff` matches the rows of two
    /// outputs by these columns. If you change this key, no stage re-runs. Default: `ssObjectId` for `build-ssobject`,
    /// `diaSourceId` for `build-sssource`, no columns for other stages.
    pub key: Option<RowKey>,
    /// Time limit for the stage. If the stage takes longer, the stage fails.
    pub timeout: Option<Period>,
    /// Where the stage does its work. Default: the value of `executor` for all stages. If both are `{slurm: {...}}`, the stage
    /// uses the keys of both. An export has no `executor`.
    pub executor: Option<Executor>,
}

/// The columns that identify a row: one name, or a list of names.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RowKey {
    /// One column.
    Column(String),
    /// Some columns together.
    Columns(Vec<String>),
}

impl RowKey {
    /// The columns.
    pub(super) fn columns(&self) -> &[String] {
        match self {
            Self::Column(column) => std::slice::from_ref(column),
            Self::Columns(columns) => columns,
        }
    }
}

/// The names of the kinds, for people.
pub(super) fn kind_names() -> String {
    let names: Vec<String> = KINDS.iter().map(|kind| format!("`{}`", kind.name)).collect();
    listed(&names, "and")
}

impl JsonSchema for StageSpec {
    fn schema_name() -> Cow<'static, str> {
        "StageSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = CommonSpec::json_schema(generator);
        let about = format!("A stage has exactly one of the keys {}.", kind_names());
        schema.insert("description".to_owned(), about.into());
        schema.remove("required");
        let with_file = KINDS.iter().filter(|kind| kind.makes_file);
        let needs_out = with_file.map(|kind| (kind.name.to_owned(), json!(["out"]))).collect();
        schema.insert("dependentRequired".to_owned(), Json::Object(needs_out));
        let common = schema.remove("properties");
        let mut properties = Map::new();
        for kind in KINDS {
            let mut part = (kind.schema)(generator);
            part.insert("description".to_owned(), kind.about.into());
            properties.insert(kind.name.to_owned(), part.to_value());
        }
        if let Some(Json::Object(common)) = common {
            properties.extend(common);
        }
        schema.insert("properties".to_owned(), Json::Object(properties));
        schema
    }
}
