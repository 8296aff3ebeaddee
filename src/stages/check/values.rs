//! `not_null` and `unique`: NULLs and repeated values of a column.

use arrow_array::Array;
use arrow_row::{RowConverter, SortField};
use arrow_schema::ArrowError;
use rayon::slice::ParallelSliceMut;

use super::table::{Problem, Table};
use crate::digest::Digest;
use crate::tables::Cell;

/// The number of NULLs, and the row of the first, from 1.
///
/// # Errors
/// [`Problem::Unfit`] if there is no such column; what reading returns.
pub(super) fn nulls(table: &Table, column: &str) -> Result<(u64, Option<u64>), Problem> {
    let (mut nulls, mut first) = (0, None);
    table.each(column, |values, before| {
        if values.null_count() > 0 {
            nulls += values.null_count() as u64;
            let row = (0..values.len()).find(|row| values.is_null(*row));
            first = first.or(row.map(|row| before + row as u64 + 1));
        }
        Ok(())
    })?;
    Ok((nulls, first))
}

/// The first row, from 1, with a value of an earlier row, and that value.
///
/// # Errors
/// [`Problem::Unfit`] if there is no such column, or its values cannot be compared; what reading returns.
pub(super) fn repeat(table: &Table, column: &str) -> Result<Option<(u64, String)>, Problem> {
    let Some(row) = first_repeat(table, column, ROWS_AT_ONCE)? else { return Ok(None) };
    Ok(Some((row, said(table, column, row)?)))
}

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// The value in a row of a column, for people.
fn said(table: &Table, column: &str, row: u64) -> Result<String, Problem> {
    let mut text = String::new();
    table.each(column, |values, before| {
        let index = row.checked_sub(before + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(index) = index.filter(|index| *index < values.len()) {
            text = Cell::of(values, index).to_string();
        }
        Ok(())
    })?;
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text += "...";
    }
    Ok(text)
}

/// Values that are compared at once: 24 bytes each. Each read of the column takes this number of values.
const ROWS_AT_ONCE: u64 = 4 << 20;

/// The first row, from 1, with a value of an earlier row. NULL is no value. Values are compared by 128 bits of their digests:
/// among a thousand million different ones, two are taken for equal with a probability of 2e-21.
fn first_repeat(table: &Table, column: &str, rows_at_once: u64) -> Result<Option<u64>, Problem> {
    let failed = |error: ArrowError| Problem::Unfit(format!("has values that cannot be compared: {error}"));
    table.data_type(column)?;
    let passes = table.rows().div_ceil(rows_at_once);
    let mut first: Option<u64> = None;
    for pass in 0..passes {
        let mut seen: Vec<([u64; 2], u64)> = Vec::new();
        table.each(column, |values, before| {
            let converter =
                RowConverter::new(vec![SortField::new(values.data_type().clone())]).map_err(failed)?;
            let rows = converter.convert_columns(std::slice::from_ref(values)).map_err(failed)?;
            for (index, value) in rows.iter().enumerate() {
                let half = Digest::of(value.data()).half();
                if values.is_valid(index) && half[0] % passes == pass {
                    seen.push((half, before + index as u64 + 1));
                }
            }
            Ok(())
        })?;
        seen.par_sort_unstable();
        let repeats = seen.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
        first = repeats.chain(first).min();
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::parquet::read::TableReader;
    use crate::parquet::write::{TableWriter, WriteOptions};

    #[test]
    fn the_first_repeat_is_the_same_in_any_number_of_passes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let rows = 90_000;
        let repeats = [(80_000, 7), (70_000, 69_999), (85_000, 85_001)];
        let number = |row| repeats.iter().find(|(at, _)| *at == row).map_or(row, |(_, other)| *other);
        let all: Vec<i64> = (1..=rows).map(number).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("unique", Arc::new(Int64Array::from_iter_values(1..=rows))),
            ("repeats", Arc::new(StringArray::from_iter_values(all.iter().map(i64::to_string)))),
            // NULL is no value, though it stands in many rows.
            ("null", Arc::new((1..=rows).map(|row| (row % 3 > 0).then_some(row)).collect::<Int64Array>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = TableWriter::create(&path, batch.schema(), &WriteOptions::default()).unwrap();
        writer.write(&batch).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        for rows_at_once in [u64::MAX, 40_000] {
            let table = Table { readers: vec![TableReader::open(&path).unwrap()] };
            let first = |column| first_repeat(&table, column, rows_at_once).unwrap();
            assert_eq!((first("unique"), first("repeats"), first("null")), (None, Some(70_000), None));
        }
    }

    #[test]
    fn an_empty_table_repeats_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; 0])) as ArrayRef)]);
        let writer = TableWriter::create(&path, batch.unwrap().schema(), &WriteOptions::default());
        writer.unwrap().seal().unwrap().file.publish().unwrap();
        let table = Table { readers: vec![TableReader::open(&path).unwrap()] };
        assert_eq!(repeat(&table, "n").unwrap(), None);
    }
}
