//! A table in cells of pages, and which of them show the rows that they showed in an earlier snapshot.
//!
//! A version of a row never changes in place. One that a snapshot sees and that was committed before the oldest transaction
//! that was running at an earlier snapshot was seen by that one too. So a cell in which there are only such versions, and as many
//! as before, has the same rows. `docs/explanation/incremental.md` says what that rests on.
//!
//! Not a place for files: what was written of a cell is for the stage.

mod count;
mod rule;
mod signature;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::error::Error;
use super::reader::Reader;
use super::split::PIECE_PAGES;
use super::sql::PlainScan;
use super::stream::Piece;

pub(crate) use count::count;

/// Pages in a cell, by default: 32 MiB of the usual pages.
pub(crate) const DEFAULT_CELL_PAGES: u64 = 4096;
/// A number of pages may be as large as the server's largest table has.
const MOST_CELL_PAGES: u64 = 1 << 32;

/// A query that reads a table, in cells.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    scan: PlainScan,
    /// How many pages of the table are in a cell.
    cell_pages: u64,
    /// How many pages the table has.
    pages: u64,
    /// Whether an index finds the rows.
    by_index: bool,
    /// All that the answer rests on besides the rows of the table.
    pub(crate) signature: BTreeMap<String, String>,
    /// Why nothing that is found now can be compared with what a later snapshot shows.
    pub(crate) not_comparable: Option<String>,
}

/// What a snapshot shows of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// The rows.
    pub(crate) rows: u64,
    /// The XOR of the hashes of their places; `None` if it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) places: Option<i64>,
    /// Versions that an earlier snapshot may not have seen.
    #[serde(skip)]
    pub(crate) young: u64,
}

impl Count {
    /// Whether the rows are those of an earlier snapshot, by whose oldest running transaction `young` was counted.
    pub(crate) fn is_as(&self, then: &Self) -> bool {
        let places = self.places.zip(then.places).is_none_or(|(now, then)| now == then);
        self.rows == then.rows && places && self.young == 0
    }
}

impl Cells {
    /// How many there are. All rows that the snapshot shows are in them: the last has no end.
    pub(crate) fn number(&self) -> usize {
        usize::try_from(self.pages.saturating_sub(1) / self.cell_pages + 1).unwrap_or(usize::MAX)
    }

    /// How many pages of the table are in each.
    pub(crate) fn cell_pages(&self) -> u64 {
        self.cell_pages
    }

    /// Whether it takes a query of its own to know which cells have rows.
    pub(crate) fn is_by_index(&self) -> bool {
        self.by_index
    }

    /// Whether an index reads the rows sooner, because they are in most cells.
    pub(crate) fn are_scattered(&self, counts: &[Count]) -> bool {
        let with_rows = counts.iter().filter(|count| count.rows > 0).count() as u64;
        self.by_index && with_rows.saturating_mul(self.cell_pages).saturating_mul(2) > self.pages
    }

    /// The pages of a cell: the first, and the one after the last.
    fn bounds(&self, cell: usize) -> (u64, Option<u64>) {
        let first = cell as u64 * self.cell_pages;
        (first, (cell + 1 < self.number()).then(|| first + self.cell_pages))
    }

    /// The queries whose rows, one after the other, are those of a cell; `before` is how many rows are before it.
    pub(crate) fn pieces(&self, columns: &Columns, cell: usize, before: Option<u64>) -> Vec<Piece> {
        let (first, end) = self.bounds(cell);
        let last = end.unwrap_or(self.pages).max(first + 1);
        let starts: Vec<u64> =
            (first..last).step_by(usize::try_from(PIECE_PAGES).unwrap_or(usize::MAX)).collect();
        let ends = starts.iter().skip(1).map(|start| Some(*start)).chain([end]);
        let piece = |(start, end): (&u64, _)| {
            let sql = columns.cast(&self.scan.pages(*start, end));
            Piece { sql, section: cell, before }
        };
        starts.iter().zip(ends).map(piece).collect()
    }

    /// The number of pages with which cells have enough rows, if these have not.
    pub(crate) fn better_cell_pages(&self, counts: impl Iterator<Item = u64>) -> Option<u64> {
        const ENOUGH: u64 = 10_000;
        let (cells, rows) =
            counts.filter(|rows| *rows > 0).fold((0, 0), |(cells, sum), rows| (cells + 1, sum + rows));
        let short = cells > 1 && rows / cells < ENOUGH;
        short.then(|| {
            (self.cell_pages * (ENOUGH * cells).div_ceil(rows).next_power_of_two()).min(MOST_CELL_PAGES)
        })
    }
}

impl Reader<'_> {
    /// Sets the session up so that ranges of pages are read by their pages, in their order: other plans return the rows of a
    /// page in another order, and which plan is taken depends on statistics. It is undone when the reader is given back.
    pub(crate) fn scan_pages(&mut self, only: bool) -> Result<(), Error> {
        let index = if only { "off" } else { "on" };
        let sql = format!(
            "SET LOCAL enable_tidscan = on; SET LOCAL enable_indexscan = {index};
             SET LOCAL enable_indexonlyscan = {index}; SET LOCAL enable_bitmapscan = {index};
             SET LOCAL enable_sort = {only}"
        );
        self.connection()?.query("set up the session", &sql).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_unchanged_only_if_all_says_so() {
        let then = Count { rows: 3, places: Some(7), young: 0 };
        assert!(then.is_as(&then) && then.is_as(&Count { places: None, ..then }));
        for now in [Count { rows: 4, ..then }, Count { places: Some(8), ..then }, Count { young: 1, ..then }]
        {
            assert!(!now.is_as(&then), "{now:?}");
        }
    }
}
