//! Checks on outputs of every type of column.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};

use super::*;
use crate::margin::CheckResult::{Failed, Passed, Skipped, Warning};
use crate::parquet::write::{TableWriter, WriteOptions};

/// A product of these columns, in row groups of two rows.
fn product(folder: &Path, columns: Vec<(&str, ArrayRef)>) -> Product {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, values)| {
            let unit = name.ends_with("mjd").then(|| ("unit".to_owned(), "d".to_owned()));
            Field::new(*name, values.data_type().clone(), true)
                .with_metadata(unit.into_iter().collect::<std::collections::HashMap<_, _>>())
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let rows = columns.into_iter().map(|(_, values)| values).collect();
    let rows = RecordBatch::try_new(schema.clone(), rows).unwrap();
    let options = WriteOptions { row_group_rows: 2, ..WriteOptions::default() };
    let mut writer = TableWriter::create(&folder.join("t.parquet"), schema, &options).unwrap();
    writer.write(&rows).unwrap();
    let files = vec![writer.seal().unwrap()];
    Product { files, ..Product::default() }
}

fn now() -> DateTime<Utc> {
    "2026-03-02T06:00:00Z".parse().unwrap()
}

/// The results of checks that are written as JSON.
fn results(checks: Value, product: &Product, rows_before: Option<u64>) -> Vec<Margin> {
    let checks: ChecksSpec = serde_json::from_value(checks).unwrap();
    let output = Path::new("data/t.parquet");
    check(&checks, &Subject { product, output, schema: None, rows_before, now: now() })
}

/// The only result.
fn result(checks: Value, product: &Product) -> Margin {
    let mut all = results(checks, product, None);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn said(margin: &Margin) -> &str {
    margin.message.as_deref().unwrap_or_default()
}

#[test]
fn numbers_of_every_type_have_a_range() {
    let folder = tempfile::tempdir().unwrap();
    let large = u64::MAX - 1;
    let decimal = Decimal128Array::from(vec![Some(1001), None, Some(-999)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("int", Arc::new(Int32Array::from(vec![Some(-5), None, Some(40)]))),
        ("wide", Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 0, 1]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![large, 7, 8]))),
        ("decimal", Arc::new(decimal.with_precision_and_scale(10, 2).unwrap())),
        ("single", Arc::new(Float32Array::from(vec![0.1, 0.2, 0.3]))),
        ("double", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(0.5)]))),
        ("infinite", Arc::new(Float64Array::from(vec![f64::NEG_INFINITY, 0.0, f64::INFINITY]))),
        ("null", Arc::new(Float64Array::from(vec![None, None, None]))),
    ];
    let product = product(folder.path(), columns);
    let range = |column: &str, range: Value| result(json!({"range": {column: range}}), &product);
    // NaN as a limit, or a value between two limits, cannot be written.
    for (column, limits, outside) in [
        ("int", json!([-5, 40]), 0),
        ("int", json!([-4, null]), 1),
        ("int", json!([null, 39.5]), 1),
        ("int", json!([41, 50]), 2),
        ("wide", json!([null, 9_007_199_254_740_992_i64]), 1),
        ("wide", json!([null, 9_007_199_254_740_993_i64]), 0),
        ("unsigned", json!([null, u64::MAX - 2]), 1),
        ("unsigned", json!([7, "18446744073709551614"]), 0),
        ("decimal", json!([-9.99, 10.01]), 0),
        ("decimal", json!([-9.99, 10.009]), 1),
        ("decimal", json!(["-9.9899999999999999999999", null]), 1),
        ("single", json!([0.1, 0.3]), 0),
        ("single", json!([0.100_001, null]), 1),
        ("double", json!([0, 1]), 1),
        ("double", json!([null, 0.5]), 1),
        ("infinite", json!([0, null]), 1),
        ("infinite", json!([null, 1e300]), 1),
        ("null", json!([0, 1]), 0),
    ] {
        let found = range(column, limits.clone());
        assert_eq!(found.value, json!(outside), "{column} {limits}: {found:?}");
        assert_eq!(found.result == Passed, outside == 0, "{column} {limits}");
        assert_eq!(found.subject.as_deref(), Some(column));
    }
    let found = range("int", json!([0, 39]));
    assert_eq!(found.margin, "2 values outside, -5 to 40 of 0 to 39");
    assert_eq!(
        said(&found),
        "check `range` failed: column `int` of `data/t.parquet` has 2 values outside the range 0 to 39: the first is -5 in \
         row 1; if that is right, change `range`"
    );
    let found = range("decimal", json!({"between": [0, null], "severity": "warn"}));
    assert_eq!(
        (found.result, found.margin.as_str()),
        (Warning, "1 value outside, -9.99 to 10.01 of at least 0")
    );
    assert!(said(&found).starts_with("check `range`: column `decimal`"), "{found:?}");
    assert!(said(&found).contains("outside the range at least 0: -9.99 in row 3;"), "{found:?}");
    assert_eq!(range("null", json!([0, 1])).margin, "no numbers of 0 to 1");
}

