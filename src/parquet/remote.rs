//! Rows of a Parquet file in a store: its bytes are fetched in as few requests as they can be, and only those that are needed.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::coalesce::BatchCoalescer;
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::push_decoder::ParquetPushDecoder;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataPushDecoder};

use super::sound;
use super::source::Section;
use crate::threads::compute;

/// Waits until there is room in memory for this number of bytes.
pub(crate) type Admit = Arc<dyn Fn(u64) + Send + Sync>;

/// The footer of a file, with the places of its pages if the file has an index of them.
pub(super) fn footer(section: &Section) -> Result<ArrowReaderMetadata> {
    let decoder = ParquetMetaDataPushDecoder::try_new(section.length())?;
    let mut decoder = decoder
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    loop {
        match compute(|| sound(|| decoder.try_decode()))? {
            DecodeResult::NeedsData(ranges) => {
                let bytes = section.stretches(&ranges)?;
                decoder.push_ranges(ranges, bytes)?;
            }
            DecodeResult::Data(footer) => {
                return sound(|| ArrowReaderMetadata::try_new(Arc::new(footer), ArrowReaderOptions::new()));
            }
            DecodeResult::Finished => return Err(ParquetError::General("its footer is missing".to_owned())),
        }
    }
}

/// The rows of a file that are still to come.
pub(super) struct Remaining {
    decoder: ParquetPushDecoder,
    section: Section,
    admit: Option<Admit>,
    /// How many rows come at a time, if there are several row groups.
    batch_rows: Option<usize>,
    /// Puts the rows of several row groups together, as they come from a file of this machine.
    coalescer: Option<BatchCoalescer>,
    /// Stretches that are fetched at once instead of the first ones that are needed.
    ahead: Option<Vec<Range<u64>>>,
    /// What was fetched last: the column of a filter is wanted again where it is also one of the rows' columns.
    kept: Vec<(Range<u64>, Bytes)>,
}

impl Remaining {
    /// `batch_rows` rows at a time.
    pub(super) fn new(
        decoder: ParquetPushDecoder,
        section: Section,
        admit: Option<Admit>,
        batch_rows: usize,
        ahead: Option<Vec<Range<u64>>>,
    ) -> Self {
        let is_one = decoder.row_groups_remaining() <= 1;
        Self {
            decoder,
            section,
            admit,
            batch_rows: Some(batch_rows).filter(|_| !is_one),
            coalescer: None,
            ahead,
            kept: Vec::new(),
        }
    }

    /// The next rows.
    pub(super) fn next(&mut self) -> Option<Result<RecordBatch>> {
        let Some(batch_rows) = self.batch_rows else { return self.decoded() };
        loop {
            if let Some(batch) = self.coalescer.as_mut().and_then(BatchCoalescer::next_completed_batch) {
                return Some(Ok(batch));
            }
            let pushed = match self.decoded() {
                Some(Ok(batch)) => self
                    .coalescer
                    .get_or_insert_with(|| BatchCoalescer::new(batch.schema(), batch_rows))
                    .push_batch(batch),
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let rest = self.coalescer.as_mut().filter(|rest| !rest.is_empty())?;
                    rest.finish_buffered_batch()
                }
            };
            if let Err(error) = pushed {
                return Some(Err(error.into()));
            }
        }
    }

    /// The next rows of a row group.
    fn decoded(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            // Only what computes is done in the pool: other threads use it while this one waits for the store.
            match compute(|| sound(|| self.decoder.try_decode())) {
                Ok(DecodeResult::NeedsData(ranges)) => {
                    if let Err(error) = self.fetch(ranges) {
                        return Some(Err(error));
                    }
                }
                Ok(DecodeResult::Data(batch)) => {
                    // Rows can take much more memory than the bytes that they come from.
                    if let Some(admit) = &self.admit {
                        admit(size_of_rows(&batch));
                    }
                    return Some(Ok(batch));
                }
                Ok(DecodeResult::Finished) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn fetch(&mut self, wanted: Vec<Range<u64>>) -> Result<()> {
        let unknown: Vec<Range<u64>> =
            wanted.iter().filter(|range| part(&self.kept, range).is_none()).cloned().collect();
        let is_ahead = |ahead: &Vec<Range<u64>>| {
            unknown
                .iter()
                .all(|range| ahead.iter().any(|held| held.start <= range.start && range.end <= held.end))
        };
        let ahead = self.ahead.take().filter(|ahead| !unknown.is_empty() && is_ahead(ahead));
        let asked = ahead.unwrap_or(unknown);
        if let Some(admit) = &self.admit {
            admit(asked.iter().map(|range| range.end - range.start).sum());
        }
        let bytes = self.section.stretches(&asked)?;
        let fetched: Vec<(Range<u64>, Bytes)> = asked.into_iter().zip(bytes).collect();
        let found = |range: &Range<u64>| part(&fetched, range).or_else(|| part(&self.kept, range));
        let bytes: Option<Vec<Bytes>> = wanted.iter().map(found).collect();
        let bytes = bytes.ok_or_else(|| ParquetError::EOF("a stretch was not fetched".to_owned()))?;
        if !fetched.is_empty() {
            self.kept = fetched;
        }
        self.decoder.push_ranges(wanted, bytes)
    }
}

/// The memory that rows need, without what their buffers have room for.
fn size_of_rows(batch: &RecordBatch) -> u64 {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
    sizes.sum::<usize>() as u64
}

/// A stretch out of one that holds it.
fn part(kept: &[(Range<u64>, Bytes)], range: &Range<u64>) -> Option<Bytes> {
    let (kept, bytes) = kept.iter().find(|(kept, _)| kept.start <= range.start && range.end <= kept.end)?;
    let at = |position: u64| usize::try_from(position - kept.start).ok();
    Some(bytes.slice(at(range.start)?..at(range.end)?))
}
