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

mod allowed;
mod check;
mod conform;
mod cut;
mod document;
mod escapes;
mod executor;
mod formats;
mod mistake;
mod out;
mod passwords;
mod relations;
mod shell;
pub(crate) mod spec;
mod stage;
#[cfg(test)]
mod tests;
mod text;
mod variables;
mod written;

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub use crate::spelling::{did_you_mean, nearest};
pub(crate) use allowed::words;
pub use document::Place;
pub use executor::{Executor, OnStop, SlurmSpec};
pub use mistake::{Mistake, Mistakes};
pub use stage::{Input, Source, Stage, StageName};

use crate::secrets::Secrets;
use crate::stages::{Defaults, SourceSettings};

use check::PipelineReader;
use conform::Conformance;
use document::Node;
use formats::Keys;
use spec::{HooksSpec, PipelineSpec};
use variables::{Environment, Variables};

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
    /// How the database and the repository are reached.
    pub sources: SourceSettings,
    /// How many generations of its outputs are kept.
    pub keep: Option<u32>,
    /// Settings of all stages that have none of their own.
    pub defaults: Defaults,
    /// Commands for the end of a run.
    pub hooks: HooksSpec,
    /// The stages, in the order of the file.
    pub stages: Vec<Stage>,
    /// The file as read, for the places of what is wrong.
    document: Arc<Node>,
    /// The values of the environment in its queries.
    pub(crate) secrets: Secrets,
}

impl Pipeline {
    /// Where the value at a path of keys is written; where the path ends, the last value on it.
    #[must_use]
    pub fn place_of(&self, path: &[&str]) -> Place {
        self.document.place_of(path)
    }
}

/// The result of reading a file: the pipeline, and all that is wrong with it.
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
    let schema = json_schema();
    let keys = Keys::of(&schema);
    let secrets = text::check(text, &document, &schema, &keys, Some(&variables), &mut of_texts);
    secrets.hide();
    variables.put_below(&mut document, &mut Vec::new(), &keys, &mut mistakes);
    let without_value: HashSet<Place> = mistakes.iter().map(|mistake| mistake.place).collect();
    let known = mistakes.len();
    let conformance = Conformance::new(&schema);
    let json = conformance.check(&document, &mut mistakes);
    mistakes.extend(of_texts);
    let pipeline = match serde_json::from_value::<PipelineSpec>(json) {
        Ok(spec) => {
            let reader = PipelineReader {
                file,
                document: &document,
                conformance,
                keys,
                secret_dsn,
                secrets: &secrets,
            };
            Some(reader.pipeline(spec, &mut mistakes))
        }
        Err(error) => {
            if mistakes.is_empty() {
                mistakes.push(Mistake::new(Place::default(), error.to_string()));
            }
            None
        }
    };
    // Where a variable has no value, nothing else that is wrong there is the user's.
    let others = mistakes.split_off(known);
    mistakes.extend(others.into_iter().filter(|mistake| !without_value.contains(&mistake.place)));
    Reading { pipeline, mistakes }
}

/// Looks for comments that hide a part of a query, and for characters that look like others, in another file that has queries
/// below the key `sql`: what is wrong.
#[must_use]
pub fn mistakes_in_queries(text: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Ok(document) = Node::parse(text) {
        let keys = Keys { queries: vec!["sql".to_owned()], ..Keys::default() };
        text::check(text, &document, &serde_json::Value::Null, &keys, None, &mut mistakes);
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
