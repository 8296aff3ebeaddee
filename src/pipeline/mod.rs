//! The pipeline file: text to checked stages, all mistakes at once with their lines.
//!
//! ```
//! use std::{collections::BTreeMap, path::Path};
//!
//! use ssp::{pipeline, plan::Graph};
//!
//! let text = "
//! version: 1
//! name: nightly
//! out_dir: data
//! database: {service: mpc_sbn}
//! stages:
//!   ssobject:
//!     build-ssobject: {sssource: sssource.parquet, dia_sources: dia.parquet, mpc_orbits: mpc_orbits}
//!     out: ssobject.parquet
//!   mpc_orbits:
//!     export: {table: mpc_orbits}
//!     out: mpc_orbits.parquet
//! ";
//! let reading = pipeline::read(Path::new("nightly.yaml"), text, &BTreeMap::new(), &|_| None);
//! assert!(reading.mistakes.is_empty());
//! let graph = Graph::seal(&reading.pipeline.unwrap()).unwrap();
//! let order: Vec<_> = graph.ids().map(|id| graph.stage(id).name.as_str()).collect();
//! assert_eq!(order, ["mpc_orbits", "ssobject"]);
//!
//! let reading = pipeline::read(Path::new("nightly.yaml"), &text.replace("table:", "tabel:"), &BTreeMap::new(), &|_| None);
//! assert!(reading.mistakes[0].message.contains("did you mean `table`"));
//! ```
//!
//! Not a place for the order of stages (see `plan`) or for reading other files.

mod check;
mod conform;
mod cut;
mod document;
mod escapes;
mod mistake;
mod passwords;
mod shell;
pub mod spec;
mod stage;
#[cfg(test)]
mod tests;
mod text;
pub mod values;
mod variables;
mod written;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

pub use document::Place;
pub use mistake::{Mistake, Mistakes, did_you_mean, nearest};
pub use stage::{Input, Kind, Source, Stage, StageName};
pub use text::QUERIES;

use crate::secrets::Secrets;

use document::Node;
use spec::{ButlerSpec, DatabaseSpec, DefaultsSpec, HooksSpec, PipelineSpec};
use variables::{Environment, Variables, interpolate};

/// A pipeline file, checked stage by stage; `plan` puts the stages in order.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The file.
    pub file: PathBuf,
    /// The pipeline's name.
    pub name: String,
    /// What relative paths are relative to.
    pub root: PathBuf,
    /// Where outputs and records live.
    pub out_dir: PathBuf,
    /// The database that every export reads.
    pub database: Option<DatabaseSpec>,
    /// The repository that extracts read.
    pub butler: Option<ButlerSpec>,
    /// Settings for every stage that does not say otherwise.
    pub defaults: DefaultsSpec,
    /// Commands for the end of a run.
    pub hooks: HooksSpec,
    /// The stages, in the order of the file.
    pub stages: Vec<Stage>,
    /// The values of the environment in its queries.
    pub(crate) secrets: Secrets,
}

/// What was read of a file: what could be understood, and all that is wrong with it.
pub struct Reading {
    /// The pipeline, if it could be understood at all; references that name nothing are left out.
    pub pipeline: Option<Pipeline>,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// Reads the text of a pipeline file. `set` overrides `vars`; `environment` looks up environment variables.
pub fn read(
    file: &Path,
    text: &str,
    set: &BTreeMap<String, String>,
    environment: &Environment<'_>,
) -> Reading {
    let mut mistakes = Vec::new();
    let mut document = match Node::parse(text) {
        Ok(document) => document,
        Err((place, message)) => {
            return Reading { pipeline: None, mistakes: vec![Mistake::new(place, message)] };
        }
    };
    let secret_dsn = check::dsn_from_environment(&document);
    let variables = Variables::new(document.get("vars"), set, environment, &mut mistakes);
    let mut of_texts = Vec::new();
    let secrets = text::check(text, &document, Some(&variables), &mut of_texts);
    secrets.hide();
    interpolate(&mut document, &variables, &["vars"], &mut mistakes);
    let schema = json_schema();
    let conformance = conform::Conformance::new(&schema, values::FORMATS);
    let json = conformance.check(&document, &mut mistakes);
    if !mistakes.is_empty() {
        mistakes.extend(of_texts);
        // The stages that are right are still checked against each other.
        let spec = serde_json::from_value(check::without_broken_stages(json)).ok();
        let pipeline: Option<Pipeline> =
            spec.map(|spec| check::pipeline(file, spec, &document, secret_dsn, &mut Vec::new()));
        return Reading { pipeline, mistakes };
    }
    match serde_json::from_value::<PipelineSpec>(json) {
        Ok(spec) => {
            let pipeline = check::pipeline(file, spec, &document, secret_dsn, &mut mistakes);
            mistakes.extend(of_texts);
            Reading { pipeline: Some(Pipeline { secrets, ..pipeline }), mistakes }
        }
        Err(error) => {
            Reading { pipeline: None, mistakes: vec![Mistake::new(Place::default(), error.to_string())] }
        }
    }
}

/// Looks for comments that hide a part of a query, and for characters that look like others, in another file that has queries
/// below the key `sql`: what is wrong.
#[must_use]
pub fn mistakes_in_queries(text: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Ok(document) = Node::parse(text) {
        text::check(text, &document, None, &mut mistakes);
    }
    mistakes
}

/// The JSON Schema of the file, for editors: `schemas/pipeline.schema.json`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(PipelineSpec).to_value()
}

/// A path without `.` and, as far as that goes without looking at the disk, without `..`: to compare and to show.
#[must_use]
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    if plain.as_os_str().is_empty() { PathBuf::from(".") } else { plain }
}
