//! The copied columns of rows of the result, in their order.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave;
use rayon::prelude::*;

use super::plan::{Computed, Origin};
use super::schema::copied_columns;
use crate::sssource::{Error, Object, Row};
use crate::tables;

/// What was copied for a partition.
pub struct Partition {
    pub(super) obs: Side,
    pub(super) dia: Side,
    pub(super) columns: Arc<[Origin]>,
}

/// What was copied of one input: the rows that are used, in its order.
pub(super) struct Side {
    table: &'static str,
    /// The places of the rows in the input, ascending.
    rows: Vec<u64>,
    batches: Vec<RecordBatch>,
    /// The rows before each batch.
    starts: Vec<usize>,
}

/// A batch and a row of it.
type Place = (usize, usize);

impl Side {
    /// Of the rows of the input that rows of the result use, in any order and with repetitions.
    ///
    /// # Errors
    /// [`Error::Changed`] if other rows were read.
    pub(super) fn new(
        table: &'static str,
        batches: Vec<RecordBatch>,
        rows: impl ParallelIterator<Item = u64>,
    ) -> Result<Self, Error> {
        let mut rows: Vec<u64> = rows.collect();
        rows.par_sort_unstable();
        rows.dedup();
        let mut starts = Vec::with_capacity(batches.len());
        let mut read = 0;
        for batch in &batches {
            starts.push(read);
            read += batch.num_rows();
        }
        if read == rows.len() {
            Ok(Self { table, rows, batches, starts })
        } else {
            Err(Error::Changed { table })
        }
    }

    fn places(&self, wanted: impl IndexedParallelIterator<Item = u64>) -> Result<Vec<Place>, Error> {
        let place = |row| {
            let at = self.rows.binary_search(&row).ok()?;
            let batch = self.starts.partition_point(|start| *start <= at).checked_sub(1)?;
            Some((batch, at - self.starts[batch]))
        };
        let places: Option<Vec<Place>> = wanted.map(place).collect();
        places.ok_or(Error::Changed { table: self.table })
    }

    fn gather(&self, column: usize, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let arrays: Vec<&dyn Array> = self.batches.iter().map(|batch| &**batch.column(column)).collect();
        interleave(&arrays, places)
    }
}

impl Partition {
    /// The columns of blocks 1 to 4, in the order of the schema, of some rows of this partition (\[n\]): a few million at
    /// most.
    ///
    /// # Errors
    /// [`Error::Changed`] for rows of another partition; [`tables::Error::Convert`].
    pub fn blocks(&self, rows: &[Row], objects: &[Object]) -> Result<Vec<ArrayRef>, Error> {
        let obs = self.obs.places(rows.par_iter().map(|row| row.obs_row))?;
        let dia = self.dia.places(rows.par_iter().map(|row| row.dia_row))?;
        let columns = copied_columns().par_iter().zip(self.columns.par_iter());
        let arrays = columns.map(|(column, origin)| {
            let array = match origin {
                _ if rows.is_empty() => Ok(arrow_array::new_empty_array(&column.kind.arrow())),
                Origin::Row(computed) => Ok(computed.array(rows, objects)),
                Origin::Obs(stored) => self.obs.gather(*stored, &obs),
                Origin::Dia(stored) => self.dia.gather(*stored, &dia),
                Origin::Filled(fill) => Ok(fill.array(column, rows.len())),
            };
            array.map_err(|source| tables::Error::Convert { column: column.name.clone(), source }.into())
        });
        arrays.collect()
    }
}

impl Computed {
    fn array(self, rows: &[Row], objects: &[Object]) -> ArrayRef {
        let reals = |value: fn(&Row) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(value)))
        };
        match self {
            Self::Primary => Arc::new(rows.iter().map(|row| Some(row.is_primary)).collect::<BooleanArray>()),
            Self::SsObjectId => {
                let id = |row: &Row| row.object_of(objects)?.ss_object_id;
                Arc::new(rows.iter().map(id).collect::<Int64Array>())
            }
            Self::Designation => {
                let designation = |row: &Row| row.object_of(objects).map(|object| &*object.designation);
                Arc::new(rows.iter().map(designation).collect::<StringArray>())
            }
            Self::MidpointMjdTai => reals(|row| row.mjd_tai),
            Self::Ra => reals(|row| row.ra_deg),
            Self::Dec => reals(|row| row.dec_deg),
        }
    }
}
