//! An export in cells: a section of the output for each cell of the table. Cells that show what they showed when the last output
//! was made are copied from it; the others are read. The bytes are those of an export that reads all of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::database_state::Horizon;
use crate::monitor::Monitor;
use crate::parquet::copy::GroupSource;
use crate::parquet::write::{TableWriter, WriteOptions};
use crate::postgres::cells::{Cells, Count, count};
use crate::postgres::{self, Batch, Columns, Lost, Reader, Snapshot, stream_pieces};
use crate::stages::job::figures;
use crate::stages::{Last, Product};
use crate::threads::compute;

/// The version of the form of [`Memory`].
const FORM: u32 = 1;

/// What is remembered of an output.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    form: u32,
    signature: BTreeMap<String, String>,
    /// The oldest transaction that was running at the snapshot.
    oldest: u64,
    cells: Vec<Cell>,
}

/// What is remembered of a cell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Cell {
    #[serde(flatten)]
    count: Count,
    /// Its row groups in the output.
    groups: usize,
    /// What is lost of its values, with rows counted from its first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    losses: Vec<Lost>,
}

/// The last output, whose cells may be copied.
struct Before {
    memory: Memory,
    source: GroupSource,
    /// The row groups of each cell.
    groups: Vec<Range<usize>>,
}

impl Before {
    /// The last output, if its cells can be compared with those of a snapshot; else why not.
    fn of(last: &Last, cells: &Cells, now: Option<Horizon>) -> Result<Self, String> {
        let memory = serde_json::from_slice::<Memory>(&last.memory).ok().filter(|memory| memory.form == FORM);
        let memory = memory.ok_or("what is remembered of the last output cannot be read")?;
        let names = memory.signature.keys().chain(cells.signature.keys());
        let differs = |name: &&String| memory.signature.get(*name) != cells.signature.get(*name);
        if let Some(name) = names.clone().find(differs) {
            let value = |signature: &BTreeMap<String, String>| {
                signature
                    .get(name)
                    .map_or("none", |value| if value.len() > 40 { "..." } else { value })
                    .to_owned()
            };
            return Err(format!(
                "{name} changed: {} -> {}",
                value(&memory.signature),
                value(&cells.signature)
            ));
        }
        if !now.is_some_and(|now| now.reaches(memory.oldest)) {
            return Err("too many transactions since the last output, or fewer than then".to_owned());
        }
        let source = GroupSource::open(&last.path).map_err(|error| error.to_string())?;
        let mut groups = Vec::with_capacity(memory.cells.len());
        let (mut end, mut fits) = (0_usize, true);
        for cell in &memory.cells {
            let range = end..end.saturating_add(cell.groups);
            fits = fits
                && range.end <= source.row_groups()
                && range.clone().map(|group| source.rows_of(group)).sum::<u64>() == cell.count.rows;
            end = range.end;
            groups.push(range);
        }
        if !fits || end != source.row_groups() {
            return Err("what is remembered of the last output does not fit it".to_owned());
        }
        Ok(Self { memory, source, groups })
    }

    /// Whether a cell shows what it showed then.
    fn has(&self, cell: usize, now: &Count) -> bool {
        now.is_as(&self.memory.cells.get(cell).map_or_else(Count::default, |then| then.count))
    }
}

/// The parts of an export in cells.
pub(super) struct ByCells<'a> {
    pub write: &'a WriteOptions,
    /// Bytes of COPY data that are decoded at once.
    pub block_size: usize,
    /// Whether the next run may copy cells of the output.
    pub incremental: bool,
    pub snapshot: &'a Snapshot,
    pub columns: &'a Columns,
    pub cells: Cells,
    pub last: Option<&'a Last>,
    /// Connections that may read at once.
    pub readers: usize,
    pub target: &'a Path,
    /// Of the queries, which stops when they have ended.
    pub monitor: &'a Monitor,
    /// Of the stage.
    pub stage: &'a Monitor,
}

