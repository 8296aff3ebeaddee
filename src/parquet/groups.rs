//! One Parquet file, row group by row group: encoded on any thread, appended in order.
//!
//! Not a place for what a file is like: [`write`](mod@super::write) chooses encodings and where a row group ends.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, SchemaRef};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use rayon::prelude::*;

use super::Error;
use super::copy::GroupSource;
use crate::durable::{PendingFile, SealedFile};

/// Encodes row groups for one file; threads may share it.
pub struct GroupEncoder {
    factory: ArrowRowGroupWriterFactory,
    descriptor: Arc<SchemaDescriptor>,
    schema: SchemaRef,
    path: PathBuf,
}

/// A row group that is being encoded.
pub(super) struct OpenGroup {
    columns: Vec<Column>,
    rows: usize,
    path: PathBuf,
}

/// An Arrow column of a row group that is being encoded, with the writers of the Parquet columns that it becomes.
struct Column {
    field: FieldRef,
    writers: Vec<ArrowColumnWriter>,
}

/// A row group, encoded and compressed.
pub struct Group {
    chunks: Vec<ArrowColumnChunk>,
    rows: usize,
}

/// Writes one Parquet file beside its target, row group by row group.
pub struct GroupWriter {
    writer: SerializedFileWriter<BufWriter<PendingFile>>,
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

/// The Parquet form of a schema.
pub(super) fn describe(target: &Path, schema: &SchemaRef) -> Result<Arc<SchemaDescriptor>, Error> {
    ArrowSchemaConverter::new().convert(schema).map(Arc::new).map_err(failed(target))
}

/// The writer of a file: of its properties those count that are the same in all row groups.
fn file_writer<W: Write + Send>(
    file: W,
    descriptor: &SchemaDescriptor,
    properties: WriterPropertiesBuilder,
) -> Result<SerializedFileWriter<W>, ParquetError> {
    SerializedFileWriter::new(file, descriptor.root_schema_ptr(), Arc::new(properties.build()))
}

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

impl GroupEncoder {
    /// Encodes row groups with these properties, for the file that is to become `target`.
    pub(super) fn new(
        target: &Path,
        schema: &SchemaRef,
        descriptor: Arc<SchemaDescriptor>,
        properties: WriterPropertiesBuilder,
    ) -> Result<Self, Error> {
        // A factory takes its properties from the writer of a file, which need not be that of the row groups.
        let properties = file_writer(io::sink(), &descriptor, properties).map_err(failed(target))?;
        let factory = ArrowRowGroupWriterFactory::new(&properties, Arc::clone(schema));
        Ok(Self { factory, descriptor, schema: Arc::clone(schema), path: target.to_owned() })
    }

    /// Encodes the rows of one row group on this thread. Their schema must be that of the file.
    pub(crate) fn encode(&self, batches: &[RecordBatch]) -> Result<Group, Error> {
        let mut group = self.start()?;
        for batch in batches {
            check(&self.schema, batch).and_then(|()| group.write_here(batch)).map_err(failed(&self.path))?;
        }
        let writers = group.columns.into_iter().flat_map(|column| column.writers);
        let chunks = writers.map(ArrowColumnWriter::close).collect::<Result<_, _>>();
        Ok(Group { chunks: chunks.map_err(failed(&self.path))?, rows: group.rows })
    }

