//! Values of any length: text, JSON, bytes; and UUIDs.

use std::sync::Arc;

use arrow_array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow_array::{ArrayRef, FixedSizeBinaryArray, GenericByteArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::validity::Validity;
use super::{Decoder, Misfit, exactly};
use crate::postgres::copy::Fields;

/// Values one after the other, each put there by a function.
struct Bytes<F> {
    values: Vec<u8>,
    offsets: Vec<i32>,
    validity: Validity,
    utf8: bool,
    put: F,
}

fn bytes<F>(utf8: bool, put: F) -> Box<dyn Decoder>
where
    F: Fn(&mut Vec<u8>, &[u8]) -> Result<(), String> + Send + 'static,
{
    Box::new(Bytes { values: Vec::new(), offsets: vec![0], validity: Validity::default(), utf8, put })
}

/// Text, and what is sent like it.
pub(super) fn text() -> Box<dyn Decoder> {
    bytes(true, |values, field| {
        values.extend_from_slice(field);
        Ok(())
    })
}

/// `bytea`.
pub(super) fn bytea() -> Box<dyn Decoder> {
    bytes(false, |values, field| {
        values.extend_from_slice(field);
        Ok(())
    })
}

/// `jsonb`: text after a byte for the version, which is 1.
pub(super) fn jsonb() -> Box<dyn Decoder> {
    bytes(true, |values, field| match field.split_first() {
        Some((1, text)) => {
            values.extend_from_slice(text);
            Ok(())
        }
        Some((version, _)) => Err(format!("it is jsonb of version {version}")),
        None => Err("it is empty, which is not valid jsonb".to_owned()),
    })
}

/// `uuid` as text.
pub(super) fn uuid_text() -> Box<dyn Decoder> {
    bytes(true, |values, field| {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (index, byte) in exactly::<16>(field)?.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                values.push(b'-');
            }
            values.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        Ok(())
    })
}

impl<F> Decoder for Bytes<F>
where
    F: Fn(&mut Vec<u8>, &[u8]) -> Result<(), String> + Send,
{
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        self.validity.append(fields, |field| {
            if let Some(field) = field {
                (self.put)(&mut self.values, field)?;
            }
            let end = i32::try_from(self.values.len());
            self.offsets.push(end.map_err(|_| "the batch is longer than 2 GiB".to_owned())?);
            Ok(field.is_some())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        // The next batch is as large, most likely.
        let mut next = Vec::with_capacity(self.offsets.len());
        next.push(0);
        let offsets = std::mem::replace(&mut self.offsets, next);
        let next = Vec::with_capacity((self.values.len() + self.values.len() / 8).min(MOST_RESERVED));
        let values = std::mem::replace(&mut self.values, next);
        let nulls = self.validity.finish();
        let (offsets, values) = (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(values));
        if !self.utf8 {
            return array::<BinaryType>(offsets, values, nulls);
        }
        // The check of the whole says nothing of rows.
        array::<Utf8Type>(offsets.clone(), values.clone(), nulls).map_err(|misfit| {
            let not_utf8 = |row| Misfit { row, problem: NOT_UTF8.to_owned() };
            not_utf8_row(&values, &offsets).map_or(misfit, not_utf8)
        })
    }
}

fn array<T: ByteArrayType<Offset = i32>>(
    offsets: OffsetBuffer<i32>,
    values: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Misfit> {
    GenericByteArray::<T>::try_new(offsets, values, nulls)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| Misfit { row: 0, problem: error.to_string() })
}

/// Bytes that are reserved for the values of a batch before they come; more of them are long values, which are few.
const MOST_RESERVED: usize = 1 << 20;

const NOT_UTF8: &str =
    "it is not UTF-8 (is the database's encoding SQL_ASCII? then cast the column to bytea)";

/// The first value that is not UTF-8 by itself: a character may be cut by its end, and the rest of it begin the next.
fn not_utf8_row(values: &[u8], offsets: &[i32]) -> Option<usize> {
    let is_text = |pair: &[i32]| {
        let ends = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        ends.and_then(|(start, end)| values.get(start..end))
            .is_some_and(|value| std::str::from_utf8(value).is_ok())
    };
    offsets.windows(2).position(|pair| !is_text(pair))
}

/// `uuid` as 16 bytes.
#[derive(Default)]
pub(super) struct Uuids {
    values: Vec<u8>,
    validity: Validity,
}

const UUID_BYTES: i32 = 16;

impl Decoder for Uuids {
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        self.validity.append(fields, |field| {
            self.values.extend(field.map_or(Ok([0; 16]), exactly)?);
            Ok(field.is_some())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        let values = Buffer::from_vec(std::mem::take(&mut self.values));
        Ok(Arc::new(FixedSizeBinaryArray::new(UUID_BYTES, values, self.validity.finish())))
    }
}
