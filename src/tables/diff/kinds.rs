//! In which form the values of a column are compared. Not a place for comparing them.

use std::hash::{DefaultHasher, Hasher as _};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array};
use arrow_cast::cast;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType};

/// The form in which the values of two columns are compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Signed integers of any width.
    Integer,
    /// Unsigned integers of any width.
    Unsigned,
    /// Floats of any width: each has an exact value of 64 bits.
    Float,
    /// Texts.
    Text,
    /// Anything else, of one type.
    Other(DataType),
}

impl Kind {
    /// Of two types; none if their values cannot be compared.
    pub(super) fn of_both(old: &DataType, new: &DataType) -> Option<Self> {
        let (old, new) = (Self::of(old), Self::of(new));
        let is_sortable = |kind: &Self| match kind {
            Self::Other(data_type) => RowConverter::supports_fields(&[SortField::new(data_type.clone())]),
            _ => true,
        };
        Some(old).filter(|old| *old == new && is_sortable(old))
    }

    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Integer,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Self::Unsigned,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, values) => Self::of(values),
            other => Self::Other(other.clone()),
        }
    }

    /// A column in this form: equal values have equal bits.
    pub(super) fn convert(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let to = match self {
            Self::Integer => DataType::Int64,
            Self::Unsigned => DataType::UInt64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8View,
            Self::Other(data_type) => data_type.clone(),
        };
        let array = if *array.data_type() == to { array.clone() } else { cast(array, &to)? };
        if *self != Self::Float {
            return Ok(array);
        }
        // There are many NaNs, and two zeros.
        let one = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
        let floats: Float64Array = array.as_primitive::<Float64Type>().unary(one);
        Ok(std::sync::Arc::new(floats))
    }

    /// The values in 64 bits each: numbers as they are, others as a hash. A change that a hash hides has a probability of
    /// 5e-20.
    pub(super) fn bits(&self, array: &ArrayRef) -> Result<Vec<Option<u64>>, ArrowError> {
        let array = self.convert(array)?;
        Ok(match self {
            Self::Integer => {
                array.as_primitive::<Int64Type>().iter().map(|value| value.map(i64::cast_unsigned)).collect()
            }
            Self::Unsigned => array.as_primitive::<UInt64Type>().iter().collect(),
            Self::Float => {
                array.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
            }
            Self::Text => {
                let texts = array.as_string_view().iter();
                texts.map(|text| text.map(|text| hash(text.as_bytes()))).collect()
            }
            Self::Other(data_type) => {
                let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
                let rows = converter.convert_columns(std::slice::from_ref(&array))?;
                rows.iter()
                    .enumerate()
                    .map(|(row, value)| array.is_valid(row).then(|| hash(value.data())))
                    .collect()
            }
        })
    }

    /// The size of the difference of two numbers, in bits that are in the order of the sizes. NaN has no size.
    pub(super) fn size(&self, old: u64, new: u64) -> Option<u64> {
        match self {
            Self::Integer => Some(old.cast_signed().abs_diff(new.cast_signed())),
            Self::Unsigned => Some(old.abs_diff(new)),
            Self::Float => {
                let size = (f64::from_bits(old) - f64::from_bits(new)).abs();
                (!size.is_nan()).then_some(size.to_bits())
            }
            Self::Text | Self::Other(_) => None,
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
