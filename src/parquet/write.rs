//! Record batches to a Parquet file, atomically, the same bytes for the same rows.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;
use super::encoding;
use crate::durable::{PendingFile, SealedFile};

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
    /// LZ4 (the raw variant that every reader knows).
    Lz4,
    /// Brotli.
    Brotli,
    /// Not at all.
    None,
}

const COMPRESSIONS: [(&str, Compression); 6] = [
    ("zstd", Compression::Zstd),
    ("snappy", Compression::Snappy),
    ("gzip", Compression::Gzip),
    ("lz4", Compression::Lz4),
    ("brotli", Compression::Brotli),
    ("none", Compression::None),
];

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = COMPRESSIONS.iter().find(|(name, _)| *name == text);
        found.map(|(_, compression)| *compression).ok_or_else(|| Error::Compression(text.to_owned()))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = COMPRESSIONS.iter().find(|(_, compression)| compression == self);
        f.write_str(found.map_or("zstd", |(name, _)| name))
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
    /// Whatever is smallest.
    #[default]
    Compact,
    /// Plain values and dictionaries only, for readers such as fastparquet that do not read the others.
    Plain,
}

impl Encodings {
    /// Whether a setting asks for plain values.
    #[must_use]
    pub fn are_plain(setting: Option<Self>) -> bool {
        setting == Some(Self::Plain)
    }
}

/// How a file is laid out.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// How pages are compressed.
    pub compression: Compression,
    /// Whether values are written plainly or in a dictionary only, for readers that know no other encodings.
    pub plain: bool,
    /// Rows in a row group; [`TableWriter::end_row_group`] ends one earlier, and so does a bound on its bytes. With
    /// `usize::MAX` a row group ends only where it is ended.
    pub row_group_rows: usize,
    /// Key and value pairs for the file's metadata, written in this order.
    pub metadata: Vec<(String, String)>,
}

/// Rows in a row group unless somebody says otherwise.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 1_000_000;

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            plain: false,
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            metadata: Vec::new(),
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
    options: WriteOptions,
    /// The file, until the first batch says how it is encoded.
    unopened: Option<PendingFile>,
    open: Option<OpenFile>,
    rows: u64,
}

/// A finished Parquet file, safe on disk, not yet in place of its target.
#[derive(Debug)]
pub struct SealedTable {
    /// The file.
    pub file: SealedFile,
    /// Its rows.
    pub rows: u64,
}

impl TableWriter {
    /// Starts the file that is to become `target`.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be written; [`Error::Encode`] if Parquet has no form for the schema.
    pub fn create(target: &Path, schema: SchemaRef, options: &WriteOptions) -> Result<Self, Error> {
        let path = target.to_owned();
        if let Err(source) = ArrowSchemaConverter::new().convert(&schema) {
            return Err(Error::Encode { path, source: source.into() });
        }
        let unopened = Some(PendingFile::create(target)?);
        Ok(Self { path, schema, options: options.clone(), unopened, open: None, rows: 0 })
    }

    /// Adds rows. Their schema must be that of the file.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let wrong = self.failed();
        if batch.schema_ref() != &self.schema && !self.schema.contains(batch.schema_ref()) {
            return Err(wrong(ParquetError::General(
                "the batch has another schema than the file".to_owned(),
            )));
        }
        let file = self.file(Some(batch))?;
        let written = file.write(batch);
        self.rows += batch.num_rows() as u64;
        written.map_err(wrong)
    }

    /// Ends the row group; an empty one is not written.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn end_row_group(&mut self) -> Result<(), Error> {
        let wrong = self.failed();
        self.open.as_mut().map_or(Ok(()), OpenFile::end_row_group).map_err(wrong)
    }

    /// Adds a pair to the file's metadata, which is written at its end.
    pub fn add_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.options.metadata.push((key.into(), value.into()));
    }

    /// Rows written so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the footer and makes the file safe on disk.
    ///
    /// # Errors
    /// [`Error::Encode`] or [`Error::File`].
    pub fn seal(mut self) -> Result<SealedTable, Error> {
        let wrong = self.failed();
        self.file(None)?;
        self.end_row_group()?;
        let Some(mut open) = self.open else {
            return Err(wrong(ParquetError::General("the file was not opened".to_owned())));
        };
        for pair in footer(&self.schema, self.options.metadata) {
            open.writer.append_key_value_metadata(pair);
        }
        let file = open.writer.into_inner().map_err(wrong)?;
        Ok(SealedTable { file: file.seal()?, rows: self.rows })
    }

    fn failed(&self) -> impl Fn(ParquetError) -> Error + use<> {
        let path = self.path.clone();
        move |error| Error::Encode { path: path.clone(), source: error.into() }
    }

    /// The file, opened now if it was not: `first` says what its columns are like.
    fn file(&mut self, first: Option<&RecordBatch>) -> Result<&mut OpenFile, Error> {
        let wrong = self.failed();
        if let Some(file) = self.unopened.take() {
            self.open = Some(OpenFile::new(file, &self.schema, &self.options, first).map_err(&wrong)?);
        }
        // An error while it was opened leaves neither.
        self.open.as_mut().ok_or_else(|| wrong(ParquetError::General("the file failed before".to_owned())))
    }
}

