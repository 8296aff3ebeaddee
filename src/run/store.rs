//! The records of an output folder, in `<out_dir>/.ssp`:
//!
//! - `stages/<stage>.json`: the record of a stage; `.datasets`: the datasets that it read; `.memory`: what it remembers of its output
//! - `parts/<folder>/`: the parts of an output of parts; `generations/<run>/`: the outputs and records of a night
//! - `jobs/<task>/`: the work of processes; `publish/*.json`: what is being published; `deliveries/<stage>.json`: a delivery that
//!   was begun
//! - `runs/<id>/`: what a run left; `lock`: its holder; `digests.json`: known digests; `id`: the folder's name in Slurm

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::durable::{self, PendingFile, SealedFile};
use crate::pipeline::StageName;
use crate::plan::{Graph, Output, RECORD_FORMAT, Record};
use crate::regular;

use super::Error;
use super::parts;

/// The records of one output folder.
#[derive(Clone, Debug)]
pub struct Store {
    out_dir: PathBuf,
    folder: PathBuf,
}

/// What was found where a record should be.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A record.
    Record(Box<Record>),
    /// Something that is not a record of this version; why.
    Unreadable(String),
}

impl Store {
    /// The records of an output folder, which need not be there yet.
    #[must_use]
    pub fn new(out_dir: &Path) -> Self {
        Self { out_dir: out_dir.to_owned(), folder: out_dir.join(".ssp") }
    }

    /// The output folder.
    #[must_use]
    pub fn out_dir(&self) -> &Path {
        &self.out_dir
    }

