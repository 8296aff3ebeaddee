//! Numbers and booleans of fixed width.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::NullBufferBuilder;
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use super::{Decoder, Misfit, exactly};
use crate::postgres::copy::Fields;

/// Values of one width, each read by a function; `None` from it is NULL.
pub(super) struct Values<T: ArrowPrimitiveType, F> {
    found: Vec<T::Native>,
    nulls: NullBufferBuilder,
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
        Self { found: Vec::new(), nulls: NullBufferBuilder::new(0), data_type, read }
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
        for field in &fields {
            let value = match field {
                None => None,
                Some(field) => {
                    (self.read)(field).map_err(|problem| Misfit { row: self.found.len(), problem })?
                }
            };
            self.nulls.append(value.is_some());
            self.found.push(value.unwrap_or_default());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        let values = ScalarBuffer::from(std::mem::take(&mut self.found));
        let array = PrimitiveArray::<T>::new(values, self.nulls.finish());
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
    nulls: NullBufferBuilder,
}

impl Default for Bools {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }
}

impl Decoder for Bools {
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        for field in &fields {
            let value = match field {
                None => None,
                Some([0]) => Some(false),
                Some([1]) => Some(true),
                Some(_) => {
                    return Err(Misfit {
                        row: self.values.len(),
                        problem: "it is neither 0 nor 1".to_owned(),
                    });
                }
            };
            self.nulls.append(value.is_some());
            self.values.append(value.unwrap_or_default());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish())))
    }
}
