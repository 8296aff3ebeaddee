//! What a kind of stage is to the rest of the program. Not a place for what one kind does.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::Error;
use super::figures::{self, ObjectChanges, TableFigures};
use super::job::{Job, Product, Prospect};
use super::sources::{Datasets, Sources};
use crate::butler::Repository;
use crate::errors::{Class, Classified};
use crate::parquet::write::{Compression, Encodings};
use crate::postgres::{Evidence, Reader};
use crate::quantity::Period;
use crate::tables::Slice;

/// A kind of stage: what is known of it before any stage is read.
pub struct Kind {
    /// The key of its part of the pipeline file.
    pub name: &'static str,
    /// What its stages make, in one sentence.
    pub about: &'static str,
    /// The version of its code: raised when the same inputs make other bytes than before.
    pub version: u32,
    /// What its stages read besides their inputs.
    pub reads: Reads,
    /// Whether its stages make a file.
    pub makes_file: bool,
    /// What a row of the file is, in the plural.
    pub rows: &'static str,
    /// The columns that identify a row, where the pipeline file names none.
    pub row_key: &'static [&'static str],
    /// The setting for the number of rows in a part, if its stages can make outputs of parts. It counts only for those.
    pub part_rows: Option<&'static str>,
    /// Counts what the report shows of the file; `None` if it shows nothing.
    pub figures: Option<ReadFigures>,
    /// What the report says at its top of an output, by the figures of the stage.
    pub facts: fn(&Map<String, Value>) -> Vec<Fact>,
    /// What people are told of how much was read and how much was taken from the last output, by the figures of the stage.
    pub reused: fn(&Map<String, Value>) -> Option<String>,
    /// Compares two of its files for the report; `None` if it compares nothing.
    pub changes: Option<ReadChanges>,
    /// The JSON Schema of its part of the file.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    read: fn(Value, &Defaults, &mut Problems) -> Option<Checked>,
}

/// A name and a text, such as `Collection` and the collection.
pub type Fact = (&'static str, String);

/// Counts what the report shows of a file.
pub type ReadFigures = fn(&Path) -> Result<TableFigures, figures::Error>;

/// Compares two files of a table of objects, the old and the new one.
pub type ReadChanges = fn(&Path, &Path) -> Result<ObjectChanges, figures::Error>;

/// What a stage reads besides its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Inputs,
    /// The run's snapshot of the database. All stages that read it are published together.
    Snapshot,
    /// The Butler repository.
    Repository,
}

/// A kind's part of the pipeline file.
pub trait Spec: DeserializeOwned + Serialize + JsonSchema {
    /// See [`Kind::name`].
    const NAME: &'static str;
    /// See [`Kind::about`].
    const ABOUT: &'static str;
    /// See [`Kind::version`].
    const VERSION: u32;
    /// See [`Kind::reads`].
    const READS: Reads = Reads::Inputs;
    /// See [`Kind::makes_file`].
    const MAKES_FILE: bool = true;
    /// See [`Kind::rows`].
    const ROWS: &'static str = "rows";
    /// See [`Kind::row_key`].
    const ROW_KEY: &'static [&'static str] = &[];
    /// See [`Kind::part_rows`].
    const PART_ROWS: Option<&'static str> = None;
    /// See [`Kind::figures`].
    const FIGURES: Option<ReadFigures> = None;
    /// See [`Kind::changes`].
    const CHANGES: Option<ReadChanges> = None;
    /// What its stages do.
    type Work: Work + 'static;

    /// See [`Kind::facts`].
    #[must_use]
    fn facts(_figures: &Map<String, Value>) -> Vec<Fact> {
        Vec::new()
    }

    /// See [`Kind::reused`].
    #[must_use]
    fn reused(_figures: &Map<String, Value>) -> Option<String> {
        None
    }

    /// The same, with the file's defaults where a setting is missing.
    #[must_use]
    fn with_defaults(self, defaults: &Defaults) -> Self;

    /// Checks the settings and takes them. Every problem is pushed; the work is used only if there is none.
    fn check(&self, problems: &mut Problems) -> Option<Self::Work>;

    /// As [`Self::check`], for settings that come from elsewhere than a pipeline file.
    ///
    /// # Errors
    /// All problems.
    fn checked(&self) -> Result<Self::Work, Problems> {
        let mut problems = Problems::default();
        match self.check(&mut problems) {
            Some(work) if problems.list.is_empty() => Ok(work),
            _ => Err(problems),
        }
    }
}

