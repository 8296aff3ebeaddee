//! The rows of datasets: the file found and checked, then only the rows and columns that are wanted.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_cast::display::array_value_to_string;
use arrow_schema::Fields;

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
    /// Whether [`Rows::ids`] are wanted.
    pub collects: bool,
}

impl Filter {
    /// Checks that a dataset's rows can be compared with the ids.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::IdType`].
    pub fn check(&self, dataset: &Dataset, fields: &Fields) -> Result<(), Error> {
        let Some((_, field)) = fields.find(&self.target) else {
            let names = near(&self.target, fields.iter().map(|field| field.name().as_str()));
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
    /// Whether they are not here, since they have the ids that were known.
    pub unchanged: bool,
    /// The size of the file.
    pub bytes: u64,
    /// The file's own pairs of key and value.
    pub metadata: Vec<(String, String)>,
    /// Which of the places of the dataset the file is at.
    pub place: usize,
    /// The ids that the rows have, sorted, each once: with a filter that collects them.
    pub ids: Vec<i64>,
    /// Two numbers between which all values of the filter's column lie, both included, if the file says so.
    pub span: Option<(i128, i128)>,
}

/// A file that was found and not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which of the places of the dataset it is at.
    pub place: usize,
    /// Its size.
    pub bytes: u64,
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
        Ok(self.open_first(dataset)?.map(|(_, table)| table))
    }

    /// Finds the file that [`Self::open`] would open, and checks its size, without opening it (but for the table of contents of
    /// a zip file); `None` if opening it would fail.
    #[must_use]
    pub fn find(&self, dataset: &Dataset) -> Option<Stored> {
        for (place, location) in self.repository.locate(dataset).ok()?.into_iter().enumerate() {
            let found = match fs::metadata(&location.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found.ok().filter(fs::Metadata::is_file)?,
            };
            let bytes = match &location.member {
                None => found.len(),
                Some(name) => self.zips.size(&location.path, name).ok()?,
            };
            let is_sound = location.size.is_none_or(|recorded| recorded == bytes);
            return is_sound.then_some(Stored { place, bytes });
        }
        None
    }

    fn open_first(&self, dataset: &Dataset) -> Result<Result<(usize, TableReader), Problem>, Error> {
        let mut problem = Problem::NotStored;
        for (place, location) in self.repository.locate(dataset)?.into_iter().enumerate() {
            match self.open_at(&location) {
                // As Butler: only a file that is not there makes it try the next datastore.
                Err(missing @ Problem::Missing(_)) => {
                    if matches!(problem, Problem::NotStored) {
                        problem = missing;
                    }
                }
                found => return Ok(found.map(|table| (place, table))),
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
        self.read_unless(dataset, columns, filter, None)
    }

    /// As [`Self::read`]; if the ids of the rows are those that are known, sorted, each once, only the filter's column is read.
    /// The filter must collect them.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub fn read_unless(
        &self,
        dataset: &Dataset,
        columns: &Columns,
        filter: Option<&Filter>,
        known: Option<&[i64]>,
    ) -> Result<Rows, Error> {
        let (place, table) = self
            .open_first(dataset)?
            .map_err(|problem| Error::Changed { dataset: dataset.to_string(), problem: Box::new(problem) })?;
        let failed = |source| Error::Rows { dataset: dataset.to_string(), source };
        let names = columns.names_in(table.schema());
        let (mut batches, mut unchanged) = (Vec::new(), false);
        let mut keep = |batch: RecordBatch| {
            if batch.num_rows() > 0 {
                let adapted = columns.adapt(&batch);
                batches
                    .push(adapted.map_err(|source| Error::Adapt { dataset: dataset.to_string(), source })?);
            }
            Ok::<_, Error>(())
        };
        let ids = Arc::new(Mutex::new(Vec::new()));
        match filter {
            None => {
                for batch in table.batches(&names, None, BATCH_ROWS).map_err(failed)? {
                    keep(batch.map_err(failed)?)?;
                }
            }
            Some(filter) => {
                let groups = row_groups(&table, filter);
                let (wanted, collected) = (filter.ids.clone(), filter.collects.then(|| Arc::clone(&ids)));
                let matches = Box::new(move |column: &_| match &collected {
                    None => wanted.matches(column),
                    Some(ids) => {
                        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
                        wanted.matches_with(column, |id| ids.push(id))
                    }
                });
                let rows = table.batches_where(&names, Some(groups), BATCH_ROWS, &filter.target, matches);
                let rows = rows.map_err(failed)?;
                // The filter's column has been read, and no other yet.
                unchanged = known.is_some_and(|known| known == distinct(&ids));
                for batch in rows.take_while(|_| !unchanged) {
                    keep(batch.map_err(failed)?)?;
                }
            }
        }
        let metadata = table.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let span = filter.and_then(|filter| span(&table, &filter.target));
        let ids = distinct(&ids);
        Ok(Rows { batches, read: table.rows(), unchanged, bytes: table.bytes(), metadata, place, ids, span })
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

/// The ids so far, sorted, each once.
fn distinct(ids: &Mutex<Vec<i64>>) -> Vec<i64> {
    let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
    ids.sort_unstable();
    ids.dedup();
    ids.clone()
}

/// Whether any row of a file has one of the ids, or may have: only the target is read, and that it cannot be is for those
/// to say who read all.
#[must_use]
pub fn may_hold(table: &TableReader, filter: &Filter) -> bool {
    let Ok(batches) = table.batches(&[&filter.target], Some(row_groups(table, filter)), BATCH_ROWS) else {
        return true;
    };
    for batch in batches {
        let found = batch.ok().and_then(|batch| filter.ids.matches(batch.column(0)).ok());
        if found.is_none_or(|found| found.true_count() > 0) {
            return true;
        }
    }
    false
}

/// Two numbers between which all values of an integer column lie, both included, if the file says so; of a file without
/// rows, two between which there is none.
fn span(table: &TableReader, column: &str) -> Option<(i128, i128)> {
    let mut span = None;
    for group in (0..table.row_groups()).filter(|group| table.rows_of(*group) > 0) {
        let (low, high) = table.integer_bounds(column, group)?;
        span = Some(span.map_or((low, high), |(from, to)| (low.min(from), high.max(to))));
    }
    Some(span.unwrap_or((1, 0)))
}

/// The row groups that may hold one of the ids.
fn row_groups(table: &TableReader, filter: &Filter) -> Vec<usize> {
    let may = |group: &usize| match table.integer_bounds(&filter.target, *group) {
        Some((low, high)) => filter.ids.any_between(low, high),
        None => true,
    };
    (0..table.row_groups()).filter(may).collect()
}
