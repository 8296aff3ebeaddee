//! What a report shows of a table: counts in bins, read from the file in one pass and in memory that does not grow with
//! the number of rows. A comparison with an earlier table keeps which rows belong together, and the compared values of
//! each row of the earlier table.
//!
//! Not a place for how that is drawn (see `run::report`), nor for what was counted while the table was built.

mod changes;
mod objects;
mod offsets;

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, RecordBatch};

pub(crate) use changes::{CLOSE_AU, H_STEP_MAG, HChange, OBJECT, ObjectChanges};
pub(crate) use objects::{Density, ObjectFigures};
pub(crate) use offsets::OffsetFigures;

use crate::parquet;
use crate::tables::diff;

/// What a report shows of a table.
#[derive(Clone, Debug)]
pub enum TableFigures {
    /// Of a table of objects.
    Objects(Box<ObjectFigures>),
    /// Of a table of detections with predicted positions.
    Offsets(OffsetFigures),
}

/// Rows at a time.
const BATCH_ROWS: usize = 16_384;

/// Why a table could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read, or lacks a column.
    #[error(transparent)]
    Read(#[from] parquet::Error),
    /// The rows of two files could not be matched.
    #[error(transparent)]
    Match(#[from] diff::Error),
    /// A column does not have the type that the schema of the table declares.
    #[error("column `{column}` of `{}` is {found}, not {wanted}", path.display())]
    Type { path: PathBuf, column: String, found: String, wanted: &'static str },
}

/// Bins of one width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// Where the first bin begins.
    pub low: f64,
    /// The width of a bin.
    pub width: f64,
    /// How many there are.
    pub bins: usize,
}

impl Axis {
    const fn new(low: f64, width: f64, bins: usize) -> Self {
        Self { low, width, bins }
    }

    /// Where a bin begins; the one before ends there.
    #[must_use]
    pub fn edge(&self, bin: usize) -> f64 {
        self.low + self.width * bin as f64
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bins")]
    fn bin(&self, value: f64) -> Option<usize> {
        let bin = ((value - self.low) / self.width).floor();
        (bin >= 0.0 && bin < self.bins as f64).then_some(bin as usize)
    }
}

/// How many values are in each bin.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub axis: Axis,
    /// The values in each: `[axis.bins]`.
    pub counts: Vec<u64>,
    /// Values below the first or above the last bin.
    pub outside: u64,
    /// Rows without the value.
    pub unknown: u64,
}

impl Histogram {
    fn new(axis: Axis) -> Self {
        Self { axis, counts: vec![0; axis.bins], outside: 0, unknown: 0 }
    }

    fn add(&mut self, value: Option<f64>) {
        match value {
            None => self.unknown += 1,
            Some(value) => match self.axis.bin(value) {
                None => self.outside += 1,
                Some(bin) => self.counts[bin] += 1,
            },
        }
    }
}

struct Batch<'a> {
    path: &'a Path,
    batch: RecordBatch,
}

impl<'a> Batch<'a> {
    fn column(&self, name: &str, wanted: &'static str) -> Result<(&dyn Array, Error), Error> {
        let wrong =
            |found| Error::Type { path: self.path.to_owned(), column: name.to_owned(), found, wanted };
        let array = self.batch.column_by_name(name).ok_or_else(|| wrong("missing".to_owned()))?;
        Ok((array.as_ref(), wrong(array.data_type().to_string())))
    }

    fn numbers<'s, T: ArrowPrimitiveType>(
        &'s self,
        name: &str,
        wanted: &'static str,
    ) -> Result<impl Iterator<Item = Option<f64>> + use<'s, 'a, T>, Error>
    where
        T::Native: Into<f64>,
    {
        let values = self.values::<T>(name, wanted)?;
        Ok(values.map(|value| value.map(Into::into).filter(|value: &f64| !value.is_nan())))
    }

    fn values<'s, T: ArrowPrimitiveType>(
        &'s self,
        name: &str,
        wanted: &'static str,
    ) -> Result<impl Iterator<Item = Option<T::Native>> + use<'s, 'a, T>, Error> {
        let (array, wrong) = self.column(name, wanted)?;
        Ok(array.as_primitive_opt::<T>().ok_or(wrong)?.iter())
    }

    fn texts<'s>(&'s self, name: &str) -> Result<impl Iterator<Item = Option<&'s str>> + use<'s, 'a>, Error> {
        let (array, wrong) = self.column(name, "string")?;
        Ok(array.as_string_opt::<i32>().ok_or(wrong)?.iter())
    }

    fn flags<'s>(&'s self, name: &str) -> Result<impl Iterator<Item = Option<bool>> + use<'s, 'a>, Error> {
        let (array, wrong) = self.column(name, "bool")?;
        Ok(array.as_boolean_opt().ok_or(wrong)?.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bin_that_begins_at_or_below_it() {
        let axis = Axis::new(-0.5, 0.25, 4);
        assert_eq!(
            [-0.6, -0.5, -0.26, -0.25, 0.49, 0.5, f64::NAN, f64::NEG_INFINITY].map(|value| axis.bin(value)),
            [None, Some(0), Some(0), Some(1), Some(3), None, None, None]
        );
        let mut histogram = Histogram::new(axis);
        for value in [None, Some(0.0), Some(9.0), Some(0.1)] {
            histogram.add(value);
        }
        assert_eq!((histogram.counts, histogram.outside, histogram.unknown), (vec![0, 0, 2, 0], 1, 1));
    }
}
