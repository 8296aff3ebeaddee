//! An input: one Parquet file, all of a folder, or all that a pattern matches.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use crate::parquet::read::TableReader;
use crate::parquet::{self, files};
use crate::ssobject::Error;

/// The files of one input, in the order of their names.
pub(crate) struct Files {
    table: &'static str,
    files: Vec<(PathBuf, TableReader)>,
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
}

/// Rows of a part that were decoded together.
pub(crate) struct Batch<'a> {
    pub part: Part<'a>,
    /// Rows of the file before them.
    pub before: u64,
    pub rows: RecordBatch,
}

/// Rows decoded at a time.
const BATCH_ROWS: usize = 65_536;

impl Files {
    /// Opens the files at `path`; `table` names the input in errors.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Parquet`].
    pub(crate) fn open(table: &'static str, path: &Path) -> Result<Self, Error> {
        let paths = files(path).map_err(|source| Error::Files { table, path: path.to_owned(), source })?;
        let open = |path: PathBuf| TableReader::open(&path).map(|reader| (path, reader));
        Ok(Self { table, files: paths.into_iter().map(open).collect::<Result<_, _>>()? })
    }

    #[must_use]
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().fold(0, |rows, (_, reader)| rows.saturating_add(reader.rows()))
    }

    /// The first file that lacks some of `columns`, and those.
    pub(crate) fn lacking(&self, columns: &[&str]) -> Option<(PathBuf, Vec<String>)> {
        self.files.iter().find_map(|(path, reader)| {
            let lacks = |column: &&&str| reader.schema().index_of(column).is_err();
            let lacking: Vec<String> =
                columns.iter().filter(lacks).map(|column| (*column).to_owned()).collect();
            (!lacking.is_empty()).then(|| (path.clone(), lacking))
        })
    }

    /// Whether all of `columns` are single precision wherever they are.
    pub(crate) fn single_precision(&self, columns: &[&str]) -> bool {
        self.files.iter().all(|(_, reader)| {
            columns.iter().all(|column| {
                let field = reader.schema().field_with_name(column);
                field.is_ok_and(|field| *field.data_type() == DataType::Float32)
            })
        })
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.files.iter().flat_map(|(path, reader)| {
            (0..reader.row_groups()).scan(0_u64, |next, row_group| {
                let before = *next;
                *next = before.saturating_add(reader.rows_of(row_group));
                Some(Part { table: self.table, path, reader, row_group, before })
            })
        })
    }
}

impl<'a> Part<'a> {
    pub(crate) fn rows(&self) -> u64 {
        self.reader.rows_of(self.row_group)
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
        let batches = self.reader.batches(columns, Some(vec![self.row_group]), BATCH_ROWS);
        let batches = batches.map_err(|error| match error {
            parquet::Error::NoColumn { path, column, found } => {
                Error::NoColumn { table: self.table, path, column, found }
            }
            other => Error::Parquet(other),
        })?;
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
                (part.rows(), batch.before, ids.map_err(|error| error.to_string()))
            })
            .collect();
        let [.., (1, 4, Err(last))] = &found[..] else { panic!("{found:?}") };
        assert!(last.ends_with("b.parquet` has no value in row 5: each row must have one"), "{last}");
        assert_eq!(found[3..5], [(2, 0, Ok(vec![1, 2])), (2, 2, Ok(vec![3, 4]))]);
        assert_eq!((found.len(), files.rows()), (6, 10));
    }
}
