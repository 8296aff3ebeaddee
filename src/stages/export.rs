//! The kind `export`: rows of a database to one Parquet file.

mod by_cells;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;

use arrow_schema::SchemaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kind::{are_usual, no_parameter};
use by_cells::ByCells;

use super::{Defaults, Job, Problems, Product, Reads, Sources, Spec, Work, names};
use crate::errors::{Class, Classified};
use crate::monitor::Monitor;
use crate::parquet;
use crate::parquet::write::{Compression, DEFAULT_ROW_GROUP_ROWS, Encodings, TableWriter, WriteOptions};
use crate::postgres::cells::DEFAULT_CELL_PAGES;
use crate::postgres::sql::{Query, TableName};
use crate::postgres::types::Infinity;
use crate::postgres::{
    self, Columns, DEFAULT_BLOCK_SIZE, Evidence, Reader, Snapshot, StreamOptions, TypeOptions, stream,
};
use crate::quantity::thousands;
use crate::threads::compute;

/// Exports rows of a database. Write either the key `sql` or the key `table`. With `table`, you can also write either
/// `columns` or `exclude`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportSpec {
    /// A query. The stage exports the rows that the query returns.
    #[schemars(extend("format" = "query"))]
    pub sql: Option<String>,
    /// The name of a table, in the form `name` or `schema.name`. The stage exports the whole table.
    #[schemars(extend("format" = "table"))]
    pub table: Option<String>,
    /// With `table`: export only these columns, in this order.
    pub columns: Option<Vec<String>>,
    /// With `table`: export all columns except these columns.
    pub exclude: Option<Vec<String>>,
    /// With `table`: add these columns after the columns of the table. Write a name and an SQL expression for each
    /// added column, for example `car: mpc_orb_jsonb->'CAR'`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("format" = "expressions"))]
    pub computed: BTreeMap<String, String>,
    /// A query that shows whether the data has changed. If this query returns the same rows as at the last good output,
    /// the export does not run.
    #[serde(skip_serializing_if = "no_parameter")]
    #[schemars(extend("format" = "query"))]
    pub watermark: Option<String>,
    /// When to run the export. Default: `changed`.
    #[serde(skip_serializing_if = "no_parameter")]
    pub refresh: Option<Refresh>,
    /// The types of columns in the Parquet file. Write the name and the type of each column, for example `mag:
    /// decimal(12, 6)`. Other examples of types are `text` and `uuid`. If you do not write a column here, the column
    /// has its default type.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// How to treat infinite dates and timestamps. Default: `error`.
    pub infinity: Option<Infinity>,
    /// Maximum number of rows in a row group of the output. A row group is a part of a Parquet file. A row group with
    /// fewer rows also ends at about 32 MB.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    pub row_group_size: Option<u64>,
    /// The number of pages of the table that make a cell: a power of two. An export of columns of one table writes a row
    /// group for each cell, and reads again only the cells that changed since its last output. Default: 4096 (32 MB of the
    /// table).
    #[serde(skip_serializing_if = "is_usual_cell")]
    #[schemars(range(min = 1, max = 4_294_967_296_u64))]
    pub cell_pages: Option<u64>,
    /// Whether the stage copies the cells that have not changed from its last output. The output is the same with `true`
    /// and `false`. Default: `true`.
    #[serde(skip_serializing_if = "no_parameter")]
    pub incremental: Option<bool>,
    /// Compression of the output.
    pub compression: Option<Compression>,
    /// Encoding of the values in the output. Default: `compact`.
    #[serde(skip_serializing_if = "are_usual")]
    pub encodings: Option<Encodings>,
}

/// Whether cells have the usual size, which no key has.
#[expect(clippy::ref_option, reason = "as serde calls it")]
fn is_usual_cell(pages: &Option<u64>) -> bool {
    pages.is_none_or(|pages| pages == DEFAULT_CELL_PAGES)
}

/// The name of a type, such as `decimal(12, 6)`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "column-type"), inline)]
pub struct ColumnType(pub String);

