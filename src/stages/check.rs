//! What an output must satisfy before it is published: the stage's `checks` and `schema`.

use std::collections::HashSet;
use std::path::Path;

use arrow::array::Array;
use arrow::row::{OwnedRow, RowConverter, SortField};

use crate::parquet::read::TableReader;
use crate::pipeline::Stage;
use crate::schema::TableSchema;

use super::Product;

/// A check that failed; the last good output stands.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Too few rows.
    #[error("check `min_rows` failed: {rows} rows, at least {min} are wanted")]
    MinRows {
        /// The rows that there are.
        rows: u64,
        /// The rows that are wanted.
        min: u64,
    },
    /// Far fewer rows than before.
    #[error(
        "check `max_shrink` failed: {rows} rows, {percent:.1} % fewer than the {before} of the last good output; if that is \
         right, raise `max_shrink` for one run"
    )]
    MaxShrink {
        /// The rows that there are.
        rows: u64,
        /// The rows that there were.
        before: u64,
        /// The difference.
        percent: f64,
    },
    /// A NULL where there should be none.
    #[error("check `not_null` failed: column `{column}` has {nulls} NULLs")]
    NotNull {
        /// The column.
        column: String,
        /// How many.
        nulls: usize,
    },
    /// A value twice where there should be none.
    #[error("check `unique` failed: column `{column}` repeats in row {row} a value of an earlier row")]
    Unique {
        /// The column.
        column: String,
        /// The row that repeats a value, from 1.
        row: u64,
    },
    /// Other columns than declared.
    #[error("the output does not fit schema `{path}`: {}", mismatches.join("; "))]
    Schema {
        /// The schema file.
        path: String,
        /// Each difference.
        mismatches: Vec<String>,
    },
    /// The schema file cannot be used.
    #[error(transparent)]
    BadSchema(#[from] crate::schema::Error),
    /// The output cannot be read back.
    #[error(transparent)]
    Read(#[from] crate::parquet::Error),
    /// The values of a column cannot be compared.
    #[error("check `unique`: the values of column `{column}` cannot be compared")]
    Incomparable {
        /// The column.
        column: String,
        /// The cause.
        source: arrow::error::ArrowError,
    },
}

/// Rows looked at at once.
const BATCH_ROWS: usize = 65_536;

/// Checks a product against what its stage asks for; `rows_before` are those of the last good output.
///
/// # Errors
/// The first check that fails.
pub fn check(stage: &Stage, product: &Product, rows_before: Option<u64>) -> Result<(), Failed> {
    let (checks, rows) = (&stage.checks, product.table.rows);
    if let Some(min) = checks.min_rows.filter(|min| rows < *min) {
        return Err(Failed::MinRows { rows, min });
    }
    if let (Some(share), Some(before)) = (checks.max_shrink, rows_before.filter(|before| rows < *before)) {
        let lost = (before - rows) as f64 / before as f64;
        if lost > share.fraction() {
            return Err(Failed::MaxShrink { rows, before, percent: lost * 100.0 });
        }
    }
    let path = product.table.file.temporary();
    if let Some(schema) = &stage.schema {
        let declared = TableSchema::load(schema)?;
        let found = TableReader::open(path)?;
        let mismatches: Vec<String> =
            declared.compare(found.schema()).iter().map(ToString::to_string).collect();
        if !mismatches.is_empty() {
            return Err(Failed::Schema { path: schema.display().to_string(), mismatches });
        }
    }
    for column in &checks.not_null {
        not_null(path, column)?;
    }
    for column in &checks.unique {
        unique(path, column)?;
    }
    Ok(())
}

fn not_null(path: &Path, column: &str) -> Result<(), Failed> {
    let mut nulls = 0;
    for batch in TableReader::open(path)?.batches(&[column], None, BATCH_ROWS)? {
        nulls += batch?.column(0).null_count();
    }
    if nulls > 0 {
        return Err(Failed::NotNull { column: column.to_owned(), nulls });
    }
    Ok(())
}

fn unique(path: &Path, column: &str) -> Result<(), Failed> {
    let reader = TableReader::open(path)?;
    let mut seen: HashSet<OwnedRow> = HashSet::new();
    let mut row_number = 0;
    for batch in reader.batches(&[column], None, BATCH_ROWS)? {
        let batch = batch?;
        let failed = |source| Failed::Incomparable { column: column.to_owned(), source };
        let values = batch.column(0);
        let converter =
            RowConverter::new(vec![SortField::new(values.data_type().clone())]).map_err(failed)?;
        let rows = converter.convert_columns(std::slice::from_ref(values)).map_err(failed)?;
        for row in &rows {
            row_number += 1;
            if !seen.insert(row.owned()) {
                return Err(Failed::Unique { column: column.to_owned(), row: row_number });
            }
        }
    }
    Ok(())
}
