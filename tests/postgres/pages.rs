//! What a reader needs to skip what it does not want: statistics of every column of every row group, and the index of
//! its pages, with where they are and what is in them.

use std::fs::File;

use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use ssp::stages::export::ExportSpec;

use crate::support::postgres::{Server, sql};

const ROWS: usize = 70_000;
const GROUP: usize = 50_000;
const QUERY: &str =
    "SELECT n, CASE WHEN n % 5 > 0 THEN n / 4.0 END AS x, 'name ' || n % 3 AS few, ARRAY[n, NULL] AS list
                     FROM generate_series(1, 70000) AS n ORDER BY n";

#[test]
fn statistics_and_page_indices_are_there_and_right() {
    let server = Server::with("");
    let spec = ExportSpec { row_group_size: Some(GROUP as u64), ..sql(QUERY) };
    let (file, _) = server.export("pages.parquet", &spec).unwrap();
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = reader.parse_and_finish(&File::open(file).unwrap()).unwrap();
    assert_eq!(metadata.num_row_groups(), 2);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let (before, rows) = (number * GROUP, GROUP.min(ROWS - number * GROUP));
        let range =
            |first: usize, end: usize| (i32::try_from(first + 1).unwrap(), i32::try_from(end).unwrap());
        assert_eq!((group.num_columns(), usize::try_from(group.num_rows()).unwrap()), (4, rows));
        let pages = metadata.page_index_for_row_group(number);
        for (leaf, column) in group.columns().iter().enumerate() {
            let name = column.column_path().string();
            let statistics = column.statistics().unwrap_or_else(|| panic!("{name} has no statistics"));
            let nulls = [0, rows / 5, 0, rows][leaf] as u64;
            assert_eq!(statistics.null_count_opt(), Some(nulls), "{name}");
            match statistics {
                Statistics::Int32(found) => {
                    let expected = range(before, before + rows);
                    assert_eq!(
                        found.min_opt().copied().zip(found.max_opt().copied()),
                        Some(expected),
                        "{name}"
                    );
                }
                Statistics::Double(found) => {
                    let (least, most) = ((before + 1) as f64 / 4.0, (before + rows - 1) as f64 / 4.0);
                    assert_eq!((found.min_opt(), found.max_opt()), (Some(&least), Some(&most)), "{name}");
                }
                Statistics::ByteArray(found) => {
                    let ends = [found.min_opt(), found.max_opt()].map(|end| end.unwrap().data());
                    assert_eq!(ends, [&b"name 0"[..], b"name 2"], "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
            let places = pages.offset_index(leaf).unwrap_or_else(|| panic!("{name} has no offset index"));
            let places = places.page_locations();
            assert!(number > 0 || places.len() > 1, "{name} is one page");
            if leaf == 3 {
                // What the crate would write of such a list is that all its pages are NULLs alone.
                assert!(pages.column_index(leaf).is_none(), "{name} has a column index");
                continue;
            }
            let index = pages.column_index(leaf).unwrap_or_else(|| panic!("{name} has no column index"));
            assert_eq!(index.num_pages(), places.len() as u64, "{name}");
            let firsts: Vec<usize> =
                places.iter().map(|place| usize::try_from(place.first_row_index).unwrap()).collect();
            let ends = firsts.iter().copied().skip(1).chain([rows]);
            assert!(firsts[0] == 0 && firsts.is_sorted_by(|a, b| a < b), "{name}: {firsts:?}");
            for (page, (first, end)) in firsts.iter().copied().zip(ends).enumerate() {
                let expected = range(before + first, before + end);
                match index {
                    ColumnIndexMetaData::INT32(index) => {
                        let found = index.min_value(page).copied().zip(index.max_value(page).copied());
                        assert_eq!(found, Some(expected), "{name}, page {page}");
                    }
                    ColumnIndexMetaData::DOUBLE(index) => {
                        let fifths = i64::try_from((before + end) / 5 - (before + first) / 5).unwrap();
                        assert_eq!(index.null_count(page), Some(fifths), "{name}, page {page}");
                        assert!(
                            index.max_value(page).is_some_and(|most| *most <= f64::from(expected.1) / 4.0)
                        );
                    }
                    ColumnIndexMetaData::BYTE_ARRAY(index) => {
                        let found = (index.min_value(page), index.max_value(page));
                        assert_eq!(
                            found,
                            (Some(&b"name 0"[..]), Some(&b"name 2"[..])),
                            "{name}, page {page}"
                        );
                    }
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    }
}
