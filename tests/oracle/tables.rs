//! Small tables for tests: columns to Parquet files and back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use ssp::monitor::Monitor;
use ssp::parquet::read::TableReader;
use ssp::parquet::write::{TableWriter, WriteOptions};
use ssp::stages::Product;
use ssp::stages::Spec as _;
use ssp::stages::build_ssobject::{BuildSsObject, BuildSsObjectSpec, Error, Inputs, run};

use crate::parquet::rows;

/// A table of named columns.
pub type Columns = Vec<(String, ArrayRef)>;

/// Writes a table, in several row groups.
pub fn write(path: &Path, columns: &Columns) -> PathBuf {
    let columns = columns.iter().map(|(name, array)| (name, array.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let row_group_rows = batch.num_rows().div_ceil(3).max(1);
    let options = WriteOptions { row_group_rows, ..WriteOptions::default() };
    let mut writer = TableWriter::create(path, batch.schema(), &options).unwrap();
    writer.write(&batch).unwrap();
    writer.seal().unwrap().file.publish().unwrap();
    path.to_owned()
}

/// Reads a table whole.
pub fn read(path: &Path) -> RecordBatch {
    concat_batches(TableReader::open(path).unwrap().schema(), &rows(path)).unwrap()
}

/// The columns of a table, with their names.
pub fn columns(table: &RecordBatch) -> Columns {
    let names = table.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    names.into_iter().zip(table.columns().to_vec()).collect()
}

/// A column as numbers, `None` for NULL.
pub fn numbers(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    let array = cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
    array.as_primitive::<Float64Type>().iter().collect()
}

/// A column as ids, without NULL.
pub fn ids(batch: &RecordBatch, name: &str) -> Vec<i64> {
    let array = cast(batch.column_by_name(name).unwrap(), &DataType::Int64).unwrap();
    array.as_primitive::<Int64Type>().values().to_vec()
}

/// A column as texts.
pub fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let array = cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
    let array = array.as_string::<i32>();
    (0..array.len()).map(|k| array.is_valid(k).then(|| array.value(k).to_owned())).collect()
}

/// A table with another column in place of one.
pub fn replace(columns: &mut Columns, name: &str, array: impl Array + 'static) {
    let place = columns.iter().position(|entry| entry.0 == name).unwrap();
    columns[place] = column(name, array);
}

/// The inputs of the small table.
pub fn inputs() -> Inputs {
    let folder = Path::new("fixtures/ssobject_case");
    Inputs {
        sssource: folder.join("sssource.parquet"),
        dia_sources: Some(folder.join("dia_sources.parquet")),
        mpc_orbits: folder.join("mpc_orbits.parquet"),
    }
}

/// The options of a pipeline that sets none.
pub fn options() -> BuildSsObject {
    let text = "{sssource: a, mpc_orbits: b, earth: secular}";
    serde_saphyr::from_str::<BuildSsObjectSpec>(text).unwrap().checked().unwrap()
}

/// Builds a table, which is not yet at its target.
pub fn build(inputs: &Inputs, options: &BuildSsObject, target: &Path) -> Result<Product, Error> {
    run(inputs, options, target, &Monitor::default())
}

/// Builds a table, publishes it and reads it back.
pub fn built(inputs: &Inputs, options: &BuildSsObject, target: &Path) -> RecordBatch {
    build(inputs, options, target).unwrap().files.remove(0).file.publish().unwrap();
    read(target)
}

/// The error of a build as text, its causes too, with folders left out.
pub fn error_text(folder: &Path, result: Result<Product, Error>) -> String {
    ssp::errors::chain(&result.unwrap_err()).join("\n").replace(&format!("{}/", folder.display()), "")
}

/// A column of a table to write.
pub fn column(name: &str, array: impl Array + 'static) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(array))
}