/// A file whose encodings are chosen.
struct OpenFile {
    writer: SerializedFileWriter<PendingFile>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// How many Parquet columns each Arrow column becomes.
    leaves: Vec<usize>,
    row_group_rows: usize,
    group: Option<RowGroup>,
}

/// The row group that is being encoded.
struct RowGroup {
    /// The writers of each Arrow column.
    columns: Vec<Vec<ArrowColumnWriter>>,
    rows: usize,
}

impl OpenFile {
    fn new(
        file: PendingFile,
        schema: &SchemaRef,
        options: &WriteOptions,
        first: Option<&RecordBatch>,
    ) -> Result<Self, ParquetError> {
        let descriptor = ArrowSchemaConverter::new().convert(schema)?;
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(options.compression.into())
            .set_created_by(concat!("ssp version ", env!("CARGO_PKG_VERSION")).to_owned());
        // The crate takes a page of lists with as many NULLs as rows for one of NULLs alone, so they get no index of pages.
        for column in descriptor.columns().iter().filter(|column| column.max_rep_level() > 0) {
            let path = column.path().clone();
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
        if let Some(first) = first {
            properties = encoding::choose(properties, &descriptor, first, options.plain)?;
        }
        let properties = Arc::new(properties.build());
        let writer = SerializedFileWriter::new(file, descriptor.root_schema_ptr(), properties)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(schema));
        let leaves = leaves(&descriptor, schema.fields().len());
        let row_group_rows = options.row_group_rows.max(1);
        Ok(Self { writer, factory, schema: Arc::clone(schema), leaves, row_group_rows, group: None })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut at = 0;
        while at < batch.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                none => {
                    let mut writers = self
                        .factory
                        .create_column_writers(self.writer.flushed_row_groups().len())?
                        .into_iter();
                    let columns =
                        self.leaves.iter().map(|&leaves| writers.by_ref().take(leaves).collect()).collect();
                    none.insert(RowGroup { columns, rows: 0 })
                }
            };
            let rows = (batch.num_rows() - at).min(STEP_ROWS).min(self.row_group_rows - group.rows);
            group.write(self.schema.fields(), &batch.slice(at, rows))?;
            at += rows;
            let bounded = self.row_group_rows < usize::MAX;
            if group.rows == self.row_group_rows || bounded && group.encoded_bytes() >= ROW_GROUP_BYTES {
                self.end_row_group()?;
            }
        }
        Ok(())
    }

    fn end_row_group(&mut self) -> Result<(), ParquetError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let chunks: Vec<Vec<ArrowColumnChunk>> = group
            .columns
            .into_par_iter()
            .map(|writers| writers.into_iter().map(ArrowColumnWriter::close).collect())
            .collect::<Result<_, _>>()?;
        let mut row_group = self.writer.next_row_group()?;
        for chunk in chunks.into_iter().flatten() {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        Ok(())
    }
}

impl RowGroup {
    fn write(&mut self, fields: &[FieldRef], batch: &RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows();
        let columns = self.columns.par_iter_mut().zip(fields).zip(batch.columns());
        columns.try_for_each(|((writers, field), array): ((&mut Vec<_>, &FieldRef), &ArrayRef)| {
            for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, array)?) {
                writer.write(&leaf)?;
            }
            Ok(())
        })
    }

    fn encoded_bytes(&self) -> usize {
        self.columns.iter().flatten().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }
}

fn leaves(descriptor: &SchemaDescriptor, columns: usize) -> Vec<usize> {
    let mut leaves = vec![0; columns];
    for leaf in 0..descriptor.num_columns() {
        if let Some(count) = leaves.get_mut(descriptor.get_column_root_idx(leaf)) {
            *count += 1;
        }
    }
    leaves
}

/// The pairs of the footer. The metadata stands there twice: as pairs, and within the Arrow schema, which is where pyarrow
/// looks.
pub(super) fn footer(schema: &SchemaRef, metadata: Vec<(String, String)>) -> Vec<KeyValue> {
    let mut described = schema.metadata().clone();
    for (key, value) in &metadata {
        described.insert(key, value);
    }
    let described = schema.as_ref().clone().with_metadata(described);
    let mut properties = WriterProperties::default();
    add_encoded_arrow_schema_to_metadata(&described, &mut properties);
    let arrow = properties.key_value_metadata().into_iter().flatten().cloned();
    metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).chain(arrow).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

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
        assert!(crate::errors::chain(&error)[1].contains("another schema"), "{error:?}");
    }
}
