//! Rows of a database to one Parquet file.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::{Monitor, Product, names, watch};
use crate::parquet;
use crate::parquet::write::{DEFAULT_ROW_GROUP_ROWS, TableWriter, WriteOptions};
use crate::pipeline::spec::{self, DefaultsSpec, Encodings, ExportSpec};
use crate::postgres::sql::{Query, SqlError, TableName};
use crate::postgres::types::Infinity;
use crate::postgres::{
    self, Canceller, Columns, DEFAULT_BLOCK_SIZE, Reader, Snapshot, StreamOptions, TypeOptions, stream,
};
use crate::threads::compute;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The export is not described well.
    #[error("{0}")]
    Spec(String),
    /// The text is not a query.
    #[error("the query cannot be exported")]
    Sql(#[from] SqlError),
    /// The database.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The file.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// It was stopped.
    #[error("stopped")]
    Stopped,
    /// It was stopped while it waited for a lock.
    #[error("stopped while it waited for {0}")]
    StoppedWaiting(String),
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.is_transient())
    }

    /// The lock that was waited for too long.
    fn wait(self) -> Option<String> {
        match self {
            Self::Postgres(postgres::Error::Locked { wait, .. }) => Some(wait),
            _ => None,
        }
    }

    /// Whether no connection could be made at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.is_unreachable())
    }
}

/// What to export and how.
#[derive(Clone, Debug)]
pub struct Export {
    source: Source,
    types: TypeOptions,
    write: WriteOptions,
    block_size: usize,
    with_evidence: bool,
}

#[derive(Clone, Debug)]
enum Source {
    Query(Query),
    Table { table: TableName, choice: Choice },
}

impl Source {
    /// What helps where two columns have almost the same name.
    fn advice(&self) -> &'static str {
        match self {
            Self::Query(_) => "rename all but one in the query (`AS`)",
            Self::Table { .. } => "leave out all but one with `columns` or `exclude`",
        }
    }
}

