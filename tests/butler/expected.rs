//! Every collection against what the real Butler returned (`expected.json`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt64Type};
use serde_json::Value;
use sha2::{Digest, Sha256};
use ssp::butler::columns::Columns;
use ssp::butler::reader::Reader;
use ssp::butler::{Dataset, Problem, Repository, Selection};
use ssp::stages::extract::{Duplicates, OnMissingDataset};

use crate::fixture::{Fixture, extract_from, fixtures, selection, spec, visit_of};

/// One dataset in words that both sides can say.
type Line = String;

/// What the real Butler returned.
pub fn expected() -> Value {
    serde_json::from_str(&fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

#[test]
fn every_collection_of_the_sqlite_repository_is_as_the_real_butler_has_it() {
    let (fixture, expected) = (Fixture::sqlite(), expected());
    assert_every_collection_is_among(&expected, &fixture);
    compare(&fixture.open(), &expected, fixture.repo());
    extracts(&fixture.open(), &expected, &fixture);
}

/// Asserts that no collection of a repository with an `SQLite` registry is left out, with and without find-first.
pub fn assert_every_collection_is_among(expected: &Value, fixture: &Fixture) {
    let registry = rusqlite::Connection::open(fixture.root.join("gen3.sqlite3")).unwrap();
    let mut statement = registry.prepare("SELECT name FROM collection").unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let all: BTreeSet<(String, bool)> =
        names.map(Result::unwrap).flat_map(|name| [(name.clone(), false), (name, true)]).collect();
    let case = |case: &Value| {
        (case["collection"].as_str().unwrap().to_owned(), case["find_first"].as_bool().unwrap())
    };
    assert_eq!(expected["cases"].as_array().unwrap().iter().map(case).collect::<BTreeSet<_>>(), all);
}

/// Compares the datasets of every case, and the rows of every dataset.
pub fn compare(repository: &Repository, expected: &Value, root: &str) {
    let cases = expected["cases"].as_array().unwrap();
    assert!(cases.len() >= 26, "{}", cases.len());
    let reader = Reader::new(repository, &ssp::monitor::Monitor::default());
    for case in cases {
        let selection = Selection {
            find_first: case["find_first"].as_bool().unwrap(),
            keep_duplicates: true,
            ..selection(case["collection"].as_str().unwrap())
        };
        let found = repository.datasets(&selection).unwrap();
        let mut lines: Vec<Line> = found.iter().map(|dataset| line(repository, &reader, dataset)).collect();
        let mut wanted: Vec<Line> =
            case["datasets"].as_array().unwrap().iter().map(|dataset| expected_line(dataset, root)).collect();
        let sorted = found.windows(2).all(|pair| {
            (&pair[0].data_id, &pair[0].run, pair[0].id) <= (&pair[1].data_id, &pair[1].run, pair[1].id)
        });
        assert!(sorted, "{}", case["collection"]);
        lines.sort();
        wanted.sort();
        assert_eq!(lines, wanted, "{} find_first={}", case["collection"], case["find_first"]);
    }
}

/// Extracts every case as the Python tool would, but for what it cannot read: rows and sums of ids.
pub fn extracts(repository: &Repository, expected: &Value, fixture: &Fixture) {
    let mut extracted = 0;
    for case in expected["cases"].as_array().unwrap() {
        if case["n_datasets"] == 0 {
            continue;
        }
        let mut spec = spec(case["collection"].as_str().unwrap());
        spec.find_first = case["find_first"].as_bool();
        spec.duplicates = Some(Duplicates::Keep);
        spec.on_missing = Some(OnMissingDataset::Skip);
        let (product, table) = extract_from(repository, &spec, &fixture.output()).unwrap();
        assert_eq!(product.rows(), case["n_rows_ok"].as_u64().unwrap(), "{}", case["collection"]);
        let ids = table.column("diaSourceId");
        let sum: i128 = match ids.data_type() {
            DataType::Int64 => {
                ids.as_primitive::<Int64Type>().values().iter().map(|id| i128::from(*id)).sum()
            }
            _ => ids.as_primitive::<UInt64Type>().values().iter().map(|id| i128::from(*id)).sum(),
        };
        assert_eq!(sum.to_string(), case["dia_source_id_sum_ok"].as_str().unwrap());
        let unreadable = case["datasets"].as_array().unwrap().iter().filter(|found| found["status"] != "ok");
        assert_eq!(product.figures["datasets_skipped"], unreadable.count());
        extracted += 1;
    }
    assert!(extracted >= 20, "only {extracted} cases have datasets");
}

fn line(repository: &Repository, reader: &Reader, dataset: &Dataset) -> Line {
    let (status, content) = match reader.open(dataset).unwrap() {
        Err(Problem::NotStored) => ("not_stored", String::new()),
        Err(Problem::Missing(_)) => ("missing_artifact", String::new()),
        Err(other) => panic!("{dataset}: {other}"),
        Ok(table) => {
            let columns = Columns::unify(&[(dataset, table.schema().fields().clone())], None).unwrap();
            let rows = reader.read(dataset, &columns, None).unwrap();
            let count: usize = rows.batches.iter().map(RecordBatch::num_rows).sum();
            ("ok", format!("{count} {}", digest(&columns, &rows.batches)))
        }
    };
    let place = repository.locate(dataset).unwrap().first().map_or_else(
        || "-".to_owned(),
        |location| format!("{} {}", location.place, location.member.as_deref().unwrap_or("-")),
    );
    let data_id = &dataset.data_id;
    format!(
        "{} {} {} {} {} {} {status} {place} {content}",
        dataset.run,
        visit_of(dataset),
        data_id.day_obs.unwrap(),
        data_id.band.as_deref().unwrap(),
        data_id.physical_filter.as_deref().unwrap(),
        dataset.id,
    )
}

fn expected_line(dataset: &Value, root: &str) -> Line {
    let text = |key: &str| dataset[key].as_str().unwrap_or("-");
    let number = |key: &str| dataset[key].as_i64().unwrap();
    let content = match dataset["content_sha256"].as_str() {
        Some(digest) => format!("{} {digest}", number("n_rows")),
        None => String::new(),
    };
    let place = match dataset["path"].as_str() {
        None => "-".to_owned(),
        Some(path) => {
            let path = match path.strip_prefix("file://") {
                Some(path) => percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned(),
                None => format!("{root}/{path}"),
            };
            format!("{path} {}", text("zip_member"))
        }
    };
    format!(
        "{} {} {} {} {} {} {} {place} {content}",
        text("run"),
        number("visit"),
        number("day_obs"),
        text("band"),
        text("physical_filter"),
        text("id"),
        text("status"),
    )
}

/// The digest that `make_repo.py` takes of a table: names, types and Python's `repr` of every value.
fn digest(columns: &Columns, batches: &[RecordBatch]) -> String {
    let mut text = String::new();
    for field in columns.schema().fields() {
        let name = match field.data_type() {
            DataType::Int16 => "int16",
            DataType::Int32 => "int32",
            DataType::Int64 => "int64",
            DataType::UInt64 => "uint64",
            DataType::Float32 => "float",
            DataType::Float64 => "double",
            DataType::Boolean => "bool",
            DataType::Utf8 => "string",
            other => panic!("{other}"),
        };
        write!(text, "{}:{name};", field.name()).unwrap();
    }
    for column in 0..columns.schema().fields().len() {
        for batch in batches {
            let column = batch.column(column);
            for row in 0..column.len() {
                text += &repr(column, row);
                text += "\n";
            }
        }
    }
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A value as Python writes it.
fn repr(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "None".to_owned();
    }
    match column.data_type() {
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float32 => python_float(f64::from(column.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => python_float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => if column.as_boolean().value(row) { "True" } else { "False" }.to_owned(),
        DataType::Utf8 => format!("'{}'", column.as_string::<i32>().value(row)),
        other => panic!("{other}"),
    }
}

/// The fewest digits that read back the same, the nearest of those (a tie to the even digit, where Rust's own shortest
/// form does otherwise); an exponent only below 1e-4 and from 1e16.
fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let shortest =
        (0..17).map(|digits| format!("{value:.digits$e}")).find(|text| text.parse() == Ok(value)).unwrap();
    let (digits, exponent) = shortest.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if value != 0.0 && !(-4..16).contains(&exponent) {
        return format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let digits = i32::try_from(digits.chars().filter(char::is_ascii_digit).count()).unwrap();
    format!("{value:.*}", usize::try_from(digits - 1 - exponent).unwrap_or(0).max(1))
}
