//! Parquet files to record batches, only the columns and rows that are asked for.

use std::fs;
use std::io::{self, ErrorKind};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::files::files;
use super::remote::{self, Admit};
use super::rows::{Wanted, read_file};
use super::source::{FileBytes, Section};
use super::{Error, sound};
use crate::durable::FileId;

/// An open table, its footers read: a Parquet file, or the parts of a folder one after the other.
#[derive(Clone)]
pub struct TableReader {
    path: PathBuf,
    first: Open,
    /// The further parts.
    further: Vec<Open>,
    /// Is asked before rows are fetched from a store.
    admit: Option<Admit>,
    /// Whether rows that match a filter are expected in a store.
    expects: bool,
}

/// A file with its footer read.
#[derive(Clone)]
struct Open {
    source: Source,
    /// The size in bytes.
    bytes: u64,
    metadata: ArrowReaderMetadata,
}

/// Where the bytes of a file are.
#[derive(Clone)]
enum Source {
    Opened(FileBytes),
    /// Open only while it is read: there may be more parts than a process can have files open.
    Part(PathBuf, FileId),
}

impl Source {
    fn bytes(&self) -> io::Result<FileBytes> {
        match self {
            Self::Opened(bytes) => Ok(bytes.clone()),
            Self::Part(path, file) => {
                let section = Section::open(path)?;
                if FileId::of(path) != Some(*file) {
                    return Err(io::Error::other("the file was replaced while its folder was read"));
                }
                Ok(FileBytes::File(section))
            }
        }
    }
}

impl Open {
    fn footer(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }
}

/// Says which values of a column have their rows kept; NULL must not be among the answers.
pub(crate) type Keep = Box<dyn FnMut(&ArrayRef) -> Result<BooleanArray, ArrowError> + Send>;

