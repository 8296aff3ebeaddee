//! Row groups of one file copied to another without decoding them. The copy has the bytes of a row group that is encoded again.

use std::io::Write;
use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::arrow::ArrowSchemaConverter;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    RowGroupMetaData,
};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use super::source::{FileBytes, Section};
use super::{Error, sound};

/// A Parquet file whose row groups are copied.
pub(crate) struct GroupSource {
    bytes: FileBytes,
    metadata: ParquetMetaData,
    path: PathBuf,
}

impl GroupSource {
    /// Opens a file and reads its footer.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let section = Section::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let bytes = FileBytes::File(section);
        // All that a footer says is to be said again.
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let reader = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = sound(|| reader.parse_and_finish(&bytes))
            .map_err(|source| Error::Read { path: path.to_owned(), source: source.into() })?;
        Ok(Self { bytes, metadata, path: path.to_owned() })
    }

    /// The number of row groups.
    pub(crate) fn row_groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// The number of rows in a row group; none if there is no such row group.
    pub(crate) fn rows_of(&self, row_group: usize) -> u64 {
        let found = self.metadata.row_groups().get(row_group);
        found.and_then(|group| u64::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    /// Whether a file with this schema has the same columns.
    pub(crate) fn has_columns_of(&self, schema: &SchemaRef) -> bool {
        let described = ArrowSchemaConverter::new().convert(schema);
        described.is_ok_and(|described| described == *self.metadata.file_metadata().schema_descr())
    }

    /// The bytes of a row group, if its columns lie close together and are not large: they are then read at once.
    fn bytes_of(&self, group: &RowGroupMetaData) -> Result<Option<Chunks>, ParquetError> {
        let range = |column: &ColumnChunkMetaData| {
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            Some((u64::try_from(start).ok()?, u64::try_from(column.compressed_size()).ok()?))
        };
        let ranges: Option<Vec<(u64, u64)>> = group.columns().iter().map(range).collect();
        let Some(ranges) = ranges else { return Ok(None) };
        let start = ranges.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = ranges.iter().map(|(start, length)| start.saturating_add(*length)).max().unwrap_or(0);
        let length = end - start;
        let used = ranges.iter().fold(0_u64, |used, (_, length)| used.saturating_add(*length));
        if length > LARGEST_AT_ONCE || length > used.saturating_mul(2) {
            return Ok(None);
        }
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        Ok(Some(Chunks { start, bytes: self.bytes.get_bytes(start, length)? }))
    }

    /// Appends a row group to another file with the same columns.
    pub(super) fn append_to<W: Write + Send>(
        &self,
        writer: &mut SerializedFileWriter<W>,
        row_group: usize,
    ) -> Result<(), ParquetError> {
        let found = self
            .metadata
            .row_groups()
            .get(row_group)
            .filter(|group| group.num_columns() == writer.schema_descr().num_columns());
        let group = found.ok_or_else(|| {
            ParquetError::General(format!("`{}` has no such row group to copy", self.path.display()))
        })?;
        let page_index = self.metadata.page_index_for_row_group(row_group);
        let rows_written = self.rows_of(row_group);
        let chunks = self.bytes_of(group)?;
        let mut copy = writer.next_row_group()?;
        for (leaf, column) in group.columns().iter().enumerate() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                rows_written,
                metadata: as_written(column)?,
                bloom_filter: None,
                column_index: page_index.column_index(leaf).cloned(),
                offset_index: page_index.offset_index(leaf).cloned(),
            };
            match &chunks {
                Some(chunks) => copy.append_column(chunks, close)?,
                None => copy.append_column(&self.bytes, close)?,
            }
        }
        copy.close().map(drop)
    }
}

/// Larger row groups are copied column by column.
const LARGEST_AT_ONCE: u64 = 64 << 20;

