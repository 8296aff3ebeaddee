//! Record batches to a Parquet file, atomically, the same bytes for the same rows.

use std::fmt;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::SchemaDescriptor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;
use super::encoding;
use super::groups::{self, OpenGroup, failed};
use crate::durable::PendingFile;

pub use super::groups::{Group, GroupEncoder, GroupWriter, SealedTable};

/// How the pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    // Level 1: within a few percent of the size of level 3 at twice its speed.
    /// Zstandard.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// LZ4 (the raw variant, which all readers support).
    Lz4,
    /// Brotli.
    Brotli,
    /// No compression.
    None,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl From<Compression> for parquet::basic::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Zstd => Self::ZSTD(ZstdLevel::default()),
            Compression::Snappy => Self::SNAPPY,
            Compression::Gzip => Self::GZIP(GzipLevel::default()),
            Compression::Lz4 => Self::LZ4_RAW,
            Compression::Brotli => Self::BROTLI(BrotliLevel::default()),
            Compression::None => Self::UNCOMPRESSED,
        }
    }
}

/// How the values of a Parquet file are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encodings {
    /// For each column, the smallest encoding.
    #[default]
    Compact,
    /// Only the encodings for plain values and dictionaries. Some programs, for example fastparquet, cannot read other
    /// encodings.
    Plain,
}

/// How a file is laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOptions {
    /// How pages are compressed.
    pub compression: Compression,
    /// How values are encoded.
    pub encodings: Encodings,
    /// Rows in a row group; a bound on its bytes may end it earlier. With `usize::MAX` there is one row group.
    pub row_group_rows: usize,
}

/// Rows in a row group unless somebody says otherwise.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 1_000_000;

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            encodings: Encodings::default(),
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
        }
    }
}

/// The encoded size with which a row group ends even if it has fewer rows: what a writer keeps in memory does not grow with
/// the width of the rows. It depends on the rows alone.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Rows that are encoded before the size is looked at again.
const STEP_ROWS: usize = 32_768;

/// Writes one Parquet file beside its target, its columns in parallel.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use ssp::parquet::{read::TableReader, write::{TableWriter, WriteOptions}};
///
/// let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(9_007_199_254_740_993)]));
/// let batch = RecordBatch::try_from_iter([("diaSourceId", ids)])?;
///
/// let folder = tempfile::tempdir()?;
/// let target = folder.path().join("ids.parquet");
/// let mut writer = TableWriter::create(&target, batch.schema(), &WriteOptions::default())?;
/// writer.write(&batch)?;
/// writer.seal()?.file.publish()?;
///
/// let reader = TableReader::open(&target)?;
/// let read = reader.batches(&["diaSourceId"], None, 8192)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(read[0].column(0), batch.column(0));
/// # Ok(())
/// # }
/// ```
///
/// Encodings are chosen by the first batch; the bytes depend on the rows and how they come in batches, not on the number of
/// threads.
pub struct TableWriter {
    path: PathBuf,
    schema: SchemaRef,
    descriptor: Arc<SchemaDescriptor>,
    options: WriteOptions,
    state: FileState,
}

enum FileState {
    /// The first batch is to say how the columns are encoded.
    Unopened(Box<PendingFile>),
    Open(Box<Open>),
    Failed,
}

/// A file whose encodings are chosen.
struct Open {
    encoder: GroupEncoder,
    writer: GroupWriter,
    group: Option<OpenGroup>,
}

impl TableWriter {
    /// Starts the file that is to become `target`.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be written; [`Error::Encode`] if Parquet has no form for the schema.
    pub fn create(target: &Path, schema: SchemaRef, options: &WriteOptions) -> Result<Self, Error> {
        let descriptor = groups::describe(target, &schema)?;
        let state = FileState::Unopened(Box::new(PendingFile::create(target)?));
        Ok(Self { path: target.to_owned(), schema, descriptor, options: options.clone(), state })
    }

