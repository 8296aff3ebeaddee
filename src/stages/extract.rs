//! The kind `extract`: datasets of a Butler repository to one Parquet file, a row group for each dataset with rows.
//!
//! Which datasets there are is settled before any file is read; then their files are checked, and only if all can be read
//! (or those that cannot are to be left out) is anything written.

mod error;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::Fields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::error::Error;
use super::kind::no_parameter;
use super::{
    Datasets, Defaults, Fact, InputRef, Job, NamedColumn, Problems, Product, Reads, Spec, Work, names,
};
use crate::butler::columns::Columns;
use crate::butler::ids::IdSet;
use crate::butler::metadata::Metadata;
use crate::butler::ordered::in_order;
use crate::butler::reader::{Filter, Reader, Rows};
use crate::butler::{Dataset, Problem, Repository, Selection};
use crate::durable::is_same_file;
use crate::lookup::{FEW, Lookup, examples};
use crate::monitor::Monitor;
use crate::parquet::write::{Compression, Encodings, SealedTable, by_groups};
use crate::quantity::thousands;
use crate::threads::compute;

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
    /// The column of the ids in the file of ids.
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
    compression: Compression,
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
            compression: self.compression.unwrap_or_default(),
        })
    }
}

impl Work for Extract {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        let repository = job.sources.repository()?;
        let datasets = job.datasets.map(Datasets::list).unwrap_or_default();
        Ok(run(self, datasets, repository, job.input("filter.ids"), job.threads, job.target, job.monitor)?)
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

/// Extracts the datasets of a plan. `ids` is the file of ids that the extract's filter names, `jobs` how many datasets are
/// read at once (and are in memory). The output is sealed beside `target`, not published.
///
/// # Errors
/// [`Error::Replaces`] before anything is read; [`Error::Unreadable`] with all datasets that cannot be read, unless they
/// are to be left out; [`Error::Stopped`] soon after the monitor says so; all that reading and writing may return. Nothing
/// is left behind.
pub fn run(
    extract: &Extract,
    datasets: &[Dataset],
    repository: &Repository,
    ids: Option<&Path>,
    jobs: NonZeroUsize,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    refuse_to_replace(target, datasets, repository, ids)?;
    let filter = match (&extract.filter, ids) {
        (None, None) => None,
        (Some(filter), Some(path)) => Some(Filter {
            ids: Arc::new(compute(|| IdSet::read(path, &filter.column))?),
            target: filter.target.clone().unwrap_or_else(|| DEFAULT_TARGET.to_owned()),
        }),
        _ => return Err(Error::NoIds),
    };
    let reader = Reader::new(repository);
    let survey = survey(extract, datasets, &reader, filter.as_ref(), jobs, monitor)?;
    let columns = Columns::unify(&survey.inputs(), extract.columns.as_deref())?;
    monitor.expect(survey.readable.iter().map(|found| found.rows).sum());
    let written =
        write(extract, &survey.readable, &columns, &reader, filter.as_ref(), jobs, target, monitor)?;

    let mut figures = Map::new();
    let mut figure = |name: &str, value: u64| {
        figures.insert(name.to_owned(), Value::from(value));
    };
    figure("datasets", datasets.len() as u64);
    figure("datasets_with_rows", written.with_rows);
    figure("datasets_skipped", survey.skipped.len() as u64);
    figure("rows_read", written.read);
    figure("rows_written", written.table.rows);
    if let Some(filter) = &filter {
        figure("ids", filter.ids.len() as u64);
        figure("ids_found", filter.ids.found());
    }
    figures.insert("collection".to_owned(), extract.selection.collections.join(", ").into());
    let mut lookups = vec![Lookup {
        sought: "datasets".to_owned(),
        are: "stored where they can be read".to_owned(),
        found: survey.readable.len() as u64,
        of: datasets.len() as u64,
        ..Lookup::default()
    }];
    if let (Some(filter), Some(path)) = (&filter, ids) {
        lookups.push(ids_found(filter, path, &survey.readable, &reader));
    }
    let mut warnings = survey.skipped;
    warnings.extend(columns.warnings());
    warnings.extend(names::alike(columns.schema(), "leave out all but one with `columns`"));
    Ok(Product { files: vec![written.table], figures, warnings, lookups, ..Product::default() })
}

/// How many of the ids are in the datasets; if some are not, with values of the column of the first dataset with rows.
fn ids_found(filter: &Filter, ids: &Path, readable: &[Readable<'_>], reader: &Reader<'_>) -> Lookup {
    let (found, of) = (filter.ids.found(), filter.ids.len() as u64);
    let with_rows = readable.iter().find(|dataset| dataset.rows > 0 && found < of);
    Lookup {
        sought: format!("ids in `{}`", ids.display()),
        are: format!("in column `{}` of the datasets", filter.target),
        found,
        of,
        missing: filter.ids.missing(FEW).iter().map(i64::to_string).collect(),
        holder: "that column",
        there: with_rows
            .map(|first| examples(reader.values(first.dataset, &filter.target)))
            .unwrap_or_default(),
        ..Lookup::default()
    }
}

/// The output must not be a file that is read, whatever the names and links by which both are known.
fn refuse_to_replace(
    target: &Path,
    datasets: &[Dataset],
    repository: &Repository,
    ids: Option<&Path>,
) -> Result<(), Error> {
    if !target.exists() {
        return Ok(());
    }
    let is_output = |path: &Path| is_same_file(path, target);
    let refused = |what: String| Err(Error::Replaces { path: target.to_owned(), what });
    if ids.is_some_and(is_output) {
        return refused("the file of ids".to_owned());
    }
    for dataset in datasets {
        // Datasets elsewhere are told of when they are to be read.
        let places = repository.locate(dataset).unwrap_or_default();
        if places.iter().any(|place| is_output(&place.path)) {
            return refused(format!("the file of dataset {dataset}"));
        }
    }
    Ok(())
}

/// A dataset that can be read.
struct Readable<'a> {
    dataset: &'a Dataset,
    fields: Fields,
    rows: u64,
    metadata: Vec<(String, String)>,
}

/// What the files of all datasets turned out to be.
struct Survey<'a> {
    readable: Vec<Readable<'a>>,
    /// A line for each dataset that is left out.
    skipped: Vec<String>,
}

