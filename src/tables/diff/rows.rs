//! Rows as digests of some of their columns: to match them, and to count those that only one file has.

use arrow_array::Array as _;
use arrow_row::{RowConverter, SortField};
use rayon::prelude::*;

use super::kinds::Kind;
use super::{BATCH_ROWS, Error, WIDE_BATCH_ROWS};
use crate::digest::Digest;
use crate::parquet::read::TableReader;

/// 128 bits of a digest, and the row. Among a thousand million different rows, two are taken for equal with a probability of
/// 2e-21.
pub(super) type Row = ([u64; 2], u64);

/// Whether the columns may have NULL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Allowed,
    Refused,
}

/// All rows, sorted by their digests.
pub(super) fn sorted(
    reader: &TableReader,
    columns: &[(&str, Kind)],
    nulls: Nulls,
) -> Result<Vec<Row>, Error> {
    let mut starts = Vec::with_capacity(reader.row_groups());
    let mut next = 0;
    for group in 0..reader.row_groups() {
        starts.push(next);
        next += reader.rows_of(group);
    }
    let groups: Vec<Result<Vec<Row>, Error>> = starts
        .into_par_iter()
        .enumerate()
        .map(|(group, start)| of_group(reader, group, start, columns, nulls))
        .collect();
    let mut rows = Vec::with_capacity(usize::try_from(reader.rows()).unwrap_or(0));
    for group in groups {
        rows.extend(group?);
    }
    rows.par_sort_unstable();
    Ok(rows)
}

fn of_group(
    reader: &TableReader,
    group: usize,
    mut next: u64,
    columns: &[(&str, Kind)],
    nulls: Nulls,
) -> Result<Vec<Row>, Error> {
    let mut found = Vec::new();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let batch_rows = if columns.len() > 4 { WIDE_BATCH_ROWS } else { BATCH_ROWS };
    for batch in reader.batches(&names, Some(vec![group]), batch_rows)? {
        let batch = batch?;
        let mut arrays = Vec::with_capacity(columns.len());
        for (name, kind) in columns {
            let failed = |source| Error::Incomparable { column: (*name).to_owned(), source };
            // The columns of a batch are in the order of the file.
            let Some(array) = batch.column_by_name(name) else { continue };
            if nulls == Nulls::Refused
                && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
            {
                let (path, row) = (reader.path().to_owned(), next + row as u64 + 1);
                return Err(Error::NullKey { path, column: (*name).to_owned(), row });
            }
            arrays.push(kind.convert(array).map_err(failed)?);
        }
        let failed = |source| Error::Incomparable { column: names.join("`, `"), source };
        let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(failed)?;
        let rows = converter.convert_columns(&arrays).map_err(failed)?;
        found.extend(rows.iter().zip(next..).map(|(row, at)| (Digest::of(row.data()).half(), at)));
        next += batch.num_rows() as u64;
    }
    Ok(found)
}

/// How many rows only the new and only the old file has; of equal rows, each counts.
pub(super) fn compare(
    old: &TableReader,
    new: &TableReader,
    columns: &[(&str, Kind)],
) -> Result<(u64, u64), Error> {
    if columns.is_empty() {
        return Ok((new.rows().saturating_sub(old.rows()), old.rows().saturating_sub(new.rows())));
    }
    let (old, new) = (sorted(old, columns, Nulls::Allowed)?, sorted(new, columns, Nulls::Allowed)?);
    let (mut added, mut removed) = (0, 0);
    merge(&old, &new, |old, new| match (old, new) {
        (None, Some(_)) => added += 1,
        (Some(_), None) => removed += 1,
        _ => {}
    });
    Ok((added, removed))
}

/// Shows the rows of two sorted lists side by side, equal ones together.
pub(super) fn merge(old: &[Row], new: &[Row], mut visit: impl FnMut(Option<u64>, Option<u64>)) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(old), Some(new)) => old.0.cmp(&new.0),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
        };
        let old = if order.is_le() { old.next() } else { None };
        let new = if order.is_ge() { new.next() } else { None };
        visit(old.map(|row| row.1), new.map(|row| row.1));
    }
}
