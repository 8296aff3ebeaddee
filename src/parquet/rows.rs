//! The rows of one Parquet file, from memory, this machine or a store.

use std::iter;
use std::ops::Range;
use std::path::Path;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderBuilder, ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::remote::{Admit, Remaining};
use super::source::FileBytes;
use super::{Error, sound};

/// The largest row group of a store that is fetched at once though a filter may leave nothing of it.
const MOST_AHEAD: u64 = 16 << 20;

/// What is wanted of a file.
pub(super) struct Wanted {
    pub columns: ProjectionMask,
    /// The row groups; all if there are none.
    pub groups: Option<Vec<usize>>,
    pub batch_rows: usize,
    pub filter: Option<RowFilter>,
    /// Whether rows that match the filter are expected.
    pub expects: bool,
}

impl Wanted {
    /// Where each column is, if all are to be fetched at once: a request costs more than a few columns too many.
    fn ahead(&self, footer: &ParquetMetaData) -> Option<Vec<Range<u64>>> {
        let ([group], true, None | Some([0])) = (footer.row_groups(), self.expects, self.groups.as_deref())
        else {
            return None;
        };
        let places = group.columns().iter().map(ColumnChunkMetaData::byte_range);
        let places: Vec<_> = places.map(|(start, length)| start..start.saturating_add(length)).collect();
        let size = |place: &Range<u64>| place.end - place.start;
        let wanted = places.iter().enumerate().filter(|(leaf, _)| self.columns.leaf_included(*leaf));
        let wanted: u64 = wanted.map(|(_, place)| size(place)).sum();
        let all: u64 = places.iter().map(size).sum();
        (all <= MOST_AHEAD.min(wanted.saturating_mul(2))).then_some(places)
    }

    fn of<T>(self, builder: ArrowReaderBuilder<T>) -> ArrowReaderBuilder<T> {
        let mut builder = builder.with_projection(self.columns).with_batch_size(self.batch_rows);
        if let Some(groups) = self.groups {
            builder = builder.with_row_groups(groups);
        }
        if let Some(filter) = self.filter {
            builder = builder.with_row_filter(filter);
        }
        builder
    }
}

/// The rows of a file, which errors call `path`. It is open until the last is read.
pub(super) fn read_file(
    path: &Path,
    bytes: FileBytes,
    metadata: ArrowReaderMetadata,
    wanted: Wanted,
    admit: Option<Admit>,
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
    type Next = Box<dyn FnMut() -> Option<Result<RecordBatch, ParquetError>> + Send>;
    let path = path.to_owned();
    let failed = |error: ParquetError| Error::Read { path: path.clone(), source: error.into() };
    let mut next: Option<Next> = Some(match bytes {
        FileBytes::File(section) if section.object().is_some() => {
            let batch_rows = wanted.batch_rows;
            let ahead = sound(|| Ok(wanted.ahead(metadata.metadata()))).map_err(failed)?;
            let builder = wanted.of(ParquetPushDecoderBuilder::new_with_metadata(metadata));
            let decoder = sound(|| builder.build()).map_err(failed)?;
            let mut remaining = Remaining::new(decoder, section, admit, batch_rows, ahead);
            Box::new(move || remaining.next())
        }
        bytes => {
            let builder = wanted.of(ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata));
            let mut reader = sound(|| builder.build()).map_err(failed)?;
            Box::new(move || sound(|| reader.next().transpose().map_err(ParquetError::from)).transpose())
        }
    });
    Ok(iter::from_fn(move || {
        let found = next.as_mut()?();
        if !matches!(found, Some(Ok(_))) {
            next = None;
        }
        found.map(|batch| batch.map_err(|error| Error::Read { path: path.clone(), source: error.into() }))
    }))
}
