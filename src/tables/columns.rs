//! Columns of a record batch as Rust values, from any type that files have for them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, StringViewArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use super::{Batch, Error, Offenders, Part};

/// A column of a batch, with what errors need to name it.
pub(crate) struct Column<'a> {
    part: Part<'a>,
    before: u64,
    name: &'static str,
    array: ArrayRef,
}

/// A column of numbers.
pub(crate) enum Reals {
    Single(Float32Array),
    Double(Float64Array),
}

impl Reals {
    /// The value of a row; NaN for NULL, which no fit uses.
    pub(crate) fn value(&self, row: usize) -> f64 {
        match self {
            Self::Single(array) if array.is_valid(row) => f64::from(array.value(row)),
            Self::Double(array) if array.is_valid(row) => array.value(row),
            _ => f64::NAN,
        }
    }
}

impl<'a> Column<'a> {
    /// The column of a batch that was read with it.
    pub(crate) fn of(batch: &Batch<'a>, name: &'static str) -> Result<Self, Error> {
        let Batch { part, before, rows } = batch;
        match rows.column_by_name(name) {
            Some(array) => Ok(Self { part: *part, before: *before, name, array: array.clone() }),
            None => Err(Error::NoColumn {
                table: part.table,
                path: part.path.to_owned(),
                column: name.to_owned(),
                found: rows.schema().fields().iter().map(|field| field.name().clone()).collect(),
            }),
        }
    }

    fn cast(&self, to: &DataType) -> Result<ArrayRef, Error> {
        cast(&self.array, to).map_err(|source| Error::Convert { column: self.name.to_owned(), source })
    }

    fn wrong_type(&self, wanted: &'static str) -> Error {
        Error::ColumnType {
            table: self.part.table,
            path: self.part.path.to_owned(),
            column: self.name.to_owned(),
            found: self.array.data_type().to_string(),
            wanted,
        }
    }

    /// Ids, `None` for NULL. An unsigned id that does not fit is an error.
    pub(crate) fn ids(&self) -> Result<Vec<Option<i64>>, Error> {
        match self.array.data_type() {
            DataType::Int64 => Ok(self.array.as_primitive::<Int64Type>().iter().collect()),
            DataType::UInt64 => {
                let array = self.array.as_primitive::<UInt64Type>();
                let mut beyond = Offenders::new(["id", "ids"]);
                let mut ids = Vec::with_capacity(array.len());
                for id in array {
                    let fitting = id.and_then(|id| i64::try_from(id).ok());
                    if let (Some(id), None) = (id, fitting) {
                        beyond.add(id);
                    }
                    ids.push(fitting);
                }
                beyond.none(|ids| Error::IdRange {
                    table: self.part.table,
                    path: self.part.path.to_owned(),
                    column: self.name,
                    ids,
                })?;
                Ok(ids)
            }
            _ => Err(self.wrong_type("int64 or uint64")),
        }
    }

    /// Ids in a column where each row must have one.
    pub(crate) fn required_ids(&self) -> Result<Vec<i64>, Error> {
        // The usual case, in one pass.
        if let Some(array) = self.array.as_primitive_opt::<UInt64Type>().filter(|ids| ids.null_count() == 0)
            && let Ok(ids) = array.values().iter().map(|&id| i64::try_from(id)).collect()
        {
            return Ok(ids);
        }
        let ids = self.ids()?;
        match ids.iter().position(Option::is_none) {
            Some(row) => Err(self.no_value(row)),
            None => Ok(ids.into_iter().flatten().collect()),
        }
    }

    /// The error for a row of the batch in which this column must have a value and has none.
    pub(crate) fn no_value(&self, row: usize) -> Error {
        let row = self.before + row as u64 + 1;
        Error::NoValue { table: self.part.table, path: self.part.path.to_owned(), column: self.name, row }
    }

    pub(crate) fn reals(&self) -> Result<Reals, Error> {
        match self.array.data_type() {
            DataType::Float32 => Ok(Reals::Single(self.array.as_primitive::<Float32Type>().clone())),
            DataType::Float64 => Ok(Reals::Double(self.array.as_primitive::<Float64Type>().clone())),
            _ => Err(self.wrong_type("float32 or float64")),
        }
    }

    pub(crate) fn texts(&self) -> Result<StringViewArray, Error> {
        let is_text = |data_type: &DataType| {
            matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        };
        let known = match self.array.data_type() {
            DataType::Dictionary(_, values) => is_text(values),
            other => is_text(other),
        };
        if !known {
            return Err(self.wrong_type("string, large_string, string_view or a dictionary of one of them"));
        }
        Ok(self.cast(&DataType::Utf8View)?.as_string_view().clone())
    }

    /// Times as MJD in the scale of the column, NaN for NULL.
    pub(crate) fn times_mjd(&self) -> Result<Vec<f64>, Error> {
        /// MJD of 1970-01-01, from which Arrow counts.
        const ORIGIN_MJD: f64 = 40_587.0;
        const DAY_S: i64 = 86_400;
        let DataType::Timestamp(unit, _) = self.array.data_type() else {
            return Err(self.wrong_type("timestamp"));
        };
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let per_day = DAY_S * per_second;
        // Whole days and the rest are exact; their sum is rounded once, to 0.6 us at most.
        let mjd = |count: i64| {
            let (days, rest) = (count.div_euclid(per_day), count.rem_euclid(per_day));
            ORIGIN_MJD + days as f64 + rest as f64 / per_day as f64
        };
        let counts = self.cast(&DataType::Int64)?;
        Ok(counts.as_primitive::<Int64Type>().iter().map(|count| count.map_or(f64::NAN, mjd)).collect())
    }

    /// The text of a row in a column where each row must have one of at most `MOST` bytes, filled up with zeros.
    pub(crate) fn short_text<const MOST: usize>(
        &self,
        texts: &StringViewArray,
        row: usize,
    ) -> Result<[u8; MOST], Error> {
        if texts.is_null(row) {
            return Err(self.no_value(row));
        }
        let text = texts.value(row);
        let mut short = [0; MOST];
        let Some(place) = short.get_mut(..text.len()) else {
            return Err(Error::LongText {
                table: self.part.table,
                path: self.part.path.to_owned(),
                column: self.name,
                row: self.before + row as u64 + 1,
                text: text.to_owned(),
                most: MOST,
            });
        };
        place.copy_from_slice(text.as_bytes());
        Ok(short)
    }

    pub(crate) fn booleans(&self) -> Result<BooleanArray, Error> {
        match self.array.data_type() {
            DataType::Boolean => Ok(self.array.as_boolean().clone()),
            _ => Err(self.wrong_type("boolean")),
        }
    }
}
