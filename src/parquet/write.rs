//! Record batches to a Parquet file, atomically, the same bytes for the same rows.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::Error;
use crate::durable::{PendingFile, SealedFile};

/// How pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard, level 1: within a few percent of the size of level 3 at twice its speed.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// LZ4, the raw variant that every reader knows.
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

/// How a file is laid out.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// How pages are compressed.
    pub compression: Compression,
    /// Rows in a row group; [`TableWriter::end_row_group`] ends one earlier.
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
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            metadata: Vec::new(),
        }
    }
}

/// Writes one Parquet file beside its target.
pub struct TableWriter {
    writer: ArrowWriter<PendingFile>,
    path: PathBuf,
    schema: SchemaRef,
    metadata: Vec<(String, String)>,
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
        let file = PendingFile::create(target)?;
        let properties =
            properties(options).set_max_row_group_row_count(Some(options.row_group_rows)).build();
        let path = target.to_owned();
        // The schema is written at the end, with the metadata that is known only then.
        let arrow = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        match ArrowWriter::try_new_with_options(file, schema.clone(), arrow) {
            Ok(writer) => Ok(Self { writer, path, schema, metadata: options.metadata.clone(), rows: 0 }),
            Err(source) => Err(Error::Encode { path, source }),
        }
    }

    /// Adds rows. Their schema must be that of the file.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|source| Error::Encode { path: self.path.clone(), source })
    }

    /// Ends the row group; an empty one is not written.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn end_row_group(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(|source| Error::Encode { path: self.path.clone(), source })
    }

    /// Adds a pair to the file's metadata, which is written at its end.
    pub fn add_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.push((key.into(), value.into()));
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
    pub fn seal(self) -> Result<SealedTable, Error> {
        let Self { mut writer, path, schema, metadata, rows } = self;
        for pair in footer(&schema, metadata) {
            writer.append_key_value_metadata(pair);
        }
        let file = writer.into_inner().map_err(|source| Error::Encode { path, source })?;
        Ok(SealedTable { file: file.seal()?, rows })
    }
}

/// What every file is written with.
pub(super) fn properties(options: &WriteOptions) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(options.compression.into())
        .set_created_by(concat!("ssp version ", env!("CARGO_PKG_VERSION")).to_owned())
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
