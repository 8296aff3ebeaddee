//! The data of a COPY to record batches whose size depends on the rows alone.
//!
//! No threads and no socket: see [`mod@super::stream`].

use std::fmt;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::copy::{Limits, TupleReader};
use super::decode::{Decoder, Misfit, decoder};
use super::error::Error;

/// Rows in a batch.
const BATCH_ROWS: usize = 16_384;
/// A batch ends with the row that brings it to this number of bytes, as sent.
const BATCH_BYTES: usize = 4 << 20;

/// Rows, decoded.
#[derive(Debug)]
pub struct Batch {
    /// The rows.
    pub rows: RecordBatch,
    /// How many bytes they were when they were sent.
    pub bytes: u64,
    /// What is lost of values, told once for each column of a section.
    pub losses: Vec<Lost>,
    /// The section of the rows.
    pub section: usize,
}

/// Something that is lost of the values of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The column.
    pub column: String,
    /// The first row that it happens in, from 0.
    pub row: u64,
    /// What it is.
    pub problem: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, row, problem } = self;
        write!(f, "column `{column}`, row {} and maybe more: {problem}", row + 1)
    }
}

/// Collects rows into batches.
pub(super) struct BatchBuilder<'c> {
    columns: &'c Columns,
    decoders: Vec<Box<dyn Decoder>>,
    /// Whether something was lost in a batch of the section before, for each column.
    warned: Vec<bool>,
    section: usize,
    tuples: TupleReader,
    /// The beginning of a row whose end has not come.
    carry: Vec<u8>,
    rows: usize,
    bytes: usize,
    /// Rows in the batches before.
    before: u64,
}

impl<'c> BatchBuilder<'c> {
    pub(super) fn new(columns: &'c Columns) -> Self {
        Self {
            columns,
            decoders: columns.codecs().map(decoder).collect(),
            warned: vec![false; columns.columns().len()],
            section: 0,
            tuples: TupleReader::new(columns.columns().len()),
            carry: Vec::new(),
            rows: 0,
            bytes: 0,
            before: 0,
        }
    }

    /// Adds data of a COPY, cut anywhere; `put` takes the batches that are full.
    pub(super) fn add(
        &mut self,
        data: &[u8],
        put: &mut dyn FnMut(Batch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.carry.is_empty() {
            let used = self.take(data, put)?;
            self.carry.extend_from_slice(&data[used..]);
            return Ok(());
        }
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(data);
        let used = self.take(&carry, put)?;
        carry.drain(..used);
        self.carry = carry;
        Ok(())
    }

    /// Takes the whole rows at the beginning of the data; how many bytes they are.
    fn take(&mut self, data: &[u8], put: &mut dyn FnMut(Batch) -> Result<(), Error>) -> Result<usize, Error> {
        let mut at = 0;
        loop {
            let rest = &data[at..];
            let limits = Limits { rows: BATCH_ROWS - self.rows, bytes: BATCH_BYTES - self.bytes };
            let damaged = |source| Error::Copy { row: self.before + self.rows as u64, source };
            let slab = self.tuples.find(rest, limits).map_err(damaged)?;
            if slab.consumed == 0 {
                return Ok(at);
            }
            for (column, decoder) in self.decoders.iter_mut().enumerate() {
                let fields = self.tuples.fields(rest, column, slab.rows);
                decoder
                    .append(fields)
                    .map_err(|misfit| misfit_of(self.columns, column, self.before, misfit))?;
            }
            at += slab.consumed;
            self.rows += slab.rows;
            self.bytes += slab.row_bytes;
            if self.rows == BATCH_ROWS || self.bytes >= BATCH_BYTES {
                put(self.batch()?)?;
            }
        }
    }

    /// Says that another section follows; all batches of the one before were taken. `before` is how many rows of the query are
    /// before it, if not as many as were added.
    pub(super) fn start_section(&mut self, section: usize, before: Option<u64>) {
        self.section = section;
        self.before = before.unwrap_or(self.before);
        self.warned.fill(false);
    }

    /// Says that the COPY has ended, and that another follows.
    pub(super) fn end_copy(&mut self) -> Result<(), Error> {
        self.tuples.finish().map_err(|source| Error::Copy { row: self.before + self.rows as u64, source })?;
        self.tuples.restart();
        Ok(())
    }

    /// The rows that are in no batch yet; maybe none.
    pub(super) fn batch(&mut self) -> Result<Batch, Error> {
        let mut arrays = Vec::with_capacity(self.decoders.len());
        let mut losses = Vec::new();
        for (column, decoder) in self.decoders.iter_mut().enumerate() {
            let field = &self.columns.columns()[column];
            if let Some(loss) = decoder.loss().filter(|_| !self.warned[column]) {
                let row = self.before + loss.row as u64;
                losses.push(Lost { column: field.name.clone(), row, problem: loss.problem });
                self.warned[column] = true;
            }
            let array =
                decoder.finish().map_err(|misfit| misfit_of(self.columns, column, self.before, misfit))?;
            if !field.nullable && array.null_count() > 0 {
                return Err(Error::UnexpectedNull { column: field.name.clone() });
            }
            arrays.push(array);
        }
        let rows = RecordBatch::try_new(self.columns.schema().clone(), arrays)
            .map_err(|error| Error::protocol("decoding rows", &error.to_string()))?;
        let batch = Batch { rows, bytes: self.bytes as u64, losses, section: self.section };
        self.before += self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        Ok(batch)
    }
}

fn misfit_of(columns: &Columns, column: usize, before: u64, misfit: Misfit) -> Error {
    let name = columns.columns()[column].name.clone();
    Error::Value { column: name, row: before + misfit.row as u64 + 1, problem: misfit.problem }
}
