//! Where the records of an output folder are: `<out_dir>/.ssp`.
//!
//! `stages/<stage>.json` is the record of a stage, `stages/<stage>.datasets` the datasets that an extract read,
//! `publish/*.json` what is being published, `runs/<id>/` what each run left, `digests.json` known digests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable;
use crate::pipeline::StageName;
use crate::plan::{RECORD_FORMAT, Record};

use super::Error;

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

    /// The record of a stage.
    ///
    /// # Errors
    /// If the file is there but cannot be read at all.
    pub fn record(&self, stage: &StageName) -> Result<Found, Error> {
        let path = self.record_path(stage);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Found::Unreadable("it is not text".to_owned()));
            }
            Err(source) => return Err(Error::Read { path, source }),
            Ok(text) => text,
        };
        Ok(match serde_json::from_str::<Record>(&text) {
            Ok(record) if record.format == RECORD_FORMAT => Found::Record(Box::new(record)),
            Ok(_) => Found::Unreadable(why_not(&text, None)),
            Err(error) => Found::Unreadable(why_not(&text, Some(&error))),
        })
    }

    /// Where the record of a stage is.
    #[must_use]
    pub fn record_path(&self, stage: &StageName) -> PathBuf {
        self.folder.join(format!("stages/{stage}.json"))
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
        let text = fs::read_to_string(self.folder.join(format!("stages/{stage}.datasets"))).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Writes the datasets that a stage read.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write_datasets(&self, stage: &StageName, datasets: &[String]) -> Result<(), Error> {
        let text = datasets.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
        Ok(durable::write(&self.folder.join(format!("stages/{stage}.datasets")), text.as_bytes())?)
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
        serde_json::from_str(&fs::read_to_string(self.folder.join(name)).ok()?).ok()
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
