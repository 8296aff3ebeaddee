//! The rows of datasets: the file found and checked, then only the rows and columns that are wanted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_cast::display::array_value_to_string;
use arrow_schema::Fields;

use super::collections::near;
use super::columns::Columns;
use super::dataset::Dataset;
use super::error::{Error, Problem};
use super::files::{Files, Opened, Stored};
use super::ids::IdSet;
use super::repository::Repository;
use crate::monitor::Monitor;
use crate::parquet::Admit;
use crate::parquet::read::{Keep, TableReader};
use crate::threads::compute;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 65_536;
/// Ids between the smallest and the largest of a file from which on rows that match are expected in it.
const MANY: usize = 8;
/// Values that are read to find a few that differ.
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
    /// Keeps the rows with one of the ids; collects the ids that they have.
    fn keep(&self, collected: &Arc<Mutex<Vec<i64>>>) -> Keep {
        let (wanted, collected) = (self.ids.clone(), self.collects.then(|| Arc::clone(collected)));
        Box::new(move |column: &_| match &collected {
            None => wanted.matches(column),
            Some(ids) => {
                let mut ids = lock(ids);
                wanted.matches_with(column, |id| ids.push(id))
            }
        })
    }

    /// Checks that a dataset's rows can be compared with the ids.
    pub(crate) fn check(&self, dataset: &Dataset, fields: &Fields) -> Result<(), Error> {
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

/// What is wanted of a dataset.
pub(crate) struct Wanted<'a> {
    pub columns: &'a Columns,
    pub filter: Option<&'a Filter>,
    /// If the ids of the rows are these, sorted, each once, only the filter's column is read. The filter must collect them.
    pub known: Option<&'a [i64]>,
    /// Is asked before rows are fetched from a store.
    pub admit: Option<Admit>,
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
    /// Which version of it a store had.
    pub version: Option<String>,
    /// The ids that the rows have, sorted, each once: with a filter that collects them.
    pub ids: Vec<i64>,
    /// Two numbers between which all values of the filter's column lie, both included, if the file says so.
    pub span: Option<(i128, i128)>,
}

/// Reads datasets of one repository; threads may share it.
pub struct Reader<'a>(Files<'a>);

impl<'a> Reader<'a> {
    /// A reader of a repository's datasets, which asks stores no more once the monitor is stopped.
    #[must_use]
    pub fn new(repository: &'a Repository, monitor: &Monitor) -> Self {
        Self(Files::new(repository, monitor))
    }

    /// Opens a dataset's file, or says why that cannot be done: the first of its datastores that has the file.
    ///
    /// # Errors
    /// [`Error::Remote`]; [`Error::Store`] or [`Error::Rows`] if a store cannot be reached or does not let us.
    pub fn open(&self, dataset: &Dataset) -> Result<Result<TableReader, Problem>, Error> {
        Ok(self.0.open_first(dataset)?.map(|opened| opened.table))
    }

    /// Finds the file that [`Self::open`] would open, and checks its size, without opening it (but for the table of contents of
    /// a zip file); `None` if opening it would fail, or a store does not tell versions apart.
    pub(crate) fn find(&self, dataset: &Dataset) -> Option<Stored> {
        self.0.find(dataset)
    }

    /// Does something with a dataset's file: on this thread if that must wait for a store, else in the pool.
    pub(crate) fn attend<T: Send>(&self, dataset: &Dataset, work: impl FnOnce() -> T + Send) -> T {
        self.0.attend(dataset, work)
    }

    /// Reads a dataset's rows.
    ///
    /// # Errors
    /// [`Error::Changed`] if it could be opened before and now cannot; [`Error::Rows`] if its file is damaged;
    /// [`Error::Adapt`] for a value that does not fit its column.
    pub fn read(&self, dataset: &Dataset, columns: &Columns, filter: Option<&Filter>) -> Result<Rows, Error> {
        self.read_unless(dataset, &Wanted { columns, filter, known: None, admit: None })
    }

