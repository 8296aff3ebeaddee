//! The file or files of a table that is sorted by ssObjectId: one, or parts that end between two objects.
//!
//! A part has as near `part_rows` rows as the objects allow; rows without ssObjectId, which come last, are in parts of their
//! own. The parts of `name.parquet` are `name-0001.parquet`, `name-0002.parquet` and so on, and `name.json` lists them. What a
//! file has depends on the rows alone, not on the batches in which they come.
//!
//! The command line publishes [`Sealed::files`] together by `durable::publish_all`, all or none. A pipeline puts the parts into
//! a folder and gives them other names, and has no use for the list. Not a place for what the columns are.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, make_array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use serde::Serialize;

use super::Error;
use crate::durable::{self, PendingFile, SealedFile};
use crate::parquet::write::{SealedTable, TableWriter, WriteOptions};
use crate::tables;

/// The column by which the rows are sorted.
const OBJECT: &str = "ssObjectId";
/// Rows that are encoded at a time.
const BATCH_ROWS: usize = 65_536;
/// Parts that are kept open, which protects them from being swept away: there may be more than files that may be open.
const MOST_LOCKED: usize = 128;

/// Writes a table, in parts if there is a number of rows for them.
pub struct Parts {
    target: PathBuf,
    schema: SchemaRef,
    options: WriteOptions,
    part_rows: Option<u64>,
    /// The place of ssObjectId.
    object: usize,
    open: Option<Part>,
    /// Rows of one object, until it is known in which part they are.
    pending: Rows,
    /// The object of the last row, if it had one.
    last: Option<i64>,
    sealed: Vec<SealedTable>,
    listed: Vec<Listed>,
}

/// A part that is being written.
struct Part {
    writer: TableWriter,
    /// Its rows, also those that wait.
    rows: u64,
    waiting: Rows,
    /// The first and the last ssObjectId.
    ids: [Option<i64>; 2],
}

/// A part as the list has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Listed {
    file: String,
    rows: u64,
    #[serde(rename = "firstSsObjectId")]
    first: Option<i64>,
    #[serde(rename = "lastSsObjectId")]
    last: Option<i64>,
    bytes: u64,
    digest: String,
}

/// The list of the parts.
#[derive(Serialize)]
struct List<'a> {
    rows: u64,
    parts: &'a [Listed],
}

/// Whether a table with this target, if it is written in parts, has a file of this name beside it.
#[must_use]
pub fn is_name_of_part(target: &Path, name: &str) -> bool {
    let Some(rest) = target.file_stem().and_then(|stem| name.strip_prefix(&*stem.to_string_lossy())) else {
        return false;
    };
    let number = rest.strip_prefix('-').and_then(|rest| rest.strip_suffix(".parquet"));
    let is_number = |text: &str| text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    rest == ".json" || number.is_some_and(is_number)
}

/// The finished files, safe on disk, not yet in place of their targets.
#[derive(Debug)]
pub struct Sealed {
    /// The table: one file, or the parts in order.
    pub tables: Vec<SealedTable>,
    /// The list of the parts, if there are parts.
    pub list: Option<SealedFile>,
    /// Files beside the target that have the names of further parts: an earlier build had more of them.
    pub stale: Vec<PathBuf>,
}

impl Sealed {
    /// All files, to be published together.
    #[must_use]
    pub fn files(self) -> Vec<SealedFile> {
        self.tables.into_iter().map(|table| table.file).chain(self.list).collect()
    }
}

/// Rows in batches.
#[derive(Default)]
struct Rows {
    batches: VecDeque<RecordBatch>,
    count: usize,
}

impl Rows {
    fn push(&mut self, batch: RecordBatch) {
        self.count += batch.num_rows();
        self.batches.push_back(batch);
    }

    fn append(&mut self, other: &mut Self) {
        self.count += std::mem::take(&mut other.count);
        self.batches.append(&mut other.batches);
    }

    /// Takes at most `most` rows from the front, in one batch.
    fn take(&mut self, schema: &SchemaRef, most: usize) -> Result<RecordBatch, ArrowError> {
        let (mut taken, mut rest) = (Vec::new(), most);
        while let Some(batch) = self.batches.pop_front() {
            let rows = batch.num_rows().min(rest);
            taken.push(batch.slice(0, rows));
            rest -= rows;
            if rows < batch.num_rows() {
                self.batches.push_front(batch.slice(rows, batch.num_rows() - rows));
            }
            if rest == 0 {
                break;
            }
        }
        self.count -= most - rest;
        let batch = concat_batches(schema, &taken)?;
        let columns = batch.columns().iter().map(plain).collect::<Result<_, _>>()?;
        RecordBatch::try_new(batch.schema(), columns)
    }
}

