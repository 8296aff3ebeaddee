//! Datasets whose columns differ: brought together where that is exact, refused where it is not.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use ssp::stages::extract::Error;

use crate::fixture::{Fixture, Table, int64, table};

/// Extracts two or three visits whose files hold other tables.
fn extract(tables: &[RecordBatch]) -> Result<(Vec<String>, Table), Error> {
    let (fixture, spec) = Fixture::of(tables);
    fixture.extract(&spec).map(|(product, table)| (product.warnings, table))
}

fn uint64(values: &[u64]) -> ArrayRef {
    Arc::new(UInt64Array::from(values.to_vec()))
}

fn with_unit(unit: &str) -> RecordBatch {
    let field = Field::new("x", DataType::Int64, true).with_metadata([("unit", unit)]);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![int64(&[1])]).unwrap()
}

#[test]
fn int64_and_uint64_become_int64() {
    let max = i64::MAX.cast_unsigned();
    let (_, found) = extract(&[table(&[("id", int64(&[-1]))]), table(&[("id", uint64(&[max, 2]))])]).unwrap();
    assert_eq!(found.column("id").as_primitive::<Int64Type>().values(), &[-1, i64::MAX, 2]);
}

#[test]
fn a_uint64_that_does_not_fit_is_an_error_that_names_the_dataset() {
    let too_large = uint64(&[1, 1 << 63]);
    let error = extract(&[table(&[("id", int64(&[1]))]), table(&[("id", too_large)])]).err().unwrap();
    assert!(error.to_string().contains("dataset {instrument: 'LSSTCam', visit: 2025071500011}"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("9223372036854775808"), "{cause}");
}

#[test]
fn columns_in_another_order_come_in_that_of_the_first() {
    let first = table(&[("a", int64(&[1])), ("b", int64(&[2]))]);
    let second = table(&[("b", int64(&[4])), ("a", int64(&[3]))]);
    let (warnings, found) = extract(&[first, second]).unwrap();
    assert_eq!(found.column("a").as_primitive::<Int64Type>().values(), &[1, 3]);
    assert_eq!(found.column("b").as_primitive::<Int64Type>().values(), &[2, 4]);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_missing_column_is_null_and_said() {
    let first = table(&[("a", int64(&[1]))]);
    let second = table(&[("b", int64(&[4])), ("a", int64(&[3]))]);
    let (warnings, found) = extract(&[first.clone(), second, first]).unwrap();
    let b = found.column("b");
    assert_eq!((b.is_null(0), b.as_primitive::<Int64Type>().value(1), b.is_null(2)), (true, 4, true));
    assert!(
        warnings[0].starts_with("column `b` is NULL for 2 datasets that lack it, such as {instr"),
        "{warnings:?}"
    );
}

#[test]
fn a_missing_column_that_may_not_be_null_is_an_error() {
    let first = table(&[("a", int64(&[1]))]);
    let second =
        RecordBatch::try_from_iter_with_nullable([("a", int64(&[1]), true), ("b", int64(&[4]), false)])
            .unwrap();
    let error = extract(&[first, second]).err().unwrap().to_string();
    assert!(
        error.contains("`b` is never NULL in dataset") && error.contains("missing in dataset"),
        "{error}"
    );
}

#[test]
fn numbers_widen_where_that_is_exact() {
    let narrow = table(&[
        ("i", Arc::new(Int32Array::from(vec![i32::MIN])) as ArrayRef),
        ("f", Arc::new(Float32Array::from(vec![0.1]))),
    ]);
    let wide = table(&[("i", int64(&[i64::MAX])), ("f", Arc::new(Float64Array::from(vec![0.1])))]);
    let (_, found) = extract(&[narrow, wide]).unwrap();
    assert_eq!(found.column("i").as_primitive::<Int64Type>().values(), &[i64::from(i32::MIN), i64::MAX]);
    assert_eq!(found.column("f").as_primitive::<Float64Type>().values(), &[f64::from(0.1_f32), 0.1]);
}

#[test]
fn kinds_that_cannot_become_one_name_both_datasets() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    for (other, kind) in [(text, "Utf8"), (float, "Float64")] {
        let error =
            extract(&[table(&[("id", int64(&[1]))]), table(&[("id", other)])]).err().unwrap().to_string();
        for wanted in [
            "column `id` is Int64 in dataset {instrument: 'LSSTCam', visit: 2025071500010}",
            &format!("but {kind} in dataset {{instrument: 'LSSTCam', visit: 2025071500011}}"),
        ] {
            assert!(error.contains(wanted), "{error}");
        }
    }
}

#[test]
fn different_units_are_an_error() {
    let error = extract(&[with_unit("deg"), with_unit("rad")]).err().unwrap().to_string();
    assert!(
        error.contains("column `x` is in `deg` in dataset") && error.contains("in `rad` in dataset"),
        "{error}"
    );
    let (_, found) = extract(&[table(&[("x", int64(&[1]))]), with_unit("deg")]).unwrap();
    let field = found.reader.schema().field_with_name("x").unwrap();
    assert_eq!(field.metadata().get("unit").map(String::as_str), Some("deg"));
}

#[test]
fn a_dataset_without_rows_has_no_say() {
    let empty: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    let (warnings, found) = extract(&[table(&[("id", empty)]), table(&[("id", int64(&[1]))])]).unwrap();
    assert_eq!((warnings, found.column("id").data_type()), (Vec::new(), &DataType::Int64));
}
