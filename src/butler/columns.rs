//! The columns of all datasets together: unified where that is exact, refused where it is not.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};

use super::collections::near;
use super::dataset::Dataset;
use super::error::{Conflict, Error};

/// The key of a field's metadata that says what its numbers are.
const UNIT: &str = "unit";

/// The columns of the output.
#[derive(Clone, Debug)]
pub struct Columns {
    schema: SchemaRef,
    /// Per column that some dataset lacks: its name, how many lack it, and one of them.
    lacking: Vec<(String, usize, String)>,
}

/// A column as it is so far, and the dataset that it comes from.
struct Unified<'a> {
    field: Field,
    from: &'a Dataset,
}

impl Columns {
    /// The columns of some datasets, in the order of the first; those that only later ones have come after them. With
    /// `wanted`: only those, in that order.
    ///
    /// # Errors
    /// [`Error::Columns`] for two datasets whose columns of one name cannot become one exactly, or where a dataset lacks
    /// a column that may not be NULL; [`Error::NoColumn`].
    pub fn unify(datasets: &[(&Dataset, Fields)], wanted: Option<&[String]>) -> Result<Self, Error> {
        let mut unified: Vec<Unified> = Vec::new();
        let mut seen: Vec<&Fields> = Vec::new();
        for (dataset, fields) in datasets {
            // Nearly always all are alike.
            if seen.contains(&fields) {
                continue;
            }
            seen.push(fields);
            for field in fields {
                if wanted.is_some_and(|wanted| !wanted.contains(field.name())) {
                    continue;
                }
                match unified.iter_mut().find(|column| column.field.name() == field.name()) {
                    None => unified.push(Unified { field: field.as_ref().clone(), from: dataset }),
                    Some(column) => column.merge(field, dataset)?,
                }
            }
        }
        if let Some(wanted) = wanted {
            let mut ordered = Vec::with_capacity(wanted.len());
            for name in wanted {
                let Some(index) = unified.iter().position(|column| column.field.name() == name) else {
                    return Err(no_column(name, &seen));
                };
                ordered.push(unified.remove(index));
            }
            unified = ordered;
        }
        let lacking = lacking(&unified, datasets)?;
        let schema =
            Arc::new(Schema::new(unified.into_iter().map(|column| column.field).collect::<Vec<_>>()));
        Ok(Self { schema, lacking })
    }

    /// The columns as Arrow has them.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A warning for each column that some datasets lack.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let line = |(column, count, example): &(String, usize, String)| {
            format!("column `{column}` is NULL for {count} datasets that lack it, such as {example}")
        };
        self.lacking.iter().map(line).collect()
    }

    /// The names of the columns that a file has.
    pub(super) fn names_in(&self, schema: &Schema) -> Vec<&str> {
        let names = self.schema.fields().iter().map(|field| field.name().as_str());
        names.filter(|name| schema.index_of(name).is_ok()).collect()
    }

    /// Rows of a dataset, in these columns. A value that does not fit, as a `uint64` above the largest `int64`, is an error.
    pub(super) fn adapt(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if batch.schema_ref().fields() == self.schema.fields() {
            return batch.clone().with_schema(self.schema.clone());
        }
        let rows = batch.num_rows();
        let arrays = self.schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), rows)),
            Some(array) => exactly(array, field.data_type()),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays.collect::<Result<_, _>>()?, &options)
    }
}

fn no_column(name: &str, seen: &[&Fields]) -> Error {
    let names = seen.iter().flat_map(|fields| fields.iter().map(|field| field.name().as_str()));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    Error::NoColumn { column: name.to_owned(), names: near(name, names.into_iter()) }
}

/// The same values in another type; one that does not fit is an error, never NULL.
fn exactly(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() })
}

impl<'a> Unified<'a> {
    fn merge(&mut self, field: &Field, dataset: &'a Dataset) -> Result<(), Error> {
        let conflict = |first_is: String, second_is: String| {
            Error::Columns(Box::new(Conflict {
                column: field.name().clone(),
                first: self.from.to_string(),
                first_is,
                second: dataset.to_string(),
                second_is,
            }))
        };
        let Some(data_type) = common(self.field.data_type(), field.data_type()) else {
            return Err(conflict(self.field.data_type().to_string(), field.data_type().to_string()));
        };
        let mut metadata = self.field.metadata().clone();
        if let (Some(a), Some(b)) = (metadata.get(UNIT), field.metadata().get(UNIT))
            && a != b
        {
            return Err(conflict(format!("in `{a}`"), format!("in `{b}`")));
        }
        for (key, value) in field.metadata() {
            if !metadata.contains_key(key) {
                metadata.insert(key, value);
            }
        }
        let nullable = self.field.is_nullable() || field.is_nullable();
        self.field = Field::new(field.name(), data_type, nullable).with_metadata(metadata);
        Ok(())
    }
}