/// What one stage does.
pub trait Work: fmt::Debug + Send + Sync {
    /// Makes the files of the stage, sealed and not published.
    ///
    /// # Errors
    /// Of class [`Stopped`](crate::errors::Class::Stopped) soon after the monitor is stopped.
    fn run(&self, job: &Job<'_>) -> Result<Product, Error>;

    /// How several processes share the work; `None` if one does all of it.
    fn slices(&self) -> Option<&dyn Sliced> {
        None
    }

    /// What the stage depends on besides its settings and inputs, such as the server that the environment names: a name for
    /// people and a value without secrets.
    fn surroundings(&self, _sources: &Sources) -> Option<(&'static str, String)> {
        None
    }

    /// Why the stage runs even if the database is proven unchanged.
    fn must_refresh(&self) -> Option<&'static str> {
        None
    }

    /// A query whose rows change whenever those of the stage do.
    fn watermark(&self) -> Option<&str> {
        None
    }

    /// What tells which parts of the last output are copied; `None` if none ever is.
    fn compares(&self) -> Option<&'static str> {
        None
    }

    /// Why no parts of the last output are ever copied; `None` if they are.
    ///
    /// # Errors
    /// If the database cannot be asked.
    fn not_incremental(&self, _sources: &Sources) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// A table of the database, as it is written in its query, that must not change its form while the stage reads it.
    fn locked_table(&self) -> Option<String> {
        None
    }

    /// The columns that the stage reads from the database, as its output has them. No rows are read.
    ///
    /// # Errors
    /// If the server rejects the query.
    fn columns(&self, _reader: &mut Reader<'_>) -> Result<SchemaRef, Error> {
        Ok(Arc::new(arrow_schema::Schema::empty()))
    }

    /// What the rows of the stage depend on; `certain` is a tree that has no doubt. No rows are read.
    ///
    /// # Errors
    /// If the server rejects the query, or is lost.
    fn evidence(&self, _reader: &mut Reader<'_>, _certain: Option<&str>) -> Result<Evidence, Error> {
        Ok(Evidence {
            tree: None,
            doubt: Some("this kind of stage does not report the dependencies of its rows".to_owned()),
        })
    }

    /// Whether it runs without the inputs whose stages failed. It has the other ones then.
    fn tolerates_missing(&self) -> bool {
        false
    }

    /// What it would do besides making a file, a line each. Only the file system is looked at.
    fn outlook(&self, _prospect: &Prospect<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The columns of its inputs that its part of the file names.
    fn named_columns(&self) -> Vec<NamedColumn<'_>> {
        Vec::new()
    }

    /// The datasets that the stage reads, by the registry alone.
    ///
    /// # Errors
    /// What the repository says.
    fn datasets(&self, _repository: &Repository) -> Result<Datasets, Error> {
        Ok(Datasets::default())
    }
}

/// Work that several processes can share, also on different machines.
pub trait Sliced: Work {
    /// Makes a slice of the output from all inputs, as one sealed file. Its figures are for [`Self::merge`] alone.
    ///
    /// # Errors
    /// Those of [`Work::run`]: what is wrong with the inputs as a whole is the same error for each slice.
    fn run_slice(&self, job: &Job<'_>, slice: Slice) -> Result<Product, Error>;

    /// Makes the output from all slices in their order. The product is that of [`Work::run`], and its files have the same bytes.
    /// It reads no input. The files of the slices are removed, also after an error.
    ///
    /// # Errors
    /// If a slice is missing or is one of other inputs or another number of slices; of class
    /// [`Stopped`](crate::errors::Class::Stopped) soon after the monitor is stopped.
    fn merge(&self, job: &Job<'_>, slices: Vec<Product>) -> Result<Product, Error>;
}

/// A column of an input that the file names.
#[derive(Clone, Copy, Debug)]
pub struct NamedColumn<'a> {
    /// The role of the input.
    pub role: &'static str,
    /// The keys that name the column, with dots between them.
    pub key: &'static str,
    /// The column.
    pub column: &'a str,
}

impl dyn Work + '_ {
    /// What the rows of the stage depend on; a doubt if that cannot be found out.
    #[must_use]
    pub fn evidence_in(&self, sources: &Sources, certain: Option<&str>) -> Evidence {
        let found = sources.reader().and_then(|mut reader| self.evidence(&mut reader, certain));
        found.unwrap_or_else(|error| Evidence { tree: None, doubt: Some(error.to_string()) })
    }
}

