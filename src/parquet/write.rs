//! Record batches to a Parquet file, atomically, the same bytes for the same rows.

use std::fmt;
use std::ops::Range;
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
use super::copy::GroupSource;
use super::encoding;
use super::groups::{self, OpenGroup, failed};

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

/// Rows in a row group by default.
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
/// Rows come in sections, by default in one. Encodings are chosen by the first batch of a section, and a row group ends with its
/// section, so that the row groups of a section depend on its rows alone; the bytes depend on the rows and how they come in
/// batches, not on the number of threads.
pub struct TableWriter {
    path: PathBuf,
    schema: SchemaRef,
    descriptor: Arc<SchemaDescriptor>,
    options: WriteOptions,
    /// `None` once it failed.
    open: Option<Box<Open>>,
}

struct Open {
    writer: GroupWriter,
    /// How this section is encoded, once its first rows have come.
    encoder: Option<GroupEncoder>,
    group: Option<OpenGroup>,
}

impl TableWriter {
    /// Starts the file that is to become `target`.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be written; [`Error::Encode`] if Parquet has no form for the schema.
    pub fn create(target: &Path, schema: SchemaRef, options: &WriteOptions) -> Result<Self, Error> {
        let descriptor = groups::describe(target, &schema)?;
        let writer = GroupWriter::create(target, &schema, &descriptor, properties(options.compression))?;
        let open = Some(Box::new(Open { writer, encoder: None, group: None }));
        Ok(Self { path: target.to_owned(), schema, descriptor, options: options.clone(), open })
    }

    /// Adds rows. Their schema must be that of the file.
    ///
    /// # Errors
    /// [`Error::Encode`]; no more can be written then.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        groups::check(&self.schema, batch).map_err(failed(&self.path))?;
        let mut open = self.take()?;
        let encoder = match open.encoder.take() {
            Some(encoder) => encoder,
            None => self.encoder(batch)?,
        };
        open.write(batch, &encoder, self.options.row_group_rows.max(1))?;
        open.encoder = Some(encoder);
        self.open = Some(open);
        Ok(())
    }

    /// Ends a section; the row groups that the file has then.
    ///
    /// # Errors
    /// [`Error::Encode`]; no more can be written then.
    pub fn end_section(&mut self) -> Result<usize, Error> {
        let mut open = self.take()?;
        open.end_section()?;
        let row_groups = open.writer.row_groups();
        self.open = Some(open);
        Ok(row_groups)
    }

    /// Adds row groups of a file with the same columns as they are there. A section must have ended before. After an error no
    /// more can be written.
    pub(crate) fn copy(&mut self, source: &GroupSource, row_groups: Range<usize>) -> Result<(), Error> {
        let mut open = self.take()?;
        row_groups.into_iter().try_for_each(|row_group| open.writer.copy(source, row_group))?;
        self.open = Some(open);
        Ok(())
    }

    /// Writes the footer and makes the file safe on disk.
    ///
    /// # Errors
    /// [`Error::Encode`] or [`Error::File`].
    pub fn seal(mut self) -> Result<SealedTable, Error> {
        let mut open = self.take()?;
        open.end_section()?;
        open.writer.seal()
    }

    fn take(&mut self) -> Result<Box<Open>, Error> {
        let failed = || failed(&self.path)(ParquetError::General("the file failed before".to_owned()));
        self.open.take().ok_or_else(failed)
    }

    /// The encoder of a section with encodings that suit its first rows.
    fn encoder(&self, first: &RecordBatch) -> Result<GroupEncoder, Error> {
        let mut properties = properties(self.options.compression);
        // The crate takes a page of lists with as many NULLs as rows for one of NULLs alone, so they get no index of pages.
        for column in self.descriptor.columns().iter().filter(|column| column.max_rep_level() > 0) {
            let path = column.path().clone();
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
        let plain = self.options.encodings == Encodings::Plain;
        let properties = encoding::choose(properties, &self.descriptor, first, plain);
        let properties = properties.map_err(failed(&self.path))?;
        GroupEncoder::new(&self.path, &self.schema, Arc::clone(&self.descriptor), properties)
    }
}

impl Open {
    fn write(
        &mut self,
        batch: &RecordBatch,
        encoder: &GroupEncoder,
        row_group_rows: usize,
    ) -> Result<(), Error> {
        let mut at = 0;
        while at < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => encoder.start()?,
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

    fn end_section(&mut self) -> Result<(), Error> {
        self.encoder = None;
        self.group.take().map_or(Ok(()), |group| self.writer.append(group.close()?))
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
    let writer = GroupWriter::create(target, schema, &descriptor, properties.clone())?;
    Ok((GroupEncoder::new(target, schema, descriptor, properties)?, writer))
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
