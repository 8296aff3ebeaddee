//! What the footer of a file says of the values of a column. No values are read.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use arrow_select::concat::concat;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::read::TableReader;
use super::sound;

/// What the footer says of a column.
#[derive(Clone, Debug, Default)]
pub(crate) struct ColumnStatistics {
    /// The NULLs.
    pub nulls: Option<u64>,
    /// The smallest value, or one below it. NaN does not count.
    pub min: Option<Bound>,
    /// The largest value, or one above it. NaN does not count.
    pub max: Option<Bound>,
}

/// A bound of the values of a column.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// The bound, as an array of one value.
    pub value: ArrayRef,
    /// Whether the bound is a value of the column. The footer may have only the first bytes of a long value.
    pub exact: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl TableReader {
    /// What the footer says of a column; nothing where it cannot be understood.
    pub(crate) fn statistics(&self, column: &str) -> ColumnStatistics {
        let of_parts = self.footers().map(|footer| sound(|| self.found_statistics(footer, column)));
        let Ok(mut of_parts) = of_parts.collect::<Result<Vec<_>, _>>() else {
            return ColumnStatistics::default();
        };
        match of_parts.as_slice() {
            [_] => of_parts.remove(0),
            _ => sound(|| self.together(&of_parts)).unwrap_or_default(),
        }
    }

    /// What the footers of several parts say together.
    fn together(&self, of_parts: &[ColumnStatistics]) -> Result<ColumnStatistics, ParquetError> {
        let empty: Vec<bool> = self
            .footers()
            .zip(of_parts)
            .map(|(footer, part)| part.nulls == u64::try_from(footer.file_metadata().num_rows()).ok())
            .collect();
        let bound_of = |end: End, of: fn(&ColumnStatistics) -> &Option<Bound>| {
            let Some(known) = of_parts.iter().find_map(|part| of(part).as_ref()) else { return Ok(None) };
            let null = new_null_array(known.value.data_type(), 1);
            let values: Vec<&dyn Array> =
                of_parts.iter().map(|part| of(part).as_ref().map_or(&*null, |bound| &*bound.value)).collect();
            let exact: BooleanArray = of_parts.iter().map(|part| Some(of(part).as_ref()?.exact)).collect();
            bound(end, &concat(&values)?, &exact, &empty)
        };
        Ok(ColumnStatistics {
            nulls: of_parts.iter().map(|part| part.nulls).sum(),
            min: bound_of(End::Min, |part| &part.min)?,
            max: bound_of(End::Max, |part| &part.max)?,
        })
    }

    fn found_statistics(
        &self,
        file: &ParquetMetaData,
        column: &str,
    ) -> Result<ColumnStatistics, ParquetError> {
        let converter =
            StatisticsConverter::try_new(column, self.schema(), file.file_metadata().schema_descr())?
                .with_missing_null_counts_as_zero(false);
        let groups = file.row_groups();
        let nulls = converter.row_group_null_counts(groups)?;
        let empty: Vec<bool> = groups
            .iter()
            .enumerate()
            .map(|(group, found)| {
                let nulls = nulls.is_valid(group).then(|| nulls.value(group));
                nulls == u64::try_from(found.num_rows()).ok()
            })
            .collect();
        let mut found = ColumnStatistics { nulls: nulls.iter().sum(), ..ColumnStatistics::default() };
        // The old pair of fields was compared as signed, also for unsigned types.
        let is_deprecated = converter.parquet_column_index().is_none_or(|leaf| {
            groups.iter().any(|group| {
                group
                    .column(leaf)
                    .statistics()
                    .is_some_and(|found| found.min_bytes_opt().is_some() && found.is_min_max_deprecated())
            })
        });
        if !is_deprecated {
            let exact = converter.row_group_is_min_value_exact(groups)?;
            found.min = bound(End::Min, &converter.row_group_mins(groups)?, &exact, &empty)?;
            let exact = converter.row_group_is_max_value_exact(groups)?;
            found.max = bound(End::Max, &converter.row_group_maxes(groups)?, &exact, &empty)?;
        }
        Ok(found)
    }
}

/// The bound of all row groups. Those without values have none; another without a bound leaves the file without one.
fn bound(
    end: End,
    of_groups: &ArrayRef,
    exact: &BooleanArray,
    empty: &[bool],
) -> Result<Option<Bound>, ParquetError> {
    let values = without_nan(of_groups);
    if (0..values.len()).any(|group| values.is_null(group) && !empty[group]) {
        return Ok(None);
    }
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(&values))?;
    let known = (0..values.len()).filter(|group| values.is_valid(*group));
    let found = match end {
        End::Min => known.min_by_key(|group| rows.row(*group)),
        End::Max => known.max_by_key(|group| rows.row(*group)),
    };
    Ok(found.map(|group| Bound {
        value: values.slice(group, 1),
        exact: !may_be_cut(values.data_type()) || (exact.is_valid(group) && exact.value(group)),
    }))
}