    /// As [`Self::read`], of what is wanted.
    pub(crate) fn read_unless(&self, dataset: &Dataset, wanted: &Wanted<'_>) -> Result<Rows, Error> {
        let Wanted { columns, filter, known, .. } = *wanted;
        let Opened { place, mut table, version } = self
            .0
            .open_first(dataset)?
            .map_err(|problem| Error::Changed { dataset: dataset.to_string(), problem: Box::new(problem) })?;
        if let Some(admit) = &wanted.admit {
            table = table.admitted(Arc::clone(admit));
        }
        let expects = filter.is_some_and(|filter| expects_rows(&table, filter));
        table = table.expecting(expects);
        let failed = |source| Error::Rows { dataset: dataset.to_string(), source };
        let names = columns.names_in(table.schema());
        let mut batches = Vec::new();
        let mut keep = |batch: RecordBatch| {
            if batch.num_rows() > 0 {
                let adapted = compute(|| columns.adapt(&batch));
                batches
                    .push(adapted.map_err(|source| Error::Adapt { dataset: dataset.to_string(), source })?);
            }
            Ok::<_, Error>(())
        };
        let ids = Arc::new(Mutex::new(Vec::new()));
        let mut unchanged = false;
        match filter {
            None => {
                for batch in table.batches(&names, None, BATCH_ROWS).map_err(failed)? {
                    keep(batch.map_err(failed)?)?;
                }
            }
            Some(filter) => {
                let rows = |names: &[&str]| {
                    let keep = filter.keep(&ids);
                    let groups = row_groups(&table, filter);
                    table.batches_where(names, Some(groups), BATCH_ROWS, &filter.target, keep).map_err(failed)
                };
                // Of a file of this machine the filter's column is read before the first rows are asked for.
                if table.is_remote() && known.is_some() {
                    for batch in rows(&[])? {
                        batch.map_err(failed)?;
                    }
                    unchanged = known.is_some_and(|known| known == distinct(&ids));
                    lock(&ids).clear();
                }
                if !unchanged {
                    let rows = rows(&names)?;
                    unchanged = known.is_some_and(|known| !table.is_remote() && known == distinct(&ids));
                    for batch in rows.take_while(|_| !unchanged) {
                        keep(batch.map_err(failed)?)?;
                    }
                }
            }
        }
        let metadata = table.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let span = filter.and_then(|filter| span(&table, &filter.target));
        let (ids, read, bytes) = (distinct(&ids), table.rows(), table.bytes());
        Ok(Rows { batches, read, unchanged, bytes, metadata, place, version, ids, span })
    }

    /// Some of the first values of a column, as text, as examples: none if they cannot be read.
    pub(crate) fn values(&self, dataset: &Dataset, column: &str) -> Vec<String> {
        let first = || {
            let table = self.open(dataset).ok()?.ok()?;
            table.batches(&[column], None, MOST_EXAMPLES).ok()?.next()?.ok()
        };
        let Some(batch) = first() else { return Vec::new() };
        let values = (0..batch.num_rows()).map(|row| array_value_to_string(batch.column(0), row));
        values.map_while(Result::ok).collect()
    }
}

fn lock(ids: &Mutex<Vec<i64>>) -> MutexGuard<'_, Vec<i64>> {
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ids so far, sorted, each once.
fn distinct(ids: &Mutex<Vec<i64>>) -> Vec<i64> {
    let mut ids = lock(ids);
    ids.sort_unstable();
    ids.dedup();
    ids.clone()
}

/// Whether any row of a file has one of the ids, or may have: only the target is read, and that it cannot be is for those
/// to say who read all.
pub(crate) fn may_hold(table: &TableReader, filter: &Filter) -> bool {
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

/// Whether enough ids lie between the smallest and the largest of a file, so that some are probably in it.
fn expects_rows(table: &TableReader, filter: &Filter) -> bool {
    let within = |group| match table.integer_bounds(&filter.target, group) {
        Some((low, high)) => filter.ids.count_between(low, high),
        None => 0,
    };
    (0..table.row_groups()).map(within).sum::<usize>() >= MANY
}

/// The row groups that may hold one of the ids.
fn row_groups(table: &TableReader, filter: &Filter) -> Vec<usize> {
    let may = |group: &usize| match table.integer_bounds(&filter.target, *group) {
        Some((low, high)) => filter.ids.any_between(low, high),
        None => true,
    };
    (0..table.row_groups()).filter(may).collect()
}