/// When an export runs although its key is unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Refresh {
    /// Skip the export if `ssp-run` can prove that the database is unchanged.
    #[default]
    Changed,
    /// Run the export in every run.
    Always,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The file.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Postgres(error) => error.class(),
            Self::Parquet(_) => Class::Fault,
        }
    }

    fn key(&self) -> Option<&'static str> {
        match self {
            Self::Postgres(error) => error.key(),
            Self::Parquet(_) => None,
        }
    }
}

/// What to export and how.
#[derive(Clone, Debug)]
pub struct Export {
    source: QueryOrTable,
    types: TypeOptions,
    write: WriteOptions,
    block_size: usize,
    cell_pages: u64,
    incremental: bool,
    watermark: Option<String>,
    always: bool,
}

#[derive(Clone, Debug)]
enum QueryOrTable {
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
enum Choice {
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl Export {
    /// Exports a query with the usual types.
    #[must_use]
    pub fn of_query(query: Query, write: WriteOptions) -> Self {
        let (source, types) = (QueryOrTable::Query(query), TypeOptions::default());
        Self {
            source,
            types,
            write,
            block_size: DEFAULT_BLOCK_SIZE,
            cell_pages: DEFAULT_CELL_PAGES,
            incremental: false,
            watermark: None,
            always: false,
        }
    }

    /// The same, with so many bytes of COPY data decoded at once. The output does not depend on it.
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

impl Spec for ExportSpec {
    const NAME: &'static str = "export";
    const ABOUT: &'static str = "Exports rows of a database to a Parquet file.";
    const VERSION: u32 = 3;
    const READS: Reads = Reads::Snapshot;
    type Work = Export;

    fn reused(figures: &Map<String, Value>) -> Option<String> {
        let number = |name: &str| figures.get(name).and_then(Value::as_u64);
        let (cells, read, copied) = (number("cells")?, number("cells_read")?, number("cells_copied")?);
        // A small table is one cell, of which there is nothing to say.
        let because = figures.get("cells_read_because").and_then(Value::as_str);
        if cells == 1 || read == cells && because.is_none() {
            return None;
        }
        let copied = if copied > 0 { format!(", {} copied", thousands(copied)) } else { String::new() };
        let because =
            because.map(|why| format!(" ({})", why.split(':').next().unwrap_or(why))).unwrap_or_default();
        Some(format!("{} of {} cells read{copied}{because}", thousands(read), thousands(cells)))
    }

    fn with_defaults(self, defaults: &Defaults) -> Self {
        Self {
            row_group_size: self.row_group_size.or(defaults.row_group_size),
            compression: self.compression.or(defaults.compression),
            encodings: self.encodings.or(defaults.encodings),
            incremental: self.incremental.or(defaults.incremental),
            ..self
        }
    }

    fn check(&self, problems: &mut Problems) -> Option<Export> {
        let source = self.source(problems);
        let mut types = TypeOptions { infinity: self.infinity.unwrap_or_default(), ..TypeOptions::default() };
        for (column, ColumnType(wanted)) in &self.types {
            match wanted.parse() {
                Ok(wanted) => drop(types.wanted.insert(column.clone(), wanted)),
                Err(problem) => problems.push(&["types"], format!("`types`, column `{column}`: {problem}")),
            }
        }
        if let Some(Err(error)) = self.watermark.as_deref().map(Query::new) {
            problems.push(&["watermark"], error.to_string());
        }
        let rows = self.row_group_size.and_then(NonZeroU64::new);
        let rows = rows.and_then(|rows| usize::try_from(rows.get()).ok());
        let write = WriteOptions {
            compression: self.compression.unwrap_or_default(),
            encodings: self.encodings.unwrap_or_default(),
            row_group_rows: rows.unwrap_or(DEFAULT_ROW_GROUP_ROWS),
        };
        let cell_pages = self.cell_pages.unwrap_or(DEFAULT_CELL_PAGES);
        if !cell_pages.is_power_of_two() {
            let near = [cell_pages.next_power_of_two() / 2, cell_pages.next_power_of_two()];
            let message = format!("`cell_pages` is a power of two, for example {} or {}", near[0], near[1]);
            problems.push(&["cell_pages"], message);
        }
        Some(Export {
            source: source?,
            types,
            write,
            block_size: DEFAULT_BLOCK_SIZE,
            cell_pages,
            incremental: self.incremental.unwrap_or(true) && self.watermark.is_none(),
            watermark: self.watermark.clone(),
            always: self.refresh == Some(Refresh::Always),
        })
    }
}

impl ExportSpec {
    fn source(&self, problems: &mut Problems) -> Option<QueryOrTable> {
        let has_sql = problems.has("sql", self.sql.as_ref());
        let has_table = problems.has("table", self.table.as_ref());
        match (has_sql, has_table) {
            (true, true) => problems.push(&[], "`export` has both `sql` and `table`"),
            (false, false) => problems.push(&[], "`export` needs `sql` or `table`"),
            (true, false) => {
                for (key, names) in [("columns", &self.columns), ("exclude", &self.exclude)] {
                    if names.is_some() {
                        problems.push(&[key], format!("`{key}` goes with `table`, not with `sql`"));
                    }
                }
                if !self.computed.is_empty() {
                    problems.push(&["computed"], "`computed` goes with `table`: write the columns in `sql`");
                }
            }
            (false, true) => {
                if self.columns.as_ref().is_some_and(Vec::is_empty) {
                    problems.push(&["columns"], "`columns` is empty");
                }
                if self.columns.is_some() && self.exclude.is_some() {
                    problems.push(&["exclude"], "give `columns` or `exclude`, not both");
                }
            }
        }
        if let Some(sql) = &self.sql {
            return Query::new(sql)
                .map_err(|error| problems.push(&["sql"], error.to_string()))
                .ok()
                .map(QueryOrTable::Query);
        }
        let choice = match (&self.columns, &self.exclude) {
            (Some(columns), _) => Choice::Only(columns.clone()),
            (None, Some(columns)) => Choice::AllBut(columns.clone()),
            (None, None) => Choice::All,
        };
        let table = self.table.as_ref()?.parse::<TableName>();
        let table = table.map_err(|error| problems.push(&["table"], error.to_string())).ok()?;
        for (name, sql) in &self.computed {
            if let Err(error) = Query::expression(sql) {
                problems.push(&["computed", "name"], format!("`computed`, column `{name}`: {error}"));
            }
        }
        Some(QueryOrTable::Table { table, choice, computed: self.computed.clone() })
    }
}

impl Work for Export {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        let snapshot = job.sources.needed_snapshot()?;
        // Further connections are taken only while they are free, up to the snapshot's own bound.
        Ok(in_pipeline(self, snapshot, job)?)
    }

    fn compares(&self) -> Option<&'static str> {
        self.incremental.then_some("cells are compared in the snapshot")
    }

    fn not_incremental(&self, sources: &Sources) -> Result<Option<String>, super::Error> {
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

    fn columns(&self, reader: &mut Reader<'_>) -> Result<SchemaRef, super::Error> {
        let (_, columns) = self.prepare(reader)?;
        Ok(columns.schema().clone())
    }

    fn evidence(&self, reader: &mut Reader<'_>, certain: Option<&str>) -> Result<Evidence, super::Error> {
        let (query, columns) = self.prepare(reader)?;
        Ok(reader.evidence(&query, &columns, certain)?)
    }
}

/// Exports, in the snapshot, with up to so many connections, to a file that is to become `target`.
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
                export,
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
    let product = whole(export, snapshot, reader, &query, &columns, rows, readers, target, monitor)?;
    let mut figures = product.figures;
    if export.incremental {
        figures.extend(by_cells::figures([("not_incremental", not_incremental.into())]));
    }
    Ok(Product { evidence: Some(evidence), figures, ..product })
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
    let figures = by_cells::figures([("bytes_sent", sent.into()), ("connections", connections.into())]);
    let files = vec![compute(|| writer.seal())?];
    Ok(Product { files, figures, warnings, ..Product::default() })
}
