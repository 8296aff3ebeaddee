//! A checked stage: what it is, what it reads, what it makes.

use std::borrow::Borrow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::document::Place;
use super::executor::Executor;
use crate::key::Key;
use crate::quantity::Period;
use crate::schema::NamedSchema;
use crate::stages::{ChecksSpec, Kind, Reads, Work};

/// The name of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageName(Arc<str>);

impl StageName {
    /// Whether a text has the form of a stage's name: `[a-z][a-z0-9_-]*`.
    #[must_use]
    pub fn fits(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for StageName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for StageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Where it is written.
    pub place: Place,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its part of the file as read, which another process checks again.
    pub part: Json,
    /// What it does.
    pub work: Arc<dyn Work>,
    /// Where it does that.
    pub executor: Executor,
    /// The part of its key that the file and the code determine.
    pub parameters: Key,
    /// The file that it makes, if any; for an output of parts, the link to their folder.
    pub out: Option<PathBuf>,
    /// Whether its output is one of parts.
    pub in_parts: bool,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Stages that must be done first though no input says so.
    pub needs: Vec<StageName>,
    /// What its output must satisfy before it is published.
    pub checks: ChecksSpec,
    /// The columns that identify a row of its output; empty if none are known.
    pub row_key: Vec<String>,
    /// The schema that its output must fit.
    pub schema: Option<NamedSchema>,
    /// Its time limit.
    pub timeout: Option<Period>,
}

impl Stage {
    /// The stages that must be done first: those of the inputs, then those of `needs`. A stage can be among both.
    pub fn upstream(&self) -> impl Iterator<Item = &StageName> {
        let inputs = self.inputs.iter().filter_map(|input| match &input.source {
            Source::Stage(name) => Some(name),
            Source::Path(_) => None,
        });
        inputs.chain(&self.needs)
    }

    /// Whether it reads the snapshot of the database: such stages are published together.
    #[must_use]
    pub fn reads_snapshot(&self) -> bool {
        self.kind.reads == Reads::Snapshot
    }
}

/// One thing that a stage reads.
#[derive(Clone, Debug)]
pub struct Input {
    /// The keys that lead to it in the part of its kind, with dots between them.
    pub role: String,
    /// Its name in the stage's key.
    pub entry: String,
    /// Where it is written.
    pub place: Place,
    /// Where it comes from.
    pub source: Source,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The output of a stage.
    Stage(StageName),
    /// A file, folder or glob from elsewhere.
    Path(PathBuf),
}
