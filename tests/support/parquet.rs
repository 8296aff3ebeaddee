//! Parquet files as text, for comparison.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use ssp::parquet::read::TableReader;

/// All rows of a file.
pub fn rows(path: &Path) -> Vec<RecordBatch> {
    let reader = TableReader::open(path).unwrap();
    let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    reader.batches(&names, None, 8192).unwrap().map(Result::unwrap).collect()
}

/// The rows of a file, a line each, values apart by ` | ` and NULL as `NULL`.
pub fn lines(path: &Path) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in rows(path) {
        let arrays: Vec<ArrayRef> = batch.columns().iter().map(without_zone).collect();
        let columns: Vec<ArrayFormatter<'_>> =
            arrays.iter().map(|array| ArrayFormatter::try_new(array, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join(" | "));
        }
    }
    lines
}

/// The formatter knows no zones by name, not even UTC.
fn without_zone(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
            assert_eq!(&**zone, "UTC");
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<&str>))
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let elements = without_zone(lists.values());
            let field = Field::new_list_field(elements.data_type().clone(), true);
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            Arc::new(ListArray::new(Arc::new(field), offsets, elements, nulls))
        }
        _ => array.clone(),
    }
}
