//! The kind `export`: rows of a database to one Parquet file.

mod by_cells;
mod work;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::work::{Choice, QueryOrTable};
pub use self::work::{Export, run};
use super::kind::{are_usual, no_parameter};
use super::{Defaults, Problems, Reads, Spec};
use crate::errors::{Class, Classified};
use crate::parquet::write::{Compression, DEFAULT_ROW_GROUP_ROWS, Encodings, WriteOptions};
use crate::postgres::cells::DEFAULT_CELL_PAGES;
use crate::postgres::sql::{Query, TableName};
use crate::postgres::types::Infinity;
use crate::postgres::{DEFAULT_BLOCK_SIZE, TypeOptions};
use crate::quantity::thousands;
use crate::{parquet, postgres};

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

impl Spec for ExportSpec {
    const NAME: &'static str = "export";
    const ABOUT: &'static str = "Exports rows of a database to a Parquet file.";
    const VERSION: u32 = 3;
    const READS: Reads = Reads::Snapshot;
    type Work = Export;

    fn reused(figures: &Map<String, Value>) -> Option<String> {
        let number = |name: &str| figures.get(name).and_then(Value::as_u64);
        let (cells, read, copied) = (number("cells")?, number("cells_read")?, number("cells_copied")?);
        // There is nothing to say about a table with one cell.
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
        let rows = self.row_group_size.filter(|rows| *rows > 0);
        let rows = rows.and_then(|rows| usize::try_from(rows).ok());
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
