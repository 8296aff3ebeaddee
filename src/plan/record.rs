//! What is known of a stage's last good output. `run` keeps these on disk.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::key::{Aspect, Key};
use crate::margin::Margin;
use crate::pipeline::{Source, Stage, StageName};

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
    pub generation: Option<DatabaseState>,
    /// The time that the stage took \[s\].
    pub seconds: f64,
    /// Counts and figures of the stage.
    #[serde(default)]
    pub figures: Map<String, Value>,
    /// The results of the checks on the output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Margin>,
    /// The version of `ssp`.
    pub version: String,
}

impl Record {
    /// The first stage whose output now, by its digest, is not the one that this output was made from.
    #[must_use]
    pub fn outdated_input<'a>(
        &self,
        stage: &'a Stage,
        digest_of: impl Fn(&str) -> Option<Digest>,
    ) -> Option<&'a StageName> {
        stage.inputs.iter().find_map(|input| {
            let Source::Stage(name) = &input.source else { return None };
            let now = digest_of(name.as_str()).map(|digest| digest.to_string());
            (now.as_deref() != self.key.value(Aspect::Input, &input.entry)).then_some(name)
        })
    }
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
    /// The digest of its content. For an output of parts: that of the list of the names and digests of its parts.
    pub digest: Digest,
    /// The number of its parts, if it is a folder of parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<usize>,
}
