//! `max_lag`: the newest value of a column as a moment in UTC. Not a place for the age that is allowed.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, TimestampMicrosecondType};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use chrono::{DateTime, Utc};

use super::table::{Problem, Table};
use crate::schema::type_name;

/// The unit of a column of Modified Julian Dates.
const DAYS: &str = "d";
/// The Modified Julian Date of 1970-01-01.
const EPOCH_MJD: f64 = 40_587.0;
const DAY_US: f64 = 86_400e6;

/// The newest value of a column; `unit` is its unit, as far as it is known. None if the column has no value.
///
/// # Errors
/// [`Problem::Unfit`] if the values are no times; what reading returns.
pub(super) fn newest(
    table: &Table,
    column: &str,
    unit: Option<&str>,
) -> Result<Option<DateTime<Utc>>, Problem> {
    let newest_of: fn(&ArrayRef) -> Result<Option<i64>, ArrowError> = match table.data_type(column)? {
        DataType::Timestamp(..) => of_moments,
        DataType::Date32 | DataType::Date64 => of_days,
        DataType::Float64 if unit == Some(DAYS) => |values| Ok(of_julian_dates(values)),
        other => {
            let has = unit.map_or("no unit".to_owned(), |unit| format!("the unit `{unit}`"));
            return Err(Problem::Unfit(format!(
                "is {} with {has}; name a timestamp, a date, or a float64 with the unit `d`",
                type_name(other)
            )));
        }
    };
    let mut newest = None;
    table.each(column, |values, _| {
        newest = newest.max(newest_of(values).map_err(|error| Problem::Unfit(error.to_string()))?);
        Ok(())
    })?;
    let out_of_range = |us: i64| if us < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    Ok(newest.map(|us| DateTime::from_timestamp_micros(us).unwrap_or_else(|| out_of_range(us))))
}

/// The newest moment \[us\]. A moment without a time zone is one in UTC.
fn of_moments(values: &ArrayRef) -> Result<Option<i64>, ArrowError> {
    let moments = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    Ok(moments.as_primitive::<TimestampMicrosecondType>().iter().flatten().max())
}

/// The beginning of the newest day \[us\].
fn of_days(values: &ArrayRef) -> Result<Option<i64>, ArrowError> {
    let days = cast(values, &DataType::Date32)?;
    let newest = days.as_primitive::<Date32Type>().iter().flatten().max();
    Ok(newest.map(|day| i64::from(day).saturating_mul(86_400_000_000)))
}

/// The newest Modified Julian Date that is finite \[us\].
#[expect(clippy::cast_possible_truncation, reason = "beyond the range, the end of it")]
fn of_julian_dates(values: &ArrayRef) -> Option<i64> {
    let finite = values.as_primitive::<Float64Type>().iter().flatten().filter(|mjd| mjd.is_finite());
    finite.max_by(f64::total_cmp).map(|mjd| ((mjd - EPOCH_MJD) * DAY_US) as i64)
}
