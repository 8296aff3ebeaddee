//! Two files of one table: which rows were added, removed and changed, in which columns and by how much.
//!
//! Rows are matched by a key. Without a key, rows are only added or removed. Two values are equal if they are the same: NaN
//! is equal to NaN, -0 to 0, and NULL only to NULL. Memory: 24 bytes for each row of both files, and below
//! [`COLUMNS_BYTES`] for the columns that are compared at once. Not a place for how that is shown.

mod columns;
mod kinds;
mod matching;
mod rows;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use arrow_schema::{ArrowError, DataType};
use rayon::prelude::*;

use crate::parquet;
use crate::parquet::read::TableReader;
use crate::tables::BATCH_ROWS;

pub(crate) use columns::{ColumnChange, Step};
use kinds::Kind;
pub(crate) use matching::{Matching, names};

/// Names of rows that are shown of each sort.
const ROWS_NAMED: usize = 10;
/// Memory for the columns that are compared at once.
const COLUMNS_BYTES: u64 = 2 << 30;
/// Rows decoded at a time of many columns.
const WIDE_BATCH_ROWS: usize = 4_096;

/// Why two files could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] parquet::Error),
    /// A file lacks a column of the key.
    #[error("`{}` has no column `{column}`, which is part of the key", path.display())]
    NoKey { path: PathBuf, column: String },
    /// A key has no value.
    #[error("column `{column}` of the key is NULL in row {row} of `{}`", path.display())]
    NullKey { path: PathBuf, column: String, row: u64 },
    /// Two rows have one key.
    #[error("the key `{key}` is not unique in `{}`: rows {} and {} both have {value}", path.display(), rows[0], rows[1])]
    RepeatedKey { path: PathBuf, key: String, value: String, rows: [u64; 2] },
    /// The keys of the two files cannot be equal.
    #[error("column `{column}` of the key is {old} in the old file and {new} in the new file")]
    KeyTypes { column: String, old: DataType, new: DataType },
    /// Arrow refused a column.
    #[error("cannot compare column `{column}`")]
    Incomparable { column: String, source: ArrowError },
}

impl Error {
    /// Whether other columns may be a better key.
    pub(crate) fn is_of_key(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Incomparable { .. })
    }
}

/// Rows of one sort.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    /// How many there are.
    pub count: u64,
    /// The keys of the first of them.
    pub first: Vec<String>,
}

/// A column that has another type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypeChange {
    pub column: String,
    pub old: DataType,
    pub new: DataType,
    /// Whether its values were compared.
    pub compared: bool,
}

/// How two files differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Rows of the new file without a row in the old file.
    pub added: Rows,
    /// Rows of the old file without a row in the new file.
    pub removed: Rows,
    /// Rows of both files with other values; `None` without a key.
    pub changed: Option<Rows>,
    /// The columns with other values, in the order of the new file.
    pub columns: Vec<ColumnChange>,
    /// The columns of only one file.
    pub only_old: Vec<String>,
    pub only_new: Vec<String>,
    /// The columns that have another type.
    pub types: Vec<TypeChange>,
}

impl Difference {
    /// Whether rows, columns and types are the same.
    pub(crate) fn is_empty(&self) -> bool {
        let rows = self.added.count + self.removed.count + self.changed.as_ref().map_or(0, |rows| rows.count);
        rows == 0 && self.only_old.is_empty() && self.only_new.is_empty() && self.types.is_empty()
    }
}

/// Compares two files. An empty `key` stands for none.
///
/// # Errors
/// All of [`Error`].
pub(crate) fn compare(old: &TableReader, new: &TableReader, key: &[String]) -> Result<Difference, Error> {
    let mut difference = columns_of_one(old, new);
    let mut shared: Vec<(&str, Kind)> = Vec::new();
    for field in new.schema().fields() {
        let Ok(before) = old.schema().field_with_name(field.name()) else { continue };
        let kind = Kind::of_both(before.data_type(), field.data_type());
        if before.data_type() != field.data_type() {
            difference.types.push(TypeChange {
                column: field.name().clone(),
                old: before.data_type().clone(),
                new: field.data_type().clone(),
                compared: kind.is_some(),
            });
        }
        shared.extend(kind.map(|kind| (field.name().as_str(), kind)));
    }
    if key.is_empty() {
        (difference.added.count, difference.removed.count) = rows::compare(old, new, &shared)?;
        return Ok(difference);
    }
    let matching = Matching::of(old, new, key)?;
    let named = |reader, rows: &[u64]| names(reader, key, rows);
    difference.added =
        Rows { count: matching.added(), first: named(new, &matching.first_added(ROWS_NAMED))? };
    difference.removed =
        Rows { count: matching.removed(), first: named(old, &matching.first_removed(ROWS_NAMED))? };
    shared.retain(|(column, _)| !key.iter().any(|key| key == column));

    let mut changed = vec![false; matching.new_rows()];
    let bytes = columns::BYTES_PER_ROW * (old.rows() + new.rows());
    let at_once = usize::try_from(COLUMNS_BYTES / bytes.max(1)).unwrap_or(usize::MAX);
    for some in shared.chunks(at_once.clamp(1, rayon::current_num_threads())) {
        let compared: Vec<_> = some
            .par_iter()
            .map(|(column, kind)| columns::compare(old, new, column, kind, &matching))
            .collect();
        for found in compared {
            let Some((change, rows)) = found? else { continue };
            for row in rows {
                changed[row] = true;
            }
            difference.columns.push(change);
        }
    }
    let rows = || changed.iter().enumerate().filter(|(_, is)| **is).map(|(row, _)| row as u64);
    let first: Vec<u64> = rows().take(ROWS_NAMED).collect();
    difference.changed = Some(Rows { count: rows().count() as u64, first: named(new, &first)? });
    Ok(difference)
}

fn columns_of_one(old: &TableReader, new: &TableReader) -> Difference {
    let only = |one: &TableReader, other: &TableReader| {
        let names = one.schema().fields().iter().map(|field| field.name().clone());
        names.filter(|name| other.schema().column_with_name(name).is_none()).collect()
    };
    Difference { only_old: only(old, new), only_new: only(new, old), ..Difference::default() }
}