/// Default settings for all stages. If a stage has its own value for a setting, this value replaces the default value.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Time limit for each stage. If a stage takes longer, the stage fails.
    pub timeout: Option<Period>,
    /// Maximum number of rows in a row group of an exported file. A row group is a part of a Parquet file. A row group
    /// with fewer rows also ends at about 32 MB. Default: 1,000,000.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    pub row_group_size: Option<u64>,
    /// Compression of the outputs. Default: `zstd`.
    pub compression: Option<Compression>,
    /// Whether exports and extracts copy the parts of the last output that have not changed. The output is the same with
    /// `true` and `false`. Default: `true`.
    pub incremental: Option<bool>,
    /// Encoding of the values in the outputs: the form in which a file stores the values. Default: `compact`.
    pub encodings: Option<Encodings>,
}

/// An input as the file names it: a stage's name, or a path. It is no parameter: its content is in the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "input"), inline)]
pub struct InputRef(pub String);

impl Serialize for InputRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

/// Marks a setting that the output does not depend on, such as a rule on when to run.
pub(super) fn no_parameter<T>(_: &T) -> bool {
    true
}

/// Whether encodings are the usual ones, which no key has.
#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn are_usual(encodings: &Option<Encodings>) -> bool {
    *encodings != Some(Encodings::Plain)
}

/// A stage's part of the pipeline file, checked.
pub struct Checked {
    /// What the stage does.
    pub work: Arc<dyn Work>,
    /// The settings that its output depends on, by name.
    pub parameters: Map<String, Value>,
}

/// What is wrong with the settings of a stage.
#[derive(Debug, Default, thiserror::Error)]
#[error("{}", list.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; "))]
pub struct Problems {
    /// Each problem.
    pub list: Vec<Problem>,
    /// Keys of the stage's part whose values are wrong in themselves, which has been said.
    pub unreadable: Vec<String>,
}

impl Classified for Problems {
    fn class(&self) -> Class {
        Class::Usage
    }
}

/// One problem.
#[derive(Debug)]
pub struct Problem {
    /// The keys that lead to it.
    pub path: Vec<&'static str>,
    /// What it is, and what to do.
    pub message: String,
}

impl Problems {
    /// Adds a problem at the end of a path of keys.
    pub fn push(&mut self, path: &[&'static str], message: impl Into<String>) {
        self.list.push(Problem { path: path.to_vec(), message: message.into() });
    }

    /// Whether a key is in the file: its value may be wrong.
    #[must_use]
    pub fn has<T>(&self, key: &str, value: Option<&T>) -> bool {
        value.is_some() || self.unreadable.iter().any(|unreadable| unreadable == key)
    }
}

impl Kind {
    pub(super) const fn of<S: Spec>() -> Self {
        Self {
            name: S::NAME,
            about: S::ABOUT,
            version: S::VERSION,
            reads: S::READS,
            makes_file: S::MAKES_FILE,
            rows: S::ROWS,
            row_key: S::ROW_KEY,
            part_rows: S::PART_ROWS,
            figures: S::FIGURES,
            facts: S::facts,
            reused: S::reused,
            changes: S::CHANGES,
            schema: |generator| generator.subschema_for::<S>(),
            read: read::<S>,
        }
    }

    /// Reads the part of a stage of this kind. Every problem is pushed.
    pub fn read(&self, part: Value, defaults: &Defaults, problems: &mut Problems) -> Option<Checked> {
        (self.read)(part, defaults, problems)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn read<S: Spec>(part: Value, defaults: &Defaults, problems: &mut Problems) -> Option<Checked> {
    // What does not fit the types has been reported with its place.
    let spec = serde_json::from_value::<S>(part).ok()?.with_defaults(defaults);
    let work = spec.check(problems)?;
    let Ok(Value::Object(parameters)) = serde_json::to_value(spec) else { return None };
    Some(Checked { work: Arc::new(work), parameters })
}
