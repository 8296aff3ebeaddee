//! `range`: integers and decimals are compared as integers, floating-point numbers in their own precision.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal256Type, DecimalType, Float32Type, Float64Type, Int64Type, UInt64Type,
};
use arrow_buffer::i256;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::bounds::Bounds;
use super::table::{Problem, Table};
use crate::schema::type_name;

/// What a column holds, compared with its range.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// The smallest and the largest value; none if all are NULL or NaN.
    pub ends: Option<(String, String)>,
    /// Values outside.
    pub outside: u64,
    /// The row of the first of them, from 1, and its value.
    pub first: Option<(u64, String)>,
}

/// The values of a column.
///
/// # Errors
/// [`Problem::Unfit`] if they are no numbers; what reading returns.
pub(super) fn look(table: &Table, column: &str, bounds: &Bounds) -> Result<Found, Problem> {
    use DataType as T;
    match table.data_type(column)? {
        T::Int8 | T::Int16 | T::Int32 | T::Int64 => {
            let (low, high) = bounds.unscaled(0);
            let inside = |v: i64| (low..=high).contains(&i256::from_i128(v.into()));
            scan::<Int64Type>(table, column, &T::Int64, inside, |v| v.to_string())
        }
        T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
            let (low, high) = bounds.unscaled(0);
            let inside = |v: u64| (low..=high).contains(&i256::from_i128(v.into()));
            scan::<UInt64Type>(table, column, &T::UInt64, inside, |v| v.to_string())
        }
        T::Decimal32(_, scale)
        | T::Decimal64(_, scale)
        | T::Decimal128(_, scale)
        | T::Decimal256(_, scale) => {
            let (low, high) = bounds.unscaled(*scale);
            let wide = T::Decimal256(Decimal256Type::MAX_PRECISION, *scale);
            let said = |v| Decimal256Type::format_decimal(v, Decimal256Type::MAX_PRECISION, *scale);
            scan::<Decimal256Type>(table, column, &wide, |v| (low..=high).contains(&v), said)
        }
        T::Float16 | T::Float32 => {
            let (low, high) = bounds.singles();
            scan::<Float32Type>(table, column, &T::Float32, |v| (low..=high).contains(&v), |v| v.to_string())
        }
        T::Float64 => {
            let (low, high) = bounds.doubles();
            scan::<Float64Type>(table, column, &T::Float64, |v| (low..=high).contains(&v), |v| v.to_string())
        }
        other => Err(Problem::Unfit(format!("is {}, but only numbers have a range", type_name(other)))),
    }
}

/// Compares all values of a column, each as a `T`. NaN has no order, not even with itself.
fn scan<T: ArrowPrimitiveType>(
    table: &Table,
    column: &str,
    wanted: &DataType,
    inside: impl Fn(T::Native) -> bool,
    said: impl Fn(T::Native) -> String,
) -> Result<Found, Problem>
where
    T::Native: PartialOrd,
{
    let mut found = Found::default();
    let mut ends: Option<(T::Native, T::Native)> = None;
    table.each(column, |values, before| {
        let values = cast(values, wanted).map_err(|error| Problem::Unfit(error.to_string()))?;
        let values = values.as_primitive::<T>();
        for (row, value) in values.iter().enumerate().filter_map(|(row, value)| Some((row, value?))) {
            if !inside(value) {
                found.outside += 1;
                found.first.get_or_insert_with(|| (before + row as u64 + 1, said(value)));
            }
            if value.partial_cmp(&value).is_some() {
                let (least, most) = ends.get_or_insert((value, value));
                if value < *least {
                    *least = value;
                }
                if value > *most {
                    *most = value;
                }
            }
        }
        Ok(())
    })?;
    found.ends = ends.map(|(least, most)| (said(least), said(most)));
    Ok(found)
}
