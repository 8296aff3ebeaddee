//! Which row of the new file is which row of the old file, by a key.

use super::kinds::Kind;
use super::rows::{Nulls, Row, merge, sorted};
use super::{BATCH_ROWS, Error};
use crate::parquet::read::TableReader;
use crate::tables::Cell;

/// Which row of the old file has the key of a row of the new file.
pub(crate) struct Matching {
    /// `[new rows]`: the row of the old file; [`NONE`] if the row was added.
    old_of_new: Vec<u64>,
    /// The rows of the old file that are not in the new file, in order.
    removed: Vec<u64>,
}

/// No row.
const NONE: u64 = u64::MAX;

impl Matching {
    /// Matches the rows of two files by the columns of a key.
    ///
    /// # Errors
    /// A key that has NULL, or that two rows of a file have; keys of different types; reading.
    pub(crate) fn of(old: &TableReader, new: &TableReader, key: &[String]) -> Result<Self, Error> {
        let (of_old, of_new) = (kinds(old, key)?, kinds(new, key)?);
        let mut columns = Vec::with_capacity(key.len());
        for ((column, old), (_, new)) in of_old.into_iter().zip(of_new) {
            match Kind::of_both(&old, &new) {
                Some(kind) => columns.push((column, kind)),
                None => return Err(Error::KeyTypes { column: column.to_owned(), old, new }),
            }
        }
        let of_old = unique(old, &columns, key)?;
        let of_new = unique(new, &columns, key)?;
        let mut old_of_new = vec![NONE; of_new.len()];
        let mut removed = Vec::new();
        merge(&of_old, &of_new, |old, new| match (old, new) {
            (Some(old), Some(new)) => {
                // The rows of a file are as many as the digests of its rows.
                old_of_new[usize::try_from(new).unwrap_or(usize::MAX)] = old;
            }
            (Some(old), None) => removed.push(old),
            _ => {}
        });
        removed.sort_unstable();
        Ok(Self { old_of_new, removed })
    }

    /// The row of the old file for a row of the new file.
    pub(crate) fn old(&self, new: usize) -> Option<usize> {
        self.old_of_new.get(new).filter(|old| **old != NONE).and_then(|old| usize::try_from(*old).ok())
    }

    /// The rows of the new file.
    pub(crate) fn new_rows(&self) -> usize {
        self.old_of_new.len()
    }

    /// How many rows only the new file has.
    pub(crate) fn added(&self) -> u64 {
        self.old_of_new.iter().filter(|old| **old == NONE).count() as u64
    }

    /// How many rows only the old file has.
    pub(crate) fn removed(&self) -> u64 {
        self.removed.len() as u64
    }

    /// The first rows that only the new file has.
    pub(crate) fn first_added(&self, most: usize) -> Vec<u64> {
        let rows = self.old_of_new.iter().zip(0..).filter(|(old, _)| **old == NONE);
        rows.map(|(_, row)| row).take(most).collect()
    }

    /// The first rows that only the old file has.
    pub(crate) fn first_removed(&self, most: usize) -> Vec<u64> {
        self.removed.iter().copied().take(most).collect()
    }
}

type Found<'k> = (&'k str, arrow_schema::DataType);

/// The types of the columns of a key.
fn kinds<'k>(reader: &TableReader, key: &'k [String]) -> Result<Vec<Found<'k>>, Error> {
    let column = |name: &'k String| match reader.field(name) {
        Ok(field) => Ok((name.as_str(), field.data_type().clone())),
        Err(_) => Err(Error::NoKey { path: reader.path().to_owned(), column: name.clone() }),
    };
    key.iter().map(column).collect()
}

/// The rows of a file, sorted by the digests of their keys. All digests differ.
fn unique(reader: &TableReader, columns: &[(&str, Kind)], key: &[String]) -> Result<Vec<Row>, Error> {
    let rows = sorted(reader, columns, Nulls::Refused)?;
    let repeats = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let Some([one, other]) = repeats.map(|pair| [pair[0].1, pair[1].1]).min_by_key(|rows| rows[1]) else {
        return Ok(rows);
    };
    Err(Error::RepeatedKey {
        path: reader.path().to_owned(),
        key: key.join(", "),
        value: names(reader, key, &[one])?.concat(),
        rows: [one + 1, other + 1],
    })
}

/// The values of some columns in some rows, which are in order.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn names(reader: &TableReader, key: &[String], rows: &[u64]) -> Result<Vec<String>, Error> {
    let mut names = Vec::with_capacity(rows.len());
    let columns: Vec<&str> = key.iter().map(String::as_str).collect();
    let mut start = 0;
    for group in 0..reader.row_groups() {
        let end = start + reader.rows_of(group);
        if rows.iter().any(|row| (start..end).contains(row)) {
            let mut next = start;
            for batch in reader.batches(&columns, Some(vec![group]), BATCH_ROWS)? {
                let batch = batch?;
                let after = next + batch.num_rows() as u64;
                for row in rows.iter().filter(|row| (next..after).contains(*row)) {
                    let row = usize::try_from(row - next).unwrap_or(0);
                    let values = columns.iter().filter_map(|column| batch.column_by_name(column));
                    let values: Vec<String> =
                        values.map(|values| Cell::of(values, row).to_string()).collect();
                    names.push(values.join(", "));
                }
                next = after;
            }
        }
        start = end;
    }
    Ok(names)
}