    /// The path of something below `.ssp`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Refuses what cannot be the folders of records: before anything is read from them, or goes into them.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub fn check(&self) -> Result<(), Error> {
        let folders =
            ["stages", "publish", "runs", "jobs", "parts", "deliveries"].map(|name| self.path(name));
        folders.iter().try_for_each(|folder| durable::folder(folder).map_err(Error::Records))
    }

    /// The record of a stage. One that cannot be read must not stop the other stages: it is as good as none.
    #[must_use]
    pub fn record(&self, stage: &StageName) -> Found {
        let text = match regular::read_to_string(&self.record_path(stage)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return Found::Unreadable(error.to_string()),
            Ok(text) => text,
        };
        match serde_json::from_str::<Record>(&text) {
            Ok(record) if record.format == RECORD_FORMAT => Found::Record(Box::new(record)),
            Ok(_) => Found::Unreadable(why_not(&text, None)),
            Err(error) => Found::Unreadable(why_not(&text, Some(&error))),
        }
    }

    /// Where the record of a stage is.
    #[must_use]
    pub fn record_path(&self, stage: &StageName) -> PathBuf {
        self.folder.join(format!("stages/{stage}.json"))
    }

    /// Refuses a record that could not be written, before the stage works for hours.
    ///
    /// # Errors
    /// Those of [`durable::target`].
    pub fn check_record(&self, stage: &StageName) -> Result<(), Error> {
        durable::target(&self.record_path(stage))?;
        durable::target(&self.datasets_path(stage))?;
        durable::target(&self.memory_path(stage))?;
        Ok(())
    }

    /// The records of all stages that have one, whether or not the pipeline file names them, in the order of their names.
    ///
    /// # Errors
    /// If the folder or a record cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        let folder = self.path("stages");
        let mut records = Vec::new();
        for entry in entries(&folder)? {
            let name = entry.file_name();
            let Some(stage) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
            match self.record(&stage.into()) {
                Found::Record(record) => records.push(*record),
                Found::Nothing => {}
                Found::Unreadable(why) => {
                    let source = io::Error::other(format!("{stage}.json: {why}"));
                    return Err(Error::Read { path: folder, source });
                }
            }
        }
        records.sort_by(|a, b| a.stage.cmp(&b.stage));
        Ok(records)
    }

    /// The outputs of the records that can be read.
    #[must_use]
    pub fn recorded(&self) -> Vec<Output> {
        self.records().unwrap_or_default().into_iter().filter_map(|record| record.output).collect()
    }

    /// The records of stages that a pipeline does not have.
    ///
    /// # Errors
    /// As of [`Self::records`].
    pub fn orphans(&self, graph: &Graph) -> Result<Vec<Record>, Error> {
        let mut records = self.records()?;
        records.retain(|record| graph.find(record.stage.as_str()).is_none());
        Ok(records)
    }

    /// Removes the output of a stage that a pipeline does not have, and its records. A file that was changed since, or that a
    /// stage makes now, is left alone: whether it was removed.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove_orphan(&self, graph: &Graph, orphan: &Record) -> Result<bool, Error> {
        let removed = self.is_removable(graph, orphan);
        if let Some(output) = orphan.output.as_ref().filter(|_| removed) {
            durable::remove(&self.out_dir.join(&output.path))?;
        }
        durable::remove(&self.datasets_path(&orphan.stage))?;
        durable::remove(&self.memory_path(&orphan.stage))?;
        durable::remove(&self.record_path(&orphan.stage))?;
        Ok(removed)
    }

    /// Whether the output of a stage that a pipeline does not have is to be removed with its records.
    #[must_use]
    pub fn is_removable(&self, graph: &Graph, orphan: &Record) -> bool {
        let Some(output) = &orphan.output else { return false };
        let path = self.out_dir.join(&output.path);
        let is_made = graph.ids().any(|id| graph.stage(id).out.as_ref() == Some(&path));
        // A folder that stands where the link of parts was is not ours.
        !is_made
            && (output.parts.is_none() || parts::is_ours(&self.out_dir, &path))
            && parts::digest_of_output(output, &path).is_ok_and(|digest| digest == output.digest)
    }

    /// Where the datasets that a stage last read are.
    pub(super) fn datasets_path(&self, stage: &StageName) -> PathBuf {
        self.folder.join(format!("stages/{stage}.datasets"))
    }

    /// Where the memory of a stage is.
    fn memory_path(&self, stage: &StageName) -> PathBuf {
        self.folder.join(format!("stages/{stage}.memory"))
    }

    /// Whether a stage remembers an output with this digest that has passed these checks.
    pub(super) fn remembers(&self, stage: &StageName, output: Digest, checks: Digest) -> bool {
        let first = format!("{output} {checks} ");
        let mut begins = vec![0; first.len()];
        let read = regular::open(&self.memory_path(stage)).and_then(|mut file| file.read_exact(&mut begins));
        read.is_ok() && begins == first.as_bytes()
    }

    /// What a stage remembers of an output with this digest that has passed these checks, if that is the one that it last made.
    pub(super) fn memory(&self, stage: &StageName, output: Digest, checks: Digest) -> Option<Vec<u8>> {
        let mut bytes = regular::read(&self.memory_path(stage)).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let memory = bytes.split_off(end + 1);
        let first = format!("{output} {checks} {}\n", Digest::of(&memory));
        (bytes == first.as_bytes()).then_some(memory)
    }

    /// Writes what a stage remembers of an output with this digest that has passed these checks, to be put in place together
    /// with its record.
    pub(super) fn seal_memory(
        &self,
        stage: &StageName,
        output: Digest,
        checks: Digest,
        memory: &[u8],
    ) -> Result<SealedFile, Error> {
        let path = self.memory_path(stage);
        let mut file = PendingFile::create(&path)?;
        let written =
            writeln!(file, "{output} {checks} {}", Digest::of(memory)).and_then(|()| file.write_all(memory));
        written.map_err(|source| durable::Error::Write { target: path, written: file.written(), source })?;
        Ok(file.seal()?)
    }

    /// Writes a record: the commit point of a stage.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_record(&self, record: &Record) -> Result<(), Error> {
        self.write_json(&format!("stages/{}.json", record.stage), record)
    }

    /// The datasets that a stage last read, one a line.
    #[must_use]
    pub fn datasets(&self, stage: &StageName) -> Option<Vec<String>> {
        let text = regular::read_to_string(&self.datasets_path(stage)).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Writes the datasets that a stage read.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write_datasets(&self, stage: &StageName, datasets: &[String]) -> Result<(), Error> {
        let text = datasets.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
        Ok(durable::write(&self.datasets_path(stage), text.as_bytes())?)
    }

    /// Writes something below `.ssp` as JSON.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|source| Error::Json { name: name.to_owned(), source })?;
        text.push('\n');
        Ok(durable::write(&self.folder.join(name), text.as_bytes())?)
    }

    /// Reads something below `.ssp` that may be missing or broken, and is then not there.
    #[must_use]
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(&regular::read_to_string(&self.folder.join(name)).ok()?).ok()
    }
}

/// What is in a folder, which need not be there.
pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.and_then(Iterator::collect).map_err(failed),
    }
}

/// Why a text is no record of this version. Its format comes first: a newer one may have any form.
fn why_not(text: &str, error: Option<&serde_json::Error>) -> String {
    let json = serde_json::from_str::<serde_json::Value>(text).ok();
    let format = json.map(|json| json.get("format").and_then(serde_json::Value::as_u64));
    match (format, error) {
        (Some(Some(format)), Some(error)) if format == u64::from(RECORD_FORMAT) => error.to_string(),
        (None, Some(error)) => error.to_string(),
        (format, _) => format!(
            "its format is {}, this version reads {RECORD_FORMAT}",
            format.flatten().map_or("unknown".to_owned(), |format| format.to_string())
        ),
    }
}
