//! Rows of a Parquet file in a store: its bytes are fetched in as few requests as they can be, and only those that are needed.

use std::ops::Range;

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::push_decoder::ParquetPushDecoder;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataPushDecoder};
use std::sync::Arc;

use super::sound::sound;
use super::source::Section;
use crate::threads::compute;

/// Waits until there is room in memory for so many bytes.
pub type Admit = Arc<dyn Fn(u64) + Send + Sync>;

/// The footer of a file, with the places of its pages if the file has an index of them.
pub(super) fn footer(section: &Section) -> Result<ArrowReaderMetadata> {
    let decoder = ParquetMetaDataPushDecoder::try_new(section.length())?;
    let mut decoder = decoder
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    loop {
        match compute(|| sound(|| decoder.try_decode()))? {
            DecodeResult::NeedsData(ranges) => {
                let bytes = fetch(section, &ranges)?;
                decoder.push_ranges(ranges, bytes)?;
            }
            DecodeResult::Data(footer) => {
                return sound(|| ArrowReaderMetadata::try_new(Arc::new(footer), ArrowReaderOptions::new()));
            }
            DecodeResult::Finished => return Err(ParquetError::General("its footer is missing".to_owned())),
        }
    }
}

/// The next rows.
pub(super) fn next(
    decoder: &mut ParquetPushDecoder,
    section: &Section,
    admit: Option<&Admit>,
) -> Option<Result<RecordBatch>> {
    loop {
        // Only what computes is done in the pool: other threads use it while this one waits for the store.
        match compute(|| sound(|| decoder.try_decode())) {
            Ok(DecodeResult::NeedsData(ranges)) => {
                if let Some(admit) = admit {
                    admit(ranges.iter().map(|range| range.end - range.start).sum());
                }
                let pushed = fetch(section, &ranges).and_then(|bytes| decoder.push_ranges(ranges, bytes));
                if let Err(error) = pushed {
                    return Some(Err(error));
                }
            }
            Ok(DecodeResult::Data(batch)) => return Some(Ok(batch)),
            Ok(DecodeResult::Finished) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
}

fn fetch(section: &Section, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    Ok(section.stretches(ranges)?)
}
