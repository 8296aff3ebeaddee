//! The kind `extract`: datasets of a Butler repository to one Parquet file, a row group for each dataset with rows.
//!
//! Which datasets there are is settled before any file is read; then their files are checked, and only if all can be read
//! (or those that cannot are to be left out) is anything written. What the last output has already is copied from there.

mod error;
mod extraction;
mod memory;
mod past;
mod survey;
mod write;

use std::num::NonZeroUsize;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::error::Error;
use super::kind::no_parameter;
use super::{
    Datasets, Defaults, Fact, InputRef, Job, NamedColumn, Problems, Product, Reads, Sources, Spec, Work,
};
use crate::butler::{Dataset, Repository, Selection};
use crate::monitor::Monitor;
use crate::parquet::write::{Compression, Encodings};
use crate::quantity::thousands;

/// Extracts the datasets of one type from one or more collections of a Butler repository. A collection is a named group
/// of datasets.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractSpec {
    /// One collection, or a list of collections. The stage searches the collections in the order of the list.
    pub collection: OneOrMany,
    /// The type of the datasets that the stage reads. Default: `dia_source_visit`.
    pub dataset_type: Option<String>,
    /// Write only the rows whose id is in another file.
    pub filter: Option<FilterSpec>,
    /// A condition on the data ID. A data ID is the set of values that identify a dataset. The stage reads only the
    /// datasets whose data ID matches the condition. Example: `instrument = 'LSSTCam' AND day_obs = 20250715 AND band
    /// IN ('g', 'r')`.
    #[serde(rename = "where")]
    #[schemars(extend("format" = "condition"))]
    pub condition: Option<String>,
    /// Write only these columns.
    pub columns: Option<Vec<String>>,
    /// How to treat a dataset that several collections contain. Default: `drop`.
    pub duplicates: Option<Duplicates>,
    /// How to treat datasets that have the same data ID but are in different collections. With `true`, the stage reads
    /// only the dataset in the first of these collections. With `false`, the stage reads all these datasets. Default:
    /// `false`.
    pub find_first: Option<bool>,
    /// How to treat datasets that the repository lists but the stage cannot read. Default: `error`.
    pub on_missing: Option<OnMissingDataset>,
    /// Whether the stage copies the datasets that have not changed from its last output. The output is the same with `true`
    /// and `false`. Default: `true`.
    #[serde(skip_serializing_if = "no_parameter")]
    pub incremental: Option<bool>,
    /// Compression of the output.
    pub compression: Option<Compression>,
    /// You can write this key, but its value has no effect. The output of an extract always has the encoding `plain`.
    #[serde(skip_serializing_if = "no_parameter")]
    pub encodings: Option<Encodings>,
}

/// One text or a list of them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, in order.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// Writes only the rows whose id is in another file, the file of ids.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// The file of ids. Write the name of a stage, or the path of a Parquet file.
    pub ids: InputRef,
    /// The column of the ids in the file of ids: integers, or texts such as `42` and `LSST-DP1-42`.
    pub column: String,
    /// The column of the ids in the datasets. Default: `diaSourceId`.
    pub target: Option<String>,
}

/// How to treat a dataset that several collections contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// Write the rows of the dataset once for each of these collections.
    Keep,
    /// Write the rows of the dataset once.
    #[default]
    Drop,
}

/// How to treat datasets that are registered but cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingDataset {
    /// The stage fails and writes no output. The error message lists these datasets.
    #[default]
    Error,
    /// The stage lists these datasets, and writes the output without these datasets.
    Skip,
}

/// The dataset type, unless another is named.
pub const DEFAULT_DATASET_TYPE: &str = "dia_source_visit";
/// The column that ids are compared with, unless another is named.
pub const DEFAULT_TARGET: &str = "diaSourceId";

/// What to extract.
#[derive(Clone, Debug)]
pub struct Extract {
    selection: Selection,
    columns: Option<Vec<String>>,
    filter: Option<FilterSpec>,
    on_missing: OnMissingDataset,
    incremental: bool,
    compression: Compression,
}

/// An extract with all that it works on.
#[derive(Clone, Copy)]
pub struct Extraction<'a> {
    /// What to extract.
    pub extract: &'a Extract,
    /// The datasets of its plan.
    pub datasets: &'a [Dataset],
    /// Where they are.
    pub repository: &'a Repository,
    /// The file of ids that the extract's filter names.
    pub ids: Option<&'a Path>,
    /// How many datasets are read at once (and are in memory).
    pub jobs: NonZeroUsize,
    /// The file that the output is to become. The output is sealed beside it, not published.
    pub target: &'a Path,
    /// Shows its progress and stops it.
    pub monitor: &'a Monitor,
}

impl Spec for ExtractSpec {
    const NAME: &'static str = "extract";
    const ABOUT: &'static str = "Extracts datasets of a Butler repository to one Parquet file.";
    const VERSION: u32 = 1;
    const READS: Reads = Reads::Repository;
    type Work = Extract;

