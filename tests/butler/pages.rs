//! Which pages of a file are decoded: all of the column that is compared with the ids, of the others only those in which
//! rows are kept. Pages without such rows are damaged here: to decode one fails.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, take_record_batch};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use ssp::stages::extract::Error;

use crate::fixture::{Fixture, RUN_A, Table, filter, spec, write};

const VISIT: i64 = 2_025_071_500_010;
const ROWS: usize = 4_000;
const PAGE_ROWS: usize = 100;
/// The first is compared with the ids; the last has so few different values that they are in a dictionary.
const COLUMNS: [&str; 4] = ["diaSourceId", "flux", "name", "few"];
/// What the compressed part of a page begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The table: the id of a row is its number.
fn table() -> RecordBatch {
    let rows = || 0..i64::try_from(ROWS).unwrap();
    let texts = |different: i64| rows().map(|row| format!("text {}", row % different)).collect::<Vec<_>>();
    let columns: [ArrayRef; 4] = [
        Arc::new(rows().map(Some).collect::<Int64Array>()),
        Arc::new(rows().map(|row| (row % 3 > 0).then_some(row as f64 / 8.0)).collect::<Float64Array>()),
        Arc::new(StringArray::from(texts(i64::MAX))),
        Arc::new(StringArray::from(texts(7))),
    ];
    let columns = COLUMNS.into_iter().zip(columns).map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// The table as a file of small pages, with an index of its pages or without.
fn file(group_rows: usize, indexed: bool) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled("few".into(), true)
        .set_offset_index_disabled(!indexed)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::Chunk)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table().schema(), Some(properties)).unwrap();
    writer.write(&table()).unwrap();
    writer.into_inner().unwrap()
}

/// Makes the pages of all columns but the first unreadable, apart from those with one of the rows `spared`; how many.
/// Their headers, which say where the next page is, stay as they are.
fn damage(file: &mut [u8], group_rows: usize, spared: &[usize]) -> usize {
    let bytes = bytes::Bytes::copy_from_slice(file);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    assert_eq!(metadata.num_row_groups(), ROWS.div_ceil(group_rows));
    let mut count = 0;
    for (group, row_group) in metadata.row_groups().iter().enumerate() {
        for column in &row_group.columns()[1..] {
            let (start, length) = column.byte_range();
            let range = usize::try_from(start).unwrap()..usize::try_from(start + length).unwrap();
            let mut pages: Vec<usize> =
                range.filter(|at| file.get(*at..at + ZSTD.len()) == Some(&ZSTD)).collect();
            if column.dictionary_page_offset().is_some() {
                pages.remove(0);
            }
            assert_eq!(pages.len(), group_rows / PAGE_ROWS, "{}", column.column_path());
            for (number, page) in pages.into_iter().enumerate() {
                let first = group * group_rows + number * PAGE_ROWS;
                if !spared.iter().any(|row| (first..first + PAGE_ROWS).contains(row)) {
                    file[page..page + ZSTD.len()].fill(0);
                    count += 1;
                }
            }
        }
    }
    count
}

/// Extracts rows by their ids from a file.
fn extract(file: &[u8], rows: &[usize]) -> Result<Table, Error> {
    let fixture = Fixture::sqlite();
    fixture.sql("UPDATE file_datastore_records SET file_size = -1");
    write(&fixture.file_of(RUN_A, VISIT), file);
    let ids = rows.iter().map(|row| i64::try_from(*row).ok()).collect::<Int64Array>();
    let mut spec = spec(RUN_A);
    spec.condition = Some(format!("visit = {VISIT}"));
    spec.filter = Some(filter(&fixture.ids_file(Arc::new(ids)), "id"));
    fixture.extract(&spec).map(|(_, table)| table)
}

/// Asserts that only the pages that hold these rows are decoded.
fn assert_only_pages_with(rows: &[usize]) {
    for (group_rows, indexed) in [(ROWS, true), (ROWS, false), (1_000, true), (1_000, false)] {
        let mut file = file(group_rows, indexed);
        assert!(damage(&mut file, group_rows, rows) > 60);
        let found = extract(&file, rows).unwrap();
        let found = concat_batches(found.reader.schema(), &found.batches).unwrap();
        let wanted = rows.iter().map(|row| i64::try_from(*row).ok()).collect::<Int64Array>();
        let wanted = take_record_batch(&table(), &wanted).unwrap();
        for (column, name) in COLUMNS.into_iter().enumerate() {
            assert_eq!(found.column(column).to_data(), wanted.column(column).to_data(), "{name}");
        }
    }
}

#[test]
fn pages_without_matches_are_not_decoded() {
    assert_only_pages_with(&[5, 250, 251, 1_999, 3_950]);
}

#[test]
fn pages_before_and_after_dense_matches_are_not_decoded() {
    // Where matches are dense, all pages from the first to the last are decoded: that takes less time than skipping single rows.
    assert_only_pages_with(&(1_230..1_400).step_by(2).collect::<Vec<_>>());
}

#[test]
fn a_damaged_page_with_a_match_is_an_error() {
    for indexed in [true, false] {
        let mut file = file(ROWS, indexed);
        damage(&mut file, ROWS, &[5]);
        let error = extract(&file, &[5, 250]).err().unwrap();
        assert!(error.to_string().contains("cannot read the rows of dataset"), "{error}");
    }
}