    /// Adds rows. Their schema must be that of the file.
    ///
    /// # Errors
    /// [`Error::Encode`]; no more can be written then.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        groups::check(&self.schema, batch).map_err(failed(&self.path))?;
        let mut file = self.open(Some(batch))?;
        file.write(batch, self.options.row_group_rows.max(1))?;
        self.state = FileState::Open(file);
        Ok(())
    }

    /// Writes the footer and makes the file safe on disk.
    ///
    /// # Errors
    /// [`Error::Encode`] or [`Error::File`].
    pub fn seal(mut self) -> Result<SealedTable, Error> {
        let Open { mut writer, group, .. } = *self.open(None)?;
        if let Some(group) = group {
            writer.append(group.close()?)?;
        }
        writer.seal()
    }

    /// Takes the file, opened now if it was not: `first` says what its columns are like.
    fn open(&mut self, first: Option<&RecordBatch>) -> Result<Box<Open>, Error> {
        let file = match mem::replace(&mut self.state, FileState::Failed) {
            FileState::Unopened(file) => file,
            FileState::Open(open) => return Ok(open),
            FileState::Failed => {
                return Err(failed(&self.path)(ParquetError::General("the file failed before".to_owned())));
            }
        };
        let properties = self.properties(first).map_err(failed(&self.path))?;
        let (encoder, writer) =
            groups::open(*file, &self.path, &self.schema, Arc::clone(&self.descriptor), properties)?;
        Ok(Box::new(Open { encoder, writer, group: None }))
    }

    /// How the file is written, with encodings that suit its first rows.
    fn properties(&self, first: Option<&RecordBatch>) -> Result<WriterPropertiesBuilder, ParquetError> {
        let mut properties = properties(self.options.compression);
        // The crate takes a page of lists with as many NULLs as rows for one of NULLs alone, so they get no index of pages.
        for column in self.descriptor.columns().iter().filter(|column| column.max_rep_level() > 0) {
            let path = column.path().clone();
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
        match first {
            Some(first) => encoding::choose(
                properties,
                &self.descriptor,
                first,
                self.options.encodings == Encodings::Plain,
            ),
            None => Ok(properties),
        }
    }
}

impl Open {
    fn write(&mut self, batch: &RecordBatch, row_group_rows: usize) -> Result<(), Error> {
        let mut at = 0;
        while at < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.encoder.start()?,
            };
            let rows = (batch.num_rows() - at).min(STEP_ROWS).min(row_group_rows - group.rows());
            group.write(&batch.slice(at, rows))?;
            at += rows;
            let bounded = row_group_rows < usize::MAX;
            if group.rows() == row_group_rows || bounded && group.encoded_bytes() >= ROW_GROUP_BYTES {
                self.writer.append(group.close()?)?;
            } else {
                self.group = Some(group);
            }
        }
        Ok(())
    }
}

/// Starts the file that is to become `target`, with the row groups that are given to it.
///
/// Row groups may be small, so values are written plainly: a dictionary of values that differ is larger than they are.
/// There are no statistics of pages: thousands of row groups would have a page or two each.
///
/// # Errors
/// [`Error::File`] if the folder cannot be written; [`Error::Encode`] if Parquet has no form for the schema.
pub fn by_groups(
    target: &Path,
    schema: &SchemaRef,
    compression: Compression,
) -> Result<(GroupEncoder, GroupWriter), Error> {
    let descriptor = groups::describe(target, schema)?;
    let properties = properties(compression)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    groups::open(PendingFile::create(target)?, target, schema, descriptor, properties)
}

fn properties(compression: Compression) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(compression.into())
        .set_created_by(concat!("ssp version ", env!("CARGO_PKG_VERSION")).to_owned())
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn rows_that_may_be_null_do_not_go_into_a_column_that_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let schema = |nullable| Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, nullable)]));
        let target = folder.path().join("t.parquet");
        let write = |file: bool, rows: bool| {
            let mut writer = TableWriter::create(&target, schema(file), &WriteOptions::default()).unwrap();
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            writer.write(&RecordBatch::try_new(schema(rows), vec![ids]).unwrap())
        };
        assert!(write(true, false).is_ok() && write(false, false).is_ok());
        let error = write(false, true).unwrap_err();
        assert!(crate::errors::chain(&error)[1].contains("a different schema"), "{error:?}");
    }
}