    fn facts(figures: &Map<String, Value>) -> Vec<Fact> {
        let collection = figures.get("collection").and_then(Value::as_str);
        let number = |name: &str| figures.get(name).and_then(Value::as_u64).map(thousands);
        let ids = number("ids_found").zip(number("ids")).map(|(found, of)| format!("{found} of {of}"));
        let facts = [("Collection", collection.map(str::to_owned)), ("Ids found", ids)];
        facts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
    }

    fn reused(figures: &Map<String, Value>) -> Option<String> {
        let number = |name: &str| figures.get(name).and_then(Value::as_u64);
        let (read, copied) =
            (number("datasets_read")?, number("datasets_copied").filter(|copied| *copied > 0)?);
        let of = number("datasets")?;
        Some(format!("{} of {} datasets read, {} copied", thousands(read), thousands(of), thousands(copied)))
    }

    fn with_defaults(self, defaults: &Defaults) -> Self {
        // Encodings are plain in any case.
        Self {
            compression: self.compression.or(defaults.compression),
            incremental: self.incremental.or(defaults.incremental),
            ..self
        }
    }

    fn check(&self, problems: &mut Problems) -> Option<Extract> {
        let collections = self.collection.to_vec();
        if collections.is_empty() {
            problems.push(&["collection"], "`collection` is empty");
        }
        if let Err(message) = check_names(self.columns.as_deref().unwrap_or_default()) {
            problems.push(&["columns"], message);
        }
        Some(Extract {
            selection: Selection {
                collections,
                dataset_type: self.dataset_type.clone().unwrap_or_else(|| DEFAULT_DATASET_TYPE.to_owned()),
                condition: self.condition.clone(),
                find_first: self.find_first.unwrap_or(false),
                keep_duplicates: self.duplicates == Some(Duplicates::Keep),
            },
            columns: self.columns.clone(),
            filter: self.filter.clone(),
            on_missing: self.on_missing.unwrap_or_default(),
            incremental: self.incremental.unwrap_or(true),
            compression: self.compression.unwrap_or_default(),
        })
    }
}

impl Work for Extract {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        let extraction = Extraction {
            extract: self,
            datasets: job.datasets.map(Datasets::list).unwrap_or_default(),
            repository: job.sources.repository()?,
            ids: job.input("filter.ids"),
            jobs: job.threads,
            target: job.target,
            monitor: job.monitor,
        };
        Ok(extraction.run_with_last(job.last)?)
    }

    fn compares(&self) -> Option<&'static str> {
        self.incremental.then_some("datasets that have not changed are copied")
    }

    fn not_incremental(&self, _: &Sources) -> Result<Option<String>, super::Error> {
        Ok((!self.incremental).then(|| "it is switched off".to_owned()))
    }

    fn named_columns(&self) -> Vec<NamedColumn<'_>> {
        let columns = self.filter.iter().map(|filter| &filter.column);
        columns.map(|column| NamedColumn { role: "filter.ids", key: "filter.column", column }).collect()
    }

    fn datasets(&self, repository: &Repository) -> Result<Datasets, super::Error> {
        Ok(plan(self, repository)?.into())
    }
}

/// The datasets that an extract would read, by the registry alone: no file is looked at.
///
/// # Errors
/// All of [`Repository::datasets`].
pub fn plan(extract: &Extract, repository: &Repository) -> Result<Vec<Dataset>, Error> {
    Ok(repository.datasets(&extract.selection)?)
}

/// Checks the names of the columns that are asked for.
fn check_names(columns: &[String]) -> Result<(), String> {
    for (index, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err("`columns` has an empty name".to_owned());
        }
        if columns[..index].contains(name) {
            return Err(format!("`columns` names column `{name}` twice"));
        }
    }
    Ok(())
}

/// Extracts the datasets of a plan: [`Extraction::run_with_last`] with nothing to copy from and nothing remembered. `ids` is
/// the file of ids that the extract's filter names, `jobs` how many datasets are read at once (and are in memory). The output
/// is sealed beside `target`, not published.
///
/// # Errors
/// As of [`Extraction::run_with_last`].
pub fn run(
    extract: &Extract,
    datasets: &[Dataset],
    repository: &Repository,
    ids: Option<&Path>,
    jobs: NonZeroUsize,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    Extraction { extract, datasets, repository, ids, jobs, target, monitor }.run(None, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_said_if_anything_was() {
        let said = |read: u64, of: u64, copied: u64| {
            let figures = [("datasets", of), ("datasets_read", read), ("datasets_copied", copied)];
            ExtractSpec::reused(
                &figures.map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().collect(),
            )
        };
        assert_eq!(said(10, 1000, 990).as_deref(), Some("10 of 1,000 datasets read, 990 copied"));
        assert_eq!((said(10, 10, 0), ExtractSpec::reused(&Map::new())), (None, None));
    }
}
