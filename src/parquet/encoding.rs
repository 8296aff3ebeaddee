//! Which columns of a file are worth a dictionary, judged by its first rows.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::row::{RowConverter, SortField};
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::SchemaDescriptor;

/// Rows that are looked at.
const SAMPLE_ROWS: usize = 8192;
/// A dictionary is for columns in which a value is repeated so many times, on average. For others it costs a look-up per
/// value and is given up once it is full.
const REPEATS: usize = 8;

/// Chooses encodings for the columns. What is chosen depends on the rows alone.
pub(super) fn choose(
    mut properties: WriterPropertiesBuilder,
    descriptor: &SchemaDescriptor,
    first: &RecordBatch,
) -> WriterPropertiesBuilder {
    let sample = first.slice(0, first.num_rows().min(SAMPLE_ROWS));
    for (leaf, column) in descriptor.columns().iter().enumerate() {
        let dictionary = sample.columns().get(descriptor.get_column_root_idx(leaf)).is_none_or(repeats);
        properties = properties.set_column_dictionary_enabled(column.path().clone(), dictionary);
    }
    properties
}

/// Whether values are repeated often enough; a type that cannot be compared is taken to.
fn repeats(array: &ArrayRef) -> bool {
    let values = array.len() - array.null_count();
    let Ok(converter) = RowConverter::new(vec![SortField::new(array.data_type().clone())]) else {
        return true;
    };
    let Ok(rows) = converter.convert_columns(std::slice::from_ref(array)) else { return true };
    let distinct: HashSet<&[u8]> = rows.iter().map(|row| row.data()).collect();
    distinct.len() * REPEATS <= values.max(1)
}