    /// Starts a row group.
    pub(super) fn start(&self) -> Result<OpenGroup, Error> {
        let fields = self.schema.fields().iter();
        let mut columns: Vec<_> =
            fields.map(|field| Column { field: Arc::clone(field), writers: Vec::new() }).collect();
        // The number only matters for encryption.
        let writers = self.factory.create_column_writers(0).map_err(failed(&self.path))?;
        for (leaf, writer) in writers.into_iter().enumerate() {
            columns[self.descriptor.get_column_root_idx(leaf)].writers.push(writer);
        }
        Ok(OpenGroup { columns, rows: 0, path: self.path.clone() })
    }
}

/// Refuses rows of another schema than the file's.
pub(super) fn check(schema: &SchemaRef, rows: &RecordBatch) -> Result<(), ParquetError> {
    if rows.schema_ref() == schema || schema.contains(rows.schema_ref()) {
        Ok(())
    } else {
        Err(ParquetError::General("the batch has a different schema than the file".to_owned()))
    }
}

impl Column {
    fn write(&mut self, array: &ArrayRef) -> Result<(), ParquetError> {
        let leaves = compute_leaves(&self.field, array)?;
        self.writers.iter_mut().zip(leaves).try_for_each(|(writer, leaf)| writer.write(&leaf))
    }
}

impl OpenGroup {
    /// Adds rows, their columns in parallel.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows();
        let columns = self.columns.par_iter_mut().zip(batch.columns());
        columns.try_for_each(|(column, array)| column.write(array)).map_err(failed(&self.path))
    }

    /// Adds rows on this thread.
    fn write_here(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows();
        self.columns.iter_mut().zip(batch.columns()).try_for_each(|(column, array)| column.write(array))
    }

    /// Ends it, its columns in parallel.
    pub(super) fn close(self) -> Result<Group, Error> {
        let writers = self.columns.into_par_iter().flat_map_iter(|column| column.writers);
        let chunks = writers.map(ArrowColumnWriter::close).collect::<Result<_, _>>();
        Ok(Group { chunks: chunks.map_err(failed(&self.path))?, rows: self.rows })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn encoded_bytes(&self) -> usize {
        let writers = self.columns.iter().flat_map(|column| &column.writers);
        writers.map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }
}

impl Group {
    /// Rows in it.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

impl GroupWriter {
    /// Starts the file that is to become `target`.
    pub(super) fn create(
        target: &Path,
        schema: &SchemaRef,
        descriptor: &SchemaDescriptor,
        properties: WriterPropertiesBuilder,
    ) -> Result<Self, Error> {
        // The crate's own buffer is small.
        let file = BufWriter::with_capacity(BUFFER, PendingFile::create(target)?);
        let writer = file_writer(file, descriptor, properties).map_err(failed(target))?;
        let (path, schema) = (target.to_owned(), Arc::clone(schema));
        Ok(Self { writer, path, schema, metadata: Vec::new(), rows: 0 })
    }

    /// Appends a row group.
    pub(crate) fn append(&mut self, group: Group) -> Result<(), Error> {
        self.rows += group.rows as u64;
        self.append_chunks(group.chunks).map_err(failed(&self.path))
    }

    /// Appends a row group of a file with the same columns, without decoding it.
    pub(crate) fn copy(&mut self, source: &GroupSource, row_group: usize) -> Result<(), Error> {
        self.rows += source.rows_of(row_group);
        source.append_to(&mut self.writer, row_group).map_err(failed(&self.path))
    }

    fn append_chunks(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), ParquetError> {
        let mut row_group = self.writer.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut row_group))?;
        row_group.close().map(drop)
    }

    /// Adds a pair to the file's metadata, which is written at its end.
    pub fn add_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.push((key.into(), value.into()));
    }

    /// Row groups appended so far.
    pub(super) fn row_groups(&self) -> usize {
        self.writer.flushed_row_groups().len()
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
        let file = writer.into_inner().map_err(failed(&path))?;
        let file = file.into_inner().map_err(|error| failed(&path)(error.into_error().into()))?;
        Ok(SealedTable { file: file.seal()?, rows })
    }
}

/// The pairs of the footer. The metadata stands there twice: as pairs, and within the Arrow schema, which is where pyarrow
/// looks.
fn footer(schema: &SchemaRef, metadata: Vec<(String, String)>) -> Vec<KeyValue> {
    let mut described = schema.metadata().clone();
    described.extend(metadata.iter().cloned());
    let described = schema.as_ref().clone().with_metadata(described);
    let mut properties = WriterProperties::default();
    add_encoded_arrow_schema_to_metadata(&described, &mut properties);
    let arrow = properties.key_value_metadata().into_iter().flatten().cloned();
    metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).chain(arrow).collect()
}

pub(super) fn failed(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| Error::Encode { path: path.to_owned(), source: error.into() }
}