#[test]
fn times_of_every_type_have_an_age() {
    let folder = tempfile::tempdir().unwrap();
    let us = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_micros();
    let (newest, day) = (us("2026-03-01T23:00:00Z"), 20_514);
    let times = TimestampMicrosecondArray::from(vec![Some(newest - 5), None, Some(newest)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(times.clone())),
        ("utc", Arc::new(times.with_timezone("UTC"))),
        ("day", Arc::new(Date32Array::from(vec![day, day - 1, 0]))),
        ("mjd", Arc::new(Float64Array::from(vec![61_100.5, f64::NAN, f64::INFINITY]))),
        ("days", Arc::new(Float64Array::from(vec![61_100.5, 0.0, 0.0]))),
        ("ahead", Arc::new(Date32Array::from(vec![day + 1, 0, 0]))),
        ("far", Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN, 0]))),
        ("jd_as_mjd", Arc::new(Float64Array::from(vec![2_461_101.5, 0.0, 0.0]))),
        ("null", Arc::new(Date32Array::from(vec![None, None, None]))),
        ("text", Arc::new(StringArray::from(vec!["2026-03-01", "", ""]))),
    ];
    let product = product(folder.path(), columns);
    let lag = |column: &str, at_most: &str| {
        result(json!({"max_lag": {"column": column, "at_most": at_most}}), &product)
    };
    for (column, margin) in [
        ("time", "7h of at most 36h"),
        ("utc", "7h of at most 36h"),
        ("day", "6h of at most 36h"),
        ("mjd", "18h of at most 36h"),
        ("ahead", "18h in the future, of at most 36h"),
    ] {
        let found = lag(column, "36h");
        assert_eq!((found.result, found.margin.as_str()), (Passed, margin), "{column}");
    }
    assert_eq!(lag("time", "7h").result, Passed);
    let old = lag("time", "419m");
    assert_eq!((old.result, &old.value), (Failed, &json!("2026-03-01T23:00:00Z")));
    assert!(
        said(&old).starts_with(
            "check `max_lag` failed: column `time` of `data/t.parquet` has the newest value 2026-03-01T23:00:00Z, 7h ago, \
             expected at most 6h59m; find out why"
        ),
        "{old:?}"
    );
    for (column, message) in [
        ("far", "in the future, so that its age is unknown"),
        ("jd_as_mjd", "in the future, so that its age is unknown"),
        ("null", "column `null` of `data/t.parquet` has no value"),
        ("text", "column `text` of `data/t.parquet` is string with no unit; name a timestamp, a date"),
        ("days", "is float64 with no unit"),
        ("tme", "`data/t.parquet` has no column `tme` (it has: time, utc, day"),
    ] {
        let found = lag(column, "36h");
        assert_eq!(found.result, Failed);
        assert!(said(&found).contains(message), "{found:?}");
    }
}

#[test]
fn an_age_grows_while_the_output_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let newest = now().timestamp_micros() - 3_600_000_000;
    let product = product(
        folder.path(),
        vec![("t", Arc::new(TimestampMicrosecondArray::from(vec![newest])) as ArrayRef)],
    );
    let checks = |at_most: &str| json!({"min_rows": 1, "max_lag": {"column": "t", "at_most": at_most}});
    let first = results(checks("2h"), &product, None);
    let later = |checks: Value, hours| {
        let checks: ChecksSpec = serde_json::from_value(checks).unwrap();
        check_again(&checks, &first, Path::new("data/t.parquet"), now() + chrono::TimeDelta::hours(hours))
    };
    let of = |margins: Vec<Margin>| {
        margins.into_iter().map(|margin| (margin.result, margin.margin)).collect::<Vec<_>>()
    };
    let rows = (Passed, "1 of at least 1".to_owned());
    let lag = |result, margin: &str| vec![rows.clone(), (result, margin.to_owned())];
    assert_eq!(of(later(checks("2h"), 1)), lag(Passed, "2h of at most 2h"));
    assert_eq!(of(later(checks("2h"), 2)), lag(Failed, "3h of at most 2h"));
    // A limit that was raised holds at once; a check that was removed stays as it was.
    assert_eq!(of(later(checks("5h"), 2)), lag(Passed, "3h of at most 5h"));
    assert_eq!(of(later(json!({}), 9)), lag(Passed, "1h of at most 2h"));
}