impl ByCells<'_> {
    /// Makes the output; with its evidence and the warnings that are known before, it is the product. `None` if an index reads
    /// the rows sooner.
    ///
    /// # Errors
    /// All of [`Error`].
    pub(super) fn run(&self, first: Reader<'_>, expected_rows: u64) -> Result<Option<Product>, Error> {
        let now = Horizon::of(self.snapshot.generation());
        let mut readers = self.readers(first)?;
        let last = self.last.filter(|_| self.cells.not_comparable.is_none());
        let before = last.map(|last| Before::of(last, &self.cells, now)).transpose();
        let (before, read_again) = match before {
            Ok(before) => (before, None),
            Err(why) => (None, Some(why)),
        };
        let counts = if before.is_some() || self.cells.is_by_index() {
            let since = before.as_ref().map(|before| before.memory.oldest);
            let counts = count(&self.cells, &mut readers, since)?;
            if self.cells.are_scattered(&counts) {
                return Ok(None);
            }
            if self.cells.is_by_index() {
                // The lock of the index is let go, so that no statement that waits for it is waited for.
                readers.clear();
                let first = self.snapshot.reader(self.monitor)?;
                readers = self.readers(first)?;
            }
            Some(counts)
        } else {
            None
        };
        let open = if before.is_some() { self.snapshot.long_open(&mut readers[0])? } else { None };
        let mut output = Output::new(self, before, counts);
        let mut product = Product::default();
        let (read, number) = (output.to_read().count(), self.cells.number());
        if read == 0 && output.is_last() {
            product.unchanged = true;
            output.finish_unchanged();
        } else {
            self.monitor.expect(output.rows_to_read().unwrap_or(expected_rows));
            let mut writer = TableWriter::create(self.target, self.columns.schema().clone(), self.write)?;
            let block_size = self.block_size;
            let pieces = output.pieces(self.columns);
            let mut sent = 0;
            let take = |batch: Batch| -> Result<(), Error> {
                compute(|| output.add(&mut writer, &batch))?;
                sent += batch.bytes;
                self.monitor.advance(batch.rows.num_rows() as u64, batch.bytes);
                Ok(())
            };
            let connections = if pieces.is_empty() {
                readers.len()
            } else {
                stream_pieces(readers, self.monitor, pieces, self.columns, block_size, take)?
            };
            compute(|| output.finish_to(&mut writer, number))?;
            product
                .figures
                .extend(figures([("bytes_sent", sent.into()), ("connections", connections.into())]));
            product.files = vec![compute(|| writer.seal())?];
        }
        let copied = if product.unchanged { 0 } else { number - read };
        product.figures.extend(figures([
            ("cells", number.into()),
            ("cells_read", read.into()),
            ("cells_copied", copied.into()),
        ]));
        if let Some(why) = read_again {
            product.figures.extend(figures([("cells_read_because", why.into())]));
        }
        product.warnings = output.warnings();
        product.warnings.extend(open);
        let rows = output.cells.iter().map(|cell| cell.count.rows);
        if let Some(better) = self.cells.better_cell_pages(rows) {
            let now = self.cells.cell_pages();
            product.warnings.push(format!(
                "with `cell_pages: {now}` the output has many small row groups, and is slow to read; write `cell_pages: {better}`"
            ));
        }
        match (&self.cells.not_comparable, now) {
            (None, Some(now)) if self.incremental => {
                let signature = self.cells.signature.clone();
                let memory = Memory { form: FORM, signature, oldest: now.oldest, cells: output.cells };
                product.memory = serde_json::to_vec(&memory).ok();
            }
            (Some(why), _) if self.incremental => {
                product.figures.extend(figures([("cells_not_remembered", why.clone().into())]));
            }
            _ => {}
        }
        Ok(Some(product))
    }

    /// As many connections as may read, set up to read pages.
    fn readers<'s>(&'s self, first: Reader<'s>) -> Result<Vec<Reader<'s>>, Error> {
        let most = self.readers.min(self.cells.number());
        let mut readers = self.snapshot.further_readers(first, most, self.monitor)?;
        readers.iter_mut().try_for_each(|reader| reader.scan_pages(true))?;
        Ok(readers)
    }
}

/// The output as far as it is made.
struct Output<'a> {
    parts: &'a ByCells<'a>,
    before: Option<Before>,
    counts: Option<Vec<Count>>,
    /// Whether each cell is copied.
    copies: Vec<bool>,
    /// The cells that are finished.
    cells: Vec<Cell>,
    /// The cell that is being read.
    open: Cell,
    /// Rows and row groups of the finished cells.
    rows: u64,
    groups: usize,
}