/// Which columns of a table.
#[derive(Clone, Debug)]
enum Choice {
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl Export {
    /// Checks a description and takes it.
    ///
    /// # Errors
    /// [`Error::Spec`], [`Error::Sql`].
    pub fn from_spec(spec: &ExportSpec, defaults: &DefaultsSpec) -> Result<Self, Error> {
        let wrong = |problem: &str| Err(Error::Spec(problem.to_owned()));
        let source = match (&spec.sql, &spec.table) {
            (Some(sql), None) => {
                if spec.columns.is_some() || spec.exclude.is_some() {
                    return wrong(
                        "`columns` and `exclude` go with `table`; with `sql`, name the columns in the query",
                    );
                }
                Source::Query(Query::new(sql)?)
            }
            (None, Some(table)) => {
                let choice = match (&spec.columns, &spec.exclude) {
                    (None, None) => Choice::All,
                    (Some(columns), None) if !columns.is_empty() => Choice::Only(columns.clone()),
                    (None, Some(columns)) => Choice::AllBut(columns.clone()),
                    (Some(_), None) => return wrong("`columns` is empty"),
                    (Some(_), Some(_)) => return wrong("`columns` and `exclude` exclude each other"),
                };
                Source::Table { table: table.parse()?, choice }
            }
            _ => return wrong("an export needs either `sql` or `table`"),
        };
        let mut types = TypeOptions {
            infinity: match spec.infinity.unwrap_or_default() {
                spec::Infinity::Error => Infinity::Error,
                spec::Infinity::Null => Infinity::Null,
            },
            ..TypeOptions::default()
        };
        for (column, wanted) in &spec.types {
            let wanted = wanted
                .parse()
                .map_err(|problem| Error::Spec(format!("`types`, column `{column}`: {problem}")))?;
            types.wanted.insert(column.clone(), wanted);
        }
        let rows = spec.row_group_size.or(defaults.row_group_size).and_then(NonZeroU64::new);
        let rows = rows.and_then(|rows| usize::try_from(rows.get()).ok());
        let compression = spec.compression.or(defaults.compression);
        let write = WriteOptions {
            compression: compression.map(Into::into).unwrap_or_default(),
            plain: Encodings::are_plain(spec.encodings.or(defaults.encodings)),
            row_group_rows: rows.unwrap_or(DEFAULT_ROW_GROUP_ROWS),
        };
        Ok(Self { source, types, write, block_size: DEFAULT_BLOCK_SIZE, with_evidence: false })
    }

    /// Exports a query with the usual types.
    #[must_use]
    pub fn of_query(query: Query, write: WriteOptions) -> Self {
        let (source, types) = (Source::Query(query), TypeOptions::default());
        Self { source, types, write, block_size: DEFAULT_BLOCK_SIZE, with_evidence: false }
    }

    /// The same, with so many bytes of COPY data decoded at once. The output does not depend on it.
    #[must_use]
    pub fn with_block_size(self, block_size: usize) -> Self {
        Self { block_size, ..self }
    }

    /// The same, and the product says what its rows rest on.
    #[must_use]
    pub fn with_evidence(self) -> Self {
        Self { with_evidence: true, ..self }
    }

    /// The query and its columns, as the server understands it; it is not run.
    ///
    /// # Errors
    /// All of [`Self::query`] and [`Reader::describe`].
    pub fn prepare(&self, reader: &mut Reader<'_>) -> Result<(Query, Columns), postgres::Error> {
        let query = self.query(reader)?;
        let columns = reader.describe(&query, &self.types)?;
        Ok((query, columns))
    }

    /// The query, its columns looked up where that is needed.
    ///
    /// # Errors
    /// [`postgres::Error::NoTable`], [`postgres::Error::NoSuchColumn`].
    pub fn query(&self, reader: &mut Reader<'_>) -> Result<Query, postgres::Error> {
        let (table, choice) = match &self.source {
            Source::Query(query) => return Ok(query.clone()),
            Source::Table { table, choice } => (table, choice),
        };
        let found = reader.table_columns(table)?;
        let (Choice::Only(named) | Choice::AllBut(named)) = choice else {
            return Ok(Query::of_table(table, &found));
        };
        if let Some(column) = named.iter().find(|column| !found.contains(column)) {
            let (table, column) = (table.to_string(), column.clone());
            return Err(postgres::Error::NoSuchColumn { table, column, found });
        }
        let columns = match choice {
            Choice::AllBut(_) => found.into_iter().filter(|column| !named.contains(column)).collect(),
            Choice::All | Choice::Only(_) => named.clone(),
        };
        Ok(Query::of_table(table, &columns))
    }
}

/// Exports, in the snapshot, with up to so many connections, to a file that is to become `target`.
///
/// # Errors
/// [`Error::Stopped`] when the monitor says so: what runs on the server is cancelled then. All others of [`Error`].
pub fn run(
    export: &Export,
    snapshot: &Snapshot,
    readers: usize,
    target: &Path,
    monitor: &dyn Monitor,
) -> Result<Product, Error> {
    watched(snapshot, monitor, |group| write(export, snapshot, readers, target, monitor, group))
}

/// Works with a group of readers that is cancelled when the monitor says stop, and that tells it of waits for locks.
pub(crate) fn watched<T>(
    snapshot: &Snapshot,
    monitor: &dyn Monitor,
    work: impl FnOnce(&Canceller) -> Result<T, Error>,
) -> Result<T, Error> {
    let group = snapshot.group(monitor.timeout());
    let stopped = || monitor.stopped() || snapshot.canceller().is_cancelled();
    let tell_and_ask = || {
        group.news().iter().for_each(|message| monitor.warn(message));
        stopped()
    };
    let wait = Mutex::new(None);
    let cancel = || {
        *wait.lock().unwrap_or_else(PoisonError::into_inner) = group.wait();
        group.cancel();
    };
    let result = watch::watched(&tell_and_ask, &cancel, || work(&group));
    match result.map_err(postgres::Error::Thread)? {
        // A cancelled query may fail with any error.
        Err(error) if stopped() => {
            let wait = wait.into_inner().unwrap_or_else(PoisonError::into_inner);
            Err(wait.or(error.wait()).map_or(Error::Stopped, Error::StoppedWaiting))
        }
        result => result,
    }
}

fn write(
    export: &Export,
    snapshot: &Snapshot,
    readers: usize,
    target: &Path,
    monitor: &dyn Monitor,
    group: &Canceller,
) -> Result<Product, Error> {
    let mut reader = snapshot.reader(&|| group.is_cancelled())?;
    reader.join(group)?;
    let (query, columns) = export.prepare(&mut reader)?;
    let evidence = export.with_evidence.then(|| reader.evidence(&query, &columns, None)).transpose()?;
    monitor.expect(reader.plan(query.text())?.rows);
    let mut writer = TableWriter::create(target, columns.schema().clone(), &export.write)?;
    let options = StreamOptions { readers, block_size: export.block_size };
    let mut sent = 0;
    let mut warnings = names::alike(columns.schema(), export.source.advice());
    let connections =
        stream(snapshot, reader, group, &query, &columns, options, |batch| -> Result<(), Error> {
            compute(|| writer.write(&batch.rows))?;
            sent += batch.bytes;
            warnings.extend(batch.warnings);
            monitor.advance(batch.rows.num_rows() as u64, batch.bytes);
            Ok(())
        })?;
    let figures = [("bytes_sent", Value::from(sent)), ("connections", Value::from(connections))];
    let figures = Map::from_iter(figures.map(|(name, value)| (name.to_owned(), value)));
    Ok(Product { table: compute(|| writer.seal())?, figures, warnings, lookups: Vec::new(), evidence })
}
