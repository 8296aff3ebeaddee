//! Fields as the server sends them to Arrow arrays, a column at a time.
//!
//! One file per family of types. Not a place for which type becomes what: see [`super::types`].

/// What helps where a value has no form in the column: the first works with every tool, as a pipeline's `table` needs the other.
macro_rules! as_text {
    () => {
        "cast the column to text in the query, or with `types` in a pipeline file"
    };
}

mod array;
mod bytes;
mod decimal;
mod doubles;
mod fixed;
mod numeric;
mod time;
mod validity;

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use super::copy::Fields;
use super::types::Codec;

/// A value that has no form in the column.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its row, counted from the rows that are in the decoder.
    pub row: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// A value that has a form in the column, but not with all that it is in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its row, counted from the rows that are in the decoder.
    pub row: usize,
    /// What is lost.
    pub problem: String,
}

/// Collects the values of one column.
pub trait Decoder: Send {
    /// Adds values.
    ///
    /// # Errors
    /// [`Misfit`]; the decoder is then of no use any more.
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit>;

    /// The first value in the decoder that loses something.
    fn loss(&self) -> Option<Loss> {
        None
    }

    /// The values as an array; the decoder is then empty.
    ///
    /// # Errors
    /// [`Misfit`], for what is checked for all values at once.
    fn finish(&mut self) -> Result<ArrayRef, Misfit>;
}

/// The decoder for a codec.
pub fn decoder(codec: &Codec) -> Box<dyn Decoder> {
    match codec {
        Codec::Bool => Box::new(fixed::Bools::default()),
        Codec::Int2 => fixed::int2(),
        Codec::Int4 => fixed::int4(),
        Codec::Int8 => fixed::int8(),
        Codec::Oid => fixed::oid(),
        Codec::Float4 => fixed::float4(),
        Codec::Float8 => fixed::float8(),
        Codec::Numeric => doubles::decoder(),
        Codec::Decimal { precision, scale } => decimal::decoder(*precision, *scale),
        Codec::Text => bytes::text(),
        Codec::Jsonb => bytes::jsonb(),
        Codec::UuidText => bytes::uuid_text(),
        Codec::Bytea => bytes::bytea(),
        Codec::Uuid => Box::new(bytes::Uuids::default()),
        Codec::Date(infinity) => time::date(*infinity),
        Codec::Timestamp(infinity) => time::timestamp(*infinity, None),
        Codec::Timestamptz(infinity) => time::timestamp(*infinity, Some("UTC")),
        Codec::Time => time::time(),
        Codec::List(element) => Box::new(array::Lists::new(decoder(element), element.arrow())),
    }
}

/// The bytes of a field that must have `N` of them.
fn exactly<const N: usize>(field: &[u8]) -> Result<[u8; N], String> {
    field.try_into().map_err(|_| format!("it has {} bytes instead of {N}", field.len()))
}

impl Codec {
    /// What it is decoded to.
    pub fn arrow(&self) -> DataType {
        decoder(self).finish().map_or(DataType::Null, |array| arrow_array::Array::data_type(&array).clone())
    }
}
