//! What an export does: its query, and its rows in cells or as the server returns them.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_schema::SchemaRef;

use super::Error;
use super::by_cells::ByCells;
use crate::monitor::Monitor;
use crate::parquet::write::{TableWriter, WriteOptions};
use crate::postgres::cells::DEFAULT_CELL_PAGES;
use crate::postgres::sql::{Query, TableName};
use crate::postgres::{
    self, Columns, DEFAULT_BLOCK_SIZE, Evidence, Reader, Snapshot, StreamOptions, TypeOptions, stream,
};
use crate::stages::job::figures;
use crate::stages::{self, Job, Product, Sources, Work, names};
use crate::threads::compute;

/// What to export and how.
#[derive(Clone, Debug)]
pub struct Export {
    pub(super) source: QueryOrTable,
    pub(super) types: TypeOptions,
    pub(super) write: WriteOptions,
    pub(super) block_size: usize,
    pub(super) cell_pages: u64,
    pub(super) incremental: bool,
    pub(super) watermark: Option<String>,
    pub(super) always: bool,
}

#[derive(Clone, Debug)]
pub(super) enum QueryOrTable {
    Query(Query),
    Table { table: TableName, choice: Choice, computed: BTreeMap<String, String> },
}

impl QueryOrTable {
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
pub(super) enum Choice {
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl Export {
    /// Exports a query with the usual types.
    #[must_use]
    pub fn of_query(query: Query, write: WriteOptions) -> Self {
        Self {
            source: QueryOrTable::Query(query),
            types: TypeOptions::default(),
            write,
            block_size: DEFAULT_BLOCK_SIZE,
            cell_pages: DEFAULT_CELL_PAGES,
            incremental: false,
            watermark: None,
            always: false,
        }
    }

    /// The same, but it decodes `block_size` bytes of COPY data at once. The output does not depend on it.
    #[must_use]
    pub fn with_block_size(self, block_size: usize) -> Self {
        Self { block_size, ..self }
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
        let (table, choice, computed) = match &self.source {
            QueryOrTable::Query(query) => return Ok(query.clone()),
            QueryOrTable::Table { table, choice, computed } => (table, choice, computed),
        };
        let found = reader.table_columns(table)?;
        let columns = match choice {
            Choice::All => found,
            Choice::Only(named) | Choice::AllBut(named) => {
                if let Some(column) = named.iter().find(|column| !found.contains(column)) {
                    let (table, column) = (table.to_string(), column.clone());
                    let key = if matches!(choice, Choice::AllBut(_)) { "exclude" } else { "columns" };
                    return Err(postgres::Error::NoSuchColumn { table, column, found, key });
                }
                match choice {
                    Choice::AllBut(_) => found.into_iter().filter(|column| !named.contains(column)).collect(),
                    Choice::All | Choice::Only(_) => named.clone(),
                }
            }
        };
        if computed.is_empty() {
            Ok(Query::of_table(table, &columns))
        } else {
            Ok(Query::computed(table, &columns, computed)?)
        }
    }
}

impl Work for Export {
    fn run(&self, job: &Job<'_>) -> Result<Product, stages::Error> {
        let snapshot = job.sources.needed_snapshot()?;
        // Further connections are taken only while they are free, up to the snapshot's own bound.
        Ok(in_pipeline(self, snapshot, job)?)
    }

    fn compares(&self) -> Option<&'static str> {
        self.incremental.then_some("cells are compared in the snapshot")
    }

    fn not_incremental(&self, sources: &Sources) -> Result<Option<String>, stages::Error> {
        if !self.incremental {
            let why = if self.watermark.is_some() { "it has a watermark" } else { "it is switched off" };
            return Ok(Some(why.to_owned()));
        }
        let mut reader = sources.reader()?;
        let (query, columns) = self.prepare(&mut reader)?;
        let understood = reader.understand(&query, &columns)?;
        let found =
            reader.cells(sources.needed_snapshot()?, &query, &columns, &understood, self.cell_pages)?;
        Ok(found.err())
    }

    fn locked_table(&self) -> Option<String> {
        let table = match &self.source {
            QueryOrTable::Query(query) => query.scan()?.table().to_owned(),
            QueryOrTable::Table { table, .. } => table.to_string(),
        };
        Some(table).filter(|_| self.incremental)
    }

