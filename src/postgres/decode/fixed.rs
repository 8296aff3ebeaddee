//! Numbers and booleans of fixed width.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use super::validity::Validity;
use super::{Decoder, Misfit, exactly};
use crate::postgres::copy::Fields;

/// Values of one width, each read by a function; `None` from it is NULL.
pub(super) struct Values<T: ArrowPrimitiveType, F> {
    found: Vec<T::Native>,
    validity: Validity,
    data_type: DataType,
    read: F,
}

/// A decoder that reads each value with `read`.
pub(super) fn values<T, F>(data_type: DataType, read: F) -> Box<dyn Decoder>
where
    T: ArrowPrimitiveType,
    F: Fn(&[u8]) -> Result<Option<T::Native>, String> + Send + 'static,
{
    Box::new(Values::<T, F>::new(data_type, read))
}

impl<T: ArrowPrimitiveType, F> Values<T, F> {
    /// Without values.
    pub(super) fn new(data_type: DataType, read: F) -> Self {
        Self { found: Vec::new(), validity: Validity::default(), data_type, read }
    }

    /// The values so far; one that is NULL is the type's default.
    pub(super) fn found(&self) -> &[T::Native] {
        &self.found
    }
}

impl<T, F> Decoder for Values<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&[u8]) -> Result<Option<T::Native>, String> + Send,
{
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        self.found.reserve(fields.len());
        self.validity.append(fields, |field| {
            let value = match field {
                None => None,
                Some(field) => (self.read)(field)?,
            };
            self.found.push(value.unwrap_or_default());
            Ok(value.is_some())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        // The next batch has as many values, most likely.
        let next = Vec::with_capacity(self.found.len());
        let values = ScalarBuffer::from(std::mem::replace(&mut self.found, next));
        let array = PrimitiveArray::<T>::new(values, self.validity.finish());
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

macro_rules! big_endian {
    ($(#[$doc:meta] $name:ident: $native:ty as $arrow:ident;)*) => {$(
        #[$doc]
        pub(super) fn $name() -> Box<dyn Decoder> {
            values::<$arrow, _>($arrow::DATA_TYPE, |field| Ok(Some(<$native>::from_be_bytes(exactly(field)?))))
        }
    )*};
}

big_endian! {
    /// `int2`.
    int2: i16 as Int16Type;
    /// `int4`.
    int4: i32 as Int32Type;
    /// `int8`.
    int8: i64 as Int64Type;
    /// `oid` and its like.
    oid: u32 as UInt32Type;
    /// `float4`.
    float4: f32 as Float32Type;
    /// `float8`.
    float8: f64 as Float64Type;
}

/// `bool`.
pub(super) struct Bools {
    values: BooleanBufferBuilder,
    validity: Validity,
}

impl Default for Bools {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), validity: Validity::default() }
    }
}

impl Decoder for Bools {
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        self.validity.append(fields, |field| {
            let value = match field {
                None => None,
                Some([0]) => Some(false),
                Some([1]) => Some(true),
                Some(_) => return Err("it is neither 0 nor 1".to_owned()),
            };
            self.values.append(value.unwrap_or_default());
            Ok(value.is_some())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.validity.finish())))
    }
}
