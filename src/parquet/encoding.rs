//! How the columns of a file are encoded, judged by its first rows.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_row::{RowConverter, SortField};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Encoding, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

/// Rows that are looked at.
const SAMPLE_ROWS: usize = 8192;
/// Fewer rows say too little about what follows, and are not worth the time.
const TRIAL_ROWS: usize = 1024;
/// A dictionary is for columns in which a value is repeated at least this often, on average. For others it costs a look-up
/// per value and is given up once it is full.
const REPEATS: usize = 8;

/// Chooses encodings for the columns: a dictionary where values are repeated, else the plain form or, unless only `plain`
/// ones are wanted, that for numbers if it is smaller. What is chosen depends on the rows alone.
pub(super) fn choose(
    mut properties: WriterPropertiesBuilder,
    descriptor: &SchemaDescriptor,
    first: &RecordBatch,
    plain: bool,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let sample = first.slice(0, first.num_rows().min(SAMPLE_ROWS));
    let mut numbers: Vec<(ColumnPath, Encoding)> = Vec::new();
    let mut roots = BTreeSet::new();
    for (leaf, column) in descriptor.columns().iter().enumerate() {
        let root = descriptor.get_column_root_idx(leaf);
        let dictionary = sample.columns().get(root).is_none_or(repeats);
        properties = properties.set_column_dictionary_enabled(column.path().clone(), dictionary);
        if let Some(encoding) = for_numbers(column.physical_type())
            && !dictionary
            && !plain
        {
            numbers.push((column.path().clone(), encoding));
            roots.insert(root);
        }
    }
    if numbers.is_empty() || sample.num_rows() < TRIAL_ROWS {
        return Ok(properties);
    }
    let sample = sample.project(&roots.into_iter().collect::<Vec<_>>())?;
    let encoded = |properties: WriterPropertiesBuilder, (path, encoding): &(ColumnPath, Encoding)| {
        properties.set_column_encoding(path.clone(), *encoding)
    };
    let (plain, other) = rayon::join(
        || sizes(properties.clone(), &sample),
        || sizes(numbers.iter().fold(properties.clone(), encoded), &sample),
    );
    let (plain, other) = (plain?, other?);
    let smaller = numbers.iter().filter(|(path, _)| other.get(path) < plain.get(path));
    Ok(smaller.fold(properties, encoded))
}

/// The form for numbers that are not repeated: differences of whole numbers, and the bytes of floating-point numbers by
/// their place.
fn for_numbers(physical: Type) -> Option<Encoding> {
    match physical {
        Type::INT32 | Type::INT64 => Some(Encoding::DELTA_BINARY_PACKED),
        Type::FLOAT | Type::DOUBLE => Some(Encoding::BYTE_STREAM_SPLIT),
        Type::BOOLEAN | Type::INT96 | Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => None,
    }
}

/// The size of each column of a file in memory, compressed \[bytes\].
fn sizes(
    properties: WriterPropertiesBuilder,
    rows: &RecordBatch,
) -> Result<HashMap<ColumnPath, i64>, ParquetError> {
    let properties = properties.set_statistics_enabled(EnabledStatistics::None).build();
    let mut writer = ArrowWriter::try_new(std::io::sink(), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    let metadata = writer.close()?;
    let columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    Ok(columns.map(|column| (column.column_path().clone(), column.compressed_size())).collect())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringArray};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// A generator of our own, so that the numbers are the same in every run; Knuth's constants.
    fn random() -> impl Iterator<Item = u64> {
        std::iter::successors(Some(1_u64), |state| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        })
        .map(|state| state >> 11)
    }

    fn encodings(rows: usize, plain: bool) -> Vec<(String, Encoding)> {
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = || random().take(rows).map(|bits| bits as f64 / 2f64.powi(53));
        let any = || random().take(rows).map(|bits| i64::try_from(bits).unwrap() << 10);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new((0..).step_by(3).take(rows).collect::<Int64Array>()) as ArrayRef),
            ("any", Arc::new(any().collect::<Int64Array>())),
            ("measured", Arc::new(unit().collect::<Float64Array>())),
            // A few digits: the same bytes stand at many places.
            ("rounded", Arc::new(unit().map(|value| (value * 1e3).round() / 10.0).collect::<Float64Array>())),
            ("constant", Arc::new(Int64Array::from(vec![7; rows]))),
            ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("name {row}"))))),
        ])
        .unwrap();
        let descriptor = ArrowSchemaConverter::new().convert(&batch.schema()).unwrap();
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        let properties = choose(properties, &descriptor, &batch, plain).unwrap().build();
        let encoding = |path: &ColumnPath| match properties.encoding(path) {
            _ if properties.dictionary_enabled(path) => Encoding::RLE_DICTIONARY,
            Some(encoding) => encoding,
            None => Encoding::PLAIN,
        };
        descriptor.columns().iter().map(|column| (column.path().string(), encoding(column.path()))).collect()
    }

    #[test]
    fn each_column_gets_the_smallest_form() {
        let wanted = [
            ("id", Encoding::DELTA_BINARY_PACKED),
            ("any", Encoding::PLAIN),
            ("measured", Encoding::BYTE_STREAM_SPLIT),
            ("rounded", Encoding::PLAIN),
            ("constant", Encoding::RLE_DICTIONARY),
            ("name", Encoding::PLAIN),
        ];
        assert_eq!(encodings(5000, false), wanted.map(|(name, encoding)| (name.to_owned(), encoding)));
    }

    #[test]
    fn few_rows_and_rows_that_are_to_be_plain_are_plain_or_a_dictionary() {
        for (name, encoding) in [encodings(1000, false), encodings(5000, true)].concat() {
            let wanted = if name == "constant" { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
            assert_eq!(encoding, wanted, "{name}");
        }
    }
}
