//! What a stage works on and what it makes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::sources::{Datasets, Missing, Sources};
use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::durable;
use crate::environment::Environment;
use crate::lookup::Lookup;
use crate::monitor::Monitor;
use crate::parquet::write::SealedTable;
use crate::postgres::Evidence;

/// What a stage works on.
pub struct Job<'a> {
    /// The database and the repository.
    pub sources: &'a Sources,
    /// The paths of its inputs, by role.
    pub inputs: &'a BTreeMap<String, PathBuf>,
    /// The datasets to read.
    pub datasets: Option<&'a Datasets>,
    /// The file that the output is to become; the folder of outputs for a stage that makes none. For an output of parts, the
    /// parts are made beside it, in order, whatever their names.
    pub target: &'a Path,
    /// Whether the output is one of parts.
    pub in_parts: bool,
    /// Where rows go that memory does not hold; beside the target if it is not known.
    pub scratch: Option<&'a Path>,
    /// Its last good output, if parts of that may be used again.
    pub last: Option<&'a Last>,
    /// Threads that it may use.
    pub threads: NonZeroUsize,
    /// Shows its progress and stops it.
    pub monitor: &'a Monitor,
    /// The run, for a stage that makes no file. What makes a file does not depend on it.
    pub within: Option<&'a Within<'a>>,
}

/// Takes note of a delivery.
pub type Announce<'a> = dyn Fn(&Delivered) -> Result<(), durable::Error> + Sync + 'a;

/// The run that a stage is part of.
pub struct Within<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// What relative paths are relative to.
    pub root: &'a Path,
    /// The run.
    pub run: &'a str,
    /// The stage.
    pub stage: &'a str,
    /// Whether the stage was to run in any case.
    pub forced: bool,
    /// A file for what the stage must know after a kill. It is removed when the record of the stage is written.
    pub state: &'a Path,
    /// Takes note of what the stage has delivered to others, so that they are told.
    pub announce: &'a Announce<'a>,
    /// The environment variables.
    pub environment: &'a Environment,
    /// The stages that make its inputs, by role, also of those that are missing.
    pub stages: BTreeMap<String, String>,
    /// How these inputs were made, by role.
    pub made: BTreeMap<String, Made>,
}

/// How an input was made that is the output of a stage, by its record.
#[derive(Clone, Debug)]
pub struct Made {
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// The version of the code of its kind.
    pub kind_version: Option<String>,
    /// The version of ssp.
    pub version: String,
    /// The run that last made or confirmed it.
    pub run: String,
    /// When that was.
    pub finished: DateTime<Utc>,
    /// The run that wrote its bytes.
    pub written_by: String,
    /// The state of the database that it shows.
    pub generation: Option<DatabaseState>,
    /// Its digest.
    pub digest: Digest,
    /// Whether it is one of parts.
    pub in_parts: bool,
}

/// What a stage would work on, for [`Work::outlook`](super::Work::outlook).
pub struct Prospect<'a> {
    /// What relative paths are relative to.
    pub root: &'a Path,
    /// The paths of its inputs, by role.
    pub inputs: &'a BTreeMap<String, PathBuf>,
    /// The roles of the inputs that other stages may make again before it.
    pub pending: Vec<&'a str>,
}

/// Something that was put where others read it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Delivered {
    /// Where it is described.
    pub url: String,
    /// The run that began it.
    pub run: String,
    /// What it is, in JSON.
    pub manifest: String,
}

impl Job<'_> {
    /// The path of an input.
    #[must_use]
    pub fn input(&self, role: &str) -> Option<&Path> {
        self.inputs.get(role).map(PathBuf::as_path)
    }

    /// The path of an input that the stage must have.
    ///
    /// # Errors
    /// [`Missing::Input`].
    pub fn needed_input(&self, role: &'static str) -> Result<&Path, Missing> {
        self.input(role).ok_or(Missing::Input(role))
    }
}

/// A stage's last good output, which stands where it was put, was made by this version with these settings, and is as its
/// record says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Last {
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// What the stage wanted to be remembered of it.
    #[serde(skip)]
    pub memory: Vec<u8>,
}

/// What a stage made, safe on disk, not yet in place of its target.
#[derive(Debug, Default)]
pub struct Product {
    /// The files: one, or the parts in order, or none.
    pub files: Vec<SealedTable>,
    /// Counts and figures for the run's record, by name, in a fixed order.
    pub figures: Map<String, Value>,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    /// How its inputs fit together.
    pub lookups: Vec<Lookup>,
    /// What the rows depend on, if they are of a database.
    pub evidence: Option<Evidence>,
    /// Whether the last good output is proven to have the bytes of a new one, which was not made.
    pub unchanged: bool,
    /// What the stage wants to know of this output when it next runs.
    pub memory: Option<Vec<u8>>,
}

impl Product {
    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|table| table.file.bytes()).sum()
    }

    /// The rows of all files.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|table| table.rows).sum()
    }
}

/// Figures by name, in this order.
pub(super) fn figures<const N: usize>(figures: [(&str, Value); N]) -> Map<String, Value> {
    figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
