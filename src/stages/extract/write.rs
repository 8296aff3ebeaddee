//! The output: row groups copied from the last one, and datasets read, in the order of the datasets.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::Schema;
use rayon::prelude::*;

use super::memory::{Entry, Recorder};
use super::past::Past;
use super::survey::Readable;
use super::{Error, Extraction};
use crate::butler::columns::Columns;
use crate::butler::metadata::{Metadata, essence};
use crate::butler::ordered::in_order;
use crate::butler::reader::{Filter, Reader, Rows, Wanted};
use crate::parquet::write::{Group, GroupWriter, SealedTable, by_groups};
use crate::stages::sources::line;
use crate::threads::compute;

/// What was written, and what was found on the way.
#[derive(Default)]
pub(super) struct Written {
    /// `None` if the last output has the bytes of a new one.
    pub table: Option<SealedTable>,
    /// Rows of the output.
    pub rows: u64,
    /// Rows of all datasets.
    pub read: u64,
    /// Datasets with rows in the output.
    pub with_rows: u64,
    /// Datasets that were copied.
    pub copied: u64,
    /// The pairs of key and value of the output.
    pub metadata: Vec<(String, String)>,
}

/// What is written, and how.
pub(super) struct Writing<'a> {
    pub extraction: &'a Extraction<'a>,
    pub readable: &'a [Readable<'a>],
    pub columns: &'a Columns,
    pub reader: &'a Reader<'a>,
    pub filter: Option<&'a Filter>,
    pub past: Option<&'a Past<'a>>,
}

/// A part of the work: datasets that are copied one after the other, or one that is read.
enum Step {
    Copy(Range<usize>),
    Read(usize),
}

/// A part of the work that is ready to be written.
enum Ready {
    Copy(Range<usize>),
    Read(usize, Group, Rows),
}

/// What comes together dataset by dataset.
struct Tally<'a> {
    written: Written,
    metadata: Metadata,
    /// What is to be remembered, if anything is.
    recorder: Option<&'a mut Recorder>,
}

