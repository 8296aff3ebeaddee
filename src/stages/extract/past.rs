//! The last output of an extract, and what of it may be used again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::memory::{Entry, Memory};
use crate::butler::ids::IdSet;
use crate::butler::reader::{Filter, Reader};
use crate::butler::{Dataset, reader};
use crate::parquet::copy::GroupSource;
use crate::parquet::read::TableReader;
use crate::stages::Last;
use crate::stages::sources::line;

/// The last output, with what is remembered of it.
pub(super) struct Past<'a> {
    memory: &'a Memory<'a>,
    source: GroupSource,
    by_line: HashMap<&'a str, usize>,
    /// The row group of each dataset that has one.
    groups: Vec<Option<usize>>,
    ids: Option<Changes>,
}

/// How the ids of the filter differ from those of the last output.
struct Changes {
    added: Filter,
    removed: HashSet<i64>,
}

/// Whether a dataset has the same rows in the output as it had in the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// The same rows.
    Same,
    /// The same rows, unless one of the ids that were added is in it.
    Perhaps,
    /// Other rows.
    Changed,
}

impl<'a> Past<'a> {
    /// Opens the last output; `None` if it is not the one that is remembered.
    pub(super) fn open(memory: &'a Memory<'a>, last: &Last, filter: Option<&Filter>) -> Option<Self> {
        let source = GroupSource::open(&last.path).ok()?;
        let mut groups = Vec::with_capacity(memory.entries().len());
        let (mut next, mut rows) = (0, 0);
        for entry in memory.entries() {
            groups.push((entry.group_rows > 0).then_some(next));
            if entry.group_rows > 0 {
                if source.rows_of(next) != entry.group_rows {
                    return None;
                }
                next += 1;
                rows += entry.group_rows;
            }
        }
        let fits = next == source.row_groups()
            && rows == last.rows
            && source.has_columns_of(&Arc::new(memory.schema().clone()));
        if !fits {
            return None;
        }
        let by_line = memory.entries().iter().enumerate().map(|(index, entry)| (entry.line.as_str(), index));
        let ids = filter.map(|filter| Changes::between(memory, filter));
        Some(Self { memory, source, by_line: by_line.collect(), groups, ids })
    }

    /// What is remembered.
    pub(super) fn memory(&self) -> &'a Memory<'a> {
        self.memory
    }

    /// The last output.
    pub(super) fn source(&self) -> &GroupSource {
        &self.source
    }

    /// What is remembered of a dataset.
    pub(super) fn entry(&self, index: usize) -> &'a Entry {
        &self.memory.entries()[index]
    }

    /// The row group of a dataset; `None` if it has none.
    pub(super) fn group(&self, index: usize) -> Option<usize> {
        self.groups[index]
    }

    /// A dataset that is remembered, if its file is where it was and has the size that it had, and what is to be expected of
    /// its rows. The file is not opened.
    pub(super) fn recall(&self, dataset: &Dataset, reader: &Reader<'_>) -> Option<(usize, Outlook)> {
        let index = *self.by_line.get(line(dataset).as_str())?;
        let entry = self.entry(index);
        let stored = reader.find(dataset)?;
        if (stored.place, stored.bytes, &stored.version) != (entry.place, entry.bytes, &entry.version) {
            return None;
        }
        Some((index, self.outlook(entry)))
    }

    fn outlook(&self, entry: &Entry) -> Outlook {
        let Some(Changes { added, removed }) = &self.ids else { return Outlook::Same };
        if !removed.is_empty() && self.memory.ids(entry).flatten().any(|id| removed.contains(&id)) {
            return Outlook::Changed;
        }
        let may_hold = match entry.span {
            Some((low, high)) => added.ids.any_between(low, high),
            None => !added.ids.is_empty(),
        };
        if may_hold { Outlook::Perhaps } else { Outlook::Same }
    }

    /// Whether the file that is open is the one that is remembered, as far as its footer says.
    pub(super) fn is_file(&self, index: usize, table: &TableReader) -> bool {
        let entry = self.entry(index);
        table.schema().fields() == self.memory.columns(entry) && table.rows() == entry.rows
    }

    /// Whether a dataset may have one of the ids that were added: its filter's column is read.
    pub(super) fn may_hold_added(&self, dataset: &Dataset, reader: &Reader<'_>) -> bool {
        let Some(changes) = &self.ids else { return false };
        let Ok(Ok(table)) = reader.open(dataset) else { return true };
        reader::may_hold(&table, &changes.added)
    }
}

impl Changes {
    fn between(memory: &Memory<'_>, filter: &Filter) -> Self {
        let of_datasets = memory.entries().iter().flat_map(|entry| memory.ids(entry));
        let before = IdSet::new(of_datasets.chain(memory.not_found()).flatten().collect());
        let now = &filter.ids;
        let added: Vec<i64> = now.as_slice().iter().copied().filter(|id| !before.contains(*id)).collect();
        let removed = before.as_slice().iter().copied().filter(|id| !now.contains(*id)).collect();
        Self { added: Filter { ids: Arc::new(IdSet::new(added)), ..filter.clone() }, removed }
    }
}