/// A part of a file, found by the places in the file.
struct Chunks {
    start: u64,
    bytes: Bytes,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len());
        let beyond = || ParquetError::EOF(format!("{start} is not in the row group"));
        Ok(self.bytes.slice(at.ok_or_else(beyond)?..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let rest = self.get_read(start)?.into_inner();
        let beyond = || ParquetError::EOF(format!("{length} bytes at {start} are not in the row group"));
        (length <= rest.len()).then(|| rest.slice(..length)).ok_or_else(beyond)
    }
}

/// What a writer says of a column. Its minimum and maximum stand in the footer twice where values are compared as signed:
/// what is read of that is one of the two.
fn as_written(column: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData, ParquetError> {
    let Some(statistics) = column.statistics().cloned() else { return Ok(column.clone()) };
    let both = column.column_descr().sort_order().is_signed();
    let statistics = match statistics {
        Statistics::Boolean(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::Int32(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::Int64(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::Int96(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::Float(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::Double(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::ByteArray(found) => found.with_backwards_compatible_min_max(both).into(),
        Statistics::FixedLenByteArray(found) => found.with_backwards_compatible_min_max(both).into(),
    };
    column.clone().into_builder().set_statistics(statistics).build()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use arrow_array::builder::{FixedSizeBinaryBuilder, Int32Builder, ListBuilder};
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
        Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
        UInt64Array,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::parquet::write::{Compression, Encodings, TableWriter, WriteOptions};

    /// Rows with columns of all the types that are written; what they hold depends on the seed alone.
    fn rows(seed: u64, rows: usize) -> RecordBatch {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        // Columns of NULLs alone, of few NULLs and of none; of few values and of many.
        let (nulls, values) = (seed % 3, if seed.is_multiple_of(2) { 7 } else { u64::MAX });
        let bits: Vec<Option<u64>> = (0..rows)
            .map(|_| {
                let bits = next() % values;
                let null = nulls == 0 || nulls == 1 && bits.is_multiple_of(5);
                (!null).then_some(bits)
            })
            .collect();
        let each = || bits.iter().copied();
        let text = |bits: u64| format!("{bits:x}").repeat(usize::try_from(bits % 12).unwrap());
        #[expect(clippy::cast_precision_loss, reason = "any number will do")]
        let float = |bits: u64| if bits.is_multiple_of(11) { f64::NAN } else { (bits as f64 - 1e9) / 7.0 };
        let mut lists = ListBuilder::new(Int32Builder::new());
        let mut fixed = FixedSizeBinaryBuilder::new(16);
        for bits in each() {
            match bits {
                None => {
                    lists.append(false);
                    fixed.append_null();
                }
                Some(bits) => {
                    let bytes = u128::from(bits).to_be_bytes();
                    lists.append_value(
                        bytes.iter().take(usize::from(bytes[15] % 4)).map(|byte| Some((*byte).into())),
                    );
                    fixed.append_value(bytes).unwrap();
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        #[expect(clippy::cast_possible_wrap, reason = "any number will do")]
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "bool",
                Arc::new(
                    each().map(|bits| bits.map(|bits| bits.is_multiple_of(2))).collect::<BooleanArray>(),
                ),
            ),
            ("int16", Arc::new(each().map(|bits| bits.map(|bits| bits as i16)).collect::<Int16Array>())),
            ("int32", Arc::new(each().map(|bits| bits.map(|bits| bits as i32)).collect::<Int32Array>())),
            ("int64", Arc::new(each().map(|bits| bits.map(|bits| bits as i64 - 3)).collect::<Int64Array>())),
            ("uint32", Arc::new(each().map(|bits| bits.map(|bits| bits as u32)).collect::<UInt32Array>())),
            ("uint64", Arc::new(each().collect::<UInt64Array>())),
            (
                "float32",
                Arc::new(each().map(|bits| bits.map(|bits| float(bits) as f32)).collect::<Float32Array>()),
            ),
            ("float64", Arc::new(each().map(|bits| bits.map(float)).collect::<Float64Array>())),
            ("date", Arc::new(each().map(|bits| bits.map(|bits| bits as i32)).collect::<Date32Array>())),
            (
                "time",
                Arc::new(
                    each().map(|bits| bits.map(|bits| bits as i64)).collect::<TimestampMicrosecondArray>(),
                ),
            ),
            (
                "decimal",
                Arc::new(
                    each()
                        .map(|bits| bits.map(|bits| i128::from(bits % 1_000_000_007) - 5))
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(30, 6)
                        .unwrap(),
                ),
            ),
            ("text", Arc::new(each().map(|bits| bits.map(text)).collect::<StringArray>())),
            (
                "bytes",
                Arc::new(
                    each().map(|bits| bits.map(|bits| text(bits).into_bytes())).collect::<BinaryArray>(),
                ),
            ),
            ("fixed", Arc::new(fixed.finish())),
            ("list", Arc::new(lists.finish())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::cases::cases(24, 400)))]

        /// A file of sections that are copied or written has the bytes of one whose sections are all written.
        #[test]
        fn a_copied_row_group_is_the_one_that_would_be_written(
            before in prop::collection::vec((any::<u64>(), 0usize..3000), 1..5),
            after in prop::collection::vec((any::<u64>(), 0usize..3000, any::<prop::sample::Index>(), any::<bool>()), 1..5),
            row_group_rows in prop_oneof![Just(700), Just(100_000)],
            plain: bool,
            compression in prop_oneof![Just(Compression::Zstd), Just(Compression::None)],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let encodings = if plain { Encodings::Plain } else { Encodings::Compact };
            let options = WriteOptions { compression, encodings, row_group_rows };
            let create = |name: &str| TableWriter::create(&folder.path().join(name), rows(0, 0).schema(), &options).unwrap();
            let mut writer = create("before");
            let mut ends = vec![0];
            for (seed, number) in &before {
                writer.write(&rows(*seed, *number)).unwrap();
                ends.push(writer.end_section().unwrap());
            }
            writer.seal().unwrap().file.publish().unwrap();
            let source = GroupSource::open(&folder.path().join("before")).unwrap();
            let (mut mixed, mut written) = (create("mixed"), create("written"));
            for (seed, number, of, copy) in &after {
                let of = of.index(before.len());
                let section = if *copy { before[of] } else { (*seed, *number) };
                let batch = rows(section.0, section.1);
                written.write(&batch).unwrap();
                written.end_section().unwrap();
                if *copy {
                    mixed.copy(&source, ends[of]..ends[of + 1]).unwrap();
                } else {
                    mixed.write(&batch).unwrap();
                    mixed.end_section().unwrap();
                }
            }
            let read = |writer: TableWriter, name: &str| {
                let sealed = writer.seal().unwrap();
                let rows = sealed.rows;
                sealed.file.publish().unwrap();
                (rows, fs::read(folder.path().join(name)).unwrap())
            };
            prop_assert!(read(mixed, "mixed") == read(written, "written"));
        }
    }

    #[test]
    fn a_file_with_other_columns_is_not_copied_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let create = |name: &str, batch: &RecordBatch| {
            TableWriter::create(&path(name), batch.schema(), &WriteOptions::default()).unwrap()
        };
        let batch = rows(1, 10);
        let mut writer = create("a", &batch);
        writer.write(&batch).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        let source = GroupSource::open(&path("a")).unwrap();
        for columns in [vec![0], vec![1, 0]] {
            assert!(
                create("b", &batch.project(&columns).unwrap()).copy(&source, 0..1).is_err(),
                "{columns:?}"
            );
        }
        assert!(create("b", &batch).copy(&source, 1..2).is_err());
        fs::write(path("c"), b"PAR1").unwrap();
        assert!(GroupSource::open(&path("c")).is_err() && GroupSource::open(&path("none")).is_err());
    }
}
