//! An input: one Parquet file, all of a folder, or all that a pattern matches.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use crate::parquet::read::TableReader;
use crate::parquet::{self, files};
use crate::ssobject::Error;

/// The files of one input, in the order of their names.
pub struct Files {
    table: &'static str,
    files: Vec<(PathBuf, TableReader)>,
}

/// A part of an input that is read at once: a row group.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The input's name.
    pub table: &'static str,
    /// The file.
    pub path: &'a Path,
    reader: &'a TableReader,
    row_group: usize,
}

/// Rows decoded at a time.
const BATCH_ROWS: usize = 65_536;

impl Files {
    /// Opens the files at `path`; `table` names the input in errors.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Parquet`].
    pub fn open(table: &'static str, path: &Path) -> Result<Self, Error> {
        let paths = files(path).map_err(|source| Error::Files { table, path: path.to_owned(), source })?;
        let open = |path: PathBuf| TableReader::open(&path).map(|reader| (path, reader));
        Ok(Self { table, files: paths.into_iter().map(open).collect::<Result<_, _>>()? })
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|(_, reader)| reader.rows()).sum()
    }

    /// The first file that lacks some of `columns`, and those.
    pub fn lacking(&self, columns: &[&str]) -> Option<(PathBuf, Vec<String>)> {
        self.files.iter().find_map(|(path, reader)| {
            let lacks = |column: &&&str| reader.schema().index_of(column).is_err();
            let lacking: Vec<String> =
                columns.iter().filter(lacks).map(|column| (*column).to_owned()).collect();
            (!lacking.is_empty()).then(|| (path.clone(), lacking))
        })
    }

    /// Whether all of `columns` are single precision wherever they are.
    pub fn single_precision(&self, columns: &[&str]) -> bool {
        self.files.iter().all(|(_, reader)| {
            columns.iter().all(|column| {
                let field = reader.schema().field_with_name(column);
                field.is_ok_and(|field| *field.data_type() == DataType::Float32)
            })
        })
    }

    /// The parts.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.files.iter().flat_map(|(path, reader)| {
            (0..reader.row_groups()).map(|row_group| Part { table: self.table, path, reader, row_group })
        })
    }
}

impl Part<'_> {
    /// Its rows.
    pub fn rows(&self) -> u64 {
        // The footer has no count per row group at hand; an even share is near enough for progress.
        self.reader.rows() / self.reader.row_groups().max(1) as u64
    }

    /// Whether the file has a column.
    pub fn has(&self, column: &str) -> bool {
        self.reader.schema().index_of(column).is_ok()
    }

    /// The rows, some at a time, only these columns.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Parquet`].
    pub fn batches(
        &self,
        columns: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
        let batches = self.reader.batches(columns, Some(vec![self.row_group]), BATCH_ROWS);
        let batches = batches.map_err(|error| match error {
            parquet::Error::NoColumn { path, column, found } => {
                Error::NoColumn { table: self.table, path, column, found }
            }
            other => Error::Parquet(other),
        })?;
        Ok(batches.map(|batch| batch.map_err(Error::Parquet)))
    }
}