impl<'a> Survey<'a> {
    /// The datasets that have a say in the columns: those with rows, if there are any.
    fn inputs(&self) -> Vec<(&'a Dataset, Fields)> {
        let any = self.readable.iter().any(|found| found.rows > 0);
        let inputs = self.readable.iter().filter(|found| found.rows > 0 || !any);
        inputs.map(|found| (found.dataset, found.fields.clone())).collect()
    }
}

/// The different sets of columns that were met: of thousands of files nearly all have the same.
#[derive(Default)]
struct Distinct(Vec<Fields>);

impl Distinct {
    fn one(&mut self, fields: &Fields) -> Fields {
        if let Some(known) = self.0.iter().find(|known| *known == fields) {
            return known.clone();
        }
        self.0.push(fields.clone());
        fields.clone()
    }
}

/// Opens every file and reads its footer.
fn survey<'a>(
    extract: &Extract,
    datasets: &'a [Dataset],
    reader: &Reader,
    filter: Option<&Filter>,
    jobs: NonZeroUsize,
    monitor: &Monitor,
) -> Result<Survey<'a>, Error> {
    let mut readable: Vec<Readable> = Vec::new();
    let mut problems = Vec::new();
    let mut distinct = Distinct::default();
    let open = |index: usize| {
        if monitor.is_stopped() {
            return Err(Error::Stopped);
        }
        Ok(reader.open(&datasets[index])?.map(|table| {
            let metadata = table.metadata().map(|(key, value)| (key.to_owned(), value.to_owned()));
            (table.schema().clone(), table.rows(), if index == 0 { metadata.collect() } else { Vec::new() })
        }))
    };
    in_order(datasets.len(), jobs, open, |index, found: Result<_, Problem>| {
        let dataset = &datasets[index];
        match found {
            Err(problem) => problems.push(format!("{dataset}: {problem}")),
            Ok((schema, rows, metadata)) => {
                if let Some(filter) = filter {
                    filter.check(dataset, &schema)?;
                }
                let fields = distinct.one(schema.fields());
                readable.push(Readable { dataset, fields, rows, metadata });
            }
        }
        Ok(())
    })?;
    let skip = extract.on_missing == OnMissingDataset::Skip && !readable.is_empty();
    if !problems.is_empty() && !skip {
        return Err(Error::Unreadable { total: datasets.len(), problems });
    }
    if readable.is_empty() {
        let condition = extract.selection.condition.as_ref();
        return Err(Error::NoDatasets {
            dataset_type: extract.selection.dataset_type.clone(),
            collections: extract.selection.collections.join("`, `"),
            condition: condition.map(|condition| format!(" where {condition}")).unwrap_or_default(),
        });
    }
    Ok(Survey { readable, skipped: problems })
}

struct Written {
    table: SealedTable,
    read: u64,
    with_rows: u64,
}

#[expect(clippy::too_many_arguments, reason = "all that an extract is made of, in one place")]
fn write(
    extract: &Extract,
    datasets: &[Readable],
    columns: &Columns,
    reader: &Reader,
    filter: Option<&Filter>,
    jobs: NonZeroUsize,
    target: &Path,
    monitor: &Monitor,
) -> Result<Written, Error> {
    let (encoder, mut writer) = by_groups(target, columns.schema(), extract.compression)?;
    let mut metadata = Metadata::default();
    let (mut read, mut with_rows) = (0, 0);
    let encoded = |index: usize| {
        if monitor.is_stopped() {
            return Err(Error::Stopped);
        }
        let rows = reader.read(datasets[index].dataset, columns, filter)?;
        let group = encoder.encode(&rows.batches)?;
        Ok((group, Rows { batches: Vec::new(), ..rows }))
    };
    in_order(datasets.len(), jobs, encoded, |_, (group, rows)| {
        if group.rows() > 0 {
            writer.append(group)?;
            metadata.add(&rows.metadata);
            with_rows += 1;
        }
        read += rows.read;
        monitor.advance(rows.read, rows.bytes);
        Ok::<_, Error>(())
    })?;
    if with_rows == 0 {
        metadata.add(&datasets[0].metadata);
    }
    for (key, value) in metadata.of(columns.schema(), writer.rows()) {
        writer.add_metadata(key, value);
    }
    Ok(Written { table: writer.seal()?, read, with_rows })
}
