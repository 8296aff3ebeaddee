//! An input: one Parquet file, all of a folder, or all that a pattern matches.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use super::Error;
use crate::parquet::read::TableReader;
use crate::parquet::{self, files};

/// The files of one input, in the order of their names.
pub(crate) struct Files {
    table: &'static str,
    files: Vec<TableReader>,
}

/// A part of an input that is read at once: a row group.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub table: &'static str,
    pub path: &'a Path,
    reader: &'a TableReader,
    row_group: usize,
    /// Rows of the file before it.
    before: u64,
    /// Rows of the files before its own.
    file_start: u64,
}

/// Rows of a part that were decoded together.
pub(crate) struct Batch<'a> {
    pub part: Part<'a>,
    /// Rows of the file before them.
    pub before: u64,
    pub rows: RecordBatch,
}

impl Batch<'_> {
    /// Rows of the whole input before them.
    pub(crate) fn start(&self) -> u64 {
        self.part.file_start.saturating_add(self.before)
    }
}

/// Rows decoded at a time.
pub(crate) const BATCH_ROWS: usize = 65_536;

impl Files {
    /// Opens the files at `path`; `table` names the input in errors.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Parquet`].
    pub(crate) fn open(table: &'static str, path: &Path) -> Result<Self, Error> {
        let paths = files(path).map_err(|source| Error::Files { table, path: path.to_owned(), source })?;
        let many = paths.len() > 1;
        let open = |path: PathBuf| {
            let reader = TableReader::open(&path)?;
            Ok(if many { reader.closed(&path) } else { reader })
        };
        let files = paths.into_iter().map(open).collect::<Result<_, parquet::Error>>()?;
        Ok(Self { table, files })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().fold(0, |rows, reader| rows.saturating_add(reader.rows()))
    }

    /// The first file that lacks some of `columns`, and those.
    pub(crate) fn lacking(&self, columns: &[&str]) -> Option<(PathBuf, Vec<String>)> {
        self.files.iter().find_map(|reader| {
            let lacks = |column: &&&str| reader.schema().index_of(column).is_err();
            let lacking: Vec<String> =
                columns.iter().filter(lacks).map(|column| (*column).to_owned()).collect();
            (!lacking.is_empty()).then(|| (reader.path().to_owned(), lacking))
        })
    }

    /// Whether all of `columns` are single precision wherever they are.
    pub(crate) fn single_precision(&self, columns: &[&str]) -> bool {
        self.files.iter().all(|reader| {
            columns.iter().all(|column| {
                let field = reader.schema().field_with_name(column);
                field.is_ok_and(|field| *field.data_type() == DataType::Float32)
            })
        })
    }

    /// Checks that every file has a column.
    ///
    /// # Errors
    /// [`Error::NoColumn`].
    pub(crate) fn needs(&self, column: &str) -> Result<(), Error> {
        for reader in &self.files {
            reader.field(column).map_err(|error| read_error(self.table, error))?;
        }
        Ok(())
    }

    /// Checks the type of a column in every file that has it; `wanted` says what it must be if it is not.
    ///
    /// # Errors
    /// [`Error::ColumnType`].
    pub(crate) fn check_type(
        &self,
        column: &str,
        wanted: impl Fn(&DataType) -> Option<&'static str>,
    ) -> Result<(), Error> {
        for reader in &self.files {
            let Ok(field) = reader.schema().field_with_name(column) else { continue };
            if let Some(wanted) = wanted(field.data_type()) {
                return Err(Error::ColumnType {
                    table: self.table,
                    path: reader.path().to_owned(),
                    column: column.to_owned(),
                    found: field.data_type().to_string(),
                    wanted,
                });
            }
        }
        Ok(())
    }

    /// Whether any of the files has a column.
    pub(crate) fn any_has(&self, column: &str) -> bool {
        self.files.iter().any(|reader| reader.schema().index_of(column).is_ok())
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut next_file = 0_u64;
        self.files.iter().flat_map(move |reader| {
            let file_start = next_file;
            next_file = file_start.saturating_add(reader.rows());
            (0..reader.row_groups()).scan(0_u64, move |next, row_group| {
                let before = *next;
                *next = before.saturating_add(reader.rows_of(row_group));
                Some(Part { table: self.table, path: reader.path(), reader, row_group, before, file_start })
            })
        })
    }
}

impl<'a> Part<'a> {
    pub(crate) fn rows(&self) -> u64 {
        self.reader.rows_of(self.row_group)
    }

    /// Rows of the whole input before it.
    pub(crate) fn start(&self) -> u64 {
        self.file_start.saturating_add(self.before)
    }

    /// Those of `columns` that the file has.
    pub(crate) fn having<'c>(&self, columns: &[&'c str]) -> Vec<&'c str> {
        columns.iter().copied().filter(|column| self.has(column)).collect()
    }

    /// Whether the file has a column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.reader.schema().index_of(column).is_ok()
    }

    /// The rows, some at a time, only these columns.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Parquet`].
    pub(crate) fn batches(
        &self,
        columns: &[&str],
    ) -> Result<impl Iterator<Item = Result<Batch<'a>, Error>> + use<'a>, Error> {
        self.batches_of(columns, BATCH_ROWS)
    }

    /// The same, with at most `batch_rows` at a time, for columns with long values.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Parquet`].
    pub(crate) fn batches_of(
        &self,
        columns: &[&str],
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<Batch<'a>, Error>> + use<'a>, Error> {
        let batches = self.reader.batches(columns, Some(vec![self.row_group]), batch_rows);
        let batches = batches.map_err(|error| read_error(self.table, error))?;
        let part = *self;
        let mut next = self.before;
        Ok(batches.map(move |rows| {
            let rows = rows.map_err(Error::Parquet)?;
            let before = next;
            next += rows.num_rows() as u64;
            Ok(Batch { part, before, rows })
        }))
    }
}

/// The error of a reader, with the name of the table if it lacks a column.
fn read_error(table: &'static str, error: parquet::Error) -> Error {
    match error {
        parquet::Error::NoColumn { path, column, found } => Error::NoColumn { table, path, column, found },
        other => Error::Parquet(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::super::columns::Column;
    use super::*;
    use crate::parquet::write::{TableWriter, WriteOptions};

    #[test]
    fn rows_are_counted_in_their_file_whatever_its_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        let options = WriteOptions { row_group_rows: 2, ..WriteOptions::default() };
        for name in ["a.parquet", "b.parquet"] {
            let ids = Int64Array::from(vec![Some(1), Some(2), Some(3), Some(4), None]);
            let rows = RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef)]).unwrap();
            let mut writer = TableWriter::create(&folder.path().join(name), rows.schema(), &options).unwrap();
            writer.write(&rows).unwrap();
            writer.seal().unwrap().file.publish().unwrap();
        }
        let files = Files::open("T", folder.path()).unwrap();
        let found: Vec<_> = files
            .parts()
            .map(|part| {
                let batch = part.batches(&["id"]).unwrap().next().unwrap().unwrap();
                let ids = Column::of(&batch, "id").unwrap().required_ids();
                (part.rows(), batch.before, batch.start(), ids.map_err(|error| error.to_string()))
            })
            .collect();
        let [.., (1, 4, 9, Err(last))] = &found[..] else { panic!("{found:?}") };
        assert!(last.ends_with("b.parquet` has no value in row 5: each row must have one"), "{last}");
        assert_eq!(found[3..5], [(2, 0, 5, Ok(vec![1, 2])), (2, 2, 7, Ok(vec![3, 4]))]);
        assert_eq!((found.len(), files.rows()), (6, 10));
    }
}
