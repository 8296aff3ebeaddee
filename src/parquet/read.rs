//! Parquet files to record batches, only the columns that are asked for.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::Error;

/// An open Parquet file, its footer read.
#[derive(Clone)]
pub struct TableReader {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl TableReader {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), metadata })
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The number of row groups.
    #[must_use]
    pub fn row_groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The rows of the row groups named, or of all, in order, `batch_rows` at a time; the columns come in the order of
    /// the file, whatever the order in `columns`.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Open`], [`Error::Read`]; each item may be an error too.
    pub fn batches(
        &self,
        columns: &[&str],
        row_groups: Option<Vec<usize>>,
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
        for column in columns {
            if self.schema().index_of(column).is_err() {
                let found = self.schema().fields().iter().map(|field| field.name().clone()).collect();
                return Err(Error::NoColumn { path: self.path.clone(), column: (*column).to_owned(), found });
            }
        }
        let roots = self.schema().fields().iter().enumerate();
        let roots =
            roots.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index);
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(open(&self.path)?, self.metadata.clone())
                .with_projection(mask)
                .with_batch_size(batch_rows);
        if let Some(row_groups) = row_groups {
            builder = builder.with_row_groups(row_groups);
        }
        let path = self.path.clone();
        let reader = builder.build().map_err(|source| Error::Read { path: path.clone(), source })?;
        Ok(reader.map(move |batch| {
            batch.map_err(|error: ArrowError| Error::Read { path: path.clone(), source: error.into() })
        }))
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })
}
