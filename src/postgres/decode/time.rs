//! Dates and times: Postgres counts from 2000, Arrow from 1970.

use arrow_array::types::{Date32Type, Time64MicrosecondType, TimestampMicrosecondType};
use arrow_schema::{DataType, TimeUnit};

use super::{Decoder, exactly, fixed};
use crate::postgres::types::Infinity;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAY: i32 = 10_957;
/// The same in microseconds.
const EPOCH_US: i64 = EPOCH_DAY as i64 * 86_400_000_000;
const DAY_US: i64 = 86_400_000_000;

const INFINITE: &str = concat!(
    "it is infinite, which Parquet cannot hold (",
    as_text!(),
    "; `infinity: null` there makes it NULL)"
);
const FAR: &str = concat!("it is beyond the range of 64-bit microseconds (", as_text!(), ")");

/// `date`.
pub(super) fn date(infinity: Infinity) -> Box<dyn Decoder> {
    fixed::values::<Date32Type, _>(DataType::Date32, move |field| match i32::from_be_bytes(exactly(field)?) {
        i32::MAX | i32::MIN => infinite(infinity),
        days => days.checked_add(EPOCH_DAY).map(Some).ok_or_else(|| FAR.to_owned()),
    })
}

/// `timestamp`, and `timestamptz` in the zone that is named.
pub(super) fn timestamp(infinity: Infinity, zone: Option<&str>) -> Box<dyn Decoder> {
    let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    fixed::values::<TimestampMicrosecondType, _>(data_type, move |field| {
        match i64::from_be_bytes(exactly(field)?) {
            i64::MAX | i64::MIN => infinite(infinity),
            microseconds => microseconds.checked_add(EPOCH_US).map(Some).ok_or_else(|| FAR.to_owned()),
        }
    })
}

/// `time`.
pub(super) fn time() -> Box<dyn Decoder> {
    let data_type = DataType::Time64(TimeUnit::Microsecond);
    fixed::values::<Time64MicrosecondType, _>(data_type, |field| match i64::from_be_bytes(exactly(field)?) {
        microseconds if (0..DAY_US).contains(&microseconds) => Ok(Some(microseconds)),
        DAY_US => Err(concat!("it is 24:00:00, which Parquet cannot hold (", as_text!(), ")").to_owned()),
        other => Err(format!("{other} microseconds are not a valid time of day")),
    })
}

fn infinite<T>(infinity: Infinity) -> Result<Option<T>, String> {
    match infinity {
        Infinity::Null => Ok(None),
        Infinity::Error => Err(INFINITE.to_owned()),
    }
}
