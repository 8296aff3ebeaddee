//! Row groups that are encoded on any thread and appended in order: for files whose row groups are given.
//!
//! [`write`](super::write) cuts rows into row groups itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;

use super::Error;
use super::write::{SealedTable, WriteOptions, footer};
use crate::durable::PendingFile;

/// Encodes row groups for one file; threads may share it.
pub struct GroupEncoder {
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    path: PathBuf,
}

/// A row group, encoded and compressed.
pub struct Group {
    chunks: Vec<ArrowColumnChunk>,
    rows: u64,
}

impl Group {
    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// Writes one Parquet file beside its target, row group by row group.
pub struct GroupWriter {
    writer: SerializedFileWriter<PendingFile>,
    path: PathBuf,
    schema: SchemaRef,
    metadata: Vec<(String, String)>,
    rows: u64,
}

/// Starts the file that is to become `target`. Rows in a row group are as many as are given to the encoder.
///
/// Row groups may be small, so values are written plainly: a dictionary of values that differ is larger than they are.
/// There are no statistics of pages: thousands of row groups would have a page or two each.
///
/// # Errors
/// [`Error::File`] if the folder cannot be written; [`Error::Encode`] if Parquet has no form for the schema.
pub fn create(
    target: &Path,
    schema: SchemaRef,
    options: &WriteOptions,
) -> Result<(GroupEncoder, GroupWriter), Error> {
    let file = PendingFile::create(target)?;
    let path = target.to_owned();
    let failed = |error: ParquetError| Error::Encode { path: target.to_owned(), source: error.into() };
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(options.compression.into())
        .set_created_by(concat!("ssp version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    let converter = ArrowSchemaConverter::new().with_coerce_types(properties.coerce_types());
    let parquet = converter.convert(&schema).map_err(failed)?;
    let writer =
        SerializedFileWriter::new(file, parquet.root_schema_ptr(), Arc::new(properties)).map_err(failed)?;
    let factory = ArrowRowGroupWriterFactory::new(&writer, schema.clone());
    let encoder = GroupEncoder { factory, schema: schema.clone(), path: path.clone() };
    Ok((encoder, GroupWriter { writer, path, schema, metadata: options.metadata.clone(), rows: 0 }))
}

impl GroupEncoder {
    /// Encodes the rows of one row group. Their schema must be that of the file.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn encode(&self, batches: &[RecordBatch]) -> Result<Group, Error> {
        self.chunks(batches)
            .map(|chunks| Group { chunks, rows: batches.iter().map(|batch| batch.num_rows() as u64).sum() })
            .map_err(|error| Error::Encode { path: self.path.clone(), source: error.into() })
    }

    fn chunks(&self, batches: &[RecordBatch]) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        // The number only matters for encryption.
        let mut writers = self.factory.create_column_writers(0)?;
        for batch in batches {
            let mut leaves = writers.iter_mut();
            for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
                for leaf in compute_leaves(field, column)? {
                    let writer = leaves.next().ok_or_else(|| {
                        ParquetError::ArrowError("the rows have more columns than the file".to_owned())
                    })?;
                    writer.write(&leaf)?;
                }
            }
        }
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

impl GroupWriter {
    /// Appends a row group.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn append(&mut self, group: Group) -> Result<(), Error> {
        self.rows += group.rows;
        self.append_chunks(group.chunks)
            .map_err(|error| Error::Encode { path: self.path.clone(), source: error.into() })
    }

    fn append_chunks(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), ParquetError> {
        let mut row_group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close().map(drop)
    }

    /// Adds a pair to the file's metadata, which is written at its end.
    pub fn add_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.push((key.into(), value.into()));
    }

    /// Rows appended so far.
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
        let file = writer.into_inner().map_err(|error| Error::Encode { path, source: error.into() })?;
        Ok(SealedTable { file: file.seal()?, rows })
    }
}
