//! What a process is given and what it leaves: the files that both sides read and write.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::durable;
use crate::errors::{self, Class};
use crate::pipeline::{Stage, StageName};
use crate::regular;
use crate::run::digests::Identity;
use crate::run::facts::Observation;
use crate::run::failure::Failure;
use crate::run::parts::is_short_digest;
use crate::stages::{Datasets, Defaults, Handed, Job, Last, Product};

/// A stage's work, for a process that knows nothing else.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Task {
    /// The version of the program: another one would make other files, or not understand this.
    pub version: String,
    pub stage: StageName,
    pub kind: String,
    /// The kind's part of the pipeline file, and the defaults of the file.
    pub part: Value,
    pub defaults: Defaults,
    pub repository: Option<String>,
    /// The key of the stage: two tasks of one key have the same output.
    pub key: Digest,
    pub inputs: BTreeMap<String, PathBuf>,
    /// What the file system said of the inputs when the key was made.
    pub seen: Vec<(PathBuf, Identity)>,
    pub datasets: Option<Datasets>,
    pub out: PathBuf,
    pub in_parts: bool,
    /// The last output; what is remembered of it is in a file of its own.
    pub last: Option<Last>,
    /// Into how many slices the work is cut, if more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<u32>,
}

/// How an execution ended. That it is of this version of the program follows from the task.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    Made(Box<Handed>),
    Failed { errors: Vec<String>, class: Class },
}

/// What an execution leaves: how it ended, and what that took.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Worked {
    #[serde(flatten)]
    pub ended: Ended,
    pub seconds: f64,
    pub peak_memory_bytes: Option<u64>,
    /// In Slurm: the job and its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A line that a process prints while it works.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    Process(u32),
    Expect(u64),
    Advance { rows: u64, bytes: u64 },
    Warn(String),
}

pub(super) const TASK: &str = "task.json";
pub(super) const RESULT: &str = "result.json";
/// What the stage remembers of its last output.
const MEMORY: &str = "memory";
pub(super) const FILES: &str = "files";
/// The folder of the results of jobs: one listing shows all that ended.
pub(super) const RESULTS: &str = "results";
/// What an execution says while it works, a line of JSON each.
pub(super) const SAID: &str = "said";

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a task cannot be given to a process, or not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot write the task of the stage as JSON")]
    Json(#[source] serde_json::Error),
    #[error("cannot read `{}` as JSON", path.display())]
    Form { path: PathBuf, source: serde_json::Error },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot make the folder `{}`", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] durable::Error),
    #[error("cannot start a process for the stage")]
    Start(#[source] io::Error),
}

impl Task {
    pub(super) fn of(
        stage: &Stage,
        job: &Job<'_>,
        observation: &Observation,
        defaults: &Defaults,
        repository: Option<String>,
        slices: Option<u32>,
    ) -> Self {
        Self {
            version: VERSION.to_owned(),
            stage: stage.name.clone(),
            kind: stage.kind.name.to_owned(),
            part: stage.part.clone(),
            defaults: defaults.clone(),
            repository,
            key: observation.key.digest(),
            inputs: job.inputs.clone(),
            seen: observation.seen.clone(),
            datasets: job.datasets.cloned(),
            out: job.target.to_owned(),
            in_parts: job.in_parts,
            last: job.last.cloned(),
            slices,
        }
    }

    /// The name of its folder, which another task does not have, and its text.
    pub(super) fn written(&self) -> Result<(String, Vec<u8>), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(Error::Json)?;
        let memory = self.last.as_ref().map_or(&[][..], |last| &last.memory);
        let digest = Digest::of(&[&text, memory].concat()).short();
        Ok((format!("{}-{digest}", self.stage), text))
    }
}

impl Ended {
    /// What was made, its files in `files` and to be published as `target`, or why nothing was.
    pub(super) fn product(self, files: &Path, target: &Path) -> Result<Product, Failure> {
        match self {
            Self::Made(handed) => handed.take(files, target).map_err(|error| Failure::of(&error)),
            Self::Failed { errors, class } => {
                // It does not know where its files are to go, nor which values are not to be shown.
                let there = target.parent().unwrap_or(Path::new("")).display().to_string();
                let own =
                    |error: &String| errors::shown(&error.replace(&files.display().to_string(), &there));
                Err(Failure { class, ..Failure::lines(errors.iter().map(own).collect()) })
            }
        }
    }
}

/// The stage of the folder of a task, if its name is one of a task.
pub(super) fn stage_of(folder: &str) -> Option<&str> {
    let (stage, digest) = folder.rsplit_once('-')?;
    (is_short_digest(digest) && StageName::fits(stage)).then_some(stage)
}

/// Writes a task into its folder, unless it is there whole.
pub(super) fn write(folder: &Path, text: &[u8], last: Option<&Last>) -> Result<(), Error> {
    let path = folder.join(TASK);
    if regular::read(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    durable::make_folder(folder).map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
    if let Some(last) = last {
        durable::write(&folder.join(MEMORY), &last.memory)?;
    }
    Ok(durable::write(&path, text)?)
}

/// Reads the task of a folder.
pub(super) fn read(folder: &Path) -> Result<Task, Error> {
    let bytes = |name: &str| {
        let path = folder.join(name);
        regular::read(&path).map_err(|source| Error::Read { path, source })
    };
    let mut task: Task = serde_json::from_slice(&bytes(TASK)?)
        .map_err(|source| Error::Form { path: folder.join(TASK), source })?;
    if let Some(last) = &mut task.last {
        last.memory = bytes(MEMORY)?;
    }
    Ok(task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_cannot_be_read_is_an_error_that_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TASK);
        for (text, said) in [(None, "cannot read `{}`"), (Some("{"), "cannot read `{}` as JSON")] {
            if let Some(text) = text {
                write(folder.path(), text.as_bytes(), None).unwrap();
            }
            let error = read(folder.path()).unwrap_err().to_string();
            assert_eq!(error, said.replace("{}", path.to_str().unwrap()));
        }
    }
}
