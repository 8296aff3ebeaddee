//! A column as a file has it to a column as it is declared: exactly, but that doubles are rounded to singles.
//!
//! Values that do not fit are found here; whether they matter is not decided here.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, PrimitiveBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};

use crate::schema::ColumnType;

/// A converted column (\[n\]).
pub(super) struct Converted {
    pub array: ArrayRef,
    /// The rows whose value does not fit; it is NULL.
    pub unfit: Vec<usize>,
}

impl Converted {
    /// All of whose values fit.
    pub(super) fn whole(array: ArrayRef) -> Self {
        Self { array, unfit: Vec::new() }
    }
}

/// The type of the values, whether or not there is a dictionary of them.
fn value_type(found: &DataType) -> &DataType {
    match found {
        DataType::Dictionary(_, values) => values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    }
}

/// Why a column of this type cannot be converted: what it must be. `None` if it can.
pub(super) fn wanted(found: &DataType, declared: ColumnType) -> Option<&'static str> {
    let found = value_type(found);
    let is_text = matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let (can, wanted) = match declared {
        ColumnType::String => (is_text, "a string"),
        ColumnType::Bool => (found.is_integer() || *found == DataType::Boolean, "boolean or 0 and 1"),
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => {
            (found.is_integer() || found.is_floating(), "an integer")
        }
        _ => (found.is_integer() || found.is_floating(), "a number"),
    };
    (!can && *found != DataType::Null).then_some(wanted)
}

/// Converts a column to a declared type; a text has at most `length` characters.
///
/// # Errors
/// What Arrow says of a type that [`wanted`] refuses.
pub(super) fn convert(
    array: &ArrayRef,
    declared: ColumnType,
    length: Option<u32>,
) -> Result<Converted, ArrowError> {
    let kind = declared.arrow();
    let plain = value_type(array.data_type());
    if *plain == DataType::Null {
        return Ok(Converted::whole(new_null_array(&kind, array.len())));
    }
    let array = if plain == array.data_type() { Arc::clone(array) } else { cast(array, plain)? };
    let found = array.data_type();
    if declared == ColumnType::String {
        return cast(&array, &kind).map(|array| short(array, length));
    }
    // Rounding is what is wanted of doubles; half and single precision are exact.
    if *found == kind || found.is_floating() && kind.is_floating() {
        return cast(&array, &kind).map(Converted::whole);
    }
    if found.is_floating() {
        let reals = cast(&array, &DataType::Float64)?;
        let reals = reals.as_primitive::<Float64Type>().iter();
        return integers(reals.map(|real| real.map(whole)), declared);
    }
    let counts: Vec<Option<i128>> = if *found == DataType::UInt64 {
        array.as_primitive::<UInt64Type>().iter().map(|count| count.map(i128::from)).collect()
    } else {
        let counts = cast(&array, &DataType::Int64)?;
        counts.as_primitive::<Int64Type>().iter().map(|count| count.map(i128::from)).collect()
    };
    let counts = counts.into_iter().map(|count| count.map(Some));
    match declared {
        ColumnType::Float32 => Ok(primitive::<Float32Type>(counts, single)),
        ColumnType::Float64 => Ok(primitive::<Float64Type>(counts, double)),
        _ => integers(counts, declared),
    }
}

/// A text column with the rows that are too long.
fn short(array: ArrayRef, length: Option<u32>) -> Converted {
    let Some(most) = length.and_then(|length| usize::try_from(length).ok()) else {
        return Converted::whole(array);
    };
    let texts = array.as_string::<i32>();
    let is_long = |text: &str| text.len() > most && text.chars().count() > most;
    let unfit = texts.iter().enumerate().filter(|(_, text)| text.is_some_and(is_long));
    Converted { unfit: unfit.map(|(row, _)| row).collect(), array }
}

/// The integer that a real number is; a large one may stand for its neighbours, which it was before it was rounded.
fn whole(real: f64) -> Option<i128> {
    /// Every integer up to this one has a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked here")]
    (real.fract() == 0.0 && real.abs() <= EXACT).then_some(real as i128)
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the integer")]
fn single(count: i128) -> Option<f32> {
    Some(count as f32).filter(|real| *real as i128 == count)
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the integer")]
fn double(count: i128) -> Option<f64> {
    Some(count as f64).filter(|real| *real as i128 == count)
}

/// A column of integers or booleans. `Some(None)` is a value that is not an integer.
fn integers(
    counts: impl Iterator<Item = Option<Option<i128>>>,
    declared: ColumnType,
) -> Result<Converted, ArrowError> {
    match declared {
        ColumnType::Int16 => Ok(primitive::<Int16Type>(counts, |count| count.try_into().ok())),
        ColumnType::Int32 => Ok(primitive::<Int32Type>(counts, |count| count.try_into().ok())),
        ColumnType::Int64 => Ok(primitive::<Int64Type>(counts, |count| count.try_into().ok())),
        ColumnType::Bool => {
            let (mut values, mut unfit) = (BooleanBuilder::new(), Vec::new());
            for (row, count) in counts.enumerate() {
                let value = match count {
                    None => None,
                    Some(Some(0)) => Some(false),
                    Some(Some(1)) => Some(true),
                    Some(_) => {
                        unfit.push(row);
                        None
                    }
                };
                values.append_option(value);
            }
            Ok(Converted { array: Arc::new(values.finish()), unfit })
        }
        other => Err(ArrowError::CastError(format!("a number cannot be {}", other.arrow()))),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    counts: impl Iterator<Item = Option<Option<i128>>>,
    fit: impl Fn(i128) -> Option<T::Native>,
) -> Converted {
    let (mut values, mut unfit) = (PrimitiveBuilder::<T>::new(), Vec::new());
    for (row, count) in counts.enumerate() {
        let value = count.and_then(|count| count.and_then(&fit));
        if count.is_some() && value.is_none() {
            unfit.push(row);
        }
        values.append_option(value);
    }
    Converted { array: Arc::new(values.finish()), unfit }
}