impl<'a> Output<'a> {
    fn new(parts: &'a ByCells<'a>, before: Option<Before>, counts: Option<Vec<Count>>) -> Self {
        let is_copied = |cell: usize| match (&before, &counts) {
            (Some(before), Some(counts)) => before.has(cell, &counts[cell]),
            _ => false,
        };
        let copies = (0..parts.cells.number()).map(is_copied).collect();
        let (cells, open) = (Vec::new(), Cell::default());
        Self { parts, before, counts, copies, cells, open, rows: 0, groups: 0 }
    }

    /// The cells that are read.
    fn to_read(&self) -> impl Iterator<Item = usize> {
        self.copies.iter().enumerate().filter(|(_, copied)| !**copied).map(|(cell, _)| cell)
    }

    /// The rows of those, if they were counted.
    fn rows_to_read(&self) -> Option<u64> {
        let counts = self.counts.as_ref()?;
        Some(self.to_read().map(|cell| counts[cell].rows).sum())
    }

    /// Whether the last output has no cells with rows beyond those of the table.
    fn is_last(&self) -> bool {
        let cells = self.before.as_ref().map(|before| before.memory.cells.as_slice());
        cells.is_some_and(|cells| cells.iter().skip(self.copies.len()).all(|cell| cell.count.rows == 0))
    }

    /// The queries for the cells that are read and may have rows.
    fn pieces(&self, columns: &Columns) -> Vec<postgres::Piece> {
        let mut before = self.counts.as_ref().map(|_| 0);
        let mut pieces = Vec::new();
        for (cell, copied) in self.copies.iter().enumerate() {
            let rows = self.counts.as_ref().map(|counts| counts[cell].rows);
            if !copied && rows != Some(0) {
                pieces.extend(self.parts.cells.pieces(columns, cell, before));
            }
            before = before.zip(rows).map(|(before, rows)| before + rows);
        }
        pieces
    }

    fn add(&mut self, writer: &mut TableWriter, batch: &Batch) -> Result<(), Error> {
        self.finish_to(writer, batch.section)?;
        writer.write(&batch.rows)?;
        self.open.count.rows += batch.rows.num_rows() as u64;
        let of_cell = batch.losses.iter().cloned();
        self.open.losses.extend(of_cell.map(|lost| Lost { row: lost.row.saturating_sub(self.rows), ..lost }));
        Ok(())
    }

    /// Finishes the cells before this one.
    fn finish_to(&mut self, writer: &mut TableWriter, end: usize) -> Result<(), Error> {
        while self.cells.len() < end {
            let cell = self.cells.len();
            let mut finished = std::mem::take(&mut self.open);
            let counted = self.counts.as_ref().map(|counts| counts[cell]);
            match &self.before {
                Some(before) if self.copies[cell] => {
                    if self.parts.stage.is_stopped() {
                        return Err(postgres::Error::Stopped(None).into());
                    }
                    let groups = before.groups.get(cell).cloned().unwrap_or_default();
                    writer.copy(&before.source, groups)?;
                    finished = before.memory.cells.get(cell).cloned().unwrap_or_default();
                }
                _ => finished.groups = writer.end_section()? - self.groups,
            }
            if let Some(counted) = counted {
                if counted.rows != finished.count.rows {
                    let problem = format!(
                        "it returned {} rows of a part of the table after it had counted {}",
                        finished.count.rows, counted.rows
                    );
                    return Err(postgres::Error::protocol("reading rows", &problem).into());
                }
                finished.count.places = counted.places;
            }
            self.rows += finished.count.rows;
            self.groups += finished.groups;
            self.cells.push(finished);
        }
        Ok(())
    }

    /// All cells are those of the last output.
    fn finish_unchanged(&mut self) {
        let Some(before) = &self.before else { return };
        let counts = self.counts.iter().flatten();
        self.cells = counts
            .enumerate()
            .map(|(cell, count)| {
                let then = before.memory.cells.get(cell).cloned().unwrap_or_default();
                Cell { count: *count, ..then }
            })
            .collect();
    }

    /// What is lost of values, told once for each column.
    fn warnings(&self) -> Vec<String> {
        let mut told: BTreeMap<&str, Lost> = BTreeMap::new();
        let mut rows = 0;
        for cell in &self.cells {
            for lost in &cell.losses {
                told.entry(&lost.column).or_insert_with(|| Lost { row: rows + lost.row, ..lost.clone() });
            }
            rows += cell.count.rows;
        }
        let fields = self.parts.columns.schema().fields().iter();
        fields.filter_map(|field| told.get(field.name().as_str())).map(ToString::to_string).collect()
    }
}
