//! What is known of a stage's last good output. `run` keeps these on disk.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::pipeline::StageName;

use crate::generation::Generation;
use crate::key::Key;

/// The version of the form of [`Record`].
pub const RECORD_FORMAT: u32 = 1;

/// A stage's last good output: what it is and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// The stage.
    pub stage: StageName,
    /// Its kind.
    pub kind: String,
    /// The run that last made or confirmed the output.
    pub run: String,
    /// When that was.
    pub finished: DateTime<Utc>,
    /// The run that wrote the bytes, which may be an earlier one.
    pub written_by: String,
    /// What the output depends on.
    pub key: Key,
    /// The output, if the stage makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// For exports: the state of the database that the output shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// The time that the stage took \[s\].
    pub seconds: f64,
    /// Counts and figures of the stage.
    #[serde(default)]
    pub figures: Map<String, Value>,
    /// The version of `ssp`.
    pub version: String,
}

/// A stage's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its path, relative to the output folder.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// The digest of its content.
    pub digest: Digest,
}