#[test]
fn rows_are_compared_with_the_last_good_output() {
    let folder = tempfile::tempdir().unwrap();
    let product = product(folder.path(), vec![("n", Arc::new(Int64Array::from(vec![1; 90])) as ArrayRef)]);
    let of = |checks: Value, before| {
        let all = results(checks, &product, before);
        (all[0].result, all[0].margin.clone())
    };
    for (checks, before, result, margin) in [
        (json!({"min_rows": 90}), None, Passed, "90 of at least 90"),
        (json!({"min_rows": 1000}), None, Failed, "90 of at least 1,000"),
        (json!({"min_rows": {"at_least": 91, "severity": "warn"}}), None, Warning, "90 of at least 91"),
        (json!({"max_shrink": "10%"}), Some(100), Passed, "10.0 % of at most 10 %"),
        (json!({"max_shrink": "9.9%"}), Some(100), Failed, "10.0 % of at most 9.9 %"),
        (json!({"max_shrink": "0%"}), Some(80), Passed, "0.0 % of at most 0 %"),
        (json!({"max_shrink": "10%"}), None, Skipped, "no earlier output"),
        (json!({"max_growth": "20%"}), Some(75), Passed, "20.0 % of at most 20 %"),
        (json!({"max_growth": "20%"}), Some(74), Failed, "21.6 % of at most 20 %"),
        (
            json!({"max_growth": {"at_most": "20%", "severity": "warn"}}),
            Some(1),
            Warning,
            "8900.0 % of at most 20 %",
        ),
        (json!({"max_growth": "0%"}), Some(100), Passed, "0.0 % of at most 0 %"),
        (json!({"max_growth": "20%"}), Some(0), Skipped, "the last good output has no rows"),
    ] {
        assert_eq!(of(checks.clone(), before), (result, margin.to_owned()), "{checks} {before:?}");
    }
    let grown = results(json!({"max_growth": "20%"}), &product, Some(10));
    assert_eq!(
        said(&grown[0]),
        "check `max_growth` failed: `data/t.parquet` has 90 rows, 800.0 % more than the 10 of the last good output; if that \
         is right, raise `max_growth` for one run"
    );
}

#[test]
fn every_check_has_its_result_and_none_names_the_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(1)]))),
        ("s", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ];
    let product = product(folder.path(), columns);
    let checks = json!({
        "min_rows": 4,
        "max_lag": {"column": "n", "at_most": "1h", "severity": "warn"},
        "range": {"s": [0, 1], "x": {"between": [0, 1], "severity": "warn"}},
        "not_null": ["n", "s", "y"],
        "unique": {"columns": ["n", "s"], "severity": "warn"},
    });
    let all = results(checks, &product, None);
    let short: Vec<_> = all
        .iter()
        .map(|margin| (margin.check.as_str(), margin.subject.as_deref().unwrap_or("-"), margin.result.word()))
        .collect();
    assert_eq!(
        short,
        [
            ("min_rows", "-", "failed"),
            ("max_lag", "n", "warning"),
            ("range", "s", "failed"),
            ("range", "x", "warning"),
            ("not_null", "n", "failed"),
            ("not_null", "s", "passed"),
            ("not_null", "y", "failed"),
            ("unique", "n", "warning"),
            ("unique", "s", "passed"),
        ]
    );
    for margin in &all {
        let text = format!("{margin:?}");
        assert!(!text.contains(".tmp") && !text.contains(&folder.path().display().to_string()), "{text}");
        assert_eq!(margin.message.is_none(), margin.result == Passed, "{text}");
        assert!(said(margin).is_empty() || said(margin).contains("`data/t.parquet`"), "{text}");
        let json = serde_json::to_string(margin).unwrap();
        assert_eq!(&serde_json::from_str::<Margin>(&json).unwrap(), margin);
    }
    assert!(said(&all[4]).contains("has 1 NULL, in row 2"), "{:?}", all[4]);
    assert!(said(&all[7]).contains("has the value of an earlier row in row 3: `1`;"), "{:?}", all[7]);
    assert!(
        said(&all[2]).contains("column `s` of `data/t.parquet` is string, but only numbers"),
        "{:?}",
        all[2]
    );
}

#[test]
fn the_columns_that_checks_need_are_known_before_a_run() {
    let checks: ChecksSpec = serde_json::from_value(json!({
        "max_lag": {"column": "t", "at_most": "1h"},
        "range": {"h": [0, 1]},
        "not_null": {"columns": ["a", "b"]},
        "unique": ["c"],
    }))
    .unwrap();
    let columns: Vec<_> = checks.columns().collect();
    assert_eq!(
        columns,
        [("max_lag", "t"), ("range", "h"), ("not_null", "a"), ("not_null", "b"), ("unique", "c")]
    );
}