/// The column without a record of NULLs if it has none: Parquet would write other bytes for the same values.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if array.nulls().is_some() && array.null_count() == 0 {
        return array.to_data().into_builder().nulls(None).build().map(make_array);
    }
    Ok(Arc::clone(array))
}

impl Parts {
    /// Starts the table that is to become `target`, or parts beside it.
    ///
    /// # Errors
    /// [`tables::Error::Parquet`] if the folder cannot be written; [`Error::PartNames`] if the target has no name that parts
    /// can have; [`tables::Error::Convert`] if the schema has no ssObjectId.
    pub fn create(
        target: &Path,
        schema: SchemaRef,
        options: &WriteOptions,
        part_rows: Option<u64>,
    ) -> Result<Self, Error> {
        let object = schema.index_of(OBJECT).map_err(|source| convert(OBJECT, source))?;
        if part_rows.is_some() && target.extension().is_none_or(|extension| extension != "parquet") {
            return Err(Error::PartNames { target: target.to_owned() });
        }
        let mut parts = Self {
            // Parts are beside the file that a link leads to, as that file would be.
            target: durable::target(target).map_err(file_error)?,
            schema,
            options: options.clone(),
            part_rows: part_rows.map(|rows| rows.max(1)),
            object,
            open: None,
            pending: Rows::default(),
            last: None,
            sealed: Vec::new(),
            listed: Vec::new(),
        };
        // A folder that cannot be written is found before the rows are made.
        parts.open()?;
        Ok(parts)
    }