/// The columns that some datasets lack.
fn lacking(
    unified: &[Unified],
    datasets: &[(&Dataset, Fields)],
) -> Result<Vec<(String, usize, String)>, Error> {
    let mut lacking = Vec::new();
    for column in unified {
        let name = column.field.name();
        // Of thousands of datasets nearly all have the same columns, in one place in memory.
        let mut before: Option<(&Fields, bool)> = None;
        let mut without = datasets.iter().filter(|(_, fields)| match before {
            Some((known, lacks)) if known == fields => lacks,
            _ => before.insert((fields, fields.find(name).is_none())).1,
        });
        let Some((dataset, _)) = without.next() else { continue };
        if !column.field.is_nullable() {
            return Err(Error::Columns(Box::new(Conflict {
                column: name.clone(),
                first: column.from.to_string(),
                first_is: "never NULL".to_owned(),
                second: dataset.to_string(),
                second_is: "missing".to_owned(),
            })));
        }
        lacking.push((name.clone(), 1 + without.count(), dataset.to_string()));
    }
    Ok(lacking)
}

/// The type that holds all values of two types exactly, if there is one. `int64` and `uint64` become `int64`: what does
/// not fit is found when it is read.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Float16, Float32, Float64, LargeBinary, LargeUtf8, Null, Utf8, Utf8View,
    };
    if a.equals_datatype(b) {
        return Some(a.clone());
    }
    match (a, b) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (DataType::Dictionary(_, values), other) | (other, DataType::Dictionary(_, values)) => {
            common(values, other)
        }
        (Utf8 | Utf8View, Utf8 | Utf8View) => Some(Utf8),
        (Utf8 | Utf8View | LargeUtf8, Utf8 | Utf8View | LargeUtf8) => Some(LargeUtf8),
        (Binary | BinaryView, Binary | BinaryView) => Some(Binary),
        (Binary | BinaryView | LargeBinary, Binary | BinaryView | LargeBinary) => Some(LargeBinary),
        (Float16 | Float32, Float16 | Float32) => Some(Float32),
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64) => Some(Float64),
        (a, b) => integers(a, b),
    }
}

fn integers(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Int16, Int32, Int64};
    if !(a.is_integer() && b.is_integer()) {
        return None;
    }
    let bits = |data_type: &DataType| data_type.primitive_width().unwrap_or(8);
    Some(match (a.is_signed_integer(), b.is_signed_integer()) {
        (signed, other) if signed == other => if bits(a) > bits(b) { a } else { b }.clone(),
        (signed, _) => {
            let (signed, unsigned) = if signed { (a, b) } else { (b, a) };
            match bits(signed).max(2 * bits(unsigned)) {
                2 => Int16,
                4 => Int32,
                _ => Int64,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_one_only_where_that_is_exact() {
        use DataType::{
            Boolean, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Utf8,
        };
        let dictionary = DataType::Dictionary(Box::new(Int32), Box::new(Utf8));
        for (a, b, expected) in [
            (Int64, UInt64, Some(Int64)),
            (Int8, UInt8, Some(Int16)),
            (UInt16, Int8, Some(Int32)),
            (UInt32, Int16, Some(Int64)),
            (Int16, Int64, Some(Int64)),
            (UInt8, UInt32, Some(UInt32)),
            (Float32, Float64, Some(Float64)),
            (Int32, Float64, None),
            (Boolean, Int8, None),
            (Utf8, DataType::LargeUtf8, Some(DataType::LargeUtf8)),
            (dictionary, Utf8, Some(Utf8)),
            (DataType::Null, Utf8, Some(Utf8)),
            (Utf8, DataType::Binary, None),
        ] {
            assert_eq!(common(&a, &b), expected, "{a} {b}");
            assert_eq!(common(&b, &a), expected, "{b} {a}");
        }
    }
}
