//! An input: one Parquet file, all of a folder, or all that a pattern matches.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use crate::parquet::read::TableReader;
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
    /// [`Error::Pattern`], [`Error::List`], [`Error::NoFile`], [`Error::Parquet`].
    pub fn open(table: &'static str, path: &Path) -> Result<Self, Error> {
        let paths = expand(table, path)?;
        if paths.is_empty() {
            return Err(Error::NoFile { table, path: path.to_owned() });
        }
        let open = |path: PathBuf| TableReader::open(&path).map(|reader| (path, reader));
        Ok(Self { table, files: paths.into_iter().map(open).collect::<Result<_, _>>()? })
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|(_, reader)| reader.rows()).sum()
    }

    /// The first of `columns` that a file lacks, by file.
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
    /// [`Error::Parquet`].
    pub fn batches(
        &self,
        columns: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
        let batches = self.reader.batches(columns, Some(vec![self.row_group]), BATCH_ROWS)?;
        Ok(batches.map(|batch| batch.map_err(Error::Parquet)))
    }
}

fn expand(table: &'static str, path: &Path) -> Result<Vec<PathBuf>, Error> {
    if path.is_dir() {
        let failed = |source| Error::List { table, path: path.to_owned(), source };
        let entries = std::fs::read_dir(path).map_err(failed)?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with(['.', '_']));
            if !hidden && path.extension().is_some_and(|extension| extension == "parquet") {
                paths.push(path);
            }
        }
        paths.sort();
        return Ok(paths);
    }
    // A file that is there is that file, even with a bracket in its name.
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let pattern = path.to_string_lossy();
    if !pattern.contains(['*', '?', '[']) {
        return Ok(Vec::new());
    }
    let found = glob::glob(&pattern).map_err(|source| Error::Pattern {
        table,
        pattern: pattern.to_string(),
        source,
    })?;
    let mut paths = Vec::new();
    for path in found {
        let path =
            path.map_err(|error| Error::List { table, path: error.path().to_owned(), source: error.into() })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