impl Writing<'_> {
    /// Writes the output, unless the last one is proven to have its bytes. What is remembered of each dataset goes to the
    /// recorder.
    pub(super) fn write(&self, recorder: Option<&mut Recorder>) -> Result<Written, Error> {
        let Extraction { extract, target, .. } = *self.extraction;
        let schema = self.columns.schema();
        let mut tally = Tally { written: Written::default(), metadata: Metadata::default(), recorder };
        if self.is_unchanged() {
            (0..self.readable.len()).try_for_each(|index| self.copy(index, None, &mut tally))?;
            return Ok(tally.end(self.readable, schema));
        }
        let (encoder, mut writer) = by_groups(target, schema, extract.compression)?;
        let steps = self.steps();
        let room = Arc::new(self.extraction.room());
        let work = |step: usize| {
            self.check_stop()?;
            Ok(match &steps[step] {
                Step::Copy(range) => Ready::Copy(range.clone()),
                Step::Read(index) => {
                    let known = self.copy_of(*index).map(|(past, of)| {
                        let ids = past.memory().ids(past.entry(of));
                        ids.flatten().collect::<Vec<i64>>()
                    });
                    let dataset = self.readable[*index].dataset;
                    let room = Arc::clone(&room);
                    let wanted = Wanted {
                        columns: self.columns,
                        filter: self.filter,
                        known: known.as_deref(),
                        admit: Some(Arc::new(move |bytes| room.admit(step, bytes))),
                    };
                    let rows = self.reader.attend(dataset, || self.reader.read_unless(dataset, &wanted))?;
                    if rows.unchanged {
                        return Ok(Ready::Copy(*index..*index + 1));
                    }
                    let group = compute(|| encoder.encode(&rows.batches))?;
                    Ready::Read(*index, group, Rows { batches: Vec::new(), ..rows })
                }
            })
        };
        in_order(steps.len(), self.extraction.workers(), &room, work, |_, ready| match ready {
            Ready::Copy(mut range) => {
                range.try_for_each(|index| self.copy(index, Some(&mut writer), &mut tally))
            }
            Ready::Read(index, group, rows) => self.append(index, group, rows, &mut writer, &mut tally),
        })?;
        let mut written = tally.end(self.readable, schema);
        for (key, value) in &written.metadata {
            writer.add_metadata(key, value);
        }
        written.table = Some(writer.seal()?);
        Ok(written)
    }

    fn check_stop(&self) -> Result<(), Error> {
        if self.extraction.monitor.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Copies a dataset from the last output; without a writer its row group stays where it is.
    fn copy(
        &self,
        index: usize,
        writer: Option<&mut GroupWriter>,
        tally: &mut Tally<'_>,
    ) -> Result<(), Error> {
        self.check_stop()?;
        let Some((past, of)) = self.copy_of(index) else { return Ok(()) };
        let (entry, pairs) = (past.entry(of), past.memory().pairs(past.entry(of)));
        if let (Some(group), Some(writer)) = (past.group(of), writer) {
            writer.copy(past.source(), group)?;
        }
        tally.add(entry.rows, entry.group_rows, pairs);
        tally.written.copied += 1;
        if let Some(recorder) = &mut tally.recorder {
            let ids = past.memory().ids(entry).flatten();
            recorder.add(entry.clone(), &self.readable[index].fields, pairs, ids);
        }
        self.extraction.monitor.advance(entry.rows, entry.bytes);
        Ok(())
    }

    /// Writes the row group of a dataset that was read.
    fn append(
        &self,
        index: usize,
        group: Group,
        rows: Rows,
        writer: &mut GroupWriter,
        tally: &mut Tally<'_>,
    ) -> Result<(), Error> {
        let (group_rows, pairs) = (group.rows() as u64, essence(&rows.metadata));
        if group_rows > 0 {
            writer.append(group)?;
        }
        tally.add(rows.read, group_rows, &pairs);
        if let Some(recorder) = &mut tally.recorder {
            let Readable { dataset, fields, .. } = &self.readable[index];
            let entry = Entry {
                line: line(dataset),
                place: rows.place,
                version: rows.version,
                bytes: rows.bytes,
                rows: rows.read,
                group_rows,
                span: rows.span,
                ..Entry::default()
            };
            recorder.add(entry, fields, &pairs, rows.ids.into_iter());
        }
        self.extraction.monitor.advance(rows.read, rows.bytes);
        Ok(())
    }

    fn copy_of(&self, index: usize) -> Option<(&Past<'_>, usize)> {
        self.past.zip(self.readable[index].copied)
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for index in 0..self.readable.len() {
            // A dataset that may have an id that was added is copied only once its ids are known.
            let certain = self.copy_of(index).filter(|_| !self.readable[index].opened);
            match (certain, steps.last_mut()) {
                (None, _) => steps.push(Step::Read(index)),
                (Some(_), Some(Step::Copy(range))) => range.end = index + 1,
                (Some(_), _) => steps.push(Step::Copy(index..index + 1)),
            }
        }
        steps
    }

    /// Whether a new output would have the bytes of the last one: the same row groups in the same order, and the same pairs of
    /// key and value. The columns are the same, or nothing is copied.
    fn is_unchanged(&self) -> bool {
        let Some(past) = self.past else { return false };
        let mut before = past.memory().entries().iter().filter(|entry| entry.group_rows > 0);
        let mut metadata = Metadata::default();
        let mut rows = 0;
        for index in 0..self.readable.len() {
            let Some((_, of)) = self.copy_of(index) else { return false };
            let entry = past.entry(of);
            if entry.group_rows > 0 {
                if before.next().is_none_or(|before| before.line != entry.line) {
                    return false;
                }
                rows += entry.group_rows;
                metadata.add(past.memory().pairs(entry));
            }
        }
        if rows == 0 {
            metadata.add(&self.readable[0].metadata);
        }
        let is_same =
            before.next().is_none() && metadata.of(self.columns.schema(), rows) == past.memory().metadata();
        let holds = |found: &Readable<'_>| {
            let stopped = self.extraction.monitor.is_stopped();
            found.opened && (stopped || past.may_hold_added(found.dataset, self.reader))
        };
        let extraction = self.extraction;
        let workers = extraction.workers();
        if workers == extraction.jobs {
            return is_same && !compute(|| self.readable.par_iter().any(holds));
        }
        let none = |index: usize| if holds(&self.readable[index]) { Err(()) } else { Ok(()) };
        is_same && in_order(self.readable.len(), workers, &extraction.room(), none, |_, ()| Ok(())).is_ok()
    }
}

impl Tally<'_> {
    fn add(&mut self, rows: u64, group_rows: u64, pairs: &[(String, String)]) {
        self.written.read += rows;
        self.written.rows += group_rows;
        if group_rows > 0 {
            self.written.with_rows += 1;
            self.metadata.add(pairs);
        }
    }

    fn end(mut self, readable: &[Readable<'_>], schema: &Schema) -> Written {
        if self.written.with_rows == 0 {
            self.metadata.add(&readable[0].metadata);
        }
        self.written.metadata = self.metadata.of(schema, self.written.rows);
        self.written
    }
}