    /// Adds rows, which come after all others by ssObjectId; NULL is last.
    ///
    /// # Errors
    /// What the file below says.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let Some(part_rows) = self.part_rows else {
            self.assign(batch.num_rows(), None)?;
            return self.give(batch, &mut 0, batch.num_rows());
        };
        let ids = batch.column(self.object).as_primitive_opt::<Int64Type>().ok_or_else(|| {
            convert(OBJECT, ArrowError::SchemaError("ssObjectId is not a 64-bit integer".to_owned()))
        })?;
        // The first row that no part was given, and the first of the object that is not complete.
        let (mut next, mut object) = (0, 0);
        for (start, end, id) in runs(ids) {
            if self.last.is_some() && self.last != id {
                self.complete(batch, &mut next, object, start, part_rows)?;
                object = start;
            }
            self.last = id;
            if id.is_none() {
                self.fill(batch, &mut next, start, end, part_rows)?;
                object = end;
            }
        }
        self.give(batch, &mut next, object)?;
        if object < batch.num_rows() {
            self.pending.push(batch.slice(object, batch.num_rows() - object));
        }
        Ok(())
    }

    /// Finds the part of the pending object, whose last rows are `object..end` of a batch.
    fn complete(
        &mut self,
        batch: &RecordBatch,
        next: &mut usize,
        object: usize,
        end: usize,
        part_rows: u64,
    ) -> Result<(), Error> {
        let count = self.pending.count + (end - object);
        if count == 0 {
            return Ok(());
        }
        let rows = self.open.as_ref().map_or(0, |part| part.rows);
        // How far the part would be from its number of rows with this object, and how far it is without.
        let with = (rows + count as u64).saturating_sub(part_rows);
        if rows > 0 && with >= part_rows.saturating_sub(rows) {
            self.give(batch, next, object)?;
            self.close()?;
        }
        self.assign(count, self.last)?;
        if let Some(part) = &mut self.open {
            part.waiting.append(&mut self.pending);
        }
        Ok(())
    }

    /// Finds the parts of rows without an object.
    fn fill(
        &mut self,
        batch: &RecordBatch,
        next: &mut usize,
        start: usize,
        end: usize,
        part_rows: u64,
    ) -> Result<(), Error> {
        let mut at = start;
        while at < end {
            let (rows, has_objects) =
                self.open.as_ref().map_or((0, false), |part| (part.rows, part.ids[0].is_some()));
            if has_objects || rows >= part_rows {
                self.give(batch, next, at)?;
                self.close()?;
                continue;
            }
            let room = usize::try_from(part_rows - rows).unwrap_or(usize::MAX);
            let count = room.min(end - at);
            self.assign(count, None)?;
            at += count;
        }
        Ok(())
    }

    /// Counts rows of the open part, which it is given later.
    fn assign(&mut self, rows: usize, id: Option<i64>) -> Result<(), Error> {
        if self.open.is_none() {
            self.open()?;
        }
        if let Some(part) = &mut self.open {
            part.ids = [if part.rows == 0 { id } else { part.ids[0] }, id];
            part.rows += rows as u64;
        }
        Ok(())
    }

    /// Gives the open part the rows of a batch from `next` to `end`, which it was assigned.
    fn give(&mut self, batch: &RecordBatch, next: &mut usize, end: usize) -> Result<(), Error> {
        let start = std::mem::replace(next, end);
        if let Some(part) = self.open.as_mut().filter(|_| start < end) {
            part.waiting.push(batch.slice(start, end - start));
            while part.waiting.count >= BATCH_ROWS {
                part.flush(&self.schema)?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Error> {
        let target = match self.part_rows {
            None => self.target.clone(),
            Some(_) => self.target.with_file_name(self.part_name(self.sealed.len() + 1)),
        };
        let writer = TableWriter::create(&target, self.schema.clone(), &self.options);
        self.open = Some(Part {
            writer: writer.map_err(tables::Error::Parquet)?,
            rows: 0,
            waiting: Rows::default(),
            ids: [None; 2],
        });
        Ok(())
    }

    fn part_name(&self, number: usize) -> String {
        let stem = self.target.file_stem().unwrap_or_default().to_string_lossy();
        format!("{stem}-{number:04}.parquet")
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(mut part) = self.open.take() else { return Ok(()) };
        while part.waiting.count > 0 {
            part.flush(&self.schema)?;
        }
        let mut table = part.writer.seal().map_err(tables::Error::Parquet)?;
        if self.sealed.len() >= MOST_LOCKED {
            table.file.close();
        }
        self.listed.push(Listed {
            file: table.file.target().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            rows: table.rows,
            first: part.ids[0],
            last: part.ids[1],
            bytes: table.file.bytes(),
            digest: table.file.digest().to_string(),
        });
        self.sealed.push(table);
        Ok(())
    }

    /// Makes all files safe on disk. A table without rows is one part.
    ///
    /// # Errors
    /// What the files below say.
    pub fn seal(mut self) -> Result<Sealed, Error> {
        if let Some(part_rows) = self.part_rows {
            let none = RecordBatch::new_empty(Arc::clone(&self.schema));
            self.complete(&none, &mut 0, 0, 0, part_rows)?;
        }
        self.close()?;
        if self.part_rows.is_none() {
            return Ok(Sealed { tables: self.sealed, list: None, stale: Vec::new() });
        }
        let rows = self.listed.iter().map(|part| part.rows).sum();
        let target = self.target.with_extension("json");
        let mut file = PendingFile::create(&target).map_err(file_error)?;
        let written = serde_json::to_writer_pretty(&mut file, &List { rows, parts: &self.listed });
        written.map_err(io::Error::from).and_then(|()| file.write_all(b"\n")).map_err(|source| {
            let target = target.clone();
            file_error(durable::Error::Write { target, written: file.written(), source })
        })?;
        let list = Some(file.seal().map_err(file_error)?);
        let numbers = self.sealed.len() + 1..;
        let further = numbers.map(|number| self.target.with_file_name(self.part_name(number)));
        let stale = further.take_while(|path| path.exists()).collect();
        Ok(Sealed { tables: self.sealed, list, stale })
    }
}

impl Part {
    /// Encodes rows that wait.
    fn flush(&mut self, schema: &SchemaRef) -> Result<(), Error> {
        let some = self.waiting.count.min(BATCH_ROWS);
        let batch = self.waiting.take(schema, some).map_err(|source| convert("parts", source))?;
        Ok(self.writer.write(&batch).map_err(tables::Error::Parquet)?)
    }
}

/// Where each object begins and ends.
fn runs(ids: &Int64Array) -> Vec<(usize, usize, Option<i64>)> {
    let mut runs: Vec<(usize, usize, Option<i64>)> = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        match runs.last_mut() {
            Some((_, end, last)) if *last == id => *end = row + 1,
            _ => runs.push((row, row + 1, id)),
        }
    }
    runs
}

fn convert(column: &str, source: ArrowError) -> Error {
    tables::Error::Convert { column: column.to_owned(), source }.into()
}

fn file_error(error: durable::Error) -> Error {
    tables::Error::Parquet(error.into()).into()
}