/// NaN says nothing of the other values; a zero stands for both, with either sign.
fn without_nan(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float32 => {
            let values = values.as_primitive::<Float32Type>();
            Arc::new(values.unary_opt::<_, Float32Type>(|value| (!value.is_nan()).then_some(value + 0.0)))
        }
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            Arc::new(values.unary_opt::<_, Float64Type>(|value| (!value.is_nan()).then_some(value + 0.0)))
        }
        _ => values.clone(),
    }
}

/// Whether a footer may have only a part of a value of this type.
fn may_be_cut(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => may_be_cut(values),
        other => other.is_string() || other.is_binary(),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        BinaryArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    };

    use arrow_array::types::Int64Type;

    use super::*;
    use crate::parquet::write::{TableWriter, WriteOptions};

    /// The statistics of columns that are written in row groups of two rows.
    fn statistics<const N: usize>(columns: &[ArrayRef; N]) -> [ColumnStatistics; N] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let named =
            columns.iter().enumerate().map(|(index, array)| (format!("c{index}"), array.clone(), true));
        let rows = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let options = WriteOptions { row_group_rows: 2, ..WriteOptions::default() };
        let mut writer = TableWriter::create(&path, rows.schema(), &options).unwrap();
        writer.write(&rows).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        let reader = TableReader::open(&path).unwrap();
        assert_eq!(reader.row_groups(), rows.num_rows().div_ceil(2));
        std::array::from_fn(|index| reader.statistics(&format!("c{index}")))
    }

    fn float(bound: Option<&Bound>) -> Option<f64> {
        bound.map(|bound| bound.value.as_primitive::<Float64Type>().value(0))
    }

    #[test]
    fn bounds_are_of_all_row_groups() {
        let [floats, ids, all_null] = statistics(&[
            Arc::new(Float64Array::from(vec![Some(2.0), None, Some(-0.0), Some(f64::NAN), None])),
            Arc::new(Int64Array::from(vec![i64::MIN, 3, 4, i64::MAX, 5])),
            Arc::new(Int64Array::from(vec![None; 5])),
        ]);
        assert_eq!(floats.nulls, Some(2));
        let (min, max) = (float(floats.min.as_ref()), float(floats.max.as_ref()));
        assert_eq!((min.map(f64::to_bits), max), (Some(0.0_f64.to_bits()), Some(2.0)));
        let id = |bound: Option<Bound>| {
            bound.map(|bound| (bound.value.as_primitive::<Int64Type>().value(0), bound.exact))
        };
        assert_eq!((id(ids.min), id(ids.max)), (Some((i64::MIN, true)), Some((i64::MAX, true))));
        assert_eq!((all_null.nulls, all_null.min.is_none(), all_null.max.is_none()), (Some(5), true, true));
    }

    /// A row group with nothing but NaN has no bounds, and could hold anything.
    #[test]
    fn a_row_group_without_bounds_leaves_the_file_without() {
        let nan = f32::NAN;
        let [floats] = statistics(&[Arc::new(Float32Array::from(vec![1.0, 2.0, nan, nan]))]);
        assert_eq!((floats.nulls, floats.min.is_none(), floats.max.is_none()), (Some(0), true, true));
    }

    #[test]
    fn bounds_of_long_texts_are_not_exact() {
        let long = "z".repeat(3_000);
        let [texts, short, bytes, lists] = statistics(&[
            Arc::new(StringArray::from(vec!["b", &long, "c"])),
            Arc::new(StringArray::from(vec!["ü", "", "\n"])),
            Arc::new(BinaryArray::from(vec![&b"\xff"[..], b"a", b"\0"])),
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)]); 3])),
        ]);
        let text = |bound: Option<Bound>| {
            bound.map(|bound| (bound.value.as_string::<i32>().value(0).len(), bound.exact))
        };
        assert_eq!(text(texts.min), Some((1, true)));
        let (length, exact) = text(texts.max).unwrap();
        assert!(length < 100 && !exact, "{length} {exact}");
        assert_eq!((text(short.min), text(short.max)), (Some((0, true)), Some((2, true))));
        assert!(bytes.max.unwrap().exact);
        assert!(lists.min.is_none() && lists.max.is_none());
    }
}
