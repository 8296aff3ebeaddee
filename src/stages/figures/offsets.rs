//! What a report shows of an SSSource table: how far detections are from their predicted positions.

use std::path::Path;

use arrow_array::types::{Float32Type, Int64Type};

use super::{Axis, BATCH_ROWS, Batch, Error, Histogram};
use crate::parquet::read::TableReader;
use crate::sssource::offsets::Offsets;

// A tenth of a decade a bin, from 0.1 micro arc second to above 180 deg.
const LOG10_ARCSEC: Axis = Axis::new(-7.0, 0.1, 130);

/// What a report shows of an SSSource table.
#[derive(Clone, Debug)]
pub struct OffsetFigures {
    /// All detections.
    pub detections: u64,
    /// Base-10 logarithm of ephOffset \[arcsec\].
    pub log10_arcsec: Histogram,
    /// Median, 99 % and the largest.
    pub offsets: Offsets,
}

impl OffsetFigures {
    /// Counts the table in a file.
    ///
    /// # Errors
    /// All of [`Error`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut figures =
            Self { detections: 0, log10_arcsec: Histogram::new(LOG10_ARCSEC), offsets: Offsets::default() };
        let columns = ["diaSourceId", "designation", "ephOffset"];
        for batch in TableReader::open(path)?.batches(&columns, None, BATCH_ROWS)? {
            figures.count(&Batch { path, batch: batch? })?;
        }
        Ok(figures)
    }

    fn count(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.detections += batch.batch.num_rows() as u64;
        let offsets = batch.numbers::<Float32Type>("ephOffset", "float32")?;
        let names = batch.texts("designation")?;
        let ids = batch.values::<Int64Type>("diaSourceId", "int64")?;
        for ((arcsec, name), id) in offsets.zip(names).zip(ids) {
            self.log10_arcsec.add(arcsec.map(f64::log10));
            if let (Some(arcsec), Some(id)) = (arcsec, id) {
                self.offsets.add(arcsec, name.unwrap_or_default(), id);
            }
        }
        Ok(())
    }
}
