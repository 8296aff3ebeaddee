//! The rows of datasets: the file found and checked, then only the rows and columns that are wanted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::display::array_value_to_string;
use arrow_schema::Schema;

use super::collections::near;
use super::columns::Columns;
use super::dataset::Dataset;
use super::error::Error;
use super::ids::IdSet;
use super::locate::Location;
use super::problem::Problem;
use super::repository::Repository;
use super::zip::{Member, ZipFiles};
use crate::parquet::read::TableReader;
use crate::parquet::source::Section;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 65_536;
/// Values of which some are to differ.
const MOST_EXAMPLES: usize = 1_024;

/// Only rows whose `target` is among the ids.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The ids.
    pub ids: Arc<IdSet>,
    /// The column that is compared with them.
    pub target: String,
}

impl Filter {
    /// Checks that a dataset's rows can be compared with the ids.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::IdType`].
    pub fn check(&self, dataset: &Dataset, schema: &Schema) -> Result<(), Error> {
        let Ok(field) = schema.field_with_name(&self.target) else {
            let names = near(&self.target, schema.fields().iter().map(|field| field.name().as_str()));
            return Err(Error::NoTarget { dataset: dataset.to_string(), column: self.target.clone(), names });
        };
        if IdSet::can_match(field.data_type()) {
            return Ok(());
        }
        Err(Error::IdType {
            origin: format!("dataset {dataset}"),
            column: self.target.clone(),
            found: field.data_type().to_string(),
            texts: false,
        })
    }
}

/// The rows of one dataset.
pub struct Rows {
    /// The rows, in the order of the file.
    pub batches: Vec<RecordBatch>,
    /// How many the file has.
    pub read: u64,
    /// The size of the file.
    pub bytes: u64,
    /// The file's own pairs of key and value.
    pub metadata: Vec<(String, String)>,
}

/// Reads datasets of one repository; threads may share it.
pub struct Reader<'a> {
    repository: &'a Repository,
    zips: ZipFiles,
}

impl<'a> Reader<'a> {
    /// A reader of a repository's datasets.
    #[must_use]
    pub fn new(repository: &'a Repository) -> Self {
        Self { repository, zips: ZipFiles::default() }
    }

    /// Opens a dataset's file, or says why that cannot be done: the first of its datastores that has the file.
    ///
    /// # Errors
    /// [`Error::Remote`].
    pub fn open(&self, dataset: &Dataset) -> Result<Result<TableReader, Problem>, Error> {
        let mut problem = Problem::NotStored;
        for location in self.repository.locate(dataset)? {
            match self.open_at(&location) {
                // As Butler: only a file that is not there makes it try the next datastore.
                Err(missing @ Problem::Missing(_)) => {
                    if matches!(problem, Problem::NotStored) {
                        problem = missing;
                    }
                }
                found => return Ok(found),
            }
        }
        Ok(Err(problem))
    }

    fn open_at(&self, location: &Location) -> Result<TableReader, Problem> {
        let path = &location.path;
        let section = Section::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Problem::Missing(path.clone()),
            _ => Problem::Open { path: path.clone(), source },
        })?;
        let sized = |name: &PathBuf, found: u64| match location.size {
            Some(recorded) if recorded != found => Err(Problem::Size { path: name.clone(), recorded, found }),
            _ => Ok(()),
        };
        let table = match &location.member {
            None => {
                sized(path, section.length())?;
                TableReader::from_section(path, section)
            }
            Some(name) => {
                let (member, size) = self
                    .zips
                    .member(path, &section, name)
                    .map_err(|source| Problem::Zip { path: path.clone(), member: name.clone(), source })?;
                let label = PathBuf::from(format!("{}#{name}", path.display()));
                sized(&label, size)?;
                match member {
                    Member::Stored(section) => TableReader::from_section(&label, section),
                    Member::Inflated(bytes) => TableReader::from_bytes(&label, bytes),
                }
            }
        };
        table.map_err(|source| Problem::NotParquet { formatter: location.formatter.clone(), source })
    }

    /// Reads a dataset's rows.
    ///
    /// # Errors
    /// [`Error::Changed`] if it could be opened before and now cannot; [`Error::Rows`] if its file is damaged;
    /// [`Error::Adapt`] for a value that does not fit its column.
    pub fn read(&self, dataset: &Dataset, columns: &Columns, filter: Option<&Filter>) -> Result<Rows, Error> {
        let table = self
            .open(dataset)?
            .map_err(|problem| Error::Changed { dataset: dataset.to_string(), problem: Box::new(problem) })?;
        let failed = |source| Error::Rows { dataset: dataset.to_string(), source };
        let names = columns.names_in(table.schema());
        let mut batches = Vec::new();
        let mut keep = |batch: RecordBatch| {
            if batch.num_rows() > 0 {
                let adapted = columns.adapt(&batch);
                batches
                    .push(adapted.map_err(|source| Error::Adapt { dataset: dataset.to_string(), source })?);
            }
            Ok::<_, Error>(())
        };
        match filter {
            None => {
                for batch in table.batches(&names, None, BATCH_ROWS).map_err(failed)? {
                    keep(batch.map_err(failed)?)?;
                }
            }
            Some(filter) => {
                let groups = row_groups(&table, filter);
                let ids = filter.ids.clone();
                let matches = Box::new(move |column: &_| ids.matches(column));
                let rows = table.batches_where(&names, Some(groups), BATCH_ROWS, &filter.target, matches);
                for batch in rows.map_err(failed)? {
                    keep(batch.map_err(failed)?)?;
                }
            }
        }
        let metadata = table.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Rows { batches, read: table.rows(), bytes: table.bytes(), metadata })
    }

    /// Some of the first values of a column, as text, as examples: none if they cannot be read.
    #[must_use]
    pub fn values(&self, dataset: &Dataset, column: &str) -> Vec<String> {
        let first = || {
            let table = self.open(dataset).ok()?.ok()?;
            table.batches(&[column], None, MOST_EXAMPLES).ok()?.next()?.ok()
        };
        let Some(batch) = first() else { return Vec::new() };
        let values = (0..batch.num_rows()).map(|row| array_value_to_string(batch.column(0), row));
        values.map_while(Result::ok).collect()
    }
}

/// The row groups that may hold one of the ids.
fn row_groups(table: &TableReader, filter: &Filter) -> Vec<usize> {
    let may = |group: &usize| match table.integer_bounds(&filter.target, *group) {
        Some((low, high)) => filter.ids.any_between(low, high),
        None => true,
    };
    (0..table.row_groups()).filter(may).collect()
}