    fn must_refresh(&self) -> Option<&'static str> {
        self.always.then_some("refresh: always")
    }

    fn watermark(&self) -> Option<&str> {
        self.watermark.as_deref()
    }

    fn columns(&self, reader: &mut Reader<'_>) -> Result<SchemaRef, stages::Error> {
        let (_, columns) = self.prepare(reader)?;
        Ok(columns.schema().clone())
    }

    fn evidence(&self, reader: &mut Reader<'_>, certain: Option<&str>) -> Result<Evidence, stages::Error> {
        let (query, columns) = self.prepare(reader)?;
        Ok(reader.evidence(&query, &columns, certain)?)
    }
}

/// Exports, in the snapshot, with at most `readers` connections, to a file that is to become `target`.
///
/// # Errors
/// [`Error::Postgres`] with [`postgres::Error::Stopped`] when the monitor is stopped: the query on the server is cancelled. All
/// others of [`Error`].
pub fn run(
    export: &Export,
    snapshot: &Snapshot,
    readers: usize,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    let monitor = &monitor.child();
    let mut reader = snapshot.reader(monitor)?;
    let (query, columns) = export.prepare(&mut reader)?;
    let rows = reader.plan(query.text())?.rows;
    whole(export, snapshot, reader, &query, &columns, rows, readers, target, monitor)
}

/// As [`run`], in cells where the rule allows that, and with what the rows depend on.
fn in_pipeline(export: &Export, snapshot: &Snapshot, job: &Job<'_>) -> Result<Product, Error> {
    let monitor = &job.monitor.child();
    let mut reader = snapshot.reader(monitor)?;
    let (query, columns) = export.prepare(&mut reader)?;
    let understood = reader.understand(&query, &columns)?;
    let evidence = reader.evidence_of(&query, &understood, None)?;
    let rows = reader.plan(query.text())?.rows;
    let (readers, target) = (job.threads.get(), job.target);
    let found = reader.cells(snapshot, &query, &columns, &understood, export.cell_pages)?;
    let not_incremental = match found {
        Ok(cells) => {
            let last = job.last.filter(|_| export.incremental);
            let by_cells = ByCells {
                write: &export.write,
                block_size: export.block_size,
                incremental: export.incremental,
                snapshot,
                columns: &columns,
                cells,
                last,
                readers,
                target,
                monitor,
                stage: job.monitor,
            };
            if let Some(mut product) = by_cells.run(reader, rows)? {
                product.warnings.splice(0..0, names::alike(columns.schema(), export.source.advice()));
                return Ok(Product { evidence: Some(evidence), ..product });
            }
            "an index finds its rows, which are in most parts of the table".to_owned()
        }
        Err(why) => {
            drop(reader);
            why
        }
    };
    // Another one, set up as usual.
    let reader = snapshot.reader(monitor)?;
    let mut product = whole(export, snapshot, reader, &query, &columns, rows, readers, target, monitor)?;
    if export.incremental {
        product.figures.extend(figures([("not_incremental", not_incremental.into())]));
    }
    Ok(Product { evidence: Some(evidence), ..product })
}

/// Exports all rows, in the order in which the server returns them.
#[expect(clippy::too_many_arguments, reason = "all that an export is made of, in one place")]
fn whole(
    export: &Export,
    snapshot: &Snapshot,
    reader: Reader<'_>,
    query: &Query,
    columns: &Columns,
    rows: u64,
    readers: usize,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    monitor.expect(rows);
    let mut writer = TableWriter::create(target, columns.schema().clone(), &export.write)?;
    let options = StreamOptions { readers, block_size: export.block_size };
    let mut sent = 0;
    let mut warnings = names::alike(columns.schema(), export.source.advice());
    let connections =
        stream(snapshot, reader, monitor, query, columns, options, |batch| -> Result<(), Error> {
            compute(|| writer.write(&batch.rows))?;
            sent += batch.bytes;
            warnings.extend(batch.losses.iter().map(ToString::to_string));
            monitor.advance(batch.rows.num_rows() as u64, batch.bytes);
            Ok(())
        })?;
    let figures = figures([("bytes_sent", sent.into()), ("connections", connections.into())]);
    let files = vec![compute(|| writer.seal())?];
    Ok(Product { files, figures, warnings, ..Product::default() })
}