impl TableReader {
    /// Opens a file, or all parts in a folder, and reads the footers.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`], [`Error::Part`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |path: &Path, source| Error::Open { path: path.to_owned(), source };
        let open = |path: &Path| {
            Self::from_section(path, Section::open(path).map_err(|source| failed(path, source))?)
        };
        if !path.is_dir() {
            return open(path);
        }
        // A link that is put elsewhere later changes no path of a part.
        let parts = fs::canonicalize(path).and_then(|folder| files(&folder));
        let parts = parts.map_err(|source| failed(path, source))?;
        let (first, further) = parts.split_first().ok_or_else(|| failed(path, ErrorKind::NotFound.into()))?;
        let first = open(first)?;
        let further = further.iter().map(|part| -> Result<Open, Error> {
            let reader = open(part)?;
            first.check_part(&reader)?;
            Ok(reader.closed(part).first)
        });
        let further = further.collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), further, ..first })
    }

    /// Refuses a further part that has other columns.
    fn check_part(&self, part: &Self) -> Result<(), Error> {
        let (wanted, found) = (self.schema().fields(), part.schema().fields());
        let differ = |(one, other): (&FieldRef, &FieldRef)| {
            one.name() != other.name() || one.data_type() != other.data_type()
        };
        let one_is_longer = || (wanted.len() != found.len()).then_some(wanted.len().min(found.len()));
        let Some(at) = wanted.iter().zip(found.iter()).position(differ).or_else(one_is_longer) else {
            return Ok(());
        };
        let said = |field: Option<&FieldRef>| {
            field.map_or("missing".to_owned(), |field| format!("`{}` ({})", field.name(), field.data_type()))
        };
        Err(Error::Part {
            path: part.path.clone(),
            first: self.path.clone(),
            number: at + 1,
            found: said(found.get(at)),
            wanted: said(wanted.get(at)),
        })
    }

    /// Reads the footer of a stretch of a file, which errors call `path`.
    pub(crate) fn from_section(path: &Path, section: Section) -> Result<Self, Error> {
        Self::from_source(path, FileBytes::File(section))
    }

    /// Reads the footer of a file in memory, which errors call `path`.
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::from_source(path, FileBytes::Memory(bytes.into()))
    }

    fn from_source(path: &Path, source: FileBytes) -> Result<Self, Error> {
        let metadata = match &source {
            FileBytes::File(section) if section.object().is_some() => remote::footer(section),
            source => sound(|| ArrowReaderMetadata::load(source, ArrowReaderOptions::new())),
        };
        let metadata =
            metadata.map_err(|error| Error::Read { path: path.to_owned(), source: error.into() })?;
        let bytes = parquet::file::reader::Length::len(&source);
        let first = Open { source: Source::Opened(source), bytes, metadata };
        Ok(Self { path: path.to_owned(), first, further: Vec::new(), admit: None, expects: false })
    }

    /// The same file; before rows of it are fetched from a store, `admit` waits until there is room for them.
    pub(crate) fn admitted(self, admit: Admit) -> Self {
        Self { admit: Some(admit), ..self }
    }

    /// The same file; rows that match a filter are expected in it, so that of a small file in a store all is fetched at once.
    pub(crate) fn expecting(self, expects: bool) -> Self {
        Self { expects, ..self }
    }

    /// Whether the file is in a store, so that each look at it is a request.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(&self.first.source, Source::Opened(FileBytes::File(section)) if section.object().is_some())
    }

    /// The same file, which is at `path`, open only while its rows are read: for one of many.
    pub(crate) fn closed(mut self, path: &Path) -> Self {
        if let (Ok(path), Some(file)) = (fs::canonicalize(path), FileId::of(path)) {
            self.first.source = Source::Part(path, file);
        }
        self
    }

    fn opened(&self) -> impl Iterator<Item = &Open> {
        iter::once(&self.first).chain(&self.further)
    }

    /// The file of a row group, and its place in that.
    fn group(&self, row_group: usize) -> Option<(&Open, usize)> {
        let mut before = 0;
        self.opened().find_map(|file| {
            let start = before;
            before += file.footer().num_row_groups();
            (row_group < before).then(|| (file, row_group - start))
        })
    }

    /// The file, as it is called in errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn field(&self, column: &str) -> Result<&FieldRef, Error> {
        match self.schema().column_with_name(column) {
            Some((index, _)) => Ok(&self.schema().fields()[index]),
            None => Err(self.no_column(column)),
        }
    }

    fn no_column(&self, column: &str) -> Error {
        let found = self.schema().fields().iter().map(|field| field.name().clone()).collect();
        Error::NoColumn { path: self.path.clone(), column: column.to_owned(), found }
    }

    /// The footers of all parts.
    pub(super) fn footers(&self) -> impl Iterator<Item = &ParquetMetaData> {
        self.opened().map(Open::footer)
    }

    /// The columns: all parts of a table have the same.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.first.metadata.schema()
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.footers().map(|footer| u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0)).sum()
    }

    /// The number of row groups.
    #[must_use]
    pub fn row_groups(&self) -> usize {
        self.footers().map(ParquetMetaData::num_row_groups).sum()
    }

    /// The number of rows in a row group.
    pub(crate) fn rows_of(&self, row_group: usize) -> u64 {
        let found = self.group(row_group).map(|(file, group)| file.footer().row_group(group));
        found.and_then(|group| u64::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    /// The size of all files in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.opened().map(|file| file.bytes).sum()
    }

    /// The first file's own pairs of key and value, in its order.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.first.footer().file_metadata().key_value_metadata();
        let pairs = pairs.into_iter().flatten();
        pairs.filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?)))
    }

    /// The smallest and the largest value of an integer column in a row group, as far as the file says.
    pub(crate) fn integer_bounds(&self, column: &str, row_group: usize) -> Option<(i128, i128)> {
        let (root, field) = self.schema().column_with_name(column)?;
        let (file, row_group) = self.group(row_group)?;
        let schema = file.metadata.parquet_schema();
        let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root)?;
        let statistics = file.footer().row_groups().get(row_group)?.column(leaf).statistics()?;
        // The old pair of fields was compared as signed, also for unsigned types.
        if statistics.is_min_max_deprecated() {
            return None;
        }
        let unsigned = matches!(field.data_type(), DataType::UInt32 | DataType::UInt64);
        let wide = |value: i64| if unsigned { i128::from(value.cast_unsigned()) } else { i128::from(value) };
        let wide_32 =
            |value: i32| if unsigned { i128::from(value.cast_unsigned()) } else { i128::from(value) };
        match statistics {
            Statistics::Int64(found) => Some((wide(*found.min_opt()?), wide(*found.max_opt()?))),
            Statistics::Int32(found) => Some((wide_32(*found.min_opt()?), wide_32(*found.max_opt()?))),
            _ => None,
        }
    }

    /// The rows of the row groups named, or of all, in order, `batch_rows` at a time; the columns come in the order of
    /// the file, not in that of `columns`.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Read`]; each item may be an error too.
    pub fn batches(
        &self,
        columns: &[&str],
        row_groups: Option<Vec<usize>>,
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
        self.read(columns, row_groups, batch_rows, &|_| Ok(None))
    }

    /// As [`TableReader::batches`], but only the rows for which `keep` says so, which sees the column `target` alone.
    /// That column is decoded first; of the others the pages with rows that are kept (all from the first to the last of them
    /// where such rows are dense).
    pub(crate) fn batches_where(
        &self,
        columns: &[&str],
        row_groups: Option<Vec<usize>>,
        batch_rows: usize,
        target: &str,
        keep: Keep,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
        let keep = Arc::new(Mutex::new(keep));
        self.read(columns, row_groups, batch_rows, &|file| {
            let keep = Arc::clone(&keep);
            let kept = move |batch: RecordBatch| {
                keep.lock().unwrap_or_else(PoisonError::into_inner)(batch.column(0))
            };
            let predicate = ArrowPredicateFn::new(self.mask(file, &[target])?, kept);
            Ok(Some(RowFilter::new(vec![Box::new(predicate)])))
        })
    }

    /// The files of some row groups, each with its own.
    fn chosen(&self, row_groups: Option<Vec<usize>>) -> Vec<(&Open, Option<Vec<usize>>)> {
        let Some(row_groups) = row_groups else { return self.opened().map(|file| (file, None)).collect() };
        let mut chosen = vec![(&self.first, Vec::new())];
        for (file, group) in row_groups.into_iter().filter_map(|group| self.group(group)) {
            match chosen.last_mut() {
                Some((last, groups)) if std::ptr::eq(*last, file) => groups.push(group),
                _ => chosen.push((file, vec![group])),
            }
        }
        chosen.into_iter().map(|(file, groups)| (file, Some(groups))).collect()
    }

    fn read(
        &self,
        columns: &[&str],
        row_groups: Option<Vec<usize>>,
        batch_rows: usize,
        filter: &dyn Fn(&Open) -> Result<Option<RowFilter>, Error>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
        let mut files = Vec::new();
        for (file, groups) in self.chosen(row_groups) {
            files.push((file.clone(), self.mask(file, columns)?, groups, filter(file)?));
        }
        let (path, admit, expects) = (self.path.clone(), self.admit.clone(), self.expects);
        let mut files = files.into_iter();
        // The first is opened now: what is wrong with it is said now, and its rows are filtered now, unless it is in a store.
        let rows = move |(file, columns, groups, filter): (Open, ProjectionMask, Option<Vec<usize>>, _)| {
            let bytes = file.source.bytes().map_err(|source| Error::Open { path: path.clone(), source })?;
            let wanted = Wanted { columns, groups, batch_rows, filter, expects };
            read_file(&path, bytes, file.metadata, wanted, admit.clone())
        };
        let first = files.next().map(&rows).transpose()?;
        let further = files.flat_map(move |file| {
            let (batches, error) = match rows(file) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(error)
        });
        Ok(first.into_iter().flatten().chain(further))
    }

    fn mask(&self, file: &Open, columns: &[&str]) -> Result<ProjectionMask, Error> {
        let root =
            |column: &&str| file.metadata.schema().index_of(column).map_err(|_| self.no_column(column));
        let roots = columns.iter().map(root).collect::<Result<Vec<_>, _>>()?;
        Ok(ProjectionMask::roots(file.metadata.parquet_schema(), roots))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// How reading all of a file ends.
    fn read(bytes: Vec<u8>) -> Result<usize, Error> {
        let reader = TableReader::from_bytes(Path::new("damaged.parquet"), bytes)?;
        let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        reader.batches(&names, None, 1024)?.try_fold(0, |rows, batch| Ok(rows + batch?.num_rows()))
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case");
        let good = fs::read(folder.join("mpc_orbits.parquet")).unwrap();
        let rows = read(good.clone()).unwrap();
        assert!(rows > 0);
        let mut panics = 0;
        let step = 4_000 / crate::cases::cases(250, 4_000);
        for at in (good.len() - 4_000..good.len()).step_by(step as usize) {
            for bit in [0, 7] {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                let Err(error) = read(bytes) else { continue };
                panics += usize::from(crate::errors::chain(&error).concat().contains("panicked"));
            }
        }
        assert!(panics > 0, "the crate does not panic any more: `sound` can go");
    }
}
